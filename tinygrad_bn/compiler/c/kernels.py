"""A kernel as C: nested loops, in as many passes over the reduced axes as there are reductions that wait for each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...program.parts import NUMBER
from ..grouping import Kernel
from ..lower import COUNT, REDUCTION, Lowered
from .operations import DTYPES, REDUCTIONS, expression, literal, types

BLOCK = 128  # columns at a time: their sums stay in the nearest cache
LONG = 4096  # a sum of more float32 numbers is added up in float64
INDEPENDENT = "#pragma GCC ivdep"


class Axis(NamedTuple):
    """A loop: its length, whether it is reduced, and how far each node's memory moves with it, in elements."""

    n: int
    reduced: bool
    strides: dict[int, int]


class Access(NamedTuple):
    """When a kernel touches memory, and where: in which pass, and whether for full values, before which come the small ones."""

    turn: tuple[int, bool]
    at: str


def nest(loops: Sequence[str], body: Sequence[str], pragma: str = "") -> list[str]:
    """Lines inside of loops, of which the innermost one may have a pragma."""
    heads = [f"{loop} {{" for loop in loops]
    heads[-1:-1] = [pragma] if pragma and heads else []
    return [*heads, *body, *["}"] * len(loops)] if body else []


def index(steps: Iterable[tuple[str, int]], offset: int) -> str:
    """Where an element lies: the sum of variables, each times its step."""
    parts = [variable if step == 1 else f"{variable} * {step}" for variable, step in steps if step]
    return " + ".join([*parts, *([str(offset)] if offset or not parts else [])])


