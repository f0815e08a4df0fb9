"""Numbers from several seeds, as text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..measure.statistics import Steps, lower_median, mean_interval, saved, saved_interval


def never_text(value: float | None, form: str = ",.0f") -> str:
    """A number in this format, or ``never``."""
    return "never" if value is None else f"{value:{form}}"


def steps_text(values: Steps) -> str:
    """``90 (80 to 120)``: lower median and range; with ``, 4/5`` if only so many got there."""
    reached = sorted(value for value in values if value is not None)
    if not reached:
        return f"never (0/{len(values)})"
    middle = lower_median(values)
    text = never_text(middle)
    if reached[0] != reached[-1] or middle is None:
        text += f" ({reached[0]:,.0f} to {reached[-1]:,.0f})"
    return text if len(reached) == len(values) else f"{text}, {len(reached)}/{len(values)}"


def saved_text(before: Steps, after: Steps) -> str:
    """``87 % [82, 91]``: the share of steps saved and its interval; a bound or a word where there is no number."""
    share, interval = saved(before, after), saved_interval(before, after)
    if share is None:
        slow, fast = lower_median(before), lower_median(after)
        return "neither" if slow is None and fast is None else "all: the other never" if slow is None else "none: never"
    return f"{100 * share:.0f} %" + (f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]" if interval else "")


def difference_text(values: Sequence[float], scale: float = 1.0, digits: int = 2) -> str:
    """``+1.61 ± 0.48``: the mean of paired differences and the half-width of its 95 % interval."""
    mean, half = mean_interval(values)
    return f"{scale * mean:+.{digits}f} ± {scale * half:.{digits}f}"


def mean_text(values: Sequence[float], scale: float = 1.0, digits: int = 2) -> str:
    """``96.34 ± 0.45``: mean and standard deviation over the seeds."""
    return f"{scale * float(np.mean(values)):.{digits}f} ± {scale * float(np.std(values, ddof=1)):.{digits}f}"


def price_text(eager: Sequence[float], compiled: Sequence[float]) -> str:
    """``1.8 to 2.2 times as much, or 1.1 to 1.3 times if compiled``: what steps with Batch Normalization cost.

    Args:
        eager: by what a step without it costs, one number a network.
        compiled: the same of compiled steps; empty if that was not measured.
    """

    def times(ratios: Sequence[float]) -> str:
        low, high = f"{min(ratios):.1f}", f"{max(ratios):.1f}"
        return low if low == high else f"{low} to {high}"

    return f"{times(eager)} times as much" + (f", or {times(compiled)} times if compiled" if compiled else "")
