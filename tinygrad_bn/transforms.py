"""Functions of functions: ``grad``, ``value_and_grad``, ``vjp``, ``jvp``, ``jacobian``, ``hessian``, ``hvp``.

Each works on functions of numbers, ndarrays or variables.  Numbers and arrays in give numbers and arrays out.  Variables
come out where variables went in, and where the function also uses a variable from outside that wants a gradient: the
derivative depends on it, so it is recorded.  (Inside ``no_grad`` it is not.)  So transforms nest: ``grad(grad(f))``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np

from .engine import Variable, dtype_of, enable_grad, gradients, is_grad_enabled, shape_of
from .engine.mode import current_points, running_points
from .engine.sweep import toposort
from .engine.variable import next_stamp
from .errors import ArgumentError, DTypeError, ShapeError, explain, native
from .kinds import Raw, Value
from .ops import reshape, stack
from .ops import sum as sum_over
from .ops.primitives.elementary import identity
from .tensor import Scalar, Tensor

Function = Callable[..., Any]


@overload
def grad(function: Function, argnums: int | Sequence[int] = 0, *, create_graph: bool = False) -> Function: ...
@overload
def grad(
    function: Variable | Sequence[Variable],
    argnums: Variable | Sequence[Variable],
    grad_outputs: Any = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> Any: ...
def grad(
    function: Any,
    argnums: Any = 0,
    grad_outputs: Any = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> Any:
    """The gradient: of a function, as a function; or of outputs at hand, with respect to inputs at hand.

    ``grad(f, argnums)`` is the function that returns df/d(argument): one gradient for an int, a tuple for a tuple.
    ``f`` returns a single number.

    ``grad(outputs, inputs, grad_outputs)``, as torch.autograd.grad, returns one gradient per input (``None`` for an
    input that the outputs do not depend on) and stores nothing in ``.grad``.  ``grad_outputs`` are cotangents, needed
    for outputs of more than one element.

    Args:
        function: a function, or one or several outputs.
        argnums: positions of arguments, or one or several inputs.
        grad_outputs: cotangents of the outputs.
        retain_graph: keep the graph of the outputs for another pass.
        create_graph: record the gradients, so that they can be differentiated again; they are variables then.

    Numbers are passed to ``f`` as ``Scalar``, or as ``Tensor`` if another argument is an array; arrays as ``Tensor``.

    Raises:
        ShapeError: the function returned more than one number, or a cotangent does not fit.
        ArgumentError: no such argument, or a function that does not return one variable.
        GraphError: an input that does not require a gradient, or a graph that was freed.
    """
    if isinstance(function, Variable) or not callable(function):
        outputs, inputs = _listed(function), _listed(argnums)
        if not inputs or not all(isinstance(v, Variable) for v in [*outputs, *inputs]):
            got = f"outputs {type(function).__name__}, inputs {type(argnums).__name__}"
            fix = "a variable or a list of variables for each; a function is differentiated by grad(function, argnums)"
            raise ArgumentError(explain("grad(outputs, inputs): both are variables", got=got, fix=fix))
        cotangents = None if grad_outputs is None else _listed(grad_outputs)
        found = gradients(outputs, inputs, cotangents, retain_graph=retain_graph, create_graph=create_graph)
        return found[0] if isinstance(argnums, Variable) else tuple(found)
    if grad_outputs is not None or retain_graph:
        fix = "vjp takes a cotangent"
        raise ArgumentError(explain("grad(function): grad_outputs and retain_graph go with outputs at hand", fix=fix))
    both = value_and_grad(function, argnums, create_graph=create_graph)
    return functools.wraps(function)(lambda *args, **kwargs: both(*args, **kwargs)[1])


def value_and_grad(function: Function, argnums: int | Sequence[int] = 0, *, create_graph: bool = False) -> Function:
    """As ``grad(function, argnums)``, but the new function returns ``(value, gradient)``."""
    return _value_and_grad("grad", function, argnums, create_graph)


def _value_and_grad(what: str, function: Function, argnums: int | Sequence[int], create_graph: bool) -> Function:
    @functools.wraps(function)
    def both(*args: Any, **kwargs: Any) -> Any:
        positions = _positions(argnums, args)
        run = _Run(function, args, kwargs, positions, create_graph, scalars=True)
        if run.value.size != 1:
            fix = (
                "use jacobian, or vjp with a cotangent"
                if what == "grad"
                else "reduce to one number, or choose one of them"
            )
            raise ShapeError(
                explain(f"{what}: the function must return one number", got=f"shape {run.value.shape}", fix=fix)
            )
        found = tuple(run.given_back(g) for g in run.cotangents(None, retain_graph=False))
        return run.given_back(run.value), found if isinstance(argnums, Sequence) else found[0]

    return both


def vjp(function: Function, *primals: Value) -> tuple[Value, Callable[[Value], tuple[Value, ...]]]:
    """The value at ``primals``, and the function from a cotangent of the value to cotangents of the primals.

    The returned function can be called any number of times.
    """
    run = _Run(function, primals, {}, range(len(primals)), False)

    def pull_back(cotangent: Value) -> tuple[Value, ...]:
        found = run.cotangents(cotangent)
        return tuple(g if isinstance(cotangent, Variable) else run.given_back(g) for g in found)

    return run.given_back(run.value), pull_back


def jvp(function: Function, primals: Sequence[Value], tangents: Sequence[Value]) -> tuple[Value, Value]:
    """The value at ``primals``, and its directional derivative along ``tangents``.

    Needs no rules of its own: the vjp is linear in its cotangent, and the transpose of that linear map is the jvp.
    """
    _check_tangents("jvp", primals, tangents)
    wanted = is_grad_enabled() and any(isinstance(t, Variable) and t.requires_grad for t in tangents)
    run = _Run(function, primals, {}, range(len(primals)), create_graph=wanted)
    value = run.value
    cotangent = value.kind.wrap(value.to_data(np.zeros(value.shape, dtype_of(value)))).requires_grad_()
    with enable_grad():
        total = _contracted(run.cotangents(cotangent), tangents)
    out = cotangent  # zeros, where the value does not depend on the primals
    if total.requires_grad:
        (out,) = gradients([total], [cotangent], create_graph=run.recorded)
    return run.given_back(value), run.given_back(out)


def jacobian(function: Function, argnums: int = 0) -> Function:
    """The function that returns all first derivatives, in the shape ``output.shape + argument.shape``.

    One backward pass per element of the output.
    """

    @functools.wraps(function)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        if not isinstance(argnums, int):
            raise ArgumentError(explain("jacobian: one argument at a time", got=f"argnums={argnums!r}"))
        run = _Run(function, args, kwargs, _positions(argnums, args), False)
        point, value = run.points[0], run.value
        rows = []
        for i in range(value.size):
            unit = np.zeros(value.size)
            unit[i] = 1.0
            rows.append(run.cotangents(unit.reshape(value.shape))[0])
        if point.is_scalar_kind:
            return run.given_back(rows[0])
        shape = value.shape + point.shape
        return run.given_back(reshape(stack(rows), shape) if rows else Tensor(np.zeros(shape, point.dtype)))

    return matrix


def hessian(function: Function, argnums: int = 0) -> Function:
    """The function that returns all second derivatives of a function with one number as value."""
    return jacobian(_slopes("hessian", function, argnums), argnums)


def hvp(function: Function, primals: Sequence[Value], tangents: Sequence[Value]) -> tuple[Value, ...]:
    """Hessian of a function with one number as value, times ``tangents``: one product per primal, no matrix made."""
    _check_tangents("hvp", primals, tangents)
    positions = tuple(range(len(primals)))
    slopes = _slopes("hvp", function, positions)
    products: tuple[Any, ...] = grad(lambda *args: _contracted(slopes(*args), tangents), positions)(*primals)
    return products


def _slopes(what: str, function: Function, argnums: int | Sequence[int]) -> Function:
    """The gradient as a function that can be differentiated again."""
    both = _value_and_grad(what, function, argnums, create_graph=True)
    return functools.wraps(function)(lambda *args, **kwargs: both(*args, **kwargs)[1])


# -- helpers ----------------------------------------------------------------------------------------------------------


class _Run:
    """One call of a function at fresh variables, its value, and whether what is derived from it is recorded."""

    def __init__(
        self,
        function: Function,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        positions: Sequence[int],
        create_graph: bool,
        scalars: bool = False,
    ) -> None:
        if not positions:
            raise ArgumentError(explain("no argument to differentiate by", fix="give at least one"))
        numbers = all(isinstance(args[position], (float, int, Scalar)) for position in positions)
        scalars = scalars and numbers and not any(_is_array(arg) for arg in args)
        points = list(args)
        for position in positions:
            points[position] = _point(args[position], position, scalars)
        self.points = [points[position] for position in positions]
        start = next_stamp()
        with enable_grad(), _watched([(points[position], args[position]) for position in positions]):
            self.value = _as_variable(function(*points, **kwargs), self.points[0])
            self._refuse_closures(positions, args)
        outside = any(isinstance(arg, Variable) and arg.requires_grad for arg in args) or self._uses_others(start)
        self.recorded = create_graph or (outside and is_grad_enabled())
        self.keeps_variables = self.recorded or any(isinstance(arg, Variable) for arg in args)

    def _uses_others(self, start: int) -> bool:
        """Whether the value depends on a leaf that wants a gradient, was there before, and is not one of the points."""
        reached = [self.value, *(arg for made in toposort([self.value]) for arg in made.inputs or ())]
        own = {*self.points, *(arg for point, arg in current_points() if point.is_leaf)}  # the latter wants none itself
        leaves = (v for v in reached if isinstance(v, Variable) and v.is_leaf and v.requires_grad)
        return any(leaf.stamp < start and leaf not in own for leaf in leaves)

    def _refuse_closures(self, positions: Sequence[int], args: Sequence[Any]) -> None:
        """Refuse a function that uses, instead of an argument, the very variable that was passed as that argument.

        Its derivative by the argument is 0, which is not what anybody means who writes such a function.

        Raises:
            ArgumentError: names the variable and what to write.
        """
        if not any(isinstance(args[position], Variable) for position in positions):
            return
        points = set(self.points)
        waiting, reached = [self.value], {self.value}
        while waiting:  # everything behind the value, but nothing behind the points
            variable = waiting.pop()
            for arg in () if variable in points else variable.inputs or ():
                if isinstance(arg, Variable) and arg.requires_grad and arg not in reached:
                    reached.add(arg)
                    waiting.append(arg)
        for position, point in zip(positions, self.points):
            passed = args[position]
            while isinstance(passed, Variable) and point not in reached:
                if passed in reached:
                    raise _unused(position, passed)
                passed = next((arg for other, arg in current_points() if other is passed), None)

    def cotangents(self, cotangent: Value, retain_graph: bool = True) -> list[Value]:
        """Cotangents of the points, zeros for those the value does not depend on."""
        found: list[Any] = [None] * len(self.points)
        if self.value.requires_grad:
            recorded = self.recorded or (
                isinstance(cotangent, Variable) and cotangent.requires_grad and is_grad_enabled()
            )
            found = gradients([self.value], self.points, [cotangent], retain_graph=retain_graph, create_graph=recorded)
        zeros = (p.kind.wrap(p.to_data(np.zeros(p.shape, dtype_of(p)))) for p in self.points)
        return [zero if g is None else g for g, zero in zip(found, zeros)]

    def given_back(self, result: Variable) -> Value:
        """A result as the caller gets it: a variable, or else a number or an array of the caller's own."""
        if self.keeps_variables:
            return result if self.recorded else result.detach()
        return np.array(result.data) if result.ndim else result.data[()] if _is_array(result) else result.data


