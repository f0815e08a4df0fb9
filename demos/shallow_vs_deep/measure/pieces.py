"""How many linear pieces a ReLU network has: along a line exactly, on a plane by the patterns seen on a grid."""

from __future__ import annotations

import numpy as np

from ...lab.measure.copies import Array
from .exact import Layers

SHORTEST = 1e-12  # as a share of the line: kinks closer than this are one


def line_pieces(layers: Layers, start: Array, end: Array) -> int:
    """The number of linear pieces of the network's output on the line between two inputs.

    Each layer cuts the line where one of its units changes sign; between the cuts every unit is ``slope * t + offset``
    with t from 0 to 1, and stays so through the relu.  At the end, neighbors with equal slopes are one piece.

    Args:
        layers: relu after each but the last.
        start: an input, shape (inputs,).
        end: another.
    """
    cuts = np.array([0.0, 1.0])
    slope, offset = (end - start)[None, :], start[None, :]  # (pieces, units)
    for weight, bias in layers[:-1]:
        slope, offset = slope @ weight, offset @ weight + bias
        with np.errstate(divide="ignore", invalid="ignore"):
            zero = -offset / slope  # NaN or infinite where a unit does not change: then no comparison is true
        left, right = cuts[:-1, None], cuts[1:, None]
        new = zero[(zero > left + SHORTEST) & (zero < right - SHORTEST)]
        finer = np.unique(np.concatenate([cuts, new]))
        finer = finer[np.append(True, np.diff(finer) > SHORTEST)]
        middle = (finer[:-1] + finer[1:]) / 2
        inside = np.searchsorted(cuts, middle) - 1
        slope, offset = slope[inside], offset[inside]
        active = slope * middle[:, None] + offset > 0
        slope, offset, cuts = slope * active, offset * active, finer
    slope = slope @ layers[-1][0]
    jumps = np.abs(np.diff(slope, axis=0)).max(axis=1, initial=0.0)
    return 1 + int(np.sum(jumps > 1e-9 * max(1e-300, float(np.abs(slope).max()))))


def patterns(layers: Layers, points: Array) -> Array:
    """Which units are active, as one number per pattern: 0, 1, ... in the order of first appearance; shape (points,)."""
    hidden, bits = points, []
    for weight, bias in layers[:-1]:
        before = hidden @ weight + bias
        bits.append(before > 0)
        hidden = np.maximum(before, 0)
    packed = np.ascontiguousarray(np.packbits(np.concatenate(bits, axis=1), axis=1))
    keys = packed.view([("", packed.dtype)] * packed.shape[1])[:, 0]
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbers: Array = rank[which]
    return numbers
