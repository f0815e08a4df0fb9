"""What the first call of a compiled step costs, in a process of its own.

``python -m tests.benchmarks.first_call WORK BACKEND`` prints processor seconds by part as JSON; what the C compiler takes,
which is another process, is a part of its own.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from tinygrad_bn.compiler import compile as compiled
from tinygrad_bn.compiler.c import build

from . import conv_step, perceptron
from .scalar_step import CompiledTrainer, seeded
from .timing import clock

SIZES = {"tiny": ((8, 6, 4), 5), "mlp": ((64, 100, 100, 100, 10), 60), "large": ((784, 512, 512, 10), 128)}
NAMES = {
    **{name: f"{'-'.join(map(str, sizes))}, batch {batch}" for name, (sizes, batch) in SIZES.items()},
    "conv": f"convolutional network, batch {conv_step.BATCH}",
    "moons": "moons on Scalars, 100 points",
}


def parts_of(work: str) -> tuple[Any, perceptron.Work]:
    """A network of ours, and what it is trained on."""
    if work == "conv":
        return conv_step.model(), conv_step.work(1)
    sizes, batch = SIZES[work]
    return perceptron.model(sizes), perceptron.Work.make(sizes, batch, 1)


def prepared(work: str, backend: str) -> Callable[[], object]:
    """The call, ready to be made."""
    if work == "moons":
        step: Callable[[], object] = seeded(
            lambda: CompiledTrainer(100, backend=backend, exact=backend == "numpy")
        ).step
        return step
    network, batch = parts_of(work)
    return functools.partial(compiled(perceptron.stepping(network), backend=backend), batch.x, batch.labels)


def of_children() -> float:
    """Processor seconds of the processes that this one has started and waited for."""
    times = os.times()
    return times.children_user + times.children_system


def measure(work: str, backend: str) -> dict[str, float]:
    """Processor seconds of the first call; the work ``compiler``: of trying the C compiler out, which is done once."""
    if work == "compiler":
        call: Callable[[], object] = build.toolchain
    else:
        call = prepared(work, backend)
    inside = sys.modules[compiled.__module__]
    spent = {"record": 0.0, "simplify": 0.0}

    def timed(name: str) -> Callable[..., Any]:
        function = getattr(inside, name)

        def run(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += clock() - start

        return run

    for name in spent:
        setattr(inside, name, timed(name))
    start, before = clock(), of_children()
    call()
    python, compiler = clock() - start, of_children() - before
    building = python - sum(spent.values())
    return {**spent, "build": building, "compiler": compiler, "total": python + compiler}


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
