"""``Graph``: an immutable snapshot of what was recorded.  Everything that shows a graph reads one of these.

A snapshot holds summaries of values, not the arrays, so it stays small and outlives the variables it was taken from.
As JSON it has a versioned schema: ``{"schema": "tinygrad_bn.graph/1", "nodes": [...], "edges": [...], "outputs": [...]}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import ArgumentError, clean, explain

SCHEMA = "tinygrad_bn.graph/1"
LARGEST = 2**53  # of a size
WHOLE = 64  # arrays up to this many elements are kept whole

KINDS = ("input", "parameter", "buffer", "constant", "intermediate", "output", "forward", "group")


@dataclass(frozen=True)
class Value:
    """What is remembered of an array.

    Attributes:
        elements: all elements in row-major order, when there are at most 64 of them.
        low: smallest finite element, ``None`` when there is none.
        mean: mean of the finite elements.
        high: largest finite element.
        nonfinite: number of NaN and infinite elements.
    """

    elements: tuple[float, ...] | None
    low: float | None
    mean: float | None
    high: float | None
    nonfinite: int

    @classmethod
    def of(cls, data: Any) -> Value:
        """Summarize a raw value."""
        if isinstance(data, float) and math.isfinite(data):  # a scalar graph has many of these
            return cls(elements=(data,), low=data, mean=data, high=data, nonfinite=0)
        array = np.asarray(data, dtype=float)
        finite = array[np.isfinite(array)]
        some = finite.size > 0
        return cls(
            elements=tuple(array.ravel().tolist()) if array.size <= WHOLE else None,
            low=float(finite.min()) if some else None,
            mean=float(finite.mean()) if some else None,
            high=float(finite.max()) if some else None,
            nonfinite=int(array.size - finite.size),
        )


@dataclass(frozen=True)
class Node:
    """One variable or constant.

    Attributes:
        id: ``"n0"``, ``"n1"``, ... in order of creation, the same in every run of the same program.
        kind: input, parameter, buffer, constant, intermediate or output; in a backward graph also forward (a value taken
            over from the forward pass); in a folded graph also group (several nodes drawn as one).
        name: the user's name, or ``None``.
        op: the primitive that made it, ``None`` for leaves.
        notation: how to write the operation, with ``{0}``, ``{1}`` for its arguments.
        params: the operation's parameters as plain data.
        scope: names of the modules and formulas around it, outermost first.
        shape: as in NumPy; in the graph of a program that is free in its batch size also text, such as "N".
        dtype: NumPy's name of it.
        requires_grad: whether gradients flow to it.
        value: summary of its value, ``None`` in the graph of a program that has not been run.
        grad: summary of its gradient, ``None`` when no backward pass has reached it.
        site: ``"file:line"`` of the code that made it, where that was recorded.
        pair: in a backward graph, the id of the forward node it belongs to.
        rule: in a backward graph, the rule it comes from.
        members: how many nodes a group stands for.
    """

    id: str
    kind: str
    name: str | None
    op: str | None
    notation: str | None
    params: Mapping[str, Any]
    scope: tuple[str, ...]
    shape: tuple[Any, ...]
    dtype: str
    requires_grad: bool
    value: Value | None
    grad: Value | None = None
    site: str | None = None
    pair: str | None = None
    rule: str | None = None
    members: int = 1


@dataclass(frozen=True)
class Edge:
    """``source`` is argument number ``slot`` of the operation that made ``target``; x * x has two edges."""

    source: str
    target: str
    slot: int


@dataclass(frozen=True)
class Graph:
    """Nodes in order of creation, edges in order of their target and slot, and which nodes are the outputs."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[str, ...]
    _by_id: dict[str, Node] = field(init=False, repr=False, compare=False)
    _sources: dict[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sources: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            sources.setdefault(edge.target, []).append(edge.source)
        object.__setattr__(self, "_by_id", {node.id: node for node in self.nodes})
        object.__setattr__(self, "_sources", sources)

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
        return tuple(self._sources.get(id, ()))

    def to_json(self) -> str:
        """The graph as JSON text; NaN and infinities as strings, so that every JSON reader takes it."""
        document = {
            "schema": SCHEMA,
            "nodes": [_plain(asdict(node)) for node in self.nodes],
            "edges": [asdict(edge) for edge in self.edges],
            "outputs": list(self.outputs),
        }
        return json.dumps(document, allow_nan=False, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """The graph that ``to_json`` wrote.

        Raises:
            ArgumentError: the text is not such a document, or of another schema version.
        """
        try:
            document = json.loads(text)
            if document["schema"] != SCHEMA:
                got = str(document["schema"])[:60]
                raise ArgumentError(explain("another schema of graph", got=got, expected=SCHEMA))
            nodes = tuple(_node(entry) for entry in document["nodes"])
            edges = tuple(Edge(str(e["source"]), str(e["target"]), int(e["slot"])) for e in document["edges"])
            graph = cls(nodes, edges, tuple(map(str, document["outputs"])))
            for end in [*(e.source for e in edges), *(e.target for e in edges), *graph.outputs]:
                graph[end]
        except ArgumentError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ArgumentError(
                explain(f"not a graph in JSON: {type(error).__name__}: {error}", expected=SCHEMA)
            ) from None
        return graph


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if value is Ellipsis:
        return "..."
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)


def _value(entry: Any) -> Value | None:
    if entry is None:
        return None
    numbers = {key: None if entry[key] is None else float(entry[key]) for key in ("low", "mean", "high")}
    elements = entry["elements"]
    whole = None if elements is None else tuple(float(e) for e in elements)
    return Value(elements=whole, nonfinite=_size(entry["nonfinite"]), **numbers)


def _word(text: Any) -> str | None:
    """What is shown as it is: names are cleaned where they are shown, an operation's are the library's own."""
    return None if text is None else clean(str(text), 200)


def _size(entry: Any) -> int:
    size = int(entry)
    if not 0 <= size <= LARGEST:
        raise ArgumentError(explain("a size in a graph", got=str(entry)[:60], expected=f"0 to {LARGEST}"))
    return size


def _optional(text: Any) -> str | None:
    return None if text is None else str(text)


def _node(entry: Any) -> Node:
    if entry["kind"] not in KINDS:
        raise ArgumentError(explain("unknown kind of node", got=str(entry["kind"])[:60], expected=", ".join(KINDS)))
    shape = tuple(str(n)[:20] if isinstance(n, str) else _size(n) for n in entry["shape"])
    if any(isinstance(n, str) for n in shape) and not (entry["value"] is None and entry["grad"] is None):
        raise ArgumentError(explain("a value of a node whose shape is not known", got=str(shape)[:60], expected=SCHEMA))
    return Node(
        id=clean(str(entry["id"])),
        kind=entry["kind"],
        name=_optional(entry["name"]),
        op=_word(entry["op"]),
        notation=_word(entry["notation"]),
        params=dict(entry["params"]),
        scope=tuple(map(str, entry["scope"])),
        shape=shape,
        dtype=clean(str(entry["dtype"])),
        requires_grad=bool(entry["requires_grad"]),
        value=_value(entry["value"]),
        grad=_value(entry["grad"]),
        site=_optional(entry["site"]),
        pair=_optional(entry["pair"]),
        rule=_word(entry["rule"]),
        members=_size(entry["members"]),
    )
