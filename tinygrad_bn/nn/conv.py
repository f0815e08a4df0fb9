"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from .. import functional
from ..engine import shape_of
from ..errors import ArgumentError, ShapeError, explain
from ..functional.padding import COPIES
from ..functional.settings import choice, flag, floating
from ..functional.sizes import check_layout, per_axis
from ..kinds import DTypeLike, Value
from ..tensor import Parameter
from . import init
from .module import Module

Sizes = int | tuple[int, ...]


class _Convolution(Module):
    n: ClassVar[int]  # how many axes the window slides over

    _fixed: ClassVar[tuple[str, ...]] = ("in_channels", "out_channels", "kernel_size", "groups")

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        dilation: Sizes,
        groups: int,
        bias: bool,
        transposed: bool,
        dtype: DTypeLike,
    ) -> None:
        super().__init__()
        what = type(self).__name__
        dtype, biased = floating(what, dtype), flag(what, "bias", bias)
        self.kernel_size = per_axis(kernel_size, self.n, what, "kernel_size", 1)
        self.stride = per_axis(stride, self.n, what, "stride", 1)
        self.dilation = per_axis(dilation, self.n, what, "dilation", 1)
        (self.in_channels,) = per_axis(in_channels, 1, what, "in_channels", 1)
        (self.out_channels,) = per_axis(out_channels, 1, what, "out_channels", 1)
        (self.groups,) = per_axis(groups, 1, what, "groups", 1)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            got = f"{groups} groups of {in_channels} to {out_channels} channels"
            raise ArgumentError(explain(f"{what}: groups divide the channels of input and output", got=got))
        channels = (self.in_channels, self.out_channels) if transposed else (self.out_channels, self.in_channels)
        shape = (channels[0], channels[1] // self.groups, *self.kernel_size)
        bound = init.fan_in_bound(math.prod(shape[1:]))
        self.weight = Parameter(init.uniform(shape, bound, dtype))
        self.bias = Parameter(init.uniform((self.out_channels,), bound, dtype)) if biased else None

    def _check(self, x: Value) -> None:
        name = f"{type(self).__name__} '{self._scope}'"
        check_layout(x, self.n, name)
        shape = shape_of(x)
        if shape[-self.n - 1] != self.in_channels:
            expected = f"{self.in_channels} channels in axis {len(shape) - self.n - 1}"
            raise ShapeError(explain(f"{name}: wrong number of channels", got=f"shape {shape}", expected=expected))

    def extra_repr(self) -> str:
        settings = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", 0), ("output_padding", 0), ("dilation", 1), ("groups", 1)):
            value = self.__dict__.get(name, usual)
            if value not in (usual, (usual,) * self.n):
                settings += f", {name}={value!r}"
        return settings if self.bias is not None else f"{settings}, bias=False"


class _Conv(_Convolution):
    _fixed = (*_Convolution._fixed, "padding_mode")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, False, dtype)
        what = type(self).__name__
        if isinstance(padding, str):
            if padding != "valid" and (padding != "same" or max(self.stride) > 1):
                expected = 'ints, "valid", or with stride 1 "same"'
                got = f"{padding!r}, stride {self.stride}"
                raise ArgumentError(explain(f"{what}: padding", got=got, expected=expected))
            self.padding: str | tuple[int, ...] = padding
        else:
            self.padding = per_axis(padding, self.n, what, "padding", 0)
        self.padding_mode = choice(what, "padding_mode", padding_mode, ("zeros", *COPIES))

    def _padded(self, x: Value) -> tuple[Value, Any]:
        """The input, padded here unless with zeros, and how many zeros are still to be added."""
        self._check(x)
        if self.padding_mode == "zeros" or self.padding == "valid":
            return x, self.padding
        if isinstance(self.padding, str):
            totals = [gap * (k - 1) for gap, k in zip(self.dilation, self.kernel_size)]
            margins = [(total // 2, total - total // 2) for total in totals]
        else:
            sides = per_axis(self.padding, self.n, type(self).__name__, "padding", 0)
            margins = [(side, side) for side in sides]
        pairs = [n for pair in reversed(margins) for n in pair]  # functional.pad starts with the last axis
        return functional.pad(x, pairs, mode=self.padding_mode), 0

    def extra_repr(self) -> str:
        mode = "" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode!r}"
        return super().extra_repr() + mode


class Conv1d(_Conv):
    """Convolution of (N, C, L) by trained filters; see ``Conv2d``."""

    n = 1

    def forward(self, x: Value) -> Value:
        x, padding = self._padded(x)
        return functional.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Convolution of images by trained filters, as torch.nn.Conv2d; the formula is in ``functional.conv2d``.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output.
        kernel_size: window lengths KH and KW, one int or one per axis.
        stride: step from window to window.
        padding: how much is added at both ends of each axis, or "valid" (nothing) or "same" (what keeps the size).
        dilation: step from element to element inside a window.
        groups: the channels are cut into that many groups, convolved apart.
        bias: whether to add a bias.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular"; see ``functional.pad``.
        dtype: of the parameters.

    Shapes: input (N, C, H, W) or (C, H, W); ``weight`` (O, C / groups, KH, KW), ``bias`` (O,), both uniform on
    ±1/sqrt(fan_in) at first, fan_in = C / groups · KH · KW (He et al. 2015, arXiv:1502.01852, with gain sqrt(1/3)).

    Raises:
        ArgumentError: settings out of range.  On a call, ``ShapeError`` and ``DTypeError`` as ``functional.conv2d``.
    """

    n = 2

    def forward(self, x: Value) -> Value:
        x, padding = self._padded(x)
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_Conv):
    """Convolution of (N, C, D, H, W) by trained filters; see ``Conv2d``."""

    n = 3

    def forward(self, x: Value) -> Value:
        x, padding = self._padded(x)
        return functional.conv3d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, True, dtype)
        what = type(self).__name__
        self.padding = per_axis(padding, self.n, what, "padding", 0)
        self.output_padding = per_axis(output_padding, self.n, what, "output_padding", 0)


class ConvTranspose1d(_ConvTranspose):
    """The transpose of ``Conv1d``, (N, C, L) in; see ``ConvTranspose2d``."""

    n = 1

    def forward(self, x: Value) -> Value:
        self._check(x)
        return functional.conv_transpose1d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTranspose):
    """The transpose of ``Conv2d``, which enlarges images, as torch.nn.ConvTranspose2d.

    The formula is in ``functional.conv_transpose2d``.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output.
        kernel_size: window lengths KH and KW, one int or one per axis.
        stride: step from window to window in the output.
        padding: taken off at both ends of each output axis.
        output_padding: added at the far end of each output axis.
        groups: the channels are cut into that many groups, each with its own filters.
        bias: whether to add a bias.
        dilation: step from element to element inside a window.
        dtype: of the parameters.

    Shapes: input (N, C, H, W) or (C, H, W); ``weight`` (C, O / groups, KH, KW), ``bias`` (O,), both uniform on
    ±1/sqrt(O / groups · KH · KW) at first, as PyTorch's.

    Raises:
        ArgumentError: settings out of range.  On a call, errors as ``functional.conv_transpose2d``.
    """

    n = 2

    def forward(self, x: Value) -> Value:
        self._check(x)
        return functional.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose3d(_ConvTranspose):
    """The transpose of ``Conv3d``, (N, C, D, H, W) in; see ``ConvTranspose2d``."""

    n = 3

    def forward(self, x: Value) -> Value:
        self._check(x)
        return functional.conv_transpose3d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
