"""The two tables of borrowers, split at random and standardized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ...datasets import GERMAN, TAIWAN, DataFile, load_german_credit, load_taiwan_credit
from ...datasets.credit import Table
from ...lab.measure.copies import Array
from ...lab.measure.part import Settings

PROBE = 2000  # training rows that the training loss is measured on, at most


@dataclass(frozen=True)
class Lender:
    """A table, and how it is used.

    Attributes:
        name: of the table.
        title: in a few words.
        file: of the data.
        load: gives the table.
        rows: how many to train on, to choose by, and to test on; they are all rows.
        splits: how many for each seed asked for.
        tuning: how many splits learning rates are chosen on, none of which is reported.
        batch: rows of a mini-batch.
        evaluations: steps after which the networks are evaluated, the last one ending the training.
    """

    name: str
    title: str
    file: DataFile
    load: Callable[..., Table]
    rows: tuple[int, int, int]
    splits: int
    tuning: int
    batch: int
    evaluations: tuple[int, ...]

    def seeds(self, settings: Settings) -> list[int]:
        """The seeds to report: of the split, the initial weights and the batches."""
        return list(settings.more_seeds(self.splits))

    def tuning_seeds(self, settings: Settings) -> list[int]:
        """The seeds that learning rates are chosen with."""
        return list(settings.tuning_seeds(self.tuning))


TAIWAN_CARDS = Lender(
    "taiwan", "Taiwan, 30,000 rows", TAIWAN, load_taiwan_credit, (20_000, 4_000, 6_000), 1, 3, 128,
    (*range(5, 200, 5), *range(200, 1201, 20)),
)  # fmt: skip
GERMAN_LOANS = Lender(
    "german", "Germany, 1,000 rows", GERMAN, load_german_credit, (600, 200, 200), 3, 8, 50,
    (*range(3, 120, 3), *range(120, 481, 6)),
)  # fmt: skip
LENDERS = {lender.name: lender for lender in (TAIWAN_CARDS, GERMAN_LOANS)}


@dataclass(frozen=True)
class Rows:
    """The same part of several splits: x (S, N, F), float32 and standardized; y (S, N), 1 where the loan went bad."""

    x: Array
    y: Array


@dataclass(frozen=True)
class Splits:
    """Several random splits of one table."""

    train: Rows
    validation: Rows
    test: Rows
    left_out: tuple[str, ...]


@cache
def whole(lender: str, sensitive: bool) -> Table:
    """The table, read once."""
    return LENDERS[lender].load(sensitive=sensitive)


def split(lender: Lender, seeds: Sequence[int], sensitive: bool) -> Splits:
    """One random split a seed; a column has mean 0 and deviation 1 over the split's own training rows."""
    table = whole(lender.name, sensitive)
    ends = np.cumsum(lender.rows)
    if ends[-1] != len(table):
        raise ValueError(f"split: {lender.rows} rows of {len(table)}")
    order = np.stack([np.random.default_rng([seed, 2]).permutation(len(table)) for seed in seeds])
    parts = np.split(order, ends[:-1], axis=1)
    known = table.x[parts[0]].astype(np.float64)
    mean, deviation = known.mean(axis=1, keepdims=True), known.std(axis=1, keepdims=True)
    deviation[deviation == 0] = 1.0  # a code that none of the training rows has
    train, validation, test = (
        Rows(((table.x[rows] - mean) / deviation).astype(np.float32), table.y[rows]) for rows in parts
    )
    return Splits(train, validation, test, table.left_out)
