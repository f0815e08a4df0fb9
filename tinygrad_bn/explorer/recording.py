"""A computation and a backward pass of it as one program: what a page runs, again and again, on the numbers of its reader.

Leaves and cotangents are the program's inputs; forward and backward are steps.  What each rule contributed is known by
number, so that a page can show it for any inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..engine import Variable, no_grad
from ..engine.mode import switched
from ..engine.sweep import Contribution, cotangent_for, sweep
from ..engine.tape import Made, Tape
from ..errors import ArgumentError
from ..kinds import Value
from ..program import Input, Program
from ..program.build import build, recorded
from ..program.generalize import NotFree, generalize
from ..tensor import Scalar

Watch = Callable[[Contribution], object]
Sweep = Callable[[Sequence[Variable], Sequence[Variable], Watch], object]


class Part(NamedTuple):
    """A contribution, and the numbers of its values in the program; ``before`` is ``None`` for an argument's first."""

    contribution: Contribution
    upstream: int
    returned: int
    given: int
    before: int | None
    after: int


class Recording(NamedTuple):
    """A forward and a backward pass.

    Attributes:
        program: its inputs are the leaves, then the cotangents of the roots.
        made: the forward operations, in order.
        leaves: the variable of each of the first inputs.
        roots: the variable whose cotangent each further input is.
        cotangents: those inputs' values.
        numbers: the number of each variable, of those that the backward pass made, too.
        parts: what the rules contributed, in order.
        given: the values of inputs after those: of arrays that are no variables.
    """

    program: Program
    made: Sequence[Made]
    leaves: Sequence[Variable]
    roots: Sequence[Variable]
    cotangents: Sequence[Variable]
    numbers: dict[Variable, int]
    parts: Sequence[Part]
    given: Sequence[Any] = ()


def engines(roots: Sequence[Variable], cotangents: Sequence[Variable], watch: Watch) -> object:
    """The engine's own backward pass."""
    return sweep(roots, cotangents, on_variables=True, watch=watch)


def record_both(roots: Sequence[Variable], gradients: Sequence[Value], backward: Sweep = engines) -> Recording:
    """Record what is behind ``roots``, and a backward pass from them.

    Args:
        roots: results, with their graph.
        gradients: their cotangents; ``None`` for 1.
        backward: the pass to record; it runs rules on variables and tells ``watch`` of each contribution.

    Raises:
        GraphError, ShapeError, MutationError: as ``backward``.
    """
    cotangents = [root.kind.wrap(cotangent_for(root, g, False)) for root, g in zip(roots, gradients)]
    made = recorded(roots)
    arguments = dict.fromkeys(a for event in made for a in event.args if isinstance(a, Variable))
    leaves = [v for v in dict.fromkeys((*arguments, *roots)) if v.inputs is None]
    tape = Tape(Scalar)
    seen: list[Contribution] = []
    with switched(tape=tape, sites=False), no_grad():
        backward(roots, cotangents, seen.append)
    shown = [value for part in seen for value in (part.upstream, part.returned, part.cotangent, part.after)]
    names = [*(leaf.name or "leaf" for leaf in leaves), *(f"∂{root.name or 'output'}" for root in roots)]
    program, numbered = build(tape, [*leaves, *cotangents], names, [*roots, *shown], made)
    numbers = numbered()
    found = iter(program.outputs[len(roots) :])
    parts = []
    for part in seen:
        upstream, returned, given, after = next(found), next(found), next(found), next(found)
        parts.append(
            Part(part, upstream, returned, given, None if part.before is None else numbers[part.before], after)
        )
    program = replace(
        program,
        outputs=program.outputs[: len(roots)],
        gives=["list", *["value"] * len(roots)],
        takes=["tuple", *["value"] * len(program.inputs)],
        steps=tuple(step._replace(scope=(), site="") for step in program.steps),
        conditions=(),
    )
    return Recording(program, made, leaves, roots, cotangents, numbers, parts)


def for_any_rows(first: Recording, n: int, others: Sequence[tuple[int, Recording]]) -> Recording:
    """The recording with a program that is free in its batch size, given recordings of the same at two other sizes.

    Arrays of constants that have a row for each row of the batch, such as labels, become inputs of it.

    Raises:
        ArgumentError: they are not the same but for their size.
    """
    rows = _constants_by_row(first.program, n, [(m, other.program) for m, other in others])
    first, others = _with_inputs(first, rows), [(m, _with_inputs(other, rows)) for m, other in others]
    try:
        program = generalize(first.program, n, [(m, other.program) for m, other in others])
    except NotFree as error:
        raise ArgumentError(str(error)) from None
    if not program.free:
        raise ArgumentError("nothing in it has that many rows")
    return first._replace(program=replace(program, smallest_n=2))


def _constants_by_row(first: Program, n: int, others: Sequence[tuple[int, Program]]) -> list[int]:
    """Which constants are arrays whose rows come again from the start in a larger batch."""

    def comes_again(i: int) -> bool:
        value = first.constants[i].value
        if (
            not isinstance(value, np.ndarray)
            or not value.ndim
            or value.shape[0] != n
            or first.constants[i].shape != value.shape
        ):
            return False
        return all(
            len(p.constants) > i and np.array_equal(p.constants[i].value, value[np.arange(m) % n]) for m, p in others
        )

    return [i for i in range(len(first.constants)) if comes_again(i)]


def _with_inputs(recording: Recording, chosen: Sequence[int]) -> Recording:
    """The recording with some of its program's constants as further inputs."""
    program = recording.program
    start = len(program.inputs)
    order = [*chosen, *(i for i in range(len(program.constants)) if i not in chosen)]
    now = {start + i: start + place for place, i in enumerate(order)}

    def renamed(number: int) -> int:
        return now.get(number, number)

    given = [program.constants[i] for i in chosen]
    program = replace(
        program.with_steps(
            tuple(program.constants[i] for i in order[len(chosen) :]),
            tuple(step._replace(args=tuple(map(renamed, step.args))) for step in program.steps),
            renamed,
        ),
        inputs=(*program.inputs, *(Input("", constant.shape, constant.dtype) for constant in given)),
        takes=["tuple", *["value"] * (start + len(given))],
    )
    return recording._replace(program=program, given=[constant.value for constant in given])
