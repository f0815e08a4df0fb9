"""What the page knows: the graph, every step forward and backward with its numbers, checks, and pictures laid out before.

Plain data, ready for JSON; the page computes nothing but what to show.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.conform import shape_of
from ..engine.sweep import seed_for
from ..graph import Graph, Step, backward_steps, to_dot, trace
from ..graph.folding import module_groups, quotient
from ..graph.labels import clean, formula, number, shape_text, symbol
from ..graph.layout import lay_out
from ..graph.tracing import as_seeds, as_variables, reachable, traced_ids
from .rules import contribution

LARGEST = 64  # arrays with more elements are summarized
MOST_SCOPES = 5  # modules that can be opened and closed one by one: 2**5 pictures at most
MOST_ELEMENTS = 8  # outputs with more elements have no scalar pictures
STEP = 1e-6


@dataclass(frozen=True)
class Order:
    """A backward pass to walk through: its steps, and a sentence about the order they are in."""

    label: str
    steps: Sequence[Step]
    note: str = ""


def payload(
    outputs: Any,
    gradient: Any,
    *,
    module: Any = None,
    title: str = "",
    facts: Sequence[tuple[str, Any]] = (),
    scalars: Any = None,
    orders: Sequence[Order] = (),
) -> dict[str, Any]:
    """Everything the page shows of the graph behind ``outputs``; arguments as for ``explore``."""
    roots = as_variables(outputs)
    if gradient is None and len(roots) == 1 and roots[0].size == 1:
        gradient = np.ones(roots[0].shape)
    seeds = as_seeds(roots, gradient)
    graph = trace(outputs, gradient, module)
    ids = traced_ids(roots, module)
    walked = orders or [Order("", backward_steps(roots, seeds))]
    return {
        "title": clean(title, 120),
        "nodes": {node.id: _node(graph, node.id) for node in graph.nodes},
        "edges": [[edge.source, edge.target, edge.slot] for edge in graph.edges],
        "forward": [node.id for node in graph.nodes if node.op],
        "outputs": list(graph.outputs),
        "seeds": {ids[root]: array(seed_for(root, seed, False)) for root, seed in zip(roots, seeds)},
        "orders": [
            {"label": order.label, "note": order.note, "steps": [_step(step, ids) for step in order.steps]}
            for order in walked
        ],
        "checks": _checks(roots, seeds, graph, ids),
        "facts": [[label, array(value)] for label, value in facts],
        "views": _views(graph),
        "zoom": _zoom(scalars),
    }


def array(value: Any) -> dict[str, Any]:
    """An array for the page: its shape and elements as text, or a summary of a large one."""
    raw = np.asarray(value.data if isinstance(value, Variable) else value, dtype=float)
    if raw.size > LARGEST:
        finite = raw[np.isfinite(raw)]
        low, mean, high = (number(float(f(finite))) for f in (np.min, np.mean, np.max)) if finite.size else ("", "", "")
        return {"shape": list(raw.shape), "text": f"{low} … {mean} … {high}", "cells": None}
    biggest = float(np.max(np.abs(raw[np.isfinite(raw)]), initial=0.0))
    heat = [float(v / biggest) if biggest and math.isfinite(v) else 0.0 for v in raw.ravel()]
    return {
        "shape": list(raw.shape),
        "text": "  ".join(number(float(v)) for v in raw.ravel()),
        "cells": [[number(float(v)), round(h, 3)] for v, h in zip(raw.ravel(), heat)],
        "exact": [float(v) if math.isfinite(v) else str(v) for v in raw.ravel()],
    }


def _node(graph: Graph, node_id: str) -> dict[str, Any]:
    node = graph[node_id]
    return {
        "symbol": symbol(node),
        "formula": formula(graph, node, graph.inputs_of(node_id)),
        "kind": node.kind,
        "op": node.op,
        "shape": shape_text(node),
        "scope": [clean(name) for name in node.scope],
        "site": None if node.site is None else clean(node.site.rpartition("/")[2], 80),
        "wants": node.requires_grad,
        "value": _summary(node.value, node.shape),
        "grad": None if node.grad is None else _summary(node.grad, node.shape),
    }


def _summary(value: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    if value.elements is not None:
        return array(np.reshape(value.elements, shape))
    text = " … ".join("" if v is None else number(v) for v in (value.low, value.mean, value.high))
    return {"shape": list(shape), "text": text, "cells": None}


def _step(step: Step, ids: Mapping[Variable, str]) -> dict[str, Any]:
    primitive = step.result.primitive
    name = "" if primitive is None else primitive.name
    parts = [
        {
            "to": ids[part.argument],
            "slot": part.slot,
            "rule": contribution(name, part.slot),
            "local": _local(step, part.slot),
            "given": array(part.cotangent),
            "reduced": _reduced(shape_of(part.returned), part.argument.shape),
            "before": None if part.before is None else array(part.before),
            "after": array(part.after),
        }
        for part in step.contributions
    ]
    return {"node": ids[step.result], "op": name, "upstream": array(step.upstream), "parts": parts}


def _local(step: Step, slot: int) -> dict[str, Any] | None:
    """The derivative of the result by the argument, element by element, where the operation is elementwise."""
    result = step.result
    primitive = result.primitive
    assert primitive is not None  # that is what recorded means
    rule = primitive.vjp(slot)
    if not primitive.elementwise or rule is None:
        return None
    values = [arg.data if isinstance(arg, Variable) else arg for arg in result.inputs or ()]
    one = 1.0 if result.is_scalar_kind else np.ones(result.shape, result.dtype)
    with np.errstate(all="ignore"):
        try:
            return array(rule(one, result.data, *values, **(result.params or {})))
        except ZeroDivisionError:  # on Python floats; the panel then shows the contribution alone
            return None


def _reduced(returned: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Over which axes un-broadcasting summed, in words."""
    if returned == wanted:
        return ""
    lead = len(returned) - len(wanted)
    axes = [*range(lead), *(lead + i for i, n in enumerate(wanted) if n == 1 and returned[lead + i] != 1)]
    return "summed over axis " + " and ".join(map(str, axes)) + ", along which it was broadcast"


