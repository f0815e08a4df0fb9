"""A tape of scalars, run by NumPy: for each group, what it takes is gathered, and one function computes all of it.

Python and NumPy round + - * / and the root alike, but not exp or tanh: what is not known to be the same to the last bit is
computed by the primitive's own function for floats, one element at a time, unless last bits may differ (``exact=False``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..kinds import Array, Raw
from ..program import Program
from .tape import Group, Operation, power, tape_of


class Scalars:
    """A tape, run by NumPy.

    Args:
        program: one that ``suits``.
        exact: the same bits as the program itself.

    Attributes:
        source: a line for each group.
        nbytes: memory of values and places.
        ready: for each value that leaves, ``True``: nobody can write to a float.
        values: the vector; ``compute`` makes all of it of the inputs, states and constants in front.
    """

    def __init__(self, program: Program, exact: bool = True) -> None:
        self.tape = tape = tape_of(program, exact)
        self.source = str(tape)
        self.ready = [True] * len(tape.leave)
        first = len(program.inputs) + len(program.states)
        self._reads = [i for i in sorted(program.reads) if i < first]
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

    def run(self, *given: Raw) -> tuple[float, ...]:
        """From the raw inputs and states to what leaves: outputs, then written values."""
        self.values[self._reads] = [given[i] for i in self._reads]
        self.compute()
        return tuple(self.values.take(self.tape.leave).tolist())


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
    if primitive.name in SAME and not params:
        return SAME[primitive.name]
    if not exact and primitive.elementwise and primitive.pure and primitive is not power:  # NumPy's differs for -inf
        return partial(_by_arrays, partial(primitive.forward, **params))
    return partial(_one_by_one, operation)


# -- operations with the bits of Python's ----------------------------------------------------------------------------


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


def _square(x: Array, out: Array) -> None:
    np.multiply(x, x, out)


def _reciprocal(x: Array, out: Array) -> None:
    np.divide(1.0, x, out)


def _relu(x: Array, out: Array) -> None:
    np.maximum(x, 0.0, out=out)
    np.add(out, 0.0, out)  # -0.0 becomes 0.0


def _where(condition: Array, x: Array, y: Array, out: Array) -> None:
    np.copyto(out, y)
    np.copyto(out, x, where=condition != 0.0)


def _maximum(x: Array, y: Array, out: Array) -> None:
    np.copyto(out, x)
    np.copyto(out, y, where=(y > x) | (y != y))


def _minimum(x: Array, y: Array, out: Array) -> None:
    np.copyto(out, x)
    np.copyto(out, y, where=(y < x) | (y != y))


UFUNCS: tuple[Any, ...] = (
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.sqrt, np.sign, np.floor, np.ceil, np.trunc, np.rint,
    np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.logical_and, np.logical_or,
    np.logical_xor, np.logical_not, np.isfinite, np.isinf, np.isnan,
)  # fmt: skip
SAME: dict[str, Apply] = {
    **{ufunc.__name__: ufunc for ufunc in UFUNCS},
    "abs": np.fabs,
    "square": _square,
    "reciprocal": _reciprocal,
    "relu": _relu,
    "where": _where,
    "maximum": _maximum,
    "minimum": _minimum,
}
