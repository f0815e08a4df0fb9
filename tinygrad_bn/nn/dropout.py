"""Dropout as a module."""

from __future__ import annotations

from typing import ClassVar

from .. import functional
from ..functional.settings import number
from ..kinds import Value
from .module import Checks, Module


class Dropout(Module):
    """Drop elements at random in training, do nothing in evaluation; see ``functional.dropout``.

    Args:
        p: the probability to drop an element, from 0 to 1.

    Raises:
        ArgumentError: p outside 0 to 1.
    """

    _checks: ClassVar[Checks] = {"p": lambda what, value: number(what, "p is a probability", value, 0.0, 1.0)}

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Value) -> Value:
        return functional.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
