"""Laws that round nothing in another way: each is a function that returns the value a step is equal to, if it applies.

Used by ``simplify``.  By those of ``EXACT`` every number keeps its bits, and every array its strides.  By those of ``LOOSE`` a
zero may lose its sign, or a copy is left out, so that an array lies otherwise in memory and NumPy adds it up in another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine.unbroadcast import stretched
from ..ops import primitives
from ..ops.primitives.reduce import kept
from ..ops.primitives.shape import inverse
from .parts import NUMBER, Constant, Step
from .shapes import broadcast, without_leading_ones

if TYPE_CHECKING:
    from .simplify import Table

Law = Callable[["Table", Step], "int | None"]

FOLDED = {"add", "subtract", "multiply", "divide", "negative", "square", "sqrt", "reciprocal"}


def nothing_done(table: Table, step: Step) -> int | None:
    """identity(x) = x, stop_gradient(x) = x; reshape, sum_to, transpose that change nothing = x."""
    name = step.primitive.name
    if not _like_source(table, step):
        return None
    turned = name == "transpose" and step.params["axes"] == tuple(range(len(step.shape)))
    return step.args[0] if turned or name in ("identity", "stop_gradient", "reshape", "sum_to") else None


def copied(table: Table, step: Step) -> int | None:
    """broadcast_to, astype, a sum over no axes that change nothing = x; each makes a copy."""
    name = step.primitive.name
    if not _like_source(table, step):
        return None
    return step.args[0] if name in ("broadcast_to", "astype") or (name == "sum" and not step.params["axis"]) else None


def _like_source(table: Table, step: Step) -> bool:
    source = table[step.args[0]] if step.args else None
    return source is not None and source.shape == step.shape and source.dtype == step.dtype


def moved_twice(table: Table, step: Step) -> int | None:
    """reshape(reshape(x)) = reshape(x); broadcast_to(broadcast_to(x)) = broadcast_to(x): the inner one may make a copy."""
    inner = table.step(step.args[0]) if step.primitive.name in ("reshape", "broadcast_to") else None
    return None if inner is None or inner.primitive is not step.primitive else table.make(step, args=inner.args)


def transposed_twice(table: Table, step: Step) -> int | None:
    """transpose(transpose(x)) = transpose(x), by the axes of both."""
    inner = table.step(step.args[0]) if step.primitive.name == "transpose" else None
    if inner is None or inner.primitive is not step.primitive:
        return None
    axes = tuple(inner.params["axes"][i] for i in step.params["axes"])
    return table.make(step, args=inner.args, params={"axes": axes})


def sum_to_is_a_sum(table: Table, step: Step) -> int | None:
    """sum_to(x, shape) = sum of x over the axes that were stretched; every sum keeps its axes, and is reshaped after it."""
    if step.primitive.name == "sum_to":
        source = table[step.args[0]].shape
        axes = stretched(step.shape, source)
    elif step.primitive.name == "sum" and not step.params["keepdims"]:
        source, axes = table[step.args[0]].shape, step.params["axis"]
    else:
        return None
    whole = table.make(
        step, primitive=primitives.sum, params={"axis": axes, "keepdims": True}, shape=kept(source, axes)
    )
    return table.reshaped(whole, step)


def broadcast_last(table: Table, step: Step) -> int | None:
    """f(broadcast(x), y) = f(x, y) where f broadcasts by itself; f(broadcast(x), broadcast(y)) = broadcast(f(x, y))."""
    if not step.primitive.elementwise or step.dtype == NUMBER or not step.primitive.pure:
        return None
    thin = tuple(table.thin(i) for i in step.args)
    small = broadcast(table[i].shape for i in thin)
    if small is None:
        return None
    if without_leading_ones(small) != without_leading_ones(step.shape):
        return table.stretched(table.make(step, args=thin, shape=small), step)
    if thin == step.args:
        return None
    return table.reshaped(table.make(step, args=thin, shape=small), step)


def neutral_elements(table: Table, step: Step) -> int | None:
    """x + 0 = x, x - 0 = x, x * 1 = x, x / 1 = x."""
    name = step.primitive.name
    if name not in ("add", "subtract", "multiply", "divide"):
        return None
    neutral = 0.0 if name in ("add", "subtract") else 1.0
    x, y = step.args
    if table.number_at(y) == neutral:
        return table.shaped(x, step)
    if name in ("add", "multiply") and table.number_at(x) == neutral:
        return table.shaped(y, step)
    return None


def signs(table: Table, step: Step) -> int | None:
    """-(-x) = x; x + (-y) = x - y, x - (-y) = x + y; (-x) * y = -(x * y), and so for a quotient."""
    name = step.primitive.name
    inner = [table.step(i) for i in step.args]
    negated = [s.args[0] if s is not None and s.primitive.name == "negative" else None for s in inner]
    if name == "negative":
        if negated[0] is not None:
            return table.shaped(negated[0], step)
    elif name in ("add", "subtract") and negated[1] is not None:
        other = primitives.subtract if name == "add" else primitives.add
        return table.make(step, primitive=other, args=(step.args[0], negated[1]))
    elif name == "add" and negated[0] is not None:
        return table.make(step, primitive=primitives.subtract, args=(step.args[1], negated[0]))
    elif name in ("multiply", "divide"):
        for i, x in enumerate(negated):
            if x is not None:
                args = (x, step.args[1]) if i == 0 else (step.args[0], x)
                return table.make(step, primitive=primitives.negative, args=(table.make(step, args=args),))
    return None


def difference_turned(table: Table, step: Step) -> int | None:
    """-(x - y) = y - x."""
    inner = table.step(step.args[0]) if step.primitive.name == "negative" else None
    if inner is None or inner.primitive.name != "subtract":
        return None
    return table.make(inner, args=inner.args[::-1])


def numbers(table: Table, step: Step) -> int | None:
    """An operation on Python numbers alone is a number."""
    if step.dtype != NUMBER or step.primitive.name not in FOLDED:
        return None
    values = [table.number_at(i) for i in step.args]
    if not all(isinstance(value, float) for value in values):
        return None
    result = step.primitive.on_floats(values, {})
    return table.number(result) if math.isfinite(result) else None


def transposes_outward(table: Table, step: Step) -> int | None:
    """f(transpose(x), transpose(y)) = transpose(f(x, y)) for an elementwise f; a number stays as it is."""
    if not step.primitive.elementwise or not step.primitive.pure or step.dtype == NUMBER:
        return None
    axes = None
    args = []
    for i in step.args:
        inner = table.step(i)
        if isinstance(table[i], Constant) and table.number_at(i) is not None and not table[i].shape:
            args.append(i)
        elif inner is not None and inner.primitive.name == "transpose" and axes in (None, inner.params["axes"]):
            axes = inner.params["axes"]
            args.append(inner.args[0])
        else:
            return None
    if axes is None:
        return None
    shape = tuple(step.shape[i] for i in inverse(axes))
    inside = table.make(step, args=tuple(args), shape=shape)
    return table.make(step, primitive=primitives.transpose, args=(inside,), params={"axes": axes})


def transpose_outward(table: Table, step: Step) -> int | None:
    """f(transpose(x)) = transpose(f(x)), of one array: where two lie otherwise, axes decide how the result lies."""
    arrays = {i for i in step.args if table[i].shape}
    return transposes_outward(table, step) if len(arrays) == 1 else None


EXACT: tuple[Law, ...] = (nothing_done, transposed_twice, sum_to_is_a_sum, transpose_outward, numbers)

LOOSE: tuple[Law, ...] = (
    signs,
    copied,
    moved_twice,
    transposes_outward,
    broadcast_last,
    neutral_elements,
    difference_turned,
)
