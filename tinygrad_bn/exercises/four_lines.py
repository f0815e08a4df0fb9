"""The check of exercise 4: Batch Normalization against the paper's formulas, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..gradcheck import gradgradcheck
from ..graph import Picture, draw
from ..kinds import Array
from ..tensor import Tensor
from ..testing import check_layer
from .exercise import demand

EPS = 1e-5


def check(work: Any) -> str:
    """Values, the paper's closed form of the gradient, and the library's battery for layers."""
    rng = np.random.default_rng(0)
    x, gamma, beta = rng.normal(3.0, 2.0, (6, 3)), rng.normal(size=3), rng.normal(size=3)
    y = work.batch_norm(x, gamma, beta, EPS)
    x_hat, sigma = _normalized(x)
    demand(np.shape(y) == x.shape, "wrong shape", got=np.shape(y), expected=x.shape)
    for name, of, expected in (
        ("the mean of each feature", np.mean, beta),
        ("the standard deviation of each feature", np.std, np.abs(gamma) * np.std(x, axis=0) / sigma),
    ):
        found = of(np.asarray(y), axis=0)
        demand(
            np.allclose(found, expected),
            f"y: {name} is wrong",
            got=np.round(found, 4).tolist(),
            expected=np.round(expected, 4).tolist(),
            fix="the statistics are of each column: axis=0, keepdims=True",
        )
    demand(np.allclose(y, gamma * x_hat + beta), "y differs from the paper's formula", got=np.round(y[0], 4).tolist(),
           expected=np.round(gamma * x_hat + beta, 4)[0].tolist())  # fmt: skip
    small = work.batch_norm(x * 1e-3, gamma, beta, EPS)
    demand(
        np.allclose(small, gamma * _normalized(x * 1e-3)[0] + beta),
        "eps belongs inside the root, added to the variance",
    )
    dy = rng.normal(size=x.shape)
    leaf = Tensor(x, requires_grad=True)
    work.batch_norm(leaf, gamma, beta, EPS).backward(dy)
    g, m = dy * gamma, len(x)
    by_hand = (m * g - g.sum(axis=0) - x_hat * (g * x_hat).sum(axis=0)) / (m * sigma)
    demand(np.allclose(leaf.grad.numpy(), by_hand), "the gradient of x differs from the paper's closed form")
    gradgradcheck(lambda x: work.batch_norm(x, gamma, beta, EPS), x)
    # A batch of one is its own mean, so a row alone is not treated as in a batch: that is Batch Normalization.
    check_layer(
        lambda *leaves: work.batch_norm(*leaves, EPS), x, gamma, beta, batched=(0,), skip="batch of one", quiet=True
    )
    return "values, the paper's closed form of the gradient, second derivatives, and check_layer"


def picture(work: Any) -> Picture:
    """The graph of the four lines on [1, 2, 3, 4], with gradients."""
    x = Tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True, name="x")
    gamma, beta = (Tensor([value], requires_grad=True, name=name) for name, value in (("gamma", 1.0), ("beta", 0.0)))
    y = work.batch_norm(x, gamma, beta)
    y.name = "y"
    note = "expected: y is [-1.342, -0.447, 0.447, 1.342], for gamma = 1 and beta = 0"
    return draw(
        y,
        np.array([[1.0], [0.0], [0.0], [0.0]]),
        title="Your four lines, and the backward pass that follows",
        note=note,
    )


def _normalized(x: Array) -> tuple[Array, Array]:
    sigma = np.sqrt(x.var(axis=0) + EPS)
    return (x - x.mean(axis=0)) / sigma, sigma
