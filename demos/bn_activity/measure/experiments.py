"""What is trained: data, network, initial weights, optimizer, the grid of learning rates, and how well is well enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinygrad_bn import nn

from ...datasets import Array, Digits, load_digits, load_mnist
from ...lab.measure.part import Settings

BATCH = 60
SEVEN = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FIVE = (0.1, 0.3, 1.0, 3.0, 10.0)
FOUR = (1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class Problem:
    """Images for S copies of a network.

    Attributes:
        pool: training images.
        rows: which of them each copy trains on, shape (S, n).
        validation: to choose a learning rate with; images (V, pixels), or (S, V, pixels) with some of its own for each.
        probe: to follow the training with; reported.
        test: for the accuracy at the end; reported.
    """

    pool: Digits
    rows: Array
    validation: Digits
    probe: Digits
    test: Digits


@dataclass(frozen=True)
class Experiment:
    """One network on one benchmark, to be trained without and with Batch Normalization.

    Attributes:
        label: unique; names the data and what is special.
        load: reads the data.
        split: gets the data and one seed a copy.
        sizes: of the layers.
        std: of the initial weights, see ``copies.draw_weights``.
        activation: of the hidden layers.
        optimizer: "sgd" (no momentum) or "adam".
        rates: the learning rates that each network chooses from.
        steps: of training.
        targets: accuracies to reach, the one that counts first.
        tuning: how many seeds choose the learning rates.
        most: how many seeds are reported at most.
        batch: how many images in each.
        tuning_steps: of training while choosing learning rates; ``None``: as many as of the runs that are reported.
    """

    label: str
    load: Callable[[], Any]
    split: Callable[[Any, Sequence[int]], Problem]
    sizes: tuple[int, ...]
    std: float | str
    activation: Callable[[], nn.Module] = nn.Sigmoid
    optimizer: str = "sgd"
    rates: tuple[float, ...] = SEVEN
    steps: int = 1500
    targets: tuple[float, ...] = (0.95, 0.90, 0.97)
    tuning: int = 1
    most: int | None = None
    tuning_steps: int | None = None
    batch: int = BATCH

    @property
    def kind(self) -> str:
        """What the cost of a step depends on."""
        return f"{self.sizes[0]} inputs, {self.activation.__name__}, {self.optimizer}"


def split_digits(data: Digits, seeds: Sequence[int]) -> Problem:
    """997 images to train on, 300 for validation, 500 for the test; another division for each seed."""
    order = np.stack([np.random.default_rng([seed, 2]).permutation(len(data)) for seed in seeds])
    test = data[order[:, 1297:]]
    return Problem(data, order[:, :997], data[order[:, 997:1297]], test, test)


def split_mnist(data: Any, seeds: Sequence[int], training: int | None = None) -> Problem:
    """MNIST's test set, every fourth image of it as the probe, and every third of those held out for validation.

    The training images are all there are, or so many as ``training`` says, drawn by the seed.
    """
    known = len(data.train)
    if training is None:
        rows = np.broadcast_to(np.arange(known), (len(seeds), known))
    else:
        rows = np.stack([np.random.default_rng([seed, 2]).permutation(known)[:training] for seed in seeds])
    return Problem(data.train, rows, data.validation[::3], data.test[::4], data.test)


SMALL = (64, 100, 100, 100, 10)
PAPER = (784, 100, 100, 100, 10)

DIGITS_NET = Experiment("digits N(0, 0.1)", load_digits, split_digits, SMALL, 0.1)
MNIST_NET = Experiment(
    "MNIST N(0, 0.1)", load_mnist, split_mnist, PAPER, 0.1,
    rates=(0.5, 1.0, 2.0, 4.0, 8.0, 16.0), targets=(0.90, 0.94, 0.96),
)  # fmt: skip


def digits(settings: Settings) -> list[Experiment]:
    """64-100-100-100-10 sigmoid on the digits, with initial weights from N(0, 0.1)."""
    return [sized(DIGITS_NET, settings)]


def digits_xavier(settings: Settings) -> list[Experiment]:
    """The same from Xavier's weights, which for these sizes are N(0, 0.100) to N(0, 0.135)."""
    return [sized(replace(DIGITS_NET, label="digits Xavier", std="xavier", rates=FIVE), settings)]


def digits_small_weights(settings: Settings) -> list[Experiment]:
    """The same from weights ten times smaller."""
    return [sized(replace(DIGITS_NET, label="digits N(0, 0.01)", std=0.01), settings)]


def controls(settings: Settings) -> list[Experiment]:
    """Baselines with other hidden units: rectifiers, He's initial weights and Adam; hyperbolic tangents and SGD."""
    strong = replace(
        DIGITS_NET, label="digits ReLU + Adam", std="he", activation=nn.ReLU, optimizer="adam", steps=600,
        rates=(0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    )  # fmt: skip
    tanh = replace(
        DIGITS_NET, label="digits tanh", std="xavier", activation=nn.Tanh, steps=600,
        rates=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    )  # fmt: skip
    return [sized(strong, settings), sized(tanh, settings)]


def small_data(settings: Settings) -> list[Experiment]:
    """The paper's network on 3,200 of MNIST's training images."""
    few = replace(
        MNIST_NET, label="MNIST 3,200 images", split=partial(split_mnist, training=3200), rates=FOUR,
        steps=1000, targets=(0.88, 0.80, 0.90),
    )  # fmt: skip
    return [sized(few, settings)]


def mnist(settings: Settings) -> list[Experiment]:
    """The paper's network (section 4.1) on all of MNIST; a shorter run with fewer rates unless asked for."""
    if settings.full:  # as long as the paper's
        return [replace(MNIST_NET, steps=50_000, tuning_steps=5000, tuning=2, most=5, targets=(0.90, 0.94, 0.96, 0.97))]
    if "mnist" in settings.flags:
        return [replace(MNIST_NET, steps=3000)]
    return [replace(MNIST_NET, rates=FOUR, steps=1200, targets=(0.90, 0.92, 0.94), most=3)]


def mnist_small_weights(settings: Settings) -> list[Experiment]:
    """The same from weights ten times smaller."""
    return [replace(each, label="MNIST N(0, 0.01)", std=0.01) for each in mnist(settings)]


def sized(experiment: Experiment, settings: Settings) -> Experiment:
    """With ``--full``: twice the steps, three seeds to choose rates with."""
    return replace(experiment, steps=2 * experiment.steps, tuning=3) if settings.full else experiment


def checkpoints(steps: int) -> list[int]:
    """When to evaluate: every 10 steps at first, later each time another 4 % of the steps so far are done."""

    def rising() -> Iterator[int]:
        at = 10
        while at < steps:
            yield at
            at += max(10, at // 25)
        yield steps

    return list(rising())
