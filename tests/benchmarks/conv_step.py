"""A training step of a convolutional network on images of 28 x 28: forward, backward, SGD with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_bn import manual_seed, nn
from tinygrad_bn.compiler.c.build import available

from .peers import NOT_INSTALLED, pytorch
from .perceptron import Work, our_contestant, torch_contestant
from .report import Goal, Table, tabulate
from .timing import assert_same, interleave

BATCH = 32
OURS = "tinygrad_bn, composed BN"
IN_C = "tinygrad_bn, compiled to C"
IN_NUMPY = "tinygrad_bn, compiled to NumPy"
EAGER = "PyTorch eager, nn.BatchNorm2d"
NO_COMPILER = "there is no C compiler"


def network(library: Any) -> Any:
    """Both libraries have these layers under PyTorch's names."""
    return library.Sequential(
        library.Conv2d(1, 12, 5, stride=2, bias=False), library.BatchNorm2d(12), library.ReLU(),
        library.Conv2d(12, 24, 5, stride=2, bias=False), library.BatchNorm2d(24), library.ReLU(),
        library.Flatten(), library.Linear(384, 10),
    )  # fmt: skip


def model() -> nn.Module:
    """Ours, always with the same weights."""
    manual_seed(0)
    made: nn.Module = network(nn)
    return made


def work(inner: int) -> Work:
    """Random images with random labels."""
    rng = np.random.default_rng(0)
    return Work((), rng.normal(size=(BATCH, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, BATCH), inner)


def run(quick: bool) -> list[Table]:
    """Time the step."""
    rounds, warmup, inner = (2, 1, 1) if quick else (80, 5, 5)
    images = work(inner)
    contestants, absent = [our_contestant(OURS, model(), images, None)], {}
    for name, backend in ((IN_C, "c"), (IN_NUMPY, "numpy")):
        if backend == "c" and not available():
            absent[name] = NO_COMPILER
        else:
            contestants.append(our_contestant(name, model(), images, backend))
    torch = pytorch()
    if torch is None:
        absent[EAGER] = NOT_INSTALLED
    else:
        contestants.append(torch_contestant(EAGER, network(torch.nn), model(), images))
    worst = assert_same(contestants, rtol=1e-3, floor=0.1)
    measured = interleave(contestants, rounds, warmup)
    tables = []
    for name, goals in ((OURS, ()), (IN_C, (Goal(EAGER, 0.65),)), (IN_NUMPY, ())):
        if name not in absent:
            rows = tabulate(measured, goals, [name, *(side for side in (OURS, IN_NUMPY) if side != name), EAGER])
            title = f"Convolutional network, training step, batch {BATCH} of 28 x 28, float32: {name}"
            tables.append(Table(title, "per step", rows, absent, worst, [f"{rounds} rounds of {inner} steps each"]))
    return tables
