"""One run of a program, on the states as they stand.

States are written in place where nobody but their leaf holds the array; who has kept one (``p.data``) keeps it unchanged, since
the leaf gets a copy first.  Gradients and results lie in the arrays of the last run, unless somebody has kept those.  What is
written is written in a single call, inside of which Python handles no signal, so an interrupt finds all states old, or all of
them new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import attrgetter, is_
from sys import getrefcount
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.write import exchange, set_gradients, touch
from ..kinds import Array, Raw, Shape
from ..program import Program, State
from ..program.parts import NUMBER
from ..program.run import read
from ..tensor import Scalar, Tensor
from .buffers import aligned, alike
from .driver import Driver
from .plan import Plan

DATA, GRAD, EXTRAS = attrgetter("_data"), attrgetter("_grad"), attrgetter("_extras")


class Native:
    """A program, compiled to C or to NumPy.

    Args:
        program: one without a free size.
        raw: inputs, for shapes and layouts.
        in_c: C; otherwise NumPy.

    Attributes:
        program: that.
        source: the text: C, if any, and the Python that calls it.
        nbytes: memory between the units.
    """

    def __init__(self, program: Program, raw: Sequence[Raw], in_c: bool) -> None:
        self.program = program
        inputs = [value.copy("K") if type(value) is np.ndarray else value for value in raw]  # which become read-only
        states = [read(s) if i in program.reads else None for i, s in enumerate(program.states, len(inputs))]
        plan = self._plan = Plan(program, [*inputs, *states], in_c)
        nodes, roots, pointers = plan.low.nodes, plan.roots, plan.pointers
        self._grouped, self.nbytes = plan.grouped() if in_c else None, plan.nbytes
        self._arena = aligned(plan.nbytes)
        driver = Driver(plan, self._arena)
        self._bind, self._drive, self._numbers = driver.bind, driver.drive, driver.numbers
        self.source = f"{plan.source}\n/* The Python around it:\n\n{driver.source}*/\n" if in_c else driver.source
        self._no_states: list[Any] = [None] * len(program.states)
        self._settings = [(i, _reader(s)) for i, s in plan.states.items() if i in program.reads and not _is_array(s)]
        self._inputs: list[Any] = [(pointers[n], nodes[n].number, plan.strides(n)) for n in plan.inputs]
        self._last_inputs: list[Any] = [None] * len(self._inputs)
        self._constants = [_laid_out(plan.low.sample[nodes[n].number], plan.strides(n)) for n in plan.constants]  # type: ignore[index]
        for node, array in zip(plan.constants, self._constants):
            driver.bind(pointers[node], array)
        self._leaves: list[Variable] = [plan.states[nodes[n].number].place.owner for n in plan.leaves]  # type: ignore[index]
        self._layouts = [(pointers[n], plan.strides(n)) for n in plan.leaves]  # the place of the address, and strides
        self._written = self._leaves[: plan.written]
        self._numbers_written = [(state.place.owner, n) for state, _, n in plan.moved if state.dtype == NUMBER]
        self._leaving = {
            n: _Leaving(nodes[n].shape, nodes[n].dtype, plan.strides(n), partial(driver.bind, pointers[roots(n)]))
            for n in plan.leaving
        }
        self._results = [self._leaving[n] for n in plan.outputs if n in self._leaving]
        graded = [(owner, n) for owner, n in plan.gradients if n in self._leaving]
        self._owners, self._gradients = [owner for owner, _ in graded], [self._leaving[n] for _, n in graded]
        # Only what is written all at once can be written over while leaves have it.
        self._writes_over = all(plan.is_last(roots(n)) for _, n in graded)
        self._usual = (
            [ALONE + 2] * plan.written + [ALONE + 1] * len(graded) + [ALONE + 4] * len(graded)
        )  # see ``_look``
        self._idle = [ALONE + 1] * len(self._results)
        self._watch_nothing()
        self._watch_results()
        del plan.low.sample[:]

    def programs(self) -> dict[str, Program | None]:
        """What it has become; the last one has the kernel that each step runs in as its scope."""
        return {"simplified": self.program, "grouped": self._grouped}

    def run(self, raw: Sequence[Raw]) -> list[Variable]:
        """One run on raw inputs: reads and writes the states, and returns the outputs."""
        values = [*raw, *self._no_states]
        for i, now in self._settings:
            values[i] = now()
        for k, (place, i, strides) in enumerate(self._inputs):
            array: Any = values[i]
            if array is not self._last_inputs[k]:
                is_so = array.strides == strides and array.flags.aligned
                array = self._last_inputs[k] = array if is_so else _laid_out(array, strides)
                self._bind(place, array)
        if references(self._watched_results) != self._idle:
            self._watch_results()
        is_new = self._look() != self._usual
        if is_new:
            self._settle()
        self._drive(values)
        return self._commit(is_new)

    # -- what others hold ---------------------------------------------------------------------------------------------------

    def _look(self) -> list[int] | None:
        """How many references there are to what is written over; ``None`` where leaves have other arrays or gradients, or
        somebody has changed such a gradient.

        To the array of a leaf there are two more from lists here, to the variable of a gradient three, and one from its leaf;
        to the array of a gradient one more from ``_Leaving``.
        """
        found = [*map(DATA, self._leaves), *map(GRAD, self._owners)]
        changed = not all(map(is_, found, self._found)) or any(
            map(EXTRAS, self._variables)
        )  # a gradient has got a name
        return None if changed else references(self._watched)

    def _watch_nothing(self) -> None:
        self._found: list[Any] = [None] * (len(self._leaves) + len(self._owners))
        self._watched: list[Any] = []
        self._variables: list[Variable] = []

    def _settle(self) -> None:
        """Take the arrays that leaves have now.  What will be written over is copied, or made anew, where others hold it."""
        self._watch_nothing()
        for leaf in self._written:
            _forget_shown(leaf)
        arrays = list(map(DATA, self._leaves))
        for i, (count, (place, strides)) in enumerate(zip(references(arrays), self._layouts)):
            is_shared = i < len(self._written) and count > ALONE
            if is_shared or arrays[i].base is not None or not alike(arrays[i].shape, arrays[i].strides, strides):
                arrays[i] = _laid_out(arrays[i], strides)
                exchange([self._leaves[i]], [arrays[i]])
            self._bind(place, arrays[i])
        for owner, gradient in zip(self._owners, self._gradients):
            if not self._writes_over or gradient.is_held(owner):
                gradient.make()
        self._variables = [gradient.variable for gradient in self._gradients]
        of_gradients = [gradient.array for gradient in self._gradients]
        self._watched = [*arrays[: len(self._written)], *of_gradients, *self._variables]
        self._found = [*arrays, *self._variables]

    def _watch_results(self) -> None:
        """Make the arrays of results anew where others hold them."""
        self._watched_results: list[Any] = []
        for result in self._results:
            if references([result.array]) != [ALONE + 1]:
                result.make()
        self._watched_results = [result.array for result in self._results]

    # -- what a run gives ---------------------------------------------------------------------------------------------------

    def _commit(self, is_new: bool) -> list[Variable]:
        plan = self._plan
        if self._written:
            touch(self._written)
        if self._numbers_written:
            leaves, numbers = zip(*self._numbers_written)
            exchange(leaves, map(self._number, numbers))
        if is_new or len(self._owners) < len(plan.gradients):
            gradients = [
                self._leaving[n].variable if n in self._leaving else self._result(n) for _, n in plan.gradients
            ]
            set_gradients([owner for owner, _ in plan.gradients], gradients)
        if plan.cleared:
            set_gradients(plan.cleared, repeat(None))
        if not self._writes_over:
            self._watch_nothing()
        return [self._result(n) for n in plan.outputs]

    def _result(self, node: int) -> Variable:
        leaving = self._leaving.get(node)
        return Scalar.wrap(self._number(node)) if leaving is None else Tensor.wrap(leaving.array)

    def _number(self, node: int) -> float:
        literals = self._plan.low.literals
        return float(literals[node] if node in literals else self._numbers[self._plan.numbers[node]])


class _Leaving:
    """An array that leaves; ``bind`` tells the program of a new one.  A gradient is the same variable each time; a result is
    not, since whoever gets it may change it: name it, or let it want a gradient.
    """

    def __init__(self, shape: Shape, dtype: str, strides: Shape, bind: Callable[[Array], None]) -> None:
        self._like = np.lib.stride_tricks.as_strided(
            np.empty(1, dtype), shape, strides
        )  # whose memory is never touched
        self._bind = bind
        self.make()

    def make(self) -> None:
        """A new one."""
        self.array = np.empty_like(self._like)
        self.variable = Tensor.wrap(self.array)
        self._bind(self.array)

    def is_held(self, owner: Variable) -> bool:
        """Whether somebody besides ``owner``, whose gradient it is, keeps it or its variable, or has changed the variable."""
        _forget_shown(self.variable)
        extras = self.variable._extras
        if extras is not None:
            if extras.name is not None or extras.hooks or extras.renewed:
                return True
            if extras.shown is None:  # nothing is left of what was shown
                self.variable._extras = None
        usual = [ALONE + 1, ALONE + (owner._grad is self.variable)]
        return self.variable._data is not self.array or references([self.array, self.variable]) != usual


def references(things: Sequence[Any]) -> list[int]:
    """How many there are to each."""
    return list(map(getrefcount, things))


def _alone() -> int:
    """How many ``references`` finds to an array that one variable has."""
    leaf = Tensor.wrap(np.zeros(1))
    return references([leaf._data])[0]


ALONE = _alone()


def _forget_shown(variable: Variable) -> None:
    """Let go of the view that ``.data`` has handed out, if nobody has it any more: it holds the array."""
    extras = variable._extras
    if extras is not None and extras.shown is not None and getrefcount(extras.shown[1]) == 2:  # it, and the question
        extras.shown = None


def _is_array(state: State) -> bool:
    return state.place.key == "_data" and state.dtype != NUMBER


def _reader(state: State) -> Callable[[], Raw]:
    return partial(DATA, state.place.owner) if state.place.key == "_data" else partial(read, state)


def _laid_out(array: Array, strides: Shape) -> Array:
    """A copy in these strides, that nobody can write to."""
    made = np.empty_like(np.lib.stride_tricks.as_strided(array, array.shape, strides))
    made[...] = array
    made.setflags(write=False)
    return made
