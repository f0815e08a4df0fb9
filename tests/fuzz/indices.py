"""Indices of every kind as plain data: numbers, slices with any step, None, ..., integer arrays, masks, mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

Spec = tuple[tuple[Any, ...], ...]


def made(spec: Spec) -> tuple[Any, ...]:
    """The index itself."""
    kinds = {
        "number": lambda n: n,
        "slice": slice,
        "new axis": lambda: None,
        "rest": lambda: Ellipsis,
        "array": lambda shape, values: np.array(values, dtype=int).reshape(shape),
        "mask": lambda shape, values: np.array(values, dtype=bool).reshape(shape),
    }
    return tuple(kinds[kind](*rest) for kind, *rest in spec)


def ours(x: Any, spec: Spec) -> Any:
    """As anybody would write it."""
    return x[made(spec)]


def theirs(x: Any, spec: Spec) -> Any:
    """PyTorch slices forwards only, so NumPy says which positions are meant."""
    positions = np.arange(x.numel()).reshape(tuple(x.shape))[made(spec)]
    return x.reshape(-1)[torch.tensor(np.array(positions, order="C"))]


@st.composite
def specs(draw: st.DrawFn, shape: tuple[int, ...]) -> Spec:
    """An index of something of this shape, with at least one element in the result."""
    if draw(st.integers(0, 5)) == 0:  # one mask over the leading axes
        axes = draw(st.integers(1, len(shape)))
        size = int(np.prod(shape[:axes]))
        values = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        values[draw(st.integers(0, size - 1))] = True
        return (("mask", shape[:axes], tuple(values)),)
    together = draw(st.sampled_from([(2,), (3,), (1,), (), (2, 1), (1, 2)]))  # the shape of all integer arrays
    masked = draw(st.booleans())
    parts: list[tuple[Any, ...]] = []
    for n in shape[: draw(st.integers(1, len(shape)))]:
        kind = draw(st.sampled_from(["number", "slice", "slice", "all", "array", "mask"]))
        if kind == "number":
            parts.append(("number", draw(st.integers(-n, n - 1))))
        elif kind == "slice":
            step = draw(st.sampled_from([1, 1, -1, 2, -2, None]))
            at = draw(st.integers(0, n - 1))
            parts.append(("slice", None, None, step) if draw(st.booleans()) else ("slice", at, None, step))
        elif kind == "array":
            size = int(np.prod(together))
            values = draw(st.lists(st.integers(-n, n - 1), min_size=size, max_size=size))
            parts.append(("array", together, tuple(values)))
        elif kind == "mask" and masked and together == (1,):  # one True, as it has to broadcast with the arrays
            one = draw(st.integers(0, n - 1))
            parts.append(("mask", (n,), tuple(i == one for i in range(n))))
        else:
            parts.append(("slice", None, None, None))
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), ("new axis",))
    if draw(st.booleans()):
        parts.append(("rest",))
    return tuple(parts)
