"""The only module through which lower rooms reach ``graph``, the room that draws.

``x.draw()`` is a method of a tensor, and a graph shows itself in a notebook, but pictures are made in ``graph.picture``;
that room leaves its function here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_draws: list[Callable[..., Any]] = []


def drawn_by(function: F) -> F:
    """A decorator for the function that draws."""
    _draws[:] = [function]
    return function


def draw(outputs: Any, *arguments: Any, **options: Any) -> Any:
    """A picture of ``outputs``; see ``graph.draw``."""
    (function,) = _draws  # left here when the package was imported
    return function(outputs, *arguments, **options)
