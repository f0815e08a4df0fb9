"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .optimizer import Array, Optimizer, Rule, Setting, State, with_decay, zeros_for


class RMSprop(Optimizer):
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

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf tensor.
    """

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
    ) -> None:
        averages = {"lr": lr, "alpha": alpha, "eps": eps}
        super().__init__(params, {**averages, "weight_decay": weight_decay, "momentum": momentum, "centered": centered})

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        lr, alpha, eps, weight_decay = group["lr"], group["alpha"], group["eps"], group["weight_decay"]
        momentum, centered = group["momentum"], group["centered"]

        def rule(array: Array, g: Array, state: State) -> None:
            state["step"] = state.get("step", 0) + 1
            v = zeros_for(array, state, "square_avg")
            if weight_decay:
                g = with_decay(g, array, weight_decay)
            scratch = np.multiply(g, g, out=np.empty_like(array))
            scratch *= 1.0 - alpha
            v *= alpha
            v += scratch
            if centered:
                mean = zeros_for(array, state, "grad_avg")
                np.multiply(g, 1.0 - alpha, out=scratch)
                mean *= alpha
                mean += scratch
                np.multiply(mean, mean, out=scratch)
                np.subtract(v, scratch, out=scratch)
                np.maximum(scratch, 0.0, out=scratch)  # a variance near 0 may round to below it
                np.sqrt(scratch, out=scratch)
            else:
                np.sqrt(v, out=scratch)
            scratch += eps
            np.divide(g, scratch, out=scratch)
            if momentum:
                d = zeros_for(array, state, "momentum_buffer")
                d *= momentum
                d += scratch
                np.multiply(d, lr, out=scratch)
            else:
                scratch *= lr
            array -= scratch

        return rule
