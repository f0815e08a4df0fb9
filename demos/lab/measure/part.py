"""A part of a demo: one measurement that is run on its own, what it is asked for, and where it reports how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...datasets import DataFile

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What a run was asked for.

    Attributes:
        seeds: how many paired runs an interval rests on.
        seed: the first of them; other numbers give other initial weights, batches and splits throughout.
        full: the sizes of the papers instead of those that take a minute.
        flags: options that only one demo has, such as ``"mnist"``.
        backend: how training steps are made, see ``stepping``.
        own: a setting of somebody's own, which is measured instead of the demo's: a value for each of its options.
    """

    seeds: int
    seed: int = 0
    full: bool = False
    flags: frozenset[str] = frozenset()
    backend: str = "eager"
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def test_seeds(self) -> range:
        """The seeds to report."""
        return self.more_seeds(1)

    def more_seeds(self, times: int) -> range:
        """The seeds to report where runs cost little: so many for each one that was asked for."""
        return range(self.seed, self.seed + times * self.seeds)

    def tuning_seeds(self, count: int) -> range:
        """Seeds to choose learning rates with, none of which is reported."""
        return range(self.seed + 100_000, self.seed + 100_000 + count)


class Progress:
    """How far a part is: ``for step in progress(range(1, steps + 1), "digits"): ...``; silent unless told otherwise."""

    def __call__(self, items: Sequence[T], label: str) -> Iterable[T]:
        """The items, counted as they are used."""
        return items


@dataclass(frozen=True)
class Part:
    """One measurement of a demo, run on its own, possibly beside others, and kept when finished.

    Attributes:
        name: unique within the demo.
        measure: gets the settings and somewhere to report progress; returns JSON data: dictionaries with string keys,
            lists, strings, numbers (finite ones), booleans and ``None``.
        data: the data files it reads.
        seconds: about how long it takes at default size; the longest are started first.
        when: whether it belongs to a run with these settings.
    """

    name: str
    measure: Callable[[Settings, Progress], dict[str, Any]]
    data: tuple[DataFile, ...] = ()
    seconds: float = 10.0
    when: Callable[[Settings], bool] = field(default=lambda settings: True)


Measured = Mapping[str, Any]  # what a part returned, by the part's name; a part that did not run is not in it
