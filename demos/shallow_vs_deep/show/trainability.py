"""Ease of training: what there is to say about it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from ...lab.measure import statistics
from ...lab.measure.part import Measured
from ...lab.show import colors, evidence, plots, texts
from ...lab.show.blocks import Block, Plot, Table, Text, Verdict
from ...lab.show.evidence import Case, Outcome
from ...lab.show.telling import verdict
from ...lab.show.wording import listed
from ..measure import minima
from ..measure.trainability import LARGE, SMALL, TARGET, WIDTH

PERCENT = f"{100 * TARGET:.0f} %"  # the target, as the texts write it
RANDOM = colors.of("random weights")
ARMS = {
    "plain": "sigmoid, SGD",
    "adam": "sigmoid, Adam",
    "bn": "sigmoid with BN, SGD",
    "relu_plain": "relu, SGD",
    "relu_bn": "relu with BN, SGD",
}


def show(measured: Measured) -> list[Block]:
    """Tables, plots and the verdict."""
    arms = {arm: measured[f"trainability_{arm}"] for arm in ARMS if f"trainability_{arm}" in measured}
    xor, minimum = measured.get("trainability_xor"), measured.get("trainability_minimum")
    blocks: list[Block] = []
    if arms:
        blocks += [digits_table(arms), depth_plot(arms)]
    if xor:
        blocks.append(xor_table(xor))
    if minimum:
        blocks += [minimum_table(minimum), Text(minimum_text(minimum)), minimum_plot(minimum)]
    if minimum and "plain" in arms:
        blocks.append(judged(arms, xor, minimum))
    return blocks


def success(row: dict[str, Any], budget: int) -> float:
    """The share of runs that were there within so many steps."""
    return reached(row, budget) / len(row["first"])


def reached(row: dict[str, Any], budget: int) -> int:
    """How many runs were there within so many steps."""
    return sum(step is not None and step <= budget for step in row["first"])


def digits_table(arms: dict[str, Any]) -> Table:
    """How many runs reach the target, by depth."""
    depths = [row["depth"] for row in next(iter(arms.values()))["rows"]]
    rows = [
        [
            ARMS[arm],
            ", ".join(f"{rate:g}" for rate in part["rates"]),
            f"{budget:,}",
            *(f"{reached(row, budget)}/{len(row['first'])}" for row in part["rows"]),
        ]
        for arm, part in arms.items()
        for budget in (SMALL, LARGE)
    ]
    rows += [
        [f"median steps, {ARMS[arm]}", "", "", *(texts.steps_text(row["first"]) for row in part["rows"])]
        for arm, part in arms.items()
    ]
    head = ("network", "learning rates", "steps", *(f"{depth} layer{'s' * (depth > 1)}" for depth in depths))
    caption = (
        f"Runs on digits that reach {PERCENT} test accuracy, with {WIDTH} units per layer, for all rates and seeds"
    )
    return Table("trainability_digits", caption, head, rows)


def xor_table(part: dict[str, Any]) -> Table:
    """How often XOR is solved, and where the others are stuck."""
    rows = []
    for row in part["rows"]:
        stuck = Counter(f"{error:.2f}" for error in row["errors"] if error >= minima.SOLVED)
        rows.append(
            [
                row["activation"],
                row["shape"],
                "-".join(map(str, [2, *row["hidden"], 1])),
                f"{len(row['errors']) - stuck.total()}/{len(row['errors'])}",
                ", ".join(f"{error} ({count}x)" for error, count in stuck.most_common(3)) or "none",
            ]
        )
    caption = (
        f"XOR: starts from which {part['steps']} steps of Adam (rate {minima.XOR_RATE:g}) solve it, and errors of the others; "
        "a network that confuses two, three or four points has 0.50, 0.67 or 1.00 (outputs -1 and 1)"
    )
    return Table("trainability_xor", caption, ("activation", "network", "sizes", "solved", "stuck at"), rows)


def minimum_table(part: dict[str, Any]) -> Table:
    """The written minimum at each depth."""
    rows = [
        [
            str(row["depth"]),
            f"{row['loss']:.6f}",
            f"{row['gradient']:.0e}",
            f"{row['smallest']:.0e} / {row['largest']:.0f}",
            f"{row['lower']} of {row['tries']:,}",
            f"{min(row['back']):.4f} to {max(row['back']):.4f}",
            f"{min(row['random']):.4f} / {statistics.lower_median(row['random']):.4f}",
        ]
        for row in part["rows"]
    ]
    head = (
        "layers", "loss", "gradient", "curvature, min / max", "points nearby that are lower", "loss of Adam from nearby",
        "loss from random starts, best / median",
    )  # fmt: skip
    caption = (
        f"A constructed local minimum for sin(3 pi x) at {len(minima.X)} points, with {minima.WIDTH} relu units per layer, in "
        "float64"
    )
    return Table("trainability_minimum", caption, head, rows)


def minimum_text(part: dict[str, Any]) -> str:
    """Why it is one, and where training ends that does not start there."""
    medians = [float(statistics.lower_median(row["random"]) or 0.0) for row in part["rows"]]
    better = all(after < before for before, after in pairwise(medians))
    found = [str(row["depth"]) for row in part["rows"] if is_minimum(row)]
    where = f"with {listed(found, 'and')} hidden layers" if found else "at none of these depths"
    ends = ", ".join(f"{median:.3g} with {row['depth']}" for median, row in zip(medians, part["rows"]))
    return (
        f"At this point every unit is active on all data, so nearby the network is an affine function of its input, and the "
        f"last layer makes it the best one (least squares: {part['affine']:.6f}; the target's variance is "
        f"{part['variance']:.4f}). The curvatures are eigenvalues of the Hessian, which the engine computes; eigenvalues of 0 "
        f"belong to directions that change the weights but not the function. From random starts, the median loss of Adam is "
        f"{ends} layers: on this task deeper networks {'trained better' if better else 'did not always train better'}. By "
        f"these figures it is a local minimum, but not the global one, {where}."
    )


def is_minimum(row: dict[str, Any]) -> bool:
    """Whether the measurements say: a local minimum, and not the best there is."""
    flat = row["gradient"] < 1e-9 and row["smallest"] > -1e-9 * row["largest"]
    return bool(flat and row["lower"] == 0 and min(row["random"]) < 0.9 * row["loss"])


def parts_of_the_claim(arms: dict[str, Any], minimum: dict[str, Any]) -> dict[str, Case]:
    """Hard: fewer than half of the runs get there. Easy: more than half do. And no bad local minimum in a deep network."""

    def share(arm: str, name: str, sign: int, depth: int) -> Case:
        row = next(row for row in arms[arm]["rows"] if row["depth"] == depth)
        return evidence.of_share(name, reached(row, LARGE), len(row["first"]), sign=sign)

    deepest = max(row["depth"] for row in arms["plain"]["rows"] if row["depth"] <= 8)
    found = [row for row in minimum["rows"] if row["depth"] > 1 and is_minimum(row)]
    cases = {
        "hard": share("plain", "that a shallow network is hard to train", -1, arms["plain"]["rows"][0]["depth"]),
        "easy": share("plain", "that a deep one is easy to train", 1, deepest),
        "none": evidence.exact("that a deep one has no local minima", -len(found), -0.5),
    }
    if "bn" in arms:
        cases["bn"] = share("bn", "that with Batch Normalization a deep one is easy", 1, deepest)
    return cases


def conclusion(cases: dict[str, Case]) -> Outcome:
    """All three parts have to be so; with BN in place of the second it holds in part. One that is not so is enough."""
    answers = {part: case.answer for part, case in cases.items()}
    needed = [answers["hard"], answers["easy"], answers["none"]]
    if needed == ["yes"] * 3:
        return "holds"
    if answers["hard"] == answers["none"] == answers.get("bn") == "yes":
        return "holds if"
    return "does not hold" if "no" in needed else "not decided"


def conditions(cases: dict[str, Case], outcome: Outcome) -> str:
    """Which parts of the claim are so, and which are not."""
    said = []
    for answer, words, joined in (
        ("yes", "It is true", "and"),
        ("no", "It is not true", "or"),
        ("open", "It is not decided", "or"),
    ):
        names = [case.name for case in cases.values() if case.answer == answer]
        said += [f"{words} {listed(names, joined)}."] if names else []
    return "" if outcome == "holds" else " ".join(said)


def judged(arms: dict[str, Any], xor: dict[str, Any] | None, minimum: dict[str, Any]) -> Verdict:
    """The three parts of the claim, and the deep network with Batch Normalization."""
    plain = arms["plain"]["rows"]
    shallow, deep = plain[0], next(row for row in reversed(plain) if row["depth"] <= 8)
    cases = parts_of_the_claim(arms, minimum)
    outcome = conclusion(cases)
    runs = len(shallow["first"])
    text = (
        f"Of {runs} runs on digits, {reached(shallow, LARGE)} reach {PERCENT} with one layer and "
        f"{reached(deep, LARGE)} with {deep['depth']}"
    )
    others = []
    for arm, name in (("bn", "BN"), ("adam", "Adam")):
        if arm in arms:
            row = next(row for row in arms[arm]["rows"] if row["depth"] == deep["depth"])
            others.append(f"{reached(row, LARGE)} with {name}")
    text += f" ({', '.join(others)})." if others else "."
    if xor:
        solved = [
            f"{sum(error < minima.SOLVED for error in row['errors'])} of {xor['starts']} "
            + row["shape"].removeprefix("narrow, ")
            for row in xor["rows"]
            if row["activation"] == "sigmoid" and row["shape"].startswith("narrow")
        ]
        text += f" XOR is solved by {listed(solved, 'and')} narrow networks."
    found = [str(row["depth"]) for row in minimum["rows"] if row["depth"] > 1 and is_minimum(row)]
    text += f" There is a bad local minimum with {listed(found, 'and')} layers." if found else ""
    return verdict(
        "trainability",
        "A shallow network is hard to train, because of local minima; a deep one is easy and has none.",
        text,
        list(cases.values()),
        short="Shallow is hard to train, deep is easy",
        form="{:.0f}",
        headline=f"{reached(shallow, LARGE)} of {runs} runs, deep {reached(deep, LARGE)}",
        outcome=outcome,
        condition=conditions(cases, outcome),
        noun="part of the claim",
    )


def depth_plot(arms: dict[str, Any]) -> Plot:
    """The share of runs that get there against depth."""
    lines = [
        ("bn", SMALL, plots.BN, "s", "-", "with BN, SGD"),
        ("adam", LARGE, plots.PLAIN, "D", "--", "plain, Adam"),
        ("plain", LARGE, plots.PLAIN, "o", "-", "plain, SGD"),
        ("plain", SMALL, plots.PLAIN, "o", ":", "plain, SGD"),
    ]
    lines = [line for line in lines if line[0] in arms]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for arm, budget, color, marker, style, label in lines:
            rows = arms[arm]["rows"]
            shares = [success(row, budget) for row in rows]
            axes.plot(
                range(len(rows)), shares, color=color, marker=marker, ls=style, label=f"{label}, {budget:,} steps"
            )
        depths = [row["depth"] for row in arms[lines[0][0]]["rows"]]
        axes.set_xticks(range(len(depths)), depths)
        axes.set(xlabel="hidden layers", ylabel=f"share of runs at {PERCENT}", ylim=(-0.05, 1.05), yticks=(0, 0.5, 1))
        figure.legend(loc="outside lower center", ncols=2)

    rows = arms[lines[0][0]]["rows"]
    counts = []
    for arm, budget, *_, label in lines:
        first, *_, last = arms[arm]["rows"]
        name = label.removeprefix("plain, ").removesuffix(", SGD")
        counts.append(f"{name}, {budget:,} steps: {reached(first, budget)}, {reached(last, budget)}")
    caption = (
        f"Runs of {len(rows[0]['first'])} that reach {PERCENT} with {rows[0]['depth']}, {rows[-1]['depth']} layers; "
        + "; ".join(counts)
    )
    return Plot("trainability_depth", caption, draw, (8.0, 4.5), "How many runs reach the target, by depth")


def minimum_plot(part: dict[str, Any]) -> Plot:
    """The loss along random lines through the written minimum, of the shallowest and the deepest network."""
    rows = [part["rows"][0], part["rows"][-1]]

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, row in zip(panels, rows):
            for line in row["lines"]:
                axes.plot(part["along"], line, color=plots.BLACK, lw=1, alpha=0.6)
            best = min(row["random"])
            axes.axhline(best, color=RANDOM, ls="--")
            axes.text(-1, best * 1.15, f"found from a random start: {best:.2g}", color=plots.GRAY, va="bottom")
            axes.plot([0], [row["loss"]], "o", color=plots.BLACK)
            layers = "1 layer" if row["depth"] == 1 else f"{row['depth']} layers"
            axes.set(title=layers, yscale="log", xlabel="distance from the minimum", xticks=(-1, 0, 1))
            plots.plain_numbers(axes.yaxis)
            axes.minorticks_off()
        panels[0].set_ylabel("loss")

    count = len(rows[0]["lines"])
    falls = any(min(line) < row["loss"] - minima.ROUNDING - 1e-6 for row in rows for line in row["lines"])
    caption = (
        f"From the constructed minimum (loss {rows[0]['loss']:.3f}) {'not ' if falls else ''}all of {count} random lines rise; "
        "random starts reach " + ", ".join(f"{min(row['random']):.2g} with {row['depth']}" for row in rows)
    )
    return Plot("trainability_minimum", caption, draw, title="The loss around a constructed minimum")
