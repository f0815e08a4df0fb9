"""The same call in other words: other memory orders, other values, another precision.

What is right must not depend on the first, must have been decided by operations for the second, and must be nearly the
same in the third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..kinds import Array
from .places import largest

EPS32 = float(np.finfo(np.float32).eps)


def layouts(x: Array) -> Iterator[tuple[str, Array, Array]]:
    """An array and the same numbers laid out otherwise: name, the numbers in C order, the other array."""
    if not x.ndim or not x.size:
        return
    x = np.ascontiguousarray(x)
    if x.ndim > 1:
        yield "in Fortran order", x, np.asfortranarray(x)
    if x.ndim > 2:
        yield "with two axes exchanged", x, np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    backwards = (slice(None, None, -1),) * x.ndim
    yield "with negative strides", x, np.ascontiguousarray(x[backwards])[backwards]
    wide = np.repeat(x, 2, axis=-1)
    wide[..., 1::2] = np.nan if x.dtype.kind == "f" else 0  # what lies between is not to be read
    yield "as every second element of another array", x, wide[..., ::2]
    stretched = np.broadcast_to(x[:1], x.shape)
    yield "with a stride of zero", np.array(stretched, order="C"), stretched


def other_values(arrays: Sequence[Array], rng: np.random.Generator) -> Iterator[list[Array]]:
    """Other numbers of the same shapes, of either sign and of several sizes."""
    yield [np.array(x[(slice(None, None, -1),) * x.ndim]) for x in arrays]
    for factor in (-1.0, 0.25, 4.0, -4.0):
        yield [np.asarray(x * factor) for x in arrays]
    for _ in range(2):
        yield [np.asarray(x * rng.uniform(0.3, 3.0, x.shape)) for x in arrays]
        yield [np.asarray(rng.normal(size=x.shape) * max(largest(x), 1e-3)) for x in arrays]
    for factor in (-100.0, 1e4, 0.01):
        yield [np.asarray(x * factor) for x in arrays]


def off_in_float32(
    narrow: Any, compute: Callable[[list[Array]], Any], arrays: Sequence[Array], whole: bool
) -> tuple[str, str] | None:
    """What a result in float32 has in place of the one in float64, ``None`` where they differ by rounding only.

    What rounding may do is measured: the arguments are moved by about one unit in the last place of float32.

    Args:
        narrow: the result in float32.
        compute: the result from float64 arrays.
        arrays: the arguments, as float64 arrays of numbers that float32 has.
        whole: whether small elements may err by as much as the largest, and all by what is left where things cancel.

    Returns:
        ``(got, expected)`` of the worst element.
    """
    got, expected = np.asarray(narrow, float), np.asarray(compute(list(arrays)), float)
    if got.shape != expected.shape:
        return f"shape {got.shape}", f"shape {expected.shape}"
    rng = np.random.default_rng(0)
    spread = np.zeros(expected.shape)
    for _ in range(4):
        moved = [x * (1.0 + EPS32 * rng.choice([-1.0, 1.0], x.shape)) for x in arrays]
        spread = np.maximum(spread, np.abs(np.asarray(compute(moved), float) - expected))
    size = np.abs(expected)
    allowed = 30.0 * spread + (1e-4 * largest(expected) + 2e-6 if whole else 1e-4 * size + 1e-35)
    comparable = np.isfinite(got) & np.isfinite(expected) & np.isfinite(allowed)
    excess = np.where(comparable, np.abs(got - expected) - allowed, 0.0)
    if not excess.size or excess.max() <= 0.0:
        return None
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    return f"{got[worst]:.6g}", f"{expected[worst]:.6g}"


def alike(one: Any, other: Any, rtol: float = 1e-9, floor: float = 0.0) -> bool:
    """Equal shapes and nearly equal numbers, measured by the largest; below ``floor`` nothing is told apart."""
    a, b = np.asarray(one, float), np.asarray(other, float)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=rtol, atol=rtol * largest(b) + floor, equal_nan=True))
