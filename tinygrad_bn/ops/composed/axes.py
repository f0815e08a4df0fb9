"""Axis arguments as NumPy takes them, normalized: sorted non-negative tuples, or an error that says what is wrong."""

from __future__ import annotations

from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from ...engine import Variable, shape_of
from ...errors import DTypeError, ShapeError, explain, native
from ...kinds import Shape, Value

Axis = int | tuple[int, ...] | list[int] | None


def as_value(x: Value) -> Value:
    """A variable or an ndarray or a number as it is (a Python number widens no dtype); a list as an array."""
    if isinstance(x, (Variable, np.ndarray, float, int, np.generic)):
        return x
    return np.asarray(native(x, "an operation"))


def as_array(x: Value) -> Value:
    """A variable or an ndarray as it is; numbers and lists as an array, so that there is a shape to work on."""
    return x if isinstance(x, (Variable, np.ndarray)) else np.asarray(native(x, "an operation"))


def one_axis(axis: Any, ndim: int, what: str) -> int:
    """A non-negative axis number."""
    try:
        number = index(axis)
    except TypeError:
        raise DTypeError(explain(f"{what}: an axis is an integer", got=repr(axis))) from None
    if not -ndim <= number < ndim:
        expected = f"{-ndim} to {ndim - 1}" if ndim else "no axis: the value is a single number"
        raise ShapeError(explain(f"{what}: no such axis", got=f"axis {axis} of {ndim} axes", expected=expected))
    return number % ndim


def many_axes(axis: Axis, ndim: int, what: str) -> tuple[int, ...]:
    """A sorted tuple of non-negative axes; ``None`` means all."""
    try:
        if isinstance(axis, (tuple, list)):
            axis = tuple(map(index, axis))  # (0, 1.0) == (0, 1): the cache would not see the difference
        return _sorted_axes(axis, ndim, what)
    except TypeError as error:
        if isinstance(error, DTypeError):
            raise
        expected = "an integer, a tuple of integers or None"
        raise DTypeError(explain(f"{what}: this is no axis", got=repr(axis), expected=expected)) from None


@lru_cache(maxsize=1024, typed=True)  # called by every reduction, mostly with the same few arguments
def _sorted_axes(axis: int | tuple[int, ...] | None, ndim: int, what: str) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(sorted(one_axis(a, ndim, what) for a in given))
    if len(set(axes)) != len(axes):
        raise ShapeError(explain(f"{what}: an axis twice", got=f"axis {axis} of {ndim} axes"))
    return axes


def count(shape: Shape, axes: tuple[int, ...]) -> int:
    """How many elements each reduction over ``axes`` takes in."""
    product = 1
    for axis in axes:
        product *= shape[axis]
    return product


def integers(value: Any, what: str) -> tuple[int, ...]:
    """An integer, or a sequence of integers, as a tuple of Python's own."""
    given = value.tolist() if isinstance(value, np.ndarray) and value.ndim else value
    try:
        return tuple(index(n) for n in (given if isinstance(given, (tuple, list)) else (given,)))
    except TypeError:
        raise DTypeError(explain(f"{what}: integers expected", got=repr(value))) from None


__all__ = ["Axis", "as_array", "as_value", "count", "integers", "many_axes", "one_axis", "shape_of"]
