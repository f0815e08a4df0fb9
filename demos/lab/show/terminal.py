"""What a demo found, as text for a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable

from .blocks import Attachment, Block, Code, Drawing, Heading, Plot, Summary, Table, Text, Verdict
from .evidence import LABELS

WIDTH = 110


def as_text(blocks: Iterable[Block]) -> str:
    """All blocks that text can show, one after the other."""
    return "\n\n".join(filter(None, map(block_text, blocks)))


def block_text(block: Block) -> str:
    """One block; of a picture, nothing (it is a file)."""
    if isinstance(block, Heading):
        return f"{block.text}\n{'-' * len(block.text)}"
    if isinstance(block, (Text, Summary)):
        return textwrap.fill(block.text.replace("`", ""), WIDTH)
    if isinstance(block, Code):
        return textwrap.indent(block.text, " " * 4)
    if isinstance(block, Table):
        return f"{textwrap.fill(block.caption, WIDTH)}\n{columns([block.head, *block.rows])}"
    if isinstance(block, Verdict):
        return verdict_text(block)
    assert isinstance(block, (Plot, Drawing, Attachment))
    return ""


def verdict_text(verdict: Verdict) -> str:
    """The claim, what was measured, and what became of it."""
    outcome = f"{LABELS[verdict.outcome].upper()}. {verdict.condition}".strip()
    lines = (f"Claim:    {verdict.claim}", f"Measured: {verdict.measured}", f"Verdict:  {outcome}")
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent=" " * 10) for line in lines)


def columns(rows: Iterable[Iterable[str]]) -> str:
    """Rows in columns, the first under a line."""
    cells = [list(row) for row in rows]
    widths = [max(map(display_width, column)) for column in zip(*cells)]
    lines = [
        "  ".join(cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths)).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * min(sum(widths) + 2 * (len(widths) - 1), WIDTH), *lines[1:]])


def display_width(text: str) -> int:
    """How many columns text takes: combining marks, as in x̂, have no width."""
    return sum(not unicodedata.combining(character) for character in text)
