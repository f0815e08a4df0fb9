"""What an exercise is: a file with gaps, the same file solved, a check, and a picture of what was computed."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from ..errors import TinygradError, explain
from ..graph import Picture, draw

# A hole in a text: the lines that a student is given, and those that solve it, between three marks.
HOLE = re.compile(
    r"^ *#\[exercise\n(?P<given>.*?)^ *#\[solution\n(?P<solved>.*?)^(?P<indent> *)#\]\n", re.MULTILINE | re.DOTALL
)


class ExerciseError(TinygradError, AssertionError):
    """A solution that is not right yet."""


class Drawn(Protocol):
    """A picture of what a solution computes."""

    def save(self, path: Path) -> Path:
        """Write it to a file."""

    def text(self) -> str:
        """The same for a terminal."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        number: from 1.
        name: of its text; the student's file is called after it.
        title: a line.
        check: tests a student's module, and returns what it found right in a line; raises ``TinygradError`` otherwise.
        picture: shows what a student's module computes, right or wrong.
    """

    number: int
    name: str
    title: str
    check: Callable[[Any], str]
    picture: Callable[[Any], Drawn]

    @property
    def file(self) -> str:
        """The name of a student's file."""
        return f"exercise_{self.number:02d}_{self.name}.py"

    @property
    def given(self) -> str:
        """The text with its holes."""

        def marked(hole: re.Match[str]) -> str:
            indent = hole["indent"]
            return f"{indent}# Your turn: from here ...\n{hole['given']}{indent}# ... to here.\n"

        return HOLE.sub(marked, self._text)

    @property
    def solved(self) -> str:
        """The text with its holes filled."""
        return HOLE.sub(lambda hole: hole["solved"], self._text)

    @property
    def task(self) -> str:
        """What is to be done: the docstring of the text."""
        return ast.get_docstring(ast.parse(self.solved)) or ""

    @property
    def _text(self) -> str:
        return files(__package__).joinpath("texts", f"{self.name}.txt").read_text(encoding="utf-8")


def demand(right: bool, what: str, *, got: object = None, expected: object = None, fix: str | None = None) -> None:
    """Go on if it is right.

    Raises:
        ExerciseError: it is not.
    """
    if not right:
        raise ExerciseError(explain(what, got=got, expected=expected, fix=fix))


def with_gradients(loss: Any, title: str, note: str) -> Picture:
    """The graph behind a loss with all gradients or, where a rule is refused, without them and with the reason."""
    try:
        return draw(loss, 1.0, title=title, note=note)
    except TinygradError as error:
        return draw(loss, title=title, note=f"{note}; but {str(error).splitlines()[0]}")