@contextmanager
def _watched(pairs: Sequence[tuple[Variable, Any]]) -> Iterator[None]:
    """Record what happens to the variables that were passed, too, so that it shows if the function uses them itself."""
    frozen = [arg for _, arg in pairs if isinstance(arg, Variable) and not arg.requires_grad]
    token = running_points.set((*current_points(), *pairs))
    try:
        for arg in frozen:
            arg._requires_grad = True  # without a new stamp, since the value stays what it was
        yield
    finally:
        for arg in frozen:
            arg._requires_grad = False
        running_points.reset(token)


def _unused(position: int, passed: Variable) -> ArgumentError:
    name = passed.name or "weight"
    return ArgumentError(
        explain(
            f"the function does not use argument {position}, but the variable that was passed as it: {passed.label}",
            got="a derivative of 0, since the argument is another variable of the same value",
            fix="use the argument; a module is called with other parameters than its own by "
            f"nn.functional_call(module, {{{name!r}: argument}}, x)",
        )
    )


def _point(arg: Value, position: int, scalars: bool) -> Variable:
    """A fresh variable that wants a gradient, at the argument's value.

    A node of its own: were the argument itself used, a function that also closes over that variable would be
    differentiated through the closure too (perturbation confusion).
    """
    if isinstance(arg, Variable):
        if dtype_of(arg).kind != "f":
            raise _not_differentiable(position, f"dtype {dtype_of(arg)}")
        with enable_grad():
            point: Variable = identity(arg) if arg.requires_grad else arg.detach().requires_grad_()
        return point
    if scalars and isinstance(arg, (float, int)):
        return Scalar(arg)
    array = np.asarray(native(arg, f"argument {position}"))
    if array.dtype.kind not in "fiub":
        raise _not_differentiable(position, f"{type(arg).__name__}, dtype {array.dtype}")
    return Tensor(array if array.dtype.kind == "f" else array.astype(float), requires_grad=True)


