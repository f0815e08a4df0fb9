"""The record as data that runs: ``record`` a function once, ``run`` the program on other values, look at it, make it shorter.

Read in this order: ``parts``, ``model``, ``record``, ``build``, ``generalize``, ``run``; ``trees`` and ``text`` as they
come up.
"""

from .build import program_of
from .derive import Derived, derive
from .model import Program
from .parts import Condition, Constant, Input, Size, State, Step
from .record import record
from .rerun import replay
from .run import evaluate
from .simplify import simplify

__all__ = [
    "Condition", "Constant", "Derived", "Input", "Program", "Size", "State", "Step", "derive", "evaluate", "program_of",
    "record", "replay", "simplify",
]  # fmt: skip
