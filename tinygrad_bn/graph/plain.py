"""A graph without a layout program: as lines of text for a terminal, and as Mermaid for a README."""

from __future__ import annotations

import re
from collections import Counter

from ..errors import clean, columns
from .labels import formula, is_number, no_gradient, one_line, shape_text, symbol, title_of
from .model import Graph, Node
from .naming import named
from .scopes import Call, Titles

MERMAID_CLASSES = {
    "input": "fill:#CCE5F5,stroke:#0072B2,stroke-width:2px,color:#000000",
    "parameter": "fill:#FFE9BF,stroke:#B07800,stroke-width:3px,color:#000000",
    "buffer": "fill:#F6DCEB,stroke:#A0527C,stroke-dasharray:6 3,color:#000000",
    "constant": "fill:#FFFFFF,stroke:#777777,stroke-dasharray:2 3,color:#000000",
    "output": "fill:#C8EBDD,stroke:#00704F,stroke-width:3px,color:#000000",
    "group": "fill:#E3E3F1,stroke:#4B4B8F,stroke-width:3px,color:#000000",
    "failed": "fill:#FFD9D4,stroke:#B00020,stroke-width:4px,color:#000000",
}
READ_LATER = re.compile(r"(?<=\$)(?=\$)|(?<=\\)(?=n)|(?<=:)(?=fa)")
# What Mermaid and its Markdown leave as it is, besides letters and digits.
PLAIN = frozenset(" ,=+/()'·×→…√²³Σ∂[]^|")


def to_text(graph: Graph) -> str:
    """One line per node, in order: what it is, its shape, value and gradient; a heading where the scope changes."""
    graph = named(graph)
    titles = Titles(graph)
    rows: list[tuple[str, str, str, str]] = []
    headings: dict[int, str] = {}
    scope = Call((), ())
    for node in graph.nodes:
        if is_number(node) and node.id not in graph.outputs:
            continue  # it is in the formula already
        here = Call.of(node)
        if (node.op is not None or node.kind == "group") and here != scope:
            scope = here
            headings[len(rows)] = titles.path(scope) or "(top)"
        expression = formula(graph, node)
        head = f"{symbol(node)} = {expression}" if expression else f"{title_of(node)}  [{node.kind}]"
        if node.kind == "failed":
            head = f"{symbol(node)} {expression}"
        grad = "" if not node.requires_grad else no_gradient(node) if node.grad is None else one_line(node.grad, node)
        if node.kind == "failed":
            rows.append((head, "", clean(node.why, 400), ""))
        else:
            rows.append((head, shape_text(node), one_line(node.value, node), grad))
    heads = ("node", "shape", "value", "grad")
    widths = [max((columns(row[i]) for row in [heads, *rows] if row[1] or i != 2), default=0) for i in range(4)]
    lines = [_columns(heads, widths)]
    for i, row in enumerate(rows):
        if i in headings:
            lines.append(f"-- {headings[i]}")
        lines.append(_columns(row, widths))
    return "\n".join(lines)


def _columns(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(cells, widths)).rstrip()


def to_mermaid(graph: Graph) -> str:
    """Mermaid source: paste it into a fenced ``mermaid`` block of a Markdown page."""
    graph = named(graph)
    boxes = {node.id: "<br/>".join(map(_quoted, _lines(graph, node))) for node in graph.nodes}
    lines = ["flowchart TD", *(f'    {node_id}["{text}"]' for node_id, text in boxes.items())]
    arrows = Counter((edge.source, edge.target) for edge in graph.edges)
    for (source, target), several in arrows.items():
        folded = graph[source].times > 1 or graph[target].times > 1
        lines.append(f"    {source} -->{f'|×{several}|' if several > 1 and not folded else ''} {target}")
    for kind, style in MERMAID_CLASSES.items():
        ids = [node.id for node in graph.nodes if node.kind == kind]
        if ids:
            lines += [f"    classDef {kind} {style}", f"    class {','.join(ids)} {kind}"]
    return "\n".join(lines)


def _lines(graph: Graph, node: Node) -> list[str]:
    expression = formula(graph, node)
    if node.kind == "failed":
        return [expression, clean(node.why, 400)]
    head = f"{symbol(node)} = {expression}" if expression else title_of(node)
    return [head] if is_number(node) else [head, one_line(node.value, node)]


def _quoted(text: str) -> str:
    """Text that Mermaid shows as it is: all that it, its Markdown or HTML could read is a character code (``#36;``).

    Formulas, icons and ends of lines it looks for after it has read the codes, so these are parted by nothing visible.
    """
    text = READ_LATER.sub("\u2060", text)
    return "".join(c if _is_plain(text, i) else f"#{ord(c)};" for i, c in enumerate(text))


def _is_plain(text: str, i: int) -> bool:
    """Whether a character means itself: a dot or a minus does inside a line, but "1. x" and "- x" would be lists."""
    c = text[i]
    if c in ".-−":
        return 0 < i < len(text) - 1 and text[i + 1] != " " if c == "." else i > 0
    return c.isalnum() or (c in PLAIN and (i > 0 or c not in "+=")) or (not c.isascii() and c.isprintable())
