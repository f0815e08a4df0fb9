"""The check of exercise 2: what broadcasting did is undone, as the transpose of broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine import Primitive
from ..graph import Picture
from ..tensor import Tensor
from ..testing import check_primitive
from .exercise import demand, with_gradients

STRETCHED = (2, 3, 4)
SHAPES = ((2, 3, 4), (3, 4), (4,), (), (1,), (2, 1, 4), (2, 3, 1), (1, 1, 1), (3, 1), (1, 4), (1, 1))


def check(work: Any) -> str:
    """Shapes, the equation that defines a transpose, and a primitive that uses it."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x, g = rng.normal(size=shape), rng.normal(size=STRETCHED)
        undone = work.unbroadcast(g, shape)
        what = f"an argument of shape {shape}, stretched to {STRETCHED}"
        demand(np.shape(undone) == shape, f"{what}: wrong shape", got=np.shape(undone), expected=shape,
               fix="sum over the axes that were added and over those of length 1, and keep the latter")  # fmt: skip
        left, right = float(np.sum(undone * x)), float(np.sum(g * np.broadcast_to(x, STRETCHED)))
        demand(
            bool(np.isclose(left, right)),
            f"{what}: wrong numbers",
            got=f"sum(unbroadcast(g) * x) = {left:.6g}",
            expected=f"sum(g * stretched x) = {right:.6g}",
            fix="each number of x collects the cotangents of all places it was copied to",
        )
    for shape in ((0, 3), (1, 3)):
        demand(
            np.shape(work.unbroadcast(np.zeros((0, 3)), shape)) == shape, f"an empty batch, shape {shape}: wrong shape"
        )
    for shape in SHAPES[1:6]:
        check_primitive(_stretch(work), [rng.normal(size=shape)], quiet=True, skip=CHANGED_SHAPES, shape=STRETCHED)
    return f"{len(SHAPES)} shapes, an empty batch, and first and second derivatives of a primitive that uses it"


# These checks try other shapes of x, which cannot all be stretched to the same one.
CHANGED_SHAPES = ("one and none", "other samples")


def picture(work: Any) -> Picture:
    """A column stretched to a table, with the gradient that follows."""
    x = Tensor([[1.0], [2.0]], requires_grad=True, name="x")
    weights = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    loss = ops.sum(weights * _stretch(work)(x, shape=(2, 3)))
    note = (
        "the first number of x stands in three places, with gradients 1, 2 and 3: its gradient is 6, the other one's 60"
    )
    return with_gradients(loss, "A column is stretched; what is its gradient?", note)


def _stretch(work: Any) -> Primitive:
    return Primitive(
        "stretch",
        lambda x, shape: np.broadcast_to(x, shape).copy(),
        lambda g, out, x, shape: work.unbroadcast(g, np.shape(x)),
        notation="stretch {0}",
    )
