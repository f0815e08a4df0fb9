"""What one recorded operation costs in time, on arrays so small that nothing else does, and in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_bn import Scalar, Tensor

from .peers import NOT_INSTALLED, hips, micrograd, pytorch
from .report import Figures, Table, tabulate
from .scalar_step import in_large_stack
from .timing import Contestant, Numbers, Times, assert_same, clock, interleave

Array = np.ndarray[Any, Any]

OURS, PYTORCH, HIPS = "tinygrad_bn, Tensor", "PyTorch eager", "HIPS/autograd"
SCALAR, MICROGRAD = "tinygrad_bn, Scalar", "micrograd"
CONSTANT = np.array([0.25, -0.5, 1.0], np.float32)
START = np.array([1.0, 2.0, 3.0], np.float32)
COTANGENT = np.array([0.5, -1.5, 2.0], np.float32)

Record = Callable[[], Any]
PullBack = Callable[[Any], Any]


def contestant(name: str, length: int, record: Record, pull_back: PullBack) -> Contestant:
    """``record`` builds a chain of additions; ``pull_back`` takes what it returned to the value and the gradient."""

    def run() -> Times:
        start = clock()
        recorded = record()
        middle = clock()
        pull_back(recorded)
        end = clock()
        return {"forward": (middle - start) / length, "backward": (end - middle) / length}

    def numbers() -> Numbers:
        value, gradient = pull_back(record())
        return {"value": value, "gradient": gradient}

    return Contestant(name, run, numbers)


def ours(length: int) -> Contestant:
    x, c, seed = Tensor(START, requires_grad=True), Tensor(CONSTANT), Tensor(COTANGENT)

    def record() -> Any:
        x.grad = None
        y: Any = x
        for _ in range(length):
            y = y + c
        return y

    def pull_back(y: Any) -> Any:
        y.backward(seed)
        return y.data, x.grad.data

    return contestant(OURS, length, record, pull_back)


def torch_chain(length: int) -> Contestant:
    torch = pytorch()
    assert torch is not None
    x, c, seed = torch.tensor(START, requires_grad=True), torch.tensor(CONSTANT), torch.tensor(COTANGENT)

    def record() -> Any:
        x.grad = None
        y = x
        for _ in range(length):
            y = y + c
        return y

    def pull_back(y: Any) -> Any:
        y.backward(seed)
        return y.detach(), x.grad

    return contestant(PYTORCH, length, record, pull_back)


def hips_chain(length: int) -> Contestant:
    autograd = hips()
    assert autograd is not None
    make_vjp = autograd.core.make_vjp

    def chain(x: Any) -> Any:
        y = x
        for _ in range(length):
            y = y + CONSTANT
        return y

    return contestant(HIPS, length, lambda: make_vjp(chain, START), lambda made: (made[1], made[0](COTANGENT)))


def scalars(length: int) -> Contestant:
    x, c = Scalar(1.0), Scalar(0.25, requires_grad=False)

    def record() -> Any:
        x.grad = None
        y: Any = x
        for _ in range(length):
            y = y + c
        return y

    def pull_back(y: Any) -> Any:
        y.backward()
        return y.data, x.grad.data

    return contestant(SCALAR, length, record, pull_back)


def micrograd_chain(length: int) -> Contestant:
    package = micrograd()
    assert package is not None
    x, c = package.engine.Value(1.0), package.engine.Value(0.25)

    def record() -> Any:
        x.grad = 0
        y = x
        for _ in range(length):
            y = y + c
        return y

    def pull_back(y: Any) -> Any:
        y.backward()
        return y.data, x.grad

    return contestant(MICROGRAD, length, record, pull_back)


def time_arrays(quick: bool) -> Table:
    """Add on arrays of three elements."""
    length, rounds, warmup = (50, 2, 1) if quick else (1000, 100, 10)
    sides, absent = [ours(length)], {}
    for name, peer, chain in ((PYTORCH, pytorch, torch_chain), (HIPS, hips, hips_chain)):
        if peer() is None:
            absent[name] = NOT_INSTALLED
        else:
            sides.append(chain(length))
    worst = assert_same(sides, rtol=1e-5)
    rows = tabulate(interleave(sides, rounds, warmup))
    title = f"One recorded operation, y = y + c on shape (3,), float32, a chain of {length:,}"
    return Table(title, "per operation", rows, absent, worst, [f"{rounds} rounds"])


def time_scalars(quick: bool) -> Table:
    """Add on single numbers."""
    length, rounds, warmup = (50, 2, 1) if quick else (1000, 100, 10)
    sides, absent = [scalars(length)], {}
    if micrograd() is None:
        absent[MICROGRAD] = NOT_INSTALLED
    else:
        sides.append(micrograd_chain(length))

    def compete() -> Table:
        worst = assert_same(sides, rtol=1e-12)
        rows = tabulate(interleave(sides, rounds, warmup))
        title = f"One recorded operation, y = y + c on single numbers, a chain of {length:,}"
        return Table(title, "per operation", rows, absent, worst, [f"{rounds} rounds"])

    table: Table = in_large_stack(compete)
    return table


def bytes_per_node(start: Any, length: int) -> float:
    """What tracemalloc sees of a chain ``y = y + x`` that is still held, per operation."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        y = start
        for _ in range(length):
            y = y + start
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / length


def hips_bytes_per_node(length: int) -> float:
    """The same inside a traced function of HIPS/autograd, whose nodes exist only there."""
    autograd = hips()
    assert autograd is not None
    found = []

    def chain(x: Any) -> Any:
        found.append(bytes_per_node(x, length))
        return x

    autograd.core.make_vjp(chain, START)
    return found[0]


def memory(quick: bool) -> Figures:
    """Bytes per recorded node, values included."""
    length = 500 if quick else 10_000

    def measure() -> Figures:
        rows: list[list[str | float]] = [[SCALAR, bytes_per_node(Scalar(1.0), length)]]
        absent = {PYTORCH: "its nodes are in C++ memory, which tracemalloc does not see"}
        package = micrograd()
        if package is None:
            absent[MICROGRAD] = NOT_INSTALLED
        else:
            rows.append([MICROGRAD, bytes_per_node(package.engine.Value(1.0), length)])
        rows.append([f"{OURS} of shape (3,)", bytes_per_node(Tensor(START, requires_grad=True), length)])
        if hips() is None:
            absent[HIPS] = NOT_INSTALLED
        else:
            rows.append([f"{HIPS}, shape (3,)", hips_bytes_per_node(length)])
        notes = [f"tracemalloc, a chain of {length:,} operations y = y + x, values included"]
        return Figures("Memory of a recorded operation", ["", "bytes per node"], rows, absent, notes)

    figures: Figures = in_large_stack(measure)  # micrograd's values are freed recursively too
    return figures


def run(quick: bool) -> list[Table | Figures]:
    """Time on arrays, time on single numbers, memory."""
    return [time_arrays(quick), time_scalars(quick), memory(quick)]
