"""What a training step costs: CPU time of networks that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from tinygrad_bn import nn

from . import stepping
from .arms import ARMS

K = TypeVar("K")


def ordinary_network(sizes: Sequence[int], activation: Callable[[], nn.Module], batch_norm: bool) -> nn.Sequential:
    """One network of ``copies.network``'s kind, of the library's own layers, as anybody would write it."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers.append(nn.Linear(inputs, outputs, bias=not batch_norm))
        layers += [nn.BatchNorm1d(outputs)] if batch_norm else []
        layers.append(activation())
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def costs_of_arms(alone: Callable[[bool, str], Callable[[], object]], rounds: int = 40) -> dict[str, Any]:
    """What a step of the network without and with Batch Normalization costs, eager and compiled, all taking turns.

    Args:
        alone: of whether it has Batch Normalization and of a backend (see ``stepping``), makes one training step.
        rounds: see ``step_costs``.

    Returns:
        ``step_costs`` of both arms, and under ``"compiled"`` the same of compiled steps, with the ``"backend"``.
    """
    by = stepping.usual()
    steps = {(how, arm): alone(bn, how) for how in ("eager", by) for arm, bn in ARMS.items()}
    taken = turns(steps, rounds, 10)
    eager, compiled = ({arm: taken[how, arm] for arm in ARMS} for how in ("eager", by))
    return {**summary(eager), "compiled": {"backend": by, **summary(compiled)}}


def step_costs(
    steps: Mapping[str, Callable[[], object]], rounds: int = 40, inner: int = 10
) -> dict[str, dict[str, Any]]:
    """The CPU seconds of one step of each network, alone and in one thread.

    The networks take turns, ``inner`` steps each, in an order that reverses from round to round.

    Args:
        steps: makes one training step of the network of that name.
        rounds: how many turns each network has; the first is not counted.
        inner: steps of a turn.

    Returns:
        By name: ``seconds``, the median over rounds, and ``ratio``, the median over rounds of its time by the first
        network's in the same round.
    """
    return summary(turns(steps, rounds, inner))


def turns(steps: Mapping[K, Callable[[], object]], rounds: int, inner: int) -> dict[K, list[float]]:
    """The CPU seconds of a step in each round, by name."""
    names = list(steps)
    taken: dict[K, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else reversed(names):
            start = time.process_time()
            for _ in range(inner):
                steps[name]()
            if turn:
                taken[name].append((time.process_time() - start) / inner)
    return taken


def summary(taken: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """See ``step_costs``."""
    first = np.array(next(iter(taken.values())))
    return {
        name: {"seconds": float(np.median(times)), "ratio": float(np.median(np.array(times) / first))}
        for name, times in taken.items()
    }
