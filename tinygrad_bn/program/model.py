"""``Program``: what a function computes, as plain data: inputs, states, constants, steps, outputs, writes.

Values are numbered: first the inputs, then the states, the constants, and the result of each step.  A step names its
primitive, the numbers of its arguments and plain parameters; so a program can be run, drawn, simplified, translated and
written down, and none of these needs the function it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..engine import Primitive
from .parts import Condition, Constant, Input, State, Step
from .run import call, run
from .text import summary, text
from .written import from_json, to_json


@dataclass(frozen=True, repr=False)
class Program:
    """A recorded function; see the module.  ``program.record`` makes one.

    Attributes:
        inputs: what it is given at each run.
        states: what it reads, or writes, outside.
        constants: what is the same in every run.
        steps: the operations, in order.
        outputs: the numbers of the values it returns.
        writes: which state gets which value (``None``: nothing, as a gradient that is cleared).
        takes: how arguments are made of the inputs' values (see ``trees``).
        gives: how what it returns is made of the outputs.
        recorded_n: N at the recording.
        free: whether it can run for another N; sizes that depend on N are ``Size`` then.
        smallest_n: the smallest N that it can run for, where it is free.
        why_not: why it cannot.
        conditions: what has to be as it was at the recording.
        modules: the class of each module, by its scope.
    """

    inputs: tuple[Input, ...]
    states: tuple[State, ...]
    constants: tuple[Constant, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    writes: tuple[tuple[int, int | None], ...] = ()
    takes: Any = None
    gives: Any = None
    recorded_n: int = 0
    free: bool = False
    smallest_n: int = 0
    why_not: str = ""
    conditions: tuple[Condition, ...] = field(default=(), compare=False, repr=False)
    modules: Mapping[tuple[str, ...], str] = field(default_factory=dict, compare=False)

    @cached_property
    def first_step(self) -> int:
        """The number of the first step's result."""
        return len(self.inputs) + len(self.states) + len(self.constants)

    @cached_property
    def reads(self) -> frozenset[int]:
        """The numbers of inputs, states and constants that a step takes, or that are returned or written."""
        used = {i for step in self.steps for i in step.args}
        used.update(self.outputs, (value for _, value in self.writes if value is not None))
        return frozenset(i for i in used if i < self.first_step)

    def __len__(self) -> int:
        return len(self.steps)

    def entry(self, number: int) -> Input | State | Constant | Step:
        """The input, state, constant or step with a value's number."""
        for part in (self.inputs, self.states, self.constants, self.steps):
            if number < len(part):
                return part[number]
            number -= len(part)
        raise IndexError(number)

    def entries(self) -> Iterator[tuple[int, Input | State | Constant | Step]]:
        """Every value's number and what it is."""
        return enumerate((*self.inputs, *self.states, *self.constants, *self.steps))

    def with_steps(
        self, constants: tuple[Constant, ...], steps: tuple[Step, ...], renamed: Callable[[int], int]
    ) -> Program:
        """The program with other constants and steps; ``renamed`` gives the new number of an output or written value."""
        return replace(
            self,
            constants=constants,
            steps=steps,
            outputs=tuple(map(renamed, self.outputs)),
            writes=tuple((state, None if value is None else renamed(value)) for state, value in self.writes),
        )

    def run(self, *arguments: Any, xp: Any = None, states: MutableMapping[str, Any] | None = None) -> Any:
        """Run it on new values: the same numbers as the function itself gives, and the same states written.

        Args:
            arguments: as for the function that was recorded: arrays or tensors, numbers, arrays of numbers in place of
                arrays of scalars; in the dtypes of the recording, and in its shapes but for the free axis.
            xp: a namespace of the array API standard (``torch``, ``jax.numpy``, ``cupy``, ``array_api_strict``), whose
                arrays are given and computed with, on the device of the first one; needs the extra ``arrays``.
            states: with ``xp``, a dict that keeps the states between runs, by name, as arrays of the namespace.  What is
                not in it is read from outside and put there; outside nothing is written.  Without it, states are read
                from outside and written there in each run.

        Returns:
            What the function returns, with arrays and floats in place of variables.

        Raises:
            RecordingError: a shape or dtype that the program is not for, or a condition that no longer holds; with
                ``xp``, an operation that has no counterpart there.
            DTypeError: an array of another library without ``xp``, or a dtype that the library does not have.
            When anything is raised, nothing has been written.
        """
        return run(self, arguments, xp, states)

    def __call__(self, *arguments: Any) -> Any:
        """The function itself: variables in, variables out, recorded like any operation, so it can be differentiated.

        Parameters among the states are the leaves that they were; arguments and errors as for ``run``.
        """
        return call(self, arguments)

    def to_json(self) -> str:
        """The program as JSON text, with the values that its states hold now; the conditions are not in it."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str, primitives: Iterable[Primitive] = ()) -> Program:
        """The program that ``to_json`` wrote, with states of its own.

        Args:
            text: the JSON text.
            primitives: those of its operations that are not the library's.

        Raises:
            RecordingError: it is not such a text.
        """
        return from_json(text, cls, primitives)

    def __repr__(self) -> str:
        return summary(self)

    def __str__(self) -> str:
        return text(self)
