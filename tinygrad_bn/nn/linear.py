"""The linear layer."""

from __future__ import annotations

import numpy as np

from ..engine import shape_of
from ..errors import ShapeError, explain
from ..functional.settings import flag, floating, whole
from ..kinds import DTypeLike, Value
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

    Raises:
        ArgumentError, DTypeError: settings out of range.  On a call, ``ShapeError`` for another length.
    """

    _fixed = ("in_features", "out_features")

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        dtype = floating("Linear", dtype)
        in_features = self.in_features = whole("Linear", "in_features", in_features, 0)
        out_features = self.out_features = whole("Linear", "out_features", out_features, 0)
        bound = init.fan_in_bound(in_features)
        # Column-major, so that weight.T, which enters the product, and its gradient are contiguous.
        self.weight = Parameter(np.asfortranarray(init.uniform((out_features, in_features), bound, dtype)))
        self.bias = Parameter(init.uniform((out_features,), bound, dtype)) if flag("Linear", "bias", bias) else None

    def forward(self, x: Value) -> Value:
        if shape_of(x)[-1:] != (self.in_features,):
            expected = f"(..., {self.in_features})"
            raise ShapeError(
                explain(f"Linear '{self._scope}': wrong input size", got=f"shape {shape_of(x)}", expected=expected)
            )
        y = matmul(x, transpose(self.weight))
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
