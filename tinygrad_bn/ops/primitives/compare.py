"""Choices that depend on values, as operations: comparisons (no derivative), ``where`` and the extrema of two.

They are recorded, so a recorded program never hides a decision: replayed on other values it decides again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...engine import Primitive, astype, dtype_of
from ...kinds import Raw, Value


def _comparison(
    name: str, forward: Callable[..., Raw], compare: Callable[[float, float], bool], sign: str
) -> Primitive:
    return Primitive(
        name,
        forward,
        None,
        None,
        scalar=lambda x, y: float(compare(x, y)),
        elementwise=True,
        notation=f"{{0}} {sign} {{1}}",
        doc=f"``{name}(x, y)``: booleans, without a derivative; 1.0 or 0.0 for scalars.",
    )


greater: Primitive = _comparison("greater", np.greater, lambda x, y: x > y, ">")
greater_equal: Primitive = _comparison("greater_equal", np.greater_equal, lambda x, y: x >= y, "≥")
less: Primitive = _comparison("less", np.less, lambda x, y: x < y, "<")
less_equal: Primitive = _comparison("less_equal", np.less_equal, lambda x, y: x <= y, "≤")
equal: Primitive = _comparison("equal", np.equal, lambda x, y: x == y, "=")
not_equal: Primitive = _comparison("not_equal", np.not_equal, lambda x, y: x != y, "≠")
logical_and: Primitive = _comparison("logical_and", np.logical_and, lambda x, y: bool(x) and bool(y), "∧")
logical_or: Primitive = _comparison("logical_or", np.logical_or, lambda x, y: bool(x) or bool(y), "∨")
logical_xor: Primitive = _comparison("logical_xor", np.logical_xor, lambda x, y: bool(x) != bool(y), "⊻")

logical_not: Primitive = Primitive(
    "logical_not",
    np.logical_not,
    None,
    scalar=lambda x: float(not x),
    elementwise=True,
    notation="¬{0}",
    doc="``logical_not(x)``: booleans, without a derivative.",
)


def _question(name: str, forward: Callable[..., Raw], answer: Callable[[float], bool], words: str) -> Primitive:
    return Primitive(
        name,
        forward,
        None,
        scalar=lambda x: float(answer(x)),
        elementwise=True,
        notation=f"{{0}} {words}",
        doc=f"``{name}(x)``: whether x is {words}; booleans, without a derivative.",
    )


isfinite: Primitive = _question("isfinite", np.isfinite, math.isfinite, "finite")
isinf: Primitive = _question("isinf", np.isinf, math.isinf, "infinite")
isnan: Primitive = _question("isnan", np.isnan, math.isnan, "NaN")

# The integers as wide as a float, for those floats whose zeros in a gradient are most of what ``where`` is called for.
_BITS = {"f": np.int32, "d": np.int64}


def _where(condition: Raw, x: Raw, y: Raw) -> Raw:
    """As ``numpy.where``.  Zeros beside an array come from its bits times 0 or 1: the same numbers, inf and NaN included, and
    up to nine times as fast, because the processor need not guess which one comes next.
    """
    if type(condition) is np.ndarray and condition.dtype == bool:
        if _is_zero(y) and type(x) is np.ndarray and x.dtype.char in _BITS:
            return (x.view(_BITS[x.dtype.char]) * condition).view(x.dtype)
        if _is_zero(x) and type(y) is np.ndarray and y.dtype.char in _BITS:
            return (y.view(_BITS[y.dtype.char]) * ~condition).view(y.dtype)
    return np.where(condition, x, y)


def _is_zero(value: Raw) -> bool:
    return type(value) is float and value == 0.0 and math.copysign(1.0, value) > 0.0


where: Primitive = Primitive(
    "where",
    _where,
    None,
    lambda g, out, condition, x, y: where(condition, g, 0.0),
    lambda g, out, condition, x, y: where(condition, 0.0, g),
    scalar=lambda condition, x, y: x if condition else y,
    elementwise=True,
    notation="{1} if {0} else {2}",
    doc="``where(condition, x, y)``: x where the condition holds, y elsewhere; the other one gets gradient 0 there.",
)


def nothing(g: Value) -> Value:
    """Zeros like ``g``, as an operation: the cotangent of an argument that does not matter.  0 * g would be NaN at inf."""
    return where(False, g, 0.0)


maximum: Primitive = Primitive(
    "maximum",
    np.maximum,
    lambda g, out, x, y: where(equal(x, y), g * 0.5, where(greater(x, y), g, 0.0)),
    lambda g, out, x, y: where(equal(x, y), g * 0.5, where(less(x, y), g, 0.0)),
    scalar=lambda x, y: float(np.maximum(x, y)) if x != x or y != y else max(x, y),
    elementwise=True,
    notation="max({0}, {1})",
    doc="``maximum(x, y)``: the larger, elementwise; a tie gives half the gradient to each; NaN wins.",
)

minimum: Primitive = Primitive(
    "minimum",
    np.minimum,
    lambda g, out, x, y: where(equal(x, y), g * 0.5, where(less(x, y), g, 0.0)),
    lambda g, out, x, y: where(equal(x, y), g * 0.5, where(greater(x, y), g, 0.0)),
    scalar=lambda x, y: float(np.minimum(x, y)) if x != x or y != y else min(x, y),
    elementwise=True,
    notation="min({0}, {1})",
    doc="``minimum(x, y)``: the smaller, elementwise; a tie gives half the gradient to each; NaN wins.",
)

clip: Primitive = Primitive(
    "clip",
    np.clip,
    lambda g, out, x, low, high: where(logical_and(greater_equal(x, low), less_equal(x, high)), g, 0.0),
    lambda g, out, x, low, high: where(logical_and(less(x, low), less_equal(low, high)), g, 0.0),
    lambda g, out, x, low, high: where(greater(maximum(x, low), high), g, 0.0),
    scalar=lambda x, low, high: minimum(maximum(x, low), high),
    elementwise=True,
    notation="clip({0}, {1}, {2})",
    doc="``clip(x, low, high)``: both bounds given; at a bound x still gets the whole gradient;"
    " where the bounds cross, the upper one wins, as in NumPy.",
)


def mask_like(mask: Value, g: Value) -> Value:
    """A boolean mask as numbers to count with, in ``g``'s dtype; in float32 beside halves, which end at 65504."""
    dtype = dtype_of(g).name
    return astype(mask, dtype="float32" if dtype == "float16" else dtype)
