"""The check of exercise 1: each operation after all that use its value, on graphs of many shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import ops
from ..graph import Picture, draw
from ..tensor import Scalar
from .exercise import demand

DEPTH = 2000  # operations in a chain: more than Python's recursion takes
STEP = 1e-6


def check(work: Any) -> str:
    """The order itself, and the gradients that come of it against central differences."""
    programs = list(_programs())
    for name, program, x in programs:
        result = program(Scalar(x, requires_grad=True, name="x"))
        _check_order(work.backward_order(result), result, name)
        leaf = Scalar(x, requires_grad=True, name="x")
        gradient = work.gradients(program(leaf))[leaf]
        expected = (program(x + STEP) - program(x - STEP)) / (2 * STEP)
        right = abs(gradient - expected) <= 1e-5 * max(1.0, abs(expected))
        demand(right, f"{name}: the gradient is wrong, though the order is right", got=gradient, expected=expected)
    deep = Scalar(1.0, requires_grad=True)
    for _ in range(DEPTH):
        deep = deep + 1.0
    try:
        order = work.backward_order(deep)
    except RecursionError:
        fix = "walk along a list instead of calling the function from itself"
        demand(False, f"a chain of {DEPTH} operations: the function calls itself too deeply", fix=fix)
    _check_order(order, deep, f"a chain of {DEPTH} operations")
    return f"the order of {len(programs)} graphs and of a chain of {DEPTH} operations, and gradients by central differences"


def picture(work: Any) -> Picture:
    """A graph in which one way is longer than the other, numbered as visited."""
    x = Scalar(0.7, requires_grad=True, name="x")
    result = _two_ways(x)
    cotangents = work.gradients(result)
    for place, v in enumerate(work.backward_order(result), start=1):
        v.name = f"visit {place}"
    note = f"your backward pass gives {cotangents[x]:.4f} for x; the gradients below are right"
    return draw(result, 1.0, title="The order of your backward pass", note=note)


def _check_order(order: Any, result: Any, name: str) -> None:
    demand(isinstance(order, list), f"{name}: backward_order returns a list", got=type(order).__name__)
    demand(bool(order) and order[0] is result, f"{name}: the result comes first")
    place = {id(v): i for i, v in enumerate(order)}
    demand(len(place) == len(order), f"{name}: an operation is visited twice", expected="each once")
    for v in _behind(result):
        demand(id(v) in place, f"{name}: an operation is left out", got=repr(v))
        for argument in v.inputs:
            if isinstance(argument, Scalar) and argument.primitive is not None and id(argument) in place:
                demand(
                    place[id(argument)] > place[id(v)],
                    f"{name}: {argument.primitive.name} is visited before {v.primitive.name}, which uses its value",
                    got=f"{argument.primitive.name} as number {place[id(argument)] + 1}, "
                    f"{v.primitive.name} as number {place[id(v)] + 1}",
                    expected="all users first: until then its cotangent is not complete",
                    fix="look at the picture, and follow both ways from the result to x",
                )
    demand(len(order) == len(_behind(result)), f"{name}: there is something in the list that is not behind the result")


def _behind(result: Any) -> list[Any]:
    found = {id(result): result}
    waiting = [result]
    for v in waiting:
        for argument in v.inputs:
            if isinstance(argument, Scalar) and argument.primitive is not None and id(argument) not in found:
                found[id(argument)] = argument
                waiting.append(argument)
    return waiting


def _two_ways(x: Any) -> Any:
    h = ops.square(x)
    return h + ops.sin(ops.exp(h))


def _programs() -> Iterator[tuple[str, Callable[[Any], Any], float]]:
    """Names, functions of a scalar or a float, and where to differentiate them."""
    yield "exp(x * x)", lambda x: ops.exp(x * x), 0.5
    yield "h + sin(exp(h)) with h = square(x)", _two_ways, 0.7
    yield "x used twice, by products", lambda x: (x * x) * ops.sin(x * x * x), 0.9
    for seed in range(30):
        yield f"random graph {seed}", _random(seed), float(np.random.default_rng(seed).uniform(0.2, 0.8))


def _random(seed: int) -> Callable[[Any], Any]:
    def program(x: Any) -> Any:
        rng = np.random.default_rng(seed)
        values = [ops.tanh(x)]
        for _ in range(12):
            a, b = values[int(rng.integers(len(values)))], values[int(rng.integers(len(values)))]
            values.append([ops.sin(a), ops.tanh(a + b), a * b][int(rng.integers(3))])
        return values[-1] + values[-2] * values[-3]

    return program
