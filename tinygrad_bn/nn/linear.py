"""The linear layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import shape_of
from ..errors import ArgumentError, ShapeError, explain
from ..ops import matmul, transpose
from ..tensor import Parameter
from . import init
from .module import Module


class Linear(Module):
    """``x @ weight.T + bias``, as torch.nn.Linear.

    Args:
        in_features: length of the input's last axis.
        out_features: length of the output's last axis.
        bias: whether to add a bias.
        dtype: of the parameters.

    Shapes: input (..., in_features), output (..., out_features); ``weight`` (out_features, in_features), ``bias``
    (out_features,), both uniform on ±1/sqrt(in_features) at first.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = np.float32) -> None:
        super().__init__()
        if in_features < 0 or out_features < 0:
            raise ArgumentError(explain("Linear: sizes cannot be negative", got=f"{in_features}, {out_features}"))
        self.in_features, self.out_features = in_features, out_features
        bound = init.fan_in_bound(in_features)
        # Column-major, so that weight.T, which enters the product, and its gradient are contiguous.
        self.weight = Parameter(np.asfortranarray(init.uniform((out_features, in_features), bound, dtype)))
        self.bias = Parameter(init.uniform((out_features,), bound, dtype)) if bias else None

    def forward(self, x: Any) -> Any:
        if shape_of(x)[-1:] != (self.in_features,):
            expected = f"(..., {self.in_features})"
            raise ShapeError(
                explain(f"Linear '{self._scope}': wrong input size", got=f"shape {shape_of(x)}", expected=expected)
            )
        y = matmul(x, transpose(self.weight))
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
