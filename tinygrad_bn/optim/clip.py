"""Keeping gradients within bounds, between ``backward`` and ``step``."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .. import ops
from ..engine import Variable, no_grad
from ..engine.mode import current_mode
from ..errors import ArgumentError, GraphError, explain
from ..kinds import Value
from .given import listed
from .settings import as_float


def clip_grad_norm_(
    parameters: Variable | Iterable[Variable],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Value:
    """Scale all gradients by one factor, so that together they are no longer than ``max_norm``.

    As torch.nn.utils.clip_grad_norm_: the factor is ``max_norm / (norm + 1e-6)``, or 1 where that is larger.  Each
    gradient becomes a new tensor outside the graph, because its array may be shared with others.

    Args:
        parameters: whose gradients; those without one are skipped.
        max_norm: the largest norm allowed, > 0.
        norm_type: p of the p-norm, > 0; ``math.inf`` for the largest absolute value.
        error_if_nonfinite: raise, and change nothing, when the norm is NaN or infinite (not during a recording, where
            no value is known).

    Returns:
        The norm before, computed in float64; 0.0 without gradients.  During a recording a tensor, as it differs from
        run to run.

    Raises:
        ArgumentError: a norm that is not positive, or a generator of parameters that is used up.
        GraphError: a norm that is not finite, if asked for.
    """
    if not (as_float(max_norm) > 0 and as_float(norm_type) > 0):
        got = f"max_norm={max_norm!r}, norm_type={norm_type!r}"
        raise ArgumentError(explain("clip_grad_norm_: both are numbers > 0", got=got))
    with_gradient = _with_gradient("clip_grad_norm_", parameters)
    recording = current_mode().tape is not None
    with no_grad(), np.errstate(over="ignore", invalid="ignore"):
        norms = [_norm(p.grad.detach(), norm_type) for p in with_gradient if p.size]
        if not norms:
            return 0.0
        total = _norm(ops.stack(norms), norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            bad = [p.label for p, norm in zip(with_gradient, norms) if not math.isfinite(norm.item())]
            raise GraphError(
                explain(
                    "clip_grad_norm_: the gradients cannot be scaled",
                    got=f"norm {total.item()}, from {', '.join(bad) or 'all'}",
                    fix="lower the learning rate, or find the operation: with tg.detect_anomaly(): ...",
                )
            )
        factor = ops.minimum(max_norm / (total + 1e-6), 1.0)  # a NaN spreads, as in PyTorch, rather than pass for small
        if recording or factor.item() != 1.0:
            for p in with_gradient:
                p.grad = p.grad.detach() * ops.astype(factor, p.grad.dtype)
    return total if recording else float(total.item())


def clip_grad_value_(parameters: Variable | Iterable[Variable], clip_value: float) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value], as torch.nn.utils.clip_grad_value_.

    Args:
        parameters: whose gradients; those without one are skipped.
        clip_value: the bound, >= 0.

    Raises:
        ArgumentError: a negative bound, or a generator of parameters that is used up.
    """
    if not as_float(clip_value) >= 0:
        raise ArgumentError(explain("clip_grad_value_: the bound is a number >= 0", got=f"clip_value={clip_value!r}"))
    with no_grad():
        for p in _with_gradient("clip_grad_value_", parameters):
            p.grad = ops.clip(p.grad.detach(), -float(clip_value), float(clip_value))


def _with_gradient(what: str, parameters: Variable | Iterable[Variable]) -> list[Variable]:
    given = listed(what, parameters)
    for p in given:
        if not isinstance(p, Variable) or p.is_scalar_kind:
            raise ArgumentError(explain("clipping takes tensors", got=repr(p), fix="pass model.parameters()"))
    return [p for p in given if p.grad is not None]


def _norm(x: Value, norm_type: float) -> Value:
    """The norm of all elements, at least one, in float64."""
    if norm_type == math.inf:
        return ops.astype(ops.max(ops.abs(x)), float)
    x = ops.astype(x, float)
    if norm_type == 2.0:
        return ops.sqrt(ops.sum(ops.square(x)))
    return ops.sum(ops.abs(x) ** float(norm_type)) ** (1.0 / norm_type)
