"""What a training step costs: CPU time of networks that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_bn import nn


def ordinary_network(sizes: Sequence[int], activation: Callable[[], nn.Module], batch_norm: bool) -> nn.Sequential:
    """One network of ``copies.network``'s kind, of the library's own layers, as anybody would write it."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers.append(nn.Linear(inputs, outputs, bias=not batch_norm))
        layers += [nn.BatchNorm1d(outputs)] if batch_norm else []
        layers.append(activation())
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


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
    names = list(steps)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else reversed(names):
            start = time.process_time()
            for _ in range(inner):
                steps[name]()
            if turn:
                taken[name].append((time.process_time() - start) / inner)
    first = np.array(taken[names[0]])
    return {
        name: {"seconds": float(np.median(times)), "ratio": float(np.median(np.array(times) / first))}
        for name, times in taken.items()
    }
