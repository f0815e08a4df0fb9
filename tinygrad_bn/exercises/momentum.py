"""The check of exercise 5: running statistics after many batches, against their sum written out, and the library's layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kinds import Array
from ..nn import BatchNorm1d
from .exercise import demand
from .plots import Plot


def check(work: Any) -> str:
    """A weighted sum over all batches, for some momenta; then the same as in ``nn.BatchNorm1d``."""
    for momentum in (0.1, 0.01, 1.0):
        batches = _batches(20)
        mean, var = _moved(work, batches, momentum)[-1]
        weights = momentum * (1 - momentum) ** np.arange(len(batches))[::-1]
        start = (1 - momentum) ** len(batches)
        for name, found, expected, hint in (
            ("mean", mean, sum(w * b.mean(axis=0) for w, b in zip(weights, batches)),
             "momentum is the weight of the new batch; 1 - momentum that of what was there"),
            ("variance", var, start + sum(w * b.var(axis=0, ddof=1) for w, b in zip(weights, batches)),
             "the same weights; and the unbiased variance, divided by n - 1"),
        ):  # fmt: skip
            demand(
                np.allclose(found, expected),
                f"the running {name} after 20 batches with momentum {momentum} is wrong",
                got=np.round(found, 4).tolist(),
                expected=np.round(expected, 4).tolist(),
                fix=hint,
            )
    layer = BatchNorm1d(2, dtype=float)
    for batch in _batches(20):
        layer(batch)
    mean, var = _moved(work, _batches(20), 0.1)[-1]
    kept = dict(layer.named_buffers())
    same = np.allclose(mean, kept["running_mean"].numpy()) and np.allclose(var, kept["running_var"].numpy())
    demand(same, "nn.BatchNorm1d has other running statistics after the same batches")
    return "20 batches with three momenta, written out as a sum, and nn.BatchNorm1d"


def picture(work: Any) -> Plot:
    """The running mean of one feature, batch by batch, beside that of the library's layer."""
    batches = _batches(60)
    layer = BatchNorm1d(2, dtype=float)
    right = []
    for batch in batches:
        layer(batch)
        right.append(dict(layer.named_buffers())["running_mean"].numpy()[0])
    yours = [mean[0] for mean, _ in _moved(work, batches, 0.1)]
    curves = [("nn.BatchNorm1d", np.array(right)), ("your update", np.array(yours))]
    title = "A running mean is a smooth estimate of the mean, which is 3 here"
    return Plot(title, "batch of 8 rows", "running mean", curves)


def _moved(work: Any, batches: list[Array], momentum: float) -> list[tuple[Array, Array]]:
    mean, var = np.zeros(2), np.ones(2)
    moved = []
    for batch in batches:
        mean, var = work.update(mean, var, batch, momentum)
        moved.append((np.array(mean), np.array(var)))
    return moved


def _batches(count: int) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.normal([3.0, -1.0], [2.0, 0.5], (8, 2)) for _ in range(count)]
