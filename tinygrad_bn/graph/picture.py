"""``draw``: a picture of a graph, as DOT text, SVG, PNG or PDF, in a file or in a notebook."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from ..drawing import drawn_by
from ..errors import ArgumentError, explain
from ..files import write_whole
from .dot import to_dot
from .layout import LayoutError, lay_out
from .model import Graph
from .plain import to_mermaid, to_text
from .slide import on_slide
from .svg import accessible
from .views import make_view

FORMATS = ("dot", "svg", "png", "pdf", "txt", "mmd", "json")
PRESETS = ("", "slide")
SCREEN = 96.0  # dots per inch of a PNG, unless asked for more
DPI = (10.0, 1200.0)


class Picture:
    """A drawn graph.

    Attributes:
        graph: the snapshot it shows.
        source: the DOT text.
        note: what is special about the picture, such as what was hidden; "" for nothing.
        title: its heading.
    """

    def __init__(self, graph: Graph, source: str, note: str = "", title: str = "") -> None:
        self.graph = graph
        self.source = source
        self.note = note
        self.title = title

    def text(self) -> str:
        """The graph as lines of text, for a terminal."""
        return to_text(self.graph)

    def mermaid(self) -> str:
        """The graph as Mermaid source, for a README."""
        return to_mermaid(self.graph)

    def svg(self) -> str:
        """The picture as SVG text: it fits its frame, has texts to hover over, and names for screen readers."""
        return accessible(lay_out(self.source, "svg").decode(), self.graph, self.title, self.note)

    def png(self, scale: float = 1.0, dpi: float | None = None) -> bytes:
        """The picture as a PNG image.

        Args:
            scale: 2 for twice as many pixels each way, as sharp screens and slides need them.
            dpi: dots per inch instead, such as 300 for print; a scale of 1 is 96.

        Raises:
            ArgumentError: not from 10 to 1200 dots per inch.
        """
        dots = SCREEN * scale if dpi is None else dpi
        if not DPI[0] <= dots <= DPI[1]:
            expected = f"{DPI[0]:g} to {DPI[1]:g} dots per inch; a scale of 1 is {SCREEN:g}"
            raise ArgumentError(
                explain("png(): resolution out of range", got=f"scale={scale}, dpi={dpi}", expected=expected)
            )
        return lay_out(self.source, "png", dots)

    def pdf(self) -> bytes:
        """The picture as a PDF; needs ``dot`` on PATH."""
        return lay_out(self.source, "pdf")

    def save(self, path: str | os.PathLike[str], scale: float = 1.0, dpi: float | None = None) -> Path:
        """Write the picture to a file; its ending says in which format.

        .svg, .png and .pdf are pictures, .dot their source, .txt and .mmd the text and Mermaid forms, .json the graph.

        The file is complete or not there, see ``files.write_whole``.

        Args:
            path: the file.
            scale: of a PNG, as for ``png``.
            dpi: of a PNG, as for ``png``.

        Returns:
            The path written to.

        Raises:
            ArgumentError: another ending; a scale or dpi for anything but a PNG.
            LayoutError: no layout program, or it failed.
            FileError: the folder is missing or cannot be written to.
        """
        target = Path(path)
        ending = target.suffix[1:].lower()
        if ending not in FORMATS:
            expected = ", ".join("." + name for name in FORMATS)
            raise ArgumentError(explain("save(): unknown kind of picture", got=f"'{target.name}'", expected=expected))
        if ending != "png" and (scale != 1.0 or dpi is not None):
            fix = "leave it out: the others are sharp at any size"
            raise ArgumentError(explain("save(): only a PNG has a scale", got=f"'{target.name}'", fix=fix))
        texts: dict[str, Callable[[], str]] = {
            "dot": lambda: self.source, "svg": self.svg, "txt": self.text, "mmd": self.mermaid, "json": self.graph.to_json
        }  # fmt: skip
        content = (
            texts[ending]().encode() if ending in texts else self.pdf() if ending == "pdf" else self.png(scale, dpi)
        )
        return write_whole(target, content)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """What a notebook shows: the SVG, the PNG where it is not trusted with one, or else the text, and why."""
        makers: dict[str, Callable[[], Any]] = {"image/svg+xml": self.svg, "image/png": self.png}
        wanted = [kind for kind in makers if (not include or kind in include) and kind not in (exclude or ())]
        try:
            return {kind: makers[kind]() for kind in wanted} | {"text/plain": repr(self)}
        except LayoutError as error:
            return {"text/plain": f"{error}\n\n{self.text()}"}

    def __repr__(self) -> str:
        title = f" {self.title!r}," * bool(self.title)
        return f"<Picture:{title} {len(self.graph)} boxes, {len(self.graph.edges)} arrows>"


@drawn_by
def draw(
    outputs: Any,
    gradient: Any = None,
    *,
    view: str = "tensor",
    module: Any = None,
    depth: int | None = None,
    opened: Collection[str] = (),
    closed: Collection[str] = (),
    max_nodes: int = 300,
    title: str = "",
    note: str = "",
    rankdir: str = "TB",
    legend: bool = True,
    preset: str = "",
) -> Picture:
    """Draw the graph behind ``outputs``.

    Args:
        outputs: what ``trace`` takes, or a ``Graph``; or an error that a forward pass raised: then what was computed
            before it, with the operation that failed in red.
        gradient: cotangents of the outputs; with them every node shows its gradient.  See ``trace``.
        view: "tensor", one box per operation; "scalar", the same for an array of scalars; "module", with modules closed;
            "backward", the derived backward pass next to the forward pass, in paired colors; "reduced", the backward pass
            after merging equal operations.
        module: names its parameters and buffers by their place in the module tree.
        depth: close modules and formulas nested deeper than this (1 in the module view unless given).
        opened: scopes, as "net/0", that stay open nevertheless.
        closed: scopes to close whatever their depth.
        max_nodes: above this many, modules are closed from the deepest up, equal parts are folded, and the rest is cut
            off; the picture says what was hidden.
        title: a heading.
        note: a sentence under it.
        rankdir: "TB" from top to bottom, "LR" from left to right.
        legend: whether to explain colors and borders.
        preset: "slide" for a 16:9 picture with text of at least 16 pixels on a screen of 1920: what does not fit then
            is left out, shapes first, and said.  It chooses the direction itself, and needs a layout program.

    Raises:
        ArgumentError: outputs that are none, settings out of range.
        LayoutError: with the preset "slide", no layout program.
    """
    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise ArgumentError(explain("draw(): unknown direction", got=rankdir, expected="TB, LR, BT or RL"))
    if preset not in PRESETS:
        raise ArgumentError(explain("draw(): unknown preset", got=repr(preset), expected='"slide", or "" for none'))
    seen = make_view(
        outputs, view, gradient=gradient, module=module, depth=depth, opened=opened, closed=closed, max_nodes=max_nodes
    )
    said = "; ".join(part for part in (seen.note, note) if part)
    make = partial(to_dot, title=title, legend=legend, fills=seen.fills)
    if preset == "slide":
        slide = on_slide(seen.graph, said, make)
        return Picture(slide.graph, slide.source, slide.note, title)
    return Picture(seen.graph, make(seen.graph, note=said, rankdir=rankdir), said, title)
