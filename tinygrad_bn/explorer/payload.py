"""What the page knows: the graph, every step forward and backward with its numbers, checks, and pictures laid out before.

Plain data, ready for JSON; the page computes nothing but what to show.
"""

from __future__ import annotations

import itertools
import linecache
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.sweep import seed_for
from ..engine.unbroadcast import shape_of
from ..errors import ArgumentError, clean, explain
from ..graph import Graph, Step, backward_steps, to_dot, trace
from ..graph.folding import module_groups, quotient
from ..graph.labels import formula, number, shape_text, symbol
from ..graph.layout import lay_out
from ..graph.outputs import as_seeds, as_variables
from ..graph.rules import as_mathml, rule_formula
from ..graph.tracing import trace_ids
from ..kinds import Shape
from ..program import replay

LARGEST = 64  # arrays with more elements are summarized
MOST_NODES = 300  # of a picture; graphs with more are shown with modules closed
MOST_SCOPES = 5  # modules that can be opened and closed one by one: 2**5 pictures at most
MOST_ELEMENTS = 8  # outputs with more elements have no scalar pictures
MOST_REPLAYED = 200_000  # operations run again for the numeric check; leaves beyond that are not checked
STEP = 1e-6

Path = tuple[str, ...]


@dataclass(frozen=True)
class Order:
    """A backward pass to walk through: its steps, and a sentence about the order they are in."""

    label: str
    steps: Sequence[Step]
    note: str = ""


@dataclass(frozen=True)
class Invariant:
    """Something that the gradient of ``variable`` must fulfil in the end: the sum of ``weights * gradient`` is about 0."""

    label: str
    variable: Variable
    weights: Any


def payload(
    outputs: Any,
    gradient: Any,
    *,
    module: Any = None,
    title: str = "",
    facts: Sequence[tuple[str, Any]] = (),
    invariants: Sequence[Invariant] = (),
    scalars: Any = None,
    orders: Sequence[Order] = (),
) -> dict[str, Any]:
    """Everything the page shows of the graph behind ``outputs``; arguments as for ``explore``."""
    roots = as_variables(outputs)
    if gradient is None and len(roots) == 1 and roots[0].size == 1:
        gradient = np.ones(roots[0].shape)
    seeds = as_seeds(roots, gradient)
    graph = trace(outputs, gradient, module)
    ids = trace_ids(roots, module)
    walked = orders or [Order("", backward_steps(roots, seeds))]
    modules = sorted({node.scope[:i] for node in graph.nodes for i in range(1, len(node.scope) + 1)})
    return {
        "title": clean(title, 120),
        "nodes": {node.id: _node(graph, node.id) for node in graph.nodes},
        "edges": [[edge.source, edge.target, edge.slot] for edge in graph.edges],
        "forward": [node.id for node in graph.nodes if node.op],
        "outputs": list(graph.outputs),
        "seeds": {ids[root]: array(seed_for(root, seed, False)) for root, seed in zip(roots, seeds)},
        "orders": [
            {"label": order.label, "note": order.note, "steps": [_step(step, ids, graph) for step in order.steps]}
            for order in walked
        ],
        "checks": _checks(roots, seeds, graph, ids),
        "facts": [[label, array(value)] for label, value in facts],
        "invariants": [
            [each.label, ids[each.variable], np.ravel(np.broadcast_to(each.weights, each.variable.shape)).tolist()]
            for each in invariants
        ],
        "modules": [[clean(name) for name in path] for path in modules],
        "views": _views(graph, modules),
        "zoom": _zoom(scalars),
    }


def array(value: Any) -> dict[str, Any]:
    """An array for the page: its shape and elements as text, or a summary of a large one."""
    raw = np.asarray(value.data if isinstance(value, Variable) else value, dtype=float)
    finite = raw[np.isfinite(raw)]
    if raw.size > LARGEST:
        parts = [f(finite) for f in (np.min, np.mean, np.max)] if finite.size else []
        return _large(raw.shape, [float(part) for part in parts])
    biggest = float(np.max(np.abs(finite), initial=0.0))
    heat = [float(v / biggest) if biggest and math.isfinite(v) else 0.0 for v in raw.ravel()]
    return {
        "shape": list(raw.shape),
        "text": "  ".join(number(float(v)) for v in raw.ravel()) or "empty",
        "cells": [[number(float(v)), round(h, 3)] for v, h in zip(raw.ravel(), heat)],
        "exact": [float(v) if math.isfinite(v) else str(v) for v in raw.ravel()],
    }


def _large(shape: Sequence[int], parts: Sequence[float]) -> dict[str, Any]:
    text = " … ".join(map(number, parts)) if parts else "no finite element"
    return {"shape": list(shape), "text": text, "cells": None}


def _node(graph: Graph, node_id: str) -> dict[str, Any]:
    node = graph[node_id]
    file, _, line = (node.site or ":0").rpartition(":")
    return {
        "symbol": symbol(node),
        "formula": formula(graph, node),
        "kind": node.kind,
        "op": node.op,
        "shape": shape_text(node),
        "scope": [clean(name) for name in node.scope],
        "site": None if node.site is None else clean(node.site.rpartition("/")[2], 80),
        "code": linecache.getline(file, int(line)).strip(),
        "wants": node.requires_grad,
        "value": _summary(node.value, node.shape),
        "grad": None if node.grad is None else _summary(node.grad, node.shape),
    }


