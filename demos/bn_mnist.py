"""The Batch Normalization paper's first experiment, with and without BN, on real MNIST.

    python -m demos.bn_mnist [--steps N] [--seed N ...] [--init-std S ...] [--lr-plain LR] [--lr-bn LR] [--out DIR]

The network is the one of Ioffe and Szegedy 2015 (arXiv:1502.03167, section 4.1): 784-100-100-100-10, sigmoid, binary
pixels, batches of 60, cross-entropy, plain SGD.  With BN, each hidden layer is Linear without bias, BatchNorm1d,
sigmoid.  The paper gives neither the learning rate nor the width of the "small random Gaussian" initial weights, and
both decide the outcome, so the demo shows two widths, N(0, 0.1) and N(0, 0.01), and each network trains at the learning
rate that suits it best.

What is kept equal: both networks of a race start from the same weight matrices (biases and β at 0, γ at 1), and see the
same batches in the same order, one step each in turn.  CPU time is that of the training steps alone, in one thread.

Learning rates were chosen once, for each network and width by itself, with ``python -m demos.bn_mnist --sweep``: 3000
steps at each of six rates, seeds 100 to 102 (which the results do not use), judged by accuracy over the last fifth of
the run on 5,000 images held out of the training set.  The test set had no part in it.

    validation accuracy, %   lr 0.5       1       2       4       8      16   chosen
    N(0, 0.1)    plain        91.43   93.24   93.77   93.16   53.20   10.06        2
                 with BN      91.87   92.75   93.65   93.91   93.53   93.22        4
    N(0, 0.01)   plain        40.35   67.30   87.55   89.47   10.18   10.06        4
                 with BN      91.26   92.27   93.17   93.56   93.65   92.98        8
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_bn import Tensor, functional, graph, nn, no_grad, optim

from .datasets import Array, DatasetError, Digits, Splits, load_mnist
from .lab.options import INTERRUPTED, positive, whole
from .lab.output import OutputError, prepare, write_whole

SIZES = (784, 100, 100, 100, 10)
BATCH = 60
TARGET = 0.90
NETWORKS = ("plain", "with BN")

TUNED = {(0.1, "plain"): 2.0, (0.1, "with BN"): 4.0, (0.01, "plain"): 4.0, (0.01, "with BN"): 8.0}
SWEEP_RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
SWEEP_SEEDS = (100, 101, 102)


@dataclass
class Runner:
    """One network in a race, and what was measured of it.

    Attributes:
        curve: (steps done, accuracy on the probe) of each evaluation.
        cpu_seconds: CPU time of all training steps so far; of evaluations, none.
        cpu_at: that time at each evaluation.
        diverged: whether the loss became infinite or NaN.
        final: accuracy on the whole test set after the last step; ``None`` until then.
    """

    network: str
    std: float
    lr: float
    seed: int
    model: nn.Module
    optimizer: optim.SGD
    curve: list[tuple[int, float]] = field(default_factory=list)
    cpu_at: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    steps: int = 0
    diverged: bool = False
    final: float | None = None

    def step(self, images: Array, labels: Array) -> None:
        """One step of gradient descent on one batch, timed."""
        start = time.process_time()
        loss = functional.cross_entropy(self.model(images), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.cpu_seconds += time.process_time() - start
        self.steps += 1
        self.diverged = self.diverged or not math.isfinite(loss.item())

    def evaluate(self, data: Digits) -> None:
        """Add the accuracy on ``data`` to the curve."""
        self.curve.append((self.steps, accuracy(self.model, data)))
        self.cpu_at.append(self.cpu_seconds)

    def first_at(self, target: float) -> int | None:
        """Which evaluation was the first at or above ``target``; ``None`` if none was."""
        return next((i for i, (_, value) in enumerate(self.curve) if value >= target), None)

    def steps_to(self, target: float) -> float:
        """Steps to the first evaluation at or above ``target``; infinite if there was none."""
        i = self.first_at(target)
        return math.inf if i is None else self.curve[i][0]

    def cpu_to(self, target: float) -> float:
        """CPU seconds of training to the first evaluation at or above ``target``; infinite if there was none."""
        i = self.first_at(target)
        return math.inf if i is None else self.cpu_at[i]


def accuracy(model: nn.Module, data: Digits) -> float:
    """The share of ``data`` that the model, in evaluation mode (running statistics), labels right."""
    model.eval()
    with no_grad():
        scores = model(data.images)
    model.train()
    return float(np.mean(np.argmax(scores.data, axis=1) == data.labels))


def draw_weights(seed: int, std: float) -> list[Array]:
    """One Gaussian weight matrix per layer, of shape (outputs, inputs); the same numbers, scaled, for every ``std``."""
    rng = np.random.default_rng([seed, 0])
    return [(std * rng.standard_normal((m, n))).astype(np.float32) for n, m in pairwise(SIZES)]


def build(weights: Sequence[Array], batch_norm: bool) -> nn.Sequential:
    """The network with these weight matrices; biases (and β) 0, γ 1."""
    layers: list[nn.Module] = []
    for i, matrix in enumerate(weights):
        outputs, inputs = matrix.shape
        hidden = i < len(weights) - 1
        linear = nn.Linear(inputs, outputs, bias=not (hidden and batch_norm))  # β takes the place of the bias
        linear.weight.data = np.asfortranarray(matrix)
        if linear.bias is not None:
            linear.bias.data = np.zeros(outputs, np.float32)
        layers.append(linear)
        if hidden:
            layers += [nn.BatchNorm1d(outputs), nn.Sigmoid()] if batch_norm else [nn.Sigmoid()]
    return nn.Sequential(*layers)


def enter(network: str, std: float, lr: float, seed: int) -> Runner:
    """A runner at the start line."""
    model = build(draw_weights(seed, std), batch_norm=network == "with BN")
    return Runner(network, std, lr, seed, model, optim.SGD(model.parameters(), lr=lr))


def batches(size: int, seed: int) -> Iterator[Array]:
    """Row numbers of one batch after the other, without end; each epoch in a new order, its short last batch left out.

    Raises:
        ValueError: fewer rows than one batch.
    """
    if size < BATCH:
        raise ValueError(f"batches: {size} rows do not make one batch of {BATCH}")
    rng = np.random.default_rng([seed, 1])
    while True:
        order = rng.permutation(size)
        for start in range(0, size - BATCH + 1, BATCH):
            yield order[start : start + BATCH]


def race(runners: Sequence[Runner], train: Digits, seed: int, probe: Digits, every: int, steps: Iterable[int]) -> None:
    """Train all runners in lockstep on the same batches.

    Args:
        runners: changed in place.
        train: what they train on.
        seed: of the order of the batches.
        probe: what they are evaluated on, every ``every`` steps.
        every: steps between two evaluations.
        steps: counts the steps to do, from 1; a progress bar may be wrapped around it.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is reported as such
        for step, rows in zip(steps, batches(len(train), seed)):
            images, labels = train.images[rows], train.labels[rows]
            for runner in runners:
                runner.step(images, labels)
            if step % every == 0:
                for runner in runners:
                    runner.evaluate(probe)


