"""Training both networks of an experiment, each at the learning rate that suits it, and timing a step of each alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinygrad_bn import functional, nn

from ...datasets import Array, Digits
from ...lab.measure import copies, statistics
from ...lab.measure.arms import ARMS
from ...lab.measure.cost import costs_of_arms, ordinary_network
from ...lab.measure.part import Progress, Settings
from ...lab.measure.stepping import stepper
from .experiments import Experiment, Problem, checkpoints

LATE = 3  # evaluations at the end, whose mean judges a learning rate


@dataclass(frozen=True)
class Runs:
    """What training measured of S copies.

    Attributes:
        curve: accuracy at each checkpoint, shape (S, checkpoints).
        final: accuracy on the test images after the last step, shape (S,).
        diverged: whether a parameter is not finite any more, shape (S,).
    """

    curve: Array
    final: Array
    diverged: Array


def compare(experiment: Experiment, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Tune both networks on validation images, then train them on seeds that tuning has not seen."""
    data, at = experiment.load(), checkpoints(experiment.steps)
    trial = replace(experiment, steps=experiment.tuning_steps or experiment.steps)
    seen = checkpoints(trial.steps)[::-2][::-1]
    tuning, testing = list(settings.tuning_seeds(experiment.tuning)), list(settings.test_seeds)[: experiment.most]
    pairs = [(rate, seed) for rate in experiment.rates for seed in tuning]
    trials = experiment.split(data, [seed for _, seed in pairs])
    problem = experiment.split(data, testing)
    measured: dict[str, Any] = {
        "label": experiment.label,
        "kind": experiment.kind,
        "steps": experiment.steps,
        "at": at,
        "targets": list(experiment.targets),
        "rates": list(experiment.rates),
        "seeds": testing,
        "tuning": tuning,
    }
    for arm, batch_norm in ARMS.items():
        name = f"{experiment.label}, {arm}"
        rates = [rate for rate, _ in pairs]
        tried = train(trial, trials, batch_norm, [s for _, s in pairs], rates, trials.validation, seen, progress, name)
        late = tried.curve[:, -LATE:].mean(axis=1).reshape(len(experiment.rates), len(tuning))
        there = [statistics.first_at(seen, run, experiment.targets[0]) or math.inf for run in tried.curve]
        reached = np.reshape(there, late.shape).mean(axis=1)
        best = choose(experiment.rates, late.mean(axis=1), reached, trials.validation.labels.shape[-1])
        runs = train(experiment, problem, batch_norm, testing, [best] * len(testing), problem.probe, at, progress, name)
        measured[arm] = {
            "validation": late.tolist(),
            "rate": best,
            "accuracy": runs.curve.tolist(),
            "final": runs.final.tolist(),
            "diverged": int(tried.diverged.sum() + runs.diverged.sum()),
        }
    return measured


def choose(rates: Sequence[float], late: Sequence[float], reached: Sequence[float], images: int) -> float:
    """The rate with the best late accuracy; of those that a standard error cannot tell from it, the fastest.

    Of equally fast ones, the more accurate; of equally accurate ones, the smallest.

    Args:
        rates: to choose from.
        late: validation accuracy late in the run, at each rate.
        reached: after how many steps the validation accuracy that counts was reached; may be infinite.
        images: how many there are for validation; the standard error of a share p of them is sqrt(p (1 - p) / images).
    """
    best = max(late)
    close = best - math.sqrt(best * (1 - best) / images)
    return min((steps, -value, rate) for rate, value, steps in zip(rates, late, reached) if value >= close)[-1]


def train(
    experiment: Experiment,
    problem: Problem,
    batch_norm: bool,
    seeds: Sequence[int],
    rates: Sequence[float],
    held_out: Digits,
    at: Sequence[int],
    progress: Progress,
    label: str,
) -> Runs:
    """Train one copy for each pair of seed and rate, and evaluate on ``held_out`` after the steps ``at``."""
    weights = copies.draw_weights(experiment.sizes, seeds, experiment.std)
    model = copies.network(weights, experiment.activation, batch_norm)
    optimizer = copies.optimizer(experiment.optimizer, model, rates)
    order, own = copies.batches(problem.rows.shape[1], experiment.batch, seeds), np.arange(len(seeds))[:, None]
    train_on = stepper(model, optimizer, copies.cross_entropy)
    curve = []
    with np.errstate(all="ignore"):  # a copy that diverges is counted
        for step in progress(range(1, experiment.steps + 1), f"{label}, {len(seeds)} copies"):
            rows = problem.rows[own, next(order)]
            train_on(problem.pool.images[rows], problem.pool.labels[rows])
            if step in at:
                curve.append(accuracy(model, held_out))
        final = accuracy(model, problem.test)
    finite = [np.isfinite(p.data).reshape(len(seeds), -1).all(axis=1) for p in model.parameters()]
    return Runs(np.stack(curve, axis=1), final, ~np.all(finite, axis=0))


def accuracy(model: nn.Module, data: Digits) -> Array:
    """Of each copy, in evaluation mode (running statistics)."""
    return copies.accuracy(copies.predict(model, data.images), data.labels)


# -- what a step costs --------------------------------------------------------------------------------------------------


def cost(experiments: Sequence[Experiment], rounds: int = 20) -> dict[str, Any]:
    """CPU seconds of one step of one network alone, plain and with BN, eager and compiled in turns, for each kind."""
    kinds = {experiment.kind: experiment for experiment in experiments}
    measured = {}
    for kind, experiment in kinds.items():
        times = costs_of_arms(partial(alone, experiment), rounds)
        measured[kind] = {
            **flat(times),
            "compiled": {"backend": times["compiled"]["backend"], **flat(times["compiled"])},
        }
    return measured


def flat(times: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of a step in each arm, and what one with Batch Normalization costs by one without."""
    return {"plain": times["plain"]["seconds"], "bn": times["bn"]["seconds"], "ratio": times["bn"]["ratio"]}


def alone(experiment: Experiment, batch_norm: bool, by: str) -> Callable[[], object]:
    """Makes one training step of an ordinary network of this kind on a random batch."""
    model = ordinary_network(experiment.sizes, experiment.activation, batch_norm)
    optimizer = copies.optimizer(experiment.optimizer, model, 0.001)
    rng = np.random.default_rng(0)
    x = rng.random((experiment.batch, experiment.sizes[0]), dtype=np.float32)
    y = rng.integers(0, experiment.sizes[-1], experiment.batch)
    return partial(stepper(model, optimizer, functional.cross_entropy, by), x, y)
