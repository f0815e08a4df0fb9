"""What a benchmark found, as a table for people and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .timing import Spread


@dataclass(frozen=True)
class Goal:
    """How large ours / theirs may be against one peer."""

    peer: str
    at_most: float
    phase: str = "time"


@dataclass
class Row:
    """One contestant in one phase: its times, and how ours compares with it in the same rounds."""

    contestant: str
    phase: str
    seconds: Spread
    ratio: Spread | None = None  # ours / this one; None in our own row
    goal: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the median ratio reaches the goal."""
        if self.goal is None or self.ratio is None:
            return ""
        return "met" if self.ratio.median <= self.goal else "missed"


@dataclass
class Table:
    """One setting of one benchmark.

    Attributes:
        title: what was timed, on what sizes.
        unit: what one time is the time of.
        rows: a row a contestant and phase, ours first.
        absent: contestants that could not take part, with the reason.
        agreement: the largest difference between contestants found before timing, relative to each array's size.
        notes: one line each, printed below.
    """

    title: str
    unit: str
    rows: list[Row]
    absent: dict[str, str] = field(default_factory=dict)
    agreement: float | None = None
    notes: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        rows = [asdict(row) | {"verdict": row.verdict} for row in self.rows]
        return asdict(self) | {"rows": rows}

    def verdicts(self) -> list[str]:
        """Of all rows that have a goal."""
        return [row.verdict for row in self.rows if row.verdict]

    def as_text(self) -> str:
        """Aligned columns."""
        phases = len({row.phase for row in self.rows}) > 1
        head = ["", *(["phase"] if phases else []), self.unit, "quartiles", "ours / this", "quartiles", "goal", ""]
        cells = [head]
        for row in self.rows:
            name = [row.contestant, *([row.phase] if phases else [])]
            cells.append([*name, *_times(row.seconds), *_ratio(row.ratio), _goal(row.goal), row.verdict])
        lines = [self.title, *_aligned(cells)]
        if self.agreement is not None:
            lines.append(f"  before timing: all compute the same numbers, to {self.agreement:.0e} of each array's size")
        return "\n".join(lines + _indented(self.absent, self.notes))


@dataclass
class Figures:
    """Numbers that are not interleaved times, such as bytes per node or time by length: a plain table."""

    title: str
    columns: list[str]
    rows: list[list[str | float]]
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return asdict(self)

    def verdicts(self) -> list[str]:
        """Of all rows that have a goal."""
        return [cell for row in self.rows for cell in row if cell in ("met", "missed")]  # type: ignore[misc]

    def as_text(self) -> str:
        """Aligned columns."""
        cells = [self.columns, *([c if isinstance(c, str) else f"{c:.4g}" for c in row] for row in self.rows)]
        return "\n".join([self.title, *_aligned(cells), *_indented(self.absent, self.notes)])


def tabulate(
    measured: Mapping[str, Mapping[str, Sequence[float]]], goals: Sequence[Goal] = (), names: Sequence[str] = ()
) -> list[Row]:
    """Rows out of ``timing.interleave``.

    Args:
        measured: seconds by contestant, phase and round.
        goals: for our own, which comes first.
        names: whose rows, and in which order; all of them by default.
    """
    wanted = {(goal.peer, goal.phase): goal.at_most for goal in goals}
    ours, *_ = names = [name for name in names or measured if name in measured]
    own = measured[ours]
    rows = []
    for name in names:
        phases = measured[name]
        for phase, seconds in phases.items():
            ratio = None
            if name != ours:
                ratio = Spread.of([a / b for a, b in zip(own[phase], seconds)])
            rows.append(Row(name, phase, Spread.of(seconds), ratio, wanted.get((name, phase))))
    return rows


def _indented(absent: Mapping[str, str], notes: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in (*(f"{name}: {reason}" for name, reason in absent.items()), *notes)]


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def _times(spread: Spread) -> list[str]:
    size = spread.median
    unit, factor = ("s", 1.0) if size >= 1.0 else ("ms", 1e3) if size >= 1e-3 else ("µs", 1e6)
    low, high = (f"{value * factor:.3g}" for value in (spread.lower, spread.upper))
    return [f"{spread.median * factor:.3g} {unit}", f"{low} .. {high}"]


def _ratio(spread: Spread | None) -> list[str]:
    if spread is None:
        return ["", ""]
    digits = 2 if spread.median >= 0.1 else 4
    median, lower, upper = (f"{value:.{digits}f}" for value in (spread.median, spread.lower, spread.upper))
    return [median, f"{lower} .. {upper}"]


def _goal(goal: float | None) -> str:
    return "" if goal is None else f"<= {goal:.2f}"
