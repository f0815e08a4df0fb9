"""What a ``Program`` is made of: inputs, states, constants, steps, and the sizes that depend on N."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..engine import Primitive
from ..engine.tape import Place
from ..kinds import Raw

NUMBER = "number"  # the dtype of a Python float, which is what a Scalar holds


@dataclass(frozen=True)
class Size:
    """A whole number that depends on the free size N: ``scale * N + offset``, such as the rows of a batch.

    Stands for an int in shapes and parameters.

    Attributes:
        whole: whether, as a constant, it is a Python int, as in ``x * len(x)``; otherwise a float, as the count of a mean.
    """

    scale: int
    offset: int
    whole: bool = False

    def at(self, n: int) -> int:
        """The number for one N."""
        return self.scale * n + self.offset

    def __str__(self) -> str:
        head = "N" if self.scale == 1 else f"{self.scale}N"
        return head if not self.offset else f"{head}{self.offset:+d}"


Shape = tuple[Any, ...]  # of ints and Sizes


@dataclass(frozen=True)
class Input:
    """A value given at each run."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class State:
    """A value outside the program that each run reads, and may write.

    Attributes:
        name: dotted, as in ``state_dict``, where a module has it.
        kind: "parameter", "buffer", "gradient", "setting", or "tensor" for any other leaf.
        shape: as in NumPy.
        dtype: NumPy's name, or "number".
        place: where it stands.
    """

    name: str
    kind: str
    shape: Shape
    dtype: str
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True)
class Constant:
    """An array or number that is the same in every run.

    Attributes:
        value: a number, a ``Size`` for a number that is a count, or a read-only array.
        shape: where it is larger than the value's own: the one number repeated.
    """

    value: Any
    shape: Shape
    dtype: str

    def at(self, n: int) -> Raw:
        """The value that steps read, for one N."""
        if self.dtype == NUMBER:
            if not isinstance(self.value, Size):
                return self.value
            return self.value.at(n) if self.value.whole else float(self.value.at(n))
        shape = resolved(self.shape, n)
        if shape == self.value.shape:
            return self.value
        whole = np.full(shape, self.value)
        whole.setflags(write=False)
        return whole


class Step(NamedTuple):
    """One operation; a tuple, since there may be hundreds of thousands.

    Attributes:
        primitive: which.
        args: numbers of the values it takes.
        params: its parameters, plain data.
        shape: of the result.
        dtype: of the result; "number" for a Python float.
        scope: names of the modules and formulas around it, outermost first.
        site: ``"file:line"`` of the code that made it, or "".
        calls: for each part of ``scope`` which time it is that it was entered there: 1 for the first.
        name: what the code calls the result, or "".
    """

    primitive: Primitive
    args: tuple[int, ...]
    params: Mapping[str, Any]
    shape: Shape
    dtype: str
    scope: tuple[str, ...] = ()
    site: str = ""
    calls: tuple[int, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Condition:
    """Something outside that was looked at when the program was recorded, and that has to be the same when it runs."""

    name: str
    place: Place
    test: Callable[[Any], Any]
    found: Any

    def holds(self) -> bool:
        """Whether it is still so."""
        now = self.test(self.place.read())
        return now is self.found or bool(now == self.found)  # a NaN is not equal to itself


def resolved(value: Any, n: int) -> Any:
    """Parameters or shapes with every ``Size`` replaced by its number for one N."""
    if isinstance(value, Size):
        return value.at(n)
    if isinstance(value, tuple):
        return tuple(resolved(part, n) for part in value)
    if isinstance(value, slice):
        return slice(*(resolved(part, n) for part in (value.start, value.stop, value.step)))
    if isinstance(value, dict):
        return {key: resolved(part, n) for key, part in value.items()}
    return value
