"""Row 4: pieces of the function."""

from __future__ import annotations

from ..lab.demo import Block, Measured, Part

PARTS: tuple[Part, ...] = ()


def show(measured: Measured) -> list[Block]:
    """What was measured about this row."""
    return []
