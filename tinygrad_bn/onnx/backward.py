"""A function and its backward pass, recorded together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine import Variable, no_grad
from ..engine.mode import current_mode
from ..engine.sweep import Contribution, cotangent_for, sweep
from ..engine.tape import Made
from ..errors import ArgumentError, explain
from ..program import Program, Size, record
from ..program.parts import NUMBER, resolved
from ..program.record import with_rows
from ..program.trees import names as names_of
from ..program.trees import put_together, take_apart
from ..tensor import Scalar, Tensor

BACKWARD = "backward"


def with_gradients(function: Callable[..., Any], examples: Sequence[Any], free: bool) -> tuple[Program, list[str]]:
    """The program that returns what the function returns, and the gradients of its arguments and parameters; their names.

    The steps of the backward pass are in the scope of what they are the backward pass of, inside "backward".

    Raises:
        ArgumentError: no output of the function depends on a value that requires a gradient.
    """
    forward = record(function, *examples, free=free)
    leaves, plan = take_apart(tuple(examples))
    named = [_wanting(leaf, entry.name) for leaf, entry in zip(leaves, forward.inputs)]
    arguments = put_together(plan, iter(named), scalars=True)
    outputs = [forward.entry(number) for number in forward.outputs]
    titles = [f"{name}.grad" for name in names_of(forward.gives, "output")]
    wanted = {
        str(i): (entry, title)
        for i, (entry, title) in enumerate(zip(outputs, titles))
        if _is_floating(entry.dtype) and not _is_single(entry.shape)
    }

    def cotangents_for(n: int) -> dict[str, Tensor]:
        return {
            i: Tensor(np.ones(resolved(entry.shape, n), entry.dtype), name=title)
            for i, (entry, title) in wanted.items()
        }

    found: list[tuple[int | None, Variable]] = []
    scopes: list[tuple[str, ...] | None] = []

    def both(arguments: Any, cotangents: dict[str, Any]) -> Any:
        result = function(*arguments)
        returned = take_apart(result)[0]
        roots = {i: v for i, v in enumerate(returned) if isinstance(v, Variable) and v.requires_grad}
        if not roots:
            fix = "return what is computed from floating-point inputs or parameters"
            raise ArgumentError(explain("export(gradients=True): no output has a gradient", fix=fix))
        gradients, places = _swept(roots, cotangents)
        given = {variable: i for i, variable in enumerate(take_apart(arguments)[0])}
        order = sorted(gradients, key=lambda v: (given.get(v, len(given)), v.stamp))
        if not found:
            found.extend((given.get(v), v) for v in order)
            scopes.extend(places)
        return result, [gradients[v] for v in order]

    program = record(
        both,
        arguments,
        cotangents_for(forward.recorded_n),
        free=free and forward.free,
        resized=lambda n, m: (*with_rows((arguments,), n, m), cotangents_for(m)),
    )
    if not forward.free:
        program = replace(program, why_not=forward.why_not)
    own = {place: entry.name for place, entry in enumerate(program.inputs)}
    titled = [own[place] if place is not None else _name_of(program, variable) for place, variable in found]
    steps = tuple(step if scope is None else step._replace(scope=scope) for step, scope in zip(program.steps, scopes))
    names = [*names_of(forward.gives, "output"), *(f"{title}.grad" for title in titled)]
    return replace(program, steps=steps), names


def _swept(
    roots: Mapping[int, Variable], cotangents: Mapping[str, Any]
) -> tuple[dict[Variable, Any], list[tuple[str, ...] | None]]:
    """The gradients of the leaves; and for each operation recorded so far, the scope of what it is the backward pass of."""
    tape = current_mode().tape
    assert tape is not None
    seen: list[tuple[int, Contribution]] = []
    begin = len(tape.events)
    with no_grad():
        seeds = [cotangent_for(root, cotangents.get(str(i)), True) for i, root in roots.items()]
        kept, _ = sweep(
            list(roots.values()), seeds, on_variables=True, watch=lambda part: seen.append((len(tape.events), part))
        )
    return {v: g for v, g in kept.items() if v.inputs is None}, _scopes(tape.events, begin, seen)


def _wanting(leaf: Any, name: str) -> Any:
    """An argument that wants a gradient, if it can have one, under its name."""
    if isinstance(leaf, Scalar) or (isinstance(leaf, (float, int)) and not isinstance(leaf, bool)):
        return Scalar(float(leaf.item() if isinstance(leaf, Scalar) else leaf), name=name)
    raw = leaf._data if isinstance(leaf, Variable) else np.asarray(leaf)
    return Tensor(raw, requires_grad=raw.dtype.kind == "f", name=name)


def _is_floating(dtype: str) -> bool:
    return dtype != NUMBER and np.dtype(dtype).kind == "f"


def _is_single(shape: tuple[Any, ...]) -> bool:
    return not any(isinstance(n, Size) for n in shape) and int(np.prod(shape)) == 1


def _scopes(
    events: Sequence[Any], begin: int, seen: Sequence[tuple[int, Contribution]]
) -> list[tuple[str, ...] | None]:
    """For each operation of a recording the scope of what it is the backward pass of; ``None`` before that begins."""
    found: list[tuple[str, ...] | None] = []
    place = 0
    for i, event in enumerate(events):
        if not isinstance(event, Made):
            continue
        if i < begin:
            found.append(None)
            continue
        while place < len(seen) - 1 and seen[place][0] <= i:
            place += 1
        scope = seen[place][1].result.scope
        found.append((BACKWARD, *(scope.path if scope is not None else ())))
    return found


def _name_of(program: Program, leaf: Variable) -> str:
    """The name of a parameter as in ``state_dict``."""
    return next((s.name for s in program.states if s.place.owner is leaf and s.place.key == "_data"), leaf.label)
