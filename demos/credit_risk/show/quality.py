"""How good the scores are on rows that nothing was fitted to or chosen by, and what the differences are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.part import Measured
from ..measure.networks import NETS, Net
from ..measure.tables import LENDERS, Lender

MEASURES = {"auc": "AUC", "accuracy": "accuracy"}
PLACES = {"taiwan": "Taiwan", "german": "German"}  # what a lender's networks are called by


@dataclass(frozen=True)
class Difference:
    """Paired differences, one per split, of a measure on unseen rows.

    Attributes:
        values: per split.
        overlap: test rows by the other rows of a split.
    """

    values: Sequence[float]
    overlap: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def half(self) -> float:
        """Half the width of Student's 95 % interval, as if the splits had nothing in common."""
        return statistics.mean_interval(self.values)[1]

    @property
    def wide(self) -> float:
        """The same, for splits of one table, which share most of their rows.

        Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52 (2003), section 3: of J splits the
        variance of the mean is taken as (1/J + test rows / other rows) times that of one, instead of 1/J times.
        """
        return self.half * math.sqrt(1 + len(self.values) * self.overlap)

    @property
    def above(self) -> bool:
        """Whether Student's interval is above 0."""
        return self.mean - self.half > 0

    @property
    def surely(self) -> bool:
        """Whether the wide one is, too."""
        return self.mean - self.wide > 0

    def text(self, wide: bool = True) -> str:
        """``+0.0062 ± 0.0034 (± 0.0051)``: mean, and half the width of both intervals, or of Student's alone."""
        return f"{self.mean:+.4f} ± {self.half:.4f}" + (f" (± {self.wide:.4f})" if wide else "")


def overlap(lender: Lender) -> float:
    """Test rows by the rows that the model was fitted to and chosen by."""
    return lender.rows[2] / (lender.rows[0] + lender.rows[1])


def difference(measured: Measured, net: Net, measure: str, logistic: bool = False) -> Difference:
    """With Batch Normalization minus without, or minus logistic regression."""
    part = measured[net.name]
    other = measured[f"{net.lender}_logistic"] if logistic else part["plain"]
    values = [b - a for a, b in zip(other["test"][measure], part["bn"]["test"][measure])]
    return Difference(values, overlap(LENDERS[net.lender]))


def averaged(measured: Measured, lender: str, measure: str, logistic: bool = False) -> Difference | None:
    """The same, the mean over the default networks of a table, split by split; ``None`` if none was trained."""
    nets = [net for net in NETS if net.lender == lender and not net.full and net.name in measured]
    if not nets:
        return None
    values = np.mean([difference(measured, net, measure, logistic).values for net in nets], axis=0)
    return Difference(values.tolist(), overlap(LENDERS[lender]))
