"""How numbers, arrays, formulas and names are written in pictures."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from ..errors import clean
from .model import Graph, Node, Value

PLACE = re.compile(r"\{([0-9]{1,9})\}")
WIDEST = 44  # characters of a line of values
TALLEST = 4  # lines of an array
CUT = "…"  # stands for an argument that a picture leaves out


def number(value: float) -> str:
    """Whole numbers whole; else at most four decimals, no trailing zeros, powers of ten where that would lose the number."""
    if isinstance(value, int):
        return str(int(value))  # a bool, too
    if math.isnan(value) or math.isinf(value):
        return {"nan": "NaN", "inf": "+inf", "-inf": "-inf"}[str(value)]
    if value == 0:
        return "0"  # minus zero, too
    if abs(value) < 1e7 and value == int(value):
        return str(int(value))
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"


def value_lines(value: Value, shape: tuple[int, ...], tall: bool = False) -> list[str]:
    """A small array whole, one line per row; a large one as its smallest, mean and largest element.

    A column stands on one line, unless it is to be ``tall``.  A mean that is nothing beside the elements is the rounding
    of a sum that comes out as 0.
    """
    elements = value.elements
    if elements is not None and 0 < len(elements) <= 16:
        last = shape[-1] if len(shape) > 1 and isinstance(shape[-1], int) else 0  # else it depends on the batch size
        columns = last if last > (0 if tall else 1) else len(elements)
        texts = [number(e) for e in elements]
        lines = [texts[i : i + columns] for i in range(0, len(texts), columns)]
        if columns <= 8 and len(lines) <= TALLEST:
            return [part for line in lines for part in _wrapped(line)]
    if value.low is None or value.mean is None or value.high is None:
        return ["empty" if not value.nonfinite else "no finite element"]
    nothing = 0 < abs(value.mean) < 1e-6 * max(abs(value.low), abs(value.high))
    return [f"{number(value.low)} … {'≈ 0' if nothing else number(value.mean)} … {number(value.high)}"]


def _wrapped(texts: list[str]) -> list[str]:
    """The texts beside each other, in as few lines as fit."""
    lines = [texts[0]]
    for text in texts[1:]:
        if len(lines[-1]) + len(text) + 2 > WIDEST:
            lines.append(text)
        else:
            lines[-1] += f"  {text}"
    return lines


def one_line(value: Value | None, node: Node) -> str:
    """A value of a node for text on one line."""
    if value is None:
        return ""
    text = " / ".join(value_lines(value, node.shape))
    return f"{text} ({value.nonfinite} not finite)" if value.nonfinite else text


def only_number(node: Node) -> float | None:
    """The one number that a constant consists of, if it does."""
    elements = None if node.value is None or node.kind != "constant" else node.value.elements
    return elements[0] if elements is not None and len(elements) == 1 else None


def is_number(node: Node) -> bool:
    """Whether it is a constant of one number, which formulas show as it is."""
    return only_number(node) is not None


def symbol(node: Node) -> str:
    """What a formula calls this node: its label, and in a graph that nobody labeled its symbol, name, number or id."""
    if node.label:
        return node.label
    value = only_number(node)
    given = node.symbol or node.name
    if given is not None:
        return clean(given)
    return node.id if value is None else number(value)


def formula(graph: Graph, node: Node) -> str:
    """The operation that made a node, written with its arguments' symbols; empty for leaves.

    An argument that the graph has no node for is an ellipsis.
    """
    if node.op is None:
        return ""
    symbols = {edge.slot: symbol(graph[edge.source]) for edge in graph.edges_to(node.id)}
    notation = with_places(node, max(symbols, default=-1) + 1)
    # One pass, so that braces inside a name are not taken for a place.
    return PLACE.sub(lambda place: symbols.get(int(place[1]), CUT), notation)


def with_places(node: Node, arity: int) -> str:
    """The notation of an operation, with a place for each argument: one that has none is written as a call."""
    notation = node.notation or str(node.op)
    if PLACE.search(notation) or notation.endswith(")"):
        return notation
    return f"{notation}({', '.join(f'{{{i}}}' for i in range(arity))})"


def filled_in(node: Node, arity: int, texts: dict[int, str]) -> Node:
    """The node with texts in its notation for some of its arguments, which then need no node of their own."""
    notation = with_places(node, arity)

    def fill(place: re.Match[str]) -> str:
        text = texts.get(int(place[1]))
        if text is None:
            return place[0]
        before = notation[: place.start()].rstrip()
        return f"({text})" if text.startswith("-") and before[-1:] not in ("", "(", ",") else text

    return replace(node, notation=PLACE.sub(fill, notation))


def shape_text(node: Node) -> str:
    """Shape and dtype in one word, such as ``(4, 3) float32``; float64 goes without saying."""
    shape = "scalar" if node.shape == () else "×".join(map(str, node.shape))
    return shape if node.dtype == "float64" else f"{shape} {node.dtype}"


def no_gradient(node: Node) -> str:
    """The text shown in place of a gradient that is missing."""
    return node.why or "not run yet"


def title_of(node: Node) -> str:
    """What a node is called where there is room: its symbol, and its name where that is another."""
    label = symbol(node)
    return label if node.name is None or node.op or clean(node.name) in label else f"{label} ({clean(node.name)})"
