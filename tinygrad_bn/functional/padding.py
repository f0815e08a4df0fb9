"""Padding the last axes with zeros, another constant, or copies of the values at the border."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from .. import ops
from ..engine import shape_of
from ..errors import ArgumentError, ShapeError, explain
from ..kinds import Value
from .settings import choice, number

# PyTorch's name, NumPy's name for the same thing, and how much may be added to an axis of a given length.
COPIES: dict[str, tuple[str, Any]] = {
    "reflect": ("reflect", lambda size: size - 1),
    "replicate": ("edge", lambda size: float("inf") if size else 0),
    "circular": ("wrap", lambda size: size),
}


def pad(x: Value, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Value:
    """Lengthen the last axes at both ends, as torch.nn.functional.pad, or shorten them.

    Args:
        x: an array or tensor.
        pad: ``(before, after)`` of the last axis, then of the one before it, and so on.  A negative number takes
            elements off.
        mode: "constant"; "reflect" (mirrored at the border element), "replicate" (the border element repeated) or
            "circular" (from the other end).
        value: what "constant" fills in.

    Raises:
        ArgumentError: an unknown mode, or a ``pad`` that is not pairs of ints.
        ShapeError: more pairs than axes, more copies than the axis has elements to give, or more to take off than
            there is.
    """
    shape = shape_of(x)
    choice("pad", "mode", mode, ("constant", *COPIES))
    try:
        given = [index(n) for n in pad]
    except TypeError:
        given = [0]
    if len(given) % 2:
        raise ArgumentError(explain("pad: how much", got=repr(pad), expected="pairs of ints, last axis first"))
    if mode == "constant":
        value = number("pad", "value", value)
    pairs = list(zip(given[0::2], given[1::2]))[::-1]
    if len(pairs) > len(shape):
        raise ShapeError(explain("pad: more pairs than axes", got=f"{len(pairs)} pairs for shape {shape}"))
    first = len(shape) - len(pairs)
    if min(given, default=0) < 0:
        x = _shortened(x, [(0, 0)] * first + pairs)
        shape, pairs = shape_of(x), [(max(before, 0), max(after, 0)) for before, after in pairs]
    if mode == "constant":
        return ops.pad(x, [(0, 0)] * first + pairs, value)
    name, at_most = COPIES[mode]
    for axis, (before, after) in enumerate(pairs, start=first):
        if max(before, after) > at_most(shape[axis]):
            got = f"{before} and {after} for axis {axis} of shape {shape}"
            raise ShapeError(
                explain(f"pad: too much for mode {mode!r}", got=got, expected=f"<= {at_most(shape[axis])}")
            )
        if before or after:
            x = ops.take(x, np.pad(np.arange(shape[axis]), (before, after), mode=name), axis=axis)  # type: ignore[call-overload]
    return x


def _shortened(x: Value, pairs: list[tuple[int, int]]) -> Value:
    """Without what the negative numbers take off."""
    kept = []
    for axis, (size, (before, after)) in enumerate(zip(shape_of(x), pairs)):
        start, stop = max(-before, 0), size - max(-after, 0)
        if start > stop:
            got = f"{before} and {after} for axis {axis} of length {size}"
            raise ShapeError(explain("pad: more to take off than there is", got=got))
        kept.append(slice(start, stop))
    return ops.getitem(x, tuple(kept))
