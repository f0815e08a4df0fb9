"""What there is to say about the inputs of layers: tables, plots and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..lab.measure import probe
from ..lab.measure.arms import ARMS
from ..lab.measure.copies import Array
from ..lab.measure.part import Measured
from ..lab.show import colors, evidence, plots
from ..lab.show.arms import COLORS, NAMES
from ..lab.show.blocks import Block, Heading, Plot, Summary, Table, Text, Verdict
from ..lab.show.telling import verdict
from ..lab.show.wording import MEASURED, PICTURE, fitting
from .measure import DEEP, NETS, STARTS, Net, drift_of


def show(measured: Measured) -> list[Block]:
    """Tables, plots and verdicts of the parts that ran."""
    blocks: list[Block] = [summary(measured["drift"])] if "drift" in measured else []
    for part, shown in (("drift", show_drift), ("depth", show_depth), ("shift", show_shift)):
        if part in measured:
            blocks += shown(measured[part])
    return blocks


def summary(part: Measured) -> Summary:
    """The drift in a sentence."""
    plain, bn = (sorted(float(np.median(row)) for row in part[arm]["R"]) for arm in ARMS)
    return Summary(
        f"While a network trains, the median of a unit's input moves by {plain[0]:.1f} to {plain[-1]:.1f} times its spread, "
        f"and with Batch Normalization by {bn[0]:.2f} to {bn[-1]:.2f} times, most at the largest learning rate."
        if bn[-1] == float(np.median(part["bn"]["R"][-1]))
        else f"While a network trains, the median of a unit's input moves by {plain[0]:.1f} to {plain[-1]:.1f} times its "
        f"spread, and with Batch Normalization by {bn[0]:.2f} to {bn[-1]:.2f} times.",
        "percentiles",
    )


def show_drift(part: Measured) -> list[Block]:
    """The paper's figure, and the verdict on it."""
    middle = len(part["rates"]) // 2
    moved = {arm: drift_of(np.array(part[arm]["unit"][middle])[:, None, None])[0].item() for arm in ARMS}
    return [
        Heading("During training: a sigmoid of the last hidden layer"),
        Text(
            "The spread of a unit's input is the distance from its 15th to its 85th percentile. R is how far the median moved, "
            "divided by the mean spread; S is the largest spread divided by the smallest. Both are medians over the 100 units. "
            "Batch Normalization standardizes its input, so only its scale, its shift and the shape of the distribution can "
            "change: small R and S show that the layer works as defined, not that this is why training is faster. The picture "
            "shows the unit with the median R, for the first seed."
        ),
        drift_table(part),
        Plot(
            "percentiles",
            f"At learning rate {part['rates'][middle]:g}, the median of one sigmoid's input moves by {moved['plain']:.2g} "
            f"times its spread without Batch Normalization, and by {moved['bn']:.2f} times with it",
            lambda figure: draw_percentiles(figure, part, middle),
            title="The input of one sigmoid while the network trains",
        ),
        *running_warning(part),
        drift_verdict(part),
    ]


RATES = (colors.of("BN at a small learning rate"), colors.BN, colors.of("BN at a large learning rate"))
WAYS = {**NAMES, "bn_running": "with BN, running statistics"}


def drift_table(part: Measured) -> Table:
    """R and S at each rate."""
    lines = [
        (f"{rate:g}", label, *(span(part[way][key][i], digits) for key, digits in (("R", 2), ("S", 1), ("moved", 2))),
         f"{100 * float(np.mean(part[way]['accuracy'][i])):.1f}")
        for i, rate in enumerate(part["rates"])
        for way, label in WAYS.items()
    ]  # fmt: skip
    return Table(
        "drift",
        f"Drift over {part['at'][-1]} steps of 60 images in a 64-100-100-100-10 sigmoid network with Xavier's initial weights: "
        f"median over {len(part['plain']['R'][0])} seeds, and range",
        ("rate", "network", "R", "S", "movement of the median", "test accuracy, %"),
        lines,
    )


