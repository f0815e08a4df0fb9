"""A ``Graph`` as DOT text, through the ``graphviz`` package.

Kinds are told apart by fill, border and the word in the legend, so the picture also reads in grey.  Colours: Okabe and
Ito's palette for colour-blind readers (https://jfly.uni-koeln.de/color/), lightened for fills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import clean, missing_package
from .labels import formula, number, only_number, shape_text, symbol, value_lines
from .model import Graph, Node, Value

if TYPE_CHECKING:
    import graphviz

# kind: (fill, border, style, pen width)
LOOKS = {
    "input": ("#CCE5F5", "#0072B2", "filled,rounded", "1.5"),
    "parameter": ("#FFE9BF", "#B07800", "filled,bold", "2.5"),
    "buffer": ("#F6DCEB", "#A0527C", "filled,dashed", "1.5"),
    "constant": ("#FFFFFF", "#777777", "filled,dotted", "1.0"),
    "intermediate": ("#F4F4F4", "#444444", "filled", "1.0"),
    "output": ("#C8EBDD", "#00704F", "filled,bold", "2.5"),
    "forward": ("#FFFFFF", "#444444", "filled,rounded,dashed", "1.0"),
    "group": ("#E3E3F1", "#4B4B8F", "filled,bold", "2.0"),
}
NONFINITE = "#D55E00"
SHOWN = ("shape", "value", "grad", "line")
FONT = "Arial"  # layout programs know its widths without having it; Arimo and Liberation Sans have the same


def to_dot(
    graph: Graph,
    *,
    title: str = "",
    note: str = "",
    rankdir: str = "TB",
    legend: bool = True,
    fills: Mapping[str, str] | None = None,
    show: Collection[str] = SHOWN,
) -> str:
    """The DOT source of a graph: one box per node, clusters by scope, one edge per argument.

    The same graph gives the same text.

    Args:
        graph: what to draw.
        title: a heading.
        note: a sentence under the heading.
        rankdir: "TB" or "LR".
        legend: whether to explain kinds and borders.
        fills: fill colours by node id, instead of those of the kinds.
        show: which rows a box has: "shape", "value", "grad", "line".

    Raises:
        ImportError: the package graphviz is missing.
    """
    dot = _graphviz().Digraph("graph")
    kinds = sorted({node.kind for node in graph.nodes}, key=list(LOOKS).index) if legend else []
    heading = _heading(title, note, kinds)
    dot.attr("graph", rankdir=rankdir, fontname=FONT, fontsize="16", label=heading, labelloc="t")
    dot.attr("graph", nodesep="0.35", ranksep="0.4", margin="0.2")
    dot.attr("node", shape="box", fontname=FONT, fontsize="14", margin="0.12,0.06")
    dot.attr("edge", fontname=FONT, fontsize="12", color="#444444", arrowsize="0.8")
    uses = Counter(edge.source for edge in graph.edges)
    _fill_clusters(dot, graph, uses, fills or {}, show)
    for edge in graph.edges:
        several = len(graph.sources_of(edge.target)) > 1 and graph[edge.target].kind != "group"
        dot.edge(edge.source, edge.target, headlabel=str(edge.slot) if several else "", labeldistance="1.4")
    source: str = dot.source
    return source


def _graphviz() -> Any:
    """The package, imported when something is drawn: nothing else needs it."""
    try:
        import graphviz
    except ImportError as error:
        raise missing_package("drawing a graph", "graphviz", "graphviz") from error
    return graphviz


def _fill_clusters(
    dot: graphviz.Digraph, graph: Graph, uses: Counter[str], fills: Mapping[str, str], show: Collection[str]
) -> None:
    """Nodes inside nested boxes, one box per scope."""
    home = _homes(graph)
    members: dict[tuple[str, ...], list[Node]] = {}
    for node in graph.nodes:
        members.setdefault(home[node.id], []).append(node)
    paths = dict.fromkeys(path[:i] for path in members for i in range(len(path) + 1))  # in order of creation
    order = {path: i for i, path in enumerate(paths)}
    below: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for path in order:
        if path:
            below.setdefault(path[:-1], []).append(path)

    def fill(into: graphviz.Digraph, path: tuple[str, ...]) -> None:
        for node in members.get(path, []):
            _draw_node(into, graph, node, uses[node.id], fills.get(node.id), show)
        for child in below.get(path, []):
            with into.subgraph(name=f"cluster_{order[child]}") as inner:
                inner.attr(label=_html(f"<B>{_text(clean(child[-1]))}</B>"), fontname=FONT, fontsize="14")
                inner.attr(style="rounded", color="#999999", labeljust="l", margin="12")
                fill(inner, child)

    fill(dot, ())


def _homes(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The scope in which each node is drawn: its own; for parameters and constants the common part of their users'.

    Inputs come from outside, so they are drawn outside of all.
    """
    home = {node.id: node.scope for node in graph.nodes}
    shared: dict[str, tuple[str, ...]] = {}
    for edge in graph.edges:
        source = graph[edge.source]
        if source.kind in ("parameter", "buffer", "constant"):
            target = graph[edge.target].scope
            known = shared.get(edge.source, target)
            same = 0
            while same < min(len(known), len(target)) and known[same] == target[same]:
                same += 1
            shared[edge.source] = known[:same]
    return {**home, **shared}


