"""``draw``: a picture of a graph, as DOT text, SVG, PNG or PDF, in a file or in a notebook."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, explain
from ..files import write_whole
from .dot import to_dot
from .layout import LayoutError, lay_out
from .model import Graph
from .plain import to_mermaid, to_text
from .views import look_at

FORMATS = ("dot", "svg", "png", "pdf", "txt", "mmd", "json")


class Picture:
    """A drawn graph.

    Attributes:
        graph: the snapshot it shows.
        source: the DOT text.
        note: what is special about the picture, such as what was hidden; "" for nothing.
    """

    def __init__(self, graph: Graph, source: str, note: str = "") -> None:
        self.graph = graph
        self.source = source
        self.note = note

    def text(self) -> str:
        """The graph as lines of text, for a terminal."""
        return to_text(self.graph)

    def mermaid(self) -> str:
        """The graph as Mermaid source, for a README."""
        return to_mermaid(self.graph)

    def svg(self) -> str:
        """The picture as SVG text."""
        return lay_out(self.source, "svg").decode()

    def png(self) -> bytes:
        """The picture as a PNG image."""
        return lay_out(self.source, "png")

    def pdf(self) -> bytes:
        """The picture as a PDF; needs ``dot`` on PATH."""
        return lay_out(self.source, "pdf")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file; its ending says in which format.

        .svg, .png and .pdf are pictures, .dot their source, .txt and .mmd the text and Mermaid forms, .json the graph.

        The file is complete or not there, see ``files.write_whole``.

        Returns:
            The path written to.

        Raises:
            ArgumentError: another ending.
            LayoutError: no layout program, or it failed.
            FileError: the folder is missing or cannot be written to.
        """
        target = Path(path)
        ending = target.suffix[1:].lower()
        if ending not in FORMATS:
            expected = ", ".join("." + name for name in FORMATS)
            raise ArgumentError(explain("save(): unknown kind of picture", got=f"'{target.name}'", expected=expected))
        texts = {"dot": lambda: self.source, "txt": self.text, "mmd": self.mermaid, "json": self.graph.to_json}
        content = texts[ending]().encode() if ending in texts else lay_out(self.source, ending)
        return write_whole(target, content)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the SVG, or the DOT text and why there is no SVG."""
        try:
            return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        except LayoutError as error:
            return {"text/plain": f"{error}\n\n{self.source}"}

    def __repr__(self) -> str:
        return f"<picture of {len(self.graph)} nodes and {len(self.graph.edges)} edges>"


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
) -> Picture:
    """Draw the graph behind ``outputs``.

    Args:
        outputs: what ``trace`` takes, or a ``Graph``.
        gradient: cotangents of the outputs; with them every node shows its gradient.  See ``trace``.
        view: "tensor", one box per operation; "scalar", the same for an array of scalars; "module", with modules closed;
            "backward", the derived backward pass beside the forward one, in paired colours; "reduced", the backward pass
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
        legend: whether to explain colours and borders.
    """
    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise ArgumentError(explain("draw(): unknown direction", got=rankdir, expected="TB, LR, BT or RL"))
    seen = look_at(
        outputs, view, gradient=gradient, module=module, depth=depth, opened=opened, closed=closed, max_nodes=max_nodes
    )
    said = "; ".join(part for part in (seen.note, note) if part)
    source = to_dot(seen.graph, title=title, note=said, rankdir=rankdir, legend=legend, fills=seen.fills)
    return Picture(seen.graph, source, said)
