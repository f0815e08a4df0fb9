"""``record``: a function is run once, and every operation of it becomes a step of a program.

Whether the program also holds for other batch sizes is not guessed: the function is recorded at two more, and what differs
between the three has to be a whole multiple of the batch size, plus a whole number.  What cannot be said so, the program
refuses to run for; and batches smaller than the smallest for which a recording gave the same.  A function that changes its
mind at a larger N only, as by ``min(n, 1000)``, is not found out: three sizes say nothing of a fourth.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.mode import current_mode, switched
from ..engine.tape import Tape
from ..errors import RecordingError, clean, explain
from ..random import generator, put_back
from ..tensor import Scalar, Tensor
from .build import build
from .generalize import NotFree, first_difference, generalize
from .model import Program
from .trees import names, put_together, take_apart


def record(
    function: Callable[..., Any], *examples: Any, free: bool = True, resized: Callable[[int, int], Any] | None = None
) -> Program:
    """Record a function as a program.

    Inside of it may be a forward pass, ``backward`` or ``grad``, an optimizer's ``step``, modules, running statistics,
    random draws.  Parameters, buffers, settings such as a learning rate, and the state of an optimizer are read at each
    run of the program, and written where the function writes them.  The recording itself changes none of them; but the
    state that an optimizer creates at its first step exists afterwards, with its initial values.

    Args:
        function: called with variables in place of the examples: tensors for tensors and arrays, scalars for numbers,
            arrays of scalars for such; tuples, lists and dicts of them; anything else as it is.  It is called several
            times, see ``free``.
        examples: arguments in the shapes and dtypes that the program is for.
        free: find out whether the program holds for another length of the first axis of the first array, and of all
            arrays of the same length, by recording it at two other lengths.
        resized: from the length and another one to examples for that one; by default, rows are taken round and round.

    Returns:
        The program; ``program.run(...)`` takes arguments like the examples.

    Raises:
        RecordingError: a value leaves the graph to decide something (``float(loss)``, ``if loss > 3``, ``.data``), with
            the line; an argument is written to; the function changes what it looks at; or two recordings differ, as when
            something is drawn outside the library's own generator.
    """
    if current_mode().tape is not None:
        raise RecordingError(explain("record(): inside another recording", fix="record one of the two"))
    before = generator()
    state = before.bit_generator.state
    made: list[tuple[dict[Any, Any], Any]] = []
    try:
        with collector_paused():
            program = _recorded(
                lambda arguments, sites: _record(function, arguments, made, sites), examples, free, resized
            )
        for condition in program.conditions:
            if not condition.holds():  # no run could ever find it as it was
                what = f"record(): {clean(condition.name, 200)} is changed by the function itself"
                raise RecordingError(explain(what, fix="change it outside, or count in a buffer and with write()"))
        return program
    except BaseException:
        for entries, key in made:
            entries.pop(key, None)
        raise
    finally:
        put_back(before)
        before.bit_generator.state = state


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's cyclic collector inside.

    It would look at hundreds of thousands of new steps again and again, none of which can be let go, and take as long as
    all the rest.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _recorded(
    recorded: Callable[[Any, bool], Program],
    examples: Sequence[Any],
    free: bool,
    resized: Callable[[int, int], Any] | None,
) -> Program:
    """``record``; each of its recordings draws other numbers, so that a draw that is no operation shows."""
    first = recorded(examples, True)
    leaves, _ = take_apart(examples)
    lengths = [leaf.shape[0] for leaf in leaves if getattr(leaf, "ndim", 0) and not isinstance(leaf, Scalar)]
    why_not = "there is no array among the arguments"
    if free and lengths:
        n = lengths[0]

        def at(m: int) -> Program:
            return recorded(with_rows(examples, n, m) if resized is None else resized(n, m), False)

        try:
            others = [(m, at(m)) for m in (n + 1, 2 * n + 1)]
            found = generalize(first, n, others)
            return replace(found, smallest_n=_smallest(at, first, n, others))
        except NotFree as error:
            why_not = str(error)
        except Exception as error:  # of the function itself, which need not work for another size
            why_not = f"recording it with N = {n + 1} failed: {str(error).splitlines()[0]}"
    again = recorded(examples, False)
    difference = first_difference(first, again)
    if difference:
        fix = "draw with ops.uniform_like or functional.dropout, pass what changes as an argument, and change nothing outside"
        raise RecordingError(explain("record(): two recordings of the function differ", got=difference, fix=fix))
    return replace(
        first, recorded_n=lengths[0] if lengths else 0, why_not=why_not if free else "it was not asked to be"
    )


def _smallest(at: Callable[[int], Program], first: Program, n: int, others: list[tuple[int, Program]]) -> int:
    """The smallest N for which it is known to be the same program: a batch of one may be refused, or be another case."""
    smallest = n
    for m in (2, 1):
        if m < n:
            try:
                generalize(first, n, [*others, (m, at(m))])
            except Exception:  # of the function itself, or because it is another program
                break
            smallest = m
    return smallest


def _record(
    function: Callable[..., Any], examples: Sequence[Any], made: list[tuple[dict[Any, Any], Any]], sites: bool
) -> Program:
    """One run of the function, and the program of it, without what depends on N being told apart."""
    leaves, plan = take_apart(tuple(examples))
    inputs = [_variable(leaf) for leaf in leaves]
    called = [leaf.name if isinstance(leaf, Variable) and leaf.name else None for leaf in leaves]
    titles = [own or name for own, name in zip(called, _argument_names(function, plan))]
    tape = Tape(Scalar, made)
    drawn_from = generator()
    try:
        with switched(tape=tape, sites=sites):
            try:
                result = function(*put_together(plan, iter(inputs), scalars=True))
            except Exception:
                if tape.refused is None:
                    raise
        if tape.refused is not None:  # also where somebody has caught it
            raise tape.refused
        if generator() is not drawn_from:
            fix = "call it before program.record, or before program.run"
            raise RecordingError(explain("manual_seed() in a function that is being recorded", fix=fix))
        program, _ = build(tape, inputs, titles, result)
    finally:
        tape.put_back()
    return replace(program, takes=plan)


def _variable(leaf: Any) -> Variable:
    """A fresh variable at an example's value."""
    if isinstance(leaf, Variable):
        fresh = leaf.kind.wrap(leaf._data)
        if leaf.requires_grad:
            fresh.requires_grad = True
        if leaf.name:
            fresh.name = leaf.name
        return fresh
    return Tensor(leaf) if isinstance(leaf, np.ndarray) else Scalar(float(leaf), requires_grad=False)


