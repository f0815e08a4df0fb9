"""``draw``: a picture of a graph, as DOT text, SVG, PNG or PDF, in a file or in a notebook."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ..engine.errors import ArgumentError, explain
from .dot import to_dot
from .layout import LayoutError, lay_out
from .model import Graph
from .tracing import trace

FORMATS = ("dot", "svg", "png", "pdf")


class Picture:
    """A drawn graph.

    Attributes:
        graph: the snapshot it shows.
        source: the DOT text.
    """

    def __init__(self, graph: Graph, source: str) -> None:
        self.graph = graph
        self.source = source

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
        """Write the picture to a file; its ending (.dot, .svg, .png, .pdf) says in which format.

        The file is complete or not there: it is written beside its place and then moved.

        Returns:
            The path written to.

        Raises:
            ArgumentError: another ending.
            LayoutError: no layout program, or it failed.
            OSError: the folder is missing or cannot be written to.
        """
        target = Path(path)
        ending = target.suffix[1:].lower()
        if ending not in FORMATS:
            expected = ", ".join("." + name for name in FORMATS)
            raise ArgumentError(explain("save(): unknown kind of picture", got=f"'{target.name}'", expected=expected))
        content = self.source.encode() if ending == "dot" else lay_out(self.source, ending)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return target

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
    module: Any = None,
    title: str = "",
    rankdir: str = "TB",
    legend: bool = True,
) -> Picture:
    """Draw the graph behind ``outputs``.

    Args:
        outputs: what ``trace`` takes, or a ``Graph``.
        gradient: cotangents of the outputs; with them every node shows its gradient.  See ``trace``.
        module: names its parameters and buffers by their place in the module tree.
        title: a heading.
        rankdir: "TB" from top to bottom, "LR" from left to right.
        legend: whether to explain colours and borders.
    """
    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise ArgumentError(explain("draw(): unknown direction", got=rankdir, expected="TB, LR, BT or RL"))
    graph = outputs if isinstance(outputs, Graph) else trace(outputs, gradient, module)
    return Picture(graph, to_dot(graph, title=title, rankdir=rankdir, legend=legend))
