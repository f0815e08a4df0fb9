"""Places where training stops: a local minimum that is written down, at any depth, and XOR in small networks.

The minimum: give all weights and biases of the hidden layers such values that every relu is active on all data, and the
last layer the best affine fit of the target.  Nearby, the network is a deep linear one, and no such network fits better
than the best affine function; so nothing nearby is better.  (Yun, Sra and Jadbabaie, arXiv:1802.03487, prove more.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, nn, ops

from ...lab.measure import copies
from ...lab.measure.copies import Array
from ...lab.measure.part import Progress, Settings
from ...lab.measure.stepping import stepper
from . import exact

WIDTH = 8
DEPTHS = (1, 2, 3)
X = np.linspace(-1, 1, 40)[:, None]
Y = np.sin(3 * np.pi * X)
RADII = (0.1, 0.01, 0.001)
ROUNDING = 1e-12  # losses and eigenvalues that differ by less are equal
XOR_STEPS = 1500
XOR_RATE = 0.02  # of Adam
XOR = {
    "narrow, shallow": [2],
    "narrow, deep": [2, 2, 2, 2],
    "wide, shallow": [8],
    "wide, deep": [8, 8, 8, 8],
}
SOLVED = 0.1  # mean squared error for outputs of -1 and 1; with two of the four points taken for one it is 0.5


def written_minimum(depth: int, seed: int) -> exact.Layers:
    """``depth`` hidden layers in which every unit is active on all of ``X``, and the best last layer."""
    generator = np.random.default_rng([seed, 6])
    layers: exact.Layers = [(generator.uniform(0.1, 1.0, (1, WIDTH)), np.full(WIDTH, 3.0))]
    for _ in range(depth - 1):
        layers.append((generator.uniform(0.1, 1.0, (WIDTH, WIDTH)) / WIDTH, np.full(WIDTH, 0.5)))
    hidden = X
    for weight, bias in layers:
        hidden = hidden @ weight + bias
    columns = np.concatenate([hidden, np.ones_like(X)], axis=1)
    best = np.linalg.lstsq(columns, Y, rcond=1e-10)[0]
    return [*layers, (best[:-1], best[-1])]


def flat(layers: exact.Layers) -> Array:
    """All weights and biases in one row."""
    return np.concatenate([array.reshape(-1) for layer in layers for array in layer])


def shaped(theta: Any, like: exact.Layers) -> list[tuple[Any, Any]]:
    """The weights and biases again, from a row of them, or for each of several rows."""
    found, start = [], 0
    rows = theta.shape[:-1]
    for weight, bias in like:
        middle, end = start + weight.size, start + weight.size + bias.size
        found.append((ops.reshape(theta[..., start:middle], rows + weight.shape), theta[..., middle:end]))
        start = end
    return found


def loss(theta: Any, like: exact.Layers) -> Any:
    """The mean squared error on ``X`` of the network with these weights and biases."""
    hidden: Any = X
    layers = shaped(theta, like)
    for weight, bias in layers[:-1]:
        hidden = functional.relu(hidden @ weight + bias)
    return ops.mean(ops.square(hidden @ layers[-1][0] + layers[-1][1] - Y))


def losses(thetas: Array, like: exact.Layers) -> Array:
    """The same for many rows at once."""
    network = exact.batched([(np.asarray(w), np.asarray(b)) for w, b in shaped(thetas, like)])
    found: Array = ((copies.predict(network, X) - Y) ** 2).mean(axis=(1, 2))
    return found


def minima(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The written minimum at several depths: gradient, curvature, neighbors, and what training finds from there."""
    affine = np.concatenate([X, np.ones_like(X)], axis=1)
    fit = float(np.mean((affine @ np.linalg.lstsq(affine, Y, rcond=None)[0] - Y) ** 2))
    result: dict[str, Any] = {"affine": fit, "variance": float(Y.var()), "rows": []}
    tries, seeds = 2000, list(settings.more_seeds(4))
    along = np.linspace(-1, 1, 41)
    result["along"] = along.tolist()
    for depth in (*DEPTHS, 5, 8) if settings.full else DEPTHS:
        layers = written_minimum(depth, settings.seed)
        theta = flat(layers)
        here = float(loss(theta, layers))
        gradient = tg.grad(lambda t, like=layers: loss(t, like))(theta)
        hessian = tg.hessian(lambda t, like=layers: loss(t, like))(theta)
        eigenvalues = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        generator = np.random.default_rng([settings.seed, 7, depth])
        directions = generator.standard_normal((tries, len(theta)))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lower = [int(np.sum(losses(theta + radius * directions, layers) < here - ROUNDING)) for radius in RADII]
        lines = [losses(theta + along[:, None] * direction, layers).round(6).tolist() for direction in directions[:20]]
        noisy = theta + 0.01 * generator.standard_normal((len(seeds), len(theta)))
        back = train([(np.asarray(w), np.asarray(b)) for w, b in shaped(noisy, layers)], 0.001, 1500, progress)
        elsewhere = train(exact.random_layers([1, *[WIDTH] * depth, 1], seeds, np.float64), 0.01, 2000, progress)
        result["rows"].append(
            {
                "depth": depth,
                "loss": here,
                "gradient": float(np.linalg.norm(gradient)),
                "smallest": float(eigenvalues[0]),
                "largest": float(eigenvalues[-1]),
                "tries": tries * len(RADII),
                "lower": sum(lower),
                "lines": lines,
                "back": back.tolist(),
                "random": elsewhere.tolist(),
            }
        )
    return result


def train(start: Sequence[tuple[Array, Array]], rate: float, steps: int, progress: Progress) -> Array:
    """The losses on ``X`` of many starts after so many steps of Adam."""
    network = exact.batched(start)
    count = len(start[0][0])
    train_on = stepper(network, copies.optimizer("adam", network, rate), copies.squared_error, brief=True)
    inputs, targets = (np.broadcast_to(a, (count, *a.shape)) for a in (X, Y))
    for _ in progress(range(steps), f"sine, {len(start) - 1} layers"):
        train_on(inputs, targets)
    found: Array = ((copies.predict(network, X) - Y) ** 2).mean(axis=(1, 2))
    return found


def xor(settings: Settings, progress: Progress) -> dict[str, Any]:
    """How often Adam solves XOR, in narrow and wide networks, shallow and deep."""
    starts = 100 if settings.full else 50
    seeds = range(settings.seed, settings.seed + starts)
    x = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)
    y = np.array([[-1], [1], [1], [-1]], np.float32)
    inputs, targets = (np.broadcast_to(a, (starts, *a.shape)) for a in (x, y))
    result: dict[str, Any] = {"steps": XOR_STEPS, "starts": starts, "rows": []}
    for name, activation, std in (("sigmoid", nn.Sigmoid, "xavier"), ("relu", nn.ReLU, "he")):
        for shape, hidden in XOR.items():
            network = copies.network(copies.draw_weights([2, *hidden, 1], seeds, std), activation, batch_norm=False)
            optimizer = copies.optimizer("adam", network, XOR_RATE)
            train_on = stepper(network, optimizer, copies.squared_error, brief=True)
            for _ in progress(range(XOR_STEPS), f"XOR, {name}, {shape}"):
                train_on(inputs, targets)
            errors = ((copies.predict(network, x) - y) ** 2).mean(axis=(1, 2))
            result["rows"].append(
                {"activation": name, "shape": shape, "hidden": hidden, "errors": errors.astype(float).tolist()}
            )
    return result
