"""The demo's plots, drawn from what was measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.part import Measured
from ...lab.show import colors, plots
from ...lab.show.blocks import Plot
from ..measure import scores
from ..measure.networks import NETS
from .quality import PLACES, difference
from .speed import CLAIMED, SHORT, Race

SHOWN = NETS[0]
LOGISTIC = colors.of("logistic regression")
LEVELS = (0.76, 0.75, 0.74)  # the first that both networks reach is marked


def curves(measured: Measured) -> list[Plot]:
    """Validation AUC over the steps, with the step where the claim says that Batch Normalization is there."""
    if SHOWN.name not in measured:
        return []
    part = measured[SHOWN.name]
    steps = part["steps"]
    medians = {arm: np.median(part[arm]["validation_auc"], axis=0) for arm in ("plain", "bn")}
    level = next((level for level in LEVELS if min(m.max() for m in medians.values()) >= level), None)
    slow, fast = (None if level is None else statistics.first_at(steps, m, level) for m in medians.values())

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        bottom, top = 0.62, 0.80
        axes.plot(steps, medians["plain"], "--", color=plots.PLAIN)
        axes.plot(steps, medians["bn"], "-", color=plots.BN)
        axes.set(xlabel="training steps", ylabel="validation AUC", xscale="log", ylim=(bottom, top), xlim=(5, 1200))
        plots.only_ticks(axes.yaxis, (0.64, 0.68, 0.72, 0.76))
        plots.only_ticks(axes.xaxis, (5, 10, 20, 50, 100, 200, 500, 1000))
        label(axes, "with BN", 20, float(np.interp(20, steps, medians["bn"])) + 0.006, plots.BN, left=True)
        label(axes, "plain", 20, float(np.interp(20, steps, medians["plain"])) - 0.012, plots.PLAIN)
        if level and slow and fast:
            claim = (1 - CLAIMED) * slow
            axes.axhline(level, color=plots.GRAY, linewidth=1)
            for step, color, style in ((slow, plots.PLAIN, "--"), (fast, plots.BN, "-")):
                axes.plot([step, step], [bottom, level], color=color, linestyle=style, linewidth=1.8)
            axes.plot([claim, claim], [level, top - 0.014], ":", color=plots.BLACK, linewidth=1.8)
            label(axes, f"{slow} steps", slow, bottom + 0.012, plots.PLAIN, left=slow < fast)
            label(axes, f"{fast} steps", fast, bottom + 0.012, plots.BN, left=slow >= fast)
            label(axes, f"claim: {claim:.0f} steps", claim, top - 0.007, plots.BLACK)

    caption = f"{SHOWN.title}, Taiwan, median of {len(part['bn']['validation_auc'])} splits: "
    if level and slow and fast:
        claim = (1 - CLAIMED) * slow
        side = "before" if fast <= claim else "after"
        caption += (
            f"validation AUC {level:.2f} after {fast} steps with BN, {slow} without; {side} the claim's {claim:.0f}"
        )
    else:
        caption += "the networks do not both reach a level of validation AUC"
    return [Plot("auc_over_steps", caption, draw, title="How soon a credit-risk model reaches an AUC")]


def label(axes: Any, text: str, x: float, y: float, color: str, left: bool = False) -> None:
    """Write beside a point of the plot."""
    axes.annotate(
        text, (x, y), (-7 if left else 7, 0), textcoords="offset points", color=color, ha="right" if left else "left",
        va="center", fontsize=15, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def forest(measured: Measured) -> list[Plot]:
    """Differences of AUC on unseen rows, for every network."""
    nets = [net for net in NETS if net.name in measured]
    if not nets:
        return []
    to_plain, to_logistic = ([difference(measured, net, "auc", logistic) for net in nets] for logistic in (False, True))

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [1, 1.25]})
        for axes, differences, color, title in (
            (panels[0], to_plain, plots.BN, "BN − plain"),
            (panels[1], to_logistic, LOGISTIC, "BN − logistic regression"),
        ):
            for i, found in enumerate(differences):
                y = -i
                axes.plot([found.mean - found.wide, found.mean + found.wide], [y, y], color=color, linewidth=1.5)
                axes.plot([found.mean - found.half, found.mean + found.half], [y, y], color=color, linewidth=5)
                axes.plot(found.mean, y, "o", color="white", markeredgecolor=color, markersize=8, markeredgewidth=2)
            axes.axvline(0, color=plots.BLACK, linewidth=1.2)
            axes.set_title(title)
            axes.margins(x=0.08)
            axes.grid(visible=False, axis="y")
            axes.locator_params(axis="x", nbins=4)
            ends = sum(net.lender == "taiwan" for net in nets) - 0.5
            axes.axhline(-ends, color=plots.GRAY, linewidth=1, linestyle=":")
        panels[0].set_yticks([-i for i in range(len(nets))], [f"{PLACES[n.lender]}: {n.title}" for n in nets])
        panels[0].set_ylim(-len(nets) + 0.5, 0.5)
        figure.supxlabel("difference of AUC on unseen rows", fontsize=13)

    up, over = (sum(found.surely for found in differences) for differences in (to_plain, to_logistic))
    caption = (
        f"AUC on unseen rows: BN is clearly above plain in {up} of {len(nets)} networks, above logistic regression in {over} "
        "(95 % intervals; thin: for splits that share rows)"
    )
    return [
        Plot("auc_differences", caption, draw, (8.0, 1.6 + 0.5 * len(nets)), "Does BN rank unseen borrowers better?")
    ]


def savings(races: list[Race]) -> list[Plot]:
    """The share of steps and of CPU time saved, by network and definition, one panel a table of borrowers."""
    rows = [race for race in races if len(race.definition) == 1]
    if not rows:
        return []
    panels = [own for place in PLACES if (own := [race for race in rows if race.net.lender == place])]

    def draw(figure: Any) -> None:
        for axes, own in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
            draw_savings(axes, own)
            if own is not panels[0]:
                axes.set_yticklabels([race.definition for race in own])
        drawn = [axes.plot([], [], line, color=color)[0] for line, color in (("o-", colors.STEPS), ("s-", colors.CPU))]
        figure.legend(drawn, ["steps", "CPU time"], loc="outside upper right", ncols=2)
        figure.supxlabel("saved by BN, %", fontsize=13)
        figure.get_layout_engine().set(wspace=0.06)  # the numbers below the panels stay apart

    steps, cpu = (sum(race.case(cpu).answer == "yes" for race in rows) for cpu in (False, True))
    caption = (
        f"BN saves at least 30 %, with the whole interval, in {steps} of {len(rows)} cases by steps and in {cpu} by CPU time; "
        "rows: definitions of converged"
    )
    return [Plot("saved", caption, draw, (8.0, 1.6 + 0.38 * max(map(len, panels))), "Does BN save 30 %?")]


def draw_savings(axes: Any, rows: list[Race]) -> None:
    """The panel of one table of borrowers."""
    limit = -1.0
    y, ticks = 0.0, []
    for i, race in enumerate(rows):
        first = i == 0 or race.net != rows[i - 1].net
        y -= 1.9 if first else 1.0
        if first:
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
            axes.text(limit + 0.02, y + 0.55, race.net.title, fontsize=12, va="bottom", color=plots.GRAY, bbox=behind)
        ticks.append((y, f"{race.definition}: {SHORT[race.definition]}"))
        if race.saved is None:
            text = "neither" if statistics.lower_median(race.plain) is None else "BN never"
            text = "only BN" if statistics.lower_median(race.bn) is not None else text
            axes.text(-0.05, y, text, fontsize=12, va="center", ha="right")
            continue
        for share, color, marker, shift in (
            (race.saved, colors.STEPS, "o", 0.17),
            (race.cpu(race.saved), colors.CPU, "s", -0.17),
        ):
            bounds = race.interval
            if bounds:
                low, high = bounds if marker == "o" else (race.cpu(bounds[0]), race.cpu(bounds[1]))
                axes.plot([max(low, limit), max(high, limit)], [y + shift] * 2, color=color, linewidth=2)
            if share >= limit:
                axes.plot(share, y + shift, marker, color=color, markersize=6)
            else:
                axes.plot(limit, y + shift, "<", color=color, markersize=7, clip_on=False)
    axes.axvline(CLAIMED, color=plots.BLACK, linestyle=":", linewidth=2)
    axes.axvline(0, color=plots.GRAY, linewidth=1)
    axes.set(title=PLACES[rows[0].net.lender], xlim=(limit, 1), ylim=(y - 0.8, -0.6))
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.set_xticks([-1, 0, CLAIMED, 1], ["−100", "0", f"{100 * CLAIMED:.0f}", "100"])
    axes.grid(visible=False, axis="y")


def calibration(measured: Measured) -> list[Plot]:
    """Predicted probabilities against what happened, on the large table."""
    if SHOWN.name not in measured:
        return []
    logistic, part = measured[f"{SHOWN.lender}_logistic"], measured[SHOWN.name]
    series = [
        ("logistic regression", logistic["test"]["reliability"], LOGISTIC, "s", ":"),
        ("plain", part["plain"]["test"]["reliability"], plots.PLAIN, "o", "--"),
        ("with BN", part["bn"]["test"]["reliability"], plots.BN, "D", "-"),
    ]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=plots.GRAY, linewidth=1.2)
        for name, tables, color, marker, style in series:
            rows, predicted, bad = scores.pooled(tables).T
            shown = rows >= 30  # in a bin of fewer the share is mostly chance
            axes.plot(predicted[shown] / rows[shown], bad[shown] / rows[shown], marker + style, color=color, label=name)
        axes.set(xlabel="predicted probability of default", ylabel="share that defaulted", xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="upper left")

    errors = {label: scores.calibration_error(tables) for label, tables, *_ in series}
    listed = ", ".join(f"{label} {error:.3f}" for label, error in errors.items())
    return [
        Plot(
            "calibration",
            f"Expected calibration error of {SHOWN.title}, Taiwan, on unseen rows: {listed}",
            draw,
            (7, 4.6),
            "Predicted and actual defaults",
        )
    ]
