"""Batch Normalization alone: forward, then backward to input, scale and shift, from a random cotangent.

No running statistics on any side.  The hand-written contestant is the closed form that a library would otherwise ship
as the layer's own backward pass (arXiv:1502.03167, section 3, simplified as in every textbook).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_bn import Tensor, functional
from tinygrad_bn.compiler import compile as compiled
from tinygrad_bn.compiler.c.build import available

from .peers import NOT_INSTALLED, hips, pytorch
from .report import Goal, Table, tabulate
from .timing import Contestant, Numbers, assert_same, interleave, repeat

Array = np.ndarray[Any, Any]

SHAPES = ((32, 16), (60, 100), (64, 512))
EPS = 1e-5
OURS = "tinygrad_bn, composed"
IN_C = "tinygrad_bn, compiled to C"
IN_NUMPY = "tinygrad_bn, compiled to NumPy"
NO_COMPILER = "there is no C compiler"
COMPOSED = "PyTorch eager, composed"
FUSED = "PyTorch eager, fused"
BY_HAND = "NumPy, closed form by hand"
HIPS = "HIPS/autograd, composed"
SIDES = {
    OURS: (Goal(COMPOSED, 0.9), Goal(BY_HAND, 2.0)),
    IN_C: (Goal(BY_HAND, 0.2),),
    IN_NUMPY: (Goal(BY_HAND, 1.0),),
}
OTHERS = (BY_HAND, FUSED, COMPOSED, HIPS)


def contestant(name: str, work: Callable[[], tuple[Any, Any, Any, Any]], inner: int) -> Contestant:
    """``work`` returns the output and the gradients of input, scale and shift, as this library has them."""

    def numbers() -> Numbers:
        found = [value.numpy() if isinstance(value, Tensor) else value for value in work()]
        return dict(zip(("y", "gradient of x", "gradient of weight", "gradient of bias"), found))

    return Contestant(name, repeat(work, inner), numbers)


def ours(
    name: str, x: Array, weight: Array, bias: Array, cotangent: Array, inner: int, *, backend: str | None = None
) -> Contestant:
    leaves = [Tensor(array, requires_grad=True) for array in (x, weight, bias)]
    seed = Tensor(cotangent)

    def forward_and_backward(seed: Any) -> Any:
        for leaf in leaves:
            leaf.grad = None
        y = functional.batch_norm(leaves[0], weight=leaves[1], bias=leaves[2], training=True, eps=EPS)
        y.backward(seed)
        return y

    run = forward_and_backward if backend is None else compiled(forward_and_backward, backend=backend)

    def work() -> tuple[Any, Any, Any, Any]:
        y = run(seed)
        return y, *(leaf.grad for leaf in leaves)

    return contestant(name, work, inner)


def torch_layer(
    name: str, x: Array, weight: Array, bias: Array, cotangent: Array, inner: int, *, composed: bool
) -> Contestant:
    torch = pytorch()
    assert torch is not None
    leaves = [torch.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    seed = torch.tensor(cotangent)

    def from_primitives(x: Any, weight: Any, bias: Any) -> Any:
        mean = x.mean(0)
        centered = x - mean
        variance = (centered * centered).mean(0)
        return weight * (centered / torch.sqrt(variance + EPS)) + bias

    def fused(x: Any, weight: Any, bias: Any) -> Any:
        return torch.nn.functional.batch_norm(x, None, None, weight, bias, True, 0.1, EPS)

    layer = from_primitives if composed else fused

    def work() -> tuple[Any, Any, Any, Any]:
        for leaf in leaves:
            leaf.grad = None
        y = layer(*leaves)
        y.backward(seed)
        return y.detach(), *(leaf.grad for leaf in leaves)

    return contestant(name, work, inner)


def by_hand(x: Array, weight: Array, bias: Array, cotangent: Array, inner: int) -> Contestant:
    n = len(x)

    def work() -> tuple[Any, Any, Any, Any]:
        centered = x - np.add.reduce(x) / n
        inverse = 1.0 / np.sqrt(np.add.reduce(centered * centered) / n + EPS)
        x_hat = centered * inverse
        y = weight * x_hat + bias
        for_bias = np.add.reduce(cotangent)
        for_weight = np.add.reduce(cotangent * x_hat)
        for_x = (weight * inverse / n) * (n * cotangent - for_bias - x_hat * for_weight)
        return y, for_x, for_weight, for_bias

    return contestant(BY_HAND, work, inner)


def hips_layer(x: Array, weight: Array, bias: Array, cotangent: Array, inner: int) -> Contestant:
    autograd = hips()
    assert autograd is not None
    anp, make_vjp = autograd.numpy, autograd.core.make_vjp

    def layer(leaves: Any) -> Any:
        x, weight, bias = leaves
        mean = anp.mean(x, axis=0)
        centered = x - mean
        variance = anp.mean(centered * centered, axis=0)
        return weight * (centered / anp.sqrt(variance + EPS)) + bias

    def work() -> tuple[Any, Any, Any, Any]:
        pull_back, y = make_vjp(layer, (x, weight, bias))
        return y, *pull_back(cotangent)

    return contestant(HIPS, work, inner)


def run(quick: bool) -> list[Table]:
    """Time the layer at each shape."""
    tables = []
    for shape in SHAPES:
        rounds, warmup, inner = (2, 1, 1) if quick else (150, 10, 40)
        rng = np.random.default_rng(0)
        x = rng.normal(1.0, 2.0, shape).astype(np.float32)
        weight, bias = rng.uniform(0.5, 1.5, (2, shape[1])).astype(np.float32)
        case = (x, weight, bias, rng.normal(size=shape).astype(np.float32), inner)
        contestants, absent = [ours(OURS, *case), ours(IN_NUMPY, *case, backend="numpy"), by_hand(*case)], {}
        if available():
            contestants.append(ours(IN_C, *case, backend="c"))
        else:
            absent[IN_C] = NO_COMPILER
        if pytorch() is None:
            absent |= dict.fromkeys((COMPOSED, FUSED), NOT_INSTALLED)
        else:
            contestants += [torch_layer(COMPOSED, *case, composed=True), torch_layer(FUSED, *case, composed=False)]
        if hips() is None:
            absent[HIPS] = NOT_INSTALLED
        else:
            contestants.append(hips_layer(*case))
        worst = assert_same(contestants, rtol=1e-4)
        measured = interleave(contestants, rounds, warmup)
        notes = [f"{rounds} rounds of {inner} passes each"]
        for name, goals in SIDES.items():
            if name not in absent:
                rows = tabulate(measured, goals, [name, *(side for side in SIDES if side != name), *OTHERS])
                title = f"Batch Normalization, forward and backward, {shape}, float32: {name}"
                tables.append(Table(title, "per pass", rows, absent, worst, notes))
    return tables
