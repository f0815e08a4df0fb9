"""A picture for a slide: 16:9, with text that is readable from the last row.

A graph is tried with all rows of its boxes, then with fewer, in both directions, then folded, until its smallest text has 16
pixels on a screen of 1920; what was left out is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .dot import TEXT
from .folding import fit
from .layout import lay_out
from .model import Graph
from .naming import labeled
from .reading import without_forward
from .svg import size

WIDTH, HEIGHT = 1440.0, 810.0  # points: 1920 by 1080 pixels
SMALLEST = 16.0  # pixels of text at 1920
PIXELS = 4 / 3  # in a point
ROWS = (("shape", "value", "grad", "rule"), ("value", "grad"), ("value",), ())
LARGEST_ZOOM = 2.5  # of a picture of few boxes


class Slide(NamedTuple):
    """A laid-out choice: the graph as it is shown, its DOT text, and what was left out for it."""

    graph: Graph
    source: str
    note: str


def on_slide(graph: Graph, note: str, make: Callable[..., str]) -> Slide:
    """The first choice whose text is large enough; the best one where none is.

    Args:
        graph: what to show.
        note: a sentence about it.
        make: DOT text of a graph, given ``note``, ``rankdir`` and ``show``.

    Raises:
        LayoutError: no layout program, or it failed.
    """
    best: tuple[float, Slide] | None = None
    for smaller, rows, said in _choices(graph):
        sentence = "; ".join(part for part in (note, said) if part)
        for rankdir in ("LR", "TB"):
            upright = ("tall",) * (rankdir == "LR")  # narrow boxes beside each other
            source = make(smaller, note=sentence, rankdir=rankdir, show=(*rows, *upright), tight=True)
            width, height = size(lay_out(source, "svg").decode())
            zoom = min(WIDTH / width, HEIGHT / height, LARGEST_ZOOM)
            found = (zoom, Slide(smaller, _framed(source, zoom), sentence))
            if best is None or zoom > best[0]:
                best = found
        assert best is not None  # two were tried
        if best[0] * TEXT * PIXELS >= SMALLEST:
            break
    assert best is not None
    return best[1]


def _choices(graph: Graph) -> Iterator[tuple[Graph, tuple[str, ...], str]]:
    """Graphs with the rows of their boxes and what is left out, the fullest first."""
    for i, rows in enumerate(ROWS):
        if i < 3 or len(graph) <= 40:
            yield graph, rows, _left_out(rows)
    alone = without_forward(graph)
    if alone is not graph:
        for rows in ROWS[1:]:
            yield alone, rows, f"without the forward pass; {_left_out(rows)}"
    for limit in (24, 12, 6):
        if len(graph) > limit:
            smaller, said = fit(graph, limit)
            for rows in ROWS[1:3]:
                yield labeled(smaller), rows, f"{said}; {_left_out(rows)}"


def _left_out(rows: tuple[str, ...]) -> str:
    missing = {"shape": "shapes", "value": "values", "grad": "gradients"}  # of rules the colors tell
    names = [name for row, name in missing.items() if row not in rows]
    return f"without {' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}" if names else ""


def _framed(source: str, zoom: float) -> str:
    """The text with a frame of the slide's size around the picture."""
    inside = source.rstrip().removesuffix("}")
    return f'{inside}\tgraph [viewport="{WIDTH:g},{HEIGHT:g},{zoom:.4f}" margin="0"]\n}}\n'
