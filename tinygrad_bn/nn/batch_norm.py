"""Batch Normalization as modules: ``functional.batch_norm`` plus its parameters and running statistics."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..engine import reading, shape_of, write
from ..errors import ArgumentError, ShapeError, explain
from ..functional.batch_norm import _batch_norm
from ..tensor import Parameter, Tensor
from .module import Module


class _BatchNorm(Module):
    input_dims: ClassVar[tuple[int, ...]]
    expects: ClassVar[str]

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        fits = num_features >= 0 and eps >= 0 and (momentum is None or 0 <= momentum <= 1)
        if not fits or np.dtype(dtype).kind != "f":
            got = f"num_features={num_features}, eps={eps}, momentum={momentum}, dtype={np.dtype(dtype)}"
            expected = "num_features and eps >= 0, momentum from 0 to 1 or None, a floating-point dtype"
            raise ArgumentError(explain(f"{type(self).__name__}: settings out of range", got=got, expected=expected))
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine else None
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if track_running_stats else None)

    def forward(self, x: Any) -> Any:
        shape = shape_of(x)
        if len(shape) not in self.input_dims or shape[1] != self.num_features:
            expected = self.expects.replace("C", str(self.num_features))
            raise ShapeError(
                explain(f"{type(self).__name__} '{self._scope}': wrong input", got=f"shape {shape}", expected=expected)
            )
        momentum, counter = self.momentum, self.num_batches_tracked
        if momentum is None:  # the plain average over batches
            momentum = 0.0
            if self.training and counter is not None:
                momentum = 1.0 / (ops.astype(reading(counter), float) + 1.0)
        y, moved = _batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, momentum, self.eps
        )
        if self.training and counter is not None:
            moved.append((counter, reading(counter) + 1))
        if moved:
            write(moved, fresh=True)
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch Normalization of (N, C) or (N, C, L), as torch.nn.BatchNorm1d (arXiv:1502.03167).

    Args:
        num_features: C, the number of channels.
        eps: added to the variance, inside the root.
        momentum: how far running statistics move towards the batch's; ``None`` for their plain average over batches.
        affine: whether to learn a scale ``weight`` (γ, first 1) and a shift ``bias`` (β, first 0), each of shape (C,).
        track_running_stats: keep ``running_mean``, ``running_var`` (unbiased) and ``num_batches_tracked``; without
            them evaluation uses the batch's own statistics too.
        dtype: of parameters and buffers.

    In training mode each channel is normalised by the mean and the biased variance of the batch; a single value per
    channel is a ``ShapeError``.  In evaluation mode (``eval()``) the running statistics are used.
    """

    input_dims = (2, 3)
    expects = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Batch Normalization of (N, C, H, W), as torch.nn.BatchNorm2d; arguments and state as ``BatchNorm1d``."""

    input_dims = (4,)
    expects = "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """Batch Normalization of (N, C, D, H, W), as torch.nn.BatchNorm3d; arguments and state as ``BatchNorm1d``."""

    input_dims = (5,)
    expects = "(N, C, D, H, W)"
