"""Running a program on the arrays of another library, by the array API standard: torch, jax, cupy, array_api_strict ...

A forward that is one of NumPy's elementwise functions is the other library's function of the same name; the rest is
translated here, one function an operation.  What has no translation is refused by name before anything runs.

Source: the Python array API standard, version 2024.12.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import Primitive
from ..engine.unbroadcast import stretched
from ..errors import DTypeError, RecordingError, clean, explain, missing_package
from ..kinds import Array, Plain, Raw, Shape
from ..ops.primitives import TABLE
from ..ops.primitives.check import checked_index, checked_range
from ..ops.primitives.error_function import BORDER, C, D, P, Q
from ..ops.primitives.shape import inverse
from ..random import generator
from .operands import (
    back_from_front,
    indexed_axes,
    is_full,
    operand_dtypes,
    per_axis,
    slots,
    to_front,
    triangle,
    window_positions,
)
from .parts import NUMBER, Constant, State, resolved

if TYPE_CHECKING:
    from .model import Program

Foreign = Any  # an array of the other library
Translation = Callable[..., Foreign]


class Backend:
    """A namespace of arrays, and the device to put them on.

    Args:
        namespace: a module such as ``torch`` or ``jax.numpy``; array-api-compat stands before those that are not quite
            what the standard says.
        like: an array whose device is taken.
    """

    def __init__(self, namespace: Any, like: Foreign = None) -> None:
        try:
            import array_api_compat
        except ImportError:
            raise missing_package("program.run(..., xp=...)", "array-api-compat", "'tinygrad-bn[arrays]'") from None
        try:
            self.xp: Any = array_api_compat.array_namespace(namespace.asarray(0.0))
        except (AttributeError, TypeError):
            expected = "a namespace of the array API standard: torch, jax.numpy, cupy, array_api_strict, numpy"
            got = getattr(namespace, "__name__", type(namespace).__name__)
            raise RecordingError(explain("program.run(..., xp=...)", got=got, expected=expected)) from None
        self.library = self.xp.__name__.removeprefix("array_api_compat.").partition(".")[0]
        self.device = None if like is None or is_traced(like) else array_api_compat.device(like)

    def owns(self, value: Any) -> bool:
        """Whether a value is an array of this library."""
        import array_api_compat

        return array_api_compat.is_array_api_obj(value) and array_api_compat.array_namespace(value) is self.xp

    def array(self, value: Raw, dtype: str | None = None) -> Foreign:
        """A NumPy array or a number as one of this library's.

        Raises:
            DTypeError: it has no such dtype, or makes another of it without a word.
        """
        raw = np.asarray(value, dtype)
        try:
            made = self.xp.asarray(
                raw.tolist() if raw.ndim == 0 else raw.copy(), dtype=self.dtype(raw.dtype.name), device=self.device
            )
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._no_dtype(raw.dtype.name, str(error).partition("\n")[0]) from error
        if self.name_of(made) != raw.dtype.name:
            raise self._no_dtype(raw.dtype.name, f"made {self.name_of(made)} of it")
        return made

    def dtype(self, name: str) -> Any:
        """This library's dtype of NumPy's name."""
        found = getattr(self.xp, name, None)
        if found is None:
            raise self._no_dtype(name, "has none of this name")
        return found

    def _no_dtype(self, name: str, got: str) -> DTypeError:
        fix = "jax.config.update('jax_enable_x64', True) at the start" if self.library == "jax" else None
        return DTypeError(explain(f"program.run: {self.library} has no {name} here", got=clean(got, 200), fix=fix))

    def name_of(self, value: Foreign) -> str:
        """NumPy's name for the dtype of an array."""
        return str(value.dtype).rpartition(".")[2]

    def numpy(self, value: Foreign) -> Array:
        """The numbers as a NumPy array, from whatever device."""
        if self.library == "torch":
            value = value.detach().cpu()
        return np.asarray(value.get() if self.library == "cupy" else value)

    def cast(self, value: Foreign, dtype: str) -> Foreign:
        """The same numbers in another dtype."""
        return value if self.name_of(value) == dtype else self.xp.astype(value, self.dtype(dtype), copy=False)

    def check(self, name: str, value: Any, shape: Shape, dtype: str, more: str = "") -> None:
        """Whether an array is what an input or state was recorded as.

        Raises:
            RecordingError: another library's array, another shape or dtype.
        """
        if not self.owns(value):
            got = f"{type(value).__module__}.{type(value).__qualname__}"
            fix = f"{self.library}.asarray(...) for it, or no xp= for NumPy's arrays"
            raise RecordingError(explain(f"program.run: {clean(name)} is no array of {self.library}", got=got, fix=fix))
        if tuple(value.shape) != tuple(shape) or self.name_of(value) != dtype:
            got = f"shape {tuple(value.shape)}, dtype {self.name_of(value)}"
            what = f"program.run: {clean(name)} is not what the program was recorded for"
            raise RecordingError(explain(what, got=got, expected=f"shape {tuple(shape)}, dtype {dtype}{more}"))

    def state(self, state: State, raw: Raw, kept: Mapping[str, Any] | None) -> Any:
        """The value of a state: what is kept under its name, or else what stands outside."""
        if kept is None or state.name not in kept:
            return raw if state.dtype == NUMBER else self.array(raw)
        value = kept[state.name]
        if state.dtype == NUMBER:
            return value if is_traced(value) else float(value)
        self.check(state.name, value, state.shape, state.dtype)
        return value

    def keep(self, program: Program, results: Sequence[Any], kept: MutableMapping[str, Any]) -> None:
        """Put the states into a dict: new values of what is written, and what is read, so that it stays on the device.

        Settings such as a learning rate are read anew in every run.
        """
        read = enumerate(program.states, len(program.inputs))
        kept.update({s.name: results[i] for i, s in read if i in program.reads and s.kind != "setting"})
        written = {program.states[state - len(program.inputs)].name: value for state, value in program.writes}
        kept.update({name: None if value is None else results[value] for name, value in written.items()})


