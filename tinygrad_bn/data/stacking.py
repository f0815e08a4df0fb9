"""One batch out of single rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import DTypeError, ShapeError, explain, native
from ..kinds import Array

FIX = "collate_fn=, a function that makes a batch of a list of rows"


def collate(rows: Sequence[Any]) -> tuple[Any, ...]:
    """Stack rows: of rows that are ``(input, label)`` a pair of arrays, each with a new first axis.

    A row is a tuple or a list of fields, or a single field; a field is a number or an array.  Whole numbers become
    int64, Python floats float64; arrays keep their dtype.

    >>> collate([([1.0, 2.0], 0), ([3.0, 4.0], 1)])
    (array([[1., 2.],
           [3., 4.]]), array([0, 1]))

    Raises:
        ShapeError: rows with another number of fields, or fields of other shapes.
        DTypeError: fields that are no real numbers or booleans, such as text or a dict.
    """
    fields = [tuple(row) if isinstance(row, (tuple, list)) else (row,) for row in rows]
    counts = sorted({len(row) for row in fields})
    if counts != counts[:1] or not counts[0]:
        got = " and ".join(map(str, counts))
        raise ShapeError(explain("a batch: rows with another number of fields", got=f"{got} fields", fix=FIX))
    return tuple(_stacked(number, list(values)) for number, values in enumerate(zip(*fields)))


def _stacked(number: int, values: list[Any]) -> Array:
    what = f"a batch: field {number} of the rows"
    arrays = []
    for value in values:
        try:
            array = value.numpy() if isinstance(value, Variable) else np.asarray(native(value, what))
        except ValueError as error:  # a ragged list
            raise ShapeError(explain(f"{what} is no array", got=str(error), fix=FIX)) from error
        if array.dtype.kind not in "fiub":
            got = f"{type(value).__name__}, dtype {array.dtype}"
            raise DTypeError(explain(f"{what} holds real numbers or booleans", got=got, fix=FIX))
        arrays.append(array)
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        got = f"shapes {shapes[0]} and {shapes[1]}"
        raise ShapeError(explain(f"{what} has rows of other shapes", got=got, fix=f"pad them in a {FIX}"))
    return np.stack(arrays)
