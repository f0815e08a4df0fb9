"""When a network has converged, by several definitions, and what Batch Normalization saves by each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ...lab.measure import statistics
from ...lab.measure.arms import ARMS
from ...lab.measure.part import Measured
from ...lab.show import evidence
from ...lab.show.evidence import Case
from ..measure.networks import NETS, Net
from .quality import PLACES

CLAIMED = 0.30  # 30 % faster, read as 30 % less
JUST = CLAIMED - 1e-9  # exactly 30 % is 30 %
AUC_LEVELS = (0.75, 0.76, 0.77)

DEFINITIONS = {
    "A": "the network's own lowest validation log-loss",
    "B": "validation log-loss at most 1.02 x logistic regression's",
    "C": "training log-loss at most 0.95 x logistic regression's",
    "D": "the plain network's lowest validation log-loss",
}
SHORT = {"A": "its lowest loss", "B": "logistic's loss", "C": "low training loss", "D": "plain's lowest loss"}


@dataclass(frozen=True)
class Race:
    """Steps to convergence by one definition, per split, without and with Batch Normalization; ``None`` for never.

    Attributes:
        ratio: CPU time of a step with Batch Normalization, by that of a step without.
        seconds: CPU time of a step, without and with it.
        compiled: the ratio of compiled steps; ``None`` if that was not measured.
    """

    net: Net
    definition: str
    plain: list[int | None]
    bn: list[int | None]
    ratio: float
    seconds: tuple[float, float]
    compiled: float | None = None

    @cached_property
    def saved(self) -> float | None:
        """The share of steps saved."""
        return statistics.saved(self.plain, self.bn)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        return statistics.saved_interval(self.plain, self.bn)

    def cpu(self, share: float) -> float:
        """The share of CPU time saved where this share of steps is: each step costs ``ratio`` times as much."""
        return 1 - self.ratio * (1 - share)

    @property
    def never(self) -> bool:
        """Whether the plain network gets there (its median does) and the one with Batch Normalization does not."""
        return statistics.lower_median(self.plain) is not None and statistics.lower_median(self.bn) is None

    def case(self, cpu: bool = False) -> Case:
        """What is saved, and what that says of 30 %; a network that alone gets there decides it."""
        after = [None if steps is None else steps * (self.ratio if cpu else 1.0) for steps in self.bn]
        found = evidence.of_saved(
            f"for {self.net.title} on {PLACES[self.net.lender]}'s table", self.plain, after, border=JUST,
            detail=f"({SHORT.get(self.definition, self.definition)})",
        )  # fmt: skip
        return replace(found, settled="no") if self.never else found


def first_below(steps: list[int], losses: list[float], level: float) -> int | None:
    """The step of the first evaluation at or below ``level``, or ``None``."""
    return statistics.first_at(steps, [-loss for loss in losses], -level)


def races(net: Net, part: Mapping[str, Any], logistic: Mapping[str, Any], cost: Mapping[str, Any]) -> Iterator[Race]:
    """One race for each definition; for the large table also to levels of validation AUC."""
    steps = part["steps"]
    compiled = cost["compiled"]["bn"]["ratio"] if "compiled" in cost else None  # earlier results have none
    price = (cost["bn"]["ratio"], (cost["plain"]["seconds"], cost["bn"]["seconds"]), compiled)

    def by_loss(curve: str, levels: list[list[float]]) -> list[list[int | None]]:
        return [
            [first_below(steps, losses, level) for losses, level in zip(part[arm][curve], arm_levels)]
            for arm, arm_levels in zip(ARMS, levels)
        ]

    lowest = [[min(losses) for losses in part[arm]["validation"]] for arm in ARMS]
    levels = {
        "A": ("validation", lowest),
        "B": ("validation", [[1.02 * loss for loss in logistic["validation"]]] * 2),
        "C": ("train", [[0.95 * loss for loss in logistic["train"]]] * 2),
        "D": ("validation", [lowest[0]] * 2),
    }
    for definition, (curve, wanted) in levels.items():
        plain, bn = by_loss(curve, wanted)
        yield Race(net, definition, plain, bn, *price)
    if net.lender == "taiwan":
        for level in AUC_LEVELS:
            plain, bn = (
                [statistics.first_at(steps, curve, level) for curve in part[arm]["validation_auc"]] for arm in ARMS
            )
            yield Race(net, f"AUC {level:.2f}", plain, bn, *price)


def all_races(measured: Measured) -> list[Race]:
    """Those of every network that was trained."""
    return [
        race
        for net in NETS
        if net.name in measured
        for race in races(net, measured[net.name], measured[f"{net.lender}_logistic"], measured["costs"][net.name])
    ]
