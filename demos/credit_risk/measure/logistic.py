"""Logistic regression, fitted to convergence by Newton's method with derivatives that the engine found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, ops

from ...lab.measure.copies import Array
from ...lab.measure.part import Progress, Settings
from . import scores
from .tables import PROBE, Lender, Rows, Splits, split

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # λ of λ/2 |w|², beside the sum of the log-losses


def with_intercept(x: Array) -> Array:
    """The columns of ``x`` and one of ones."""
    return np.concatenate([x, np.ones((*x.shape[:-1], 1))], axis=-1, dtype=np.float64)


def objective(weights: Any, x: Array, y: Array, penalty: float) -> Any:
    """The sum of the log-losses plus λ/2 |w|²; the last weight is the intercept, which is not penalized."""
    fit = functional.binary_cross_entropy_with_logits(x @ weights, y.astype(np.float64), reduction="sum")
    return fit + penalty / 2 * ops.sum(ops.square(weights[:-1]))


def fit(x: Array, y: Array, penalty: float, start: Array | None = None, tolerance: float = 1e-8) -> Array:
    """The weights where the gradient is 0 within ``tolerance``.

    Newton's method, with a step halved until the objective, which is convex, falls.

    Args:
        x: shape (N, F), the last column ones.
        y: 0 or 1, shape (N,).
        penalty: λ.
        start: where to start, 0 by default.
        tolerance: for the largest element of the gradient, by N.

    Raises:
        ArithmeticError: not there after 50 steps.
    """
    weights = np.zeros(x.shape[1]) if start is None else start
    slopes, curvature = tg.value_and_grad(objective), tg.hessian(objective)
    value, gradient = slopes(weights, x, y, penalty)
    for _ in range(50):
        if np.abs(gradient).max() <= tolerance * len(y):
            return weights
        step = np.linalg.solve(curvature(weights, x, y, penalty), gradient)
        for _ in range(30):
            after, gradient = slopes(weights - step, x, y, penalty)
            if after <= value + 1e-12 * abs(value):
                break
            step = step / 2
        weights, value = weights - step, after
    raise ArithmeticError(f"logistic regression: gradient {np.abs(gradient).max():.1e} after 50 steps")


def fit_all(rows: Rows, penalty: float, starts: Sequence[Array] | None = None) -> list[Array]:
    """The weights for each split."""
    return [
        fit(with_intercept(x), y, penalty, None if starts is None else starts[i])
        for i, (x, y) in enumerate(zip(rows.x, rows.y))
    ]


def logits(rows: Rows, weights: Sequence[Array]) -> Array:
    """The scores (S, N) of each split by its own weights."""
    return np.stack([with_intercept(x) @ w for x, w in zip(rows.x, weights)])


def chosen_penalty(splits: Splits, progress: Progress) -> tuple[list[float], float]:
    """The mean validation log-loss at each of ``PENALTIES``, and the penalty that has the lowest."""
    losses, weights = [], None
    for penalty in progress(PENALTIES, "penalties"):
        weights = fit_all(splits.train, penalty, weights)
        losses.append(float(scores.log_loss(logits(splits.validation, weights), splits.validation.y).mean()))
    return losses, PENALTIES[int(np.argmin(losses))]


def measure(lender: Lender, settings: Settings, progress: Progress) -> dict[str, Any]:
    """The penalty chosen on the tuning splits, and what it gives on the ones to report."""
    sensitive = "sensitive" in settings.flags
    losses, penalty = chosen_penalty(split(lender, lender.tuning_seeds(settings), sensitive), progress)
    splits = split(lender, lender.seeds(settings), sensitive)
    weights = fit_all(splits.train, penalty)
    return {
        "columns": int(splits.train.x.shape[2]),
        "left_out": list(splits.left_out),
        "penalties": list(PENALTIES),
        "tuning": losses,
        "penalty": penalty,
        "validation": scores.log_loss(logits(splits.validation, weights), splits.validation.y).tolist(),
        "train": scores.log_loss(logits(splits.train, weights)[:, :PROBE], splits.train.y[:, :PROBE]).tolist(),
        "majority": float(1 - splits.test.y.mean()),
        "test": scores.report(logits(splits.test, weights), splits.test.y),
    }
