"""Row 5: the size of a shallow network grows exponentially with the complexity of the task, a deep one need not grow.

Two families of tasks get harder by one number each.  The sawtooth of 2**k pieces is the one for which Telgarsky
(arXiv:1509.08101) proved that shallow networks need exponentially many units: one layer of n relu units has at most
n + 1 pieces.  The parity of n bits needs exponentially large circuits of AND and OR gates of bounded depth (Hastad
1986), but relu units are not such gates.  The networks are written down, run in float64 and compared with the task;
then networks of the same kind are trained, because a network that exists need not be found by training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bn import nn, no_grad

from ...lab.measure import copies
from ...lab.measure.copies import Array
from ...lab.measure.part import Part, Progress, Settings
from ...lab.measure.stepping import stepper
from . import exact, pieces
from .parameters import layer_sizes

FOLDS = tuple(range(1, 13))
BITS = (2, 4, 8, 16)
NOISES = (0.02, 0.05, 0.1, 0.2)
RATES = (0.003, 0.01)  # of Adam; a start counts if it succeeds with either
PARITY_RATE = 0.01
BUDGETS = {2: 150, 3: 400}  # parameters of the networks that learn 2**k pieces
DEPTHS = (1, 2, 3, 5)


def written_sawtooth(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Sizes of the shallow and the deep sawtooth, and the largest difference from it where float64 is exact."""
    rows = []
    for k in progress(FOLDS, "sawtooth"):
        x = np.arange(2 ** (k + 1) + 1)[:, None] / 2 ** (k + 1)  # the folds and the middles between them
        row: dict[str, Any] = {"k": k}
        for arm in ("shallow", "deep"):
            layers = exact.sawtooth(k, deep=arm == "deep")
            row[arm] = {
                "units": exact.units(layers),
                "parameters": exact.parameters(layers),
                "difference": float(np.abs(run(layers, x) - triangle(x, k)).max()),
            }
        row["pieces"] = pieces.line_pieces(exact.sawtooth(k, deep=True), np.zeros(1), np.ones(1))
        rows.append(row)
    return {"rows": rows}


def triangle(x: Array, k: int) -> Array:
    """The sawtooth itself: the distance from the nearest even number of 2**k x."""
    scaled = 2**k * x
    distance: Array = np.abs(scaled - 2 * np.round(scaled / 2))
    return distance


def run(layers: exact.Layers, x: Array, rows: int = 512) -> Array:
    """What the network of these layers computes, as modules of the engine, ``rows`` at a time."""
    model = exact.model(layers)
    with no_grad():
        return np.concatenate([model(x[i : i + rows]).data for i in range(0, len(x), rows)])


PARITY = {
    "one layer": exact.parity_of_sum,
    "tree of two-bit parities": exact.parity_tree,
    "sum folded in half again and again": exact.parity_folded,
}


