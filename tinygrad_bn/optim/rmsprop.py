"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import ops
from ..kinds import Value
from .per_parameter import PerParameter, Rule
from .settings import Setting, Settings


class RMSprop(PerParameter):
    """Steps divided by a running root mean square of the gradient, as torch.optim.RMSprop.

    (Tieleman and Hinton, Coursera Neural Networks for Machine Learning, lecture 6.5; centered: Graves, arXiv:1308.0850.)
    For each parameter p with gradient g: ``g += weight_decay * p``; ``v = alpha * v + (1 - alpha) * g**2``; centered, v
    minus the square of the gradient's own running mean; then ``p -= lr * d`` with ``d = g / (sqrt(v) + eps)``, or with
    momentum ``d = momentum * d + g / (sqrt(v) + eps)``.

    Args:
        params: the parameters to train, leaves; or groups of them, see ``Optimizer``.
        lr: step size, >= 0.
        alpha: how slowly the averages forget, 0 to 1.
        eps: keeps the division finite, >= 0.
        weight_decay: strength of the pull towards 0, >= 0; part of the gradient.
        momentum: how much of the last step is kept, >= 0.
        centered: divide by the gradient's standard deviation instead of its root mean square.
        maximize: climb instead: the sign of every gradient is turned first.

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

    joins = True
    alpha = Setting()
    eps = Setting()
    momentum = Setting()
    centered = Setting()
    bounds = {"alpha": (0.0, 1.0)}  # noqa: RUF012
    flags = ("centered",)
    remembers = ("step", "square_avg")
    may_remember = ("grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        averages = {"lr": lr, "alpha": alpha, "eps": eps}
        flags = {"centered": centered, "maximize": maximize}
        super().__init__(params, {**averages, "weight_decay": weight_decay, "momentum": momentum, **flags})

    def _slots(self, settings: Settings) -> dict[str, float | None]:
        slots: dict[str, float | None] = {"step": 0.0, "square_avg": 0.0}
        if settings.on("centered"):
            slots["grad_avg"] = 0.0
        if settings.on("momentum"):
            slots["momentum_buffer"] = 0.0
        return slots

    def _rule(self, settings: Settings) -> Rule:
        lr, alpha, eps, weight_decay, momentum = (
            settings[name] for name in ("lr", "alpha", "eps", "weight_decay", "momentum")
        )
        decays, centered, remembers = map(settings.on, ("weight_decay", "centered", "momentum"))

        def rule(p: Value, g: Value, state: dict[str, Value]) -> Value:
            if decays:
                g = g + weight_decay * p
            state["step"] = state["step"] + 1.0
            v = state["square_avg"] = alpha * state["square_avg"] + (1.0 - alpha) * (g * g)
            if centered:
                mean = state["grad_avg"] = alpha * state["grad_avg"] + (1.0 - alpha) * g
                v = ops.maximum(v - mean * mean, 0.0)  # a variance near 0 may round to below it
            d = g / (ops.sqrt(v) + eps)
            if remembers:
                d = state["momentum_buffer"] = momentum * state["momentum_buffer"] + d
            return p - lr * d

        return rule
