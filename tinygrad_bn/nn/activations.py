"""Activations as modules."""

from __future__ import annotations

from typing import ClassVar

from .. import functional, ops
from ..errors import ArgumentError, explain
from ..functional.settings import choice, number, whole
from ..kinds import Value
from .module import Checks, Module


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, x: Value) -> Value:
        return ops.sigmoid(x)


class ReLU(Module):
    """max(x, 0), elementwise; derivative 0 at 0."""

    def forward(self, x: Value) -> Value:
        return ops.relu(x)


class Tanh(Module):
    """Hyperbolic tangent, elementwise."""

    def forward(self, x: Value) -> Value:
        return ops.tanh(x)


class LeakyReLU(Module):
    """x where x > 0, else ``negative_slope * x``; see ``functional.leaky_relu``."""

    _checks: ClassVar[Checks] = {"negative_slope": lambda what, value: number(what, "negative_slope", value)}

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Value) -> Value:
        return functional.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where x > 0, else ``alpha * (exp(x) - 1)``; see ``functional.elu``."""

    _checks: ClassVar[Checks] = {"alpha": lambda what, value: number(what, "alpha", value)}

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Value) -> Value:
        return functional.elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """x times the normal distribution function of x, or with ``approximate="tanh"`` nearly so; see ``functional.gelu``."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = choice("GELU", "approximate", approximate, ("none", "tanh"))

    def forward(self, x: Value) -> Value:
        return functional.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x times sigmoid(x), elementwise; see ``functional.silu``."""

    def forward(self, x: Value) -> Value:
        return functional.silu(x)


class Softplus(Module):
    """log(1 + exp(beta · x)) / beta, or x where beta · x exceeds the threshold; see ``functional.softplus``."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = number("Softplus", "beta", beta), number("Softplus", "threshold", threshold)
        if beta == 0:
            raise ArgumentError(explain("Softplus: beta divides", got=beta, expected="a number other than 0"))

    def forward(self, x: Value) -> Value:
        return functional.softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """exp(x) / sum(exp(x)) along the axis ``dim``, which has to be given; see ``functional.softmax``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = whole("Softmax", "dim", dim)

    def forward(self, x: Value) -> Value:
        return functional.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """log(softmax(x)) along the axis ``dim``, which has to be given; see ``functional.log_softmax``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = whole("LogSoftmax", "dim", dim)

    def forward(self, x: Value) -> Value:
        return functional.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
