"""The table from primitives to operators of ONNX: one operator by name, or a few of them by a function.

Source: the ONNX operator specification, opset 21.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import Primitive
from ..engine.unbroadcast import stretched
from ..errors import ArgumentError, clean, explain
from ..ops.primitives import TABLE
from ..ops.primitives.error_function import BORDER, C, D, P, Q
from ..ops.primitives.shape import inverse
from ..program.operands import (
    back_from_front,
    indexed_axes,
    is_full,
    per_axis,
    slots,
    to_front,
    triangle,
    window_positions,
)
from ..program.parts import Size, Step
from .body import Arg, Body, fixed

Writer = Callable[..., str]  # (body, step, *args, **params) -> the name of the result


def writer(primitive: Primitive) -> Writer:
    """What writes a step of this primitive.

    Raises:
        ArgumentError: ONNX has no operator for it.
    """
    name = primitive.name
    if TABLE.get(name) is primitive:
        if name in BY_NAME:
            return lambda body, step, *args, **params: body.op(BY_NAME[name], *(arg.name for arg in args))
        if name in WRITERS:
            return WRITERS[name]
    what = f"export: {clean(name)} has no counterpart among the operators of ONNX"
    raise ArgumentError(
        explain(what, fix="write it in operations that have one; docs/onnx.md lists those that have none")
    )


BY_NAME = {
    "abs": "Abs", "arccos": "Acos", "arccosh": "Acosh", "arcsin": "Asin", "arcsinh": "Asinh", "arctan": "Atan",
    "arctanh": "Atanh", "ceil": "Ceil", "checked_range": "Identity", "cos": "Cos", "cosh": "Cosh", "divide": "Div",
    "equal": "Equal", "exp": "Exp", "floor": "Floor", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "identity": "Identity", "isinf": "IsInf", "isnan": "IsNaN", "less": "Less",
    "less_equal": "LessOrEqual", "log": "Log", "logical_and": "And", "logical_not": "Not", "logical_or": "Or",
    "logical_xor": "Xor", "matmul": "MatMul", "negative": "Neg", "power": "Pow", "reciprocal": "Reciprocal",
    "relu": "Relu", "rint": "Round", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "sqrt": "Sqrt", "stop_gradient": "Identity", "subtract": "Sub", "tan": "Tan",
    "tanh": "Tanh", "where": "Where",
}  # fmt: skip


def _of_booleans(kind: str, on_booleans: str) -> Writer:
    """An operator that booleans have another one for."""

    def write(body: Body, step: Step, x: Arg, y: Arg) -> str:
        return body.op(on_booleans if x.dtype == "bool" else kind, x.name, y.name)

    return write


# -- elementwise ----------------------------------------------------------------------------------------------------------


def _clip(body: Body, step: Step, x: Arg, low: Arg, high: Arg) -> str:
    return body.op("Min", body.op("Max", x.name, low.name), high.name)


def _power_constant(body: Body, step: Step, x: Arg, exponent: float) -> str:
    return body.op("Pow", x.name, body.array(exponent, x.dtype))


def _times(factor: float) -> Writer:
    """A logarithm to another base."""
    return lambda body, step, x: body.op("Mul", body.op("Log", x.name), body.array(factor, x.dtype))


def _isfinite(body: Body, step: Step, x: Arg) -> str:
    return body.op("Not", body.op("Or", body.op("IsInf", x.name), body.op("IsNaN", x.name)))


def _trunc(body: Body, step: Step, x: Arg) -> str:
    negative = body.op("Less", x.name, body.array(0, x.dtype))
    return body.op("Where", negative, body.op("Ceil", x.name), body.op("Floor", x.name))


def _remainder(body: Body, step: Step, x: Arg, y: Arg) -> str:
    """With the sign of y, as Python has it; of floats ONNX has the one with the sign of x."""
    if np.dtype(x.dtype).kind != "f":
        return body.op("Mod", x.name, y.name)
    rest, zero = body.op("Mod", x.name, y.name, fmod=1), body.array(0, x.dtype)
    signs = body.op("Mul", body.op("Sign", rest), body.op("Sign", y.name))
    return body.op("Where", body.op("Less", signs, zero), body.op("Add", rest, y.name), rest)


def _floor_divide(body: Body, step: Step, x: Arg, y: Arg) -> str:
    rest = body.op("Sub", x.name, _remainder(body, step, x, y))
    quotient = body.op("Div", rest, y.name)
    if np.dtype(x.dtype).kind != "f":
        return quotient
    by_zero = body.op("Equal", y.name, body.array(0, x.dtype))
    return body.op("Where", by_zero, body.op("Div", x.name, y.name), body.op("Round", quotient))


def _log1p(body: Body, step: Step, x: Arg) -> str:
    """log(u) * x / (u - 1) for u = 1 + x, whose rounding errors cancel.  Source: HP-15C Advanced Functions Handbook, 1982."""
    one = body.array(1, x.dtype)
    u = body.op("Add", x.name, one)
    near = body.op("Mul", body.op("Log", u), body.op("Div", x.name, body.op("Sub", u, one)))
    same = body.op("Or", body.op("Equal", u, one), body.op("IsInf", u, detect_negative=0))
    return body.op("Where", same, x.name, near)


def _expm1(body: Body, step: Step, x: Arg) -> str:
    """(u - 1) * x / log(u) for u = exp(x), as ``_log1p``."""
    one = body.array(1, x.dtype)
    u = body.op("Exp", x.name)
    less = body.op("Sub", u, one)
    near = body.op("Mul", less, body.op("Div", x.name, body.op("Log", u)))
    far = body.op("Greater", body.op("Abs", x.name), one)
    return body.op("Where", far, less, body.op("Where", body.op("Equal", u, one), x.name, near))


def _logaddexp(body: Body, step: Step, x: Arg, y: Arg) -> str:
    larger = body.op("Max", x.name, y.name)
    apart = body.op("Sub", body.op("Min", x.name, y.name), larger)
    same = body.op("Equal", x.name, y.name)  # also where both are infinite
    apart = body.op("Where", same, body.array(0, x.dtype), apart)
    small = body.op("Exp", apart)
    return body.op("Add", larger, _log1p(body, step, Arg(small, x.dtype, step.shape)))


def _hypot(body: Body, step: Step, x: Arg, y: Arg) -> str:
    """larger * sqrt(1 + (smaller / larger)²), which does not overflow."""
    a, b = body.op("Abs", x.name), body.op("Abs", y.name)
    larger, smaller = body.op("Max", a, b), body.op("Min", a, b)
    ratio = body.op("Div", smaller, larger)
    root = body.op("Sqrt", body.op("Add", body.op("Mul", ratio, ratio), body.array(1, x.dtype)))
    alone = body.op("Or", body.op("Equal", larger, body.array(0, x.dtype)), body.op("IsInf", larger))
    return body.op("Where", alone, larger, body.op("Mul", larger, root))


def _softplus(body: Body, step: Step, x: Arg) -> str:
    """In float64 by its formula, since onnxruntime has Softplus in float32 only."""
    if x.dtype != "float64":
        return body.op("Softplus", x.name)
    small = body.op("Exp", body.op("Neg", body.op("Abs", x.name)))
    return body.op("Add", body.op("Max", x.name, body.array(0, x.dtype)), _log1p(body, step, x._replace(name=small)))


def _erf(body: Body, step: Step, x: Arg) -> str:
    """In float64 by the formula of ``ops.primitives.error_function``: of runtimes one has none there, another 8 digits."""
    if x.dtype != "float64":
        return body.op("Erf", x.name)

    def op(kind: str, *inputs: str | float) -> str:
        return body.op(kind, *(i if isinstance(i, str) else body.array(i, "float64") for i in inputs))

    def polynomial(coefficients: tuple[float, ...], of: str) -> str:
        total: str | float = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            total = op("Add", op("Mul", total, of), coefficient)
        return str(total)

    t = op("Min", op("Abs", x.name), 6.0)
    s = op("Mul", t, t)
    near = op("Add", t, op("Mul", t, op("Div", polynomial(P, s), polynomial(Q, s))))
    rest = op("Mul", op("Exp", op("Neg", s)), op("Div", polynomial(C, t), polynomial(D, t)))
    return op("Mul", op("Sign", x.name), op("Where", op("Less", t, BORDER), near, op("Sub", 1.0, rest)))


def _astype(body: Body, step: Step, x: Arg, dtype: str) -> str:
    return body.op("Cast", x.name, to=body.type_of(np.dtype(dtype).name))


# -- reductions -----------------------------------------------------------------------------------------------------------


def _reduced(kind: str) -> Writer:
    def write(body: Body, step: Step, x: Arg, axis: tuple[int, ...], keepdims: bool) -> str:
        if not axis:
            return body.op("Identity", x.name)
        return body.op(kind, x.name, body.ints(axis), keepdims=int(keepdims))

    return write


def _whether(kind: str) -> Writer:
    """Of booleans by way of whole numbers, which all runtimes reduce."""

    def write(body: Body, step: Step, x: Arg, axis: tuple[int, ...], keepdims: bool) -> str:
        reduced = _reduced(kind)(body, step, body.cast(x, "int32"), axis, keepdims)
        return body.op("Cast", reduced, to=body.type_of("bool"))

    return write


def _sum_to(body: Body, step: Step, x: Arg, shape: tuple[Any, ...]) -> str:
    axes = stretched(tuple(shape), x.shape)
    if not axes:
        return body.op("Identity", x.name)
    lead = tuple(range(len(x.shape) - len(shape)))
    total = body.op("ReduceSum", x.name, body.ints(axes), keepdims=0 if axes == lead else 1)
    return total if axes == lead or not lead else body.op("Squeeze", total, body.ints(lead))


def _cumsum(body: Body, step: Step, x: Arg, axis: int, reverse: bool) -> str:
    return body.op("CumSum", x.name, body.array(axis, "int64"), reverse=int(reverse))


def _position(kind: str) -> Writer:
    def write(body: Body, step: Step, x: Arg, axis: int, keepdims: bool = False) -> str:
        x = body.cast(x, "int32") if x.dtype == "bool" else x
        return body.op(kind, x.name, axis=axis, keepdims=int(keepdims))

    return write


def _argsort(body: Body, step: Step, x: Arg, axis: int, kind: str | None) -> str:
    values, found = body.name("values"), body.name("positions")
    many = body.ints([x.shape[axis]])
    body.nodes.append(
        body.onnx.helper.make_node("TopK", [x.name, many], [values, found], axis=axis, largest=0, sorted=1)
    )
    return found


# -- shapes ---------------------------------------------------------------------------------------------------------------


def _broadcast_to(body: Body, step: Step, x: Arg, shape: tuple[Any, ...]) -> str:
    """Expand takes 1 where the axis is as long as it should be."""
    lead = len(shape) - len(x.shape)
    known = [1 if i >= lead and x.shape[i - lead] == n else n for i, n in enumerate(shape)]
    return body.op("Expand", x.name, body.ints(known))


def _concatenate(body: Body, step: Step, *arrays: Arg, axis: int) -> str:
    return body.op("Concat", *(array.name for array in arrays), axis=axis)


def _triangle(upper: int) -> Writer:
    def write(body: Body, step: Step, x: Arg, k: int) -> str:
        return body.op("Trilu", x.name, body.array(k, "int64"), upper=upper)

    return write


def _einsum(body: Body, step: Step, *arrays: Arg, inputs: tuple[str, ...], output: str) -> str:
    return body.op("Einsum", *(array.name for array in arrays), equation=f"{','.join(inputs)}->{output}")


# -- elements -------------------------------------------------------------------------------------------------------------

END = 2**62


def _take_slice(body: Body, step: Step, x: Arg, index: tuple[Any, ...]) -> str:
    parts, new = per_axis(index, len(x.shape))
    cut = [(axis, part) for axis, part in enumerate(parts) if isinstance(part, slice) and not is_full(part)]
    name = x.name
    if cut:
        steps = [1 if part.step is None else part.step for _, part in cut]
        starts = [(END if s < 0 else 0) if part.start is None else part.start for (_, part), s in zip(cut, steps)]
        stops = [(-END if s < 0 else END) if part.stop is None else part.stop for (_, part), s in zip(cut, steps)]
        axes = [axis for axis, _ in cut]
        name = body.op("Slice", name, body.ints(starts), body.ints(stops), body.ints(axes), body.ints(steps))
    for axis in reversed(range(len(parts))):
        if not isinstance(parts[axis], slice):
            place = parts[axis]
            where = body.op("Squeeze", body.ints([place])) if isinstance(place, Size) else body.array(place, "int64")
            name = body.op("Gather", name, where, axis=axis)
    if new:
        name = body.op("Unsqueeze", name, body.ints(new))
    return body.op("Identity", name) if name == x.name else name


def _put_slice(body: Body, step: Step, x: Arg, index: tuple[Any, ...], shape: tuple[Any, ...]) -> str:
    """Zeros around: one Pad, and for axes with steps a Gather from what has one zero more."""
    parts, new = per_axis(index, len(shape))
    name = x.name
    if new or len(x.shape) < len(shape):
        name = body.reshape(name, [_length(part, n) for part, n in zip(parts, shape)])
    before, after = [0] * len(shape), [0] * len(shape)
    spread: list[tuple[int, slice, int]] = []
    for axis, (part, n) in enumerate(zip(parts, shape)):
        if not isinstance(part, slice):
            part = slice(part, part + 1 if part != -1 else None)
        if is_full(part):
            continue
        if isinstance(n, Size):
            before[axis], after[axis] = _around(part, n)
        elif part.step in (None, 1):
            start, stop, _ = part.indices(n)
            before[axis], after[axis] = start, n - max(start, stop)
        else:
            spread.append((axis, part, n))
    if any(before) or any(after):
        name = body.op("Pad", name, body.ints(before + after), body.array(0, x.dtype))
    sizes = [_length(part, n) for part, n in zip(parts, shape)]
    for axis, part, n in spread:
        name = body.placed(Arg(name, x.dtype, tuple(sizes)), slots(part, n, len(range(n)[part])), axis)
    return body.op("Identity", name) if name == x.name else name


def _length(part: Any, size: Any) -> Any:
    if not isinstance(part, slice):
        return 1
    if is_full(part):
        return size
    if isinstance(size, Size):
        before, after = _around(part, size)
        return _less(_less(size, before), after)
    return len(range(size)[part])


def _around(part: slice, size: Size) -> tuple[Any, Any]:
    """How much stands before and after a slice of an axis whose length depends on N."""
    start = 0 if part.start is None else part.start
    stop = size if part.stop is None else part.stop
    if part.step not in (None, 1):
        fixed([size], "a slice with steps")
    start, stop = (_less(size, -n) if isinstance(n, int) and n < 0 else n for n in (start, stop))
    return start, _less(size, stop)


def _less(size: Any, other: Any) -> Any:
    """The difference of two sizes."""
    a, b = (n if isinstance(n, Size) else Size(0, n) for n in (size, other))
    found = Size(a.scale - b.scale, a.offset - b.offset)
    return found if found.scale else found.offset


def _axes_of(pattern: tuple[Any, ...], ndim: int) -> tuple[list[int], bool]:
    found = indexed_axes(pattern, ndim)
    if found is None:
        fix = "index by arrays and by slices one after the other"
        raise ArgumentError(explain("export: an index of arrays mixed with slices or numbers", got=pattern, fix=fix))
    return found


def _stacked(body: Body, arrays: tuple[Arg, ...]) -> tuple[str, int]:
    """Positions in several axes, side by side along a last axis; and how many axes they have without it."""
    ndim = max(len(array.shape) for array in arrays)
    shapes = [(1,) * (ndim - len(array.shape)) + array.shape for array in arrays]
    wide = [max(ns, key=lambda n: (n != 1, isinstance(n, Size))) for ns in zip(*shapes)]
    names = [
        array.name if list(array.shape) == wide else _broadcast_to(body, None, array, tuple(wide))  # type: ignore[arg-type]
        for array in arrays
    ]
    last = body.array([-1], "int64")
    found = [body.op("Unsqueeze", name, last) for name in names]
    return (found[0] if len(found) == 1 else body.op("Concat", *found, axis=-1)), ndim


def _gather(body: Body, step: Step, x: Arg, *arrays: Arg, pattern: tuple[Any, ...]) -> str:
    axes, in_place = _axes_of(pattern, len(x.shape))
    if len(axes) == 1:
        return body.op("Gather", x.name, arrays[0].name, axis=axes[0])
    rows = body.transpose(x.name, to_front(axes, len(x.shape)))
    places, ndim = _stacked(body, arrays)
    found = body.op("GatherND", rows, places)
    return body.transpose(found, back_from_front(axes[0], ndim, len(x.shape) - len(axes))) if in_place else found


def _scatter_add(body: Body, step: Step, x: Arg, *arrays: Arg, pattern: tuple[Any, ...], shape: tuple[Any, ...]) -> str:
    axes, in_place = _axes_of(pattern, len(shape))
    order = to_front(axes, len(shape))
    places, ndim = _stacked(body, arrays)
    rows = x.name
    if in_place:
        rows = body.transpose(rows, inverse(back_from_front(axes[0], ndim, len(shape) - len(axes))))
    total = _added(body, [shape[a] for a in order], x.dtype, places, rows)
    return body.transpose(total, inverse(order))


def _added(body: Body, shape: list[Any], dtype: str, places: str, rows: str) -> str:
    return body.op("ScatterND", body.zeros(shape, dtype), places, rows, reduction="add")


def _along(body: Body, arg: Arg, shape: tuple[Any, ...]) -> str:
    return arg.name if arg.shape == shape else _broadcast_to(body, None, arg, shape)  # type: ignore[arg-type]


def _common(x: Arg, positions: Arg, axis: int) -> list[Any]:
    """The shape beside an axis that both have."""
    pairs = [(1, 1) if i == axis else pair for i, pair in enumerate(zip(x.shape, positions.shape))]
    return [b if a == 1 else a for a, b in pairs]


def _take_along_axis(body: Body, step: Step, x: Arg, positions: Arg, axis: int) -> str:
    common = _common(x, positions, axis)
    data = _along(body, x, (*common[:axis], x.shape[axis], *common[axis + 1 :]))
    where = _along(body, positions, (*common[:axis], positions.shape[axis], *common[axis + 1 :]))
    return body.op("GatherElements", data, where, axis=axis)


def _add_along_axis(body: Body, step: Step, x: Arg, positions: Arg, axis: int, shape: tuple[Any, ...]) -> str:
    wide = (*shape[:axis], positions.shape[axis], *shape[axis + 1 :])
    zeros = body.zeros(shape, x.dtype)
    where, rows = _along(body, positions, wide), _along(body, x, wide)
    return body.op("ScatterElements", zeros, where, rows, axis=axis, reduction="add")


def _take_diagonal(body: Body, step: Step, x: Arg, offset: int) -> str:
    n, m = fixed(x.shape[-2:], "a diagonal")
    flat = body.reshape(x.name, [*x.shape[:-2], n * m])
    return body.op("Gather", flat, body.array(triangle(n, m, offset), "int64"), axis=len(x.shape) - 2)


def _put_diagonal(body: Body, step: Step, x: Arg, offset: int, shape: tuple[Any, ...]) -> str:
    n, m = fixed(shape[-2:], "a diagonal")
    (given,) = fixed(x.shape[-1:], "a diagonal")
    places = np.full(n * m, given)
    places[triangle(n, m, offset)[:given]] = np.arange(given)
    return body.reshape(body.placed(x, places, len(x.shape) - 1), shape)


# -- windows --------------------------------------------------------------------------------------------------------------


def _sliding_window(body: Body, step: Step, x: Arg, window: Any, stride: Any, dilation: Any) -> str:
    """Each axis becomes two: which window, and where in it."""
    n = len(window)
    lead = len(x.shape) - n
    sizes, name = fixed(x.shape[lead:], "windows"), x.name
    for i in reversed(range(n)):
        places = window_positions(sizes[i], window[i], stride[i], dilation[i])
        name = body.op("Gather", name, body.array(places, "int64"), axis=lead + i)
    return body.transpose(name, (*range(lead), *range(lead, lead + 2 * n, 2), *range(lead + 1, lead + 2 * n, 2)))


def _overlap_add(body: Body, step: Step, x: Arg, window: Any, stride: Any, dilation: Any, shape: Any) -> str:
    n = len(window)
    lead = len(shape) - n
    sizes = fixed(shape[lead:], "windows")
    grids = [window_positions(*rest) for rest in zip(sizes, window, stride, dilation)]
    flat: Any = np.zeros((), int)
    for i, grid in enumerate(grids):
        wide = [1] * (2 * n)
        wide[i], wide[n + i] = grid.shape
        flat = flat * sizes[i] + grid.reshape(wide)
    rows = body.transpose(x.name, (*range(lead, lead + 2 * n), *range(lead)))
    places = body.array(flat[..., None], "int64")
    total = _added(body, [math.prod(sizes), *shape[:lead]], x.dtype, places, rows)
    return body.reshape(body.transpose(total, (*range(1, lead + 1), 0)), shape)


# -- draws and checks -------------------------------------------------------------------------------------------------------


def _uniform_like(body: Body, step: Step, x: Arg) -> str:
    return body.op("RandomUniformLike", x.name, dtype=body.type_of("float64"))


def _checked_index(body: Body, step: Step, x: Arg, count: int, ignore_index: int | None, some: bool, what: str) -> str:
    """0 for what is to be ignored; a negative one is moved to where every runtime finds that it is outside."""
    zero = body.array(0, x.dtype)
    name = body.op("Where", body.op("Less", x.name, zero), body.array(count, x.dtype), x.name)
    if ignore_index is not None:
        name = body.op("Where", body.op("Equal", x.name, body.array(ignore_index, x.dtype)), zero, name)
    return name


WRITERS: dict[str, Writer] = {
    "add": _of_booleans("Add", "Or"),
    "add_along_axis": _add_along_axis,
    "all": _whether("ReduceMin"),
    "any": _whether("ReduceMax"),
    "argmax": _position("ArgMax"),
    "argmin": _position("ArgMin"),
    "argsort": _argsort,
    "astype": _astype,
    "broadcast_to": _broadcast_to,
    "checked_index": _checked_index,
    "clip": _clip,
    "concatenate": _concatenate,
    "cumsum": _cumsum,
    "einsum": _einsum,
    "erf": _erf,
    "expm1": _expm1,
    "floor_divide": _floor_divide,
    "gather": _gather,
    "hypot": _hypot,
    "isfinite": _isfinite,
    "log10": _times(1.0 / math.log(10.0)),
    "log1p": _log1p,
    "log2": _times(1.0 / math.log(2.0)),
    "logaddexp": _logaddexp,
    "max": _reduced("ReduceMax"),
    "maximum": _of_booleans("Max", "Or"),
    "mean": _reduced("ReduceMean"),
    "min": _reduced("ReduceMin"),
    "minimum": _of_booleans("Min", "And"),
    "multiply": _of_booleans("Mul", "And"),
    "not_equal": lambda body, step, x, y: body.op("Not", body.op("Equal", x.name, y.name)),
    "overlap_add": _overlap_add,
    "power_constant": _power_constant,
    "put_diagonal": _put_diagonal,
    "put_slice": _put_slice,
    "remainder": _remainder,
    "reshape": lambda body, step, x, shape: body.reshape(x.name, shape),
    "scatter_add": _scatter_add,
    "sliding_window": _sliding_window,
    "softplus": _softplus,
    "square": lambda body, step, x: body.op("Mul", x.name, x.name),
    "sum": _reduced("ReduceSum"),
    "sum_to": _sum_to,
    "take_along_axis": _take_along_axis,
    "take_diagonal": _take_diagonal,
    "take_slice": _take_slice,
    "transpose": lambda body, step, x, axes: body.op("Transpose", x.name, perm=list(axes)),
    "tril": _triangle(0),
    "triu": _triangle(1),
    "trunc": _trunc,
    "uniform_like": _uniform_like,
}
