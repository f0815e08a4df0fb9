"""Row 3: does a deep network fit with fewer parameters?

The lecture says that a deep network fits a function with fewer parameters than a shallow one. So networks of one, two and
three hidden layers get the same number of parameters, each as wide as that allows, and the same training; the error on
rows they did not see decides. Three functions of eight variables, chosen because theory separates them:

* compositional, a binary tree of tanh(a + b + 2ab): the case for depth (Poggio et al. 2017, arXiv:1611.00740);
* radial, the sine of twice the squared length: near the function that Eldan and Shamir (2016, arXiv:1512.03965) show to
  need exponentially wide networks of one hidden layer;
* additive, a sum of functions of one variable each: nothing to compose;

and one real task, the handwritten digits. A network with the shape of the tree is measured too, but takes no part in the
verdict: it was told the answer's structure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_bn import nn, optim

from ..datasets import DIGITS, shuffled_digits
from ..lab import copies, plots, statistics
from ..lab.copies import Array
from ..lab.demo import Block, Measured, Outcome, Part, Plot, Progress, Settings, Table, Text, Verdict
from ..lab.wording import MEASURED, fitting, listed
from .trees import LEAVES, tree, tree_parameters

FUNCTION_RATES = (0.01, 0.025, 0.06, 0.15)
DIGIT_RATES = (0.01, 0.03, 0.1, 0.3)
DEPTHS = {"depth 1": 1, "depth 2": 2, "depth 3": 3}
TREE = "tree"
LEAST = 1e-4  # an error below it counts as this, so that it has a logarithm

# -- the tasks ----------------------------------------------------------------------------------------------------------


def compositional(x: Array) -> Array:
    """Pairs of neighbours become tanh(a + b + 2ab), until one number is left; x (..., 8)."""
    while x.shape[-1] > 1:
        a, b = x[..., 0::2], x[..., 1::2]
        x = np.tanh(a + b + 2 * a * b)
    return x[..., 0]


def radial(x: Array) -> Array:
    """sin(2 |x|²)."""
    return np.asarray(np.sin(2 * np.square(x).sum(axis=-1)))


def additive(x: Array) -> Array:
    """The sum of sin(2.5 x_i)."""
    return np.asarray(np.sin(2.5 * x).sum(axis=-1))


TARGETS: Mapping[str, Callable[[Array], Array]] = {
    "compositional": compositional,
    "radial": radial,
    "additive": additive,
}


@dataclass(frozen=True)
class Task:
    """Rows to learn from, to choose learning rates with, and to report; each a pair of inputs and answers.

    Attributes:
        outputs: of a network.
        rates: to choose from.
        loss: of ``copies``.
        error: what is reported, one number for each copy, from its outputs (S, N, outputs) and the answers.
    """

    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    test: tuple[Array, Array]
    outputs: int
    rates: Sequence[float]
    loss: Callable[[Any, Array], Any]
    error: Callable[[Array, Array], Array]


def function_task(target: Callable[[Array], Array], seed: int, rows: int = 20_000, held_out: int = 4000) -> Task:
    """A function on the cube [-1, 1]^8, without noise and so well sampled that parameters are what is scarce."""
    x = np.random.default_rng([seed, 2]).uniform(-1, 1, (rows + 2 * held_out, LEAVES))
    y = target(x)[:, None]
    y = (y - y.mean()) / y.std()
    x, y = x.astype(np.float32), y.astype(np.float32)
    a, b = rows, rows + held_out
    return Task(
        (x[:a], y[:a]), (x[a:b], y[a:b]), (x[b:], y[b:]), 1, FUNCTION_RATES, copies.squared_error, relative_error
    )


def digits_task(seed: int) -> Task:
    """The 8x8 digits: 997 to learn from, 300 to choose with, 500 to report."""
    data = shuffled_digits([seed, 2])
    x, y = data.images, data.labels
    train, validation, test = ((x[rows], y[rows]) for rows in (slice(997), slice(997, 1297), slice(1297, None)))
    return Task(train, validation, test, 10, DIGIT_RATES, copies.cross_entropy, share_wrong)


def relative_error(outputs: Array, answers: Array) -> Array:
    """Root mean squared error over the answers' standard deviation: 1 is what a constant achieves, or divergence."""
    error = np.sqrt(np.square(outputs - answers).mean(axis=(1, 2)) / answers.var())
    return np.where(np.isfinite(error), error, 1.0)


