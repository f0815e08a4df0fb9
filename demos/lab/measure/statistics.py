"""Numbers from several seeds: medians where some never got there, intervals for paired differences and for ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Steps = Sequence[float | None]  # per seed; None where the target was never reached


def first_at(steps: Sequence[int], values: Sequence[float], target: float) -> int | None:
    """The step of the first evaluation at or above ``target``, or ``None``."""
    return next((step for step, value in zip(steps, values) if value >= target), None)


def lower_median(values: Steps) -> float | None:
    """The middle value, of two the lower; ``None``, which stands for never, counts as infinite."""
    middle = sorted(math.inf if value is None else value for value in values)[(len(values) - 1) // 2]
    return None if math.isinf(middle) else middle


def saved(before: Steps, after: Steps) -> float | None:
    """The share of steps saved, ``1 - median(after) / median(before)``; ``None`` unless both medians were reached."""
    slow, fast = lower_median(before), lower_median(after)
    return None if slow is None or fast is None else 1.0 - fast / slow


def saved_interval(before: Steps, after: Steps) -> tuple[float, float] | None:
    """A 95 % bootstrap interval for ``saved``: 4,000 times the pairs (one per seed) are drawn with replacement.

    A draw where only ``before`` was not reached counts as 1 (everything saved), one where ``after`` was not as minus
    infinity; ``None`` if a bound is not finite.
    """
    slow, fast = (np.array([math.inf if v is None else v for v in values]) for values in (before, after))
    picks = np.random.default_rng(0).integers(0, len(slow), (4000, len(slow)))
    middle = (len(slow) - 1) // 2
    slow, fast = np.sort(slow[picks], axis=1)[:, middle], np.sort(fast[picks], axis=1)[:, middle]
    ratio = np.divide(fast, slow, out=np.full(len(fast), np.inf), where=np.isfinite(fast))
    low, high = (float(q) for q in np.quantile(1.0 - ratio, [0.025, 0.975], method="nearest"))
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the half-width of Student's 95 % interval for it; for paired differences, give the differences.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"mean_interval: {len(values)} values have no interval; at least 2 are needed")
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), t_quantile(0.975, len(values) - 1) * spread


def ratio_interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of paired ratios (above 0), and the bounds of Student's 95 % interval on their logarithms.

    Raises:
        ValueError: fewer than two values.
    """
    mean, half = mean_interval(np.log(ratios).tolist())
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def t_quantile(p: float, degrees: int) -> float:
    """The value that Student's t with so many degrees of freedom stays below with probability ``p`` (0.5 <= p < 1).

    By bisection on the distribution function, which for whole degrees of freedom is a finite sum (Abramowitz and Stegun,
    Handbook of Mathematical Functions, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, 1.0
    while t_distribution(high, degrees) < p:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_distribution(middle, degrees) < p else (low, middle)
    return (low + high) / 2


def t_distribution(t: float, degrees: int) -> float:
    """The probability that Student's t with so many degrees of freedom is below ``t`` >= 0."""
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    term = total = cosine if degrees % 2 else 1.0
    for k in range(2 + degrees % 2, degrees, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    if degrees == 1:
        total = 0.0
    within = 2 / math.pi * (angle + sine * total) if degrees % 2 else sine * total
    return 0.5 + within / 2


def matched(
    levels: Sequence[float],
    values: Sequence[float],
    other_levels: Sequence[float],
    other_values: Sequence[float],
    per_decade: int = 6,
    fewest: int = 3,
) -> list[tuple[float, float]]:
    """Two series compared where they are at the same level, such as the same loss.

    The levels (not negative; 0 is a bin of its own) are sorted into bins of equal width in their logarithm.

    Returns:
        From the highest level down, for each bin with at least ``fewest`` points of both series: its middle level, and the
        median of ``values`` in it by the median of ``other_values``.
    """
    width = 1 / per_decade
    bins, other_bins = (np.floor(np.log10(np.maximum(each, 1e-300)) / width) for each in (levels, other_levels))
    found = []
    for at in sorted({*bins} & {*other_bins}, reverse=True):
        one, other = np.asarray(values)[bins == at], np.asarray(other_values)[other_bins == at]
        if min(len(one), len(other)) >= fewest:
            found.append((float(10 ** ((at + 0.5) * width)), float(np.median(one) / np.median(other))))
    return found


def auc(scores: Array, labels: Array) -> float:
    """Area under the ROC curve: the probability that a 1 has a higher score than a 0, ties counting half.

    Args:
        scores: shape (N,).
        labels: 0 or 1, shape (N,), both present.
    """
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]  # ties share the mean of their ranks
    ones = int(labels.sum())
    zeros = len(labels) - ones
    return float((ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))
