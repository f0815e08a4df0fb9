"""Numbers, flags and dtypes as settings of functions and layers: checked where they are given, and named there."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Real
from operator import index
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, explain
from ..kinds import DType, DTypeLike


def number(what: str, name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """A real number as a Python float, which widens no array.

    Args:
        what: the function or layer, for the message.
        name: the setting, for the message.
        value: what was given.
        low: the smallest value that makes sense.
        high: the largest one.

    Raises:
        ArgumentError: something else, NaN or a variable among them.
    """
    real = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not real or not low <= (given := float(value)) <= high:
        bounds = {(-math.inf, math.inf): "a number", (low, math.inf): f"a number >= {low:g}"}
        expected = bounds.get((low, high), f"{low:g} to {high:g}")
        raise ArgumentError(explain(f"{what}: {name}", got=repr(value), expected=expected))
    return given


def above_zero(what: str, name: str, value: Any) -> float:
    """A number larger than 0, as a Python float.

    Raises:
        ArgumentError: something else.
    """
    given = number(what, name, value)
    if given <= 0:
        raise ArgumentError(explain(f"{what}: {name}", got=repr(value), expected="a number > 0"))
    return given


def whole(what: str, name: str, value: Any, least: float = -math.inf) -> int:
    """An int of at least ``least``.

    Raises:
        ArgumentError: something else, such as a text, a float or a flag.
    """
    try:
        if not isinstance(value, bool) and (given := index(value)) >= least:
            return given
    except TypeError:
        pass
    expected = "an int" if least == -math.inf else f"an int of at least {least}"
    raise ArgumentError(explain(f"{what}: {name}", got=repr(value), expected=expected))


def flag(what: str, name: str, value: Any) -> bool:
    """True or False.

    Raises:
        ArgumentError: something else; a text such as "no" would count as true.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(explain(f"{what}: {name}", got=repr(value), expected="True or False"))
    return bool(value)


def choice(what: str, name: str, value: Any, known: Collection[str]) -> str:
    """One of a few words.

    Raises:
        ArgumentError: something else.
    """
    if not isinstance(value, str) or value not in known:
        raise ArgumentError(explain(f"{what}: {name}", got=repr(value), expected=", ".join(known)))
    return value


def floating(what: str, dtype: DTypeLike) -> DType:
    """A floating-point dtype, for parameters.

    Raises:
        DTypeError: something else.
    """
    try:
        # An array or a tensor would lend its own dtype, and None would mean float64.
        given = np.dtype(dtype) if isinstance(dtype, (str, type, np.dtype)) else np.dtype(object)
    except (TypeError, ValueError):
        given = np.dtype(object)
    if given.kind != "f":
        expected = "a floating-point dtype, such as numpy.float32"
        raise DTypeError(explain(f"{what}: dtype", got=repr(dtype), expected=expected))
    return given
