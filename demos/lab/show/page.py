"""The report: one HTML page that needs no other file, runs no script and may load nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinygrad_bn.errors import explain

from ..results import ResultsError, Shown
from ..run import load
from .blocks import Attachment, Block, Drawing, Plot, Verdict

FOLDER = Path(__file__).resolve().parent
MARKS = {"holds": "✓", "holds if": "◐", "does not hold": "✗"}  # the verdicts are told apart without color, too


def page(content: Mapping[str, Any], blocks: Shown, folder: Path) -> str:
    """The report on a document of results, as HTML.

    Args:
        content: the document.
        blocks: what there is to show of each of its demos.
        folder: where the page will stand, and ``NAME/PICTURE.svg`` of each demo stands already.

    Raises:
        ResultsError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader
        from markupsafe import Markup, escape
    except ImportError:
        fix = "install it: pip install -e '.[demos]'"
        raise ResultsError(explain("the report needs jinja2, which is not installed", fix=fix)) from None

    def coded(text: str) -> Markup:
        """Escaped text in which `backticks` have become code, and a percent sign stays on the line of its number."""
        text = re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", text)
        return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))

    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["coded"] = coded
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        style=Markup(style),
        demos=[section(entry, blocks[entry["name"]], folder) for entry in content["demos"]],
        environment=content["environment"],
        seconds=sum(part["cpu_seconds"] for entry in content["demos"] for part in entry["parts"].values()),
        marks=MARKS,
    )


def section(entry: Mapping[str, Any], blocks: Sequence[Block], folder: Path) -> dict[str, Any]:
    """What the page shows of one demo."""
    demo, items = load(entry["name"]), []
    for block in blocks:
        item: dict[str, Any] = {"kind": type(block).__name__.lower(), "block": block}
        if isinstance(block, (Plot, Drawing, Attachment)):
            item["file"] = f"{demo.name}/{block.file}"
            item["there"] = (folder / item["file"]).exists()  # plots are not, without matplotlib
        if isinstance(block, (Plot, Drawing)) and item["there"]:
            item["source"] = as_url((folder / item["file"]).read_bytes())
        items.append(item)
    return {
        "name": demo.name,
        "title": demo.title,
        "claim": demo.claim,
        "command": entry["command"],
        "seeds": entry["settings"]["seeds"],
        "seconds": sum(part["cpu_seconds"] for part in entry["parts"].values()),
        "items": items,
        "verdicts": [item["block"] for item in items if isinstance(item["block"], Verdict)],
    }


def as_url(svg: bytes) -> str:
    """A picture inside the page; as an image, so that its names and styles stay its own."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