def _not_differentiable(position: int, got: str) -> DTypeError:
    expected = "a real number, an array of them, or a floating-point variable"
    fix = "differentiate by another argument (argnums), or, for an array of scalars, use grad(output, list_of_scalars)"
    return DTypeError(explain(f"cannot differentiate by argument {position}", got=got, expected=expected, fix=fix))


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor))


def _as_variable(value: Value, point: Variable) -> Variable:
    """What the function returned; a number or an array that is no variable is a constant."""
    if isinstance(value, Variable):
        return value
    array = np.asarray(native(value, "the result"))
    if isinstance(value, (tuple, list, dict)) or array.dtype.kind not in "fiub":
        got = "an array of scalars" if isinstance(value, np.ndarray) else type(value).__name__
        fix = "return a single result; ops.stack puts several tensors into one"
        raise ArgumentError(explain("the function must return one variable", got=got, fix=fix))
    return point.kind.wrap(point.to_data(array)) if not array.ndim else Tensor(array)


def _positions(argnums: Any, args: Sequence[Any]) -> list[int]:
    positions = list(argnums) if isinstance(argnums, Sequence) else [argnums]
    for position in positions:
        if not isinstance(position, int) or not -len(args) <= position < len(args):
            expected = f"an int from 0 to {len(args) - 1}" if args else "the function to be called with arguments"
            raise ArgumentError(explain("argnums: no such argument", got=position, expected=expected))
    return positions


