"""The five ways to look at a computation: tensor, scalar, module, backward and reduced."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ArgumentError, explain
from .failure import failed_graph
from .folding import collapse, fit, inlined, module_groups
from .model import Graph, Node
from .naming import labeled
from .reading import homes
from .scopes import Call
from .tracing import snapshot, trace_backward, trace_reduced

SIDES = ("forward", "backward")
VIEWS = ("tensor", "scalar", "module", "backward", "reduced")

# Light tints of Okabe and Ito's palette: a forward node and the backward nodes that belong to it share one.
TINTS = ("#CCE5F5", "#FFE9BF", "#C8EBDD", "#F6DCEB", "#FBD8C5", "#FAF5B8", "#DCD6F0", "#DDE8D0")


@dataclass(frozen=True)
class View:
    """A graph to show, with a sentence about it and fills of its own."""

    graph: Graph
    note: str
    fills: dict[str, str]


@dataclass(frozen=True)
class Folding:
    """How much of a graph is shown; arguments as for ``draw``."""

    depth: int | None = None
    opened: Collection[str] = ()
    closed: Collection[str] = ()
    max_nodes: int = 300

    def __call__(self, graph: Graph, outermost: int = 0) -> tuple[Graph, str]:
        """The graph folded, with labels without gaps, and what was hidden."""
        if self.asked:
            graph = collapse(graph, self.depth, self.opened, self.closed)
        graph, note = fit(graph, self.max_nodes, outermost)
        return labeled(graph), note

    @property
    def asked(self) -> bool:
        """Whether modules are to be closed that the size does not ask for."""
        return self.depth is not None or bool(self.opened) or bool(self.closed)


def make_view(
    outputs: Any,
    view: str,
    *,
    gradient: Any = None,
    module: Any = None,
    depth: int | None = None,
    opened: Collection[str] = (),
    closed: Collection[str] = (),
    max_nodes: int = 300,
) -> View:
    """Prepare a view; arguments as for ``draw``."""
    if view not in VIEWS:
        raise ArgumentError(explain("unknown view", got=repr(view), expected=", ".join(VIEWS)))
    depth = 1 if depth is None and view == "module" else depth
    folding = Folding(depth, opened, closed, max_nodes)
    if isinstance(outputs, BaseException):
        graph, said = failed_graph(outputs, module)
        return _shown(graph, folding, said)
    if view in ("backward", "reduced"):
        if view == "backward":
            return _paired(*trace_backward(outputs, gradient, module), folding)
        smaller = trace_reduced(outputs, gradient, module)[1]
        return _reduced(*trace_backward(outputs, gradient, module), smaller, folding)
    graph, said = snapshot(outputs, gradient, module)
    if view == "scalar" and any(node.shape for node in graph.nodes if node.kind == "output"):
        fix = "run the same code on scalars: y = f(tinygrad_bn.scalarize(x)), then draw(y, view='scalar')"
        got = type(outputs).__name__
        raise ArgumentError(explain("the scalar view draws scalars", got=got, fix=fix))
    return _shown(graph, folding, said)


def _shown(graph: Graph, folding: Folding, said: str) -> View:
    graph, note = folding(inlined(graph))
    return View(graph, "; ".join(part for part in (said, note) if part), {})


def _paired(forward: Graph, backward: Graph, folding: Folding) -> View:
    """Both passes in one picture, colored by pairs; what a rule takes from the forward pass stands there already."""
    forward, backward = inlined(forward), inlined(backward)
    tint = _tints(forward)
    fills = {node.id: tint[node.id] for node in forward.nodes if node.id in tint}
    fills |= {_backward_id(node.id): tint[node.pair] for node in backward.nodes if node.pair in tint}
    stands_for = {
        node.id: node.pair if node.kind == "forward" and node.pair is not None else _backward_id(node.id)
        for node in backward.nodes
    }
    small = len(forward) + len(backward) <= folding.max_nodes and not folding.asked
    nodes, home = list(forward.nodes), homes(forward)
    for node in backward.nodes:
        if stands_for[node.id] == _backward_id(node.id):
            moved = node if small else _at_home(node, home)
            nodes.append(replace(moved, id=_backward_id(node.id)))
    edges = [
        *forward.edges,
        *(replace(e, source=stands_for[e.source], target=stands_for[e.target]) for e in backward.edges),
    ]
    outputs = tuple(stands_for[i] for i in backward.outputs)
    both = Graph(tuple(nodes), tuple(edges), outputs, forward.modules)
    count = sum(1 for node in backward.nodes if node.op)
    note = f"{count} operations derived by the rules of the forward ones; same color: same forward node"
    both = _on_sides(both)
    if folding.asked:
        both = _collapsed(both, forward, folding)
    both, hidden = fit(both, folding.max_nodes, 1)
    return View(labeled(both), "; ".join(part for part in (note, hidden) if part), fills)


def _reduced(forward: Graph, backward: Graph, smaller: Graph, folding: Folding) -> View:
    before, after = (sum(1 for node in graph.nodes if node.op) for graph in (backward, smaller))
    tint = _tints(forward)
    fills = {node.id: tint[node.pair] for node in smaller.nodes if node.pair in tint}
    smaller = inlined(smaller)
    if folding.asked or len(smaller) > folding.max_nodes:
        home = homes(forward)
        nodes = tuple(_at_home(node, home) for node in smaller.nodes)
        smaller = replace(smaller, nodes=nodes, modules=forward.modules)
    smaller, hidden = folding(smaller)
    note = (
        f"the derived backward pass, {before} operations, reduced to {after} by merging equal ones and simple algebra"
    )
    return View(smaller, "; ".join(part for part in (note, hidden) if part), fills)


def _at_home(node: Node, home: Mapping[str, Call]) -> Node:
    """A backward node in the scope of the forward operation that it belongs to, or that uses its leaf."""
    if node.pair is None or node.op is None:
        return node
    return replace(node, scope=home[node.pair].path, calls=home[node.pair].calls)


def _tints(forward: Graph) -> dict[str, str]:
    operations = [node.id for node in forward.nodes if node.op]
    return {node_id: TINTS[i % len(TINTS)] for i, node_id in enumerate(operations)}


def _collapsed(both: Graph, forward: Graph, folding: Folding) -> Graph:
    """Scopes of the user's names, closed and opened on both sides."""
    module_groups(forward, folding.depth, folding.opened, folding.closed)  # complains in the user's own names
    paths = {node.scope[:i] for node in both.nodes for i in range(1, len(node.scope) + 1)}

    def on_sides(names: Collection[str]) -> list[str]:
        return [f"{side}/{n}" for n in names for side in SIDES if (side, *n.split("/")) in paths]

    depth = None if folding.depth is None else folding.depth + 1
    return collapse(both, depth, on_sides(folding.opened), on_sides(folding.closed))


def _on_sides(graph: Graph) -> Graph:
    """Each node in the frame of its pass."""
    nodes = []
    for node in graph.nodes:
        side = SIDES[node.rule is not None or node.pair is not None]
        nodes.append(replace(node, scope=(side, *node.scope), calls=(1, *(node.calls or (1,) * len(node.scope)))))
    return replace(graph, nodes=tuple(nodes))


def _backward_id(node_id: str) -> str:
    return f"b{node_id}"
