"""The example run forward and backward, on both engines and under each convention; and what m can be."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import graph, nn, ops

from ..lab.measure.graphs import kept
from ..lab.measure.part import Part, Progress, Settings

Array = np.ndarray[Any, Any]

X = np.array([[1.0], [2.0], [3.0], [4.0]])  # four examples of one neuron
DY = np.array([[1.0], [0.0], [0.0], [0.0]])  # how fast the loss grows with each z

# Conventions that the numbers could follow: what the squares are divided by, and epsilon.
CONVENTIONS: dict[str, tuple[int, float]] = {
    "1/m, ε = 0": (0, 0.0),
    "1/m, ε = 1e-5": (0, 1e-5),
    "1/m, ε = 1e-3": (0, 1e-3),
    "1/(m-1), ε = 0": (1, 0.0),
}

EPSILONS = tuple(float(e) for e in np.logspace(-6, -2, 81))
READINGS = ("rows", "neurons, rows summed", "neurons")  # of m, and of what is summed: neurons with the last one only
SHAPES = ((4, 3), (4, 1), (60, 100), (4, 4))


def normalize(x: Any, gamma: Any, beta: Any, eps: float) -> dict[str, Any]:
    """Batch Normalization as the textbook writes it; nobody wrote a backward pass for it."""
    with tg.scope("mean"):
        mu = ops.mean(x, axis=0, keepdims=True)
    with tg.scope("variance"):
        centered = x - mu
        variance = ops.mean(ops.square(centered), axis=0, keepdims=True)
    with tg.scope("normalize"):
        sigma = ops.sqrt(variance + eps)
        x_hat = centered / sigma
    with tg.scope("scale and shift"):
        z = gamma * x_hat + beta
    return {"mu": mu, "centered": centered, "variance": variance, "sigma": sigma, "x_hat": x_hat, "z": z}


def numbers(value: Any) -> list[float]:
    """The numbers of a tensor, an array, or an array of scalars."""
    array = value.numpy() if isinstance(value, tg.Tensor) else tg.values_of(value)
    return [float(v) for v in np.ravel(array)]


def tensors() -> tuple[Any, Any, Any]:
    """x, γ = 1 and β = 0 for the tensor engine."""
    x = tg.Tensor(X, requires_grad=True, name="x")
    return x, tg.Parameter(np.ones(1), name="γ"), tg.Parameter(np.zeros(1), name="β")


def scalars() -> tuple[Any, Any, Any]:
    """x, γ = 1 and β = 0 for the scalar engine: arrays of single numbers."""
    x, gamma, beta = (tg.scalarize(values) for values in (X, [1.0], [0.0]))
    for name, leaf in zip(("x1", "x2", "x3", "x4", "γ", "β"), (*x.ravel(), *gamma, *beta)):
        leaf.name = name
    return x, gamma, beta


def closed_form(x: Array, dy: Array, gamma: float, eps: float) -> tuple[Array, float, float]:
    """dx, dγ, dβ in plain NumPy, from section 3 of the paper: nothing of the engine."""
    m = len(x)
    s = np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) / s
    d_gamma, d_beta = float((dy * x_hat).sum()), float(dy.sum())
    return gamma / (m * s) * (m * dy - d_beta - x_hat * d_gamma), d_gamma, d_beta


def steps(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Forward and backward of the example on both engines."""
    forward: dict[str, Any] = {}
    for engine, leaves in (("tensor", tensors), ("scalar", scalars)):
        forward[engine] = {
            name: {key: numbers(value) for key, value in normalize(*leaves(), eps).items()}
            for name, (ddof, eps) in CONVENTIONS.items()
            if ddof == 0
        }
    return {
        "source": inspect.getsource(normalize).rstrip(),
        "forward": forward,
        "unbiased": unbiased(),
        "rounded": [float((v - 2.5) / 1.118) for v in X.ravel()],
        "epsilon": {"eps": list(EPSILONS), "x_hat": [normalize(*tensors(), eps)["x_hat"].data[3].item() for eps in EPSILONS]},
        "backward": {name: backward(eps) for name, eps in (("0", 0.0), ("1e-05", 1e-5))},
        "constant": {name: constant_batch(eps) for name, eps in (("0", 0.0), ("1e-05", 1e-5))},
    }  # fmt: skip


def unbiased() -> dict[str, list[float]]:
    """The example with the squares divided by m - 1."""
    x, gamma, beta = tensors()
    mu, sigma = ops.mean(x, axis=0), ops.sqrt(ops.var(x, axis=0, ddof=1))
    x_hat = (x - mu) / sigma
    found = {"mu": mu, "sigma": sigma, "x_hat": x_hat, "z": gamma * x_hat + beta}
    return {key: numbers(value) for key, value in found.items()}


def backward(eps: float) -> dict[str, list[float]]:
    """dx (four), dγ, dβ for the cotangent (1, 0, 0, 0): derived on both engines, and by the closed form."""
    leaves = tensors()
    normalize(*leaves, eps)["z"].backward(DY)
    by_tensor = [v for leaf in leaves for v in numbers(leaf.grad)]
    x, gamma, beta = scalars()
    normalize(x, gamma, beta, eps)["z"][0, 0].backward()
    by_scalar = [float(v) for leaf in (x, gamma, beta) for v in np.ravel(tg.gradients_of(leaf))]
    dx, d_gamma, d_beta = closed_form(X, DY, 1.0, eps)
    return {"tensor": by_tensor, "scalar": by_scalar, "closed": [*dx.ravel().tolist(), d_gamma, d_beta]}


