"""Batch Normalization, as its paper writes it: Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithm 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..engine import Variable, scope, shape_of
from ..engine.errors import ShapeError, explain
from ..variables import values_of


def standardize(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """Centre and scale to unit variance over ``axes``: equations 1 to 3 of the paper.

    Returns:
        ``(x_hat, mean, variance)``; mean and (biased) variance keep the reduced axes with length 1.
    """
    with scope("mean"):
        mean = ops.mean(x, axes, keepdims=True)
    with scope("variance"):
        centred = x - mean
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
    with scope("normalize"):
        x_hat = centred / ops.sqrt(variance + eps)
    return x_hat, mean, variance


def batch_norm(
    x: Any,
    running_mean: Variable | None = None,
    running_var: Variable | None = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel (axis 1) over all other axes, then scale by ``weight`` (γ) and shift by ``bias`` (β).

    Args:
        x: shape (N, C) or (N, C, ...); a tensor, an array, or an object array of scalars.
        running_mean: shape (C,); updated in place in training, used instead of the batch's in evaluation.
        running_var: shape (C,); as ``running_mean``.  What is stored is the unbiased variance.
        weight: γ of shape (C,), or ``None`` for no scale.
        bias: β of shape (C,), or ``None`` for no shift.
        training: normalise by the batch's statistics rather than the running ones.
        momentum: how far the running statistics move towards the batch's: ``(1 - momentum) * old + momentum * new``.
        eps: added to the variance, inside the root.

    Returns:
        The shape and dtype of ``x``.

    Raises:
        ShapeError: fewer than two axes, parameters that are not of shape (C,), or in training fewer than two values
            per channel (their variance would say nothing).
    """
    shape = shape_of(x)
    if len(shape) < 2:
        fix = "a batch of one feature is x.reshape(-1, 1)"
        raise ShapeError(
            explain("batch_norm: no batch and channel axes", got=f"shape {shape}", expected="(N, C, ...)", fix=fix)
        )
    channels = shape[1]
    for name, value in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if value is not None and shape_of(value) != (channels,):
            got = f"{name} of shape {shape_of(value)} for input {shape}"
            raise ShapeError(explain("batch_norm: one value per channel", got=got, expected=f"({channels},)"))
    axes = (0, *range(2, len(shape)))
    per_channel = (1, channels) + (1,) * (len(shape) - 2)
    if training or running_mean is None or running_var is None:
        n = math.prod(shape[i] for i in axes)
        if n < 2:
            raise ShapeError(
                explain(
                    "batch_norm: training needs at least two values per channel", got=f"shape {shape}: {n} per channel",
                    fix="use a larger batch (drop a last batch of one), or call .eval() to use running statistics",
                )
            )  # fmt: skip
        x_hat, mean, variance = standardize(x, axes, eps)
        if training and running_mean is not None and running_var is not None:
            _move(running_mean, mean, momentum)
            _move(running_var, variance, momentum, n / (n - 1))
    else:
        with scope("normalize"):
            centred = x - _aligned(running_mean, per_channel)
            x_hat = centred / ops.sqrt(_aligned(running_var, per_channel) + eps)
    with scope("scale and shift"):
        if weight is not None:
            x_hat = _aligned(weight, per_channel) * x_hat
        if bias is not None:
            x_hat = x_hat + _aligned(bias, per_channel)
    return x_hat


def _aligned(value: Any, per_channel: tuple[int, ...]) -> Any:
    """Shape (C,) meets axis 1: as it is for (N, C), with axes of length 1 behind it otherwise."""
    return value if len(per_channel) == 2 else ops.reshape(value, per_channel)


def _move(running: Variable, batch: Any, momentum: float, correction: float = 1.0) -> None:
    values = (
        batch.data if isinstance(batch, Variable) else values_of(batch) if np.asarray(batch).dtype == object else batch
    )
    with running.unlocked() as array:
        array *= 1.0 - momentum
        array += (momentum * correction) * values.reshape(array.shape)
