"""A kernel as C: nested loops, in as many passes over the reduced axes as there are reductions that wait for each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..program.parts import NUMBER
from .c_operations import CHEAP, DTYPES, QUESTIONS, expression, literal
from .grouping import AGAIN, Kernel, source_of
from .lower import REDUCTION, Lowered

BLOCK = 64  # columns at a time: their sums stay in the nearest cache
LONG = 4096  # a sum of more float32 numbers is added up in float64
FIRST = {"sum": "0", "max": "-INFINITY", "min": "INFINITY"}


class Axis(NamedTuple):
    """A loop: its length, whether it is reduced, and how far each node's memory moves with it, in elements."""

    n: int
    reduced: bool
    strides: dict[int, int]


class Access(NamedTuple):
    """When a kernel touches memory: the pass (small values before full ones), and where in it."""

    turn: int
    at: str


class KernelText:
    """The text of one kernel.

    Attributes:
        lines: the text.
        kept: members that are in memory for a later pass alone.
        reads, writes: for the nodes that own the memory, when it is touched.
        numbers: the Python numbers that it takes.
    """

    def __init__(self, lowered: Lowered, kernel: Kernel) -> None:
        self._lowered, self._kernel = lowered, kernel
        self._nodes, self._members = lowered.nodes, set(kernel.members)
        self.lines: list[str] = []
        self.reads: dict[int, list[Access]] = {}
        self.writes: dict[int, list[Access]] = {}
        self.numbers: set[int] = set()
        self._indent = 1
        self._turn = 0
        self._again = self._cheap()
        self._stages()
        self.kept = self._kept()
        self._axes = self._loops()
        self._blocked = bool(kernel.axes) and not self._axes[-1].reduced
        self._vars = [f"i{k}" for k in range(len(self._axes))]
        self._write()

    # -- passes -----------------------------------------------------------------------------------------------------------

    def _is_full(self, number: int) -> bool:
        node = self._nodes[number]
        return node.kind != REDUCTION and self._kernel.is_full(node.shape)

    def _source(self, number: int) -> int:
        return source_of(self._lowered, number)

    def _cheap(self) -> set[int]:
        """Members that a later pass computes once more, rather than keep them in memory."""
        cost: dict[int, int] = {}
        for number in self._kernel.members:
            node = self._nodes[number]
            if self._is_full(number):
                inner = sum(cost.get(self._source(i), 0) for i in node.args)
                cost[number] = CHEAP[node.op] + inner if node.op in CHEAP else AGAIN + 1
        return {number for number, total in cost.items() if total <= AGAIN}

    def _stages(self) -> None:
        """In which pass a member is computed, and from which on its value is there."""
        self._stage: dict[int, int] = {}
        self._there: dict[int, int] = {}
        for number in self._kernel.members:
            inner = [s for i in self._nodes[number].args if (s := self._source(i)) in self._members]
            stage = max((self._there[s] for s in inner), default=0)
            self._stage[number] = stage
            self._there[number] = stage + (self._nodes[number].kind == REDUCTION)

    def _kept(self) -> set[int]:
        found = set()
        for number in self._kernel.members:
            for arg in self._nodes[number].args:
                source = self._source(arg)
                kept = source in self._members and self._is_full(source) and source not in self._again
                if kept and self._stage[source] < self._stage[number]:
                    found.add(source)
        for number in self._again:  # what is computed again may need what is not
            for arg in self._nodes[number].args:
                source = self._source(arg)
                if (
                    source in self._members
                    and self._is_full(source)
                    and source not in self._again
                    and self._used_later(number)
                ):
                    found.add(source)
        return found - self._kernel.stored

    def _used_later(self, number: int) -> bool:
        return any(
            self._stage[reader] > self._stage[number]
            for reader in self._kernel.members
            if number in map(self._source, self._nodes[reader].args)
        )

    # -- loops ------------------------------------------------------------------------------------------------------------

    def _strides(self, number: int) -> list[int]:
        """How far a node's memory moves along each axis of the domain."""
        rank = len(self._kernel.domain)
        shape, strides = self._nodes[number].shape, self._lowered.places[number].strides
        found = [0 if n == 1 else s for n, s in zip(shape, strides)]
        return [0] * (rank - len(found)) + found[max(len(found) - rank, 0) :]

    def _loops(self) -> list[Axis]:
        touched = {n for n in self._members if n in self._kernel.stored or n in self.kept}
        for number in self._members:
            touched.update(s for i in self._nodes[number].args if not self._is_number(s := self._source(i)))
        strides = {number: self._strides(number) for number in touched}
        domain = self._kernel.domain
        reduced = self._kernel.axes or ()
        axes = [
            Axis(n, k in reduced, {number: along[k] for number, along in strides.items()})
            for k, n in enumerate(domain)
            if n != 1
        ]
        if not axes:
            return [Axis(1, bool(reduced), dict.fromkeys(touched, 0))]
        widest = max(touched, key=lambda n: (math.prod(self._nodes[n].shape), n), default=None)
        if widest is not None and all(axis.strides[widest] for axis in axes):
            axes.sort(key=lambda axis: -axis.strides[widest])
        merged = [axes[0]]
        for axis in axes[1:]:
            last = merged[-1]
            if last.reduced == axis.reduced and all(last.strides[n] == axis.strides[n] * axis.n for n in touched):
                merged[-1] = Axis(last.n * axis.n, axis.reduced, axis.strides)
            else:
                merged.append(axis)
        return merged

    # -- texts ------------------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self.lines.append("  " * self._indent + text)

    @contextmanager
    def _loop(self, head: str) -> Iterator[None]:
        self._line(f"{head} {{")
        self._indent += 1
        yield
        self._indent -= 1
        self._line("}")

    @contextmanager
    def _loops_over(self, axes: Iterable[int]) -> Iterator[None]:
        axes = list(axes)
        if not axes:
            yield
            return
        k, *rest = axes
        with self._loop(f"for (I i{k} = 0; i{k} < {self._axes[k].n}; i{k}++)"), self._loops_over(rest):
            yield

    def _is_number(self, source: int) -> bool:
        return self._nodes[source].dtype == NUMBER or self._lowered.places[source].root in self._lowered.literals

    def _at(self, number: int) -> str:
        """The index of a node's element in its memory."""
        place = self._lowered.places[number]
        parts = [
            var if axis.strides[number] == 1 else f"{var} * {axis.strides[number]}"
            for var, axis in zip(self._vars, self._axes)
            if axis.strides.get(number)
        ]
        return " + ".join([*parts, *([str(place.offset)] if place.offset or not parts else [])])

    def _memory(self, number: int) -> str:
        root, index = self._lowered.places[number].root, self._at(number)
        self.reads.setdefault(root, []).append(Access(self._turn, index))
        return f"m{root}[{index}]"

    def _argument(self, arg: int, number: int, dtype: str) -> str:
        """How a member's text calls one of its arguments."""
        source = self._source(arg)
        literals, root = self._lowered.literals, self._lowered.places[source].root
        if root in literals:
            return literal(float(literals[root]), dtype)
        if self._nodes[source].dtype == NUMBER:
            self.numbers.add(source)
            return f"(({DTYPES[dtype]})n{source})"
        if source not in self._members:
            text = self._memory(source)
        elif not self._is_full(source):
            text = f"s{source}[j]" if self._blocked else f"s{source}"
        elif self._stage[source] == self._stage_now or source in self._again:
            text = f"t{source}"
        else:
            text = self._memory(source)
        return text if self._nodes[source].dtype == dtype else f"(({DTYPES[dtype]}){text})"

    def _value(self, number: int) -> str:
        node = self._nodes[number]
        dtypes = [self._nodes[self._source(i)].dtype for i in node.args]
        if node.op in QUESTIONS:
            arrays = [d for d in dtypes if d != NUMBER]
            common = "float64" if len(set(arrays)) != 1 or (arrays[0][0] != "f" and NUMBER in dtypes) else arrays[0]
            wanted = [common] * len(dtypes)
        else:
            wanted = [node.dtype] * len(dtypes)
            if node.op == "where":
                wanted[0] = dtypes[0] if dtypes[0] != NUMBER else "float64"
            if node.op == "astype":
                wanted[0] = dtypes[0] if dtypes[0] != NUMBER else "float64"
        args = [self._argument(i, number, dtype) for i, dtype in zip(node.args, wanted)]
        return expression(node.op, args, node.dtype, node.params.get("exponent"))

    def _store(self, number: int, value: str) -> str:
        root, index = self._lowered.places[number].root, self._at(number)
        self.writes.setdefault(root, []).append(Access(self._turn, index))
        return f"m{root}[{index}] = {value};"

    # -- the loops' bodies ------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        kernel = self._kernel
        self._line("{")
        if not kernel.axes:
            self._stage_now = 0
            with self._loops_over(range(len(self._axes) - 1)):
                self._line("#pragma GCC ivdep")
                with self._loops_over([len(self._axes) - 1]):
                    self._full(kernel.members, [])
        else:
            outer = [k for k, axis in enumerate(self._axes) if not axis.reduced]
            if self._blocked:
                outer.pop()
            with self._loops_over(outer):
                if self._blocked:
                    columns = self._axes[-1].n
                    width = columns if columns <= 2 * BLOCK else BLOCK
                    with self._loop(f"for (I b = 0; b < {columns}; b += {width})"):
                        whole = columns % width == 0
                        self._line(
                            f"const I w = {width};"
                            if whole
                            else f"const I w = {columns} - b < {width} ? {columns} - b : {width};"
                        )
                        self._vars[-1] = "(b + j)"
                        self._passes(width)
                else:
                    self._passes(0)
        self._line("}")

    def _passes(self, width: int) -> None:
        small = [n for n in self._kernel.members if not self._is_full(n)]
        for number in small:
            kind = (
                self._sum_type(number) if self._nodes[number].kind == REDUCTION else DTYPES[self._nodes[number].dtype]
            )
            self._line(f"{kind} s{number}{f'[{width}]' if width else ''};")
        for stage in range(max(self._there.values()) + 1):
            self._stage_now = stage
            self._small([n for n in small if self._there[n] == stage], width)
            full = [n for n in self._kernel.members if self._is_full(n) and self._stage[n] == stage]
            reductions = [n for n in small if self._nodes[n].kind == REDUCTION and self._stage[n] == stage]
            if full or reductions:
                self._pass(full, reductions)

    def _small(self, members: list[int], width: int) -> None:
        self._turn = 2 * self._stage_now
        stored = self._kernel.stored
        if not any(self._nodes[n].kind != REDUCTION or n in stored for n in members):
            return
        if width:
            self._line("#pragma GCC ivdep")
        stores = []
        with self._loop("for (I j = 0; j < w; j++)" if width else ""):
            for number in members:
                name = f"s{number}[j]" if width else f"s{number}"
                if self._nodes[number].kind != REDUCTION:
                    self._line(f"{name} = {self._value(number)};")
                if number in stored:
                    stores.append(self._store(number, name))
            for store in stores:
                self._line(store)

    def _pass(self, full: list[int], reductions: list[int]) -> None:
        """One pass over the reduced axes."""
        for number in reductions:
            first = FIRST[self._nodes[number].op]
            self._line(
                f"for (I j = 0; j < w; j++) s{number}[j] = {first};" if self._blocked else f"s{number} = {first};"
            )
        reduced = [k for k, axis in enumerate(self._axes) if axis.reduced]
        outer = reduced if self._blocked else reduced[:-1]
        with self._loops_over(outer):
            if self._blocked:
                self._line("#pragma GCC ivdep")
                with self._loop("for (I j = 0; j < w; j++)"):
                    self._full(full, reductions)
            else:
                sums = [f"s{n}" for n in reductions if self._nodes[n].op == "sum"]
                if len(sums) == len(reductions):
                    self._line(f"#pragma omp simd reduction(+:{', '.join(sums)})" if sums else "#pragma GCC ivdep")
                with self._loops_over(reduced[-1:]):
                    self._full(full, reductions)

    def _full(self, full: Iterable[int], reductions: list[int]) -> None:
        """What happens at one point of the domain: locals, then sums, then what is stored."""
        self._turn = 2 * self._stage_now + 1
        full = set(full)
        kept = self._kernel.stored | self.kept
        needed = {number for number in full if number not in self._again or number in kept}
        todo = [*needed, *reductions]
        while todo:  # what this pass computes again
            for arg in self._nodes[todo.pop()].args:
                source = self._source(arg)
                if source in self._again and source not in needed:
                    needed.add(source)
                    todo.append(source)
        stores = []
        for number in sorted(needed):
            self._line(f"const {DTYPES[self._nodes[number].dtype]} t{number} = {self._value(number)};")
            if number in full and (number in self._kernel.stored or number in self.kept):
                stores.append(self._store(number, f"t{number}"))
        for number in reductions:
            node = self._nodes[number]
            name = f"s{number}[j]" if self._blocked else f"s{number}"
            value = self._argument(node.args[0], number, node.dtype)
            if node.op == "sum":
                self._line(f"{name} += {value};")
            else:
                sign = ">" if node.op == "max" else "<"
                self._line(f"{name} = {value} {sign} {name} || {value} != {value} ? {value} : {name};")
        for store in stores:
            self._line(store)

    def _sum_type(self, number: int) -> str:
        node = self._nodes[number]
        many = math.prod(self._kernel.domain[axis] for axis in node.params["axis"]) > LONG
        return "double" if many and node.op == "sum" else DTYPES[node.dtype]
