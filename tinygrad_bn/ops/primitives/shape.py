"""Rearranging elements without arithmetic: reshape, transpose, concatenate.  Each rule is the way back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...engine import Primitive, shape_of
from ...errors import DTypeError, explain
from ...kinds import Shape, Value
from .index import take_slice


def _only(x: float, shape: Shape) -> float:
    """A single number has one shape."""
    if shape:
        fix = "an array of scalars (scalarize) or a Tensor has axes"
        raise DTypeError(explain("reshape: a Scalar has no axes", got=f"shape {shape}", expected="()", fix=fix))
    return x


reshape: Primitive = Primitive(
    "reshape",
    lambda x, shape: x.reshape(shape),
    lambda g, out, x, shape: reshape(g, shape=shape_of(x)),
    scalar=_only,
    notation="reshape {0}",
    doc="``reshape(x, shape=(2, 3))``: the same elements in row-major order; no -1 here.",
)


@lru_cache(maxsize=1024)
def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ``axes``."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


transpose: Primitive = Primitive(
    "transpose",
    lambda x, axes: x.transpose(axes),
    lambda g, out, x, axes: g.transpose(inverse(axes)),
    notation="transpose {0}",
    doc="``transpose(x, axes=(1, 0))``: axis i of the result is axis ``axes[i]`` of x.",
)


tril: Primitive = Primitive(
    "tril",
    lambda x, k: np.tril(x, k),
    lambda g, out, x, k: tril(g, k=k),
    notation="lower {0}",
    doc="``tril(x, k=0)``: the last two axes with zeros above diagonal k.",
)

triu: Primitive = Primitive(
    "triu",
    lambda x, k: np.triu(x, k),
    lambda g, out, x, k: triu(g, k=k),
    notation="upper {0}",
    doc="``triu(x, k=0)``: the last two axes with zeros below diagonal k.",
)


def _concatenate_rule(index: int, g: Value, out: Value, *arrays: Value, axis: int) -> Value:
    start = sum(shape_of(array)[axis] for array in arrays[:index])
    span = slice(start, start + shape_of(arrays[index])[axis])
    return take_slice(g, index=(slice(None),) * axis + (span,))


concatenate: Primitive = Primitive(
    "concatenate",
    lambda *arrays, axis: np.concatenate(arrays, axis),
    variadic=_concatenate_rule,
    notation="concatenate",
    doc="``concatenate(x, y, ..., axis=0)``: one after the other along an existing, non-negative axis.",
)
