"""How numbers, arrays and names are written in pictures."""

from __future__ import annotations

import math

from ..errors import clean
from .model import Graph, Node, Value


def number(value: float) -> str:
    """At most four decimals, no trailing zeros; powers of ten where that would lose the number."""
    if math.isnan(value) or math.isinf(value):
        return {"nan": "NaN", "inf": "+inf", "-inf": "-inf"}[str(value)]
    if value == 0:
        return "0"  # minus zero, too
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"


def value_lines(value: Value, shape: tuple[int, ...]) -> list[str]:
    """A small array whole, one line per row; a large one as its smallest, mean and largest element."""
    elements = value.elements
    if elements is not None and 0 < len(elements) <= 16:
        columns = shape[-1] if len(shape) > 1 and shape[-1] > 1 else len(elements)
        if columns <= 8:
            rows = [elements[i : i + columns] for i in range(0, len(elements), columns)]
            return ["  ".join(number(e) for e in row) for row in rows]
    if value.low is None or value.mean is None or value.high is None:
        return ["empty" if not value.nonfinite else "no finite element"]
    return [f"{number(value.low)} … {number(value.mean)} … {number(value.high)}"]


def only_number(node: Node) -> float | None:
    """The one number that a constant consists of, if it does."""
    elements = None if node.value is None or node.kind != "constant" else node.value.elements
    return elements[0] if elements is not None and len(elements) == 1 else None


def symbol(node: Node) -> str:
    """What a formula calls this node: its name, a constant's number, or a letter with its id (b in a backward graph)."""
    if node.name:
        return clean(node.name)
    constant = only_number(node)
    if constant is not None:
        return number(constant)
    return f"{'v' if node.rule is None else 'b'}{node.id.lstrip('bng')}"


def formula(graph: Graph, node: Node, arguments: tuple[Node, ...]) -> str:
    """The operation that made a node, written with its arguments' symbols; empty for leaves."""
    if node.op is None:
        return ""
    symbols = [symbol(argument) for argument in arguments]
    if node.notation is None or not any(f"{{{i}}}" in node.notation for i in range(len(symbols))):
        return f"{node.notation or node.op}({', '.join(symbols)})"
    text = node.notation
    # One pass, so that braces inside a name are not taken for a place.
    parts = text.replace("{", "\0{").split("\0")
    for i, part in enumerate(parts):
        close = part.find("}")
        if part.startswith("{") and part[1:close].isdigit() and int(part[1:close]) < len(symbols):
            parts[i] = symbols[int(part[1:close])] + part[close + 1 :]
    return "".join(parts)


def shape_text(node: Node) -> str:
    """Shape and dtype in one word, such as ``(4, 3) float32``; float64 goes without saying."""
    shape = "scalar" if node.shape == () else "×".join(map(str, node.shape))
    return shape if node.dtype == "float64" else f"{shape} {node.dtype}"
