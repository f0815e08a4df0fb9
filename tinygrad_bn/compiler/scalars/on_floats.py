"""What stands around a tape of scalars at each run: floats are read and written by thousands, without a loop in Python."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter
from sys import getrefcount

import numpy as np

from ...engine import Variable
from ...engine.write import exchange, set_gradients
from ...kinds import Raw
from ...program import Program
from ...program.run import read
from ...tensor import Scalar
from .in_c import ScalarsInC, is_in_c
from .packed import Packed
from .vectors import Scalars

DATA = attrgetter("_data")


class OnFloats:
    """A program on Python floats, and the states that it reads and writes.

    Args:
        program: one that ``suits``.
        in_c: C, where there is C for every operation; otherwise NumPy.
        exact: the same bits as the program itself, with NumPy.
    """

    def __init__(self, program: Program, in_c: bool, exact: bool) -> None:
        scalars = self._scalars = (ScalarsInC if in_c and is_in_c(program) else Scalars)(program, exact)
        self._packed = Packed(program)
        self.source, self.nbytes = scalars.source, scalars.nbytes
        first = self._inputs = len(program.inputs)
        read_ones = [(i, state) for i, state in enumerate(program.states, first) if i in program.reads]
        self._others = [(i, state) for i, state in read_ones if state.place.key != "_data"]
        self._leaves = [state.place.owner for _, state in read_ones if state.place.key == "_data"]
        self._places = np.array([i for i, state in read_ones if state.place.key == "_data"], np.intp)
        outputs = len(program.outputs)
        places = scalars.tape.leave.tolist()
        writes = [(program.states[i - first].place, value) for i, value in program.writes]
        written = list(zip([place for place, value in writes if value is not None], places[outputs:]))
        data = [(place.owner, i) for place, i in written if place.key == "_data"]
        gradients = [(place.owner, i) for place, i in written if place.key != "_data"]
        self._written = [owner for owner, _ in data]
        self._graded = [owner for owner, _ in gradients]
        self._cleared = [place.owner for place, value in writes if value is None]
        self._leave = np.array([*places[:outputs], *(i for _, i in data), *(i for _, i in gradients)], np.intp)
        self._cuts = outputs, outputs + len(data)
        self._gradients = self._new_gradients()

    @property
    def program(self) -> Program:
        """The program."""
        return self._packed.program()

    def programs(self) -> dict[str, Program]:
        """What it has become."""
        program = self.program
        return {"recorded": program, "grouped": self._scalars.tape.program(program)}

    def _new_gradients(self) -> list[Variable]:
        made: list[Variable] = [Scalar.wrap(0.0) for _ in self._graded]
        self._idle = max(map(getrefcount, made), default=0) + 1  # with the leaf that has it as its gradient
        return made

    def run(self, given: Sequence[Raw]) -> list[Variable]:
        """One run on raw inputs: reads and writes the states, and returns the outputs."""
        values = self._scalars.values
        values[: self._inputs] = given[: self._inputs]
        values[self._places] = list(map(DATA, self._leaves))
        for i, state in self._others:
            values[i] = read(state)
        with np.errstate(all="ignore"):
            self._scalars.compute()
        made = values.take(self._leave).tolist()
        outputs, data = self._cuts
        if max(map(getrefcount, self._gradients), default=0) > self._idle:  # somebody keeps one
            self._gradients = self._new_gradients()
        exchange(self._gradients, made[data:])
        exchange(self._written, made[outputs:data])
        set_gradients([*self._graded, *self._cleared], [*self._gradients, *repeat(None, len(self._cleared))])
        return list(map(Scalar.wrap, made[:outputs]))
