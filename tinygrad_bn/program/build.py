"""From what a tape saw, or from what variables remember, to a ``Program``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.contract import PLAIN as plain  # noqa: N811
from ..engine.mode import Scope, Site
from ..engine.sweep import toposort
from ..engine.tape import Made, Place, Same, Tape, Wrote
from ..errors import RecordingError, explain
from ..kinds import Array, Value
from ..tensor import Parameter
from .model import Program
from .parts import NUMBER, Condition, Constant, Input, State, Step
from .trees import take_apart

Key = int  # of a step, which; -1, -2, ... of the other values as they come: how many there are is known at the end
PLAIN = tuple(plain)
SCALAR = (), NUMBER  # shape and dtype
make = partial(tuple.__new__, Step)  # in half the time that its constructor takes
MODULE_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_full_backward_hooks")


def build(
    tape: Tape, inputs: Sequence[Variable], names: Sequence[str], result: Any, before: Sequence[Made] = ()
) -> tuple[Program, Callable[[], dict[Variable, int]]]:
    """The program of a recording, and what tells the number of each variable in it.

    Args:
        tape: what it saw.
        inputs: the arguments.
        names: what to call them.
        result: what the function returned.
        before: operations before the recording that are part of it all the same.
    """
    builder = _Builder(tape)
    for variable, name in zip(inputs, names):
        builder.add_input(variable, name)
    builder.follow(before)
    builder.follow(tape.events)
    leaves, gives = take_apart(result)
    outputs = [builder.key_of(leaf) for leaf in leaves]
    builder.note_gradients()
    return builder.program(outputs, gives), builder.numbers


def program_of(outputs: Sequence[Variable]) -> tuple[Program, dict[Variable, int]]:
    """The program behind variables at hand, by what they remember, and the number of each variable in it.

    Leaves are its states; so ``run()`` computes the outputs anew from what the leaves hold then.
    """
    builder = _Builder(None)
    builder.follow(recorded(outputs))
    keys = [builder.key_of(output) for output in outputs]
    return builder.program(keys, ["list", *["value"] * len(outputs)]), builder.numbers()


def recorded(outputs: Sequence[Variable]) -> list[Made]:
    """The operations behind variables, in the order in which they happened."""
    return [
        Made(v, v.primitive, v.inputs or (), v.params or {}, v.scope)
        for v in reversed(toposort(outputs, everything=True))
        if v.primitive is not None
    ]


class _Builder:
    def __init__(self, tape: Tape | None) -> None:
        self.tape = tape
        self.keys: dict[Variable, Key] = {}
        self.arguments: dict[Variable, str] = {}
        self.inputs: list[Input] = []
        self.states: list[State] = []
        self.constants: list[Constant] = []
        self.steps: list[tuple[Made, list[Key]]] = []
        self.others: list[tuple[str, int]] = []  # "input", "state" or "constant", and which of them
        self.writes: dict[int, Key | None] = {}
        self._state_of: dict[tuple[int, Any, int | None], int] = {}
        self._constant_of: dict[int, int] = {}
        self._kept: list[Any] = []  # arrays that are known by their id
        self._taken: dict[str, int] = {}
        self._dotted = _dotted_names(tape.modules.values()) if tape is not None else {}

    # -- values -------------------------------------------------------------------------------------------------------

    def add_input(self, variable: Variable, name: str) -> None:
        self.arguments[variable] = name
        self.keys[variable] = self._other("input", len(self.inputs))
        self.inputs.append(Input(self._unique(name), *_type_of(variable)))

    def follow(self, events: Iterable[Made | Same | Wrote]) -> None:
        keys, steps = self.keys, self.steps
        for event in events:
            if isinstance(event, Made):
                args = []
                for arg in event.args:
                    key = keys.get(arg) if isinstance(arg, Variable) else None
                    args.append(self.key_of(arg) if key is None else key)
                keys[event.out] = len(steps)
                steps.append((event, args))
            elif isinstance(event, Same):
                keys[event.new] = self.key_of(event.old)
            else:
                self._write(event)

    def _write(self, event: Wrote) -> None:
        value = self.key_of(event.value)
        leaf: Any = event.place.owner
        assert self.tape is not None
        if leaf in self.arguments:
            what = f"record(): {self.arguments[leaf]} is an argument, and is written to"
            fix = "return the new value, or record a function that has the variable from outside"
            raise RecordingError(explain(what, fix=fix))
        if self.tape.from_outside(leaf):
            self.writes[self._state(event.place, leaf)] = value
        self.keys[leaf] = value

    def _other(self, kind: str, index: int) -> Key:
        self.others.append((kind, index))
        return -len(self.others)

    def key_of(self, value: Value) -> Key:
        """The key of a value that a step takes, or that is returned or written."""
        if not isinstance(value, Variable):
            return self._constant(value)
        known = self.keys.get(value)
        if known is None:
            known = self.keys[value] = self._new(value)
        return known

    def _new(self, variable: Variable) -> Key:
        tape = self.tape
        if tape is None:
            return self._other("state", self._state(Place(variable, "_data"), variable))
        if variable in tape.places:
            return self._other("state", self._state(tape.places[variable], variable))
        if not tape.from_outside(variable):
            return self._constant(variable._data)
        if variable.inputs is not None:
            what = f"{variable.label} was computed before the recording, and would not change in a later run"
            raise RecordingError(explain(what, fix="compute it inside the function, or pass it as an argument"))
        return self._other("state", self._state(Place(variable, "_data"), variable))

    def _state(self, place: Place, variable: Variable) -> int:
        where = (id(place.owner), place.key, place.item)
        if where not in self._state_of:
            self._state_of[where] = len(self.states)
            name, kind = self._named(place, variable)
            self.states.append(State(self._unique(name), kind, *_type_of(variable), place))
        return self._state_of[where]

    def _constant(self, value: Value) -> Key:
        """A number is a constant each time, since another number may come to be equal at one batch size."""
        if isinstance(value, (float, int)) and not isinstance(value, bool):
            self.constants.append(Constant(value, (), NUMBER))
            return self._other("constant", len(self.constants) - 1)
        if id(value) not in self._constant_of:
            self._constant_of[id(value)] = len(self.constants)
            self._kept.append(value)
            self.constants.append(_constant_array(np.asarray(value)))
        return self._other("constant", self._constant_of[id(value)])

    def note_gradients(self) -> None:
        """What happened to the gradients of leaves that were there before."""
        assert self.tape is not None
        for place, old, new in self.tape.changed():
            leaf: Any = place.owner
            if place.key != "_grad" or new is old or leaf in self.arguments:
                continue
            if self.tape.from_outside(leaf):
                state = self._state(place, leaf)
                self.writes[state] = None if new is None else self.key_of(new)

    # -- names --------------------------------------------------------------------------------------------------------

    def _named(self, place: Place, variable: Variable) -> tuple[str, str]:
        owner, tape = place.owner, self.tape
        if isinstance(owner, dict):
            return variable.name or str(place.key), "setting"
        name = self._dotted.get(owner) or owner.name
        if tape is not None and owner in tape.belongs:
            parameter, part = tape.belongs[owner]
            name = f"{self._dotted.get(parameter) or parameter.name or 'parameter'}.{part}"
        name = name or "leaf"
        if place.key == "_grad":
            return f"{name}.grad", "gradient"
        if isinstance(owner, Parameter):
            return name, "parameter"
        return name, "buffer" if owner._extras is not None and owner._extras.is_buffer else "tensor"

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else self._unique(f"{name}_{count}")

    # -- the whole ----------------------------------------------------------------------------------------------------

    def places(self) -> list[int]:
        """The number in the program of each key, and so at the end those of -1, -2, ..."""
        inputs, states = len(self.inputs), len(self.states)
        first = {"input": 0, "state": inputs, "constant": inputs + states}
        begin = inputs + states + len(self.constants)
        others = [first[kind] + i for kind, i in self.others]
        return [*range(begin, begin + len(self.steps)), *reversed(others)]

    def numbers(self) -> dict[Variable, int]:
        """The number of each variable."""
        places = self.places()
        return {variable: places[key] for variable, key in self.keys.items()}

    def program(self, outputs: Sequence[Key], gives: Any) -> Program:
        places = self.places()
        scopes = _Scopes()
        known: dict[Scope | None, tuple[tuple[str, ...], str, tuple[int, ...]]] = {}
        steps = []
        for (out, primitive, _, params, scope), args in self.steps:
            if scope not in known:
                known[scope] = scopes.of(scope)
            path, site, calls = known[scope]
            shape, dtype = SCALAR if out.is_scalar_kind else _type_of(out)
            name = "" if out._extras is None and out.symbol is None else out.name or out.symbol or ""
            steps.append(
                make((primitive, tuple([places[i] for i in args]), params, shape, dtype, path, site, calls, name))
            )
        return Program(
            inputs=tuple(self.inputs),
            states=tuple(self.states),
            constants=tuple(self.constants),
            steps=tuple(steps),
            outputs=tuple([places[key] for key in outputs]),
            writes=tuple(
                (len(self.inputs) + state, None if key is None else places[key]) for state, key in self.writes.items()
            ),
            gives=gives,
            conditions=tuple(self._conditions()),
            modules=scopes.modules,
        )

    def _conditions(self) -> Iterable[Condition]:
        tape = self.tape
        if tape is None:
            return
        for place, test, found in tape.conditions.values():
            owner = place.owner
            if isinstance(place.key, Variable):
                name = f"the optimizer's state of {self._dotted.get(place.key) or place.key.label}"
            else:
                name = str(place.key) if isinstance(owner, dict) else f"{self._dotted.get(owner) or owner.label}.grad"
            yield Condition(name, place, test, found)
        below = {id(part): part for module in tape.modules.values() for part in module.modules()}
        for module in below.values():  # lists and dictionaries of modules among them, which nobody calls
            if parts := _parts(vars(module)):
                yield Condition(f"what {module._scope} is made of", Place(module, "__dict__"), _parts, parts)
        for module in tape.modules.values():
            for key, value in vars(module).items():
                if isinstance(value, PLAIN):
                    yield Condition(f"{module._scope}.{key}", Place(vars(module), key), _itself, value)
                elif key not in MODULE_HOOKS:  # variables, other modules, functions, arrays
                    yield Condition(f"{module._scope}.{key}", Place(vars(module), key), id, id(value))
            for which in MODULE_HOOKS:
                place = Place(vars(module), which)
                yield Condition(f"a hook of {module._scope}", place, tuple, tuple(place.read()))
        for state in self.states:
            leaf = state.place.owner
            if isinstance(leaf, Variable):
                yield Condition(
                    f"requires_grad of {state.name}", Place(leaf, "_requires_grad"), bool, leaf._requires_grad
                )
                yield Condition(f"a hook of {state.name}", Place(leaf, "_extras"), _hooks, _hooks(leaf._extras))


def _itself(value: Any) -> Any:
    return value


def _parts(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    """Which modules stand among the attributes of one, in order."""
    return tuple([id(value) for value in attributes.values() if hasattr(type(value), "named_children")])


def _hooks(extras: Any) -> tuple[Callable[..., Any], ...]:
    return () if extras is None else tuple(extras.hooks)


def _type_of(variable: Variable) -> tuple[tuple[int, ...], str]:
    return SCALAR if variable.is_scalar_kind else (variable._data.shape, variable._data.dtype.name)


def _constant_array(array: Array) -> Constant:
    """One that repeats a single number is remembered as that number."""
    if array.size > 1 and (array == array.flat[0]).all():
        return Constant(np.array(array.flat[0]), array.shape, array.dtype.name)
    return Constant(array, array.shape, array.dtype.name)


class _Scopes:
    """Scopes as plain data.  Each entering makes a scope of its own, so two calls of one module can be told apart."""

    def __init__(self) -> None:
        self._entered: dict[Scope, tuple[tuple[str, ...], tuple[int, ...]]] = {}
        self._times: dict[tuple[Scope | None, str], int] = {}
        self.modules: dict[tuple[str, ...], str] = {}

    def of(self, scope: Scope | None) -> tuple[tuple[str, ...], str, tuple[int, ...]]:
        """The path, the line of code, and for each part of the path which entering it is."""
        site = ""
        if isinstance(scope, Site):
            site, scope = f"{scope.filename}:{scope.line}", scope.inside
        waiting = []
        while scope is not None and scope not in self._entered:
            waiting.append(scope)
            scope = scope.parent
        path, calls = ((), ()) if scope is None else self._entered[scope]
        for new in reversed(waiting):
            time = self._times[new.parent, new.name] = self._times.get((new.parent, new.name), 0) + 1
            path, calls = self._entered[new] = (*path, new.name), (*calls, time)
            if new.kind:
                self.modules.setdefault(path, new.kind)
        return path, site, calls


def _dotted_names(modules: Iterable[Any]) -> dict[Variable, str]:
    """Names as in ``state_dict`` of the outermost module that was called."""
    found: dict[Variable, str] = {}
    for module in modules:
        for name, variable in (*module.named_parameters(), *module.named_buffers()):
            found.setdefault(variable, name)
    return found
