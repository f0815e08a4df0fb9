"""``x[...]`` in all of NumPy's forms, sorted into slices (each element once) and gathers (repeats possible)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ...engine import Variable, dtype_of
from ...errors import DTypeError, IndexingError, clean, explain, native
from ...kinds import Shape, Value
from .. import primitives
from .axes import as_array, one_axis, shape_of
from .shaping import ravel

EXPECTED = "integers, slices, None, Ellipsis, boolean masks or integer arrays"


def getitem(x: Value, index: Any) -> Value:
    """``x[index]`` for integers, slices, None, Ellipsis, boolean masks and integer arrays.

    Raises:
        IndexingError: out of bounds, too many indices, or a mask of another shape than the axes it covers.
        DTypeError: an index of another kind.
    """
    x = as_array(x)
    parts = index if isinstance(index, tuple) else (index,)
    pattern: list[Any] = []
    arrays: list[Any] = []
    masks: list[tuple[int, tuple[int, ...]]] = []
    for position, part in enumerate(parts):
        if part is None or part is Ellipsis:
            pattern.append(part)
        elif isinstance(part, slice):
            pattern.append(_plain(part))
        elif isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            pattern.append(int(part))
        else:
            array = _index_array(part, "x[...]")
            found: list[Any] = [array]
            if dtype_of(array).kind == "b":  # one integer array per axis that the mask covers
                masks.append((position, shape_of(array)))
                found = list(np.nonzero(array.data if isinstance(array, Variable) else array))
            arrays.extend(found)
            pattern.extend(["array"] * len(found))
    if masks:
        _check_masks(shape_of(x), parts, masks)
    try:
        if not arrays:
            return primitives.take_slice(x, index=tuple(pattern))
        return primitives.gather(x, *arrays, pattern=tuple(pattern))
    except IndexingError as error:
        raise _outside(f"{_name_of(x)}[{', '.join(map(_written, parts))}]", x, error) from None


def _name_of(x: Value) -> str:
    return clean(x.name) if isinstance(x, Variable) and x.name else "x"


def _written(part: Any) -> str:
    """A part of an index as the user wrote it, or nearly so."""
    if part is None or isinstance(part, (int, np.integer)):
        return str(part)
    if part is Ellipsis:
        return "..."
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop, part.step)]
        return ":".join(ends if part.step is not None else ends[:2])
    text = str(np.asarray(part.data if isinstance(part, Variable) else part).tolist())
    return text if len(text) <= 40 else f"{text[:38]}…]"


def _outside(what: str, x: Value, error: IndexingError) -> IndexingError:
    """NumPy's complaint about an index, in the words of whoever wrote it."""
    return IndexingError(explain(f"{what}: {error.__cause__ or error}", got=f"x of shape {shape_of(x)}"))


def _plain(part: slice) -> slice:
    try:
        return slice(*(None if n is None else operator.index(n) for n in (part.start, part.stop, part.step)))
    except TypeError:
        raise DTypeError(explain("x[...]: a slice is made of integers", got=repr(part))) from None


def _index_array(part: Any, what: str) -> Value:
    """An array-like index as an array of integers or booleans."""
    array: Any = native(part, what) if isinstance(part, (Variable, np.ndarray)) else np.asarray(part)
    if array is not part and array.size == 0:
        array = array.astype(int)  # the empty list
    kind = dtype_of(array).kind
    if kind not in "iub" or (kind == "b" and not shape_of(array)):
        got = f"{type(part).__name__} of dtype {dtype_of(array)}, shape {shape_of(array)}"
        raise DTypeError(explain(f"{what}: this is no index", got=got, expected=EXPECTED))
    return array


def _check_masks(shape: Shape, parts: tuple[Any, ...], masks: list[tuple[int, tuple[int, ...]]]) -> None:
    """As many booleans along each axis as there are elements: positions of True alone would not show a wrong length."""
    covered = [0 if part is None or part is Ellipsis else 1 for part in parts]
    for position, mask in masks:
        covered[position] = len(mask)
    spare = max(0, len(shape) - sum(covered))  # what an ellipsis stands for
    for position, mask in masks:
        start = sum(covered[:position]) + (spare if any(part is Ellipsis for part in parts[:position]) else 0)
        under = shape[start : start + len(mask)]
        if under != mask:
            got = f"a mask of shape {mask} on axes of shape {under}"
            raise IndexingError(explain("x[mask]: a mask must have the shape of what it masks", got=got))


def take_along_axis(x: Value, indices: Value, axis: int | None) -> Value:
    """Elements picked by position along one axis (of the flattened array for ``None``), as ``numpy.take_along_axis``."""
    x = as_array(x)
    if axis is None:
        x, axis = ravel(x), 0
    shape = shape_of(x)
    axis = one_axis(axis, len(shape), "take_along_axis")
    positions = _positions(indices, "take_along_axis")
    if len(shape_of(positions)) != len(shape):
        got = f"{len(shape_of(positions))} axes of indices for {len(shape)}"
        raise IndexingError(explain("take_along_axis: as many axes in the indices as in the array", got=got))
    return primitives.take_along_axis(x, positions, axis=axis)


def take(x: Value, indices: Value, axis: int | None = None) -> Value:
    """Whole slices picked by position along one axis (of the flattened array without one), as ``numpy.take``."""
    x = as_array(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = one_axis(axis, len(shape_of(x)), "take")
    positions = _positions(indices, "take")
    try:
        return primitives.gather(x, positions, pattern=(slice(None),) * axis + ("array",))
    except IndexingError as error:
        raise _outside("take", x, error) from None


def argsort(x: Value, axis: int | None = -1, kind: str | None = None) -> Value:
    """The positions that put the elements in rising order along an axis, as ``numpy.argsort``; integers, no derivative."""
    x = as_array(x)
    if axis is None:
        x, axis = ravel(x), 0
    return primitives.argsort(x, axis=one_axis(axis, len(shape_of(x)), "argsort"), kind=kind)


def sort(x: Value, axis: int | None = -1, kind: str | None = None) -> Value:
    """The elements in rising order along an axis (of the flattened array for ``None``), as ``numpy.sort``."""
    x = as_array(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = one_axis(axis, len(shape_of(x)), "sort")
    return take_along_axis(x, primitives.argsort(x, axis=axis, kind=kind), axis)


def _positions(indices: Value, what: str) -> Value:
    array = _index_array(indices, what)
    if dtype_of(array).kind == "b":
        fix = "x[mask] takes by a mask"
        raise DTypeError(explain(f"{what}: positions are integers", got="booleans", fix=fix))
    return array
