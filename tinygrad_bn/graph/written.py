"""A graph as JSON text, and back: versioned, and checked once, when it is read.

``{"schema": "tinygrad_bn.graph/1", "nodes": [...], "edges": [...], "outputs": [...]}``; the keys of a node are its attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, clean, explain
from .parts import KINDS, Edge, Node, Value

if TYPE_CHECKING:
    from .model import Graph

SCHEMA = "tinygrad_bn.graph/1"
DEEPEST = 100  # scopes in each other; pictures nest a frame for each
LARGEST = 2**64  # of a whole number
ID = re.compile("[A-Za-z]+[0-9]+")


def to_json(graph: Graph) -> str:
    """The text; the same graph gives the same text."""
    document = {
        "schema": SCHEMA,
        "nodes": [_plain(asdict(node)) for node in graph.nodes],
        "edges": [asdict(edge) for edge in graph.edges],
        "outputs": list(graph.outputs),
        "modules": [[list(path), kind] for path, kind in graph.modules.items()],
    }
    return json.dumps(document, allow_nan=False, ensure_ascii=True)


def from_json(text: str, make: Callable[..., Graph]) -> Graph:
    """The graph that ``to_json`` wrote; ``make`` is the class.

    Raises:
        ArgumentError: the text is not a graph in this format, or is incomplete.
    """
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            got = str(document["schema"])[:60]
            raise ArgumentError(explain("another schema of graph", got=got, expected=SCHEMA))
        nodes = tuple(map(_node, document["nodes"]))
        edges = tuple(Edge(_text(e["source"]), _text(e["target"]), _count(e["slot"])) for e in document["edges"])
        outputs = tuple(map(_text, document["outputs"]))
        _check(nodes, edges, outputs)
        modules = {tuple(map(_text, path)): _text(kind) for path, kind in document.get("modules", [])}
        return make(nodes, edges, outputs, modules)
    except ArgumentError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        what = f"not a graph in JSON: {type(error).__name__}: {str(error)[:80]}"
        raise ArgumentError(explain(what, expected=SCHEMA)) from None


def _check(nodes: tuple[Node, ...], edges: tuple[Edge, ...], outputs: tuple[str, ...]) -> None:
    """Each id once; edges and outputs between them, arguments before results."""
    place = {node.id: i for i, node in enumerate(nodes)}
    if len(place) < len(nodes):
        raise _damaged("two nodes with one id", "ids n0, n1, ...")
    for node_id in (*(e.source for e in edges), *(e.target for e in edges), *outputs):
        if node_id not in place:
            raise _damaged(f"no such node: {node_id[:40]!r}", f"n0 to n{len(nodes) - 1}")
    for edge in edges:
        if place[edge.source] >= place[edge.target]:
            raise _damaged(f"an edge from {edge.source} to {edge.target}", "arguments before what is made of them")


def _damaged(got: str, expected: str) -> ArgumentError:
    return ArgumentError(explain("not a graph in JSON", got=got, expected=expected))


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


def _node(entry: Any) -> Node:
    if entry["kind"] not in KINDS:
        raise _damaged(f"a node of kind {str(entry['kind'])[:60]!r}", ", ".join(KINDS))
    if not ID.fullmatch(_text(entry["id"])):
        raise _damaged(f"a node with the id {entry['id'][:40]!r}", "ids n0, n1, ...")
    scope = tuple(map(_text, _list(entry["scope"])))
    if len(scope) > DEEPEST:
        raise _damaged(f"a scope of {len(scope)} parts", f"at most {DEEPEST}")
    calls = tuple(map(_count, entry.get("calls", [])))
    if calls and len(calls) != len(scope):
        raise _damaged(f"{len(calls)} calls of a scope of {len(scope)} parts", "as many")
    shape = tuple(n[:20] if isinstance(n, str) else _count(n) for n in _list(entry["shape"]))
    if any(isinstance(n, str) for n in shape) and not (entry["value"] is None and entry["grad"] is None):
        raise _damaged(f"a value of a node of shape {str(shape)[:60]}", "none, since the shape is not known")
    return Node(
        id=entry["id"],
        kind=entry["kind"],
        name=_optional(entry["name"]),
        op=_word(entry["op"]),
        notation=_word(entry["notation"]),
        params=dict(entry["params"]),
        scope=scope,
        shape=shape,
        dtype=clean(_text(entry["dtype"])),
        requires_grad=bool(entry["requires_grad"]),
        value=_value(entry["value"]),
        grad=_value(entry["grad"]),
        site=_optional(entry["site"]),
        pair=_optional(entry["pair"]),
        rule=_word(entry["rule"]),
        members=_count(entry["members"]),
        symbol=_word(entry.get("symbol")),
        label=_word(entry.get("label")) or "",
        calls=calls,
        times=_count(entry.get("times", 1)),
        why=_word(entry.get("why")) or "",
    )


def _word(text: Any) -> str | None:
    """What is shown as it is: names are cleaned where they are shown, an operation's are the library's own."""
    return clean(_text(text), 200) if text else None


def _value(entry: Any) -> Value | None:
    if entry is None:
        return None
    numbers = {key: None if entry[key] is None else _number(entry[key]) for key in ("low", "mean", "high")}
    elements = None if entry["elements"] is None else tuple(map(_number, _list(entry["elements"])))
    return Value(elements=elements, nonfinite=_count(entry["nonfinite"]), **numbers)


def _number(value: Any) -> float:
    if type(value) is int and abs(value) < LARGEST:
        return value
    return float(value)  # NaN and infinities are text


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < LARGEST:
        raise _damaged(f"{str(value)[:40]!r} where a count is expected", "a whole number")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _damaged(f"{type(value).__name__} where a list is expected", "a list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _damaged(f"{type(value).__name__} where text is expected", "text")
    return value


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)
