"""A variable: a value, whether it wants a gradient, and the operation that made it.

There is no separate node object.  A variable made by an operation remembers that operation (``primitive``, ``inputs``,
``params``); a leaf remembers none.  References run from results to inputs only, so a graph that nobody holds any more
is freed at once, without the cyclic garbage collector.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from ..errors import DTypeError, GraphError, explain
from . import messages
from .mode import Scope

if TYPE_CHECKING:
    from .primitive import Primitive

Self = TypeVar("Self", bound="Variable")
Hook = Callable[["Variable"], "Variable | None"]

# Creation numbers.  An operation's inputs exist before its result, so descending numbers are a backward order, and
# they name nodes the same way in every run.  Changing a leaf gives it a new number: an operation older than its input
# is an operation whose input was changed afterwards.
next_stamp = count(1).__next__

# Stands in ``inputs`` after backward has used the graph up.
FREED: tuple[Any, ...] = ("freed",)


def _references(holder: Any) -> int:
    array = holder._data
    return sys.getrefcount(array)


# What counting says of an array that nobody else reads; which references it counts differs between Python versions.
_LONE = _references(SimpleNamespace(_data=np.empty(0)))


class HookHandle:
    """Returned by ``register_hook``; ``remove()`` takes the hook off again."""

    def __init__(self, hooks: list[Any], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._hook: Callable[..., Any] | None = hook

    def remove(self) -> None:
        """Take the hook off; harmless when it is off already."""
        if self._hook is not None:
            self._hooks.remove(self._hook)
            self._hook = None


class Extras:
    """What few variables have, kept out of the many: a name, hooks, the wish to keep an intermediate gradient."""

    __slots__ = ("hooks", "name", "retains_grad")

    def __init__(self) -> None:
        self.name: str | None = None
        self.hooks: list[Hook] = []
        self.retains_grad = False


class Variable:
    """Base of ``Scalar`` and ``Tensor``; operators and methods are in ``tinygrad_bn.tensor``.

    Attributes:
        grad: the accumulated gradient, a variable of the same kind and shape, or ``None``.
        primitive: the operation that made this variable, ``None`` for a leaf.
        inputs: its arguments, variables and constants in order; ``None`` for a leaf.
        params: its parameters (plain data such as an axis).
        scope: the innermost scope (module or formula) it was recorded in.
        stamp: its creation number; for a leaf, the number of its last change.
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_extras",
        "_requires_grad",
        "grad",
        "inputs",
        "params",
        "primitive",
        "scope",
        "stamp",
    )

    kind: ClassVar[type[Variable]]  # what operations on it return: Scalar or Tensor, never Parameter
    is_scalar_kind: ClassVar[bool]

    _data: Any
    _requires_grad: bool
    _extras: Extras | None
    grad: Any
    primitive: Primitive | None
    inputs: tuple[Any, ...] | None
    params: dict[str, Any] | None
    scope: Scope | None
    stamp: int

    def __init__(self, data: Any, requires_grad: bool, name: str | None) -> None:
        self._data = data
        self._requires_grad = False
        self._extras = None
        self.grad = self.primitive = self.inputs = self.params = self.scope = None
        self.stamp = next_stamp()
        if name is not None:
            self.name = name
        if requires_grad:
            self.requires_grad = True

    @staticmethod
    def to_data(value: Any, dtype: Any = None) -> Any:
        """Check and convert a raw value to what this kind of variable holds, never sharing memory with it."""
        raise NotImplementedError  # each kind has its own; a bare Variable is never made

    @classmethod
    def wrap(cls: type[Self], data: Any) -> Self:
        """A constant of this kind around raw data that nobody else will write to."""
        variable = cls.__new__(cls)
        variable._data = data
        variable._requires_grad = False
        variable._extras = None
        variable.grad = variable.primitive = variable.inputs = variable.params = variable.scope = None
        variable.stamp = next_stamp()
        if not cls.is_scalar_kind:
            data.setflags(False)  # write=False, as in primitive
        return variable

    # -- the value ------------------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The raw value: a float (``Scalar``) or a read-only ndarray (``Tensor``).

        Assigning to a leaf replaces its value and keeps its shape, dtype and memory layout.

        Raises:
            GraphError: on assigning to the result of an operation.
            ShapeError: on assigning a value of another shape.
            DTypeError: on assigning something that is not numbers, or floating-point numbers to integers.
        """
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._check_leaf("its data cannot be assigned")
        value = self.to_data(value._data if isinstance(value, Variable) else value)
        if np.shape(value) != self.shape:
            raise messages.other_shape(self, np.shape(value))
        if not self.is_scalar_kind and (value.dtype != self.dtype or value.strides != self._data.strides):
            if not np.can_cast(value.dtype, self.dtype, "same_kind"):  # 2.7 would become 2
                raise messages.other_kind(self, value.dtype)
            laid_out = np.empty_like(self._data)
            laid_out[...] = value
            laid_out.setflags(write=False)
            value = laid_out
        self._data = value
        self.stamp = next_stamp()

    @contextmanager
    def unlocked(self) -> Iterator[Any]:
        """Write into a leaf tensor's own buffer: ``with w.unlocked() as array: array -= lr * w.grad.data``.

        The write happens in place when nobody else holds the array, otherwise in a fresh copy (copy on write), so no
        value that was read or recorded earlier changes.  A recorded operation that still needs the old value is
        reported by ``backward``.
        """
        array = self.unlock()
        stamp = self.stamp
        window = array.view()
        try:
            yield window
        finally:
            window.setflags(write=False)
            changed = self.stamp != stamp
            if not changed:
                self.lock(array)
                if _references(self) > _LONE + 2:  # beside this frame and the window: a slice still open to writing
                    self.lock(array.copy("K"))
        if changed:
            raise messages.changed_inside(self)

    def unlock(self) -> Any:
        """The first half of ``unlocked``: an array to write to, which ``lock`` takes back.  For hot loops."""
        self._check_leaf("it cannot be written to")
        if self.is_scalar_kind:
            raise GraphError(explain(f"{self.label} holds a Python float", fix="assign to its .data"))
        alone = _references(self) <= _LONE and self._data.base is None
        array = self._data if alone else self._data.copy("K")
        array.setflags(True)
        self.stamp = next_stamp()  # now as well as in lock, in case backward runs in between
        return array

    def lock(self, array: Any) -> None:
        """The second half of ``unlocked``."""
        array.setflags(False)
        self._data = array
        self.stamp = next_stamp()

    @property
    def shape(self) -> tuple[int, ...]:
        """As in NumPy; ``()`` for a scalar."""
        shape: tuple[int, ...] = () if self.is_scalar_kind else self._data.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.size(self._data))

    @property
    def dtype(self) -> np.dtype[Any]:
        """As in NumPy.  A ``Scalar`` has none: NumPy's mean would use it to turn the scalar into a number without a graph.

        Raises:
            AttributeError: a ``Scalar`` was asked.
        """
        if self.is_scalar_kind:
            raise AttributeError(explain("a Scalar holds a Python float and has no dtype"))
        dtype: np.dtype[Any] = self._data.dtype
        return dtype

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as an ndarray, read-only, outside of the graph; ``np.array(x.numpy())`` is a copy to write to."""
        return np.asarray(self._data)

    def item(self) -> Any:
        """The single element as a Python number.

        Raises:
            ShapeError: when there is not exactly one element.
        """
        if self.size != 1:
            raise messages.not_single(self)
        return self._data if self.is_scalar_kind else self._data.item()

    # -- names and the place in the graph ---------------------------------------------------------------------------

    def _extra(self) -> Extras:
        if self._extras is None:
            self._extras = Extras()
        return self._extras

    @property
    def name(self) -> str | None:
        """A name for pictures and messages."""
        return None if self._extras is None else self._extras.name

    @name.setter
    def name(self, name: str | None) -> None:
        self._extra().name = name

    @property
    def label(self) -> str:
        """How messages call this variable: its name, or its kind, operation and shape."""
        made = "" if self.primitive is None else f" made by {self.primitive.name}"
        return f"'{self.name}'" if self.name else f"a {type(self).__name__} of shape {self.shape}{made}"

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it, rather than a recorded operation."""
        return self.inputs is None

    def _check_leaf(self, consequence: str) -> None:
        if self.inputs is not None:
            raise messages.not_a_leaf(self, consequence)

    # -- gradients ----------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether backward computes a gradient for it.

        Raises:
            DTypeError: on setting it for integers or booleans.
            GraphError: on switching it off for the result of an operation.
        """
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and not self.is_scalar_kind and self.dtype.kind != "f":
            raise messages.not_floating(self)
        if wanted != self._requires_grad:
            self._check_leaf("requires_grad is decided by its inputs")
            if wanted:
                # Operations recorded so far may have taken it for a constant: better an error than half a gradient.
                self.stamp = next_stamp()
        self._requires_grad = bool(wanted)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` in place and return the variable."""
        self.requires_grad = requires_grad
        return self

    def detach(self: Self) -> Any:
        """A leaf with the same value, outside of the graph.  The value is shared; it is read-only on both sides."""
        return self.kind.wrap(self._data)

    def retain_grad(self) -> None:
        """Keep the gradient of this intermediate result in ``.grad``; each backward call overwrites it.

        Raises:
            GraphError: when it does not require a gradient.
        """
        if not self._requires_grad:
            raise messages.wants_none(self, "retain_grad()")
        self._extra().retains_grad = True

    def register_hook(self, hook: Hook) -> HookHandle:
        """Call ``hook(gradient)`` in each backward pass, when this variable's gradient of the pass is complete.

        Whatever the hook returns, unless ``None``, replaces the gradient from there on; it must keep the shape.
        """
        if not self._requires_grad:
            raise messages.wants_none(self, "register_hook()")
        hooks = self._extra().hooks
        hooks.append(hook)
        return HookHandle(hooks, hook)

    def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf), contracted with ``gradient``, to ``.grad`` of every leaf that wants one.

        Args:
            gradient: the cotangent, of exactly this variable's shape; may be left out for a single element (then 1).
            retain_graph: keep the graph, so that backward can run through it again.
            create_graph: record the backward pass itself, so that gradients can be differentiated again; keeps the
                graph.  ``.grad`` then refers to a graph that refers to the leaf; set it to ``None`` when done, or use
                ``tinygrad_bn.grad``, which stores nothing.

        Raises:
            GraphError: nothing here requires a gradient, or the graph was used up by an earlier backward.
            ShapeError: a cotangent of another shape, or none for more than one element.
            MutationError: a recorded value was changed in between.
            RuleError: a primitive's rule broke its contract.
        When anything is raised, every ``.grad`` is as it was before.
        """
        from .sweep import backward

        backward(self, gradient, retain_graph=retain_graph, create_graph=create_graph)

    # -- Python's protocols -------------------------------------------------------------------------------------------

    __hash__ = object.__hash__  # by identity, although == compares values

    def __reduce__(self) -> Any:
        """Leaves can be copied and pickled; a graph cannot."""
        self._check_leaf("only leaves can be copied or pickled")
        return _rebuild, (type(self), self._data, self._requires_grad, self.name, self.grad)

    def __iter__(self) -> Iterator[Any]:
        raise DTypeError(explain(f"{self.label} cannot be iterated over"))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise messages.ambiguous(self)
        return bool(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __int__(self) -> int:
        return int(self.item())


def _rebuild(kind: type[Variable], data: Any, requires_grad: bool, name: str | None, grad: Any) -> Variable:
    variable = kind.__new__(kind)
    Variable.__init__(variable, kind.to_data(data), requires_grad, name)
    variable.grad = grad
    return variable
