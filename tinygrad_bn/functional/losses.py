"""Losses; each returns the mean over the batch as a tensor of shape ()."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine import Variable, scope, shape_of
from ..engine.errors import DTypeError, IndexingError, ShapeError, explain


def cross_entropy(logits: Any, target: Any) -> Any:
    """Mean over the batch of -log softmax(logits)[target], as torch.nn.functional.cross_entropy.

    Args:
        logits: shape (N, C), unnormalised; N at least 1.
        target: class indices, integers of shape (N,), from 0 to C - 1.

    Raises:
        ShapeError, DTypeError, IndexingError: a target of another shape, of floats, or outside of the classes.
    """
    labels = _labels("cross_entropy", logits, target)
    with scope("cross entropy"):
        return _mean_of_chosen(ops.log_softmax(logits, axis=1), labels)


def nll_loss(log_probabilities: Any, target: Any) -> Any:
    """Mean over the batch of ``-log_probabilities[i, target[i]]``; shapes and errors as in ``cross_entropy``."""
    return _mean_of_chosen(log_probabilities, _labels("nll_loss", log_probabilities, target))


def _mean_of_chosen(log_probabilities: Any, labels: Any) -> Any:
    return -ops.mean(ops.getitem(log_probabilities, (np.arange(len(labels)), labels)))


def _labels(what: str, scores: Any, target: Any) -> Any:
    """The class indices as an ndarray, checked against the scores."""
    shape = shape_of(scores)
    labels = np.asarray(target.data if isinstance(target, Variable) else target)
    if len(shape) != 2 or labels.shape != shape[:1] or shape[0] == 0:
        got = f"scores {shape}, target {labels.shape}"
        raise ShapeError(
            explain(f"{what}: shapes do not fit", got=got, expected="scores (N, C), target (N,), N at least 1")
        )
    if labels.dtype.kind not in "iu":
        fix = "labels.astype(int)"
        raise DTypeError(explain(f"{what}: class indices are integers", got=f"dtype {labels.dtype}", fix=fix))
    outside = (labels < 0) | (labels >= shape[1])
    if outside.any():
        row = int(np.argmax(outside))
        expected = f"0 to {shape[1] - 1}" if shape[1] else "at least one class"
        raise IndexingError(explain(f"{what}: no such class", got=f"{labels[row]} in row {row}", expected=expected))
    return labels


def mse_loss(prediction: Any, target: Any) -> Any:
    """Mean of squared differences, as torch.nn.functional.mse_loss; both of one shape."""
    if shape_of(prediction) != shape_of(target):
        got = f"{shape_of(prediction)} and {shape_of(target)}"
        raise ShapeError(
            explain("mse_loss: two arrays of one shape", got=got, fix="reshape one; broadcasting would hide a mistake")
        )
    return ops.mean(ops.square(ops.subtract(prediction, target)))
