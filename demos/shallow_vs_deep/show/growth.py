"""Growth with the task: what there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ...lab.measure.part import Measured
from ...lab.show import colors, evidence, plots
from ...lab.show.blocks import Block, Plot, Table, Verdict
from ...lab.show.evidence import Case
from ...lab.show.telling import verdict
from ...lab.show.wording import MEASURED, fitting, listed
from ..measure.growth import PARITY, PARITY_RATE, RATES

LEARNED = 1e-3  # mean squared error below which a sawtooth counts as learned; its variance is 1/12


def show(measured: Measured) -> list[Block]:
    """Tables, plots and the verdict."""
    blocks: list[Block] = []
    saw, parity = measured.get("growth_sawtooth"), measured.get("growth_parity")
    if saw:
        blocks += [sawtooth_table(saw["rows"]), units_plot(saw["rows"], parity["rows"] if parity else [])]
    if parity:
        blocks.append(parity_table(parity["rows"]))
    if part := measured.get("growth_sawtooth_trained"):
        blocks += [learned_plot(part), learned_table(part)]
    if part := measured.get("growth_parity_trained"):
        blocks.append(parity_learned_table(part))
    if saw and parity:
        blocks.append(judged(measured, saw["rows"], parity["rows"]))
    return blocks


def sawtooth_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Units and parameters of the written networks."""
    cells = [
        [
            f"{2 ** row['k']:,}",
            *(f"{row[arm]['units']:,} / {row[arm]['parameters']:,}" for arm in ("shallow", "deep")),
            f"{row['pieces']:,}",
            f"{max(row['shallow']['difference'], row['deep']['difference']):g}",
        ]
        for row in rows
    ]
    head = (
        "pieces of the task",
        "one layer: units / parameters",
        "layers of 2: units / parameters",
        "pieces counted",
        "largest difference",
    )
    return Table("growth_sawtooth", "Networks whose weights are written down for the sawtooth", head, cells)


