"""Taking elements, and putting them back: each of the two is the other's rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine import Primitive, Variable, dtype_of, shape_of
from ...engine.unbroadcast import accumulator
from ...kinds import Array, Plain, Raw, Shape


def _put_slice(x: Raw, index: tuple[Any, ...], shape: Shape) -> Raw:
    out = np.zeros(shape, dtype_of(x))
    out[index] = x
    return out


take_slice: Primitive = Primitive(
    "take_slice",
    lambda x, index: x[index],
    lambda g, out, x, index: put_slice(g, index=index, shape=shape_of(x)),
    notation="{0}[{index}]",
    doc="``take_slice(x, index=(0, slice(1, None), None, Ellipsis))``: NumPy's basic indexing; each element at most once.",
)

put_slice: Primitive = Primitive(
    "put_slice",
    _put_slice,
    lambda g, out, x, index, shape: take_slice(g, index=index),
    notation="0[{index}] ← {0}",
    doc="``put_slice(x, index=..., shape=...)``: zeros of the shape, with x where ``take_slice`` takes from.",
)


def full_index(pattern: tuple[Any, ...], arrays: tuple[Raw, ...]) -> tuple[Any, ...]:
    """NumPy's index tuple: the pattern with the arrays in the places marked ``"array"``."""
    rest = iter(arrays)
    return tuple(np.asarray(next(rest)) if isinstance(part, str) else part for part in pattern)


def _scatter_add(x: Raw, *arrays: Raw, pattern: tuple[Any, ...], shape: Shape) -> Raw:
    out = np.zeros(shape, accumulator(dtype_of(x)))
    np.add.at(out, full_index(pattern, arrays), x)
    return out.astype(dtype_of(x), copy=False)


# Index arrays are arguments, not parameters: they are data, and a recorded program shows them.
gather: Primitive = Primitive(
    "gather",
    lambda x, *arrays, pattern: x[full_index(pattern, arrays)],
    variadic=lambda i, g, out, x, *arrays, pattern: scatter_add(g, *arrays, pattern=pattern, shape=shape_of(x)),
    notation="{0}[...]",
    doc="``gather(x, rows, pattern=('array', slice(None)))``: NumPy's advanced indexing by integer arrays.",
)

scatter_add: Primitive = Primitive(
    "scatter_add",
    _scatter_add,
    variadic=lambda i, g, out, x, *arrays, pattern, shape: gather(g, *arrays, pattern=pattern),
    notation="0[...] += {0}",
    doc="``scatter_add(x, rows, pattern=..., shape=...)``: zeros of the shape, plus x at the index; repeats add up.",
)


def _put_diagonal(x: Raw, offset: int, shape: Shape) -> Raw:
    out = np.zeros(shape, dtype_of(x))
    i = np.arange(shape_of(x)[-1])
    out[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return out


take_diagonal: Primitive = Primitive(
    "take_diagonal",
    lambda x, offset: np.diagonal(x, offset, -2, -1),
    lambda g, out, x, offset: put_diagonal(g, offset=offset, shape=shape_of(x)),
    notation="diagonal {0}",
    doc="``take_diagonal(x, offset=0)``: a diagonal of the last two axes, as the last axis.",
)

put_diagonal: Primitive = Primitive(
    "put_diagonal",
    _put_diagonal,
    lambda g, out, x, offset, shape: take_diagonal(g, offset=offset),
    notation="diagonal ← {0}",
    doc="``put_diagonal(x, offset=0, shape=...)``: zeros of the shape, with x where ``take_diagonal`` takes from.",
)


def _positions(name: str, words: str) -> Primitive:
    find = getattr(np, name)

    def forward(x: Raw, **params: Plain) -> Raw:
        return find(x, **params)

    return Primitive(
        name,
        forward,
        None,
        object_forward=lambda x, **params: find(plain(x), **params),  # Python's comparisons would pass over a NaN
        notation=f"{name} {{0}}",
        doc=f"``{name}(x, axis=0, ...)``: {words}; integers, no derivative.",
    )


argmax: Primitive = _positions("argmax", "the first position of the largest element")
argmin: Primitive = _positions("argmin", "the first position of the smallest element")
argsort: Primitive = _positions("argsort", "the positions of the elements in rising order")


def plain(x: Array) -> Array:
    """The values of an array of scalars and numbers."""
    values: Array = np.frompyfunc(lambda v: v.item() if isinstance(v, Variable) else v, 1, 1)(x)
    return np.asarray(values, float)
