"""Making a derived program shorter without changing a value: common subexpressions and a few laws of algebra.

Used on backward graphs, to set what the engine derived beside what a paper derived by hand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .model import Edge, Graph, Node

COMMUTATIVE = ("add", "multiply", "maximum", "minimum")
BROADCASTING = ("add", "subtract", "multiply", "divide")


def simplify(graph: Graph) -> Graph:
    """An equal graph with fewer nodes.

    Repeated until nothing changes: nodes with the same operation on the same arguments become one; ``x * 1``, ``x / 1``,
    ``x + 0``, ``x - 0`` and ``-(-x)`` become x; a broadcast whose result goes into an operation that broadcasts by itself
    is left out; what the outputs do not need is dropped.
    """
    while True:
        smaller = _used(_merged(graph))
        if len(smaller) == len(graph) and smaller.edges == graph.edges:
            return smaller
        graph = smaller


def _merged(graph: Graph) -> Graph:
    stands_for: dict[str, str] = {}
    first: dict[Any, str] = {}
    nodes: list[Node] = []
    edges: list[Edge] = []
    for node in graph.nodes:
        sources = [stands_for[source] for source in graph.sources_of(node.id)]
        if node.op in BROADCASTING:
            sources = [_without_broadcast(graph, stands_for, source, node, sources) for source in sources]
        equal = _same_as(graph, stands_for, node, sources)
        if equal is None:
            key = _key(node, sources)
            equal = node.id if key is None else first.setdefault(key, node.id)
        stands_for[node.id] = equal
        if equal == node.id:
            nodes.append(node)
            edges += [Edge(source, node.id, slot) for slot, source in enumerate(sources)]
    outputs = tuple(stands_for[node_id] for node_id in graph.outputs)
    shown = tuple(replace(node, kind="output") if node.id in outputs and node.op else node for node in nodes)
    return Graph(shown, tuple(edges), outputs)


def _key(node: Node, sources: list[str]) -> Any:
    """Equal for nodes that compute the same; ``None`` for nodes that are something of their own."""
    if node.op is not None:
        ordered = tuple(sorted(sources)) if node.op in COMMUTATIVE else tuple(sources)
        return (node.op, repr(sorted(node.params.items())), node.shape, node.dtype, ordered)
    if node.kind == "constant" and node.value.elements is not None:
        return ("constant", node.value.elements, node.shape, node.dtype)
    return None


def _constant(graph: Graph, node_id: str) -> float | None:
    node = graph[node_id]
    alone = node.kind == "constant" and node.value.elements is not None and len(node.value.elements) == 1
    return node.value.elements[0] if alone and node.value.elements else None


def _same_as(graph: Graph, stands_for: dict[str, str], node: Node, sources: list[str]) -> str | None:
    """The node that ``node`` is equal to by a law of algebra, if there is one of the same shape."""
    candidate = None
    if node.op in ("multiply", "add"):
        neutral = 1.0 if node.op == "multiply" else 0.0
        for one, other in (sources, sources[::-1]):
            if _constant(graph, one) == neutral:
                candidate = other
    elif node.op in ("divide", "subtract"):
        if _constant(graph, sources[1]) == (1.0 if node.op == "divide" else 0.0):
            candidate = sources[0]
    elif node.op == "negative" and graph[sources[0]].op == "negative":
        candidate = stands_for[graph.sources_of(sources[0])[0]]
    elif node.op in ("sum_to", "broadcast_to", "reshape"):
        candidate = sources[0]
    if candidate is None or graph[candidate].shape != node.shape or graph[candidate].dtype != node.dtype:
        return None
    return candidate


def _without_broadcast(graph: Graph, stands_for: dict[str, str], source: str, user: Node, sources: list[str]) -> str:
    """What a broadcast was made from, when the user of it broadcasts to the same shape without it."""
    if graph[source].op != "broadcast_to":
        return source
    others = [graph[other].shape for other in sources if other != source]
    return stands_for[graph.sources_of(source)[0]] if user.shape in others else source


def _used(graph: Graph) -> Graph:
    needed = list(graph.outputs)
    seen = set(needed)
    for node_id in needed:
        for source in graph.sources_of(node_id):
            if source not in seen:
                seen.add(source)
                needed.append(source)
    nodes = tuple(node for node in graph.nodes if node.id in seen)
    return Graph(nodes, tuple(edge for edge in graph.edges if edge.target in seen), graph.outputs)
