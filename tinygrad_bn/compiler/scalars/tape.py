"""A program on Python floats as a tape: all its numbers in one vector, computed a group at a time.

Two steps that do the same operation and do not wait for each other can be one operation on vectors.  A step's level is one
more than the highest of what it takes, so steps of a level never wait for each other; those of one level and operation are a
group.  A chain of additions, ``((a + b) + c) + d``, counts as one step that adds from left to right: gradients come together
by hundreds, and would be hundreds of levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...engine import Primitive
from ...kinds import Array, Params
from ...ops.primitives import TABLE
from ...program import Constant, Program, Step
from ...program.parts import NUMBER

Terms = tuple[int, ...]  # which numbers a step takes

NO_STEP = -1  # the operation of what is given
LARGEST_INT = 2**53  # up to here an int is a float
add, power, power_constant, square = (TABLE[name] for name in ("add", "power", "power_constant", "square"))


def suits(program: Program) -> bool:
    """Whether every value of a program is a Python float."""
    return (
        len(program) > 0
        and all(step.dtype == NUMBER for step in program.steps)
        and all(_is_number(program.entry(i)) for i in program.reads)
    )


def _is_number(entry: Any) -> bool:
    if not isinstance(entry, Constant):
        return bool(entry.dtype == NUMBER)
    return type(entry.value) is float or (type(entry.value) is int and abs(entry.value) <= LARGEST_INT)


class Operation(NamedTuple):
    """A primitive with its parameters."""

    primitive: Primitive
    params: Params

    def __str__(self) -> str:
        return ", ".join([self.primitive.name, *(f"{name}={value!r}" for name, value in self.params.items())])


class Group(NamedTuple):
    """Steps that are computed as one.

    Attributes:
        level: all that they take is computed on lower levels.
        operation: which.
        steps: which steps of the program they are, in the order of their places.
        start: the place of the first; the others follow.
        terms: the places of what they take, a row for each member; for sums as many as there are terms.
    """

    level: int
    operation: Operation
    steps: Array
    start: int
    terms: Array

    @property
    def stop(self) -> int:
        """The place after the last."""
        return self.start + len(self.steps)

    @property
    def title(self) -> str:
        """What it does, and how often."""
        name = str(self.operation)
        return f"{name} of {self.terms.shape[1]} x {len(self.steps)}" if self.is_sum else f"{name} x {len(self.steps)}"

    @property
    def is_sum(self) -> bool:
        """Whether it adds up more than two terms, from the first to the last."""
        return self.operation.primitive.name == "add" and self.terms.shape[1] > 2


class Tape(NamedTuple):
    """The steps of a program that are needed, in groups.

    Attributes:
        groups: in the order in which they run.
        size: how many places there are: inputs and states, then constants, then the groups.
        constants: their values.
        leave: the places of what leaves: outputs, then written values.
    """

    groups: list[Group]
    size: int
    constants: Array
    leave: Array

    def __str__(self) -> str:
        return "".join(f"{g.level:4}  v[{g.start}:{g.stop}] = {g.title}\n" for g in self.groups)

    def program(self, program: Program) -> Program:
        """The tape of a program as a program: a scope for each group, and sums as the additions that they are."""
        given = len(program.inputs) + len(program.states)
        constants = tuple(Constant(float(value), (), NUMBER) for value in self.constants)
        numbers = list(range(given + len(constants)))  # of each place
        steps: list[Step] = []

        def make(operation: Operation, args: Sequence[int], scope: tuple[str, ...], site: str) -> int:
            steps.append(Step(operation.primitive, tuple(args), operation.params, (), NUMBER, scope, site))
            return given + len(constants) + len(steps) - 1

        for group in self.groups:
            scope = (f"level {group.level}: {group.title}",)
            for origin, terms in zip(group.steps.tolist(), group.terms.tolist()):
                args, site = [numbers[term] for term in terms], program.steps[origin].site
                while group.is_sum and len(args) > 2:
                    args[:2] = [make(group.operation, args[:2], scope, site)]
                numbers.append(make(group.operation, args, scope, site))
        leave = iter([numbers[place] for place in self.leave])
        outputs = tuple([next(leave) for _ in program.outputs])
        writes = tuple([(state, None if value is None else next(leave)) for state, value in program.writes])
        return replace(program, constants=constants, steps=tuple(steps), outputs=outputs, writes=writes)


def tape_of(program: Program, exact: bool = True) -> Tape:
    """The tape of a program that ``suits``; linear in its steps.

    Args:
        program: the program.
        exact: keep every bit.  Otherwise sums within sums are one sum, and a power of 2 is a square.
    """
    builder = _Builder(program, exact)
    leave = [*program.outputs, *(i for _, i in program.writes if i is not None)]
    needed, uses = builder.needed(leave)
    inside = builder.add_up(needed, uses)
    return builder.place(builder.group(needed, inside), leave)


class _Builder:
    """Numbers as the program has them: inputs and states, constants, steps; exponents, as more constants, at the end."""

    def __init__(self, program: Program, exact: bool) -> None:
        self._exact = exact
        self._given, self._first = len(program.inputs) + len(program.states), program.first_step
        self._operations: list[Operation] = []
        self._codes = [NO_STEP] * self._first  # of each number, which of the operations
        self._terms: list[Terms] = [()] * self._first
        exponents: dict[float, int] = {}
        known: dict[Any, int] = {}
        params: Any
        for primitive, terms, params, *_ in program.steps:
            if primitive is power_constant:  # one group for all exponents; of a square only the last bit may differ
                exponent = float(params["exponent"])
                if exponent == 2 and not exact:
                    primitive = square
                else:
                    number = exponents.setdefault(exponent, self._first + len(program.steps) + len(exponents))
                    primitive, terms = power, (*terms, number)
                params = {}
            which = (primitive, repr(sorted(params.items()))) if params else primitive
            code = known.get(which)
            if code is None:
                code = known[which] = len(self._operations)
                self._operations.append(Operation(primitive, params))
            self._codes.append(code)
            self._terms.append(terms)
        self._codes += [NO_STEP] * len(exponents)
        self._terms += [()] * len(exponents)
        of_program = [float(constant.value) if _is_number(constant) else math.nan for constant in program.constants]
        self._constants = [*of_program, *exponents]

    def needed(self, leave: Sequence[int]) -> tuple[list[int], list[int]]:
        """The steps that are needed, in order, and how often each number is taken."""
        uses = [0] * len(self._codes)
        for i in leave:
            uses[i] += 2  # more than once: it is not a part of a sum alone
        for i, code in enumerate(self._codes):
            if code >= 0 and not self._operations[code].primitive.pure:
                uses[i] += 2
        needed = []
        for i in range(len(uses) - 1, self._first - 1, -1):
            if uses[i] and self._codes[i] != NO_STEP:
                needed.append(i)
                for term in self._terms[i]:
                    uses[term] += 1
        return needed[::-1], uses

    def add_up(self, needed: list[int], uses: list[int]) -> set[int]:
        """Let the last one of a chain of additions take all terms; the others, which are returned, are inside of it."""
        codes, all_terms = self._codes, self._terms
        adds = {code for code, (primitive, _) in enumerate(self._operations) if primitive is add}
        sums: dict[int, list[int]] = {}
        inside: set[int] = set()
        for i in needed:
            if codes[i] not in adds:
                continue
            x, y = all_terms[i]
            of_x = sums.pop(x, None) if uses[x] == 1 else None
            of_y = sums.pop(y, None) if uses[y] == 1 else None
            if of_x is None and of_y is None:
                sums[i] = [x, y]
                continue
            if of_x is None or (of_y is not None and len(of_y) > len(of_x)):
                x, y, of_x, of_y = y, x, of_y, of_x
            assert of_x is not None
            sums[i] = of_x
            inside.add(x)
            if of_y is None:
                of_x.append(y)
            elif self._exact:
                of_x.append(y)
                all_terms[y] = tuple(of_y)
            else:
                of_x.extend(of_y)
                inside.add(y)
        for i, terms in sums.items():
            all_terms[i] = tuple(terms)
        return inside

    def group(self, needed: list[int], inside: set[int]) -> list[tuple[int, Operation, list[int]]]:
        """Level, operation and members of each group."""
        levels = [0] * len(self._codes)
        drawn = 0  # the level of the last draw: the next one comes after it
        found: dict[Any, list[int]] = {}
        draws = {code for code, (primitive, _) in enumerate(self._operations) if not primitive.pure}
        for i in needed:
            if i in inside:
                continue
            code, terms = self._codes[i], self._terms[i]
            level = 1 + max([levels[term] for term in terms])
            if code in draws:  # a group draws in order, but not two groups of one level
                level = drawn = max(level, drawn + (len(draws) > 1))
            levels[i] = level
            found.setdefault((level, code, len(terms)), []).append(i)
        return [(level, self._operations[code], members) for (level, code, _), members in sorted(found.items())]

    def place(self, groups: list[tuple[int, Operation, list[int]]], leave: Sequence[int]) -> Tape:
        """Give every number its place."""
        places, size = np.zeros(len(self._codes), np.intc), self._given + len(self._constants)
        constants = [*range(self._given, self._first), *range(len(places) - (size - self._first), len(places))]
        places[: self._given] = np.arange(self._given)
        places[constants] = np.arange(self._given, size)
        made = []
        for level, operation, numbers in groups:
            members, terms = np.array(numbers, np.intp), places[np.array([self._terms[i] for i in numbers], np.intp)]
            if len(members) > 1 and operation.primitive.pure:
                order = np.argsort(terms[:, 0], kind="stable")  # so that what they take often lies side by side
                members, terms = members[order], terms[order]
            made.append(Group(level, operation, members - self._first, size, terms))
            places[members] = np.arange(size, size + len(members))
            size += len(members)
        return Tape(made, size, np.array(self._constants, float), places[leave])
