"""Optimizers that update each parameter separately: the rule, the loop around it, and its state.

An update rule is written in arithmetic and ``ops``.  The same text is read two ways: on raw arrays, as ``step`` does, and on
variables, when a training step is recorded as a program.  (``+=`` saves an array in the first reading and makes a new
variable in the second; it may be used on what the rule has made itself.)
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from ..engine import Variable, reading, write
from ..engine.mode import current_mode
from ..engine.tape import Tape
from ..errors import RecordingError, ShapeError, explain
from ..kinds import Array, Raw, Value
from ..tensor import Scalar, Tensor
from .optimizer import Closure, Optimizer
from .settings import Settings

State = dict[str, Variable]
Rule = Callable[[Value, Value, dict[str, Value]], Value]
Mine = tuple[Variable, Any, State]  # a parameter, its gradient, its state

SMALL = 4096  # elements up to which parameters are moved together


class PerParameter(Optimizer):
    """Base of the optimizers that update each parameter from its own gradient and state: ``_slots`` and ``_rule`` say how.

    Args:
        params: what to train, see ``Optimizer``.
        defaults: the settings of a group that does not set its own.

    Attributes:
        state: what the update rule remembers of each parameter: tensors in its shape, and numbers as scalars, such as
            ``"step"``.
    """

    remembers: ClassVar[tuple[str, ...]] = ()  # in the state of every parameter that was ever moved
    may_remember: ClassVar[tuple[str, ...]] = ()  # in it depending on settings
    joins: ClassVar[bool] = (
        False  # whether small parameters are moved as one row: for elementwise rules of many operations
    )
    numbers: ClassVar[tuple[str, ...]] = ("step",)  # those that are one number rather than one per element

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.state: dict[Variable, State] = {}
        super().__init__(params, defaults)

    @abstractmethod
    def _slots(self, settings: Settings) -> dict[str, float | None]:
        """What is remembered of each parameter, with its first value; ``None``: at the first step there is none yet."""

    @abstractmethod
    def _rule(self, settings: Settings) -> Rule:
        """The update rule: from a parameter, its gradient and its state to the parameter's new value.

        New values of what is remembered are put into the state.  The rule is called on raw arrays, or, during a
        recording, on variables; so it writes to none of them, and ``settings.on`` decides what it computes.
        """

    def step(self, closure: Closure | None = None) -> Any:
        """Move every parameter that has a gradient: all of them, or none when something fails.

        Args:
            closure: computes the loss first, see ``Optimizer.step``.

        Returns:
            What the closure returned.

        Raises:
            ShapeError: a gradient does not fit its parameter; then no parameter was changed.
            DTypeError: a gradient that is not a tensor; likewise.
        """
        loss = None if closure is None else self._evaluated(closure)
        tape = current_mode().tape
        gradients = [p._grad if tape is None else p.grad for p in self.params]  # the parameters group by group
        for p, grad in zip(self.params, gradients):
            if grad is not None and (not isinstance(grad, Variable) or grad._data.shape != p._data.shape):
                raise self._unfit(p)
        if tape is not None:
            tape.holds(vars(self), "params", len, len(self.params))
            tape.holds(vars(self), "param_groups", len, len(self.param_groups))
        coming = iter(gradients)
        leaves: list[Variable] = []
        values: list[Value] = []
        for group in self.param_groups:
            settings = Settings(group, tape)
            slots, rule = self._slots(settings), self._rule(settings)
            maximizes = settings.on("maximize")
            joins = self.joins and tape is None
            together: dict[tuple[Any, ...], list[Mine]] = {}
            for p, grad in zip(group["params"], coming):
                if grad is None:
                    continue
                kept = self.state.get(p) if slots else {}
                if kept is None or tape is not None or kept.keys() != slots.keys():
                    kept = self._kept(p, slots, tape)
                g = grad if tape is not None else grad._data
                if maximizes:
                    g = -g
                if (
                    joins and g.ndim and g.size <= SMALL and p._data.flags.forc
                ):  # NumPy 1 has rules of its own without axes
                    alike = (g.dtype.char, *[kept[name]._data for name in self.numbers])
                    together.setdefault(alike, []).append((p, g, kept))
                    continue
                state: dict[str, Value] = dict(kept) if tape is not None else {n: v._data for n, v in kept.items()}
                leaves.append(p)
                values.append(rule(p if tape is not None else p._data, g, state))
                for name in slots:
                    slot = kept.get(name)
                    if slot is None:  # what has no value before the first step
                        slot = kept[name] = self._slot(p, name, 0.0)
                    leaves.append(slot)
                    values.append(state[name])
            for mine in together.values():
                for some, new in self._moved_together(rule, slots, mine):
                    leaves += some
                    values += new
        if not leaves:
            what = f"{self._name}.step moved nothing: no parameter has a gradient"
            warnings.warn(explain(what, fix="loss.backward() before optimizer.step()"), stacklevel=2)
        write(zip(leaves, values), fresh=True)
        return loss

    def _moved_together(
        self, rule: Rule, names: Iterable[str], mine: list[Mine]
    ) -> Iterator[tuple[list[Variable], list[Raw]]]:
        """The same as one by one, bit for bit: of small arrays a call costs more than the numbers in them."""
        params, kept = [p for p, _, _ in mine], [entries for _, _, entries in mine]
        arrays = [p._data for p in params]
        gradients = [g if g.strides == a.strides else _laid_out(g, a) for (_, g, _), a in zip(mine, arrays)]
        state = {
            name: kept[0][name]._data if name in self.numbers else _joined([entries[name]._data for entries in kept])
            for name in names
        }
        yield params, _apart(rule(_joined(arrays), _joined(gradients), state), arrays)
        for name in names:
            new = state[name]
            yield (
                [entries[name] for entries in kept],
                ([new] * len(mine) if name in self.numbers else _apart(new, arrays)),
            )

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
                kept[name] = self._slot(p, name, first)
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

    def _slot(self, p: Variable, name: str, value: Value) -> Variable:
        """A piece of a parameter's state: one number as a scalar, else a tensor in its shape, dtype and layout."""
        if name in self.numbers:
            return Scalar(value, requires_grad=False, name=f"{p.name or 'parameter'}.{name}")
        array = np.empty_like(p._data)
        array[...] = value
        slot = Tensor.wrap(array)
        slot.name = f"{p.name or 'parameter'}.{name}"
        return slot

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def _saved(self) -> dict[Any, Any]:
        keys = [key for names in self._keys() for key in names]
        return {key: self._saved_of(self.state[p]) for key, p in zip(keys, self.params) if self.state.get(p)}

    def _saved_of(self, kept: State) -> dict[str, Any]:
        return {name: self._plain(name, slot) for name, slot in kept.items()}

    def _plain(self, name: str, slot: Variable) -> Any:
        if name not in self.numbers:
            return np.array(slot.data, order="C")
        return int(slot.data) if name == "step" else float(slot.data)

    def _to_load(self, state: Any) -> Callable[[], None]:
        loaded = self._loaded_state(state)

        def load() -> None:
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

        return load

    def snapshot(self) -> Callable[[], None]:
        slots = {p: (kept, dict(kept)) for p, kept in self.state.items()}
        values = [(slot, reading(slot)) for kept in self.state.values() for slot in kept.values()]

        def put_back() -> None:
            self.state.clear()
            for p, (kept, entries) in slots.items():
                kept.clear()
                kept.update(entries)
                self.state[p] = kept
            write(values)

        return put_back

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
            return self._slot(p, name, value)
        if name in self.numbers:
            if type(value) is not float or not math.isfinite(value):
                raise self._other(f"{name} of parameter {key}", repr(value), "a finite number")
            return self._slot(p, name, value)
        array = np.asarray(value)
        if array.dtype.kind != "f":
            raise self._other(f"{name} of parameter {key}", f"dtype {array.dtype}", "floating-point numbers")
        if array.shape != p.shape:
            what = f"{self._name}: {name} of parameter {key} does not fit"
            raise ShapeError(explain(what, got=f"shape {array.shape}", expected=f"shape {p.shape}"))
        with np.errstate(over="ignore"):
            return self._slot(p, name, array)


def _joined(arrays: list[Array]) -> Array:
    """All elements in one row, each array's in the order in which they lie in memory."""
    return np.concatenate([array if array.ndim == 1 else array.ravel("K") for array in arrays])


def _apart(row: Array, like: list[Array]) -> list[Array]:
    """The row cut into arrays that lie as those that it was joined from."""
    row.setflags(write=False)
    end = 0
    parts = []
    for array in like:
        start, end = end, end + array.size
        part = row[start:end]
        if array.ndim != 1:
            part = part.reshape(array.shape) if array.flags.c_contiguous else part.reshape(array.shape[::-1]).T
        parts.append(part)
    return parts


def _laid_out(gradient: Array, like: Array) -> Array:
    array = np.empty_like(like, gradient.dtype)
    array[...] = gradient
    return array
