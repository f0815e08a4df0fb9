"""Memory of a compiled program."""

from __future__ import annotations

import numpy as np

from ..kinds import Array, Shape

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def aligned(nbytes: int) -> Array:
    """Bytes that begin at a cache line."""
    whole = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT
    return whole[start : start + max(nbytes, 1)]


def reach(shape: Shape, strides: Shape) -> tuple[int, int]:
    """How many elements lie before the first one, and how many in all from end to end, gaps included."""
    steps = [(n - 1) * s for n, s in zip(shape, strides)] if 0 not in shape else []
    before = -sum(step for step in steps if step < 0)
    return before, before + sum(step for step in steps if step > 0) + 1 if 0 not in shape else 0


def alike(shape: Shape, one: Shape, other: Shape) -> bool:
    """Whether two strides take the same elements: along an axis of length 1 any stride does."""
    return all(a == b or n == 1 for n, a, b in zip(shape, one, other))


def packed(array: Array) -> Shape:
    """Strides without gaps, with the axes in the order in which the array has them."""
    order = sorted(range(array.ndim), key=lambda i: (-abs(array.strides[i]), i))
    strides, step = [0] * array.ndim, array.itemsize
    for i in reversed(order):
        strides[i] = step
        step *= max(array.shape[i], 1)
    return tuple(strides)
