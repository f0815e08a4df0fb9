"""Losses that compare two arrays of one shape element by element."""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..engine import dtype_of, reading, scope, shape_of
from ..engine.mode import current_mode
from ..errors import ShapeError, explain
from ..kinds import Value
from ..ops.composed.axes import as_value
from ..ops.primitives import checked_range
from .reduction import check_reduction, reduced
from .settings import above_zero, number


def mse_loss(prediction: Value, target: Value, reduction: str = "mean") -> Value:
    """(prediction - target)², as torch.nn.functional.mse_loss.

    Args:
        prediction: any shape.
        target: the same shape; integers and booleans are taken as numbers of the prediction's dtype.
        reduction: "mean" over all elements, "sum" or "none".

    Raises:
        ShapeError: two shapes; broadcasting would hide a mistake.  The mean of no elements.
        ArgumentError: another reduction.
    """
    prediction, target = _pair("mse_loss", prediction, target, reduction)
    return reduced(ops.square(ops.subtract(prediction, target)), reduction)


def l1_loss(prediction: Value, target: Value, reduction: str = "mean") -> Value:
    """|prediction - target|, with derivative 0 where they are equal; shapes and errors as in ``mse_loss``."""
    prediction, target = _pair("l1_loss", prediction, target, reduction)
    return reduced(ops.abs(ops.subtract(prediction, target)), reduction)


def huber_loss(prediction: Value, target: Value, reduction: str = "mean", delta: float = 1.0) -> Value:
    """½d² where |d| <= delta, else delta · (|d| - ½delta), with d = prediction - target (Huber 1964).

    Written as c · (d - ½c) with c = d limited to ±delta, which needs no choice and does not overflow.

    Raises:
        ShapeError: as in ``mse_loss``.
        ArgumentError: delta is not positive, or another reduction.
    """
    delta = above_zero("huber_loss", "delta", delta)
    prediction, target = _pair("huber_loss", prediction, target, reduction)
    with scope("huber"):
        return reduced(_huber(prediction, target, delta), reduction)


def smooth_l1_loss(prediction: Value, target: Value, reduction: str = "mean", beta: float = 1.0) -> Value:
    """½d² / beta where |d| < beta, else |d| - ½beta: the Huber loss divided by its delta; ``l1_loss`` for beta 0.

    Source: Girshick 2015, "Fast R-CNN" (arXiv:1504.08083), eq. 3.

    Raises:
        ShapeError: as in ``mse_loss``.
        ArgumentError: a negative beta, or another reduction.
    """
    beta = number("smooth_l1_loss", "beta", beta, 0.0)
    if beta == 0:
        return l1_loss(prediction, target, reduction)
    prediction, target = _pair("smooth_l1_loss", prediction, target, reduction)
    with scope("smooth l1"):
        return reduced(_huber(prediction, target, beta) / beta, reduction)


def binary_cross_entropy(prediction: Value, target: Value, weight: Value = None, reduction: str = "mean") -> Value:
    """-(target · log(p) + (1 - target) · log(1 - p)), as torch.nn.functional.binary_cross_entropy.

    The logarithms stop at -100, as PyTorch's do, so a prediction of exactly 0 or 1 has a finite loss; its gradient is
    then 0.  From logits, ``binary_cross_entropy_with_logits`` is exact everywhere.

    Args:
        prediction: probabilities p, from 0 to 1.
        target: the same shape, from 0 to 1.
        weight: multiplies the loss of each element; broadcasts to the shape.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: as in ``mse_loss``, or a weight that does not broadcast.
        ArgumentError: a prediction outside 0 to 1, or another reduction.
    """
    what = "binary_cross_entropy"
    prediction, target = _pair(what, prediction, target, reduction)
    weight = _weight(what, "weight", weight, prediction)
    fix = "apply a sigmoid, or use binary_cross_entropy_with_logits"
    checked = checked_range(reading(prediction), low=0.0, high=1.0, what=f"{what}: probabilities", fix=fix)
    if current_mode().tape is not None:
        prediction = checked  # so that the program checks it, too
    with scope("binary cross entropy"):
        loss = -(target * _limited_log(prediction) + (1.0 - target) * _limited_log(1.0 - prediction))
        return reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    logits: Value, target: Value, weight: Value = None, reduction: str = "mean", pos_weight: Value = None
) -> Value:
    """Binary cross-entropy of sigmoid(logits), without overflow or log(0).

    As torch.nn.functional.binary_cross_entropy_with_logits: with z the logit, t the target and w ``pos_weight``,
    ``w · t · softplus(-z) + (1 - t) · softplus(z)``, since softplus(z) = -log sigmoid(-z).  No term is a difference, so
    small losses and gradients keep their digits.

    Args:
        logits: any shape.
        target: the same shape, from 0 to 1.
        weight: multiplies the loss of each element; broadcasts to the shape.
        reduction: "mean", "sum" or "none".
        pos_weight: multiplies the loss of positives (the part with t); broadcasts to the shape.

    Raises:
        ShapeError: as in ``mse_loss``, or weights that do not broadcast.
        ArgumentError: another reduction.
    """
    what = "binary_cross_entropy_with_logits"
    logits, target = _pair(what, logits, target, reduction)
    weight = _weight(what, "weight", weight, logits)
    pos_weight = _weight(what, "pos_weight", pos_weight, logits)
    with scope("binary cross entropy"):
        positive = target if pos_weight is None else pos_weight * target
        loss = positive * ops.softplus(-logits) + (1.0 - target) * ops.softplus(logits)
        return reduced(loss if weight is None else loss * weight, reduction)


