"""The order of the site is the order in which docs/index.md links to its pages; its headings are those of the sidebar.

So a new page needs one link there, and nothing else.  What is made for the site alone (reference, live pages) follows.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePosixPath
from typing import Any

import live

INDEX = "docs/index"
LINK = re.compile(r"\]\(([^)#\s]+\.(?:md|ipynb))(?:#[^)]*)?\)")
HEADING = re.compile(r"^## +(.+)$", re.MULTILINE)


def sections(text: str) -> dict[str, list[str]]:
    """For each heading of the second level, the pages that are linked below it and not above, without their endings."""
    parts = HEADING.split(text)
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    for heading, body in zip(parts[1::2], parts[2::2]):
        pages = []
        for target in LINK.findall(body):
            page = str(PurePosixPath(posixpath.normpath(posixpath.join("docs", target))).with_suffix(""))
            if page not in seen:
                seen.add(page)
                pages.append(page)
        if pages:
            found[heading.strip()] = pages
    return found


def tree(caption: str, pages: list[str]) -> str:
    """A table of contents that only the sidebar shows."""
    listed = "\n".join(f"/{page}" for page in pages)
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def add_trees(app: Any, page: str, source: list[str]) -> None:
    """Put the tables of contents at the end of the index as it is read; the file stays plain Markdown."""
    if page != INDEX:
        return
    trees = [tree(heading, pages) for heading, pages in sections(source[0]).items()]
    shown = "\n".join(f"- [{entry.title}](/live/{entry.name}.rst): {entry.says}" for entry in live.PAGES)
    listed = "- [Reference](/reference/index.rst): every public name, by package."
    made = f"## Reference and interactive pages\n\n{listed}\n{shown}\n"
    trees.append(
        tree("Reference and interactive pages", ["reference/index", *(f"live/{entry.name}" for entry in live.PAGES)])
    )
    source[0] = "\n\n".join([source[0], made, *trees])


def reuse_trees(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let pages that are in no table of contents share their sidebar, folder by folder; it takes longer than all else."""
    if page in app.env.toctree_includes or any(page in pages for pages in app.env.toctree_includes.values()):
        return
    made, folder = context.get("toctree"), posixpath.dirname(page)
    if made is not None:
        context["toctree"] = lambda **options: str(shared.get(folder) or shared.setdefault(folder, made(**options)))


shared: dict[str, Any] = {}


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", add_trees)
    app.connect("html-page-context", reuse_trees, priority=100)  # the theme is at 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
