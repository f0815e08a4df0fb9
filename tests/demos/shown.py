"""Finds and checks what a demo shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from demos.lab.show import plots, wording
from demos.lab.show.blocks import Attachment, Block, Drawing, Plot, Table, Verdict


def by_name(blocks: Iterable[Block], kind: type) -> dict[str, Any]:
    """All blocks of a kind, in their order."""
    found = [block for block in blocks if isinstance(block, kind)]
    named = {block.name: block for block in found}
    assert len(named) == len(found)
    return named


def only(blocks: Iterable[Block], kind: type, name: str = "") -> Any:
    """The one block of a kind, or of a kind and a name."""
    (found,) = (block for block in blocks if isinstance(block, kind) and (not name or block.name == name))
    return found


def drawn(blocks: Iterable[Block]) -> list[str]:
    """The names of all plots, once each has been drawn."""
    found = by_name(blocks, Plot)
    for plot in found.values():
        picture = plots.render(plot, ("svg",))["svg"]
        assert picture.lstrip().startswith(b"<?xml")
        assert b"<svg" in picture
    return list(found)


def attached(blocks: Iterable[Block], folder: Path) -> bytes:
    """The content of the one attachment, which is the same whenever it is written."""
    page = only(blocks, Attachment)
    written = []
    for _ in range(2):
        page.write(folder / page.file)
        written.append((folder / page.file).read_bytes())
    assert written[0] == written[1]
    return written[0]


def too_long(blocks: Iterable[Block]) -> list[str]:
    """What is longer than ``wording`` allows, and which claims are no sentences."""
    found = []
    for block in blocks:
        parts: tuple[tuple[str, str, int], ...] = ()
        if isinstance(block, Verdict):
            parts = (
                ("claim", block.claim, wording.CLAIM),
                ("measured", block.measured, wording.MEASURED),
                ("condition", block.condition, wording.CONDITION),
            )
            if not block.claim[:1].isupper():
                found.append(f"{block.name}: begins with a small letter: {block.claim}")
        elif isinstance(block, (Plot, Drawing, Attachment)):
            parts = (("caption", block.caption, wording.PICTURE),)
        elif isinstance(block, Table):
            parts = (("caption", block.caption, wording.TABLE),)
        name = block.file if isinstance(block, Attachment) else getattr(block, "name", "")
        found += [f"{name}: {what} of {len(text)} characters: {text}" for what, text, most in parts if len(text) > most]
    return found


def check_any_part_may_be_absent(show: Callable[[Mapping[str, Any]], list[Block]], measured: Mapping[str, Any]) -> None:
    """Whatever parts were measured, something is shown, in tables with as many cells as headings."""
    assert show({}) == []
    for count in range(1, len(measured) + 1):
        for names in itertools.combinations(measured, count):
            shown = show({name: measured[name] for name in names})
            assert shown
            for block in shown:
                if isinstance(block, Table):
                    assert all(len(row) == len(block.head) for row in block.rows)
