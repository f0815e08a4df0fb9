"""Sliding windows, for convolution and pooling: a view of overlapping patches, and its transpose, which adds them up."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine import Primitive, dtype_of, shape_of
from ...engine.unbroadcast import accumulator
from ...kinds import Raw

Ints = tuple[int, ...]


def _windows(x: Raw, window: Ints, stride: Ints, dilation: Ints) -> Raw:
    x = np.asarray(x)
    n = len(window)
    lead = x.shape[: x.ndim - n]
    counts = tuple(
        (size - (w - 1) * d - 1) // s + 1 for size, w, s, d in zip(x.shape[x.ndim - n :], window, stride, dilation)
    )
    steps = x.strides[x.ndim - n :]
    strides = (
        x.strides[: x.ndim - n]
        + tuple(step * s for step, s in zip(steps, stride))
        + tuple(step * d for step, d in zip(steps, dilation))
    )
    return np.lib.stride_tricks.as_strided(x, lead + counts + window, strides, writeable=False)


def _overlap_add(x: Raw, window: Ints, stride: Ints, dilation: Ints, shape: Ints) -> Raw:
    out = np.zeros(shape, accumulator(dtype_of(x)))
    n = len(window)
    counts = shape_of(x)[-2 * n : -n]
    for offset in np.ndindex(*window):  # one strided addition per window position, not one per window
        spans = tuple(slice(o * d, o * d + (c - 1) * s + 1, s) for o, d, c, s in zip(offset, dilation, counts, stride))
        place: Any = (..., *spans)
        out[place] += x[(..., *offset)]
    return out.astype(dtype_of(x), copy=False)


sliding_window: Primitive = Primitive(
    "sliding_window",
    _windows,
    lambda g, out, x, window, stride, dilation: overlap_add(
        g, window=window, stride=stride, dilation=dilation, shape=shape_of(x)
    ),
    notation="windows of {0}",
    doc="``sliding_window(x, window=(3, 3), stride=(1, 1), dilation=(1, 1))`` over the last axes: a view of shape"
    " (..., counts, window).",
)

overlap_add: Primitive = Primitive(
    "overlap_add",
    _overlap_add,
    lambda g, out, x, window, stride, dilation, shape: sliding_window(
        g, window=window, stride=stride, dilation=dilation
    ),
    notation="overlap-add {0}",
    doc="``overlap_add(x, window=..., stride=..., dilation=..., shape=...)``: add windows back to where they were taken.",
)
