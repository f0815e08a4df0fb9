"""The tables: learning rates, steps, CPU time and accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from ...lab.measure import statistics
from ...lab.show import texts
from ...lab.show.arms import NAMES
from ...lab.show.blocks import Table, Text
from .findings import Finding, price, text


def rates_table(found: Sequence[Finding]) -> Table:
    """How each network fared at each learning rate, and which was chosen."""
    rows = []
    for f in found:
        for arm in NAMES:
            tried = "  ".join(f"{rate:g}: {100 * value:.1f}" for rate, value in zip(f.data["rates"], f.validation(arm)))
            works = f"{f.working(arm)} of {len(f.data['rates'])}"
            rows.append((f"{f.label}, {100 * f.target:.0f} %", NAMES[arm], f"{f.data[arm]['rate']:g}", works, tried))
    return Table(
        "rates",
        "Learning rates: the one chosen, with how many the accuracy on validation images late in the run is at the target, and "
        "that accuracy in % with each",
        ("setting", "network", "chosen", "at target", "rate: accuracy"),
        rows,
    )


def warnings(found: Sequence[Finding]) -> list[Text]:
    """Where a wider grid might have found a better rate, and where training diverged."""
    edges = [f"{f.label} {NAMES[arm]} ({f.data[arm]['rate']:g})" for f in found for arm in NAMES if f.at_edge(arm)]
    wild = [
        f"{f.label} {NAMES[arm]} ({f.data[arm]['diverged']})" for f in found for arm in NAMES if f.data[arm]["diverged"]
    ]
    texts = (
        [Text(f"At the edge of its grid: {'; '.join(edges)}; a wider grid may have a better rate.")] if edges else []
    )
    return texts + ([Text(f"Runs that ended in numbers that are not finite: {'; '.join(wild)}.")] if wild else [])


def unfinished(found: Sequence[Finding]) -> list[Text]:
    """Which networks were still learning when they were stopped, so that the gain is that of a run of this length."""
    rising = [f"{f.label} {NAMES[arm]} ({f.data['steps']:,} steps)" for f in found for arm in NAMES if f.rising(arm)]
    return [Text(f"Still rising by more than a point at the end: {'; '.join(rising)}.")] if rising else []


def steps_table(found: Sequence[Finding]) -> Table:
    """Steps to each target."""
    rows = [
        (
            f.label,
            f"{100 * target:.0f} %",
            *(texts.steps_text(f.steps_to(arm, target)) for arm in NAMES),
            text(f.saved(target)),
        )
        for f in found
        for target in sorted(f.data["targets"])
    ]
    return Table(
        "steps",
        "Steps to an accuracy on images that were not trained on: lower median and range over the seeds, and how many got "
        "there if not all did; share of steps saved by BN with its 95 % interval",
        ("setting", "to reach", "plain", "with BN", "steps saved"),
        rows,
    )  # fmt: skip


def cpu_table(timed: Sequence[Finding]) -> Table:
    """The same in CPU seconds."""
    rows = []
    compiled = ["compiled"] * all(f.seconds and "compiled" in f.seconds for f in timed)  # earlier results have none
    for f in timed:
        seconds = f.seconds or {}
        per_step = [f"{1000 * seconds['plain']:.2f}", f"{1000 * seconds['bn']:.2f}", f"{seconds['ratio']:.2f}"]
        per_step += [f"{seconds[key]['ratio']:.2f}" for key in compiled]
        for target in sorted(f.data["targets"]):
            middles = {arm: statistics.lower_median(f.steps_to(arm, target)) for arm in NAMES}
            spent = {arm: None if m is None else m * seconds[arm] for arm, m in middles.items()}
            needed = (texts.never_text(time, ".2f") for time in spent.values())
            rows.append((f.label, *per_step, f"{100 * target:.0f} %", *needed, text(f.saved(target, seconds["ratio"]))))
    return Table(
        "cpu",
        "The same in CPU seconds of training, from the cost of a step of one network alone (BN composed of primitives)"
        + (f"; a step with BN costs {price(timed)}" if compiled else ""),
        ("setting", "ms/step plain", "with BN", "ratio", *compiled, "to reach", "s plain", "s with BN", "CPU saved"),
        rows,
    )


def accuracy_table(found: Sequence[Finding]) -> Table:
    """Accuracy after the last step."""
    rows = [
        (
            f.label, f"{f.data['steps']:,}", str(len(f.data["seeds"])),
            *(texts.mean_text(f.data[arm]["final"], 100) for arm in NAMES),
            texts.difference_text(f.gains, 100),
        )
        for f in found
    ]  # fmt: skip
    return Table(
        "accuracy",
        "Test accuracy in % after the last step: mean and standard deviation over the seeds, and BN's gain in points with its "
        "95 % interval (Student's t, paired by seed)",
        ("setting", "steps", "seeds", "plain", "with BN", "gain"),
        rows,
    )