def _argument_names(function: Callable[..., Any], plan: Any) -> list[str]:
    called: Any = function
    if hasattr(type(function), "forward"):  # of a module, whose __call__ takes anything
        called = called.forward
    try:
        parameters = [p for p in inspect.signature(called).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    except (TypeError, ValueError):  # some callables do not tell
        parameters = []
    found: list[str] = []
    for i, part in enumerate(plan[1:]):
        named = i < len(parameters) and parameters[i].kind is not inspect.Parameter.VAR_POSITIONAL
        found.extend(names(part, parameters[i].name if named else f"x{i}"))
    return found


def with_rows(examples: Sequence[Any], n: int, m: int) -> Any:
    """The examples with m rows, taken round and round, in place of n."""
    leaves, plan = take_apart(tuple(examples))
    return put_together(plan, iter([_rows(leaf, n, m) for leaf in leaves]), scalars=True)


def _rows(leaf: Any, n: int, m: int) -> Any:
    if isinstance(leaf, Scalar) or not getattr(leaf, "ndim", 0) or leaf.shape[0] != n:
        return leaf
    raw = leaf._data if isinstance(leaf, Variable) else leaf
    taken = raw[np.arange(m) % n] if n else np.zeros((m, *raw.shape[1:]), raw.dtype)
    return Tensor(taken, leaf.requires_grad, leaf.name) if isinstance(leaf, Variable) else taken
