"""Cutting a dataset into parts at random: for training, for choosing settings, for the final test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import ArgumentError, ShapeError, explain, native
from ..kinds import Array
from ..random import generator
from .dataset import ArrayDataset, Subset, rows_of


def random_split(dataset: Any, lengths: Sequence[float], *, seed: int | None = None, stratify: Any = None) -> list[Any]:
    """Parts that do not overlap and together are everything, as torch.utils.data.random_split.

    Which rows a part has is random; their order is the dataset's.

    >>> train, validation, test = random_split(data, [0.7, 0.15, 0.15], seed=0, stratify=labels)  # doctest: +SKIP

    Args:
        dataset: what to cut: an ``ArrayDataset``, whose parts are such datasets with copies of its rows; or anything with
            a length whose ``dataset[i]`` is one row, whose parts are ``Subset``s.
        lengths: rows of each part, which add up to all; or fractions, which add up to 1 and are rounded down, the rows
            left over going one each to the first parts.
        seed: of the choice, >= 0; by default drawn from the generator that ``tinygrad_bn.manual_seed`` seeds.
        stratify: labels of shape (N,).  In each part each label then has its share of the whole dataset, exact to one
            row in two parts and to two rows in three (in K parts, to ``1 + f (K - 2)`` rows for a part of fraction f).

    Raises:
        ArgumentError: lengths that are negative, do not add up or leave a part empty; a label with fewer rows than
            there are parts.
        ShapeError: labels of another shape.
        DTypeError: something that has no length or no rows, such as a generator.
    """
    count = rows_of(dataset, "random_split")
    if not count:
        raise ArgumentError(explain("random_split: no rows to cut", got=repr(dataset)))
    sizes = _sizes(list(lengths), count)
    if seed is None:
        seed = int(generator().integers(2**63))
    elif not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(explain("random_split: seed is a whole number >= 0", got=repr(seed)))
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    part_of = np.repeat(np.arange(len(sizes)), sizes)
    if stratify is not None:
        labels = _labels(stratify, count, len(sizes))
        order = order[np.argsort(labels[order], kind="stable")]  # label by label, at random within each
        # Row j of the m rows of a part stands at (j + 1/2) / m of the way: every stretch of the way has its share of all.
        along = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
        # Turned by a random amount, as a circle, every row has the same chance to be in a part.
        part_of = np.roll(part_of[np.argsort(along, kind="stable")], rng.integers(count))
    rows = [np.sort(order[part_of == part]) for part in range(len(sizes))]
    if isinstance(dataset, ArrayDataset):
        return [ArrayDataset(*dataset[chosen]) for chosen in rows]
    return [Subset(dataset, chosen) for chosen in rows]


def _sizes(lengths: list[Any], rows: int) -> list[int]:
    numbers = all(isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool) for x in lengths)
    if not lengths or not numbers or not all(0 < x < math.inf for x in lengths):
        raise ArgumentError(explain("random_split: lengths are numbers > 0", got=lengths))
    if all(isinstance(x, (int, np.integer)) for x in lengths):
        sizes = [int(x) for x in lengths]
        if sum(sizes) != rows:
            raise ArgumentError(explain("random_split: lengths add up to all rows", got=sum(sizes), expected=rows))
        return sizes
    if not math.isclose(math.fsum(lengths), 1.0, rel_tol=1e-9):
        raise ArgumentError(explain("random_split: fractions add up to 1", got=math.fsum(lengths)))
    sizes = [math.floor(x * rows) for x in lengths]
    for i in range(rows - sum(sizes)):
        sizes[i] += 1
    if 0 in sizes:
        raise ArgumentError(explain("random_split: a part would be empty", got=f"{sizes} of {rows} rows"))
    return sizes


def _labels(stratify: Any, rows: int, parts: int) -> Array:
    raw = stratify.numpy() if isinstance(stratify, Variable) else np.asarray(native(stratify, "random_split"))
    if raw.shape != (rows,):
        raise ShapeError(explain("random_split: one label per row", got=f"shape {raw.shape}", expected=f"({rows},)"))
    names, labels, counts = np.unique(raw, return_inverse=True, return_counts=True)
    if counts.min() < parts:
        rare = counts.argmin()
        got = f"label {names[rare]} has {counts[rare]}"
        raise ArgumentError(explain(f"random_split: each label needs {parts} rows, one per part", got=got))
    return labels
