"""Looking up rows of a table."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..engine import Variable, dtype_of, reading, scope, shape_of
from ..errors import ArgumentError, DTypeError, ShapeError, explain, native
from ..kinds import Value
from ..ops.composed.axes import as_value
from ..ops.primitives import checked_index
from .settings import whole


def embedding(x: Value, weight: Value, padding_idx: int | None = None) -> Value:
    """Row ``x[...]`` of ``weight`` for each index, as torch.nn.functional.embedding.

    Args:
        x: integers of any shape, from 0 to V - 1.
        weight: the table, shape (V, D).  A row used several times gets the sum of the gradients.
        padding_idx: a row that gets no gradient, such as that of a filler; counted from the end if negative.

    Returns:
        shape ``x.shape + (D,)``.

    Raises:
        ShapeError, DTypeError, IndexingError: a table without two axes, indices that are not integers or not rows.
        ArgumentError: ``padding_idx`` is not a row.
    """
    weight = as_value(weight)
    table = shape_of(weight)
    if len(table) != 2:
        raise ShapeError(explain("embedding: the table has two axes", got=f"shape {table}", expected="(V, D)"))
    padding_row = _row(padding_idx, table[0])
    x = x if isinstance(x, Variable) else np.asarray(native(x, "embedding"))
    if dtype_of(x).kind not in "iu":
        fix = "x.astype(int)"
        raise DTypeError(explain("embedding: indices are integers", got=f"dtype {dtype_of(x)}", fix=fix))
    checked = checked_index(reading(x), count=table[0], ignore_index=None, some=False, what="embedding: no such row")
    if isinstance(checked, Variable):
        x = checked  # during a recording: the program checks it, too
    with scope("embedding"):
        rows = ops.take(weight, x, axis=0)
        if padding_row is None:
            return rows
        filler = ops.expand_dims(ops.equal(x, padding_row), -1)
        return ops.where(filler, ops.stop_gradient(rows), rows)


def _row(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= whole("embedding", "padding_idx", padding_idx) < rows:
        raise ArgumentError(explain("embedding: padding_idx", got=padding_idx, expected=f"{-rows} to {rows - 1}"))
    return padding_idx % rows
