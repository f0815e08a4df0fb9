"""Functions of functions: ``grad``, ``value_and_grad``, ``vjp``, ``jvp``, ``jacobian``, ``hessian``, ``hvp``.

Each works on functions of numbers, ndarrays or variables.  Numbers and arrays in give numbers and arrays out; variables
in give variables out, recorded when an argument requires a gradient, so transforms nest: ``grad(grad(f))``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from .engine import Primitive, Variable, dtype_of, enable_grad, gradients
from .engine.errors import ArgumentError, ShapeError, explain
from .ops.composed.reductions import sum as sum_over
from .ops.composed.shaping import reshape, stack
from .variables import Scalar, Tensor

Function = Callable[..., Any]

# A point of differentiation is a node of its own.  Were the argument itself used, a function that also closes over
# that variable would be differentiated through the closure too (perturbation confusion).
identity: Primitive = Primitive(
    "identity", lambda x: x, lambda g, out, x: g, scalar=lambda x: x, elementwise=True, notation="{0}"
)


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
        create_graph: record the gradients, so that they can be differentiated again.
    """
    if isinstance(function, Variable) or not callable(function):
        outputs, inputs = _listed(function), _listed(argnums)
        if not inputs or not all(isinstance(v, Variable) for v in [*outputs, *inputs]):
            got = f"inputs {type(argnums).__name__}"
            raise ArgumentError(
                explain("grad(outputs, inputs): both are variables", got=got, fix="pass the leaves to differentiate by")
            )
        seeds = None if grad_outputs is None else _listed(grad_outputs)
        found = gradients(outputs, inputs, seeds, retain_graph=retain_graph, create_graph=create_graph)
        return found[0] if isinstance(argnums, Variable) else tuple(found)
    both = value_and_grad(function, argnums, create_graph=create_graph)
    return functools.wraps(function)(lambda *args, **kwargs: both(*args, **kwargs)[1])


def value_and_grad(function: Function, argnums: int | Sequence[int] = 0, *, create_graph: bool = False) -> Function:
    """As ``grad(function, argnums)``, but the new function returns ``(value, gradient)``."""

    @functools.wraps(function)
    def both(*args: Any, **kwargs: Any) -> Any:
        positions = [argnums] if isinstance(argnums, int) else list(argnums)
        points, lowered, nested = _points(args, positions, create_graph)
        value = _run(function, points, kwargs)
        if value.size != 1:
            fix = "use jacobian, or vjp with a cotangent"
            raise ShapeError(explain("grad: the function must return one number", got=f"shape {value.shape}", fix=fix))
        found = _cotangents(value, None, [points[p] for p in positions], nested)
        result = tuple(lowered(g) for g in found)
        return lowered(value if nested else value.detach()), result[0] if isinstance(argnums, int) else result

    return both


