"""From programs of one function at three batch sizes to one program for all: what differs has to be a multiple of N."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter, eq
from typing import Any

import numpy as np

from .model import Program
from .parts import Constant, Size, Step
from .trees import refuse_made

KINDS, DATA = attrgetter("primitive", "args", "dtype"), attrgetter("params", "shape")


class NotFree(Exception):  # noqa: N818 (an answer, which never leaves the room)
    """The program is for one size only; says why."""


def generalize(first: Program, n: int, others: Sequence[tuple[int, Program]]) -> Program:
    """The program for any N, given programs recorded at ``n`` and at two other sizes.

    Raises:
        NotFree: they differ in more than multiples of N.
    """
    sizes = (n, *(m for m, _ in others))
    programs = (first, *(program for _, program in others))
    for program in programs[1:]:
        refuse_made(first.gives, program.gives)
    counts = [len(program.steps) for program in programs]
    if len(set(counts)) > 1:
        raise NotFree(_differ([f"{count} operations" for count in counts], sizes))
    if not all(_alike(program, first) for program in programs[1:]):
        raise NotFree("its operations depend on N" if len(set(sizes)) > 1 else "its operations, or what it returns")

    def merged(get: Any, where: str) -> Any:
        return _merged([get(program) for program in programs], sizes, where)

    inputs = tuple(
        replace(entry, shape=merged(lambda p, i=i: p.inputs[i].shape, f"the shape of {entry.name}"))
        for i, entry in enumerate(first.inputs)
    )
    constants = tuple(_merged_constant([p.constants[i] for p in programs], sizes) for i in range(len(first.constants)))
    steps = first.steps
    if not all(_same(DATA, first, program) for program in programs[1:]):
        steps = tuple([_merged_step(found, sizes) for found in zip(*[program.steps for program in programs])])
    free = inputs != first.inputs
    return replace(first, inputs=inputs, constants=constants, steps=steps, recorded_n=n, free=free)


def first_difference(one: Program, other: Program) -> str:
    """What is not the same in two recordings, in words; "" for nothing."""
    try:
        generalize(one, 0, [(0, other)])
    except NotFree as error:
        return str(error)
    return ""


def _alike(one: Program, other: Program) -> bool:
    """Whether they agree in what must not differ at all."""
    return (
        (one.states, one.outputs, one.writes, one.gives) == (other.states, other.outputs, other.writes, other.gives)
        and [(type(c.value), c.dtype) for c in one.constants] == [(type(c.value), c.dtype) for c in other.constants]
        and _same(KINDS, one, other)
    )


def _same(of: Callable[[Step], object], one: Program, other: Program) -> bool:
    """Whether steps have the same of something; there may be hundreds of thousands."""
    return all(map(eq, map(of, one.steps), map(of, other.steps)))


def _merged_step(found: Sequence[Step], sizes: tuple[int, ...]) -> Step:
    one, data = found[0], [DATA(step) for step in found]
    if data.count(data[0]) == len(data):
        return one
    params = _merged([dict(step.params) for step in found], sizes, _place(one))
    return one._replace(params=params, shape=_merged([step.shape for step in found], sizes, _place(one)))


def _merged(values: list[Any], sizes: tuple[int, ...], where: str) -> Any:
    one = values[0]
    if isinstance(one, (tuple, list)) and all(type(v) is type(one) and len(v) == len(one) for v in values):
        return type(one)(_merged([v[i] for v in values], sizes, where) for i in range(len(one)))
    if isinstance(one, dict):
        return {key: _merged([v.get(key) for v in values], sizes, where) for key in one}
    if isinstance(one, slice):
        return slice(*(_merged([getattr(v, part) for v in values], sizes, where) for part in ("start", "stop", "step")))
    if all(type(v) is type(one) and (v == one or v != v) for v in values):
        return one
    if all(isinstance(v, (int, float)) and v == int(v) for v in values if v == v and abs(v) != np.inf):
        size = _linear([int(v) for v in values], sizes)
        if size is not None:
            return size
    depends = " depends on N" if len(set(sizes)) > 1 else ""
    raise NotFree(f"{where}{depends}: {_differ(values, sizes)}")


def _differ(values: Sequence[Any], sizes: tuple[int, ...]) -> str:
    if len(set(sizes)) == 1:
        return ", then ".join(map(str, values))
    return ", ".join(f"{value} for N = {n}" for value, n in zip(values, sizes))


def _linear(values: list[int], sizes: tuple[int, ...]) -> Size | None:
    if sizes[0] == sizes[1]:
        return None
    scale, rest = divmod(values[1] - values[0], sizes[1] - sizes[0])
    size = Size(scale, values[0] - scale * sizes[0])
    return size if not rest and all(size.at(n) == value for value, n in zip(values, sizes)) else None


def _merged_constant(constants: list[Constant], sizes: tuple[int, ...]) -> Constant:
    one = constants[0]
    if not isinstance(one.value, np.ndarray):
        value = _merged([c.value for c in constants], sizes, f"the number {one.value}")
        if isinstance(value, Size):
            value = replace(value, whole=all(isinstance(c.value, int) for c in constants))
        return replace(one, value=value)
    if not all(np.array_equal(c.value, one.value, equal_nan=one.value.dtype.kind == "f") for c in constants):
        shown = np.array2string(one.value.ravel()[:4], precision=4)
        raise NotFree(f"a constant array of shape {one.value.shape}, {shown} ..., is another one each time")
    return replace(one, shape=_merged([c.shape for c in constants], sizes, "the shape of a constant"))


def _place(step: Step) -> str:
    return f"{step.primitive.name} ({step.site})" if step.site else step.primitive.name
