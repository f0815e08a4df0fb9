"""Sums, means, spreads, extrema and norms along axes, and the softmax family."""

from __future__ import annotations

from numbers import Real

import numpy as np

from ...engine import Primitive, astype, dtype_of, scope
from ...errors import ArgumentError, ShapeError, explain
from ...kinds import Shape, Value
from .. import primitives
from .axes import Axis, as_array, count, many_axes, one_axis, shape_of
from .precision import DOUBLE, SINGLE, rounded_once


def sum(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:  # noqa: A001
    """Sum over axes, as ``numpy.sum``."""
    x = as_array(x)
    return primitives.sum(x, axis=many_axes(axis, len(shape_of(x)), "sum"), keepdims=keepdims)


def mean(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Arithmetic mean over axes, as ``numpy.mean``: the sum divided by the number of elements.

    Raises:
        ShapeError: there are no elements to average.
    """
    x = as_array(x)
    axes = many_axes(axis, len(shape_of(x)), "mean")
    _some(x, axes, "mean")
    return primitives.mean(x, axis=axes, keepdims=keepdims)


def var(x: Value, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Value:
    """Variance over axes, as ``numpy.var``: sum of squared deviations from the mean, divided by ``n - ddof``.

    Raises:
        ShapeError: fewer than ``ddof + 1`` elements.
    """
    return rounded_once(lambda x: _variance(x, axis, keepdims, ddof, "var"), as_array(x), DOUBLE)


def _variance(x: Value, axis: Axis, keepdims: bool, ddof: int, what: str) -> Value:
    axes = many_axes(axis, len(shape_of(x)), what)
    n = _some(x, axes, what, ddof)
    deviation = x - mean(x, axes, keepdims=True)
    return primitives.sum(primitives.square(deviation), axis=axes, keepdims=keepdims) / float(n - ddof)


def std(x: Value, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Value:
    """Standard deviation over axes, as ``numpy.std``; where it is 0 its gradient is 0.

    Raises:
        ShapeError: fewer than ``ddof + 1`` elements.
    """
    return rounded_once(lambda x: _root_or_zero(_variance(x, axis, keepdims, ddof, "std")), as_array(x), DOUBLE)


def norm(x: Value, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Value:  # noqa: A002
    """Vector norm over axes, of all elements by default: 2 (default), 1, inf or any ``p > 0``.

    Where the norm is 0 its gradient is 0.  Matrix norms (spectral, nuclear) are not among these: over two axes this is
    the norm of all their elements.  Source: Golub and Van Loan, Matrix Computations, section 2.2.

    Raises:
        ArgumentError: another order.
    """
    x = as_array(x)
    axes = many_axes(axis, len(shape_of(x)), "norm")
    if ord is not None and (not isinstance(ord, Real) or not ord > 0):
        raise ArgumentError(explain("norm: unknown order", got=repr(ord), expected="a positive number or inf"))
    if dtype_of(x).kind in "biu":
        x = astype(x, dtype="float64")  # squares of small integers would wrap around
    if ord is None or ord == 2:
        return rounded_once(
            lambda x: _root_or_zero(primitives.sum(primitives.square(x), axis=axes, keepdims=keepdims)), x, DOUBLE
        )
    if ord == np.inf:
        _some(x, axes, "norm")
        return primitives.max(primitives.abs(x), axis=axes, keepdims=keepdims)
    if ord == 1:
        return primitives.sum(primitives.abs(x), axis=axes, keepdims=keepdims)
    p = float(ord)
    return rounded_once(
        lambda x: _root_or_zero(primitives.sum(primitives.abs(x) ** p, axis=axes, keepdims=keepdims), p), x, DOUBLE
    )


def _root_or_zero(s: Value, degree: float = 2.0) -> Value:
    """A root of s with gradient 0, not inf times 0, where s is 0: the root of a sum of powers has a minimum there."""
    zero = primitives.equal(s, 0.0)
    positive = primitives.where(zero, 1.0, s)
    return primitives.where(zero, 0.0, primitives.sqrt(positive) if degree == 2.0 else positive ** (1.0 / degree))


def prod(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Product over axes, as ``numpy.prod``, by halves: log2(n) multiplications, no division, so zeros are exact."""
    x = as_array(x)
    shape = shape_of(x)
    axes = many_axes(axis, len(shape), "prod")
    if dtype_of(x).kind in "biu":  # as NumPy does, wide integers, so that products of small ones do not wrap around
        x = astype(x, dtype=np.multiply.reduce(np.empty(0, dtype_of(x))).dtype.name)
    rest = tuple(i for i in range(len(shape)) if i not in axes)
    n = count(shape, axes)
    kept_shape = tuple(shape[i] for i in rest)
    if n == 0:
        folded = primitives.sum(x, axis=axes, keepdims=False) + 1  # the empty product, recorded and in the dtype of x
    else:
        folded = primitives.reshape(primitives.transpose(x, axes=rest + axes), shape=(*kept_shape, n)) if shape else x
        while n > 1:
            half, odd = divmod(n, 2)
            pairs = primitives.multiply(
                primitives.take_slice(folded, index=(..., slice(half))),
                primitives.take_slice(folded, index=(..., slice(half, 2 * half))),
            )
            if odd:
                pairs = primitives.concatenate(
                    pairs, primitives.take_slice(folded, index=(..., slice(2 * half, None))), axis=len(rest)
                )
            folded, n = pairs, half + odd
        folded = primitives.take_slice(folded, index=(..., 0)) if shape else folded
    return primitives.reshape(folded, shape=_reduced(shape, axes)) if keepdims and shape else folded


def max(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:  # noqa: A001
    """Largest element over axes, as ``numpy.max``; ties share the gradient equally."""
    x = as_array(x)
    axes = many_axes(axis, len(shape_of(x)), "max")
    _some(x, axes, "max")
    return primitives.max(x, axis=axes, keepdims=keepdims)


def min(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:  # noqa: A001
    """Smallest element over axes, as ``numpy.min``; ties share the gradient equally."""
    x = as_array(x)
    axes = many_axes(axis, len(shape_of(x)), "min")
    _some(x, axes, "min")
    return primitives.min(x, axis=axes, keepdims=keepdims)


def all(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:  # noqa: A001
    """Whether no element is 0, over axes, as ``numpy.all``; booleans, no derivative."""
    x = as_array(x)
    return primitives.all(x, axis=many_axes(axis, len(shape_of(x)), "all"), keepdims=keepdims)


def any(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:  # noqa: A001
    """Whether some element is not 0, over axes, as ``numpy.any``; booleans, no derivative."""
    x = as_array(x)
    return primitives.any(x, axis=many_axes(axis, len(shape_of(x)), "any"), keepdims=keepdims)


def count_nonzero(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """How many elements are not 0, over axes, as ``numpy.count_nonzero``; integers, no derivative."""
    return sum(primitives.not_equal(as_array(x), 0), axis, keepdims)


def argmax(x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
    """Position of the first largest element, as ``numpy.argmax``; integers, no derivative."""
    return _position(primitives.argmax, as_array(x), axis, keepdims)


def argmin(x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
    """Position of the first smallest element, as ``numpy.argmin``; integers, no derivative."""
    return _position(primitives.argmin, as_array(x), axis, keepdims)


def _position(find: Primitive, x: Value, axis: int | None, keepdims: bool) -> Value:
    shape = shape_of(x)
    if axis is None:
        n = _some(x, tuple(range(len(shape))), find.name)
        position = find(primitives.reshape(x, shape=(n,)), axis=0, keepdims=False)
        return primitives.reshape(position, shape=(1,) * len(shape)) if keepdims else position
    axis = one_axis(axis, len(shape), find.name)
    _some(x, (axis,), find.name)
    return find(x, axis=axis, keepdims=keepdims)


def cumsum(x: Value, axis: int | None = None) -> Value:
    """Running sums along an axis, as ``numpy.cumsum``; without an axis, of the flattened array."""
    x = as_array(x)
    if axis is None:
        x, axis = primitives.reshape(x, shape=(count(shape_of(x), many_axes(None, len(shape_of(x)), "cumsum")),)), 0
    return primitives.cumsum(x, axis=one_axis(axis, len(shape_of(x)), "cumsum"), reverse=False)


def logsumexp(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """primitives.log(sum(primitives.exp(x))) over axes, without overflow: the largest element is taken out first.

    Taken out as a constant; the result does not depend on it, so neither does any derivative.  Where all elements are
    -inf, the result is -inf and the gradient 0.
    """
    x = as_array(x)
    axes = many_axes(axis, len(shape_of(x)), "logsumexp")
    _some(x, axes, "logsumexp")
    return rounded_once(lambda x: _logsumexp(x, axes, keepdims), x, SINGLE)


def _logsumexp(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    with scope("logsumexp"):
        limit = np.finfo(dtype_of(x) if dtype_of(x).kind == "f" else float).max
        shift = primitives.clip(_largest(x, axes), -limit, limit)  # finite: inf - inf would be NaN
        total = primitives.sum(primitives.exp(x - shift), axis=axes, keepdims=True)
        nothing = primitives.equal(total, 0.0)  # only where all are -inf
        result = primitives.where(nothing, -np.inf, primitives.log(primitives.where(nothing, 1.0, total)) + shift)
        return result if keepdims or not axes else primitives.reshape(result, shape=_dropped(shape_of(x), axes))


def softmax(x: Value, axis: Axis = -1) -> Value:
    """exp(x) / sum(exp(x)) over axes, without overflow; x itself where there is nothing to sum."""
    x = as_array(x)
    axes = many_axes(axis, len(shape_of(x)), "softmax")
    if not count(shape_of(x), axes):
        return x
    return rounded_once(lambda x: _softmax(x, axes), x, SINGLE)


def _softmax(x: Value, axes: tuple[int, ...]) -> Value:
    with scope("softmax"):
        e = primitives.exp(x - _largest(x, axes))
        return e / primitives.sum(e, axis=axes, keepdims=True)


def log_softmax(x: Value, axis: Axis = -1) -> Value:
    """log(softmax(x)) over axes, without overflow or log(0); x itself where there is nothing to sum."""
    x = as_array(x)
    axes = many_axes(axis, len(shape_of(x)), "log_softmax")
    if not count(shape_of(x), axes):
        return x
    return rounded_once(lambda x: _log_softmax(x, axes), x, SINGLE)


def _log_softmax(x: Value, axes: tuple[int, ...]) -> Value:
    with scope("log_softmax"):
        shifted = x - _largest(x, axes)
        return shifted - primitives.log(primitives.sum(primitives.exp(shifted), axis=axes, keepdims=True))


def _largest(x: Value, axes: tuple[int, ...]) -> Value:
    return primitives.stop_gradient(primitives.max(x, axis=axes, keepdims=True))


def _reduced(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if i in axes else size for i, size in enumerate(shape))


def _dropped(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(size for i, size in enumerate(shape) if i not in axes)


def _some(x: Value, axes: tuple[int, ...], what: str, ddof: int = 0) -> int:
    n = count(shape_of(x), axes)
    if n <= ddof:
        expected = f"at least {ddof + 1} along axes {axes}" + (f" (ddof={ddof})" if ddof else "")
        raise ShapeError(explain(f"{what}: too few elements", got=f"shape {shape_of(x)}", expected=expected))
    return n
