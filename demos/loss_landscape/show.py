"""What there is to say about the landscape: tables, plots and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..lab.measure import probe, statistics
from ..lab.measure.arms import ARMS
from ..lab.measure.copies import Array
from ..lab.measure.part import Measured
from ..lab.show import colors, evidence, plots
from ..lab.show.arms import COLORS, NAMES
from ..lab.show.blocks import Block, Heading, Plot, Summary, Table, Text, Verdict
from ..lab.show.telling import verdict
from ..lab.show.wording import listed
from .measure import BATCH, EVERY, NETS

SMOOTHER = {"plain": "the plain network", "bn": "the network with BN", "": "neither"}

MEASURES = {"range": "loss range", "change": "gradient change", "beta": "effective beta"}
MEASURED_IN = tuple(
    colors.of(m) for m in ("range of the loss", "change of the gradient", "change of the gradient per distance")
)
TITLES = {"range": "Loss range", "change": "Gradient change", "beta": "Gradient change per distance"}


@dataclass(frozen=True)
class Comparison:
    """A measure of the plain network by that of the one with Batch Normalization, one ratio a seed.

    Attributes:
        ratios: above 1 where the plain network is the rougher one.
    """

    ratios: tuple[float, ...]

    @property
    def interval(self) -> tuple[float, float, float]:
        """The geometric mean, and the bounds of its 95 % interval (Student's t on the logarithms)."""
        return statistics.ratio_interval(self.ratios)

    @property
    def smoother(self) -> str:
        """Which arm, as far as the interval can tell."""
        _, low, high = self.interval
        return "bn" if low > 1 else "plain" if high < 1 else ""

    @property
    def mean(self) -> str:
        """Without the interval."""
        return str(self).split(" ")[0]

    def __str__(self) -> str:
        middle, low, high = (f"{v:.0f}" if v >= 99.5 else f"{v:.2g}" for v in self.interval)
        return f"{middle} [{low}, {high}]"


def regular(part: Measured, arm: str, measure: str) -> tuple[Array, Array]:
    """Steps and values of the probes every 20 steps."""
    at = np.array(part["at"])
    return at[at % EVERY == 0], np.array(part[arm][measure])[:, at % EVERY == 0]


def middle(part: Measured, arm: str, measure: str) -> float:
    """The median over these probes and the seeds."""
    return float(np.median(regular(part, arm, measure)[1]))


def same_step(part: Measured, measure: str, window: slice = slice(None)) -> Comparison:
    """Median over the regular probes (of a window of them) of one arm by that of the other."""
    plain, bn = (np.median(regular(part, arm, measure)[1][:, window], axis=1) for arm in ARMS)
    return Comparison(tuple((plain / bn).tolist()))


def same_loss(part: Measured, measure: str) -> Comparison | None:
    """At the levels of loss that both arms of a seed passed through; ``None`` where some seed has none."""
    ratios = probe.ratios_at_same_loss(part["plain"], part["bn"], measure)
    return Comparison(tuple(ratios)) if ratios else None


def trains(part: Measured) -> bool:
    """Whether both arms are right about more than half of the held-out digits at the end, in most seeds."""
    return all(float(np.median(part[arm]["accuracy"])) > 0.5 for arm in ARMS)


def long_name(name: str) -> str:
    """A network and how it is trained."""
    net = NETS[name]
    return f"{net.layers} {net.activation.__name__.lower()} layers, rate {net.rate:g}"


def short_name(name: str) -> str:
    """For a sentence; the rate only where the same layers are trained at another one by default."""
    return long_name(name).replace(",", " at") if NETS[name].full else long_name(name).split(",")[0]


def show(measured: Measured) -> list[Block]:
    """Tables, plots and verdicts of the networks that ran."""
    parts = {name: measured[name] for name in NETS if name in measured}
    if not parts:
        return []
    seeds = len(next(iter(parts.values()))["plain"]["loss"])
    stuck = [name for name, part in parts.items() if not trains(part)]
    return [
        summary(parts),
        Heading("The landscape during training"),
        Text(
            "Every 20 steps, the loss and its gradient are computed at several points along the gradient, on the minibatch of "
            "the step. Loss range is the largest minus the smallest loss at these points. Gradient change is the largest norm "
            "of the change of the gradient. Effective beta is the largest such norm divided by the distance. Small values mean "
            "a smooth landscape. Ratios are plain divided by BN, so they are above 1 where BN is smoother; they are geometric "
            "means over the seeds with 95 % intervals. At the same step the networks may have different losses, and a smaller "
            "loss alone can make all three measures smaller. So the last column compares the networks where both had the same "
            "loss, at whatever step that was."
        ),
        landscape_table(parts, seeds),
        *halves(parts),
        *pictures(parts, stuck),
        *(smoother_verdict(parts, measure, name, claim) for measure, (name, claim) in CLAIMS.items()),
        trainable_verdict(parts),
    ]


def summary(parts: Measured) -> Summary:
    """The landscape in a sentence."""
    levels = [found for part in parts.values() if trains(part) and (found := same_loss(part, "range"))]
    against = [short_name(name) for name, part in parts.items() if easier(name, part).answer == "no"]
    text = "No two networks, with and without Batch Normalization, pass through the same loss"
    if levels:
        text = f"At the same loss, the loss along the gradient varies {low_to_high(levels)} times as much without BN"
    if against:
        text += f", but with {listed(against, 'and')} the smoother network trains worse"
    return Summary(f"{text}.", "loss_range")


def landscape_table(parts: Measured, seeds: int) -> Table:
    """All measures of all networks."""
    lines: list[tuple[str, ...]] = []
    for name, part in parts.items():
        for measure, label in MEASURES.items():
            medians = [f"{middle(part, arm, measure):.3g}" for arm in ARMS]
            level = same_loss(part, measure)
            lines.append(
                (long_name(name), label, *medians, str(same_step(part, measure)), str(level or "never the same"))
            )  # fmt: skip
        ends = [f"{100 * float(np.median(part[arm]['accuracy'])):.1f}" for arm in ARMS]
        lines.append((long_name(name), f"test accuracy after {part['at'][-1]} steps, %", *ends, "", ""))
    return Table(
        "landscape",
        f"Smoothness of 64-100-...-10 networks on the digits (SGD, batches of {BATCH}); medians over probes and {seeds} seeds",
        ("network", "measure", "plain", "with BN", "ratio, same step", "ratio, same loss"),
        lines,
    )


def halves(parts: Measured) -> list[Block]:
    """Whether the comparison at the same step depends on which steps."""
    said = []
    for name, part in parts.items():
        if trains(part):
            half = len(regular(part, "plain", "range")[0]) // 2
            early, late = (same_step(part, "range", window) for window in (slice(half), slice(half, None)))
            loss = same_step(part, "loss", slice(half, None))
            said.append(f"with {short_name(name)} it is {early} in the first half of the run and {late} in the second half, "
                        f"where the plain network's loss is {loss} times the loss with BN")  # fmt: skip
    return (
        [Text(f"The ratio of the loss ranges at the same step can change during training: {'; '.join(said)}.")]
        if said
        else []
    )


CLAIMS = {
    "range": ("loss_range", "the loss varies less along the gradient"),
    "change": ("gradient_change", "the gradient changes less"),
    "beta": ("effective_beta", "the gradient changes less per distance"),
}


def smoother_verdict(parts: Measured, measure: str, name: str, claim: str) -> Verdict:
    """A case is a network, compared at the same step; if it trains in both arms, also at the same loss."""
    steps = {short_name(net): same_step(part, measure) for net, part in parts.items()}
    levels = {
        short_name(net): level for net, part in parts.items() if trains(part) and (level := same_loss(part, measure))
    }
    both = {"at the same loss": levels, "at the same step": steps}
    said = [f"{ends(found)} times BN's {level}" for level, found in both.items() if found]
    return verdict(
        name,
        f"Batch Normalization (BN) makes the landscape smoother: {claim}",
        f"The plain network's {TITLES[measure].lower()} is {' and '.join(said)}.",
        [
            evidence.of_ratios(f"with {net}", found.ratios, detail=level)
            for level, own in both.items()
            for net, found in own.items()
        ],
        short=f"Smoother with BN: {claim.removeprefix('the ')}",
        form="{:.2g}x",
    )


def ends(cases: Mapping[str, Comparison]) -> str:
    """``2.4 [1.6, 3.5] to 4.8 [4, 5.8]``: the comparisons with the smallest and the largest ratio."""
    ordered = sorted(cases.values(), key=lambda each: each.interval[0])
    return " to ".join(str(each) for each in (ordered[0], *ordered[1:][-1:]))


EASIER = 0.05  # an accuracy that is higher by less than 5 points does not count as easier to train


def easier(name: str, part: Measured) -> evidence.Case:
    """By how many points the smoother arm of a network is more accurate at the end; open where neither arm is smoother.

    Smoother is by effective beta, at the same step: the other two measures shrink with the gradient itself, so that every
    network which has converged is smooth by them.
    """
    smoother = same_step(part, "beta").smoother
    sign = -1 if smoother == "plain" else 1
    gains = [sign * (b - a) for a, b in zip(part["plain"]["accuracy"], part["bn"]["accuracy"])]
    found = evidence.of_values(f"with {short_name(name)}", gains, scale=100, border=100 * EASIER, against=-100 * EASIER)
    return found if smoother else replace(found, settled="open")


def smooth_and_right(name: str, part: Measured) -> str:
    """Which arm of a network is smoother, and how often each is right."""
    plain, bn = (f"{100 * float(np.median(part[arm]['accuracy'])):.0f} %" for arm in ARMS)
    beta = same_step(part, "beta")
    return (
        f"With {short_name(name)} {SMOOTHER[beta.smoother]} is smoother: per distance, the gradient changes {beta} times as "
        f"much without BN. At the end, {plain} of the digits are recognized without BN, {bn} with it."
    )


def trainable_verdict(parts: Measured) -> Verdict:
    """A network whose smoother arm trains worse speaks against the claim, one whose smoother arm trains better for it."""
    cases = {name: easier(name, part) for name, part in parts.items()}
    first = min(cases, key=lambda name: ("no", "yes", "open").index(cases[name].answer))
    return verdict(
        "smooth_is_trainable",
        "A smoother landscape means that a network is easier to train",
        smooth_and_right(first, parts[first]),
        list(cases.values()),
        short="Smoother means easier to train",
        form="{:+.0f} points",
        noun="network",
    )


# -- pictures -------------------------------------------------------------------------------------------------------------


def pictures(parts: Measured, stuck: list[str]) -> list[Block]:
    """Loss range, gradient change, effective beta, the comparison at the same loss, and the warning."""
    blocks: list[Block] = []
    first = [name for name in parts if name not in stuck and not NETS[name].full]
    if first:
        said = ", ".join(f"{same_step(parts[name], 'range').mean} with {short_name(name)}" for name in first)
        blocks.append(
            Plot(
                "loss_range",
                f"Losses along the gradient; their range, plain divided by BN: {said}",
                lambda figure: draw_range(figure, {name: parts[name] for name in first}),
                title="The losses along the gradient",
            )
        )
    drawn = {name: part for name, part in parts.items() if not NETS[name].full} or parts  # three panels are enough
    blocks += [over_steps(drawn, "change"), over_steps(drawn, "beta")]
    passed = {name: parts[name] for name in first if same_loss(parts[name], "range")}
    if passed:
        found = {label: [same_loss(part, m) for part in passed.values()] for m, label in MEASURES.items()}
        said = ", ".join(f"{label} {low_to_high([each for each in row if each])}" for label, row in found.items())
        blocks.append(
            Plot(
                "same_loss",
                f"Plain divided by BN at the same loss (above 1: BN is smoother): {said}",
                lambda figure: draw_same_loss(figure, passed),
                title="Compared where both networks have the same loss",
            )
        )
    return blocks + [warning(name, parts[name]) for name in stuck[:1]]


def low_to_high(found: Sequence[Comparison]) -> str:
    """``2.4 to 4.8``: the means alone."""
    low, high = (pick(found, key=lambda each: each.interval[0]).mean for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def panels(figure: Any, parts: Measured, **options: Any) -> Any:
    """A panel for each network, with its name."""
    for axes, name in zip(figure.subplots(1, len(parts), squeeze=False, **options)[0], parts):
        axes.set(title=long_name(name).replace(", ", "\n"), xlabel="step")
        axes.locator_params(axis="x", nbins=3)  # labels stay apart on a phone
        yield axes, parts[name]


def draw_range(figure: Any, parts: Measured) -> None:
    """Santurkar's figure 4 (a)."""
    for axes, part in panels(figure, parts, sharey=True):
        for arm, color in COLORS.items():
            at, low = regular(part, arm, "low")
            _, high = regular(part, arm, "high")
            axes.fill_between(at, np.median(low, axis=0), np.median(high, axis=0), color=color, alpha=0.5, linewidth=0,
                              label=NAMES[arm])  # fmt: skip
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("loss along the gradient")
    axes.legend(loc="upper right")


def over_steps(parts: Measured, measure: str) -> Plot:
    """A measure over training, one panel a network: Santurkar's figure 4 (b) and (c)."""

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, parts, sharey=True):
            for arm, color in COLORS.items():
                at, values = regular(part, arm, measure)
                plots.band(axes, at, plots.smooth(values), color, NAMES[arm])
            axes.set_yscale("log")
            plots.log_numbers(axes.yaxis, (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100))
            if axes.get_subplotspec().is_first_col():
                axes.set_ylabel(MEASURES[measure])
        axes.legend()

    said = ", ".join(f"{same_step(part, measure).mean} with {short_name(name)}" for name, part in parts.items())
    return Plot(
        {"change": "gradient_change", "beta": "effective_beta"}[measure],
        f"{TITLES[measure]}, plain / BN (above 1: BN is smoother): {said}",
        draw,
        title={"change": "How much the gradient changes", "beta": "How much the gradient changes per distance"}[
            measure
        ],
    )


def draw_same_loss(figure: Any, parts: Measured) -> None:
    """The ratio of each measure against the loss, the seeds pooled."""
    for axes, part in panels(figure, parts, sharey=True):
        for (measure, label), color, marker in zip(MEASURES.items(), MEASURED_IN, plots.MARKERS):
            found = probe.at_same_loss(part["plain"], part["bn"], measure)
            axes.plot(*zip(*found), color=color, marker=marker, label=label)
        axes.axhline(1, color=plots.GRAY, linewidth=1.2, linestyle="--")
        axes.set(xlabel="loss of both", xscale="log", yscale="log")
        axes.invert_xaxis()
        plots.log_numbers(axes.xaxis, (2, 1, 0.3, 0.1, 0.03, 0.01))
        plots.log_numbers(axes.yaxis, (0.3, 1, 3, 10))
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("plain / BN")
    axes.legend()


def warning(name: str, part: Measured) -> Plot:
    """A network that does not train without Batch Normalization: its smoothness and its loss."""

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        for axes, measure in ((left, "beta"), (right, "loss")):
            for arm, color in COLORS.items():
                at, values = regular(part, arm, measure)
                plots.band(axes, at, plots.smooth(values), color, NAMES[arm])
            axes.set(xlabel="step", ylim=(0, None))
        left.set_title(f"effective beta: {SMOOTHER[same_step(part, 'beta').smoother]} is smoother")
        right.set_title("loss")
        right.legend(loc="center right")

    right = [100 * float(np.median(part[arm]["accuracy"])) for arm in ARMS]
    return Plot(
        "smooth_plateau",
        f"{short_name(name)}: {SMOOTHER[same_step(part, 'beta').smoother]} is smoother; after {part['at'][-1]} steps "
        f"{right[0]:.0f} % of the digits are recognized without BN, {right[1]:.0f} % with BN",
        draw,
        title="Smoothness and loss of one network",
    )
