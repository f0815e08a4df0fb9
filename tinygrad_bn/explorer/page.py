"""``page_of`` makes a ``Page``: one HTML file that needs nothing else, and may not load anything else.

Its content security policy allows exactly the scripts and the style in the file, by their hashes.
"""

from __future__ import annotations

import os
from functools import cached_property
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..graph import to_text, trace
from . import offline
from .payload import cotangent, payload

SCRIPTS = (
    "interpreter",
    "elements",
    "model",
    "show",
    "magnify",
    "folding",
    "picture",
    "zoom",
    "panel",
    "numbers",
    "line",
    "page",
)

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header id="top"><h1>{title}</h1>
<div id="find"><input type="search" id="search" placeholder="search (key: /)" aria-label="search values">
<span id="hits" role="status"></span></div>
<div id="tabs" role="group" aria-label="what to see">
<button type="button" data-tab="graph">graph</button><button type="button" data-tab="numbers">numbers</button>
<button type="button" data-tab="details">details</button></div></header>
<div id="controls" role="toolbar" aria-label="steps">
<button type="button" id="first" class="wide" title="key: Home">first</button>
<button type="button" id="previous" title="key: left arrow" aria-label="previous">◀</button>
<button type="button" id="play">▶ play</button>
<button type="button" id="next" title="key: right arrow">next ▶</button>
<button type="button" id="last" class="wide" title="key: End">last</button>
<button type="button" id="turn" title="start of the backward pass">backward</button>
<select id="speed" class="wide" aria-label="speed"></select>
<span id="orders" role="group" aria-label="order of the backward pass"></span>
<input type="range" id="slider" min="0" value="0" aria-label="step">
<div id="say" role="status" aria-live="polite"></div>
</div>
<main>
<section id="equations" aria-label="equations"></section>
<section id="left" aria-label="numbers"><div id="line"></div><div id="inputs"></div></section>
<section id="graph" aria-label="graph" tabindex="-1"><div id="folds">
<span id="sizes" role="group" aria-label="size of the picture">
<button type="button" id="smaller" title="key: −, or Ctrl and the wheel" aria-label="smaller">−</button>
<button type="button" id="level" title="key: 0" aria-label="size of the picture: 100 %">100 %</button>
<button type="button" id="larger" title="key: +, or Ctrl and the wheel" aria-label="larger">+</button></span>
<button type="button" id="open">open all</button>
<button type="button" id="close">close all</button></div><div id="holder"><div id="rows">{noscript}</div></div></section>
<aside id="panel" tabindex="0" aria-label="details"></aside>
</main>
<div id="tip" hidden></div>
<script type="application/json" id="data">{data}</script>
{scripts}
</body>
</html>
"""


class Page:
    """A page to walk through a computation, forward and backward, on numbers that can be changed.

    Attributes:
        content: what ``payload`` made: the program, and what its values are called.
        text: what the page says where no script may run.
    """

    def __init__(self, content: dict[str, Any], text: str) -> None:
        self.content = content
        self.text = text

    @cached_property
    def html(self) -> str:
        """The whole file."""
        room = files(__package__) / "browser"
        style = (room / "page.css").read_text(encoding="utf-8")
        scripts = [(room / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
        return TEMPLATE.format(
            policy=offline.policy(scripts, style),
            title=escape(self.content["title"] or "graph", quote=True),
            style=style,
            scripts="\n".join(f"<script>{script}</script>" for script in scripts),
            data=offline.data(self.content),
            noscript=f"<noscript><pre>{escape(self.text)}</pre></noscript>",
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, complete or not at all.

        Returns:
            The path.

        Raises:
            FileError: it cannot be written there.
        """
        return write_whole(path, self.html.encode())

    def __repr__(self) -> str:
        operations = sum(1 for node in self.content["nodes"] if "op" in node)
        return f"<Page of {operations} operations>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own.

        Where a notebook is not trusted, frames and styles are taken out of it; then the text shows, which the style hides.
        """
        title = escape(self.content["title"] or "graph", quote=True)
        style = "width: 100%; height: 720px; border: 1px solid #999"
        source = escape(self.html, quote=True)
        return (
            "<style>.tinygrad-bn-as-text { display: none; }</style>"
            f'<iframe title="{title}" srcdoc="{source}" style="{style}" sandbox="allow-scripts"></iframe>'
            f'<div class="tinygrad-bn-as-text"><p><b>{title}</b>, as text: the page that computes is shown where the notebook '
            f"is trusted, or after its cell has been run.</p><pre>{escape(self.text)}</pre></div>"
        )


def page_of(outputs: Any, gradient: Any = None, *, module: Any = None, **settings: Any) -> Page:
    """The page of a computation; arguments as for ``explore``."""
    gradient = cotangent(outputs, gradient)
    return Page(payload(outputs, gradient, module=module, **settings), to_text(trace(outputs, gradient, module)))
