"""Batch Normalization, as its paper writes it: Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..engine import Variable, no_grad, reading, scope, shape_of, write
from ..engine.leaving import leaving
from ..engine.mode import current_mode
from ..errors import ArgumentError, ShapeError, explain
from ..kinds import Shape, Value
from ..tensor import Scalar, named

Mean = Callable[..., Value]  # mean(x, axes, keepdims=True), as ops.mean


def standardize(x: Value, axes: tuple[int, ...], eps: float, mean: Mean = ops.mean) -> tuple[Value, Value, Value]:
    """Center and scale to unit variance over ``axes``: equations 1 to 3 of the paper.

    Args:
        x: a tensor, an array, or an object array of scalars.
        axes: what the statistics are over.
        eps: added to the variance, inside the root.
        mean: takes both means, as ``mean(x, axes, keepdims=True)``; with one over more than ``x``, such as the rows of
            several processes, this is synchronized standardization.

    Returns:
        ``(x_hat, mean, variance)``; mean and (biased) variance keep the reduced axes with length 1.
    """
    with scope("mean"):
        mu = mean(x, axes, keepdims=True)
    with scope("variance"):
        centered = x - mu
        variance = mean(ops.square(centered), axes, keepdims=True)
    with scope("normalize"):
        sigma = ops.sqrt(variance + eps)
        x_hat = centered / sigma
    for value, symbol in ((mu, "μ"), (centered, "c"), (variance, "σ²"), (sigma, "σ"), (x_hat, "x̂")):
        named(value, symbol)
    return x_hat, mu, variance


def batch_norm(
    x: Value,
    running_mean: Value = None,
    running_var: Value = None,
    weight: Value = None,
    bias: Value = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    mean: Mean = ops.mean,
    count: Value = None,
) -> Value:
    """Normalize each channel (axis 1) over all other axes, then scale by ``weight`` (γ) and shift by ``bias`` (β).

    Args:
        x: shape (N, C) or (N, C, ...); a tensor, an array, or an object array of scalars.
        running_mean: shape (C,); given new values in training, used instead of the batch's in evaluation.  Without
            running statistics evaluation uses the batch's own, too.
        running_var: shape (C,); as ``running_mean``.  What is stored is the unbiased variance.
        weight: γ of shape (C,), or ``None`` for no scale.
        bias: β of shape (C,), or ``None`` for no shift.
        training: normalize by the batch's statistics rather than the running ones, and update the running ones.
        momentum: the weight of the batch in the running statistics: ``(1 - momentum) * old + momentum * new``.
        eps: added to the variance, inside the root.
        mean: takes the batch's statistics, see ``standardize``.
        count: the number of values per channel over which ``mean`` averages, if it is not that of ``x``.

    Returns:
        The shape of ``x``, in the dtype that NumPy promotes ``x`` and the parameters to.

    Raises:
        ShapeError: fewer than two axes, parameters that are not of shape (C,), or fewer than two values per channel
            where the batch's own statistics are used (their variance would say nothing).
        ArgumentError: settings out of range, or running statistics that cannot be updated.
    When anything is raised, the running statistics are as they were before.
    """
    y, moved = _batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, mean, count)
    write(moved, fresh=True)
    return y


def _batch_norm(
    x: Value,
    running_mean: Value,
    running_var: Value,
    weight: Value,
    bias: Value,
    training: bool,
    momentum: Value,
    eps: float,
    mean: Mean = ops.mean,
    count: Value = None,
) -> tuple[Value, list[tuple[Variable, Value]]]:
    """The result, and what is to be written: running statistics with their new values."""
    shape, eps = shape_of(x), float(eps)
    _check_settings(shape, momentum, eps)
    _check_channels(shape, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    axes = (0, *range(2, len(shape)))
    tracks = training and _can_track(running_mean, running_var)
    moved = []
    if training or running_mean is None:
        n = _values_per_channel(shape, axes, running_mean is not None, count)
        y, mu, variance = standardize(x, axes, eps, mean)
        if tracks:
            moved = _moved(running_mean, running_var, mu, variance, n, momentum)
    else:
        with scope("normalize"):
            centered = named(x - _per_channel(_as_it_is(x, running_mean), shape), "c")
            sigma = named(ops.sqrt(_per_channel(_as_it_is(x, running_var), shape) + eps), "σ")
            y = named(centered / sigma, "x̂")
    with scope("scale and shift"):
        if weight is not None:
            y = _per_channel(named(weight, "γ"), shape) * y
        if bias is not None:
            y = y + _per_channel(named(bias, "β"), shape)
    return (y if weight is None and bias is None else named(y, "y")), moved


def _per_channel(value: Value, shape: Shape) -> Value:
    """Shape (C,) meets axis 1: as it is for (N, C), with axes of length 1 behind it otherwise."""
    return value if len(shape) == 2 else ops.reshape(value, (1, shape[1]) + (1,) * (len(shape) - 2))


def _as_it_is(x: Value, running: Value) -> Value:
    """A running statistic with its present value, whatever happens to it before backward; only the number beside floats.

    It keeps its name, so that pictures show it.
    """
    if not isinstance(running, Variable):
        return running
    if not isinstance(x, Variable):
        return reading(running)
    leaf = running.detach()
    leaf._extras = running._extras
    return leaf


def _moved(
    running_mean: Variable, running_var: Variable, mean: Value, variance: Value, n: Value, momentum: Value
) -> list[tuple[Variable, Value]]:
    """The running statistics moved towards the batch's, outside the graph.

    ``momentum * new + (1 - momentum) * old``, with the unbiased variance.  During a recording the counts are scalars, so
    that the program divides one by the other itself, whatever the batch size is then.
    """
    if current_mode().tape is None:
        return _statistics(running_mean, running_var, mean, variance, n / (n - 1), momentum)
    with no_grad(), scope("running statistics"):
        count: Value = n if isinstance(n, Variable) else Scalar(float(n), requires_grad=False)
        less_one: Value = n - 1.0 if isinstance(n, Variable) else Scalar(float(n - 1), requires_grad=False)  # type: ignore[operator]
        return _statistics(running_mean, running_var, mean, variance, count / less_one, momentum)


def _statistics(
    running_mean: Variable, running_var: Variable, mean: Value, variance: Value, correction: Value, momentum: Value
) -> list[tuple[Variable, Value]]:
    moved = []
    for running, batch, factor in ((running_mean, mean, momentum), (running_var, variance, momentum * correction)):
        keep = 1.0 - momentum
        if type(momentum) not in (float, int):  # of another dtype, such as float64, it would widen what it meets
            keep, factor = keep.astype(running.dtype), factor.astype(running.dtype)
        moved.append((running, keep * reading(running) + factor * _numbers(batch, running)))
    return moved


def _numbers(batch: Value, running: Variable) -> Value:
    """A statistic of the batch in the shape and dtype of the running one; of an array of scalars, their values."""
    raw = reading(batch)
    if isinstance(raw, np.ndarray) and raw.dtype.kind == "O":
        raw = np.array([part.item() for part in raw.flat])
    raw = raw.reshape(running.shape)
    return raw if raw.dtype == running.dtype else raw.astype(running.dtype)


# -- checks, before anything is computed or changed -------------------------------------------------------------------


def _check_settings(shape: Shape, momentum: Any, eps: float) -> None:
    if len(shape) < 2:
        fix = "a batch of one feature is x.reshape(-1, 1)"
        raise ShapeError(
            explain("batch_norm: no batch and channel axes", got=f"shape {shape}", expected="(N, C, ...)", fix=fix)
        )
    if isinstance(momentum, Variable) and momentum.requires_grad:  # running statistics carry no gradient back to it
        leaving(momentum, "momentum=")
    if momentum is None or not (isinstance(momentum, (Variable, np.ndarray)) or 0 <= momentum <= 1) or not eps >= 0:
        expected = "eps >= 0, momentum from 0 to 1"
        raise ArgumentError(
            explain("batch_norm: settings out of range", got=f"eps={eps}, momentum={momentum}", expected=expected)
        )


def _check_channels(shape: Shape, what: str = "batch_norm", **values: Value) -> None:
    channels = shape[1:2]
    for name, value in values.items():
        if value is not None and shape_of(value) != channels:
            got = f"{name} of shape {shape_of(value)} for input {shape}"
            raise ShapeError(explain(f"{what}: one value per channel", got=got, expected=f"({shape[1]},)"))
    if (values.get("running_mean") is None) != (values.get("running_var") is None):
        missing = "running_mean" if values["running_mean"] is None else "running_var"
        raise ArgumentError(
            explain(f"{what}: one running statistic without the other", got=f"no {missing}", fix="pass both or none")
        )


def _can_track(*statistics: Value) -> bool:
    for running in statistics:
        if running is None:
            return False
        if not isinstance(running, Variable) or not running.is_leaf or running.dtype.kind != "f":
            got = running.label if isinstance(running, Variable) else type(running).__name__
            fix = "pass Tensor(array) of floats; training gives it new values"
            raise ArgumentError(explain("batch_norm: running statistics are leaf tensors", got=got, fix=fix))
    return True


def _values_per_channel(shape: Shape, axes: tuple[int, ...], has_running: bool, count: Value) -> Value:
    n = math.prod(shape[i] for i in axes) if count is None else count
    if not isinstance(n, Variable) and n < 2:  # a variable in a recording, whose value decides nothing
        when = "training" if has_running else "without running statistics it"
        fix = "call .eval() to use running statistics" if has_running else "keep running statistics for evaluation"
        got = f"shape {shape}: {n} per channel" if count is None else f"{n:g} per channel, of all ranks together"
        raise ShapeError(
            explain(
                f"batch_norm: {when} needs at least two values per channel", got=got,
                fix=f"use a larger batch (drop a last batch of one), or {fix}",
            )
        )  # fmt: skip
    return n
