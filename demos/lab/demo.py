"""What a demo is: parts that measure, and a function that shows what they measured.

The two never mix.  A part returns plain data, which is kept as JSON; everything a person sees (the terminal's tables,
the plots, the report, the figures in the documentation) is made from that data alone, and can be made again from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..datasets import DataFile

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What a run was asked for.

    Attributes:
        seeds: how many paired runs an interval rests on.
        seed: the first of them; other numbers give other initial weights, batches and splits throughout.
        full: the sizes of the papers instead of those that take a minute.
        flags: options that only one demo has, such as ``"mnist"``.
    """

    seeds: int
    seed: int = 0
    full: bool = False
    flags: frozenset[str] = frozenset()

    @property
    def test_seeds(self) -> range:
        """The seeds to report."""
        return self.more_seeds(1)

    def more_seeds(self, times: int) -> range:
        """The seeds to report where runs cost little: so many for each one that was asked for."""
        return range(self.seed, self.seed + times * self.seeds)

    def tuning_seeds(self, count: int) -> range:
        """Seeds to choose learning rates with, none of which is reported."""
        return range(self.seed + 100_000, self.seed + 100_000 + count)


class Progress:
    """How far a part is: ``for step in progress(range(1, steps + 1), "digits"): ...``; silent unless told otherwise."""

    def __call__(self, items: Sequence[T], label: str) -> Iterable[T]:
        """The items, counted as they are used."""
        return items


@dataclass(frozen=True)
class Part:
    """One measurement of a demo, run on its own, possibly beside others, and kept when finished.

    Attributes:
        name: unique within the demo.
        measure: gets the settings and somewhere to report progress; returns JSON data: dictionaries with string keys,
            lists, strings, numbers (finite ones), booleans and ``None``.
        data: the data files it reads.
        seconds: about how long it takes at default size; the longest are started first.
        when: whether it belongs to a run with these settings.
    """

    name: str
    measure: Callable[[Settings, Progress], dict[str, Any]]
    data: tuple[DataFile, ...] = ()
    seconds: float = 10.0
    when: Callable[[Settings], bool] = field(default=lambda settings: True)


Measured = Mapping[str, Any]  # what a part returned, by the part's name; a part that did not run is not in it


@dataclass(frozen=True)
class Text:
    """A paragraph. Where it is shown in a page, `words in backticks` become code."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines in a typewriter's letters, as they are: source code, or what a program printed.

    Attributes:
        text: without a newline at the end.
        language: what it is.
    """

    text: str
    language: Literal["python", "output"] = "python"


@dataclass(frozen=True)
class Heading:
    """The title of what follows."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text under a row of headings.

    Attributes:
        name: unique within the demo; the documentation asks for a table by it.
    """

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot:
    """A picture of measurements.

    Attributes:
        name: of the file, unique within the demo.
        caption: the one thing it says.
        draw: gets an empty ``matplotlib.figure.Figure`` in the house's style and fills it.
        size: width and height in inches; text is made for a width of 8.
    """

    name: str
    caption: str
    draw: Callable[[Any], None]
    size: tuple[float, float] = (8.0, 4.0)

    @property
    def file(self) -> str:
        return f"{self.name}.svg"


@dataclass(frozen=True)
class Drawing:
    """A picture that is SVG already, such as a graph."""

    name: str
    caption: str
    svg: str

    @property
    def file(self) -> str:
        return f"{self.name}.svg"


@dataclass(frozen=True)
class Attachment:
    """A file of its own beside the report.

    Attributes:
        file: its name, with the suffix.
        write: makes it at the path it gets.
    """

    file: str
    caption: str
    write: Callable[[Path], object]


Outcome = Literal["holds", "holds if", "does not hold"]


def outcome(better: Sized, rest: Sized) -> Outcome:
    """A claim holds if it does in every case, does not if it does in none, and else it depends on the case."""
    if not better:
        return "does not hold"
    return "holds if" if rest else "holds"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        name: unique within the demo, and the same in every run.
        claim: the document's, in short.
        measured: figures with their spread.
        outcome: decided by a rule on the measurements, never written down beforehand.
        condition: with "holds if", if what.
    """

    name: str
    claim: str
    measured: str
    outcome: Outcome
    condition: str = ""


Block = Text | Code | Heading | Table | Plot | Drawing | Attachment | Verdict


@dataclass(frozen=True)
class Demo:
    """A demo.

    Attributes:
        name: of its module.
        title: a few words.
        claim: what the document says, the question of the demo; one or two sentences.
        parts: what is measured.
        show: what to say about it, in order; a function of the measurements alone.
        seeds: how many by default and at full size.
        fewest: with fewer seeds than this there is no interval worth printing.
        flags: the options that only this demo has, with what they do.
    """

    name: str
    title: str
    claim: str
    parts: tuple[Part, ...]
    show: Callable[[Measured], list[Block]]
    seeds: tuple[int, int] = (5, 10)
    fewest: int = 2
    flags: Mapping[str, str] = field(default_factory=dict)

    def parts_for(self, settings: Settings) -> list[Part]:
        """The parts that belong to a run with these settings."""
        return [part for part in self.parts if part.when(settings)]
