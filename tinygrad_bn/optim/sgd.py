"""Stochastic gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, explain
from .optimizer import Array, Optimizer, Rule, Setting, State, with_decay


class SGD(Optimizer):
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
    ) -> None:
        steps = {"lr": lr, "momentum": momentum, "dampening": dampening}
        super().__init__(params, {**steps, "weight_decay": weight_decay, "nesterov": nesterov})

    def _checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        checked = super()._checked(settings)
        if checked["nesterov"] and (checked["momentum"] == 0 or checked["dampening"] != 0):
            got = f"momentum={checked['momentum']}, dampening={checked['dampening']}"
            raise ArgumentError(explain("SGD: nesterov needs momentum and no dampening", got=got))
        return checked

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        lr, momentum, weight_decay = group["lr"], group["momentum"], group["weight_decay"]
        accepted, nesterov = 1.0 - group["dampening"], group["nesterov"]

        def descend(array: Array, g: Array, state: State) -> None:
            array -= lr * g

        def descend_with_momentum(array: Array, g: Array, state: State) -> None:
            scratch = None
            if weight_decay:
                g = scratch = with_decay(g, array, weight_decay)
            v = state.get("momentum_buffer")
            if not momentum:
                v = g
            elif v is None:
                v = state["momentum_buffer"] = np.empty_like(array)
                v[...] = g
            else:
                v *= momentum
                if accepted != 1.0:
                    scratch = np.empty_like(array) if scratch is None else scratch
                    g = np.multiply(g, accepted, out=scratch)
                v += g
            if nesterov:
                array -= np.multiply(g, lr, out=scratch)
                array -= np.multiply(v, lr * momentum, out=scratch)
            else:
                array -= np.multiply(v, lr, out=scratch)

        return descend_with_momentum if momentum or weight_decay else descend