def kl_div(log_prediction: Value, target: Value, reduction: str = "mean", log_target: bool = False) -> Value:
    """target · (log(target) - log_prediction), the Kullback-Leibler divergence's terms, as torch.nn.functional.kl_div.

    Args:
        log_prediction: log-probabilities.
        target: probabilities of the same shape (0 contributes 0), or their logarithms.
        reduction: "mean" over all elements (PyTorch's default), "batchmean" (the sum divided by the length of the
            first axis: the divergence of the definition, averaged over the batch), "sum" or "none".
        log_target: whether the target holds logarithms.

    Raises:
        ShapeError: as in ``mse_loss``; "batchmean" without a batch.
        ArgumentError: another reduction.
    """
    log_prediction, target = _pair("kl_div", log_prediction, target, reduction, also=("batchmean",))
    shape = shape_of(log_prediction)
    if reduction == "batchmean" and (not shape or shape[0] == 0):
        raise ShapeError(explain("kl_div: batchmean divides by the length of the first axis", got=f"shape {shape}"))
    with scope("kl divergence"):
        if log_target:
            terms = ops.exp(target) * (target - log_prediction)
        else:
            positive = ops.greater(target, 0.0)
            terms = target * (ops.log(ops.where(positive, target, 1.0)) - log_prediction)
        if reduction == "batchmean":
            return ops.sum(ops.mean(terms, 0))
        return reduced(terms, reduction)


def _huber(prediction: Value, target: Value, delta: float) -> Value:
    difference = ops.subtract(prediction, target)
    limited = ops.clip(difference, -delta, delta)
    return limited * (difference - limited * 0.5)


def _limited_log(p: Value) -> Value:
    """log(p), at least -100."""
    tiny = ops.less_equal(p, math.exp(-100.0))
    return ops.where(tiny, -100.0, ops.log(ops.where(tiny, 1.0, p)))


def _pair(
    what: str, prediction: Value, target: Value, reduction: str, also: tuple[str, ...] = ()
) -> tuple[Value, Value]:
    """Both arguments, of one shape and of floating-point numbers."""
    check_reduction(what, reduction, also)
    if shape_of(prediction) != shape_of(target):
        got = f"{shape_of(prediction)} and {shape_of(target)}"
        raise ShapeError(
            explain(f"{what}: two arrays of one shape", got=got, fix="reshape one; broadcasting would hide a mistake")
        )
    prediction, target = as_value(prediction), as_value(target)
    if dtype_of(prediction).kind in "iub":
        prediction = ops.astype(prediction, float)
    if dtype_of(target).kind in "iub":
        dtype = dtype_of(prediction)
        target = ops.astype(target, dtype if dtype.kind == "f" else float)
    return prediction, target


def _weight(what: str, name: str, weight: Value, like: Value) -> Value:
    """A weight that broadcasts to the shape of ``like``, in its dtype."""
    if weight is None:
        return None
    try:
        fits = np.broadcast_shapes(shape_of(weight), shape_of(like)) == shape_of(like)
    except ValueError:
        fits = False
    if not fits:
        got = f"shape {shape_of(weight)}"
        raise ShapeError(explain(f"{what}: {name}", got=got, expected=f"a shape that broadcasts to {shape_of(like)}"))
    dtype = dtype_of(like)
    return ops.astype(weight, dtype) if dtype.kind == "f" and dtype_of(weight) != dtype else weight
