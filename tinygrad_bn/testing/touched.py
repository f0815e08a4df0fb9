"""What the checks of this process have looked at: classes of layers, and primitives."""

from __future__ import annotations

from typing import Any

SEEN: set[Any] = set()


def add(*things: Any) -> None:
    """Remember that a check used these."""
    SEEN.update(things)
