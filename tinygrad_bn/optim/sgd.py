"""Stochastic gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.errors import ArgumentError, DTypeError, ShapeError, explain

Array = np.ndarray[Any, Any]


class SGD:
    """Gradient descent with momentum and weight decay, as torch.optim.SGD.

    For each parameter p with gradient g: ``g += weight_decay * p``; with momentum, ``v = momentum * v + (1 - dampening)
    * g`` (first step ``v = g``) and g becomes v, or ``g + momentum * v`` with Nesterov; then ``p -= lr * g``.
    Parameters without a gradient are left alone.

    Args:
        params: the parameters to train; leaves.
        lr: step size, >= 0.
        momentum: how much of the last step is kept, >= 0.
        dampening: how much of a new gradient is held back.
        weight_decay: strength of the pull towards 0, >= 0.
        nesterov: look ahead; needs momentum and no dampening.

    Raises:
        ArgumentError: settings out of range, no parameters, or something that is not a leaf variable.
    """

    def __init__(
        self,
        params: Iterable[Variable],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.params = list(params)
        if not self.params:
            raise ArgumentError(explain("SGD: nothing to train", got="no parameters", fix="pass model.parameters()"))
        seen: set[Variable] = set()
        for p in self.params:
            if not isinstance(p, Variable) or not p.is_leaf or p.is_scalar_kind:
                raise ArgumentError(explain("SGD trains leaf tensors", got=repr(p), fix="pass model.parameters()"))
            if p in seen:
                raise ArgumentError(
                    explain("SGD: a parameter given twice would move twice", got=p.label, fix="pass each once")
                )
            seen.add(p)
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        if not all(0 <= value < math.inf for value in settings.values()) or not math.isfinite(dampening):
            got = ", ".join(f"{name}={value}" for name, value in (settings | {"dampening": dampening}).items())
            raise ArgumentError(explain("SGD: settings are finite and not negative", got=got))
        if nesterov and (momentum == 0 or dampening != 0):
            raise ArgumentError(
                explain("SGD: nesterov needs momentum and no dampening", got=f"{momentum}, {dampening}")
            )
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self._velocity: list[Array | None] = [None] * len(self.params)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient, in place.

        Raises:
            ShapeError, DTypeError: a gradient that does not fit its parameter; nothing has been moved then.
        """
        for p in self.params:
            if p.grad is None:
                continue
            if not isinstance(p.grad, Variable):
                got = type(p.grad).__name__
                raise DTypeError(
                    explain(f"SGD: gradient of {p.label}", got=got, expected="a Tensor", fix="Tensor(array)")
                )
            if p.grad.shape != p.shape:
                raise ShapeError(explain(f"SGD: gradient of {p.label}", got=f"shape {p.grad.shape}", expected=p.shape))
        lr, weight_decay = float(self.lr), float(self.weight_decay)  # a NumPy float64 would widen float32 arrays
        for i, p in enumerate(self.params):
            if p.grad is None:
                continue
            g = p.grad.data
            if weight_decay:
                g = g + weight_decay * p.data
            if self.momentum:
                g = self._with_momentum(i, g)
            array = p.unlock()
            array -= lr * g
            p.lock(array)

    def _with_momentum(self, i: int, g: Array) -> Array:
        momentum, v = float(self.momentum), self._velocity[i]
        if v is None:
            v = self._velocity[i] = np.array(g, self.params[i].dtype)
        else:
            v *= momentum
            v += g if not self.dampening else (1.0 - self.dampening) * g
        return g + momentum * v if self.nesterov else v
