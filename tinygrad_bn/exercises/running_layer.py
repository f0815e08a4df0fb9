"""The check of exercise 8: a layer whose running mean is part of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Picture, draw
from ..tensor import Tensor
from ..testing import check_layer
from .exercise import demand


def check(work: Any) -> str:
    """The two formulas, the running mean written out as a sum, and the library's battery for layers."""
    rng = np.random.default_rng(0)
    batches = [rng.normal([3.0, -1.0, 0.5], 2.0, (5, 3)) for _ in range(8)]
    layer = work.RunningCenter(3, momentum=0.2)
    buffers = [name for name, _ in layer.named_buffers()]
    fix = 'self.register_buffer("running_mean", np.zeros(features, np.float32))'
    demand(
        buffers == ["running_mean"], "the running mean is no buffer", got=buffers, expected=["running_mean"], fix=fix
    )
    for batch in batches:
        centered = layer(batch)
        right = np.allclose(_plain(centered), batch - batch.mean(axis=0), atol=1e-6)
        demand(right, "in training, the mean of the batch is subtracted", fix="x - ops.mean(x, axis=0)")
    weights = 0.2 * 0.8 ** np.arange(len(batches))[::-1]
    expected = sum(weight * batch.mean(axis=0) for weight, batch in zip(weights, batches))
    found = _plain(layer.running_mean)
    demand(
        np.allclose(found, expected, atol=1e-5),
        f"the running mean after {len(batches)} batches with momentum 0.2 is wrong",
        got=np.round(found, 4).tolist(),
        expected=np.round(expected, 4).tolist(),
        fix="running_mean += momentum * (mean of the batch - running_mean), in training only",
    )
    evaluated = layer.eval()(batches[0])
    right = np.allclose(_plain(evaluated), batches[0] - expected, atol=1e-5)
    demand(right, "in evaluation, the running mean is subtracted")
    demand(np.array_equal(found, _plain(layer.running_mean)), "evaluation has moved the running mean")
    report = check_layer(work.RunningCenter(3), batches[0], quiet=True)
    passed = sum(check.verdict == "passed" for check in report.checks)
    return f"training and evaluation by their formulas, the running mean as a sum, and {passed} checks of check_layer"


def picture(work: Any) -> Picture:
    """The graph of the layer after one batch, in training mode."""
    layer = work.RunningCenter(2)
    x = Tensor([[1.0, 10.0], [3.0, 30.0]], requires_grad=True, name="x")
    layer(x)
    y = layer(x)
    y.name = "y"
    note = "expected: y is the batch minus its own mean, [[-1, -10], [1, 10]], and a mean stands between x and y"
    return draw(
        y, np.array([[1.0, 0.0], [0.0, 0.0]]), module=layer, title="Your layer in training, second batch", note=note
    )


def _plain(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)
