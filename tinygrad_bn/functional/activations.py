"""Activations under PyTorch's names: those of ``ops``, and what PyTorch adds to them."""

from __future__ import annotations

from .. import ops
from ..engine import shape_of
from ..errors import ArgumentError, explain
from ..kinds import Value
from ..ops import elu, gelu, leaky_relu, relu, sigmoid, silu, tanh
from ..ops.composed.axes import as_value, one_axis
from .settings import number


def softplus(x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """log(1 + exp(beta · x)) / beta, a smooth relu; x itself where beta · x exceeds the threshold.

    As torch.nn.functional.softplus (Dugas et al. 2001).  With ``threshold=inf`` the formula holds everywhere; it does
    not overflow.

    Raises:
        ArgumentError: beta is 0.
    """
    beta, threshold = number("softplus", "beta", beta), number("softplus", "threshold", threshold)
    if beta == 0:
        raise ArgumentError(explain("softplus: beta divides", got=beta, expected="a number other than 0"))
    x = as_value(x)
    scaled = x * beta
    return ops.where(ops.greater(scaled, threshold), x, ops.softplus(scaled) / beta)


def softmax(x: Value, dim: int) -> Value:
    """exp(x) / sum(exp(x)) along the axis ``dim``, without overflow; nothing, of an axis without elements."""
    x = as_value(x)
    return ops.exp(x) if _is_empty(x, dim, "softmax") else ops.softmax(x, axis=dim)


def log_softmax(x: Value, dim: int) -> Value:
    """log(softmax(x)) along the axis ``dim``, without overflow; nothing, of an axis without elements."""
    x = as_value(x)
    return ops.exp(x) if _is_empty(x, dim, "log_softmax") else ops.log_softmax(x, axis=dim)


def _is_empty(x: Value, dim: int, what: str) -> bool:
    shape = shape_of(x)
    return bool(shape) and shape[one_axis(dim, len(shape), what)] == 0


__all__ = [
    "elu", "gelu", "leaky_relu", "log_softmax", "relu", "sigmoid", "silu", "softmax", "softplus", "tanh"
]  # fmt: skip
