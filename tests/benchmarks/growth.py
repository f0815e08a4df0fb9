"""How the cost of recording and of the backward sweep grows with the length of a chain: it must be linear."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from tinygrad_bn import Scalar, Tensor

from .report import Figures
from .timing import DisagreementError, clock


def chain(start: Any, length: int) -> dict[str, float]:
    """Seconds to record ``y = y + x`` that many times, to run backward, and to free what is left.

    Raises:
        DisagreementError: the gradient is not ``length + 1``, which floats represent exactly.
    """
    start.grad = None
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


def run(quick: bool) -> list[Figures]:
    """Nanoseconds per node by length; medians over repetitions that go through all lengths in turn."""
    lengths = (100, 1_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    repetitions = 1 if quick else 3
    figures = []
    for kind, start in (("Scalar", Scalar(1.0)), ("Tensor of shape (1,)", Tensor([1.0], requires_grad=True))):
        runs: dict[int, list[dict[str, float]]] = {length: [] for length in lengths}
        for _ in range(repetitions):
            for length in lengths:
                # Short chains are repeated, so that every length is measured over about as many nodes.
                for _ in range(1 if quick else max(1, 100_000 // length)):
                    runs[length].append(chain(start, length))
        rows: list[list[str | float]] = []
        shortest = 0.0
        for length in lengths:
            phases = {
                phase: float(np.median([r[phase] for r in runs[length]])) / length * 1e9 for phase in runs[length][0]
            }
            total = sum(phases.values())
            shortest = shortest or total
            rows.append([f"{length:,}", *phases.values(), total, total / shortest])
        columns = ["nodes", "record", "backward", "free", "total", "total / shortest chain's"]
        title = f"Growth: nanoseconds per node, chain y = y + x, {kind}"
        figures.append(Figures(title, columns, rows, notes=["linear means that the last column stays near 1"]))
    return figures
