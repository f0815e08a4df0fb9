"""What is recorded at this moment: gradients on or off, anomaly checks, the scope that operations belong to, a tape.

The state lives in two context variables (the scope, which changes often, has its own), so threads and asyncio tasks do not
disturb each other.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tape import Tape

_NOT_THE_USERS = (os.path.join(os.path.dirname(os.path.dirname(__file__)), ""), contextlib.__file__)


class Scope:
    """One step of the path "which module or formula am I in": a name, the scope around it, and the class of a module."""

    __slots__ = ("kind", "name", "parent")

    def __init__(self, name: str, parent: Scope | None = None, kind: str = "") -> None:
        self.name = name
        self.parent = parent
        self.kind = kind

    @property
    def path(self) -> tuple[str, ...]:
        """Names from the outermost scope to this one."""
        names: list[str] = []
        step: Scope | None = self
        while step is not None:
            names.append(step.name)
            step = step.parent
        return tuple(reversed(names))


class Site(Scope):
    """A scope that also knows the line of the user's code, kept only where somebody asked for it."""

    __slots__ = ("filename", "inside", "line")

    def __init__(self, scope: Scope | None, filename: str, line: int) -> None:
        super().__init__("" if scope is None else scope.name, None if scope is None else scope.parent)
        self.inside = scope
        self.filename = filename
        self.line = line

    @property
    def path(self) -> tuple[str, ...]:
        """As for a scope; code outside of every scope has the empty path."""
        return () if self.inside is None else super().path

    @classmethod
    def here(cls, scope: Scope | None) -> Site:
        """The innermost line on the call stack that is not part of this package."""
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
            frame = frame.f_back
        return cls(scope, frame.f_code.co_filename, frame.f_lineno)


class Mode:
    """The recording state.  Never changed once made, so leaving a ``with`` block restores it whole."""

    __slots__ = ("anomaly", "recording", "sites", "tape")

    def __init__(
        self, recording: bool = True, anomaly: bool = False, sites: bool = False, tape: Tape | None = None
    ) -> None:
        self.recording = recording
        self.anomaly = anomaly
        self.sites = sites
        self.tape = tape

    def but(self, **changes: Any) -> Mode:
        """The same state with some settings changed."""
        settings = {name: getattr(self, name) for name in self.__slots__}
        return Mode(**(settings | changes))


PLAIN_MODE = Mode()  # outside of every ``with`` block
_mode: ContextVar[Mode] = ContextVar("tinygrad_bn_mode", default=PLAIN_MODE)
current_mode = _mode.get
_scope: ContextVar[Scope | None] = ContextVar("tinygrad_bn_scope", default=None)
current_scope = _scope.get


def is_grad_enabled() -> bool:
    """Whether operations on variables that want a gradient are being recorded."""
    return current_mode().recording


@contextmanager
def switched(**changes: Any) -> Iterator[None]:
    """The same recording state inside, with some settings changed."""
    token = _mode.set(current_mode().but(**changes))
    try:
        yield
    finally:
        _mode.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: ``with no_grad(): ...`` or as the decorator ``@no_grad()``."""
    with switched(recording=False):
        yield


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record again, inside a ``no_grad`` block."""
    with switched(recording=True):
        yield


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the first operation, forward or backward, that makes a NaN, or an infinity from no infinity, and name it.

    Slow (each result is inspected and each operation remembers its source line): for finding a fault, not for training.

    Raises:
        AnomalyError: from the offending operation, with the line of code that made it.
    """
    with switched(anomaly=True, sites=True):
        yield


@contextmanager
def record_sites() -> Iterator[None]:
    """Let every operation recorded inside remember the line of code that made it (for pictures and reports)."""
    with switched(sites=True):
        yield


class scope:  # noqa: N801 (used like a function)
    """Name the operations recorded inside: ``with scope("normalize"): ...``.

    Scopes nest; a picture groups operations by them.  A module opens a scope of its own when it is called.
    (A class rather than a generator: entering one costs well under a microsecond, and layers do it at each call.)
    """

    __slots__ = ("_kind", "_name", "_tokens")

    def __init__(self, name: str, kind: str = "") -> None:
        self._name = name
        self._kind = kind  # the class, where it is a module's
        self._tokens: list[Token[Scope | None]] = []

    def __enter__(self) -> None:
        around = current_scope()
        try:
            self._tokens.append(_scope.set(Scope(self._name, around, self._kind)))
        except BaseException:  # Ctrl-C in here: the block is not entered, so nothing else would leave the scope
            _scope.set(around)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _scope.reset(self._tokens.pop())
