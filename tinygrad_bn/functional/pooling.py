"""Pooling: the largest element or the mean of each window.

The windows are laid out with their elements along one first axis, so that a reduction over that axis does the work.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..engine import dtype_of, scope, shape_of
from ..errors import ArgumentError, ShapeError, explain
from ..kinds import Array, Value
from ..ops.composed.axes import as_value
from .settings import flag, number
from .sizes import check_layout, per_axis

Sizes = int | tuple[int, ...]
Ints = tuple[int, ...]


def max_pool1d(
    x: Value, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Value:  # fmt: skip
    """The largest element of each window of (N, C, L); arguments and errors as ``max_pool2d``."""
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, 1, "max_pool1d")


def max_pool2d(
    x: Value, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Value:  # fmt: skip
    """The largest element of each window, as torch.nn.functional.max_pool2d.

    Of equal largest elements the first, row by row, gets the gradient.

    Args:
        x: shape (N, C, H, W) or (C, H, W).
        kernel_size: window lengths, one int or one per axis.
        stride: step from window to window; the kernel size by default.
        padding: positions of -inf added at both ends of each axis, at most half of the window.
        dilation: step from element to element inside a window.
        ceil_mode: also take windows that stick out at the far end, as long as they start inside.

    Raises:
        ShapeError: another number of axes, or a window larger than the padded image.
        ArgumentError: sizes out of range.
    """
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, 2, "max_pool2d")


def max_pool3d(
    x: Value, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Value:  # fmt: skip
    """The largest element of each window of (N, C, D, H, W); arguments and errors as ``max_pool2d``."""
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, 3, "max_pool3d")


def avg_pool1d(
    x: Value, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:  # fmt: skip
    """The mean of each window of (N, C, L); arguments and errors as ``avg_pool2d``."""
    return _avg_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1, "avg_pool1d")


def avg_pool2d(
    x: Value, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Value:  # fmt: skip
    """The mean of each window, as torch.nn.functional.avg_pool2d.

    Args:
        x: shape (N, C, H, W) or (C, H, W).
        kernel_size: window lengths, one int or one per axis.
        stride: step from window to window; the kernel size by default.
        padding: zeros added at both ends of each axis, at most half of the window.
        ceil_mode: also take windows that stick out at the far end, as long as they start inside.
        count_include_pad: whether the padding counts as elements (zeros) in the mean.
        divisor_override: divide the sum by this instead of by the number of elements.

    Raises:
        ShapeError: another number of axes, or a window larger than the padded image.
        ArgumentError: sizes out of range.
    """
    return _avg_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2, "avg_pool2d")


def avg_pool3d(
    x: Value, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Value:  # fmt: skip
    """The mean of each window of (N, C, D, H, W); arguments and errors as ``avg_pool2d``."""
    return _avg_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3, "avg_pool3d")


def adaptive_avg_pool1d(x: Value, output_size: Any) -> Value:
    """Means of as many stretches as asked for, (N, C, L) to (N, C, output_size); see ``adaptive_avg_pool2d``."""
    return _adaptive(x, output_size, 1, "adaptive_avg_pool1d")


def adaptive_avg_pool2d(x: Value, output_size: Any) -> Value:
    """Means of as many tiles as asked for, as torch.nn.functional.adaptive_avg_pool2d.

    Tile i of n along an axis of length S covers positions floor(i · S / n) to ceil((i + 1) · S / n) - 1.

    Args:
        x: shape (N, C, H, W) or (C, H, W).
        output_size: an int or one per axis; ``None`` keeps an axis as it is.  1 is the mean of the whole image.

    Raises:
        ShapeError: another number of axes, or an axis without elements.
        ArgumentError: an output size below 1.
    """
    return _adaptive(x, output_size, 2, "adaptive_avg_pool2d")


def adaptive_avg_pool3d(x: Value, output_size: Any) -> Value:
    """Means of as many blocks as asked for, (N, C, D, H, W) in; see ``adaptive_avg_pool2d``."""
    return _adaptive(x, output_size, 3, "adaptive_avg_pool3d")


def _max_pool(
    x: Value,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    n: int,
    what: str,
) -> Value:
    x = as_value(x)
    check_layout(x, n, what)
    window, steps, margins = _window(kernel_size, stride, padding, n, what)
    gaps, ceil_mode = per_axis(dilation, n, what, "dilation", 1), flag(what, "ceil_mode", ceil_mode)
    out, extras = _positions(shape_of(x), window, steps, margins, gaps, ceil_mode, what)
    with scope(what):
        laid = _laid_out(x, window, steps, margins, gaps, extras, -math.inf)
        chosen = ops.take_along_axis(laid, ops.argmax(laid, axis=0, keepdims=True), axis=0)
        return ops.reshape(chosen, (*shape_of(x)[:-n], *out))


def _avg_pool(
    x: Value, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None, n: int, what: str,
) -> Value:  # fmt: skip
    x = as_value(x)
    check_layout(x, n, what)
    window, steps, margins = _window(kernel_size, stride, padding, n, what)
    ceil_mode, count_include_pad = (
        flag(what, "ceil_mode", ceil_mode),
        flag(what, "count_include_pad", count_include_pad),
    )
    _check_divisor(divisor_override, what)
    out, extras = _positions(shape_of(x), window, steps, margins, (1,) * n, ceil_mode, what)
    with scope(what):
        laid = _laid_out(x, window, steps, margins, (1,) * n, extras, 0.0)
        total = ops.reshape(ops.sum(laid, axis=0), (*shape_of(x)[:-n], *out))
        if divisor_override is not None:
            return total / float(divisor_override)
        if not any(extras) and (count_include_pad or not any(margins)):
            return total / float(math.prod(window))
        lengths = shape_of(x)[-n:]
        kept = margins if count_include_pad else (0,) * n
        counts = _counts(out, window, steps, margins, [(-keep, size + keep) for keep, size in zip(kept, lengths)])
        return total / counts.astype(dtype_of(x))


def _adaptive(x: Value, output_size: Any, n: int, what: str) -> Value:
    x = as_value(x)
    check_layout(x, n, what)
    shape = shape_of(x)
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
    own = shape[-n:]
    if len(given) == n:  # None keeps an axis; another count is refused below
        given = tuple(size if wanted is None else wanted for wanted, size in zip(given, own))
    sizes = per_axis(given, n, what, "output_size", 1)
    if min(own) < 1:
        raise ShapeError(explain(f"{what}: an axis without elements", got=f"shape {shape}"))
    with scope(what):
        if set(sizes) == {1}:
            return ops.mean(x, axis=tuple(range(-n, 0)), keepdims=True)
        tiles = [_tiles(size, length).astype(dtype_of(x)) for size, length in zip(sizes, own)]
        y = ops.matmul(x, tiles[-1].T)
        if n > 1:
            y = ops.matmul(tiles[-2], y)
        if n > 2:  # an axis further in front: rows of a matrix whose columns are the two axes behind it
            y = ops.reshape(y, (*shape[:-2], sizes[-2] * sizes[-1]))
            y = ops.reshape(ops.matmul(tiles[-3], y), (*shape[:-3], *sizes))
        return y


def _check_divisor(divisor_override: int | None, what: str) -> None:
    if divisor_override is not None and number(what, "divisor_override", divisor_override) == 0:
        raise ArgumentError(explain(f"{what}: divisor_override cannot be 0", got=divisor_override))


def _tiles(size: int, length: int) -> Array:
    """The matrix that takes means of ``size`` stretches of ``length`` positions."""
    i = np.arange(size)[:, None]
    position = np.arange(length)
    inside = (position >= i * length // size) & (position < -(-(i + 1) * length // size))
    means: Array = inside / inside.sum(axis=1, keepdims=True)
    return means


def _window(kernel_size: Sizes, stride: Sizes | None, padding: Sizes, n: int, what: str) -> tuple[Ints, Ints, Ints]:
    window = per_axis(kernel_size, n, what, "kernel_size", 1)
    steps = window if stride is None else per_axis(stride, n, what, "stride", 1)
    margins = per_axis(padding, n, what, "padding", 0)
    if any(margin > k // 2 for margin, k in zip(margins, window)):
        got = f"padding {margins}, kernel_size {window}"
        raise ArgumentError(explain(f"{what}: padding is at most half of the window", got=got))
    return window, steps, margins


def _positions(
    shape: Ints, window: Ints, steps: Ints, margins: Ints, gaps: Ints, ceil_mode: bool, what: str
) -> tuple[Ints, Ints]:
    """How many windows fit along each axis, and how far the last one sticks out (in ``ceil_mode``)."""
    counts, extras = [], []
    for size, k, step, margin, gap in zip(shape[-len(window) :], window, steps, margins, gaps):
        room = size + 2 * margin - gap * (k - 1) - 1
        count = (room + step - 1 if ceil_mode else room) // step + 1
        if ceil_mode and (count - 1) * step >= size + margin:  # it would start in the padding
            count -= 1
        if count < 1 or size == 0:
            got = f"kernel_size {window}, dilation {gaps}, padding {margins} for shape {shape}"
            raise ShapeError(explain(f"{what}: the window is larger than the image", got=got, fix="use a smaller one"))
        if margin and gap > size:
            got = f"dilation {gaps} for shape {shape}, padding {margins}"
            raise ShapeError(explain(f"{what}: a window may hold nothing but padding", got=got, fix="dilate less"))
        counts.append(count)
        extras.append(max(0, (count - 1) * step - room))
    return tuple(counts), tuple(extras)


def _laid_out(x: Value, window: Ints, steps: Ints, margins: Ints, gaps: Ints, extras: Ints, fill: float) -> Value:
    """Windows as a matrix: one row per element of the window, one column per window."""
    n = len(window)
    lead = len(shape_of(x)) - n
    if any(margins) or any(extras):
        x = ops.pad(x, [(0, 0)] * lead + [(m, m + extra) for m, extra in zip(margins, extras)], fill)
    patches = ops.sliding_window(x, window, steps, gaps)
    shape = shape_of(patches)
    first = ops.transpose(patches, (*range(lead + n, lead + 2 * n), *range(lead + n)))
    return ops.reshape(first, (math.prod(window), math.prod(shape[: lead + n])))


def _counts(out: Ints, window: Ints, steps: Ints, margins: Ints, bounds: list[tuple[int, int]]) -> Array:
    """How many elements of each window lie within the bounds."""
    counts: Array = np.ones(())
    for count, k, step, margin, (low, high) in zip(out, window, steps, margins, bounds):
        start = np.arange(count) * step - margin
        counts = np.multiply.outer(counts, np.minimum(start + k, high) - np.maximum(start, low))
    return counts
