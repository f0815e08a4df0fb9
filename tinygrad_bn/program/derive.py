"""``derive``: the backward pass of a computation at hand, as a program of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..engine import Variable, no_grad
from ..engine.mode import switched
from ..engine.sweep import Contribution, cotangent_for, sweep
from ..engine.tape import Made, Tape
from ..kinds import Raw, Value
from ..tensor import Scalar
from .build import build, recorded
from .model import Program


class Derived(NamedTuple):
    """A backward pass, after the forward pass that it is of.

    Attributes:
        program: its inputs are the cotangents of the roots, its states the leaves, its outputs the leaves' gradients.  The
            scope of a step of the backward pass says which rule of which operation it is of.
        cotangents: the value of each input.
        leaves: the variable whose gradient each output is.
        forward: the number of each variable of the forward pass.
        parts: for the scope of a step of the backward pass, what the rule contributed.
        numbers: for each variable of the forward pass that gets one, the number of its cotangent.
    """

    program: Program
    cotangents: tuple[Any, ...]
    leaves: tuple[Variable, ...]
    forward: dict[Variable, int]
    parts: dict[tuple[str, ...], Contribution]
    numbers: dict[Variable, int]

    def values(self) -> list[Raw]:
        """The raw values of the inputs and states."""
        return [*self.cotangents, *(state.place.owner._data for state in self.program.states)]


def derive(roots: Sequence[Variable], gradients: Sequence[Value]) -> Derived:
    """Run the backward pass of some results on a tape.

    The engine's own sweep runs, so hooks act and a value that was changed is noticed; no ``.grad`` changes.

    Args:
        roots: results, with their graph.
        gradients: their cotangents, as for ``backward``; ``None`` for 1.

    Raises:
        GraphError, ShapeError, MutationError: as ``backward``.
    """
    cotangents = [root.kind.wrap(cotangent_for(root, g, False)) for root, g in zip(roots, gradients)]
    tape = Tape(Scalar)
    seen: list[tuple[int, Contribution]] = []
    with switched(tape=tape, sites=False), no_grad():
        kept, _ = sweep(roots, cotangents, on_variables=True, watch=lambda part: seen.append((len(tape.events), part)))
    leaves = [variable for variable in kept if variable.inputs is None]
    names = [f"∂{root.name or 'output'}" for root in roots]
    before = recorded(roots)
    program, number_all = build(tape, cotangents, names, [kept[leaf] for leaf in leaves], before)
    numbers = number_all()

    parts: dict[tuple[str, ...], Contribution] = {}
    steps = list(program.steps)
    turn, place = 0, len(before)
    for i, event in enumerate(tape.events):
        while turn < len(seen) - 1 and seen[turn][0] <= i:
            turn += 1
        if isinstance(event, Made):
            part = seen[turn][1]
            scope = (f"rule of {_operation(part)}, argument {part.slot}", str(part.result.stamp))
            parts[scope] = part
            steps[place] = steps[place]._replace(scope=scope)
            place += 1
    found = {part.argument: part.after for _, part in seen} | {leaf: kept[leaf] for leaf in leaves}
    behind = dict.fromkeys(
        (*(a for m in before for a in m.args if isinstance(a, Variable)), *(m.out for m in before), *roots)
    )
    return Derived(
        replace(program, steps=tuple(steps)),
        tuple(cotangent._data for cotangent in cotangents),
        tuple(leaves),
        {variable: numbers[variable] for variable in behind if variable in numbers},
        parts,
        {variable: numbers[cotangent] for variable, cotangent in found.items()},
    )


def _operation(part: Contribution) -> str:
    assert part.result.primitive is not None  # that is what a rule is of
    return part.result.primitive.name