def is_traced(value: Any) -> bool:
    """Whether an array has no numbers yet, because jax is compiling what is computed with it."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def foreign_values(backend: Backend, program: Program, values: Sequence[Any], n: int) -> list[Any]:
    """The value of every number of a program, given those of inputs and states; see ``run.evaluate``.

    Raises:
        RecordingError: an operation without a translation; nothing has been run then.
        DTypeError: the library has not all dtypes of the program.
    """
    run = [None if step.dtype == NUMBER else translation(step.primitive, backend.library) for step in program.steps]
    results = [*values, *(_constant(backend, constant, n) for constant in program.constants)]
    dtypes = [entry.dtype for _, entry in program.entries()]
    for step, translated in zip(program.steps, run):
        args = [results[i] for i in step.args]
        params: Any = resolved(step.params, n)
        if translated is None:
            if not any(map(is_traced, args)):
                results.append(float(step.primitive.on_floats(args, params)))
                continue
            translated = translation(step.primitive, backend.library)
        wanted = operand_dtypes(step, [dtypes[i] for i in step.args])
        given = [
            backend.array(arg, dtype) if isinstance(arg, (int, float)) else backend.cast(arg, dtype)
            for arg, dtype in zip(args, wanted)
        ]
        dtype = "float64" if step.dtype == NUMBER else step.dtype
        results.append(backend.cast(translated(backend, *given, **params), dtype))
    return results


def _constant(backend: Backend, constant: Constant, n: int) -> Any:
    value = constant.at(n)
    return value if constant.dtype == NUMBER else backend.array(value)


# -- translations -------------------------------------------------------------------------------------------------------

RENAMED = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "power": "pow", "rint": "round",
}  # fmt: skip


def translation(primitive: Primitive, library: str) -> Translation:
    """What computes a primitive on other arrays: called with the backend, the arguments and the parameters.

    Raises:
        RecordingError: nothing does.
    """
    if primitive.name in TRANSLATIONS and TABLE.get(primitive.name) is primitive:
        return TRANSLATIONS[primitive.name]
    if isinstance(primitive.forward, np.ufunc):
        name = RENAMED.get(primitive.forward.__name__, primitive.forward.__name__)
        return lambda backend, *args: getattr(backend.xp, name)(*args)
    what = f"program.run: {clean(primitive.name)} has no counterpart in {library}"
    fix = "write it in the library's operations, or run the program on NumPy's arrays"
    raise RecordingError(explain(what, fix=fix))


def _taken(b: Backend, x: Foreign, positions: Array, axis: int) -> Foreign:
    """Elements along one axis, by positions of any shape."""
    flat = b.xp.take(x, b.array(positions.ravel(), "int64"), axis=axis)
    return b.xp.reshape(flat, (*x.shape[:axis], *positions.shape, *x.shape[axis + 1 :]))


def _zeros(b: Backend, shape: Sequence[int], like: Foreign) -> Foreign:
    return b.xp.zeros(tuple(shape), dtype=like.dtype, device=b.device)


def _placed(b: Backend, x: Foreign, found: Array, axis: int) -> Foreign:
    """Elements along one axis put into zeros: for each place the number of the element, or one too many for none."""
    one = _zeros(b, [1 if i == axis else n for i, n in enumerate(x.shape)], x)
    return _taken(b, b.xp.concat([x, one], axis=axis), found, axis)


def _added(b: Backend, x: Foreign, positions: Foreign, size: int) -> Foreign:
    """Rows added up in ``size`` places, by a position for each; the standard has no function for it."""
    zeros = _zeros(b, (size, *x.shape[1:]), x)
    if b.library == "torch":
        return zeros.index_add(0, positions, x)
    if b.library == "jax":
        return zeros.at[positions].add(x)
    if b.library in ("numpy", "cupy"):
        b.xp.add.at(zeros, positions, x)
        return zeros
    places = b.array(np.arange(size))
    total = zeros
    chosen = b.xp.expand_dims(places, axis=1) == b.xp.expand_dims(positions, axis=0)  # (size, rows)
    for row in range(x.shape[0]):
        mask = b.xp.reshape(chosen[:, row], (size, *[1] * (x.ndim - 1)))
        total = total + b.xp.where(mask, x[row : row + 1, ...], b.array(0, b.name_of(x)))
    return total


def _take_slice(b: Backend, x: Foreign, index: tuple[Any, ...]) -> Foreign:
    parts, new = per_axis(index, x.ndim)
    for axis in reversed(range(x.ndim)):
        part = parts[axis]
        if not isinstance(part, slice):
            x = x[(slice(None),) * axis + (part, ...)]
        elif part.step is not None and part.step < 0:  # torch has none
            x = _taken(b, x, np.arange(x.shape[axis])[part], axis)
        elif not is_full(part):
            x = x[(slice(None),) * axis + (part, ...)]
    for axis in new:
        x = b.xp.expand_dims(x, axis=axis)
    return x


def _put_slice(b: Backend, x: Foreign, index: tuple[Any, ...], shape: Shape) -> Foreign:
    parts, new = per_axis(index, len(shape))
    parts = [part if isinstance(part, slice) else slice(part % n, part % n + 1) for part, n in zip(parts, shape)]
    lengths = [len(range(n)[part]) for part, n in zip(parts, shape)]
    if (not new and len(x.shape) < len(shape)) or new:
        x = b.xp.reshape(x, tuple(lengths))
    for axis, (part, size, given) in enumerate(zip(parts, shape, lengths)):
        if not is_full(part):
            x = _placed(b, x, slots(part, size, given), axis)
    return x


def _gathered_axes(pattern: tuple[Any, ...], ndim: int) -> tuple[list[int], bool]:
    found = indexed_axes(pattern, ndim)
    if found is None:
        fix = "index by arrays and by slices one after the other"
        raise RecordingError(explain("program.run: an index of arrays mixed with others", got=pattern, fix=fix))
    return found


def _flat_positions(b: Backend, arrays: Sequence[Foreign], sizes: Sequence[int]) -> Foreign:
    """Positions in several axes as positions in one; negative ones counted from the end."""
    total: Any = b.array(0, "int64")
    for array, size in zip(arrays, sizes):
        total = total * size + b.xp.where(array < 0, array + size, array)
    return total


def _gather(b: Backend, x: Foreign, *arrays: Foreign, pattern: tuple[Any, ...]) -> Foreign:
    axes, in_place = _gathered_axes(pattern, x.ndim)
    order = to_front(axes, x.ndim)
    sizes, rest = [x.shape[a] for a in axes], [x.shape[a] for a in order[len(axes) :]]
    flat = _flat_positions(b, arrays, sizes)
    rows = b.xp.reshape(b.xp.permute_dims(x, order), (math.prod(sizes), *rest))
    found = b.xp.take(rows, b.xp.reshape(flat, (-1,)), axis=0)
    found = b.xp.reshape(found, (*flat.shape, *rest))
    if in_place and axes[0]:
        found = b.xp.permute_dims(found, back_from_front(axes[0], flat.ndim, len(rest)))
    return found


def _scatter_add(b: Backend, x: Foreign, *arrays: Foreign, pattern: tuple[Any, ...], shape: Shape) -> Foreign:
    axes, in_place = _gathered_axes(pattern, len(shape))
    order = to_front(axes, len(shape))
    sizes, rest = [shape[a] for a in axes], [shape[a] for a in order[len(axes) :]]
    flat = _flat_positions(b, arrays, sizes)
    if in_place and axes[0]:
        x = b.xp.permute_dims(x, inverse(back_from_front(axes[0], flat.ndim, len(rest))))
    rows = b.xp.reshape(x, (math.prod(flat.shape), *rest))
    total = _added(b, rows, b.xp.reshape(flat, (-1,)), math.prod(sizes))
    return b.xp.permute_dims(b.xp.reshape(total, (*sizes, *rest)), inverse(order))


def _take_along_axis(b: Backend, x: Foreign, positions: Foreign, axis: int) -> Foreign:
    shape = list(np.broadcast_shapes(*([*s[:axis], 1, *s[axis + 1 :]] for s in (x.shape, positions.shape))))
    wide = b.xp.broadcast_to(positions, (*shape[:axis], positions.shape[axis], *shape[axis + 1 :]))
    x = b.xp.broadcast_to(x, (*shape[:axis], x.shape[axis], *shape[axis + 1 :]))
    return b.xp.take_along_axis(x, b.xp.where(wide < 0, wide + x.shape[axis], wide), axis=axis)


def _add_along_axis(b: Backend, x: Foreign, positions: Foreign, axis: int, shape: Shape) -> Foreign:
    size = shape[axis]
    places = b.xp.reshape(b.array(np.arange(size)), (-1, *[1] * (len(shape) - axis - 1)))
    zero = b.array(0, b.name_of(x))
    total = _zeros(b, shape, x)
    for i in range(positions.shape[axis]):
        one = (slice(None),) * axis + (slice(i, i + 1), ...)
        where = positions[one]
        total = total + b.xp.where(places == b.xp.where(where < 0, where + size, where), x[one], zero)
    return total


def _windows(b: Backend, x: Foreign, window: Shape, stride: Shape, dilation: Shape) -> Foreign:
    n = len(window)
    lead = x.ndim - n
    for i in reversed(range(n)):  # each axis becomes two: which window, where in it
        x = _taken(b, x, window_positions(x.shape[lead + i], window[i], stride[i], dilation[i]), lead + i)
    return b.xp.permute_dims(x, (*range(lead), *range(lead, lead + 2 * n, 2), *range(lead + 1, lead + 2 * n, 2)))


def _overlap_add(b: Backend, x: Foreign, window: Shape, stride: Shape, dilation: Shape, shape: Shape) -> Foreign:
    n = len(window)
    lead = len(shape) - n
    total = _zeros(b, shape, x)
    for offset in np.ndindex(*window):
        part = x[(..., *(int(o) for o in offset))]
        for i in range(n):
            span = slice(offset[i] * dilation[i], None, stride[i])
            places = slots(slice(span.start, span.start + (part.shape[lead + i] - 1) * stride[i] + 1, stride[i]),
                           shape[lead + i], part.shape[lead + i])  # fmt: skip
            part = _placed(b, part, places, lead + i)
        total = total + part
    return total


def _take_diagonal(b: Backend, x: Foreign, offset: int) -> Foreign:
    n, m = x.shape[-2:]
    return _taken(b, b.xp.reshape(x, (*x.shape[:-2], n * m)), triangle(n, m, offset), x.ndim - 2)


def _put_diagonal(b: Backend, x: Foreign, offset: int, shape: Shape) -> Foreign:
    n, m = shape[-2:]
    places = np.full(n * m, x.shape[-1])
    places[triangle(n, m, offset)[: x.shape[-1]]] = np.arange(x.shape[-1])
    return b.xp.reshape(_placed(b, x, places, x.ndim - 1), tuple(shape))


def _einsum(b: Backend, *arrays: Foreign, inputs: tuple[str, ...], output: str) -> Foreign:
    if hasattr(b.xp, "einsum"):
        return b.xp.einsum(f"{','.join(inputs)}->{output}", *arrays)
    letters = output + "".join(sorted(set("".join(inputs)) - set(output)))
    product: Any = None
    for array, own in zip(arrays, inputs):
        wide = b.xp.permute_dims(array, tuple(int(i) for i in np.argsort([letters.index(c) for c in own])))
        sizes = dict(zip(own, array.shape))
        wide = b.xp.reshape(wide, tuple(sizes.get(c, 1) for c in letters))
        product = wide if product is None else product * wide
    return _reduced("sum")(b, product, tuple(range(len(output), len(letters))), False)


def _reduced(name: str) -> Translation:
    def reduce(b: Backend, x: Foreign, axis: tuple[int, ...], keepdims: bool) -> Foreign:
        return getattr(b.xp, name)(x, axis=axis, keepdims=keepdims) if axis else x

    return reduce


def _mean(b: Backend, x: Foreign, axis: tuple[int, ...], keepdims: bool) -> Foreign:
    return _reduced("sum")(b, x, axis, keepdims) / float(math.prod(x.shape[i] for i in axis))


def _sum_to(b: Backend, x: Foreign, shape: Shape) -> Foreign:
    return b.xp.reshape(_reduced("sum")(b, x, stretched(tuple(shape), tuple(x.shape)), True), tuple(shape))


def _cumsum(b: Backend, x: Foreign, axis: int, reverse: bool) -> Foreign:
    if reverse:
        return b.xp.flip(b.xp.cumulative_sum(b.xp.flip(x, axis=axis), axis=axis), axis=axis)
    return b.xp.cumulative_sum(x, axis=axis)


def _polynomial(coefficients: Sequence[float], x: Foreign) -> Foreign:
    total = x * 0.0 + coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _erf(b: Backend, x: Foreign) -> Foreign:
    """As ``ops.primitives.error_function``, which works in place."""
    xp = b.xp
    bound = b.array(6.0, b.name_of(x))
    clipped = xp.where(xp.abs(x) > bound, xp.sign(x) * bound, x)
    t, s = xp.abs(clipped), clipped * clipped
    near = clipped + clipped * (_polynomial(P, s) / _polynomial(Q, s))
    far = xp.sign(clipped) * (1.0 - xp.exp(-s) * (_polynomial(C, t) / _polynomial(D, t)))
    return xp.where(t < BORDER, near, far)


def _softplus(b: Backend, x: Foreign) -> Foreign:
    return b.xp.maximum(x, b.array(0.0, b.name_of(x))) + b.xp.log1p(b.xp.exp(-b.xp.abs(x)))


def _position(name: str) -> Translation:
    def find(b: Backend, x: Foreign, axis: int, keepdims: bool = False) -> Foreign:
        x = b.cast(x, "int64") if b.name_of(x) == "bool" else x
        return getattr(b.xp, name)(x, axis=axis, keepdims=keepdims)

    return find


def _checked(check_values: Callable[..., Raw], b: Backend, x: Foreign, **params: Plain) -> Foreign:
    """A check looks at the numbers, and jax has none while it compiles: then what is outside is not found."""
    return x if is_traced(x) else b.array(check_values(b.numpy(x), **params))


def _uniform_like(b: Backend, x: Foreign) -> Foreign:
    if is_traced(x):
        fix = "call the program outside jax.jit, or in evaluation mode"
        raise RecordingError(
            explain("program.run: a random draw compiled by jax would be the same in every run", fix=fix)
        )
    return b.array(generator().random(tuple(x.shape)))


def _linear_algebra(name: str, part: int | None = None) -> Translation:
    def compute(b: Backend, *arrays: Foreign) -> Foreign:
        found = getattr(b.xp.linalg, name)(*arrays)
        return found if part is None else found[part]

    return compute


def _power_constant(b: Backend, x: Foreign, exponent: float) -> Foreign:
    return b.xp.pow(x, b.array(exponent, b.name_of(x)))


TRANSLATIONS: dict[str, Translation] = {
    "add_along_axis": _add_along_axis,
    "all": _reduced("all"),
    "any": _reduced("any"),
    "argmax": _position("argmax"),
    "argmin": _position("argmin"),
    "argsort": lambda b, x, axis, kind: b.xp.argsort(x, axis=axis, stable=True),
    "astype": lambda b, x, dtype: b.cast(x, np.dtype(dtype).name),
    "broadcast_to": lambda b, x, shape: b.xp.broadcast_to(x, tuple(shape)),
    "checked_index": partial(_checked, checked_index.forward),
    "checked_range": partial(_checked, checked_range.forward),
    "cholesky": _linear_algebra("cholesky"),
    "clip": lambda b, x, low, high: b.xp.minimum(b.xp.maximum(x, low), high),
    "concatenate": lambda b, *arrays, axis: b.xp.concat(list(arrays), axis=axis),
    "cumsum": _cumsum,
    "det": _linear_algebra("det"),
    "eigenvectors": _linear_algebra("eigh", 1),
    "eigvalsh": _linear_algebra("eigvalsh"),
    "einsum": _einsum,
    "erf": _erf,
    "gather": _gather,
    "identity": lambda b, x: x,
    "inv": _linear_algebra("inv"),
    "logabsdet": _linear_algebra("slogdet", 1),
    "max": _reduced("max"),
    "mean": _mean,
    "min": _reduced("min"),
    "overlap_add": _overlap_add,
    "power_constant": _power_constant,
    "put_diagonal": _put_diagonal,
    "put_slice": _put_slice,
    "relu": lambda b, x: b.xp.maximum(x, b.array(0.0, b.name_of(x))),
    "reshape": lambda b, x, shape: b.xp.reshape(x, tuple(shape)),
    "scatter_add": _scatter_add,
    "sigmoid": lambda b, x: 1.0 / (b.xp.exp(-x) + 1.0),
    "signdet": _linear_algebra("slogdet", 0),
    "sliding_window": _windows,
    "softplus": _softplus,
    "solve": _linear_algebra("solve"),
    "stop_gradient": lambda b, x: x,
    "sum": _reduced("sum"),
    "sum_to": _sum_to,
    "take_along_axis": _take_along_axis,
    "take_diagonal": _take_diagonal,
    "take_slice": _take_slice,
    "transpose": lambda b, x, axes: b.xp.permute_dims(x, tuple(axes)),
    "tril": lambda b, x, k: b.xp.tril(x, k=k),
    "triu": lambda b, x, k: b.xp.triu(x, k=k),
    "uniform_like": _uniform_like,
    "where": lambda b, condition, x, y: b.xp.where(condition, x, y),
}
