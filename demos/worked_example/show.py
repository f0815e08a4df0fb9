"""What there is to say about the example: its numbers beside the lecture's, in the lecture's order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..lab.measure.part import Measured
from ..lab.show import colors, drawings, evidence, plots
from ..lab.show.blocks import Block, Code, Heading, Plot, Summary, Table, Text, Verdict
from ..lab.show.evidence import Case
from ..lab.show.telling import verdict
from .measure import CONVENTIONS, READINGS, SHAPES

# What the lecture prints, as it prints it: the number of decimals counts.
LECTURE: dict[str, tuple[str, ...]] = {
    "mu": ("2.5",),
    "sigma": ("1.118",),
    "x_hat": ("-1.3416", "-0.4472", "0.4472", "1.3416"),
    "z": ("-1.3416", "-0.4472", "0.4472", "1.3416"),
}
NAMES = {"mu": "μ", "sigma": "σ", "x_hat": "x̂", "z": "z"}
MEANINGS = {
    "rows": "m = rows, sums over rows",
    "neurons, rows summed": "m = neurons, sums over rows",
    "neurons": "m = neurons, sums over neurons",
}
PLAIN, LAYER = "1/m, ε = 0", "1/m, ε = 1e-5"  # as the lecture writes it; as layers compute it


def show(measured: Measured) -> list[Block]:
    """Tables, pictures and verdicts, in the order of the lecture."""
    blocks: list[Block] = [summary(measured["steps"])] if "steps" in measured else []
    if "steps" in measured:
        blocks += forward_blocks(measured["steps"])
    if "graphs" in measured:
        blocks += graph_blocks(measured["graphs"])
    if "steps" in measured:
        blocks += backward_blocks(measured["steps"]["backward"])
    if "layer" in measured:
        blocks += layer_blocks(measured["layer"])
    if "m" in measured:
        blocks += m_blocks(measured["m"])
    return blocks


def summary(part: Mapping[str, Any]) -> Summary:
    """The example in a sentence."""
    agree = agreeing(conventions(part)[PLAIN])
    off = max(abs(a - b) for a, b in zip(part["backward"]["0"]["tensor"], part["backward"]["0"]["closed"]))
    return Summary(
        f"The engine computes {agree} of the {len(printed_numbers())} numbers that the lecture prints for Batch Normalization "
        f"of 1, 2, 3, 4; the gradient, which it derives itself, differs from the closed form by at most {small(off)}.",
        "tensor",
    )


def forward_blocks(part: Mapping[str, Any]) -> list[Block]:
    """Every intermediate beside the lecture's number."""
    found = conventions(part)
    plain, scalar = part["forward"]["tensor"][PLAIN], part["forward"]["scalar"][PLAIN]
    rows = []
    for key, i, printed in printed_numbers():
        label = NAMES[key] + (str(i + 1) if len(LECTURE[key]) > 1 else "")
        exact, usual = plain[key][i], part["forward"]["tensor"][LAYER][key][i]
        rows.append(
            (label, printed, f"{exact:.10f}", f"{exact - float(printed):+.1e}", yes(rounds_to(exact, printed)),
             f"{usual:.10f}", yes(rounds_to(usual, printed)), small(abs(scalar[key][i] - exact)))
        )  # fmt: skip
    others = [
        (name, f"{values['sigma'][0]:.4f}", f"{values['x_hat'][3]:.4f}", f"{values['x_hat'][2]:.4f}", agreement(values))
        for name, values in found.items()
    ]
    rounded = [rounds_to(value, printed) for value, printed in zip(part["rounded"], LECTURE["x_hat"])]
    others.append(
        ("σ first rounded to 1.118", "1.118", f"{part['rounded'][3]:.4f}", f"{part['rounded'][2]:.4f}",
         f"{sum(rounded)} of {len(rounded)} x̂")
    )  # fmt: skip
    return [
        Heading("Forward"),
        Text(
            "Four examples of one neuron, 1, 2, 3, 4, with γ = 1 and β = 0. The program is the four equations, and runs "
            "unchanged on a tensor of shape (4, 1) and on four single numbers:"
        ),
        Code(part["source"]),
        Table(
            "forward", "The lecture's numbers and those of the engine on tensors, and how scalars differ from tensors",
            (
                "", "lecture", "engine, ε = 0", "difference from lecture", "agrees",
                "engine, ε = 1e-5", "agrees", "difference of scalars",
            ), rows,
        ),
        Table(
            "conventions", "How many of the lecture's numbers each convention gives, rounded as in the lecture",
            ("variance, ε", "σ", "x̂4", "x̂3", "numbers that agree"), others,
        ),
        Text(f"The four squares add up to 5. {which_convention(found, all(rounded))}"),
        epsilon_plot(part["epsilon"]),
        Text(constant_text(part["constant"])),
        values_verdict(found, part),
    ]  # fmt: skip


