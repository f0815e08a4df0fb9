"""micrograd's own training step (its moons demo: 2-16-16-1, ReLU, hinge loss, L2) on single numbers.

Our side is written the way micrograd's ``nn`` is, with ``Scalar`` in the place of ``Value``: no tensor, no shortcut.
micrograd walks its graph by recursion, about as deep as the graph is long, so everything here runs in a thread with a
raised recursion limit and a large stack.  Ours needs neither.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_bn import Scalar, write
from tinygrad_bn.compiler import compile as compiled
from tinygrad_bn.compiler.c.build import available

from .peers import NOT_INSTALLED, micrograd
from .report import Goal, Table, tabulate
from .timing import Contestant, Numbers, assert_same, interleave, repeat

Array = np.ndarray[Any, Any]

HIDDEN = [16, 16, 1]
LR, L2 = 0.5, 1e-4
OURS = "tinygrad_bn, Scalar"
IN_C = "tinygrad_bn, Scalar, compiled to C"
IN_NUMPY = "tinygrad_bn, Scalar, compiled to NumPy, the same bits"
MICROGRAD = "micrograd"
NO_COMPILER = "there is no C compiler"
STEPS_COMPARED = 3


class Neuron:
    """Weighted sum, then ReLU unless it is an output."""

    def __init__(self, inputs: int, nonlinear: bool) -> None:
        self.w = [Scalar(random.uniform(-1, 1)) for _ in range(inputs)]
        self.b = Scalar(0.0)
        self.nonlinear = nonlinear

    def __call__(self, x: Sequence[Any]) -> Any:
        total = sum((wi * xi for wi, xi in zip(self.w, x)), self.b)
        return total.relu() if self.nonlinear else total

    def parameters(self) -> list[Scalar]:
        return [*self.w, self.b]


class Layer:
    """Neurons side by side."""

    def __init__(self, inputs: int, outputs: int, nonlinear: bool) -> None:
        self.neurons = [Neuron(inputs, nonlinear) for _ in range(outputs)]

    def __call__(self, x: Sequence[Any]) -> Any:
        out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Scalar]:
        return [p for neuron in self.neurons for p in neuron.parameters()]


class MLP:
    """Layers one after the other."""

    def __init__(self, inputs: int, outputs: list[int]) -> None:
        sizes = [inputs, *outputs]
        self.layers = [Layer(a, b, i < len(outputs) - 1) for i, (a, b) in enumerate(zip(sizes, outputs))]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Scalar]:
        return [p for layer in self.layers for p in layer.parameters()]


def moons(n: int) -> tuple[list[list[float]], list[float]]:
    """Two interleaving half circles with noise, labels -1 and 1."""
    rng = np.random.default_rng(0)
    angle = np.linspace(0.0, np.pi, n // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.concatenate([upper, lower]) + rng.normal(0.0, 0.1, (2 * (n // 2), 2))
    return points.tolist(), [-1.0] * (n // 2) + [1.0] * (n // 2)


class Trainer:
    """The demo's loop, for either library: ``number`` makes a variable, ``value`` reads a number or gradient."""

    def __init__(self, network: Any, number: Callable[[float], Any], value: Callable[[Any], float], n: int) -> None:
        self.network, self.number, self.value = network, number, value
        self.points, self.labels = moons(n)
        self.inputs: list[list[Any]] = []

    def loss(self) -> Any:
        self.inputs = self.leaves()
        scores = [self.network(point) for point in self.inputs]
        losses = [(1 + -label * score).relu() for label, score in zip(self.labels, scores)]
        return sum(losses) * (1.0 / len(losses)) + L2 * sum(p * p for p in self.network.parameters())

    def leaves(self) -> list[list[Any]]:
        return [[self.number(coordinate) for coordinate in point] for point in self.points]

    def step(self) -> Any:
        loss = self.loss()
        self.clear()
        loss.backward()
        self.update()
        return loss

    def clear(self) -> None:
        self.network.zero_grad()

    def update(self) -> None:
        for p in self.network.parameters():
            p.data -= LR * p.grad

    def numbers(self) -> Numbers:
        """Loss and all gradients (weights and inputs) of the first step, loss and weights some steps later."""
        first = self.step()
        found = {
            "first loss": first.data,
            "gradients of the weights": [self.value(p.grad) for p in self.network.parameters()],
            "gradients of the inputs": [self.value(c.grad) for point in self.inputs for c in point],
        }
        for _ in range(STEPS_COMPARED):
            found["later loss"] = self.step().data
        return found | {"later weights": [p.data for p in self.network.parameters()]}