def vjp(function: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value at ``primals``, and the function from a cotangent of the value to cotangents of the primals.

    The returned function can be called any number of times.
    """
    points, lowered, nested = _points(primals, range(len(primals)), False)
    value = _run(function, points, {})

    def pull_back(cotangent: Any) -> tuple[Any, ...]:
        return tuple(lowered(g) for g in _cotangents(value, cotangent, points, nested, retain_graph=True))

    return lowered(value if nested else value.detach()), pull_back


def jvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value at ``primals``, and its directional derivative along ``tangents``.

    Needs no rules of its own: the vjp is linear in its cotangent, and the transpose of that linear map is the jvp.
    """
    if len(primals) != len(tangents):
        raise ArgumentError(explain("jvp: one tangent per primal", got=f"{len(tangents)} for {len(primals)}"))
    points, lowered, nested = _points(primals, range(len(primals)), True)
    value = _run(function, points, {})
    cotangent = value.kind.wrap(value.to_data(np.zeros(value.shape, dtype_of(value)))).requires_grad_()
    rows = _cotangents(value, cotangent, points, True)
    terms = []
    for row, tangent, point in zip(rows, tangents, points):
        direction: Any = tangent if isinstance(tangent, Variable) else np.asarray(tangent, float)
        if direction.shape != point.shape:
            got = f"shape {direction.shape}"
            raise ShapeError(explain("jvp: a tangent has its primal's shape", got=got, expected=point.shape))
        terms.append(sum_over(row * (float(direction) if row.is_scalar_kind else direction)))
    total = functools.reduce(lambda a, b: a + b, terms)
    if total.requires_grad:
        (out,) = _cotangents(total, None, [cotangent], nested)
    else:  # the value does not depend on the primals
        out = cotangent.detach()
    return lowered(value if nested else value.detach()), lowered(out if nested else out.detach())


def jacobian(function: Function, argnums: int = 0) -> Function:
    """The function that returns all first derivatives, in the shape ``output.shape + argument.shape``.

    One backward pass per element of the output.
    """

    @functools.wraps(function)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        points, lowered, nested = _points(args, [argnums], False)
        value = _run(function, points, kwargs)
        point = points[argnums]
        rows = []
        for i in range(value.size):
            unit = np.zeros(value.size)
            unit[i] = 1.0
            rows.append(_cotangents(value, unit.reshape(value.shape), [point], nested, retain_graph=True)[0])
        if point.is_scalar_kind and value.is_scalar_kind:
            return lowered(rows[0])
        shape = value.shape + point.shape
        if not rows:
            return lowered(point.kind.wrap(np.zeros(shape)))
        return lowered(reshape(stack(rows), shape))

    return matrix


def hessian(function: Function, argnums: int = 0) -> Function:
    """The function that returns all second derivatives of a function with one number as value."""
    return jacobian(grad(function, argnums, create_graph=True), argnums)


def hvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """Hessian of a function with one number as value, times ``tangents``: one product per primal, no matrix made."""
    positions = tuple(range(len(primals)))
    slopes = grad(function, positions, create_graph=True)

    def along(*args: Any) -> Any:
        pairs = zip(slopes(*args), tangents)
        return functools.reduce(lambda a, b: a + b, (sum_over(slope * tangent) for slope, tangent in pairs))

    return tuple(grad(along, positions)(*primals))


# -- helpers ----------------------------------------------------------------------------------------------------------


def _points(args: Sequence[Any], positions: Sequence[int], create_graph: bool) -> tuple[list[Any], Function, bool]:
    """The arguments with fresh variables at ``positions``, how to hand results back, and whether to record them."""
    points = list(args)
    nested = create_graph or any(isinstance(a, Variable) and a.requires_grad for a in args)
    keeps_variables = any(isinstance(a, Variable) for a in args)
    for position in positions:
        if not -len(args) <= position < len(args):
            raise ArgumentError(explain("argnums: no such argument", got=position, expected=f"0 to {len(args) - 1}"))
        arg = args[position]
        if isinstance(arg, Variable):
            with enable_grad():
                points[position] = identity(arg) if arg.requires_grad else arg.detach().requires_grad_()
        elif isinstance(arg, (float, int)):
            points[position] = Scalar(arg)
        else:
            array = np.asarray(arg)
            points[position] = Tensor(array if array.dtype.kind == "f" else array.astype(float), requires_grad=True)
    return points, (lambda v: v) if keeps_variables else _lowered, nested


def _lowered(value: Any) -> Any:
    return value.data if isinstance(value, Variable) else value


def _run(function: Function, points: list[Any], kwargs: dict[str, Any]) -> Any:
    with enable_grad():
        value = function(*points, **kwargs)
    if not isinstance(value, Variable):
        sample = next((p for p in points if isinstance(p, Variable)), None)
        if sample is None or isinstance(value, (tuple, list, dict)) or value is None:
            raise ArgumentError(
                explain("the function must return one variable", got=type(value).__name__, fix="return a single result")
            )
        return sample.kind.wrap(sample.to_data(value))
    return value


def _cotangents(
    value: Variable, seed: Any, points: list[Any], create_graph: bool, retain_graph: bool = False
) -> list[Any]:
    """Cotangents of the points, zeros for those the value does not depend on."""
    if value.requires_grad:
        found = gradients([value], points, [seed], retain_graph=retain_graph, create_graph=create_graph)
    else:
        found = [None] * len(points)
    zeros = (p.kind.wrap(0.0 if p.is_scalar_kind else np.zeros(p.shape, p.dtype)) for p in points)
    return [z if g is None else g for g, z in zip(found, zeros)]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]
