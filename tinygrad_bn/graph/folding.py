"""Smaller graphs for the eye: modules closed into one box, equal parts folded into one, the rest cut off.

Each function gives a new ``Graph``; a group node stands for ``members`` nodes.  Nothing disappears without being said:
``fit`` also returns what it hid.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import replace

from ..errors import ArgumentError, explain
from .model import Edge, Graph, Node

Path = tuple[str, ...]


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
) -> dict[str, Path | None]:
    """For each node the closed scope it goes into, ``None`` for nodes that stay; arguments as for ``collapse``.

    A closed scope may also be given as a path, because the name of a scope may contain a slash.
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

    def group_of(node: Node) -> Path | None:
        for i in range(1, len(node.scope) + 1):
            path = node.scope[:i]
            if path in shut or (depth is not None and i > depth and path not in keep_open):
                return path
        return None

    # Parameters, buffers and constants used in one closed module only go inside with it.
    inside = {node.id: group_of(node) for node in graph.nodes}
    users: dict[str, set[Path | None]] = {}
    for edge in graph.edges:
        users.setdefault(edge.source, set()).add(inside[edge.target])
    for node in graph.nodes:
        if node.op is None and node.kind in ("parameter", "buffer", "constant") and len(users.get(node.id, ())) == 1:
            inside[node.id] = next(iter(users[node.id]))
    return inside


def fold_equal(graph: Graph) -> Graph:
    """Fold nodes that are computed in the same way from the same kinds of inputs into one box each ("× 12")."""
    seen: dict[Hashable, int] = {}
    number: dict[str, int] = {}
    for node in graph.nodes:
        made_of = tuple(number[source] for source in graph.sources_of(node.id))
        same = (node.kind, node.op, node.scope, node.shape, made_of, node.kind == "group" and node.id)
        number[node.id] = seen.setdefault(same, len(seen))
    sizes: dict[int, int] = {}
    for value in number.values():
        sizes[value] = sizes.get(value, 0) + 1

    # Constants stay apart: one box with an arrow to everything would tie the picture into a knot.
    groups = {
        node.id: number[node.id] for node in graph.nodes if node.kind != "constant" and sizes[number[node.id]] > 1
    }
    return quotient(graph, groups.get)[0]


def nearest(graph: Graph, limit: int) -> Graph:
    """The ``limit`` nodes nearest to the outputs, breadth first."""
    order = list(graph.outputs[:limit])
    seen = set(order)
    for node_id in order:
        for source in graph.sources_of(node_id):
            if source not in seen and len(order) < limit:
                seen.add(source)
                order.append(source)
    nodes = tuple(node for node in graph.nodes if node.id in seen)
    edges = tuple(edge for edge in graph.edges if edge.source in seen and edge.target in seen)
    return Graph(nodes, edges, tuple(node_id for node_id in graph.outputs if node_id in seen))


def fit(graph: Graph, max_nodes: int) -> tuple[Graph, str]:
    """A graph of at most ``max_nodes`` nodes, and a sentence that says what was hidden ("" for nothing).

    Modules are closed from the deepest up, then equal parts are folded, then only what is nearest the outputs is kept.
    """
    if len(graph) <= max_nodes:
        return graph, ""
    deepest = max((len(node.scope) for node in graph.nodes), default=0)
    smaller, how = graph, "equal parts folded"
    for depth in range(deepest - 1, -1, -1):
        smaller, how = collapse(graph, depth), f"modules closed below depth {depth}"
        if len(smaller) <= max_nodes:
            break
    if len(smaller) > max_nodes:
        smaller, how = fold_equal(smaller), f"{how}, equal parts folded" if deepest else how
    if len(smaller) > max_nodes:
        smaller, how = nearest(smaller, max_nodes), f"{how}, only the {max_nodes} nodes nearest the output kept"
    hidden = len(graph) - sum(1 for node in smaller.nodes if node.kind != "group")
    return smaller, f"{hidden} of {len(graph)} nodes hidden: {how}; max_nodes={len(graph)} shows all"


def quotient(graph: Graph, group_of: Callable[[str], Hashable]) -> tuple[Graph, dict[str, str]]:
    """One node for all nodes of a group, with the groups' outer edges.

    Args:
        graph: what to make smaller.
        group_of: from a node's id to its group; ``None`` for a node that stays as it is.

    Returns:
        The smaller graph, and for every node's id the id of what stands for it there.
    """
    groups = {node.id: group_of(node.id) for node in graph.nodes}
    members: dict[Hashable, list[Node]] = {}
    for node in graph.nodes:
        if groups[node.id] is not None:
            members.setdefault(groups[node.id], []).append(node)
    shown: dict[Hashable, str] = {key: f"g{i}" for i, key in enumerate(members)}
    new_id = {node.id: node.id if groups[node.id] is None else shown[groups[node.id]] for node in graph.nodes}
    leaving = {edge.source for edge in graph.edges if new_id[edge.source] != new_id[edge.target]} | set(graph.outputs)
    nodes: list[Node] = []
    done: set[Hashable] = set()
    for node in graph.nodes:
        key = groups[node.id]
        if key is None:
            nodes.append(node)
        elif key not in done:
            done.add(key)
            nodes.append(_group(shown[key], key, members[key], leaving))
    edges: list[Edge] = []
    arrows: set[tuple[str, str, int]] = set()
    arriving: dict[str, int] = {}
    for edge in graph.edges:
        source, target = new_id[edge.source], new_id[edge.target]
        grouped = target != edge.target
        arrow = (source, target, -1 if grouped else edge.slot)
        if source == target or arrow in arrows:
            continue
        arrows.add(arrow)
        slot = arriving.get(target, 0) if grouped else edge.slot
        arriving[target] = slot + 1
        edges.append(Edge(source, target, slot))
    return Graph(tuple(nodes), tuple(edges), tuple(dict.fromkeys(new_id[i] for i in graph.outputs))), new_id


def _group(node_id: str, key: Hashable, members: list[Node], leaving: Collection[str]) -> Node:
    """The box for a group; it shows the value of the last member that is used outside."""
    face = next((node for node in reversed(members) if node.id in leaving), members[-1])
    count = sum(node.members for node in members)
    if isinstance(key, tuple):
        name, scope = str(key[-1]), tuple(map(str, key[:-1]))
    else:
        name, scope = f"{face.name or face.op or face.kind}", face.scope
    return replace(
        face, id=node_id, kind="group", name=name, op=None, notation=None, params={}, scope=scope, site=None, members=count
    )  # fmt: skip
