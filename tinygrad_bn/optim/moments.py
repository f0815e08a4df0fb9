"""What Adam and its kin share: running averages of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..errors import ArgumentError, explain
from ..kinds import Value
from .per_parameter import PerParameter
from .settings import Setting, Settings


class Moments(PerParameter):
    """Base of optimizers that keep ``exp_avg`` and ``exp_avg_sq``, the averages of g and of g**2, of each parameter."""

    joins = True
    betas = Setting()
    eps = Setting()
    pairs = ("betas",)
    remembers: ClassVar[tuple[str, ...]] = ("step", "exp_avg", "exp_avg_sq")

    @classmethod
    def _checked(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        checked = super()._checked(settings)
        if max(checked["betas"]) >= 1.0:
            what = f"{cls.__name__}: betas are out of range"
            raise ArgumentError(explain(what, got=settings["betas"], expected="two numbers in [0, 1)"))
        return checked

    def _slots(self, settings: Settings) -> dict[str, float | None]:
        return {"step": 0.0, "exp_avg": 0.0, "exp_avg_sq": 0.0}


def averaged(g: Value, state: dict[str, Value], b1: Value, b2: Value) -> tuple[Value, Value, Value]:
    """One step further: the count of steps, the average of g, the average of its square."""
    t = state["step"] = state["step"] + 1.0
    m = b1 * state["exp_avg"]
    m += (1.0 - b1) * g
    squares = g * g
    squares *= 1.0 - b2
    v = b2 * state["exp_avg_sq"]
    v += squares
    state["exp_avg"], state["exp_avg_sq"] = m, v
    return t, m, v


def decayed(p: Value, g: Value, lr: Value, weight_decay: Value, decoupled: bool) -> tuple[Value, Value]:
    """A parameter and its gradient after weight decay: of the parameter directly (``decoupled``), or through the gradient."""
    return (p * (1.0 - lr * weight_decay), g) if decoupled else (p, g + weight_decay * p)