# -- numeric check -----------------------------------------------------------------------------------------------------


def replay(roots: Sequence[Variable], changed: Mapping[Variable, Any]) -> list[Any]:
    """The recorded program run again on raw values, with other values for some leaves."""
    values: dict[Variable, Any] = dict(changed)
    for variable in sorted((v for v in reachable(list(roots)) if v.inputs is not None), key=lambda v: v.stamp):
        primitive = variable.primitive
        assert primitive is not None  # that is what recorded means
        args = [values.get(a, a.data) if isinstance(a, Variable) else a for a in variable.inputs or ()]
        values[variable] = primitive(*args, **(variable.params or {}))
    return [values.get(root, root.data) for root in roots]


def _checks(
    roots: Sequence[Variable], seeds: Sequence[Any], graph: Graph, ids: Mapping[Variable, str]
) -> dict[str, Any]:
    """For each small leaf its gradient by central differences of the recorded program."""
    checks = {}
    for leaf in (v for v in reachable(list(roots)) if v.inputs is None and v.requires_grad):
        shown = graph[ids[leaf]].grad
        if shown is None or shown.elements is None:
            continue
        base = np.asarray(leaf.data, dtype=float)

        def loss(at: Any, leaf: Variable = leaf) -> float:
            results = replay(roots, {leaf: float(at) if leaf.is_scalar_kind else at})
            return float(sum(np.sum(np.asarray(seed) * result) for seed, result in zip(seeds, results)))

        numeric = np.empty(base.shape)
        for index in np.ndindex(base.shape):
            up, down = base.copy(), base.copy()
            up[index] += STEP
            down[index] -= STEP
            numeric[index] = (loss(up) - loss(down)) / (2 * STEP)
        checks[ids[leaf]] = array(numeric)
    return checks


# -- pictures ----------------------------------------------------------------------------------------------------------


def _views(graph: Graph) -> list[dict[str, Any]]:
    """One picture per combination of closed modules (per depth, where there are too many modules)."""
    paths = sorted({node.scope[:i] for node in graph.nodes for i in range(1, len(node.scope) + 1)})
    names = ["/".join(path) for path in paths]
    groupings: list[tuple[list[str], Mapping[str, Any]]] = []
    if len(names) <= MOST_SCOPES:
        combinations = (c for size in range(len(names) + 1) for c in itertools.combinations(names, size))
        for inner in combinations:
            closed = [name for name in inner if not any(name.startswith(f"{outer}/") for outer in inner)]
            if closed not in [known for known, _ in groupings]:
                groupings.append((closed, module_groups(graph, closed=closed)))
    else:
        groupings.append(([], {}))
        for depth in range(max(map(len, paths)) - 1, 0, -1):
            closed = [name for name, path in zip(names, paths) if len(path) == depth + 1]
            groupings.append((closed, module_groups(graph, depth)))
    views = []
    for closed, groups in groupings:
        smaller, stands_for = quotient(graph, groups.get)
        views.append({"closed": list(closed), "svg": _svg(smaller, ("shape", "value")), "standsFor": stands_for})
    return views


def _zoom(scalars: Any) -> list[dict[str, str]]:
    """For each element of the output, the graph of its own, scalar by scalar."""
    if scalars is None:
        return []
    elements = as_variables(scalars)
    if len(elements) > MOST_ELEMENTS:
        return []
    return [
        {"label": f"element {i}", "svg": _svg(trace(element, 1.0), ("value", "grad"))}
        for i, element in enumerate(elements)
    ]


def _svg(graph: Graph, show: Sequence[str]) -> str:
    svg = lay_out(to_dot(graph, legend=False, show=show), "svg").decode()
    return svg[svg.index("<svg") :]
