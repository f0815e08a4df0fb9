"""A program on Python floats as a tape: all its numbers in one vector, computed a group at a time.

Two steps that do the same operation and do not wait for each other can be one operation on vectors.  A step's level is one
more than the highest of what it takes, so steps of a level never wait for each other; those of one level and operation are a
group.  A chain of additions, ``((a + b) + c) + d``, counts as one step that adds from left to right: gradients come together
by hundreds, and would be hundreds of levels.

Python and NumPy round + - * / and the root alike, but not exp or tanh: what is not known to be the same to the last bit is
computed by the primitive's own function for floats, one element at a time, unless last bits may differ (``exact=False``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from ..engine import Primitive
from ..kinds import Array, Params, Raw
from ..ops.primitives import TABLE
from ..program import Constant, Program, Step
from ..program.parts import NUMBER

Apply = Callable[..., Any]  # from the operands, and last the array for the result
Terms = tuple[int, ...]  # which numbers a step takes

GIVEN, CONSTANT = -1, -2  # operations of what is no step
LARGEST_INT = 2**53  # up to here an int is a float
power, power_constant, square = TABLE["power"], TABLE["power_constant"], TABLE["square"]
SWAPS = ("add", "multiply")  # x, y gives the bits of y, x


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
        members: their numbers, in the order of their places.
        start: the place of the first; the others follow.
        terms: the places of what they take, a row for each member; for sums as many as there are terms.
    """

    level: int
    operation: Operation
    members: Sequence[int]
    start: int
    terms: Array

    @property
    def stop(self) -> int:
        """The place after the last."""
        return self.start + len(self.members)

    @property
    def title(self) -> str:
        """What it does, and how often."""
        name = str(self.operation)
        return (
            f"{name} of {self.terms.shape[1]} x {len(self.members)}" if self.is_sum else f"{name} x {len(self.members)}"
        )

    @property
    def is_sum(self) -> bool:
        """Whether it adds up more than two terms, from the first to the last."""
        return self.operation.primitive.name == "add" and self.terms.shape[1] > 2


