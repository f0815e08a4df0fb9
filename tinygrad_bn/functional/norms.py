"""The relatives of Batch Normalization: the same ``standardize``, averaged over other axes.

For images (N, C, H, W), each mean and each variance is taken over

    batch      N, H, W                 one per channel                  arXiv:1502.03167
    layer      C, H, W                 one per example                  arXiv:1607.06450
    instance   H, W                    one per example and channel      arXiv:1607.08022
    group      C/G channels, H, W      one per example and group        arXiv:1803.08494
    RMS        C, H, W                 as layer, the mean taken as 0    arXiv:1910.07467

Layer, group and RMS normalization do the same in training and in evaluation; a batch of one is as good as any.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..engine import dtype_of, reading, scope, shape_of, write
from ..errors import ArgumentError, ShapeError, explain
from ..kinds import Shape, Value
from ..tensor import named
from .batch_norm import _can_track, _check_channels, _moved, _per_channel, batch_norm, standardize
from .settings import number
from .sizes import per_axis


def layer_norm(
    x: Value, normalized_shape: int | tuple[int, ...], weight: Value = None, bias: Value = None, eps: float = 1e-5
) -> Value:
    """Normalize each example over its last axes, then scale and shift (Ba et al. 2016, arXiv:1607.06450).

    Args:
        x: shape (..., *normalized_shape).
        normalized_shape: the lengths of the axes to average over; an int for the last axis.
        weight: γ of shape ``normalized_shape``, or ``None``.
        bias: β of shape ``normalized_shape``, or ``None``.
        eps: added to the variance, inside the root.

    Raises:
        ShapeError: an input or parameters that do not end in ``normalized_shape``.
        ArgumentError: eps below 0.
    """
    axes = _last_axes("layer_norm", x, normalized_shape, eps, weight=weight, bias=bias)
    y, _, _ = standardize(x, axes, float(eps))
    return _scale_and_shift(y, weight, bias)


def group_norm(x: Value, num_groups: int, weight: Value = None, bias: Value = None, eps: float = 1e-5) -> Value:
    """Normalize groups of channels of each example, then scale and shift (Wu and He 2018, arXiv:1803.08494).

    Args:
        x: shape (N, C) or (N, C, ...).
        num_groups: the channels are cut into that many groups of neighbors; it divides C.
        weight: γ of shape (C,), or ``None``.
        bias: β of shape (C,), or ``None``.
        eps: added to the variance, inside the root.

    Raises:
        ShapeError: fewer than two axes, parameters that are not of shape (C,), or a single value per group.
        ArgumentError: groups that do not divide the channels, or eps below 0.
    """
    shape = shape_of(x)
    _check_channel_norm("group_norm", shape, eps, weight=weight, bias=bias)
    (groups,) = per_axis(num_groups, 1, "group_norm", "num_groups", 1)
    if shape[1] % groups:
        got = f"{groups} groups of {shape[1]} channels"
        raise ArgumentError(explain("group_norm: the groups divide the channels", got=got))
    grouped = (shape[0], groups, shape[1] // groups, *shape[2:])
    axes = tuple(range(2, len(grouped)))
    _enough("group_norm", grouped, axes)
    y, _, _ = standardize(ops.reshape(x, grouped), axes, float(eps))
    return _scale_and_shift(ops.reshape(y, shape), weight, bias, shape)


def instance_norm(
    x: Value,
    running_mean: Value = None,
    running_var: Value = None,
    weight: Value = None,
    bias: Value = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    """Normalize each channel of each example, then scale and shift (Ulyanov et al. 2016, arXiv:1607.08022).

    Args:
        x: shape (N, C, L), (N, C, H, W) or more axes.
        running_mean: shape (C,), or ``None``.  Moved towards the mean over the batch of the examples' means where the
            input's statistics are used, used instead of them otherwise.
        running_var: shape (C,); as ``running_mean``, of the unbiased variances.
        weight: γ of shape (C,), or ``None``.
        bias: β of shape (C,), or ``None``.
        use_input_stats: normalize by the input's own statistics rather than the running ones.
        momentum: the weight of the batch in the running statistics, from 0 to 1.
        eps: added to the variance, inside the root.

    Raises:
        ShapeError: fewer than three axes, values that are not of shape (C,), or a single value per channel.
        ArgumentError: settings out of range, or running statistics that are missing or cannot be updated.
    When anything is raised, the running statistics are as they were before.
    """
    shape = shape_of(x)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            fix = "pass running_mean and running_var, or use_input_stats=True"
            raise ArgumentError(
                explain("instance_norm: no statistics to normalize with", got="no running statistics", fix=fix)
            )
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if len(shape) < 3:
        expected = "(N, C, L) or more axes"
        raise ShapeError(explain("instance_norm: no axis to average over", got=f"shape {shape}", expected=expected))
    _check_channel_norm(
        "instance_norm", shape, eps, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    momentum = number("instance_norm", "momentum", momentum, 0.0, 1.0)
    axes = tuple(range(2, len(shape)))
    n = _enough("instance_norm", shape, axes)
    tracks = _can_track(running_mean, running_var) and shape[0] > 0
    y, mean, variance = standardize(x, axes, float(eps))
    y = _scale_and_shift(y, weight, bias, shape)
    if tracks:
        mean, variance = (ops.mean(reading(statistic), 0) for statistic in (mean, variance))
        write(_moved(running_mean, running_var, mean, variance, n, momentum), fresh=True)
    return y


def rms_norm(
    x: Value, normalized_shape: int | tuple[int, ...], weight: Value = None, eps: float | None = None
) -> Value:
    """Divide each example by its root mean square over the last axes (Zhang and Sennrich 2019, arXiv:1910.07467).

    As ``layer_norm``, but without centering: the mean is taken as 0.

    Args:
        x: shape (..., *normalized_shape).
        normalized_shape: the lengths of the axes to average over; an int for the last axis.
        weight: γ of shape ``normalized_shape``, or ``None``.
        eps: added to the mean square, inside the root; the machine epsilon of ``x`` by default, as in PyTorch.

    Raises:
        ShapeError: an input or a weight that does not end in ``normalized_shape``.
        ArgumentError: eps below 0.
    """
    if eps is None:
        dtype = dtype_of(x)
        eps = float(np.finfo(dtype if dtype.kind == "f" else float).eps)
    axes = _last_axes("rms_norm", x, normalized_shape, eps, weight=weight)
    with scope("mean square"):
        mean_square = ops.mean(ops.square(x), axes, keepdims=True)
    with scope("normalize"):
        y = named(x / ops.sqrt(mean_square + eps), "x̂")
    return _scale_and_shift(y, weight, None)


def _scale_and_shift(y: Value, weight: Value, bias: Value, shape: tuple[int, ...] | None = None) -> Value:
    """γ · y + β; with a shape, γ and β are per channel (axis 1), otherwise they belong to the last axes."""
    with scope("scale and shift"):
        if weight is not None:
            named(weight, "γ")
            y = (weight if shape is None else _per_channel(weight, shape)) * y
        if bias is not None:
            named(bias, "β")
            y = y + (bias if shape is None else _per_channel(bias, shape))
    return y if weight is None and bias is None else named(y, "y")


def _last_axes(what: str, x: Value, normalized_shape: Any, eps: float, **parameters: Value) -> tuple[int, ...]:
    """The axes that ``normalized_shape`` names, once everything fits."""
    given = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    lengths = per_axis(given, len(given), what, "normalized_shape", 1) if given else ()
    shape = shape_of(x)
    if not lengths or shape[len(shape) - len(lengths) :] != lengths:
        got = f"shape {shape}, normalized_shape {given}"
        expected = f"(..., {', '.join(map(str, lengths))})" if lengths else "at least one axis to average over"
        raise ShapeError(explain(f"{what}: the input does not end in normalized_shape", got=got, expected=expected))
    _check_eps(what, eps)
    for name, value in parameters.items():
        if value is not None and shape_of(value) != lengths:
            raise ShapeError(explain(f"{what}: {name}", got=f"shape {shape_of(value)}", expected=f"shape {lengths}"))
    return tuple(range(len(shape) - len(lengths), len(shape)))


def _check_channel_norm(what: str, shape: Shape, eps: float, **values: Value) -> None:
    if len(shape) < 2:
        raise ShapeError(explain(f"{what}: no batch and channel axes", got=f"shape {shape}", expected="(N, C, ...)"))
    _check_eps(what, eps)
    _check_channels(shape, what, **values)


def _check_eps(what: str, eps: float) -> None:
    number(what, "eps", eps, 0.0)


def _enough(what: str, shape: Shape, axes: tuple[int, ...]) -> int:
    n = math.prod(shape[i] for i in axes)
    if n < 2:
        fix = "a single value minus its mean is 0 whatever it was: average over more axes or larger groups"
        raise ShapeError(
            explain(f"{what}: at least two values per mean", got=f"shape {shape}: {n} over {axes}", fix=fix)
        )
    return n
