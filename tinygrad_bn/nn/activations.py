"""Activations as modules."""

from __future__ import annotations

from typing import Any

from .. import ops
from .module import Module


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class ReLU(Module):
    """max(x, 0), elementwise; derivative 0 at 0."""

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class Tanh(Module):
    """Hyperbolic tangent, elementwise."""

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)