def constant_batch(eps: float) -> list[float | None]:
    """x̂ of four equal numbers; ``None`` where it is not a number."""
    x = tg.Tensor(np.full((4, 1), 3.0), requires_grad=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x_hat = numbers(normalize(x, 1.0, 0.0, eps)["x_hat"])
    return [v if math.isfinite(v) else None for v in x_hat]


def layer(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The same numbers through ``nn.BatchNorm1d``: running statistics, evaluation, and what the gradients add up to."""
    norm = nn.BatchNorm1d(1, dtype=np.float64)
    seen: dict[str, Any] = {}
    for batch in range(1, 201):
        norm.train()
        training = numbers(norm(X))
        if batch in (1, 10, 200):
            norm.eval()
            seen[str(batch)] = {
                "running_mean": numbers(norm.running_mean),
                "running_var": numbers(norm.running_var),
                "training": training,
                "evaluation": numbers(norm(X)),
            }
    ours = normalize(*tensors(), norm.eps)["z"]
    return {
        "momentum": norm.momentum,
        "running": seen,
        "difference_to_steps": float(np.abs(np.array(training) - numbers(ours)).max()),
        "sums": {f"{eps:g}": sums(eps, settings.seed) for eps in (0.0, 1e-5, 1e-3)},
        "losses": losses(settings.seed),
    }


def sums(eps: float, seed: int) -> dict[str, float]:
    """Σ dx and Σ dx x̂ for a random cotangent, and what the latter would be if σ were a constant."""
    dy = np.random.default_rng(seed).standard_normal(X.shape)
    x, gamma, beta = tensors()
    found = normalize(x, gamma, beta, eps)
    x_hat, sigma = found["x_hat"].numpy(), found["sigma"].numpy()
    found["z"].backward(dy)
    dx = x.grad.numpy()
    return {
        "dx": float(dx.sum()),
        "dx_x_hat": float((dx * x_hat).sum()),
        "without_normalization": float((dy * x_hat).sum() / sigma.item()),
        "share": eps / (1.25 + eps),
    }


def losses(seed: int) -> dict[str, float]:
    """The largest |dx| for three losses, two of which hide the backward pass."""
    w = np.random.default_rng(seed).standard_normal(X.shape)
    functions: dict[str, Callable[[Any], Any]] = {
        "sum of z": lambda z: ops.sum(z),
        "sum of z²": lambda z: ops.sum(ops.square(z)),
        "random combination of z": lambda z: ops.sum(z * w),
    }
    found = {}
    for name, loss in functions.items():
        x, gamma, beta = tensors()
        loss(normalize(x, gamma, beta, 1e-5)["z"]).backward()
        found[name] = float(np.abs(x.grad.numpy()).max())
    return found


def what_m_is(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Each reading of m, on the example and on random batches: does each neuron come out with mean 0 and variance 1?"""
    rng = np.random.default_rng([settings.seed, 2])
    batches = {"x".join(map(str, shape)): rng.normal(3.0, 2.0, shape) for shape in SHAPES}
    found: dict[str, Any] = {}
    for reading in READINGS:
        found[reading] = {
            "as rows": np.ravel(statistics_of(X, reading)[0]).tolist(),
            "as neurons": np.ravel(statistics_of(X.T, reading)[0]).tolist(),
        }
        for name, batch in batches.items():
            mu, variance = statistics_of(batch, reading)
            x_hat = ((tg.Tensor(batch) - mu) / ops.sqrt(variance + 1e-12)).numpy()
            found[reading][name] = {
                "mean": float(np.abs(x_hat.mean(axis=0)).max()),
                "variance": float(np.abs(x_hat.var(axis=0) - 1.0).max()),
            }
    return found


def statistics_of(x: Array, reading: str) -> tuple[Array, Array]:
    """Sums over rows or neurons, divided by m, under a reading of what is summed and what m is."""
    batch = tg.Tensor(x)
    axis = 1 if reading == "neurons" else 0
    m = x.shape[0] if reading == "rows" else x.shape[1]
    mu = ops.sum(batch, axis=axis, keepdims=True) / m
    variance = ops.sum(ops.square(batch - mu), axis=axis, keepdims=True) / m
    return mu.numpy(), variance.numpy()


def graphs(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Both graphs and the derived backward pass, as DOT and as text: laid out where they are shown."""
    x, gamma, beta = tensors()
    tensor = named(normalize(x, gamma, beta, 1e-5))
    single = named(normalize(*scalars(), 1e-5))
    pictures = {
        "tensor": graph.draw(tensor["z"], DY, title="The example on one tensor"),
        "scalar": graph.draw(single["z"], DY, view="scalar", title="The example number by number"),
        "reduced": graph.draw(tensor["z"], DY, view="reduced", title="The backward pass the engine derived"),
    }
    return {name: kept(picture) for name, picture in pictures.items()}


def named(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The lecture's names on the intermediates, numbered where there are several numbers of a kind."""
    names = {"mu": "μ", "centered": "(x − μ)", "variance": "σ²", "sigma": "σ", "x_hat": "x̂", "z": "z"}
    for key, value in found.items():
        if isinstance(value, tg.Tensor):
            value.name = names[key]
        else:
            many = value.size > 1
            for i, scalar in enumerate(value.ravel(), 1):
                label = names[key].replace("x", f"x{i}", 1) if key == "centered" else f"{names[key]}{i}"
                scalar.name = label if many else names[key]
    return found


PARTS = (
    Part("steps", steps, seconds=0.5),
    Part("layer", layer, seconds=0.5),
    Part("m", what_m_is, seconds=0.2),
    Part("graphs", graphs, seconds=0.5),
)
