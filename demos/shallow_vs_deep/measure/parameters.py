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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_bn import nn, optim

from ...datasets import DIGITS, shuffled_digits
from ...lab.measure import copies
from ...lab.measure.copies import Array
from ...lab.measure.part import Part, Progress, Settings
from ...lab.measure.stepping import stepper
from .trees import LEAVES, tree, tree_parameters

FUNCTION_RATES = (0.01, 0.025, 0.06, 0.15)
DIGIT_RATES = (0.01, 0.03, 0.1, 0.3)
DEPTHS = {"depth 1": 1, "depth 2": 2, "depth 3": 3}
TREE = "tree"

# -- the tasks ----------------------------------------------------------------------------------------------------------


def compositional(x: Array) -> Array:
    """Pairs of neighbors become tanh(a + b + 2ab), until one number is left; x (..., 8)."""
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
    train_on = stepper(model, optimizer, task.loss, brief=steps < 2000)
    x, y = task.train
    batches = copies.batches(len(x), 64, seeds)
    for _ in progress(range(steps), label):
        chosen = next(batches)
        train_on(x[chosen], y[chosen])
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
    *(Part(PREFIX + name, function_part(name), seconds=8) for name in TARGETS),
    Part(PREFIX + "digits", digits, (DIGITS,), seconds=5),
)
