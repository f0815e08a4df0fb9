"""How good a score of borrowers is: how it ranks them, how often it is right, and whether its probabilities are true."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.copies import Array

BINS = 10  # of equal width, for the reliability of probabilities


def known(logits: Array) -> Array:
    """Logits in float64, from -100 to 100; a network that diverged to NaN says nothing, which is a logit of 0."""
    return np.clip(np.nan_to_num(np.asarray(logits, np.float64), nan=0.0), -100.0, 100.0)


def probability(logits: Array) -> Array:
    """The sigmoid, without overflow."""
    z = known(logits)
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)))


def log_loss(logits: Array, labels: Array) -> Array:
    """Mean of -log of the probability given to what happened, over the last axis."""
    z = known(logits)
    return np.asarray(np.mean(np.logaddexp(0.0, np.where(labels == 1, -z, z)), axis=-1))


def area(logits: Array, labels: Array) -> list[float]:
    """Area under the ROC curve of each row of logits (S, N) and labels (S, N)."""
    return [statistics.auc(z, y) for z, y in zip(known(logits), labels)]


def reliability(logits: Array, labels: Array) -> list[list[float]]:
    """For each bin of the predicted probability: rows, sum of the probabilities, rows that went bad."""
    p = probability(logits)
    which = np.minimum((p * BINS).astype(int), BINS - 1)
    return [[float(np.bincount(which, weights, BINS)[b]) for weights in (None, p, labels)] for b in range(BINS)]


def pooled(tables: list[list[list[float]]]) -> Array:
    """The reliability tables of several splits, added up: shape (BINS, 3)."""
    return np.asarray(np.sum(np.asarray(tables), axis=0))


def calibration_error(tables: list[list[list[float]]]) -> float:
    """Expected calibration error: the mean over borrowers of a bin's |mean probability - share that went bad|.

    (Guo, Pleiss, Sun and Weinberger 2017, arXiv:1706.04599, section 2.)  The bins are filled with all splits before the
    differences are taken: in bins of a few borrowers the share that went bad is mostly chance.
    """
    rows, predicted, bad = pooled(tables).T
    return float(np.abs(predicted - bad).sum() / rows.sum())


def report(logits: Array, labels: Array) -> dict[str, Any]:
    """Everything about the scores (S, N) of S splits, one number or table a split."""
    p = probability(logits)
    return {
        "auc": area(logits, labels),
        "accuracy": np.mean((p > 0.5) == (labels == 1), axis=1).tolist(),
        "log_loss": log_loss(logits, labels).tolist(),
        "brier": np.mean((p - labels) ** 2, axis=1).tolist(),
        "reliability": [reliability(*split) for split in zip(logits, labels)],
    }
