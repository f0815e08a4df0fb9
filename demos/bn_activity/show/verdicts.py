"""The verdicts, and the rules by which claims hold or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...lab.show import evidence, texts
from ...lab.show.arms import NAMES
from ...lab.show.blocks import Summary, Verdict
from ...lab.show.evidence import Case
from ...lab.show.telling import verdict
from ...lab.show.wording import MEASURED, fitting
from .findings import Finding, Share, price, text


def summary(found: Sequence[Finding], timed: Sequence[Finding]) -> Summary:
    """The activity in a sentence."""
    steps = faster_steps(found)
    text = f"With Batch Normalization an accuracy is reached in clearly fewer steps in {counted(steps)}"
    if timed:
        text += (
            f"; but a step costs {price(timed)}, and clearly less CPU time is needed in {counted(faster_cpu(timed))}"
        )
    return Summary(f"{text}.", "saved")


def counted(judged: Verdict) -> str:
    """``15 of 21 comparisons``."""
    return f"{sum(case.answer == 'yes' for case in judged.cases)} of {len(judged.cases)} comparisons"


def faster_steps(found: Sequence[Finding]) -> Verdict:
    """See ``faster``."""
    return faster("faster_steps", "in fewer steps", "steps", found, Finding.steps_saved, lambda f: 1.0)


def faster_cpu(timed: Sequence[Finding]) -> Verdict:
    """See ``faster``."""

    def ratio(f: Finding) -> float:
        return f.seconds["ratio"] if f.seconds else 1.0

    costs = f" A step with BN costs {price(timed)}."
    return faster("faster_cpu", "in less CPU time", "CPU time", timed, Finding.cpu_saved, ratio, costs)


def faster(
    name: str,
    how: str,
    what: str,
    found: Sequence[Finding],
    saved: Callable[[Finding, float], Share | None],
    cost: Callable[[Finding], float],
    costs: str = "",
) -> Verdict:
    """The rule of both: with each network at its best rate, is the saving's interval above 0, for every target?"""
    cases = [saving(f, target, cost(f)) for f in found for target in sorted(f.data["targets"])]
    clear = sum(case.answer == "yes" for case in cases)
    count = f"The whole interval is above 0 in {clear} of {len(cases)} comparisons."
    ends = extremes(found, saved)
    return verdict(
        name,
        f"Batch Normalization (BN) trains faster: an accuracy is reached {how}",
        fitting(MEASURED, *(f"The share of {what} saved {end}. {count}{costs}" for end in ends), f"{count}{costs}"),
        cases,
        short=f"BN reaches an accuracy {how}",
        form="{:.0f} %",
        headline=f"{clear} of {len(cases)} comparisons",
    )


def saving(f: Finding, target: float, cost: float) -> Case:
    """What BN saves on the way to a target; a plain network that is not there at the end counts as if with its last step."""
    at_best = [f.data["steps"] if steps is None else steps for steps in f.steps_to("plain", target)]
    paid = [None if steps is None else steps * cost for steps in f.steps_to("bn", target)]
    return evidence.of_saved(f.place, at_best, paid, detail=f"to {100 * target:.0f} %")


def extremes(found: Sequence[Finding], saved: Callable[[Finding, float], Share | None]) -> tuple[str, str]:
    """The setting with the largest and the one with the smallest share saved on the way to the target that counts.

    With their names, or if there is no room, without.
    """

    def size(f: Finding) -> float:
        share = saved(f, f.target)
        return share.value if share else -np.inf

    def said(f: Finding) -> str:
        return text(saved(f, f.target)).replace(">=", "at least")

    most, least = max(found, key=size), min(found, key=size)
    if most is least:
        return (f"is {said(most)} {most.place}",) * 2
    return (
        f"ranges from {said(most)} {most.place} to {said(least)} {least.place}",
        f"ranges from {said(most)} to {said(least)}",
    )


def stable_rates(found: Sequence[Finding]) -> Verdict:
    """Do more of the learning rates that were tried lead to the target with BN? As many are no answer: the grid is coarse."""
    cases = [evidence.exact(f.place, f.working("bn") - f.working("plain")) for f in found]
    total = {arm: sum(f.working(arm) for f in found) for arm in NAMES}
    most = max(found, key=lambda f: f.working("bn") - f.working("plain"))
    return verdict(
        "stable_rates",
        "Batch Normalization (BN) makes training more stable: more learning rates work",
        f"Of {sum(len(f.data['rates']) for f in found)} learning rates {total['bn']} reach the target with BN and "
        f"{total['plain']} without. The difference is largest {most.place}: {most.working('bn')} of "
        f"{len(most.data['rates'])} with BN, {most.working('plain')} without.",
        cases,
        short="With BN more learning rates work",
        form="{:+.0f}",
        headline=f"{total['bn']} rates, not {total['plain']}",
        noun="setting",
    )


def better_accuracy(found: Sequence[Finding]) -> Verdict:
    """Is the interval of the gain above 0?"""
    up, _, down = sides(found)

    def said(f: Finding) -> str:
        return f"{texts.difference_text(f.gains, 100, 1)} {f.place}"

    ordered = sorted(found, key=lambda f: f.gain[0])
    ends = f"ranges from {said(ordered[-1])} to {said(ordered[0])}" if len(found) > 1 else f"is {said(found[0])}"
    return verdict(
        "better_accuracy",
        "Batch Normalization (BN) gives higher accuracy on unseen data",
        f"The gain in points {ends}. It is clearly above 0 in {len(up)} of {len(found)} settings, clearly below in "
        f"{len(down)}.",
        [evidence.of_values(f.place, f.gains, scale=100) for f in found],
        short="BN gives higher accuracy on unseen data",
        form="{:+.1f} points",
        noun="setting",
    )


def sides(found: Sequence[Finding]) -> tuple[list[str], list[str], list[str]]:
    """Settings where the gain's interval is above 0, contains it, and is below."""
    sorted_out: tuple[list[str], list[str], list[str]] = ([], [], [])
    for f in found:
        mean, half = f.gain
        sorted_out[0 if mean - half > 0 else 2 if mean + half < 0 else 1].append(f.label)
    return sorted_out
