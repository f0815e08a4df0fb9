"""Links to files of the repository that are no pages: text is shown in colors with its lines numbered, the rest is copied."""

from __future__ import annotations

import html
import posixpath
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 200_000  # bytes of a file that is shown

wanted: set[str] = set()  # paths below the repository that some page links to


def page_of(path: str) -> str:
    """Name of the page that shows a file."""
    wanted.add(path)
    return f"sources/{path}"


class LinkSources(SphinxPostTransform):
    """Links to what is none of the site's pages, as ``../tinygrad_bn/tensor.py``; before MyST looks for them."""

    default_priority = 5

    def run(self, **options: Any) -> None:
        """Called by Sphinx for each page that is written."""
        here = self.env.docname
        for node in list(self.document.findall(addnodes.pending_xref)):
            target, _, anchor = node["reftarget"].partition("#")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
            file = ROOT / path
            if node["reftype"] != "myst" or path.startswith("..") or not file.is_file():
                continue
            if shown(file):
                uri = self.app.builder.get_relative_uri(here, page_of(path))
            else:
                uri = copied(Path(self.app.builder.outdir), here, path)
            link = nodes.reference("", "", internal=True, refuri=f"{uri}#{anchor}" if anchor else uri)
            link += node.children or [nodes.literal(text=path)]
            node.replace_self(link)


def shown(file: Path) -> bool:
    """Whether it is text, and not too long to read."""
    return file.stat().st_size <= LONGEST and b"\0" not in file.read_bytes()


def copied(site: Path, here: str, path: str) -> str:
    """Copy a file beside the pages; returns its address from one."""
    target = site / "files" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / path, target)
    return posixpath.relpath(f"files/{path}", posixpath.dirname(here))


def pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The pages that were asked for."""
    for path in sorted(wanted):
        yield f"sources/{path}", {"title": path, "body": body(path), "meta": {"hide-toc": ""}}, "page.html"


def body(path: str) -> str:
    """A file, each line with an anchor: ``#L12``."""
    text = (ROOT / path).read_text(encoding="utf-8")
    try:
        lexer = get_lexer_for_filename(path, stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_for_filename("a.txt", stripnl=False)
    shape = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True, wrapcode=True)
    code = (
        highlight(text, lexer, shape).replace('id="L-', 'id="L').replace('name="L-', 'name="L').replace('"#L-', '"#L')
    )
    title = html.escape(path).replace("/", "/<wbr>")
    return f'<h1 class="path">{title}</h1>\n<div class="source">{code}</div>'


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_post_transform(LinkSources)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": False, "parallel_write_safe": False}  # wanted is one set
