"""``simplify``: an equal program with fewer steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine import Primitive
from ..ops import primitives
from .algebra import ALGEBRA, Product
from .laws import EXACT, LOOSE, Law
from .model import Program
from .parts import NUMBER, Constant, Input, Shape, Size, State, Step, resolved
from .shapes import broadcast, without_leading_ones

COMMUTATIVE = {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or"}
MOVES = {"reshape", "transpose", "broadcast_to"}  # what computes nothing
DEEPEST = 60  # laws that call each other
STEP = 1000  # elements, which take NumPy about as long as the call itself
MANY = 100  # a free size, where it is unknown


def simplify(program: Program, exact: bool = False) -> Program:
    """The program with equal steps merged, the laws of ``laws`` and ``algebra`` applied, and unused steps left out.

    Linear in the number of steps.  Random draws are neither merged nor left out.

    Args:
        program: what to make shorter.
        exact: only laws by which every number keeps its bits; otherwise also those by which zeros may lose their sign and last
            bits may differ.
    """
    return simplified(program, exact)[0]


def simplified(program: Program, exact: bool = False, all_there: bool = False) -> tuple[Program, dict[int, int]]:
    """As ``simplify``; also the new number of each old value that is still there.

    Where ``all_there``, every value is there anyway, as in a picture that shows the forward pass, too: each is used again.
    """
    safe = EXACT if exact else (*EXACT, *LOOSE)
    found = [_once(program, safe)]
    if _size(found[0][0]) > _size(program):  # a law made a step of one that others need, too
        found = [_once(program, ())]
    if not exact and any(step.dtype != NUMBER for step in program.steps):
        laws = (*safe, *ALGEBRA)
        first = _once(found[0][0], laws, all_there)
        if _size(first[0]) < _size(found[0][0]):  # else there is nothing that a second round could build on
            second = _once(first[0], laws, all_there)
            found.append((second[0], _after(_after(found[0][1], first[1]), second[1])))
    return min(found, key=lambda pair: _size(pair[0]))


def _size(program: Program) -> tuple[int, int]:
    """About how long the steps take that compute something, and how many there are."""
    shapes = [step.shape for step in program.steps if step.primitive.name not in MOVES]
    return sum(STEP + math.prod(resolved(shape, MANY)) for shape in shapes), len(program)


def _after(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    return {old: other[new] for old, new in one.items() if new in other}


def _once(program: Program, laws: tuple[Law, ...], all_there: bool = False) -> tuple[Program, dict[int, int]]:
    table = Table(laws, all_there)
    now: list[int] = []
    lasting = _lasting(program)
    for number, entry in program.entries():
        if isinstance(entry, Step):
            now.append(table.make(entry._replace(args=tuple([now[i] for i in entry.args]), name="")))
            if entry.name:
                table.call(now[-1], entry.name)
        elif isinstance(entry, Constant):
            now.append(table.constant(entry))
        else:
            now.append(table.add(entry))
        if number in lasting:
            table.lasting.add(now[-1])
    return table.program(program, now)


def _lasting(program: Program) -> set[int]:
    """Values that are needed for more than products with a small factor, which may be put together without them."""
    found = {*program.outputs, *(value for _, value in program.writes if value is not None)}
    for step in program.steps:
        for i, other in zip(step.args, step.args[::-1]):
            if step.primitive.name != "multiply" or _alike(program.entry(other).shape, step.shape):
                found.add(i)
    return found


class Table:
    """Values by number, each only once; ``make`` applies the laws before it adds a step.

    Attributes:
        all_there: whether every value is there to stay.
        lasting: else those that are, whatever the laws make of the steps that use them.
        products, terms: values taken apart, as ``algebra`` does.
    """

    def __init__(self, laws: tuple[Law, ...], all_there: bool) -> None:
        self.all_there = all_there
        self.lasting: set[int] = set()
        self.products: dict[int, Product] = {}
        self.terms: dict[int, list[Product]] = {}
        self._laws = laws
        self._entries: list[Input | State | Constant | Step] = []
        self._numbers: dict[Any, int] = {}
        self._depth = 0

    def __getitem__(self, i: int) -> Any:
        return self._entries[i]

    def add(self, entry: Input | State | Constant | Step) -> int:
        self._entries.append(entry)
        return len(self._entries) - 1

    def call(self, i: int, name: str) -> None:
        """Give a value the name that the code has for it, unless it has one."""
        entry = self._entries[i]
        if isinstance(entry, Step) and not entry.name:
            self._entries[i] = entry._replace(name=name)

    def step(self, i: int) -> Step | None:
        """The step that makes a value; ``None`` for what is given."""
        entry = self._entries[i]
        return entry if isinstance(entry, Step) else None

    # -- constants ----------------------------------------------------------------------------------------------------

    def constant(self, constant: Constant) -> int:
        """A constant, the same one for the same number."""
        value = constant.value
        one = not isinstance(value, np.ndarray) or not value.shape
        key = ("constant", repr(value), constant.shape, constant.dtype) if one else ("array", id(value))
        if key not in self._numbers:
            self._numbers[key] = self.add(constant)
        return self._numbers[key]

    def number(self, value: float | Size) -> int:
        """A Python number, or a count that depends on N."""
        return self.constant(Constant(value if isinstance(value, Size) else float(value), (), NUMBER))

    def number_at(self, i: int) -> float | Size | None:
        """The one number that a constant consists of, if it does."""
        entry = self._entries[i]
        if not isinstance(entry, Constant):
            return None
        if isinstance(entry.value, np.ndarray):
            one = not entry.value.shape and entry.value.dtype.kind == "f"
            return float(entry.value) if one else None
        return entry.value if isinstance(entry.value, Size) else float(entry.value)

    # -- steps --------------------------------------------------------------------------------------------------------

    def make(self, step: Step, **changes: Any) -> int:
        """The value of a step, by whichever law applies first; of a step like this one, with changes."""
        if changes:
            step = step._replace(**{"name": ""} | ({"params": {}} if "primitive" in changes else {}) | changes)
        known = self.known(step)
        if known is not None:
            return known
        if self._depth < DEEPEST:
            self._depth += 1
            try:
                for law in self._laws:
                    found = law(self, step)
                    if found is not None:
                        self._remember(step, found)
                        return found
            finally:
                self._depth -= 1
        number = self.add(step)
        self._remember(step, number)
        return number

    def known(self, step: Step) -> int | None:
        """The value of such a step, if there is one; draws are each their own."""
        return self._numbers.get(_key(step.primitive, step.args, step.params)) if step.primitive.pure else None

    def _remember(self, step: Step, number: int) -> None:
        if step.primitive.pure:
            self._numbers[_key(step.primitive, step.args, step.params)] = number

    def known_elementwise(self, primitive: Primitive, args: tuple[int, ...]) -> int | None:
        """The value of a step without parameters, if there is one."""
        return self._numbers.get(_key(primitive, args, {}))

    def elementwise(self, primitive: Primitive, args: tuple[int, ...], like: Step) -> int:
        """A step without parameters whose arguments broadcast, in the scope of another."""
        known = self.known_elementwise(primitive, args)
        if known is not None:
            return known
        shape = broadcast(self._entries[i].shape for i in args)
        assert shape is not None  # parts of one product or sum
        dtypes = {self._entries[i].dtype for i in args}
        dtype = NUMBER if dtypes == {NUMBER} else next(d for d in dtypes if d != NUMBER)
        made = like._replace(primitive=primitive, args=args, params={}, shape=shape, dtype=dtype, name="")
        number = self.add(made)
        self._remember(made, number)
        return number

    # -- shapes -------------------------------------------------------------------------------------------------------

    def thin(self, i: int) -> int:
        """What a value was broadcast from, or reshaped from by leading axes of length 1 alone."""
        while True:
            step = self.step(i)
            if step is None:
                return i
            name, source = step.primitive.name, step.args[0] if step.args else i
            if name != "broadcast_to" and not (name == "reshape" and _alike(step.shape, self._entries[source].shape)):
                return i
            i = source

    def shaped(self, i: int, step: Step) -> int | None:
        """A value in the shape of a step that it is equal to, up to broadcasting; ``None`` for a number that varies."""
        shape, dtype = self._entries[i].shape, self._entries[i].dtype
        if dtype != step.dtype:  # a Python number where the step gives an array
            number = self.number_at(i)
            if not isinstance(number, float):
                return None
            return self.constant(Constant(np.array(number, step.dtype), step.shape, step.dtype))
        if shape == step.shape:
            return i
        return self.reshaped(i, step) if _alike(shape, step.shape) else self.stretched(i, step)

    def reshaped(self, i: int, step: Step) -> int:
        return self.make(step, primitive=primitives.reshape, args=(i,), params={"shape": step.shape})

    def stretched(self, i: int, step: Step) -> int:
        shape = self._entries[i].shape
        if len(shape) > len(step.shape):  # leading axes of length 1, which broadcast_to does not drop
            i = self.make(
                step,
                primitive=primitives.reshape,
                args=(i,),
                params={"shape": shape[-len(step.shape) :]},
                shape=shape[-len(step.shape) :],
            )
        return self.make(step, primitive=primitives.broadcast_to, args=(i,), params={"shape": step.shape})

    # -- the end --------------------------------------------------------------------------------------------------------

    def program(self, program: Program, now: list[int]) -> tuple[Program, dict[int, int]]:
        """What is needed of the table, as the program whose values stand at ``now``; and their numbers in it."""
        kept = {now[i] for i in program.outputs}
        kept.update(now[value] for _, value in program.writes if value is not None)
        kept.update(i for i, e in enumerate(self._entries) if isinstance(e, Step) and not e.primitive.pure)
        self._drop_axes(kept)
        needed = self._behind(kept)
        given = range(len(program.inputs) + len(program.states))
        constants = [i for i in sorted(needed) if isinstance(self._entries[i], Constant)]
        steps = [i for i in sorted(needed) if self.step(i) is not None]
        new = {i: place for place, i in enumerate([*given, *constants, *steps])}

        def placed(step: Step) -> Step:
            return step._replace(args=tuple([new[i] for i in step.args]))

        shorter = program.with_steps(
            tuple(self[i] for i in constants), tuple(placed(self[i]) for i in steps), lambda number: new[now[number]]
        )
        return shorter, {old: new[i] for old, i in enumerate(now) if i in new}

    def _behind(self, kept: set[int]) -> set[int]:
        needed = set(kept)
        for i in range(len(self._entries) - 1, -1, -1):
            step = self.step(i)
            if i in needed and step is not None:
                needed.update(step.args)
        return needed

    def _drop_axes(self, kept: set[int]) -> None:
        """reshape(sum(x, keepdims)) = sum(x), where nobody else needs the axes of length 1."""
        needed = self._behind(kept)
        steps = [step for step in map(self.step, needed) if step is not None]
        uses = Counter(arg for step in steps for arg in step.args)
        for i in needed:
            step = self.step(i)
            if step is None or step.primitive.name != "reshape":
                continue
            total = self.step(step.args[0])
            if total is None or total.primitive.name not in ("sum", "mean") or uses[step.args[0]] > 1:
                continue
            axes = total.params["axis"]
            dropped = tuple(n for axis, n in enumerate(total.shape) if axis not in axes)
            if step.args[0] not in kept and total.params["keepdims"] and dropped == step.shape:
                params = {"axis": axes, "keepdims": False}
                self._entries[i] = step._replace(primitive=total.primitive, args=total.args, params=params)


def _key(primitive: Primitive, args: tuple[int, ...], params: Mapping[str, Any]) -> Any:
    """What decides about a value, its shape and its dtype."""
    args = tuple(sorted(args)) if primitive.name in COMMUTATIVE else args
    return primitive.name, args, repr(sorted(params.items())) if params else ""


def _alike(one: Shape, other: Shape) -> bool:
    return without_leading_ones(one) == without_leading_ones(other)
