"""How far to go in a direction: a line search for the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..kinds import Array

ENOUGH = 1e-4  # c1: the share of the descent promised by the slope at the start that is descent enough
FLAT = 0.9  # c2: the share of the slope at the start that is flat enough


class Point(NamedTuple):
    """What is known at a distance along the direction."""

    t: float
    loss: float
    slope: float
    gradient: Array


def strong_wolfe(at: Callable[[float], Point], start: Point, first: float, most: int = 25) -> Point:
    """A point lower than the start by at least c1 of what the slope promises, where the slope is at most c2 of the first.

    (Nocedal and Wright, Numerical Optimization, second edition, 2006, algorithms 3.5 and 3.6, with the cubic of equation
    3.59.)  A loss that is not finite counts as too high.

    Args:
        at: computes the loss and its gradient at a distance.
        start: at distance 0; its slope is negative.
        first: the distance to try first, above 0.
        most: how often ``at`` may be called, at least once.

    Returns:
        Such a point; or, after ``most`` calls or where rounding leaves no more room, the lowest that was found with
        descent enough, which is the start if there is none.
    """
    low, high, t = start, None, first
    for _ in range(most):
        point = at(t)
        too_high = not point.loss <= start.loss + ENOUGH * t * start.slope
        if too_high or (low is not start and point.loss >= low.loss):
            high = point
        elif abs(point.slope) <= -FLAT * start.slope:
            return point
        elif high is None and point.slope < 0:  # still going down: further
            low, t = point, _between(low, point, t + 0.01 * (t - low.t), 10.0 * t)
            continue
        else:  # the lowest so far; on the other side of it, as its slope says, is where to look
            if high is None or point.slope * (high.t - point.t) >= 0:
                high = low
            low = point
        margin = 0.1 * abs(high.t - low.t)
        left, right = min(low.t, high.t), max(low.t, high.t)
        t = _between(low, high, left + margin, right - margin)
        if not left < t < right:
            break
    return low


def _between(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through both points is lowest, within bounds; the middle of the bounds where there is none."""
    middle = 0.5 * (least + most)
    if a.t == b.t or not (math.isfinite(b.loss) and math.isfinite(b.slope)):
        return middle
    with_slopes = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.t - b.t)
    root = with_slopes * with_slopes - a.slope * b.slope
    if not 0.0 <= root < math.inf:
        return middle
    turned = math.copysign(math.sqrt(root), b.t - a.t)
    divisor = b.slope - a.slope + 2.0 * turned
    if divisor == 0.0:
        return middle
    t = b.t - (b.t - a.t) * (b.slope + turned - with_slopes) / divisor
    return min(max(t, least), most) if math.isfinite(t) else middle
