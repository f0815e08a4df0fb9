"""Activations under PyTorch's names: those of ``ops``, and what PyTorch adds to them."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import ArgumentError, explain
from ..ops import elu, gelu, leaky_relu, relu, sigmoid, silu, tanh
from ..ops.composed.axes import as_value


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta · x)) / beta, a smooth relu; x itself where beta · x exceeds the threshold.

    As torch.nn.functional.softplus (Dugas et al. 2001).  With ``threshold=inf`` the formula holds everywhere; it does
    not overflow.

    Raises:
        ArgumentError: beta is 0.
    """
    if beta == 0:
        raise ArgumentError(explain("softplus: beta divides", got=beta, expected="a number other than 0"))
    x = as_value(x)
    scaled = x * float(beta)
    return ops.where(ops.greater(scaled, float(threshold)), x, ops.softplus(scaled) / float(beta))


def softmax(x: Any, dim: int) -> Any:
    """exp(x) / sum(exp(x)) along the axis ``dim``, without overflow."""
    return ops.softmax(x, axis=dim)


def log_softmax(x: Any, dim: int) -> Any:
    """log(softmax(x)) along the axis ``dim``, without overflow."""
    return ops.log_softmax(x, axis=dim)


__all__ = [
    "elu", "gelu", "leaky_relu", "log_softmax", "relu", "sigmoid", "silu", "softmax", "softplus", "tanh"
]  # fmt: skip