def _check_tangents(what: str, primals: Sequence[Value], tangents: Sequence[Value]) -> None:
    for name, given in (("primals", primals), ("tangents", tangents)):
        if isinstance(given, (Variable, np.ndarray)):
            fix = f"{what}(function, (x,), (tangent,))"
            what = f"{what}: {name} are a tuple, one for each argument"
            raise ArgumentError(explain(what, got=f"one {type(given).__name__}", fix=fix))
    if len(primals) != len(tangents):
        got = f"{len(tangents)} tangents for {len(primals)} primals"
        raise ArgumentError(explain(f"{what}: one tangent per primal", got=got))
    for primal, tangent in zip(primals, tangents):
        if shape_of(tangent) != shape_of(primal):
            got = f"shape {shape_of(tangent)}"
            raise ShapeError(explain(f"{what}: a tangent has its primal's shape", got=got, expected=shape_of(primal)))


def _contracted(slopes: Sequence[Value], tangents: Sequence[Value]) -> Value:
    """The sum over all elements of slope times tangent."""
    terms = (
        sum_over(slope * (tangent if isinstance(tangent, Variable) else _like(slope, tangent)))
        for slope, tangent in zip(slopes, tangents)
    )
    return functools.reduce(lambda a, b: a + b, terms)


def _like(variable: Variable, raw: Raw) -> Value:
    return float(raw) if variable.is_scalar_kind else np.asarray(raw, float)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]
