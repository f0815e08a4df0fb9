"""Networks whose weights are written down rather than learned: zig-zags of any number of pieces, and parity.

A zig-zag folds the interval [0, 1] like a fan.  Its first unit climbs from 0, and each further unit, at the next fold,
turns the slope round.  A fan folded again by the next layer has the product of the folds (Telgarsky, arXiv:1509.08101;
Montufar, Pascanu, Cho and Bengio, arXiv:1402.1869).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bn import Parameter, nn

from ...lab.measure import copies
from ...lab.measure.copies import Array

# Per layer the weights (inputs, outputs) and the biases (outputs,); of many networks, one axis more in front of both.
Layers = list[tuple[Array, Array]]


def zigzag(width: int, depth: int) -> Layers:
    """``depth`` hidden layers of ``width`` relu units: the zig-zag from 0 that goes between 0 and 1 width**depth times.

    One layer maps x to width * (relu(x) - 2 relu(x - 1/width) + 2 relu(x - 2/width) - ...).
    """
    folds = -np.arange(width) / width
    turns = width * np.array([1.0, *(2.0 * (-1) ** j for j in range(1, width))])[:, None]
    middle = [(turns @ np.ones((1, width)), folds) for _ in range(depth - 1)]
    return [(np.ones((1, width)), folds), *middle, (turns, np.zeros(1))]


def sawtooth(k: int, deep: bool) -> Layers:
    """The zig-zag of 2**k pieces: from k layers of 2 units, or from one layer of 2**k."""
    return zigzag(2, k) if deep else zigzag(2**k, 1)


def parity_of_sum(bits: int) -> Layers:
    """1 for an odd number of ones, with one layer of ``bits`` units: the zig-zag of the sum of the bits."""
    turns = np.array([1.0, *(2.0 * (-1) ** j for j in range(1, bits))])[:, None]
    return [(np.ones((bits, bits)), -np.arange(bits, dtype=float)), (turns, np.zeros(1))]


def parity_tree(bits: int) -> Layers:
    """The same as a tree of two-bit parities, two units each: xor(a, b) = relu(a + b) - 2 relu(a + b - 1).

    Args:
        bits: a power of two, at least 2.
    """
    layers: Layers = []
    incoming = np.eye(bits)  # from the units of the layer below to the bits they stand for
    while bits > 1:
        pairs = bits // 2
        gates = np.kron(np.eye(pairs), np.ones((2, 2)))
        layers.append((incoming @ gates, np.tile([0.0, -1.0], pairs)))
        incoming, bits = np.kron(np.eye(pairs), np.array([[1.0], [-2.0]])), pairs
    return [*layers, (incoming, np.zeros(1))]


def parity_folded(bits: int) -> Layers:
    """The same by folding the sum of the bits in half, and again: two units for each time that ``bits`` can be halved.

    Args:
        bits: a power of two, at least 2.
    """
    (first, folds), *rest = zigzag(2, bits.bit_length() - 1)
    return [(np.ones((bits, 1)) / bits @ first, folds), *rest]


def units(layers: Layers) -> int:
    """How many hidden units."""
    return sum(weight.shape[1] for weight, _ in layers[:-1])


def parameters(layers: Layers) -> int:
    """How many weights and biases."""
    return sum(weight.size + bias.size for weight, bias in layers)


def model(layers: Layers) -> nn.Sequential:
    """The network as modules, in float64."""
    modules: list[nn.Module] = []
    for weight, bias in layers:
        inputs, outputs = weight.shape
        linear = nn.Linear(inputs, outputs, dtype=np.float64)
        linear.weight = Parameter(weight.T)
        linear.bias = Parameter(bias)
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def batched(layers: Sequence[tuple[Array, Array]]) -> nn.Sequential:
    """Many networks that train at once: weights (S, inputs, outputs) and biases (S, outputs), relu between the layers."""
    network = copies.network([weight for weight, _ in layers], nn.ReLU, batch_norm=False)
    linear = [module for module in network if isinstance(module, copies.Linear)]
    for module, (_, bias) in zip(linear, layers):
        module.bias = Parameter(bias[:, None, :].copy())
    return network


def layers_of(network: nn.Sequential, copy: int) -> Layers:
    """The weights and biases of one of the networks that train at once, in float64."""
    linear = [module for module in network if isinstance(module, copies.Linear)]
    found: Layers = []
    for module in linear:
        assert module.bias is not None, "these networks have biases"
        found.append((module.weight.data[copy].astype(float), module.bias.data[copy, 0].astype(float)))
    return found


def random_layers(sizes: Sequence[int], seeds: Sequence[int], dtype: Any = np.float32) -> Layers:
    """He's initial weights and biases from N(0, 1), one network a seed: what ``batched`` takes.

    With biases of 0 every kink of a network of one input would start at 0.
    """
    weights = copies.draw_weights(sizes, seeds, "he", dtype)
    generators = [np.random.default_rng([seed, 2]) for seed in seeds]
    return [(w, np.stack([g.standard_normal(w.shape[2]) for g in generators]).astype(dtype)) for w in weights]
