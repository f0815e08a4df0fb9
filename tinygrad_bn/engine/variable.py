"""A variable: a value, whether it wants a gradient, and the operation that made it.

There is no separate node object.  A variable made by an operation remembers that operation (``primitive``, ``inputs``,
``params``); a leaf remembers none.  References run from results to inputs only, so a graph that nobody holds any more
is freed at once, without the cyclic garbage collector.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from ..errors import DTypeError, explain
from . import messages
from .extras import Extras, Hook, HookHandle
from .leaving import copying, leaving
from .mode import Scope, current_mode
from .readonly import shown

if TYPE_CHECKING:
    from .primitive import Primitive

Self = TypeVar("Self", bound="Variable")

# Creation numbers.  An operation's inputs exist before its result, so descending numbers are a backward order, and
# they name nodes the same way in every run.  Changing a leaf gives it a new number: an operation older than its input
# is an operation whose input was changed afterwards.
next_stamp = count(1).__next__


class NoGraph(NamedTuple):
    """Stands in ``inputs`` of a result whose graph is not there, and says why and what to do."""

    why: str
    fix: str


FREED = NoGraph(
    "its graph was freed by an earlier backward()",
    "call the first backward with retain_graph=True, run the forward again, or trace before: trace(y, gradient=...)",
)


class Variable:
    """Base of ``Scalar`` and ``Tensor``; operators and methods are in ``tinygrad_bn.tensor``.

    Attributes:
        primitive: the operation that made this variable, ``None`` for a leaf.
        inputs: its arguments, variables and constants in order; ``None`` for a leaf.
        params: its parameters (plain data such as an axis).
        scope: the innermost scope (module or formula) it was recorded in.
        stamp: its creation number; for a leaf, the number of its last change.
        symbol: what a formula calls it, where that is not its name.
    """

    __slots__ = (
        "__weakref__", "_data", "_extras", "_grad", "_requires_grad", "inputs", "params", "primitive", "scope", "stamp",
        "symbol",
    )  # fmt: skip

    kind: ClassVar[type[Variable]]  # what operations on it return: Scalar or Tensor, never Parameter
    is_scalar_kind: ClassVar[bool]

    _data: Any
    _requires_grad: bool
    _extras: Extras | None
    _grad: Any
    primitive: Primitive | None
    inputs: tuple[Any, ...] | None
    params: dict[str, Any] | None
    scope: Scope | None
    stamp: int
    symbol: str | None

    def __init__(self, data: Any, requires_grad: bool, name: str | None) -> None:
        self._data = data
        self._requires_grad = False
        self._extras = self.symbol = None
        self._grad = self.primitive = self.inputs = self.params = self.scope = None
        self.stamp = next_stamp()
        if name is not None:
            self.name = name
        if requires_grad:
            self._check_floating()
            self._requires_grad = True

    if TYPE_CHECKING:  # what ``tinygrad_bn.tensor`` adds

        def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None: ...

    def _assign(self, value: Any) -> None:
        """Take another value, as assigning to ``data`` does."""
        raise NotImplementedError  # so for to_data

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
        variable._extras = variable.symbol = None
        variable._grad = variable.primitive = variable.inputs = variable.params = variable.scope = None
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
        tape = current_mode().tape
        if tape is not None:
            tape.refuse_value(self, ".data")
        return self._data if self.is_scalar_kind or self.inputs is not None else shown(self)

    @data.setter
    def data(self, value: Any) -> None:
        self._assign(value)

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
        """The value as an ndarray, read-only, outside the graph; ``np.array(x.numpy())`` is a copy to write to."""
        tape = current_mode().tape
        if tape is not None:
            tape.refuse_value(self, ".numpy()")
        return np.asarray(self._data)

    def item(self) -> Any:
        """The single element as a Python number.

        Raises:
            ShapeError: when there is not exactly one element.
        """
        if self.size != 1:
            raise messages.not_single(self)
        return self.data if self.is_scalar_kind else self.data.item()

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
    def grad(self) -> Any:
        """The accumulated gradient, a variable of the same kind and shape, or ``None``; may be assigned."""
        tape = current_mode().tape
        return self._grad if tape is None else tape.grad_of(self)

    @grad.setter
    def grad(self, gradient: Any) -> None:
        tape = current_mode().tape
        if tape is not None:
            tape.will_change(self, "_grad")
        self._grad = gradient

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
        if wanted:
            self._check_floating()
        if wanted != self._requires_grad:
            self._check_leaf("requires_grad is decided by its inputs")
            tape = current_mode().tape
            if tape is not None:
                tape.will_change(self, "_requires_grad")
            if wanted:
                # Operations recorded so far may have taken it for a constant: better an error than half a gradient.
                self.stamp = self._extra().renewed = next_stamp()
        self._requires_grad = bool(wanted)

    def _check_floating(self) -> None:
        if not self.is_scalar_kind and self._data.dtype.kind != "f":
            raise messages.not_floating(self)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` in place and return the variable."""
        self.requires_grad = requires_grad
        return self

    def detach(self: Self) -> Any:
        """A leaf with the same value, outside the graph.  The value is shared; it is read-only on both sides."""
        leaf = self.kind.wrap(self._data)
        tape = current_mode().tape
        if tape is not None:
            tape.same(leaf, self)
        return leaf

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

    # -- Python's protocols -------------------------------------------------------------------------------------------

    __hash__ = object.__hash__  # by identity, although == compares values

    def __reduce__(self) -> Any:
        """Leaves can be copied and pickled; a graph cannot."""
        self._check_leaf("only leaves can be copied or pickled")
        copying(self)
        return _rebuild, (type(self), self._data, self._requires_grad, self.name, self._grad)

    def __iter__(self) -> Iterator[Any]:
        raise DTypeError(explain(f"{self.label} cannot be iterated over"))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise messages.ambiguous(self)
        return bool(self.data)

    def __float__(self) -> float:
        leaving(self, "float()")
        return float(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __int__(self) -> int:
        leaving(self, "int()")
        return int(self.item())


def _rebuild(kind: type[Variable], data: Any, requires_grad: bool, name: str | None, grad: Any) -> Variable:
    variable = kind.__new__(kind)
    Variable.__init__(variable, kind.to_data(data), requires_grad, name)
    variable._grad = grad
    return variable
