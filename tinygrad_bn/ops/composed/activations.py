"""Activations beyond the primitive ones (sigmoid, tanh, relu, softplus): formulas with their source."""

from __future__ import annotations

import math

from ...errors import ArgumentError, explain
from ...kinds import Value
from .. import primitives
from .axes import as_value


def leaky_relu(x: Value, negative_slope: float = 0.01) -> Value:
    """x where x > 0, else ``negative_slope * x``; derivative ``negative_slope`` at 0 (Maas et al. 2013)."""
    x = as_value(x)
    return primitives.where(primitives.greater(x, 0.0), x, x * negative_slope)


def elu(x: Value, alpha: float = 1.0) -> Value:
    """x where x > 0, else ``alpha * (exp(x) - 1)``; derivative ``alpha`` at 0 (Clevert et al. 2015, arXiv:1511.07289)."""
    x = as_value(x)
    positive = primitives.greater(x, 0.0)
    return primitives.where(
        positive, x, primitives.expm1(primitives.where(positive, 0.0, x)) * alpha
    )  # the inner choice keeps exp from overflowing


def gelu(x: Value, approximate: str = "none") -> Value:
    """x times the normal distribution function of x (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    ``approximate="tanh"`` uses the paper's approximation by tanh.

    Raises:
        ArgumentError: any other ``approximate`` than ``"none"`` and ``"tanh"``.
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(explain("gelu: unknown approximation", got=repr(approximate), expected="'none' or 'tanh'"))
    x = as_value(x)
    if approximate == "tanh":
        return x * 0.5 * (primitives.tanh((x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)) + 1.0)
    return x * 0.5 * (primitives.erf(x * math.sqrt(0.5)) + 1.0)


def silu(x: Value) -> Value:
    """x times primitives.sigmoid(x), also called swish (Elfwing et al. 2017, arXiv:1702.03118)."""
    x = as_value(x)
    return x * primitives.sigmoid(x)
