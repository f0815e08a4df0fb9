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
from . import colors, overview, plots
from .blocks import Attachment, Block, Drawing, Plot, Summary, Table, Verdict
from .evidence import LABELS, MANY
from .inline import inline
from .telling import cases_table

FOLDER = Path(__file__).resolve().parent


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

    def safe(item: dict[str, Any] | None) -> dict[str, Any] | None:
        """An item whose picture is part of the page."""
        return {**item, "inline": Markup(item["inline"])} if item and "inline" in item else item

    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["coded"] = coded
    style = colors.style() + (FOLDER / "page.css").read_text(encoding="utf-8")
    demos = [section(entry, blocks[entry["name"]], folder) for entry in content["demos"]]
    found = overview.rows(blocks)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        style=Markup(style),
        demos=[{**demo, "items": [safe(item) for item in demo["items"]], "main": safe(demo["main"])} for demo in demos],
        rows=found,
        order=overview.ORDER,
        counts={outcome: sum(row.verdict.outcome == outcome for row in found) for outcome in overview.ORDER},
        overview=files(folder, overview.NAME),
        tables={(row.demo, row.verdict.name): cases_table(row.verdict) for row in found if row.verdict.cases},
        environment=content["environment"],
        seconds=sum(part["cpu_seconds"] for entry in content["demos"] for part in entry["parts"].values()),
        labels=LABELS,
        many=MANY,
    )


def section(entry: Mapping[str, Any], blocks: Sequence[Block], folder: Path) -> dict[str, Any]:
    """What the page shows of one demo: its sentence and its picture, its verdicts, and the rest."""
    demo = load(entry["name"])
    summary = next((block for block in blocks if isinstance(block, Summary)), None)
    items = [item_of(demo.name, block, folder) for block in blocks if not isinstance(block, (Summary, Verdict))]
    pictures = [item for item in items if isinstance(item["block"], (Plot, Drawing))]
    named = [item for item in pictures if summary and item["block"].name == summary.picture]
    main = next(iter(named or pictures), None)
    return {
        "name": demo.name,
        "title": demo.title,
        "claim": demo.claim,
        "summary": summary.text if summary else "",
        "main": main,
        "command": entry["command"],
        "seconds": sum(part["cpu_seconds"] for part in entry["parts"].values()),
        "items": [item for item in items if item is not main],
        "more": more(items, len(pictures) - (main is not None)),
        "verdicts": [block for block in blocks if isinstance(block, Verdict)],
    }


def more(items: Sequence[Mapping[str, Any]], pictures: int) -> str:
    """How much is folded: ``5 tables and 3 more pictures``."""
    tables = sum(isinstance(item["block"], Table) for item in items)
    said = [f"{tables} table{'s' * (tables != 1)}"] if tables else []
    said += [f"{pictures} more picture{'s' * (pictures != 1)}"] if pictures else []
    return " and ".join(said) or "the command"


def item_of(demo: str, block: Block, folder: Path) -> dict[str, Any]:
    """A block as the page needs it."""
    item: dict[str, Any] = {"kind": type(block).__name__.lower(), "block": block}
    if isinstance(block, (Plot, Drawing, Attachment)):
        item["file"] = f"{demo}/{block.file}"
        item["there"] = (folder / item["file"]).exists()  # plots are not, without matplotlib
    if isinstance(block, Plot) and item["there"]:
        item["inline"] = inline((folder / item["file"]).read_bytes(), f"{demo}-{block.name}")
        item["files"] = files(folder, f"{demo}/{block.name}")
    if isinstance(block, Drawing) and item["there"]:
        item["source"] = as_url((folder / item["file"]).read_bytes())
    return item


def files(folder: Path, name: str) -> dict[str, str]:
    """The formats in which a plot was written, with their files."""
    return {kind: f"{name}.{kind}" for kind in plots.KINDS if (folder / f"{name}.{kind}").exists()}


def as_url(svg: bytes) -> str:
    """A picture inside the page; as an image, so that its names and styles stay its own."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
