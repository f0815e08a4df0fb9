"""What a demo has to say, in blocks: text, code, tables, pictures and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .evidence import Case, Outcome


@dataclass(frozen=True)
class Text:
    """A paragraph. Where it is shown in a page, `words in backticks` become code."""

    text: str


@dataclass(frozen=True)
class Code:
    """Preformatted text: source code, or what a program printed.

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
        size: width and height in inches, without the title; text is made for a width of 8.
        title: what it shows, drawn above it.
    """

    name: str
    caption: str
    draw: Callable[[Any], None]
    size: tuple[float, float] = (8.0, 4.0)
    title: str = ""

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


@dataclass(frozen=True)
class Summary:
    """What a demo found, in one sentence, and the picture that shows it; the first of its blocks.

    Attributes:
        text: a sentence that can be read aloud.
        picture: the name of a plot or drawing of the same demo.
    """

    text: str
    picture: str


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        name: unique within the demo, and the same in every run.
        claim: the document's, in short.
        measured: figures with their spread.
        outcome: decided by a rule on the measurements, never written down beforehand.
        condition: in which cases it holds, in which not, and where that is open; sentences.
        cases: what it rests on.
        short: the claim in a few words, for a row of the figure of all verdicts.
        form: how an effect is written.
        headline: the effect, in a few characters.
        noun: what a case is called.
    """

    name: str
    claim: str
    measured: str
    outcome: Outcome
    condition: str = ""
    cases: tuple[Case, ...] = ()
    short: str = ""
    form: str = "{:+.1f}"
    headline: str = ""
    noun: str = "comparison"


Block = Text | Code | Heading | Table | Plot | Drawing | Attachment | Summary | Verdict