def span(values: Any, digits: int = 2) -> str:
    """``0.10 (0.09 to 0.11)``: median and range; with a digit more if all are below 0.01."""
    digits += int(np.max(values) < 0.01)
    middle, low, high = (f"{v:.{digits}f}" for v in (np.median(values), np.min(values), np.max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def draw_percentiles(figure: Any, part: Measured, rate: int) -> None:
    """Figure 1 (b, c) of the paper."""
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (arm, color), title in zip(panels, COLORS.items(), ("without BN", "with BN")):
        low, middle, high = np.array(part[arm]["unit"][rate]).T
        axes.fill_between(part["at"], low, high, color=color, alpha=0.25, linewidth=0)
        axes.plot(part["at"], middle, color=color)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=3)
    panels[0].set_ylabel("input of the sigmoid")
    panels[1].text(
        0.97, 0.04, "line: median\nband: 15 % to 85 %", transform=panels[1].transAxes, ha="right", va="bottom"
    )


def running_warning(part: Measured) -> list[Block]:
    """What the running statistics show instead."""
    lag, at = np.array(part["lag"]), part["at"]
    late = [index + 1 for index in (np.nonzero(np.abs(row - 1) > 0.1)[0].max(initial=-1) for row in lag)]
    until = max(late)
    gone = f"it is within 10 % from step {at[until]} on" if until < len(at) else "it is not within 10 % at the end"
    worst, honest = (max(float(np.median(row)) for row in part[way]["S"]) for way in ("bn_running", "bn"))
    end = next((i for i, step in enumerate(at) if step >= 3 * at[min(until, len(at) - 1)]), len(at) - 1)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for i, (rate, row) in enumerate(zip(part["rates"], lag)):
            style = {
                "color": RATES[i],
                "marker": plots.MARKERS[i],
                "label": f"rate {rate:g}",
            }
            axes.plot(at[: end + 1], row[: end + 1], **style)
        axes.axhline(1, color=plots.GRAY, linewidth=1.2, linestyle="--")
        axes.set(xlabel="step", ylabel="spread / true spread", yscale="log", ylim=(0.01, 1.4))
        plots.log_numbers(axes.yaxis, (0.01, 0.03, 0.1, 0.3, 1))
        axes.legend(loc="lower right")

    return [
        Text(
            f"In evaluation mode, the network with Batch Normalization seems to have an S of up to {worst:.1f} instead of "
            f"{honest:.1f}. This is an artifact, because the network is the same: the running variance starts at 1, whatever "
            f"the variance of the inputs is, and moves by a tenth of the way with each batch. Before training, the spread "
            f"computed from it is {lag[:, 0].min():.3f} times the true spread; {gone}."
        ),
        Plot(
            "running_statistics",
            f"With the running variance, which starts at 1, the spread seems {lag[:, 0].min():.2g} times the true one before "
            f"training; {gone}",
            draw,
            (8, 3.6),
            title="The spread of an input, from BN's running variance",
        ),
    ]


def drift_verdict(part: Measured) -> Verdict:
    """Drifts: the median moves more than half its spread, or the spread changes fourfold. Stable: less than half of that.

    An effect is how many times over both are so, at a rate: above 1 the claim is right there.
    """
    cases = []
    for i, rate in enumerate(part["rates"]):
        drifts, stable = (
            np.maximum(np.array(part[arm]["R"][i]) / moved, np.array(part[arm]["S"][i]) / widened)
            for arm, moved, widened in (("plain", 0.5, 4.0), ("bn", 0.25, 2.5))
        )
        effects = np.minimum(drifts, 1 / np.maximum(stable, 1e-12))
        cases.append(evidence.of_ratios(f"at learning rate {rate:g}", effects.tolist()))

    def over_rates(way: str, key: str, digits: int) -> str:
        medians = [float(np.median(row)) for row in part[way][key]]
        low, high = f"{min(medians):.{digits}f}", f"{max(medians):.{digits}f}"
        return low if low == high else f"{low} to {high}"

    return verdict(
        "drift",
        "A layer's inputs drift while the network trains; with Batch Normalization (BN) they stay stable",
        f"The median of an input moves by {over_rates('plain', 'R', 1)} times its spread, and with BN by "
        f"{over_rates('bn', 'R', 2)} times. The spread changes by a factor of {over_rates('plain', 'S', 0)}, and with BN of "
        f"{over_rates('bn', 'S', 1)}.",
        cases,
        short="Inputs drift; with BN they stay stable",
        form="{:.2f}x",
        headline=" BN ".join(f"{max(float(np.median(row)) for row in part[arm]['R']):.2f}x," for arm in ARMS).rstrip(
            ","
        ),
        noun="rate",
    )


def show_depth(part: Measured) -> list[Block]:
    """The lecture's figure, and the verdict on it."""
    lines = [
        (start, WAYS[arm], when, *(f"{np.median(column):.3g}" for column in zip(*part[arm][start][key])),
         f"{100 * float(np.mean(part[arm][start]['accuracy'])):.1f}" if key == "trained" else "")
        for start in STARTS
        for arm in ARMS
        for key, when in (("start", "at the start"), ("trained", f"after {part['steps']} steps"))
    ]  # fmt: skip
    last = {
        start: [float(np.median(part[arm][start]["start"], axis=0)[-1]) for arm in ("plain", "bn")] for start in STARTS
    }
    said = "; ".join(f"plain {plain:.2g}, with BN {bn:.2g} ({start})" for start, (plain, bn) in last.items())

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for start, style, marker in zip(STARTS, ("-", "--"), "os"):
            for arm, color in COLORS.items():
                values = [part["input"], *np.median(part[arm][start]["start"], axis=0)]
                axes.plot(range(DEEP + 1), values, color=color, linestyle=style, marker=marker)
                if arm == "plain":
                    axes.annotate(f"plain, {start}", (3, values[3]), (8, 8), textcoords="offset points", color=color)
        normalized = float(np.median(part["bn"]["Xavier"]["start"], axis=0)[2])
        axes.annotate("with BN, either", (3, normalized), (8, -20), textcoords="offset points", color=plots.BN)
        axes.set(xlabel="layer", ylabel="spread of its input", yscale="log", ylim=(0.001, 15), xticks=range(DEEP + 1))
        axes.set_xticklabels(["network's\ninput", *map(str, range(1, DEEP + 1))])
        plots.log_numbers(axes.yaxis, (0.001, 0.01, 0.1, 1, 10))

    away_by = {start: away(part["plain"][start]["start"], part["input"]) for start in STARTS}
    off = " and ".join(
        f"{v:.0f} with {start} weights" if v >= 10 else f"{v:.1f} with {start} weights" for start, v in away_by.items()
    )
    kept_trained = max(away(part["bn"][start]["trained"], part["input"]) for start in STARTS)
    return [
        Heading("Across depth: five sigmoid layers of 100 units"),
        Table(
            "depth",
            "Standard deviation of the input of each layer's sigmoids over 400 images (mean over units, median over "
            f"{len(part['plain']['Xavier']['start'])} seeds); the network's input is standardized; rate {part['rate']:g}",
            ("initial weights", "network", "time", *(f"layer {i}" for i in range(1, DEEP + 1)), "test accuracy, %"),
            lines,
        ),
        Plot(
            "depth",
            f"Spread of the inputs of layer {DEEP} before training (network's input: {part['input']:.2g}): {said}",
            draw,
            title="The spread of each layer's input before training",
        ),
        verdict(
            "depth_spread",
            "Layer by layer, inputs move away from the normalized first input; Batch Normalization (BN) prevents that",
            f"Before training the spread of a layer's inputs is off by a factor of up to {off}. With BN the factor is "
            f"{max(away(part['bn'][start]['start'], part['input']) for start in STARTS):.3f}, and after {part['steps']} steps "
            f"{kept_trained:.2f}.",
            [depth_case(part, start) for start in STARTS],
            short="Inputs move away with depth; BN prevents it",
            form="{:.3g}x",
            headline=f"off {max(away_by.values()):.0f}x, with BN {kept_trained:.1f}x",
            noun="start",
        ),
    ]


def depth_case(part: Measured, start: str) -> evidence.Case:
    """Away: by more than a factor of 2 without BN. Kept: within a factor of 1.1 with it. How many times over both are so."""
    plain, bn = (factors(part[arm][start]["start"], part["input"]) for arm in ARMS)
    return evidence.of_ratios(f"with {start} weights", np.minimum(plain / 2, 1.1 / bn).tolist())


def factors(spreads: Any, reference: float) -> Array:
    """For each seed, the largest factor, up or down, between any of these and the reference."""
    found: Array = np.exp(np.abs(np.log(np.asarray(spreads) / reference))).max(axis=1)
    return found


def away(spreads: Any, reference: float) -> float:
    """The median of ``factors`` over the seeds."""
    return float(np.median(factors(spreads, reference)))


SHIFT_TITLE = "How much the layers below change a layer's gradient"
SAME_LOSS, ALL_ALONG = "at the same loss", "all along"
PLATEAU = 2.0  # a loss above it is still near the log(10) = 2.30 of guessing among ten digits


def show_shift(part: Measured) -> list[Block]:
    """Two definitions of internal covariate shift, and the verdict by the second."""
    lines: list[tuple[str, ...]] = []
    cells: list[Cell] = []
    for name, net in NETS.items():
        plain, bn = part[name]["plain"], part[name]["bn"]
        lines.append(
            (
                long_name(net),
                "R: change of the distribution",
                span(plain["R"]),
                span(bn["R"]),
                word(plain["R"], bn["R"]),
            )
        )
        for when, pick in phases(part[name]):
            relative, cosine = (
                [[float(np.median(np.array(row)[keep])) for row, keep in zip(arm[key], pick)] for arm in (plain, bn)]
                for key in ("relative", "cosine")
            )
            what = word(*relative)
            cells.append(Cell(short_name(net), when, relative[0], relative[1], what))
            lines.append((long_name(net), f"change of the gradient, {when}", *map(span, relative), what))
            lines.append((long_name(net), f"cosine, {when}", *map(span, cosine), ""))
        ratios = probe.ratios_at_same_loss(plain, bn, "relative")
        if ratios:
            what = word(ratios, [1.0] * len(ratios))
            cells.append(Cell(short_name(net), SAME_LOSS, ratios, [1.0] * len(ratios), what))
            lines.append(
                (long_name(net), "change of the gradient at the same loss, plain / BN", span(ratios), "", what)
            )
    return [
        Heading("Two definitions of internal covariate shift"),
        Text(
            "Internal covariate shift is defined as the change of the distribution of a layer's input (the paper), or as the "
            "change of a layer's gradient when the layers below it make their step (Santurkar et al.). For the second, the "
            "gradient of the middle layer's weight is computed before and after on the same minibatch. The table shows the "
            "norm of the change divided by the norm of the gradient (0: no shift), and the cosine between the two gradients "
            "(1: no shift), as medians over the probes of a run. The plain network still guesses as long as its loss is above "
            f"{PLATEAU:g}; the loss of guessing among ten digits is {np.log(10):.1f}."
        ),
        Table(
            "shift",
            "Both definitions on the same runs, for the middle hidden layer: median over "
            f"{len(part['sig3']['plain']['R'])} seeds, and range",
            ("network", "measure", "plain", "with BN", "with BN it is"),
            lines,
        ),
        Plot("shift", shift_caption(cells), lambda figure: draw_shift(figure, part), (8, 4), SHIFT_TITLE),
        shift_verdict(cells),
    ]


def short_name(net: Net) -> str:
    """A network, for a sentence."""
    return f"{net.layers} {net.activation.__name__.lower()} layers"


def long_name(net: Net) -> str:
    """A network and how it is trained."""
    return f"{short_name(net)}, rate {net.rate:g}"


def phases(runs: Measured) -> list[tuple[str, Array]]:
    """When to compare: masks (seeds, probes); a phase counts if every seed has three probes in it."""
    plateau = np.array(runs["plain"]["loss"]) > PLATEAU
    named = (("while plain still guesses", plateau), ("once plain learns", ~plateau))
    return [(when if plateau.any() else ALL_ALONG, pick) for when, pick in named if pick.sum(axis=1).min() >= 3]


def word(plain: Any, bn: Any) -> str:
    """What Batch Normalization has of it, if every seed agrees."""
    less = [b < a for a, b in zip(plain, bn)]
    return "less" if all(less) else "more" if not any(less) else "less or more"


class Cell(NamedTuple):
    """A comparison: of which network, when, the values of each seed, and whether BN has less, more, or either by the seed."""

    network: str
    when: str
    plain: Sequence[float]
    bn: Sequence[float]
    bn_has: str

    @property
    def ratios(self) -> list[float]:
        """Plain by BN."""
        return [a / b for a, b in zip(self.plain, self.bn)]

    @property
    def case(self) -> str:
        """For a sentence."""
        return self.network + ("" if self.when == ALL_ALONG else f" {self.when}")


def ends(cells: Sequence[Cell]) -> list[Cell]:
    """The comparison where BN has least beside the plain network, and the one where it has most."""
    ordered = sorted(cells, key=lambda cell: -float(np.median(cell.ratios)))
    return [ordered[0], *ordered[1:][-1:]]


def shift_caption(cells: Sequence[Cell]) -> str:
    """What the picture shows, as measured."""
    told = [
        (cell, f"{np.median(cell.bn):.2g}", f"{np.median(cell.plain):.2g}")
        for cell in ends([cell for cell in cells if cell.when != SAME_LOSS])
    ]
    said = ", ".join(f"{cell.bn_has} in {cell.case} ({bn}, plain {plain})" for cell, bn, plain in told)
    short = ", ".join(f"{bn} / {plain} in {cell.case}" for cell, bn, plain in told)
    return fitting(
        PICTURE, f"With BN a layer's gradient changes {said}", f"Change of a layer's gradient, BN / plain: {short}"
    )


def draw_shift(figure: Any, part: Measured) -> None:
    """The relative change over training, one panel a network."""
    panels = figure.subplots(1, len(NETS), sharey=True)
    for axes, (name, net) in zip(panels, NETS.items()):
        for arm, color in COLORS.items():
            plots.band(axes, part[name]["at"], plots.smooth(part[name][arm]["relative"]), color, WAYS[arm])
        plateau = np.median(part[name]["plain"]["loss"], axis=0) > PLATEAU
        if plateau.sum() > 2:
            axes.axvspan(
                0, part[name]["at"][int(np.nonzero(plateau)[0][-1])], color=plots.GRAY, alpha=0.15, linewidth=0
            )
            axes.text(0, 1.19, " plain still guesses", va="top")
        axes.set(title=long_name(net), xlabel="step", ylim=(0, 1.2))
        axes.locator_params(axis="x", nbins=4)
    panels[0].set_ylabel("relative change of gradient")
    panels[1].legend(loc="lower left")


def shift_verdict(cells: list[Cell]) -> Verdict:
    """By Santurkar's definition: is the plain network's change, by that with BN, above 1, in each network and phase?"""
    cases = [
        evidence.of_ratios(f"with {cell.network}", cell.ratios, detail="" if cell.when == ALL_ALONG else cell.when)
        for cell in cells
    ]

    def figures(text: Callable[[list[float]], str]) -> str:
        first, *rest_of = (f"{text(cell.ratios)} times {{}}in {cell.case}" for cell in ends(cells))
        return ", and ".join([first.format("as much as with it "), *(each.format("") for each in rest_of)])

    return verdict(
        "ics_gradient",
        "Batch Normalization (BN) reduces internal covariate shift",
        fitting(
            MEASURED,
            *(
                f"Without BN a layer's gradient changes {figures(text)}."
                for text in (span, lambda r: f"{np.median(r):.2g}")
            ),
        ),
        cases,
        short="BN reduces internal covariate shift",
        form="{:.2g}x",
    )
