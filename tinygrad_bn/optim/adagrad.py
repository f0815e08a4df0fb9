"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import ops
from ..kinds import Value
from .per_parameter import PerParameter, Rule
from .settings import Setting, Settings


class Adagrad(PerParameter):
    """Steps divided by the root of the sum of all squared gradients, as torch.optim.Adagrad.

    (Duchi, Hazan and Singer, Adaptive Subgradient Methods, JMLR 12, 2011.)  For each parameter p with gradient g, at its
    step t: ``g += weight_decay * p``; ``s += g**2``; then ``p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)``.

    Args:
        params: the parameters to train, leaves; or groups of them, see ``Optimizer``.
        lr: step size, >= 0.
        lr_decay: how fast the step size falls with the number of steps, >= 0.
        weight_decay: strength of the pull towards 0, >= 0; part of the gradient.
        initial_accumulator_value: s at first, >= 0.
        eps: keeps the division finite, >= 0.
        maximize: climb instead: the sign of every gradient is turned first.

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

    joins = True
    lr_decay = Setting()
    eps = Setting()
    initial_accumulator_value = Setting()
    remembers = ("step", "sum")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
    ) -> None:
        decays = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay}
        rest = {"initial_accumulator_value": initial_accumulator_value, "eps": eps, "maximize": maximize}
        super().__init__(params, {**decays, **rest})

    def _slots(self, settings: Settings) -> dict[str, float | None]:
        return {"step": 0.0, "sum": settings.first("initial_accumulator_value")}

    def _rule(self, settings: Settings) -> Rule:
        lr, lr_decay, eps, weight_decay = (settings[name] for name in ("lr", "lr_decay", "eps", "weight_decay"))
        decays = settings.on("weight_decay")

        def rule(p: Value, g: Value, state: dict[str, Value]) -> Value:
            if decays:
                g = g + weight_decay * p
            t = state["step"] = state["step"] + 1.0
            s = state["sum"] = state["sum"] + g * g
            return p - (lr / (1.0 + (t - 1.0) * lr_decay)) * (g / (ops.sqrt(s) + eps))

        return rule
