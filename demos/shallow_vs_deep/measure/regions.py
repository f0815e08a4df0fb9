"""Row 4: with the same number of neurons a deep network expresses more complex functions, the lecture says.

A ReLU network is made of linear pieces, so their number is a measure of complexity.  It is counted for networks of 48
hidden units in 1 to 8 layers: with weights written down to have as many pieces as possible (on a line: width**depth;
Montufar, Pascanu, Cho and Bengio 2014, arXiv:1402.1869), with the random weights that training starts from, and after
training.  Hanin and Rolnick (arXiv:1906.00904) prove a bound for the second that does not depend on the depth, and
conjecture from experiments that the third stays near it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_bn import nn

from ...datasets import DIGITS, shuffled_digits
from ...lab.measure import copies
from ...lab.measure.copies import Array
from ...lab.measure.part import Part, Progress, Settings
from ...lab.measure.stepping import stepper
from . import exact, pieces

UNITS = 48
DEPTHS = (1, 2, 3, 4, 6, 8)
TRAINED = (1, 2, 4, 6)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)  # of Adam
ENDS = np.array([-3.0]), np.array([3.0])
WAVES = 4  # the target of the regression: a sine, so many waves on [-3, 3]
SIDE, STORED = 300, 200  # grid points of the map, counted and kept


def sizes(depth: int, inputs: int = 1, outputs: int = 1, units: int = UNITS) -> list[int]:
    """Of the layers of a network of so many hidden units."""
    return [inputs, *[units // depth] * depth, outputs]


def one(layers: exact.Layers, copy: int, weight_scale: float = 1.0, bias_scale: float = 1.0) -> exact.Layers:
    """One of several networks that were drawn together."""
    return [(weight[copy] * weight_scale, bias[copy] * bias_scale) for weight, bias in layers]


def constructed(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces of the zig-zag on [0, 1], counted from its weights."""
    found = []
    for depth in progress(DEPTHS, "zig-zags"):
        layers = exact.zigzag(UNITS // depth, depth)
        count = pieces.line_pieces(layers, np.zeros(1), np.ones(1))
        found.append({"depth": depth, "pieces": count, "parameters": exact.parameters(layers)})
    return {"networks": found}


def random(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces on [-3, 3] before training: He's weights, biases from N(0, 1); then other sizes and other scales."""
    seeds = range(settings.seed, settings.seed + (200 if settings.full else 50))
    few = seeds[: len(seeds) // 5]

    def count(
        depth: int, seeds: Sequence[int], units: int = UNITS, weight: float = 1.0, bias: float = 1.0
    ) -> list[int]:
        drawn = exact.random_layers(sizes(depth, units=units), seeds, np.float64)
        return [pieces.line_pieces(one(drawn, i, weight, bias), *ENDS) for i in range(len(seeds))]

    return {
        "pieces": {str(depth): count(depth, seeds) for depth in progress(DEPTHS, "random weights")},
        "sizes": {
            str(units): {str(depth): count(depth, few, units) for depth in DEPTHS[:-1]} for units in (24, 96, 192)
        },
        "scales": [
            {"weights": w, "biases": b, "pieces": {str(depth): count(depth, few, UNITS, w, b) for depth in DEPTHS}}
            for w in (1.0, 4.0)
            for b in (1.0, 0.1)
        ],
    }


def trained(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces on [-3, 3] before and after learning a wave, in which one bend takes about six units.

    The rate of a depth is the one with the least error (geometric mean) on tuning seeds, which are not reported.
    """
    tuning, test = settings.tuning_seeds(3), settings.more_seeds(2)
    steps = 6000 if settings.full else 1000
    brief = not settings.full
    result: dict[str, Any] = {"steps": steps, "rates": list(RATES), "depths": {}}
    for depth in TRAINED:
        label = f"wave, {depth} layers"
        tried = [rate for rate in RATES for _ in tuning]
        along = progress(range(steps), f"{label}, tuning")
        _, errors, _ = learn_wave(depth, list(tuning) * len(RATES), tried, along, brief)
        best = RATES[int(np.argmin(np.log(errors).reshape(len(RATES), -1).mean(axis=1)))]
        before, errors, after = learn_wave(depth, test, [best] * len(test), progress(range(steps), label), brief)
        result["depths"][str(depth)] = {"rate": best, "before": before, "after": after, "error": errors.tolist()}
    return result


def learn_wave(
    depth: int, seeds: Sequence[int], rates: Sequence[float], steps: Iterable[int], brief: bool
) -> tuple[list[int], Array, list[int]]:
    """Train networks on the wave; returns their pieces before, their squared errors after, their pieces after."""
    x = np.linspace(-3, 3, 97, dtype=np.float32)[:, None]
    y = np.sin(WAVES * np.pi / 3 * x)
    network = exact.batched(exact.random_layers(sizes(depth), seeds))
    train_on = stepper(network, copies.optimizer("adam", network, rates), copies.squared_error, brief=brief)

    def count() -> list[int]:
        return [pieces.line_pieces(exact.layers_of(network, i), *ENDS) for i in range(len(seeds))]

    before = count()
    inputs, targets = (np.broadcast_to(a, (len(seeds), *a.shape)) for a in (x, y))
    for _ in steps:
        train_on(inputs, targets)
    return before, ((copies.predict(network, x) - y) ** 2).mean(axis=(1, 2)), count()


def digits(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces on straight lines between two test images, before and after learning the digits; biases 0 at first."""
    data = shuffled_digits([settings.seed, 3])
    train, test = data[:1297], data[1297:]
    pairs = np.random.default_rng([settings.seed, 4]).permutation(len(test))[:20].reshape(-1, 2)
    seeds = list(settings.test_seeds)
    steps = 3000 if settings.full else 800

    def count(network: nn.Sequential) -> list[float]:
        ends = test.images.astype(float)
        return [
            float(np.mean([pieces.line_pieces(exact.layers_of(network, i), ends[a], ends[b]) for a, b in pairs]))
            for i in range(len(seeds))
        ]

    result: dict[str, Any] = {"steps": steps, "lines": len(pairs), "depths": {}}
    for depth in TRAINED:
        weights = copies.draw_weights(sizes(depth, 64, 10), seeds, "he")
        network = copies.network(weights, nn.ReLU, batch_norm=False)
        optimizer = copies.optimizer("adam", network, 0.003)
        train_on = stepper(network, optimizer, copies.cross_entropy, brief=not settings.full)
        before, rows = count(network), copies.batches(len(train), 60, seeds)
        for _ in progress(range(steps), f"digits, {depth} layers"):
            chosen = next(rows)
            train_on(train.images[chosen], train.labels[chosen])
        accuracy = copies.accuracy(copies.predict(network, test.images), test.labels)
        result["depths"][str(depth)] = {"before": before, "after": count(network), "accuracy": accuracy.tolist()}
    return result


def maps(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The patterns of active units on the square [-3, 3] x [-3, 3], and a map of them for the first seed."""
    seeds = list(settings.test_seeds)
    result: dict[str, Any] = {"side": SIDE, "stored": STORED, "patterns": {}, "maps": {}}
    fine, coarse = square(SIDE), square(STORED)
    for depth in progress(TRAINED, "maps"):
        drawn = exact.random_layers(sizes(depth, 2), seeds, np.float64)
        counts = [int(pieces.patterns(one(drawn, i), fine).max()) + 1 for i in range(len(seeds))]
        result["patterns"][str(depth)] = counts
        if depth in (1, 4):
            result["maps"][str(depth)] = packed(pieces.patterns(one(drawn, 0), coarse))
    return result


def square(side: int) -> Array:
    """The points of a grid, row by row; shape (side * side, 2)."""
    along = np.linspace(-3, 3, side)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def packed(numbers: Array) -> str:
    """Small numbers as text: two bytes each, compressed, in base 64."""
    return base64.b64encode(zlib.compress(numbers.astype("<u2").tobytes(), 9)).decode("ascii")


PARTS: tuple[Part, ...] = (
    Part("regions_constructed", constructed, seconds=2),
    Part("regions_random", random, seconds=3),
    Part("regions_trained", trained, seconds=5),
    Part("regions_digits", digits, (DIGITS,), seconds=3),
    Part("regions_map", maps, seconds=3),
)
