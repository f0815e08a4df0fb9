"""The plots: curves, learning rates, what is saved and what is gained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.show import colors, plots, texts
from ...lab.show.arms import COLORS, NAMES
from ...lab.show.blocks import Plot
from .findings import Finding
from .verdicts import sides

LEAST, MOST = -100, 6  # where axes end: of shares saved, and of gains, in percent and points


def curves_plot(f: Finding) -> Plot:
    """Accuracy over steps and over CPU seconds."""
    steps = {arm: statistics.lower_median(f.steps_to(arm, f.target)) for arm in NAMES}
    said = {arm: texts.never_text(n) for arm, n in steps.items()}
    caption = f"{f.label}: {100 * f.target:.0f} % accuracy, steps needed: {said['bn']} with BN, {said['plain']} without"
    if f.seconds:
        spent = {arm: "never" if n is None else f"{n * f.seconds[arm]:.2f} s" for arm, n in steps.items()}
        caption += f"; CPU time: {spent['bn']} and {spent['plain']}"

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

    return Plot("curves", caption, draw, title="Test accuracy while training")


def rates_plot(f: Finding) -> Plot:
    """Late accuracy over the learning rate."""
    count = {arm: f.working(arm) for arm in NAMES}
    caption = (
        f"{f.label}: {count['bn']} of {len(f.data['rates'])} learning rates lead to {100 * f.target:.0f} % accuracy with BN, "
        f"{count['plain']} without BN"
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

    return Plot("rates", caption, draw, title="Accuracy late in training, at each learning rate")


def saved_plot(found: Sequence[Finding]) -> Plot:
    """Steps saved and CPU time saved, by setting."""
    shares = {
        "steps saved, %": [f.steps_saved(f.target) for f in found],
        "CPU time saved, %": [f.cpu_saved(f.target) for f in found],
    }
    if not any(f.seconds for f in found):
        del shares["CPU time saved, %"]
    said = [
        change([s.value for s in row if s], what)
        for row, what in zip(shares.values(), ("fewer steps", "less CPU time"))
    ]

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
        for axes, (title, row), color in zip(panels, shares.items(), (colors.STEPS, colors.CPU)):
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
                    color=plots.WHITE if value > 25 else plots.BLACK,  # inside the bar, or next to it
                    weight="bold" if value > 25 else "normal",
                )
            axes.axvline(0, color=plots.BLACK, linewidth=1)
            axes.set(xlabel=title, xlim=(LEAST, 100), xticks=(-50, 0, 50, 100))
            axes.grid(axis="y", visible=False)
        panels[0].set_yticks(range(len(found)), [f"{f.label}, {100 * f.target:.0f} %" for f in found])
        panels[0].invert_yaxis()

    title = "What BN saves on the way to an accuracy"
    return Plot(
        "saved",
        f"To reach an accuracy, BN needs {', and '.join(said)}",
        draw,
        size=(8.0, 1.2 + 0.5 * len(found)),
        title=title,
    )


def gain_plot(found: Sequence[Finding]) -> Plot:
    """Gain in accuracy, by setting."""
    up, same, down = sides(found)
    caption = (
        f"The final accuracy is clearly higher with BN in {len(up)} of {len(found)} settings, clearly lower in {len(down)}, "
        f"and not clearly different in {len(same)}"
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for y, f in enumerate(found):
            mean, half = (100 * value for value in f.gain)
            color = colors.HOLDS if mean > half else colors.FAILS if mean < -half else colors.OPEN
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

    title = "What BN gains in accuracy at the end"
    return Plot("gain", caption, draw, size=(8.0, 1.2 + 0.5 * len(found)), title=title)


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


def change(shares: Sequence[float], less: str) -> str:
    """``43 to 91 % fewer steps``, ``from 39 % more to 84 % less CPU time``: what these shares saved mean.

    Args:
        shares: saved; below 0 where more is needed.
        less: what is less, as in ``fewer steps``.
    """
    if not shares:
        return f"never {less}"
    low, high = sorted(round(100 * share) for share in (min(shares), max(shares)))
    more = f"more {less.partition(' ')[2]}"
    if low < 0 < high:
        return f"from {-low} % more to {high} % {less}"
    if low < 0:
        low, high, less = -high, -low, more
    return f"{low} % {less}" if low == high else f"{low} to {high} % {less}"
