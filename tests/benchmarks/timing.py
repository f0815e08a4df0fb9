"""Timing contestants in turns, and refusing to time any that do not compute the same numbers.

Whatever else the machine does slows all contestants of a round alike, so the ratio of two times of one round is far
steadier than either time.  What is reported is the median of such ratios, with their quartiles.

Times are processor times of the whole process, all threads together, where the system measures them finely: waiting for
a processor that somebody else uses does not count, and a second thread would.  Nobody here waits for anything else.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

clock = time.process_time if time.get_clock_info("process_time").resolution < 1e-6 else time.perf_counter

Numbers = Mapping[str, Any]
Times = Mapping[str, float]


class DisagreementError(AssertionError):
    """Two contestants computed different numbers; their times would not be comparable."""


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: for the table.
        run: does one timed block and returns seconds per unit of work, by phase.
        numbers: what it computes (loss, gradients, ...), by name, to compare with the others; called before ``run``.
    """

    name: str
    run: Callable[[], Times]
    numbers: Callable[[], Numbers]


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The three quartiles of measured values."""
        lower, median, upper = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(lower), float(upper))


def repeat(work: Callable[[], object], times: int, phase: str = "time") -> Callable[[], Times]:
    """A timed block: ``work`` that many times, one after the other."""

    def run() -> Times:
        start = clock()
        for _ in range(times):
            work()
        return {phase: (clock() - start) / times}

    return run


def interleave(
    contestants: Sequence[Contestant], rounds: int, warmup: int, *, collect: bool = False
) -> dict[str, dict[str, list[float]]]:
    """Seconds by contestant, phase and round.

    Each round runs every contestant once.  The order is turned around in every other round and rotated after that, so
    nobody always follows the same one.

    Args:
        contestants: who takes part.
        rounds: how many rounds count.
        warmup: how many rounds before those do not.
        collect: empty Python's cyclic garbage collector before each block, so that nobody pays for what the one
            before left behind.
    """
    _settle_allocator()
    measured: dict[str, dict[str, list[float]]] = {c.name: {} for c in contestants}
    for number in range(-warmup, rounds):
        turn = number // 2 % len(contestants)
        order = [*contestants[turn:], *contestants[:turn]]
        for contestant in reversed(order) if number % 2 else order:
            if collect:
                gc.collect()
            times = contestant.run()
            if number >= 0:
                for phase, seconds in times.items():
                    measured[contestant.name].setdefault(phase, []).append(seconds)
    return measured


def _settle_allocator() -> None:
    """Free a large array, as every program that loads data does at some time.

    From then on the C library (glibc) keeps freed memory for the next step.  Before, it gives the memory of the graph back
    to the system after each backward pass, and faulting it in again costs a third of a training step.
    """
    np.empty(1 << 24, np.uint8)


def assert_same(contestants: Sequence[Contestant], rtol: float, floor: float = 0.0) -> float | None:
    """Compare what all contestants compute with what the first one does.

    Args:
        contestants: at least one.
        rtol: the largest difference allowed, as a part of the largest element of the same array.
        floor: arrays smaller than this part of the largest array are measured by it; for gradients that are zero but
            for rounding, such as those of a bias in front of Batch Normalization.

    Returns:
        The largest difference on that scale, or ``None`` where there is nobody to compare with.

    Raises:
        DisagreementError: says who, where and by how much.
    """
    first, *others = contestants
    expected = {name: np.asarray(value, float) for name, value in first.numbers().items()}
    largest = max(float(np.abs(value).max()) for value in expected.values())
    if not all(np.isfinite(value).all() for value in expected.values()) or largest == 0.0:
        raise DisagreementError(f"{first.name}: nothing to compare, all zero or not finite")
    worst = 0.0
    for contestant in others:
        got = {name: np.asarray(value, float) for name, value in contestant.numbers().items()}
        if got.keys() != expected.keys():
            raise DisagreementError(
                f"{contestant.name} and {first.name} report different things: {got.keys() ^ expected}"
            )
        for name, value in expected.items():
            if got[name].shape != value.shape:
                raise DisagreementError(f"{name}: {contestant.name} {got[name].shape}, {first.name} {value.shape}")
            scale = max(float(np.abs(value).max()), floor * largest)
            difference = float(np.abs(got[name] - value).max()) / scale if scale else float(np.abs(got[name]).max())
            if not difference <= rtol:
                raise DisagreementError(
                    f"{name}: {contestant.name} differs from {first.name} by {difference:.2g} of its size; "
                    f"{rtol:.0e} is allowed"
                )
            worst = max(worst, difference)
    return worst if others else None
