"""What a translation of a step into another library or format has to know: the dtype it computes in, and positions as data.

Other libraries promote dtypes by rules of their own, or not at all, so every operand is converted first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kinds import Array
from .parts import NUMBER, Step

COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
LOGIC = ("logical_and", "logical_or", "logical_xor", "logical_not", "all", "any")
QUESTIONS = ("isfinite", "isinf", "isnan")
AS_THEY_ARE = ("argmax", "argmin", "argsort", "astype", "uniform_like")
POSITIONS_LAST = ("gather", "scatter_add", "take_along_axis", "add_along_axis")


def operand_dtypes(step: Step, dtypes: Sequence[str]) -> list[str]:
    """The dtype that each argument of a step is converted to before the operation; NumPy's promotion, written out.

    Args:
        step: which operation.
        dtypes: of its arguments; "number" for a Python number, which never widens what it meets.
    """
    name = step.primitive.name
    plain = ["float64" if dtype == NUMBER else dtype for dtype in dtypes]
    if name in LOGIC:
        return ["bool"] * len(dtypes)
    if name in AS_THEY_ARE:
        return plain
    if name in QUESTIONS:
        return [dtype if np.dtype(dtype).kind == "f" else "float64" for dtype in plain]
    if name in COMPARISONS:
        return [promoted(dtypes)] * len(dtypes)
    result = "float64" if step.dtype == NUMBER else step.dtype
    if name == "where":
        return ["bool", result, result]
    if name in POSITIONS_LAST:
        return [result, *("int64" for _ in dtypes[1:])]
    return [result] * len(dtypes)


def promoted(dtypes: Sequence[str]) -> str:
    """The common dtype of arrays and numbers."""
    arrays = [np.dtype(dtype) for dtype in dtypes if dtype != NUMBER]
    if not arrays:
        return "float64"
    common = np.result_type(*arrays)
    return "float64" if common.kind != "f" and NUMBER in dtypes else common.name


def window_positions(size: int, window: int, stride: int, dilation: int) -> Array:
    """Along one axis, where each element of each window stands: shape (windows, window)."""
    count = (size - (window - 1) * dilation - 1) // stride + 1
    return np.arange(count)[:, None] * stride + np.arange(window) * dilation


def slots(part: slice, size: int, given: int) -> Array:
    """For each of ``size`` places along an axis, which of the ``given`` elements ``put_slice`` puts there; ``given``: none."""
    found = np.full(size, given)
    found[part] = np.arange(given)
    return found


def per_axis(index: tuple[Any, ...], ndim: int) -> tuple[list[Any], list[int]]:
    """A basic index as one integer or slice for each axis that it is applied to; and where the result has new axes."""
    taken = sum(part is not None and part is not Ellipsis for part in index)
    rest = [slice(None)] * (ndim - taken)
    spread: list[Any] = []
    for part in index if Ellipsis in index else (*index, Ellipsis):
        spread.extend(rest if part is Ellipsis else [part])
    kept = [part for part in spread if part is None or isinstance(part, slice)]
    return [part for part in spread if part is not None], [i for i, part in enumerate(kept) if part is None]


def is_full(part: Any) -> bool:
    """Whether a slice takes everything in its order."""
    return bool(part == slice(None)) or bool(part == slice(None, None, 1))


def indexed_axes(pattern: tuple[Any, ...], ndim: int) -> tuple[list[int], bool] | None:
    """The axes that a pattern of integer arrays indexes, and whether the result has theirs in place of them (else in front).

    ``None`` for a pattern with anything but arrays and whole axes, which is taken apart by nobody here.
    """
    parts = list(pattern)
    if Ellipsis in parts:
        i = parts.index(Ellipsis)
        parts[i : i + 1] = [slice(None)] * (ndim - len(parts) + 1)
    axes = [i for i, part in enumerate(parts) if isinstance(part, str)]
    others = [part for part in parts if not isinstance(part, str)]
    if not all(isinstance(part, slice) and is_full(part) for part in others):
        return None
    return axes, axes == list(range(axes[0], axes[0] + len(axes)))


def to_front(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """The permutation that brings some axes to the front."""
    return (*axes, *(axis for axis in range(ndim) if axis not in axes))


def back_from_front(start: int, many: int, rest: int) -> tuple[int, ...]:
    """The permutation that moves the first ``many`` axes behind ``start`` of the others."""
    others = range(many, many + rest)
    return (*others[:start], *range(many), *others[start:])


def triangle(n: int, m: int, offset: int) -> Array:
    """Where the elements of a diagonal stand in a flattened (n, m) matrix."""
    count = max(0, min(n + min(offset, 0), m - max(offset, 0)))
    i = np.arange(count)
    return (i + max(-offset, 0)) * m + i + max(offset, 0)
