"""What a demo has to say, in blocks: text, code, tables, pictures and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


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