class Tape:
    """The steps of a program that are needed, each once, in groups.

    Args:
        program: one that ``suits``.
        exact: keep every bit.  Otherwise sums within sums are one sum, and x + 0 is x.

    Attributes:
        groups: in the order in which they run.
        size: how many places there are: inputs and states, then constants, then the groups.
        constants: their places and values.
        leave: the places of what leaves: outputs, then written values.
    """

    def __init__(self, program: Program, exact: bool = True) -> None:
        self.program = program
        self._exact = exact
        self.operations: list[Operation] = []
        self._first = len(program.inputs) + len(program.states)
        self._codes = [GIVEN] * self._first  # of each number, which of the operations
        self._terms: list[Terms] = [()] * self._first
        self._steps: list[Step | None] = [None] * self._first  # where it comes from
        self._values: dict[int, float] = {}  # of constants
        self._known: dict[Any, int] = {}
        self._now = self._merge()
        leave = [self._now[i] for i in (*program.outputs, *(i for _, i in program.writes if i is not None))]
        needed, uses = self._needed(leave)
        self._add_up(needed, uses)
        self._place(self._grouped(needed))
        self.leave = self._places[leave]

    # -- each step once -----------------------------------------------------------------------------------------------------

    def _merge(self) -> list[int]:
        """Number the steps anew, equal ones alike; the new number of each old one."""
        program, known, constants = self.program, self._known, self._values
        now = list(range(self._first))
        now += [self._constant(float(constant.value)) if _is_number(constant) else -1 for constant in program.constants]
        codes: dict[Any, int] = {}
        for step in program.steps:
            primitive, params = step.primitive, step.params
            terms = tuple([now[i] for i in step.args])
            if (
                primitive is power_constant
            ):  # one group for all exponents; of what is squared only the last bit may differ
                squared = params["exponent"] == 2 and not self._exact
                terms = terms if squared else (*terms, self._constant(float(params["exponent"])))
                primitive, params = (square if squared else power), {}
            which = (primitive, repr(sorted(params.items()))) if params else primitive
            code = codes.get(which)
            if code is None:
                code = codes[which] = len(self.operations)
                self.operations.append(Operation(primitive, params))
            if len(terms) == 2 and terms[0] > terms[1] and primitive.name in SWAPS:
                terms = terms[::-1]
            number = known.get((code, terms)) if primitive.pure else None
            if number is None and primitive.pure and (len(terms) == 1 or not constants.keys().isdisjoint(terms)):
                number = self._shorter(primitive, terms, params)
            if number is None:
                number = len(self._codes)
                self._codes.append(code)
                self._terms.append(terms)
                self._steps.append(step)
            known[code, terms] = number
            now.append(number)
        return now

    def _constant(self, value: float) -> int:
        key = repr(value)  # tells 0.0 from -0.0
        if key not in self._known:
            number = self._known[key] = len(self._codes)
            self._values[number] = value
            self._codes.append(CONSTANT)
            self._terms.append(())
            self._steps.append(None)
        return self._known[key]

    def _shorter(self, primitive: Primitive, terms: Terms, params: Params) -> int | None:
        """A number that is there already, and has the same bits; up to the sign of a zero, where that is not asked for."""
        name, values = primitive.name, [self._values.get(i) for i in terms]
        if None not in values:
            return self._constant(float(primitive.on_floats(values, params)))
        if name in ("identity", "stop_gradient"):
            return terms[0]
        if name in ("multiply", "add"):
            neutral = 1.0 if name == "multiply" else None if self._exact else 0.0
            for value, other in zip(values, reversed(terms)):
                if value is not None and value == neutral:
                    return other
        if name == "divide" and values[1] == 1.0:
            return terms[0]
        return None

    # -- sums, levels, places -----------------------------------------------------------------------------------------------

    def _needed(self, leave: Sequence[int]) -> tuple[list[int], list[int]]:
        """The steps that are needed, in order, and how often each number is taken."""
        uses = [0] * len(self._codes)
        for i in leave:
            uses[i] += 2  # more than once: it is not a part of a sum alone
        for i, code in enumerate(self._codes):
            if code >= 0 and not self.operations[code].primitive.pure:
                uses[i] += 2
        needed = []
        for i in range(len(uses) - 1, self._first - 1, -1):
            if uses[i]:
                needed.append(i)
                for term in self._terms[i]:
                    uses[term] += 1
        return [i for i in reversed(needed) if self._codes[i] >= 0], uses

    def _add_up(self, needed: list[int], uses: list[int]) -> None:
        """Make a chain of additions one step: the last one takes all terms, the others none."""
        codes, all_terms = self._codes, self._terms
        add = next((code for code, (primitive, _) in enumerate(self.operations) if primitive.name == "add"), None)
        sums: dict[int, list[int]] = {}
        self._inside: set[int] = set()
        for i in needed:
            if codes[i] != add:
                continue
            x, y = all_terms[i]
            of_x = sums.pop(x) if uses[x] == 1 and x in sums else None
            of_y = sums.pop(y) if uses[y] == 1 and y in sums else None
            if of_x is None and of_y is None:
                sums[i] = [x, y]
                continue
            if of_x is None or (of_y is not None and len(of_y) > len(of_x)):
                x, y, of_x, of_y = y, x, of_y, of_x
            assert of_x is not None
            sums[i] = of_x
            self._inside.add(x)
            if of_y is None:
                of_x.append(y)
            elif self._exact:
                of_x.append(y)
                all_terms[y] = tuple(of_y)
            else:
                of_x.extend(of_y)
                self._inside.add(y)
        for i, terms in sums.items():
            all_terms[i] = tuple(terms)

    def _grouped(self, needed: list[int]) -> list[tuple[int, Operation, list[int]]]:
        """Level, operation and members of each group."""
        levels = [0] * len(self._codes)
        drawn = 0  # the level of the last draw: the next one comes after it
        found: dict[Any, list[int]] = {}
        draws = {code for code, (primitive, _) in enumerate(self.operations) if not primitive.pure}
        for i in needed:
            if i in self._inside:
                continue
            code, terms = self._codes[i], self._terms[i]
            level = 1 + max([levels[term] for term in terms])
            if code in draws:  # a group draws in order, but not two groups of one level
                level = drawn = max(level, drawn + (len(draws) > 1))
            levels[i] = level
            key = level, code, len(terms)
            if key in found:
                found[key].append(i)
            else:
                found[key] = [i]
        return [(level, self.operations[code], members) for (level, code, _), members in sorted(found.items())]

    def _place(self, groups: list[tuple[int, Operation, list[int]]]) -> None:
        """Give every number its place, and groups the places of what they take."""
        places = self._places = np.zeros(len(self._codes), np.intp)
        places[: self._first] = np.arange(self._first)
        constants = list(self._values)
        self.size = self._first + len(constants)
        places[constants] = np.arange(self._first, self.size)
        self.constants = np.array(list(self._values.values()), float)
        self.groups: list[Group] = []
        for level, operation, members in groups:
            terms = places[np.array([self._terms[i] for i in members], np.intp)]
            if len(members) > 1 and operation.primitive.pure:
                order = np.argsort(terms[:, 0], kind="stable")  # so that what they take often lies side by side
                members, terms = [members[i] for i in order], terms[order]
            self.groups.append(Group(level, operation, members, self.size, terms))
            places[members] = np.arange(self.size, self.size + len(members))
            self.size += len(members)

    # -- to look at -----------------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return "".join(f"{g.level:4}  v[{g.start}:{g.stop}] = {g.title}\n" for g in self.groups)

    def grouped(self) -> Program:
        """The tape as a program: a scope for each group, and sums as the additions that they are."""
        program = self.program
        add = next((operation for operation in self.operations if operation.primitive.name == "add"), None)
        constants = tuple(Constant(float(value), (), NUMBER) for value in self.constants)
        number = dict(enumerate(range(self._first + len(constants))))  # of each place
        steps: list[Step] = []

        def make(operation: Operation, args: Sequence[int], scope: tuple[str, ...], site: str) -> int:
            steps.append(Step(operation.primitive, tuple(args), operation.params, (), NUMBER, scope, site))
            return self._first + len(constants) + len(steps) - 1

        for group in self.groups:
            scope = (f"level {group.level}: {group.title}",)
            for member, place, terms in zip(group.members, range(group.start, group.stop), group.terms.tolist()):
                origin = self._steps[member]
                site = origin.site if origin is not None else ""
                args = [number[term] for term in terms]
                if group.is_sum and add is not None:
                    while len(args) > 2:
                        args[:2] = [make(add, args[:2], scope, site)]
                number[place] = make(group.operation, args, scope, site)
        return program.with_steps(constants, tuple(steps), lambda i: number[int(self._places[self._now[i]])])


