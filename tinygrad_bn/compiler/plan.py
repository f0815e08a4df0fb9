"""Where everything of a compiled program lies, and in which order its units run.

Results between the units share one arena by lifetime.  Inputs, states and what leaves have arrays of their own, whose addresses
stand in a table.  A state's new value is computed in the state's own memory wherever nobody reads the old value after that;
otherwise it is copied there in the end.  All that happens in the last row of units, after every call of Python that can raise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..kinds import Array, Raw, Shape
from ..program import Program, State
from ..program.parts import NUMBER
from .buffers import ALIGNMENT, packed
from .build import toolchain
from .c_text import Text
from .grouping import Unit, group
from .lower import CALL, GIVEN, Lowered

Row = list[Unit]


class Plan:
    """The plan of a program.

    Args:
        program: one without a free size.
        values: raw inputs and states, in order (``None`` for a state that is not read), for shapes and layouts.
        products: whether there is a BLAS to call from C.

    Attributes:
        low: the nodes.
        rows: calls, by their node, and rows of other units between them; the last is a row.
        outputs, gradients: nodes of what is returned, and of the gradients that are set.
        moved: states that get a value, with their node and that of the value.
        leaving: the arrays among outputs and gradients, by node.
        leaves: nodes of the states whose array is read or written; those that are written come first.
        written: how many those are.
        inputs, constants: nodes of other arrays that are read.
        pointers: the place in the table of addresses of each of these, and of what leaves.
        numbers: the place of each Python number in theirs.
        offsets: where in the arena a node lies, in bytes.
        nbytes: of the arena.
        source: the C text.
    """

    def __init__(self, program: Program, values: Sequence[Raw], products: bool) -> None:
        self.program = program
        self.low = Lowered(program, values, products)
        self._leave()
        nodes = [*self.outputs, *self.gradients, *(value for _, _, value in self.moved)]
        self._units = group(self.low, nodes)
        self.rows = self._in_rows()
        self._text = Text(self.low, [row for row in self.rows if not isinstance(row, int)], toolchain().declarations)
        self._touches()
        self._same, self._copied = self._in_place()
        self._table(nodes)
        self.offsets, self.nbytes = self._arena()
        self.source = self._text.source(self.pointers, self.offsets, self.numbers, self._same, self._copied)
        self.low.forget_layouts()

    def state(self, number: int) -> State | None:
        """The state with a number, if it is one."""
        at = number - len(self.program.inputs)
        return self.program.states[at] if 0 <= at < len(self.program.states) else None

    def _leave(self) -> None:
        program, low = self.program, self.low
        taken: set[int] = set()
        self.outputs = [low.to_leave(number, None, taken) for number in program.outputs]
        self.gradients: list[int] = []
        self.moved: list[tuple[State, int, int]] = []
        for number, value in program.writes:
            state: Any = self.state(number)
            if value is None:
                continue
            if state.place.key != "_data":
                self.gradients.append(low.to_leave(value, None, taken))
            else:
                strides = None if state.dtype == NUMBER else elements(state.place.owner._data)
                self.moved.append((state, low.of[number], low.to_leave(value, strides, taken)))

    # -- the order of things ------------------------------------------------------------------------------------------------

    def _in_rows(self) -> list[Row | int]:
        found: list[Row | int] = []
        for unit in self._units:
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
            reads, writes = self._text.roots(unit)
            for root in reads:
                self._readers.setdefault(root, []).append(place)
            self._maker.update(dict.fromkeys(writes, place))

    def _in_place(self) -> tuple[dict[int, int], list[tuple[int, int]]]:
        """New values that are computed in the memory of their state, and those that are copied there in the end."""
        last = len(self._units) - len(self.rows[-1])  # type: ignore[arg-type]
        same: dict[int, int] = {}
        copied = []
        for state, given, value in self.moved:
            root = self.low.places[value].root
            if state.dtype == NUMBER:
                continue
            if self._maker[root] >= last and given not in same.values() and self._may_replace(given, root):
                same[root] = given
            else:
                copied.append((given, root))
        return same, copied

    def _may_replace(self, given: int, root: int) -> bool:
        """Whether whoever reads the old value has read it before the new one is written."""
        place, readers = self._maker[root], self._readers.get(given, [])
        unit = self._units[place]
        if any(reader > place for reader in readers) or (place in readers and isinstance(unit, int)):
            return False
        if place not in readers:
            return True
        text = self._text.kernels[id(unit)]
        (write,) = text.writes[root]
        return all(read.turn < write.turn or read == write for read in text.reads[given])

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
        at_leaf = [n for n in given if (s := self.state(self._number(n))) is not None and s.place.key == "_data"]
        self.leaves = sorted(at_leaf, key=lambda node: node not in written)
        self.written = len(written)
        first_constant = len(self.program.inputs) + len(self.program.states)
        rest = [n for n in given if n not in at_leaf]
        self.inputs = [n for n in rest if self._number(n) < first_constant]
        self.constants = [n for n in rest if self._number(n) >= first_constant]
        self.leaving = [n for n in (*self.outputs, *self.gradients) if nodes[n].dtype != NUMBER]
        order = [*self.leaves, *self.inputs, *self.constants, *(places[n].root for n in self.leaving)]
        self.pointers = {node: place for place, node in enumerate(order)}
        read = {i for node in nodes for i in node.args}.union(leave)
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
        kept = {root for _, root in self._copied}
        spans = []
        for root, place in self._maker.items():
            if root not in self.pointers and root not in self._same and self.is_array(root):
                last = len(self._units) if root in kept else max([place, *self._readers.get(root, ())])
                node = self.low.nodes[root]
                size = max(math.prod(node.shape), 1) * np.dtype(node.dtype).itemsize
                spans.append((place, last, -(-size // ALIGNMENT) * ALIGNMENT, root))
        offsets: dict[int, int] = {}
        live: list[tuple[int, int, int]] = []  # offset, size, last
        whole = 0
        for place, last, size, root in sorted(spans):
            live = sorted(span for span in live if span[2] >= place)
            at = 0
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


def elements(array: Array) -> Shape:
    """The strides of an array without gaps, in elements."""
    return tuple(s // array.itemsize for s in packed(array))
