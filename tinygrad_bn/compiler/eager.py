"""What stands around straight-line NumPy at each run: the states get their new values all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.write import exchange, fitted, set_gradients
from ..kinds import Raw
from ..program import Program
from ..program.parts import NUMBER
from ..program.trees import VALUE, put_together
from ..tensor import Scalar, Tensor
from .straight import Straight


class Eager:
    """A program, compiled to NumPy.

    Args:
        program: one without a free size.
        values: raw inputs and states, in order (``None`` for a state that is not read), for shapes and layouts.
    """

    def __init__(self, program: Program, values: Sequence[Raw]) -> None:
        self._program = program
        first = len(program.inputs)
        states = [program.states[number - first] for number, value in program.writes if value is not None]
        cleared = [program.states[number - first] for number, value in program.writes if value is None]
        self._is_data = [state.place.key == "_data" for state in states]
        self._written = [state.place.owner for state in states if state.place.key == "_data"]
        self._graded = [state.place.owner for state in states if state.place.key != "_data"]
        self._cleared = [state.place.owner for state in cleared]
        like = [
            state.place.owner._data if is_data and state.dtype != NUMBER else None
            for state, is_data in zip(states, self._is_data)
        ]
        straight = Straight(program, values, [*[None] * len(program.outputs), *like])
        ready = [fits for fits, is_data in zip(straight.ready[len(program.outputs) :], self._is_data) if is_data]
        self._unfit = [i for i, fits in enumerate(ready) if not fits]
        self._run = straight.run
        self.source, self.nbytes = straight.source, straight.nbytes

    def run(self, values: Sequence[Raw]) -> Any:
        """One run on raw inputs and states: writes the states, and returns what the function returns."""
        with np.errstate(all="ignore"):
            made = self._run(*values)
        outputs = len(self._program.outputs)
        data: list[Raw] = []
        gradients: list[Raw] = []
        for is_data, value in zip(self._is_data, made[outputs:]):
            (data if is_data else gradients).append(value)
        for i in self._unfit:
            data[i] = fitted(self._written[i], data[i], fresh=True)
        if data:
            exchange(self._written, data)
        if self._graded or self._cleared:
            found = [owner.kind.wrap(value) for owner, value in zip(self._graded, gradients)]
            set_gradients([*self._graded, *self._cleared], [*found, *[None] * len(self._cleared)])
        if self._program.gives == VALUE:
            return wrapped(made[0])
        return put_together(self._program.gives, iter([wrapped(value) for value in made[:outputs]]), scalars=True)


def wrapped(value: Raw) -> Variable:
    """A constant variable around a result."""
    return Scalar.wrap(value) if type(value) is float else Tensor.wrap(value)
