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
        "The learning rate chosen, the number of rates with which the validation accuracy reaches the target late in the run, "
        "and that accuracy in % for each rate",
        ("setting and target", "network", "rate chosen", "rates that work", "rate: accuracy"),
        rows,
    )


def warnings(found: Sequence[Finding]) -> list[Text]:
    """Where a wider grid might have found a better rate, and where training diverged."""
    edges = [f"{f.label} {NAMES[arm]} ({f.data[arm]['rate']:g})" for f in found for arm in NAMES if f.at_edge(arm)]
    wild = [
        f"{f.label} {NAMES[arm]} ({f.data[arm]['diverged']})" for f in found for arm in NAMES if f.data[arm]["diverged"]
    ]
    texts = (
        [Text(f"The best rate is at the edge of the grid for {'; '.join(edges)}. A wider grid may have a better rate.")]
        if edges
        else []
    )
    return texts + (
        [Text(f"Number of runs that diverged (a loss or weights not finite): {'; '.join(wild)}.")] if wild else []
    )


def unfinished(found: Sequence[Finding]) -> list[Text]:
    """Which networks were still learning when they were stopped, so that the gain is that of a run of this length."""
    rising = [f"{f.label} {NAMES[arm]} ({f.data['steps']:,} steps)" for f in found for arm in NAMES if f.rising(arm)]
    return (
        [Text(f"The accuracy was still rising by more than a point at the end for {'; '.join(rising)}.")]
        if rising
        else []
    )


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
        "Steps until an accuracy on test images is reached: lower median and range over the seeds, and the number of runs that "
        "reached it, if not all; share of steps that BN saves, with its 95 % interval",
        ("setting", "accuracy", "steps, plain", "steps, BN", "steps saved"),
        rows,
    )  # fmt: skip


def cpu_table(timed: Sequence[Finding]) -> Table:
    """The same in CPU seconds."""
    rows = []
    compiled = ["ratio, compiled"] * all(
        f.seconds and "compiled" in f.seconds for f in timed
    )  # earlier results have none
    for f in timed:
        seconds = f.seconds or {}
        per_step = [f"{1000 * seconds['plain']:.2f}", f"{1000 * seconds['bn']:.2f}", f"{seconds['ratio']:.2f}"]
        per_step += [f"{seconds['compiled']['ratio']:.2f}" for _ in compiled]
        for target in sorted(f.data["targets"]):
            middles = {arm: statistics.lower_median(f.steps_to(arm, target)) for arm in NAMES}
            spent = {arm: None if m is None else m * seconds[arm] for arm, m in middles.items()}
            needed = (texts.never_text(time, ".2f") for time in spent.values())
            rows.append((f.label, *per_step, f"{100 * target:.0f} %", *needed, text(f.saved(target, seconds["ratio"]))))
    return Table(
        "cpu",
        "CPU time until an accuracy is reached: steps times the measured cost of one step"
        + (f"; a step with BN, composed of primitives, costs {price(timed)}" if compiled else " (BN composed of primitives)"),
        (
            "setting", "ms per step, plain", "ms per step, BN", "ratio", *compiled,
            "accuracy", "seconds, plain", "seconds, BN", "CPU time saved",
        ),
        rows,
    )  # fmt: skip


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