def share_wrong(scores: Array, labels: Array) -> Array:
    """One minus the accuracy."""
    return 1 - copies.accuracy(scores, labels)


# -- the networks -------------------------------------------------------------------------------------------------------


def count(sizes: Sequence[int]) -> int:
    """Weights and biases of fully connected layers."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def widest(fits: Callable[[int], bool]) -> int:
    """The greatest width that fits, 1 at least."""
    width = 1
    while fits(width + 1):
        width += 1
    return width


def layer_sizes(depth: int, inputs: int, outputs: int, budget: int) -> list[int]:
    """Equally wide hidden layers, as wide as ``budget`` parameters allow."""
    width = widest(lambda width: count([inputs, *[width] * depth, outputs]) <= budget)
    return [inputs, *[width] * depth, outputs]


@dataclass(frozen=True)
class Net:
    """A network of a certain size: how to build copies of it, one for each seed."""

    build: Callable[[Sequence[int]], nn.Sequential]
    parameters: int
    widths: list[int]


def net(name: str, inputs: int, outputs: int, budget: int) -> Net:
    """The widest network of that name within the budget."""
    if name == TREE:
        units = widest(lambda units: tree_parameters(units) <= budget)
        return Net(lambda seeds: tree(units, seeds), tree_parameters(units), [4 * units, 2 * units, units])
    sizes = layer_sizes(DEPTHS[name], inputs, outputs, budget)
    return Net(
        lambda seeds: copies.network(copies.draw_weights(sizes, seeds, "he"), nn.ReLU, batch_norm=False),
        count(sizes),
        sizes[1:-1],
    )


# -- measuring ----------------------------------------------------------------------------------------------------------


def compare(
    task: Task, names: Sequence[str], budgets: Sequence[int], steps: int, settings: Settings, progress: Progress
) -> dict[str, Any]:
    """Every network at every budget, each at the learning rate that suited it on the validation rows."""
    inputs = task.train[0].shape[1]
    nets: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for name in names:
        for budget in budgets:
            chosen = net(name, inputs, task.outputs, budget)
            tuning = [(seed, rate) for rate in task.rates for seed in settings.tuning_seeds(2)]
            seeds, rates = [seed for seed, _ in tuning], [rate for _, rate in tuning]
            label = f"{name}, {budget} parameters"
            scores = errors(task, task.validation, chosen, seeds, rates, steps, progress, label)
            by_rate = scores.reshape(len(task.rates), -1).mean(axis=1)
            rate = task.rates[int(np.argmin(by_rate))]
            seeds = list(settings.more_seeds(2))  # copies are cheap
            found = errors(task, task.test, chosen, seeds, [rate] * len(seeds), steps, progress, label)
            nets[name].append(
                {
                    "budget": budget, "parameters": chosen.parameters, "widths": chosen.widths, "rate": rate,
                    "validation": by_rate.tolist(), "error": found.tolist(),
                }
            )  # fmt: skip
    return {"rates": list(task.rates), "steps": steps, "nets": nets}


def errors(
    task: Task,
    rows: tuple[Array, Array],
    net: Net,
    seeds: Sequence[int],
    rates: Sequence[float],
    steps: int,
    progress: Progress,
    label: str,
) -> Array:
    """Train a copy for each seed and rate, and return its error on these rows.

    Adam on batches of 64; the learning rate rises to ``rates`` and falls again (Smith and Topin, arXiv:1708.07120).
    """
    model = net.build(seeds)
    optimizer = copies.optimizer("adam", model, rates)
    shared, highest = (optimizer.optimizer, 1.0) if isinstance(optimizer, copies.PerCopy) else (optimizer, rates[0])
    schedule = optim.OneCycleLR(shared, max_lr=highest, total_steps=steps, cycle_momentum=False)
    x, y = task.train
    batches = copies.batches(len(x), 64, seeds)
    for _ in progress(range(steps), label):
        chosen = next(batches)
        copies.step(model, optimizer, task.loss, x[chosen], y[chosen])
        schedule.step()
    return task.error(copies.predict(model, rows[0]), rows[1])


def function_part(name: str) -> Callable[[Settings, Progress], dict[str, Any]]:
    """The measurement for one of ``TARGETS``."""

    def measure(settings: Settings, progress: Progress) -> dict[str, Any]:
        budgets, steps = ((75, 150, 300, 600, 1200), 5000) if settings.full else ((150, 600), 1300)
        task = function_task(TARGETS[name], settings.seed)
        return compare(task, [*DEPTHS, TREE], budgets, steps, settings, progress)

    return measure


def digits(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The measurement for the handwritten digits."""
    budgets, steps = ((400, 800, 2000, 5000), 2500) if settings.full else ((800, 2000), 900)
    return compare(digits_task(settings.seed), list(DEPTHS), budgets, steps, settings, progress)


