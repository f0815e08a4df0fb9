"""What the demos' command lines share: options that are checked, and the exit code after Ctrl-C."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

INTERRUPTED = 130  # what a shell reports after Ctrl-C: 128 + SIGINT


@dataclass(frozen=True)
class Option:
    """An option of a demo by which somebody measures a setting of their own.

    Attributes:
        name: on the command line, after ``--``, and in ``Settings.own``.
        convert: what is typed into a value: a string, a number, or a tuple of numbers.
        default: the value where others are given and this one is not; ``None``: depends on the others.
        help: for ``--help``; says the default.
        metavar: stands for the value in ``--help``.
    """

    name: str
    convert: Callable[[str], Any]
    default: Any
    help: str
    metavar: str = "N"


def typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    return ",".join(f"{each:g}" for each in value) if isinstance(value, (tuple, list)) else str(value)


def one_of(*words: str) -> Callable[[str], str]:
    """For ``add_argument(type=...)``: one of these words."""

    def convert(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{' or '.join(words)}, not {text!r}")
        return text

    return convert


def several(convert: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    """For ``add_argument(type=...)``: different values with commas between them, in order of size."""

    def convert_all(text: str) -> tuple[float, ...]:
        values = tuple(sorted(convert(part.strip()) for part in text.split(",")))
        if len(set(values)) != len(values):
            raise argparse.ArgumentTypeError(f"different numbers, with commas between them, not {text!r}")
        return values

    return convert_all


def whole(least: int) -> Callable[[str], int]:
    """For ``add_argument(type=...)``: a whole number of at least ``least``."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"a whole number of at least {least}, not {text!r}")
        return value

    return convert


def share(text: str) -> float:
    """For ``add_argument(type=...)``: a number between 0 and 1, such as an accuracy."""
    value = positive(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"a number between 0 and 1, not {text!r}")
    return value


def positive(text: str) -> float:
    """For ``add_argument(type=...)``: a finite number greater than 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"a number greater than 0, not {text!r}")
    return value
