"""A tape: every operation in the order it happens, and every leaf that is read or written, while a function runs once.

``program.record`` makes a program of it.  While a tape runs, no value may leave the graph, since whatever Python decides
by it would be the same in every later run; and nothing outside changes for good: ``put_back`` restores what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..errors import RecordingError
from ..kinds import Params, Value
from . import messages
from .mode import Scope, Site, current_mode, current_scope
from .primitive import Primitive
from .unbroadcast import astype, dtype_of
from .variable import Variable, next_stamp
from .write import exchange, fitted


class Place(NamedTuple):
    """Where a value stands outside the program: an attribute of a variable or module, or an entry of a dict."""

    owner: Any
    key: Any
    item: int | None = None  # of a number in a tuple

    def read(self) -> Any:
        """What stands there now; ``None`` for an entry that is gone."""
        found: Any = self.owner.get(self.key) if isinstance(self.owner, dict) else getattr(self.owner, self.key)
        return found if self.item is None else found[self.item]


class Made(NamedTuple):
    """An operation: ``out`` is what the primitive made of the arguments."""

    out: Variable
    primitive: Primitive
    args: tuple[Any, ...]
    params: dict[str, Any]
    scope: Scope | None


class Same(NamedTuple):
    """``new`` is another variable with the value of ``old``."""

    new: Variable
    old: Variable


class Wrote(NamedTuple):
    """A place got the value of a variable, or ``None``."""

    place: Place
    value: Variable | None


class Tape:
    """What one run of a function does.

    Args:
        number_kind: the kind of variable that holds a single number.
        made: where to note entries of dicts that are made just now, to be taken out again should the recording fail.

    Attributes:
        events: what happened, in order.
        places: variables that stand for something outside: a gradient that was there before, a setting.
        conditions: what was looked at to decide what to do: where, which test, and what it gave.
        modules: the modules that were called, for the names and settings of their parts.
        refused: the first refusal, even if the function has caught it.
        belongs: state of an optimizer, with the parameter that it is of and its name there; it counts as having been
            there before, although it may have been made just now.
    """

    def __init__(self, number_kind: type[Variable], made: list[tuple[dict[Any, Any], Any]] | None = None) -> None:
        self.made = [] if made is None else made
        self.refused: RecordingError | None = None
        self._start = next_stamp()
        self._number_kind = number_kind
        self.events: list[Made | Same | Wrote] = []
        self.places: dict[Variable, Place] = {}
        self.conditions: dict[tuple[int, Any, Any], tuple[Place, Callable[[Any], Any], Any]] = {}
        self._numbers: dict[tuple[int, Any, int | None], Variable] = {}
        self.modules: dict[int, Any] = {}
        self.belongs: dict[Variable, tuple[Variable, str]] = {}
        self._before: dict[tuple[int, Any], tuple[Place, Any]] = {}

    # -- what the engine tells it ---------------------------------------------------------------------------------------

    def append(self, primitive: Primitive, args: tuple[Value, ...], params: Params, out: Variable) -> None:
        """An operation has been run."""
        scope = out.scope
        if out.primitive is None:  # it remembers nothing
            scope = Site.here(current_scope()) if current_mode().sites else current_scope()
        self.events.append(Made(out, primitive, args, params, scope))

    def same(self, new: Variable, old: Variable) -> None:
        """A variable with the value of another has been made, as by ``detach``."""
        self.events.append(Same(new, old))

    def write(self, moves: Iterable[tuple[Variable, Value]]) -> None:
        """``engine.write`` during a recording."""
        pairs = []
        for leaf, value in moves:
            leaf._check_leaf("it cannot be written to")
            if not isinstance(value, Variable):
                value = leaf.kind.wrap(leaf.to_data(value))
            data = fitted(leaf, value._data)  # refuses what does not fit
            if not leaf.is_scalar_kind and dtype_of(value) != leaf.dtype:
                value = astype(value, dtype=leaf.dtype.name)
            pairs.append((leaf, value, data))
        for leaf, value, _ in pairs:
            self.will_change(leaf, "_data")
            self.events.append(Wrote(Place(leaf, "_data"), value))
        exchange([leaf for leaf, _, _ in pairs], [data for _, _, data in pairs])

    def will_change(self, variable: Variable, key: str) -> None:
        """The value, the gradient or the wish for one is about to change; what was there is remembered the first time."""
        for name in (key, "stamp"):
            place = Place(variable, name)
            self._before.setdefault((id(variable), name), (place, place.read()))

    def from_outside(self, variable: Variable) -> bool:
        """Whether a variable was there before the recording."""
        _, stamp = self._before.get((id(variable), "stamp"), (None, variable.stamp))
        return stamp < self._start or variable in self.belongs

    def grad_of(self, variable: Variable) -> Variable | None:
        """The gradient of a variable.  What was there before the recording is read anew in every run."""
        gradient: Variable | None = variable._grad
        if self.from_outside(variable) and (id(variable), "_grad") not in self._before:
            self.holds(variable, "_grad", is_none, gradient is None)
            if gradient is not None:
                self.places[gradient] = Place(variable, "_grad")
        return gradient

    # -- what a function that knows of recordings tells it --------------------------------------------------------------

    def number(self, owner: Any, key: Any, item: int | None = None) -> Value:
        """A setting, such as a learning rate, as a scalar whose value is read anew in every run."""
        place = Place(owner, key, item)
        known = self._numbers.get((id(owner), key, item))
        if known is None:
            known = self._numbers[id(owner), key, item] = self._number_kind.wrap(float(place.read()))
            known.name = str(key) if item is None else f"{key}[{item}]"
            self.places[known] = place
        return known

    def holds(self, owner: Any, key: Any, test: Callable[[Any], Any], found: Any) -> None:
        """What is recorded rests on this: ``test`` of what stands there gives the same in a later run."""
        self.conditions.setdefault((id(owner), key, test), (Place(owner, key), test, found))

    def refuse_value(self, variable: Variable, how: str) -> None:
        """A value is about to leave the graph.

        Raises:
            RecordingError: always.
        """
        error = messages.leaves_recording(variable, how)
        self.refused = self.refused or error
        raise error

    # -- the end ----------------------------------------------------------------------------------------------------------

    def changed(self) -> list[tuple[Place, Any, Any]]:
        """Every place that changed, with what stood there before and what stands there now."""
        return [(place, old, place.read()) for place, old in self._before.values()]

    def put_back(self) -> None:
        """Restore what the function has changed outside."""
        for place, old in self._before.values():
            setattr(place.owner, place.key, old)


def is_none(value: Any) -> bool:
    """A test of what stands somewhere."""
    return value is None
