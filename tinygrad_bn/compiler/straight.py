"""A program as straight-line NumPy: a line or a few for each operation, into arrays that are there before.

What a run is given (inputs, states) and what leaves it (outputs, written values) have arrays of their own, since somebody may
hold them; everything between lives in arrays of a pool, shared by lifetime.  Views of those are made once and for all.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kinds import Array, Raw
from ..program import Constant, Program, Step, evaluate
from ..program.parts import NUMBER
from .buffers import Pool, Ring
from .lines import VIEWS, in_place, lines


class Straight:
    """A program, compiled to NumPy.

    Args:
        program: one without a free size.
        values: raw inputs and states, in order (``None`` for a state that is not read), for shapes and layouts.
        leaves: for each value that leaves, an array laid out like the leaf that gets it; ``None`` for any layout.

    Attributes:
        source: its text.
        nbytes: memory of the pool.
        ready: for each value that leaves, whether it is laid out as asked, and nobody can write to it.
        run: from the raw inputs and states to what leaves: outputs, then written values.
    """

    def __init__(self, program: Program, values: Sequence[Raw], leaves: Sequence[Array | None]) -> None:
        self._program = program
        self._first = program.first_step
        self._sample = evaluate(program, values)
        self._space: dict[str, Any] = {}  # the names that the text uses
        self._names: dict[int, str] = {}  # of functions and constants, by id
        self._text = [self._given(number) for number in range(self._first)]  # what the lines call a value
        self._fixed: dict[int, Array] = {n: a for n in range(self._first) if (a := self._constant(n)) is not None}
        self._pool = Pool()
        self._pooled: dict[int, Array] = {}  # the pool's array of a value that owns one
        self._leave = [*program.outputs, *(value for _, value in program.writes if value is not None)]
        self._root = self._roots()
        self._last = self._last_uses()
        self._rings = self._ring_of(leaves)
        self._body: list[str] = []
        for number, step in enumerate(program.steps, self._first):
            self._text.append(f"v{number - self._first}")
            self._step(number, step)
        self.nbytes = self._pool.nbytes
        self.source = self._whole()
        exec(builtins.compile(self.source, "<compiled>", "exec"), self._space)
        self.run: Callable[..., tuple[Raw, ...]] = self._space["run"]
        del self._sample

    # -- what is known before ---------------------------------------------------------------------------------------------

    def _roots(self) -> list[int]:
        """For each value, the one whose memory it is a view of; mostly itself."""
        roots = list(range(self._first))
        for number, step in enumerate(self._program.steps, self._first):
            source = step.args[0] if step.args else number
            seen = step.primitive.name in VIEWS and step.dtype != NUMBER
            seen = seen and np.may_share_memory(self._sample[number], self._sample[source])
            roots.append(roots[source] if seen else number)
        return roots

    def _last_uses(self) -> dict[int, int]:
        """For each value that owns memory, the last step that reads it."""
        last: dict[int, int] = {}
        for number, step in enumerate(self._program.steps, self._first):
            last.update((self._root[i], number) for i in step.args)
        last.update((self._root[i], len(self._root)) for i in self._leave)
        return last

    def _ring_of(self, leaves: Sequence[Array | None]) -> dict[int, tuple[int, Ring]]:
        """The results of steps that are computed into arrays of their own, each with its place among what leaves."""
        found: dict[int, tuple[int, Ring]] = {}
        for place, (number, leaf) in enumerate(zip(self._leave, leaves)):
            root = self._root[number]
            result, seen = self._sample[root], self._sample[number]
            if (
                root >= self._first
                and root not in found
                and isinstance(result, np.ndarray)
                and result.size == seen.size
            ):
                like = seen if leaf is None else leaf
                if like.strides == seen.strides and all(_has_no_gaps(array) for array in (seen, result)):
                    found[root] = place, Ring(like, result)
        return found

    # -- names ------------------------------------------------------------------------------------------------------------

    def _given(self, number: int) -> str:
        entry, value = self._program.entry(number), self._sample[number]
        if isinstance(entry, Constant):
            if type(value) in (int, float) and math.isfinite(value):
                return repr(value)
            self._space[f"a{number}"] = value
        return f"a{number}"

    def _constant(self, number: int) -> Array | None:
        value = self._sample[number]
        return value if isinstance(self._program.entry(number), Constant) and isinstance(value, np.ndarray) else None

    def _name(self, thing: Any) -> str:
        """A name for a function or a constant that lines use."""
        if id(thing) not in self._names:
            owner = getattr(thing, "__self__", None)
            title = thing.__name__ if callable(thing) and hasattr(thing, "__name__") else ""
            title = f"{owner.__name__}_{title}" if isinstance(owner, np.ufunc) else title
            if not title.isidentifier() or title in self._space:
                title = f"k{len(self._space)}"
            self._names[id(thing)] = title
            self._space[title] = thing  # where it stays alive, so that its id stays its own
        return self._names[id(thing)]

    # -- steps ------------------------------------------------------------------------------------------------------------

    def _step(self, number: int, step: Step) -> None:
        made = None
        if step.dtype == NUMBER:
            made = self._called(step, step.primitive.on_floats)
        elif self._root[number] != number and step.args[0] in self._fixed:
            self._fix(number, step.primitive.on_arrays([self._fixed[step.args[0]]], dict(step.params)))
        elif self._root[number] != number:
            made = self._called(step, step.primitive.on_arrays)
        else:
            self._compute(number, step)
        if made is not None:
            self._body.append(f"{self._text[number]} = {made}")
        for i in {self._root[i] for i in step.args}:
            if self._last[i] == number and i in self._pooled:
                self._pool.give(self._pooled.pop(i))

    def _compute(self, number: int, step: Step) -> None:
        result, out = self._sample[number], self._text[number]
        args = [self._text[i] for i in step.args]
        values = [self._sample[i] for i in step.args]
        needed = number in self._last and _has_no_gaps(result)
        made = lines(step, args, values, out, result, self._name) if needed else None
        if made is None:
            self._body.append(f"{out} = {self._called(step, step.primitive.on_arrays)}")
            return
        if number in self._rings:
            place, ring = self._rings[number]
            self._space[f"ring{place}"] = ring
            self._body.append(f"o{place}, {out} = ring{place}()")
        else:
            array = self._over(number, step) if in_place(step) else None
            if array is None:
                array = self._pool.take(result)
            self._pooled[number] = array
            self._fix(number, array)
        self._body += made

    def _over(self, number: int, step: Step) -> Array | None:
        """The array of an argument that nobody needs after this step, and that is laid out as the result."""
        result = self._sample[number]
        for i in step.args:
            old: Any = self._pooled.get(i)
            dies = old is not None and self._last[i] == number
            if dies and (old.nbytes, old.shape, old.strides) == (result.nbytes, result.shape, result.strides):
                return self._pool.over(self._pooled.pop(i), result)
        return None

    def _called(self, step: Step, compute: Callable[..., Raw]) -> str:
        """A call of the primitive itself."""
        name, params = self._name(compute), step.params
        return f"{name}(({', '.join(self._text[i] for i in step.args)},), {self._name(params)})"

    def _fix(self, number: int, array: Array) -> None:
        self._fixed[number] = self._space[self._text[number]] = array

    # -- the whole --------------------------------------------------------------------------------------------------------

    def _whole(self) -> str:
        given = len(self._program.inputs) + len(self._program.states)
        leave = []
        self.ready = []
        for place, number in enumerate(self._leave):
            if f"ring{place}" in self._space:
                leave.append(f"o{place}")
            elif isinstance(self._sample[number], np.ndarray):
                leave.append(f"{self._name(np.array)}({self._text[number]})")
            else:
                leave.append(self._text[number])
            self.ready.append(not leave[-1].startswith("array("))
        body = [*self._body, f"return ({', '.join(leave)}{',' if leave else ''})"]
        head = f"def run({', '.join(f'a{i}' for i in range(given))}):"
        return "\n    ".join([head, *body]) + "\n"


def _has_no_gaps(array: Array) -> bool:
    """Whether the elements fill their memory, in some order of the axes."""
    step = array.itemsize
    for stride, n in sorted(zip(array.strides, array.shape)):
        if n != 1 and stride != step:
            return False
        step *= n
    return array.size > 0
