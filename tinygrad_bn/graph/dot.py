"""A ``Graph`` as DOT text, through the ``graphviz`` package.

Kinds are told apart by fill, border and the word in the legend, so the picture also reads in gray.  Colors: Okabe and
Ito's palette for color-blind readers (https://jfly.uni-koeln.de/color/), lightened for fills.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Collection, Mapping
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import clean, missing_package
from .labels import formula, is_number, no_gradient, number, shape_text, symbol, title_of, value_lines
from .model import Graph, Node, Value
from .naming import named
from .reading import beside, frames, homes, in_a_row, main_path, own_pass
from .scopes import Call, Titles

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
    "failed": ("#FFD9D4", "#B00020", "filled,bold", "3.0"),
}
WORDS = {"forward": "from the forward pass", "group": "several boxes in one", "failed": "this failed"}
TWICE = "double border: used more than once"
NONFINITE = "#D55E00"
GRAY = "#555555"  # small print; seven to one on white, and readable on every fill
SHOWN = ("shape", "value", "grad", "line", "rule")
FONT = "Arial"  # layout programs know its widths without having it; Arimo and Liberation Sans have the same
TEXT, SMALL, TITLE = 14, 12, 18  # points
IN_A_ROW = (44, 84)  # letters of the legend beside each other, in narrow pictures and in others


def to_dot(
    graph: Graph,
    *,
    title: str = "",
    note: str = "",
    rankdir: str = "TB",
    legend: bool = True,
    fills: Mapping[str, str] | None = None,
    show: Collection[str] = SHOWN,
    tight: bool = False,
) -> str:
    """The DOT source of a graph: one box per node, clusters by scope, one arrow from box to box.

    The shortest way from an input to an output is drawn straight, and what only one operation uses stands beside it.
    The same graph gives the same text.

    Args:
        graph: what to draw.
        title: a heading.
        note: a sentence under the heading.
        rankdir: "TB" or "LR".
        legend: whether to explain kinds and borders.
        fills: fill colors by node id, instead of those of the kinds.
        show: which rows a box has: "shape", "value", "grad", "line", "rule"; with "tall", a column stands upright.
        tight: less space between boxes, and no small print.

    Raises:
        ImportError: the package graphviz is missing.
    """
    graph = named(graph)
    dot = _graphviz().Digraph("graph")
    laid_out, taken_over = own_pass(graph)
    uses = Counter(edge.source for edge in graph.edges)
    dot.attr("graph", rankdir=rankdir, fontname=FONT, fontsize=str(TEXT), labelloc="t", newrank="true")
    dot.attr("graph", label=_heading(graph, uses, title, note, legend))
    dot.attr("graph", nodesep="0.3", ranksep="0.18" if tight else "0.35", margin="0.15")
    dot.attr("node", shape="box", fontname=FONT, fontsize=str(TEXT), margin="0.1,0.01" if tight else "0.1,0.05")
    dot.attr("node", width="0.3", height="0.2")  # small values small
    dot.attr("edge", fontname=FONT, fontsize=str(SMALL), color="#444444", arrowsize="0.8")
    main = main_path(laid_out)
    words: dict[str, list[tuple[str, str]]] = {}
    for i, (source, target) in enumerate(taken_over):  # a word beside the box rather than an arrow across the picture
        words.setdefault(target, []).append((f"r{i}", symbol(graph[source])))
    _fill_clusters(dot, graph, homes(laid_out), words, uses, fills or {}, show, set(main))
    straight = set(pairwise(main))
    for (source, target), several in Counter((edge.source, edge.target) for edge in laid_out.edges).items():
        folded = graph[source].times > 1 or graph[target].times > 1
        look = {"label": f" ×{several}"} if several > 1 and not folded else {}
        if (source, target) in straight:
            look["weight"] = "12"
        dot.edge(source, target, **look)
    pairs = beside(laid_out, main)
    for target, chips in words.items():
        for chip, _ in chips:
            dot.edge(chip, target, style="dashed", color="#7A7A7A")
            pairs.append((chip, target))
    for source, target in pairs:
        with dot.subgraph() as rank:
            rank.attr(rank="same")
            rank.node(source)
            rank.node(target)
    row = in_a_row(laid_out)
    if row:
        with dot.subgraph() as rank:
            rank.attr(rank="same")
            for left, right in pairwise(row):
                rank.edge(left, right, style="invis")
    text: str = dot.source
    if tight:
        text = text.replace(f'POINT-SIZE="{SMALL}"', f'POINT-SIZE="{TEXT}"').replace(
            'CELLPADDING="2"', 'CELLPADDING="1"'
        )
    return text


def _graphviz() -> Any:
    """The package, imported when something is drawn: nothing else needs it."""
    try:
        import graphviz
    except ImportError as error:
        raise missing_package("drawing a graph", "graphviz", "graphviz") from error
    return graphviz


def _fill_clusters(
    dot: graphviz.Digraph,
    graph: Graph,
    home: Mapping[str, Call],
    words: Mapping[str, list[tuple[str, str]]],
    uses: Counter[str],
    fills: Mapping[str, str],
    show: Collection[str],
    main: Collection[str],
) -> None:
    """Nodes inside nested boxes, one box per entering of a scope."""
    titles = Titles(graph)
    members: dict[Call, list[Node]] = {}
    for node in graph.nodes:
        members.setdefault(home[node.id], []).append(node)
    outside = Call((), ())
    order = {call: i for i, call in enumerate(frames(graph, home))}
    below: dict[Call, list[Call]] = {}
    for call in order:
        if call != outside:
            below.setdefault(call.outermost(-1), []).append(call)
    # Without recursion: scopes may be nested deeper than Python's stack.
    stack: list[tuple[str, Any]] = [("open", (dot, outside))]
    while stack:
        what, (into, call) = stack.pop()
        if what == "close":
            into.subgraph(call)
            continue
        for node in members.get(call, []):
            _draw_node(into, graph, node, uses[node.id], fills.get(node.id), show, node.id in main)
            for chip, word in words.get(node.id, []):
                label = _html(f'<I><FONT COLOR="{GRAY}">{_text(clean(word))}</FONT></I>')
                into.node(chip, label=label, shape="plaintext", margin="0.04", width="0", height="0")
        for child in reversed(below.get(call, [])):
            inner = _graphviz().Digraph(name=f"cluster_{order[child]}")
            inner.attr(label=_html(f"<B>{_text(titles(child))}</B>"), fontname=FONT, fontsize=str(TEXT))
            inner.attr(style="rounded", color="#8C8C8C", labeljust="l", margin="10")
            stack += [("close", (into, inner)), ("open", (inner, child))]


def _draw_node(
    dot: graphviz.Digraph,
    graph: Graph,
    node: Node,
    uses: int,
    own_fill: str | None,
    show: Collection[str],
    is_main: bool,
) -> None:
    fill, border, style, width = LOOKS[node.kind]
    fill = own_fill or fill
    if any(value is not None and value.nonfinite for value in (node.value, node.grad)):
        border, width = NONFINITE, "3"
    look = {"fillcolor": fill, "color": border, "style": style, "penwidth": width}
    if is_main:
        look["group"] = "main"
    if is_number(node):
        dot.node(node.id, label=_html(_text(symbol(node))), **look)
        return
    rows = [_head(graph, node, show), *_rows(node, show)]
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{"".join(rows)}</TABLE>'
    dot.node(node.id, label=_html(table), peripheries="2" if uses > 1 else "1", **look)


def _head(graph: Graph, node: Node, show: Collection[str]) -> str:
    """The node's symbol, the operation that made it, and its shape, over the whole box."""
    expression = formula(graph, node)
    if node.kind == "failed":
        head = clean(expression, 60)
    else:
        head = clean(f"{symbol(node)} = {expression}" if expression else title_of(node), 70)
    body = f"<B>{_text(head)}</B>"
    if not _is_single(node) and "shape" in show:
        body += f"  {_small(_text(shape_text(node)))}"
    return f'<TR><TD ALIGN="CENTER" COLSPAN="2">{body}</TD></TR>'


