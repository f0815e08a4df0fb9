"""Convolution as one matrix product over sliding windows, and its transpose.

    y[n, o] = bias[o] + sum over c, i, j of weight[o, c, i, j] · x[n, c, stride · position + dilation · (i, j)]

(a cross-correlation, as in all deep-learning libraries; Dumoulin and Visin 2016, arXiv:1603.07285).  The windows are
laid out as the columns of a matrix, so that all positions share one large product (Chellapilla et al. 2006, "High
Performance Convolutional Neural Networks for Document Processing").
"""

from __future__ import annotations

import math

from .. import ops
from ..engine import dtype_of, scope, shape_of
from ..errors import ArgumentError, DTypeError, ShapeError, explain
from ..kinds import Value
from ..ops.composed.axes import as_value
from ..ops.primitives.window import overlap_add
from .settings import whole
from .sizes import check_layout, per_axis

Sizes = int | tuple[int, ...]
Pairs = list[tuple[int, int]]


def conv1d(
    x: Value,
    weight: Value,
    bias: Value = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """Convolution of (N, C, L) by ``weight`` of shape (O, C / groups, K); arguments and errors as ``conv2d``."""
    return _convolve(x, weight, bias, stride, padding, dilation, groups, 1, "conv1d")


def conv2d(
    x: Value,
    weight: Value,
    bias: Value = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """Convolution of images, as torch.nn.functional.conv2d.

    Args:
        x: shape (N, C, H, W), or (C, H, W) for a single image; floating point.
        weight: shape (O, C / groups, KH, KW).
        bias: shape (O,), or ``None``.
        stride: step from window to window, one int or one per axis.
        padding: zeros added at both ends of each axis; "valid" for none, or "same" for as many as keep the size
            (the odd one at the far end; stride 1 only).
        dilation: step from element to element inside a window.
        groups: the channels are cut into that many groups, each convolved by its share of the filters.

    Returns:
        shape (N, O, HO, WO) with ``HO = (H + padding - dilation * (KH - 1) - 1) // stride + 1``, padding being that of
        both ends together; (O, HO, WO) for a single image.

    Raises:
        ShapeError: channels, weight and bias that do not fit each other, or a window larger than the padded image.
        DTypeError: an image of integers.
        ArgumentError: sizes out of range, or groups that do not divide the channels.
    """
    return _convolve(x, weight, bias, stride, padding, dilation, groups, 2, "conv2d")


def conv3d(
    x: Value,
    weight: Value,
    bias: Value = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """Convolution of (N, C, D, H, W) by ``weight`` of shape (O, C / groups, KD, KH, KW); see ``conv2d``."""
    return _convolve(x, weight, bias, stride, padding, dilation, groups, 3, "conv3d")


def conv_transpose1d(
    x: Value,
    weight: Value,
    bias: Value = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """The transpose of ``conv1d``, (N, C, L) by ``weight`` of shape (C, O / groups, K); see ``conv_transpose2d``."""
    return _convolve_transposed(
        x, weight, bias, stride, padding, output_padding, groups, dilation, 1, "conv_transpose1d"
    )


def conv_transpose2d(
    x: Value,
    weight: Value,
    bias: Value = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """The transpose of ``conv2d`` as a linear map: each input element adds a scaled filter to the output.

    As torch.nn.functional.conv_transpose2d.  What ``conv2d`` of the same weight and settings takes apart into windows
    and multiplies is here multiplied and added back as windows.

    Args:
        x: shape (N, C, H, W), or (C, H, W) for a single image; floating point.
        weight: shape (C, O / groups, KH, KW).
        bias: shape (O,), or ``None``.
        stride: step from window to window in the output.
        padding: taken off at both ends of each output axis.
        output_padding: added at the far end of each output axis, smaller than stride or dilation.
        groups: the channels are cut into that many groups, each with its own filters.
        dilation: step from element to element inside a window.

    Returns:
        shape (N, O, HO, WO) with ``HO = (H - 1) * stride - 2 * padding + dilation * (KH - 1) + output_padding + 1``.

    Raises:
        ShapeError, DTypeError, ArgumentError: as ``conv2d``.
    """
    return _convolve_transposed(
        x, weight, bias, stride, padding, output_padding, groups, dilation, 2, "conv_transpose2d"
    )


def conv_transpose3d(
    x: Value,
    weight: Value,
    bias: Value = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """The transpose of ``conv3d``, (N, C, D, H, W) by ``weight`` of shape (C, O / groups, KD, KH, KW).

    Arguments and errors as ``conv_transpose2d``.
    """
    return _convolve_transposed(
        x, weight, bias, stride, padding, output_padding, groups, dilation, 3, "conv_transpose3d"
    )


def _convolve(
    x: Value,
    weight: Value,
    bias: Value,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
    n: int,
    what: str,
) -> Value:
    x, weight = as_value(x), as_value(weight)
    batched = check_layout(x, n, what)
    if not batched:
        x = ops.expand_dims(x, 0)
    steps, gaps = per_axis(stride, n, what, "stride", 1), per_axis(dilation, n, what, "dilation", 1)
    out_channels, _, *window = _checked(x, weight, bias, groups, n, what, transposed=False)
    widths = _padding(padding, window, steps, gaps, n, what)
    examples, channels, *sizes = shape_of(x)
    if any(
        before + size + after < gap * (k - 1) + 1 for (before, after), size, gap, k in zip(widths, sizes, gaps, window)
    ):
        got = f"window {tuple(window)} with dilation {gaps} on {tuple(sizes)} padded by {widths}"
        raise ShapeError(explain(f"{what}: the window is larger than the image", got=got, fix="use more padding"))
    with scope(what):
        if any(before or after for before, after in widths):
            x = ops.pad(x, [(0, 0), (0, 0), *widths])
        spread = [p + size + q for size, (p, q) in zip(sizes, widths)]
        out = [(size - gap * (k - 1) - 1) // step + 1 for size, gap, k, step in zip(spread, gaps, window, steps)]
        # Few filters and many positions: a product per example stays in the cache.  Otherwise one for the whole batch.
        blocks = max(1, examples) if 4 * out_channels <= math.prod(out) else 1
        x = ops.reshape(x, (blocks, examples // blocks, channels, *spread))
        patches = ops.sliding_window(x, tuple(window), steps, gaps)  # (block, example, C, out..., window...), a view
        # Per block, one column per example and position, one row per channel and window element.
        columns = ops.transpose(patches, (0, 2, *range(3 + n, 3 + 2 * n), 1, *range(3, 3 + n)))
        rows = channels // groups * math.prod(window)
        columns = ops.reshape(columns, (blocks, groups, rows, examples // blocks * math.prod(out)))
        filters = ops.reshape(weight, (groups, out_channels // groups, rows))
        y = ops.reshape(ops.matmul(filters, columns), (blocks, out_channels, examples // blocks, *out))
        y = ops.reshape(ops.swapaxes(y, 1, 2), (examples, out_channels, *out))
        return _finished(y, bias, batched, n)


def _convolve_transposed(
    x: Value,
    weight: Value,
    bias: Value,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
    n: int,
    what: str,
) -> Value:
    x, weight = as_value(x), as_value(weight)
    batched = check_layout(x, n, what)
    if not batched:
        x = ops.expand_dims(x, 0)
    steps, gaps = per_axis(stride, n, what, "stride", 1), per_axis(dilation, n, what, "dilation", 1)
    cuts, extras = per_axis(padding, n, what, "padding", 0), per_axis(output_padding, n, what, "output_padding", 0)
    if any(extra >= max(step, gap) for extra, step, gap in zip(extras, steps, gaps)):
        got = f"output_padding {extras}, stride {steps}, dilation {gaps}"
        raise ArgumentError(explain(f"{what}: output_padding is smaller than stride or dilation", got=got))
    channels, share, *window = _checked(x, weight, bias, groups, n, what, transposed=True)
    examples, _, *sizes = shape_of(x)
    whole = [(size - 1) * s + d * (k - 1) + 1 for size, s, d, k in zip(sizes, steps, gaps, window)]
    ends = [full + extra - cut for full, extra, cut in zip(whole, extras, cuts)]
    if any(end <= cut for end, cut in zip(ends, cuts)):
        got = f"input {shape_of(x)}, window {tuple(window)}, padding {cuts}"
        raise ShapeError(explain(f"{what}: nothing is left of the output", got=got, fix="use less padding"))
    with scope(what):
        columns = ops.reshape(ops.swapaxes(x, 0, 1), (groups, channels // groups, examples * math.prod(sizes)))
        filters = ops.reshape(weight, (groups, channels // groups, share * math.prod(window)))
        patches = ops.matmul(ops.swapaxes(filters, 1, 2), columns)
        patches = ops.reshape(patches, (groups * share, *window, examples, *sizes))
        patches = ops.transpose(patches, (1 + n, 0, *range(2 + n, 2 + 2 * n), *range(1, 1 + n)))
        shape = (examples, groups * share, *whole)
        y = overlap_add(patches, window=tuple(window), stride=steps, dilation=gaps, shape=shape)
        if any(extras):
            y = ops.pad(y, [(0, 0), (0, 0), *((0, extra) for extra in extras)])
        if any(cuts):
            y = ops.getitem(y, (..., *(slice(cut, end) for cut, end in zip(cuts, ends))))
        return _finished(y, bias, batched, n)


def _finished(y: Value, bias: Value, batched: bool, n: int) -> Value:
    if bias is not None:
        y = y + ops.reshape(bias, (-1, *[1] * n))
    return y if batched else ops.squeeze(y, 0)


def _padding(
    padding: Sizes | str, window: list[int], steps: tuple[int, ...], gaps: tuple[int, ...], n: int, what: str
) -> Pairs:
    """Zeros before and after, per axis."""
    if not isinstance(padding, str):
        return [(p, p) for p in per_axis(padding, n, what, "padding", 0)]
    if padding == "valid":
        return [(0, 0)] * n
    if padding != "same" or max(steps) > 1:
        expected = 'ints, "valid", or with stride 1 "same"'
        raise ArgumentError(explain(f"{what}: padding", got=f"{padding!r}, stride {steps}", expected=expected))
    totals = [gap * (k - 1) for gap, k in zip(gaps, window)]
    return [(total // 2, total - total // 2) for total in totals]


def _checked(x: Value, weight: Value, bias: Value, groups: int, n: int, what: str, transposed: bool) -> tuple[int, ...]:
    """The weight's shape, once everything fits."""
    for name, value in (("input", x), ("weight", weight)):
        if dtype_of(value).kind in "iub":
            fix = "convert first, as in images.astype('float32') / 255"
            raise DTypeError(
                explain(f"{what}: {name}", got=f"dtype {dtype_of(value)}", expected="floating point", fix=fix)
            )
    shape, channels = shape_of(weight), shape_of(x)[1]
    inside = "(C, O / groups" if transposed else "(O, C / groups"
    if len(shape) != n + 2 or min(shape[2:]) < 1:
        got = f"shape {shape}"
        raise ShapeError(explain(f"{what}: weight", got=got, expected=f"{inside}, {n} window lengths of at least 1)"))
    groups = whole(what, "groups", groups, 1)
    if channels % groups or shape[0] % groups:
        got = f"{groups} groups, input {shape_of(x)}, weight {shape}"
        raise ArgumentError(explain(f"{what}: groups divide the channels of input and output", got=got))
    wanted = shape[0] if transposed else shape[1] * groups
    if channels != wanted:
        got = f"{channels} channels in shape {shape_of(x)}, weight {shape}, groups {groups}"
        fix = f"the weight has shape {inside}, ...)"
        raise ShapeError(explain(f"{what}: wrong number of channels", got=got, expected=f"{wanted} channels", fix=fix))
    out_channels = shape[1] * groups if transposed else shape[0]
    if bias is not None and shape_of(bias) != (out_channels,):
        got = f"shape {shape_of(bias)}"
        raise ShapeError(explain(f"{what}: one bias per output channel", got=got, expected=f"({out_channels},)"))
    return shape
