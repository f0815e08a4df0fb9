"""How good a model is on data, without changing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..engine import Variable, no_grad, shape_of
from ..errors import ArgumentError, ShapeError, explain
from ..nn import Module

Metric = Callable[[Any, Any], Any]


def accuracy(scores: Any, target: Any) -> float:
    """The share of rows whose largest score is that of the target.

    Args:
        scores: shape (N, C).
        target: class indices, shape (N,).

    Raises:
        ShapeError: other shapes, or no rows.
    """
    raw = scores.numpy() if isinstance(scores, Variable) else np.asarray(scores)
    labels = target.numpy() if isinstance(target, Variable) else np.asarray(target)
    if raw.ndim != 2 or labels.shape != raw.shape[:1] or not labels.size:
        got = f"scores {raw.shape}, target {labels.shape}"
        raise ShapeError(explain("accuracy: shapes do not fit", got=got, expected="(N, C) and (N,), N at least 1"))
    return float(np.mean(raw.argmax(axis=1) == labels))


def evaluate(model: Module, loader: Iterable[Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Each metric's mean over all rows, in evaluation mode, recording nothing.

    Args:
        model: called on the inputs; afterwards every module is in the mode it was in.
        loader: gives batches ``(*inputs, target)``; at least one.
        metrics: functions of output and target that return a mean over the batch, such as a loss or ``accuracy``.

    Returns:
        One number per metric; batches count by their rows, so that batch sizes do not matter.

    Raises:
        ArgumentError: no metrics, or no batches.
    """
    if not metrics:
        raise ArgumentError(explain("evaluate: nothing to measure", fix="metrics={'accuracy': tg.train.accuracy}"))
    modes = [(module, module.training) for module in model.modules()]
    sums = dict.fromkeys(metrics, 0.0)
    rows = 0
    model.eval()
    try:
        with no_grad():
            for *inputs, target in loader:
                count = rows_of(target)
                output = model(*inputs)
                add_to(sums, metrics, output, target, count)
                rows += count
    finally:
        for module, training in modes:
            module.training = training
    if not rows:
        raise ArgumentError(explain("evaluate: no rows", fix="give a loader with at least one batch"))
    return {name: total / rows for name, total in sums.items()}


def rows_of(target: Any) -> int:
    """How many rows a batch has, by its target."""
    shape = shape_of(target)
    if not shape:
        raise ShapeError(explain("a batch's target has a first axis of rows", got="shape ()"))
    return shape[0]


def add_to(sums: dict[str, float], metrics: Mapping[str, Metric], output: Any, target: Any, count: int) -> None:
    """Add each metric's value for a batch of ``count`` rows to its sum over rows."""
    for name, metric in metrics.items():
        sums[name] += float(metric(output, target)) * count