def _is_single(node: Node) -> bool:
    return all(n == 1 for n in node.shape)


def _rows(node: Node, show: Collection[str]) -> list[str]:
    """What else is in the box; value and gradient of a single number on one line."""
    rows = []
    if node.kind == "failed":
        return [_row("", textwrap.wrap(clean(node.why, 400), 46))]
    if node.members > node.times:
        rows.append(_row("holds", [f"{node.members} nodes"]))
    if node.rule is not None and "rule" in show:
        rows.append(_row("from", [node.rule]))
    tall = "tall" in show
    values = []
    if "value" in show and node.value is not None:
        values.append(("value", _with_warning(node.value, node.shape, tall)))
    if node.requires_grad and "grad" in show:
        missing = [no_gradient(node)]
        values.append(("grad", missing if node.grad is None else _with_warning(node.grad, node.shape, tall)))
    if len(values) == 2 and all(len(lines) == 1 for _, lines in values) and _is_single(node):
        cells = "  ".join(f"{_small(label)} {_text(lines[0])}" for label, lines in values)
        rows.append(f'<TR><TD ALIGN="CENTER" COLSPAN="2">{cells}</TD></TR>')
    else:
        rows += [_row(label, lines) for label, lines in values]
    if node.site is not None and "line" in show:
        rows.append(_row("line", [clean(node.site.rpartition("/")[2])]))
    return rows


