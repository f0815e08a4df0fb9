"""``Optimizer``: parameter groups, their settings, the state of each parameter, and the loop that all update rules share.

An update rule is written in arithmetic and ``ops``.  The same text is read two ways: on raw arrays, as ``step`` does, and on
variables, when a training step is recorded as a program.  (``+=`` saves an array in the first reading and makes a new
variable in the second; it may be used on what the rule has made itself.)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from ..engine import Variable, write
from ..engine.mode import current_mode
from ..engine.tape import Tape
from ..engine.write import set_gradients
from ..errors import ArgumentError, DTypeError, RecordingError, ShapeError, explain
from ..kinds import Value
from ..tensor import Scalar, Tensor
from .given import listed

State = dict[str, Variable]
Rule = Callable[[Value, Value, dict[str, Value]], Value]


class Setting:
    """Reads and sets one setting of all groups through the optimizer: ``optimizer.lr = 0.01``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type | None = None) -> Any:
        if optimizer is None:
            return self
        values = [group[self.name] for group in optimizer.param_groups]
        if any(value != values[0] for value in values):
            fix = f"optimizer.param_groups[i][{self.name!r}] reads the one of group i"
            raise ArgumentError(explain(f"{self.name} differs between the parameter groups", got=values, fix=fix))
        return values[0]

    def __set__(self, optimizer: Any, value: Any) -> None:
        checked = [optimizer._checked({**optimizer._settings_of(g), self.name: value}) for g in optimizer.param_groups]
        for group, settings in zip(optimizer.param_groups, checked):
            group.update(settings)


class Settings:
    """The settings of a group as an update rule reads them.

    During a recording a number is a scalar that every run reads anew (a schedule may change it), and whether a setting is
    on, which decides what the rule computes, is a condition of the program.
    """

    __slots__ = ("_group", "_tape")

    def __init__(self, group: dict[str, Any], tape: Tape | None) -> None:
        self._group = group
        self._tape = tape

    def __getitem__(self, name: str) -> Any:
        value = self._group[name]
        if self._tape is None:
            return value
        if isinstance(value, tuple):
            return tuple(self._tape.number(self._group, name, i) for i in range(len(value)))
        return self._tape.number(self._group, name)

    def first(self, name: str) -> float:
        """A number that is looked at once, when the state of a parameter is made."""
        return float(self._group[name])

    def on(self, name: str) -> bool:
        """Whether a flag is set, or a number is not 0."""
        value = bool(self._group[name])
        if self._tape is not None:
            self._tape.holds(self._group, name, bool, value)
        return value


