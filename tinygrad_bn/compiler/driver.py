"""The Python text around the C functions of a program: numbers into their table, and the steps that stay with NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kinds import Array
from ..program.parts import NUMBER
from .blas import gemm
from .build import load
from .lower import GIVEN
from .plan import Plan


class Driver:
    """The text, and what it needs.

    Args:
        plan: the plan of the program.
        table: addresses.
        arena: memory between the units.

    Attributes:
        source: the text.
        numbers: the Python numbers of a run.
        drive: called with the raw inputs and states of a run, the arrays of the leaves, and those that leave.
    """

    def __init__(self, plan: Plan, table: Any, arena: Array) -> None:
        self._plan, self._low = plan, plan.low
        self._arena = arena
        self.numbers = (ctypes.c_double * max(len(plan.numbers), 1))()
        self._space: dict[str, Any] = {"numbers": self.numbers, "copyto": np.copyto, "part": _part}
        products = gemm() or {}
        given = (table, arena.ctypes.data, self.numbers, products.get("float32", 0), products.get("float64", 0))
        addresses = tuple(part if isinstance(part, int) else ctypes.addressof(part) for part in given)
        lines = [
            f"numbers[{place}] = values[{self._low.nodes[node].number}]"
            for node, place in plan.numbers.items()
            if self._low.nodes[node].kind == GIVEN
        ]
        refusals: list[str] = []
        rows = 0
        for part in plan.rows:
            if isinstance(part, int):
                lines.append(self._call(part))
                continue
            function = load(plan.source, f"run{rows}").function
            function.argtypes, function.restype = [ctypes.c_void_p] * len(addresses), ctypes.c_int
            self._space[f"run{rows}"] = function
            checks = [unit for unit in part if isinstance(unit, int) and self._low.nodes[unit].op == "checked_index"]
            lines.append(f"if run{rows}{addresses}: refuse(values, held)" if checks else f"run{rows}{addresses}")
            refusals += map(self._call, checks)
            rows += 1
        texts = [_function("drive(values, held, leaving)", lines)]
        if refusals:  # what a check has found, said by the operation itself
            texts.append(_function("refuse(values, held)", [*refusals, "raise AssertionError"]))
        self.source = "\n".join(texts)
        exec(compile(self.source, "<compiled>", "exec"), self._space)
        self.drive: Callable[..., None] = self._space["drive"]

    def _call(self, number: int) -> str:
        """A step that stays with NumPy."""
        node = self._low.nodes[number]
        step: Any = self._plan.program.entry(node.number)  # type: ignore[arg-type]
        self._space[f"f{number}"] = step.primitive.on_floats if step.dtype == NUMBER else step.primitive.on_arrays
        self._space[f"p{number}"] = step.params
        called = f"f{number}(({', '.join(map(self._argument, node.args))},), p{number})"
        if step.dtype == NUMBER:
            place = self._plan.numbers.get(number)
            return f"v{number} = {called}" if place is None else f"numbers[{place}] = v{number} = {called}"
        if number not in self._plan.offsets:
            return called  # a check, whose result nobody needs
        return f"copyto({self._fixed(number)}, {called})"

    def _argument(self, number: int) -> str:
        """How a call names a value."""
        node, place, plan = self._low.nodes[number], self._low.places[number], self._plan
        if place.root in self._low.literals:
            value = self._low.literals[place.root]
            self._space[f"v{number}"] = value if node.dtype == NUMBER else np.full(node.shape, value, node.dtype)
            return f"v{number}"
        if node.dtype == NUMBER:
            return f"values[{node.number}]" if node.kind == GIVEN else f"v{number}"
        if place.root in plan.offsets:
            return self._fixed(number)
        root = self._low.nodes[place.root]
        if place.root in plan.leaves:
            owner = f"held[{plan.pointers[place.root]}]"
        elif root.kind == GIVEN and place.root not in plan.constants:
            owner = f"values[{root.number}]"
        elif root.kind == GIVEN:
            self._space[f"c{place.root}"] = self._low.sample[root.number]  # type: ignore[index]
            owner = f"c{place.root}"
        else:
            owner = f"leaving[{[self._low.places[n].root for n in plan.leaving].index(place.root)}]"
        if place.root == number:
            return owner
        return f"part({owner}, {node.shape}, {plan.strides(number)}, {place.offset})"

    def _fixed(self, number: int) -> str:
        """The name of a value in the arena, as an array."""
        node, place = self._low.nodes[number], self._low.places[number]
        flat = self._arena[self._plan.offsets[place.root] :]
        flat = flat[: flat.size // np.dtype(node.dtype).itemsize * np.dtype(node.dtype).itemsize].view(node.dtype)
        shape, strides = node.shape, self._plan.strides(number)
        self._space[f"v{number}"] = np.lib.stride_tricks.as_strided(flat[place.offset :], shape, strides)
        return f"v{number}"


def _function(head: str, lines: list[str]) -> str:
    return "\n    ".join([f"def {head}:", *lines, "return"]) + "\n"


def _part(array: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
    """A view of an array without gaps."""
    return np.lib.stride_tricks.as_strided(array.ravel("K")[offset:], shape, strides, writeable=False)