def _with_warning(value: Value, shape: tuple[int, ...], tall: bool) -> list[str]:
    lines = value_lines(value, shape, tall)
    return [*lines, f"⚠ {number(value.nonfinite)} not finite"] if value.nonfinite else lines


def _row(label: str, lines: list[str]) -> str:
    body = "<BR/>".join(_text(line) for line in lines)
    if not label:
        return f'<TR><TD ALIGN="CENTER" COLSPAN="2">{body}</TD></TR>'
    left = f'<TD ALIGN="RIGHT">{_small(label)}</TD>'
    return f'<TR>{left}<TD ALIGN="LEFT" BALIGN="LEFT">{body}</TD></TR>'


def _small(markup: str) -> str:
    return f'<FONT COLOR="{GRAY}" POINT-SIZE="{SMALL}">{markup}</FONT>'


def _heading(graph: Graph, uses: Counter[str], title: str, note: str, legend: bool) -> str:
    """The graph's label: its title, a note, and what colors and borders mean; in lines that do not widen a picture."""
    narrow = len(graph) <= 8
    lines = []
    if title:
        parts = textwrap.wrap(clean(title, 120), 34 if narrow else 60)
        lines.append(f'<FONT POINT-SIZE="{TITLE}"><B>{"<BR/>".join(map(_text, parts))}</B></FONT>')
    if note:
        parts = textwrap.wrap(clean(note, 600), 50 if narrow else 72 if len(graph) <= 20 else 110)
        lines.append("<BR/>".join(map(_text, parts)))
    kinds = sorted({node.kind for node in graph.nodes}, key=list(LOOKS).index) if legend else []
    cells = [
        f'<TD BGCOLOR="{LOOKS[kind][0]}" BORDER="2" COLOR="{LOOKS[kind][1]}">'
        f'<FONT POINT-SIZE="{SMALL}">{WORDS.get(kind, kind)}</FONT></TD>'
        for kind in kinds
    ]
    words = [WORDS.get(kind, kind) for kind in kinds]
    if legend and any(n > 1 for i, n in uses.items() if not is_number(graph[i])):
        cells.append(f'<TD BORDER="0">{_small(TWICE)}</TD>')
        words.append(TWICE)
    lines += [
        f'<TABLE BORDER="0" CELLSPACING="6" CELLPADDING="3"><TR>{"".join(row)}</TR></TABLE>'
        for row in _in_rows(cells, words, IN_A_ROW[not narrow])
    ]
    body = "".join(f'<TR><TD ALIGN="CENTER">{line}</TD></TR>' for line in lines)
    return _html(f'<TABLE BORDER="0" CELLSPACING="0">{body}</TABLE>') if lines else ""


def _in_rows(cells: list[str], words: list[str], letters: int) -> list[list[str]]:
    """Cells in rows that do not get wider than so many letters."""
    rows: list[list[str]] = []
    left = 0
    for cell, word in zip(cells, words):
        if not rows or left < len(word):
            rows.append([])
            left = letters
        rows[-1].append(cell)
        left -= len(word) + 3
    return rows


def _html(markup: str) -> str:
    return f"<{markup}>"


def _text(text: str) -> str:
    return escape(text, quote=True)
