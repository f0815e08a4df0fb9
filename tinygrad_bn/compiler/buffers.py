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


def packed(array: Array) -> Shape:
    """Strides without gaps, with the axes in the order in which the array has them."""
    order = sorted(range(array.ndim), key=lambda i: (-abs(array.strides[i]), i))
    strides, step = [0] * array.ndim, array.itemsize
    for i in reversed(order):
        strides[i] = step
        step *= max(array.shape[i], 1)
    return tuple(strides)