def printed_numbers() -> list[tuple[str, int, str]]:
    """The lecture's numbers: what, which of them, as printed."""
    return [(key, i, printed) for key, many in LECTURE.items() for i, printed in enumerate(many)]


def rounds_to(value: float, printed: str) -> bool:
    """Whether a number, rounded to as many decimals as are printed, is what is printed."""
    decimals = len(printed.partition(".")[2])
    return f"{value:.{decimals}f}" == printed


def agreeing(values: Mapping[str, list[float]]) -> int:
    """How many of the lecture's numbers these values round to."""
    return sum(rounds_to(values[key][i], printed) for key, i, printed in printed_numbers())


def agreement(values: Mapping[str, list[float]]) -> str:
    """``10 of 10``."""
    return f"{agreeing(values)} of {len(printed_numbers())}"


def conventions(part: Mapping[str, Any]) -> dict[str, Mapping[str, list[float]]]:
    """The values under each convention, those of the tensor engine."""
    return {
        name: part["unbiased"] if ddof else part["forward"]["tensor"][name] for name, (ddof, _) in CONVENTIONS.items()
    }


def which_convention(found: Mapping[str, Mapping[str, list[float]]], rounded_too: bool) -> str:
    """Which conventions give all of the lecture's numbers, and which do not."""
    total = len(printed_numbers())
    right = [name for name, values in found.items() if agreeing(values) == total]
    wrong = [f"{name} ({agreement(values)})" for name, values in found.items() if agreeing(values) < total]
    text = f"All numbers agree with {' and with '.join(right)}" if right else "No convention gives all numbers"
    text += f", but not with {', '.join(wrong)}." if wrong else "."
    return text + (
        "" if rounded_too else " The lecture did not round σ before it divided: 1.5 / 1.118 rounds to 1.3417."
    )


def epsilon_plot(part: Mapping[str, Any]) -> Plot:
    """The last x̂ against ε, and where it rounds to the lecture's number."""
    printed = LECTURE["x_hat"][3]
    fits = [eps for eps, value in zip(part["eps"], part["x_hat"]) if rounds_to(value, printed)]
    largest = max(fits, default=None)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        target = float(printed)
        axes.axhspan(target - 5e-5, target + 5e-5, color=colors.HOLDS, alpha=0.25, linewidth=0)
        axes.plot(part["eps"], part["x_hat"], color=plots.BN)
        axes.set_xscale("log")
        axes.set_ylim(target - 1.2e-3, target + 4e-4)
        ticks = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
        axes.set_xticks(ticks, [f"{tick:f}".rstrip("0") for tick in ticks])
        axes.minorticks_off()
        axes.set_yticks([1.3405, 1.3410, 1.3415, 1.3420])
        axes.text(1.1e-6, target + 9e-5, f"rounds to {printed}", color=colors.HOLDS, va="bottom")
        axes.annotate(
            "usual in layers", (1e-5, target - 5e-6), (1e-5, target - 5e-4), ha="center",
            arrowprops={"arrowstyle": "->", "color": plots.GRAY}, color=plots.GRAY,
        )  # fmt: skip
        axes.set(xlabel="ε", ylabel="x̂ of the 4")

    if largest is None:
        says = f"No ε tried gives the lecture's {printed}"
    else:
        tells = "distinguishes" if largest < 1e-5 else "does not distinguish"
        says = f"The lecture's {printed} {tells} ε = 0 from the usual 1e-5: every ε up to {largest:.1e} gives it"
    return Plot("epsilon", says, draw, (8.0, 3.6), "Which ε gives the lecture's number")


