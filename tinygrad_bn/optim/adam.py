"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from .. import ops
from ..kinds import Value
from .moments import Moments, averaged, decayed
from .per_parameter import Rule
from .settings import Setting, Settings


class Adam(Moments):
    """Steps of about ``lr`` in each direction, as torch.optim.Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1).

    For each parameter p with gradient g, at its step t: ``g += weight_decay * p``; ``m = b1 * m + (1 - b1) * g``;
    ``v = b2 * v + (1 - b2) * g**2``; then ``p -= lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)``.

    Args:
        params: the parameters to train, leaves; or groups of them, see ``Optimizer``.
        lr: step size, >= 0.
        betas: b1 and b2, how slowly the averages of g and of g**2 forget; each in [0, 1).
        eps: keeps the division finite, >= 0.
        weight_decay: strength of the pull towards 0, >= 0; part of the gradient.
        amsgrad: divide by the largest v so far (Reddi et al., arXiv:1904.09237).
        maximize: climb instead: the sign of every gradient is turned first.

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

    amsgrad = Setting()
    flags = ("amsgrad",)
    may_remember = ("max_exp_avg_sq",)
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        flags = {"amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, **flags})

    def _slots(self, settings: Settings) -> dict[str, float | None]:
        slots = super()._slots(settings)
        return {**slots, "max_exp_avg_sq": 0.0} if settings.on("amsgrad") else slots

    def _rule(self, settings: Settings) -> Rule:
        lr, eps, weight_decay, (b1, b2) = (settings[name] for name in ("lr", "eps", "weight_decay", "betas"))
        decays, largest = settings.on("weight_decay"), settings.on("amsgrad")
        decoupled = self.decoupled

        def rule(p: Value, g: Value, state: dict[str, Value]) -> Value:
            if decays:
                p, g = decayed(p, g, lr, weight_decay, decoupled)
            t, m, v = averaged(g, state, b1, b2)
            if largest:
                v = state["max_exp_avg_sq"] = ops.maximum(state["max_exp_avg_sq"], v)
            unbiased = ops.sqrt(1.0 - b2**t)
            root = ops.sqrt(v)
            root += eps * unbiased
            moved = m / root
            moved *= -lr * unbiased / (1.0 - b1**t)
            moved += p
            return moved

        return rule


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: first ``p *= 1 - lr * weight_decay``, then Adam's step.

    As torch.optim.AdamW (Loshchilov and Hutter, arXiv:1711.05101).  Arguments and errors as in ``Adam``.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize)
