"""``x[...]`` in all of NumPy's forms, sorted into slices (each element once) and gathers (repeats possible)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ...engine import Variable
from ...engine.errors import DTypeError, IndexingError, explain
from ..primitives.index import gather, take_slice
from .axes import as_value, one_axis, shape_of

EXPECTED = "integers, slices, None, Ellipsis, boolean masks or integer arrays"


def getitem(x: Any, index: Any) -> Any:
    """``x[index]`` for integers, slices, None, Ellipsis, boolean masks and integer arrays.

    Raises:
        IndexingError: out of bounds, or too many indices.
        DTypeError: an index of another kind.
    """
    x = as_value(x)
    pattern: list[Any] = []
    arrays: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if part is None or part is Ellipsis:
            pattern.append(part)
        elif isinstance(part, slice):
            pattern.append(
                slice(*(None if n is None else operator.index(n) for n in (part.start, part.stop, part.step)))
            )
        elif isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)):
            pattern.append(int(part))
        else:
            found = _index_arrays(part)
            arrays.extend(found)
            pattern.extend(["array"] * len(found))
    if not arrays:
        return take_slice(x, index=tuple(pattern))
    return gather(x, *arrays, pattern=tuple(pattern))


def _index_arrays(part: Any) -> list[Any]:
    """Integer arrays for one array-like index; a mask becomes one array per axis it covers."""
    raw = np.asarray(part.data if isinstance(part, Variable) else part)
    if raw.size == 0 and raw.dtype.kind == "f" and not isinstance(part, (np.ndarray, Variable)):
        raw = raw.astype(int)  # the empty list
    if raw.dtype.kind == "b":
        if raw.ndim == 0:
            raise DTypeError(explain("indexing by a single boolean", got=repr(part), expected=EXPECTED))
        return list(np.nonzero(raw))
    if raw.dtype.kind not in "iu":
        raise DTypeError(
            explain("this cannot index a tensor", got=f"{type(part).__name__}, dtype {raw.dtype}", expected=EXPECTED)
        )
    return [part if isinstance(part, Variable) else raw]


def take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    """Elements picked by position along one axis, as ``numpy.take_along_axis``."""
    x = as_value(x)
    shape = shape_of(x)
    axis = one_axis(axis, len(shape), "take_along_axis")
    positions = as_value(indices)
    if len(shape_of(positions)) != len(shape):
        got = f"{len(shape_of(positions))} axes of indices for {len(shape)}"
        raise IndexingError(explain("take_along_axis: as many axes in the indices as in the array", got=got))
    grids: list[Any] = []
    for i, size in enumerate(shape):
        along = tuple(-1 if j == i else 1 for j in range(len(shape)))
        grids.append(positions if i == axis else np.arange(size).reshape(along))
    return gather(x, *grids, pattern=("array",) * len(shape))


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Whole slices picked by position along one axis (of the flattened array without one), as ``numpy.take``."""
    x = as_value(x)
    if axis is None:
        from .shaping import ravel

        x, axis = ravel(x), 0
    axis = one_axis(axis, len(shape_of(x)), "take")
    return gather(x, *_index_arrays(indices), pattern=(slice(None),) * axis + ("array",))
