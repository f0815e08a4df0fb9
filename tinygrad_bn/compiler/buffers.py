"""Memory of a compiled program: a pool for what lives inside of a run, rings for what leaves it."""

from __future__ import annotations

from sys import getrefcount

import numpy as np

from ..kinds import Array, Shape

RING = 3  # arrays that a ring keeps: the leaf's, the next one, and one that somebody looks at
ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Pool:
    """Arrays that are used again after the last reader of what they held.

    Attributes:
        nbytes: how much it has handed out in all.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[Array]] = {}
        self._flat: dict[int, Array] = {}  # by the id of an array that stands on it
        self._held: list[Array] = []
        self.nbytes = 0

    def take(self, like: Array) -> Array:
        """An array of the shape, dtype and memory layout of another, which has no gaps."""
        free = self._free.get(like.nbytes)
        flat = free.pop() if free else self._new(like.nbytes)
        return self._on(flat, like)

    def over(self, old: Array, like: Array) -> Array:
        """An array on the memory of another of the pool, which is not needed any more."""
        return self._on(self._flat[id(old)], like)

    def give(self, array: Array) -> None:
        """Take an array back."""
        self._free.setdefault(array.nbytes, []).append(self._flat[id(array)])

    def _new(self, nbytes: int) -> Array:
        self.nbytes += nbytes
        return aligned(nbytes)

    def _on(self, flat: Array, like: Array) -> Array:
        made: Array = np.ndarray(like.shape, like.dtype, flat, 0, packed(like))
        self._flat[id(made)] = flat
        self._held.append(made)
        return made


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


class Ring:
    """Arrays for a result that leaves the program: one that nobody holds any more, else a new one.

    Args:
        leaves: an array like what leaves, such as the leaf that it is written to.
        inside: an array like what is computed, of which what leaves may be a reshaped view.
    """

    def __init__(self, leaves: Array, inside: Array) -> None:
        self._leaves, self._inside = np.empty_like(leaves), packed(inside)
        self._shape = inside.shape
        self._pairs: list[tuple[Array, Array]] = []
        self._idle = 0

    def __call__(self) -> tuple[Array, Array]:
        """What leaves, which nobody can write to, and the array to compute into, on the same memory."""
        for pair in self._pairs:
            if getrefcount(pair[0]) == self._idle:
                return pair
        return self._new()

    def _new(self) -> tuple[Array, Array]:
        leaves = np.empty_like(self._leaves)
        pair = leaves, np.lib.stride_tricks.as_strided(leaves, self._shape, self._inside)
        leaves.setflags(write=False)
        del leaves
        if len(self._pairs) < RING:
            self._pairs.append(pair)
            self._idle = getrefcount(pair[0])
        return pair