class Scalars:
    """A tape, run by NumPy.

    Args:
        program: one that ``suits``.
        exact: the same bits as the program itself.

    Attributes:
        source: a line for each group.
        nbytes: memory of values and places.
        ready: for each value that leaves, ``True``: nobody can write to a float.
    """

    def __init__(self, program: Program, exact: bool = True) -> None:
        self.tape = tape = Tape(program, exact)
        self.source = str(tape)
        self.ready = [True] * len(tape.leave)
        first = len(program.inputs) + len(program.states)
        self._reads = np.array([i for i in sorted(program.reads) if i < first], np.intp)
        self._pick = itemgetter(*self._reads.tolist()) if len(self._reads) else None
        self._values = np.zeros(tape.size)
        self._values[first : first + len(tape.constants)] = tape.constants
        self._compute, nbytes = self._prepare(exact)
        self.nbytes = self._values.nbytes + nbytes

    def _prepare(self, exact: bool) -> tuple[Callable[[], None], int]:
        """What computes all groups, and the memory that it takes."""
        plan = [_planned(group, self._values, exact) for group in self.tape.groups]
        take = self._values.take

        def compute() -> None:
            for gathers, apply, operands in plan:
                for places, buffer in gathers:
                    take(places, None, buffer, "clip")  # "raise" would copy
                apply(*operands)

        return compute, sum(places.nbytes + buffer.nbytes for gathers, *_ in plan for places, buffer in gathers)

    def run(self, *given: Raw) -> tuple[float, ...]:
        """From the raw inputs and states to what leaves: outputs, then written values."""
        if self._pick is not None:
            self._values[self._reads] = self._pick(given)
        self._compute()
        return tuple(self._values.take(self.tape.leave).tolist())


Planned = tuple[list[tuple[Array, Array]], Apply, tuple[Array, ...]]


def _planned(group: Group, values: Array, exact: bool) -> Planned:
    """What to gather into which buffers, then what to call on which arrays."""
    out = values[group.start : group.stop]
    operation = group.operation
    if group.is_sum:
        places = np.ascontiguousarray(group.terms)
        buffer = np.empty(places.shape)
        return [(places, buffer)], _sum, (buffer, out)
    gathers, operands = [], []
    for places in group.terms.T:
        first, step = int(places[0]), int(places[1] - places[0]) if len(places) > 1 else 1
        if (np.diff(places) == step).all() and step >= 0:
            view = values[first : first + 1] if step == 0 else values[first : int(places[-1]) + 1 : step]
            operands.append(view)
        else:
            buffer = np.empty(len(places))
            gathers.append((np.ascontiguousarray(places), buffer))
            operands.append(buffer)
    return gathers, _applied(operation, exact), (*operands, out)


def _applied(operation: Operation, exact: bool) -> Apply:
    """The function of vectors for an operation on floats."""
    primitive, params = operation
    if primitive.name in SAME and not params:
        return SAME[primitive.name]
    if not exact and primitive.elementwise and primitive.pure and primitive is not power:  # NumPy's differs for -inf
        return partial(_by_arrays, partial(primitive.forward, **params))
    return partial(_one_by_one, operation)


# -- operations with the bits of Python's ----------------------------------------------------------------------------------------


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


SAME: dict[str, Apply] = {
    "square": _square,
    "reciprocal": _reciprocal,
    "relu": _relu,
    "where": _where,
    "maximum": _maximum,
    "minimum": _minimum,
} | {
    ufunc.__name__: ufunc
    for ufunc in (
        np.add, np.subtract, np.multiply, np.divide, np.negative, np.sqrt, np.sign, np.floor, np.ceil, np.trunc, np.rint,
        np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal,
        np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.isfinite, np.isinf, np.isnan,
    )
} | {"abs": np.fabs}  # fmt: skip
