"""What compiling costs: processor time of the first call, with an empty cache and in the next process, and memory of a step."""

from __future__ import annotations

import functools
import gc
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc

import numpy as np

from tinygrad_bn.compiler import compile as compiled
from tinygrad_bn.compiler.c.build import available

from .first_call import NAMES, measure, parts_of
from .perceptron import stepping
from .report import Figures

NO_COMPILER = "there is no C compiler"
PARTS = ("record", "simplify", "build", "compiler", "total")
COLUMNS = ["", "recording", "simplifying", "building", "C compiler", "all", "goal", ""]
WORKS = [name for name in NAMES if name != "tiny"]
MOST = {("mlp", False): 1.5, ("mlp", True): 0.1, ("moons", False): 3.0}  # seconds, by work and whether from the cache


def verdict(value: float, at_most: float | None, unit: str = "") -> list[str | float]:
    """Two cells: a goal, and whether it is reached."""
    return ["", ""] if at_most is None else [f"<= {at_most:g}{unit}", "met" if value <= at_most else "missed"]


def elsewhere(work: str, backend: str, cache: str) -> dict[str, float]:
    """``measure`` in a process of its own, with another cache folder."""
    settings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "XDG_CACHE_HOME": cache}
    command = [sys.executable, "-m", f"{__package__}.first_call", work, backend]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def first_calls(quick: bool) -> Figures:
    """Processor seconds of first calls, medians over processes."""
    cases: list[tuple[str, str, bool]] = []
    runs: dict[tuple[str, str, bool], list[dict[str, float]]] = {}
    backends = ["c", "numpy"] if available() else ["numpy"]
    for backend in backends:
        for work in ("tiny",) if quick else WORKS:
            cases.append((work, backend, False))
            if backend == "c":
                cases.append((work, backend, True))
    if "c" in backends:
        cases.insert(0, ("compiler", "c", False))
    for _ in range(1 if quick else 5):
        with tempfile.TemporaryDirectory() as cache:
            for case in cases:
                # A quick run starts no processes, each of which would import everything anew, and uses the usual cache.
                found = measure(*case[:2]) if quick else elsewhere(*case[:2], cache)
                runs.setdefault(case, []).append(found)
    rows: list[list[str | float]] = []
    for work, backend, again in cases:
        found = {part: float(np.median([run[part] for run in runs[work, backend, again]])) for part in PARTS}
        what = (
            f"{NAMES[work]}: {'C' if backend == 'c' else 'NumPy'}"
            if work in NAMES
            else "trying out the C compiler, once"
        )
        name = what + ("; next process, from the cache" if again else "")
        goal = MOST.get((work, again)) if work in NAMES else None
        rows.append([name, *(found[part] or "-" for part in PARTS), *verdict(found["total"], goal, " s")])
    absent = {} if available() else {"C": NO_COMPILER}
    notes = ["processor seconds of the first call, in a new process each, after the imports"]
    return Figures("Compiling", COLUMNS, rows, absent, notes)


def bytes_of_a_step(work: str, backend: str | None) -> tuple[float, float]:
    """Memory at the peak of a step, all included but what describes the program; and that.

    What ``tracemalloc`` sees from before the network is made: parameters, momentum and gradients, the arrays of a
    compiled program or the values and the graph of an eager step.
    """
    gc.collect()
    tracemalloc.start()
    try:
        network, batch = parts_of(work)
        step = stepping(network)
        run = functools.partial(step if backend is None else compiled(step, backend=backend), batch.x, batch.labels)
        for _ in range(3):
            run()
        gc.collect()
        in_arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
        arrays = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([in_arrays]).traces)
        gc.collect()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return arrays + peak - before, before - arrays


def memory(quick: bool) -> Figures:
    """Bytes at the peak of a step, eager and compiled."""
    rows: list[list[str | float]] = []
    for work in ("tiny",) if quick else [name for name in WORKS if name != "moons"]:
        eager, _ = bytes_of_a_step(work, None)
        rows.append([f"{NAMES[work]}: eager", eager / 1e6, 1.0, "-", "", ""])
        for backend in ("c", "numpy") if available() else ("numpy",):
            step, program = bytes_of_a_step(work, backend)
            name = f"{NAMES[work]}: {'C' if backend == 'c' else 'NumPy'}"
            rows.append([name, step / 1e6, step / eager, program / 1e6, *verdict(step / eager, 1.0)])
    columns = ["", "MB at the peak", "of eager's", "MB, program and the rest of Python", "goal", ""]
    notes = ["tracemalloc: weights, momentum, gradients, batch, and all that a step holds"]
    return Figures("Memory of a training step", columns, rows, {} if available() else {"C": NO_COMPILER}, notes)


def run(quick: bool) -> list[Figures]:
    """Time of the first call, memory of a step."""
    return [first_calls(quick), memory(quick)]
