"""Build a layer of your own: written from its formula, checked, drawn, trained, and given a primitive of its own.

A tour for the author of a layer.  The layer is root mean square normalization (Zhang and Sennrich 2019, arXiv:1910.07467,
equation 4): each example is divided by the root of the mean of its squares, and scaled by a learned gain.  Its backward
pass is written nowhere; it is compared with the complex step (Squire and Trapp 1998, SIAM Review 40(1), 110-112), which
runs the same forward on complex numbers and knows no rule.  Mistakes are planted to see whether the checks notice.

What the tour prints of the layer is the source of what ran.

python -m demos.build_your_own [--full] [--seeds N] [--seed N] [--out DIR]
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, graph, nn, ops, optim
from tinygrad_bn.testing import Report, check_layer, check_primitive

from .datasets import DIGITS, load_digits, shuffled_digits
from .lab import copies, cost, drawings, plots, statistics
from .lab.command import main
from .lab.demo import Block, Code, Demo, Heading, Measured, Part, Plot, Progress, Settings, Table, Text, Verdict

Array = np.ndarray[Any, Any]

ROOT = Path(__file__).resolve().parents[1]
SIZES = (64, 50, 50, 50, 10)
RATES = (0.1, 0.3, 1.0, 3.0, 10.0)
TARGET = 0.95
BATCH, EVERY = 60, 20
TRAINING, VALIDATION = 997, 300  # of 1,797 digits; the other 500 are for the report
ARMS = {"plain": "plain", "rms": "RMSNorm", "layer": "LayerNorm", "batch": "BatchNorm"}


# -- the layer, as its author writes it ---------------------------------------------------------------------------------


class RMSNorm(nn.Module):
    """Each example over the root of its mean square, times a gain for each feature."""

    def __init__(self, features: Any, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(np.ones(features, np.float32))
        self.eps = eps

    def forward(self, x: Any) -> Any:
        mean_square = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return self.gain * (x / ops.sqrt(mean_square + self.eps))


class LayerNorm(nn.Module):
    """The same around the mean, with a shift (Ba et al. 2016, arXiv:1607.06450)."""

    def __init__(self, features: Any, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(np.ones(features, np.float32))
        self.shift = nn.Parameter(np.zeros(features, np.float32))
        self.eps = eps

    def forward(self, x: Any) -> Any:
        centered = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
        return self.gain * (centered / ops.sqrt(variance + self.eps)) + self.shift


# -- two mistakes -------------------------------------------------------------------------------------------------------


class LeavesTheGraph(RMSNorm):
    """RMSNorm whose mean square is computed beside the graph: the values are right, the gradient is not."""

    def forward(self, x: Any) -> Any:
        numbers = x.numpy() if isinstance(x, tg.Tensor) else x
        mean_square = np.mean(np.square(numbers), axis=-1, keepdims=True)
        return self.gain * (x / ops.sqrt(mean_square + self.eps))


class ForgetsTheRoot(RMSNorm):
    """RMSNorm without the root: the gradient is that of what is written, which is not the formula."""

    def forward(self, x: Any) -> Any:
        mean_square = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return self.gain * (x / (mean_square + self.eps))


# -- a primitive --------------------------------------------------------------------------------------------------------


def forward(x: Any) -> Any:
    """1/√x, on arrays."""
    return 1.0 / np.sqrt(x)


def rule(g: Any, out: Any, x: Any) -> Any:
    """How fast the loss grows with x, where it grows with the result by g: d(x^-1/2)/dx is -1/2 x^-3/2."""
    return g * -0.5 * out * out * out


def primitive(name: str, rule: Callable[..., Any]) -> tg.Primitive:
    """1/√x as one operation, on arrays and on single numbers."""
    return tg.Primitive(name, forward, rule, scalar=lambda x: x**-0.5, elementwise=True, notation="1/√({0})")


rsqrt = primitive("rsqrt", rule)


class WithRsqrt(RMSNorm):
    """RMSNorm with the primitive."""

    def forward(self, x: Any) -> Any:
        return self.gain * (x * rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + self.eps))


def forgets_a_factor(g: Any, out: Any, x: Any) -> Any:
    """A wrong rule: one factor ``out`` too few."""
    return g * -0.5 * out * out


def sums_up(g: Any, out: Any, x: Any) -> Any:
    """A rule that breaks the contract: one number instead of one for each element of x."""
    return ops.sum(rule(g, out, x))


# -- measuring ----------------------------------------------------------------------------------------------------------


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
        "messages": report.stories(report.failures).replace(f"{ROOT}/", ""),
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
    return {"drawn": drawings.kept(drawn), "forward": counts[0], "backward": counts[1]}


def small_example() -> tuple[Any, Array, RMSNorm]:
    """The layer on two examples of three features, with a cotangent that is not symmetric."""
    made = RMSNorm(3)
    x = tg.Tensor([[1.0, 2.0, 2.0], [3.0, 0.0, -4.0]], requires_grad=True, name="x")
    y = made(x)
    y.name = "y"
    return y, np.array([[1.0, 0.0, 0.0], [0.5, -1.0, 0.0]]), made


def explorer_page(path: Path) -> object:
    """The layer as a page of the explorer."""
    y, dy, made = small_example()
    return tg.explore(path, y, dy, module=made, title="RMSNorm of two examples")


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
    rows, found = copies.batches(TRAINING, BATCH, seeds), []
    for step in progress(range(1, steps + 1), f"{ARMS[arm]}, {len(seeds)} copies"):
        chosen = next(rows)
        copies.step(model, optimizer, copies.cross_entropy, x[chosen], y[chosen])
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


# -- showing ------------------------------------------------------------------------------------------------------------


def show(measured: Measured) -> list[Block]:
    """The tour."""
    blocks: list[Block] = []
    if "layer" in measured:
        blocks += layer_blocks(measured["layer"])
    if "picture" in measured:
        blocks += picture_blocks(measured["picture"])
    if "training" in measured:
        blocks += training_blocks(measured["training"], measured.get("cost"))
    if "primitive" in measured:
        blocks += primitive_blocks(measured["primitive"])
    if "layer" in measured:
        blocks += [Heading("What became of it"), verdict(measured["layer"], measured.get("training"))]
    return blocks


def layer_blocks(part: Mapping[str, Any]) -> list[Block]:
    """The layer, its proof, and proofs that fail."""
    leaves, forgets = part["mistakes"]["LeavesTheGraph"], part["mistakes"]["ForgetsTheRoot"]
    rows = [
        (row_text(row), row_text(result))
        for row, result in zip(part["rows"], part["result"])
    ]  # fmt: skip
    return [
        Heading("1. From a formula to a layer"),
        Text(
            "Root mean square normalization divides each example by the root of the mean of its squares and multiplies "
            "each feature by a learned gain: y = g · x / RMS(x), RMS(x) = √(1/n Σ xᵢ²). As in other normalizations, an ε "
            "under the root keeps an example of zeros from 0/0. The layer is a `Module` with a `forward`:"
        ),
        Code(part["source"]),
        Text(f"That is {part['lines']} lines of code, and none about derivatives."),
        Table("values", "What it computes: but for ε, the size of an example does not matter", ("x", "y"), rows),
        Heading("2. The proof"),
        Text(
            "`check_layer(RMSNorm(3), x)` compares first and second derivatives with central differences, and looks for "
            "what new layers are usually wrong in:"
        ),
        Code(part["check"]["table"], "output"),
        Text(
            "A sharper eye than central differences: the same forward run on complex numbers, whose imaginary part is the "
            f"derivative without a subtraction. Largest difference to what the engine derived: {part['error']['RMSNorm']:.0e}."
        ),
        Heading("3. Proofs that fail"),
        Text(
            "A check that only passes proves little. This layer computes its mean square beside the graph; its values differ "
            f"from the formula's by {leaves['by_hand']:.2g}:"
        ),
        Code(leaves["source"]),
        Text(check_said(leaves)),
        Code(leaves["check"]["messages"], "output"),
        Text("This one forgets the root:"),
        Code(forgets["source"]),
        Text(
            f"{check_said(forgets)} No check of derivatives can know which formula was meant. The values can: compared with "
            f"the formula worked out row by row, this layer is off by {forgets['by_hand']:.2g}, `RMSNorm` by "
            f"{part['by_hand']:.2g}. Test both."
        ),
    ]  # fmt: skip


def row_text(values: Sequence[float]) -> str:
    """Numbers beside each other."""
    return "  ".join(f"{value:.4g}" for value in values)


def check_said(mistake: Mapping[str, Any]) -> str:
    """What ``check_layer`` found in a mistake."""
    failed = mistake["check"]["failed"]
    return f"`check_layer` fails in: {', '.join(failed)}." if failed else "`check_layer` passes."


def picture_blocks(part: Mapping[str, Any]) -> list[Block]:
    """The graph, and the explorer's page."""
    return [
        Heading("4. The picture"),
        Text(
            f"`graph.draw(layer(x), dy, module=layer)` draws what ran: {part['forward']} operations forward, from which "
            f"{part['backward']} backward followed. `explore` writes the same as a page that runs one step at a time."
        ),
        *drawings.shown("rms_norm", "RMSNorm of two examples, with values and gradients", part["drawn"]),
        *drawings.explorer("rms_norm.html", "the layer in a browser, one step at a time", explorer_page),
    ]


