"""One step as lines of NumPy that write into a given array, and give the same bits as the primitive itself.

Each line is a call of a function in C that runs no Python, so many of them in one call cannot be interrupted in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from ..engine.unbroadcast import ones, stretched, sums_by_blas
from ..kinds import Array, DType
from ..program import Step
from ..program.shapes import without_leading_ones

NOTHING_DONE = {"identity", "stop_gradient"}
VIEWS = {"reshape", "transpose", "broadcast_to", "take_slice", "sliding_window", "take_diagonal"} | NOTHING_DONE
ROUNDED = {np.add, np.subtract, np.multiply, np.divide, np.negative, np.square, np.sqrt, np.maximum, np.minimum, np.abs}
SET = np.ndarray.__setitem__
DOT = np.ndarray.dot
BITS = {"f": np.int32, "d": np.int64}
Name = Callable[[Any], str]  # of an object that the lines use


class Writing(NamedTuple):
    """What lines are written for.

    Attributes:
        args: the names of the arguments.
        values: arguments like these, for their dtypes and layouts.
        params: of the step.
        out: the name of the array to write to.
        result: an array like it.
        name: gives a name to a function or array that the lines use.
    """

    args: Sequence[str]
    values: Sequence[Any]
    params: Mapping[str, Any]
    out: str
    result: Array
    name: Name

    def call(self, function: Any, *given: object) -> str:
        """The line that calls a function."""
        return f"{self.name(function)}({', '.join(map(str, given))})"

    def number(self, value: float) -> str:
        """A number beside an argument: an array of one, with which NumPy begins sooner, where no bit can differ."""
        alike = (
            self.values
            and getattr(self.values[0], "dtype", None) == self.result.dtype
            and self.result.dtype.char in BITS
        )
        return self.name(_number(value, self.result.dtype)) if alike else repr(value)


def lines(
    step: Step, args: Sequence[str], values: Sequence[Any], out: str, result: Array, name: Name
) -> list[str] | None:
    """The lines for a step, or ``None`` where there is no way to write into ``out``; see ``Writing``."""
    forward, writing = step.primitive.forward, Writing(args, values, step.params, out, result, name)
    if isinstance(forward, np.ufunc) and step.primitive.elementwise:
        return _elementwise(forward, writing) if not step.params else None
    if step.primitive.name in CALLS:
        calls = CALLS[step.primitive.name]
        numbers = {"zero": writing.number(0.0), "one": writing.number(1.0)}
        given = numbers | dict(step.params, out=out)
        return [writing.call(function, text.format(*args, **given)) for function, text in calls]
    writer = WRITERS.get(step.primitive.name)
    return writer(writing) if writer is not None else None


@lru_cache(maxsize=64)
def _number(value: float, dtype: DType) -> Array:
    return np.array(value, dtype)


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


def _elementwise(function: np.ufunc, w: Writing) -> list[str]:
    """Where some have axes of length 1 in front and others have not, NumPy begins sooner without them."""
    names, arrays = [*w.args, w.out], [*w.values, w.result]
    if len({np.ndim(array) for array in arrays} - {0}) > 1:
        needed = len(without_leading_ones(w.result.shape))
        names = [
            f"{x}[{'0, ' * (n - needed)}...]" if (n := np.ndim(array)) > needed else x
            for x, array in zip(names, arrays)
        ]
    if function in (np.maximum, np.minimum):
        names[-1] = f"out={names[-1]}"  # NumPy wants the word for these two
    return [w.call(function, *names)]


def _matmul(w: Writing) -> list[str]:
    """``dot`` does the same as ``matmul`` with two matrices, and begins sooner."""
    alike = w.result.dtype.char in BITS and all(x.dtype == w.result.dtype for x in w.values)
    plain = alike and all(x.ndim == 2 and 1 not in x.shape and x.flags.forc for x in w.values)
    return [w.call(DOT if plain and w.result.flags.c_contiguous else np.matmul, *w.args, w.out)]


def _power(w: Writing) -> list[str] | None:
    fast = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}.get(w.params["exponent"])
    return [w.call(fast, w.args[0], w.out)] if fast is not None and w.result.dtype.kind == "f" else None


def _where(w: Writing) -> list[str] | None:
    condition, x, y = w.args
    of_condition, of_x = (getattr(value, "dtype", None) for value in w.values[:2])
    if of_condition != np.bool_ or np.bool_ in (w.result.dtype, of_x):
        return None
    if y == "0.0" and of_x == w.result.dtype and w.result.dtype.char in BITS:
        view = f"view({w.name(BITS[w.result.dtype.char])})"  # as the primitive does it: zeros are bits times 0
        return [w.call(np.multiply, f"{x}.{view}", condition, f"{w.out}.{view}")]
    return [*copying(y, w.out, w.name), w.call(np.positive, x, w.out, f"where={condition}")]


def _sum(w: Writing) -> list[str] | None:
    return _sum_over(w, w.params["axis"], w.params["keepdims"])


def _sum_over(w: Writing, axes: Sequence[int], keepdims: bool) -> list[str] | None:
    (x,) = w.values
    if sums_by_blas(x, tuple(axes)):
        row = ones((1, x.shape[-2]) if keepdims else (x.shape[-2],), x.dtype)
        plain = x.ndim == 2 and w.result.flags.c_contiguous  # then ``dot`` begins sooner
        return [w.call(DOT if plain else np.matmul, w.name(row), w.args[0], w.out)]
    return None if x.dtype == np.float16 else [w.call(np.add.reduce, w.args[0], axes, None, w.out, keepdims)]


def _sum_to(w: Writing) -> list[str] | None:
    shape, x = w.params["shape"], w.values[0]
    axes = stretched(shape, x.shape)
    keepdims = len(shape) == x.ndim
    if not axes or (tuple(n for i, n in enumerate(x.shape) if i not in axes) != shape and not keepdims):
        return None
    return _sum_over(w, axes, keepdims)


def _mean(w: Writing) -> list[str] | None:
    (x,) = w.values
    total = _sum(w) if x.dtype.kind == "f" else None
    n = float(math.prod(x.shape[i] for i in w.params["axis"]))
    return None if total is None else [*total, w.call(np.divide, w.out, n, w.out)]


def _put_slice(w: Writing) -> list[str]:
    return [*copying("0", w.out, w.name), w.call(SET, w.out, w.name(w.params["index"]), w.args[0])]


def _triangle(side: Callable[..., Array], w: Writing) -> list[str]:
    kept = side(np.ones(w.result.shape[-2:], bool), w.params["k"])
    return [*copying("0", w.out, w.name), w.call(np.positive, w.args[0], w.out, f"where={w.name(kept)}")]


# Calls, with the arguments by number and parameters by name; what needs a closer look has a function.
COPY = [(SET, "{out}, ..., {0}")]
CALLS: dict[str, list[tuple[Any, str]]] = {
    "sigmoid": [
        (np.subtract, "{zero}, {0}, {out}"),
        (np.exp, "{out}, {out}"),
        (np.add, "{out}, {one}, {out}"),
        (np.divide, "{one}, {out}, {out}"),
    ],
    "relu": [(np.maximum, "{0}, {zero}, out={out}")],
    "astype": COPY,
    "broadcast_to": COPY,
    "max": [(np.maximum.reduce, "{0}, {axis}, None, {out}, {keepdims}")],
    "min": [(np.minimum.reduce, "{0}, {axis}, None, {out}, {keepdims}")],
}
WRITERS: dict[str, Callable[[Writing], list[str] | None]] = {
    "power_constant": _power,
    "where": _where,
    "matmul": _matmul,
    "sum": _sum,
    "sum_to": _sum_to,
    "mean": _mean,
    "put_slice": _put_slice,
    "tril": partial(_triangle, np.tril),
    "triu": partial(_triangle, np.triu),
}
