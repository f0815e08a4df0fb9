"""The five ways to look at a computation: tensor, scalar, module, backward and reduced."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ArgumentError, explain
from .folding import collapse, fit
from .labels import symbol
from .model import Graph, Node
from .tracing import trace, trace_backward, trace_reduced

VIEWS = ("tensor", "scalar", "module", "backward", "reduced")

# Light tints of Okabe and Ito's palette: a forward node and the backward nodes that belong to it share one.
TINTS = ("#CCE5F5", "#FFE9BF", "#C8EBDD", "#F6DCEB", "#FBD8C5", "#FAF5B8", "#DCD6F0", "#DDE8D0")


@dataclass(frozen=True)
class View:
    """A graph to show, with a sentence about it and fills of its own."""

    graph: Graph
    note: str
    fills: dict[str, str]


def look_at(
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
    if view == "scalar" and not (isinstance(outputs, (Graph, np.ndarray)) or getattr(outputs, "is_scalar_kind", False)):
        fix = "run the same code on scalars: y = f(tinygrad_bn.scalarize(x)), then draw(y, view='scalar')"
        raise ArgumentError(explain("the scalar view draws scalars", got=type(outputs).__name__, fix=fix))
    if view in ("backward", "reduced"):
        if isinstance(outputs, Graph):
            raise ArgumentError(explain(f"the {view} view needs the variables, not a snapshot of them"))
        if view == "backward":
            return _paired(*trace_backward(outputs, gradient, module))
        return _reduced(*trace_backward(outputs, gradient, module), trace_reduced(outputs, gradient, module)[1])
    graph = outputs if isinstance(outputs, Graph) else trace(outputs, gradient, module)
    if depth is not None or opened or closed or view == "module":
        graph = collapse(graph, 1 if depth is None and view == "module" else depth, opened, closed)
    graph, note = fit(graph, max_nodes)
    return View(graph, note, {})


def _paired(forward: Graph, backward: Graph) -> View:
    """Both passes in one picture, coloured by pairs."""
    tint = _tints(forward)
    nodes = [_moved(node, "forward", str) for node in forward.nodes]
    nodes += [_moved(node, "backward", _backward_id) for node in backward.nodes]
    edges = [
        *forward.edges,
        *(replace(e, source=_backward_id(e.source), target=_backward_id(e.target)) for e in backward.edges),
    ]
    fills = {node.id: tint[node.id] for node in forward.nodes if node.id in tint}
    by_symbol = {symbol(node): node.id for node in forward.nodes}
    for node in backward.nodes:
        owner = node.pair if node.kind != "forward" else by_symbol.get(symbol(node))
        if owner in tint:
            fills[_backward_id(node.id)] = tint[owner]
    count = sum(1 for node in backward.nodes if node.op)
    note = f"{count} operations derived by the rules of the forward ones; same colour: same forward node"
    return View(Graph(tuple(nodes), tuple(edges), tuple(map(_backward_id, backward.outputs))), note, fills)


def _reduced(forward: Graph, backward: Graph, smaller: Graph) -> View:
    before, after = (sum(1 for node in graph.nodes if node.op) for graph in (backward, smaller))
    tint = _tints(forward)
    fills = {node.id: tint[node.pair] for node in smaller.nodes if node.pair in tint}
    note = (
        f"the derived backward pass, {before} operations, reduced to {after} by merging equal ones and simple algebra"
    )
    return View(smaller, note, fills)


def _tints(forward: Graph) -> dict[str, str]:
    operations = [node.id for node in forward.nodes if node.op]
    return {node_id: TINTS[i % len(TINTS)] for i, node_id in enumerate(operations)}


def _moved(node: Node, side: str, rename: Callable[[str], str]) -> Node:
    return replace(node, id=rename(node.id), scope=(side, *node.scope))


def _backward_id(node_id: str) -> str:
    return f"b{node_id}"
