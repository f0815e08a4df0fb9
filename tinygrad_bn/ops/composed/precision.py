"""Narrow floats computed in wider ones and rounded once: a sum of squares leaves the range long before its root does."""

from __future__ import annotations

from collections.abc import Callable

from ...engine import astype, dtype_of
from ...kinds import Value

Wider = dict[str, str]

SINGLE: Wider = {"e": "float32"}  # sums of halves
DOUBLE: Wider = {"e": "float64", "f": "float64"}  # sums of squares


def rounded_once(compute: Callable[[Value], Value], x: Value, wider: Wider) -> Value:
    """``compute(x)``, in the wider dtype where the table has one for that of x, and the result in the dtype of x."""
    dtype = dtype_of(x)
    if dtype.char not in wider:
        return compute(x)
    return astype(compute(astype(x, dtype=wider[dtype.char])), dtype=dtype.name)
