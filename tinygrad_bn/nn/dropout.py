"""Dropout as a module."""

from __future__ import annotations

from typing import Any

from .. import functional
from ..errors import ArgumentError, explain
from .module import Module


class Dropout(Module):
    """Drop elements at random in training, do nothing in evaluation; see ``functional.dropout``.

    Args:
        p: the probability to drop an element, from 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ArgumentError(explain("Dropout: p is a probability", got=p, expected="0 to 1"))
        self.p = p

    def forward(self, x: Any) -> Any:
        return functional.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
