"""Checks of values, as operations: each returns its argument, or raises; so a recorded program checks what it is given."""

from __future__ import annotations

import numpy as np

from ...engine import Primitive
from ...errors import ArgumentError, IndexingError, explain
from ...kinds import Raw


def _checked_index(labels: Raw, count: int, ignore_index: int | None, some: bool, what: str) -> Raw:
    labels = np.asarray(labels)
    inside = (labels >= 0) & (labels < count)
    if inside.all() and (ignore_index is None or not 0 <= ignore_index < count) and (labels.size or not some):
        return labels
    kept = np.ones(labels.shape, bool) if ignore_index is None else labels != ignore_index
    outside = ~inside & kept
    if outside.any():
        position = tuple(int(i) for i in np.unravel_index(np.argmax(outside), labels.shape))
        place = "" if not position else f" in row {position[0]}" if len(position) == 1 else f" at {position}"
        expected = f"0 to {count - 1}" if count else "at least one to choose from; there is none"
        raise IndexingError(explain(what, got=f"{labels[position]}{place}", expected=expected))
    if some and not kept.any():
        fix = "leave such a batch out, or use reduction='sum'"
        start = what.partition(":")[0]
        raise ArgumentError(
            explain(f"{start}: every target is ignored, the mean of nothing", got=ignore_index, fix=fix)
        )
    return np.where(kept, labels, 0)


checked_index: Primitive = Primitive(
    "checked_index",
    _checked_index,
    None,
    notation="index {0}",
    doc="``checked_index(labels, count=10, ignore_index=-100, some=True, what='cross_entropy: no such class')``: integers"
    " from 0 to count - 1, and 0 where they are to be ignored; an error where one is outside, or (``some``) all are ignored.",
)


def _checked_range(x: Raw, low: float, high: float, what: str, fix: str) -> Raw:
    raw = np.asarray(x)
    if raw.dtype.kind == "f" and raw.size and not (raw.min() >= low and raw.max() <= high):
        got, expected = f"{raw.min():.4g} to {raw.max():.4g}", f"{low:g} to {high:g}"
        raise ArgumentError(explain(what, got=got, expected=expected, fix=fix))
    return x


checked_range: Primitive = Primitive(
    "checked_range",
    _checked_range,
    lambda g, out, x, low, high, what, fix: g,
    scalar=_checked_range,
    elementwise=True,
    notation="{0}",
    doc="``checked_range(x, low=0.0, high=1.0, what='...', fix='...')``: x, which lies from low to high; an error otherwise.",
)
