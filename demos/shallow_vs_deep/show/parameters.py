"""Parameters: what there is to say about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.part import Measured
from ...lab.show import colors, evidence, plots, texts
from ...lab.show.blocks import Block, Plot, Table, Text
from ...lab.show.evidence import Case
from ...lab.show.telling import verdict
from ...lab.show.wording import MEASURED, fitting, listed
from ..measure.parameters import DEPTHS, PREFIX, TARGETS, TREE

LINES = (*colors.DEPTHS, colors.of("a tree of units"))
TITLE = "Error of networks with the same number of parameters"
LEAST = 1e-4  # an error below it counts as this, so that it has a logarithm


@dataclass(frozen=True)
class Duel:
    """The shallow network against the deep one with as many parameters, of the depth that validation chose.

    Attributes:
        ratio: the deep network's error over the shallow one's; geometric mean over the seeds.
        low, high: its 95 % interval, Student's t on the paired differences of the logarithms.
    """

    task: str
    name: str
    shallow: Mapping[str, Any]
    deep: Mapping[str, Any]
    ratio: float
    low: float
    high: float

    @property
    def winner(self) -> str:
        """``"deep"`` or ``"shallow"`` where the interval leaves out 1, else ``"neither"``."""
        return "deep" if self.high < 1 else "shallow" if self.low > 1 else "neither"

    def __str__(self) -> str:
        return f"{self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}]"


def duel(task: str, part: Mapping[str, Any]) -> Duel:
    """The duel at the largest budget of a part."""
    runs = {name: part["nets"][name][-1] for name in DEPTHS}
    shallow = runs.pop("depth 1")
    name = min(runs, key=lambda name: min(runs[name]["validation"]))
    deep, wide = (np.maximum(run["error"], LEAST) for run in (runs[name], shallow))
    ratio, low, high = statistics.ratio_interval((deep / wide).tolist())
    return Duel(task, name, shallow, runs[name], ratio, low, high)


def duels(measured: Measured) -> list[Duel]:
    """The duels at the largest budget of every task that was measured."""
    return [duel(task, part) for task, part in tasks(measured).items()]


def tasks(measured: Measured) -> dict[str, Mapping[str, Any]]:
    """The parts of this row that were measured, by task."""
    return {name: measured[PREFIX + name] for name in (*TARGETS, "digits") if PREFIX + name in measured}


def typical(run: Mapping[str, Any]) -> float:
    """The geometric mean of a network's error over the seeds."""
    return float(np.exp(np.log(np.maximum(run["error"], LEAST)).mean()))


def needed(runs: Sequence[Mapping[str, Any]], target: float) -> str:
    """How many parameters bring a network to an error: between two budgets, on a straight line of the logarithms."""
    points = [(math.log(run["parameters"]), math.log(typical(run))) for run in runs]
    goal = math.log(target)
    if points[0][1] <= goal:
        return f"at most {runs[0]['parameters']:,}"
    for (a, before), (b, after) in pairwise(points):
        if after <= goal:
            return f"{math.exp(a + (b - a) * (before - goal) / (before - after)):,.0f}"
    return f"more than {runs[-1]['parameters']:,}"


def smaller_error(duel: Duel) -> Case:
    """How many times the deep network's error the shallow one has."""
    deep, wide = (np.maximum(run["error"], LEAST) for run in (duel.deep, duel.shallow))
    return evidence.of_ratios(f"on the {duel.task} task", (wide / deep).tolist())


def show(measured: Measured) -> list[Block]:
    """A table of errors, their picture and the verdict."""
    parts = tasks(measured)
    if not parts:
        return []
    fought = duels(measured)
    seeds = len(fought[0].shallow["error"])
    steps = by_kind(parts, lambda part: f"{part['steps']:,}")
    rates = by_kind(parts, lambda part: ", ".join(f"{rate:g}" for rate in part["rates"]))
    return [
        Text(
            "The networks have the same number of parameters in one, two or three hidden layers, which are as wide as that "
            f"allows. They use relu and {steps} steps of Adam with a learning rate that rises and falls. Its maximum is the "
            f"best of {rates} for each network and size, chosen on rows and seeds that are not reported."
            + at_edge(parts)
        ),
        Table(
            "parameters_error",
            "Error on unseen rows (for functions divided by the standard deviation, so a constant has 1; for digits the share "
            f"that is wrong), mean ± standard deviation over {seeds} seeds",
            ("task", "network", "parameters", "units", "rate", "error"),
            [row for task, part in parts.items() for row in error_rows(task, part)],
        ),
        Table(
            "parameters_needed",
            "Parameters needed for the same error as the largest shallow network",
            ("task", "error", "depth 1", *list(DEPTHS)[1:], TREE),
            [needed_row(task, part) for task, part in parts.items()],
        ),
        Table(
            "parameters_ratio",
            "Error of the deep network divided by that of the shallow network with the same number of parameters, at the "
            "largest size, with 95 % interval; the depth is chosen on validation rows",
            ("task", "parameters", "deep network", "error, deep / shallow"),
            [(duel.task, f"{duel.deep['budget']:,}", duel.name, str(duel)) for duel in fought],
        ),
        Plot("parameters_error", caption(fought), lambda figure: draw(figure, parts), (8.0, 6.2), TITLE),
        verdict(
            "fewer_parameters",
            "A deep network fits with fewer parameters than a shallow one",
            fitting(MEASURED, *(ratios_text(fought, intervals) for intervals in (True, False))),
            [smaller_error(duel) for duel in fought],
            short="A deep network fits with fewer parameters",
            form="{:.2f}x",
            noun="task",
        ),
    ]  # fmt: skip


