"""Running the parts of demos: several at once, each kept when finished and used again while nothing it rests on changed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import tinygrad_bn

from ..datasets import checked
from .demo import Demo
from .measure.part import Part, Progress, Settings
from .output import write_whole

T = TypeVar("T")

DEMOS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Finished:
    """What a part measured, and how.

    Attributes:
        measured: JSON data.
        cpu_seconds: what it took, when it was measured.
        reused: whether that was in an earlier run.
    """

    measured: dict[str, Any]
    cpu_seconds: float
    reused: bool = False


@dataclass(frozen=True)
class Job:
    """A part to run."""

    demo: str
    part: str
    settings: Settings

    @property
    def label(self) -> str:
        return f"{self.demo}: {self.part}"

    def find(self) -> Part:
        """The part itself, imported by name, so that a job can be sent to another process."""
        return next(part for part in load(self.demo).parts if part.name == self.part)


def load(name: str) -> Demo:
    """The demo that a module of this folder describes."""
    demo: Demo = import_module(f"demos.{name}").DEMO
    return demo


def run(demos: Sequence[tuple[Demo, Settings]], folder: Path, jobs: int) -> dict[str, dict[str, Finished]]:
    """Run all parts of the demos, the longest first, and return what they measured, by demo and part.

    Args:
        demos: each with its settings.
        folder: finished parts are kept in ``parts`` in there.
        jobs: how many run at once; with 1, in this process.

    Raises:
        DatasetError: a data file is missing or altered; found before anything runs.
        OutputError: a finished part cannot be kept.
        KeyboardInterrupt: after Ctrl-C; no process is left behind, and what was finished is kept.
    """
    todo, results = [], {demo.name: dict[str, Finished]() for demo, _ in demos}
    for file in {file for demo, settings in demos for part in demo.parts_for(settings) for file in part.data}:
        checked(file)
    for demo, settings in demos:
        code = code_of(demo)
        for part in demo.parts_for(settings):
            path = kept_at(folder, demo, part, settings, code)
            todo.append((part.seconds, Job(demo.name, part.name, settings), path))
    (folder / "parts").mkdir(exist_ok=True)
    missing = []
    for seconds, job, path in sorted(todo, key=lambda entry: -entry[0]):
        finished = read(path)
        if finished is None:
            missing.append((seconds, job, path))
        else:
            results[job.demo][job.part] = finished
    with overall([seconds for seconds, _, _ in missing], len(todo)) as count:
        for (seconds, job, path), finished in measure_all(missing, jobs):
            keep(path, job, finished)
            results[job.demo][job.part] = finished
            count(seconds, f"{job.label}, {finished.cpu_seconds:.0f} s CPU")
    return {
        demo.name: {part.name: results[demo.name][part.name] for part in demo.parts_for(settings)}
        for demo, settings in demos
    }


Entry = tuple[float, Job, Path]


def measure_all(entries: Sequence[Entry], jobs: int) -> Iterator[tuple[Entry, Finished]]:
    """Measure parts, each as soon as a process is free, and yield them as they finish."""
    if jobs == 1 or len(entries) == 1:
        for entry in entries:
            yield entry, measure(entry[1])
        return
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=start_worker, initargs=(bar_lock(),)
    )
    running: dict[Future[Finished], Entry] = {}
    try:
        running = {pool.submit(measure, entry[1]): entry for entry in entries}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    pool.shutdown()


def start_worker(lock: Any) -> None:
    """Ctrl-C reaches every process of the terminal; the one that started the others says what to do about it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if lock is not None:
        from tqdm import tqdm

        tqdm.set_lock(lock)


def measure(job: Job) -> Finished:
    """Run one part in this process."""
    start = time.process_time()
    measured = job.find().measure(job.settings, Bars(job.label))
    return Finished(json.loads(json.dumps(measured, allow_nan=False)), time.process_time() - start)


# -- keeping what is finished -------------------------------------------------------------------------------------------


def kept_at(folder: Path, demo: Demo, part: Part, settings: Settings, code: str) -> Path:
    """Where a part's measurements are kept: the name says what they rest on, code, data, options and versions."""
    rests_on = [
        demo.name, part.name, [file.sha256 for file in part.data], code,
        settings.seeds, settings.seed, settings.full, sorted(settings.flags), platform.python_version(), np.__version__,
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(rests_on).encode()).hexdigest()
    return folder / "parts" / f"{demo.name}.{part.name}.{key[:16]}.json"


def code_of(demo: Demo) -> str:
    """A hash of the code that a demo's measurements can depend on."""
    content = hashlib.sha256()
    for path in sources(demo):
        content.update(path.read_bytes())
    return content.hexdigest()


def sources(demo: Demo) -> list[Path]:
    """The files of code that a demo's measurements can depend on."""
    own = DEMOS / demo.name
    places = [Path(tinygrad_bn.__file__).parent, DEMOS / "lab", DEMOS / "datasets", own]
    files = [path for place in places for path in place.rglob("*.py")]
    return sorted(files if own.is_dir() else [*files, own.with_suffix(".py")])


def keep(path: Path, job: Job, finished: Finished) -> None:
    """Write a finished part."""
    content = {"part": job.label, "cpu_seconds": finished.cpu_seconds, "measured": finished.measured}
    write_whole(path, lambda file: file.write_text(json.dumps(content), encoding="utf-8"))


def read(path: Path) -> Finished | None:
    """A part that was finished before, or ``None``: a file that cannot be read is measured again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Finished(content["measured"], content["cpu_seconds"], reused=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


# -- progress -----------------------------------------------------------------------------------------------------------


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


@contextmanager
def overall(seconds: Sequence[float], parts: int) -> Iterator[Any]:
    """Says what is finished: a bar over the expected time on a terminal, otherwise one line a part."""
    done = parts - len(seconds)
    if done:
        print(f"{done} of {parts} parts are finished already: same code, data and options", file=sys.stderr, flush=True)
    if not seconds:
        yield lambda weight, what: None
    elif shows_bars():
        from tqdm import tqdm

        form = "{l_bar}{bar}| {elapsed} gone, about {remaining} to go"
        with tqdm(total=sum(seconds), desc="all parts", bar_format=form, position=0, dynamic_ncols=True) as bar:

            def advance(weight: float, what: str) -> None:
                bar.write(f"finished {what}", file=sys.stderr)
                bar.update(weight)

            yield advance
    else:
        start = time.monotonic()

        def say(weight: float, what: str) -> None:
            nonlocal done
            done += 1
            print(f"[{done}/{parts}] {time.monotonic() - start:4.0f} s: {what}", file=sys.stderr, flush=True)

        yield say


def environment() -> Mapping[str, Any]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tinygrad_bn": tinygrad_bn.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "processors": processors(),
        "threads": os.environ.get("OMP_NUM_THREADS", "unset"),
    }


def processors() -> int:
    """How many this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
