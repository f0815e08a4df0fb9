"""What helps a reader of a picture: which way is the main one, what stands at its side, and in whose frame."""

from __future__ import annotations

from collections.abc import Sequence

from .folding import Call
from .model import Edge, Graph, Node

GIVEN = ("parameter", "buffer", "constant", "forward")
MOST_IN_A_ROW = 12  # outputs
MOST_BESIDE = 3  # arguments at the side of one operation


def own_pass(graph: Graph) -> tuple[Graph, list[Edge]]:
    """The graph without the edges that take a value of the forward pass over into the backward pass, and those edges."""

    def is_backward(node: Node) -> bool:
        return node.rule is not None or node.pair is not None

    if not any(node.scope[:1] == ("forward",) and not is_backward(node) for node in graph.nodes):
        return graph, []
    over = [e for e in graph.edges if is_backward(graph[e.target]) and not is_backward(graph[e.source])]
    left = tuple(edge for edge in graph.edges if edge not in over)
    return (Graph(graph.nodes, left, graph.outputs), over) if over else (graph, [])


def in_a_row(graph: Graph) -> list[str]:
    """Several outputs in their order, where none is made of another and they are few."""
    used = {edge.source for edge in graph.edges}
    outputs = list(graph.outputs)
    return outputs if 2 <= len(outputs) <= MOST_IN_A_ROW and used.isdisjoint(outputs) else []


def main_path(graph: Graph) -> list[str]:
    """The shortest way from an input (else a parameter) to the first output, from the front: the trunk of the picture."""
    if not graph.outputs:
        return []
    after: dict[str, str] = {}
    queue = [graph.outputs[0]]
    seen = set(queue)
    ends: dict[str, str] = {}
    for node_id in queue:
        sources = graph.sources_of(node_id)
        if not sources:
            ends.setdefault(graph[node_id].kind, node_id)
        for source in sources:
            if source not in seen:
                seen.add(source)
                after[source] = node_id
                queue.append(source)
    start = ends.get("input") or next(iter(ends.values()), graph.outputs[0])
    path = [start]
    while path[-1] in after:
        path.append(after[path[-1]])
    return path


def beside(graph: Graph, main: Sequence[str]) -> list[tuple[str, str]]:
    """Leaves that one operation uses, with it: they stand at its side, unless it is made of nothing else."""
    users: dict[str, set[str]] = {}
    for edge in graph.edges:
        users.setdefault(edge.source, set()).add(edge.target)
    pairs, count = [], dict.fromkeys((node.id for node in graph.nodes), 0)
    for node in graph.nodes:
        if node.id in main or node.id in graph.outputs or graph.sources_of(node.id) or len(users.get(node.id, ())) != 1:
            continue
        (user,) = users[node.id]
        has_another = any(graph.sources_of(source) or source in main for source in graph.sources_of(user))
        if has_another and count[user] < MOST_BESIDE:
            count[user] += 1
            pairs.append((node.id, user))
    return pairs


def homes(graph: Graph) -> dict[str, Call]:
    """The scope in which each node is drawn: its own; for parameters and constants the common part of their users'.

    Inputs come from outside, so they are drawn outside of all.
    """
    home = {node.id: Call(node.scope, node.calls or (1,) * len(node.scope)) for node in graph.nodes}
    shared: dict[str, Call] = {}
    for edge in graph.edges:
        if graph[edge.source].kind in GIVEN and not graph[edge.source].scope:
            target = home[edge.target]
            known = shared.get(edge.source, target)
            same = 0
            while same < min(len(known.path), len(target.path)) and known.outermost(same + 1) == target.outermost(
                same + 1
            ):
                same += 1
            shared[edge.source] = known.outermost(same)
    return {**home, **shared}