def training_blocks(part: Mapping[str, Any], costs: Mapping[str, Any] | None) -> list[Block]:
    """The race."""
    reached = {arm: steps_to_target(part, arm) for arm in ARMS}
    budget = part["steps"][-1]
    rows = []
    for arm, name in ARMS.items():
        middle = statistics.lower_median(reached[arm])
        each = costs[arm]["seconds"] if costs else None
        rows.append((
            name, f"{part[arm]['rate']:g}", statistics.steps_text(reached[arm]),
            "-" if each is None else f"{1e3 * each:.2f}",
            "-" if each is None else "never" if middle is None else f"{middle * each:.2f}",
            statistics.mean_text([run[-1] for run in part[arm]["accuracy"]], 100),
        ))  # fmt: skip
    grid = [
        (name, *("never" if value > part["tuning_steps"] else f"{value:.0f}" for value in part[arm]["validation"]))
        for arm, name in ARMS.items()
    ]
    edges = [ARMS[arm] for arm in ARMS if part[arm]["rate"] in (part["rates"][0], part["rates"][-1])]
    blocks: list[Block] = [
        Heading("5. Training with it"),
        Text(
            f"On the 8x8 digits, {'-'.join(map(str, SIZES))} with sigmoids, SGD, {BATCH} examples a batch, {budget} steps; "
            f"each network with the learning rate that brought it to {100 * TARGET:.0f} % of the validation images first, for "
            f"two seeds that are not reported. The same initial weights and batches in all four; {len(reached['plain'])} "
            "seeds, all trained at once: parameters have an axis for them. The other two normalizations, written the same way:"
        ),
        *map(Code, part["sources"]),
        Table(
            "training", f"Steps and CPU seconds to {100 * TARGET:.0f} % test accuracy, and accuracy after {budget} steps in %",
            ("network", "rate", "steps", "ms a step", "CPU s", "final accuracy"), rows,
        ),
        Table(
            "rates",
            f"Choosing the rate: steps to {100 * TARGET:.0f} % validation accuracy, mean of two seeds (never counts as "
            f"{part['tuning_steps'] + EVERY})",
            ("network", *(f"{rate:g}" for rate in part["rates"])), grid,
        ),
    ]  # fmt: skip
    if edges:
        blocks.append(
            Text(f"The best rate of {' and '.join(edges)} is at the edge of the grid: a wider one may find better.")
        )
    return [
        *blocks,
        Text(f"{fewer_steps(reached, 'plain', 'rms')} {fewer_steps(reached, 'rms', 'batch')}"),
        accuracy_plot(part, reached),
    ]


