"""The one door through which leaves get new values.

Each value replaces the old array, and who has read that keeps it unchanged.  The exchange runs inside a single call into
C, where Python handles no signal: an interrupt (Ctrl-C) finds all leaves as they were, or all of them new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from itertools import chain, repeat

import numpy as np

from ..errors import ArgumentError, explain
from ..kinds import Raw, Value
from . import messages
from .mode import current_mode
from .variable import Variable, next_stamp

_set_data, _set_grad, _set_stamp = (vars(Variable)[name].__set__ for name in ("_data", "_grad", "stamp"))


def write(moves: Iterable[tuple[Variable, Value]], fresh: bool = False) -> None:
    """Give leaves new values: all of them, or none.

    Args:
        moves: leaves and their new values, in the leaf's shape, of a dtype that its dtype can hold.  Inside a
            recording the values are variables, and the program repeats the writing.
        fresh: nobody else holds the values, so they need not be copied.

    Raises:
        GraphError: a variable that is the result of an operation.
        ShapeError: a value of another shape.
        DTypeError: floating-point numbers for integers.
    """
    tape = current_mode().tape
    if tape is not None:
        tape.write(moves)
        return
    leaves, values = [], []
    for leaf, value in moves:
        if leaf.inputs is not None:
            leaf._check_leaf("it cannot be written to")
        leaves.append(leaf)
        values.append(fitted(leaf, value._data if isinstance(value, Variable) else value, fresh))
    exchange(leaves, values)


def reading(value: Value) -> Value:
    """What a formula outside the graph computes with: raw values; during a recording the variables themselves."""
    return value._data if isinstance(value, Variable) and current_mode().tape is None else value


def exchange(
    leaves: Collection[Variable],
    values: Iterable[Raw],
    graded: Collection[Variable] = (),
    gradients: Iterable[Variable | None] = (),
) -> None:
    """Give leaves values that fit them, and others (or the same) gradients, in one step."""
    touch(leaves)
    deque(chain(map(_set_data, leaves, values), map(_set_grad, graded, gradients)), 0)


def touch(leaves: Collection[Variable]) -> None:
    """Note that the arrays of leaves, which nothing else holds, contain other numbers: a backward pass that reads the earlier
    ones is refused.
    """
    deque(map(_set_stamp, leaves, repeat(next_stamp())), 0)


def set_gradients(variables: Collection[Variable], gradients: Iterable[Variable | None]) -> None:
    """Give all these variables their gradients, in one step; ``repeat(None)`` clears them."""
    tape = current_mode().tape
    if tape is not None:
        for variable in variables:
            tape.will_change(variable, "_grad")
    deque(map(_set_grad, variables, gradients), 0)


def forget_gradients(variables: Collection[Variable], set_to_none: bool = True) -> None:
    """What ``zero_grad`` does: clear all these gradients, or put zeros in the place of those that are there.

    Raises:
        ArgumentError: a setting that is neither True nor False.
    """
    if not isinstance(set_to_none, (bool, np.bool_)):
        raise ArgumentError(explain("zero_grad: set_to_none is True or False", got=repr(set_to_none)))
    if set_to_none:
        set_gradients(variables, repeat(None))
    else:
        old = [variable.grad for variable in variables]
        set_gradients(variables, [None if g is None else g.kind.wrap(np.zeros_like(g._data)) for g in old])


def fitted(leaf: Variable, value: Raw, fresh: bool = False) -> Raw:
    """A raw value in the shape, dtype and memory layout of a leaf, which nobody can write to."""
    if leaf.is_scalar_kind:
        return value if type(value) is float else leaf.to_data(value)
    old = leaf._data
    if type(value) is not np.ndarray:
        value = np.asarray(value)
    if value.shape != old.shape:
        raise messages.other_shape(leaf, value.shape)
    if value.dtype is old.dtype and value.strides == old.strides:
        if fresh and value.base is None:
            value.setflags(False)  # write=False, which takes twice the time by keyword
            return value
        if not value.flags.writeable and (fresh or value.base is None):
            return value
    if not np.can_cast(value.dtype, old.dtype, "same_kind"):  # 2.7 would become 2
        raise messages.other_kind(leaf, value.dtype)
    laid_out = np.empty_like(old)
    laid_out[...] = value
    laid_out.setflags(False)
    return laid_out
