"""What is recorded at this moment: gradients on or off, anomaly checks, the scope that operations belong to, a tape.

The state lives in two context variables (the scope, which changes often, has its own), so threads and asyncio tasks do not
disturb each other.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np

from .blocks import Block

if TYPE_CHECKING:
    from .tape import Tape

Function = TypeVar("Function", bound=Callable[..., Any])

_FOLDERS = (os.path.dirname(os.path.dirname(__file__)), os.path.dirname(np.__file__))
_NOT_THE_USERS = (*(os.path.join(folder, "") for folder in _FOLDERS), contextlib.__file__)


class Scope:
    """One step of the path "which module or formula am I in": a name, the scope around it, and what opened it.

    Attributes:
        kind: the class, where it is a module.
        block: the ``with`` block.
    """

    __slots__ = ("block", "kind", "name", "parent")

    def __init__(self, name: str, parent: Scope | None = None, kind: str = "", block: scope | None = None) -> None:
        self.name = name
        self.parent = parent
        self.kind = kind
        self.block = block

    @property
    def path(self) -> tuple[str, ...]:
        """Names from the outermost scope to this one."""
        names: list[str] = []
        step: Scope | None = self
        while step is not None:
            names.append(step.name)
            step = step.parent
        return tuple(reversed(names))

    def without(self, block: scope) -> Scope | None:
        """The path without the step of a block, which need not be the last one; see ``Mode.without``."""
        if self.block is block:
            return self.parent
        parent = None if self.parent is None else self.parent.without(block)
        return self if parent is self.parent else Scope(self.name, parent, self.kind, self.block)


class Site(Scope):
    """A scope that also knows the line of the user's code, kept only where somebody asked for it."""

    __slots__ = ("code", "filename", "inside", "line")

    def __init__(self, scope: Scope | None, frame: FrameType) -> None:
        super().__init__("" if scope is None else scope.name, None if scope is None else scope.parent)
        self.inside = scope
        self.code = frame.f_code
        self.filename = frame.f_code.co_filename
        self.line = frame.f_lineno

    @property
    def path(self) -> tuple[str, ...]:
        """As for a scope; code outside every scope has the empty path."""
        return () if self.inside is None else super().path

    @classmethod
    def here(cls, scope: Scope | None) -> Site:
        """The innermost line on the call stack that is neither part of this package nor of NumPy."""
        frame = users_frame()
        code = frame.f_code
        key = scope, id(code), frame.f_lasti
        site = _sites.get(key)
        if site is None or site.code is not code:
            if len(_sites) >= 64:
                _sites.clear()
            site = _sites[key] = cls(scope, frame)
        return site


# One for all operations of a place in the code, whose line takes time to find.
_sites: dict[tuple[Scope | None, int, int], Site] = {}


