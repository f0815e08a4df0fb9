"""The check of exercise 9: a rule written by hand against the one that follows from four lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine import Primitive
from ..functional import batch_norm
from ..graph import Picture, draw
from ..tensor import Tensor
from ..testing import check_primitive
from ..transforms import hvp, vjp
from .exercise import demand

EPS = 1e-5


def check(work: Any) -> str:
    """Value, gradient and second derivative beside the composed formula; then the library's battery."""
    rng = np.random.default_rng(0)
    x, g, direction = rng.normal(3.0, 2.0, (6, 3)), rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    fused: Primitive = work.fused

    def by_hand(x: Any) -> Any:
        return fused(x, eps=EPS)

    def composed(x: Any) -> Any:
        return batch_norm(x, training=True, eps=EPS)

    (value, pull), (right_value, right_pull) = vjp(by_hand, x), vjp(composed, x)
    demand(np.allclose(value, right_value), "the forward differs from functional.batch_norm")
    for what, found, expected in (
        ("gradient", pull(g)[0], right_pull(g)[0]),
        ("second derivative, in a random direction,", *(_second(f, x, g, direction) for f in (by_hand, composed))),
    ):
        gap = float(np.abs(found - expected).max())
        demand(
            gap < 1e-9,
            f"the {what} differs from that of the composed formula",
            got=np.round(found[0], 4).tolist(),
            expected=np.round(expected[0], 4).tolist(),
            fix="x reaches the result in three ways: itself, through the mean, and through the variance",
        )
    report = check_primitive(fused, [x], quiet=True, skip=("one and none", "other samples"), eps=EPS)
    passed = sum(check.verdict == "passed" for check in report.checks)
    return f"value, gradient and second derivative beside the composed formula, and {passed} checks of check_primitive"


def _second(function: Any, x: Any, g: Any, direction: Any) -> Any:
    return hvp(lambda x: ops.sum(function(x) * g), (x,), (direction,))[0]


def picture(work: Any) -> Picture:
    """The backward pass of the composed formula, reduced by laws: what the rule has to compute."""
    x = Tensor(np.array([[1.0], [2.0], [3.0], [4.0]]), requires_grad=True, name="x")
    dy = np.array([[1.0], [0.0], [0.0], [0.0]])
    yours = np.round(vjp(lambda x: work.fused(x, eps=EPS), x.numpy())[1](dy)[0].ravel(), 4).tolist()
    note = f"your rule gives {yours} for ∂x, with the first output as the loss; the last box shows what is right"
    y = batch_norm(x, training=True, eps=EPS)
    return draw(y, dy, view="reduced", title="What the engine derives from four lines", note=note)
