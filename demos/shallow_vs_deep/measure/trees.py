"""A network shaped like a binary tree, for many copies at once: each unit sees two neighbors of the layer below only.

A function of eight variables that is made of functions of two, f(g(h(a, b), h(c, d)), g(h(e, f), h(g, h))), has the same
shape (Poggio, Mhaskar, Rosasco, Miranda and Liao 2017, arXiv:1611.00740). The nodes of a layer do not share weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bn import Parameter, nn, ops

from ...lab.measure.copies import Array, Linear

LEAVES = 8


class Nodes(nn.Module):
    """The nodes of one layer, side by side: each a small layer of its own, on its own share of the inputs.

    Shapes: weight (S, nodes, inputs, units), bias (S, nodes, 1, units); input (S, B, nodes * inputs) or
    (B, nodes * inputs), the same for all copies; output (S, B, nodes * units).
    """

    def __init__(self, weight: Array) -> None:
        super().__init__()
        copies, nodes, _, units = weight.shape
        self.weight, self.bias = Parameter(weight), Parameter(np.zeros((copies, nodes, 1, units), weight.dtype))

    def forward(self, x: Any) -> Any:
        copies, nodes, inputs, units = self.weight.shape
        *lead, rows, _ = x.shape
        apart = ops.swapaxes(ops.reshape(x, (*lead, rows, nodes, inputs)), -3, -2)
        y = ops.relu(apart @ self.weight + self.bias)
        return ops.reshape(ops.swapaxes(y, 1, 2), (copies, rows, nodes * units))


def tree(units: int, seeds: Sequence[int], dtype: Any = np.float32) -> nn.Sequential:
    """A tree over eight inputs: four nodes, two, one, of ``units`` relu units each, then a linear output.

    Weights are He's, a copy for each seed.
    """
    generators = [np.random.default_rng([seed, 0]) for seed in seeds]

    def draw(*shape: int) -> Array:
        weight = np.stack([generator.standard_normal(shape) for generator in generators])
        return np.asarray(weight * (2 / shape[-2]) ** 0.5, dtype)

    layers = [Nodes(draw(nodes, inputs, units)) for nodes, inputs in ((4, 2), (2, 2 * units), (1, 2 * units))]
    return nn.Sequential(*layers, Linear(draw(units, 1)))


def tree_parameters(units: int) -> int:
    """How many parameters one copy of ``tree`` has: four nodes of 2 inputs, three of 2 ``units``, and the output."""
    return 4 * (2 + 1) * units + 3 * (2 * units + 1) * units + units + 1
