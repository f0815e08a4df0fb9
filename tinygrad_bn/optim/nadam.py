"""NAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import ops
from ..kinds import Value
from .moments import Moments, averaged, decayed
from .per_parameter import Rule
from .settings import Setting, Settings


class NAdam(Moments):
    """Adam with Nesterov's look ahead, as torch.optim.NAdam (Dozat, Incorporating Nesterov Momentum into Adam, 2016).

    For each parameter p with gradient g, at its step t, with the averages m and v of Adam and the momentum
    ``mu(t) = b1 * (1 - 0.96**(t * momentum_decay) / 2)``, of which M is the product so far:
    ``p -= lr * ((1 - mu(t)) / (1 - M) * g + mu(t + 1) / (1 - M * mu(t + 1)) * m) / (sqrt(v / (1 - b2**t)) + eps)``.

    Args:
        params: the parameters to train, leaves; or groups of them, see ``Optimizer``.
        lr: step size, >= 0.
        betas: b1 and b2, how slowly the averages of g and of g**2 forget; each in [0, 1).
        eps: keeps the division finite, >= 0.
        weight_decay: strength of the pull towards 0, >= 0; part of the gradient.
        momentum_decay: how fast the momentum grows to b1, >= 0.
        decoupled_weight_decay: the pull apart from the gradient, as in ``AdamW``.
        maximize: climb instead: the sign of every gradient is turned first.

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

    momentum_decay = Setting()
    decoupled_weight_decay = Setting()
    flags = ("decoupled_weight_decay",)
    remembers = ("step", "mu_product", "exp_avg", "exp_avg_sq")
    numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        decays = {"weight_decay": weight_decay, "momentum_decay": momentum_decay}
        flags = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, **decays, **flags})

    def _slots(self, settings: Settings) -> dict[str, float | None]:
        return {**super()._slots(settings), "mu_product": 1.0}

    def _rule(self, settings: Settings) -> Rule:
        lr, eps, weight_decay, decay = (settings[name] for name in ("lr", "eps", "weight_decay", "momentum_decay"))
        b1, b2 = settings["betas"]
        decays, decoupled = settings.on("weight_decay"), settings.on("decoupled_weight_decay")

        def rule(p: Value, g: Value, state: dict[str, Value]) -> Value:
            if decays:
                p, g = decayed(p, g, lr, weight_decay, decoupled)
            t, m, v = averaged(g, state, b1, b2)
            now, coming = (b1 * (1.0 - 0.5 * 0.96 ** (at * decay)) for at in (t, t + 1.0))
            product = state["mu_product"] = state["mu_product"] * now
            root = ops.sqrt(v)
            root /= ops.sqrt(1.0 - b2**t)
            root += eps
            moved = (-lr * coming / (1.0 - product * coming)) * m
            g = (-lr * (1.0 - now) / (1.0 - product)) * g
            moved += g
            moved /= root
            moved += p
            return moved

        return rule
