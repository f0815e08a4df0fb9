"""Row 6: shallow networks are hard to train, with local minima; deep ones are easy and have none, the lecture says.

Three measurements: how many runs on the digits reach 90 % test accuracy, by depth, with and without Batch Normalization,
within a small and a large number of steps; how often networks of a few units solve XOR; and a local minimum that is
written down and examined, at several depths.  What is known: deep linear networks have no bad local minima but do have
bad saddle points, which shallow ones have not (Kawaguchi 2016, arXiv:1605.07110); ReLU networks have infinitely many bad
local minima on almost all data (Yun, Sra and Jadbabaie, arXiv:1802.03487).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_bn import nn

from ...datasets import DIGITS, shuffled_digits
from ...lab.measure import copies
from ...lab.measure.part import Part, Progress, Settings
from ...lab.measure.stepping import stepper
from . import minima

WIDTH, BATCH, TARGET = 32, 60, 0.90
SMALL, LARGE, EVERY = 500, 4000, 50  # steps: of the two budgets, and between evaluations
RATES = {"sgd": (0.3, 1.0, 3.0), "adam": (0.001, 0.005, 0.02)}
DEPTHS = (1, 2, 4, 8)


def plain_sgd(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Sigmoid networks without Batch Normalization, SGD."""
    return by_depth(settings, progress, "sgd", nn.Sigmoid, batch_norm=False)


def plain_adam(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Sigmoid networks without Batch Normalization, Adam."""
    return by_depth(settings, progress, "adam", nn.Sigmoid, batch_norm=False)


def bn_sgd(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Sigmoid networks with Batch Normalization, SGD."""
    return by_depth(settings, progress, "sgd", nn.Sigmoid, batch_norm=True)


def relu_plain_sgd(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Relu networks without Batch Normalization, SGD."""
    return by_depth(settings, progress, "sgd", nn.ReLU, batch_norm=False)


def relu_bn_sgd(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Relu networks with Batch Normalization, SGD."""
    return by_depth(settings, progress, "sgd", nn.ReLU, batch_norm=True)


def by_depth(
    settings: Settings, progress: Progress, kind: str, activation: Callable[[], nn.Module], batch_norm: bool
) -> dict[str, Any]:
    """The step at which each run first has 90 % test accuracy, by depth: every rate with every seed.

    A depth is finished when all its runs are there, or after the large budget.  Batch Normalization is evaluated with
    its running statistics.  Nothing is chosen by the test accuracy.
    """
    data = shuffled_digits([settings.seed, 8])
    train, test = data[:1297], data[1297:]
    seeds = list(settings.more_seeds(2))
    rates = [rate for rate in RATES[kind] for _ in seeds]
    rows = []
    for depth in (*DEPTHS, 16) if settings.full else DEPTHS:
        sizes = [64, *[WIDTH] * depth, 10]
        weights = copies.draw_weights(sizes, seeds, "he" if activation is nn.ReLU else "xavier")
        network = copies.network([np.concatenate([w] * len(RATES[kind])) for w in weights], activation, batch_norm)
        optimizer = copies.optimizer(kind, network, rates)
        train_on = stepper(network, optimizer, copies.cross_entropy, brief=batch_norm)  # which is there soon
        batch = copies.batches(len(train), BATCH, seeds * len(RATES[kind]))
        first: list[int | None] = [None] * len(rates)
        with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is one that does not get there
            for step in progress(range(1, LARGE + 1), f"{depth} layers"):
                chosen = next(batch)
                train_on(train.images[chosen], train.labels[chosen])
                if step % EVERY == 0:
                    accuracy = copies.accuracy(copies.predict(network, test.images), test.labels)
                    first = [step if f is None and a >= TARGET else f for f, a in zip(first, accuracy)]
                    if None not in first:
                        break
        rows.append({"depth": depth, "first": first, "last": accuracy.tolist()})
    return {"rates": list(RATES[kind]), "seeds": len(seeds), "rows": rows}


PARTS: tuple[Part, ...] = (
    Part("trainability_plain", plain_sgd, (DIGITS,), 11),
    Part("trainability_adam", plain_adam, (DIGITS,), 13),
    Part("trainability_bn", bn_sgd, (DIGITS,), 2),
    Part("trainability_relu_plain", relu_plain_sgd, (DIGITS,), 60, lambda settings: settings.full),
    Part("trainability_relu_bn", relu_bn_sgd, (DIGITS,), 60, lambda settings: settings.full),
    Part("trainability_xor", minima.xor, seconds=6),
    Part("trainability_minimum", minima.minima, seconds=5),
)
