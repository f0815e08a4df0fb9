"""The tour: what is shown of the layer, in the order in which an author meets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_bn as tg

from ..lab.measure import statistics
from ..lab.measure.part import Measured
from ..lab.show import colors as palette
from ..lab.show import drawings, evidence, plots, telling, texts
from ..lab.show.blocks import Block, Code, Heading, Plot, Summary, Table, Text, Verdict
from .measure import ARMS, BATCH, EVERY, SIZES, TARGET, small_example

TITLE = "Four networks that differ in their normalization"


def explorer_page(path: Path) -> object:
    """The layer as a page of the explorer."""
    y, dy, made = small_example()
    return tg.explore(path, y, dy, module=made, title="RMSNorm of two examples")


def show(measured: Measured) -> list[Block]:
    """The tour."""
    blocks: list[Block] = []
    if "layer" in measured:
        blocks.append(summary(measured["layer"]))
        blocks += layer_blocks(measured["layer"])
    if "picture" in measured:
        blocks += picture_blocks(measured["picture"])
    if "training" in measured:
        blocks += training_blocks(measured["training"], measured.get("cost"))
    if "primitive" in measured:
        blocks += primitive_blocks(measured["primitive"])
    if "layer" in measured:
        blocks += [Heading("Verdict"), verdict(measured["layer"], measured.get("training"))]
    return blocks


def summary(part: Mapping[str, Any]) -> Summary:
    """The tour in a sentence."""
    passes = "passes all checks" if part["check"]["ok"] else "fails in some checks"
    return Summary(
        f"A normalization layer of your own takes {part['lines']} lines and no derivative: the derived backward pass {passes}, "
        f"and its error is at most {part['error']['RMSNorm']:.0e}.",
        "accuracy",
    )


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
        Text(f"That is {part['lines']} lines of code, none of them for derivatives."),
        Table("values", "Input and output of the layer: apart from ε, the scale of an example has no effect", ("x", "y"), rows),
        Heading("2. The proof"),
        Text(
            "`check_layer(RMSNorm(3), x)` compares first and second derivatives with central differences, and tests everything "
            "else that new layers usually get wrong:"
        ),
        Code(part["check"]["table"], "output"),
        Text(
            "A complex step is more accurate than central differences: the same forward runs on complex numbers, whose "
            "imaginary part gives the derivative without a subtraction. The largest difference from the engine's gradient is "
            f"{part['error']['RMSNorm']:.0e}."
        ),
        Heading("3. Proofs that fail"),
        Text(
            "A check that never fails proves little. This layer computes its mean square outside the graph; its values differ "
            f"from the formula's by {leaves['by_hand']:.2g}:"
        ),
        Code(leaves["source"]),
        Text(check_said(leaves)),
        Code(leaves["check"]["messages"], "output"),
        Text("This one forgets the root:"),
        Code(forgets["source"]),
        Text(
            f"{check_said(forgets)} No check of derivatives can know which formula was meant, so test the values, too: they "
            f"differ from the formula, computed row by row, by {forgets['by_hand']:.2g} for this layer and by "
            f"{part['by_hand']:.2g} for `RMSNorm`."
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
            f"`graph.draw(layer(x), dy, module=layer)` draws the {part['forward']} operations of the forward pass with their "
            f"gradients; the derived backward pass has {part['backward']} operations. `explore` writes a page on which both "
            "passes run one step at a time."
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
            name, f"{part[arm]['rate']:g}", texts.steps_text(reached[arm]),
            "-" if each is None else f"{1e3 * each:.2f}",
            "-" if each is None else "never" if middle is None else f"{middle * each:.2f}",
            texts.mean_text([run[-1] for run in part[arm]["accuracy"]], 100),
        ))  # fmt: skip
    grid = [
        (name, *("never" if value > part["tuning_steps"] else f"{value:.0f}" for value in part[arm]["validation"]))
        for arm, name in ARMS.items()
    ]
    edges = [ARMS[arm] for arm in ARMS if part[arm]["rate"] in (part["rates"][0], part["rates"][-1])]
    blocks: list[Block] = [
        Heading("5. Training with it"),
        Text(
            f"The task is the 8x8 digits, for a {'-'.join(map(str, SIZES))} network with sigmoids: {budget} steps of SGD with "
            f"{BATCH} examples per batch. Each network has the learning rate with which it first reached {100 * TARGET:.0f} % "
            "on validation images, for two seeds that are not reported. All four have the same initial weights and batches. "
            f"The {len(reached['plain'])} seeds are trained at once, along an additional axis of the parameters. The other two "
            "normalizations are written in the same way:"
        ),
        *map(Code, part["sources"]),
        Table(
            "training", f"Steps and CPU seconds to {100 * TARGET:.0f} % test accuracy, and accuracy after {budget} steps in %",
            ("network", "rate", "steps", "ms per step", "CPU seconds", "final accuracy"), rows,
        ),
        Table(
            "rates",
            f"Steps to {100 * TARGET:.0f} % validation accuracy for each learning rate, mean of two seeds (a run that never "
            f"reaches it counts as {part['tuning_steps'] + EVERY})",
            ("network", *(f"{rate:g}" for rate in part["rates"])), grid,
        ),
    ]  # fmt: skip
    if edges:
        blocks.append(
            Text(
                f"The best rate of {' and '.join(edges)} is at the edge of the grid; a wider grid may have a better rate."
            )
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
        text = texts.saved_text(reached[before], reached[after])
        return f"{ARMS[after]} saves {text} of the steps of {ARMS[before]}."
    late = [ARMS[arm] for arm in (before, after) if statistics.lower_median(reached[arm]) is None]
    return f"Most seeds of {' and of '.join(late)} do not reach the target."


def steps_to_target(part: Mapping[str, Any], arm: str) -> list[int | None]:
    """Per seed, the first evaluation at the target."""
    return [statistics.first_at(part["steps"], run, TARGET) for run in part[arm]["accuracy"]]


def accuracy_plot(part: Mapping[str, Any], reached: Mapping[str, Sequence[float | None]]) -> Plot:
    """Accuracy against steps, each network at its best rate."""
    colors = {"plain": plots.PLAIN, "batch": plots.BN}
    colors |= {"rms": palette.of("RMS normalization"), "layer": palette.of("layer normalization")}

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

    said = ", ".join(f"{name} {texts.never_text(statistics.lower_median(reached[arm]))}" for arm, name in ARMS.items())
    return Plot("accuracy", f"Steps to {100 * TARGET:.0f} % (median of the seeds): {said}", draw, title=TITLE)


def primitive_blocks(part: Mapping[str, Any]) -> list[Block]:
    """The primitive, and what is said to wrong ones."""
    change = 100 * (part["cost"]["WithRsqrt"]["ratio"] - 1)
    return [
        Heading("6. A primitive"),
        Text(
            "Most operations should be composed, because then they have no rule that could be wrong. Where a primitive is "
            "worth it, it consists of a forward on arrays and one rule for each argument. The rule is written in the library's "
            "operations, so that it can be differentiated again:"
        ),
        Code(part["source"]),
        Text("`check_primitive(rsqrt, samples)`:"),
        Code(part["check"]["table"], "output"),
        Text(f"In the layer it replaces a root and a division. {check_said({'check': part['layer_check']})}"),
        Code(part["layer_source"]),
        Text(
            f"It changes the CPU time of forward and backward on {BATCH} x {SIZES[1]} numbers by {change:+.0f} % (median of "
            f"{part['rounds']} rounds; composed: {1e6 * part['cost']['RMSNorm']['seconds']:.0f} µs). "
            + (
                "So the primitive is not worth it here: the composed layer is as fast, and has no rule that could be wrong."
                if change > -5
                else "The author has to decide whether that is worth a rule that could be wrong."
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
    """Are the derivatives right, is a planted mistake noticed, and does the layer train to the target?

    The gradient has to agree with the complex step to 1e-12; one that is off by more than a millionth is wrong, and one
    between is open. The planted mistake has to be noticed, or nothing is decided by checks that pass. Training is open
    where some seeds get there and others do not.
    """
    error, planted = part["error"]["RMSNorm"], part["mistakes"]["LeavesTheGraph"]
    right = part["check"]["ok"] and part["gradcheck"]
    noticed = "first derivatives" in planted["check"]["failed"] and part["error"]["LeavesTheGraph"] > 1e-6
    derived = evidence.exact(
        "for derivatives", 1e-12 / max(error, 1e-17), 1.0, against=1e-6, ratio=True,
        settled="no" if not right else None if noticed else "open",
    )  # fmt: skip
    cases = [derived]
    measured = (
        f"With {part['lines']} lines of forward code, {'all checks pass' if part['check']['ok'] else 'checks fail'}, and the "
        f"error of derivatives is at most {error:.0e}. A planted mistake is {'noticed' if noticed else 'not noticed'}."
    )
    if race is not None and derived.answer == "yes":
        steps = steps_to_target(race, "rms")
        cases.append(evidence.of_seeds("for training", [0.0 if step is None else 1.0 for step in steps], 0.5))
        measured += f" The layer trains to {100 * TARGET:.0f} % on digits in {texts.steps_text(steps)} steps."
    return telling.verdict(
        "composed",
        "Write the forward pass, and the backward pass follows",
        measured,
        cases,
        short="Write the forward, and the backward follows",
        form="{:.0e}",
        headline=f"derivatives off by {error:.0e}",
        noun="requirement",
    )
