"""Undoing broadcasting and dtype promotion, once for all rules, and holding rules to their contract.

``broadcast_to`` and ``sum_to`` are each other's rule; with ``astype`` they are all the engine needs to turn what a
rule returned into the gradient of an argument.  Because they are primitives, a recorded backward pass contains them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ..kinds import Array, DType, Raw, Shape, Value
from . import messages
from .primitive import Primitive
from .variable import Variable


def shape_of(value: Value) -> Shape:
    """The shape of a variable or of any raw value."""
    try:
        shape: Shape = value.shape
    except AttributeError:
        shape = np.shape(value)
    return shape


def dtype_of(value: Value) -> DType:
    """The dtype of a variable or of any raw value; float64 for a ``Scalar``."""
    raw = value._data if isinstance(value, Variable) else value
    dtype: DType = raw.dtype if hasattr(raw, "dtype") else np.asarray(raw).dtype
    return dtype


def add_reduce(x: Raw, axis: tuple[int, ...], keepdims: bool) -> Raw:
    """As ``numpy.add.reduce``; over the last axis but one, which is the batch of Batch Normalization, by BLAS.

    NumPy adds up such an axis row by row; a product with ones takes half the time or less, and its rounding errors are
    smaller where the axis is long.
    """
    if sums_by_blas(x, axis):
        row = ones((1, x.shape[-2]) if keepdims else (x.shape[-2],), x.dtype)
        return row.dot(x) if x.ndim == 2 else row @ x  # the same product, which ``dot`` begins sooner
    if x.dtype == np.float16:
        # The stubs know keepdims only as a literal.
        total = np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=accumulator(x.dtype))  # type: ignore[call-overload]
        return total.astype(x.dtype)
    return np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]


def accumulator(dtype: DType) -> DType:
    """What sums of this dtype are added up in, to be rounded once: float32 for halves, which would stop growing at 2048."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def sums_by_blas(x: Array, axis: tuple[int, ...]) -> bool:
    """Whether ``add_reduce`` takes a product with ones."""
    return len(axis) == 1 and axis[0] == x.ndim - 2 and x.dtype.char in "fd" and x.flags.c_contiguous


@lru_cache(maxsize=64)
def ones(shape: Shape, dtype: DType) -> Array:
    """A row of ones."""
    return np.ones(shape, dtype)


def _sum_to(x: Raw, shape: Shape) -> Raw:
    axes = stretched(shape, x.shape)
    if not axes:
        return x
    total = add_reduce(x, axes, len(shape) == x.ndim)
    return total if total.shape == shape else total.reshape(shape)


@lru_cache(maxsize=1024)
def stretched(shape: Shape, to: Shape) -> tuple[int, ...]:
    """The axes along which broadcasting from one shape to another repeats."""
    lead = len(to) - len(shape)
    return (*range(lead), *(lead + axis for axis, size in enumerate(shape) if size == 1 and to[lead + axis] != 1))


def _broadcast_to(x: Raw, shape: Shape) -> Raw:
    if math.prod(shape) > 131072 or x.dtype == object:
        return np.broadcast_to(x, shape)
    out = np.empty(shape, x.dtype)  # what fits into the cache is faster filled than viewed, here and in what reads it
    out[...] = x
    return out


broadcast_to: Primitive = Primitive(
    "broadcast_to",
    _broadcast_to,
    lambda g, out, x, shape: sum_to(g, shape=shape_of(x)),
    scalar=lambda x, shape: x,
    notation="broadcast {0}",
    doc="``broadcast_to(x, shape=...)``: repeat along new axes and axes of length 1, as numpy.broadcast_to.",
)

sum_to: Primitive = Primitive(
    "sum_to",
    _sum_to,
    lambda g, out, x, shape: broadcast_to(g, shape=shape_of(x)),
    scalar=lambda x, shape: x,
    notation="Σ {0}",
    doc="``sum_to(x, shape=...)``: sum over the axes that broadcasting to ``x.shape`` stretches; undoes broadcast_to.",
)

astype: Primitive = Primitive(
    "astype",
    lambda x, dtype: np.asarray(x).astype(dtype),
    lambda g, out, x, dtype: astype(g, dtype=dtype_of(x).name),
    scalar=lambda x, dtype: float(np.asarray(x).astype(dtype)),
    elementwise=True,
    discrete=True,
    notation="{0} as dtype",
    doc="``astype(x, dtype='float32')``: the same numbers in another dtype; gradients flow between floating dtypes.",
)


def unbroadcast(cotangent: Value, out: Variable, index: int, argument: Variable, as_variable: bool) -> Value:
    """Turn what the rule of ``out``'s primitive returned for argument ``index`` into that argument's cotangent.

    Raises:
        RuleError: it cannot be one: ``None``, not floating-point numbers, or of a shape that is neither the argument's
            nor one that broadcasting the argument makes.
    """
    primitive = out.primitive
    assert primitive is not None
    data = argument._data
    arrays = type(cotangent) is type(data) is np.ndarray
    broadcast = arrays and primitive.core_dims == 0 and cotangent.shape == out._data.shape
    if broadcast and not as_variable and cotangent.dtype is data.dtype:  # the usual case, first
        return np.asarray(_sum_to(cotangent, data.shape))
    wrong_kind = isinstance(cotangent, Variable) and cotangent.kind is not argument.kind
    if cotangent is None or wrong_kind or isinstance(cotangent, (tuple, list)):
        got = "None" if cotangent is None else f"a {type(cotangent).__name__}"
        fix = "return the cotangent of this one argument; without a derivative, give None in place of the rule"
        raise messages.broken_rule(primitive, index, argument, got, fix)
    if isinstance(cotangent, Variable):
        if not as_variable:
            cotangent = cotangent._data
    elif type(cotangent) is not np.ndarray:
        cotangent = np.asarray(cotangent)
    if dtype_of(cotangent).kind != "f":
        got = f"dtype {dtype_of(cotangent)}"
        raise messages.broken_rule(primitive, index, argument, got, "return floating-point numbers computed from g")
    shape = argument.shape
    if cotangent.shape != shape:
        core = primitive.core_dims
        if core is None or cotangent.shape != out.shape[: out.ndim - core] + shape[argument.ndim - core :]:
            fix = "return one element per element of the argument; the engine undoes broadcasting"
            raise messages.broken_rule(primitive, index, argument, f"shape {cotangent.shape}", fix)
        cotangent = sum_to(cotangent, shape=shape) if as_variable else _sum_to(cotangent, shape)
    if argument.is_scalar_kind:
        if not isinstance(cotangent, Variable):
            cotangent = float(cotangent)
    elif cotangent.dtype != argument.dtype:
        cotangent = astype(cotangent, dtype=argument.dtype.name)
    if as_variable and not isinstance(cotangent, Variable):
        cotangent = argument.kind.wrap(cotangent if argument.is_scalar_kind else np.asarray(cotangent))
    return cotangent
