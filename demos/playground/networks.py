"""The two networks of the playground, their training step and their answers, as recorded programs."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, nn, optim, program
from tinygrad_bn.kinds import Value
from tinygrad_bn.program import Program

WIDTH = 16
DEPTHS = range(1, 9)
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
NORMS = {"plain": False, "bn": True}


class Network(nn.Module):
    """``depth`` hidden layers of WIDTH units, each normalized or not, and one output: the score of class 1.

    In double precision, so that two languages agree.  With Batch Normalization a hidden layer has no bias: the mean would take
    it out again, and the shift stands in its place (arXiv:1502.03167, section 3.2).
    """

    def __init__(self, depth: int, activation: str, bn: bool) -> None:
        super().__init__()
        sizes = [2] + [WIDTH] * depth
        self.linear = nn.ModuleList(nn.Linear(n, WIDTH, bias=not bn, dtype=float) for n in sizes[:-1])
        self.norm = nn.ModuleList(nn.BatchNorm1d(WIDTH, dtype=float) for _ in sizes[1:] if bn)
        self.activation = ACTIVATIONS[activation]()
        self.last = nn.Linear(sizes[-1], 1, dtype=float)

    def forward(self, x: Value) -> tuple[Value, list[Value]]:
        """Points (N, 2) to scores (N, 1), and what comes into the activation of each layer, (N, WIDTH)."""
        inputs = []
        for i, linear in enumerate(self.linear):
            x = linear(x)
            x = self.norm[i](x) if len(self.norm) else x
            inputs.append(x)
            x = self.activation(x)
        return self.last(x), inputs


def training_step(network: Network, optimizer: optim.SGD) -> Any:
    """A whole step on points (N, 2) and classes (N, 1): the loss of the batch, and what came into each activation."""

    def step(x: Value, classes: Value) -> Any:
        optimizer.zero_grad()
        scores, inputs = network(x)
        loss = functional.binary_cross_entropy_with_logits(scores, classes)
        loss.backward()
        optimizer.step()
        return loss, inputs

    return step


def recorded(depth: int, activation: str, bn: bool) -> tuple[Program, Program]:
    """The training step and the trained network's answers, for batches of any length, simplified."""
    x, classes = np.array([[0.5, -1.0], [1.0, 0.25], [-0.5, 0.75]]), np.array([[0.0], [1.0], [1.0]])
    tg.manual_seed(0)
    network = Network(depth, activation, bn)
    step = program.record(training_step(network, optim.SGD(network.parameters(), lr=0.1)), x, classes)
    network.eval()
    with tg.no_grad():
        answers = program.record(network, x)
    return program.simplify(step), program.simplify(answers)


def all_recorded() -> dict[str, tuple[Program, Program]]:
    """The programs of every depth, activation and arm, under names such as ``"3 relu bn"``."""
    return {
        f"{depth} {activation} {arm}": recorded(depth, activation, bn)
        for depth, activation, (arm, bn) in product(DEPTHS, ACTIVATIONS, NORMS.items())
    }
