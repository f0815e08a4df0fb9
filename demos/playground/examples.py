"""Settings worth showing, and what Python measured for them: ``measured.json``, written by ``measure``."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .networks import NORMS
from .training import Setting, Training

MEASURED = Path(__file__).resolve().parent / "measured.json"


@dataclass(frozen=True)
class Example:
    """A setting under a title; with a hint, it is to be found by the reader first."""

    name: str
    title: str
    setting: Setting
    steps: int
    hint: str = ""


EXAMPLES: Sequence[Example] = (
    Example("start", "four layers of tanh", Setting(), 100),
    Example(
        "two points",
        "where does BN lose?",
        Setting("moons", 2, 0.3, 1.4, 2, "relu"),
        300,
        "BN takes mean and variance from the batch. What do they say when there are hardly any points in it?",
    ),
    Example("small weights", "small weights", Setting("circles", 32, 0.1, 0.25, 6, "relu"), 300),
    Example("sigmoids", "sigmoids", Setting("circles", 32, 0.3, 1.0, 4, "sigmoid"), 300),
    Example("high rate", "a high rate", Setting("moons", 32, 1.0, 1.4, 6, "relu"), 300),
    Example("shallow", "two layers", Setting("moons", 32, 1.0, 1.0, 2, "tanh"), 100),
)


def measure(example: Example, seeds: int) -> dict[str, Any]:
    """The accuracies on unseen points after ``example.steps`` steps, for each arm one per seed."""
    found: dict[str, Any] = {"setting": asdict(example.setting), "steps": example.steps}
    for arm, bn in NORMS.items():
        found[arm] = []
        for seed in range(seeds):
            training = Training(replace(example.setting, seed=seed), bn)
            training.run(example.steps)
            found[arm].append(training.accuracy())
    return found


def measure_all(seeds: int) -> None:
    """Measure all examples and keep what came out."""
    found = {example.name: measure(example, seeds) for example in EXAMPLES}
    MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def described() -> list[dict[str, Any]]:
    """What the page says of each example.

    Raises:
        ValueError: an example was changed and not measured again.
    """
    known = json.loads(MEASURED.read_text(encoding="utf-8"))
    told = []
    for example in EXAMPLES:
        found = known.get(example.name)
        if found is None or (found["setting"], found["steps"]) != (asdict(example.setting), example.steps):
            raise ValueError(f"{example.name} was not measured: python -m demos.playground --measure")
        told.append(
            {"title": example.title, "hint": example.hint, "setting": asdict(example.setting), "found": sentence(found)}
        )
    return told


def sentence(found: dict[str, Any]) -> str:
    """What was measured, in words."""
    seeds = len(found["bn"])
    ahead = sum(b > p for b, p in zip(found["bn"], found["plain"]))
    behind = sum(b < p for b, p in zip(found["bn"], found["plain"]))
    medians = {arm: f"{100 * statistics.median(found[arm]):.0f}\N{NO-BREAK SPACE}%" for arm in NORMS}
    return (
        f"In Python, over {seeds} seeds: after {found['steps']} steps BN has {medians['bn']} of unseen points right, the plain "
        f"network {medians['plain']} (medians). BN is ahead {ahead} times, behind {behind} times."
    )
