"""A graph without a layout program: as lines of text for a terminal, and as Mermaid for a README."""

from __future__ import annotations

from html import escape

from ..errors import clean
from .labels import formula, shape_text, symbol, value_lines
from .model import Graph, Node, Value

MERMAID_CLASSES = {
    "input": "fill:#CCE5F5,stroke:#0072B2,stroke-width:2px,color:#000000",
    "parameter": "fill:#FFE9BF,stroke:#B07800,stroke-width:3px,color:#000000",
    "buffer": "fill:#F6DCEB,stroke:#A0527C,stroke-dasharray:6 3,color:#000000",
    "constant": "fill:#FFFFFF,stroke:#777777,stroke-dasharray:2 3,color:#000000",
    "output": "fill:#C8EBDD,stroke:#00704F,stroke-width:3px,color:#000000",
}


def to_text(graph: Graph) -> str:
    """One line per node, in order: what it is, its shape, value and gradient; a heading where the scope changes."""
    rows: list[tuple[str, str, str, str]] = []
    headings: dict[int, str] = {}
    scope: tuple[str, ...] = ()
    for node in graph.nodes:
        if node.kind == "constant" and node.shape == ():
            continue  # it is in the formula already
        if node.op is not None and node.scope != scope:
            scope = node.scope
            headings[len(rows)] = " / ".join(clean(name) for name in scope) or "(top)"
        expression = formula(graph, node, graph.inputs_of(node.id))
        head = f"{symbol(node)} = {expression}" if expression else f"{symbol(node)}  [{node.kind}]"
        grad = "" if not node.requires_grad else "not run yet" if node.grad is None else _one_line(node.grad, node)
        rows.append((head, shape_text(node), _one_line(node.value, node), grad))
    titles = ("node", "shape", "value", "grad")
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(4)]
    lines = ["  ".join(title.ljust(width) for title, width in zip(titles, widths)).rstrip()]
    for i, row in enumerate(rows):
        if i in headings:
            lines.append(f"-- {headings[i]}")
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return "\n".join(lines)


def to_mermaid(graph: Graph) -> str:
    """Mermaid source: paste it into a fenced ``mermaid`` block of a Markdown page."""
    lines = ["flowchart TD"]
    for node in graph.nodes:
        expression = formula(graph, node, graph.inputs_of(node.id))
        head = f"{symbol(node)} = {expression}" if expression else symbol(node)
        body = "" if node.kind == "constant" else f"<br/>{_quoted(_one_line(node.value, node))}"
        lines.append(f'    {node.id}["{_quoted(head)}{body}"]')
    lines += [f"    {edge.source} --> {edge.target}" for edge in graph.edges]
    for kind, style in MERMAID_CLASSES.items():
        ids = [node.id for node in graph.nodes if node.kind == kind]
        if ids:
            lines += [f"    classDef {kind} {style}", f"    class {','.join(ids)} {kind}"]
    return "\n".join(lines)


def _one_line(value: Value | None, node: Node) -> str:
    if value is None:
        return ""
    text = " / ".join(value_lines(value, node.shape))
    return f"{text} ({value.nonfinite} not finite)" if value.nonfinite else text


def _quoted(text: str) -> str:
    """Text that Mermaid shows as it is: markup, quotes and its own sharp signs as character codes."""
    return escape(text, quote=True).replace("#", "&num;").replace("&num;x27;", "&apos;").replace("`", "&grave;")
