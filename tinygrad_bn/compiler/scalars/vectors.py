"""A tape of scalars, run by NumPy: for each group, what it takes is gathered, and one function computes all of it.

Python and NumPy round + - * / and the root alike, but not exp or tanh: what is not known to be the same to the last bit is
computed by the primitive's own function for floats, one element at a time, unless last bits may differ (``exact=False``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...kinds import Array
from ...program import Program
from .tape import Group, Operation, power, tape_of


class Scalars:
    """A tape, run by NumPy.

    Args:
        program: one that ``suits``.
        exact: the same bits as the program itself.

    Attributes:
        source: a line for each group.
        nbytes: memory of values and places.
        values: the vector; ``compute`` makes all of it of the inputs, states and constants in front.
    """

    def __init__(self, program: Program, exact: bool = True) -> None:
        self.tape = tape = tape_of(program, exact)
        self.source = str(tape)
        first = len(program.inputs) + len(program.states)
        self.values = np.zeros(tape.size)
        self.values[first : first + len(tape.constants)] = tape.constants
        self.compute, nbytes = self._prepare(exact)
        self.nbytes = self.values.nbytes + nbytes

    def _prepare(self, exact: bool) -> tuple[Callable[[], None], int]:
        """What computes all groups, and the memory that it takes."""
        plan = [_planned(group, self.values, exact) for group in self.tape.groups]
        take = self.values.take

        def compute() -> None:
            for gathers, apply, operands in plan:
                for places, buffer in gathers:
                    take(places, None, buffer, "clip")  # "raise" would copy
                apply(*operands)

        return compute, sum(places.nbytes + buffer.nbytes for gathers, *_ in plan for places, buffer in gathers)


Apply = Callable[..., Any]  # from the operands, and last the array for the result
Planned = tuple[list[tuple[Array, Array]], Apply, tuple[Array, ...]]


def _planned(group: Group, values: Array, exact: bool) -> Planned:
    """What to gather into which buffers, then what to call on which arrays."""
    out = values[group.start : group.stop]
    operation = group.operation
    if group.is_sum:
        places = group.terms.astype(np.intp)
        buffer = np.empty(places.shape)
        return [(places, buffer)], _sum, (buffer, out)
    gathers, operands = [], []
    for places in group.terms.T:
        first, step = int(places[0]), int(places[1] - places[0]) if len(places) > 1 else 1
        if (
            step >= 0 and (np.diff(places) == step).all()
        ):  # a part of the vector as it is; of one place, it is broadcast
            operand: Array = values[first : int(places[-1]) + 1 : max(step, 1)]
        else:
            operand = np.empty(len(places))
            gathers.append((places.astype(np.intp), operand))
        operands.append(operand)
    return gathers, _applied(operation, exact), (*operands, out)


def _applied(operation: Operation, exact: bool) -> Apply:
    """The function of vectors for an operation on floats."""
    primitive, params = operation
    forward: Any = primitive.forward
    if not params and (forward in ROUNDED_ALIKE or (isinstance(forward, np.ufunc) and not primitive.differentiable)):
        return forward  # type: ignore[no-any-return]
    if primitive.name in SAME:
        return partial(_by_arrays, SAME[primitive.name])
    if not exact and primitive.elementwise and primitive.pure and primitive is not power:  # NumPy's differs for -inf
        return partial(_by_arrays, partial(forward, **params))
    return partial(_one_by_one, operation)


def _sum(terms: Array, out: Array) -> None:
    np.add.accumulate(terms, 1, None, terms)  # in order; a reduction would add up in pairs
    out[:] = terms[:, -1]


def _by_arrays(forward: Apply, *operands: Array) -> None:
    operands[-1][:] = forward(*operands[:-1])


def _one_by_one(operation: Operation, *operands: Array) -> None:
    primitive, params = operation
    out = operands[-1]
    columns = [np.broadcast_to(operand, out.shape).tolist() for operand in operands[:-1]]
    scalar = primitive.scalar
    try:
        if params or scalar is None or not primitive.pure:
            raise ValueError
        out[:] = list(map(scalar, *columns))
    except (ArithmeticError, ValueError):
        out[:] = [primitive.on_floats(row, params) for row in zip(*columns)]


# -- functions of vectors with the bits of Python's; so are NumPy's comparisons and the like -------------------------------

ROUNDED_ALIKE = {
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.sqrt, np.square, np.reciprocal, np.abs, np.sign, np.floor,
    np.ceil, np.trunc, np.rint,
}  # fmt: skip
SAME: dict[str, Apply] = {
    "relu": lambda x: np.maximum(x, 0.0) + 0.0,  # -0.0 becomes 0.0
    "where": lambda condition, x, y: np.where(condition != 0.0, x, y),
    "maximum": lambda x, y: np.where((y > x) | (y != y), y, x),
    "minimum": lambda x, y: np.where((y < x) | (y != y), y, x),
}
