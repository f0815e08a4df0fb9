"""What a demo is: parts that measure, and a function that shows what they measured.

The two never mix.  A part returns plain data, which is kept as JSON; everything a person sees (the terminal's tables,
the plots, the report, the figures in the documentation) is made from that data alone, and can be made again from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .measure.part import Measured, Part, Settings
from .options import Option
from .show.blocks import Block


@dataclass(frozen=True)
class Own:
    """What can be measured instead of a demo's own settings.

    Attributes:
        options: what can be chosen.
        parts: what is measured then; ``Settings.own`` has a value for each option.
        complaint: says what is wrong with values that are right one by one, or nothing.
    """

    options: tuple[Option, ...]
    parts: tuple[Part, ...]
    complaint: Callable[[Mapping[str, Any]], str] = lambda own: ""


@dataclass(frozen=True)
class Demo:
    """A demo.

    Attributes:
        name: of its folder.
        title: a few words.
        claim: what the document says, the question of the demo; one or two sentences.
        parts: what is measured.
        show: what to say about it, in order; a function of the measurements alone.
        seeds: how many by default and at full size.
        fewest: with fewer seeds than this there is no interval worth printing.
        flags: the options that only this demo has, with what they do.
        own: the options by which somebody measures a setting of their own instead.
    """

    name: str
    title: str
    claim: str
    parts: tuple[Part, ...]
    show: Callable[[Measured], list[Block]]
    seeds: tuple[int, int] = (5, 10)
    fewest: int = 2
    flags: Mapping[str, str] = field(default_factory=dict)
    own: Own | None = None

    def parts_for(self, settings: Settings) -> list[Part]:
        """The parts that belong to a run with these settings."""
        parts = self.own.parts if self.own and settings.own else self.parts
        return [part for part in parts if part.when(settings)]