def _draw_node(
    dot: graphviz.Digraph, graph: Graph, node: Node, uses: int, own_fill: str | None, show: Collection[str]
) -> None:
    fill, border, style, width = LOOKS[node.kind]
    fill = own_fill or fill
    if any(value is not None and value.nonfinite for value in (node.value, node.grad)):
        border, width = NONFINITE, "3"
    look = {"fillcolor": fill, "color": border, "style": style, "penwidth": width}
    if only_number(node) is not None:
        dot.node(node.id, label=_html(_text(symbol(node))), **look)
        return
    expression = formula(graph, node, graph.inputs_of(node.id))
    head = f"{symbol(node)} = {expression}" if expression else symbol(node)
    rows = [f'<TR><TD ALIGN="CENTER" COLSPAN="2"><B>{_text(clean(head, 60))}</B></TD></TR>']
    if node.members > 1:
        rows.append(_row("holds", [f"{node.members} nodes"]))
    if node.rule is not None:
        rows.append(_row("from", [f"{node.rule}"]))
    if node.shape != () and "shape" in show:
        rows.append(_row("shape", [shape_text(node)]))
    if "value" in show and node.value is not None:
        rows.append(_row("value", _with_warning(node.value, node.shape)))
    if node.requires_grad and "grad" in show:
        rows.append(_row("grad", ["not run yet"] if node.grad is None else _with_warning(node.grad, node.shape)))
    if node.site is not None and "line" in show:
        rows.append(_row("line", [clean(node.site.rpartition("/")[2])]))
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">{"".join(rows)}</TABLE>'
    dot.node(node.id, label=_html(table), peripheries="2" if uses > 1 else "1", **look)


def _with_warning(value: Value, shape: tuple[int, ...]) -> list[str]:
    lines = value_lines(value, shape)
    return [*lines, f"⚠ {number(value.nonfinite)} not finite"] if value.nonfinite else lines


def _row(label: str, lines: list[str]) -> str:
    body = "<BR/>".join(_text(line) for line in lines)
    left = f'<TD ALIGN="RIGHT"><FONT COLOR="#666666" POINT-SIZE="12">{label}</FONT></TD>'
    return f'<TR>{left}<TD ALIGN="LEFT" BALIGN="LEFT">{body}</TD></TR>'


def _heading(title: str, note: str, kinds: list[str]) -> str:
    """The graph's label: its title, a note, and what colours, borders and numbers mean."""
    lines = [f"<B>{_text(clean(title, 120))}</B>"] if title else []
    if note:
        lines.append(f'<FONT POINT-SIZE="13">{_text(clean(note, 400))}</FONT>')
    if kinds:
        cells = "".join(
            f'<TD BGCOLOR="{LOOKS[kind][0]}" BORDER="2" COLOR="{LOOKS[kind][1]}">'
            f'<FONT POINT-SIZE="12">{kind}</FONT></TD>'
            for kind in kinds
        )
        how = "double border: used more than once; number at an arrow: which argument"
        cells += f'<TD><FONT POINT-SIZE="12" COLOR="#444444">{how}</FONT></TD>'
        lines.append(f'<TABLE BORDER="0" CELLSPACING="6" CELLPADDING="4"><TR>{cells}</TR></TABLE>')
    body = "".join(f'<TR><TD ALIGN="CENTER">{line}</TD></TR>' for line in lines)
    return _html(f'<TABLE BORDER="0" CELLSPACING="0">{body}</TABLE>') if lines else ""


def _html(markup: str) -> str:
    return f"<{markup}>"


def _text(text: str) -> str:
    return escape(text, quote=True)
