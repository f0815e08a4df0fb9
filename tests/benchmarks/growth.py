"""How the cost of recording and of the backward sweep grows with the length of a chain: it must be linear."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bn import Scalar, Tensor

from .report import Figures
from .scalar_step import cyclic_collector
from .timing import DisagreementError, clock


def chain(start: Any, length: int) -> dict[str, float]:
    """Seconds to record ``y = y + x`` that many times, to run backward, and to free what is left.

    Raises:
        DisagreementError: the gradient is not ``length + 1``, which floats represent exactly.
    """
    start.grad = None
    if length >= 10_000:  # a short one does not make the collector run
        gc.collect()
    t0 = clock()
    y = start
    for _ in range(length):
        y = y + start
    t1 = clock()
    y.backward()
    t2 = clock()
    del y
    t3 = clock()
    if start.grad.item() != length + 1:
        raise DisagreementError(f"gradient {start.grad.item()} of a chain of {length}, expected {length + 1}")
    return {"record": t1 - t0, "backward": t2 - t1, "free": t3 - t2}


def measure(start: Any, lengths: Sequence[int], repetitions: int) -> tuple[list[str], list[list[str | float]]]:
    """Column names, and a row of nanoseconds per node for each length."""
    runs: dict[int, list[dict[str, float]]] = {length: [] for length in lengths}
    for _ in range(repetitions):
        for length in lengths:
            # Short chains are repeated, so that every length is measured over about as many nodes.
            for _ in range(max(1, lengths[-1] // 10 // length)):
                runs[length].append(chain(start, length))
    rows: list[list[str | float]] = []
    shortest = 0.0
    for length, times in runs.items():
        phases = [float(np.median([run[phase] for run in times])) / length * 1e9 for phase in times[0]]
        total = sum(phases)
        shortest = shortest or total
        rows.append([f"{length:,}", *phases, total, total / shortest])
    return ["nodes", *runs[lengths[0]][0], "total", "total / shortest chain's"], rows


def run(quick: bool) -> list[Figures]:
    """Medians over repetitions that go through all lengths in turn, without and with the cyclic collector."""
    lengths = (100, 1_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    repetitions = 1 if quick else 2
    figures = []
    for kind, start in (("Scalar", Scalar(1.0)), ("Tensor of shape (1,)", Tensor([1.0], requires_grad=True))):
        for on in (False, True):
            with cyclic_collector(on):
                columns, rows = measure(start, lengths, repetitions)
            title = f"Growth: nanoseconds per node, chain y = y + x, {kind}, cyclic collector {'on' if on else 'off'}"
            notes = ["linear means that the last column stays near 1"]
            if on:
                notes.append("where it does not, the collector was looking for cycles in the graph; there are none")
            figures.append(Figures(title, columns, rows, notes=notes))
    return figures
