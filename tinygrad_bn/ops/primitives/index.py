"""Taking elements, and putting them back: each of the two is the other's rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine import Primitive, dtype_of, shape_of
from ...engine.unbroadcast import accumulator


def _put_slice(x: Any, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
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


def full_index(pattern: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """NumPy's index tuple: the pattern with the arrays in the places marked ``"array"``."""
    rest = iter(arrays)
    return tuple(np.asarray(next(rest)) if isinstance(part, str) else part for part in pattern)


def _scatter_add(x: Any, *arrays: Any, pattern: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
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


argmax: Primitive = Primitive(
    "argmax",
    lambda x, axis, keepdims: np.argmax(x, axis=axis, keepdims=keepdims),
    None,
    notation="argmax {0}",
    doc="``argmax(x, axis=0, keepdims=False)``: the first position of the largest element; integers, no derivative.",
)

argmin: Primitive = Primitive(
    "argmin",
    lambda x, axis, keepdims: np.argmin(x, axis=axis, keepdims=keepdims),
    None,
    notation="argmin {0}",
    doc="``argmin(x, axis=0, keepdims=False)``: the first position of the smallest element; integers, no derivative.",
)
