"""Whether a program still holds: its conditions, looked at in a few microseconds.

A training step rests on some hundreds of them (every setting of every module, who wants a gradient, which arrays a slot is).
Most are entries of a module's ``__dict__``, so a copy of that is compared whole: equal, and nothing has changed; different,
and the conditions themselves decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, is_
from typing import Any

from ..engine import Variable
from ..errors import RecordingError, clean, explain
from ..program import Condition

HOOK = "a hook of "
WANTS = attrgetter("_requires_grad")


class Guard:
    """The conditions of one program.

    Raises:
        RecordingError: one of them is a hook, which a compiled function would not call.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions
        owned = {
            id(c.place.owner): c.place.owner for c in conditions if _is_hook(c) and isinstance(c.place.owner, dict)
        }
        owned |= {id(found): found for c in conditions if c.place.key == "__dict__" for found in [vars(c.place.owner)]}
        self._dicts = list(owned.values())  # of the modules
        self._hooks: list[Any] = []
        self._variables: list[Variable] = []
        places: list[tuple[dict[Any, Any], Any]] = []
        rest = []
        for condition in conditions:
            owner, key, _ = condition.place
            if _is_hook(condition):
                self._refuse_hook(condition)
                if isinstance(owner, dict):
                    self._hooks.append(owner[key])
            elif id(owner) in owned or key == "__dict__":
                pass  # in the copy
            elif isinstance(owner, dict) and not isinstance(owner.get(key), list):  # which can change inside
                places.append((owner, key))
            elif key != "_requires_grad":
                rest.append(condition)
            if isinstance(owner, Variable):
                self._variables.append(owner)
        self._rest = rest
        self._owners, self._keys = [owner for owner, _ in places], [key for _, key in places]
        self._variables = list(dict.fromkeys(self._variables))
        self._hooks += [variable._extra().hooks for variable in self._variables]
        self._remember()

    def _refuse_hook(self, condition: Condition) -> None:
        if condition.found:
            what = f"compile: there is {clean(condition.name, 200)}, and a compiled function calls no hooks"
            raise RecordingError(explain(what, fix="remove it, or call the function itself"))

    def _remember(self) -> None:
        self._copies = [dict(entries) for entries in self._dicts]
        self._found = list(map(dict.get, self._owners, self._keys))
        self._wants = list(map(WANTS, self._variables))

    def holds(self) -> bool:
        """Whether everything is as it was when the function was recorded."""
        try:
            same = self._dicts == self._copies
        except Exception:  # arrays, which do not compare
            same = False
        if (
            same
            and not any(self._hooks)
            and all(map(is_, map(dict.get, self._owners, self._keys), self._found))
            and list(map(WANTS, self._variables)) == self._wants
            and (not self._rest or all(condition.holds() for condition in self._rest))
        ):
            return True
        if not all(condition.holds() for condition in self._conditions):
            return False
        self._remember()
        return True


def _is_hook(condition: Condition) -> bool:
    return condition.name.startswith(HOOK)
