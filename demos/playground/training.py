"""The training of the playground in Python, with the data, the weights and the batches that a page has for the same setting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import optim, program
from tinygrad_bn.kinds import Array

from .generator import Order, Stream, points, weights
from .networks import Network, training_step


@dataclass(frozen=True)
class Setting:
    """What the page lets one choose."""

    data: str = "moons"
    batch: int = 32
    rate: float = 0.1
    scale: float = 1.0
    depth: int = 4
    activation: str = "tanh"
    seed: int = 0


class Training:
    """One network on its way.

    Args:
        setting: what is trained, and on what.
        bn: whether the network has Batch Normalization.
        recorded: run a recorded, simplified program, as the page does, or the function itself.

    Attributes:
        network: as it is now.
        losses: of each step's batch, before the step.
    """

    def __init__(self, setting: Setting, bn: bool, recorded: bool = True) -> None:
        self.network = Network(setting.depth, setting.activation, bn)
        stream = Stream(setting.seed, "weights")
        for linear in (*self.network.linear, self.network.last):
            drawn = weights(stream, linear.in_features, linear.out_features, setting.scale)
            linear.weight.data = np.asfortranarray(drawn)
            if linear.bias is not None:
                linear.bias.data = np.zeros(linear.out_features)
        self._points = points(setting.data, setting.seed, "training points")
        self._unseen = points(setting.data, setting.seed, "unseen points")
        self._order = Order(setting.seed, setting.batch)
        step = training_step(self.network, optim.SGD(self.network.parameters(), lr=setting.rate))
        example = [part[: setting.batch] for part in self._points]
        self._step = program.simplify(program.record(step, *example, free=False)).run if recorded else step
        self.losses: list[float] = []

    def run(self, steps: int) -> list[float]:
        """So many steps; returns all losses so far."""
        for _ in range(steps):
            chosen = self._order.next()
            with np.errstate(all="ignore"):  # a rate that is too high is for the reader to see
                loss, _inputs = self._step(*(part[chosen] for part in self._points))
            self.losses.append(float(loss.item()))
        return self.losses

    def answers(self, x: Array) -> Array:
        """The scores of class 1 for points (N, 2), by running statistics where there are any."""
        self.network.eval()
        with tg.no_grad(), np.errstate(all="ignore"):
            scores: Array = self.network(x)[0].numpy()
        self.network.train()
        return scores

    def accuracy(self) -> float:
        """The share of unseen points that are put into the right class."""
        x, classes = self._unseen
        return float(np.mean((self.answers(x) > 0) == (classes > 0.5)))
