"""The verdicts, and the rules by which claims hold or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...lab.show import texts
from ...lab.show.arms import NAMES
from ...lab.show.blocks import Outcome, Verdict, outcome
from ...lab.show.wording import CONDITION, MEASURED, fitting
from .findings import Finding, Share, grouped, text


def faster_steps(found: Sequence[Finding]) -> Verdict:
    """See ``faster``."""
    return faster("faster_steps", "in fewer steps", "Steps", found, Finding.steps_saved)


def faster_cpu(timed: Sequence[Finding]) -> Verdict:
    """See ``faster``."""
    return faster("faster_cpu", "in less CPU time", "CPU time", timed, Finding.cpu_saved)


def faster(
    name: str, how: str, what: str, found: Sequence[Finding], saved: Callable[[Finding, float], Share | None]
) -> Verdict:
    """The rule of both: with each network at its best rate, it holds for a target if the saving's interval is above 0."""
    clear: list[tuple[str, float]] = []
    rest: list[tuple[str, float]] = []
    for f in found:
        for target in sorted(f.data["targets"]):
            share = saved(f, target)
            (clear if share and share.clear else rest).append((f.label, target))
    result = outcome(clear, rest)
    total = len(clear) + len(rest)
    count = f"{what} saved: {extremes(found, saved)}; above 0 beyond chance in {len(clear)} of {total}"
    return Verdict(
        name,
        f"Batch Normalization (BN) trains faster: an accuracy is reached {how}",
        fitting(MEASURED, f"{count} pairs of setting and accuracy", f"{count} cases"),
        result,
        exact_or(f"it is one of the {len(clear)} of {total} cases with an interval above 0 in the table", clear, rest)
        if result == "holds if"
        else "",
    )


def extremes(found: Sequence[Finding], saved: Callable[[Finding, float], Share | None]) -> str:
    """The setting with the largest and the one with the smallest share saved on the way to the target that counts."""

    def size(f: Finding) -> float:
        share = saved(f, f.target)
        return share.value if share else -np.inf

    def said(f: Finding) -> str:
        return f"{text(saved(f, f.target))} on {f.words} to {100 * f.target:.0f} %".replace(">=", "at least")

    most, least = max(found, key=size), min(found, key=size)
    return said(most) if most is least else f"{said(most)} (most), {said(least)} (least)"


def exact_or(count: str, cases: Sequence[tuple[str, float]], rest: Sequence[tuple[str, float]]) -> str:
    """The exceptions where they are fewer, or the cases; or how many they are, if that is too long."""
    named = f"it is not {grouped(rest)}" if len(rest) < len(cases) else f"it is {grouped(cases)}"
    return fitting(CONDITION, named, count)


def stable_rates(found: Sequence[Finding]) -> Verdict:
    """Holds if with BN more of the learning rates lead to the target in most settings, and fewer in none."""
    ahead = {f.label: f.working("bn") - f.working("plain") for f in found}
    wider = [label for label, more in ahead.items() if more > 0]
    narrower = [label for label, more in ahead.items() if more < 0]
    if not wider:
        result: Outcome = "does not hold"
    else:
        result = "holds" if 2 * len(wider) > len(found) and not narrower else "holds if"
    total = {arm: sum(f.working(arm) for f in found) for arm in NAMES}
    most = max(found, key=lambda f: ahead[f.label])
    return Verdict(
        "stable_rates",
        "Batch Normalization (BN) makes training more stable: more learning rates work",
        f"Of {sum(len(f.data['rates']) for f in found)} learning rates {total['bn']} reach the target with BN, "
        f"{total['plain']} without; more in {len(wider)} of {len(found)} settings, fewer in {len(narrower)}; most on "
        f"{most.words}: {most.working('bn')} against {most.working('plain')} of {len(most.data['rates'])}",
        result,
        which_settings(wider, [label for label in ahead if label not in wider], []) if result == "holds if" else "",
    )


def which_settings(good: Sequence[str], same: Sequence[str], bad: Sequence[str]) -> str:
    """The settings that are not good where these are fewer, or those that are; what is bad is said to be lower."""
    if len(same) + len(bad) < len(good):
        lower = f"{grouped(bad)} (lower)" if bad else ""
        named = f"the setting is not {', nor '.join(filter(None, (grouped(same), lower)))}"
    else:
        named = f"the setting is {grouped(good)}" + (f" (it is lower on {grouped(bad)})" if bad else "")
    total = len(good) + len(same) + len(bad)
    return fitting(
        CONDITION, named, f"the setting is one of {len(good)} of {total}" + (f"; lower in {len(bad)}" if bad else "")
    )


def better_accuracy(found: Sequence[Finding]) -> Verdict:
    """Holds where the interval of the gain is above 0."""
    up, same, down = sides(found)
    result = outcome(up, same + down)

    def said(f: Finding) -> str:
        return f"{texts.difference_text(f.gains, 100, 1)} on {f.words}"

    ordered = sorted(found, key=lambda f: f.gain[0])
    ends = f"{said(ordered[-1])} to {said(ordered[0])}" if len(found) > 1 else said(found[0])
    return Verdict(
        "better_accuracy",
        "Batch Normalization (BN) gives higher accuracy on unseen data",
        f"Gain in points: {ends}; clearly higher in {len(up)} of {len(found)} settings, clearly lower in {len(down)}",
        result,
        which_settings(up, same, down) if result == "holds if" else "",
    )


def sides(found: Sequence[Finding]) -> tuple[list[str], list[str], list[str]]:
    """Settings where the gain's interval is above 0, contains it, and is below."""
    sorted_out: tuple[list[str], list[str], list[str]] = ([], [], [])
    for f in found:
        mean, half = f.gain
        sorted_out[0 if mean - half > 0 else 2 if mean + half < 0 else 1].append(f.label)
    return sorted_out
