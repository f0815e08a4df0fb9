"""Tables, plots and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.part import Measured
from ...lab.show import plots, texts
from ...lab.show.arms import COLORS, NAMES
from ...lab.show.blocks import Block, Outcome, Plot, Table, Text, Verdict, outcome
from ...lab.show.wording import CONDITION, MEASURED, fitting
from .findings import Finding, Share, findings, grouped

SETTINGS = (
    "A setting is named by its data and by what is special: what the initial weights are drawn from (N(0, 0.1): normal, with "
    "standard deviation 0.1), other hidden units, another optimizer, fewer images. Where nothing else is said, three hidden "
    "layers of 100 sigmoids learn by SGD from batches of 60."
)
LEAST, MOST = -100, 6  # where axes end: of shares saved, and of gains, in percent and points


def show(measured: Measured) -> list[Block]:
    """Everything, from what was measured."""
    found = findings(measured)
    if not found:
        return []
    timed = [f for f in found if f.seconds]
    blocks: list[Block] = [Text(SETTINGS), rates_table(found), *warnings(found), steps_table(found)]
    blocks += [cpu_table(timed)] if timed else []
    blocks += [
        accuracy_table(found),
        *unfinished(found),
        curves_plot(found[0]),
        rates_plot(found[0]),
        saved_plot(found),
        gain_plot(found),
    ]
    blocks += [faster_steps(found)]
    blocks += [faster_cpu(timed)] if timed else []
    return [*blocks, stable_rates(found), better_accuracy(found)]


# -- tables -------------------------------------------------------------------------------------------------------------


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
    for f in timed:
        seconds = f.seconds or {}
        per_step = (f"{1000 * seconds['plain']:.2f}", f"{1000 * seconds['bn']:.2f}", f"{seconds['ratio']:.2f}")
        for target in sorted(f.data["targets"]):
            middles = {arm: statistics.lower_median(f.steps_to(arm, target)) for arm in NAMES}
            spent = {arm: None if m is None else m * seconds[arm] for arm, m in middles.items()}
            needed = (texts.never_text(time, ".2f") for time in spent.values())
            rows.append((f.label, *per_step, f"{100 * target:.0f} %", *needed, text(f.saved(target, seconds["ratio"]))))
    return Table(
        "cpu",
        "The same in CPU seconds of training, from the cost of a step of one network alone (BN composed of primitives)",
        ("setting", "ms/step plain", "with BN", "ratio", "to reach", "s plain", "s with BN", "CPU saved"),
        rows,
    )


def text(share: Share | None) -> str:
    """A share, or that there is none."""
    return "BN does not get there" if share is None else str(share)


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


# -- plots --------------------------------------------------------------------------------------------------------------


def curves_plot(f: Finding) -> Plot:
    """Accuracy over steps and over CPU seconds."""
    steps = {arm: statistics.lower_median(f.steps_to(arm, f.target)) for arm in NAMES}
    said = {arm: texts.never_text(n) for arm, n in steps.items()}
    caption = f"{f.label}: {100 * f.target:.0f} % after {said['bn']} steps with BN, {said['plain']} without"
    if f.seconds:
        spent = {arm: "never" if n is None else f"{n * f.seconds[arm]:.2f} s" for arm, n in steps.items()}
        caption += f"; CPU time {spent['bn']} against {spent['plain']}"

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, 2 if f.seconds else 1, sharey=True, squeeze=False)[0]
        for axes, unit in zip(panels, ("steps", "CPU seconds")):
            middles: list[float] = []
            for arm, color in COLORS.items():
                scale = f.seconds[arm] if f.seconds and unit == "CPU seconds" else 1.0
                x = [scale * step for step in f.data["at"]]
                runs = 100 * np.array(f.data[arm]["accuracy"])
                plots.band(axes, x, runs, color, NAMES[arm])
                name_beside(axes, x, np.median(runs, axis=0), NAMES[arm], color, left=arm == "plain")
                middle = steps[arm]
                middles += [] if middle is None else [scale * middle]
            axes.axhline(100 * f.target, color=plots.GRAY, linewidth=1, linestyle="--")
            axes.set(xscale="log", xlabel=unit, ylim=(0, 112))
            axes.set_yticks(range(0, 101, 20))
            plots.plain_numbers(axes.xaxis)
            if len(middles) == 2:
                span(axes, min(middles), max(middles))
        panels[0].set_ylabel("test accuracy, %")

    return Plot("curves", caption, draw)


def rates_plot(f: Finding) -> Plot:
    """Late accuracy over the learning rate."""
    count = {arm: f.working(arm) for arm in NAMES}
    caption = (
        f"{f.label}: with BN {count['bn']} of {len(f.data['rates'])} learning rates lead to {100 * f.target:.0f} %, without "
        f"{count['plain']}"
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        rates = f.data["rates"]
        for marker, (arm, color) in zip(plots.MARKERS, COLORS.items()):
            axes.plot(rates, [100 * v for v in f.validation(arm)], color=color, marker=marker, label=NAMES[arm])
            for rate, values in zip(rates, f.data[arm]["validation"]):
                axes.plot([rate] * len(values), [100 * v for v in values], ".", color=color, markersize=5, alpha=0.6)
        axes.axhline(100 * f.target, color=plots.GRAY, linewidth=1, linestyle="--")
        axes.set(xscale="log", xlabel="learning rate", ylabel="validation accuracy, %", ylim=(0, 103))
        plots.only_ticks(axes.xaxis, rates)
        axes.legend(loc="center left", bbox_to_anchor=(0.0, 0.72))

    return Plot("rates", caption, draw)


def saved_plot(found: Sequence[Finding]) -> Plot:
    """Steps saved and CPU time saved, by setting."""
    shares = {
        "steps saved, %": [f.steps_saved(f.target) for f in found],
        "CPU time saved, %": [f.cpu_saved(f.target) for f in found],
    }
    if not any(f.seconds for f in found):
        del shares["CPU time saved, %"]
    said = [
        f"{percent([s.value for s in row if s])} of the {what}"
        for row, what in zip(shares.values(), ("steps", "CPU time"))
    ]

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
        for axes, (title, row), color in zip(panels, shares.items(), (plots.SKY, plots.ORANGE)):
            for y, share in enumerate(row):
                if share is None:
                    axes.text(2, y, "not reached", va="center", color=plots.GRAY)
                    continue
                value = max(100 * share.value, LEAST)
                axes.barh(y, value, color=color, height=0.62)
                if share.low is not None and share.high is not None:
                    bounds = [max(100 * bound, LEAST) for bound in (share.low, share.high)]
                    axes.plot(bounds, [y + 0.2] * 2, color=plots.BLACK, linewidth=1.5)
                words = f"{'≥ ' if share.least else ''}{100 * share.value:.0f}".replace("-", "−")
                axes.text(
                    max(value, 0) - 3 if value > 25 else max(value, 0) + 3,
                    y - 0.05,
                    words,
                    va="center",
                    ha="right" if value > 25 else "left",
                )
            axes.axvline(0, color=plots.BLACK, linewidth=1)
            axes.set(xlabel=title, xlim=(LEAST, 100), xticks=(-50, 0, 50, 100))
            axes.grid(axis="y", visible=False)
        panels[0].set_yticks(range(len(found)), [f"{f.label}, {100 * f.target:.0f} %" for f in found])
        panels[0].invert_yaxis()

    return Plot("saved", f"BN saves {' and '.join(said)}", draw, size=(8.0, 1.2 + 0.5 * len(found)))


def gain_plot(found: Sequence[Finding]) -> Plot:
    """Gain in accuracy, by setting."""
    up, same, down = sides(found)
    caption = (
        f"Accuracy at the end: BN is clearly higher in {len(up)} of {len(found)} settings, clearly lower in {len(down)}, "
        f"and in {len(same)} the difference may be chance"
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for y, f in enumerate(found):
            mean, half = (100 * value for value in f.gain)
            color = plots.BN if mean > half else plots.PLAIN if mean < -half else plots.GRAY
            if abs(mean) > MOST:  # beyond the axis
                side = 1 if mean > 0 else -1
                axes.plot(side * MOST, y, ">" if side > 0 else "<", color=color, clip_on=False)
                axes.text(
                    side * (MOST - 0.3),
                    y,
                    f"{mean:+.0f} ± {half:.0f}",
                    ha="right" if side > 0 else "left",
                    va="center",
                    color=color,
                )
                continue
            axes.errorbar(mean, y, xerr=half, fmt="o", color=color, capsize=5, linewidth=2.5)
            words, behind = f"{mean:+.1f}".replace("-", "−"), {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            axes.annotate(words, (mean, y), (0, 8), textcoords="offset points", ha="center", color=color, bbox=behind)
        axes.axvline(0, color=plots.BLACK, linewidth=1)
        axes.set(xlabel="gain in test accuracy with BN, points (95 % interval)", xlim=(-MOST, MOST))
        axes.set_ylim(len(found) - 0.5, -0.7)
        axes.set_yticks(range(len(found)), [f.label for f in found])

    return Plot("gain", caption, draw, size=(8.0, 1.2 + 0.5 * len(found)))


def name_beside(axes: Any, x: Sequence[float], y: Any, name: str, color: str, left: bool) -> None:
    """A curve's name: on its left where it has made a quarter of its way up, or on its right at two thirds."""
    height = y[0] + (0.25 if left else 0.67) * (y[-1] - y[0])
    at = x[int(np.argmax(y >= height))]
    axes.text(at / 1.6 if left else at * 1.4, height, name, color=color, ha="right" if left else "left")


def span(axes: Any, fast: float, slow: float) -> None:
    """An arrow over the curves from one time to the other, with their ratio."""
    arrow = {"arrowstyle": "<->", "color": plots.BLACK, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (fast, 102), (slow, 102), arrowprops=arrow)
    axes.text((fast * slow) ** 0.5, 103.5, f"{slow / fast:.1f}x", ha="center", va="bottom")


def percent(shares: Sequence[float]) -> str:
    """``43 to 91 %``."""
    if not shares:
        return "none"
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low} to {high} %"


# -- verdicts -----------------------------------------------------------------------------------------------------------


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
