"""A primitive: a forward function and, per argument, one derivative rule.

A rule is called as ``rule(g, out, *args, **params)`` and returns the cotangent of its argument, where ``g`` is the
cotangent of the result ``out``.  It is written in the library's own operations, so one text is read three ways:

- on raw values (floats, ndarrays): the ordinary backward pass, which records nothing;
- on variables (``create_graph=True``): the backward pass is recorded and can be differentiated again;
- on floats as on arrays: the same rule drives the ``Scalar`` and the ``Tensor`` engine.

Rules never undo broadcasting or dtype promotion; the engine does that once (``unbroadcast``).  A rule must be linear in
``g``, branch on shapes, dtypes and parameters only, and hide no array in a closure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ArgumentError, DTypeError, explain, native
from ..kinds import Array, Params, Plain, Raw, Value
from . import messages
from .contract import are_floats, as_array, as_float, as_objects, check_params, frozen, keeps_floats, not_widened, plain
from .mode import Site, current_mode, current_scope
from .variable import Variable, next_stamp

Rule = Callable[..., Value]

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
NO_PARAMS: Params = {}  # what all operations without parameters remember: one dict less per operation
WEAK_SCALARS = int(np.__version__.split(".")[0]) >= 2  # Python numbers never widen an array (NEP 50)


class Primitive:
    """An operation with derivative rules.

    Args:
        name: the name in messages and pictures; NumPy's name where NumPy has the operation.
        forward: computes the raw result from raw arguments (ndarrays, numbers) and keyword parameters.
        vjps: one rule per argument, in the order of the arguments; ``None`` where there is no derivative.
        variadic: instead of ``vjps``, one rule for any number of arguments: ``rule(i, g, out, *args, **params)``.
        scalar: the forward for Python floats; without it the operation does not take ``Scalar``.
        elementwise: the arguments broadcast against each other and rules return cotangents of the result's shape.
        core_dims: how many trailing axes take no part in broadcasting (2 for matmul); ``None``: nothing broadcasts.
        object_forward: what to run on object arrays of scalars, for an operation that NumPy cannot run on them.
        discrete: whether results can be integers or booleans, which carry no gradient.
        pure: whether equal arguments give equal results; a random draw is not, so a program never merges or drops it.
        notation: how pictures write the operation, such as ``"{0} + {1}"``.
        doc: the docstring.
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Raw],
        *vjps: Rule | None,
        variadic: Rule | None = None,
        scalar: Callable[..., Raw] | None = None,
        elementwise: bool = False,
        core_dims: int | None = None,
        object_forward: Callable[..., Value] | None = None,
        discrete: bool = False,
        pure: bool = True,
        notation: str | None = None,
        doc: str = "",
    ) -> None:
        if vjps and variadic is not None:
            raise ArgumentError(explain(f"{name}: rules per argument and a variadic rule", fix="give one kind of them"))
        self.name = self.__name__ = name
        self.forward = forward
        self.vjps = vjps
        self.variadic = variadic
        self.scalar = scalar
        self.core_dims = 0 if elementwise else core_dims
        self.elementwise = elementwise
        self.object_forward = object_forward
        self.pure = pure
        self.notation = notation
        self.differentiable = variadic is not None or any(rule is not None for rule in vjps)
        self._passes_all = not discrete and (variadic is not None or None not in vjps)
        self._keeps_floats = keeps_floats(forward)
        self.__doc__ = doc or None

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def vjp(self, index: int) -> Rule | None:
        """The rule for argument ``index``, or ``None`` where there is no derivative."""
        if self.variadic is not None:
            rule = self.variadic
            return lambda g, out, *args, **params: rule(index, g, out, *args, **params)
        return self.vjps[index]

    def __call__(self, *args: Value, **params: Plain) -> Value:
        """Compute, and record when an argument takes part in a graph.  Raw arguments give a raw result."""
        kind: type[Variable] | None = None
        requires_grad = tracked = has_raw = False
        values = []
        for arg in args:
            if isinstance(arg, Variable):
                if kind is not arg.kind:
                    kind = arg.kind if kind is None else self._kind_of_mixed(args)
                if arg._requires_grad:
                    requires_grad = True
                elif arg.inputs is not None or (arg._extras is not None and arg._extras.is_buffer):
                    tracked = True
                values.append(arg._data)
            else:
                if type(arg) is not float and type(arg) is not int:
                    has_raw = True
                values.append(arg)
        if kind is None:
            return self._on_raw(values, params, has_raw)
        mode = current_mode()
        recorded = mode.recording and (requires_grad or tracked)
        if kind.is_scalar_kind:
            if has_raw:
                if any(isinstance(value, np.ndarray) for value in values):
                    return self._over_objects(args, params)
                args, values = self._real_numbers(args)
            data = self.on_floats(values, params)
            if type(data) is not float:
                data = as_float(self.name, data)
        else:
            if has_raw:
                args, values = self._constants(args, recorded)
            try:
                data = self.forward(*values, **params)
            except Exception as error:
                raise messages.refused(self, error, values, params) from error
            if type(data) is not np.ndarray:
                data = np.asarray(data) if isinstance(data, np.generic) else as_array(self.name, data)
            if not WEAK_SCALARS and data.dtype == np.float64 and "dtype" not in params:
                data = not_widened(data, values)
            if not self._keeps_floats and data.dtype is not DOUBLE and data.dtype is not SINGLE:
                requires_grad = self._carries(args, data) and requires_grad
            data.setflags(False)  # write=False, which takes twice the time by keyword
        if mode.anomaly and messages.made_nonfinite(data, values, self.elementwise):
            raise messages.not_finite_forward(self, data, values)
        out = kind.__new__(kind)
        out._data = data
        out._grad = out._extras = out.symbol = None
        out.stamp = next_stamp()
        if recorded:
            if self.variadic is None and len(args) != len(self.vjps):
                raise messages.wrong_arity(self, len(args))
            if params:
                try:
                    plain(*params.values())
                except TypeError:
                    check_params(self.name, params)
            out._requires_grad = requires_grad and (self._passes_all or self._passes(args, data))
            out.primitive = self
            out.inputs = args
            out.params = params or NO_PARAMS
            out.scope = Site.here(current_scope()) if mode.sites else current_scope()
        else:
            out._requires_grad = False
            out.primitive = out.inputs = out.params = out.scope = None
        if mode.tape is not None:
            mode.tape.append(self, args, params, out)
        return out

    def of_two(self, x: Variable, y: Variable, data: float) -> Variable:
        """What ``__call__`` gives for two scalars, with the result at hand: the straight path of + and *."""
        mode = current_mode()
        if mode.anomaly:
            out: Variable = self(x, y)
            return out
        out = x.kind.__new__(x.kind)
        out._data = data
        out._grad = out._extras = out.symbol = out.primitive = out.inputs = out.params = out.scope = None
        out.stamp = next_stamp()
        requires_grad = out._requires_grad = mode.recording and (x._requires_grad or y._requires_grad)
        if requires_grad or (mode.recording and (x.inputs is not None or y.inputs is not None)):
            out.primitive = self
            out.inputs = x, y
            out.params = NO_PARAMS
            out.scope = Site.here(current_scope()) if mode.sites else current_scope()
        if mode.tape is not None:
            mode.tape.append(self, out.inputs or (x, y), NO_PARAMS, out)
        return out

    # -- the three ways of computing ----------------------------------------------------------------------------------

    def on_arrays(self, values: Sequence[Raw], params: Params) -> Raw:
        """The result on ndarrays and numbers as an ndarray: what ``__call__`` computes for tensors, without a record."""
        data = np.asarray(self.forward(*values, **params))
        return data if WEAK_SCALARS or data.dtype != np.float64 or "dtype" in params else not_widened(data, values)

    def on_floats(self, values: Sequence[Raw], params: Params) -> Raw:
        """The result on Python numbers, following IEEE 754 where Python would raise (1/0, exp(1000), log(-1))."""
        if self.scalar is None:
            raise messages.not_for_scalars(self)
        try:
            return self.scalar(*values, **params) if params else self.scalar(*values)
        except (ArithmeticError, ValueError):
            with np.errstate(all="ignore"):
                return as_float(self.name, self.forward(*map(np.float64, values), **params))

    def _on_raw(self, values: list[Raw], params: Params, has_raw: bool) -> Raw:
        if not values:
            fix = "give what is not plain data by position"
            raise DTypeError(explain(f"{self.name}: no arguments, only parameters: {', '.join(params)}", fix=fix))
        if not has_raw and self.scalar is not None:
            return self.on_floats(values, params)
        for value in values:
            if type(value) is np.ndarray:
                if value.dtype.kind == "O":
                    return self._over_objects(values, params)
            else:
                native(value, self.name)
        try:
            made = self.forward(*values, **params)
        except Exception as error:
            raise messages.refused(self, error, values, params) from error
        return made if made is not None else as_array(self.name, made)

    def _over_objects(self, args: Sequence[Value], params: Params) -> Value:
        """On object arrays of scalars: elementwise operations element by element, others as NumPy does it."""
        if self.object_forward is not None:
            return self.object_forward(*args, **params)
        if self.elementwise:
            elements = np.frompyfunc(lambda *scalars: self(*scalars, **params), len(args), 1)
            return elements(*(as_objects(arg) for arg in args))
        try:
            out = self.forward(*args, **params)
        except Exception as error:
            raise messages.refused(self, error, args, params) from error
        return out[()] if isinstance(out, np.ndarray) and out.ndim == 0 else out  # the scalar rather than a box with it

    def _constants(self, args: tuple[Value, ...], recorded: bool) -> tuple[tuple[Value, ...], list[Raw]]:
        """Raw arguments beside tensors, made safe to remember: an array that somebody could still change is copied."""
        made = []
        for arg in args:
            if not isinstance(arg, (Variable, float, int)):
                arg = np.asarray(native(arg, self.name))
                if arg.dtype.kind not in "fiub":
                    raise messages.not_numbers(self, arg.dtype)
                if recorded:
                    arg = frozen(arg)
            made.append(arg)
        return tuple(made), [arg._data if isinstance(arg, Variable) else arg for arg in made]

    def _passes(self, args: tuple[Value, ...], data: Raw) -> bool:
        """Whether an argument that wants a gradient has a rule, and the result numbers that can carry one."""
        rules = self.vjps or (self.variadic,) * len(args)
        wanted = (
            rule is not None and isinstance(arg, Variable) and arg._requires_grad for rule, arg in zip(rules, args)
        )
        return any(wanted) and (type(data) is float or data.dtype.kind == "f")

    def _carries(self, args: tuple[Value, ...], data: Array) -> bool:
        """Whether a result of an unusual dtype can carry a gradient; it has to, where a rule waits for one."""
        floats = are_floats(self.name, data)
        if not floats and self._passes_all and self._passes(args, 0.0):
            raise messages.discrete(self, data.dtype)
        return floats

    def _kind_of_mixed(self, args: tuple[Value, ...]) -> type[Variable]:
        """The kind of tensors: beside them a scalar that wants no gradient is a number, like a Python float."""
        variables = [arg for arg in args if isinstance(arg, Variable)]
        if any(v.is_scalar_kind and (v._requires_grad or v.inputs is not None) for v in variables):
            raise messages.mixed_kinds(self)
        return next(v.kind for v in variables if not v.is_scalar_kind)

    def _real_numbers(self, args: tuple[Value, ...]) -> tuple[tuple[Value, ...], list[Raw]]:
        """Raw arguments beside scalars as Python floats: a float32 would take its low precision into the rules."""
        for arg in args:
            if not isinstance(arg, Variable) and (np.shape(arg) != () or np.asarray(arg).dtype.kind not in "fiub"):
                raise messages.not_a_number(self, arg)
        made = tuple(arg if isinstance(arg, Variable) else float(arg) for arg in args)
        return made, [arg._data if isinstance(arg, Variable) else arg for arg in made]
