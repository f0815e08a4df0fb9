"""The activity: the same network with and without Batch Normalization, on a benchmark.

python -m demos.bn_activity [--mnist] [--full] [--seeds N] [--seed N] [--out DIR]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tinygrad_bn import nn

from .datasets import DIGITS, load_digits
from .lab import copies, plots, statistics
from .lab.command import main
from .lab.demo import Block, Demo, Measured, Part, Plot, Progress, Settings, Table, Verdict

SIZES = (64, 100, 100, 100, 10)
RATES = (0.1, 0.3, 1.0, 3.0, 10.0)
ARMS = {"plain": False, "bn": True}


def digits(settings: Settings, progress: Progress) -> dict[str, Any]:
    """64-100-100-100-10 sigmoid on the 8x8 digits, at each arm's own best learning rate."""
    data = load_digits()
    order = np.random.default_rng(settings.seed).permutation(len(data))
    x, y = data.images[order], data.labels[order]
    steps, every = 1000, 20
    result: dict[str, Any] = {"steps": list(range(every, steps + 1, every))}
    for arm, batch_norm in ARMS.items():
        tuning = [(seed, rate) for rate in RATES for seed in settings.tuning_seeds(2)]
        seeds, rates = (list(column) for column in zip(*tuning))
        late = curves(batch_norm, seeds, rates, x, y, slice(997, 1297), steps, steps, progress)[:, -1]
        by_rate = late.reshape(len(RATES), -1).mean(axis=1)
        best = RATES[int(np.argmax(by_rate))]
        seeds = list(settings.test_seeds)
        runs = curves(batch_norm, seeds, [best] * len(seeds), x, y, slice(1297, None), steps, every, progress)
        result[arm] = {"validation": by_rate.tolist(), "rate": best, "accuracy": runs.tolist()}
    return result


def curves(
    batch_norm: bool,
    seeds: list[int],
    rates: list[float],
    x: Any,
    y: Any,
    held_out: slice,
    steps: int,
    every: int,
    progress: Progress,
) -> Any:
    """The accuracy of each copy on held-out rows, every ``every`` steps: shape (copies, steps // every)."""
    model = copies.network(copies.draw_weights(SIZES, seeds, "xavier"), nn.Sigmoid, batch_norm)
    optimizer = copies.optimizer("sgd", model, rates)
    rows, accuracies = copies.batches(997, 60, seeds), []
    for step in progress(range(1, steps + 1), f"{'with BN' if batch_norm else 'plain'}, {len(seeds)} copies"):
        chosen = next(rows)
        copies.step(model, optimizer, copies.cross_entropy, x[chosen], y[chosen])
        if step % every == 0:
            accuracies.append(copies.accuracy(copies.predict(model, x[held_out]), y[held_out]))
    return np.stack(accuracies, axis=1)


def show(measured: Measured) -> list[Block]:
    """Tables, plots and verdicts."""
    part = measured["digits"]
    plain, bn = ([statistics.first_at(part["steps"], run, 0.95) for run in part[arm]["accuracy"]] for arm in ARMS)
    gain = [b[-1] - a[-1] for a, b in zip(part["plain"]["accuracy"], part["bn"]["accuracy"])]
    share = statistics.saved(plain, bn)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for arm, color in (("plain", plots.PLAIN), ("bn", plots.BN)):
            plots.band(axes, part["steps"], part[arm]["accuracy"], color, arm)
        axes.set(xlabel="steps", ylabel="test accuracy")
        axes.legend()

    return [
        Table(
            "steps", "Steps to 95 % test accuracy", ("network", "rate", "steps"),
            [(arm, f"{part[arm]['rate']:g}", statistics.steps_text(s)) for arm, s in (("plain", plain), ("bn", bn))],
        ),
        Plot("accuracy", "BN is there first", draw),
        Verdict(
            "faster", "BN trains faster", f"{statistics.saved_text(plain, bn)} of the steps saved, "
            f"final accuracy {statistics.difference_text(gain, 100)} points",
            "holds" if share is not None and share > 0 else "does not hold",
        ),
    ]  # fmt: skip


DEMO = Demo(
    name="bn_activity",
    title="With and without Batch Normalization",
    claim="Batch Normalization makes training faster and more stable.",
    parts=(Part("digits", digits, (DIGITS,), 60),),
    show=show,
)

if __name__ == "__main__":
    sys.exit(main(DEMO.name))
