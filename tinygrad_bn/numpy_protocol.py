"""NumPy's own functions on variables: ``np.exp(x)``, ``np.mean(x, axis=0)``, ``array * x``.

NumPy calls these two functions (``__array_ufunc__``, ``__array_function__``) when a variable is among the arguments.  Which
operation a function means follows from the operations themselves: a ufunc means the primitive that it is the forward of,
another function the operation of the same name; only exceptions are listed.  A function that has no counterpart in ``ops``
is refused by name: never an object array, never a silently dropped graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Set
from functools import cache
from typing import Any

import numpy as np

from . import ops
from .engine import Variable, dtype_of
from .errors import DTypeError, NoDerivativeError, explain
from .ops import primitives

Operation = Callable[..., Any]


def _on_booleans(name: str, operation: Operation) -> Operation:
    """NumPy's bitwise functions, where they are the logical ones."""

    def logical(*args: Any) -> Any:
        for arg in args:
            if dtype_of(arg).kind != "b":
                fix = "compare first, such as x > 0, or use ops.logical_and, logical_or, logical_not"
                raise DTypeError(explain(f"{name}: on booleans only", got=f"dtype {dtype_of(arg)}", fix=fix))
        return operation(*args)

    return logical


bitwise_and = _on_booleans("&", ops.logical_and)
bitwise_or = _on_booleans("|", ops.logical_or)
bitwise_xor = _on_booleans("^", ops.logical_xor)
invert = _on_booleans("~", ops.logical_not)


def _double(x: Any) -> Any:
    return ops.astype(x, "float64") if isinstance(x, Variable) and not x.is_scalar_kind else x


def _vector_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
    axes = x.ndim if axis is None else len(axis) if isinstance(axis, (tuple, list)) else 1
    if ord is not None and (axes > 1 or isinstance(ord, str)):  # a matrix norm in NumPy, and not the same number
        fix = "ops.norm is the vector norm over any axes"
        raise NoDerivativeError(
            explain("numpy.linalg.norm: matrix norms have no derivative here", got=f"ord={ord!r}", fix=fix)
        )
    return ops.norm(x, ord, axis, keepdims)


def _constant_pad(x: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0.0) -> Any:
    if mode != "constant" or np.shape(constant_values) != () or isinstance(pad_width, dict):
        got = f"mode={mode!r}, constant_values={constant_values!r}"
        raise NoDerivativeError(explain("numpy.pad: only padding with one constant has a derivative here", got=got))
    return ops.pad(x, pad_width, constant_values)


