"""Losses for class scores: cross-entropy from logits, and from log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine import Variable, dtype_of, scope, shape_of
from ..errors import ArgumentError, DTypeError, IndexingError, ShapeError, explain
from ..ops.composed.axes import as_value
from .reduction import check_reduction, reduced

Array = np.ndarray[Any, Any]


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-log softmax(logits) of the target class, as torch.nn.functional.cross_entropy.

    Args:
        logits: shape (N, C), or (N, C, d1, ...) for a class per position, or (C,) for a single example; unnormalised.
        target: class indices, integers from 0 to C - 1 in the shape of ``logits`` without the class axis; or class
            probabilities, floating point in the shape of ``logits``.
        weight: importance of each class, shape (C,).
        ignore_index: a target of this number counts for nothing (class indices only).
        reduction: "mean", "sum" or "none".  With class indices and weights the mean is the weighted one: the sum over
            examples divided by the sum of their weights.
        label_smoothing: the part of the target that is spread evenly over all classes, from 0 to 1 (Szegedy et al.
            2015, arXiv:1512.00567).

    Raises:
        ShapeError, DTypeError, IndexingError: a target of another shape, of floats where indices are expected, or
            outside of the classes; the mean of an empty batch.
        ArgumentError: settings out of range, or the mean where every target is ignored.
    """
    what = "cross_entropy"
    check_reduction(what, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(explain(f"{what}: label_smoothing", got=label_smoothing, expected="0 to 1"))
    shape = shape_of(logits)
    weight = _class_weight(what, weight, logits)
    axis = 1 if len(shape) > 1 else 0
    if shape and shape_of(target) == shape and dtype_of(target).kind not in "iub":
        if ignore_index >= 0:
            fix = "leave it out, and weigh positions after reduction='none'"
            raise ArgumentError(explain(f"{what}: ignore_index is for class indices", got="probabilities", fix=fix))
        with scope("cross entropy"):
            if label_smoothing:
                target = as_value(target) * (1.0 - label_smoothing) + label_smoothing / shape[axis]
            terms = target * ops.log_softmax(logits, axis=axis)
            if weight is not None:
                terms = terms * ops.reshape(weight, (-1, *[1] * (len(shape) - axis - 1)))
            return -reduced(ops.sum(terms, axis=axis), reduction)
    labels, kept = _labels(what, logits, target, ignore_index, reduction)
    with scope("cross entropy"):
        return _of_chosen(ops.log_softmax(logits, axis=axis), labels, kept, weight, reduction, label_smoothing)


def nll_loss(
    log_probabilities: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Minus the log-probability of the target class; arguments, shapes and errors as in ``cross_entropy``."""
    what = "nll_loss"
    check_reduction(what, reduction)
    weight = _class_weight(what, weight, log_probabilities)
    labels, kept = _labels(what, log_probabilities, target, ignore_index, reduction)
    return _of_chosen(log_probabilities, labels, kept, weight, reduction, 0.0)


def _of_chosen(scores: Any, labels: Array, kept: Array, weight: Any, reduction: str, smoothing: float) -> Any:
    """Minus the scores of the target classes, weighted and reduced; what is ignored is not even looked up."""
    shape = shape_of(scores)
    classes = shape[1] if len(shape) > 1 else shape[0]
    if len(shape) != 2:
        scores = ops.reshape(ops.moveaxis(scores, 1, -1) if len(shape) > 2 else scores, (labels.size, classes))
    if reduction == "none":
        rows, columns = np.arange(labels.size), np.where(kept, labels, 0).ravel()
    else:
        rows = np.flatnonzero(kept)
        columns = labels.ravel()[rows]
    value = ops.getitem(scores, (rows, columns))
    weights = None if weight is None else ops.getitem(weight, columns)
    if weights is not None:
        value = value * weights
    if smoothing:
        everywhere = scores if len(rows) == labels.size else ops.take(scores, rows, axis=0)
        spread = ops.sum(everywhere if weight is None else everywhere * weight, axis=1)
        value = value * (1.0 - smoothing) + spread * (smoothing / classes)
    if reduction == "none":
        return ops.where(kept, -ops.reshape(value, labels.shape), 0.0)
    if reduction == "mean" and weights is not None:
        return -(ops.sum(value) / ops.sum(weights))
    return -reduced(value, reduction)


def _labels(what: str, scores: Any, target: Any, ignore_index: int, reduction: str) -> tuple[Array, Array]:
    """The class indices as an ndarray, checked against the scores, and which of them are not to be ignored."""
    shape = shape_of(scores)
    labels = np.asarray(target.data if isinstance(target, Variable) else target)
    wanted = shape[:1] * (len(shape) > 1) + shape[2:]
    if not shape or labels.shape != wanted or (labels.size == 0 and reduction == "mean"):
        expected = "scores (N, C) and target (N,), or (N, C, ...) and (N, ...); for a mean, N at least 1"
        if what == "cross_entropy":
            expected += "; class probabilities are floats in the shape of the scores"
        got = f"scores {shape}, target {labels.shape} of dtype {labels.dtype}"
        raise ShapeError(explain(f"{what}: shapes do not fit", got=got, expected=expected))
    if labels.dtype.kind not in "iu":
        fix = "labels.astype(int)"
        raise DTypeError(explain(f"{what}: class indices are integers", got=f"dtype {labels.dtype}", fix=fix))
    classes = shape[1] if len(shape) > 1 else shape[0]
    kept = labels != ignore_index
    outside = ((labels < 0) | (labels >= classes)) & kept
    if outside.any():
        position = tuple(int(i) for i in np.unravel_index(np.argmax(outside), labels.shape))
        place = "" if not position else f" in row {position[0]}" if len(position) == 1 else f" at {position}"
        expected = f"0 to {classes - 1}" if classes else "at least one class"
        raise IndexingError(explain(f"{what}: no such class", got=f"{labels[position]}{place}", expected=expected))
    if reduction == "mean" and not kept.any():
        fix = "leave such a batch out, or use reduction='sum'"
        raise ArgumentError(explain(f"{what}: every target is ignored, the mean of nothing", got=ignore_index, fix=fix))
    return labels, kept


def _class_weight(what: str, weight: Any, scores: Any) -> Any:
    """One number per class, in the dtype of the scores."""
    if weight is None:
        return None
    shape, dtype = shape_of(scores), dtype_of(scores)
    classes = shape[1:2] if len(shape) > 1 else shape
    if shape_of(weight) != classes:
        got = f"shape {shape_of(weight)} for scores {shape}"
        raise ShapeError(explain(f"{what}: one weight per class", got=got, expected=f"shape {classes}"))
    return ops.astype(weight, dtype) if dtype.kind == "f" and dtype_of(weight) != dtype else weight
