"""What helps a reader of a picture: which way is the main one, what stands at its side, and in whose frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .labels import filled_in, symbol
from .model import Graph, Node
from .scopes import Call

GIVEN = ("parameter", "buffer", "constant", "forward")
DEEPEST = 40  # frames in each other
MOST_IN_A_ROW = 12  # outputs
MOST_BESIDE = 3  # arguments at the side of one operation


def is_backward(node: Node) -> bool:
    """Whether a node belongs to a backward pass."""
    return node.rule is not None or node.pair is not None


def own_pass(graph: Graph) -> tuple[Graph, list[tuple[str, str]]]:
    """The graph without the arrows that take a value of the forward pass over into the backward pass, and those arrows."""
    if not any(node.scope[:1] == ("forward",) and not is_backward(node) for node in graph.nodes):
        return graph, []
    over = {
        (e.source, e.target): None
        for e in graph.edges
        if is_backward(graph[e.target]) and not is_backward(graph[e.source])
    }
    left = tuple(edge for edge in graph.edges if (edge.source, edge.target) not in over)
    return (replace(graph, edges=left), list(over)) if over else (graph, [])


def without_forward(graph: Graph) -> Graph:
    """The backward pass of a picture of both; what its rules take from the forward pass stands in the formulas."""
    _, over = own_pass(graph)
    if not over:
        return graph
    texts: dict[str, dict[int, str]] = {}
    for edge in graph.edges:
        if (edge.source, edge.target) in over:
            texts.setdefault(edge.target, {})[edge.slot] = symbol(graph[edge.source])
    nodes = [node for node in graph.nodes if is_backward(node)]
    made = {
        node.id: node.op and filled_in(node, len(graph.edges_to(node.id)), texts.get(node.id, {})) for node in nodes
    }
    kept = {node.id for node in nodes}
    edges = tuple(edge for edge in graph.edges if edge.source in kept and edge.target in kept)
    return replace(graph, nodes=tuple(made[node.id] or node for node in nodes), edges=edges)


def in_a_row(graph: Graph) -> list[str]:
    """Several outputs in their order, where none is made of another and they are few."""
    used = {edge.source for edge in graph.edges}
    outputs = list(graph.outputs)
    return outputs if 2 <= len(outputs) <= MOST_IN_A_ROW and used.isdisjoint(outputs) else []


def main_path(graph: Graph) -> list[str]:
    """The shortest way from an input (else an array of data) to the first output, from the front: the trunk of the picture."""
    if not graph.outputs:
        return []
    after: dict[str, str] = {}
    queue = [graph.outputs[0]]
    seen = set(queue)
    ends: dict[str, str] = {}
    for node_id in queue:
        sources = graph.sources_of(node_id)
        if not sources:
            kind = graph[node_id].kind
            ends[kind] = (
                ends.get(kind, node_id) if kind == "input" else node_id
            )  # the nearest input, else the farthest leaf
        for source in sources:
            if source not in seen:
                seen.add(source)
                after[source] = node_id
                queue.append(source)
    start = ends.get("input") or ends.get("constant") or next(reversed(ends.values()), graph.outputs[0])
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

    Inputs come from outside, so they are drawn outside all.
    """
    home = {node.id: Call.of(node).outermost(DEEPEST) for node in graph.nodes}
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


def frames(graph: Graph, home: Mapping[str, Call]) -> list[Call]:
    """The scopes that get a frame, and the outside all, as they come."""
    calls = (home[node.id] for node in graph.nodes)
    return list(dict.fromkeys(call.outermost(i) for call in calls for i in range(len(call.path) + 1)))