def written_parity(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Sizes of three networks for the parity of n bits, and their largest difference from it on the whole truth table."""
    rows = []
    for bits in progress(BITS, "parity"):
        x, y = truth_table(bits)
        for name, build in PARITY.items():
            layers = build(bits)
            rows.append(
                {
                    "bits": bits,
                    "network": name,
                    "layers": len(layers) - 1,
                    "units": exact.units(layers),
                    "parameters": exact.parameters(layers),
                    "difference": float(np.abs(run(layers, x, 4096) - y).max()),
                }
            )
    return {"rows": rows}


def truth_table(bits: int) -> tuple[Array, Array]:
    """All inputs of so many bits, shape (2**bits, bits), and whether the number of ones is odd, (2**bits, 1)."""
    x = (np.arange(2**bits)[:, None] >> np.arange(bits)) & 1
    return x.astype(float), (x.sum(axis=1, keepdims=True) % 2).astype(float)


def trained_sawtooth(settings: Settings, progress: Progress) -> dict[str, Any]:
    """How often Adam finds the sawtooth: in the deep network of the exact size, and in larger ones of several depths.

    The exact size starts from random weights, and from the written ones, each times 1 + noise * N(0, 1).
    """
    seeds = list(settings.more_seeds(6))
    starts = len(seeds)
    steps = 4000 if settings.full else 1500
    result: dict[str, Any] = {"steps": steps, "starts": starts, "exact": {}, "larger": {}}
    for k in (3, 5) if settings.full else (3,):
        sizes = [1, *[2] * k, 1]
        begin = [exact.random_layers(sizes, seeds), *(disturbed(exact.sawtooth(k, True), x, seeds) for x in NOISES)]
        together = [(np.concatenate(w), np.concatenate(b)) for w, b in (zip(*level) for level in zip(*begin))]
        errors = sawtooth_errors(together, k, steps, progress).reshape(len(begin), starts)
        names = ("random", *map(str, NOISES))
        result["exact"][str(k)] = {name: row.tolist() for name, row in zip(names, errors)}
    for k, budget in ({**BUDGETS, 4: 1000} if settings.full else BUDGETS).items():
        result["larger"][str(k)] = {}
        for depth in DEPTHS:
            sizes = layer_sizes(depth, 1, 1, budget)
            errors = sawtooth_errors(exact.random_layers(sizes, seeds[: starts * 2 // 3]), k, steps, progress)
            result["larger"][str(k)][str(depth)] = {"width": sizes[1], "errors": errors.tolist()}
    return result


def disturbed(layers: exact.Layers, noise: float, seeds: Sequence[int]) -> exact.Layers:
    """The written network, once a seed, every weight and bias times 1 + noise * N(0, 1); what ``exact.batched`` takes."""
    generators = [np.random.default_rng([seed, 5]) for seed in seeds]

    def copies_of(array: Array) -> Array:
        factors = np.stack([1 + noise * generator.standard_normal(array.shape) for generator in generators])
        noisy: Array = (array * factors).astype(np.float32)
        return noisy

    return [(copies_of(weight), copies_of(bias)) for weight, bias in layers]


def sawtooth_errors(start: exact.Layers, k: int, steps: int, progress: Progress) -> Array:
    """The mean squared error of each start after training, at the better of the rates."""
    both = [(np.concatenate([w] * len(RATES)), np.concatenate([b] * len(RATES))) for w, b in start]
    count = len(start[0][0])
    x = (np.arange(129, dtype=np.float32) / 128)[:, None]
    y = triangle(x, k)
    network = exact.batched(both)
    optimizer = copies.optimizer("adam", network, [rate for rate in RATES for _ in range(count)])
    train_on = stepper(network, optimizer, copies.squared_error)
    inputs, targets = (np.broadcast_to(a, (count * len(RATES), *a.shape)) for a in (x, y))
    for _ in progress(range(steps), f"2**{k} pieces, {len(start) - 1} layers"):
        train_on(inputs, targets)
    errors: Array = ((copies.predict(network, x) - y) ** 2).mean(axis=(1, 2)).reshape(len(RATES), count).min(axis=0)
    return errors


def trained_parity(settings: Settings, progress: Progress) -> dict[str, Any]:
    """How often Adam learns the whole truth table, with one layer and with three; here the bits are -1 and 1."""
    seeds = list(settings.more_seeds(4))
    starts = len(seeds)
    steps = 5000 if settings.full else 1500
    result: dict[str, Any] = {"steps": steps, "starts": starts, "rows": []}
    for bits in (2, 4, 6, 8) if settings.full else (2, 4, 8):
        x, y = (array.astype(np.float32) for array in truth_table(bits))
        x = 2 * x - 1  # easier to learn from, for every network
        inputs, targets = (np.broadcast_to(a, (starts, *a.shape)) for a in (x, y[:, 0]))
        for hidden in ([2 * bits], [4 * bits], [math.ceil(4 * bits / 3)] * 3):
            weights = copies.draw_weights([bits, *hidden, 1], seeds, "he")
            network = copies.network(weights, nn.ReLU, batch_norm=False)
            optimizer = copies.optimizer("adam", network, PARITY_RATE)
            train_on = stepper(network, optimizer, copies.binary_cross_entropy, brief=not settings.full)
            for _ in progress(range(steps), f"parity of {bits} bits, {len(hidden)} layers"):
                train_on(inputs, targets)
            right = ((copies.predict(network, x) > 0) == (y > 0.5)).all(axis=(1, 2))
            result["rows"].append({"bits": bits, "hidden": hidden, "learned": right.tolist()})
    return result


PARTS: tuple[Part, ...] = (
    Part("growth_sawtooth", written_sawtooth, seconds=2),
    Part("growth_parity", written_parity, seconds=1),
    Part("growth_sawtooth_trained", trained_sawtooth, seconds=10),
    Part("growth_parity_trained", trained_parity, seconds=5),
)
