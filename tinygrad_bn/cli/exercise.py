"""``tinygrad-bn exercise``: exercises with gaps to fill, copied into the user's folder and checked there."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, TinygradError, explain
from ..exercises import EXERCISES, Exercise
from ..files import write_whole
from ..graph import draw
from .find import failed, load_file
from .inputs import whole

EPILOG = """examples:
  tinygrad-bn exercise               lists them
  tinygrad-bn exercise 1             writes exercise_01_backward_order.py; from then on, checks it
  tinygrad-bn exercise 1 --solution  prints a solution

An existing file is never overwritten.  The check draws what was computed, next to the file.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "exercise",
        help="list, copy and check exercises",
        description="Copy an exercise into your folder; if it is already there, check it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("number", type=whole(1), nargs="?", help="of the exercise; without it, list all exercises")
    parser.add_argument("--dir", type=Path, default=Path(), help="an existing folder (default: this one)")
    parser.add_argument("--solution", action="store_true", help="print a solution, without writing a file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """List, print, copy or check."""
    folder: Path = arguments.dir
    if not folder.is_dir():
        raise ArgumentError(explain("no such folder", got=str(folder), fix="make it first, or name another with --dir"))
    if arguments.number is None:
        if arguments.solution:
            raise ArgumentError(explain("--solution of which exercise?", fix="tinygrad-bn exercise 1 --solution"))
        _list(folder)
        return
    if arguments.number > len(EXERCISES):
        expected = f"1 to {len(EXERCISES)}"
        raise ArgumentError(explain("there is no such exercise", got=arguments.number, expected=expected))
    exercise = EXERCISES[arguments.number - 1]
    path = folder / exercise.file
    if arguments.solution:
        print(exercise.solved, end="")
    elif path.exists() or path.is_symlink():
        _check(exercise, path)
    else:
        _start(exercise, path)


def _list(folder: Path) -> None:
    for exercise in EXERCISES:
        here = (folder / exercise.file).exists()
        print(f"{exercise.number:>3}  {exercise.title:<40}  {exercise.file if here else ''}".rstrip())
    print("\ntinygrad-bn exercise 1 begins the first one; the same command checks it.")


def _start(exercise: Exercise, path: Path) -> None:
    write_whole(path, exercise.given.encode(), new=True)
    print(f"Exercise {exercise.number}: {exercise.task}")
    print(f"\nwrote {path}: complete it between the two marks, then check it with the same command")


def _check(exercise: Exercise, path: Path) -> None:
    """Run the check and draw the picture, whichever way it ends."""
    work = load_file(str(path))
    title = f"exercise {exercise.number}, {exercise.title}"
    try:
        found = exercise.check(work)
    except TinygradError as error:
        _draw(exercise, work, path)
        raise ArgumentError(f"{title}: not yet\n{textwrap.indent(str(error), '  ')}") from error
    except Exception as error:
        _draw(exercise, work, path)
        raise failed(f"{title}: not yet: your code stopped", error) from error
    print(f"{title}: right\n  checked: {found}")
    _draw(exercise, work, path)
    if exercise.number < len(EXERCISES):
        print(f"next: tinygrad-bn exercise {exercise.number + 1}")


def _draw(exercise: Exercise, work: Any, path: Path) -> None:
    """What was computed, as a picture next to the file or, without a program that draws, as text."""
    try:
        drawn = exercise.picture(work)
    except Exception as error:
        try:
            drawn = draw(error, title=f"{exercise.title}: as far as it came")
        except ArgumentError:  # nothing was computed
            return
    try:
        print(f"picture: {drawn.save(path.with_suffix('.svg'))}")
    except (TinygradError, OSError) as error:
        print(f"{drawn.text()}\nno picture: {str(error).splitlines()[0]}")
