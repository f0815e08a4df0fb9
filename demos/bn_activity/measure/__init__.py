"""What is measured: all experiments in both arms, and what a step costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...datasets import DIGITS, MNIST
from ...lab.measure.part import Part, Progress, Settings
from . import experiments, training
from .experiments import Experiment

Choice = Callable[[Settings], list[Experiment]]


def comparisons(choice: Choice, settings: Settings, progress: Progress) -> dict[str, Any]:
    """All experiments of a part."""
    return {"comparisons": [training.compare(each, settings, progress) for each in choice(settings)]}


def cost(settings: Settings, progress: Progress) -> dict[str, Any]:
    """CPU seconds of a step of each kind of network."""
    choices: tuple[Choice, ...] = (experiments.digits, experiments.controls, experiments.mnist)
    return training.cost([each for choice in choices for each in choice(settings)])


def asked_for_mnist(settings: Settings) -> bool:
    """The longer runs on MNIST belong to ``--mnist`` and ``--full``."""
    return settings.full or "mnist" in settings.flags


PARTS = (
    Part("digits", partial(comparisons, experiments.digits), (DIGITS,), 7),
    Part("digits_xavier", partial(comparisons, experiments.digits_xavier), (DIGITS,), 7),
    Part("digits_small_weights", partial(comparisons, experiments.digits_small_weights), (DIGITS,), 7),
    Part("controls", partial(comparisons, experiments.controls), (DIGITS,), 10),
    Part("small_data", partial(comparisons, experiments.small_data), (MNIST,), 18),
    Part("mnist", partial(comparisons, experiments.mnist), (MNIST,), 13),
    Part("mnist_small_weights", partial(comparisons, experiments.mnist_small_weights), (MNIST,), 45, asked_for_mnist),
    Part("cost", cost, (), 3),
)
