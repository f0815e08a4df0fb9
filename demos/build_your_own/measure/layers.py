"""The layer as its author writes it, and its primitive; beside them mistakes, planted to see whether they are noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import nn, ops

# -- the layer, as its author writes it ---------------------------------------------------------------------------------


class RMSNorm(nn.Module):
    """Each example over the root of its mean square, times a gain for each feature."""

    def __init__(self, features: Any, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(np.ones(features, np.float32))
        self.eps = eps

    def forward(self, x: Any) -> Any:
        mean_square = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return self.gain * (x / ops.sqrt(mean_square + self.eps))


class LayerNorm(nn.Module):
    """The same around the mean, with a shift (Ba et al. 2016, arXiv:1607.06450)."""

    def __init__(self, features: Any, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(np.ones(features, np.float32))
        self.shift = nn.Parameter(np.zeros(features, np.float32))
        self.eps = eps

    def forward(self, x: Any) -> Any:
        centered = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
        return self.gain * (centered / ops.sqrt(variance + self.eps)) + self.shift


# -- two mistakes -------------------------------------------------------------------------------------------------------


class LeavesTheGraph(RMSNorm):
    """RMSNorm whose mean square is computed beside the graph: the values are right, the gradient is not."""

    def forward(self, x: Any) -> Any:
        numbers = x.numpy() if isinstance(x, tg.Tensor) else x
        mean_square = np.mean(np.square(numbers), axis=-1, keepdims=True)
        return self.gain * (x / ops.sqrt(mean_square + self.eps))


class ForgetsTheRoot(RMSNorm):
    """RMSNorm without the root: the gradient is that of what is written, which is not the formula."""

    def forward(self, x: Any) -> Any:
        mean_square = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return self.gain * (x / (mean_square + self.eps))


# -- a primitive --------------------------------------------------------------------------------------------------------


def forward(x: Any) -> Any:
    """1/√x, on arrays."""
    return 1.0 / np.sqrt(x)


def rule(g: Any, out: Any, x: Any) -> Any:
    """How fast the loss grows with x, where it grows with the result by g: d(x^-1/2)/dx is -1/2 x^-3/2."""
    return g * -0.5 * out * out * out


def primitive(name: str, rule: Callable[..., Any]) -> tg.Primitive:
    """1/√x as one operation, on arrays and on single numbers."""
    return tg.Primitive(name, forward, rule, scalar=lambda x: x**-0.5, elementwise=True, notation="1/√({0})")


rsqrt = primitive("rsqrt", rule)


class WithRsqrt(RMSNorm):
    """RMSNorm with the primitive."""

    def forward(self, x: Any) -> Any:
        return self.gain * (x * rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + self.eps))


def forgets_a_factor(g: Any, out: Any, x: Any) -> Any:
    """A wrong rule: one factor ``out`` too few."""
    return g * -0.5 * out * out


def sums_up(g: Any, out: Any, x: Any) -> Any:
    """A rule that breaks the contract: one number instead of one for each element of x."""
    return ops.sum(rule(g, out, x))