def by_kind(parts: Mapping[str, Mapping[str, Any]], say: Callable[[Mapping[str, Any]], str]) -> str:
    """What is said of the functions, and in brackets of the digits."""
    said = [say(part) for task, part in parts.items() if task != "digits"][:1]
    said += [f"(digits: {say(parts['digits'])})" if said else say(parts["digits"])] if "digits" in parts else []
    return " ".join(said)


def at_edge(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """A warning where the best rate is the smallest or the largest that was tried."""
    edge = [
        f"{name} on {task} ({run['budget']})"
        for task, part in parts.items()
        for name, runs in part["nets"].items()
        for run in runs
        if run["rate"] in (part["rates"][0], part["rates"][-1])
    ]
    return f" The best rate is at the edge of the grid for {listed(edge, 'and')}." if edge else ""


def error_rows(task: str, part: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The rows of the table of errors for one task."""
    return [
        (
            task, name, f"{run['parameters']:,}", " + ".join(map(str, run["widths"])), f"{run['rate']:g}",
            texts.mean_text(run["error"], digits=3),
        )
        for runs in zip(*part["nets"].values())
        for name, run in zip(part["nets"], runs)
    ]  # fmt: skip


def needed_row(task: str, part: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of the table of parameters for one task."""
    shallow = part["nets"]["depth 1"][-1]
    target = typical(shallow)
    others = [needed(part["nets"][name], target) if name in part["nets"] else "-" for name in [*DEPTHS, TREE][1:]]
    return (task, f"{target:.3f}", f"{shallow['parameters']:,}", *others)


def ratios_text(fought: Sequence[Duel], intervals: bool) -> str:
    """The ratio of the errors in each task."""
    said = ", ".join(f"{duel.task} {duel if intervals else f'{duel.ratio:.2f}'}" for duel in fought)
    return (
        f"With the same number of parameters, the deep network's error is this share of the shallow network's: {said}."
    )


def caption(fought: Sequence[Duel]) -> str:
    """What the picture says, as measured."""
    by_winner = {
        winner: [duel for duel in fought if duel.winner == winner] for winner in ("deep", "shallow", "neither")
    }
    words = {"deep": "lower", "shallow": "higher", "neither": "not clearly different"}
    said = [
        f"{words[winner]} for {listed([duel.task for duel in some], 'and')}"
        for winner, some in by_winner.items()
        if some
    ]
    return f"With the same number of parameters, the error of deep networks is {', '.join(said)}"


def draw(figure: Any, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Error against parameters, one panel a task and one line a depth."""
    grid = figure.subplots((len(parts) + 1) // 2, 2 if len(parts) > 1 else 1, squeeze=False).ravel()
    for axes in grid[len(parts) :]:
        axes.set_visible(False)
    for axes, (task, part) in zip(grid, parts.items()):
        for i, (name, runs) in enumerate(part["nets"].items()):
            x = [run["parameters"] for run in runs]
            errors = np.maximum([run["error"] for run in runs], LEAST).T
            plots.band(axes, x, errors, LINES[i], name, plots.MARKERS[i], linestyle="--" if name == TREE else "-")
        ratio = duel(task, part)
        axes.set(xscale="log", yscale="log", title=f"{task}: error x{ratio.ratio:.2f} ({ratio.name})")
        plots.only_ticks(axes.xaxis, [run["budget"] for run in next(iter(part["nets"].values()))])
        low, high = axes.get_ylim()
        wide, narrow = (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0), (0.03, 0.04, 0.06, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
        plots.log_numbers(axes.yaxis, wide if high > 3 * low else narrow)
        axes.set_xlabel("parameters")
        axes.set_ylabel("share wrong" if task == "digits" else "error")
    names = next(iter(parts.values()))["nets"]
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
