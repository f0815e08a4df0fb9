"""``replay``: what variables at hand were computed from, run again with other values in some of the leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..engine import Variable
from ..kinds import Raw
from .build import program_of
from .parts import Step
from .run import evaluate


def replay(roots: Sequence[Variable]) -> Callable[[Mapping[Variable, Raw]], list[Raw]]:
    """A function from raw values of some leaves to the raw values of the roots; random draws stay as they were.

    Raises:
        GraphError: the graph was freed by an earlier backward pass.
    """
    program, numbers = program_of(roots)
    recorded = {number: variable._data for variable, number in numbers.items()}
    drawn = {n: recorded[n] for n, entry in program.entries() if isinstance(entry, Step) and not entry.primitive.pure}
    leaves = [state.place.owner for state in program.states]

    def run(changed: Mapping[Variable, Raw]) -> list[Raw]:
        results = evaluate(program, [changed.get(leaf, leaf._data) for leaf in leaves], held=drawn)
        return [results[number] for number in program.outputs]

    return run
