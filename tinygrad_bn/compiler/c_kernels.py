"""A kernel as C: nested loops, in as many passes over the reduced axes as there are reductions that wait for each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ..program.parts import NUMBER
from .c_operations import DTYPES, expression, literal, types
from .grouping import Kernel, cheap, source_of
from .lower import REDUCTION, Lowered

BLOCK = 128  # columns at a time: their sums stay in the nearest cache
LONG = 4096  # a sum of more float32 numbers is added up in float64
FIRST = {"sum": "0", "max": "-INFINITY", "min": "INFINITY"}
EACH_COLUMN = "for (I j = 0; j < w; j++)"


class Axis(NamedTuple):
    """A loop: its length, whether it is reduced, and how far each node's memory moves with it, in elements."""

    n: int
    reduced: bool
    strides: dict[int, int]


class Access(NamedTuple):
    """When a kernel touches memory: in which pass, and whether for full values, before which come the small ones; and where."""

    turn: tuple[int, bool]
    at: str


class KernelText:
    """The text of one kernel.

    Full values are locals ``t``, small ones ``s``: one number, or an array for a block of columns where the innermost axis is
    not reduced.

    Attributes:
        lines: the text.
        reads, writes: for the nodes that own the memory, when it is touched.
    """

    def __init__(self, lowered: Lowered, kernel: Kernel) -> None:
        self._lowered, self._kernel = lowered, kernel
        self._nodes, self._members = lowered.nodes, kernel.members
        self.lines: list[str] = []
        self.reads: dict[int, list[Access]] = {}
        self.writes: dict[int, list[Access]] = {}
        self._indent = 1
        self._now = (0, True)
        self._full = {n for n in kernel.members if self._is_full(n)}
        self._again = cheap(lowered, sorted(self._full))  # in every pass that needs them
        self._stages()
        self._in_memory = kernel.stored | self._kept()
        self._axes = self._loops()
        self._blocked = bool(kernel.axes) and not self._axes[-1].reduced
        self._vars = [f"i{k}" for k in range(len(self._axes))]
        self._write()

    # -- passes -----------------------------------------------------------------------------------------------------------

    def _is_full(self, number: int) -> bool:
        return self._nodes[number].kind != REDUCTION and self._kernel.is_full(self._nodes[number].shape)

    def _sources(self, number: int) -> list[int]:
        return [source_of(self._lowered, i) for i in self._nodes[number].args]

    def _stages(self) -> None:
        """In which pass a member is computed, and from which on its value is there."""
        self._stage: dict[int, int] = {}
        self._there: dict[int, int] = {}
        for number in self._members:
            stage = max([self._there.get(source, 0) for source in self._sources(number)], default=0)
            self._stage[number] = stage
            self._there[number] = stage + (self._nodes[number].kind == REDUCTION)

    def _kept(self) -> set[int]:
        """Members that are in memory for a later pass."""
        return {
            source
            for number in self._members
            for source in self._sources(number)
            if source in self._full - self._again and self._stage[source] < self._stage[number]
        }

    # -- loops ------------------------------------------------------------------------------------------------------------

    def _strides(self, number: int) -> list[int]:
        """How far a node's memory moves along each axis of the domain."""
        rank = len(self._kernel.domain)
        shape, strides = self._nodes[number].shape, self._lowered.places[number].strides
        found = [0 if n == 1 else s for n, s in zip(shape, strides)]
        return [0] * (rank - len(found)) + found[max(len(found) - rank, 0) :]

    def _loops(self) -> list[Axis]:
        """The axes of the domain, along memory as well as can be; those that nothing tells apart are one."""
        sources = {source for number in self._members for source in self._sources(number)}
        touched = self._in_memory.union(source for source in sources if not self._is_number(source))
        strides = {number: self._strides(number) for number in touched}
        reduced = self._kernel.axes or ()
        axes = [
            Axis(n, k in reduced, {number: along[k] for number, along in strides.items()})
            for k, n in enumerate(self._kernel.domain)
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
    def _loops_over(self, axes: Sequence[int]) -> Iterator[None]:
        if not axes:
            yield
            return
        k, *rest = axes
        with self._loop(f"for (I i{k} = 0; i{k} < {self._axes[k].n}; i{k}++)"), self._loops_over(rest):
            yield

    def _is_number(self, source: int) -> bool:
        return self._nodes[source].dtype == NUMBER or self._lowered.places[source].root in self._lowered.literals

    def _element(self, number: int, touched: dict[int, list[Access]]) -> str:
        """A node's element in its memory."""
        place = self._lowered.places[number]
        parts = [
            var if axis.strides[number] == 1 else f"{var} * {axis.strides[number]}"
            for var, axis in zip(self._vars, self._axes)
            if axis.strides.get(number)
        ]
        index = " + ".join([*parts, *([str(place.offset)] if place.offset or not parts else [])])
        touched.setdefault(place.root, []).append(Access(self._now, index))
        return f"m{place.root}[{index}]"

    def _small(self, number: int) -> str:
        return f"s{number}[j]" if self._blocked else f"s{number}"

    def _argument(self, source: int, dtype: str) -> str:
        """How a member's text calls what it takes."""
        literals, root = self._lowered.literals, self._lowered.places[source].root
        if root in literals:
            return literal(float(literals[root]), dtype)
        if self._nodes[source].dtype == NUMBER:
            return f"(({DTYPES[dtype]})n{source})"
        if source in self._stage and source not in self._full:
            text = self._small(source)
        elif source in self._again or self._stage.get(source) == self._now[0]:
            text = f"t{source}"
        else:
            text = self._element(source, self.reads)
        return text if self._nodes[source].dtype == dtype else f"(({DTYPES[dtype]}){text})"

    def _value(self, number: int) -> str:
        node, sources = self._nodes[number], self._sources(number)
        wanted = types(node.op, [self._nodes[source].dtype for source in sources], node.dtype)
        args = [self._argument(source, dtype) for source, dtype in zip(sources, wanted)]
        return expression(node.op, args, node.dtype, node.params.get("exponent"))

    def _type(self, number: int) -> str:
        node = self._nodes[number]
        many = node.op == "sum" and math.prod(self._kernel.domain[axis] for axis in node.params["axis"]) > LONG
        return "double" if many else DTYPES[node.dtype]

    # -- the loops' bodies ------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Loops over what is not reduced, the last of it by blocks of columns; inside of them the passes."""
        kept = [k for k, axis in enumerate(self._axes) if self._kernel.axes and not axis.reduced]
        self._swept = [k for k in range(len(self._axes)) if k not in kept]
        self._line("{")
        with self._loops_over(kept[:-1] if self._blocked else kept):
            if self._blocked:
                columns = self._axes[-1].n
                width = columns if columns <= 2 * BLOCK else BLOCK
                with self._loop(f"for (I b = 0; b < {columns}; b += {width})"):
                    left = f"{columns} - b"
                    w = str(width) if columns % width == 0 else f"{left} < {width} ? {left} : {width}"
                    self._line(f"const I w = {w};")
                    self._vars[-1] = "(b + j)"
                    self._passes(f"[{width}]")
            else:
                self._passes("")
        self._line("}")

    def _passes(self, length: str) -> None:
        small = [n for n in self._members if n not in self._full]
        for number in small:
            self._line(f"{self._type(number)} s{number}{length};")
        for stage in range(max(self._there.values()) + 1):
            self._now = stage, False
            self._small_values([n for n in small if self._there[n] == stage])
            self._now = stage, True
            now = [n for n in self._members if self._stage[n] == stage]
            reductions = [n for n in now if self._nodes[n].kind == REDUCTION]
            if reductions or not self._full.isdisjoint(now):
                self._pass(self._full.intersection(now), reductions)

    def _small_values(self, members: list[int]) -> None:
        """Small values that are there before a pass, and those to be stored."""
        stored = [n for n in members if n in self._kernel.stored]
        computed = [n for n in members if self._nodes[n].kind != REDUCTION]
        if not stored and not computed:
            return
        if self._blocked:
            self._line("#pragma GCC ivdep")
        with self._loop(EACH_COLUMN if self._blocked else ""):
            for number in computed:
                self._line(f"{self._small(number)} = {self._value(number)};")
            for number in stored:
                self._line(f"{self._element(number, self.writes)} = {self._small(number)};")

    def _pass(self, full: set[int], reductions: list[int]) -> None:
        """One pass over the reduced axes, or, where there are none, over all."""
        for number in reductions:
            each = f"{EACH_COLUMN} " if self._blocked else ""
            self._line(f"{each}{self._small(number)} = {FIRST[self._nodes[number].op]};")
        sums = [self._small(n) for n in reductions if self._nodes[n].op == "sum"]
        with self._loops_over(self._swept if self._blocked else self._swept[:-1]):
            if self._blocked or not reductions:
                self._line("#pragma GCC ivdep")
            elif len(sums) == len(reductions):
                self._line(f"#pragma omp simd reduction(+:{', '.join(sums)})")
            with self._loop(EACH_COLUMN) if self._blocked else self._loops_over(self._swept[-1:]):
                self._point(full, reductions)

    def _point(self, full: set[int], reductions: list[int]) -> None:
        """What happens at one point of the domain: locals, then sums, then what is stored."""
        needed = {number for number in full if number not in self._again or number in self._in_memory}
        for number in reversed(self._members):  # what this pass computes again
            if number in needed or number in reductions:
                needed.update(source for source in self._sources(number) if source in self._again)
        for number in sorted(needed):
            self._line(f"const {DTYPES[self._nodes[number].dtype]} t{number} = {self._value(number)};")
        for number in reductions:
            node, name = self._nodes[number], self._small(number)
            (source,) = self._sources(number)
            value = self._argument(source, node.dtype)
            if node.op == "sum":
                self._line(f"{name} += {value};")
            else:
                sign = ">" if node.op == "max" else "<"
                self._line(f"{name} = {value} {sign} {name} || {value} != {value} ? {value} : {name};")
        for number in sorted(full & self._in_memory):
            self._line(f"{self._element(number, self.writes)} = t{number};")
