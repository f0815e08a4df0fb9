"""Batch Normalization as modules: ``functional.batch_norm`` plus its parameters and running statistics."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..engine import reading, shape_of, write
from ..errors import ShapeError, explain
from ..functional.batch_norm import Mean, _batch_norm
from ..functional.settings import flag, floating, number, whole
from ..kinds import DTypeLike, Shape, Value
from ..tensor import Parameter, Tensor
from .module import Checks, Module


class TrackingNorm(Module):
    """What Batch and Instance Normalization hold: per channel a scale, a shift and running statistics, each if wanted."""

    _fixed = ("num_features", "affine", "track_running_stats")
    _checks: ClassVar[Checks] = {
        "eps": lambda what, value: number(what, "eps", value, 0.0),
        "momentum": lambda what, value: number(what, "momentum", value, 0.0, 1.0),
    }

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    momentum: float | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        dtype: DTypeLike,
        bias: bool,
    ) -> None:
        super().__init__()
        what = type(self).__name__
        dtype, biased = floating(what, dtype), flag(what, "bias", bias)
        num_features = self.num_features = whole(what, "num_features", num_features, 0)
        self.eps, self.momentum = eps, momentum
        self.affine = flag(what, "affine", affine)
        self.track_running_stats = flag(what, "track_running_stats", track_running_stats)
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine and biased else None
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if track_running_stats else None)

    def _refusal_to_set(self, name: str, value: Any) -> str:
        if name != "track_running_stats":
            return super()._refusal_to_set(name, value)
        kind = type(self).__name__
        if value:
            return explain(f"{kind} has no running statistics to move", fix=f"make a new layer, nn.{kind}(...)")
        fix = "set momentum = 0.0, which leaves the running statistics as they are, or make a layer without them"
        return explain(f"{kind}.track_running_stats was decided when the layer was made", got=repr(value), fix=fix)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(TrackingNorm):
    input_dims: ClassVar[Collection[int]]
    expects: ClassVar[str]

    _checks: ClassVar[Checks] = {
        **TrackingNorm._checks,
        "momentum": lambda what, value: None if value is None else number(what, "momentum", value, 0.0, 1.0),
    }

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: DTypeLike = np.float32,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, x: Value) -> Value:
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
        mean, count = self._mean(shape)
        y, moved = _batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            momentum,
            self.eps,
            mean,
            count,
        )
        if self.training and counter is not None:
            moved.append((counter, reading(counter) + 1))
        if moved:
            write(moved, fresh=True)
        return y

    def _mean(self, shape: Shape) -> tuple[Mean, Value]:
        """What takes the batch's mean, and over how many values per channel where those are not the batch's alone."""
        return ops.mean, None


class BatchNorm1d(_BatchNorm):
    """Batch Normalization of (N, C) or (N, C, L), as torch.nn.BatchNorm1d (arXiv:1502.03167).

    Args:
        num_features: C, the number of channels.
        eps: added to the variance, inside the root.
        momentum: the weight of the batch in the running statistics; ``None`` for the plain average over batches.
        affine: whether to learn a scale ``weight`` (γ, first 1) and a shift ``bias`` (β, first 0), each of shape (C,).
        track_running_stats: keep ``running_mean``, ``running_var`` (unbiased) and ``num_batches_tracked``; without
            them evaluation uses the batch's own statistics too.
        dtype: of parameters and buffers.
        bias: whether β is among what ``affine`` learns.

    Raises:
        ArgumentError, DTypeError: settings out of range.

    In training mode each channel is normalized by the mean and the biased variance of the batch; a single value per
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