def parity_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Units of the written networks by the number of bits."""
    bits = sorted({row["bits"] for row in rows})
    cells = []
    for name in dict.fromkeys(row["network"] for row in rows):
        own = {row["bits"]: row for row in rows if row["network"] == name}
        worst = max(row["difference"] for row in own.values())
        cells.append([name, *(str(own[b]["units"]) if b in own else "" for b in bits), f"{worst:g}"])
    head = ("units for the parity of", *(f"{b} bits" for b in bits), "largest difference")
    return Table(
        "growth_parity",
        "Networks whose weights are written down for parity, compared on the whole truth table",
        head,
        cells,
    )


def learned_counts(part: dict[str, Any], k: str) -> dict[str, int]:
    """How many starts of the exact-size deep network found the sawtooth, by start."""
    return {name: sum(error < LEARNED for error in errors) for name, errors in part["exact"][k].items()}


def learned_table(part: dict[str, Any]) -> Table:
    """Success of training on the sawtooth."""
    rows = []
    for k, starts in part["exact"].items():
        counts = learned_counts(part, k)
        rows += [
            [
                f"{2 ** int(k)}",
                f"{k} x 2, the exact size",
                "random" if name == "random" else f"written down, {float(name):.0%} noise",
                f"{count}/{len(starts[name])}",
            ]
            for name, count in counts.items()
        ]
    rows += [
        [
            f"{2 ** int(k)}",
            f"{depth} x {row['width']}",
            "random",
            f"{sum(error < LEARNED for error in row['errors'])}/{len(row['errors'])}",
        ]
        for k, depths in part["larger"].items()
        for depth, row in depths.items()
    ]
    rates = " or ".join(f"{rate:g}" for rate in RATES)
    caption = (
        f"How often {part['steps']} steps of Adam, at a learning rate of {rates}, find the sawtooth (mean squared error below "
        f"{LEARNED:g})"
    )
    return Table("growth_sawtooth_trained", caption, ("pieces", "layers x units", "start", "found"), rows)


def parity_learned_table(part: dict[str, Any]) -> Table:
    """Success of training on parity."""
    rows = [
        [str(row["bits"]), f"{len(row['hidden'])} x {row['hidden'][0]}", f"{sum(row['learned'])}/{len(row['learned'])}"]
        for row in part["rows"]
    ]
    caption = (
        f"How often {part['steps']} steps of Adam, at a learning rate of {PARITY_RATE:g}, learn the whole truth table of "
        "parity from random weights"
    )
    return Table("growth_parity_trained", caption, ("bits", "layers x units", "learned"), rows)


EXPONENTIAL = 1.5  # times the units for each doubling of the pieces, or for each bit


def growth(sizes: Sequence[float], tasks: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest factor by which the sizes of the later half grow when the task grows by one."""
    later = list(zip(sizes, tasks))[len(sizes) // 2 :]
    factors = [(after / before) ** (1 / (to - at)) for (before, at), (after, to) in pairwise(later)]
    return min(factors), max(factors)


def family(name: str, tasks: Sequence[float], shallow: Sequence[float], deep: Sequence[float], right: bool) -> Case:
    """One layer grows exponentially and the deep network does not: how many times over both are so.

    Sizes of networks that do not compute the task say nothing.
    """
    slowest, fastest = growth(shallow, tasks)[0], growth(deep, tasks)[1]
    effect = min(slowest / (EXPONENTIAL - 1e-9), EXPONENTIAL / fastest)
    return evidence.exact(name, effect, 1.0, ratio=True, settled=None if right else "open")


def judged(measured: Measured, saw: Sequence[dict[str, Any]], parity: Sequence[dict[str, Any]]) -> Verdict:
    """The two families, written down, and whether the deep network is found by training."""
    by_bits = {name: [row["units"] for row in parity if row["network"] == name] for name in PARITY}
    bits = [row["bits"] for row in parity if row["network"] == "one layer"]
    shallow, deep = ([row[arm]["units"] for row in saw] for arm in ("shallow", "deep"))
    others = {name: units for name, units in by_bits.items() if name != "one layer" and units}
    best = min(others.values(), key=lambda units: units[-1])
    right = {
        "saw": all(row[arm]["difference"] == 0 for row in saw for arm in ("shallow", "deep")),
        "parity": all(row["difference"] == 0 for row in parity),
    }
    cases = [
        family("on the sawtooth", [row["k"] for row in saw], shallow, deep, right["saw"]),
        family("on parity", bits[-len(best) :], by_bits["one layer"][-len(best) :], best, right["parity"]),
    ]
    text = (
        f"A sawtooth of {2 ** saw[-1]['k']:,} pieces needs {shallow[-1]:,} units in one layer and {deep[-1]} in "
        f"{saw[-1]['k']} layers; the parity of {bits[-1]} bits needs {by_bits['one layer'][-1]} in one layer and "
        f"{listed([str(units[-1]) for units in others.values()])} in more."
    )
    learned = ""
    if part := measured.get("growth_sawtooth_trained"):
        k = next(iter(part["exact"]))
        found, starts = learned_counts(part, k)["random"], len(part["exact"][k]["random"])
        learned = f" Training finds the deep one for {2 ** int(k)} pieces from {found} of {starts} random starts."
        cases.append(evidence.of_share("where training has to find the weights", found, starts))
    return verdict(
        "growth",
        "The size of a shallow network grows exponentially with the complexity of the task; a deep one need not grow.",
        fitting(MEASURED, text + learned, text),
        cases,
        short="A shallow network grows exponentially with the task",
        form="{:.2g}",
        headline=f"{shallow[-1]:,} units, deep {deep[-1]}",
        noun="case",
    )


def units_plot(saw: Sequence[dict[str, Any]], parity: Sequence[dict[str, Any]]) -> Plot:
    """Units against the size of the task, one panel a family."""

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 2 if parity else 1, squeeze=False)[0]
        pieces_of = [2 ** row["k"] for row in saw]
        for arm, color, label, marker in (
            ("shallow", colors.DEPTHS[0], "one layer", "o"),
            ("deep", colors.DEPTHS[2], "layers of 2", "s"),
        ):
            values = [row[arm]["units"] for row in saw]
            axes[0].plot([row["k"] for row in saw], values, color=color, marker=marker, label=label)
        axes[0].set(title="sawtooth", yscale="log", xlabel="pieces", ylabel="units", ylim=(1.5, 6000))
        axes[0].set_xticks([row["k"] for row in saw][2::3], [f"{count:,}" for count in pieces_of][2::3])
        labels = ("one layer", "tree", "folded")
        lines = (colors.DEPTHS[0], colors.of("a tree of units"), colors.DEPTHS[2])
        for name, color, label, marker in zip(PARITY, lines, labels, "oDs"):
            own = {row["bits"]: row["units"] for row in parity if row["network"] == name}
            if own:
                axes[1].plot(list(own), list(own.values()), color=color, marker=marker, label=label)
        if parity:
            axes[1].set(title="parity", yscale="log", xlabel="bits", ylim=(1.5, 6000))
            axes[1].set_xticks(sorted({row["bits"] for row in parity}))
        for panel in axes:
            plots.plain_numbers(panel.yaxis, ",.0f")
            panel.minorticks_off()
            panel.legend(loc="upper left")

    last = saw[-1]
    caption = (
        f"The sawtooth of {2 ** last['k']:,} pieces needs {last['shallow']['units']:,} units in one layer, and "
        f"{last['deep']['units']} in layers of two"
    )
    if parity:
        most = max(row["bits"] for row in parity)
        words = {row["network"]: row["units"] for row in parity if row["bits"] == most}
        caption += f"; the parity of {most} bits needs {words['one layer']} in one layer"
    return Plot("growth_units", caption, draw, title="Units that a network needs")


def learned_plot(part: dict[str, Any]) -> Plot:
    """The share of starts from which the exact-size network finds the sawtooth."""
    k = next(iter(part["exact"]))
    counts, starts = learned_counts(part, k), len(part["exact"][k]["random"])
    names = [*(name for name in counts if name != "random"), "random"]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        shares = [counts[name] / starts for name in names]
        labels = [f"{float(name):.0%}" if name != "random" else "random\nstart" for name in names]
        fills = [plots.BLACK if name != "random" else colors.of("random weights") for name in names]
        bars = axes.bar(labels, shares, color=fills, width=0.65)
        axes.bar_label(bars, [f"{counts[name]}/{starts}" for name in names], padding=3)
        axes.set(
            xlabel="noise added to the written weights",
            ylabel="share of successful runs",
            ylim=(0, 1.12),
            yticks=(0, 0.5, 1),
        )
        axes.grid(axis="x", visible=False)

    first, found = names[0], counts["random"]
    caption = (
        f"Training finds the {2 ** int(k)} pieces from {found} of {starts} random starts, and from {counts[first]} of {starts} "
        f"starts at the written weights with {float(first):.0%} noise"
    )
    return Plot("growth_learned", caption, draw, title="How often training finds the deep network")