def constant_text(part: Mapping[str, list[float | None]]) -> str:
    """What ε is for."""
    said = {name: "0/0, not a number" if None in values else f"{values[0]:g}" for name, values in part.items()}
    return (
        "The lecture divides by σ; the paper divides by √(σ² + ε), because a neuron may have the same value for the whole "
        f"batch. For 3, 3, 3, 3 each x̂ is {said['0']} with ε = 0, and {said['1e-05']} with ε = 1e-5."
    )


def values_verdict(found: Mapping[str, Mapping[str, list[float]]], part: Mapping[str, Any]) -> Verdict:
    """Do the formula as the lecture writes it, and as layers compute it, give all numbers on both engines?

    Where the engines do not agree, it is open whose number is right.
    """
    total = len(printed_numbers())
    scalar = part["forward"]["scalar"]
    both = {name: sorted((agreeing(found[name]), agreeing(scalar[name]))) for name in (PLAIN, LAYER)}
    cases = [
        Case(f"computed with {name}", low, low, high, 0, total - 0.5) for name, (low, high) in both.items()
    ]  # fmt: skip
    return verdict(
        "worked_values",
        f"Normalizing 1, 2, 3, 4 gives {', '.join(LECTURE['x_hat'])}",
        f"{both[PLAIN][0]} of {total} numbers agree to the last printed decimal, and {both[LAYER][0]} with the usual ε = 1e-5, "
        f"for tensors and scalars. If the squares are divided by m - 1, {agreeing(found['1/(m-1), ε = 0'])} agree.",
        cases,
        short="Normalizing 1, 2, 3, 4 gives the lecture's numbers",
        form="{:.0f}",
        headline=f"{min(low for low, _ in both.values())} of {total} numbers",
        noun="convention",
    )


def small(value: float) -> str:
    """A difference: its size is what matters."""
    return f"{value:.0e}" if value else "0"


def yes(truth: bool) -> str:
    """As a word."""
    return "yes" if truth else "no"


def graph_blocks(part: Mapping[str, Any]) -> list[Block]:
    """Both graphs, and the derived backward pass."""
    tensor, scalar, reduced = part["tensor"], part["scalar"], part["reduced"]
    blocks: list[Block] = [
        Heading("The graphs"),
        Text(
            "The recorded graph shows every value and its gradient for dz = (1, 0, 0, 0), with ε = 1e-5. This is the graph of "
            "the tensor, as text:"
        ),
        Code(tensor["text"], "output"),
    ]
    blocks += drawings.shown(
        "tensor", f"The graph of one tensor has {tensor['nodes']} nodes, each with one or four values", tensor
    )
    blocks += drawings.shown("scalar", f"The same program on single numbers has {scalar['nodes']} nodes", scalar)
    blocks += drawings.shown(
        "backward",
        f"The derived backward pass has {reduced['nodes']} nodes after equal operations are merged",
        reduced,
    )
    return blocks + drawings.explorer(
        "batch_norm.html", "the example in a browser, forward and backward one step at a time", explorer_page
    )


def explorer_page(path: Path) -> object:
    """The example as a page of the explorer, with the closed form beside the derived gradient."""
    from tinygrad_bn.explorer.examples import batch_norm  # it needs a library that the rest of the demo does not

    return batch_norm().save(path)


