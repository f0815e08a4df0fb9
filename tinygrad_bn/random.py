"""The random generator that initial values and dropout draw from."""

from __future__ import annotations

import numpy as np

from .engine.mode import current_mode
from .errors import RecordingError, explain

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Make all later draws, of initial values and of what dropout drops, repeatable.

    Raises:
        RecordingError: during a recording, as a program draws from whatever generator there is when it runs.
    """
    if current_mode().tape is not None:
        fix = "call it before program.record, or before program.run"
        raise RecordingError(explain("manual_seed() in a function that is being recorded", fix=fix))
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that layers draw from."""
    return _generator
