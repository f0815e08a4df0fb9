"""Dropout as a module."""

from __future__ import annotations

from typing import Any

from .. import functional
from ..functional.settings import number
from .module import Module


class Dropout(Module):
    """Drop elements at random in training, do nothing in evaluation; see ``functional.dropout``.

    Args:
        p: the probability to drop an element, from 0 to 1.

    Raises:
        ArgumentError: p outside of 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = number("Dropout", "p is a probability", p, 0.0, 1.0)

    def forward(self, x: Any) -> Any:
        return functional.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
