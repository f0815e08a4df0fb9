"""The playground as one HTML file that needs nothing else, and may not load anything else."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from tinygrad_bn import explorer
from tinygrad_bn.explorer import offline

from ..lab.output import write_whole
from .examples import described
from .networks import WIDTH, all_recorded
from .packing import packed

BROWSER = Path(__file__).resolve().parent / "browser"
SCRIPTS = ("generator", "programs", "prepared", "pair", "drawing", "page")
NOSCRIPT = "<noscript>This page computes: it needs JavaScript. It loads nothing and sends nothing.</noscript>"


@cache  # recording takes seconds, and gives the same programs each time
def page() -> str:
    """The whole file, with the programs of every depth and activation in it."""
    interpreter = (files(explorer) / "browser" / "interpreter.js").read_text(encoding="utf-8")
    scripts = [interpreter, *((BROWSER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)]
    style = (BROWSER / "page.css").read_text(encoding="utf-8")
    return Template((BROWSER / "page.html").read_text(encoding="utf-8")).substitute(
        policy=offline.policy(scripts, style),
        style=style,
        noscript=NOSCRIPT,
        width=escape(str(WIDTH)),
        programs=offline.data(packed(all_recorded())),
        examples=offline.data(described()),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def write(path: Path) -> Path:
    """Write the page, complete or not at all.

    Raises:
        OutputError: it cannot be written there.
    """
    html = page()
    return write_whole(path, lambda file: file.write_text(html, encoding="utf-8"))
