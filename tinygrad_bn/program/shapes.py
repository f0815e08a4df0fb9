"""Broadcasting with shapes that may contain a ``Size``.  A size that depends on N is taken to be longer than 1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .parts import Shape, Size


def without_leading_ones(shape: Shape) -> Shape:
    """The shape that broadcasting sees: axes of length 1 in front mean nothing."""
    start = 0
    while start < len(shape) and shape[start] == 1:
        start += 1
    return shape[start:]


def broadcast(shapes: Iterable[Shape]) -> Shape | None:
    """The common shape, or ``None`` where there is none for every N."""
    shapes = list(shapes)
    if shapes.count(shapes[0]) == len(shapes):  # nearly always
        return tuple(shapes[0])
    found: list[Any] = []
    for shape in shapes:
        padded = (1,) * (len(found) - len(shape)) + tuple(shape)
        found = [1] * (len(padded) - len(found)) + found
        for i, (a, b) in enumerate(zip(found, padded)):
            if a != b and a != 1 and b != 1:
                return None
            found[i] = b if a == 1 else a
    return tuple(found)


def is_invariant(shape: Shape, axes: tuple[int, ...], ndim: int) -> bool:
    """Whether a value of this shape is the same along some axes of an array with ``ndim`` axes; the last ones meet."""
    shape = without_leading_ones(shape)
    padded = (1,) * (ndim - len(shape)) + tuple(shape)
    return all(padded[axis] == 1 for axis in axes)


def count(shape: Shape, axes: tuple[int, ...]) -> int | Size | None:
    """How many elements a sum over axes takes in; ``None`` where that is no multiple of N."""
    product: int | Size = 1
    for axis in axes:
        n = shape[axis]
        if isinstance(n, Size) and isinstance(product, Size):
            return None
        if isinstance(n, Size) or isinstance(product, Size):
            size, factor = (n, product) if isinstance(n, Size) else (product, n)
            assert isinstance(size, Size)
            assert isinstance(factor, int)
            product = Size(size.scale * factor, size.offset * factor)
        else:
            product *= n
    return product
