"""Running the parts of demos: several at once, each kept when finished and used again while nothing it rests on changed."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_bn

from ..datasets import checked
from . import kept
from .demo import Demo
from .kept import Finished
from .measure import stepping
from .measure.part import Part, Settings
from .progress import Bars, bar_lock, overall, plan


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
        return next(part for part in load(self.demo).parts_for(self.settings) if part.name == self.part)


def load(name: str) -> Demo:
    """The demo of this name."""
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
        code = kept.code_hash(demo.name)
        for part in demo.parts_for(settings):
            path = kept.cache_path(folder, demo, part, settings, code)
            todo.append((part.seconds, Job(demo.name, part.name, settings), path))
    (folder / "parts").mkdir(exist_ok=True)
    missing = []
    for seconds, job, path in sorted(todo, key=lambda entry: -entry[0]):
        finished = kept.read(path)
        if finished is None:
            missing.append((seconds, job, path))
        else:
            results[job.demo][job.part] = finished
    weights, usual = [seconds for seconds, _, _ in missing], all(is_usual(*each) for each in demos)
    names = {
        demo.name: [part.name for part in demo.parts_for(settings) if part.name not in results[demo.name]]
        for demo, settings in demos
    }
    print(plan(names, weights, jobs, usual, folder / "parts"), flush=True)  # at once, into a file too
    with overall(weights, len(todo), jobs, usual) as count:
        for (seconds, job, path), finished in measure_all(missing, jobs):
            kept.keep(path, job.label, finished)
            results[job.demo][job.part] = finished
            count(seconds, f"{job.label}, {finished.cpu_seconds:.0f} s CPU")
    return {
        demo.name: {part.name: results[demo.name][part.name] for part in demo.parts_for(settings)}
        for demo, settings in demos
    }


def is_usual(demo: Demo, settings: Settings) -> bool:
    """Whether a demo takes as long as its parts say: as many seeds as by default, and no option that makes it longer."""
    return settings.seeds == demo.seeds[0] and not settings.full and not settings.flags and not settings.own


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
        for process in multiprocessing.active_children():
            process.terminate()
        pool.shutdown(cancel_futures=True)  # waits for its thread, which at the end of Python would be in the way
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
    start = cpu_seconds()
    with stepping.backend(job.settings.backend):
        measured = job.find().measure(job.settings, Bars(job.label))
    return Finished(json.loads(json.dumps(measured, allow_nan=False)), cpu_seconds() - start)


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for, such as a C compiler."""
    return sum(os.times()[:4])


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
