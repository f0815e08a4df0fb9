"""Pooling as modules; arguments, shapes and errors as the functions of the same name in ``functional``."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import functional
from ..errors import ArgumentError, explain
from ..functional.settings import flag, number
from ..functional.sizes import per_axis
from ..kinds import Value
from .module import Module

Sizes = int | tuple[int, ...]


class _Pool(Module):
    """The settings that all pools share, checked and kept as they were given."""

    n: ClassVar[int]  # how many axes the window slides over

    def _set_window(self, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool) -> None:
        what = type(self).__name__
        per_axis(kernel_size, self.n, what, "kernel_size", 1)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        per_axis(self.stride, self.n, what, "stride", 1)
        per_axis(padding, self.n, what, "padding", 0)
        self.padding, self.ceil_mode = padding, flag(what, "ceil_mode", ceil_mode)


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self._set_window(kernel_size, stride, padding, ceil_mode)
        per_axis(dilation, self.n, type(self).__name__, "dilation", 1)
        self.dilation = dilation

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window of (N, C, L); see ``functional.max_pool1d``."""

    n = 1

    def forward(self, x: Value) -> Value:
        return functional.max_pool1d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool2d(_MaxPool):
    """The largest element of each window of (N, C, H, W); see ``functional.max_pool2d``."""

    n = 2

    def forward(self, x: Value) -> Value:
        return functional.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool3d(_MaxPool):
    """The largest element of each window of (N, C, D, H, W); see ``functional.max_pool3d``."""

    n = 3

    def forward(self, x: Value) -> Value:
        return functional.max_pool3d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self._set_window(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = flag(type(self).__name__, "count_include_pad", count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, C, L); see ``functional.avg_pool1d``."""

    n = 1

    def forward(self, x: Value) -> Value:
        return functional.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class _DividingAvgPool(_AvgPool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        what = type(self).__name__
        if divisor_override is not None and number(what, "divisor_override", divisor_override) == 0:
            raise ArgumentError(explain(f"{what}: divisor_override cannot be 0", got=divisor_override))
        self.divisor_override = divisor_override

    def _settings(self) -> tuple[Any, ...]:
        window = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return *window, self.count_include_pad, self.divisor_override


class AvgPool2d(_DividingAvgPool):
    """The mean of each window of (N, C, H, W); see ``functional.avg_pool2d``."""

    n = 2

    def forward(self, x: Value) -> Value:
        return functional.avg_pool2d(x, *self._settings())


class AvgPool3d(_DividingAvgPool):
    """The mean of each window of (N, C, D, H, W); see ``functional.avg_pool3d``."""

    n = 3

    def forward(self, x: Value) -> Value:
        return functional.avg_pool3d(x, *self._settings())


class _AdaptiveAvgPool(Module):
    n: ClassVar[int]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        given = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
        known = [1 if size is None else size for size in given]  # None keeps an axis as it is
        per_axis(known, self.n, type(self).__name__, "output_size", 1)
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of ``output_size`` stretches of (N, C, L); see ``functional.adaptive_avg_pool1d``."""

    n = 1

    def forward(self, x: Value) -> Value:
        return functional.adaptive_avg_pool1d(x, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of ``output_size`` tiles of (N, C, H, W), 1 for the whole image; see ``functional.adaptive_avg_pool2d``."""

    n = 2

    def forward(self, x: Value) -> Value:
        return functional.adaptive_avg_pool2d(x, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of ``output_size`` blocks of (N, C, D, H, W); see ``functional.adaptive_avg_pool3d``."""

    n = 3

    def forward(self, x: Value) -> Value:
        return functional.adaptive_avg_pool3d(x, self.output_size)
