"""One run of a program, on the states as they stand.

States are written in place where nobody but their leaf holds the array; who has kept one (``p.data``) keeps it unchanged, since
the leaf gets a copy first; so with gradients.  Results alternate between two sets of arrays, and who still holds one from the
run before last keeps that, too.  What is written is written in a single call, inside of which Python handles no signal, so an
interrupt finds all states old, or all of them new.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter, is_
from sys import getrefcount
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.write import exchange, set_gradients, touch
from ..kinds import Array, Raw
from ..program import Program
from ..program.parts import NUMBER
from ..program.trees import VALUE, put_together
from ..tensor import Scalar, Tensor
from .buffers import aligned, packed
from .driver import Driver
from .plan import Plan

DATA, GRAD = attrgetter("_data"), attrgetter("_grad")


class Native:
    """A program, compiled to C or to NumPy.

    Args:
        program: one without a free size.
        values: raw inputs and states, in order (``None`` for a state that is not read), for shapes and layouts.
        in_c: C; otherwise NumPy.

    Attributes:
        source: the text: C, if any, and the Python that calls it.
        grouped: the program, with the kernel that each step runs in as its scope.
        nbytes: memory between the units.
    """

    def __init__(self, program: Program, values: Sequence[Raw], in_c: bool) -> None:
        plan = self._plan = Plan(program, values, in_c)
        self.grouped, self.nbytes = plan.grouped() if in_c else None, plan.nbytes
        nodes = plan.low.nodes
        owners: list[Any] = [plan.state(number).place.owner for number, _ in program.writes]  # type: ignore[union-attr]
        of_gradient = [plan.state(number).place.key != "_data" for number, _ in program.writes]  # type: ignore[union-attr]
        found = [value is not None for _, value in program.writes]
        self._graded = [owner for owner, grad, some in zip(owners, of_gradient, found) if grad and some]
        self._cleared = [owner for owner, grad, some in zip(owners, of_gradient, found) if grad and not some]
        self._leaves: list[Variable] = [plan.state(nodes[n].number).place.owner for n in plan.leaves]  # type: ignore[arg-type, union-attr]
        self._written = self._leaves[: plan.written]
        self._extras = [leaf._extra() for leaf in self._written]
        self._shared = [UNSHARED] * plan.written  # what is counted where nobody shares
        self._numbers_written = [(s.place.owner, value) for s, _, value in plan.moved if s.dtype == NUMBER]
        self._inputs: list[Any] = [(plan.pointers[n], nodes[n].number, plan.strides(n)) for n in plan.inputs]
        self._only_arrays = len(plan.leaving) == len(plan.outputs) + len(plan.gradients)
        table = (ctypes.c_void_p * max(len(plan.pointers), 1))()
        self._arena = aligned(plan.nbytes)
        driver = self._driver = Driver(plan, table, self._arena)
        self._drive, self._numbers = driver.drive, driver.numbers
        self.source = f"{plan.source}\n/* The Python around it:\n\n{driver.source}*/\n" if in_c else driver.source
        self._constants = [_copy(plan.low.sample[nodes[n].number]) for n in plan.constants]  # type: ignore[index]
        for node, array in zip(plan.constants, self._constants):
            driver.bind(plan.pointers[node], array.ctypes.data)
        self._held: list[Any] = [None] * len(self._leaves)  # the arrays whose addresses stand in the table
        self._held_inputs: list[Any] = [None] * len(self._inputs)
        first = len(plan.pointers) - len(plan.leaving)
        arrays = [node for node in plan.outputs if node in plan.leaving]
        self._outputs = [_Leaving(plan, arrays, driver, first) for _ in range(2)]
        graded = [owner for owner, node in zip(self._graded, plan.gradients) if node in plan.leaving]
        nodes_of = [node for node in plan.gradients if node in plan.leaving]
        again = all(plan.is_last(plan.low.places[node].root) for node in nodes_of)  # all gradients are written at once
        sets = [
            _Leaving(plan, nodes_of, driver, first + len(arrays), graded if again else ()) for _ in range(2 - again)
        ]
        self._gradients = sets
        self._leaving = [leaving for leaving in (self._outputs, self._gradients) if leaving[0].variables]
        del plan.low.sample[:]

    def run(self, values: list[Raw]) -> Any:
        """One run on raw inputs and states: writes the states, and returns what the function returns."""
        for i, (place, number, strides) in enumerate(self._inputs):
            array = values[number]
            if array is not self._held_inputs[i]:
                if array.strides != strides:
                    values[number] = array = _laid_out(array, strides)
                self._driver.bind(place, array.__array_interface__["data"][0])
                self._held_inputs[i] = array
        now = list(map(DATA, self._leaves))
        if not all(map(is_, now, self._held)):
            self._look_again(now)
        if list(map(getrefcount, now[: len(self._written)])) != self._shared:
            self._copy_shared(now)
        for leaving in self._leaving:
            if not leaving[0].is_ready():  # the other set, then, unless there is but one
                leaving.reverse()
                leaving[0].stand_by(leaving[1:])
        self._drive(values)
        return self._commit()

    def _look_again(self, now: list[Any]) -> None:
        """Take the addresses of leaves that have other arrays than at the last run."""
        for i, (array, old) in enumerate(zip(now, self._held)):
            if array is not old:
                self._use(i, now, array if array.base is None and array.strides == packed(array) else _copy(array))

    def _copy_shared(self, now: list[Any]) -> None:
        """Give leaves that are written arrays of their own, where somebody else holds theirs."""
        _forget_shown(self._written)
        counts = list(map(getrefcount, now[: len(self._written)]))
        for i, count in enumerate(counts):
            if count > UNSHARED:
                self._use(i, now, _copy(now[i]))

    def _use(self, i: int, now: list[Any], array: Array) -> None:
        if array is not now[i]:
            exchange([self._leaves[i]], [array])
        self._held[i] = now[i] = array
        self._driver.bind(i, array.ctypes.data)

    def _commit(self) -> Any:
        plan, outputs, gradients = self._plan, self._outputs[0].variables, self._gradients[0].variables
        if self._written:
            touch(self._written, self._extras)
        if self._numbers_written:
            exchange(
                [leaf for leaf, _ in self._numbers_written], [self._number(node) for _, node in self._numbers_written]
            )
        if not self._only_arrays:
            arrays = iter(outputs + gradients)
            is_number = [plan.low.nodes[node].dtype == NUMBER for node in (*plan.outputs, *plan.gradients)]
            variables = [
                Scalar.wrap(self._number(node)) if number else next(arrays)
                for node, number in zip((*plan.outputs, *plan.gradients), is_number)
            ]
            outputs, gradients = variables[: len(plan.outputs)], variables[len(plan.outputs) :]
        if not all(map(is_, map(GRAD, self._graded), gradients)):
            set_gradients(self._graded, gradients)
        if self._cleared:
            set_gradients(self._cleared, repeat(None))
        if plan.program.gives == VALUE:
            return outputs[0]
        return put_together(plan.program.gives, iter(outputs), scalars=True)

    def _number(self, node: int) -> float:
        literals = self._plan.low.literals
        return float(literals[node] if node in literals else self._numbers[self._plan.numbers[node]])


class _Leaving:
    """Arrays and variables for what leaves a run, used again when nobody holds them any more.

    Args:
        plan: the plan of the program.
        nodes: what leaves.
        driver: what has to know the addresses.
        first: the place of the first in the table.
        owners: leaves whose gradients these are: that they hold them does not matter.
    """

    def __init__(
        self, plan: Plan, nodes: Sequence[int], driver: Driver, first: int, owners: Sequence[Variable] = ()
    ) -> None:
        self._kinds = [(plan.low.nodes[node].shape, plan.low.nodes[node].dtype, plan.strides(node)) for node in nodes]
        self._driver, self._first, self._owners = driver, first, owners
        n = len(nodes)
        self.variables: list[Variable] = [None] * n  # type: ignore[list-item]
        self._watched: list[Any] = [None] * (2 * n)  # arrays, then variables
        self._addresses = [0] * n
        for i in range(n):
            self._make(i)
        self._idle = self._counts()
        self._usual: list[int] | None = None  # counts at which nothing is to be done

    def _counts(self) -> list[int]:
        return list(map(getrefcount, self._watched))

    def is_ready(self) -> bool:
        """Whether the last run had the same arrays, and nobody holds them."""
        return self._usual == self._counts() and all(map(is_, map(GRAD, self._owners), self.variables))

    def _make(self, i: int) -> None:
        shape, dtype, strides = self._kinds[i]
        array = np.empty_like(np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides))
        variable = self.variables[i] = Tensor.wrap(array)
        self._watched[i], self._watched[i + len(self._kinds)] = array, variable
        self._addresses[i] = array.ctypes.data

    def stand_by(self, others: Sequence[_Leaving]) -> None:
        """Make anew what somebody still holds, and let the program write there, not to the others."""
        _forget_shown(self.variables)
        counts, idle, n = self._counts(), self._idle, len(self._kinds)
        owned = [0] * n
        if self._owners:
            owned = [int(owner._grad is variable) for owner, variable in zip(self._owners, self.variables)]
        for i, own in enumerate(owned):
            if counts[i] > idle[i] or counts[n + i] > idle[n + i] + own:
                self._make(i)
        for place, address in enumerate(self._addresses, self._first):
            self._driver.bind(place, address)
        for other in others:
            other._usual = None
        self._usual = [*idle[:n], *(count + bool(self._owners) for count in idle[n:])]


def _forget_shown(variables: Sequence[Variable]) -> None:
    """Let go of the views that ``.data`` has handed out, if nobody has them any more: they hold the arrays."""
    for variable in variables:
        extras = variable._extras
        if (
            extras is not None and extras.shown is not None and getrefcount(extras.shown[1]) == 2
        ):  # it, and the question
            extras.shown = None


def _copy(array: Array) -> Array:
    """A copy without gaps, with the axes in the same order, that nobody can write to."""
    made = np.empty_like(array)
    made[...] = array
    made.setflags(write=False)
    return made


def _laid_out(array: Array, strides: tuple[int, ...]) -> Array:
    """A copy with strides as those of the first call."""
    made = np.lib.stride_tricks.as_strided(np.empty(array.size, array.dtype), array.shape, strides)
    made[...] = array
    return made


def _unshared() -> int:
    """References to an array that only its leaf, two lists of the program and the question itself hold."""
    leaf = Tensor.wrap(np.zeros(1))
    now = [leaf._data]
    held = list(now)
    return max(map(getrefcount, now[: len(held)]))


UNSHARED = _unshared()
