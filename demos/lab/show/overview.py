"""All verdicts in one figure: what each rests on, beside the line where the claim turns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import colors
from .blocks import Block, Plot, Verdict
from .evidence import LABELS, Case, Outcome

ORDER: tuple[Outcome, ...] = ("holds", "holds if", "not decided", "does not hold")
WIDTH, HEIGHT, EDGE = 200.0, 20.0, 6.0  # of a row's drawing
NAME, TITLE = "verdicts", "Which of the lecture's claims hold"


@dataclass(frozen=True)
class Point:
    """A case in a row's drawing: from -1, which speaks against the claim, to 1, which speaks for it."""

    case: Case
    at: float
    low: float
    high: float
    shift: float

    def x(self, where: float) -> float:
        """Of a place in the drawing."""
        return round(WIDTH / 2 + where * (WIDTH / 2 - EDGE), 1)

    @property
    def line(self) -> tuple[float, float, float]:
        """Both ends of the interval, and its height."""
        return self.x(self.low), self.x(self.high), round(HEIGHT / 2 + self.shift, 1)

    @property
    def middle(self) -> float:
        return self.x(self.at)


@dataclass(frozen=True)
class Row:
    """A verdict in the figure."""

    demo: str
    verdict: Verdict

    @property
    def points(self) -> list[Point]:
        """The cases, each row in a scale of its own: roots of distances to the line, the largest effect at the edge."""
        cases = sorted(self.verdict.cases, key=lambda case: placed(case, case.effect) or 0.0)
        far = max((abs(placed(case, case.effect) or 0.0) for case in cases), default=0.0)
        far = far or max((abs(placed(c, b) or 0.0) for c in cases for b in (c.low, c.high)), default=0.0) or 1.0
        points = []
        for i, case in enumerate(cases):
            sign = {"yes": 1.0, "no": -1.0, "open": 0.0}[case.answer]
            at = sign if case.effect is None else rooted(placed(case, case.effect), far)
            ends = (at, at) if case.effect is None else (rooted(placed(case, case.low), far, -1.0),
                                                          rooted(placed(case, case.high), far, 1.0))  # fmt: skip
            shift = 0.0 if len(cases) == 1 else (2 * i / (len(cases) - 1) - 1) * -min(6.0, 1.5 * len(cases))
            points.append(Point(case, at, *ends, shift))
        return points

    @property
    def says(self) -> str:
        """For who cannot see the drawing."""
        counts = {word: sum(case.answer == answer for case in self.verdict.cases)
                  for answer, word in (("yes", "for"), ("no", "against"), ("open", "not decided"))}  # fmt: skip
        said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        return f"{LABELS[self.verdict.outcome]}: {said}" if said else LABELS[self.verdict.outcome]


def placed(case: Case, value: float | None) -> float | None:
    """How far a value is on the side that speaks for the claim."""
    if value is None:
        return None
    border = case.border
    if case.against is not None and value < border:
        border = max(case.against, min(value, border))
    if case.ratio:
        return math.log(max(value, 1e-9)) - math.log(max(border, 1e-9))
    return value - border


def rooted(distance: float | None, far: float, missing: float = 0.0) -> float:
    """A distance as a place between -1 and 1; ``missing`` for a bound that is not there."""
    if distance is None:
        return missing
    return max(-1.0, min(1.0, math.copysign(math.sqrt(abs(distance) / far), distance)))


def rows(blocks: Mapping[str, Sequence[Block]]) -> list[Row]:
    """All verdicts: what holds first, and within one outcome what more of the cases speak for."""
    found = [Row(demo, block) for demo, own in blocks.items() for block in own if isinstance(block, Verdict)]

    def key(row: Row) -> tuple[int, float]:
        answers = [case.answer for case in row.verdict.cases] or ["open"]
        return ORDER.index(row.verdict.outcome), (answers.count("no") - answers.count("yes")) / len(answers)

    return sorted(found, key=key)


def plot(found: Sequence[Row]) -> Plot:
    """The figure for a slide."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for y, row in enumerate(found):
            color = colors.of(row.verdict.outcome)
            axes.text(-1.12, y, colors.MARKS[row.verdict.outcome], color=color, ha="center", va="center", weight="bold")
            for point in row.points:
                tint = colors.ANSWERS[point.case.answer]
                height = y + point.shift / HEIGHT
                axes.plot([point.low, point.high], [height] * 2, color=tint, linewidth=1.2)
                shape = {"yes": "o", "no": "X", "open": "o"}[point.case.answer]
                fill = colors.PAPER if point.case.answer == "open" else tint
                axes.plot(point.at, height, shape, color=fill, markeredgecolor=tint, markersize=5)
            axes.text(1.05, y, row.verdict.headline, va="center", fontsize=10)
        axes.axvline(0, color=colors.INK, linewidth=1)
        axes.set(xlim=(-1.02, 1.02), ylim=(len(found) - 0.4, -0.6), xticks=(-0.5, 0.5))
        axes.set_xticklabels(["contradicts the claim", "supports the claim"])
        axes.set_yticks(range(len(found)), [row.verdict.short for row in found], fontsize=10)
        axes.tick_params(axis="y", length=0, pad=22)
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    counts = [f"{sum(row.verdict.outcome == outcome for row in found)} {LABELS[outcome]}" for outcome in ORDER]
    return Plot(NAME, f"{len(found)} claims: {', '.join(counts)}", draw, (11.0, 1.0 + 0.27 * len(found)), TITLE)
