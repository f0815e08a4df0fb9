"""What is measured of the layer: its checks, its picture, its training, and what a primitive gains."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, graph, nn, ops, optim
from tinygrad_bn.testing import Report, check_layer, check_primitive

from ...datasets import DIGITS, load_digits, shuffled_digits
from ...lab.measure import copies, cost, statistics
from ...lab.measure.graphs import kept
from ...lab.measure.part import Part, Progress, Settings
from ...lab.measure.stepping import stepper
from .layers import (
    ForgetsTheRoot,
    LayerNorm,
    LeavesTheGraph,
    RMSNorm,
    WithRsqrt,
    forgets_a_factor,
    forward,
    primitive,
    rsqrt,
    rule,
    sums_up,
)

Array = np.ndarray[Any, Any]

ROOT = Path(__file__).resolve().parents[3]
SIZES = (64, 50, 50, 50, 10)
RATES = (0.1, 0.3, 1.0, 3.0, 10.0)
TARGET = 0.95
BATCH, EVERY = 60, 20
TRAINING, VALIDATION = 997, 300  # of 1,797 digits; the other 500 are for the report
ARMS = {"plain": "plain", "rms": "RMSNorm", "layer": "LayerNorm", "batch": "BatchNorm"}


def layer(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The layer, its check, and the checks of the two mistakes."""
    x = np.random.default_rng([settings.seed, 3]).standard_normal((4, 3))
    example = np.array([[1.0, 2.0, 2.0], [10.0, 20.0, 20.0], [0.0, 0.0, 0.0]])
    found = {
        "source": source(RMSNorm),
        "lines": code_lines(RMSNorm),
        "rows": example.tolist(),
        "result": RMSNorm(3)(example).numpy().tolist(),
        "check": told(check_layer(RMSNorm(3), x, quiet=True, raise_exception=False)),
        "gradcheck": agrees(RMSNorm, x),
        "error": {name: complex_step_error(kind, x, settings.seed) for name, kind in kinds().items()},
        "mistakes": {},
    }
    for mistake in (LeavesTheGraph, ForgetsTheRoot):
        found["mistakes"][mistake.__name__] = {
            "source": source(mistake),
            "check": told(check_layer(mistake(3), x, quiet=True, raise_exception=False)),
            "by_hand": float(np.abs(mistake(3)(x).numpy() - by_hand(x)).max()),
        }
    found["by_hand"] = float(np.abs(RMSNorm(3)(x).numpy() - by_hand(x)).max())
    return found


def kinds() -> dict[str, type[RMSNorm]]:
    """The layer, the layer with the primitive, and the layer that leaves the graph."""
    return {kind.__name__: kind for kind in (RMSNorm, WithRsqrt, LeavesTheGraph)}


def source(thing: Any) -> str:
    """The source of what runs, without what surrounds it."""
    return textwrap.dedent(inspect.getsource(thing)).rstrip()


def code_lines(thing: Any) -> int:
    """How many lines its code has, without docstrings and empty lines."""
    tree = ast.parse(source(thing))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body = body[1:]
    return sum(bool(line.strip()) for line in ast.unparse(tree).splitlines())


def told(report: Report) -> dict[str, Any]:
    """A report as data, its paths without what is before the project's folder."""
    return {
        "ok": report.ok,
        "table": report.table(),
        "failed": [failure.name for failure in report.failures],
        "messages": report.failure_details(report.failures).replace(f"{ROOT}/", ""),
    }


def agrees(kind: type[RMSNorm], x: Array) -> bool:
    """Whether ``gradcheck`` passes for inputs and gain, in float64."""
    made = in_float64(kind, x.shape[1])
    return tg.gradcheck(made, x, parameters=[made.gain], raise_exception=False)


def in_float64(kind: type[RMSNorm], features: int) -> RMSNorm:
    """A layer with gains 1, 2, 3, ... in double precision."""
    made = kind(features)
    made.gain = nn.Parameter(np.arange(1.0, features + 1))
    return made


