"""``derive``: the backward pass of a computation at hand, as a program of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..engine import Variable, no_grad
from ..engine.mode import switched
from ..engine.sweep import Contribution, seed_for, sweep, toposort
from ..engine.tape import Made, Tape
from ..tensor import Scalar
from .build import build
from .model import Program


class Derived(NamedTuple):
    """A backward pass.

    Attributes:
        program: its inputs are the cotangents of the roots, then values of the forward pass that rules use; its outputs
            the gradients of the leaves.  The scope of a step says which rule of which operation it is of.
        given: the variable behind each input.
        leaves: the variable whose gradient each output is.
        parts: for each scope, what its rule contributed.
        numbers: the number of each cotangent that the pass computed, by the forward variable it is of.
    """

    program: Program
    given: tuple[Variable, ...]
    leaves: tuple[Variable, ...]
    parts: dict[tuple[str, ...], Contribution]
    numbers: dict[Variable, int]

    def values(self) -> list[Any]:
        """The raw values of the inputs."""
        return [variable._data for variable in self.given]


def derive(roots: Sequence[Variable], gradients: Sequence[Any]) -> Derived:
    """Run the backward pass of some results on a tape.

    The engine's own sweep runs, so hooks act and a value that was changed is noticed; no ``.grad`` changes.

    Args:
        roots: results, with their graph.
        gradients: their cotangents, as for ``backward``; ``None`` for 1.

    Raises:
        GraphError, ShapeError, MutationError: as ``backward``.
    """
    seeds = [seed_for(root, gradient, False) for root, gradient in zip(roots, gradients)]
    cotangents = [root.kind.wrap(seed) for root, seed in zip(roots, seeds)]
    results = toposort(roots, everything=True)
    behind = dict.fromkeys((*results, *(a for r in results for a in r.inputs or () if isinstance(a, Variable))))
    given = [*cotangents, *reversed(list(behind)), *(root for root in roots if root not in behind)]
    tape = Tape(Scalar)
    seen: list[tuple[int, Contribution]] = []
    with switched(tape=tape, sites=False, scope=None), no_grad():
        kept, _ = sweep(roots, cotangents, on_variables=True, watch=lambda part: seen.append((len(tape.events), part)))
    leaves = [variable for variable in kept if variable.inputs is None]
    names = [variable.name or "v" for variable in given]
    program = build(tape, given, names, [kept[leaf] for leaf in leaves])

    parts: dict[tuple[str, ...], Contribution] = {}
    scopes: list[tuple[str, ...]] = []
    turn = 0
    for i, event in enumerate(tape.events):
        while turn < len(seen) - 1 and seen[turn][0] <= i:
            turn += 1
        if isinstance(event, Made):
            part = seen[turn][1]
            scope = (f"rule of {_operation(part)}, argument {part.slot}", str(part.result.stamp))
            parts[scope] = part
            scopes.append(scope)
    steps = tuple(step._replace(scope=scope) for step, scope in zip(program.steps, scopes))
    made = [event.out for event in tape.events if isinstance(event, Made)]
    numbers = {variable: i for i, variable in enumerate(given)}
    numbers |= {variable: program.first_step + i for i, variable in enumerate(made)}
    found = {part.argument: part.after for _, part in seen} | {leaf: kept[leaf] for leaf in leaves}
    return Derived(
        replace(program, steps=steps),
        tuple(given),
        tuple(leaves),
        parts,
        {variable: numbers[cotangent] for variable, cotangent in found.items() if cotangent in numbers},
    )


def _operation(part: Contribution) -> str:
    assert part.result.primitive is not None  # that is what a rule is of
    return part.result.primitive.name