PREFIX = "parameters_"
PARTS = (
    *(Part(PREFIX + name, function_part(name), seconds=14) for name in TARGETS),
    Part(PREFIX + "digits", digits, (DIGITS,), seconds=11),
)

# -- showing ------------------------------------------------------------------------------------------------------------


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


def verdict(fought: Sequence[Duel]) -> tuple[Outcome, str]:
    """Holds where the deep network has the smaller error in every task, does not where in none."""
    won = [duel.task for duel in fought if duel.winner == "deep"]
    if len(won) == len(fought):
        return "holds", ""
    if not won:
        return "does not hold", ""
    rest = [duel.task for duel in fought if duel.winner != "deep"]
    return "holds if", f"the task is {listed(won)}, not {listed(rest)}"


def show(measured: Measured) -> list[Block]:
    """A table of errors, their picture and the verdict."""
    parts = tasks(measured)
    if not parts:
        return []
    fought = duels(measured)
    outcome, condition = verdict(fought)
    seeds = len(fought[0].shallow["error"])
    steps = by_kind(parts, lambda part: f"{part['steps']:,}")
    rates = by_kind(parts, lambda part: ", ".join(f"{rate:g}" for rate in part["rates"]))
    return [
        Text(
            "Networks with the same number of parameters: one hidden layer and as wide as that allows, or two, or three; "
            f"relu, {steps} steps of Adam with a rate that rises and falls. Its highest value is the best of {rates} for each "
            "network and size, on rows and seeds that are not reported."
            + at_edge(parts)
        ),
        Table(
            "parameters_error",
            "Error on unseen rows (functions: over the standard deviation, 1 is a constant; digits: share wrong), "
            f"mean ± standard deviation over {seeds} seeds",
            ("task", "network", "parameters", "units", "rate", "error"),
            [row for task, part in parts.items() for row in error_rows(task, part)],
        ),
        Table(
            "parameters_needed",
            "Parameters to be as good as the shallow network of the largest size",
            ("task", "error", "depth 1", *list(DEPTHS)[1:], TREE),
            [needed_row(task, part) for task, part in parts.items()],
        ),
        Table(
            "parameters_ratio",
            "Error of the deep network by the shallow one's with as many parameters, the largest size, with 95 % interval; the "
            "depth is chosen on validation rows",
            ("task", "parameters", "deep network", "error by the shallow one's"),
            [(duel.task, f"{duel.deep['budget']:,}", duel.name, str(duel)) for duel in fought],
        ),
        Plot("parameters_error", caption(fought), lambda figure: draw(figure, parts), (8.0, 6.2)),
        Verdict(
            "fewer_parameters",
            "A deep network fits with fewer parameters than a shallow one",
            fitting(MEASURED, *(ratios_text(fought, intervals) for intervals in (True, False))),
            outcome,
            condition,
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
            statistics.mean_text(run["error"], digits=3),
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
    return f"Error of a deep network by that of a shallow one, as many parameters: {said}"


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
    return f"Deep networks' error with as many parameters is {', '.join(said)}"


def draw(figure: Any, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Error against parameters, one panel a task and one line a depth."""
    grid = figure.subplots((len(parts) + 1) // 2, 2 if len(parts) > 1 else 1, squeeze=False).ravel()
    for axes in grid[len(parts) :]:
        axes.set_visible(False)
    for axes, (task, part) in zip(grid, parts.items()):
        for i, (name, runs) in enumerate(part["nets"].items()):
            x = [run["parameters"] for run in runs]
            errors = np.maximum([run["error"] for run in runs], LEAST).T
            plots.band(axes, x, errors, plots.CYCLE[i], name, plots.MARKERS[i], linestyle="--" if name == TREE else "-")
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
