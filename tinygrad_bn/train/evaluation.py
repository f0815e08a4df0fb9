"""How good a model is on data, without changing it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .. import parallel
from ..engine import Variable, no_grad, shape_of
from ..engine.mode import closing
from ..errors import ArgumentError, DTypeError, ShapeError, explain
from ..nn import Module

Metric = Callable[[Any, Any], Any]


def accuracy(scores: Any, target: Any) -> float:
    """The share of rows whose largest score is that of the target.

    Args:
        scores: shape (N, C), C at least 2.
        target: class indices from 0 to C - 1, shape (N,).

    Returns:
        The share; NaN if any score is NaN, because such a row has no largest score.

    Raises:
        ShapeError: other shapes, or no rows. A single score per row does not choose between classes.
        DTypeError: targets that are not whole numbers.
        ArgumentError: a target that no class has.
    """
    raw = scores.numpy() if isinstance(scores, Variable) else np.asarray(scores)
    labels = target.numpy() if isinstance(target, Variable) else np.asarray(target)
    if raw.ndim != 2 or labels.shape != raw.shape[:1] or not labels.size:
        got = f"scores {raw.shape}, target {labels.shape}"
        raise ShapeError(explain("accuracy: shapes do not fit", got=got, expected="(N, C) and (N,), N at least 1"))
    if raw.shape[1] < 2:
        what = "accuracy: scores of at least two classes"
        fix = "for one score per row: lambda scores, target: np.mean((scores.numpy()[:, 0] > 0) == target)"
        raise ShapeError(explain(what, got=f"scores {raw.shape}", expected="(N, C) with C at least 2", fix=fix))
    if labels.dtype.kind not in "iub":
        what, got = "accuracy: targets are the numbers of classes, whole ones", f"dtype {labels.dtype}"
        raise DTypeError(explain(what, got=got, fix="target.astype(int), if they are whole"))
    if labels.min() < 0 or labels.max() >= raw.shape[1]:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        fix = "leave out the rows that have no class: accuracy(scores[target >= 0], target[target >= 0])"
        expected = f"0 to {raw.shape[1] - 1}, as there are {raw.shape[1]} scores per row"
        raise ArgumentError(explain("accuracy: no such class", got=wrong, expected=expected, fix=fix))
    if np.isnan(raw).any():
        return math.nan
    return float(np.mean(raw.argmax(axis=1) == labels))


@closing
def evaluate(model: Module, loader: Iterable[Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Each metric's mean over all rows, in evaluation mode, recording nothing.

    Args:
        model: called on the inputs; afterwards every module is in the mode it was in.
        loader: gives batches ``(*inputs, target)``; at least one.  The rows of a ``parallel.DataLoader`` are those of all
            ranks, and so are the means.
        metrics: functions of output and target that return a mean over the batch, such as a loss or ``accuracy``.

    Returns:
        One number per metric; batches count by their rows, so that batch sizes do not matter.

    Raises:
        ArgumentError: no metrics, or no batches.
    """
    return evaluated(model, loader, metrics, isinstance(loader, parallel.DataLoader))


def evaluated(model: Module, batches: Iterable[Any], metrics: Mapping[str, Metric], split: bool) -> dict[str, float]:
    """``evaluate``, on batches that are split over ranks or not."""
    if not metrics:
        raise ArgumentError(explain("evaluate: nothing to measure", fix="metrics={'accuracy': tg.train.accuracy}"))
    modes = [(module, module.training) for module in model.modules()]
    sums = dict.fromkeys(metrics, 0.0)
    rows: float = 0
    model.eval()
    try:
        with no_grad():
            for batch in batches:
                inputs, target, count = parts_of(batch, split)
                output = model(*inputs)
                for name, value in measured(metrics, output, target, count).items():
                    sums[name] += value * count
                rows += count
    finally:
        for module, training in modes:
            module.training = training
    if split:
        sums, rows = over_ranks(sums, rows)
    if not rows:
        raise ArgumentError(explain("evaluate: no rows", fix="give a loader with at least one batch"))
    return {name: total / rows for name, total in sums.items()}


def over_ranks(sums: Mapping[str, float], rows: float) -> tuple[dict[str, float], float]:
    """The sums of all ranks, and their rows, in one exchange."""
    *found, total = parallel.all_reduce(np.array([*sums.values(), rows], np.float64)).tolist()
    return dict(zip(sums, found)), total


def parts_of(batch: Any, split: bool = False) -> tuple[list[Any], Any, int]:
    """Inputs, target, and how many rows the batch has by its target; 0 only where it is one rank's share.

    Raises:
        ShapeError: something else than ``(*inputs, target)``, or no rows.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        fix = "a dataset of (input, target), or a collate_fn that gives such a tuple"
        raise ShapeError(explain("a batch is (*inputs, target)", got=got, fix=fix))
    *inputs, target = batch
    shape = shape_of(target) if isinstance(target, Variable) else np.shape(target)
    if not shape or not (shape[0] or split):
        raise ShapeError(explain("a batch's target has a first axis of rows", got=f"shape {shape}"))
    return inputs, target, int(shape[0])


def measured(metrics: Mapping[str, Metric], output: Any, target: Any, rows: int = 1) -> dict[str, float]:
    """Each metric's value for a batch; 0 for one without rows, which counts nothing.

    Raises:
        ShapeError: a metric that gives something else than one number.
    """
    found: dict[str, float] = {}
    if not rows:
        return dict.fromkeys(metrics, 0.0)
    for name, metric in metrics.items():
        value = metric(output, target)
        raw = value.numpy() if isinstance(value, Variable) else np.asarray(value)
        if raw.size != 1 or raw.dtype.kind not in "fiub":
            got = f"shape {raw.shape}" if raw.dtype.kind in "fiub" else type(value).__name__
            raise ShapeError(explain(f"metric {name!r} gives one number for a batch, a mean over its rows", got=got))
        found[name] = float(raw.reshape(()))
    return found