def users_frame() -> FrameType:
    """The innermost frame on the call stack that is neither part of this package nor of NumPy."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame = frame.f_back
    return frame


class Mode:
    """The recording state.  Never changed once made: a ``with`` block puts another one on top, and takes it off again."""

    __slots__ = ("anomaly", "block", "outer", "recording", "sites", "tape")

    def __init__(
        self,
        recording: bool = True,
        anomaly: bool = False,
        sites: bool = False,
        tape: Tape | None = None,
        block: switched | None = None,
        outer: Mode | None = None,
    ) -> None:
        self.recording = recording
        self.anomaly = anomaly
        self.sites = sites
        self.tape = tape
        self.block = block
        self.outer = outer

    def inside(self, block: switched) -> Mode:
        """The same state with the settings of a block."""
        new = block.changes.get
        return Mode(
            new("recording", self.recording),
            new("anomaly", self.anomaly),
            new("sites", self.sites),
            new("tape", self.tape),
            block,
            self,
        )

    def without(self, block: switched) -> Mode:
        """The state with a block taken off.  It need not be on top: generators may be left in any order.

        A block that was not entered here (another thread or task has done it) changes nothing.
        """
        if self.outer is None or self.block is None:
            return self
        if self.block is block:
            return self.outer
        outer = self.outer.without(block)
        return self if outer is self.outer else outer.inside(self.block)


PLAIN_MODE = Mode()  # outside every ``with`` block
_mode: ContextVar[Mode] = ContextVar("tinygrad_bn_mode", default=PLAIN_MODE)
current_mode = _mode.get
_scope: ContextVar[Scope | None] = ContextVar("tinygrad_bn_scope", default=None)
current_scope = _scope.get


# What the transforms that are running differentiate by: fresh variables, and what was passed for them.
running_points: ContextVar[tuple[tuple[Any, Any], ...]] = ContextVar("tinygrad_bn_points", default=())
current_points = running_points.get


def is_point(variable: Any) -> bool:
    """Whether a variable is an argument that a running transform differentiates by."""
    return any(variable is point for point, _ in current_points())


def is_grad_enabled() -> bool:
    """Whether operations on variables that want a gradient are being recorded."""
    return current_mode().recording


class switched(Block):  # noqa: N801 (used like a function)
    """The same recording state inside, with some settings changed."""

    __slots__ = ("changes",)

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def __enter__(self) -> None:
        before = current_mode()
        try:
            _mode.set(before.inside(self))
        except BaseException:  # Ctrl-C, when it is set already: __exit__ would not be called
            _mode.set(before)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _mode.set(current_mode().without(self))


class _Named(switched):
    """A block with settings of its own; ``@no_grad`` decorates as ``@no_grad()`` does."""

    __slots__ = ()
    settings: ClassVar[dict[str, bool]]

    def __new__(cls, function: Any = None) -> Any:
        block = super().__new__(cls)
        block.changes = cls.settings
        return block if function is None else block(function)

    def __init__(self) -> None:
        pass  # the settings are those of the class


class no_grad(_Named):  # noqa: N801
    """Record nothing inside: ``with no_grad(): ...``, or ``@no_grad()`` before a function, a generator or a coroutine."""

    __slots__ = ()
    settings: ClassVar[dict[str, bool]] = {"recording": False}


class enable_grad(_Named):  # noqa: N801
    """Record again, inside a ``no_grad`` block."""

    __slots__ = ()
    settings: ClassVar[dict[str, bool]] = {"recording": True}


class detect_anomaly(_Named):  # noqa: N801
    """Stop at the first operation, forward or backward, that makes a NaN, or an infinity from no infinity, and name it.

    Slow (each result is inspected and each operation remembers its source line): for finding a fault, not for training.

    Raises:
        AnomalyError: from the offending operation, with the line of code that made it.
    """

    __slots__ = ()
    settings: ClassVar[dict[str, bool]] = {"anomaly": True, "sites": True}


class record_sites(_Named):  # noqa: N801
    """Let every operation recorded inside remember the line of code that made it (for pictures and reports)."""

    __slots__ = ()
    settings: ClassVar[dict[str, bool]] = {"sites": True}


class scope(Block):  # noqa: N801
    """Name the operations recorded inside: ``with scope("normalize"): ...``.

    Scopes nest; a picture groups operations by them.  A module opens a scope of its own when it is called.
    """

    __slots__ = ("_kind", "_name")

    def __init__(self, name: str, kind: str = "") -> None:
        self._name = name
        self._kind = kind  # the class, where it is a module's

    def __enter__(self) -> None:
        before = current_scope()
        try:
            _scope.set(Scope(self._name, before, self._kind, self))
        except BaseException:  # as in switched
            _scope.set(before)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        current = current_scope()
        if current is not None:
            _scope.set(current.parent if current.block is self else current.without(self))


def closing(function: Function) -> Function:
    """A function after which no block stays open that was opened in it.

    A block closes itself, except where a Ctrl-C comes between its last line and the end of its ``__exit__``: Python runs
    nothing else then.  So whoever is around it puts the state back.  One Ctrl-C cannot hit both.
    """

    @wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        mode, scope = current_mode(), current_scope()
        try:
            return function(*args, **kwargs)
        except BaseException:
            _mode.set(mode)
            _scope.set(scope)
            raise

    return cast(Function, inside)
