"""Graphs that a demo kept, laid out; without a layout program, shown as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tinygrad_bn.graph import LayoutError
from tinygrad_bn.graph.layout import lay_out, programs

from .blocks import Attachment, Block, Code, Drawing, Text

INSTALL = "pip install 'tinygrad-bn[draw]'"


def shown(name: str, caption: str, picture: Mapping[str, Any]) -> list[Block]:
    """The picture; where it cannot be laid out, why not, and the graph as text."""
    svg, why = laid_out(picture["dot"])
    if svg:
        return [Drawing(name, caption, svg)]
    return [Text(f"{caption} (As text: {why}.)"), Code(picture["text"], "output")]


@cache
def laid_out(dot: str) -> tuple[str, str]:
    """SVG text and "", or "" and the reason."""
    try:
        svg = lay_out(dot, "svg").decode()
    except LayoutError as error:
        return "", str(error).splitlines()[0]
    return svg[svg.index("<svg") :], ""


def explorer(file: str, caption: str, write: Callable[[Path], object]) -> list[Block]:
    """A page of the explorer as a file; where it cannot be made, why not."""
    if not programs("svg"):
        return [Text(f"{file} was not written: it needs a layout program (`{INSTALL}`).")]
    return [Attachment(file, caption, write)]
