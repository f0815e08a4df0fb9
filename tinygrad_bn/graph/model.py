"""``Graph``: an immutable snapshot of what was recorded.  Everything that shows a graph reads one of these.

A snapshot holds summaries of values, not the arrays, so it stays small and outlives the variables it was taken from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import drawing
from ..errors import ArgumentError, clean, explain
from .parts import KINDS, Edge, Node, Value
from .written import from_json, to_json

__all__ = ["KINDS", "Edge", "Graph", "Node", "Value"]


@dataclass(frozen=True, repr=False)
class Graph:
    """Nodes in order of creation, edges in order of their target and slot, and which nodes are the outputs.

    ``modules`` has the class of each module, by its scope.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[str, ...]
    modules: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    _by_id: dict[str, Node] = field(init=False, repr=False, compare=False)
    _arriving: dict[str, list[Edge]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        arriving: dict[str, list[Edge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            arriving.setdefault(edge.target, []).append(edge)
        object.__setattr__(self, "_by_id", {node.id: node for node in self.nodes})
        object.__setattr__(self, "_arriving", arriving)

    def __getitem__(self, id: str) -> Node:  # noqa: A002 (the attribute's name)
        """The node with this id."""
        if id not in self._by_id:
            got = f"{id!r}"
            raise ArgumentError(explain("no such node in the graph", got=got, expected=f"n0 to n{len(self.nodes) - 1}"))
        return self._by_id[id]

    def __len__(self) -> int:
        return len(self.nodes)

    def inputs_of(self, id: str) -> tuple[Node, ...]:  # noqa: A002
        """The arguments of a node's operation, in order."""
        return tuple(self[source] for source in self.sources_of(id))

    def sources_of(self, id: str) -> tuple[str, ...]:  # noqa: A002
        """The ids of a node's arguments, in order."""
        return tuple([edge.source for edge in self.edges_to(id)])

    def edges_to(self, id: str) -> list[Edge]:  # noqa: A002
        """The edges from a node's arguments, in order."""
        return self._arriving.get(id, [])

    def to_json(self) -> str:
        """The graph as JSON text; NaN and infinities as strings, so that every JSON reader takes it."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """The graph that ``to_json`` wrote.

        Raises:
            ArgumentError: the text is not such a document, or of another schema version.
        """
        return from_json(text, cls)

    def __repr__(self) -> str:
        """One line: how many nodes and edges, what goes in and what comes out."""
        kinds = ("input", "parameter")
        given = [node.label or node.name or node.id for node in self.nodes if node.kind in kinds]
        gives = [self[i].label or self[i].name or i for i in self.outputs]
        return f"<Graph of {len(self.nodes)} nodes and {len(self.edges)} edges: {_listed(given)} -> {_listed(gives)}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """In a notebook a graph shows its picture."""
        return drawing.draw(self)._repr_mimebundle_(include, exclude)


def _listed(labels: list[str]) -> str:
    shown = ", ".join(clean(label, 20) for label in labels[:4]) or "nothing"
    return shown + f", and {len(labels) - 4} more" * (len(labels) > 4)
