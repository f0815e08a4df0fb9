"""The Python text of a run: numbers into their table, the calls of C functions, and what NumPy does.

Every array that a line uses has a name: ``a3`` is the one whose address is number 3 in the table, ``v7`` the value of node 7.
Memory does not move while a program runs, so the arrays are made before, and made anew where an address changes.
"""

from __future__ import annotations

import ctypes
import math
import operator
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from ..kinds import Array, Shape
from ..program.parts import NUMBER
from .c.blas import gemm
from .c.build import load
from .lines import copying
from .lower import GIVEN
from .plan import Plan

Layout = tuple[str, Shape, Shape, int]  # dtype, shape, strides and offset in bytes
NUMPY_2 = int(np.__version__.partition(".")[0]) >= 2
CALLED = getattr(operator, "call", operator.methodcaller("__call__"))  # the first, of Python 3.11, looks nothing up
NAMES = re.compile(r"\b[av]\d+\b")  # of arrays, and of numbers that Python computes


def at_once(calls: Sequence[Callable[[], Any]]) -> None:
    """Call functions of C one after the other; Python handles no signal in between."""
    deque(map(CALLED, calls), 0)


class Driver:
    """The text, and what it needs.

    Args:
        plan: the plan of the program.
        arena: memory between the units.

    Attributes:
        source: the text.
        numbers: the Python numbers of a run.
        drive: called with the raw inputs and states of a run.
    """

    def __init__(self, plan: Plan, arena: Array) -> None:
        self._plan, self._low = plan, plan.low
        self._arena = arena.ctypes.data
        self.numbers = (ctypes.c_double * max(len(plan.numbers), 1))()
        products = gemm() or {}
        reserved = (self._arena, ctypes.addressof(self.numbers), products.get("float32"), products.get("float64"))
        self._table = (ctypes.c_void_p * (len(reserved) + len(plan.pointers)))(*reserved)
        self._calls: list[Any] = []  # what is called at once: functions with their arguments
        self._space: dict[str, Any] = {"numbers": self.numbers, "copyto": np.copyto, "do": partial, "at_once": at_once}
        self._space |= {"errstate": np.errstate, "calls": self._calls, "table": ctypes.addressof(self._table)}
        self._named: dict[int, dict[str, Layout]] = {}  # arrays at each place of the table
        self._makers: list[Callable[[], Any]] = []  # of each
        self._callers: dict[str, list[int]] = {}  # which of them take an array
        self._texts: list[str] = []
        self._numbers: set[str] = set()  # names of Python numbers that are computed in a run
        self._fills: dict[str, str] = {}  # arrays of a number that differs from run to run
        self._functions: dict[int, str] = {}
        lines = [
            f"numbers[{place}] = values[{self._low.nodes[node].number}]"
            for node, place in plan.numbers.items()
            if self._low.nodes[node].kind == GIVEN
        ]
        refusals: list[str] = []
        rows = 0
        for part in plan.rows:
            if isinstance(part, int):
                lines += self._step(part)
            elif not plan.low.in_c:
                lines += self._at_once(part)
            else:
                function = load(plan.source, f"run{rows}").function
                function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_int
                self._space[f"run{rows}"] = function
                checks = [u for u in part if isinstance(u, int) and self._low.nodes[u].op == "checked_index"]
                lines.append(f"if run{rows}(table): refuse(values)" if checks else f"run{rows}(table)")
                refusals += [line for check in checks for line in self._step(check)]
                rows += 1
        lines[:0] = [f"{name}[...] = {number}" for name, number in self._fills.items()]
        if lines and (not plan.low.in_c or len(plan.rows) > 1):  # NumPy is to give no warnings
            lines = ["with errstate(all='ignore'):", *(f"    {line}" for line in lines)]
        texts = [_function("drive(values)", lines)]
        if refusals:  # what a check has found, said by the operation itself
            texts.append(_function("refuse(values)", [*refusals, "raise AssertionError"]))
        exec(compile("\n".join(texts), "<compiled>", "exec"), self._space)
        self.drive: Callable[[list[Any]], None] = self._space["drive"]
        if self._texts:
            texts.append(
                "\n    ".join(["calls = [  # made once, and anew where an array moves", *self._texts]) + "\n]\n"
            )
            self._makers = eval(f"[{' '.join(f'lambda: {text}' for text in self._texts)}]", self._space)
            self._calls += [None] * len(self._makers)
            self._make(range(len(self._makers)))
        self.source = "\n".join(texts)

    def bind(self, place: int, array: Array) -> None:
        """Put the address of an array into the table, and let the arrays that the text names lie there."""
        address = array.__array_interface__["data"][0]
        if address != self._table[place]:
            for name, layout in self._named.get(place, {}).items():
                self._space[name] = _array_at(address, layout)
                self._make(self._callers.get(name, ()))
            self._table[place] = address

    def _make(self, calls: Iterable[int]) -> None:
        for i in calls:
            with suppress(NameError):  # an array that has no place yet
                self._calls[i] = self._makers[i]()

    # -- lines --------------------------------------------------------------------------------------------------------------

    def _step(self, number: int) -> list[str]:
        """A step that NumPy does by itself."""
        node = self._low.nodes[number]
        args = [self._text(i) for i in node.args]
        if node.dtype != NUMBER and self._is_kept(number):
            if self._plan.takes_rounded(number):
                args = [self._operand(i, text, node.dtype) for i, text in zip(node.args, args)]
            lines = self._plan.lines(number, args, self._text(number), self._name)
            if lines is not None:
                return lines
        step: Any = self._plan.program.entry(node.number)  # type: ignore[arg-type]
        compute = step.primitive.on_floats if step.dtype == NUMBER else step.primitive.on_arrays
        called = f"{self._name(compute)}(({', '.join(args)},), {self._name(step.params)})"
        if step.dtype == NUMBER:
            self._numbers.add(f"v{number}")
            place = self._plan.numbers.get(number)
            return [f"v{number} = {called}" if place is None else f"numbers[{place}] = v{number} = {called}"]
        if not self._is_kept(number):
            return [called]  # a check, whose result nobody needs
        return [f"copyto({self._text(number)}, {called})"]

    def _at_once(self, row: Sequence[Any]) -> list[str]:
        """Steps of NumPy, one after the other in a single call."""
        lines = [line for number in row for line in self._step(number)]
        for state, number in self._plan.copied:
            lines += copying(self._text(number), self._text(state), self._name)
        again = []
        for i, line in enumerate(lines):
            function, _, args = line.partition("(")
            text = f"do({function}, {args}"
            self._texts.append(f"{text},")
            names = set(NAMES.findall(args))
            if "values[" in args or names & self._numbers:
                again.append(f"calls[{i}] = {text}")
            for name in names:
                self._callers.setdefault(name, []).append(i)
        return [*again, "at_once(calls)"] if lines else []

    def _is_kept(self, number: int) -> bool:
        plan = self._plan
        return number in plan.offsets or number in plan.pointers or number in plan.same

    # -- names --------------------------------------------------------------------------------------------------------------

    def _name(self, thing: Any) -> str:
        """A name for a function or a constant that lines use."""
        if id(thing) not in self._functions:
            owner = getattr(thing, "__self__", None)
            title = thing.__name__ if callable(thing) and hasattr(thing, "__name__") else ""
            title = f"{owner.__name__}_{title}" if isinstance(owner, np.ufunc) else title.strip("_")
            if not title.isidentifier() or title in self._space:
                title = f"k{len(self._space)}"
            self._functions[id(thing)] = title
            self._space[title] = thing  # where it stays alive, so that its id stays its own
        return self._functions[id(thing)]

    def _operand(self, number: int, text: str, dtype: str) -> str:
        """The name of an array of one number, with which NumPy begins sooner than with the number."""
        node, literal = self._low.nodes[number], self._low.literals.get(number)
        varies = literal is None and node.kind == GIVEN
        # NumPy 1 computes in float64 where a number is too large for the dtype, which one that varies may become.
        fits = NUMPY_2 and varies if literal is None else abs(literal) <= np.finfo(dtype).max or math.isnan(literal)
        if node.dtype != NUMBER or not fits:
            return text
        name = f"n{node.number}" if varies else re.sub(r"\W", "_", f"c{text}")
        if name in self._space and self._space[name].dtype != dtype:
            name += f"_{dtype}"
        if name not in self._space:
            self._space[name] = np.array(0.0 if literal is None else literal, dtype)
        if varies:
            self._fills[name] = text
        return name

    def _text(self, number: int) -> str:
        """How lines call a node's value."""
        node, place, plan = self._low.nodes[number], self._low.places[number], self._plan
        if place.root in self._low.literals:
            value = self._low.literals[place.root]
            if type(value) in (int, float) and node.dtype == NUMBER and math.isfinite(value):
                return repr(value)
            self._space[f"v{number}"] = value if node.dtype == NUMBER else np.full(node.shape, value, node.dtype)
            return f"v{number}"
        if node.dtype == NUMBER:
            return f"values[{node.number}]" if node.kind == GIVEN else f"v{number}"
        layout = (node.dtype, node.shape, plan.strides(number), place.offset * np.dtype(node.dtype).itemsize)
        root = plan.same.get(place.root, place.root)
        if root in plan.offsets:
            self._space[f"v{number}"] = _array_at(self._arena + plan.offsets[root], layout)
            return f"v{number}"
        at = plan.pointers[root]
        name = f"a{at}" if root == number else f"v{number}"
        self._named.setdefault(at, {})[name] = layout
        return name


def _function(head: str, lines: list[str]) -> str:
    return "\n    ".join([f"def {head}:", *lines, "return"]) + "\n"


def _array_at(address: int, layout: Layout) -> Array:
    """An array over memory that somebody else keeps."""
    dtype, shape, strides, offset = layout
    reach = sum((n - 1) * s for n, s in zip(shape, strides) if n > 1 and s > 0)
    memory: Any = (ctypes.c_char * (offset + reach + np.dtype(dtype).itemsize)).from_address(address)
    return np.ndarray(shape, dtype, memory, offset, strides)
