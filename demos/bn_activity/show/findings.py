"""What the measurements say, as numbers; and the rules by which claims hold or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.part import Measured
from ...lab.measure.statistics import Steps
from ...lab.show import texts


@dataclass(frozen=True)
class Share:
    """A share saved, and its 95 % interval where there is one.

    Attributes:
        least: whether the plain network's median did not get there, so that more was saved than ``value``.
    """

    value: float
    low: float | None
    high: float | None
    least: bool

    @property
    def clear(self) -> bool:
        """Whether something was saved, beyond chance."""
        return self.low is not None and self.low > 0

    def __str__(self) -> str:
        bounds = "" if self.low is None or self.high is None else f" [{100 * self.low:.0f}, {100 * self.high:.0f}]"
        return f"{'>= ' if self.least else ''}{100 * self.value:.0f} %{bounds}"


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        data: what was measured, see ``training.compare``.
        seconds: CPU seconds of a step by arm, and BN's ``ratio``, eager and ``compiled``; ``None`` if not measured.
    """

    data: Mapping[str, Any]
    seconds: Mapping[str, Any] | None

    @property
    def label(self) -> str:
        label: str = self.data["label"]
        return label

    @property
    def place(self) -> str:
        """The label as the end of a sentence: ``on digits with weights from N(0, 0.1)``."""
        data, _, special = self.label.partition(" ")
        if special.endswith("images"):
            return f"on {special} of {data}"
        special = special.replace(" + ", " and ").replace("Xavier", "Xavier's weights")
        special = f"weights from {special}" if special.startswith("N(") else special
        return f"on {data} with {special}" if special else f"on {data}"

    @property
    def target(self) -> float:
        """The accuracy that counts."""
        target: float = self.data["targets"][0]
        return target

    def steps_to(self, arm: str, target: float) -> Steps:
        """Of each seed, until the probe's accuracy is at ``target``."""
        return [statistics.first_at(self.data["at"], run, target) for run in self.data[arm]["accuracy"]]

    def saved(self, target: float, cost: float = 1.0) -> Share | None:
        """What BN saves on the way to ``target`` if its steps cost ``cost`` plain ones; ``None`` if its median is never.

        A plain network that is not there at the end counts as if it got there with the last step.
        """
        plain, bn = self.steps_to("plain", target), self.steps_to("bn", target)
        budget = self.data["steps"]
        at_best = [budget if steps is None else steps for steps in plain]
        paid = [None if steps is None else steps * cost for steps in bn]
        value, interval = statistics.saved(at_best, paid), statistics.saved_interval(at_best, paid)
        if value is None:
            return None
        low, high = interval or (None, None)
        return Share(value, low, high, statistics.lower_median(plain) is None)

    def steps_saved(self, target: float) -> Share | None:
        """Of the steps to ``target``."""
        return self.saved(target)

    def cpu_saved(self, target: float) -> Share | None:
        """Of the CPU time to ``target``; ``None`` too if a step's cost was not measured."""
        return self.saved(target, self.seconds["ratio"]) if self.seconds else None

    @property
    def gains(self) -> list[float]:
        """By how much BN's accuracy at the end is higher, for each seed."""
        return [bn - plain for plain, bn in zip(self.data["plain"]["final"], self.data["bn"]["final"])]

    @property
    def gain(self) -> tuple[float, float]:
        """Its mean and the half-width of its 95 % interval."""
        return statistics.mean_interval(self.gains)

    def validation(self, arm: str) -> list[float]:
        """Late validation accuracy at each learning rate, the mean over the tuning seeds."""
        return [sum(seeds) / len(seeds) for seeds in self.data[arm]["validation"]]

    def working(self, arm: str) -> int:
        """At how many of the learning rates the target that counts is held late in the run."""
        return sum(value >= self.target for value in self.validation(arm))

    def rising(self, arm: str) -> bool:
        """Whether the last tenth of the evaluations is on average more than a point above the tenth before it."""
        curve = np.mean(self.data[arm]["accuracy"], axis=0)
        part = max(1, len(curve) // 10)
        return bool(curve[-part:].mean() - curve[-2 * part : -part].mean() > 0.01)

    def at_edge(self, arm: str) -> bool:
        """Whether the chosen rate is the first or the last of the grid."""
        return self.data[arm]["rate"] in (self.data["rates"][0], self.data["rates"][-1])


def findings(measured: Measured) -> list[Finding]:
    """Of all comparisons that ran, in order."""
    costs = measured.get("cost", {})
    return [
        Finding(comparison, costs.get(comparison["kind"]))
        for part in measured.values()
        for comparison in part.get("comparisons", ())
    ]


def text(share: Share | None) -> str:
    """A share, or that there is none."""
    return "BN does not get there" if share is None else str(share)


def price(found: Sequence[Finding]) -> str:
    """What steps with BN cost: eager, and compiled where that was measured."""
    seconds = [f.seconds for f in found if f.seconds]
    return texts.price_text([s["ratio"] for s in seconds], [s["compiled"]["ratio"] for s in seconds if "compiled" in s])
