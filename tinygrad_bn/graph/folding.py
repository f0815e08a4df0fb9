"""Smaller graphs for the eye: numbers in formulas, modules closed into one box, equal parts folded into one, the rest cut off.

Each function gives a new ``Graph``; a group node stands for ``members`` nodes.  Nothing disappears without being said:
``fit`` also returns what it hid.  No function makes a circle: arrows always lead from earlier boxes to later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ..errors import ArgumentError, explain
from .labels import CUT, filled_in, is_number, number, only_number, symbol
from .model import Edge, Graph, Node
from .naming import labeled
from .scopes import Call, Path, Titles

FEWEST = 3  # repeats that are folded
LONGEST_PERIOD = 8  # boxes of a repeat


class Repeat(NamedTuple):
    """Equal parts, one after the other or beside each other."""

    name: str
    times: int
    number: int


def inlined(graph: Graph) -> Graph:
    """The graph with constants of one number in the formulas that use them instead of in boxes of their own."""
    kept = {node.id for node in graph.nodes if not is_number(node) or node.id in graph.outputs}
    nodes = []
    for node in graph.nodes:
        if node.id not in kept:
            continue
        edges = graph.edges_to(node.id)
        sources = [(edge.slot, graph[edge.source]) for edge in edges if edge.source not in kept]
        if node.op is not None and sources:
            texts = {slot: source.name or number(only_number(source) or 0) for slot, source in sources}
            node = filled_in(node, max(edge.slot for edge in edges) + 1, texts)
        nodes.append(node)
    return _part(graph, nodes)


def _part(graph: Graph, nodes: list[Node]) -> Graph:
    """The graph of some of its nodes."""
    kept = {node.id for node in nodes}
    edges = tuple(edge for edge in graph.edges if edge.source in kept and edge.target in kept)
    outputs = tuple(node_id for node_id in graph.outputs if node_id in kept)
    return replace(graph, nodes=tuple(nodes), edges=edges, outputs=outputs)


def collapse(
    graph: Graph, depth: int | None = None, opened: Collection[str] = (), closed: Collection[str] = ()
) -> Graph:
    """Close modules into one box each.

    Args:
        graph: what to make smaller.
        depth: scopes nested deeper than this are closed into the one at this depth; ``None`` closes none by depth.
        opened: scopes, as "net/0/mean", that stay open whatever their depth.
        closed: scopes that are closed whatever their depth.
    """
    return quotient(graph, module_groups(graph, depth, opened, closed).get)[0]


def module_groups(
    graph: Graph, depth: int | None = None, opened: Collection[str] = (), closed: Collection[str | Path] = ()
) -> dict[str, Call | None]:
    """For each node the closed scope it goes into, ``None`` for nodes that stay; arguments as for ``collapse``.

    Each call of a module is a scope of its own.  A closed scope may also be given as a path, because the name of a scope
    may contain a slash.
    """
    if depth is not None and depth < 0:
        raise ArgumentError(explain("collapse: depth cannot be negative", got=depth))
    paths = {node.scope[:i] for node in graph.nodes for i in range(1, len(node.scope) + 1)}
    shut = {name if isinstance(name, tuple) else tuple(name.split("/")) for name in closed}
    for path in (*(tuple(name.split("/")) for name in opened), *shut):
        if path not in paths:
            known = ", ".join(sorted("/".join(path) for path in paths)[:8]) or "none"
            raise ArgumentError(explain("collapse: no such scope in the graph", got="/".join(path), expected=known))
    keep_open = {tuple(name.split("/"))[:i] for name in opened for i in range(1, len(name.split("/")) + 1)}

    def group_of(node: Node) -> Call | None:
        for i in range(1, len(node.scope) + 1):
            path = node.scope[:i]
            if path in shut or (depth is not None and i > depth and path not in keep_open):
                return Call(path, node.calls[:i] or (1,) * i)
        return None

    # Parameters, buffers and constants used in one closed module only go inside with it.
    inside = {node.id: group_of(node) for node in graph.nodes}
    users: dict[str, set[Call | None]] = {}
    for edge in graph.edges:
        users.setdefault(edge.source, set()).add(inside[edge.target])
    for node in graph.nodes:
        given = node.op is None and node.kind in ("parameter", "buffer", "constant", "forward")
        if given and len(users.get(node.id, ())) == 1:
            inside[node.id] = next(iter(users[node.id]))
    return inside


def fold_equal(graph: Graph) -> Graph:
    """Fold nodes that are computed in the same way from the same kinds of inputs into one box each ("× 12")."""
    seen: dict[Hashable, int] = {}
    kind_of: dict[str, int] = {}
    for node in graph.nodes:
        made_of = tuple(kind_of[source] for source in graph.sources_of(node.id))
        own = node.kind == "group" and not node.params and node.id
        same = (node.kind, node.op, node.notation, node.scope, node.shape, made_of, own, repr(node.params))
        kind_of[node.id] = seen.setdefault(same, len(seen))
    members: dict[int, list[Node]] = {}
    for node in graph.nodes:
        members.setdefault(kind_of[node.id], []).append(node)

    # Constants stay apart: one box with an arrow to everything would tie the picture into a knot.
    groups = {
        node.id: Repeat(_span(members[kind]), len(members[kind]), kind)
        for node in graph.nodes
        if node.kind != "constant" and len(members[kind := kind_of[node.id]]) > 1
    }
    return quotient(graph, groups.get)[0]


def _span(nodes: list[Node]) -> str:
    """What several equal nodes are called: the operation, or the first and last name."""
    if nodes[0].op is not None:
        return nodes[0].op
    names = [node.name or symbol(node) for node in nodes]
    return names[0] if len(set(names)) == 1 else f"{names[0]} … {names[-1]}"


def fold_repeats(graph: Graph) -> Graph:
    """Fold stretches of a chain that repeat into one box: a sum of a thousand terms, twelve equal blocks of a network."""
    groups: dict[str, Repeat] = {}
    for chain, sides in _chains(graph):
        first = [source for source in graph.sources_of(chain[0]) if source not in sides[chain[0]]]
        before = [first[0] if first else "", *chain]
        marks = [_mark(graph, node_id, source) for source, node_id in zip(before, chain)]
        i = 0
        while i < len(chain):
            period, times = _repeats(marks, i)
            if times >= FEWEST:
                names = [_kind(graph, graph[node_id]) for node_id in chain[i : i + period]]
                found = Repeat(", ".join(names), times, len(groups))
                for node_id in chain[i : i + period * times]:
                    groups |= dict.fromkeys([node_id, *sides[node_id]], found)
            i += max(1, period * times if times >= FEWEST else 1)
    return quotient(graph, groups.get)[0]


def _kind(graph: Graph, node: Node) -> str:
    """What a box is one of many of: an operation, a class of module."""
    return node.op or graph.modules.get((*node.scope, node.name or ""), "") or node.name or symbol(node)


def _chains(graph: Graph) -> list[tuple[list[str], dict[str, list[str]]]]:
    """Stretches in which each box goes into the next one only, and for each box the leaves that go into it only."""
    uses: dict[str, set[str]] = {}
    for edge in graph.edges:
        uses.setdefault(edge.source, set()).add(edge.target)
    follows: dict[str, str] = {}
    sides: dict[str, list[str]] = {}
    for node in graph.nodes:
        own = [source for source in dict.fromkeys(graph.sources_of(node.id)) if uses[source] == {node.id}]
        sides[node.id] = [i for i in own if _is_leaf(graph, i) and graph[i].kind != "input" and i not in graph.outputs]
        made = [i for i in own if not _is_leaf(graph, i) and i not in graph.outputs]
        if len(made) == 1:
            follows[made[0]] = node.id
    inner = set(follows.values())
    chains = []
    for node in graph.nodes:
        if node.id not in inner and node.id in follows:
            chain = [node.id]
            while chain[-1] in follows:
                chain.append(follows[chain[-1]])
            chains.append((chain, sides))
    return chains


def _is_leaf(graph: Graph, node_id: str) -> bool:
    return graph[node_id].op is None and not graph.edges_to(node_id)


def _mark(graph: Graph, node_id: str, before: str) -> Hashable:
    """What a box has to have in common with another one to be its repetition."""
    node = graph[node_id]

    def argument(edge: Edge) -> Hashable:
        source = graph[edge.source]
        return (edge.slot, edge.source == before or (source.kind, source.shape, source.times > 1 and source.id))

    holds = repr(sorted(node.params.items()))
    return (node.op, node.notation, node.shape, node.scope[:-1], holds, *map(argument, graph.edges_to(node_id)))


def _repeats(marks: list[Hashable], start: int) -> tuple[int, int]:
    """The period, and how many times what stands at ``start`` comes one after the other: the most boxes, in short periods."""
    best = (1, 1)
    for period in range(1, min(LONGEST_PERIOD, (len(marks) - start) // FEWEST) + 1):
        end = start + period
        while end < len(marks) and marks[end] == marks[end - period]:
            end += 1
        times = (end - start) // period
        if times >= FEWEST and period * times > best[0] * best[1]:
            best = (period, times)
    return best


def nearest(graph: Graph, limit: int) -> Graph:
    """The ``limit`` nodes nearest to the outputs, breadth first; formulas have an ellipsis for what is cut off."""
    order = list(graph.outputs[:limit])
    seen = set(order)
    for node_id in order:
        for source in graph.sources_of(node_id):
            if source not in seen and len(order) < limit:
                seen.add(source)
                order.append(source)
    nodes = []
    for node in graph.nodes:
        edges = graph.edges_to(node.id)
        lost = {edge.slot: CUT for edge in edges if edge.source not in seen}
        if node.id in seen:
            cut = node.op is not None and lost
            nodes.append(filled_in(node, max(e.slot for e in edges) + 1, lost) if cut else node)
    return _part(graph, nodes)


def fit(graph: Graph, max_nodes: int, outermost: int = 0) -> tuple[Graph, str]:
    """A graph of at most ``max_nodes`` nodes, and a sentence that says what was hidden ("" for nothing).

    Modules are closed from the deepest up, and equal parts are folded, as far as needed; if that is not enough, only what is
    nearest the outputs is kept.

    Args:
        graph: what to make smaller.
        max_nodes: how many boxes there may be.
        outermost: the depth down to which scopes are only there for the picture, and stay open as long as possible.
    """
    if max_nodes < 1:
        raise ArgumentError(explain("draw(): max_nodes is at least 1", got=max_nodes))
    if len(graph) <= max_nodes:
        return graph, ""
    deepest = max((len(node.scope) for node in graph.nodes), default=0)
    smaller, how = graph, ""
    for depth in (None, *range(deepest - 1, -1, -1)):
        closed = graph if depth is None else collapse(graph, depth)
        how = "" if depth is None else f"modules closed below depth {max(0, depth - outermost)}"
        smaller = closed
        if depth is not None and len(closed) <= max_nodes:
            break
        if depth is None and deepest > outermost:
            continue  # modules say more than repeats
        smaller = fold_repeats(fold_equal(closed))
        if len(smaller) <= max_nodes:
            how += ", " * bool(how) + "equal parts folded"
            break
    if len(smaller) > max_nodes:
        smaller = nearest(smaller, max_nodes)
        how += ", " * bool(how) + f"equal parts folded, only the {max_nodes} nodes nearest the output kept"
    hidden = len(graph) - sum(1 for node in smaller.nodes if node.kind != "group")
    return smaller, f"{hidden} of {len(graph)} nodes hidden: {how}; max_nodes={len(graph)} shows all"


def quotient(graph: Graph, group_of: Callable[[str], Hashable]) -> tuple[Graph, dict[str, str]]:
    """One node for all nodes of a group, with the groups' outer edges.

    A group that other nodes lead out of and back into is taken apart, so that the graph stays without a circle.

    Args:
        graph: what to make smaller.
        group_of: from a node's id to its group; ``None`` for a node that stays as it is.

    Returns:
        The smaller graph, and for every node's id the id of what stands for it there.
    """
    groups = {node.id: group_of(node.id) for node in graph.nodes}
    found = _quotient(graph, groups)
    if found is None:
        found = _quotient(graph, _stretches(graph, groups))
    assert found is not None  # each group is a stretch of an order without circles
    return found


def _stretches(graph: Graph, groups: dict[str, Hashable]) -> dict[str, Hashable]:
    """The groups, each taken apart where a node of another group comes in between; leaves go with the first."""
    turn: dict[Hashable, int] = {}
    last: Hashable = None
    parts: dict[str, Hashable] = {}
    for node in graph.nodes:
        key = groups[node.id]
        if node.op is None and not graph.edges_to(node.id):
            continue
        if key != last and key is not None:
            turn[key] = turn.get(key, 0) + 1
        last = key
        parts[node.id] = None if key is None else (key, turn[key])
    for node in graph.nodes:
        if node.id not in parts:
            key = groups[node.id]
            users = [parts[e.target] for e in graph.edges if e.source == node.id and groups[e.target] == key]
            parts[node.id] = users[0] if users else None if key is None else (key, 1)
    return parts


def _quotient(graph: Graph, groups: dict[str, Hashable]) -> tuple[Graph, dict[str, str]] | None:
    """As ``quotient``; ``None`` if there would be a circle."""
    members: dict[Hashable, list[Node]] = {}
    for node in graph.nodes:
        if groups[node.id] is not None:
            members.setdefault(groups[node.id], []).append(node)
    taken = {node.id for node in graph.nodes}
    fresh = (f"g{i}" for i in range(len(taken) + len(members)) if f"g{i}" not in taken)
    shown: dict[Hashable, str] = {key: next(fresh) for key in members}
    new_id = {node.id: node.id if groups[node.id] is None else shown[groups[node.id]] for node in graph.nodes}
    leaving = {edge.source for edge in graph.edges if new_id[edge.source] != new_id[edge.target]} | set(graph.outputs)
    titles = Titles(graph)
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        key = groups[node.id]
        if key is None:
            nodes[node.id] = node
        elif shown[key] not in nodes:
            nodes[shown[key]] = _group(shown[key], key, members[key], leaving, titles)
    edges: list[Edge] = []
    arriving: dict[str, int] = {}
    for edge in graph.edges:
        source, target = new_id[edge.source], new_id[edge.target]
        if source == target:
            continue
        grouped = target != edge.target
        slot = arriving.get(target, 0) if grouped else edge.slot
        arriving[target] = slot + 1
        edges.append(Edge(source, target, slot))
    order = _in_order(list(nodes), edges)
    if order is None:
        return None
    place = {node_id: i for i, node_id in enumerate(order)}
    edges.sort(key=lambda edge: (place[edge.target], edge.slot))
    outputs = tuple(dict.fromkeys(new_id[i] for i in graph.outputs))
    return labeled(Graph(tuple(nodes[i] for i in order), tuple(edges), outputs, graph.modules), keep=True), new_id


def _in_order(ids: list[str], edges: list[Edge]) -> list[str] | None:
    """Arguments before what is made of them, otherwise as they come; ``None`` for a circle."""
    place = {node_id: i for i, node_id in enumerate(ids)}
    missing = dict.fromkeys(ids, 0)
    users: dict[str, list[str]] = {}
    for edge in edges:
        missing[edge.target] += 1
        users.setdefault(edge.source, []).append(edge.target)
    ready = [place[i] for i in ids if not missing[i]]
    heapify(ready)
    order = []
    while ready:
        order.append(ids[heappop(ready)])
        for target in users.get(order[-1], ()):
            missing[target] -= 1
            if not missing[target]:
                heappush(ready, place[target])
    return order if len(order) == len(ids) else None


def _group(
    node_id: str,
    key: Hashable,
    members: list[Node],
    leaving: Collection[str],
    titles: Titles,
) -> Node:
    """The box for a group; it shows the value of the last member that is used outside."""
    face = next((node for node in reversed(members) if node.id in leaving), members[-1])
    part = 0
    if isinstance(key, tuple) and not isinstance(key, (Call, Repeat)):
        key, part = key
    holds = ", ".join(sorted(node.op or "" for node in members if node.op or node.params))
    group = replace(
        face, id=node_id, kind="group", label="", op=None, notation=None, site=None, params={"holds": holds}, times=1,
        members=sum(node.members for node in members),
    )  # fmt: skip
    if isinstance(key, Call):
        title = titles(key) + f", part {part}" * bool(part)
        return replace(group, name=key.path[-1], symbol=title, scope=key.path[:-1], calls=key.calls[:-1])
    if isinstance(key, Repeat):
        return replace(group, name=key.name, symbol=f"{key.name} × {key.times}", times=key.times)
    return replace(group, name=face.name or face.op or face.kind, symbol=None)