def fewer_steps(reached: Mapping[str, Sequence[float | None]], before: str, after: str) -> str:
    """How many steps one network saves against another, as a sentence."""
    share = statistics.saved(reached[before], reached[after])
    if share is not None:
        text = statistics.saved_text(reached[before], reached[after])
        return f"{ARMS[after]} saves {text} of the steps of {ARMS[before]}."
    late = [ARMS[arm] for arm in (before, after) if statistics.lower_median(reached[arm]) is None]
    return f"Most seeds of {' and of '.join(late)} do not get there."


def steps_to_target(part: Mapping[str, Any], arm: str) -> list[int | None]:
    """Per seed, the first evaluation at the target."""
    return [statistics.first_at(part["steps"], run, TARGET) for run in part[arm]["accuracy"]]


def accuracy_plot(part: Mapping[str, Any], reached: Mapping[str, Sequence[float | None]]) -> Plot:
    """Accuracy against steps, each network at its best rate."""
    colors = {"plain": plots.PLAIN, "rms": plots.GREEN, "layer": plots.ORANGE, "batch": plots.BN}

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axhline(100 * TARGET, color=plots.GRAY, linewidth=1)
        styles = {"plain": "-", "rms": "-", "layer": "--", "batch": "-"}
        for arm, name in ARMS.items():
            runs = 100 * np.array(part[arm]["accuracy"])
            plots.band(axes, part["steps"], runs, colors[arm], name, linestyle=styles[arm])
        axes.set(xlabel="steps", ylabel="test accuracy, %", ylim=(0, 100), xlim=(0, None))
        axes.set_yticks([0, 20, 40, 60, 80, 100 * TARGET], ["0", "20", "40", "60", "80", f"{100 * TARGET:.0f}"])
        axes.legend(loc="lower right")

    said = ", ".join(
        f"{name} {statistics.never_text(statistics.lower_median(reached[arm]))}" for arm, name in ARMS.items()
    )
    return Plot("accuracy", f"Steps to {100 * TARGET:.0f} % (median of the seeds): {said}", draw)


