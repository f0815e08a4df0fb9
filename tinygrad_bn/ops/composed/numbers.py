"""Elementwise operations that look at the kind of their arguments: a constant exponent, a missing bound, a dtype."""

from __future__ import annotations

import math

import numpy as np

from ...engine import Variable, dtype_of
from ...engine import astype as convert
from ...errors import ArgumentError, DTypeError, explain
from ...kinds import DType, DTypeLike, Value
from .. import primitives
from .axes import as_array, as_value, integers


def power(x: Value, exponent: Value) -> Value:
    """x to a power, as ``numpy.power``: a Python number as exponent is a constant, anything else an argument.

    ``x ** 2`` at 0 has derivative 0, ``x ** 0`` has derivative 0 everywhere.
    """
    if type(exponent) is int or type(exponent) is float:
        return primitives.power_constant(as_value(x), exponent=exponent)
    return primitives.power(as_value(x), as_value(exponent))


def clip(x: Value, low: Value = None, high: Value = None) -> Value:
    """x limited to ``low`` and ``high``, as ``numpy.clip``; exactly at a bound the gradient is still 1.

    Raises:
        ArgumentError: no bound at all.
    """
    if low is None and high is None:
        raise ArgumentError(explain("clip: at least one bound", got="None and None"))
    x = as_value(x)
    lowest, highest = _ends(dtype_of(x))
    return primitives.clip(x, lowest if low is None else as_value(low), highest if high is None else as_value(high))


def _ends(dtype: DType) -> tuple[float, float]:
    """Bounds that bound nothing, and that leave integers integers."""
    return (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (-math.inf, math.inf)


def round(x: Value, decimals: int = 0) -> Value:  # noqa: A001
    """To a number of decimals, the even one of two that are as near, as ``numpy.round``; its derivative is 0."""
    x = as_value(x)
    (decimals,) = integers(decimals, "round")
    whole = dtype_of(x).kind in "iu"
    if decimals == 0 or (whole and decimals > 0):
        return x if whole else primitives.rint(x)
    scale = 10.0 ** abs(decimals)
    rounded = primitives.rint(x * scale) / scale if decimals > 0 else primitives.rint(x / scale) * scale
    return astype(rounded, dtype_of(x)) if whole else rounded


def astype(x: Value, dtype: DTypeLike) -> Value:
    """The same numbers in another dtype.

    A gradient passes between floating-point dtypes; rounding to integers or booleans has none, and ends the graph there.

    Args:
        x: a variable or numbers.
        dtype: as in NumPy: ``"float32"``, ``numpy.float32``, ``int``, ...

    Raises:
        DTypeError: not a dtype, or for a variable one that it cannot hold (complex, strings, objects).
    """
    x = as_array(x)
    try:
        target = np.dtype(dtype)
    except TypeError:
        raise DTypeError(explain("astype: not a dtype", got=repr(dtype))) from None
    if isinstance(x, Variable) and target.kind not in "fiub":
        raise DTypeError(explain("astype: a variable holds real numbers or booleans", got=f"dtype {target}"))
    return convert(x if target.kind == "f" else primitives.stop_gradient(x), dtype=target.name)
