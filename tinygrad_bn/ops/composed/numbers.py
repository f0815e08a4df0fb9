"""Elementwise operations that pick a primitive by the kind of their arguments."""

from __future__ import annotations

import math
from typing import Any

from ...engine.errors import ArgumentError, explain
from ..primitives import arithmetic
from ..primitives.compare import clip_between
from .axes import as_value


def power(x: Any, exponent: Any) -> Any:
    """x to a power, as ``numpy.power``: a Python number as exponent is a constant, anything else an argument.

    ``x ** 2`` at 0 has derivative 0, ``x ** 0`` has derivative 0 everywhere.
    """
    if isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        return arithmetic.power_constant(as_value(x), exponent=exponent)
    return arithmetic.power(as_value(x), as_value(exponent))


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """x limited to ``low`` and ``high``, as ``numpy.clip``; exactly at a bound the gradient is still 1."""
    if low is None and high is None:
        raise ArgumentError(explain("clip: at least one bound", got="None and None"))
    return clip_between(
        as_value(x), -math.inf if low is None else as_value(low), math.inf if high is None else as_value(high)
    )
