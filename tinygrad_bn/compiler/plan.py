"""Where everything of a compiled program lies, and in which order its units run.

A unit is a kernel, a product or the like in C, or a step that NumPy does.  Results between the units share one arena by
lifetime.  Inputs, states and what leaves have arrays of their own, whose addresses stand in a table.  A state's new value is
computed in the state's own memory wherever nobody reads the old value after that; otherwise it is copied there in the end.  All
that happens in the last row of units, in a single call, after every call of Python that can raise or be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..kinds import Raw, Shape
from ..program import Program, State
from ..program.parts import NUMBER
from ..program.shapes import without_leading_ones
from .buffers import ALIGNMENT, reach
from .c.blas import gemm
from .c.build import toolchain
from .c.text import RESERVED, Text
from .grouping import Unit, group
from .lines import ROUNDED, copying, has_no_gaps, in_place, lines
from .lower import CALL, GIVEN, NUMERIC, VIEW, Lowered

Row = list[Unit]


class Plan:
    """The plan of a program.

    Args:
        program: one without a free size.
        values: raw inputs and states, in order (``None`` for a state that is not read), for shapes and layouts.
        in_c: C; otherwise NumPy.

    Attributes:
        low: the nodes.
        rows: calls, by their node, and rows of other units between them, each for one call into C; the last is a row.
        same: nodes that live in the memory of another: a new value in that of its state.
        copied: states, and the nodes whose memory is copied there in the end.
        states: by the number of their value.
        outputs: nodes of what is returned.
        gradients: leaves whose gradient is set, with its node.
        cleared: those whose gradient is removed.
        moved: states that get a value, with their node and that of the value.
        leaving: the arrays among outputs and gradients, by node.
        leaves: nodes of the states whose array is read or written; those that are written come first.
        written: how many those are.
        inputs, constants: nodes of other arrays that are read.
        pointers: the place in the table of addresses of each of these, and of what leaves; the first ones are those of the
            arena, of the Python numbers and of BLAS's products.
        numbers: the place of each Python number in theirs.
        offsets: where in the arena a node lies, in bytes.
        nbytes: of the arena.
        source: the C text, if any.
    """

    def __init__(self, program: Program, values: Sequence[Raw], in_c: bool) -> None:
        self.program = program
        self.states: dict[int, State] = dict(enumerate(program.states, len(program.inputs)))
        self.low = Lowered(program, values, in_c, in_c and gemm() is not None)
        self._leave()
        self._given = [*self.outputs, *(node for _, node in self.gradients)]
        leave = [*self._given, *(value for _, _, value in self.moved)]
        if in_c:
            self.rows = self._in_rows(group(self.low, leave))
            rows = [row for row in self.rows if not isinstance(row, int)]
            self._text = Text(self.low, rows, toolchain().declarations)
        else:
            self.rows = self._first_calls()
        self._units = [unit for row in self.rows for unit in ([row] if isinstance(row, int) else row)]
        self._last = len(self._units) - len(self.rows[-1])  # type: ignore[arg-type]
        self._touches()
        self.same, self.copied = self._in_place()
        self._table(leave)
        self.offsets, self.nbytes = self._arena()
        self.source = (
            self._text.source(self.pointers, self.offsets, self.numbers, self.same, self.copied) if in_c else ""
        )
        self.low.forget_layouts()

    def _leave(self) -> None:
        program, low = self.program, self.low
        taken: set[int] = set()
        self.outputs = [low.to_leave(number, None, taken) for number in program.outputs]
        self.gradients: list[tuple[Any, int]] = []
        self.cleared: list[Any] = []
        self.moved: list[tuple[State, int, int]] = []
        for number, value in program.writes:
            place = self.states[number].place
            if value is None:
                self.cleared.append(place.owner)
            elif place.key != "_data":
                self.gradients.append((place.owner, low.to_leave(value, None, taken)))
            else:
                node = low.to_leave(value, place.owner._data, taken)
                self.moved.append((self.states[number], low.of[number], node))

    # -- the order of things ------------------------------------------------------------------------------------------------

    def _first_calls(self) -> list[Row | int]:
        """For NumPy: what only Python can do, and all that it waits for; then the rest, as one row."""
        nodes, places = self.low.nodes, self.low.places
        units = [number for number, node in enumerate(nodes) if node.kind not in (VIEW, GIVEN)]
        first: set[int] = set()
        for number in reversed(units):
            if number in first or self.lines(number, [""] * len(nodes[number].args), "", str) is None:
                first |= {number, *(places[i].root for i in nodes[number].args)}
        return [*(unit for unit in units if unit in first), [unit for unit in units if unit not in first]]

    def lines(self, number: int, args: Sequence[str], out: str, name: Callable[[Any], str]) -> list[str] | None:
        """See ``lines.lines``: how NumPy writes a node into ``out``; ``None`` where it cannot."""
        node = self.low.nodes[number]
        if node.number is None:
            return copying(args[0], out, name)
        result = self.low.sample[node.number]
        if node.dtype == NUMBER or not has_no_gaps(result):
            return None
        step: Any = self.program.entry(node.number)
        return lines(step, args, [self.low.sample[i] for i in step.args], out, result, name)

    def takes_rounded(self, number: int) -> bool:
        """Whether a number beside arrays may be an array of the result's dtype itself, and no bit differs."""
        node = self.low.nodes[number]
        step: Any = None if node.number is None else self.program.entry(node.number)
        return step is not None and step.primitive.forward in ROUNDED and node.dtype in ("float32", "float64")

    def _in_rows(self, units: Sequence[Unit]) -> list[Row | int]:
        found: list[Row | int] = []
        for unit in units:
            if isinstance(unit, int) and self.low.nodes[unit].kind == CALL:
                found.append(unit)
            elif found and isinstance(found[-1], list):
                found[-1].append(unit)
            else:
                found.append([unit])
        if not found or isinstance(found[-1], int):
            found.append([])
        return found

    def _touches(self) -> None:
        """For each node that owns memory, the places of the units that read it, and of the one that makes it."""
        self._readers: dict[int, list[int]] = {}
        self._maker: dict[int, int] = {}
        for place, unit in enumerate(self._units):
            if isinstance(unit, int):
                reads, writes = {self.low.places[i].root for i in self.low.nodes[unit].args}, {unit}
            else:
                reads, writes = self._text.roots(unit)
            for root in reads:
                self._readers.setdefault(root, []).append(place)
            self._maker.update(dict.fromkeys(writes, place))

    def _in_place(self) -> tuple[dict[int, int], list[tuple[int, int]]]:
        """New values that are computed in the memory of their state, and those that are copied there in the end."""
        same: dict[int, int] = {}
        copied = []
        for state, given, value in self.moved:
            root = self.low.places[value].root
            if state.dtype == NUMBER:
                continue
            if self.is_last(root) and given not in same.values() and self._may_replace(given, root):
                same[root] = given
            else:
                copied.append((given, root))
        return same, copied

    def roots(self, node: int) -> int:
        """The node that owns the memory of a node."""
        return self.low.places[node].root

    def is_last(self, root: int) -> bool:
        """Whether memory is written in the last row."""
        return self._maker[root] >= self._last

    def _may_replace(self, given: int, root: int) -> bool:
        """Whether whoever reads the old value has read it before the new one is written."""
        place, readers = self._maker[root], self._readers.get(given, [])
        unit = self._units[place]
        if any(reader > place for reader in readers):
            return False
        if place not in readers:
            return True
        if isinstance(unit, int):
            return self._is_over(unit, given)
        return self._text.kernels[unit].reads_before(given, root)

    def _is_over(self, number: int, old: int) -> bool:
        """Whether a step of NumPy can write to the memory of what it reads: it has read each element before."""
        nodes, places = self.low.nodes, self.low.places
        of = nodes[number].number
        if self.low.in_c or of is None or not in_place(self.program.entry(of)):  # type: ignore[arg-type]
            return False

        def like(i: int) -> tuple[str, Shape, Shape]:  # up to axes of length 1 in front
            shape = without_leading_ones(nodes[i].shape)
            return nodes[i].dtype, shape, places[i].strides[-len(shape) :] if shape else ()

        return all(
            like(i) == like(number) and not places[i].offset for i in nodes[number].args if places[i].root == old
        )

    def grouped(self) -> Program:
        """The program with the kernels as scopes, which pictures draw as boxes."""
        names: dict[int, str] = {}
        kernels = [unit for unit in self._units if not isinstance(unit, int)]
        for k, kernel in enumerate(kernels):
            for node in kernel.members:
                names.setdefault(node, f"kernel {k}")
        steps = []
        for number, step in enumerate(self.program.steps, self.program.first_step):
            node = self.low.of[number]
            name = names.get(node) or names.get(self.low.places[node].root)
            steps.append(step._replace(scope=(name,) if name else ()))
        return replace(self.program, steps=tuple(steps))

    # -- memory ---------------------------------------------------------------------------------------------------------------

    def _table(self, leave: Sequence[int]) -> None:
        """The places of addresses and numbers that differ from run to run."""
        nodes, places = self.low.nodes, self.low.places
        written = [given for state, given, _ in self.moved if state.dtype != NUMBER]
        given = sorted(n for n in {*self._readers, *written} if nodes[n].kind == GIVEN and self.is_array(n))
        at_leaf = [n for n in given if (s := self.states.get(self._number(n))) is not None and s.place.key == "_data"]
        self.leaves = sorted(at_leaf, key=lambda node: node not in written)
        self.written = len(written)
        first_constant = len(self.program.inputs) + len(self.program.states)
        rest = [n for n in given if n not in at_leaf]
        self.inputs = [n for n in rest if self._number(n) < first_constant]
        self.constants = [n for n in rest if self._number(n) >= first_constant]
        self.leaving = [n for n in self._given if nodes[n].dtype != NUMBER]
        order = [*self.leaves, *self.inputs, *self.constants, *(places[n].root for n in self.leaving)]
        self.pointers = {node: place for place, node in enumerate(order, RESERVED)}
        read = {i for node in nodes for i in node.args if self.low.in_c}.union(leave)
        if self.low.in_c:  # which computes the others where it needs them
            read = {n for n in read if nodes[n].kind != NUMERIC}.union(leave)
        numbers = [n for n in sorted(read) if nodes[n].dtype == NUMBER and n not in self.low.literals]
        self.numbers = {node: place for place, node in enumerate(numbers)}

    def is_array(self, node: int) -> bool:
        """Whether a node lies in memory; a Python number and one that stands in the text do not."""
        return self.low.nodes[node].dtype != NUMBER and self.low.places[node].root not in self.low.literals

    def _number(self, node: int) -> int:
        number = self.low.nodes[node].number
        assert number is not None  # what is given has one
        return number

    def _arena(self) -> tuple[dict[int, int], int]:
        """Offsets in the arena, and its size: memory is shared by what does not live at the same time."""
        kept = {root for _, root in self.copied}
        spans = []
        for root, place in self._maker.items():
            if root not in self.pointers and root not in self.same and self.is_array(root):
                last = len(self._units) if root in kept else max([place, *self._readers.get(root, ())])
                node = self.low.nodes[root]
                size = max(reach(node.shape, self.low.places[root].strides)[1], 1) * np.dtype(node.dtype).itemsize
                size += 0 if self.low.in_c else 1  # NumPy 1 takes arrays side by side for one over the other
                spans.append((place, last, -(-size // ALIGNMENT) * ALIGNMENT, root))
        offsets: dict[int, int] = {}
        live: list[tuple[int, int, int]] = []  # offset, size, last
        whole = 0
        lasts = {root: last for _, last, _, root in spans}
        for place, last, size, root in sorted(spans):
            unit = self._units[place]
            read = {self.low.places[i].root for i in self.low.nodes[root].args} if unit == root else set()
            over = next((i for i in read if lasts.get(i) == place and self._is_over(root, i)), None)
            live = sorted(span for span in live if span[2] >= place)
            at = 0
            if over is not None:
                at = offsets[over]
                live = [span for span in live if span[0] != at]  # which is longer where a part of it is read
            else:
                for offset, taken, _ in live:
                    if at + size <= offset:
                        break
                    at = max(at, offset + taken)
            offsets[root] = at
            live.append((at, size, last))
            whole = max(whole, at + size)
        return offsets, whole

    def strides(self, node: int) -> Shape:
        """The strides of a node in bytes."""
        size = np.dtype(self.low.nodes[node].dtype).itemsize
        return tuple(s * size for s in self.low.places[node].strides)