class KernelText:
    """The text of one kernel.

    Full values are locals ``t``, small ones ``s``: one number, or an array for a block of columns where the innermost axis is
    not reduced.

    Attributes:
        lines: the text.
        reads, writes: for the nodes that own the memory, when it is touched.
    """

    def __init__(self, lowered: Lowered, kernel: Kernel) -> None:
        self._lowered, self._nodes, self._kernel = lowered, lowered.nodes, kernel
        self.reads: dict[int, list[Access]] = {}
        self.writes: dict[int, list[Access]] = {}
        self._reductions = [n for n in kernel.members if self._nodes[n].kind == REDUCTION]
        self._full = {n for n in kernel.members if kernel.is_full(self._nodes[n].shape)}
        self._stages()
        self._axes = self._loops()
        self._vars = [f"i{k}" for k in range(len(self._axes))]
        loops = [f"for (I i{k} = 0; i{k} < {axis.n}; i{k}++)" for k, axis in enumerate(self._axes)]
        self._swept = [loop for loop, axis in zip(loops, self._axes) if axis.reduced or not kernel.axes]
        around = [loop for loop in loops if loop not in self._swept]
        self._columns: list[str] = []  # the loop over those that have small values of their own, which are arrays
        self._width = ""
        head: list[str] = []
        if around and loops[-1] == around[-1]:
            around[-1:], head = self._by_columns(self._axes[-1].n)
        self._in_turns = not around  # otherwise one round's last pass comes before the next one's first
        self._read_once: dict[str, str] = {}  # what does not change in a pass
        self.lines = nest(around, [*head, *self._passes()])

    def reads_before(self, old: int, new: int) -> bool:
        """Whether an element of the memory of ``old`` was read for the last time when that of ``new`` is written there."""
        (write,) = self.writes[new]
        return all(
            (self._in_turns and read.turn < write.turn) or (read.turn <= write.turn and read.at == write.at)
            for read in self.reads[old]
        )

    # -- passes -----------------------------------------------------------------------------------------------------------

    def _stages(self) -> None:
        """In which pass a member is computed, from which on its value is there, and what is in memory for a later pass."""
        self._stage: dict[int, int] = {}
        self._there: dict[int, int] = {}
        for number in self._kernel.members:
            self._stage[number] = max((self._there.get(i, 0) for i in self._nodes[number].args), default=0)
            self._there[number] = self._stage[number] + (number in self._reductions)
        last = dict(self._stage)  # the last pass that needs it
        for number in reversed(self._kernel.members):
            when = last[number] if number in self._kernel.again else self._stage[number]
            last.update({i: max(last[i], when) for i in self._nodes[number].args if i in last})
        self._costly = self._full - self._kernel.again
        self._in_memory = self._kernel.stored.union(n for n in self._costly if self._stage[n] < last[n])

    # -- loops ------------------------------------------------------------------------------------------------------------

    def _strides(self, number: int) -> list[int]:
        """How far a node's memory moves along each axis of the domain."""
        rank = len(self._kernel.domain)
        strides = self._lowered.places[number].strides
        found = [0 if n == 1 else s for n, s in zip(self._nodes[number].shape, strides)]
        return [*[0] * (rank - len(found)), *found[max(len(found) - rank, 0) :]]

    def _loops(self) -> list[Axis]:
        """The axes of the domain, along memory as well as can be; those that nothing tells apart are one."""
        args = {i for number in self._kernel.members for i in self._nodes[number].args}
        strides = {i: self._strides(i) for i in self._in_memory | args}
        lengths, reduced = self._kernel.domain or (1,), self._kernel.axes
        axes = [
            Axis(n, k - len(lengths) in reduced, {i: along[k] if along else 0 for i, along in strides.items()})
            for k, n in enumerate(lengths)
            if n != 1 or len(lengths) == 1
        ]
        widest = max(strides, key=lambda i: (math.prod(self._nodes[i].shape), i), default=None)
        if widest is not None and all(axis.strides[widest] for axis in axes):
            axes.sort(key=lambda axis: -axis.strides[widest])
        merged = axes[:1]
        for axis in axes[1:]:
            last = merged[-1]
            if last.reduced == axis.reduced and all(last.strides[i] == axis.strides[i] * axis.n for i in strides):
                merged[-1] = Axis(last.n * axis.n, axis.reduced, axis.strides)
            else:
                merged.append(axis)
        return merged

    def _by_columns(self, n: int) -> tuple[list[str], list[str]]:
        """The innermost loop where it is not reduced becomes that of each value; a long one goes by blocks."""
        blocks = n > 2 * BLOCK
        width = BLOCK if blocks else n
        w = "w" if n % width else str(width)
        self._columns, self._width = [f"for (I j = 0; j < {w}; j++)"], f"[{width}]"
        self._vars[-1] = "(b + j)" if blocks else "j"
        around = [f"for (I b = 0; b < {n}; b += {width})"] * blocks
        return around, [f"const I w = {n} - b < {width} ? {n} - b : {width};"] if n % width else []

    # -- values -----------------------------------------------------------------------------------------------------------

    def _element(self, number: int, touched: dict[int, list[Access]]) -> str:
        """A node's element in its memory."""
        place = self._lowered.places[number]
        at = index(zip(self._vars, (axis.strides[number] for axis in self._axes)), place.offset)
        if self._nodes[place.root].op == COUNT:
            return f"({at})"
        touched.setdefault(place.root, []).append(Access(self._now, at))
        return f"m{place.root}[{at}]"

    def _local(self, number: int) -> str:
        return f"t{number}" if number in self._full else f"s{number}[j]" if self._columns else f"s{number}"

    def _argument(self, number: int, dtype: str) -> str:
        """How a member's text calls what it takes."""
        literals, root = self._lowered.literals, self._lowered.places[number].root
        if root in literals:
            return literal(float(literals[root]), dtype)
        own = self._nodes[number].dtype
        if own == NUMBER:
            text = f"n{number}"
        elif number in self._stage and (number not in self._costly or self._stage[number] == self._now[0]):
            text = self._local(number)
        elif self._columns or any(axis.strides[number] for axis in self._axes if axis.reduced or not self._kernel.axes):
            text = self._element(number, self.reads)
        else:
            text = f"r{number}"
            self._read_once[text] = f"const {DTYPES[own]} {text} = {self._element(number, self.reads)};"
        return text if own == dtype else f"(({DTYPES[dtype]}){text})"

    def _value(self, number: int) -> str:
        node = self._nodes[number]
        wanted = types(node.op, [self._nodes[i].dtype for i in node.args], node.dtype)
        args = [self._argument(i, dtype) for i, dtype in zip(node.args, wanted)]
        return expression(node.op, args, node.dtype, node.params.get("exponent"))

    def _type(self, number: int) -> str:
        node = self._nodes[number]
        many = node.op == "sum" and math.prod(self._kernel.domain[axis] for axis in node.params["axis"]) > LONG
        return "double" if many else DTYPES[node.dtype]

    # -- the loops' bodies ------------------------------------------------------------------------------------------------

    def _passes(self) -> list[str]:
        small = [n for n in self._kernel.members if n not in self._full]
        lines: list[str] = []
        for stage in range(max(self._there.values()) + 1):
            self._now = stage, False
            there = [n for n in small if self._there[n] == stage]
            stored = [n for n in there if n in self._kernel.stored]
            computed = [n for n in there if n not in self._reductions]
            lines += nest(self._columns, self._statements(computed, [], stored), INDEPENDENT)
            self._now = stage, True
            lines += self._pass(stage)
        return [*(f"{self._type(n)} s{n}{self._width};" for n in small), *self._read_once.values(), *lines]

    def _pass(self, stage: int) -> list[str]:
        """One pass over the reduced axes, or, where there are none, over all."""
        full = {n for n in self._full if self._stage[n] == stage}
        reductions = [n for n in self._reductions if self._stage[n] == stage]
        needed = {n for n in full if n in self._costly or n in self._in_memory}
        for number in reversed(self._kernel.members):  # what this pass computes again
            if number in needed or number in reductions:
                needed.update(i for i in self._nodes[number].args if i in self._kernel.again)
        accumulations = [(n, REDUCTIONS[self._nodes[n].op]) for n in reductions]
        first = [f"{self._local(n)} = {accumulation.first};" for n, accumulation in accumulations]
        each = (f"reduction({accumulation.name}:s{n})" for n, accumulation in accumulations)
        pragma = f"#pragma omp simd {' '.join(each)}" if reductions and not self._columns else INDEPENDENT
        point = self._statements(sorted(needed), reductions, sorted(full & self._in_memory))
        return [*nest(self._columns, first), *nest([*self._swept, *self._columns], point, pragma)]

    def _statements(self, computed: Iterable[int], reductions: Iterable[int], stored: Iterable[int]) -> list[str]:
        """What happens at one point or in one column: values, then sums, then what is stored."""
        lines = []
        for number in computed:
            kind = f"const {DTYPES[self._nodes[number].dtype]} " if number in self._full else ""
            lines.append(f"{kind}{self._local(number)} = {self._value(number)};")
        for number in reductions:
            node = self._nodes[number]
            step = REDUCTIONS[node.op].step
            lines.append(f"{step.format(self._local(number), self._argument(node.args[0], node.dtype))};")
        return [*lines, *(f"{self._element(n, self.writes)} = {self._local(n)};" for n in stored)]
