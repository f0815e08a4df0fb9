"""A program as C functions, and what stands around them at each run: addresses, copies of what somebody else holds, calls.

States are written in place where nobody but their leaf holds the array; who has kept one (``p.data``) keeps it unchanged, since
it is copied first.  All writing happens in the last function, after everything that can raise; Python handles no signal inside
of it, so an interrupt finds all states old, or all of them new.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from operator import is_
from sys import getrefcount
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.write import exchange, set_gradients
from ..kinds import Array, Raw
from ..program import Program, State
from ..program.parts import NUMBER
from ..program.trees import VALUE, put_together
from ..tensor import Scalar, Tensor
from .blas import gemm
from .buffers import ALIGNMENT, aligned, packed
from .build import load, toolchain
from .c_text import Text
from .grouping import Unit, group
from .lower import CALL, GIVEN, Lowered

Row = list[Unit]


class Native:
    """A program, compiled to C.

    Args:
        program: one without a free size.
        values: raw inputs and states, in order (``None`` for a state that is not read), for shapes and layouts.

    Attributes:
        source: the C text.
        driver: the Python text that calls it.
        nbytes: memory between the steps.
    """

    def __init__(self, program: Program, values: Sequence[Raw]) -> None:
        self._program = program
        low = self._low = Lowered(program, values, gemm() is not None)
        self._first = len(program.inputs)
        writes = [(number, value) for number, value in program.writes if value is not None]
        states = [program.states[number - self._first] for number, _ in writes]
        taken: set[int] = set()
        self._outputs = [low.to_leave(number, None, taken) for number in program.outputs]
        self._moved: list[tuple[State, int, int]] = []  # state, its node, the node of its new value
        self._graded: list[tuple[State, int]] = []
        for (number, value), state in zip(writes, states):
            if state.place.key == "_data":
                strides = None if state.dtype == NUMBER else _elements(state.place.owner._data)
                self._moved.append((state, low.of[number], low.to_leave(value, strides, taken)))
            else:
                self._graded.append((state, low.to_leave(value, None, taken)))
        cleared = [program.states[number - self._first] for number, value in program.writes if value is None]
        self._cleared = [state.place.owner for state in cleared]
        leave = [*self._outputs, *(node for _, _, node in self._moved), *(node for _, node in self._graded)]
        self._units = group(low, leave)
        self.plan = self._rows()
        self._place_of = {id(unit) if not isinstance(unit, int) else unit: k for k, unit in enumerate(self._units)}
        self._text = Text(low, [row for row in self.plan if not isinstance(row, int)], toolchain().declarations)
        self._same, self._copied = self._in_place()
        self._tables(leave)
        self._memory()
        self._compile()
        del low.sample[:]

    # -- the order of things ------------------------------------------------------------------------------------------------

    def _rows(self) -> list[Row | int]:
        """Calls, and rows of other units between them; the last is a row."""
        found: list[Row | int] = []
        for unit in self._units:
            if isinstance(unit, int) and self._low.nodes[unit].kind == CALL:
                found.append(unit)
            elif found and isinstance(found[-1], list):
                found[-1].append(unit)
            else:
                found.append([unit])
        if not found or isinstance(found[-1], int):
            found.append([])
        return found

    def _touches(self) -> tuple[dict[int, list[int]], dict[int, int]]:
        """For each node that owns memory, the places of the units that read it, and of the one that makes it."""
        readers: dict[int, list[int]] = {}
        maker: dict[int, int] = {}
        for place, unit in enumerate(self._units):
            reads, writes = self._text.roots(unit)
            for root in reads:
                readers.setdefault(root, []).append(place)
            maker.update(dict.fromkeys(writes, place))
        return readers, maker

    def _in_place(self) -> tuple[dict[int, int], list[tuple[int, int]]]:
        """Which new values are computed in the memory of their state, and which are copied there in the end."""
        self._readers, self._maker = self._touches()
        last_row: Any = self.plan[-1]
        last = {id(unit) if not isinstance(unit, int) else unit for unit in last_row}
        same: dict[int, int] = {}
        copied = []
        for state, given, value in self._moved:
            if state.dtype == NUMBER:
                continue
            root = self._low.places[value].root
            unit = self._units[self._maker[root]]
            late = (unit if isinstance(unit, int) else id(unit)) in last
            if late and given not in same.values() and self._may_replace(given, root, unit):
                same[root] = given
            else:
                copied.append((given, root))
        return same, copied

    def _may_replace(self, given: int, root: int, unit: Unit) -> bool:
        """Whether whoever reads the old value has read it before the new one is written."""
        place = self._maker[root]
        if any(reader > place for reader in self._readers.get(given, ())):
            return False
        if place not in self._readers.get(given, ()):
            return True
        if isinstance(unit, int):
            return False
        text = self._text.kernels[id(unit)]
        (write,) = text.writes[root]
        return all(read.turn < write.turn or read == write for read in text.reads[given])

    # -- memory ---------------------------------------------------------------------------------------------------------------

    def _tables(self, leave: Sequence[int]) -> None:
        """The places of addresses and numbers that differ from run to run."""
        nodes, first = self._low.nodes, self._first
        touched = set(self._readers) | set(self._maker) | {given for _, given, _ in self._moved}
        touched = {n for n in touched if n not in self._low.literals and nodes[n].dtype != NUMBER}
        for unit in self._units:  # what calls read
            if isinstance(unit, int) and nodes[unit].kind == CALL:
                touched.update(self._low.places[i].root for i in nodes[unit].args if nodes[i].dtype != NUMBER)
        given = sorted(n for n in touched if nodes[n].kind == GIVEN)
        self._pointers: dict[int, int] = {}
        self._fixed: list[Array] = []
        self._inputs: list[tuple[int, int]] = []  # place in the table, number in the program
        self._leaves: list[Variable] = []
        self._others: list[tuple[int, int]] = []
        written = [node for state, node, _ in self._moved if state.dtype != NUMBER]
        by_leaf, rest = [], []
        for node in given:
            number: Any = nodes[node].number
            owner = program_state(self._program, number)
            (by_leaf if owner is not None and owner.place.key == "_data" else rest).append(node)
        by_leaf.sort(key=lambda node: node not in written)  # written ones first
        self._in_place_count = sum(node in written for node in by_leaf)
        for node in by_leaf:
            state: Any = program_state(self._program, nodes[node].number)
            self._pointers[node] = len(self._leaves)
            self._leaves.append(state.place.owner)
        for node in rest:
            at = self._pointers[node] = len(self._pointers)
            number = nodes[node].number
            if number >= first + len(self._program.states):
                self._fixed.append(_packed_copy(self._low.sample[number]))
                self._others.append((at, -len(self._fixed)))
            else:
                self._inputs.append((at, number))
        self._start = len(self._pointers)
        self._leaving = [n for n in (*self._outputs, *(node for _, node in self._graded)) if nodes[n].dtype != NUMBER]
        for node in self._leaving:
            self._pointers[self._low.places[node].root] = len(self._pointers)
        self._table = (ctypes.c_void_p * max(len(self._pointers), 1))()
        for at, place in self._others:
            self._table[at] = self._fixed[-place - 1].ctypes.data
        read = {i for node in nodes for i in node.args}.union(leave)
        used = [n for n in sorted(read) if nodes[n].dtype == NUMBER and n not in self._low.literals]
        self._numbers = {node: place for place, node in enumerate(used)}
        self._number_table = (ctypes.c_double * max(len(used), 1))()
        self._held: list[Any] = [None] * len(self._leaves)
        self._leaf_strides = [leaf._data.strides for leaf in self._leaves]
        self._input_strides = {number: packed(self._low.sample[number]) for _, number in self._inputs}
        self._held_inputs: list[Any] = [None] * len(self._inputs)
        self._phases: list[list[Variable]] = [[], []]
        self._phase_arrays: list[list[Array]] = [[], []]
        self._addresses: list[list[int]] = [[], []]
        self._phase = 0
        for phase in (0, 1):
            for node in self._leaving:
                self._phases[phase].append(None)  # type: ignore[arg-type]
                self._phase_arrays[phase].append(None)  # type: ignore[arg-type]
                self._addresses[phase].append(0)
            for i in range(len(self._leaving)):
                self._renew(phase, i)
        self._idle_variables = [getrefcount(variable) for variable in self._phases[0]]
        self._idle_arrays = [getrefcount(array) for array in self._phase_arrays[0]]

    def _renew(self, phase: int, i: int) -> None:
        """A new array, and a variable around it, for something that leaves."""
        node = self._low.nodes[self._leaving[i]]
        place = self._low.places[self._leaving[i]]
        bytes_ = tuple(s * np.dtype(node.dtype).itemsize for s in place.strides)
        array = np.empty_like(np.lib.stride_tricks.as_strided(np.empty(1, node.dtype), node.shape, bytes_))
        self._phase_arrays[phase][i] = array
        self._phases[phase][i] = Tensor.wrap(array)
        self._addresses[phase][i] = array.ctypes.data

    def _memory(self) -> None:
        """Offsets in the arena: memory is shared by what does not live at the same time."""
        nodes = self._low.nodes
        spans = []
        end = len(self._units)
        kept = {root for _, root in self._copied}
        for root, place in self._maker.items():
            if root in self._pointers or root in self._same or nodes[root].dtype == NUMBER:
                continue
            last = end if root in kept else max([place, *self._readers.get(root, ())])
            for unit in self._units:
                if (
                    isinstance(unit, int)
                    and nodes[unit].kind == CALL
                    and any(self._low.places[i].root == root for i in nodes[unit].args)
                ):
                    last = max(last, self._place_of[unit])
            size = math.prod(nodes[root].shape) * np.dtype(nodes[root].dtype).itemsize
            spans.append((place, last, -(-max(size, 1) // ALIGNMENT) * ALIGNMENT, root))
        self._offsets: dict[int, int] = {}
        live: list[tuple[int, int, int]] = []  # offset, size, last
        self.nbytes = 0
        for place, last, size, root in sorted(spans):
            live = sorted(span for span in live if span[2] >= place)
            at = 0
            for offset, taken, _ in live:
                if at + size <= offset:
                    break
                at = max(at, offset + taken)
            self._offsets[root] = at
            live.append((at, size, last))
            self.nbytes = max(self.nbytes, at + size)
        self._arena = aligned(self.nbytes)

    # -- texts ------------------------------------------------------------------------------------------------------------------

    def _compile(self) -> None:
        arguments = [ctypes.c_void_p] * 5
        rows = [row for row in self.plan if not isinstance(row, int)]
        self.source = self._text.source(self._pointers, self._offsets, self._numbers, self._same, self._copied)
        products = gemm() or {}
        common = (
            ctypes.addressof(self._table), self._arena.ctypes.data, ctypes.addressof(self._number_table),
            products.get("float32", 0), products.get("float64", 0),
        )  # fmt: skip
        space: dict[str, Any] = {"numbers": self._number_table, "copyto": np.copyto}
        lines = []
        k = 0
        for node, place in self._numbers.items():
            if self._low.nodes[node].kind == GIVEN:
                lines.append(f"numbers[{place}] = values[{self._low.nodes[node].number}]")
        for part in self.plan:
            if isinstance(part, int):
                lines += self._call(part, space)
            elif part or k == len(rows) - 1:
                function = load(self.source, f"run{k}").function
                function.argtypes, function.restype = arguments, None
                space[f"run{k}"] = function
                lines.append(f"run{k}{common}")
                k += 1
        self.driver = "\n    ".join(["def drive(values, held, leaving):", *lines, "return"]) + "\n"
        exec(compile(self.driver, "<compiled>", "exec"), space)
        self._drive: Callable[..., None] = space["drive"]
        self._space = space

    def _call(self, number: int, space: dict[str, Any]) -> list[str]:
        """A step that stays with NumPy."""
        low, node = self._low, self._low.nodes[number]
        step: Any = self._program.entry(node.number)  # type: ignore[arg-type]
        space[f"f{number}"] = step.primitive.on_floats if step.dtype == NUMBER else step.primitive.on_arrays
        space[f"p{number}"] = step.params
        args = ", ".join(self._argument(i, space) for i in node.args)
        called = f"f{number}(({args},), p{number})"
        if step.dtype == NUMBER:
            return [f"numbers[{self._numbers[number]}] = v{number} = {called}"]
        if low.places[number].root not in self._offsets:
            return [called]  # a check, whose result nobody needs
        space[f"v{number}"] = self._fixed_view(number)
        return [f"copyto(v{number}, {called})"]

    def _argument(self, number: int, space: dict[str, Any]) -> str:
        low = self._low
        node, place = low.nodes[number], low.places[number]
        if place.root in low.literals:
            value = low.literals[place.root]
            space[f"v{number}"] = value if node.dtype == NUMBER else np.full(node.shape, value, node.dtype)
            return f"v{number}"
        if node.kind == GIVEN and node.number < self._first + len(self._program.states):  # type: ignore[operator]
            return f"held[{self._pointers[number]}]" if self._is_leaf(number) else f"values[{node.number}]"
        if node.dtype == NUMBER:
            return f"v{number}"
        if place.root in self._offsets:
            space[f"v{number}"] = self._fixed_view(number)
            return f"v{number}"
        root = low.nodes[place.root]
        size = np.dtype(node.dtype).itemsize
        space["part"] = _part
        strides = tuple(s * size for s in place.strides)
        if place.root in self._same:
            raise AssertionError("a state is written after every call")
        if root.kind == GIVEN and root.number >= self._first + len(self._program.states):  # type: ignore[operator]
            space[f"v{number}"] = _part(self._low.sample[root.number], node.shape, strides, place.offset)  # type: ignore[index]
            return f"v{number}"
        if root.kind == GIVEN:
            given = f"held[{self._pointers[place.root]}]" if self._is_leaf(place.root) else f"values[{root.number}]"
            return f"part({given}, {node.shape}, {strides}, {place.offset})"
        at = [self._low.places[n].root for n in self._leaving].index(place.root)
        return f"part(leaving[{at}], {node.shape}, {strides}, {place.offset})"

    def _is_leaf(self, node: int) -> bool:
        return self._pointers.get(node, len(self._leaves)) < len(self._leaves)

    def _fixed_view(self, number: int) -> Array:
        """A value in the arena, as an array."""
        node, place = self._low.nodes[number], self._low.places[number]
        size = np.dtype(node.dtype).itemsize
        strides = tuple(s * size for s in place.strides)
        start = self._offsets[place.root] + place.offset * size
        flat = (
            self._arena[start:].view(node.dtype)
            if (len(self._arena) - start) % size == 0
            else self._arena[start:][: (len(self._arena) - start) // size * size].view(node.dtype)
        )
        return np.lib.stride_tricks.as_strided(flat, node.shape, strides)

    # -- a run --------------------------------------------------------------------------------------------------------------------

    def run(self, values: list[Raw]) -> Any:
        """One run on raw inputs and states: writes the states, and returns what the function returns."""
        table, held = self._table, self._held
        for i, (at, number) in enumerate(self._inputs):
            array = values[number]
            if array is not self._held_inputs[i]:
                array = self._fitting(array, number)
                table[at] = array.__array_interface__["data"][0]
                self._held_inputs[i] = array
        now = [leaf._data for leaf in self._leaves]
        if not all(map(is_, now, held)):
            for i, (array, old) in enumerate(zip(now, held)):
                if array is not old:
                    if array.base is not None or array.strides != self._leaf_strides[i]:
                        array = now[i] = _packed_copy(array)
                    table[i] = array.__array_interface__["data"][0]
                    held[i] = array
        counts = list(map(getrefcount, now[: self._in_place_count]))
        if counts and max(counts) > UNSHARED:
            for i, count in enumerate(counts):
                if count > UNSHARED:
                    held[i] = now[i] = array = _packed_copy(now[i])
                    table[i] = array.ctypes.data
        phase = self._phase = 1 - self._phase
        variables, arrays = self._phases[phase], self._phase_arrays[phase]
        if (
            list(map(getrefcount, variables)) != self._idle_variables
            or list(map(getrefcount, arrays)) != self._idle_arrays
        ):
            for i in range(len(variables)):
                if getrefcount(variables[i]) > self._idle_variables[i] or getrefcount(arrays[i]) > self._idle_arrays[i]:
                    self._renew(phase, i)
        if variables:
            table[self._start :] = self._addresses[phase]
        self._drive(values, held, arrays)
        return self._commit(now, variables)

    def _commit(self, now: list[Any], variables: list[Variable]) -> Any:
        program = self._program
        exchange(self._leaves[: self._in_place_count], now[: self._in_place_count])
        for state, _, value in self._moved:
            if state.dtype == NUMBER:
                exchange([state.place.owner], [self._number(value)])  # type: ignore[list-item]
        leaving = iter(variables)
        outputs = [
            next(leaving) if self._low.nodes[n].dtype != NUMBER else Scalar.wrap(self._number(n)) for n in self._outputs
        ]
        if self._graded or self._cleared:
            owners = [state.place.owner for state, _ in self._graded]
            found = [
                next(leaving) if self._low.nodes[n].dtype != NUMBER else Scalar.wrap(self._number(n))
                for _, n in self._graded
            ]
            set_gradients([*owners, *self._cleared], [*found, *[None] * len(self._cleared)])
        if program.gives == VALUE:
            return outputs[0]
        return put_together(program.gives, iter(outputs), scalars=True)

    def _number(self, node: int) -> float:
        literals = self._low.literals
        return float(literals[node]) if node in literals else self._number_table[self._numbers[node]]

    def _fitting(self, array: Array, number: int) -> Array:
        """An input in the memory layout of the first one."""
        wanted = self._input_strides[number]
        if array.strides == wanted:
            return array
        made = np.lib.stride_tricks.as_strided(np.empty(max(array.size, 1), array.dtype), array.shape, wanted)
        made[...] = array
        return made


def _unshared() -> int:
    """References to an array that only its leaf, two lists of the program and the question itself hold."""
    leaf = Tensor.wrap(np.zeros(1))
    now = [leaf._data]
    held = list(now)
    return max(map(getrefcount, now[: len(held)]))


UNSHARED = _unshared()


def program_state(program: Program, number: int) -> State | None:
    """The state with a number, if it is one."""
    at = number - len(program.inputs)
    return program.states[at] if 0 <= at < len(program.states) else None


def _elements(array: Array) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in packed(array))


def _packed_copy(array: Array) -> Array:
    """A copy without gaps, with the axes in the same order, that nobody can write to."""
    made = np.empty_like(array)
    made[...] = array
    made.setflags(write=False)
    return made


def _part(array: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
    """A view of an array without gaps."""
    return np.lib.stride_tricks.as_strided(array.ravel("K")[offset:], shape, strides, writeable=False)
