"""``Optimizer``: parameter groups and their settings, saving and loading; what all optimizers share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..engine import Variable, enable_grad
from ..engine.write import forget_gradients
from ..errors import ArgumentError, DTypeError, ShapeError, explain
from .given import listed
from .settings import APART, Group, Setting, no_such, put_back, set_all, within

Closure = Callable[[], Any]


class Optimizer(ABC):
    """Base of the optimizers.

    A subclass names its settings.  Most have one rule that updates each parameter separately, see ``PerParameter``.

    Args:
        params: leaf tensors (``model.parameters()``); or pairs of name and tensor (``model.named_parameters()``), which
            makes ``state_dict`` speak of names instead of positions; or several groups, each a dict of ``"params"`` and
            of settings that differ from the defaults.
        defaults: the settings of a group that does not set its own.

    Attributes:
        param_groups: one dict a group: ``"params"`` and every setting.  Settings may be changed between two steps; one
            that is out of its range, or that the optimizer has not, is refused.
        params: all parameters, group by group.

    Raises:
        ArgumentError: no parameters, one of them twice, something that is not a leaf tensor, an unknown setting or one
            out of its range.
    """

    lr = Setting()
    weight_decay = Setting()
    maximize = Setting()

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {}  # of settings whose range is not [0, inf)
    flags: ClassVar[tuple[str, ...]] = ()  # settings that are True or False, besides "maximize"
    pairs: ClassVar[tuple[str, ...]] = ()  # settings that are two numbers
    stepped_by: Callable[[], Any] | None = None  # the schedule that has set the rates last, by a weak reference

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = self._checked(defaults)
        self.param_groups: list[Group] = []
        self.params: list[Variable] = []
        given = listed(self._name, params)
        if not given:
            raise ArgumentError(
                explain(f"{self._name}: nothing to train", got="no parameters", fix="pass model.parameters()")
            )
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    def __setattr__(self, name: str, value: Any) -> None:
        if (name in Setting.names or name == "learning_rate") and name not in self.__dict__.get("defaults", {name}):
            raise ArgumentError(no_such(self._name, name, self.defaults))
        super().__setattr__(name, value)

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
        new: dict[str, Any] = {"params": tuple(params), **self._checked(self.defaults | settings)}
        if names is not None:
            new["param_names"] = names
        self.param_groups.append(Group(type(self), new))
        self.params.extend(params)

    @classmethod
    def _checked(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of a group, numbers as Python floats, which never widen an array.

        Raises:
            ArgumentError: a setting out of its range or of another type.
        """
        checked: dict[str, Any] = {}
        for name, value in settings.items():
            if name in cls.flags or name == "maximize":
                if not isinstance(value, (bool, np.bool_)):
                    raise ArgumentError(explain(f"{cls.__name__}: {name} is True or False", got=repr(value)))
                checked[name] = bool(value)
            elif name in cls.pairs:
                if not isinstance(value, (tuple, list)) or len(value) != 2:
                    raise ArgumentError(explain(f"{cls.__name__}: {name} are two numbers", got=repr(value)))
                checked[name] = tuple(cls._number(name, number) for number in value)
            else:
                checked[name] = cls._number(name, value)
        return checked

    @classmethod
    def _number(cls, name: str, value: Any) -> Any:
        low, high = cls.bounds.get(name, (0.0, math.inf))
        return within(cls.__name__, name, value, low, high)

    # -- training -----------------------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with ``set_to_none=False`` they become zeros, and ``step`` counts them as such."""
        forget_gradients(self.params, set_to_none)

    @abstractmethod
    def step(self, closure: Closure | None = None) -> Any:
        """Move the parameters: all of them, or none when something fails.

        Args:
            closure: called first, with gradients on: it forgets the gradients, computes the loss, runs ``backward`` and
                returns the loss.

        Returns:
            What the closure returned.
        """

    def _evaluated(self, closure: Any) -> Any:
        """What the closure returns."""
        if not callable(closure):
            what, got = f"{self._name}.step takes a function that computes the loss, or nothing", type(closure).__name__
            fix = "loss.backward(), then optimizer.step()"
            raise ArgumentError(explain(what, got=got, fix=fix))
        with enable_grad():
            return closure()

    def _unfit(self, p: Variable) -> Exception:
        what = f"{self._name}: gradient of {p.label}"
        if not isinstance(p.grad, Variable):
            return DTypeError(explain(what, got=type(p.grad).__name__, expected="a tensor or None"))
        return ShapeError(explain(what, got=f"shape {p.grad.shape}", expected=p.shape))

    # -- saving and loading ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _saved(self) -> dict[Any, Any]:
        """What is remembered between two steps: copies, as plain data and arrays."""

    @abstractmethod
    def _to_load(self, state: Any) -> Callable[[], None]:
        """Check what ``_saved`` gave; the result takes it over and cannot fail."""

    @abstractmethod
    def snapshot(self) -> Callable[[], None]:
        """Note what is remembered now; the result puts it back."""

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
        groups = []
        for group, names in zip(self.param_groups, self._keys()):
            groups.append({name: value for name, value in group.items() if name not in ("params", "param_names")})
            groups[-1]["params"] = list(names)
        return {"optimizer": self._name, "param_groups": groups, "state": self._saved()}

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
        load = self._to_load(state["state"])

        def commit() -> None:
            before, restore = [dict(group) for group in self.param_groups], self.snapshot()
            try:
                for group in self.param_groups:
                    group.pop("initial_lr", None)
                set_all(self.param_groups, settings)
                load()
            except BaseException:  # Ctrl-C, as nothing else can happen here
                put_back(self.param_groups, before)
                restore()
                raise

        return commit

    def _loaded_settings(self, groups: Any) -> list[dict[str, Any]]:
        keys = self._keys()
        if not isinstance(groups, (list, tuple)) or len(groups) != len(keys):
            got = len(groups) if isinstance(groups, (list, tuple)) else type(groups).__name__
            raise self._other("another number of parameter groups", got, len(keys))
        loaded = []
        for i, (group, names) in enumerate(zip(groups, keys)):
            required = {"params", *self.defaults}
            if isinstance(group, Mapping) and "maximize" in required:  # the first version had none
                group = {"maximize": False, **group}
            if not isinstance(group, Mapping) or set(group) - {"initial_lr"} != required:
                got = ", ".join(map(str, group)) if isinstance(group, Mapping) else type(group).__name__
                raise self._other(f"group {i} has other settings", got, ", ".join(sorted(required)))
            if group["params"] != names:
                raise self._other(f"group {i} has other parameters", group["params"], names)
            loaded.append(self._checked({name: group[name] for name in self.defaults}))
            if "initial_lr" in group:
                loaded[-1]["initial_lr"] = self._number("lr", group["initial_lr"])
        return loaded

    def _other(self, what: str, got: object, expected: object) -> ArgumentError:
        return ArgumentError(explain(f"{self._name}.load_state_dict: {what}", got=got, expected=expected))

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            size = sum(p.size for p in group["params"])
            settings = ", ".join(f"{name}={value!r}" for name, value in group.items() if name not in APART)
            lines.append(f"  {settings}  # {len(group['params'])} tensors, {size:,} numbers")
        return "\n".join([f"{self._name}(", *lines, ")"])


def _named(given: list[Any]) -> tuple[list[str] | None, list[Any]]:
    """Names (``None`` without) and parameters."""
    pairs = [item for item in given if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)]
    if not pairs or len(pairs) != len(given):
        return None, given
    return [name for name, _ in pairs], [p for _, p in pairs]
