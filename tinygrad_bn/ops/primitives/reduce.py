"""Reductions along axes.  ``axis`` is a sorted tuple of non-negative axes here; see ``composed`` for NumPy's spelling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine import Primitive, broadcast_to, shape_of
from ...engine.unbroadcast import add_reduce
from .compare import equal, mask_like, where
from .shape import reshape


def kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that reducing ``axis`` gives with ``keepdims=True``."""
    return tuple(1 if i in axis else size for i, size in enumerate(shape))


def spread(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
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


def _extremum_rule(g: Any, out: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Split equally among ties."""
    chosen = mask_like(equal(x, spread(out, x, axis, keepdims)), g)
    return spread(g, x, axis, keepdims) * chosen / sum(chosen, axis=axis, keepdims=True)


def _unfold_extremum(pick: Any) -> Any:
    """On scalars: the mean of the elements that equal the extremum, which shares the gradient among ties alike."""

    def unfold(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        values = np.vectorize(float, otypes=[float])(x)
        chosen = (values == pick(values, axis=axis, keepdims=True)) | np.isnan(values)
        total = where(chosen, x, 0.0).sum(axis=axis, keepdims=keepdims)
        return total / chosen.sum(axis=axis, keepdims=keepdims).astype(float)

    return unfold


max: Primitive = Primitive(  # noqa: A001
    "max",
    lambda x, axis, keepdims: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
    _extremum_rule,
    scalar=_only,
    unfold=_unfold_extremum(np.max),
    notation="max {0}",
    doc="``max(x, axis=(0,), keepdims=False)``: ties share the gradient equally.",
)

min: Primitive = Primitive(  # noqa: A001
    "min",
    lambda x, axis, keepdims: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
    _extremum_rule,
    scalar=_only,
    unfold=_unfold_extremum(np.min),
    notation="min {0}",
    doc="``min(x, axis=(0,), keepdims=False)``: ties share the gradient equally.",
)


def _cumulative_sum(x: Any, axis: int, reverse: bool) -> Any:
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)


cumsum: Primitive = Primitive(
    "cumsum",
    _cumulative_sum,
    lambda g, out, x, axis, reverse: cumsum(g, axis=axis, reverse=not reverse),
    notation="cumsum {0}",
    doc="``cumsum(x, axis=0, reverse=False)``: running sums along a non-negative axis, from either end.",
)