def progress(steps: int, label: str) -> Any:
    """The numbers 1 to ``steps``, with a progress bar on a terminal if tqdm is installed."""
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm

            return tqdm(range(1, steps + 1), desc=label, unit="step", leave=False, dynamic_ncols=True)
        except ImportError:
            pass
    print(f"{label} ...", file=sys.stderr, flush=True)
    return range(1, steps + 1)


# -- what is shown ------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float], form: str = "{:.0f}") -> str:
    """Lower median and, if there are several, the range; a value that was never reached counts as infinite."""
    if not values:
        return "not measured"

    def show(value: float) -> str:
        return form.format(value) if math.isfinite(value) else "never"

    middle = show(statistics.median_low(values))
    return middle if len(values) == 1 else f"{middle} ({show(min(values))} to {show(max(values))})"


def table(finished: Sequence[Runner]) -> str:
    """Steps, accuracy and CPU time of each network at each width, over the seeds."""
    rows = [("weights", "network", "lr", f"steps to {TARGET:.0%}", "test accuracy, %", "CPU ms/step", f"CPU s to {TARGET:.0%}", "CPU s")]  # fmt: skip # noqa: E501
    for std, network in dict.fromkeys((r.std, r.network) for r in finished):
        group = [r for r in finished if (r.std, r.network) == (std, network) and r.steps]
        if not group:
            continue
        there = [r for r in group if r.final is not None or r.first_at(TARGET) is not None]  # "never" is for whole runs
        note = " diverged" if any(r.diverged for r in group) else ""
        rows.append(
            (
                f"N(0, {std:g})", network, f"{group[0].lr:g}{note}",
                spread([r.steps_to(TARGET) for r in there]),
                spread([100 * r.final for r in group if r.final is not None], "{:.2f}"),
                spread([1000 * r.cpu_seconds / r.steps for r in group], "{:.2f}"),
                spread([r.cpu_to(TARGET) for r in there], "{:.1f}"),
                spread([r.cpu_seconds for r in group], "{:.1f}"),
            )
        )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def verdicts(finished: Sequence[Runner]) -> str:
    """For each width, what BN saved or cost, paired by seed."""
    lines = []
    for std in dict.fromkeys(r.std for r in finished):
        plain, bn = ([r for r in finished if (r.std, r.network) == (std, network)] for network in NETWORKS)
        before, after = (statistics.median_low([r.steps_to(TARGET) for r in group]) for group in (plain, bn))
        if math.isfinite(before) and math.isfinite(after):
            cpu = [statistics.median_low([r.cpu_to(TARGET) for r in group]) for group in (plain, bn)]
            reached = f"{TARGET:.0%} in {after / before:.0%} of the steps and {cpu[1] / cpu[0]:.0%} of the CPU time"
        else:
            who = [network for network, steps in zip(NETWORKS, (before, after)) if math.isfinite(steps)]
            reached = f"{TARGET:.0%} reached {'by ' + who[0] + ' only' if who else 'by neither'}"
        gain = [100 * (b.final - p.final) for p, b in zip(plain, bn) if p.final is not None and b.final is not None]
        lines.append(f"N(0, {std:g}), BN against plain: {reached}; test accuracy {spread(gain, '{:+.2f}')} points")
    return "\n".join(lines)


