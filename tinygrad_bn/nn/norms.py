"""Layer, group, instance and RMS normalization as modules: the formulas of ``functional`` plus their parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import functional, ops
from ..engine import shape_of
from ..errors import ArgumentError, ShapeError, explain
from ..functional.settings import flag, floating, number
from ..functional.sizes import check_layout, per_axis
from ..kinds import DTypeLike, Value
from ..tensor import Parameter
from .batch_norm import TrackingNorm
from .module import Module


class LayerNorm(Module):
    """Normalize each example over its last axes, as torch.nn.LayerNorm; see ``functional.layer_norm``.

    Args:
        normalized_shape: the lengths of the axes to average over; an int for the last axis.
        eps: added to the variance, inside the root.
        elementwise_affine: whether to learn ``weight`` (γ, first 1) and ``bias`` (β, first 0), each of shape
            ``normalized_shape``.
        bias: whether β is among them.
        dtype: of the parameters.

    Raises:
        ArgumentError, DTypeError: settings out of range.  On a call, errors as ``functional.layer_norm``.
    """

    _fixed = ("normalized_shape", "elementwise_affine")

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        dtype, biased = floating("LayerNorm", dtype), flag("LayerNorm", "bias", bias)
        self.normalized_shape = _lengths("LayerNorm", normalized_shape)
        self.eps = number("LayerNorm", "eps", eps, 0.0)
        self.elementwise_affine = flag("LayerNorm", "elementwise_affine", elementwise_affine)
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, dtype)) if elementwise_affine and biased else None

    def forward(self, x: Value) -> Value:
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """Divide each example by its root mean square, as torch.nn.RMSNorm; see ``functional.rms_norm``.

    Args:
        normalized_shape: the lengths of the axes to average over; an int for the last axis.
        eps: added to the mean square, inside the root; the input's machine epsilon by default.
        elementwise_affine: whether to learn ``weight`` (γ, first 1) of shape ``normalized_shape``.
        dtype: of the parameter.

    Raises:
        ArgumentError, DTypeError: settings out of range.  On a call, errors as ``functional.rms_norm``.
    """

    _fixed = ("normalized_shape", "elementwise_affine")

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        dtype = floating("RMSNorm", dtype)
        self.normalized_shape = _lengths("RMSNorm", normalized_shape)
        self.eps = None if eps is None else number("RMSNorm", "eps", eps, 0.0)
        self.elementwise_affine = flag("RMSNorm", "elementwise_affine", elementwise_affine)
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None

    def forward(self, x: Value) -> Value:
        return functional.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalize groups of channels of each example, as torch.nn.GroupNorm; see ``functional.group_norm``.

    Args:
        num_groups: divides the channels.
        num_channels: C; the input is (N, C, ...).
        eps: added to the variance, inside the root.
        affine: whether to learn ``weight`` (γ, first 1) and ``bias`` (β, first 0), each of shape (C,).
        dtype: of the parameters.
        bias: whether β is among what ``affine`` learns.

    Raises:
        ArgumentError, DTypeError: settings out of range.  On a call, errors as ``functional.group_norm``.
    """

    _fixed = ("num_channels", "affine")

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: DTypeLike = np.float32,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        dtype, biased = floating("GroupNorm", dtype), flag("GroupNorm", "bias", bias)
        (self.num_groups,) = per_axis(num_groups, 1, "GroupNorm", "num_groups", 1)
        (self.num_channels,) = per_axis(num_channels, 1, "GroupNorm", "num_channels", 1)
        if self.num_channels % self.num_groups:
            got = f"{num_groups} groups of {num_channels} channels"
            raise ArgumentError(explain("GroupNorm: the groups divide the channels", got=got))
        self.eps, self.affine = number("GroupNorm", "eps", eps, 0.0), flag("GroupNorm", "affine", affine)
        self.weight = Parameter(np.ones(self.num_channels, dtype)) if affine else None
        self.bias = Parameter(np.zeros(self.num_channels, dtype)) if affine and biased else None

    def forward(self, x: Value) -> Value:
        shape = shape_of(x)
        if shape[1:2] != (self.num_channels,):
            got, expected = f"shape {shape}", f"(N, {self.num_channels}, ...)"
            raise ShapeError(explain(f"GroupNorm '{self._scope}': wrong input", got=got, expected=expected))
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _InstanceNorm(TrackingNorm):
    n: ClassVar[int]
    momentum: float

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: DTypeLike = np.float32,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, x: Value) -> Value:
        name = f"{type(self).__name__} '{self._scope}'"
        batched = check_layout(x, self.n, name)
        shape = shape_of(x)
        if shape[-self.n - 1] != self.num_features:
            got = f"shape {shape}"
            raise ShapeError(explain(f"{name}: wrong number of channels", got=got, expected=self.num_features))
        y = functional.instance_norm(
            x if batched else ops.expand_dims(x, 0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum,
            self.eps,
        )
        return y if batched else ops.squeeze(y, 0)


class InstanceNorm1d(_InstanceNorm):
    """Normalize each channel of each example of (N, C, L) or (C, L), as torch.nn.InstanceNorm1d.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance, inside the root.
        momentum: the weight of the batch in the running statistics, from 0 to 1.
        affine: whether to learn ``weight`` (γ, first 1) and ``bias`` (β, first 0), each of shape (C,).
        track_running_stats: keep ``running_mean`` and ``running_var`` and use them in evaluation.  PyTorch keeps
            ``num_batches_tracked`` too, and leaves it at 0; so it is here.
        dtype: of parameters and buffers.
        bias: whether β is among what ``affine`` learns.

    The formula is in ``functional.instance_norm``.

    Raises:
        ArgumentError, DTypeError: settings out of range.  On a call, errors as ``functional.instance_norm``.
    """

    n = 1


class InstanceNorm2d(_InstanceNorm):
    """Normalize each channel of each image of (N, C, H, W) or (C, H, W); arguments as ``InstanceNorm1d``."""

    n = 2


class InstanceNorm3d(_InstanceNorm):
    """Normalize each channel of each volume of (N, C, D, H, W) or (C, D, H, W); arguments as ``InstanceNorm1d``."""

    n = 3


def _lengths(what: str, sizes: Any) -> tuple[int, ...]:
    """Sizes as a tuple."""
    given = tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,)
    if not given:
        raise ArgumentError(explain(f"{what}: no axis to average over", got="an empty shape"))
    return per_axis(given, len(given), what, "normalized_shape", 1)
