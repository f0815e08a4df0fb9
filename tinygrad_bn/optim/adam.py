"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError, explain
from .optimizer import Array, Optimizer, Rule, Setting, State, with_decay, zeros_for


class Adam(Optimizer):
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

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

    betas = Setting()
    eps = Setting()
    amsgrad = Setting()
    flags = ("amsgrad",)
    pairs = ("betas",)
    remembers = ("step", "exp_avg", "exp_avg_sq")
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
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, defaults)

    def _checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        checked = super()._checked(settings)
        if max(checked["betas"]) >= 1.0:
            raise ArgumentError(
                explain(
                    f"{self._name}: betas are out of range", got=settings["betas"], expected="two numbers in [0, 1)"
                )
            )
        return checked

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        lr, eps, weight_decay, amsgrad = group["lr"], group["eps"], group["weight_decay"], group["amsgrad"]
        b1, b2 = group["betas"]
        decoupled = self.decoupled

        def rule(array: Array, g: Array, state: State) -> None:
            t = state["step"] = state.get("step", 0) + 1
            m, v = zeros_for(array, state, "exp_avg"), zeros_for(array, state, "exp_avg_sq")
            if weight_decay and not decoupled:
                g = scratch = with_decay(g, array, weight_decay)
            else:
                scratch = np.empty_like(array)
                if weight_decay:
                    array *= 1.0 - lr * weight_decay
            np.multiply(g, 1.0 - b1, out=scratch)  # one array serves all: (1 - b1) g, its square, the step
            m *= b1
            m += scratch
            scratch *= scratch
            scratch *= (1.0 - b2) / (1.0 - b1) ** 2
            v *= b2
            v += scratch
            if amsgrad:
                largest = zeros_for(array, state, "max_exp_avg_sq")
                v = np.maximum(largest, v, out=largest)
            np.sqrt(v, out=scratch)
            scratch /= math.sqrt(1.0 - b2**t)
            scratch += eps
            np.divide(m, scratch, out=scratch)
            scratch *= lr / (1.0 - b1**t)
            array -= scratch

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
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)
