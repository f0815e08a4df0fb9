"""NumPy's ways to rearrange arrays, composed of reshape, transpose, slices, concatenate and where."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from ...engine import Variable
from ...engine import broadcast_to as broadcast
from ...errors import ArgumentError, DTypeError, ShapeError, explain
from ...kinds import Value
from .. import primitives
from .axes import Axis, as_array, integers, many_axes, one_axis, shape_of
from .reductions import sum as sum_over


def reshape(x: Value, shape: int | tuple[int, ...]) -> Value:
    """The same elements in row-major order; one entry may be -1.  As ``numpy.reshape``."""
    x = as_array(x)
    wanted = integers(shape, "reshape")
    size = math.prod(shape_of(x))
    if wanted.count(-1) == 1:
        known = math.prod(n for n in wanted if n != -1)
        if known > 0 and size % known == 0:
            wanted = tuple(size // known if n == -1 else n for n in wanted)
    if any(n < 0 for n in wanted) or math.prod(wanted) != size:
        got = f"shape {shape} for {shape_of(x)}"
        raise ShapeError(explain("reshape: the sizes do not match", got=got, expected=f"{size} elements in all"))
    return primitives.reshape(x, shape=wanted)


def ravel(x: Value) -> Value:
    """One axis with all elements, as ``numpy.ravel``."""
    x = as_array(x)
    return primitives.reshape(x, shape=(math.prod(shape_of(x)),))


def flatten(x: Value, start_axis: int = 0) -> Value:
    """Join all axes from ``start_axis`` on into one."""
    x = as_array(x)
    shape = shape_of(x)
    start = one_axis(start_axis, len(shape), "flatten") if shape else 0
    return primitives.reshape(x, shape=(*shape[:start], math.prod(shape[start:])))


def transpose(x: Value, axes: Sequence[int] | None = None) -> Value:
    """Permute the axes (reverse them by default), as ``numpy.transpose``."""
    x = as_array(x)
    n = len(shape_of(x))
    if axes is None:
        return primitives.transpose(x, axes=tuple(range(n - 1, -1, -1)))
    order = tuple(one_axis(a, n, "transpose") for a in integers(axes, "transpose"))
    if sorted(order) != list(range(n)):
        raise ShapeError(
            explain("transpose: axes must be a permutation", got=axes, expected=f"each of 0 to {n - 1} once")
        )
    return primitives.transpose(x, axes=order)


def swapaxes(x: Value, axis1: int, axis2: int) -> Value:
    """Exchange two axes, as ``numpy.swapaxes``."""
    x = as_array(x)
    n = len(shape_of(x))
    a, b = one_axis(axis1, n, "swapaxes"), one_axis(axis2, n, "swapaxes")
    order = list(range(n))
    order[a], order[b] = b, a
    return primitives.transpose(x, axes=tuple(order))


def moveaxis(x: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Move axes to new positions, the others keep their order, as ``numpy.moveaxis``."""
    x = as_array(x)
    n = len(shape_of(x))
    sources = [one_axis(a, n, "moveaxis") for a in integers(source, "moveaxis")]
    targets = [one_axis(a, n, "moveaxis") for a in integers(destination, "moveaxis")]
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ShapeError(
            explain("moveaxis: as many sources as destinations, none twice", got=f"{source} to {destination}")
        )
    order = [a for a in range(n) if a not in sources]
    for target, origin in sorted(zip(targets, sources)):
        order.insert(target, origin)
    return primitives.transpose(x, axes=tuple(order))


def squeeze(x: Value, axis: Axis = None) -> Value:
    """Drop axes of length 1, as ``numpy.squeeze``."""
    x = as_array(x)
    shape = shape_of(x)
    if axis is None:
        axes = tuple(i for i, n in enumerate(shape) if n == 1)
    else:
        axes = many_axes(axis, len(shape), "squeeze")
        if any(shape[a] != 1 for a in axes):
            raise ShapeError(explain("squeeze: only axes of length 1 can go", got=f"axis {axis} of shape {shape}"))
    return primitives.reshape(x, shape=tuple(n for i, n in enumerate(shape) if i not in axes))


def expand_dims(x: Value, axis: int | tuple[int, ...]) -> Value:
    """Insert axes of length 1, as ``numpy.expand_dims``."""
    x = as_array(x)
    shape = list(shape_of(x))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in many_axes(tuple(given), len(shape) + len(given), "expand_dims"):
        shape.insert(a, 1)
    return primitives.reshape(x, shape=tuple(shape))


