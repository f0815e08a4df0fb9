"""One step as lines of NumPy that write into a given array, and give the same bits as the primitive itself.

Each line is a call of a function in C that runs no Python, so many of them in one call cannot be interrupted in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.unbroadcast import ones, stretched, sums_by_blas
from ..kinds import Array, Params
from ..program import Step

VIEWS = {
    "reshape",
    "transpose",
    "broadcast_to",
    "take_slice",
    "sliding_window",
    "take_diagonal",
    "identity",
    "stop_gradient",
}
ROUNDED = {np.add, np.subtract, np.multiply, np.divide, np.negative, np.square, np.sqrt, np.maximum, np.minimum, np.abs}
SET = np.ndarray.__setitem__
BITS = {4: np.int32, 8: np.int64}
Name = Callable[[Any], str]  # of an object that the lines use


def lines(
    step: Step, args: Sequence[str], values: Sequence[Any], out: str, result: Array, name: Name
) -> list[str] | None:
    """The lines for a step, or ``None`` where there is no way to write into ``out``.

    Args:
        step: the operation.
        args: the names of its arguments.
        values: arguments like these, for their dtypes and layouts.
        out: the name of the array to write to.
        result: an array like it.
        name: gives a name to a function or array that the lines use.
    """
    forward, params = step.primitive.forward, step.params
    if isinstance(forward, np.ufunc) or step.primitive.name == "matmul":
        given = f"out={out}" if forward in (np.maximum, np.minimum) else out  # NumPy wants the word for these two
        return [f"{name(forward)}({', '.join((*args, given))})"] if not params else None
    writer = WRITERS.get(step.primitive.name)
    return writer(args, values, out, result, params, name) if writer is not None else None


def copying(x: str, out: str, name: Name) -> list[str]:
    """The line that copies, whatever the dtypes."""
    return [f"{name(SET)}({out}, ..., {x})"]


def has_no_gaps(array: Any) -> bool:
    """Whether the elements fill their memory, in some order of the axes."""
    step = array.itemsize
    for stride, n in sorted(zip(array.strides, array.shape)):
        if n != 1 and stride != step:
            return False
        step *= n
    return bool(array.size > 0)


def in_place(step: Step) -> bool:
    """Whether ``out`` may be the array of an argument that is laid out alike, and no bit differs.

    NumPy 1 computes exp and its kin in another way where they write over what they read.
    """
    return step.primitive.forward in ROUNDED or step.primitive.name == "relu"


def _sigmoid(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str]:
    return [
        f"{name(np.subtract)}(0.0, {args[0]}, {out})",
        f"{name(np.exp)}({out}, {out})",
        f"{name(np.add)}({out}, 1.0, {out})",
        f"{name(np.divide)}(1.0, {out}, {out})",
    ]


def _relu(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str]:
    return [f"{name(np.maximum)}({args[0]}, 0.0, out={out})"]


def _power(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str] | None:
    fast = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}.get(params["exponent"])
    return [f"{name(fast)}({args[0]}, {out})"] if fast is not None and result.dtype.kind == "f" else None


def _astype(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str]:
    return copying(args[0], out, name)


def _where(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str] | None:
    condition, x, y = args
    if getattr(values[0], "dtype", None) != np.bool_:
        return None
    bits = BITS.get(result.itemsize) if result.dtype.kind == "f" else None
    if y == "0.0" and bits is not None and getattr(values[1], "dtype", None) == result.dtype:
        view = f"view({name(bits)})"  # as the primitive does it: zeros are bits times 0
        return [f"{name(np.multiply)}({x}.{view}, {condition}, {out}.{view})"]
    if result.dtype == np.bool_:
        return None
    return [*copying(y, out, name), f"{name(np.positive)}({x}, {out}, where={condition})"]


def _sum(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str] | None:
    (x,), axis = values, params["axis"]
    if sums_by_blas(x, axis):
        row = ones((1, x.shape[-2]) if params["keepdims"] else (x.shape[-2],), x.dtype)
        return [f"{name(np.matmul)}({name(row)}, {args[0]}, {out})"]
    if x.dtype == np.float16:
        return None
    return [f"{name(np.add.reduce)}({args[0]}, {axis}, None, {out}, {params['keepdims']})"]


def _sum_to(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str] | None:
    shape, x = params["shape"], values[0]
    axes = stretched(shape, x.shape)
    keepdims = len(shape) == x.ndim
    if not axes or (tuple(n for i, n in enumerate(x.shape) if i not in axes) != shape and not keepdims):
        return None
    return _sum(args, values, out, result, {"axis": axes, "keepdims": keepdims}, name)


def _mean(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str] | None:
    (x,) = values
    if x.dtype.kind != "f":
        return None
    total = _sum(args, values, out, result, params, name)
    n = float(np.prod([x.shape[i] for i in params["axis"]]))
    return None if total is None else [*total, f"{name(np.divide)}({out}, {n!r}, {out})"]


def _extremum(ufunc: Any) -> Callable[..., list[str]]:
    def extremum(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str]:
        return [f"{name(ufunc.reduce)}({args[0]}, {params['axis']}, None, {out}, {params['keepdims']})"]

    return extremum


def _broadcast_to(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str]:
    return copying(args[0], out, name)


def _put_slice(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str]:
    return [*copying("0", out, name), f"{name(SET)}({out}, {name(params['index'])}, {args[0]})"]


def _tri(side: Callable[..., Array]) -> Callable[..., list[str]]:
    def triangle(args: Sequence[str], values: Any, out: str, result: Array, params: Params, name: Name) -> list[str]:
        kept = side(np.ones(result.shape[-2:], bool), params["k"])
        return [*copying("0", out, name), f"{name(np.positive)}({args[0]}, {out}, where={name(kept)})"]

    return triangle


WRITERS: dict[str, Callable[..., list[str] | None]] = {
    "sigmoid": _sigmoid,
    "relu": _relu,
    "power_constant": _power,
    "astype": _astype,
    "where": _where,
    "sum": _sum,
    "sum_to": _sum_to,
    "mean": _mean,
    "max": _extremum(np.maximum),
    "min": _extremum(np.minimum),
    "broadcast_to": _broadcast_to,
    "put_slice": _put_slice,
    "tril": _tri(np.tril),
    "triu": _tri(np.triu),
}
