"""Eager against an earlier version of this project, both in one process: whether a change has made it slower.

The package imports itself by relative names only, so its folder at another revision works under another name.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tinygrad_bn

from .report import Goal, Table, tabulate
from .timing import Contestant, Numbers, assert_same, clock, interleave

NOW, EARLIER = "this version", "the earlier one"
AT_MOST = 1.03
PHASES = ("forward", "backward", "optimizer step", "whole step")


def at(revision: str, folder: Path) -> ModuleType:
    """The package as it was at a revision, under a name of its own.

    Raises:
        SystemExit: git does not know the revision, or is not there.
    """
    here = Path(__file__).parent
    try:
        root = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=here, check=True, capture_output=True, text=True
        )
        command = ["git", "archive", "--format=tar", "--end-of-options", revision, "tinygrad_bn"]
        packed = subprocess.run(command, cwd=root.stdout.strip(), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        words = getattr(error, "stderr", None) or str(error)
        raise SystemExit(f"--earlier {revision}: {words.decode() if isinstance(words, bytes) else words}") from None
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    (folder / "tinygrad_bn").rename(folder / "tinygrad_bn_earlier")
    sys.path.insert(0, str(folder))
    try:
        for submodule in ("nn", "optim", "functional"):
            importlib.import_module(f"tinygrad_bn_earlier.{submodule}")
        return importlib.import_module("tinygrad_bn_earlier")
    finally:
        sys.path.remove(str(folder))


def training(
    name: str, library: ModuleType, make: Callable[[Any], Any], sizes: tuple[int, ...], inner: int
) -> Contestant:
    """Steps of a multilayer perceptron with Batch Normalization, each phase timed by itself."""
    nn = library.nn
    library.manual_seed(0)
    layers: list[Any] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.Sigmoid()]
    network = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
    optimizer = make(library.optim)(network.parameters())
    rng = np.random.default_rng(0)
    x, labels = library.Tensor(rng.normal(size=(60, sizes[0])).astype(np.float32)), rng.integers(0, sizes[-1], 60)

    def run() -> dict[str, float]:
        total = dict.fromkeys(PHASES, 0.0)
        for _ in range(inner):
            start = clock()
            optimizer.zero_grad()
            loss = library.functional.cross_entropy(network(x), labels)
            made = clock()
            loss.backward()
            swept = clock()
            optimizer.step()
            end = clock()
            for phase, seconds in zip(PHASES, (made - start, swept - made, end - swept, end - start)):
                total[phase] += seconds / inner
        return total

    def numbers() -> Numbers:
        run()
        return {"loss": library.functional.cross_entropy(network(x), labels).item()}

    return Contestant(name, run, numbers)


def layer(name: str, library: ModuleType, shape: tuple[int, int], inner: int) -> Contestant:
    """Forward and backward of one Batch Normalization layer."""
    norm = library.nn.BatchNorm1d(shape[1])
    rng = np.random.default_rng(0)
    x = library.Tensor(rng.normal(size=shape).astype(np.float32), requires_grad=True)
    cotangent = rng.normal(size=shape).astype(np.float32)

    def run() -> dict[str, float]:
        start = clock()
        for _ in range(inner):
            norm(x).backward(cotangent)
        return {"whole step": (clock() - start) / inner}

    def numbers() -> Numbers:
        x.grad = None
        norm(x).backward(cotangent)
        return {"gradient": x.grad.numpy()}

    return Contestant(name, run, numbers)


def run(quick: bool, revision: str) -> list[Table]:
    """Time this version and the one of ``revision`` in turns.

    The numbers need to agree to the rounding of float32 only: an earlier version may have added up in another order.
    """
    rounds, warmup, inner = (2, 1, 1) if quick else (300, 5, 5)
    with tempfile.TemporaryDirectory() as folder:
        versions = ((NOW, tinygrad_bn), (EARLIER, at(revision, Path(folder))))
        sizes = (64, 100, 100, 100, 10)
        works: dict[str, list[Contestant]] = {
            "Training step, 64-100-100-100-10, batch 60, SGD with momentum": [
                training(name, library, lambda optim: lambda params: optim.SGD(params, 0.1, 0.9), sizes, inner)
                for name, library in versions
            ],
            "Training step, 64-100-100-100-10, batch 60, Adam": [
                training(name, library, lambda optim: optim.Adam, sizes, inner) for name, library in versions
            ],
            "Batch Normalization, 60 x 100, forward and backward": [
                layer(name, library, (60, 100), 4 * inner) for name, library in versions
            ],
        }
        tables = []
        for title, sides in works.items():
            worst = assert_same(sides, rtol=1e-3, floor=0.1)
            rows = tabulate(interleave(sides, rounds, warmup), [Goal(EARLIER, AT_MOST, "whole step")])
            notes = [f"the earlier one: revision {revision}; {rounds} rounds"]
            tables.append(Table(f"{title}, float32, eager", "a step", rows, {}, worst, notes))
        return tables