def _summary(value: Any, shape: Shape) -> dict[str, Any]:
    if value.elements is not None:
        return array(np.reshape(value.elements, shape))
    return _large(shape, [part for part in (value.low, value.mean, value.high) if part is not None])


def _step(step: Step, ids: Mapping[Variable, str], graph: Graph) -> dict[str, Any]:
    primitive = step.result.primitive
    assert primitive is not None  # that is what recorded means
    node = graph[ids[step.result]]
    names = [symbol(argument) for argument in graph.inputs_of(node.id)]
    parts = [
        {
            "to": ids[part.argument],
            "slot": part.slot,
            "rule": _rule(step, part.slot, names, symbol(node)),
            "local": _local(step, part.slot),
            "given": array(part.cotangent),
            "reduced": _reduced(shape_of(part.returned), part.argument.shape),
            "before": None if part.before is None else array(part.before),
            "after": array(part.after),
        }
        for part in step.contributions
    ]
    return {"node": node.id, "op": primitive.name, "upstream": array(step.upstream), "parts": parts}


def _rule(step: Step, slot: int, names: Sequence[str], out: str) -> str:
    """The rule as MathML, in the nodes' own names, with g for the incoming gradient."""
    result = step.result
    assert result.primitive is not None  # that is what recorded means
    formula = rule_formula(result.primitive, slot, result.inputs or (), result.params, names, out)
    assert formula is not None  # it contributed
    return as_mathml(formula)


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
        except (ArithmeticError, ValueError):  # of Python floats; the page then shows the contribution alone
            return None


def _reduced(returned: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Over which axes un-broadcasting summed, in words."""
    if returned == wanted:
        return ""
    lead = len(returned) - len(wanted)
    axes = [*range(lead), *(lead + i for i, n in enumerate(wanted) if n == 1 and returned[lead + i] != 1)]
    return (
        f"summed over ax{'is' if len(axes) == 1 else 'es'} {' and '.join(map(str, axes))}, along which it was broadcast"
    )


# -- numeric check -----------------------------------------------------------------------------------------------------


def _checks(
    roots: Sequence[Variable], seeds: Sequence[Any], graph: Graph, ids: Mapping[Variable, str]
) -> dict[str, Any]:
    """For each small leaf its gradient by central differences of the recorded program."""
    checks = {}
    affordable = MOST_REPLAYED
    again = replay(roots)
    for leaf in (v for v in ids if v.inputs is None and v.requires_grad):
        shown = graph[ids[leaf]].grad
        affordable -= 2 * leaf.size * len(graph)
        if shown is None or shown.elements is None or affordable < 0:
            continue
        base = np.asarray(leaf.data, dtype=float)

        def loss(at: Any, leaf: Variable = leaf) -> float:
            results = again({leaf: float(at) if leaf.is_scalar_kind else at})
            return float(sum(np.sum(np.asarray(seed) * result) for seed, result in zip(seeds, results)))

        numeric = np.empty(base.shape)
        with np.errstate(all="ignore"):
            for index in np.ndindex(base.shape):
                up, down = base.copy(), base.copy()
                up[index] += STEP
                down[index] -= STEP
                numeric[index] = (loss(up) - loss(down)) / (2 * STEP)
        checks[ids[leaf]] = array(numeric)
    return checks


# -- pictures ----------------------------------------------------------------------------------------------------------


def _views(graph: Graph, modules: Sequence[Path]) -> list[dict[str, Any]]:
    """One picture per combination of closed modules (per depth, where there are too many modules)."""
    views = []
    for closed in _combinations(modules):
        smaller, stands_for = quotient(graph, module_groups(graph, closed=closed).get)
        if len(smaller) <= MOST_NODES:
            views.append(
                {
                    "closed": [modules.index(path) for path in closed],
                    "svg": _svg(smaller, ("shape", "value", "grad")),
                    "standsFor": stands_for,
                    "faces": _faces(graph, stands_for),
                }
            )
    if not views:
        fix = "explore a smaller part, or name parts with tinygrad_bn.scope(...), which can be closed"
        raise ArgumentError(explain("explore(): the graph is too large for a page", got=f"{len(graph)} nodes", fix=fix))
    return views


def _combinations(modules: Sequence[Path]) -> list[list[Path]]:
    """Which modules to close together: all combinations of few, else all at a depth; nothing inside of a closed one."""
    if len(modules) > MOST_SCOPES:
        depths = range(max(map(len, modules)), 0, -1)
        return [[], *([path for path in modules if len(path) == depth] for depth in depths)]
    subsets = (set(c) for size in range(len(modules) + 1) for c in itertools.combinations(modules, size))
    return [sorted(s) for s in subsets if not any(path[:i] in s for path in s for i in range(1, len(path)))]


def _faces(graph: Graph, stands_for: Mapping[str, str]) -> dict[str, str]:
    """For each box of a picture the node whose value it shows: of a closed module the last that is used outside."""
    leaving = {edge.source for edge in graph.edges if stands_for[edge.source] != stands_for[edge.target]}
    faces = {stands_for[node.id]: node.id for node in graph.nodes}
    faces.update(
        (stands_for[node.id], node.id) for node in graph.nodes if node.id in leaving or node.id in graph.outputs
    )
    return faces


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