def complex_step_error(kind: type[RMSNorm], x: Array, seed: int) -> float:
    """The largest difference between the derived gradients, by x and by the gain, and the complex step of the formula.

    The forward of ``RMSNorm`` runs on complex arrays as it is: operations on raw arrays just compute.
    """
    made, w = in_float64(kind, x.shape[1]), np.random.default_rng([seed, 4]).standard_normal(x.shape)
    leaf = tg.Tensor(x, requires_grad=True)
    made(leaf).backward(w)
    differences = []
    for position, (start, derived) in enumerate(((x, leaf.grad), (made.gain.numpy(), made.gain.grad))):
        for index in np.ndindex(start.shape):
            arguments = [x.astype(complex), made.gain.numpy().astype(complex)]
            arguments[position][index] += 1e-30j
            raw: Any = SimpleNamespace(gain=arguments[1], eps=made.eps)
            slope = np.sum(w * RMSNorm.forward(raw, arguments[0])).imag / 1e-30
            differences.append(abs(float(derived.numpy()[index]) - slope))
    return float(max(differences))


def by_hand(x: Array) -> Array:
    """Equation 4 of the paper in plain NumPy, row by row."""
    return np.array([row / np.sqrt(sum(v * v for v in row) / len(row) + 1e-5) for row in x])


