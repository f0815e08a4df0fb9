"""What is said while parts run: what will run and about how long, and then bars on a terminal, or a line now and then."""

from __future__ import annotations

import multiprocessing
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .measure.part import Progress

T = TypeVar("T")

SILENCE = 20.0  # seconds without a line, at most, where there is no terminal


def plan(parts: Mapping[str, Sequence[str]], seconds: Sequence[float], jobs: int, usual: bool, folder: Path) -> str:
    """What will be measured and about how long it takes.

    Args:
        parts: the names of those not finished yet, by demo.
        seconds: how long each of them takes at default size.
        jobs: how many run at once.
        usual: whether the options are the default ones; with others nobody knows how long it takes.
        folder: where finished parts are kept.
    """
    if not seconds:
        return "Nothing is left to measure."
    expected = duration(seconds, jobs)
    takes = f"about {expected}" if usual else f"about {expected} with the default options, with these it differs"
    lines = [f"To measure, {min(jobs, len(seconds))} at once: {counted(len(seconds), 'part')}, {takes}."]
    lines += [
        textwrap.fill(f"{demo}: {', '.join(names)}", 110, initial_indent="  ", subsequent_indent="    ")
        for demo, names in parts.items()
        if names
    ]
    lines.append(f"Each is kept in {folder} when it is finished; after Ctrl-C the same command goes on from there.")
    return "\n".join(lines)


def counted(number: int, noun: str) -> str:
    """``1 part``, ``2 parts``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: Sequence[float], jobs: int) -> str:
    """How long these take, so many at once, in words: at least as long as the longest."""
    expected = max(sum(seconds) / jobs, max(seconds, default=0.0))
    return counted(round(expected / 60), "minute") if expected > 90 else counted(max(1, round(expected)), "second")


def bar_lock() -> Any:
    """The lock that keeps the bars of several processes apart; ``None`` where no bars are shown."""
    if not shows_bars():
        return None
    from tqdm import tqdm

    tqdm.set_lock(multiprocessing.get_context("spawn").RLock())
    return tqdm.get_lock()


def shows_bars() -> bool:
    """On a terminal with tqdm installed."""
    if not sys.stderr.isatty():
        return False
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return False
    return True


class Bars(Progress):
    """A progress bar for each loop of a part, on the line of its process."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __call__(self, items: Sequence[T], label: str) -> Iterable[T]:
        """The items, with a bar on a terminal."""
        if not shows_bars():
            return items
        from tqdm import tqdm

        names = multiprocessing.current_process().name.rsplit("-", 1)
        line = int(names[1]) if len(names) == 2 and names[1].isdigit() else 1
        bar: Iterable[T] = tqdm(
            items, desc=f"  {self.label}, {label}"[:60].ljust(60), position=line, leave=False, dynamic_ncols=True
        )
        return bar


Advance = Callable[[float, str], None]  # gets the usual seconds of a finished part, and what to say of it


@contextmanager
def overall(seconds: Sequence[float], parts: int, jobs: int, usual: bool) -> Iterator[Advance]:
    """Says what is finished: a bar over the expected time on a terminal, otherwise lines.

    Args:
        seconds: as in ``plan``.
        parts: how many there are with those finished before.
        jobs: as in ``plan``.
        usual: as in ``plan``.
    """
    done = parts - len(seconds)
    if done:
        print(f"{done} of {parts} parts are finished already: same code, data and options", file=sys.stderr, flush=True)
    if not seconds:
        yield lambda weight, what: None
    elif shows_bars():
        with bar(seconds) as advance:
            yield advance
    else:
        with lines(seconds, parts, jobs, usual) as advance:
            yield advance


@contextmanager
def bar(seconds: Sequence[float]) -> Iterator[Advance]:
    """One bar over the expected time, below those of the processes."""
    from tqdm import tqdm

    form = "{l_bar}{bar}| {elapsed} elapsed, about {remaining} left"
    with tqdm(total=sum(seconds), desc="all parts", bar_format=form, position=0, dynamic_ncols=True) as drawn:

        def advance(weight: float, what: str) -> None:
            drawn.write(f"finished {what}", file=sys.stderr)
            drawn.update(weight)

        yield advance


@contextmanager
def lines(seconds: Sequence[float], parts: int, jobs: int, usual: bool) -> Iterator[Advance]:
    """A line for each finished part, and one after each ``SILENCE``: a long part looks like one that hangs."""
    start, left = time.monotonic(), list(seconds)
    spoke, over = threading.Event(), threading.Event()

    def say(what: str) -> None:
        passed = time.monotonic() - start
        print(f"[{parts - len(left)}/{parts}] {passed:4.0f} s: {what}", file=sys.stderr, flush=True)

    def advance(weight: float, what: str) -> None:
        left.remove(weight)
        say(what)
        spoke.set()

    def watch() -> None:
        while not over.is_set():
            if not spoke.wait(SILENCE):
                say("measuring" + (f", about {duration(left, jobs)} left" if usual else ""))
            spoke.clear()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield advance
    finally:
        over.set()
        spoke.set()
        watching.join()
