"""``Scalar``, ``Tensor`` and ``Parameter``: what a user holds.  Every operator and method is written here.

The machinery (value, gradient, place in the graph, ``backward``) is in ``engine.variable``; the operations are in ``ops``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from . import drawing, ops
from .engine import Primitive, Variable, messages, write
from .engine.leaving import copying
from .engine.mode import current_mode, is_point
from .engine.sweep import backward
from .engine.variable import next_stamp
from .errors import ArgumentError, DTypeError, GraphError, explain, native
from .kinds import Array, DTypeLike, Value
from .numpy_protocol import Operation, array_function, array_ufunc, bitwise_and, bitwise_or, bitwise_xor, invert
from .ops.composed.axes import Axis
from .ops.primitives import TABLE


def _operators(operation: Operation) -> tuple[Operation, Operation]:
    """``x + y`` and ``y + x`` of an operation: with what is no number (None, text, an object) it is the other's turn."""

    def operator(self: Any, other: Value) -> Value:
        try:
            return operation(self, other)
        except (TypeError, ValueError):
            if _is_foreign(other):
                return NotImplemented
            raise

    def reflected(self: Any, other: Value) -> Value:
        try:
            return operation(other, self)
        except (TypeError, ValueError):
            if _is_foreign(other):
                return NotImplemented
            raise

    return operator, reflected


def _in_place(symbol: str, operation: Operation) -> Operation:
    """``x += y``: a new variable, as ``x = x + y``, but for what is there to be changed.

    A leaf that wants a gradient moves inside ``no_grad``, as in PyTorch, and the state of a module, a buffer or a frozen
    parameter, moves everywhere.  Where it is recorded, a leaf that wants a gradient can only be meant to move, so that is
    refused; but a sum of scalars may start from one, and what a transform differentiates by is the function's own.
    """
    operator, _ = _operators(operation)

    def in_place(self: Any, other: Value) -> Value:
        wants = self._requires_grad
        if self.inputs is not None or not (wants or isinstance(self, Parameter) or _is_buffer(self)):
            return NotImplemented  # Python goes on with x + y
        if wants and current_mode().recording:
            summed = self.is_scalar_kind and isinstance(other, Variable) and other._requires_grad
            if summed or is_point(self):
                return NotImplemented
            raise messages.in_place(self, symbol)
        value = operator(self, other)
        if value is not NotImplemented:
            write([(self, value)])
            value = self
        return value

    return in_place


def _is_buffer(variable: Variable) -> bool:
    return variable._extras is not None and variable._extras.is_buffer


def _is_foreign(other: Any) -> bool:
    return not isinstance(other, (Variable, Number, np.ndarray, np.generic, list, tuple)) and not hasattr(
        other, "__array__"
    )


def _methods() -> dict[str, Any]:
    """A method for each public primitive of one argument that works element by element: ``x.exp()`` is ``ops.exp(x)``.

    NumPy looks these up by name on the elements of an object array, so ``np.exp`` takes arrays of scalars, too.
    """

    def method(primitive: Primitive) -> Any:
        def call(self: Any) -> Value:
            return primitive(self)

        call.__name__, call.__doc__ = primitive.name, primitive.__doc__
        call.__qualname__ = f"Arithmetic.{primitive.name}"
        return call

    unary = (p for p in TABLE.values() if p.elementwise and len(p.vjps) == 1 and getattr(ops, p.name, None) is p)
    return {primitive.name: method(primitive) for primitive in unary}


if TYPE_CHECKING:

    class Elementwise(Variable):
        """What type checkers see: any elementwise function may be there."""

        def __getattr__(self, name: str) -> Any: ...

else:
    Elementwise = type("Elementwise", (Variable,), {"__slots__": (), "__doc__": _methods.__doc__, **_methods()})