def picture(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The layer's graph, and how many operations run forward and backward."""
    y, dy, made = small_example()
    forward_graph, backward_graph = graph.trace_backward(y, dy, made)
    counts = [sum(node.op is not None for node in g.nodes) for g in (forward_graph, backward_graph)]
    drawn = graph.draw(y, dy, module=made, title="RMSNorm of two examples")
    return {"drawn": kept(drawn), "forward": counts[0], "backward": counts[1]}


def small_example() -> tuple[Any, Array, RMSNorm]:
    """The layer on two examples of three features, with a cotangent that is not symmetric."""
    made = RMSNorm(3)
    x = tg.Tensor([[1.0, 2.0, 2.0], [3.0, 0.0, -4.0]], requires_grad=True, name="x")
    y = made(x)
    y.name = "y"
    return y, np.array([[1.0, 0.0, 0.0], [0.5, -1.0, 0.0]]), made


def own_primitive(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The primitive and its check, two wrong rules, and what the layer gains by it."""
    samples = [np.random.default_rng([settings.seed, 5]).uniform(0.5, 3.0, (2, 3)), 0.7]
    x = np.random.default_rng([settings.seed, 6]).standard_normal((BATCH, SIZES[1])).astype(np.float32)
    steps = {kind.__name__: alone(kind(SIZES[1]), x) for kind in (RMSNorm, WithRsqrt)}
    return {
        "source": "\n\n\n".join([*map(source, (forward, rule, primitive)), 'rsqrt = primitive("rsqrt", rule)']),
        "check": told(check_primitive(rsqrt, samples, quiet=True, raise_exception=False)),
        "layer_source": source(WithRsqrt),
        "layer_check": told(check_layer(WithRsqrt(3), x[:4, :3].astype(float), quiet=True, raise_exception=False)),
        "wrong_source": source(forgets_a_factor),
        "wrong": told(check_primitive(primitive("wrong", forgets_a_factor), samples, quiet=True, raise_exception=False)),
        "broken_source": source(sums_up),
        "broken": broken_rule(),
        "rounds": 40,
        "cost": cost.step_costs(steps, rounds=40, inner=20),
    }  # fmt: skip


def broken_rule() -> str:
    """What the engine says, in an ordinary backward pass, to a rule that breaks the contract."""
    x = tg.Tensor([0.5, 1.0, 2.0], requires_grad=True)
    try:
        ops.sum(primitive("summed", sums_up)(x)).backward()
    except tg.TinygradError as error:
        return str(error).replace(f"{ROOT}/", "")
    return ""


def alone(made: nn.Module, x: Array) -> Callable[[], object]:
    """Forward and backward of a layer by itself."""
    leaf, w = tg.Tensor(x, requires_grad=True), np.ones_like(x)

    def step() -> None:
        made(leaf).backward(w)

    return step


def training(settings: Settings, progress: Progress) -> dict[str, Any]:
    """A sigmoid network on the digits with each normalization, at each one's own best learning rate."""
    data = shuffled_digits(settings.seed)
    x, y = data.images, data.labels
    validation, test = slice(TRAINING, TRAINING + VALIDATION), slice(TRAINING + VALIDATION, None)
    budget, tuning_budget = (2000, 2000) if settings.full else (1000, 800)
    found: dict[str, Any] = {
        "steps": list(range(EVERY, budget + 1, EVERY)),
        "tuning_steps": tuning_budget,
        "rates": list(RATES),
        "sources": [source(LayerNorm), source(copies.BatchNorm)],
    }
    tuning = [(seed, rate) for rate in RATES for seed in settings.tuning_seeds(2)]
    for arm in ARMS:
        seeds, rates = [seed for seed, _ in tuning], [rate for _, rate in tuning]
        runs = accuracies(arm, seeds, rates, x, y, validation, tuning_budget, progress)
        first = [statistics.first_at(found["steps"], run, TARGET) or tuning_budget + EVERY for run in runs]
        to_target = np.reshape(first, (len(RATES), -1)).mean(axis=1)
        overall = runs.mean(axis=1).reshape(len(RATES), -1).mean(axis=1)
        best = RATES[min(range(len(RATES)), key=lambda i: (to_target[i], -overall[i]))]
        seeds = list(settings.test_seeds)
        reported = accuracies(arm, seeds, [best] * len(seeds), x, y, test, budget, progress)
        found[arm] = {"validation": to_target.tolist(), "rate": best, "accuracy": reported.tolist()}
    return found


def accuracies(
    arm: str,
    seeds: Sequence[int],
    rates: Sequence[float],
    x: Array,
    y: Array,
    held_out: slice,
    steps: int,
    progress: Progress,
) -> Array:
    """The accuracy of each copy on held-out rows, every ``EVERY`` steps: shape (copies, steps // EVERY)."""
    model = network(arm, copies.draw_weights(SIZES, seeds, "xavier"))
    optimizer = copies.optimizer("sgd", model, rates)
    train_on = stepper(model, optimizer, copies.cross_entropy)
    rows, found = copies.batches(TRAINING, BATCH, seeds), []
    for step in progress(range(1, steps + 1), f"{ARMS[arm]}, {len(seeds)} copies"):
        chosen = next(rows)
        train_on(x[chosen], y[chosen])
        if step % EVERY == 0:
            found.append(copies.accuracy(copies.predict(model, x[held_out]), y[held_out]))
    return np.stack(found, axis=1)


def network(arm: str, weights: Sequence[Array]) -> nn.Sequential:
    """Many copies at once: linear, normalization, sigmoid; where the normalization shifts, the linear layer does not."""
    layers: list[nn.Module] = []
    for weight in weights[:-1]:
        count, _, outputs = weight.shape
        layers.append(copies.Linear(weight.copy(), bias=arm in ("plain", "rms")))
        if arm == "batch":
            layers.append(copies.BatchNorm(count, outputs))
        elif arm != "plain":
            layers.append({"rms": RMSNorm, "layer": LayerNorm}[arm]((count, 1, outputs)))
        layers.append(nn.Sigmoid())
    return nn.Sequential(*layers, copies.Linear(weights[-1].copy()))


def step_costs(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The CPU time of a training step of one network alone, the networks taking turns."""
    data = load_digits()
    x, y = data.images[:BATCH], data.labels[:BATCH]
    return cost.step_costs({arm: single(arm, x, y) for arm in ARMS}, rounds=25, inner=5)


def single(arm: str, x: Array, y: Array) -> Callable[[], object]:
    """One network, and a step of its training."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(SIZES[:-1]):
        layers.append(nn.Linear(inputs, outputs, bias=arm in ("plain", "rms")))
        if arm != "plain":
            layers.append({"rms": RMSNorm, "layer": LayerNorm, "batch": nn.BatchNorm1d}[arm](outputs))
        layers.append(nn.Sigmoid())
    model = nn.Sequential(*layers, nn.Linear(SIZES[-2], SIZES[-1]))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return lambda: copies.step(model, optimizer, functional.cross_entropy, x, y)


PARTS = (
    Part("layer", layer, seconds=1),
    Part("picture", picture, seconds=0.2),
    Part("training", training, (DIGITS,), 8),
    Part("cost", step_costs, (DIGITS,), 2),
    Part("primitive", own_primitive, seconds=1),
)
