"""Convolution and pooling: forward, then backward to input and parameters, from a random cotangent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_bn import Tensor, functional

from .peers import NOT_INSTALLED, pytorch
from .report import Table, tabulate
from .timing import Contestant, Numbers, assert_same, interleave, repeat

Array = np.ndarray[Any, Any]

OURS = "tinygrad_bn, composed"
EAGER = "PyTorch eager"


def contestant(name: str, work: Callable[[], tuple[Any, ...]]) -> Contestant:
    """``work`` returns the output and the gradients of its leaves."""

    def numbers() -> Numbers:
        y, *gradients = work()
        return {"y": y, **{f"gradient {i}": gradient for i, gradient in enumerate(gradients)}}

    return Contestant(name, repeat(work, 1), numbers)


def ours(layer: Callable[..., Any], arrays: list[Array], cotangent: Array) -> Contestant:
    leaves = [Tensor(array, requires_grad=True) for array in arrays]
    seed = Tensor(cotangent)

    def work() -> tuple[Any, ...]:
        for leaf in leaves:
            leaf.grad = None
        y = layer(functional, *leaves)
        y.backward(seed)
        return y.data, *(leaf.grad.data for leaf in leaves)

    return contestant(OURS, work)


def eager(layer: Callable[..., Any], arrays: list[Array], cotangent: Array) -> Contestant:
    torch = pytorch()
    assert torch is not None
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    seed = torch.tensor(cotangent)

    def work() -> tuple[Any, ...]:
        for leaf in leaves:
            leaf.grad = None
        y = layer(torch.nn.functional, *leaves)
        y.backward(seed)
        return y.detach(), *(leaf.grad for leaf in leaves)

    return contestant(EAGER, work)


# Both libraries have these functions under PyTorch's names.
LAYERS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "conv2d 3x3, 8 to 16 channels, (32, 8, 28, 28)": (
        lambda lib, x, w, b: lib.conv2d(x, w, b, padding=1), ((32, 8, 28, 28), (16, 8, 3, 3), (16,))
    ),
    "conv2d 5x5 stride 2, 1 to 12 channels, (64, 1, 28, 28)": (
        lambda lib, x, w, b: lib.conv2d(x, w, b, stride=2, padding=2), ((64, 1, 28, 28), (12, 1, 5, 5), (12,))
    ),
    "max_pool2d 2, (32, 16, 28, 28)": (lambda lib, x: lib.max_pool2d(x, 2), ((32, 16, 28, 28),)),
    "avg_pool2d 2, (32, 16, 28, 28)": (lambda lib, x: lib.avg_pool2d(x, 2), ((32, 16, 28, 28),)),
}  # fmt: skip


def run(quick: bool) -> list[Table]:
    """Time each layer."""
    tables = []
    for title, (layer, shapes) in LAYERS.items():
        rounds, warmup = (2, 1) if quick else (60, 5)
        rng = np.random.default_rng(0)
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        cotangent = rng.normal(size=layer(functional, *map(Tensor, arrays)).shape).astype(np.float32)
        contestants, absent = [ours(layer, arrays, cotangent)], {}
        if pytorch() is None:
            absent[EAGER] = NOT_INSTALLED
        else:
            contestants.append(eager(layer, arrays, cotangent))
        worst = assert_same(contestants, rtol=1e-3)
        rows = tabulate(interleave(contestants, rounds, warmup), [])
        tables.append(
            Table(f"{title}, forward and backward, float32", "per pass", rows, absent, worst, [f"{rounds} rounds"])
        )
    return tables
