"""Running a program: on the raw values that eager code would compute with, step by step, so with the same bits."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import Variable, reading, write
from ..engine.messages import made_nonfinite, step_not_finite
from ..engine.mode import current_mode
from ..engine.write import exchange, fitted, set_gradients
from ..errors import ArgumentError, RecordingError, TinygradError, clean, explain, is_foreign_array, native
from ..kinds import Raw, Value
from .arrays import Backend, foreign_values, is_traced
from .parts import NUMBER, Input, Size, State, Step, resolved
from .trees import by_plan, put_together

if TYPE_CHECKING:
    from .model import Program

# What NumPy and Python raise where arguments do not fit; a FloatingPointError of np.errstate is the user's own wish.
FAILURES = (TypeError, ValueError, LookupError, AttributeError, MemoryError, OverflowError, ZeroDivisionError)


def run(
    program: Program, arguments: Sequence[Any], xp: Any = None, states: MutableMapping[str, Any] | None = None
) -> Any:
    """``Program.run``."""
    if current_mode().tape is not None:
        fix = "call the program, or record the function that it is of"
        raise RecordingError(explain("program.run: inside a function that is being recorded", fix=fix))
    if xp is not None:
        return _run_elsewhere(program, arguments, xp, states)
    if states is not None:
        raise ArgumentError(
            explain("program.run: states= goes with xp=", fix="leave it out: states stand where they are")
        )
    given = by_plan(program.takes, tuple(arguments))
    values = [_as_input(entry, value) for entry, value in zip(program.inputs, given)]
    n = _free_size(program, [np.shape(value) for value in values])
    for entry, value in zip(program.inputs, values):
        _check(program, entry, value, n)
    _check_present(program, n)
    results = evaluate(program, [*values, *_states(program)], n)
    _commit(program, results)
    return put_together(program.gives, iter([results[number] for number in program.outputs]))


def _run_elsewhere(program: Program, arguments: Sequence[Any], xp: Any, states: MutableMapping[str, Any] | None) -> Any:
    """``run`` on another library's arrays; what is written to states comes back as NumPy's arrays, or goes into ``states``."""
    given = by_plan(program.takes, tuple(arguments))
    backend = Backend(xp, next((value for value in given if is_foreign_array(value)), None))
    n = _free_size(program, [tuple(getattr(value, "shape", ())) for value in given])
    for entry, value in zip(program.inputs, given):
        if entry.dtype != NUMBER:
            backend.check(entry.name, value, resolved(entry.shape, n), entry.dtype, _why_not_free(program))
    values = [float(v) if entry.dtype == NUMBER else v for entry, v in zip(program.inputs, given)]
    _check_present(program, n)
    if states is None and program.writes and any(map(is_traced, values)):
        fix = "states={}: a dict, which is given the new values"
        raise RecordingError(explain("program.run: jax compiles a program that writes to states outside", fix=fix))
    read = [
        backend.state(state, raw, states) if raw is not None or (states and state.name in states) else None
        for state, raw in zip(program.states, _states(program))
    ]
    results = foreign_values(backend, program, [*values, *read], n)
    if states is None:
        _commit(program, {value: _back(backend, results[value]) for _, value in program.writes if value is not None})
    else:
        backend.keep(program, results, states)
    return put_together(program.gives, iter([results[number] for number in program.outputs]))


def _back(backend: Backend, value: Any) -> Raw:
    if isinstance(value, float):
        return value
    array = np.array(backend.numpy(value))
    array.setflags(write=False)
    return array


def call(program: Program, arguments: Sequence[Any]) -> Any:
    """``Program.__call__``: the steps on variables, so that they are recorded like those of any function."""
    given = by_plan(program.takes, tuple(arguments))
    inputs = [
        value if isinstance(value, Variable) else _as_input(entry, value) for entry, value in zip(program.inputs, given)
    ]
    raw = [value._data if isinstance(value, Variable) else value for value in inputs]
    n = _free_size(program, [np.shape(value) for value in raw])
    for entry, value in zip(program.inputs, raw):
        _check(program, entry, value, n)
    _check_present(program, n)
    first = len(program.inputs)
    states = [
        (state.place.owner if state.place.key == "_data" else state.place.read()) if value is not None else None
        for state, value in zip(program.states, _states(program))
    ]
    results: list[Value] = [*inputs, *states, *(constant.at(n) for constant in program.constants)]
    for step in program.steps:
        results.append(step.primitive(*(results[i] for i in step.args), **resolved(dict(step.params), n)))
    moves, gradients = [], []
    for number, value in program.writes:
        state = program.states[number - first]
        if state.place.key == "_data":
            moves.append((state.place.owner, results[value]))  # type: ignore[index]  # a value is never cleared
        else:
            gradients.append((state.place.owner, None if value is None else reading(results[value])))
    write(moves)
    if gradients:
        owners, found = zip(*gradients)
        set_gradients(owners, found)
    return put_together(program.gives, iter([results[number] for number in program.outputs]))


def _states(program: Program) -> list[Raw]:
    """The raw values of the states that a step reads."""
    first = len(program.inputs)
    return [read(state) if first + i in program.reads else None for i, state in enumerate(program.states)]


def _check_present(program: Program, n: int) -> None:
    """Whether the program can run for this size, and everything outside is as it was."""
    if program.free and n < program.smallest_n:
        expected = f"N at least {program.smallest_n}, the smallest for which it was recorded"
        raise RecordingError(explain("program.run: too small a batch", got=f"N = {n}", expected=expected))
    for condition in program.conditions:
        if not condition.holds():
            got = f"{clean(condition.name, 200)} has changed since the recording"
            raise RecordingError(
                explain("program.run: not as it was recorded", got=got, fix="record the function again")
            )


def evaluate(
    program: Program, values: Sequence[Raw], n: int | None = None, held: Mapping[int, Raw] | None = None
) -> list[Raw]:
    """The value of every number, given those of the inputs and states; nothing is read or written outside.

    Args:
        program: what to run.
        values: raw values of the inputs, then of the states.
        n: the free size; that of the recording by default.
        held: results of steps that are not to be computed, such as a random draw that is to be the same again.
    """
    n = program.recorded_n if n is None else n
    results = list(values)
    try:
        results += (constant.at(n) for constant in program.constants)
        _steps(program, n, results, held)
    except TinygradError:
        raise
    except FAILURES as error:
        raise _failed(program, n, len(results), error) from error
    return results


def _steps(program: Program, n: int, results: list[Raw], held: Mapping[int, Raw] | None) -> None:
    checks_shapes = n != program.recorded_n
    anomaly = current_mode().anomaly
    for step in program.steps:
        if held is not None and len(results) in held:
            results.append(held[len(results)])
            continue
        args = [results[i] for i in step.args]
        params: Any = resolved(step.params, n) if program.free else step.params
        if step.dtype == NUMBER:
            data = step.primitive.on_floats(args, params)
            data = data if type(data) is float else float(data)
        else:
            data = step.primitive.on_arrays(args, params)
            data.setflags(False)
            if checks_shapes and data.shape != resolved(step.shape, n):
                got, expected = f"shape {data.shape}", f"shape {resolved(step.shape, n)}"
                what = f"program.run: {step.primitive.name} ({clean(step.site, 200)}) does not work for N = {n}"
                raise RecordingError(explain(what, got=got, expected=expected))
        if anomaly and made_nonfinite(data, args, step.primitive.elementwise):
            raise step_not_finite(step.primitive, data, args, step.site)
        results.append(data)


def _failed(program: Program, n: int, number: int, error: Exception) -> RecordingError:
    """What a primitive could not do, said with the step; only a program that was changed or read from a file has such."""
    entry = program.entry(number)
    what = f"{entry.primitive.name} ({clean(entry.site, 200)})" if isinstance(entry, Step) else f"constant {number}"
    return RecordingError(explain(f"program.run: {what} failed for N = {n}", got=f"{type(error).__name__}: {error}"))


def read(state: State) -> Raw:
    """The raw value of a state now.

    Raises:
        RecordingError: it is gone, or of another shape or dtype.
    """
    value = state.place.read()
    if isinstance(value, Variable):
        value = value._data
    if state.dtype == NUMBER:
        return float(value)
    if not isinstance(value, np.ndarray) or value.shape != state.shape or value.dtype.name != state.dtype:
        got = f"shape {value.shape}, dtype {value.dtype}" if isinstance(value, np.ndarray) else repr(value)
        expected = f"shape {state.shape}, dtype {state.dtype}"
        raise RecordingError(explain(f"program.run: {clean(state.name)} has changed", got=got, expected=expected))
    return value


def _commit(program: Program, results: Sequence[Raw] | Mapping[int, Raw]) -> None:
    """Write the states, values and gradients; nothing can fail from here on, and Ctrl-C finds all of it done or none."""
    leaves, values, graded, gradients = [], [], [], []
    for number, value in program.writes:
        state = program.states[number - len(program.inputs)]
        owner: Any = state.place.owner
        result = None if value is None else results[value]
        if state.place.key == "_data":
            leaves.append(owner)
            values.append(fitted(owner, result))
        else:
            graded.append(owner)
            gradients.append(None if value is None else owner.kind.wrap(result))
    if program.writes:
        exchange(leaves, values, graded, gradients)


# -- arguments ----------------------------------------------------------------------------------------------------------


def _as_input(entry: Input, value: Value) -> Raw:
    """A raw value for an input, never shared with somebody who can write to it."""
    raw = value._data if isinstance(value, Variable) else native(value, f"program.run: {clean(entry.name)}")
    if entry.dtype == NUMBER:
        if np.shape(raw) != ():
            raise RecordingError(
                explain(
                    f"program.run: {clean(entry.name)} is a number", got=f"shape {np.shape(raw)}", expected="a number"
                )
            )
        try:
            return float(raw)
        except (TypeError, ValueError):
            expected = "a number"
            raise RecordingError(
                explain(f"program.run: {clean(entry.name)}", got=type(raw).__name__, expected=expected)
            ) from None
    if isinstance(value, Variable):
        return raw
    array = np.array(raw)  # laid out as a Tensor lays it out, so that the last bits are the same
    array.setflags(write=False)
    return array


def _free_size(program: Program, shapes: Sequence[tuple[int, ...]]) -> int:
    from_first = next(
        (i for i, entry in enumerate(program.inputs) if entry.shape and isinstance(entry.shape[0], Size)), None
    )
    if from_first is None:
        return program.recorded_n
    shape = shapes[from_first]
    return shape[0] if shape else program.recorded_n


def _check(program: Program, entry: Input, value: Raw, n: int) -> None:
    if entry.dtype == NUMBER:
        return
    if value.shape != resolved(entry.shape, n) or value.dtype.name != entry.dtype:
        ending = "," if len(entry.shape) == 1 else ""
        expected = f"shape ({', '.join(map(str, entry.shape))}{ending}), dtype {entry.dtype}"
        raise RecordingError(
            explain(
                f"program.run: {clean(entry.name)} is not what the program was recorded for",
                got=f"shape {value.shape}, dtype {value.dtype.name}",
                expected=expected + _why_not_free(program),
                fix="record the function again with such an example",
            )
        )


def _why_not_free(program: Program) -> str:
    return program.why_not and f"; it is not free in its first axis: {clean(program.why_not, 300)}"