class OurTrainer(Trainer):
    """As above; only clearing and reading a gradient are spelled otherwise."""

    def clear(self) -> None:
        for p in self.network.parameters():
            p.grad = None

    def update(self) -> None:
        for p in self.network.parameters():
            p.data -= LR * p.grad.data


class CompiledTrainer(OurTrainer):
    """The whole step as one program.  The points are leaves that stay, so that their gradients can be read."""

    def __init__(self, n: int, **settings: Any) -> None:
        super().__init__(MLP(2, HIDDEN), Scalar, float, n)
        self.inputs = super().leaves()
        self.step = compiled(super().step, **settings)  # type: ignore[method-assign]

    def leaves(self) -> list[list[Any]]:
        return self.inputs

    def clear(self) -> None:
        super().clear()
        for point in self.inputs:
            for coordinate in point:
                coordinate.grad = None

    def update(self) -> None:
        write([(p, p - LR * p.grad) for p in self.network.parameters()])


def count_nodes(root: Any) -> int:
    """How many variables of ours the graph of ``root`` has."""
    seen, waiting = {root}, [root]
    while waiting:
        for arg in waiting.pop().inputs or ():
            if isinstance(arg, Scalar) and arg not in seen:
                seen.add(arg)
                waiting.append(arg)
    return len(seen)


def in_large_stack(work: Callable[[], Any], megabytes: int = 512) -> Any:
    """Run in a thread with room for deep recursion, and return or raise what it returned or raised."""
    outcome: list[Any] = []

    def target() -> None:
        try:
            outcome.extend((True, work()))
        except BaseException as error:
            outcome.extend((False, error))

    limit, size = sys.getrecursionlimit(), threading.stack_size(megabytes * 2**20)
    try:
        sys.setrecursionlimit(1_000_000)
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    good, result = outcome
    if not good:
        raise result
    return result


@contextmanager
def cyclic_collector(on: bool) -> Iterator[None]:
    """Switch Python's cyclic garbage collector."""
    was = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if was else gc.disable)()


def seeded(make: Callable[[], Any]) -> Any:
    """The same weights for everybody: both libraries draw them from ``random``."""
    random.seed(1337)
    return make()


def contestants(n: int, to_compile: bool) -> tuple[list[Contestant], dict[str, str]]:
    """All sides with the same weights."""
    found, absent = [], {}

    def join(name: str, trainer: Any) -> None:
        found.append(Contestant(name, repeat(trainer.step, 1), trainer.numbers))

    join(OURS, seeded(lambda: OurTrainer(MLP(2, HIDDEN), Scalar, float, n)))
    if to_compile:
        join(IN_NUMPY, seeded(lambda: CompiledTrainer(n, backend="numpy", exact=True)))
    if to_compile and available():
        join(IN_C, seeded(lambda: CompiledTrainer(n, backend="c")))
    elif to_compile:
        absent[IN_C] = NO_COMPILER
    package = micrograd()
    if package is None:
        absent[MICROGRAD] = NOT_INSTALLED
    else:
        join(MICROGRAD, seeded(lambda: Trainer(package.nn.MLP(2, HIDDEN), package.engine.Value, float, n)))
    return found, absent


def run(quick: bool) -> list[Table]:
    """Time the step with the cyclic collector on and off, compiled with it off."""
    points, rounds, warmup = (2, 1, 0) if quick else (100, 15, 2)

    def compete(on: bool) -> list[Table]:
        with cyclic_collector(on):
            sides, absent = contestants(points, to_compile=not on)
            worst = assert_same(sides, rtol=1e-9)
            measured = interleave(sides, rounds, warmup, collect=True)
        nodes = count_nodes(OurTrainer(MLP(2, HIDDEN), Scalar, float, points).loss())
        setting = f"Scalar training step, 2-16-16-1 ReLU, {points} points, cyclic collector {'on' if on else 'off'}"
        notes = [
            f"{rounds} rounds; our graph has {nodes:,} nodes; in a thread with a large stack, for micrograd's sake"
        ]
        goals = {OURS: 1 / 3, IN_C: 0.01, IN_NUMPY: 0.05}
        tables = []
        for name, at_most in goals.items():
            if name in measured:
                others = [side for side in goals if side != name]
                rows = tabulate(measured, [Goal(MICROGRAD, at_most)], [name, *others, MICROGRAD])
                tables.append(Table(f"{setting}: {name}", "per step", rows, absent, worst, notes))
        return tables

    return [table for on in (True, False) for table in in_large_stack(lambda on=on: compete(on))]
