"""The settings of an optimizer: a learning rate and the like, for each group of parameters, checked whenever they are set."""

from __future__ import annotations

import difflib
import math
from collections import deque
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..engine.tape import Tape
from ..errors import ArgumentError, explain

if TYPE_CHECKING:
    from .optimizer import Optimizer

APART = ("params", "param_names", "initial_lr")  # entries of a group that are no settings


class Setting:
    """Reads and sets one setting of all groups through the optimizer: ``optimizer.lr = 0.01``."""

    names: ClassVar[set[str]] = set()  # of the settings of all optimizers

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        Setting.names.add(name)

    def __get__(self, optimizer: Any, owner: type | None = None) -> Any:
        if optimizer is None:
            return self
        if self.name not in optimizer.defaults:
            raise AttributeError(no_such(optimizer._name, self.name, optimizer.defaults))
        values = [group[self.name] for group in optimizer.param_groups]
        if any(value != values[0] for value in values):
            fix = f"optimizer.param_groups[i][{self.name!r}] reads the one of group i"
            raise ArgumentError(explain(f"{self.name} differs between the parameter groups", got=values, fix=fix))
        return values[0]

    def __set__(self, optimizer: Any, value: Any) -> None:
        set_all(optimizer.param_groups, [{self.name: value}] * len(optimizer.param_groups))


class Group(dict[str, Any]):
    """One group: its ``"params"`` and every setting, checked when it is set, so that no setting is without an effect.

    Args:
        kind: the class of the optimizer, which knows what a setting may be.
        entries: parameters and settings, checked already.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: type[Optimizer], entries: Mapping[str, Any]) -> None:
        super().__init__(entries)
        self.kind = kind

    def __setitem__(self, name: str, value: Any) -> None:
        super().update(self.checked({name: value}))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several at once: all of them, or none."""
        super().update(self.checked(dict(*args, **kwargs)))

    def __ior__(self, other: Any) -> Group:  # type: ignore[override, misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Group, (self.kind, dict(self))

    def settings(self) -> dict[str, Any]:
        """All entries except parameters and the notes of a schedule."""
        return {name: value for name, value in self.items() if name not in APART}

    def checked(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The changes as they are kept.

        Raises:
            ArgumentError: a setting that the optimizer has not, one out of its range, or other parameters.
        """
        own = self.settings()
        name = self.kind.__name__
        for changed in changes:
            if changed in ("params", "param_names"):
                fix = "optimizer.add_param_group({'params': [...]}), or make a new optimizer"
                raise ArgumentError(explain(f"{name}: the parameters of a group stay the ones it was made of", fix=fix))
            if changed not in own and changed != "initial_lr":
                raise ArgumentError(no_such(name, changed, own))
        checked = self.kind._checked(own | {name: value for name, value in changes.items() if name in own})
        if "initial_lr" in changes:
            checked["initial_lr"] = within(name, "initial_lr", changes["initial_lr"])
        return {changed: checked[changed] for changed in changes}


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
        """Whether a flag is set, or a number is not 0; not if the optimizer has no such setting."""
        value = bool(self._group.get(name))
        if self._tape is not None:
            self._tape.holds(self._group, name, bool, value)
        return value


def set_all(groups: list[Group], changes: Iterable[Mapping[str, Any]]) -> None:
    """Change the settings of all groups in one step, once all are checked."""
    checked = [group.checked(new) for group, new in zip(groups, changes)]
    deque(map(dict.update, groups, checked), 0)  # a single call into C, which no Ctrl-C comes into


def put_back(groups: list[Group], before: list[dict[str, Any]]) -> None:
    """Make the groups what they were."""
    for group, entries in zip(groups, before):
        dict.clear(group)
        dict.update(group, entries)


def no_such(owner: str, name: str, known: Iterable[str]) -> str:
    """That an optimizer has not got a setting."""
    known = list(known)
    close = ["lr"] if name == "learning_rate" else difflib.get_close_matches(str(name), known, n=1)
    fix = f"did you mean {close[0]!r}?" if close else None
    return explain(f"{owner} has no setting {name!r}", expected=f"one of {', '.join(known)}", fix=fix)


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
