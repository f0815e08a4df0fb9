"""Sizes as PyTorch takes them, one int for all axes or one per axis, normalized to tuples or rejected."""

from __future__ import annotations

from operator import index
from typing import Any

from ..engine import shape_of
from ..errors import ArgumentError, ShapeError, explain
from ..kinds import Value


def per_axis(value: Any, n: int, what: str, name: str, least: int) -> tuple[int, ...]:
    """One int per axis, each at least ``least``.

    Args:
        value: an int for all ``n`` axes, or a tuple of ``n`` ints.
        n: how many axes.
        what: the function or layer, for the message.
        name: the argument, for the message.
        least: the smallest value that makes sense.

    Raises:
        ArgumentError: something else.
    """
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    try:
        sizes = () if any(isinstance(size, bool) for size in given) else tuple(index(size) for size in given)
    except TypeError:
        sizes = ()
    if len(sizes) == 1:
        sizes *= n
    if len(sizes) != n or min(sizes) < least:
        expected = f"an int of at least {least}" + (f", or a tuple of {n}" if n > 1 else "")
        raise ArgumentError(explain(f"{what}: {name}", got=repr(value), expected=expected))
    return sizes


def check_layout(x: Value, n: int, what: str) -> bool:
    """Whether ``x`` has a batch axis: (N, C, n axes) or, for a single example, (C, n axes).

    Raises:
        ShapeError: another number of axes.
    """
    shape = shape_of(x)
    if len(shape) not in (n + 1, n + 2):
        axes = ", ".join("DHW"[-n:]) if n > 1 else "L"
        raise ShapeError(
            explain(
                f"{what}: wrong number of axes", got=f"shape {shape}", expected=f"(N, C, {axes}) or (C, {axes})",
                fix="x.reshape(...) adds an axis of length 1 where the batch or the channels are missing",
            )
        )  # fmt: skip
    return len(shape) == n + 2
