"""Length limits for a demo's texts: a verdict is read at a glance, and a picture says one thing."""

from __future__ import annotations

from collections.abc import Sequence

CLAIM, MEASURED, CONDITION = 110, 220, 320  # characters
PICTURE, TABLE = 150, 200


def fitting(most: int, *texts: str) -> str:
    """The first of these texts, the most exact one first, with at most so many characters; the last if there is none."""
    return next((text for text in texts if len(text) <= most), texts[-1])


def listed(words: Sequence[str], last: str = "or") -> str:
    """``a, b or c``."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
