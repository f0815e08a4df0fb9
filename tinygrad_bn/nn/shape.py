"""Modules that only rearrange."""

from __future__ import annotations

import math

from .. import ops
from ..engine import shape_of
from ..errors import ShapeError, explain
from ..functional.settings import whole
from ..kinds import Value
from ..ops.composed.axes import one_axis
from .module import Module


class Flatten(Module):
    """Join the axes from ``start_dim`` to ``end_dim`` (both included) into one, as torch.nn.Flatten.

    By default everything behind the batch axis: (N, C, H, W) to (N, C·H·W).

    Raises:
        ShapeError: no such axis, or an end before the start.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = whole("Flatten", "start_dim", start_dim)
        self.end_dim = whole("Flatten", "end_dim", end_dim)

    def forward(self, x: Value) -> Value:
        shape = shape_of(x)
        name = f"Flatten '{self._scope}'"
        start, end = one_axis(self.start_dim, len(shape), name), one_axis(self.end_dim, len(shape), name)
        if end < start:
            got = f"{self.start_dim} to {self.end_dim} for shape {shape}"
            raise ShapeError(explain(f"{name}: the end is before the start", got=got))
        return ops.reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """x as it is: a place holder where a layer may come."""

    def forward(self, x: Value) -> Value:
        return x
