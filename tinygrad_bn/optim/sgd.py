"""Stochastic gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ArgumentError, explain
from ..kinds import Value
from .per_parameter import PerParameter, Rule
from .settings import Setting, Settings


class SGD(PerParameter):
    """Gradient descent with momentum and weight decay, as torch.optim.SGD.

    For each parameter p with gradient g: ``g += weight_decay * p``; with momentum, ``v = momentum * v + (1 - dampening)
    * g`` (first step ``v = g``) and g becomes v, or ``g + momentum * v`` with Nesterov; then ``p -= lr * g``.
    Parameters without a gradient are left alone.

    Args:
        params: the parameters to train, leaves; or groups of them, see ``Optimizer``.
        lr: step size, >= 0.
        momentum: how much of the last step is kept, >= 0.
        dampening: how much of a new gradient is held back.
        weight_decay: strength of the pull towards 0, >= 0.
        nesterov: look ahead; needs momentum and no dampening.
        maximize: climb instead: the sign of every gradient is turned first.

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

    momentum = Setting()
    dampening = Setting()
    nesterov = Setting()
    bounds = {"dampening": (-math.inf, math.inf)}  # noqa: RUF012
    flags = ("nesterov",)
    may_remember = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
    ) -> None:
        steps = {"lr": lr, "momentum": momentum, "dampening": dampening}
        flags = {"nesterov": nesterov, "maximize": maximize}
        super().__init__(params, {**steps, "weight_decay": weight_decay, **flags})

    @classmethod
    def _checked(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        checked = super()._checked(settings)
        if checked["nesterov"] and (checked["momentum"] == 0 or checked["dampening"] != 0):
            got = f"momentum={checked['momentum']}, dampening={checked['dampening']}"
            raise ArgumentError(explain("SGD: nesterov needs momentum and no dampening", got=got))
        return checked

    def _slots(self, settings: Settings) -> dict[str, float | None]:
        if not settings.on("momentum"):
            return {}
        return {"momentum_buffer": None if settings.on("dampening") else 0.0}

    def _rule(self, settings: Settings) -> Rule:
        lr, momentum, weight_decay = settings["lr"], settings["momentum"], settings["weight_decay"]
        accepted, descent = 1.0 - settings["dampening"], -lr
        decays, remembers, dampens, looks_ahead = map(
            settings.on, ("weight_decay", "momentum", "dampening", "nesterov")
        )

        def descend(p: Value, g: Value, state: dict[str, Value]) -> Value:
            if decays:
                g = g + weight_decay * p
            if remembers:
                v = state.get("momentum_buffer")
                if v is None:
                    v = g
                else:
                    v = momentum * v
                    v += accepted * g if dampens else g
                state["momentum_buffer"] = v
                g = g + momentum * v if looks_ahead else v
            moved = descent * g
            moved += p
            return moved

        return descend