def sweep_table(runners: Sequence[Runner]) -> str:
    """Late validation accuracy and steps to the target at each learning rate, and the best rate of each network."""
    lines = []
    for std, network in dict.fromkeys((r.std, r.network) for r in runners):
        by_rate: dict[float, list[Runner]] = {}
        for r in runners:
            if (r.std, r.network) == (std, network):
                by_rate.setdefault(r.lr, []).append(r)
        late = {lr: statistics.fmean(map(late_accuracy, group)) for lr, group in sorted(by_rate.items())}
        best = max(late, key=late.__getitem__)
        edge = ", at the edge of the grid" if best in (min(late), max(late)) else ""
        lines.append(f"N(0, {std:g}), {network}: best lr {best:g}{edge}")
        for lr, value in late.items():
            steps = spread([r.steps_to(TARGET) for r in by_rate[lr]])
            lines.append(f"  lr {lr:<4g} late accuracy {100 * value:5.2f} %   steps to {TARGET:.0%}: {steps}")
    return "\n".join(lines)


def late_accuracy(runner: Runner) -> float:
    """Mean accuracy over the last fifth of the evaluations, which varies less than the last one alone."""
    values = [value for _, value in runner.curve]
    return statistics.fmean(values[-max(1, len(values) // 5) :])


def write_results(out: Path, finished: Sequence[Runner], steps: int) -> Path:
    """All measured figures as JSON, every evaluation included."""
    runs = [
        {
            "weights_std": r.std, "network": r.network, "lr": r.lr, "seed": r.seed, "steps": r.steps,
            "cpu_seconds": r.cpu_seconds, "diverged": r.diverged, "test_accuracy": r.final,
            "evaluations": [
                {"steps": s, "accuracy": a, "cpu_seconds": t} for (s, a), t in zip(r.curve, r.cpu_at)
            ],
        }
        for r in finished
    ]  # fmt: skip
    document = {"sizes": SIZES, "batch": BATCH, "steps": steps, "target": TARGET, "runs": runs}
    text = json.dumps(document, indent=1) + "\n"
    return write_whole(out / "bn_mnist.json", lambda path: path.write_text(text, encoding="utf-8"))


def write_picture(out: Path) -> tuple[Path, str]:
    """The graph of a BN layer on the batch 1, 2, 3, 4, with every value and gradient, as ``batch_norm.svg``.

    The gradient that comes in is 1 for the first result and 0 for the others, so what arrives at x is one row of the
    layer's Jacobian; with 1 for all of them it would be 0 everywhere, since their sum does not depend on x.

    Returns:
        The file, which is ``batch_norm.dot`` where no layout program is installed, and what to say about it.

    Raises:
        OutputError: the file cannot be written.
    """
    layer = nn.BatchNorm1d(1, dtype=np.float64)
    y = layer(Tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True, name="x"))
    incoming = np.array([[1.0], [0.0], [0.0], [0.0]])
    picture = graph.draw(y, incoming, module=layer, title="Batch Normalization of 1, 2, 3, 4")
    try:
        return write_whole(out / "batch_norm.svg", picture.save), "the graph of a BN layer, values and gradients"
    except graph.LayoutError as error:
        return write_whole(out / "batch_norm.dot", picture.save), f"the graph of a BN layer as text, because {error}"


# -- the command --------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 2 when the data or the output folder cannot be used; 130 after Ctrl-C.
    """
    options = parse(argv)
    finished: list[Runner] = []
    try:
        if options.sweep:
            sweep(options, load_mnist())
        else:
            compare(options, load_mnist(), finished)
    except KeyboardInterrupt:
        print("\nInterrupted; what was measured until then:" if finished else "\nInterrupted.")
        if finished:
            print(table(finished))
        return INTERRUPTED
    except (DatasetError, OutputError) as error:
        print(f"bn_mnist: {error}", file=sys.stderr)
        return 2
    return 0


def compare(options: argparse.Namespace, data: Splits, finished: list[Runner]) -> None:
    """Race the two networks for each width and seed, then print and write what came out."""
    out = prepare(options.out)
    every = min(50, options.steps)
    probe = data.test[::2]  # evenly, since the first half of the test set is known to be the easier one
    print(
        f"MNIST, {len(data.train):,} training images, {'-'.join(map(str, SIZES))} sigmoid, batches of {BATCH}, "
        f"{options.steps} steps, {len(options.seed)} seed{'s' * (len(options.seed) > 1)}.\n"
        f"Evaluated on every second test image each {every} steps, on all {len(data.test):,} at the end.",
        flush=True,
    )
    for std in options.init_std:
        for seed in options.seed:
            runners = [enter(network, std, options.rates[std, network], seed) for network in NETWORKS]
            finished += runners
            label = f"N(0, {std:g}), seed {seed}"
            race(runners, data.train, seed, probe, every, progress(options.steps, label))
            for runner in runners:
                runner.final = accuracy(runner.model, data.test)
    print(f"\n{table(finished)}\n\n{verdicts(finished)}\n")
    print(f"wrote {write_results(out, finished, options.steps)}: all figures")
    path, what = write_picture(out)
    print(f"wrote {path}: {what}")


def sweep(options: argparse.Namespace, data: Splits) -> None:
    """Try every learning rate on the validation images."""
    seeds = f"seeds {SWEEP_SEEDS[0]} to {SWEEP_SEEDS[-1]}"
    print(f"Learning rates, {options.steps} steps, {seeds}, {len(data.validation):,} validation images", flush=True)
    for std in options.init_std:
        runners: list[Runner] = []
        for seed in SWEEP_SEEDS:
            entered = [enter(network, std, lr, seed) for network in NETWORKS for lr in SWEEP_RATES]
            runners += entered
            label = f"N(0, {std:g}), seed {seed}"
            race(entered, data.train, seed, data.validation, min(50, options.steps), progress(options.steps, label))
        print(sweep_table(runners), flush=True)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Options, each checked; anything wrong ends the program with a message and exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m demos.bn_mnist", allow_abbrev=False,
        description="Train the Batch Normalization paper's MNIST network with and without BN and compare.",
    )  # fmt: skip
    parser.add_argument("--steps", type=whole(1), default=3000, metavar="N", help="steps per run (default: 3000)")
    parser.add_argument("--seed", type=whole(0), nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument(
        "--init-std", type=positive, nargs="+", default=[0.1, 0.01], metavar="S",
        help="standard deviations of the initial weights (default: 0.1 0.01)",
    )  # fmt: skip
    parser.add_argument("--lr-plain", type=positive, metavar="LR", help="default: the tuned one, see the module")
    parser.add_argument("--lr-bn", type=positive, metavar="LR", help="default: the tuned one, see the module")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="default: out")
    parser.add_argument("--sweep", action="store_true", help="choose learning rates on validation images instead")
    options = parser.parse_args(argv)
    options.seed, options.init_std = list(dict.fromkeys(options.seed)), list(dict.fromkeys(options.init_std))
    if options.sweep:
        return options
    given = {"plain": options.lr_plain, "with BN": options.lr_bn}
    options.rates = {
        (std, network): given[network] or TUNED.get((std, network)) for std in options.init_std for network in NETWORKS
    }
    unknown = [std for (std, _), rate in options.rates.items() if rate is None]
    if unknown:
        parser.error(
            f"no learning rates were chosen for --init-std {unknown[0]:g}: give --lr-plain and --lr-bn, "
            f"or find them with --sweep --init-std {unknown[0]:g}"
        )
    return options


if __name__ == "__main__":
    sys.exit(main())
