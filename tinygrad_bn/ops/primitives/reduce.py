"""Reductions along axes.  ``axis`` is a sorted tuple of non-negative axes here; see ``composed`` for NumPy's spelling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...engine import Primitive, broadcast_to, shape_of
from ...engine.unbroadcast import accumulator, add_reduce
from ...kinds import Array, Raw, Shape, Value
from .compare import equal, logical_or, mask_like, not_equal, where
from .index import plain
from .shape import reshape


def kept(shape: Shape, axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that reducing ``axis`` gives with ``keepdims=True``."""
    return tuple(1 if i in axis else size for i, size in enumerate(shape))


def spread(g: Value, x: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    """Repeat a reduced array along the reduced axes, back to the shape of ``x``."""
    if not keepdims:
        g = reshape(g, shape=kept(shape_of(x), axis))
    return broadcast_to(g, shape=shape_of(x))


def _only(x: float, axis: tuple[int, ...], keepdims: bool) -> float:
    """A single number has no axes to reduce."""
    return x


sum: Primitive = Primitive(  # noqa: A001
    "sum",
    add_reduce,
    lambda g, out, x, axis, keepdims: spread(g, x, axis, keepdims),
    scalar=_only,
    notation="Σ {0}",
    doc="``sum(x, axis=(0,), keepdims=False)``.",
)


def count(shape: Shape, axis: tuple[int, ...]) -> float:
    """How many elements each reduction over ``axis`` takes in."""
    product = 1.0
    for i in axis:
        product *= shape[i]
    return product


def _mean(x: Raw, axis: tuple[int, ...], keepdims: bool) -> Raw:
    n = count(x.shape, axis)
    if x.dtype == np.float16:  # rounded once: the sum may be out of range where the mean is not
        total = np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=accumulator(x.dtype))  # type: ignore[call-overload]
        return (total / n).astype(x.dtype)
    return add_reduce(x, axis, keepdims) / n


mean: Primitive = Primitive(
    "mean",
    _mean,
    lambda g, out, x, axis, keepdims: spread(g / count(shape_of(x), axis), x, axis, keepdims),
    scalar=_only,
    object_forward=lambda x, axis, keepdims: x.sum(axis=axis, keepdims=keepdims) / count(x.shape, axis),
    notation="mean {0}",
    doc="``mean(x, axis=(0,), keepdims=False)``: the sum divided by the count of its own argument, which is no part of a"
    " recorded program.",
)


def _extremum_rule(g: Value, out: Value, x: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    """Split equally among ties.  An extremum that is NaN has no place: all get NaN."""
    extremum = spread(out, x, axis, keepdims)
    chosen = logical_or(equal(x, extremum), not_equal(extremum, extremum))
    many = sum(mask_like(chosen, g), axis=axis, keepdims=keepdims)
    share = where(equal(out, out), g / many, out)
    return where(chosen, spread(share, x, axis, keepdims), 0.0)


def _object_extremum(pick: Callable[..., Raw]) -> Callable[..., Value]:
    """On scalars: the mean of the elements that equal the extremum, which shares the gradient among ties alike."""

    def object_forward(x: Array, axis: tuple[int, ...], keepdims: bool) -> Value:
        values = plain(x)
        extremum = pick(values, axis=axis, keepdims=True)
        chosen = (values == extremum) | np.isnan(extremum)
        total = where(chosen, x, 0.0).sum(axis=axis, keepdims=keepdims)
        many = np.where(np.isnan(extremum), np.nan, chosen.sum(axis=axis, keepdims=True))
        return total / many.reshape(np.shape(total))

    return object_forward


max: Primitive = Primitive(  # noqa: A001
    "max",
    lambda x, axis, keepdims: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
    _extremum_rule,
    scalar=_only,
    object_forward=_object_extremum(np.max),
    notation="max {0}",
    doc="``max(x, axis=(0,), keepdims=False)``: ties share the gradient equally.",
)

min: Primitive = Primitive(  # noqa: A001
    "min",
    lambda x, axis, keepdims: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
    _extremum_rule,
    scalar=_only,
    object_forward=_object_extremum(np.min),
    notation="min {0}",
    doc="``min(x, axis=(0,), keepdims=False)``: ties share the gradient equally.",
)


def _cumulative_sum(x: Raw, axis: int, reverse: bool) -> Raw:
    if x.dtype == np.float16:
        return _cumulative_sum(x.astype(accumulator(x.dtype)), axis, reverse).astype(x.dtype)
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)


cumsum: Primitive = Primitive(
    "cumsum",
    _cumulative_sum,
    lambda g, out, x, axis, reverse: cumsum(g, axis=axis, reverse=not reverse),
    notation="cumsum {0}",
    doc="``cumsum(x, axis=0, reverse=False)``: running sums along a non-negative axis, from either end.",
)


def _whether(name: str, forward: Callable[..., Raw], words: str) -> Primitive:
    return Primitive(
        name,
        lambda x, axis, keepdims: forward(x, axis=axis, keepdims=keepdims),
        None,
        scalar=lambda x, axis, keepdims: float(x != 0.0),
        object_forward=lambda x, axis, keepdims: forward(plain(x), axis=axis, keepdims=keepdims),
        notation=f"{name} {{0}}",
        doc=f"``{name}(x, axis=(0,), keepdims=False)``: whether {words}; booleans, without a derivative.",
    )


all: Primitive = _whether("all", np.all, "no element is 0")  # noqa: A001
any: Primitive = _whether("any", np.any, "some element is not 0")  # noqa: A001
