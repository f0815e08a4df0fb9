"""The activity: train a network with and without Batch Normalization on a benchmark, and compare speed and accuracy.

    python -m demos.bn_activity [--mnist] [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]

The lecture says that Batch Normalization (BN) makes training faster and more stable, and in its case study that accuracy
on unseen data was higher.  Here the network of the paper's first experiment (Ioffe and Szegedy 2015, arXiv:1502.03167,
section 4.1: three hidden layers of 100 sigmoids, batches of 60) trains on 8x8 digits and on MNIST, in both arms
at the learning rate that suits it best.  The paper gives neither the rate nor the width of the "small random Gaussian"
it draws weights from; both decide what comes out, so several widths are shown, and beside them a baseline
with none of the plain network's troubles (rectifiers, He's initial weights, Adam) and one with little data.

What is kept equal: both arms of a pair start from the same weight matrices (biases and β at 0, γ at 1), see the same
batches in the same order, and have the same rates to choose from, on validation images and with seeds that are not
reported.  BN is evaluated with its running statistics.  CPU seconds are steps times the CPU time of a step of one
network alone, in one thread, with BN composed of primitive operations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..datasets import DIGITS, MNIST
from ..lab.demo import Demo, Part, Progress, Settings
from . import experiments, measure
from .experiments import Experiment
from .show import show

Choice = Callable[[Settings], list[Experiment]]


def comparisons(choice: Choice, settings: Settings, progress: Progress) -> dict[str, Any]:
    """All experiments of a part."""
    return {"comparisons": [measure.compare(each, settings, progress) for each in choice(settings)]}


def cost(settings: Settings, progress: Progress) -> dict[str, Any]:
    """CPU seconds of a step of each kind of network."""
    choices: tuple[Choice, ...] = (experiments.digits, experiments.controls, experiments.mnist)
    return measure.cost([each for choice in choices for each in choice(settings)])


def asked_for_mnist(settings: Settings) -> bool:
    """The longer runs on MNIST belong to ``--mnist`` and ``--full``."""
    return settings.full or "mnist" in settings.flags


DEMO = Demo(
    name="bn_activity",
    title="With and without Batch Normalization",
    claim="Batch Normalization makes training faster and more stable, and accuracy on unseen data higher.",
    parts=(
        Part("digits", partial(comparisons, experiments.digits), (DIGITS,), 17),
        Part("digits_xavier", partial(comparisons, experiments.digits_xavier), (DIGITS,), 14),
        Part("digits_small_weights", partial(comparisons, experiments.digits_small_weights), (DIGITS,), 17),
        Part("controls", partial(comparisons, experiments.controls), (DIGITS,), 15),
        Part("small_data", partial(comparisons, experiments.small_data), (MNIST,), 25),
        Part("mnist", partial(comparisons, experiments.mnist), (MNIST,), 24),
        Part(
            "mnist_small_weights", partial(comparisons, experiments.mnist_small_weights), (MNIST,), 80, asked_for_mnist
        ),
        Part("cost", cost, (), 2),
    ),
    show=show,
    flags={"mnist": "longer runs on real MNIST, from two widths of initial weights; a few minutes"},
)
