"""Losses for class scores: cross-entropy from logits, and from log-probabilities."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .. import ops
from ..engine import Variable, dtype_of, reading, scope, shape_of
from ..errors import ArgumentError, DTypeError, ShapeError, explain
from ..kinds import Value
from ..ops.composed.axes import as_value
from ..ops.primitives import checked_index, take_along_axis
from .reduction import check_reduction, reduced


class _Rule(NamedTuple):
    """How the terms of a loss are put together; see ``cross_entropy``."""

    reduction: str
    ignore_index: int
    smoothing: float


def cross_entropy(
    logits: Value,
    target: Value,
    weight: Value = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Value:
    """-log softmax(logits) of the target class, as torch.nn.functional.cross_entropy.

    Args:
        logits: shape (N, C), or (N, C, d1, ...) for a class per position, or (C,) for a single example; unnormalized.
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
            outside the classes; the mean of an empty batch.
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
    rule = _Rule(reduction, ignore_index, label_smoothing)
    labels, columns = _labels(what, logits, target, rule)
    with scope("cross entropy"):
        return _of_chosen(ops.log_softmax(logits, axis=axis), labels, columns, weight, rule)


def nll_loss(
    log_probabilities: Value, target: Value, weight: Value = None, ignore_index: int = -100, reduction: str = "mean"
) -> Value:
    """Minus the log-probability of the target class; arguments, shapes and errors as in ``cross_entropy``."""
    what = "nll_loss"
    check_reduction(what, reduction)
    weight = _class_weight(what, weight, log_probabilities)
    rule = _Rule(reduction, ignore_index, 0.0)
    labels, columns = _labels(what, log_probabilities, target, rule)
    return _of_chosen(log_probabilities, labels, columns, weight, rule)


def _of_chosen(scores: Value, labels: Value, columns: Value, weight: Value, rule: _Rule) -> Value:
    """Minus the scores of the target classes, weighted and reduced.

    Args:
        scores: (N, C) or (N, C, ...) or (C,).
        labels: the targets as they were given.
        columns: the same, with 0 where a target is to be ignored; the very same where none is.
        weight: per class, or ``None``.
        rule: the settings of the loss.
    """
    shape = shape_of(scores)
    classes = shape[1] if len(shape) > 1 else shape[0]
    count = math.prod(shape_of(labels))
    if len(shape) != 2:
        scores = ops.reshape(ops.moveaxis(scores, 1, -1) if len(shape) > 2 else scores, (count, classes))
    column = (count, 1)
    whole = columns is labels  # none is ignored
    kept = None if whole else (labels != rule.ignore_index).reshape(column)
    columns = columns.reshape(column)
    value = take_along_axis(scores, columns, axis=1)
    weights = None if weight is None else ops.take(weight, columns, axis=0)
    if weights is not None:
        value = value * weights
    if rule.smoothing:
        spread = ops.sum(scores if weight is None else scores * weight, axis=1, keepdims=True)
        value = value * (1.0 - rule.smoothing) + spread * (rule.smoothing / classes)
    if not whole:
        value = ops.where(kept, value, 0.0)
    if rule.reduction == "none":
        return -ops.reshape(value, shape_of(labels))
    if rule.reduction == "sum" or (whole and weights is None):
        return -reduced(value, rule.reduction)
    if weights is None:
        weights = ops.astype(kept, dtype_of(value))
    elif not whole:
        weights = ops.where(kept, weights, 0.0)
    return -(ops.sum(value) / ops.sum(weights))


def _labels(what: str, scores: Value, target: Value, rule: _Rule) -> tuple[Value, Value]:
    """The class indices, checked against the scores; as they are, and with 0 where they are to be ignored."""
    shape = shape_of(scores)
    labels = reading(target)
    labels = labels if isinstance(labels, Variable) else np.asarray(labels)
    wanted = shape[:1] * (len(shape) > 1) + shape[2:]
    if not shape or labels.shape != wanted or (labels.size == 0 and rule.reduction == "mean"):
        expected = "scores (N, C) and target (N,), or (N, C, ...) and (N, ...); for a mean, N at least 1"
        if what == "cross_entropy":
            expected += "; class probabilities are floats in the shape of the scores"
        got = f"scores {shape}, target {labels.shape} of dtype {labels.dtype}"
        raise ShapeError(explain(f"{what}: shapes do not fit", got=got, expected=expected))
    if labels.dtype.kind not in "iu":
        fix = "labels.astype(int)"
        raise DTypeError(explain(f"{what}: class indices are integers", got=f"dtype {labels.dtype}", fix=fix))
    classes = shape[1] if len(shape) > 1 else shape[0]
    some = rule.reduction == "mean"
    return labels, checked_index(
        labels, count=classes, ignore_index=rule.ignore_index, some=some, what=f"{what}: no such class"
    )


def _class_weight(what: str, weight: Value, scores: Value) -> Value:
    """One number per class, in the dtype of the scores."""
    if weight is None:
        return None
    shape, dtype = shape_of(scores), dtype_of(scores)
    classes = shape[1:2] if len(shape) > 1 else shape
    if shape_of(weight) != classes:
        got = f"shape {shape_of(weight)} for scores {shape}"
        raise ShapeError(explain(f"{what}: one weight per class", got=got, expected=f"shape {classes}"))
    return ops.astype(weight, dtype) if dtype.kind == "f" and dtype_of(weight) != dtype else weight