def broadcast_to(x: Value, shape: int | tuple[int, ...]) -> Value:
    """Repeat along new axes and axes of length 1, as ``numpy.broadcast_to``.

    Raises:
        ShapeError: axes of other lengths, or fewer axes than x has.
    """
    x, wanted = as_array(x), integers(shape, "broadcast_to")
    given = shape_of(x)
    lead = len(wanted) - len(given)
    if lead < 0 or any(n not in (1, m) for n, m in zip(given, wanted[lead:])) or any(m < 0 for m in wanted):
        raise ShapeError(explain("broadcast_to: only axes of length 1 stretch", got=f"{given} to {wanted}"))
    if wanted and isinstance(x, Variable) and x.is_scalar_kind:
        fix = "scalarize makes arrays of scalars, a Tensor has axes"
        raise DTypeError(explain("broadcast_to: a Scalar has no axes", got=wanted, expected="()", fix=fix))
    return broadcast(x, shape=wanted)


def concatenate(arrays: Sequence[Value], axis: int | None = 0) -> Value:
    """One after the other along an existing axis, as ``numpy.concatenate``; ``None`` flattens first."""
    parts = [as_array(a) for a in arrays]
    if not parts:
        raise ArgumentError(explain("concatenate: at least one array", got="none"))
    if axis is None:
        parts, axis = [ravel(a) for a in parts], 0
    return _joined("concatenate", parts, one_axis(axis, len(shape_of(parts[0])), "concatenate"))


