"""Raw input: what there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.part import Measured
from ...lab.show import colors, evidence, plots, texts
from ...lab.show.blocks import Block, Plot, Table, Text
from ...lab.show.evidence import Case
from ...lab.show.telling import verdict
from ...lab.show.wording import MEASURED, fitting
from ..measure.raw_input import DENSE1, DENSE3, PREFIX, SMALL, TWICE, WIDE

TITLE = "Accuracy on raw input, by the kind of network"
TITLES = {"digits": "8x8 digits", "placed": "digits at random places", "text": "syllables of a word"}
SHORT = {"digits": "digits", "placed": "digits anywhere", "text": "words"}


CHANGES = {  # what is changed: the network before and after
    "one layer of windows of 5 instead of 3 dense layers": (DENSE3, WIDE),
    "3 dense layers instead of 1": (DENSE1, DENSE3),
    "2 layers of windows of 3 instead of 1": (SMALL, TWICE),
    "2 layers of windows of 3 instead of 1 of windows of 5": (WIDE, TWICE),
}


@dataclass(frozen=True)
class Gain:
    """How much one network is more accurate than another, in points: mean and half-width of the 95 % interval."""

    mean: float
    half: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval leaves out 0, else 0."""
        return 0 if abs(self.mean) <= self.half else 1 if self.mean > 0 else -1

    def __str__(self) -> str:
        return f"{self.mean:+.1f} ± {self.half:.1f}"


def gain(part: Mapping[str, Any], before: str, after: str) -> Gain:
    """The paired differences of two networks of a part, by seed."""
    pairs = zip(part["nets"][before]["accuracy"], part["nets"][after]["accuracy"])
    mean, half = statistics.mean_interval([100 * (b - a) for a, b in pairs])
    return Gain(mean, half)


def depth_case(name: str, part: Mapping[str, Any]) -> Case:
    """Does depth decide, rather than the kind of the first layer?

    The effect is what a second layer of windows gains, less what one layer of windows gains over three dense ones.
    """
    accuracies = (part["nets"][net]["accuracy"] for net in (DENSE3, WIDE, TWICE))
    effects = [(twice - wide) - (wide - dense) for dense, wide, twice in zip(*accuracies)]
    return evidence.of_values(f"on {TITLES[name]}", effects, scale=100)


def show(measured: Measured) -> list[Block]:
    """Tables of accuracies and of gains, their picture and the verdict."""
    parts = {name: measured[PREFIX + name] for name in TITLES if PREFIX + name in measured}
    if not parts:
        return []
    first = next(iter(parts.values()))
    return [
        Text(
            "All networks get the same raw input, pixels or letters. Dense layers see all of it at once; layers of windows "
            f"apply the same weights at every position. Training is {first['steps']:,} steps of Adam with a learning rate "
            f"that rises and falls. Its maximum is the best of {', '.join(f'{rate:g}' for rate in first['rates'])}, chosen on "
            "rows and a seed that are not reported." + at_edge(parts)
        ),
        Table(
            "raw_input_accuracy",
            "Test accuracy in percent, mean ± standard deviation over the seeds. The rules for words do not use a network: the "
            "most frequent number of syllables, and the number of groups of vowels",
            ("input", "network", "parameters", "rate", "accuracy"),
            [row for name, part in parts.items() for row in accuracy_rows(name, part)],
        ),
        Table(
            "raw_input_gains",
            "Gain of a change of the network, in points of accuracy, with 95 % interval (paired by seed)",
            ("input", *CHANGES),
            [(TITLES[name], *(str(gain(part, *change)) for change in CHANGES.values())) for name, part in parts.items()],
        ),
        Plot("raw_input_accuracy", caption(parts), lambda figure: draw(figure, parts), (8.0, 4.4), TITLE),
        verdict(
            "raw_input",
            "A shallow network takes only vectors; raw images and text need a deep one",
            gains_text(parts),
            [depth_case(name, part) for name, part in parts.items()],
            short="Raw images and text need a deep network",
            form="{:+.1f} points",
            noun="input",
        ),
    ]  # fmt: skip


def gains_text(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """What windows gain over three dense layers, and what a second layer of them adds."""
    kind = ", ".join(f"{gain(part, DENSE3, WIDE)} ({SHORT[name]})" for name, part in parts.items())
    second = [gain(part, WIDE, TWICE) for part in parts.values()]
    texts = (", ".join(map(str, second)), ", ".join(f"{found.mean:+.1f}" for found in second))
    return fitting(
        MEASURED,
        *(
            f"One layer of windows gains {kind} points over three dense layers. A second layer of windows adds {t}."
            for t in texts
        ),
    )


def at_edge(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """A warning where the best rate is the smallest or the largest that was tried."""
    edge = [
        f"{name} ({TITLES[task]})"
        for task, part in parts.items()
        for name, run in part["nets"].items()
        if run["rate"] in (part["rates"][0], part["rates"][-1])
    ]
    return f" The best rate is at the edge of the grid for: {'; '.join(edge)}." if edge else ""


def accuracy_rows(name: str, part: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The networks of one task, then the rules that need no network."""
    rows: list[tuple[str, ...]] = []
    for net, run in part["nets"].items():
        accuracies = texts.mean_text(run["accuracy"], 100, 1)
        rows.append((TITLES[name], net, f"{run['parameters']:,}", f"{run['rate']:g}", accuracies))
    for rule, value in part["rules"].items():
        rows.append((TITLES[name], f"rule: {rule}", "-", "-", f"{100 * value:.1f}"))
    return rows


def caption(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """What the picture says, as measured."""
    said = ", ".join(f"{TITLES[name]} {gain(part, DENSE3, WIDE).mean:+.1f} points" for name, part in parts.items())
    return f"Gain of one layer of windows over three dense layers: {said}"


def draw(figure: Any, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Accuracy as bars, one group an input; the lines are the range over the seeds."""
    axes = figure.subplots()
    fills = {
        DENSE1: colors.DEPTHS[0], DENSE3: colors.DEPTHS[2], SMALL: colors.of("small windows"),
        WIDE: colors.of("wide windows"), TWICE: colors.of("two layers of windows"),
    }  # fmt: skip
    width = 0.17
    for place, part in enumerate(parts.values()):
        for i, (name, run) in enumerate(part["nets"].items()):
            x, values = place + (i - 2) * width, 100 * np.asarray(run["accuracy"])
            axes.bar(x, values.mean(), width * 0.92, color=fills[name], label=name if place == 0 else None)
            axes.plot([x, x], [values.min(), values.max()], color=plots.BLACK, linewidth=1.5)
            axes.text(x, 3, f"{values.mean():.0f}", ha="center", color=plots.WHITE, weight="bold")
        for rule, value in part["rules"].items():
            axes.plot([place - 0.45, place + 0.45], [100 * value] * 2, color=plots.BLACK, linewidth=1.5, linestyle=":")
            axes.text(place + 0.47, 100 * value, "rule: " + rule.replace(" ", "\n"), va="center")
    axes.set(ylabel="test accuracy, %", ylim=(0, 104))
    axes.set_xticks(
        range(len(parts)), [TITLES[name].replace(" at ", "\nat ").replace(" of ", "\nof ") for name in parts]
    )
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
