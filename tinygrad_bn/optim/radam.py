"""RAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import ops
from ..kinds import Value
from .moments import Moments, averaged, decayed
from .per_parameter import Rule
from .settings import Setting, Settings


class RAdam(Moments):
    """Adam that waits with its division until it is known well enough, as torch.optim.RAdam (Liu et al., arXiv:1908.03265).

    For each parameter p with gradient g, at its step t, with the averages m and v of Adam: the length of the average of
    g**2 is ``rho = R - 2 t b2**t / (1 - b2**t)`` with ``R = 2 / (1 - b2) - 1``.  Up to 5,
    ``p -= lr * m / (1 - b1**t)``; above, that is divided by ``sqrt(v / (1 - b2**t)) + eps`` and multiplied by
    ``sqrt((rho - 4) (rho - 2) R / ((R - 4) (R - 2) rho))``.  (As in PyTorch, eps is added before the correction by b2.)

    Args:
        params: the parameters to train, leaves; or groups of them, see ``Optimizer``.
        lr: step size, >= 0.
        betas: b1 and b2, how slowly the averages of g and of g**2 forget; each in [0, 1).
        eps: keeps the division finite, >= 0.
        weight_decay: strength of the pull towards 0, >= 0; part of the gradient.
        decoupled_weight_decay: the pull apart from the gradient, as in ``AdamW``.
        maximize: climb instead: the sign of every gradient is turned first.

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

    decoupled_weight_decay = Setting()
    flags = ("decoupled_weight_decay",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        flags = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, **flags})

    def _rule(self, settings: Settings) -> Rule:
        lr, eps, weight_decay, (b1, b2) = (settings[name] for name in ("lr", "eps", "weight_decay", "betas"))
        decays, decoupled = settings.on("weight_decay"), settings.on("decoupled_weight_decay")

        def rule(p: Value, g: Value, state: dict[str, Value]) -> Value:
            if decays:
                p, g = decayed(p, g, lr, weight_decay, decoupled)
            t, m, v = averaged(g, state, b1, b2)
            unbiased = 1.0 - b2**t
            end = 2.0 / (1.0 - b2) - 1.0
            rho = end - 2.0 * t * b2**t / unbiased
            known = rho > 5.0  # an operation, so that a recorded program decides anew in each run
            end, rho = ops.maximum(end, 5.0), ops.maximum(rho, 5.0)  # below, the root is not used
            factor = ops.sqrt(unbiased * (rho - 4.0) * (rho - 2.0) * end / ((end - 4.0) * (end - 2.0) * rho))
            return p - (lr / (1.0 - b1**t)) * m * ops.where(known, factor / (ops.sqrt(v) + eps), 1.0)

        return rule
