"""What is measured of the landscape: loss and gradient along the gradient, while a network trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinygrad_bn import nn

from ..datasets import DIGITS, shuffled_digits
from ..lab.measure import copies, probe
from ..lab.measure.arms import ARMS
from ..lab.measure.copies import Array
from ..lab.measure.part import Part, Progress, Settings
from ..lab.measure.stepping import stepper

BATCH, TRAINING = 60, 997  # of the shuffled rows the first are trained on
HELD_OUT = slice(1297, None)
EVERY = 20  # steps from probe to probe
EARLY = range(4, 60, 4)  # further probes, for the comparison at the same loss: with BN the loss falls at once


@dataclass(frozen=True)
class Net:
    """A network with hidden layers of 100 units, and how it is trained and probed.

    Attributes:
        layers: hidden ones.
        activation: of those.
        start: initial weights.
        rate: of SGD, the same in both arms.
        reach: the step sizes eta to look at.
        steps: long enough to train, where it does, and not much longer: a network that has converged is flat.
        seconds: CPU at default size.
        full: whether only ``--full`` runs it.
    """

    layers: int
    activation: type[nn.Module]
    start: str
    rate: float
    reach: tuple[float, ...]
    steps: int
    seconds: float
    full: bool = False


def relu(rate: float, full: bool = False) -> Net:
    """Eight relu layers, probed at multiples of the rate."""
    return Net(8, nn.ReLU, "he", rate, tuple(rate * f for f in (0.25, 0.5, 1, 2, 4)), 600, 12, full)


ETAS = (0.1, 0.25, 0.5, 1.0, 2.0)
NETS: dict[str, Net] = {
    "sig3": Net(3, nn.Sigmoid, "xavier", 0.5, ETAS, 1500, 11),
    "sig5": Net(5, nn.Sigmoid, "xavier", 0.5, ETAS, 600, 8),
    "relu8": relu(0.05),
    "sig3_slow": Net(3, nn.Sigmoid, "xavier", 0.1, ETAS, 3000, 22, True),
    "relu8_fast": relu(0.1, True),
}


def along(net: Net, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Train both arms of a network and probe the landscape on the way."""
    data = shuffled_digits(settings.seed)
    x, y = data.images, data.labels
    seeds = list(settings.test_seeds)
    weights = copies.draw_weights((64, *[100] * net.layers, 10), seeds, net.start)
    at = sorted({*EARLY, *range(EVERY, net.steps + 1, EVERY)})
    result: dict[str, Any] = {"at": at}
    for arm, batch_norm in ARMS.items():
        model = copies.network(weights, net.activation, batch_norm)
        optimizer, batches = copies.optimizer("sgd", model, net.rate), copies.batches(TRAINING, BATCH, seeds)
        train_on = stepper(model, optimizer, copies.cross_entropy, brief=not settings.full)
        found: dict[str, list[Array]] = {key: [] for key in ("loss", "low", "high", "change", "beta")}
        for step in progress(range(1, net.steps + 1), f"{arm}, {len(seeds)} copies"):
            chosen = next(batches)
            if step in at:
                for key, values in landscape(model, x[chosen], y[chosen], net.reach).items():
                    found[key].append(values)
            train_on(x[chosen], y[chosen])
        result[arm] = {key: np.transpose(values).tolist() for key, values in found.items()}  # a row a seed
        result[arm]["accuracy"] = copies.accuracy(copies.predict(model, x[HELD_OUT]), y[HELD_OUT]).tolist()
        result[arm]["range"] = (np.array(result[arm]["high"]) - np.array(result[arm]["low"])).tolist()
    return result


def landscape(model: nn.Module, x: Array, y: Array, etas: Sequence[float]) -> dict[str, Array]:
    """The loss and its gradient at ``w - eta g`` for each eta; the model is untouched.

    Args:
        model: of ``copies.network``.
        x: a minibatch, shape (S, B, inputs).
        y: its labels, shape (S, B).
        etas: step sizes, > 0.

    Returns:
        For each copy, shape (S,): ``loss`` at w; ``low`` and ``high``, the smallest and largest loss on the way, w included;
        ``change``, the largest norm of the gradient's change; ``beta``, the largest such norm by the distance.
    """
    start, gradients = probe.loss_and_gradients(model, x, y)
    length = probe.norms(gradients)
    losses, changes = [start], []
    with probe.untouched(model):
        origin = [(p, p.data) for p in model.parameters()]
        for eta in etas:
            for (p, w), g in zip(origin, gradients):
                p.data = w - np.asarray(eta, w.dtype) * g
            loss, there = probe.loss_and_gradients(model, x, y)
            losses.append(loss)
            changes.append(probe.norms([b - a for a, b in zip(gradients, there)]))
    slopes = [change / (eta * length) for eta, change in zip(etas, changes)]
    return {
        "loss": start, "low": np.min(losses, axis=0), "high": np.max(losses, axis=0),
        "change": np.max(changes, axis=0), "beta": np.max(slopes, axis=0),
    }  # fmt: skip


def part_of(name: str) -> Part:
    """The measurement of one network."""
    net = NETS[name]
    return Part(name, partial(along, net), (DIGITS,), net.seconds, lambda settings: settings.full or not net.full)


PARTS = tuple(part_of(name) for name in NETS)
