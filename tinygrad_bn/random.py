"""The random generator that initial values and dropout draw from."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Make all later draws, of initial values and of what dropout drops, repeatable."""
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that layers draw from."""
    return _generator