def _joined(what: str, parts: list[Value], axis: int) -> Value:
    shapes = [shape_of(a) for a in parts]
    if len({(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}) > 1:
        got, expected = " and ".join(dict.fromkeys(map(str, shapes))), f"equal lengths along every axis but axis {axis}"
        raise ShapeError(explain(f"{what}: these do not fit together", got=f"shapes {got}", expected=expected))
    return primitives.concatenate(*parts, axis=axis)


def stack(arrays: Sequence[Value], axis: int = 0) -> Value:
    """Arrays of one shape along a new axis, as ``numpy.stack``; scalars make an object array of scalars."""
    parts = [as_array(a) for a in arrays]
    if not parts:
        raise ArgumentError(explain("stack: at least one array", got="none"))
    if len({shape_of(a) for a in parts}) > 1:
        raise ShapeError(explain("stack: all of one shape", got=", ".join(str(shape_of(a)) for a in parts)))
    if any(isinstance(a, Variable) and a.is_scalar_kind for a in parts):
        boxes = np.empty(len(parts), object)
        boxes[:] = parts
        return boxes
    axis = one_axis(axis, len(shape_of(parts[0])) + 1, "stack")
    return primitives.concatenate(*(expand_dims(a, axis) for a in parts), axis=axis)


def hstack(arrays: Sequence[Value]) -> Value:
    """Side by side, as ``numpy.hstack``: along the second axis, or the first of arrays with one axis."""
    parts = [_with_axes(a, 1) for a in arrays]
    if not parts:
        raise ArgumentError(explain("hstack: at least one array", got="none"))
    return _joined("hstack", parts, 0 if len(shape_of(parts[0])) == 1 else 1)


def vstack(arrays: Sequence[Value]) -> Value:
    """On top of each other, as ``numpy.vstack``: along the first axis, where an array with one axis is one row."""
    parts = [_with_axes(a, 2) for a in arrays]
    if not parts:
        raise ArgumentError(explain("vstack: at least one array", got="none"))
    return _joined("vstack", parts, 0)


def _with_axes(x: Value, n: int) -> Value:
    x = as_array(x)
    shape = shape_of(x)
    return x if len(shape) >= n else primitives.reshape(x, shape=(1,) * (n - len(shape)) + shape)


def split(x: Value, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """Parts along an axis: a number of equal ones, or cut before each given index.  As ``numpy.split``."""
    x = as_array(x)
    shape = shape_of(x)
    axis = one_axis(axis, len(shape), "split")
    n = shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        if parts < 1 or n % parts:
            raise ShapeError(explain("split: equal parts", got=f"{parts} parts of {n} elements", expected="a divisor"))
        cuts = [n // parts * i for i in range(1, parts)]
    else:
        cuts = list(integers(indices_or_sections, "split"))
    lead = (slice(None),) * axis
    return [primitives.take_slice(x, index=(*lead, slice(a, b))) for a, b in zip([0, *cuts], [*cuts, n])]


def tile(x: Value, reps: int | tuple[int, ...]) -> Value:
    """The whole array repeated along each axis, as ``numpy.tile``."""
    x = as_array(x)
    counts = integers(reps, "tile")
    shape = shape_of(x)
    n = builtin_max(len(shape), len(counts))
    shape, counts = (1,) * (n - len(shape)) + shape, (1,) * (n - len(counts)) + counts
    _not_negative(counts, "tile")
    pairs = tuple(m for size in shape for m in (1, size))
    wide = tuple(m for size, r in zip(shape, counts) for m in (r, size))
    tiled = broadcast(primitives.reshape(x, shape=pairs), shape=wide)
    return primitives.reshape(tiled, shape=tuple(size * r for size, r in zip(shape, counts)))


def repeat(x: Value, repeats: int | Sequence[int], axis: int | None = None) -> Value:
    """Each element repeated, along an axis or of the flattened array, as ``numpy.repeat``.

    Args:
        x: an array.
        repeats: how often: one number for all, or one for each element along the axis.
        axis: ``None`` flattens first.

    Raises:
        ShapeError: negative counts, or not as many as there are elements.
    """
    x = as_array(x)
    if axis is None:
        x, axis = ravel(x), 0
    shape = shape_of(x)
    axis = one_axis(axis, len(shape), "repeat")
    counts = integers(repeats, "repeat")
    _not_negative(counts, "repeat")
    if len(counts) == 1:
        (n,) = counts
        wide = broadcast(expand_dims(x, axis + 1), shape=(*shape[: axis + 1], n, *shape[axis + 1 :]))
        return primitives.reshape(wide, shape=(*shape[:axis], shape[axis] * n, *shape[axis + 1 :]))
    if len(counts) != shape[axis]:
        expected = f"one number, or {shape[axis]} of them"
        raise ShapeError(explain("repeat: how often each", got=f"{len(counts)} numbers", expected=expected))
    rows = np.repeat(np.arange(shape[axis]), counts)
    return primitives.gather(x, rows, pattern=(slice(None),) * axis + ("array",))


def pad(x: Value, pad_width: Any, constant_values: float = 0.0) -> Value:
    """Constant padding, as ``numpy.pad``: an int, a pair, or a pair per axis.

    Raises:
        ShapeError: widths that are negative or do not fit the axes.
        DTypeError: widths that are not integers, or a constant that is not a number.
    """
    x = as_array(x)
    shape = shape_of(x)
    if not isinstance(constant_values, Real):
        got = type(constant_values).__name__
        raise DTypeError(explain("pad: one number to pad with", got=got))
    widths = _widths(pad_width, len(shape))
    _not_negative(tuple(n for pair in widths for n in pair), "pad")
    wide = tuple(a + n + b for n, (a, b) in zip(shape, widths))
    inside = tuple(slice(a, a + n) for n, (a, _) in zip(shape, widths))
    padded = primitives.put_slice(x, index=inside, shape=wide)
    if constant_values == 0.0:
        return padded
    touched = [any(pair) for pair in widths]  # an axis that is left as it is, such as the batch, is broadcast
    border = np.ones([size if padded_too else 1 for size, padded_too in zip(wide, touched)], bool)
    border[tuple(cut if padded_too else slice(None) for cut, padded_too in zip(inside, touched))] = False
    return primitives.where(border, constant_values, padded)


def _widths(pad_width: Any, n: int) -> list[tuple[int, ...]]:
    try:
        given = np.asarray(pad_width)
        pairs = np.broadcast_to(given, (n, 2))
    except ValueError:
        expected = f"an integer, (before, after), or {n} such pairs"
        raise ShapeError(explain("pad: widths that do not fit", got=repr(pad_width), expected=expected)) from None
    return [integers(pair, "pad") for pair in pairs]


def flip(x: Value, axis: Axis = None) -> Value:
    """Reverse the order along axes, as ``numpy.flip``."""
    x = as_array(x)
    n = len(shape_of(x))
    axes = many_axes(axis, n, "flip")
    return primitives.take_slice(x, index=tuple(slice(None, None, -1 if i in axes else None) for i in range(n)))


def roll(x: Value, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Value:
    """Shift elements along axes, those pushed out come in at the other end, as ``numpy.roll``.

    Args:
        x: an array.
        shift: how far; one for all axes, or one per axis.
        axis: an axis given twice is shifted twice; ``None`` shifts the flattened array.
    """
    x = as_array(x)
    shape = shape_of(x)
    if axis is None:
        return primitives.reshape(roll(ravel(x), shift, 0), shape=shape)
    axes, shifts = integers(axis, "roll"), integers(shift, "roll")
    axes = axes * len(shifts) if len(axes) == 1 else axes
    shifts = shifts * len(axes) if len(shifts) == 1 else shifts
    if len(shifts) != len(axes):
        raise ShapeError(explain("roll: one shift per axis", got=f"{len(shifts)} shifts for {len(axes)} axes"))
    for a, s in zip(axes, shifts):
        a = one_axis(a, len(shape), "roll")
        cut = -s % shape[a] if shape[a] else 0
        lead = (slice(None),) * a
        if cut:
            x = primitives.concatenate(
                primitives.take_slice(x, index=(*lead, slice(cut, None))),
                primitives.take_slice(x, index=(*lead, slice(cut))),
                axis=a,
            )
    return x


def tril(x: Value, k: int = 0) -> Value:
    """The lower triangle of the last two axes, zero above diagonal ``k``, as ``numpy.tril``."""
    x = as_array(x)
    _matrix(x, "tril")
    return primitives.tril(x, k=operator.index(k))


def triu(x: Value, k: int = 0) -> Value:
    """The upper triangle of the last two axes, zero below diagonal ``k``, as ``numpy.triu``."""
    x = as_array(x)
    _matrix(x, "triu")
    return primitives.triu(x, k=operator.index(k))


def diagonal(x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The diagonal of two axes, as the last axis of the result, as ``numpy.diagonal``.

    Raises:
        ShapeError: fewer than two axes, no such axis, or one axis twice.
    """
    return _diagonal(as_array(x), offset, axis1, axis2, "diagonal")


def _diagonal(x: Value, offset: int, axis1: int, axis2: int, what: str) -> Value:
    _matrix(x, what, axis1, axis2)
    n_axes = len(shape_of(x))
    if axis1 % n_axes == axis2 % n_axes:
        raise ShapeError(explain(f"{what}: two different axes", got=f"axis1={axis1}, axis2={axis2} of {n_axes} axes"))
    (offset,) = integers(offset, what)
    return primitives.take_diagonal(moveaxis(x, (axis1, axis2), (-2, -1)), offset=offset)


def diag(x: Value, k: int = 0) -> Value:
    """A matrix with x on diagonal k, for one axis; diagonal k of x, for two.  As ``numpy.diag``.

    Raises:
        ShapeError: no axes, or more than two.
    """
    x = as_array(x)
    shape = shape_of(x)
    (k,) = integers(k, "diag")
    if len(shape) == 1:
        n = shape[0] + builtin_max(k, -k)
        return primitives.put_diagonal(x, offset=k, shape=(n, n))
    if len(shape) != 2:
        raise ShapeError(explain("diag: one axis or two", got=f"shape {shape}"))
    return _diagonal(x, k, 0, 1, "diag")


def trace(x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The sum of the diagonal, as ``numpy.trace``; errors as in ``diagonal``."""
    return sum_over(_diagonal(as_array(x), offset, axis1, axis2, "trace"), axis=-1)


def sliding_window(
    x: Value, window: int | tuple[int, ...], stride: int | tuple[int, ...] = 1, dilation: int | tuple[int, ...] = 1
) -> Value:
    """Overlapping windows over the last axes: shape ``(..., counts..., window...)``, a view.

    Args:
        x: array whose last ``len(window)`` axes are slid over.
        window: window lengths, one per axis.
        stride: steps between windows.
        dilation: steps between the elements of a window.

    Raises:
        ShapeError: a window longer than its axis.
    """
    x = as_array(x)
    lengths = integers(window, "sliding_window")
    n = len(lengths)
    steps, gaps = (integers(v, "sliding_window") for v in (stride, dilation))
    steps, gaps = (v * n if len(v) == 1 else v for v in (steps, gaps))
    shape = shape_of(x)
    sizes = shape[len(shape) - n :]
    if not 0 < n <= len(shape) or len(steps) != n or len(gaps) != n or builtin_min((*lengths, *steps, *gaps)) < 1:
        got = f"window {window}, stride {stride}, dilation {dilation} for shape {shape}"
        raise ShapeError(explain("sliding_window: one positive length per axis", got=got))
    if any((w - 1) * d + 1 > size for size, w, d in zip(sizes, lengths, gaps)):
        got = f"window {window} with dilation {dilation} on axes of length {sizes}"
        raise ShapeError(explain("sliding_window: the window is longer than the array", got=got, fix="pad first"))
    return primitives.sliding_window(x, window=lengths, stride=steps, dilation=gaps)


builtin_max, builtin_min = max, min


def _not_negative(numbers: tuple[int, ...], what: str) -> None:
    if any(n < 0 for n in numbers):
        raise ShapeError(explain(f"{what}: counts cannot be negative", got=numbers))


def _matrix(x: Value, what: str, axis1: int = -2, axis2: int = -1) -> tuple[int, int]:
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(explain(f"{what}: at least two axes", got=f"shape {shape}"))
    return shape[one_axis(axis1, len(shape), what)], shape[one_axis(axis2, len(shape), what)]
