"""What a claim is judged by: cases, each an effect with its interval, and the rule that makes a verdict of them.

An interval that contains both answers is no evidence against a claim: such a case is open, and so may be the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ..measure import statistics
from ..measure.statistics import Steps

Answer = Literal["yes", "no", "open"]
Outcome = Literal["holds", "holds if", "not decided", "does not hold"]
LABELS: dict[Outcome, str] = {
    "holds": "holds", "holds if": "holds in part", "not decided": "not decided", "does not hold": "does not hold"
}  # fmt: skip
MANY: dict[Outcome, str] = {
    "holds": "hold", "holds if": "hold in part", "not decided": "are not decided", "does not hold": "do not hold"
}  # fmt: skip

MOST = 1000  # seeds: more than that nobody runs


@dataclass(frozen=True)
class Case:
    """One comparison that a claim is judged by.

    Attributes:
        name: which one, as it ends a sentence: "on digits with tanh".
        effect: what was found; ``None`` where there is no such number.
        low, high: the bounds of its 95 % interval, ``None`` where there is none. Equal where nothing is left to chance.
        seeds: how many the interval rests on; 0 if it does not come from seeds.
        border: above it the effect speaks for the claim.
        against: below it the effect speaks against the claim; ``None`` for the same border.
        ratio: whether the effect is a ratio, so that its logarithm has the interval.
        detail: what tells it from others of the same name: "to 95 %".
        settled: the answer where no number can give it: one of two networks never got there.
    """

    name: str
    effect: float | None
    low: float | None
    high: float | None
    seeds: int = 0
    border: float = 0.0
    against: float | None = None
    ratio: bool = False
    detail: str = ""
    settled: Answer | None = None

    @property
    def answer(self) -> Answer:
        """What the whole interval says; a bound at the border says nothing."""
        if self.settled is not None:
            return self.settled
        if self.low is not None and self.low > self.border:
            return "yes"
        lower = self.border if self.against is None else self.against
        return "no" if self.high is not None and self.high < lower else "open"

    @property
    def between(self) -> bool:
        """Whether the effect is between the borders, so that it is too small to count, either way."""
        return self.effect is not None and self.against is not None and self.against <= self.effect <= self.border

    @property
    def seeds_needed(self) -> int | None:
        """The smallest number of seeds with which an open case could be decided, if effect and spread stay as they are.

        ``None`` where that is not known: the interval has no bound on the side of the border, or the effect is at the
        border, or so near that more than ``MOST`` would be needed.
        """
        lower = self.border if self.against is None else self.against
        if self.answer != "open" or self.effect is None or self.seeds < 2 or lower <= self.effect <= self.border:
            return None
        bound, border = (self.low, self.border) if self.effect > self.border else (self.high, lower)
        if bound is None or (self.ratio and min(bound, border) <= 0):
            return None
        at = math.log if self.ratio else float
        half, distance = abs(at(bound) - at(self.effect)), abs(at(self.effect) - at(border))
        return fewest(half / width(self.seeds), distance, self.seeds + 1)


def fewest(spread: float, distance: float, start: int) -> int | None:
    """The smallest number of values, from ``start`` on, whose interval of this spread is narrower than a distance."""
    if spread * width(MOST) >= distance:
        return None
    low, high = start, MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if spread * width(middle) < distance else (middle + 1, high)
    return low


@cache
def width(count: int) -> float:
    """Half the width of Student's 95 % interval of a mean of so many values with standard deviation 1."""
    return statistics.t_quantile(0.975, count - 1) / math.sqrt(count)


def of_values(name: str, values: Sequence[float], *, scale: float = 1.0, border: float = 0.0, **more: object) -> Case:
    """A case with the mean of paired differences and Student's interval."""
    mean, half = (scale * value for value in statistics.mean_interval(values))
    return Case(name, mean, mean - half, mean + half, len(values), border, **more)  # type: ignore[arg-type]


def of_ratios(name: str, ratios: Sequence[float], **more: object) -> Case:
    """A case with the geometric mean of paired ratios and Student's interval on their logarithms."""
    mean, low, high = statistics.ratio_interval(ratios)
    return Case(name, mean, low, high, len(ratios), 1.0, ratio=True, **more)  # type: ignore[arg-type]


def of_seeds(name: str, values: Sequence[float], border: float, **more: object) -> Case:
    """A case that every seed has to agree on: from the smallest value to the largest; no number of seeds narrows that.

    A value that is not a number speaks against the claim.
    """
    numbers = sorted(value for value in values if math.isfinite(value))
    if not numbers:
        return Case(name, None, None, None, 0, border, settled="no", **more)  # type: ignore[arg-type]
    low = numbers[0] if len(numbers) == len(values) else None
    return Case(name, numbers[(len(numbers) - 1) // 2], low, numbers[-1], 0, border, **more)  # type: ignore[arg-type]


def exact(name: str, value: float, border: float = 0.0, **more: object) -> Case:
    """A case that leaves nothing to chance."""
    return Case(name, value, value, value, 0, border, **more)  # type: ignore[arg-type]


def of_share(name: str, successes: int, runs: int, sign: int = 1) -> Case:
    """A case that most runs succeed, with their share in percent and its interval; with ``sign`` -1, that most fail.

    The interval is Wilson's, Journal of the American Statistical Association 22 (1927), 209-212.  With ``sign`` -1 all
    values are negative.
    """
    share, z2 = successes / runs, 1.959964**2
    middle = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = math.sqrt(z2 * (share * (1 - share) / runs + z2 / (4 * runs**2))) / (1 + z2 / runs)
    low, high = sorted(100 * sign * bound for bound in (max(0.0, middle - half), min(1.0, middle + half)))
    return Case(name, 100 * sign * share, low, high, runs, 50.0 * sign)


NEVER = 1e15  # steps, in place of none, where the interval has to have bounds


def of_saved(name: str, before: Steps, after: Steps, *, border: float = 0.0, detail: str = "") -> Case:
    """A case with the share saved, in percent, and its bootstrap interval (see ``statistics.saved_interval``)."""
    value = statistics.saved(before, after)
    late = after if None in before else [NEVER if steps is None else steps for steps in after]
    low, high = (100 * bound for bound in statistics.saved_interval(before, late) or (-math.inf, math.inf))
    lost = statistics.lower_median(before) is not None and statistics.lower_median(after) is None
    settled: Answer | None = "no" if lost and (high < 100 * border or math.isinf(high)) else None
    return Case(
        name, None if value is None else 100 * value, bound(low), bound(high), len(before), 100 * border,
        detail=detail, settled=settled,
    )  # fmt: skip


def bound(value: float) -> float | None:
    """A bound, or that there is none."""
    return value if abs(value) < 1e9 else None


def judge(cases: Sequence[Case], some: float = 0.0) -> Outcome:
    """What becomes of a claim.

    It holds if every case speaks for it, and in part if some do. If none does, one against it is enough: it does not hold.
    With none on either side it is not decided; what is open counts for neither.

    Args:
        cases: what was compared.
        some: which share of the cases has to speak for a claim that holds in part; more than 0.
    """
    answers = [case.answer for case in cases]
    yes = answers.count("yes")
    if yes and yes == len(answers):
        return "holds"
    if yes and yes >= some * len(answers):
        return "holds if"
    return "does not hold" if "no" in answers else "not decided"