def _clip(x: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    return ops.clip(x, min if a_min is None else a_min, max if a_max is None else a_max)


def _where(condition: Any, *choices: Any) -> Any:
    return ops.where(condition, *choices) if choices else np.nonzero(_values(condition))


def _einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Any:
    """``optimize`` makes no difference to the result."""
    if not isinstance(subscripts, str):
        raise NoDerivativeError(explain("numpy.einsum: subscripts are a string here", got=type(subscripts).__name__))
    return ops.einsum(subscripts, *operands)


# A primitive whose forward is a NumPy ufunc is what that ufunc means; by its public name, where ``ops`` wraps it.  The
# rest have a primitive under another name, or one for some dtypes only.
UFUNCS: dict[Any, Operation] = {
    primitive.forward: getattr(ops, primitive.name, primitive)
    for primitive in primitives.TABLE.values()
    if isinstance(primitive.forward, np.ufunc)
} | {
    np.positive: lambda x: x, np.fabs: ops.abs, np.float_power: lambda x, y: ops.power(_double(x), _double(y)),
    np.bitwise_and: bitwise_and, np.bitwise_or: bitwise_or, np.bitwise_xor: bitwise_xor,
    np.invert: invert,
}  # fmt: skip

REDUCTIONS: dict[Any, Operation] = {
    np.add: ops.sum, np.multiply: ops.prod, np.maximum: ops.max, np.minimum: ops.min, np.logical_and: ops.all,
    np.logical_or: ops.any,
}  # fmt: skip


def _namesakes(module: Any, operations: Any) -> dict[Any, Operation]:
    """NumPy's functions that go through its protocol, each with the operation of the same name."""
    pairs = ((getattr(module, name, None), getattr(operations, name)) for name in operations.__all__)
    return {theirs: ours for theirs, ours in pairs if hasattr(theirs, "_implementation")}


# Below: other names, and functions that take more than the operation of their name does.
FUNCTIONS: dict[Any, Operation] = _namesakes(np, ops) | _namesakes(np.linalg, ops.linalg) | {
    np.amax: ops.max, np.amin: ops.min, np.around: ops.round, np.fix: ops.trunc, np.linalg.norm: _vector_norm,
    np.clip: _clip, np.einsum: _einsum, np.pad: _constant_pad, np.where: _where,
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
}  # fmt: skip

# Questions to the values, and to shapes and dtypes, whose answers carry no derivative: NumPy answers, with plain booleans,
# positions, dtypes and text.  What has such an answer element by element is an operation (``ops.isnan``), and recorded.
QUESTIONS = {
    np.allclose, np.array2string, np.array_equal, np.array_equiv, np.array_repr, np.array_str, np.argpartition, np.argwhere,
    np.can_cast, np.common_type, np.digitize, np.flatnonzero, np.isclose, np.iscomplex, np.iscomplexobj, np.isin,
    np.isneginf, np.isposinf, np.isreal, np.isrealobj, np.lexsort, np.may_share_memory, np.min_scalar_type, np.nanargmax,
    np.nanargmin, np.nonzero, np.result_type, np.searchsorted, np.shares_memory, np.signbit,
}  # fmt: skip

# They look at the shape and dtype of a variable and make a raw array.
LIKE = {np.zeros_like, np.ones_like, np.full_like, np.empty_like}

# Arguments of NumPy's that operations do not have, but for the few that do.
UNSUPPORTED = {
    "out", "dtype", "order", "where", "initial", "casting", "subok", "copy", "mean", "correction", "stable", "device",
}  # fmt: skip


def array_ufunc(self: Variable, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Run the operation that corresponds to a NumPy ufunc."""
    if ufunc in QUESTIONS and method == "__call__":
        return ufunc(*_values(inputs), **kwargs)
    table = {"__call__": UFUNCS, "reduce": REDUCTIONS}.get(method, {})
    operation = table.get(ufunc)
    name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    if operation is None:
        raise _no_derivative(name)
    if kwargs.get("out") is not None:
        return _into(operation, name, (ufunc, method), inputs, kwargs)
    own = {"axis": kwargs.pop("axis", 0), "keepdims": kwargs.pop("keepdims", False)} if method == "reduce" else {}
    for unsupported in kwargs:
        raise _unsupported(name, unsupported)
    return _run(operation, name, inputs, own)


def _into(operation: Operation, name: str, call: tuple[Any, str], inputs: Any, kwargs: dict[str, Any]) -> Any:
    """With a place for the result, as in ``array += x``."""
    ufunc, method = call
    out = kwargs["out"]
    if any(isinstance(target, Variable) for target in out):
        fix = "x = x + y makes a new variable; with x.unlocked() as array: array += ... changes a leaf"
        raise NoDerivativeError(explain(f"{name}: the result cannot be written into a variable", fix=fix))
    if all(target.dtype == object for target in out) and method == "__call__" and len(kwargs) == 1:
        out[0][...] = operation(*inputs)
        return out[0]
    for arg in inputs:
        if isinstance(arg, Variable) and arg.requires_grad:
            fix = "array = array + x (and so on) keeps the graph; array += x.numpy() takes the value on purpose"
            raise NoDerivativeError(
                explain(f"{name}: written into an array, {arg.label} would lose its gradient", fix=fix)
            )
    return getattr(ufunc, method)(*_values(inputs), **kwargs)


def array_function(self: Variable, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Run the operation that corresponds to a NumPy function."""
    name = f"{function.__module__}.{function.__name__}"
    if function in LIKE:
        prototype, *rest = args
        if any(isinstance(value, Variable) for value in (*rest, *kwargs.values())):
            raise _no_derivative(f"{name} with a variable as its value")
        return function(prototype.numpy(), *rest, **kwargs)
    if function in QUESTIONS:
        return function(*_values(args), **{key: _values(value) for key, value in kwargs.items()})
    operation = FUNCTIONS.get(function)
    if operation is None:
        raise _no_derivative(name)
    unsupported = UNSUPPORTED - _parameters(operation).keys()
    args, kwargs = _sorted_out(function, args, kwargs, unsupported)
    for argument in kwargs.keys() & unsupported:
        raise _unsupported(name, argument)
    return _run(operation, name, args, kwargs)


def _values(args: Any) -> Any:
    """The same arguments with arrays in place of variables."""
    if isinstance(args, Variable):
        return args.numpy()
    return type(args)(map(_values, args)) if type(args) in (tuple, list) else args


def _run(operation: Operation, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    try:
        return operation(*args, **kwargs)
    except TypeError as error:
        if isinstance(error, DTypeError) or "argument" not in str(error):
            raise
        raise NoDerivativeError(explain(f"{name} does not take these arguments on variables: {error}")) from error


def _sorted_out(
    function: Any, args: Any, kwargs: dict[str, Any], unsupported: Set[str] = UNSUPPORTED
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments by keyword from the first one that is unsupported, and without unsupported ones that change nothing."""
    parameters = _parameters(function)
    positional = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    plain, named = list(args), dict(kwargs)
    for place, name in enumerate(positional[: len(args)]):
        if name in unsupported:
            plain, named = plain[:place], {**dict(zip(positional[place:], plain[place:])), **named}
            break
    if not plain and positional and positional[0] in named:  # np.sum(a=x)
        plain = [named.pop(positional[0])]
    return plain, {name: value for name, value in named.items() if not _idle(name, value, parameters, unsupported)}


def _idle(name: str, value: Any, parameters: dict[str, inspect.Parameter], unsupported: Set[str]) -> bool:
    """Whether an unsupported argument only repeats NumPy's default."""
    if name not in unsupported or name not in parameters:
        return type(value).__name__ == "_NoValueType"  # such as keepdims, which then stays False
    default = parameters[name].default
    return value is default or (
        isinstance(value, (str, bool)) and isinstance(default, (str, bool)) and value == default
    )


@cache
def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except ValueError:  # some of NumPy's functions that are written in C do not tell
        return {}


def _unsupported(name: str, argument: str) -> NoDerivativeError:
    fix = "leave it out; x.astype(...) converts, ops.where chooses"
    return NoDerivativeError(explain(f"{name}: the argument {argument}= is not supported on variables", fix=fix))


def _no_derivative(name: str) -> NoDerivativeError:
    return NoDerivativeError(
        explain(
            f"{name} has no derivative here",
            fix="compose it from tinygrad_bn.ops, write a Primitive, or take the value with x.numpy() first",
        )
    )