class Arithmetic(Elementwise):
    """The operators and elementwise functions that scalars and tensors share."""

    __slots__ = ()

    __add__, __radd__ = _operators(ops.add)
    __sub__, __rsub__ = _operators(ops.subtract)
    __mul__, __rmul__ = _operators(ops.multiply)
    __truediv__, __rtruediv__ = _operators(ops.divide)
    __floordiv__, __rfloordiv__ = _operators(ops.floor_divide)
    __mod__, __rmod__ = _operators(ops.remainder)
    __pow__, __rpow__ = _operators(ops.power)

    __iadd__, __isub__ = _in_place("+=", ops.add), _in_place("-=", ops.subtract)
    __imul__, __itruediv__ = _in_place("*=", ops.multiply), _in_place("/=", ops.divide)
    __ifloordiv__, __imod__ = _in_place("//=", ops.floor_divide), _in_place("%=", ops.remainder)
    __ipow__ = _in_place("**=", ops.power)

    def draw(self, gradient: Value = None, **options: Any) -> Any:
        """A picture of the graph behind this variable, which shows itself in a notebook; ``graph.draw`` has all options."""
        return drawing.draw(self, gradient, **options)

    def __neg__(self) -> Value:
        return ops.negative(self)

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return ops.abs(self)

    def __round__(self, ndigits: int | None = None) -> Value:
        return ops.round(self, ndigits or 0)

    def __floor__(self) -> Value:
        return ops.floor(self)

    def __ceil__(self) -> Value:
        return ops.ceil(self)

    def __trunc__(self) -> Value:
        return ops.trunc(self)

    # Comparisons are operations without a derivative: booleans for tensors, 1.0 or 0.0 for scalars.  With what is no number,
    # == is False and != is True, as everywhere in Python, so that `x in list` and `x == None` have an answer.
    __lt__, __gt__ = _operators(ops.less)[0], _operators(ops.greater)[0]
    __le__, __ge__ = _operators(ops.less_equal)[0], _operators(ops.greater_equal)[0]
    __eq__, __ne__ = _operators(ops.equal)[0], _operators(ops.not_equal)[0]

    __hash__ = Variable.__hash__

    def backward(self, gradient: Value = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf), contracted with ``gradient``, to ``.grad`` of every leaf that requires a gradient.

        Args:
            gradient: the cotangent, of exactly this variable's shape; may be left out for a single element (then 1).
            retain_graph: keep the graph, so that backward can run through it again.
            create_graph: record the backward pass itself, so that gradients can be differentiated again; keeps the
                graph.  ``.grad`` then refers to a graph that refers to the leaf; set it to ``None`` when done, or use
                ``tinygrad_bn.grad``, which stores nothing.

        Raises:
            GraphError: nothing here requires a gradient, or the graph was freed by an earlier backward.
            ShapeError: a cotangent of another shape, or none for more than one element.
            MutationError: a recorded value was changed in between.
            RuleError: a primitive's rule broke its contract.

        When anything is raised, every ``.grad`` is as it was before.
        """
        backward(self, gradient, retain_graph=retain_graph, create_graph=create_graph)

    def _assign(self, value: Value) -> None:
        """What ``x.data = value`` does."""
        self._check_leaf("its data cannot be assigned")
        tape = current_mode().tape
        if tape is not None:
            tape.write([(self, value)])
        else:
            write([(self, self.to_data(value._data if isinstance(value, Variable) else value))])

    __array_ufunc__ = array_ufunc
    __array_function__ = array_function

    def arctan2(self, other: Value) -> Value:  # NumPy looks these two up as well
        return ops.arctan2(self, other)

    def hypot(self, other: Value) -> Value:
        return ops.hypot(self, other)

    def round(self, decimals: int = 0) -> Value:
        return ops.round(self, decimals)

    def clip(self, low: Value = None, high: Value = None) -> Value:
        return ops.clip(self, low, high)


class Scalar(Arithmetic):
    """A Python float that takes part in a graph.

    Args:
        data: a number.
        requires_grad: whether backward computes a gradient for it.
        name: for pictures and messages.
    """

    __slots__ = ()
    is_scalar_kind = True

    def __init__(self, data: Value, requires_grad: bool = True, name: str | None = None) -> None:
        super().__init__(self.to_data(data), requires_grad, name)

    @staticmethod
    def to_data(value: Value, dtype: DTypeLike | None = None) -> float:
        """The number as a Python float."""
        if isinstance(value, Variable):
            value = _outside_of_graph(value).item()
        if isinstance(value, (str, bytes)) or np.shape(value) != () or np.iscomplexobj(value):
            fix = "a Tensor holds an array; scalarize(array) makes an array of scalars"
            raise DTypeError(explain("a Scalar holds one real number", got=repr(value), fix=fix))
        return float(value)

    # Most of a scalar program is sums of products, so these two go straight where both sides are scalars.
    def __add__(self, other: Value) -> Value:
        if type(other) is Scalar:
            return ops.add.of_two(self, other, self._data + other._data)
        return super().__add__(other)

    def __mul__(self, other: Value) -> Value:
        if type(other) is Scalar:
            return ops.multiply.of_two(self, other, self._data * other._data)
        return super().__mul__(other)

    def unlocked(self) -> Any:
        """A scalar has no array to write to.

        Raises:
            GraphError: always.
        """
        raise GraphError(explain(f"{self.label} holds a Python float", fix="assign to its .data"))

    def conjugate(self) -> Scalar:
        """Itself, being real; numpy.var asks for it on the elements of an object array."""
        return self

    def __repr__(self) -> str:
        return f"Scalar({self._data!r}{_suffix(self)})"


Scalar.kind = Scalar


class Tensor(Arithmetic):
    """An ndarray that takes part in a graph.

    The array is copied and read-only: operations make new tensors.  To change a leaf, assign to ``.data`` or write
    inside ``with t.unlocked() as array:``.

    Args:
        data: numbers or booleans, anything ``numpy.asarray`` takes.
        requires_grad: whether backward computes a gradient for it; floating-point data only.
        name: for pictures and messages.
        dtype: as in NumPy; by default the data's own (Python floats give float64).
    """

    __slots__ = ()
    is_scalar_kind = False

    def __init__(
        self, data: Value, requires_grad: bool = False, name: str | None = None, dtype: DTypeLike | None = None
    ) -> None:
        super().__init__(self.to_data(data, dtype), requires_grad, name)

    @staticmethod
    def to_data(value: Value, dtype: DTypeLike | None = None) -> Array:
        """A read-only array of its own memory."""
        if isinstance(value, Variable):
            value = _outside_of_graph(value)._data
        try:
            given = np.asarray(native(value, "Tensor"))
            wanted = given.dtype if dtype is None else np.dtype(dtype)
            wanted = wanted.newbyteorder("=")  # native, so that equal is identical
        except DTypeError:
            raise
        except (TypeError, ValueError) as error:
            raise DTypeError(explain(f"a Tensor cannot be made of this: {error}", got=type(value).__name__)) from error
        if (
            given.dtype.kind not in "fiub" or wanted.kind not in "fiub"
        ):  # float() would drop an imaginary part or a graph
            fix = "real numbers only; an array of scalars is used as it is, without Tensor()"
            got = f"dtype {given.dtype}" + ("" if dtype is None else f", asked for {wanted}")
            raise DTypeError(explain("a Tensor holds real numbers or booleans", got=got, fix=fix))
        array = np.array(given, dtype=wanted)
        array.setflags(write=False)
        return array

    @contextmanager
    def unlocked(self) -> Iterator[Any]:
        """Change a leaf tensor through an array: ``with w.unlocked() as array: array -= lr * w.grad.data``.

        The array is a copy, which becomes the tensor's value when the block ends, and is dropped when the block fails:
        no value that was read or recorded earlier changes.  A recorded operation that still needs the old value is
        reported by ``backward``.
        """
        self._check_leaf("it cannot be written to")
        tape = current_mode().tape
        if tape is not None:
            tape.refuse_value(self, "unlocked()")
        array = self._data.copy("K")
        stamp = self.stamp = next_stamp()  # now as well as at the end, in case backward runs in between
        yield array
        if self.stamp != stamp:
            raise messages.changed_inside(self)
        write([(self, array.copy("K"))])  # the array stays the caller's own

    def __repr__(self) -> str:
        kind = type(self).__name__
        body = np.array2string(self._data, precision=4, separator=", ", threshold=20, edgeitems=3, prefix=f"{kind}(")
        dtype = "" if self.dtype in (np.dtype(float), np.dtype(int), np.dtype(bool)) else f", dtype={self.dtype}"
        shape = f", shape={self.shape}" if self.size > 20 or not self.size else ""
        return f"{kind}({body}{shape}{dtype}{_suffix(self)})"

    def __len__(self) -> int:
        if not self.shape:
            raise DTypeError(explain("a Tensor without axes has no length", got="shape ()"))
        return self.shape[0]

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.shape:
            got = f"dtype {self.dtype}, shape {self.shape}"
            raise DTypeError(explain("an index is one integer without axes", got=got))
        return int(self.item())

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """What ``numpy.asarray`` gets.  Refused where that would silently drop the graph."""
        tape = current_mode().tape
        if tape is not None:
            tape.refuse_value(self, "an ndarray")
        if self._requires_grad:
            raise GraphError(
                explain(
                    f"turning {self.label} into an ndarray would drop its gradient",
                    fix="x.numpy() takes the value on purpose; ops and NumPy's functions keep the graph",
                )
            )
        array = np.asarray(self._data, dtype=dtype)
        if copy is False and array is not self._data:
            raise ArgumentError(explain("this dtype needs a copy", got=f"copy=False, {self.dtype} to {array.dtype}"))
        return array.copy() if copy and array is self._data else array

    def __getitem__(self, index: Any) -> Value:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Value) -> None:
        raise GraphError(
            explain(
                f"{self.label} cannot be assigned to in place: operations may have recorded its value",
                fix="x = ops.where(mask, value, x) makes a new tensor; with x.unlocked() as array: changes a leaf",
            )
        )

    __matmul__, __rmatmul__ = _operators(ops.matmul)
    __imatmul__ = _in_place("@=", ops.matmul)

    # On booleans only, where NumPy's bitwise operators are the logical ones.
    __and__, __rand__ = _operators(bitwise_and)
    __or__, __ror__ = _operators(bitwise_or)
    __xor__, __rxor__ = _operators(bitwise_xor)
    __iand__, __ior__ = _in_place("&=", bitwise_and), _in_place("|=", bitwise_or)
    __ixor__ = _in_place("^=", bitwise_xor)

    def __invert__(self) -> Value:
        return invert(self)

    @property
    def T(self) -> Value:  # noqa: N802 (NumPy's name)
        """The axes reversed."""
        return ops.transpose(self)

    # Reductions.
    def sum(self, axis: Axis = None, keepdims: bool = False) -> Value:
        """See ``ops.sum``; so for all of these."""
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Value:
        return ops.mean(self, axis, keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Value:
        return ops.var(self, axis, keepdims, ddof)

    def std(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Value:
        return ops.std(self, axis, keepdims, ddof)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Value:
        return ops.prod(self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Value:
        return ops.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Value:
        return ops.min(self, axis, keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> Value:
        return ops.all(self, axis, keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Value:
        return ops.any(self, axis, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Value:
        return ops.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Value:
        return ops.argmin(self, axis, keepdims)

    def argsort(self, axis: int | None = -1, kind: str | None = None) -> Value:
        return ops.argsort(self, axis, kind)

    def nonzero(self) -> tuple[Array, ...]:
        """The positions of the elements that are not 0, as raw arrays, one for each axis."""
        return self.numpy().nonzero()

    def cumsum(self, axis: int | None = None) -> Value:
        return ops.cumsum(self, axis)

    def norm(self, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Value:  # noqa: A002
        return ops.norm(self, ord, axis, keepdims)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> Value:
        return ops.logsumexp(self, axis, keepdims)

    def softmax(self, axis: Axis = -1) -> Value:
        return ops.softmax(self, axis)

    def log_softmax(self, axis: Axis = -1) -> Value:
        return ops.log_softmax(self, axis)

    # Products, shapes, elements.
    def dot(self, other: Value) -> Value:
        """See ``ops.dot``; so for all of these."""
        return ops.dot(self, other)

    def reshape(self, *shape: Any) -> Value:
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def ravel(self) -> Value:
        return ops.ravel(self)

    def flatten(self, start_axis: int = 0) -> Value:
        return ops.flatten(self, start_axis)

    def transpose(self, *axes: Any) -> Value:
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            return ops.transpose(self, axes[0])
        return ops.transpose(self, axes or None)

    def swapaxes(self, axis1: int, axis2: int) -> Value:
        return ops.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Axis = None) -> Value:
        return ops.squeeze(self, axis)

    def repeat(self, repeats: int | Sequence[int], axis: int | None = None) -> Value:
        return ops.repeat(self, repeats, axis)

    def take(self, indices: Value, axis: int | None = None) -> Value:
        return ops.take(self, indices, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
        return ops.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
        return ops.trace(self, offset, axis1, axis2)

    def astype(self, dtype: DTypeLike) -> Value:
        """The same numbers in another dtype; a gradient passes between floating-point dtypes only."""
        return ops.astype(self, dtype)


Tensor.kind = Tensor


class Parameter(Tensor):
    """A tensor that a module trains: it requires a gradient, and ``Module`` finds it."""

    __slots__ = ()

    def __init__(
        self, data: Value, requires_grad: bool = True, name: str | None = None, dtype: DTypeLike | None = None
    ) -> None:
        super().__init__(data, requires_grad, name, dtype)


def _outside_of_graph(value: Variable) -> Variable:
    tape = current_mode().tape
    if tape is not None:
        tape.refuse_value(value, "a new leaf made")
    if value.requires_grad and not value.is_leaf:
        fix = "x.detach() is a leaf with the same value, on purpose; an operation result can be used as it is"
        raise GraphError(explain(f"a new leaf made of {value.label} would drop its gradient", fix=fix))
    copying(value)
    return value


def _suffix(variable: Variable) -> str:
    parts = [f"name={variable.name!r}"] if variable.name else []
    if variable.primitive is not None:
        parts.append(f"op={variable.primitive.name}")
    if variable.requires_grad != isinstance(variable, (Scalar, Parameter)):
        parts.append(f"requires_grad={variable.requires_grad}")
    return "".join(", " + part for part in parts)


def scalarize(data: Value, name: str | None = None, requires_grad: bool = True) -> Array:
    """An object array of ``Scalar``, one per element, on which tensor code runs unchanged, scalar by scalar.

    >>> x = scalarize([1.0, 2.0, 3.0, 4.0], name="x")
    >>> x.mean()
    Scalar(2.5, op=divide)

    Args:
        data: an array, a tensor or nested lists.
        name: names the elements ``name[0]``, ``name[0, 1]``, ...
        requires_grad: as in ``Scalar``.
    """
    raw = _outside_of_graph(data).numpy() if isinstance(data, Variable) else np.asarray(data)
    scalars = np.empty(raw.shape, object)
    for index in np.ndindex(raw.shape):
        label = None if name is None else f"{name}[{', '.join(map(str, index))}]" if index else name
        scalars[index] = Scalar(raw[index], requires_grad, label)
    return scalars


def named(value: Value, symbol: str) -> Value:
    """The value itself, for which formulas and pictures have a symbol from now on: ``x_hat = named(x_hat, "x̂")``.

    Costs next to nothing, even if nothing is drawn. A ``name`` that the user gives takes precedence.

    Args:
        value: a variable, an object array of scalars (each gets the symbol with its index), or raw numbers, which
            have no symbol.
        symbol: as the textbook writes it.
    """
    if isinstance(value, Variable):
        value.symbol = symbol
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        several = value.size > 1
        for index, scalar in np.ndenumerate(value):
            if isinstance(scalar, Variable):
                scalar.symbol = f"{symbol}[{', '.join(map(str, index))}]" if several else symbol
    return value


def values_of(scalars: Value) -> Array:
    """The float values of an (object) array of scalars; elements that are plain numbers stay."""
    values: Array = np.vectorize(lambda v: v.item() if isinstance(v, Variable) else float(v), otypes=[float])(scalars)
    return values


def gradients_of(scalars: Value) -> Array:
    """The gradients of an (object) array of scalars as floats.

    Raises:
        GraphError: a scalar that has none; run backward first.
    """

    def gradient(scalar: Value) -> float:
        if scalar.grad is None:
            raise GraphError(
                explain(f"{scalar.label} has no gradient", fix="run backward first, or check that it is used")
            )
        return float(scalar.grad.item())

    gradients: Array = np.vectorize(gradient, otypes=[float])(scalars)
    return gradients


__all__ = ["Arithmetic", "Parameter", "Scalar", "Tensor", "gradients_of", "named", "scalarize", "values_of"]
