"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .optimizer import Array, Optimizer, Rule, Setting, State, with_decay


class Adagrad(Optimizer):
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

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

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
    ) -> None:
        decays = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay}
        super().__init__(params, {**decays, "initial_accumulator_value": initial_accumulator_value, "eps": eps})

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        lr, lr_decay, weight_decay, eps = group["lr"], group["lr_decay"], group["weight_decay"], group["eps"]
        first = group["initial_accumulator_value"]

        def rule(array: Array, g: Array, state: State) -> None:
            t = state["step"] = state.get("step", 0) + 1
            s = state.get("sum")
            if s is None:
                s = state["sum"] = np.full_like(array, first)
            if weight_decay:
                g = with_decay(g, array, weight_decay)
            scratch = np.multiply(g, g, out=np.empty_like(array))
            s += scratch
            np.sqrt(s, out=scratch)
            scratch += eps
            np.divide(g, scratch, out=scratch)
            scratch *= lr / (1.0 + (t - 1) * lr_decay)
            array -= scratch

        return rule
