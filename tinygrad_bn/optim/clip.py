"""Keeping gradients within bounds, between ``backward`` and ``step``."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..engine import Variable
from ..errors import ArgumentError, GraphError, explain
from .given import listed
from .optimizer import Array, as_float


def clip_grad_norm_(
    parameters: Variable | Iterable[Variable],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients by one factor, so that together they are no longer than ``max_norm``.

    As torch.nn.utils.clip_grad_norm_: the factor is ``max_norm / (norm + 1e-6)``, or 1 where that is larger.  Each
    gradient becomes a new tensor outside of the graph, because its array may be shared with others.

    Args:
        parameters: whose gradients; those without one are passed over.
        max_norm: the largest norm allowed, > 0.
        norm_type: p of the p-norm, > 0; ``math.inf`` for the largest absolute value.
        error_if_nonfinite: raise, and change nothing, when the norm is NaN or infinite.

    Returns:
        The norm before, computed in float64; 0.0 without gradients.

    Raises:
        ArgumentError: a norm that is not positive, or a generator of parameters that is used up.
        GraphError: a norm that is not finite, if asked for.
    """
    if not (as_float(max_norm) > 0 and as_float(norm_type) > 0):
        got = f"max_norm={max_norm!r}, norm_type={norm_type!r}"
        raise ArgumentError(explain("clip_grad_norm_: both are numbers > 0", got=got))
    with_gradient = _with_gradient("clip_grad_norm_", parameters)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = [_norm(p.grad._data, norm_type) for p in with_gradient]
        total = _norm(np.array(norms), norm_type)
        if error_if_nonfinite and not math.isfinite(total):
            bad = [p.label for p, norm in zip(with_gradient, norms) if not math.isfinite(norm)]
            raise GraphError(
                explain(
                    "clip_grad_norm_: the gradients cannot be scaled", got=f"norm {total}, from {', '.join(bad) or 'all'}",
                    fix="lower the learning rate, or find the operation: with tg.detect_anomaly(): ...",
                )
            )  # fmt: skip
        factor = max_norm / (total + 1e-6)
        if not factor >= 1.0:  # so that a NaN spreads, as in PyTorch, instead of passing for a small norm
            for p in with_gradient:
                p.grad = p.grad.kind.wrap(np.asarray(p.grad._data * p.grad.dtype.type(factor)))
    return total


def clip_grad_value_(parameters: Variable | Iterable[Variable], clip_value: float) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value], as torch.nn.utils.clip_grad_value_.

    Args:
        parameters: whose gradients; those without one are passed over.
        clip_value: the bound, >= 0.

    Raises:
        ArgumentError: a negative bound, or a generator of parameters that is used up.
    """
    if not as_float(clip_value) >= 0:
        raise ArgumentError(explain("clip_grad_value_: the bound is a number >= 0", got=f"clip_value={clip_value!r}"))
    for p in _with_gradient("clip_grad_value_", parameters):
        bound = p.grad.dtype.type(clip_value)  # of the gradient's dtype, which a Python number widens in NumPy 1
        p.grad = p.grad.kind.wrap(np.asarray(np.clip(p.grad._data, -bound, bound)))


def _with_gradient(what: str, parameters: Variable | Iterable[Variable]) -> list[Variable]:
    given = listed(what, parameters)
    for p in given:
        if not isinstance(p, Variable) or p.is_scalar_kind:
            raise ArgumentError(explain("clipping takes tensors", got=repr(p), fix="pass model.parameters()"))
    return [p for p in given if p.grad is not None]


def _norm(array: Array, norm_type: float) -> float:
    if array.size == 0:
        return 0.0
    if norm_type == math.inf:
        return float(np.max(np.abs(array)))
    if norm_type == 2.0:
        return math.sqrt(np.sum(np.square(array, dtype=np.float64)))
    return float(np.sum(np.abs(array, dtype=np.float64) ** norm_type) ** (1.0 / norm_type))
