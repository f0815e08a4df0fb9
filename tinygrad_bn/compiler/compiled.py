"""``compile``, and what it returns: a function that records itself anew for each kind of arguments, and runs the program."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

from ..engine import NoGraph, Variable
from ..engine.mode import Mode, current_mode
from ..errors import ArgumentError, IndexingError, RecordingError, TinygradError, clean, explain
from ..kinds import Raw, Value
from ..program import Program, record, simplify
from ..program.parts import NUMBER
from ..program.record import collector_paused
from ..program.trees import VALUE, put_together, take_apart
from ..tensor import Scalar, Tensor
from .c.build import available
from .c.operations import DTYPES
from .guard import Guard
from .native import Native
from .scalars.on_floats import OnFloats
from .scalars.tape import suits

BACKENDS = ("numpy", "c")
COMPILED = NoGraph(
    "a compiled function made it, which keeps no graph",
    "take the gradient inside of the function; x.detach() is the value alone; stages can be drawn",
)
STAGES = ("recorded", "simplified", "grouped")
MOST = 32  # programs that one function keeps


class Stage(NamedTuple):
    """What a function was at one stage of being compiled."""

    name: str
    program: Program


class CompileWarning(UserWarning):
    """A compiled function is recorded anew."""


def compile(  # noqa: A001
    function: Callable[..., Any] | None = None,
    *,
    backend: str | None = None,
    exact: bool = False,
    quiet: bool = False,
) -> Any:
    """Compile a function of tensors, or a whole training step with ``backward`` and ``optimizer.step`` in it.

    ``fast = compile(step)``, or ``@compile`` above its definition.  The first call with arguments of some shapes and dtypes
    records the function (``program.record``) and makes straight-line code of the program; later calls run that.  Parameters,
    buffers and what an optimizer remembers stay where they are: they can be read, assigned, saved and loaded between calls.

    Args:
        function: called with tensors in place of arrays.  As in every recording, a decision that Python makes by a value is
            refused, with its line.  What a module is set to, and which of its parameters want a gradient, is watched: when it
            changes, the function is recorded anew; other things outside, such as global numbers, are not.
        backend: "c": C functions of few passes over memory, built by the system's compiler; "numpy": straight-line NumPy.  By
            default C where there is a compiler, NumPy elsewhere.
        exact: the same bits as the function itself, with NumPy; otherwise laws of algebra are used by which last bits differ.
        quiet: say nothing when the function is recorded anew, which is said once otherwise.

    Returns:
        A ``Compiled``: called like the function.  What it returns has no graph: a gradient has to be taken inside, and a
        backward pass that comes to a result is refused.

    Raises:
        ArgumentError: no such backend, or nothing that can be called.
        MissingCompilerError: C was asked for, and there is no compiler.
    """
    if function is None:
        return partial(compile, backend=backend, exact=exact, quiet=quiet)
    return Compiled(function, backend, exact, quiet)


class Compiled:
    """A compiled function; see ``compile``."""

    def __init__(
        self, function: Callable[..., Any], backend: str | None = None, exact: bool = False, quiet: bool = False
    ) -> None:
        if not callable(function):
            raise ArgumentError(explain("compile: a function is compiled", got=type(function).__name__))
        if backend not in (None, *BACKENDS):
            expected = " or ".join(map(repr, BACKENDS))
            raise ArgumentError(explain("compile: no such backend", got=repr(backend), expected=expected))
        if backend == "c" and exact:
            fix = "backend='numpy', or leave exact=True out"
            raise ArgumentError(explain("compile: C does not give the same bits as NumPy", got="exact=True", fix=fix))
        for name, value in (("exact", exact), ("quiet", quiet)):
            if not isinstance(value, (bool, np.bool_)):
                raise ArgumentError(explain(f"compile: {name} is True or False", got=repr(value)))
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._backend = backend
        self._exact = exact
        self._entries: list[_Entry] = []  # the last used ones first
        self._newest: _Entry | None = None
        self._lock = threading.RLock()  # the arrays inside are shared by all calls
        self._told = quiet

    def __repr__(self) -> str:
        name = clean(getattr(self._function, "__qualname__", repr(self._function)), 200)
        return f"<compiled {name}, {len(self._entries)} recorded>"

    def __reduce__(self) -> Any:
        """A copy records anew; what a module has is found by its name, as a function is."""
        known: Any = sys.modules.get(getattr(self, "__module__", ""))
        for part in getattr(self, "__qualname__", "").split("."):
            known = getattr(known, part, None)
        if known is self:
            return self.__qualname__
        return Compiled, (self._function, self._backend, self._exact, self._told)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Compiled in a class, it is a method like any other function there."""
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        mode = current_mode()
        if mode.tape is not None:  # part of a larger recording
            return self._function(*arguments, **named)
        with self._lock:
            entry = self._newest
            if entry is not None and not self._exact and not named:  # nearly always the same as last time
                given = entry.given(arguments, mode)
                if given is not None and entry.guard.holds():
                    return entry.run(given, mode.anomaly)
            return self._look_up(arguments, named, mode)

    def _look_up(self, arguments: Sequence[Any], named: dict[str, Any], mode: Mode) -> Any:
        if named:
            arguments = *arguments, named
        leaves, plan = take_apart(arguments)
        raw = [_raw(leaf) for leaf in leaves]
        kinds = [(value.shape, value.dtype) if type(value) is np.ndarray else None for value in raw]
        strides = [value.strides for value in raw if type(value) is np.ndarray] if self._exact else ()
        wants = [isinstance(leaf, Variable) and leaf.requires_grad for leaf in leaves]
        # Anything else among the arguments, such as a module, has to be the same or equal, and to look the same.
        key = mode.recording, bool(named), str(plan), kinds, strides, plan
        if mode.recording and any(wants):
            fix = "take the gradient inside (tg.grad, loss.backward()), or pass x.detach()"
            raise RecordingError(explain(f"{self!r}: an argument wants a gradient, which ends here", fix=fix))
        entry = next((entry for entry in self._entries if _equal(entry.key, key) and entry.guard.holds()), None)
        if entry is None:
            entry = self._record(key, arguments, raw)
        if entry is not self._newest:
            self._entries = [entry, *(other for other in self._entries if other is not entry)][:MOST]
            self._newest = entry
        return entry.run(raw, mode.anomaly)

    def _record(self, key: Any, arguments: Sequence[Any], raw: Sequence[Raw]) -> _Entry:
        function = partial(_with_named, self._function) if key[1] else self._function
        with collector_paused():
            entry = _Entry(key, function, arguments, raw, self._backend_now(), self._exact)
        if self._entries and not self._told:
            self._told = True
            name = clean(getattr(self._function, "__name__", "a function"), 100)
            what = f"{name} is recorded anew, for other shapes, dtypes, arguments or settings of modules"
            warnings.warn(f"{what}; this is said once", CompileWarning, stacklevel=4)
        return entry

    def _backend_now(self) -> str:
        """What to compile to."""
        if self._exact:
            return "numpy"
        if self._backend is None and not available():
            what = "compile: there is no C compiler, so NumPy does it, a few times slower"
            warnings.warn(
                explain(what, fix="install gcc or clang; or say backend='numpy'"), CompileWarning, stacklevel=5
            )
            self._backend = "numpy"
        return self._backend or "c"

    # -- what it has become -----------------------------------------------------------------------------------------------

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The programs of the newest call, from the recorded one on; each can be drawn with ``graph.draw``."""
        return self._last("stages").stages

    @property
    def source(self) -> str:
        """The text that runs."""
        return self._last("source").source

    @property
    def nbytes(self) -> int:
        """Memory for what lives between the operations of the newest call, in bytes."""
        return self._last("memory").nbytes

    def _last(self, what: str) -> _Entry:
        if self._newest is None:
            fix = "call it once: the arguments say for which shapes"
            raise RecordingError(explain(f"{self!r} has no {what} yet", fix=fix))
        return self._newest


class _Entry:
    """One recording of a function, for one kind of arguments, which ``key`` tells."""

    def __init__(
        self,
        key: Any,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        raw: Sequence[Raw],
        backend: str,
        exact: bool,
    ) -> None:
        self.key = key
        self._wanting: list[int] = []  # which outputs would have a gradient

        @functools.wraps(function)
        def looking(*arguments: Any) -> Any:
            given = function(*arguments)
            self._wanting = [i for i, leaf in enumerate(take_apart(given)[0]) if getattr(leaf, "requires_grad", False)]
            return given

        recorded = record(looking, *arguments, free=False)
        self._gives = recorded.gives
        self._machine: Native | OnFloats
        if suits(recorded):
            self._machine = OnFloats(recorded, backend == "c", exact)
            self._recorded = None  # which would take much memory
        else:
            simplified = simplify(recorded, exact=exact)
            self._machine = Native(simplified, raw, backend == "c" and _leaves_c(simplified))
            self._recorded = recorded
        self.guard = Guard(recorded.conditions)
        self.source, self.nbytes = self._machine.source, self._machine.nbytes
        self._recording = current_mode().recording
        self._kinds = None
        if all(type(thing) in (Tensor, np.ndarray) for thing in (*arguments, *raw)):
            self._kinds = [(value.shape, value.dtype) for value in raw]

    def given(self, arguments: Sequence[Any], mode: Mode) -> list[Raw] | None:
        """The raw arguments, if they are tensors and arrays as those of the recording."""
        kinds = self._kinds
        if kinds is None or len(arguments) != len(kinds) or mode.recording is not self._recording:
            return None
        raw: list[Raw] = []
        for argument, (shape, dtype) in zip(arguments, kinds):
            if type(argument) is Tensor and not argument._requires_grad:
                value = argument._data
            elif type(argument) is np.ndarray:
                value = argument
            else:
                return None
            if value.shape != shape or value.dtype is not dtype:
                return None
            raw.append(value)
        return raw

    @property
    def stages(self) -> tuple[Stage, ...]:
        """See ``Compiled.stages``."""
        programs = {"recorded": self._recorded} | self._machine.programs()
        return tuple([Stage(name, program) for name, program in programs.items() if program is not None])

    def run(self, raw: Sequence[Raw], anomaly: bool) -> Any:
        if anomaly:  # which looks at every result, so every step is run by itself
            program = self._machine.program
            leaves, _ = take_apart(program.run(*put_together(program.takes, iter(raw))))
            return self._put_together([Scalar.wrap(x) if type(x) is float else Tensor.wrap(x) for x in leaves])
        try:
            return self._put_together(self._machine.run(raw))
        except TinygradError:
            raise
        except IndexError as error:  # of NumPy, in a step that it does
            fix = "call it under tg.detect_anomaly(), which names the operation and its line"
            raise IndexingError(explain(f"a compiled function: {error}", fix=fix)) from error

    def _put_together(self, results: list[Variable]) -> Any:
        for i in self._wanting:
            results[i]._requires_grad, results[i].inputs = True, COMPILED
        return results[0] if self._gives == VALUE else put_together(self._gives, iter(results), scalars=True)


def _leaves_c(program: Program) -> bool:
    """Whether C has the dtypes of all that is returned or written."""
    leaving = [*program.outputs, *(value for _, value in program.writes if value is not None)]
    return all(program.entry(number).dtype in (NUMBER, *DTYPES) for number in leaving)


def _with_named(function: Callable[..., Any], *arguments: Any) -> Any:
    *others, named = arguments
    return function(*others, **named)


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # of a user's class that does not compare
        return False


def _raw(leaf: Value) -> Raw:
    if isinstance(leaf, Variable):
        return leaf._data
    if isinstance(leaf, np.ndarray):  # np.memmap and p.data are of other types
        plain = type(leaf) is np.ndarray and leaf.flags.forc and leaf.flags.aligned and leaf.dtype.isnative
        return leaf if plain else Tensor.to_data(leaf)
    return float(leaf)