def backward_blocks(part: Mapping[str, Any]) -> list[Block]:
    """Derived gradients beside the closed form."""
    labels = ("dx1", "dx2", "dx3", "dx4", "dγ", "dβ")
    rows = [
        (label, f"{tensor:.16f}", f"{scalar:.16f}", f"{closed:.16f}", small(max(abs(tensor - closed), abs(scalar - closed))))
        for label, tensor, scalar, closed in zip(labels, *(part["0"][key] for key in ("tensor", "scalar", "closed")))
    ]  # fmt: skip
    gap = {
        name: max(abs(a - b) for key in ("tensor", "scalar") for a, b in zip(found[key], found["closed"]))
        for name, found in part.items()
    }
    return [
        Heading("Backward"),
        Text(
            "Let the loss be z1, so that dz = (1, 0, 0, 0). The closed form, from section 3 of the paper, is "
            "dx = γ / (m √(σ² + ε)) · (m dz − Σ dz − x̂ Σ dz x̂), dγ = Σ dz x̂, dβ = Σ dz. The engine does not know this "
            "formula; it has rules for sums, squares, roots and quotients."
        ),
        Table(
            "backward", "Gradients as the engine derives them on tensors and on scalars, and by the closed form (ε = 0)",
            ("", "tensors", "scalars", "closed form", "largest difference"), rows,
        ),
        Text(
            f"The largest difference is {gap['0']:.1e} with ε = 0 and {gap['1e-05']:.1e} with ε = 1e-5, which is rounding in "
            "the last of sixteen digits."
            if max(gap.values()) < 1e-14
            else f"The largest difference is {max(gap.values()):.1e}, which is more than rounding."
        ),
    ]  # fmt: skip


def layer_blocks(part: Mapping[str, Any]) -> list[Block]:
    """Running statistics and evaluation, and what the gradients add up to."""
    running = part["running"]
    rows = [
        (batches, f"{at['running_mean'][0]:.6f}", f"{at['running_var'][0]:.6f}", texts(at["training"]), texts(at["evaluation"]))
        for batches, at in running.items()
    ]  # fmt: skip
    last = list(running.values())[-1]
    zero = part["sums"]["0"]
    invariants = [
        (f"ε = {eps}", f"{at['dx']:.0e}", f"{at['dx_x_hat']:.3e}", f"{at['without_normalization'] * at['share']:.3e}")
        for eps, at in part["sums"].items()
    ]
    return [
        Heading("Running statistics and evaluation"),
        Text(
            f"`nn.BatchNorm1d` differs from the numbers above by {small(part['difference_to_steps'])}. It also keeps running "
            f"statistics, which start at 0 and 1 and move by {part['momentum']:g} of the way to the mean and the unbiased "
            "variance, 5/3, of each batch. In evaluation the layer uses them in place of the batch's own statistics."
        ),
        Table(
            "running", "Running statistics after the same batch was seen several times",
            ("batches", "running mean", "running variance", "z in training", "z in evaluation"), rows,
        ),
        Text(
            f"After the last of these batches, 4 is normalized to {last['evaluation'][3]:.4f} in evaluation and to "
            f"{last['training'][3]:.4f} in training. The two differ because the paper stores the unbiased variance, which is "
            "m / (m − 1) times the variance of the batch; for larger batches the difference is smaller."
        ),
        Heading("What the gradients add up to"),
        Table(
            "sums", "Two sums for a random dz: x̂ does not change when the batch is shifted, and hardly when it is scaled",
            ("", "Σ dx", "Σ dx x̂", "expected: ε / (σ² + ε) times the value for constant σ"), invariants,
        ),
        Table(
            "losses", "The largest |dx| for three losses (ε = 1e-5), which shows why gradients are tested with random numbers",
            ("loss", "largest |dx|"), [(name, f"{value:.1e}") for name, value in part["losses"].items()],
        ),
        Text(
            f"With ε = 0 both sums would be 0 in exact arithmetic; they are {zero['dx']:.0e} and {zero['dx_x_hat']:.0e}. The "
            "plain sum of z is mβ whatever x is, so its gradient is 0, and a backward pass that always returned zeros would "
            "pass that test."
        ),
    ]  # fmt: skip


def texts(values: list[float]) -> str:
    """Four decimals each."""
    return "  ".join(f"{value:.4f}" for value in values)


