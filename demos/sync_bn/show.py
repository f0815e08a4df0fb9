"""What there is to say about several processes: accuracy, steps, and what a step takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..lab.measure.part import Measured
from ..lab.measure.statistics import first_at
from ..lab.show import colors, evidence, plots
from ..lab.show.blocks import Block, Heading, Plot, Summary, Table, Text, Verdict
from ..lab.show.telling import verdict
from ..lab.show.texts import difference_text, mean_text, steps_text
from ..lab.show.wording import listed
from .measure.design import BATCH, NORMS, SIZES, STRONG, WEAK, WIDTH

Part = Mapping[str, Any]

OVER = {"own": "each rank's own rows", "all": "the rows of all ranks"}
COLORS = {"own": colors.of("BN over a process's own rows"), "all": colors.BN}
TARGET = 0.85  # test accuracy to count steps to
SAME = 1e-9  # weights that differ by less are the same: sums in another order, over the whole training
LAYERS = 2  # with Batch Normalization
IN_A_LAYER = 5  # exchanges: the count, two means forward, two backward
MACHINES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
HEADS = (
    "shared batch, BN over own rows", "shared batch, BN over all rows",
    "batch per rank, BN over own rows", "batch per rank, BN over all rows",
)  # fmt: skip


def show(measured: Measured) -> list[Block]:
    """Training first, then time."""
    blocks: list[Block] = [summary(measured["together"])] if "together" in measured else []
    if "together" in measured:
        blocks += together_blocks(measured["together"])
    if "scaling" in measured:
        blocks += scaling_blocks(measured["scaling"])
    return blocks


def summary(part: Part) -> Summary:
    """Several processes in a sentence."""
    several = [ranks for ranks in part if ranks != "1"]
    worst = np.max([part[ranks]["all"]["off"] for ranks in several])
    effects = [case.effect for case in own_verdict(part, several).cases if case.effect is not None]
    return Summary(
        f"On {listed(several)} processes with synchronized Batch Normalization, training ends with the same weights as on one "
        f"process (they differ by at most {worst:.0e}). If each process normalizes over its own few rows, accuracy is "
        f"{min(effects):.1f} to {max(effects):.1f} points lower on average during training.",
        "together",
    )


def share(ranks: int | str) -> str:
    """How many rows of a batch a rank has."""
    few, more = BATCH // int(ranks), -(-BATCH // int(ranks))
    return f"{few}" if few == more else f"{few} or {more}"


def together_blocks(part: Part) -> list[Block]:
    """Accuracy and steps on each number of ranks."""
    several = [ranks for ranks in part if ranks != "1"]
    rows = []
    for ranks in part:
        for name, over in OVER.items():
            found = part[ranks][name]
            last = [accuracy[-1] for accuracy in found["accuracy"]]
            steps = [first_at(part[ranks]["at"], accuracy, TARGET) for accuracy in found["accuracy"]]
            rows.append(
                (ranks, share(ranks), over, mean_text(last, 100, 1), steps_text(steps), f"{max(found['off']):.0e}")
            )

    def middle(ranks: str, name: str) -> Any:
        return 100 * np.median(part[ranks][name]["accuracy"], axis=0)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for ranks, style in zip(several, ("-", "--", ":")):
            for name, color in COLORS.items():
                label = f"{ranks} ranks, {share(ranks)} rows each" if name == "own" else None
                axes.plot(part[ranks]["at"], middle(ranks, name), color=color, linestyle=style, label=label)
        axes.plot([], [], color=COLORS["all"], label=f"over all rows: {listed(several)} ranks")
        axes.plot(part["1"]["at"], middle("1", "own"), "o", color=plots.BLACK, label="one process")
        axes.set(xlabel="step", ylabel="test accuracy, %", ylim=(0, 100))
        axes.legend(loc="lower right", ncols=2)

    worst = several[-1]
    final = {name: 100 * float(np.median([a[-1] for a in part[worst][name]["accuracy"]])) for name in OVER}
    return [
        Heading("Several ranks share a batch"),
        Text(
            f"A network with {LAYERS} layers of 64 units learns the 8x8 digits by SGD, in batches of {BATCH} rows. The ranks "
            "share each batch, and gradients are weighted by rows. Batch Normalization uses each rank's own rows, or is "
            "synchronized and uses the rows of all ranks."
        ),
        Table(
            "together",
            f"Accuracy after {part['1']['at'][-1]} steps (mean ± standard deviation over {len(part['1']['own']['off'])} "
            f"seeds), steps to {100 * TARGET:g} % (median, range), and the largest difference of a weight from one process",
            (
                "ranks",
                "rows each",
                "normalized over",
                "test accuracy, %",
                f"steps to {100 * TARGET:g} %",
                "weights differ by",
            ),
            rows,
        ),
        Plot(
            "together",
            f"Accuracy on {worst} ranks with {share(worst)} rows each: {final['own']:.1f} % if each normalizes its own rows, "
            f"{final['all']:.1f} % if synchronized",
            draw,
            title="Accuracy while training on several processes",
        ),
        same_verdict(part, several),
        own_verdict(part, several),
    ]


def same_verdict(part: Part, several: list[str]) -> Verdict:
    """Are all weights the same as in one process, up to rounding, in every seed? Where seeds differ, it is open."""
    worst = np.max([part[ranks]["all"]["off"] for ranks in several])  # which is NaN if one is
    least = min(min(part[ranks]["own"]["off"]) for ranks in several)
    cases = [
        evidence.of_seeds(
            f"on {ranks} ranks", [SAME / max(off, 1e-17) for off in part[ranks]["all"]["off"]], 1 - 1e-9, ratio=True
        )
        for ranks in several
    ]
    return verdict(
        "synchronized",
        "Several processes with synchronized Batch Normalization train as one with the whole batch",
        f"After training no weight differs by more than {worst:.0e} (float64). If each rank normalizes its own rows, some "
        f"differ by {least:.1g} or more.",
        cases,
        short="Synchronized BN trains as one process does",
        form="{:.0e}",
        headline=f"weights differ by {worst:.0e}",
        noun="case",
    )


def own_verdict(part: Part, several: list[str]) -> Verdict:
    """Is accuracy lost, in the mean over the steps?"""

    def lost(ranks: str) -> list[float]:
        mean = {name: np.mean(part[ranks][name]["accuracy"], axis=1) for name in OVER}
        return [float(d) for d in mean["all"] - mean["own"]]

    said = [f"{difference_text(lost(ranks), 100, 1)} with {share(ranks)} rows each" for ranks in several]
    return verdict(
        "own_rows",
        "With few rows on each process, Batch Normalization over a process's own rows is worse",
        f"Averaged over the steps, it loses {listed(said, 'and')} (points of accuracy).",
        [evidence.of_values(f"with {share(ranks)} rows each", lost(ranks), scale=100) for ranks in several],
        short="BN over a process's own few rows is worse",
        form="{:+.1f} points",
        noun="case",
    )


# -- time -----------------------------------------------------------------------------------------------------------------


class Model:
    """The seconds of a step on so many ranks, each with a processor, from what was measured.

    Computing, interpolated between batches that were measured, plus exchanges.  One of m bytes on P ranks takes
    2 ceil(log2 P) latencies (the meeting and the exchange, each in a tree), plus 2 (P - 1) / P m over the bandwidth.
    """

    def __init__(self, part: Part) -> None:
        self.rows, self.computing = np.array(SIZES, float), np.array(part["1"]["computing"])
        self.gradient = float(part["1"]["gradient"])
        self.latency: float = float(part["2"]["latency"])
        self.bandwidth: float = part["2"]["bytes"] / max(part["2"]["large"] - 2 * self.latency, 1e-9)

    def exchange(self, ranks: int, size: float) -> float:
        """Of so many bytes."""
        return 2 * math.ceil(math.log2(ranks)) * self.latency + 2 * (ranks - 1) / ranks * size / self.bandwidth

    def step(self, ranks: int, rows: float, norm: str) -> float:
        """With so many rows on each rank."""
        slope = (self.computing[-1] - self.computing[-2]) / (self.rows[-1] - self.rows[-2])
        beyond = max(0.0, rows - float(self.rows[-1])) * float(slope)
        seconds = float(np.interp(rows, self.rows, self.computing)) + beyond
        seconds += self.exchange(ranks, 8) + self.exchange(ranks, self.gradient)
        return seconds + (self.norms(ranks) if norm == "all" else 0.0)

    def norms(self, ranks: int) -> float:
        """What the exchanges of Batch Normalization add."""
        return LAYERS * (self.exchange(ranks, 8) + (IN_A_LAYER - 1) * self.exchange(ranks, 4 * WIDTH))


def scaling_blocks(part: Part) -> list[Block]:
    """What was measured, and what the model makes of it."""
    model = Model(part)
    rows = [
        (ranks, *(f"{1000 * part[ranks][kind][name]:.1f}" for kind in ("strong", "weak") for name in NORMS),
         f"{1e6 * part[ranks]['latency']:.0f}")
        for ranks in part
    ]  # fmt: skip
    drawn = [
        (f"{ranks:,}", *(f"{1000 * model.step(ranks, own, name):.2f}" for own in (STRONG * 16 / ranks, WEAK) for name in NORMS),
         f"{100 * model.norms(ranks) / model.step(ranks, WEAK, 'all'):.0f}")
        for ranks in MACHINES if ranks in (1, 4, 16, 64, 256, 1024)
    ]  # fmt: skip

    def draw(figure: Any) -> None:
        strong, weak = figure.subplots(1, 2)
        for name, color in COLORS.items():
            times = [1000 * model.step(p, STRONG * 16 / p, name) for p in MACHINES]
            strong.plot(MACHINES, times, color=color, label=OVER[name])
            weak.plot(MACHINES, [1000 * model.step(p, WEAK, name) for p in MACHINES], color=color, label=OVER[name])
            measured = [1000 * part[ranks]["weak"][name] for ranks in part]
            weak.plot([int(ranks) for ranks in part], measured, "o", color=color)
        for axes, title in ((strong, f"{STRONG * 16:,} rows in all"), (weak, f"{WEAK} rows on each rank")):
            axes.set(xscale="log", yscale="log", xlabel="ranks", title=title)
            plots.only_ticks(axes.xaxis, (1, 4, 16, 64, 256, 1024))
            plots.log_numbers(axes.yaxis, (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500))
        strong.set_ylabel("ms per step")
        strong.legend(loc="best", fontsize=12)

    added = 1000 * model.norms(1024)
    return [
        Heading("The time of a step"),
        Text(
            f"The network has {LAYERS} layers of {WIDTH} units, in float32; times are the minimum over repeats. If there are "
            "more ranks than processors, ranks take turns and wait for each other."
        ),
        Table(
            "measured",
            f"Measured milliseconds per step, with {STRONG} rows in all or with {WEAK} rows on each rank, and microseconds per "
            "meeting",
            ("ranks", *HEADS, "meeting, µs"),
            rows,
        ),
        Text(
            "In the model, each rank has its own processor. It uses the computing time measured for the same number of rows, "
            f"and {1e6 * model.latency:.0f} µs per message and {model.bandwidth / 1e9:.1f} GB/s, as measured between two "
            "ranks on this machine. An exchange of m bytes between P ranks takes 2⌈log₂ P⌉ messages, plus 2 (P - 1) / P · m "
            f"divided by the bandwidth. A step has one exchange for the rows and one for {model.gradient / 1e6:.1f} MB of "
            f"gradients, and {IN_A_LAYER} more for each synchronized layer. Networks between machines have other latencies."
        ),
        Table(
            "model",
            f"Milliseconds per step by the model, with {STRONG * 16:,} rows in all or with {WEAK} rows on each rank; the last "
            "column is the share of the exchanges of BN when each rank has a batch",
            ("ranks", *HEADS, "exchanges of BN, %"),
            drawn,
        ),
        Plot(
            "scaling",
            f"By the model, synchronized BN adds {added:.1f} ms to a step on 1,024 ranks; dots are measurements",
            draw,
            (9.0, 4.2),
            "The time of a step on more processes",
        ),
    ]
