"""``trace``: take a snapshot of everything an output was computed from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import FREED, Variable
from ..engine.conform import dtype_of, shape_of
from ..engine.errors import ArgumentError, GraphError, explain
from ..engine.mode import Site, no_grad
from ..engine.sweep import seed_for, sweep
from ..variables import Parameter
from .model import Edge, Graph, Node, Value


def trace(outputs: Any, gradient: Any = None, module: Any = None) -> Graph:
    """A snapshot of the graph behind ``outputs``.

    Args:
        outputs: a variable, a sequence of variables, or an object array of scalars.
        gradient: cotangents of the outputs (one, or one per output).  With them a backward pass is run for the
            snapshot alone: every node shows its gradient, and nobody's ``.grad`` changes.  Without, nodes show what
            their ``.grad`` holds.
        module: names its parameters and buffers by their place in the module tree, such as ``"1.weight"``.

    Returns:
        Nodes in order of creation; linear in the size of the graph, without recursion.

    Raises:
        ArgumentError: something that is not a variable.
        GraphError: the graph was already used up by ``backward``.
    """
    roots = _variables(outputs)
    results, leaves = _reachable(roots)
    gradients = _gradients(roots, gradient)
    names, buffers = _module_names(module)
    nodes: list[Node] = []
    edges: list[Edge] = []
    ids: dict[Variable, str] = {}
    is_root = set(roots)

    def add(variable: Variable, kind: str) -> None:
        ids[variable] = f"n{len(nodes)}"
        primitive, params = variable.primitive, dict(variable.params or {})
        grad = gradients.get(variable, variable.grad)
        nodes.append(
            Node(
                id=ids[variable],
                kind=kind,
                name=names.get(variable, variable.name),
                op=None if primitive is None else primitive.name,
                notation=None if primitive is None else _filled(primitive.notation, params),
                params=params,
                scope=() if variable.scope is None else variable.scope.path,
                shape=variable.shape,
                dtype=variable.dtype.name,
                requires_grad=variable.requires_grad,
                value=Value.of(variable.data),
                grad=None if grad is None else Value.of(grad.data if isinstance(grad, Variable) else grad),
                site=_site(variable),
            )
        )

    def add_constant(value: Any) -> str:
        dtype = "float64" if isinstance(value, (int, float)) else dtype_of(value).name
        node_id = f"n{len(nodes)}"
        nodes.append(
            Node(node_id, "constant", None, None, None, {}, (), shape_of(value), dtype, False, Value.of(value))
        )
        return node_id

    # A leaf stands right before the first operation that uses it, however late its value was last changed.
    for variable in sorted(results, key=lambda v: v.stamp):
        sources = []
        for arg in variable.inputs or ():
            if not isinstance(arg, Variable):
                sources.append(add_constant(arg))
                continue
            if arg not in ids:
                add(arg, "output" if arg in is_root and arg not in leaves else _leaf_kind(arg, buffers))
            sources.append(ids[arg])
        add(variable, "output" if variable in is_root else "intermediate")
        edges += [Edge(source, ids[variable], slot) for slot, source in enumerate(sources)]
    for root in roots:
        if root not in ids:
            add(root, "output")
    return Graph(tuple(nodes), tuple(edges), tuple(ids[root] for root in roots))


def _variables(outputs: Any) -> list[Variable]:
    if isinstance(outputs, Variable):
        return [outputs]
    listed = outputs.ravel().tolist() if isinstance(outputs, np.ndarray) else outputs
    if not isinstance(listed, Sequence) or not listed or not all(isinstance(v, Variable) for v in listed):
        got = type(outputs).__name__
        raise ArgumentError(explain("trace(): variables expected", got=got, fix="trace the result of a computation"))
    return list(dict.fromkeys(listed))


def _reachable(roots: list[Variable]) -> tuple[list[Variable], set[Variable]]:
    """Every variable behind the roots: results of operations, and leaves."""
    seen = set(roots)
    waiting = list(roots)
    for variable in waiting:
        if variable.inputs is FREED:
            raise GraphError(
                explain(
                    f"{variable.label}: its graph was used up by backward()",
                    fix="trace first, with trace(y, gradient=...), or call backward(retain_graph=True)",
                )
            )
        for arg in variable.inputs or ():
            if isinstance(arg, Variable) and arg not in seen:
                seen.add(arg)
                waiting.append(arg)
    return [v for v in waiting if v.inputs is not None], {v for v in waiting if v.inputs is None}


def _gradients(roots: list[Variable], gradient: Any) -> dict[Variable, Any]:
    if gradient is None:
        return {}
    given = list(gradient) if isinstance(gradient, (tuple, list)) and len(roots) > 1 else [gradient]
    if isinstance(gradient, np.ndarray) and len(roots) > 1:
        given = gradient.ravel().tolist()
    if len(given) != len(roots):
        raise ArgumentError(explain("trace(): one cotangent per output", got=len(given), expected=len(roots)))
    seeds = [seed_for(root, seed, False) for root, seed in zip(roots, given)]
    results, leaves = _reachable(roots)
    with no_grad():
        kept, _ = sweep(roots, seeds, create_graph=False, wanted=[v for v in (*results, *leaves) if v.requires_grad])
    return kept


def _module_names(module: Any) -> tuple[dict[Variable, str], set[Variable]]:
    if module is None:
        return {}, set()
    names: dict[Variable, str] = {tensor: name for name, tensor in module.named_parameters()}
    buffers = {tensor: name for name, tensor in module.named_buffers()}
    return {**names, **buffers}, set(buffers)


def _leaf_kind(variable: Variable, buffers: set[Variable]) -> str:
    if isinstance(variable, Parameter):
        return "parameter"
    return "buffer" if variable in buffers else "input"


def _filled(notation: str | None, params: dict[str, Any]) -> str | None:
    """Parameters written into the notation; arguments stay as ``{0}``, ``{1}``."""
    if notation is None:
        return None
    for key, value in params.items():
        notation = notation.replace(f"{{{key}}}", _short(value))
    return notation


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_short(part) for part in value)
    if isinstance(value, slice):
        parts = ["" if n is None else str(n) for n in (value.start, value.stop)]
        return ":".join(parts) + ("" if value.step is None else f":{value.step}")
    return "…" if value is Ellipsis else str(value)


def _site(variable: Variable) -> str | None:
    scope = variable.scope
    return f"{scope.filename}:{scope.line}" if isinstance(scope, Site) else None
