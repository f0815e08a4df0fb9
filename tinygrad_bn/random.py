"""The random generator that initial values and dropout draw from."""

from __future__ import annotations

import numpy as np

from .errors import ArgumentError, explain

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Make all later draws, of initial values and of what dropout drops, repeatable.

    Not inside a function that is recorded: a program draws from whatever generator there is when it runs.

    Raises:
        ArgumentError: something else than a whole number >= 0.
    """
    global _generator
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ArgumentError(explain("manual_seed: a whole number >= 0", got=repr(seed)))
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that layers draw from."""
    return _generator


def put_back(before: np.random.Generator) -> None:
    """Draw from a generator that was there before."""
    global _generator
    _generator = before
