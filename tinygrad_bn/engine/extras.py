"""What few variables have, apart from the many: a name, a symbol, hooks, the wish to keep an intermediate gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..kinds import Array

if TYPE_CHECKING:
    from .variable import Variable

Hook = Callable[["Variable"], "Variable | None"]


class HookHandle:
    """Returned by ``register_hook``; ``remove()`` takes the hook off again."""

    def __init__(self, hooks: list[Any], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._hook: Callable[..., Any] | None = hook

    def remove(self) -> None:
        """Take the hook off; harmless when it is off already."""
        if self._hook is not None:
            self._hooks.remove(self._hook)
            self._hook = None


class Extras:
    """Made when it is needed, so that most variables do without.

    ``is_buffer`` marks the state of a module: operations on it are recorded where no gradient is wanted, too, so that
    pictures show it.  ``renewed`` is the stamp from which on earlier operations cannot use it, whatever they read: a
    gradient was asked for that was not wanted before.  ``shown`` is the value, and the view of
    it that ``.data`` hands out.
    """

    __slots__ = ("hooks", "is_buffer", "name", "renewed", "retains_grad", "shown")

    def __init__(self) -> None:
        self.name: str | None = None
        self.hooks: list[Hook] = []
        self.retains_grad = self.is_buffer = False
        self.renewed = 0
        self.shown: tuple[Array, Array] | None = None
