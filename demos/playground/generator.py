"""Random numbers, data, weights and the order of points: the twin of ``browser/generator.js``, equal to it in every bit.

What is drawn depends on the seed and on what it is for, and on nothing else: two networks of the same shape start with the
same weights and see the same batches.  Only additions, products and roots are used, which every machine rounds alike; sines
and cosines may differ in the last place, so coordinates are rounded to a grid.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_bn.kinds import Array

POINTS = 256  # to train on, and as many unseen ones
GRID = 4096  # coordinates are whole multiples of 1 / GRID
DATA = ("moons", "circles", "xor", "spiral")
PURPOSES = ("training points", "unseen points", "weights", "order")

_GOLDEN, _FIRST, _SECOND = 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35


class Stream:
    """A counter, stepped by the golden ratio and mixed by the finalizer of MurmurHash3 (Appleby 2011), on 32 bits."""

    def __init__(self, seed: int, purpose: str) -> None:
        start = (seed + _GOLDEN * (PURPOSES.index(purpose) + 1)) % 2**32
        self._at = mixed(np.array([start], np.uint32))

    def uniform(self, count: int) -> Array:
        """That many numbers in [0, 1), whole multiples of 2**-32."""
        steps = np.arange(1, count + 1, dtype=np.uint32) * np.uint32(_GOLDEN)
        drawn: Array = mixed(self._at + steps) / 2.0**32
        self._at = self._at + np.uint32(count * _GOLDEN % 2**32)  # an array, which wraps around without a word
        return drawn

    def normal(self, count: int) -> Array:
        """Nearly normal: the sum of twelve uniform numbers, less six.  The sum is exact."""
        drawn: Array = self.uniform(12 * count).reshape(count, 12).sum(axis=1) - 6.0
        return drawn


def mixed(x: Array) -> Array:
    """32 bits, each of which depends on all bits of x."""
    for shift, factor in ((16, _FIRST), (13, _SECOND)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    mixture: Array = x ^ (x >> np.uint32(16))
    return mixture


def points(data: str, seed: int, purpose: str) -> tuple[Array, Array]:
    """Points of two classes that take turns, (POINTS, 2), and their classes 0 and 1, (POINTS, 1)."""
    stream = Stream(seed, purpose)
    along, across = stream.uniform(2 * POINTS).reshape(2, POINTS)
    noise = stream.normal(2 * POINTS).reshape(2, POINTS)
    x, y = np.empty(POINTS), np.empty(POINTS)
    for i in range(POINTS):
        u, v, second = float(along[i]), float(across[i]), i % 2 == 1
        if data == "moons":
            angle = math.pi * u
            x[i], y[i] = (
                (0.5 - math.cos(angle), 0.3 - math.sin(angle))
                if second
                else (math.cos(angle) - 0.5, math.sin(angle) - 0.3)
            )
        elif data == "circles":
            radius = 1.25 if second else 0.55
            x[i], y[i] = radius * math.cos(2.0 * math.pi * u), radius * math.sin(2.0 * math.pi * u)
        elif data == "xor":
            left = u >= 0.5
            x[i] = (2.0 * u - 1.0) * 1.4
            y[i] = (0.1 + 1.3 * v) * (1.0 if left != second else -1.0)
        else:
            radius, angle = 0.1 + 1.3 * math.sqrt(u), 2.0 * math.pi * math.sqrt(u) * 1.25 + (math.pi if second else 0.0)
            x[i], y[i] = radius * math.cos(angle), radius * math.sin(angle)
    spread = {"moons": 0.12, "circles": 0.1, "xor": 0.05, "spiral": 0.04}[data]
    found = np.stack([x + spread * noise[0], y + spread * noise[1]], axis=1)
    return np.floor(found * GRID + 0.5) / GRID, (np.arange(POINTS) % 2.0).reshape(POINTS, 1)


def weights(stream: Stream, fan_in: int, fan_out: int, scale: float) -> Array:
    """Weights (fan_out, fan_in), uniform, with standard deviation scale / sqrt(fan_in)."""
    bound = scale * math.sqrt(3.0 / fan_in)
    return (2.0 * stream.uniform(fan_out * fan_in).reshape(fan_out, fan_in) - 1.0) * bound


class Order:
    """Which points make up each batch: a shuffle for every pass over the data, by Fisher and Yates's method."""

    def __init__(self, seed: int, batch: int) -> None:
        self._stream, self._batch = Stream(seed, "order"), batch
        self._left: list[int] = []

    def next(self) -> list[int]:
        """The points of the next batch."""
        if not self._left:
            self._left = list(range(POINTS))
            drawn = self._stream.uniform(POINTS - 1)
            for last in range(POINTS - 1, 0, -1):
                other = math.floor(drawn[POINTS - 1 - last] * (last + 1))
                self._left[last], self._left[other] = self._left[other], self._left[last]
        batch, self._left = self._left[: self._batch], self._left[self._batch :]
        return batch