class Optimizer(ABC):
    """Base of the optimizers.  A subclass names its settings and writes ``_slots`` and ``_rule``.

    Args:
        params: leaf tensors (``model.parameters()``); or pairs of name and tensor (``model.named_parameters()``), which
            makes ``state_dict`` speak of names instead of positions; or several groups, each a dict of ``"params"`` and
            of settings that differ from the defaults.
        defaults: the settings of a group that does not set its own.

    Attributes:
        param_groups: one dict a group: ``"params"`` and every setting.  Settings may be changed between two steps.
        params: all parameters, group by group.
        state: what the update rule remembers of each parameter: tensors in its shape, and ``"step"``, a scalar.

    Raises:
        ArgumentError: no parameters, one of them twice, something that is not a leaf tensor, an unknown setting or one
            out of its range.
    """

    lr = Setting()
    weight_decay = Setting()

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {}  # of settings whose range is not [0, inf)
    flags: ClassVar[tuple[str, ...]] = ()  # settings that are True or False
    pairs: ClassVar[tuple[str, ...]] = ()  # settings that are two numbers
    remembers: ClassVar[tuple[str, ...]] = ()  # in the state of every parameter that was ever moved
    may_remember: ClassVar[tuple[str, ...]] = ()  # in it depending on settings

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = self._checked(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self.params: list[Variable] = []
        self.state: dict[Variable, State] = {}
        given = listed(self._name, params)
        if not given:
            raise ArgumentError(
                explain(f"{self._name}: nothing to train", got="no parameters", fix="pass model.parameters()")
            )
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    # -- groups and settings ----------------------------------------------------------------------------------------

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train more parameters, with settings of their own; see ``params`` in the class.

        Raises:
            ArgumentError: as in the class; nothing has been added then.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            fix = "{'params': [...], 'lr': 0.1}; either groups or parameters, not both"
            raise ArgumentError(explain(f"{self._name}: not a group of parameters", got=repr(group), fix=fix))
        given = group["params"]
        names, params = _named(listed(self._name, given))
        for p in params:
            if not isinstance(p, Variable) or not p.is_leaf or p.is_scalar_kind:
                raise ArgumentError(
                    explain(f"{self._name} trains leaf tensors", got=repr(p), fix="pass model.parameters()")
                )
        known = set(self.params)
        for p in params:
            if p in known:
                raise ArgumentError(explain(f"{self._name}: {p.label} is given twice", fix="each parameter once"))
            known.add(p)
        if self.param_groups and (names is None) != (self.param_groups[0].get("param_names") is None):
            raise ArgumentError(explain(f"{self._name}: name the parameters of all groups, or of none"))
        taken = {name for other in self.param_groups for name in other.get("param_names", ())}
        if names is not None and len(taken.union(names)) != len(taken) + len(names):
            raise ArgumentError(explain(f"{self._name}: a name given twice", got=", ".join(names)))
        settings = {name: value for name, value in group.items() if name != "params"}
        unknown = ", ".join(repr(name) for name in settings if name not in self.defaults)
        if unknown:
            expected = ", ".join(self.defaults)
            raise ArgumentError(explain(f"{self._name}: unknown setting of a group", got=unknown, expected=expected))
        new: dict[str, Any] = {"params": params, **self._checked(self.defaults | settings)}
        if names is not None:
            new["param_names"] = names
        self.param_groups.append(new)
        self.params.extend(params)

    def _settings_of(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {name: group[name] for name in self.defaults}

    def _checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of a group, numbers as Python floats, which never widen an array.

        Raises:
            ArgumentError: a setting out of its range or of another type.
        """
        checked: dict[str, Any] = {}
        for name, value in settings.items():
            if name in self.flags:
                if not isinstance(value, (bool, np.bool_)):
                    raise ArgumentError(explain(f"{self._name}: {name} is True or False", got=repr(value)))
                checked[name] = bool(value)
            elif name in self.pairs:
                if not isinstance(value, (tuple, list)) or len(value) != 2:
                    raise ArgumentError(explain(f"{self._name}: {name} are two numbers", got=repr(value)))
                checked[name] = tuple(self._number(name, number) for number in value)
            else:
                checked[name] = self._number(name, value)
        return checked

    def _number(self, name: str, value: Any) -> float:
        low, high = self.bounds.get(name, (0.0, math.inf))
        return within(self._name, name, value, low, high)

    # -- training -----------------------------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Forget all gradients."""
        set_gradients(self.params, repeat(None))

    def step(self) -> None:
        """Move every parameter that has a gradient: all of them, or none when something fails.

        Raises:
            ShapeError: a gradient that does not fit its parameter; nothing has been moved then.
            DTypeError: a gradient that is not a tensor; likewise.
        """
        tape = current_mode().tape
        gradients = [p._grad if tape is None else p.grad for p in self.params]  # the parameters group by group
        for p, grad in zip(self.params, gradients):
            if grad is not None and (not isinstance(grad, Variable) or grad._data.shape != p._data.shape):
                raise self._unfit(p)
        if tape is not None:
            tape.holds(vars(self), "params", len, len(self.params))
        coming = iter(gradients)
        moves: list[tuple[Variable, Any]] = []
        for group in self.param_groups:
            settings = Settings(group, tape)
            slots, rule = self._slots(settings), self._rule(settings)
            names = slots.keys()
            for p, grad in zip(group["params"], coming):
                if grad is None:
                    continue
                kept = self.state.get(p) if slots else {}
                if kept is None or tape is not None or not names <= kept.keys():
                    kept = self._kept(p, slots, tape)
                if tape is None:
                    state: Any = {name: slot._data for name, slot in kept.items()}
                    moves.append((p, rule(p._data, grad._data, state)))
                else:
                    state = dict(kept)
                    moves.append((p, rule(p, grad, state)))
                for name in names:
                    slot = kept.get(name)
                    if slot is None:  # what has no value before the first step
                        slot = kept[name] = _slot(p, name, 0.0)
                    moves.append((slot, state[name]))
        write(moves, fresh=True)

    def _kept(self, p: Variable, slots: Mapping[str, float | None], tape: Tape | None) -> State:
        """The state of a parameter, with what is missing at its first step."""
        kept = self.state.get(p)
        if kept is None:
            kept = self.state[p] = {}
            if tape is not None:
                tape.made.append((self.state, p))
        for name, first in slots.items():
            if name in kept:
                continue
            if first is not None:
                kept[name] = _slot(p, name, first)
                if tape is not None:
                    tape.made.append((kept, name))
            elif tape is not None:
                what = f"{self._name}: the first step of {p.label} is not like the others, and cannot be recorded"
                raise RecordingError(explain(what, fix="take one step before recording"))
        if tape is not None:
            tape.holds(self.state, p, id, id(kept))
            for name in slots:
                tape.belongs[kept[name]] = (p, name)
                tape.holds(kept, name, id, id(kept[name]))
        return kept

    @abstractmethod
    def _slots(self, settings: Settings) -> dict[str, float | None]:
        """What is remembered of each parameter, with its first value; ``None``: at the first step there is none yet."""

    @abstractmethod
    def _rule(self, settings: Settings) -> Rule:
        """The update rule: from a parameter, its gradient and its state to the parameter's new value.

        New values of what is remembered are put into the state.  The rule is called on raw arrays, or, during a
        recording, on variables; so it writes to none of them, and ``settings.on`` decides what it computes.
        """

    def _unfit(self, p: Variable) -> Exception:
        what = f"{self._name}: gradient of {p.label}"
        if not isinstance(p.grad, Variable):
            return DTypeError(explain(what, got=type(p.grad).__name__, expected="a tensor or None"))
        return ShapeError(explain(what, got=f"shape {p.grad.shape}", expected=p.shape))

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def _keys(self) -> list[list[str | int]]:
        """By which name, or position, each group's parameters go in ``state_dict``."""
        first = 0
        keys: list[list[str | int]] = []
        for group in self.param_groups:
            names = group.get("param_names")
            keys.append(list(names if names is not None else range(first, first + len(group["params"]))))
            first += len(group["params"])
        return keys

    def state_dict(self) -> dict[str, Any]:
        """Copies of all there is to continue with: plain data and arrays, by name or position of the parameter."""
        keys = self._keys()
        groups = []
        state = {}
        for group, names in zip(self.param_groups, keys):
            groups.append({name: value for name, value in group.items() if name not in ("params", "param_names")})
            groups[-1]["params"] = list(names)
            for p, key in zip(group["params"], names):
                if self.state.get(p):
                    state[key] = {
                        name: int(value.data) if value.is_scalar_kind else np.array(value.data, order="C")
                        for name, value in self.state[p].items()
                    }
        return {"optimizer": self._name, "param_groups": groups, "state": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and state; nothing is changed unless all of it fits.

        Raises:
            ArgumentError: the state of another kind of optimizer, of other parameters or groups, or with entries that
                are missing, unexpected or out of range.
            ShapeError: an array that does not have its parameter's shape.
        """
        self.prepare_load(state)()

    def prepare_load(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Check a state, as ``load_state_dict`` does; the result takes it over and cannot fail."""
        if not isinstance(state, Mapping) or set(state) != {"optimizer", "param_groups", "state"}:
            got = list(state) if isinstance(state, Mapping) else type(state).__name__
            raise self._other("not an optimizer's state", got, "'optimizer', 'param_groups' and 'state'")
        if state["optimizer"] != self._name:
            raise self._other("the state of another optimizer", state["optimizer"], self._name)
        settings = self._loaded_settings(state["param_groups"])
        loaded = self._loaded_state(state["state"])

        def commit() -> None:
            for group, new in zip(self.param_groups, settings):
                group.pop("initial_lr", None)
                group.update(new)
            for p in set(self.state).difference(loaded):
                del self.state[p]
            moves = []
            for p, entries in loaded.items():
                kept = self.state.setdefault(p, {})
                for name in set(kept).difference(entries):
                    del kept[name]
                for name, value in entries.items():
                    moves.append((kept.setdefault(name, value), value))
            write(moves)

        return commit

    def _loaded_settings(self, groups: Any) -> list[dict[str, Any]]:
        keys = self._keys()
        if not isinstance(groups, (list, tuple)) or len(groups) != len(keys):
            got = len(groups) if isinstance(groups, (list, tuple)) else type(groups).__name__
            raise self._other("another number of parameter groups", got, len(keys))
        loaded = []
        for i, (group, names) in enumerate(zip(groups, keys)):
            required = {"params", *self.defaults}
            if not isinstance(group, Mapping) or set(group) - {"initial_lr"} != required:
                got = ", ".join(map(str, group)) if isinstance(group, Mapping) else type(group).__name__
                raise self._other(f"group {i} has other settings", got, ", ".join(sorted(required)))
            if group["params"] != names:
                raise self._other(f"group {i} has other parameters", group["params"], names)
            loaded.append(self._checked({name: group[name] for name in self.defaults}))
            if "initial_lr" in group:
                loaded[-1]["initial_lr"] = self._number("lr", group["initial_lr"])
        return loaded

    def _loaded_state(self, state: Any) -> dict[Variable, State]:
        if not isinstance(state, Mapping):
            raise self._other("'state' is not a mapping", type(state).__name__, "one entry per parameter")
        by_key = {str(key): value for key, value in state.items()}
        keys = [str(key) for names in self._keys() for key in names]
        unknown = ", ".join(sorted(set(by_key).difference(keys)))
        if unknown:
            raise self._other("state of unknown parameters", unknown, ", ".join(keys))
        loaded: dict[Variable, State] = {}
        for key, p in zip(keys, self.params):
            if key not in by_key:
                continue
            entry = by_key[key]
            names = set(entry) if isinstance(entry, Mapping) else set()
            if not set(self.remembers) <= names <= {*self.remembers, *self.may_remember} or not names:
                expected = ", ".join(self.remembers + tuple(f"perhaps {name}" for name in self.may_remember))
                raise self._other(f"state of parameter {key} has other entries", sorted(names), expected or "none")
            loaded[p] = {name: self._loaded_entry(key, p, name, value) for name, value in entry.items()}
        return loaded

    def _loaded_entry(self, key: str, p: Variable, name: str, value: Any) -> Variable:
        if name == "step":
            if type(value) is not int or value < 0:
                raise self._other(f"step of parameter {key}", repr(value), "a whole number >= 0")
            return _slot(p, name, value)
        array = np.asarray(value)
        if array.dtype.kind != "f":
            raise self._other(f"{name} of parameter {key}", f"dtype {array.dtype}", "floating-point numbers")
        if array.shape != p.shape:
            what = f"{self._name}: {name} of parameter {key} does not fit"
            raise ShapeError(explain(what, got=f"shape {array.shape}", expected=f"shape {p.shape}"))
        with np.errstate(over="ignore"):
            return _slot(p, name, array)

    def _other(self, what: str, got: object, expected: object) -> ArgumentError:
        return ArgumentError(explain(f"{self._name}.load_state_dict: {what}", got=got, expected=expected))

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            size = sum(p.size for p in group["params"])
            settings = ", ".join(f"{name}={group[name]!r}" for name in self.defaults)
            lines.append(f"  {settings}  # {len(group['params'])} tensors, {size:,} numbers")
        return "\n".join([f"{self._name}(", *lines, ")"])


def as_float(value: Any) -> float:
    """A real number as a Python float; NaN, which no range contains, for anything else."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def within(owner: str, name: str, value: Any, low: float = 0.0, high: float = math.inf) -> float:
    """A finite number from ``low`` to ``high`` as a Python float.

    Raises:
        ArgumentError: it is none.
    """
    number = as_float(value)
    if not (low <= number <= high and math.isfinite(number)):
        expected = "a finite number" if low == -math.inf else f"a finite number >= {low:g}"
        expected += "" if high == math.inf else f" and <= {high:g}"
        raise ArgumentError(explain(f"{owner}: {name} is out of range", got=f"{name}={value!r}", expected=expected))
    return number


def _slot(p: Variable, name: str, value: Value) -> Variable:
    """A piece of a parameter's state: the count of steps as a scalar, else a tensor in its shape, dtype and layout."""
    if name == "step":
        return Scalar(value, requires_grad=False, name=f"{p.name or 'parameter'}.step")
    array = np.empty_like(p._data)
    array[...] = value
    slot = Tensor.wrap(array)
    slot.name = f"{p.name or 'parameter'}.{name}"
    return slot


def _named(given: list[Any]) -> tuple[list[str] | None, list[Any]]:
    """Names (``None`` without) and parameters."""
    pairs = [item for item in given if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)]
    if not pairs or len(pairs) != len(given):
        return None, given
    return [name for name, _ in pairs], [p for _, p in pairs]
