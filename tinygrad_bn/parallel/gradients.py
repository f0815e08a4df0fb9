"""Gradients of the mean over the rows of all ranks, and models that begin alike on all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engine import Variable, no_grad, shape_of, write
from ..engine.mode import current_mode
from ..engine.sweep import as_gradient, gradients
from ..engine.write import set_gradients
from ..errors import ArgumentError, DTypeError, explain
from ..kinds import Value
from ..ops import concatenate, reshape, transpose
from ..tensor import Scalar
from .collectives import all_reduce_sum, broadcast


def backward(loss: Variable, parameters: Iterable[Variable], rows: int, total: float | None = None) -> None:
    """``loss.backward()`` for the mean over the rows of all ranks, added to ``.grad`` on each rank alike.

    ::

        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), labels)  # the mean over this rank's rows
        parallel.backward(loss, model.parameters(), rows=len(x))
        optimizer.step()

    Each rank's loss counts by its rows *before* the backward pass: what comes back through a ``SyncBatchNorm`` is the sum
    of what all ranks send, so gradients could not be weighted afterwards.

    Args:
        loss: one number, a mean over this rank's rows; of no rows, whatever depends on the parameters.
        parameters: which get a gradient, in the same order on every rank; those that require none are skipped.
        rows: how many rows this rank has; 0 is fine where others have some.
        total: how many all ranks have, where that is known; otherwise they tell each other.

    Raises:
        ArgumentError: no rows on any rank, or a number of rows below 0.
        CollectiveError: ranks with other parameters, see ``all_reduce``.
        DTypeError: scalars among the parameters.
    """
    wanted = [p for p in parameters if p.requires_grad]
    if any(p.is_scalar_kind for p in wanted):
        raise DTypeError(explain("parallel.backward: parameters are tensors", got="a Scalar"))
    if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)) or rows < 0:
        raise ArgumentError(explain("parallel.backward: rows", got=repr(rows), expected="a whole number >= 0"))
    recorded = current_mode().tape is not None
    own: Value = Scalar(float(rows), requires_grad=False) if recorded else float(rows)
    whole: Value = all_reduce_sum(own, at="rows of parallel.backward") if total is None else total
    if not recorded and not whole:
        raise ArgumentError(explain("parallel.backward: no rows on any rank"))
    found = gradients([loss * (own / whole)], wanted)
    with no_grad():
        summed = _summed(wanted, found, recorded)
        new = [
            p.grad if g is None else as_gradient(p, g) if p.grad is None else p.grad + g for p, g in zip(wanted, summed)
        ]
    set_gradients(wanted, new)


def _summed(parameters: list[Variable], found: list[Any], recorded: bool) -> list[Value | None]:
    """The sums over all ranks, in one exchange per dtype; ``None`` where no rank has a gradient."""
    summed: list[Value | None] = [None] * len(found)
    for dtype in sorted({p.dtype.name for p in parameters}):
        group = [i for i, p in enumerate(parameters) if p.dtype.name == dtype]
        parts: list[Value] = []
        for i in group:
            p, g = parameters[i], found[i]
            g = np.zeros(p.shape, dtype) if g is None else g if recorded else g._data
            parts.append(reshape(transpose(g) if _column_major(p) else g, (-1,)))
        # Which of them there are: a value like others, but part of the program in a recording.
        there = np.array([found[i] is not None for i in group], dtype)
        shapes = [("F" if _column_major(parameters[i]) else "C", *parameters[i].shape) for i in group]
        flat = all_reduce_sum(concatenate([*parts, there]), at=f"gradients of {shapes}")
        first = sum(shape_of(part)[0] for part in parts)
        for k, i in reversed(list(enumerate(group))):
            p = parameters[i]
            first -= p.size
            g = flat[first : first + p.size]
            if found[i] is not None or (not recorded and flat[k - len(group)]):
                summed[i] = transpose(reshape(g, p.shape[::-1])) if _column_major(p) else reshape(g, p.shape)
    return summed


def _column_major(p: Variable) -> bool:
    """Laid out so in memory; its gradient is kept so too, which makes the optimizer's update fast."""
    return bool(p.ndim > 1 and p._data.flags.f_contiguous and not p._data.flags.c_contiguous)


def broadcast_parameters(module: Any) -> None:
    """Give every rank the parameters and buffers that the module has on rank 0.

    Raises:
        CollectiveError: another rank has a module of other shapes.
    """
    with no_grad():
        leaves = [*module.parameters(), *module.buffers()]
        write([(leaf, broadcast(leaf.data)) for leaf in leaves])
