"""The check of exercise 3: the rule of a maximum over rows, away from ties and at them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..graph import Picture
from ..tensor import Tensor
from ..testing import check_primitive
from .exercise import demand, with_gradients

TIED = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 4.0], [7.0, 7.0, 7.0]])


def check(work: Any) -> str:
    """The library's battery where nothing ties, the convention where something does."""
    rng = np.random.default_rng(0)
    samples = [rng.permutation(np.arange(3.0 * rows)).reshape(rows, 3) / 7 for rows in (3, 4)]
    report = check_primitive(work.row_max, samples, quiet=True, skip=("one and none", "other samples"))
    x = Tensor(TIED, requires_grad=True)
    g = np.array([1.0, 2.0, 3.0])
    work.row_max(x).backward(g)
    expected = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    demand(
        np.allclose(x.grad.numpy(), expected),
        "where a row has its largest number more than once, the gradient is not shared equally",
        got=x.grad.numpy().tolist(),
        expected=f"{expected.tolist()}, for x = {TIED.tolist()} and g = {g.tolist()}",
        fix="divide by the number of those that tie",
    )
    passed = sum(found.verdict == "passed" for found in report.checks)
    return f"{passed} checks of check_primitive, and the convention for ties"


def picture(work: Any) -> Picture:
    """The maximum of three rows, two of which tie."""
    x = Tensor(TIED, requires_grad=True, name="x")
    loss = ops.sum(work.row_max(x) * np.array([1.0, 2.0, 3.0]))
    note = "expected: the gradient of x is [0, 1, 0] in the first row, [1, 1, 0] in the second, [1, 1, 1] in the third"
    return with_gradients(loss, "The largest of each row, and who gets its gradient", note)
