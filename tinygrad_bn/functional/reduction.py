"""What a loss does with its many values: ``reduction="mean"``, ``"sum"`` or ``"none"``."""

from __future__ import annotations

from .. import ops
from ..kinds import Value
from .settings import choice


def check_reduction(what: str, reduction: str, also: tuple[str, ...] = ()) -> None:
    """Refuse an unknown name.

    Raises:
        ArgumentError: neither "mean", "sum", "none" nor one of ``also``.
    """
    choice(what, "reduction", reduction, ("mean", "sum", "none", *also))


def reduced(values: Value, reduction: str) -> Value:
    """The mean or the sum of all values, or the values."""
    if reduction == "none":
        return values
    return ops.mean(values) if reduction == "mean" else ops.sum(values)