def primitive_blocks(part: Mapping[str, Any]) -> list[Block]:
    """The primitive, and what is said to wrong ones."""
    change = 100 * (part["cost"]["WithRsqrt"]["ratio"] - 1)
    return [
        Heading("6. A primitive of its own"),
        Text(
            "Most operations should be composed, and have no rule that could be wrong. Where one is worth it, a primitive "
            "is a forward on arrays and one rule for each argument, in the library's operations, so that it can be "
            "differentiated again:"
        ),
        Code(part["source"]),
        Text("`check_primitive(rsqrt, samples)`:"),
        Code(part["check"]["table"], "output"),
        Text(f"In the layer it stands for a root and a division. {check_said({'check': part['layer_check']})}"),
        Code(part["layer_source"]),
        Text(
            f"It changes the CPU time of forward and backward on {BATCH} x {SIZES[1]} numbers by {change:+.0f} % (median of "
            f"{part['rounds']} rounds; composed: {1e6 * part['cost']['RMSNorm']['seconds']:.0f} µs). "
            + (
                "Not worth it here: composed it is as fast, and has no rule that could be wrong."
                if change > -5
                else "Whether that is worth a rule that could be wrong is for the author to say."
            )
        ),
        Heading("7. When a rule is wrong"),
        Code(part["wrong_source"]),
        Text("`check_primitive` says:"),
        Code(part["wrong"]["messages"], "output"),
        Text("A rule that breaks the contract is reported by the engine itself, in any backward pass:"),
        Code(part["broken_source"]),
        Code(part["broken"], "output"),
    ]


def verdict(part: Mapping[str, Any], race: Mapping[str, Any] | None) -> Verdict:
    """Holds if all checks pass, a planted mistake does not, and the layer trains to the target.

    The gradient has to agree with the complex step to 1e-12; the mistake has to be off by more than a millionth.
    """
    error, planted = part["error"]["RMSNorm"], part["mistakes"]["LeavesTheGraph"]
    right = part["check"]["ok"] and part["gradcheck"] and error < 1e-12
    noticed = "first derivatives" in planted["check"]["failed"] and part["error"]["LeavesTheGraph"] > 1e-6
    measured = (
        f"{part['lines']} lines of forward code; {'all checks pass' if part['check']['ok'] else 'checks fail'}, derivatives "
        f"off by at most {error:.0e}; a planted mistake (off by {part['error']['LeavesTheGraph']:.1g}) is "
        f"{'noticed' if noticed else 'not noticed'}"
    )
    claim = "Write the forward pass, and the backward pass follows"
    if not (right and noticed):
        return Verdict("composed", claim, measured, "does not hold")
    if race is None:
        return Verdict("composed", claim, measured, "holds")
    steps = steps_to_target(race, "rms")
    measured += f"; trains to {100 * TARGET:.0f} % on the digits in {statistics.steps_text(steps)} steps"
    if None in steps:
        condition = (
            f"derivatives are all that is asked: not all seeds reach {100 * TARGET:.0f} % in {race['steps'][-1]} steps"
        )
        return Verdict("composed", claim, measured, "holds if", condition)
    return Verdict("composed", claim, measured, "holds")


DEMO = Demo(
    name="build_your_own",
    title="Build a layer of your own",
    claim="Write the forward pass as the textbook writes it; the backward pass follows.",
    parts=(
        Part("layer", layer, seconds=1),
        Part("picture", picture, seconds=0.2),
        Part("training", training, (DIGITS,), 16),
        Part("cost", step_costs, (DIGITS,), 2),
        Part("primitive", own_primitive, seconds=1),
    ),
    show=show,
)

if __name__ == "__main__":
    sys.exit(main(DEMO.name))
