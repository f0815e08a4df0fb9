"""The command line: run, print, and write JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from . import bn_layer, compile_cost, conv_layer, conv_step, earlier, growth, overhead, scalar_step, training_step
from .peers import NOT_INSTALLED
from .report import Figures, Table
from .timing import clock

# scalar_step comes first: how often the cyclic collector runs depends on how much has been loaded, and PyTorch is loaded
# by the others.
BENCHMARKS: dict[str, Callable[[bool], Sequence[Table | Figures]]] = {
    "scalar_step": scalar_step.run,
    "training_step": training_step.run,
    "bn_layer": bn_layer.run,
    "conv_layer": conv_layer.run,
    "conv_step": conv_step.run,
    "compile": compile_cost.run,
    "overhead": overhead.run,
    "growth": growth.run,
}
PACKAGES = ("numpy", "torch", "jax", "autograd", "micrograd")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    versions = {package: _version(package) for package in PACKAGES}
    return {
        "cpu": _cpu_model(), "system": platform.system(), "python": platform.python_version(), "versions": versions,
        "threads": os.environ.get("OMP_NUM_THREADS", "unset"),
    }  # fmt: skip


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return NOT_INSTALLED


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="one benchmark; may be repeated")
    parser.add_argument(
        "--earlier", metavar="REVISION", help="only this: eager against the package as git has it at a revision"
    )
    parser.add_argument("--quick", action="store_true", help="a few small rounds, to see that it works; not to be read")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the results as JSON")
    options = parser.parse_args(arguments)
    if options.earlier is not None and options.only:
        parser.error("--earlier is a benchmark of its own: leave --only out")
    about = machine()
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    print(f"{about['cpu']}, {about['threads']} thread, Python {about['python']}, {versions}")
    kind = "processor" if clock is time.process_time else "wall-clock"
    print(f"Medians of {kind} times; ratios are ours / theirs in pairs of one round: below 1, ours is faster.\n")
    found: dict[str, list[dict[str, Any]]] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    goals: list[str] = []
    benchmarks = BENCHMARKS
    if options.earlier is not None:
        benchmarks = {"earlier": lambda quick: earlier.run(quick, options.earlier)}
    for name in options.only or benchmarks:
        tables = benchmarks[name](options.quick)
        for table in tables:
            print(table.as_text(), end="\n\n", flush=True)
            goals += table.verdicts()
        found[name] = [table.as_data() for table in tables]
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    met = f"{goals.count('met')} of {len(goals)} goals met. " if goals else ""
    print(
        f"{met}{share:.2f} processor seconds per second; what is missing to 1, others took, and the times leave it out."
    )
    if options.quick:
        print("--quick: too few rounds to read anything from these numbers.")
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": about, "quick": options.quick, "results": found}, indent=1))