def m_blocks(part: Mapping[str, Any]) -> list[Block]:
    """Which reading of m normalizes."""
    rows = [
        (
            text,
            means(part[reading]["as rows"]),
            means(part[reading]["as neurons"]),
            *(standard_text(part[reading][shape]) for shape in shape_names()),
        )
        for reading, text in MEANINGS.items()
    ]
    return [
        Heading("What m is"),
        Text(
            "The lecture calls m the number of neurons; in the paper it is the size of the mini-batch. The example alone does "
            "not decide which is right: for four examples of one neuron m has to be the rows, for one example of four neurons "
            "the neurons (which is Layer Normalization). But each neuron should have mean 0 and variance 1 over the "
            "mini-batch. The table shows the largest deviation from both, in random batches of rows x neurons."
        ),
        Table(
            "m", "The largest deviation from mean 0 and variance 1, by the meaning of m",
            ("meaning of m", "μ of 4 rows", "μ of 4 neurons", *(f"batch {shape}" for shape in shape_names())), rows,
        ),
        m_verdict(part),
    ]  # fmt: skip


def shape_names() -> list[str]:
    """``4x3``: rows x neurons."""
    return [f"{rows}x{neurons}" for rows, neurons in SHAPES]


def standard_text(at: Mapping[str, float]) -> str:
    """The larger deviation."""
    return f"{max(at['mean'], at['variance']):.1g}"


def normalizes(at: Mapping[str, float]) -> bool:
    """Whether mean and variance are 0 and 1, to rounding and to what the tiny ε in the experiment leaves."""
    return at["mean"] < 1e-6 and at["variance"] < 1e-6


def means(values: list[float]) -> str:
    """``1, 2, 3, 4``."""
    return ", ".join(f"{value:g}" for value in values)


def gives_example(at: Mapping[str, Any]) -> list[str]:
    """In which layouts of the example a reading gives the lecture's mean."""
    return [layout for layout in ("as rows", "as neurons") if means(at[layout]) == LECTURE["mu"][0]]


def normalized_shapes(at: Mapping[str, Any]) -> list[str]:
    """The batch shapes in which a reading normalizes every neuron."""
    return [shape for shape in shape_names() if normalizes(at[shape])]


TINY, LARGE = 1e-6, 1e-3  # deviations: below the one it is rounding, above the other it is not, between it is open


def deviation_case(shape: str, part: Mapping[str, Any]) -> Case:
    """Does a reading with m neurons give every neuron mean 0 and variance 1 in a batch, and the example's mean?

    The effect is the negative power of ten of the largest deviation, by the best such reading. Where m rows do so as well,
    either may be meant.
    """
    readings = [reading for reading in READINGS if reading != "rows"]
    off = min(
        max(
            part[reading][shape]["mean"], part[reading][shape]["variance"], 0.0 if gives_example(part[reading]) else 1.0
        )
        for reading in readings
    )
    either = off < TINY and normalizes(part["rows"][shape])
    return evidence.exact(
        f"in batches of {shape}", -math.log10(max(off, 1e-17)), -math.log10(TINY), against=-math.log10(LARGE),
        settled="open" if either else None,
    )  # fmt: skip


def m_verdict(part: Mapping[str, Any]) -> Verdict:
    """Holds where a reading with m neurons normalizes; where rows and neurons are as many, both readings may be right."""
    shapes = {reading: normalized_shapes(part[reading]) for reading in READINGS}
    neurons = [reading for reading in READINGS if reading != "rows"]
    best = max(neurons, key=lambda reading: len(shapes[reading]))
    unlike = [name for name, (rows, count) in zip(shape_names(), SHAPES) if rows != count]
    return verdict(
        "batch_size_m",
        "In the formulas, m is the number of neurons",
        f"Each neuron gets mean 0 and variance 1 in {len(shapes['rows'])} of {len(SHAPES)} batches if m is the rows, and in "
        f"{len(shapes[best])} ({', '.join(shapes[best]) or 'none'}) if m is the neurons. The example's mean is "
        f"{means(part['rows']['as rows'])} with m = 4 rows, {means(part[best]['as rows'])} with m = 1 neuron.",
        [deviation_case(shape, part) for shape in unlike],
        short="In the formulas, m is the number of neurons",
        form="1e-{:.0f}",
        headline=f"{len(shapes[best])} of {len(SHAPES)} batches",
        noun="batch shape",
    )
