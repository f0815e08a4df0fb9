"""What the demos' command lines share: options that are checked, and the exit code after Ctrl-C."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

INTERRUPTED = 130  # what a shell reports after Ctrl-C: 128 + SIGINT


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


def positive(text: str) -> float:
    """For ``add_argument(type=...)``: a finite number greater than 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"a number greater than 0, not {text!r}")
    return value
