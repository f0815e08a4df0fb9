"""Length limits for a demo's texts: a verdict is read at a glance, and a picture says one thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .blocks import Attachment, Block, Drawing, Plot, Table, Verdict

CLAIM, MEASURED, CONDITION = 110, 220, 320  # characters
PICTURE, TABLE = 150, 200


def too_long(blocks: Iterable[Block]) -> list[str]:
    """What is longer than that, and which claims are no sentences; for the tests of the demos."""
    found = []
    for block in blocks:
        parts: tuple[tuple[str, str, int], ...] = ()
        if isinstance(block, Verdict):
            parts = (
                ("claim", block.claim, CLAIM),
                ("measured", block.measured, MEASURED),
                ("condition", block.condition, CONDITION),
            )
            if not block.claim[:1].isupper():
                found.append(f"{block.name}: begins with a small letter: {block.claim}")
        elif isinstance(block, (Plot, Drawing, Attachment)):
            parts = (("caption", block.caption, PICTURE),)
        elif isinstance(block, Table):
            parts = (("caption", block.caption, TABLE),)
        name = block.file if isinstance(block, Attachment) else getattr(block, "name", "")
        found += [f"{name}: {what} of {len(text)} characters: {text}" for what, text, most in parts if len(text) > most]
    return found


def fitting(most: int, *texts: str) -> str:
    """The first of these texts, the most exact one first, with at most so many characters; the last if there is none."""
    return next((text for text in texts if len(text) <= most), texts[-1])


def listed(words: Sequence[str], last: str = "or") -> str:
    """``a, b or c``."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
