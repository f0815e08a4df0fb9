"""The graph of a forward pass that failed: what was computed so far, and the operation that raised the error.

Nothing is recorded for it beforehand.  The error's traceback still holds the frames that were left, and with them the
operation and its arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ..engine import Primitive, Variable
from ..errors import ArgumentError, clean, explain
from .model import Edge, Graph, Node, Value
from .naming import labeled
from .tracing import filled, trace, traced

PACKAGE = str(Path(__file__).resolve().parents[1])
LONGEST = 400  # characters of the message
MOST = 20  # arguments that are shown


def failed_graph(error: BaseException, module: Any = None) -> tuple[Graph, str]:
    """What led to the failing operation, that operation as a node of kind "failed", and a sentence about it.

    Args:
        error: an error that was caught, with its traceback.
        module: names its parameters and buffers by their place in the module tree.

    Raises:
        ArgumentError: an error that nothing computed with this library led to.
    """
    frames = list(_frames(error))
    found = _primitive(frames) or _function(frames)
    if found is None:
        fix = "pass the error that was caught around the forward pass, with its traceback"
        raise ArgumentError(explain("draw(): no operation failed here", got=type(error).__name__, fix=fix))
    name, notation, params, args = found
    variables = [arg for arg in args if isinstance(arg, Variable)]
    graph = trace(variables, None, module) if variables else Graph((), (), ())
    ids = traced(variables, None, module)[1] if variables else {}
    nodes = list(map(_so_far, graph.nodes))
    edges = list(graph.edges)
    failed = f"n{len(nodes) + len(args)}"
    for slot, arg in enumerate(args):
        source = ids.get(arg) if isinstance(arg, Variable) else None
        if source is None:
            raw = np.asarray(arg._data if isinstance(arg, Variable) else arg)
            source = f"n{len(nodes)}"
            nodes.append(_constant(source, raw))
        edges.append(Edge(source, failed, slot))
    scope = _scope(frames)
    message = " ".join(str(error).split())[:LONGEST]
    says = f"{type(error).__name__}: {message}"
    nodes.append(
        Node(
            id=failed, kind="failed", name=None, op=name, notation=notation, params=params, scope=scope, shape=(),
            dtype="float64", requires_grad=False, value=None, site=_site(frames), why=says, symbol="✗",
            calls=_calls(graph, scope),
        )
    )  # fmt: skip
    where = " in " + " / ".join(map(clean, scope)) if scope else ""
    graph = Graph(tuple(nodes), tuple(edges), (failed,), {**graph.modules, **_modules(frames)})
    return labeled(graph), f"{clean(name)} failed{where}"


def _so_far(node: Node) -> Node:
    """A node before there is a result: no output yet, and no gradient."""
    kind = ("intermediate" if node.op else "input") if node.kind == "output" else node.kind
    return replace(node, kind=kind, requires_grad=node.grad is not None)


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames that the error went through, outermost first."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame
        step = step.tb_next


Found = tuple[str, "str | None", dict[str, Any], list[Any]]


def _primitive(frames: list[FrameType]) -> Found | None:
    """The primitive that failed, with its arguments."""
    for frame in reversed(frames):
        if frame.f_code is Primitive.__call__.__code__:
            primitive: Primitive = frame.f_locals["self"]
            args, params = frame.f_locals["args"], frame.f_locals["params"]
            shown = [arg for arg in args if _is_value(arg)]
            plain = {k: v for k, v in params.items() if not isinstance(v, (Variable, np.ndarray))}
            return primitive.name, filled(primitive.notation, plain), plain, shown[:MOST]
    return None


def _function(frames: list[FrameType]) -> Found | None:
    """The innermost function that was given variables, where the error was raised before any operation."""
    for frame in reversed(frames):
        code = frame.f_code
        starred = bool(code.co_flags & inspect.CO_VARARGS)
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + starred]
        values = [value for name in given for value in _listed(frame.f_locals.get(name))]
        if any(isinstance(value, Variable) for value in values) and not code.co_name.startswith("_"):
            owner = frame.f_locals.get("self")
            name = (
                type(owner).__name__ if code.co_name in ("forward", "__call__") and owner is not None else code.co_name
            )
            return name, None, {}, values[:MOST]
    return None


def _listed(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [v for v in value.ravel()[:MOST] if isinstance(v, Variable)]
    if isinstance(value, (tuple, list)):
        return [v for v in value[:MOST] if _is_value(v)]
    return [value] if _is_value(value) else []


def _is_value(value: Any) -> bool:
    number = isinstance(value, (bool, int, float, np.generic))
    return isinstance(value, Variable) or number or (isinstance(value, np.ndarray) and value.dtype.kind in "fiub")


def _constant(node_id: str, raw: Any) -> Node:
    dtype = raw.dtype.name
    return Node(
        id=node_id, kind="constant", name=None, op=None, notation=None, params={}, scope=(), shape=raw.shape,
        dtype=dtype, requires_grad=False, value=Value.of(raw),
    )  # fmt: skip


def _called(frames: list[FrameType]) -> list[tuple[str, str]]:
    """Name and class of the modules whose calls the error went through."""
    owners = [frame.f_locals.get("self") for frame in frames if frame.f_code.co_name == "__call__"]
    named = [(getattr(owner, "_scope", None), type(owner).__name__) for owner in owners]
    return [(name, kind) for name, kind in named if isinstance(name, str)]


def _scope(frames: list[FrameType]) -> tuple[str, ...]:
    return tuple(name for name, _ in _called(frames))


def _modules(frames: list[FrameType]) -> dict[tuple[str, ...], str]:
    called = _called(frames)
    return {_scope(frames)[: i + 1]: kind for i, (_, kind) in enumerate(called)}


def _calls(graph: Graph, scope: tuple[str, ...]) -> tuple[int, ...]:
    """Which call of each module this is: the latest that something was recorded in."""
    calls: tuple[int, ...] = ()
    for i in range(1, len(scope) + 1):
        same = [n.calls[i - 1] for n in graph.nodes if n.scope[:i] == scope[:i] and n.calls[: i - 1] == calls]
        calls = (*calls, max(same, default=1))
    return calls


def _site(frames: list[FrameType]) -> str | None:
    """The innermost line of code that is not this package's."""
    for frame in reversed(frames):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return None
