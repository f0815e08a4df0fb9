"""NumPy's own functions on variables: ``np.exp(x)``, ``np.mean(x, axis=0)``, ``array * x``.

NumPy calls these two functions (``__array_ufunc__``, ``__array_function__``) when a variable is among the arguments.  A
function that has no counterpart in ``ops`` is refused by name: never an object array, never a silently dropped graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import ops
from .engine import Variable
from .engine.errors import NoDerivativeError, explain

UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: ops.add, np.subtract: ops.subtract, np.multiply: ops.multiply, np.divide: ops.divide,
    np.negative: ops.negative, np.positive: lambda x: x, np.power: ops.power, np.float_power: ops.power,
    np.square: ops.square, np.reciprocal: ops.reciprocal, np.sqrt: ops.sqrt, np.exp: ops.exp, np.expm1: ops.expm1,
    np.log: ops.log, np.log1p: ops.log1p, np.absolute: ops.abs, np.fabs: ops.abs, np.sign: ops.sign,
    np.sin: ops.sin, np.cos: ops.cos, np.tan: ops.tan, np.arcsin: ops.arcsin, np.arccos: ops.arccos,
    np.arctan: ops.arctan, np.sinh: ops.sinh, np.cosh: ops.cosh, np.tanh: ops.tanh, np.arcsinh: ops.arcsinh,
    np.arccosh: ops.arccosh, np.arctanh: ops.arctanh, np.maximum: ops.maximum, np.minimum: ops.minimum,
    np.greater: ops.greater, np.greater_equal: ops.greater_equal, np.less: ops.less, np.less_equal: ops.less_equal,
    np.equal: ops.equal, np.not_equal: ops.not_equal, np.logical_and: ops.logical_and, np.logical_or: ops.logical_or,
    np.logical_not: ops.logical_not, np.isfinite: ops.isfinite, np.matmul: ops.matmul,
}  # fmt: skip

REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: ops.sum, np.multiply: ops.prod, np.maximum: ops.max, np.minimum: ops.min
}  # fmt: skip

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: ops.sum, np.mean: ops.mean, np.var: ops.var, np.std: ops.std, np.prod: ops.prod, np.max: ops.max,
    np.amax: ops.max, np.min: ops.min, np.amin: ops.min, np.argmax: ops.argmax, np.argmin: ops.argmin,
    np.cumsum: ops.cumsum, np.linalg.norm: lambda *args, **kwargs: _vector_norm(*args, **kwargs), np.dot: ops.dot,
    np.outer: ops.outer, np.tensordot: ops.tensordot, np.einsum: ops.einsum, np.reshape: ops.reshape, np.ravel: ops.ravel,
    np.transpose: ops.transpose, np.swapaxes: ops.swapaxes, np.moveaxis: ops.moveaxis, np.squeeze: ops.squeeze,
    np.expand_dims: ops.expand_dims, np.broadcast_to: ops.broadcast_to, np.concatenate: ops.concatenate,
    np.stack: ops.stack, np.split: ops.split, np.tile: ops.tile, np.repeat: ops.repeat, np.flip: ops.flip,
    np.roll: ops.roll, np.tril: ops.tril, np.triu: ops.triu, np.diagonal: ops.diagonal, np.trace: ops.trace,
    np.take: ops.take, np.take_along_axis: ops.take_along_axis, np.where: ops.where, np.clip: ops.clip,
    np.pad: lambda x, pad_width, mode="constant", constant_values=0.0: _constant_pad(x, pad_width, mode, constant_values),
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
    np.ones_like: lambda x, **kw: np.ones_like(x.numpy(), **kw), np.zeros_like: lambda x, **kw: np.zeros_like(x.numpy(), **kw),
}  # fmt: skip


def array_ufunc(self: Variable, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Run the operation that corresponds to a NumPy ufunc."""
    table = {"__call__": UFUNCS, "reduce": REDUCTIONS}.get(method, {})
    operation = table.get(ufunc)
    name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    if operation is None:
        raise _no_derivative(name)
    if method == "reduce":
        kwargs = {"axis": kwargs.pop("axis", 0), **kwargs}
    return _run(operation, name, inputs, kwargs)


def array_function(self: Variable, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Run the operation that corresponds to a NumPy function."""
    name = f"{function.__module__}.{function.__name__}"
    operation = FUNCTIONS.get(function)
    if operation is None:
        raise _no_derivative(name)
    return _run(operation, name, args, kwargs)


def _run(operation: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    given = {key: value for key, value in kwargs.items() if value is not None and not _is_no_value(value)}
    for refused in ("out", "where", "dtype", "initial", "casting", "order"):
        if refused in given:
            fix = "leave it out; x.astype(...) converts, ops.where chooses"
            raise NoDerivativeError(explain(f"{name}: the argument {refused}= is not supported on variables", fix=fix))
    try:
        return operation(*args, **given)
    except TypeError as error:
        if isinstance(error, NoDerivativeError) or "argument" not in str(error):
            raise
        raise NoDerivativeError(
            explain(f"{name} is not supported with these arguments on variables: {error}")
        ) from error


def _is_no_value(value: Any) -> bool:
    return type(value).__name__ == "_NoValueType"


def _vector_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
    axes = x.ndim if axis is None else len(axis) if isinstance(axis, (tuple, list)) else 1
    if ord is not None and axes > 1:  # a matrix norm in NumPy, and not the same number
        fix = "ops.norm is the vector norm over any axes"
        raise NoDerivativeError(
            explain("numpy.linalg.norm: matrix norms have no derivative here", got=f"ord={ord!r}", fix=fix)
        )
    return ops.norm(x, ord, axis, keepdims)


def _constant_pad(x: Any, pad_width: Any, mode: str, constant_values: float) -> Any:
    if mode != "constant":
        raise NoDerivativeError(explain("numpy.pad: only constant padding has a derivative here", got=f"mode={mode!r}"))
    return ops.pad(x, pad_width, constant_values)


def _no_derivative(name: str) -> NoDerivativeError:
    return NoDerivativeError(
        explain(
            f"{name} has no derivative here",
            fix="compose it from tinygrad_bn.ops, write a Primitive, or take the value with x.numpy() first",
        )
    )
