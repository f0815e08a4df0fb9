"""Picking elements by position along one axis, and adding them back: each of the two is the other's rule.

Positions are an argument, not a parameter: they are data, such as the labels of a batch.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...engine import Primitive, dtype_of, shape_of
from ...kinds import Raw, Shape


@lru_cache(maxsize=256)
def _grids(shape: Shape, axis: int) -> tuple[Any, ...]:
    """For each axis but one, its positions, laid along it."""
    along = np.ones((len(shape), len(shape)), int) - 2 * np.eye(len(shape), dtype=int)
    return tuple(np.arange(size).reshape(along[i]) if i != axis else None for i, size in enumerate(shape))


def _places(positions: Raw, shape: Shape, axis: int) -> tuple[Any, ...]:
    grids = _grids(shape, axis)
    return (*grids[:axis], positions, *grids[axis + 1 :])


def _take_along_axis(x: Raw, positions: Raw, axis: int) -> Raw:
    return x[_places(positions, x.shape, axis)]


def _add_along_axis(x: Raw, positions: Raw, axis: int, shape: Shape) -> Raw:
    out = np.zeros(shape, dtype_of(x))
    places = _places(positions, shape, axis)
    if positions.shape == x.shape == (*shape[:axis], 1, *shape[axis + 1 :]):  # one a row: nothing adds up
        out[places] = x
    else:
        np.add.at(out, places, x)
    return out


take_along_axis: Primitive = Primitive(
    "take_along_axis",
    _take_along_axis,
    lambda g, out, x, positions, axis: add_along_axis(g, positions, axis=axis, shape=shape_of(x)),
    None,
    notation="{0} at {1}",
    doc="``take_along_axis(x, positions, axis=1)``: as numpy.take_along_axis, along a non-negative axis.",
)

add_along_axis: Primitive = Primitive(
    "add_along_axis",
    _add_along_axis,
    lambda g, out, x, positions, axis, shape: take_along_axis(g, positions, axis=axis),
    None,
    notation="0 at {1} += {0}",
    doc="``add_along_axis(x, positions, axis=1, shape=(4, 3))``: zeros of the shape, plus x at the positions; repeats add up.",
)
