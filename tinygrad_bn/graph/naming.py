"""What pictures call the nodes of a graph: symbols and names as they were given, never one twice, and counts without gaps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from ..errors import clean
from .labels import is_number, number, only_number
from .model import Graph, Node

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
INDEX = re.compile(r"\[[\d, ]+\]\Z")


def labeled(graph: Graph, keep: bool = False) -> Graph:
    """The graph with the ``label`` of every node.

    A symbol (else a name) that several nodes have gets a subscript on each of them, in order: μ₁, μ₂.  What has neither is
    v1, v2, ... (b in a backward pass, c for an array of constants), past labels that are taken.

    Args:
        graph: of any nodes.
        keep: whether labels that nodes have already stay, where no other node has the same.
    """
    kept = Counter(node.label for node in graph.nodes if keep and node.label and not is_number(node))
    wanted = {node.id: node.label if kept[node.label] == 1 else _wanted(node) for node in graph.nodes}
    times = Counter(text for text in wanted.values() if text is not None)
    taken = {text for text, n in times.items() if n == 1}
    numbers: dict[str, Iterator[int]] = {}
    nodes = []
    for node in graph.nodes:
        text = wanted[node.id]
        if is_number(node) or (text is not None and times[text] == 1):
            label = text or ""
        else:
            make = _subscripted(text) if text is not None else f"{_letter(node)}{{}}".format
            label = _next(make, numbers.setdefault(text or _letter(node), count(1)), taken)
        nodes.append(node if label == node.label else replace(node, label=label))
    return replace(graph, nodes=tuple(nodes))


def named(graph: Graph) -> Graph:
    """The graph with a label on each node, where somebody has made it by hand; else the graph itself."""
    labels = [node.label for node in graph.nodes if not is_number(node)]
    return graph if all(labels) and len(set(labels)) == len(labels) else labeled(graph, keep=True)


def _next(make: Callable[[int], str], numbers: Iterator[int], taken: set[str]) -> str:
    label = next(label for label in map(make, numbers) if label not in taken)
    taken.add(label)
    return label


def _subscripted(text: str) -> Callable[[int], str]:
    """The subscript stands before an index: x̂₂[0, 1]."""
    index = INDEX.search(text)
    stem, end = (text, "") if index is None else (text[: index.start()], index[0])
    return lambda n: f"{stem}{str(n).translate(SUBSCRIPTS)}{end}"


def _letter(node: Node) -> str:
    return "c" if node.kind == "constant" else "v" if node.rule is None else "b"


def _wanted(node: Node) -> str | None:
    """The symbol or name; for a constant its number, for a closed module which call of it this is."""
    value = only_number(node)
    if value is not None:
        return node.name or number(value)
    given = node.symbol or node.name
    if given is None:
        return None
    return clean(given)
