"""Complexity of the function: what there is to say about it."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...lab.measure.copies import Array
from ...lab.measure.part import Measured
from ...lab.show import colors, plots
from ...lab.show.blocks import Block, Plot, Table, Text, Verdict
from ...lab.show.evidence import Case
from ...lab.show.telling import verdict
from ...lab.show.wording import listed
from ..measure import parameters
from ..measure.regions import DEPTHS, UNITS, sizes

MORE = 10.0  # "more complex" in the verdict: ten times the pieces; 48 units could have 432 times as many in 4 layers


def unpacked(text: str) -> Array:
    """The numbers again."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<u2")


def show(measured: Measured) -> list[Block]:
    """Tables, plots and the verdict."""
    blocks: list[Block] = []
    if rows := piece_rows(measured):
        head = (
            "layers x units",
            "constructed",
            "random",
            "wave: before, after training",
            "error on the wave",
            "digits: before, after training",
            "accuracy on digits",
        )
        caption = (
            f"Linear pieces on a line of networks with {UNITS} hidden units (mean, and range over networks); mean squared "
            "error on the wave and accuracy on test digits are medians"
        )
        blocks += [Table("regions_pieces", caption, head, rows), pieces_plot(measured)]
    if part := measured.get("regions_trained"):
        blocks.append(Text(rate_text(part)))
    if part := measured.get("regions_random"):
        blocks += [size_table(part), Text(scale_text(part))]
    if part := measured.get("regions_map"):
        blocks += [map_plot(part), Text(map_text(part))]
    advantage = advantages(measured)
    if advantage:
        blocks.append(judged(measured, advantage))
    return blocks


def series(measured: Measured) -> dict[str, dict[int, list[float]]]:
    """Pieces per network, by kind and depth."""
    found: dict[str, dict[int, list[float]]] = {}
    if part := measured.get("regions_constructed"):
        found["constructed"] = {row["depth"]: [row["pieces"]] for row in part["networks"]}
    if part := measured.get("regions_random"):
        found["random"] = {int(depth): counts for depth, counts in part["pieces"].items()}
    for name, kind in (("regions_trained", "wave"), ("regions_digits", "digits")):
        if part := measured.get(name):
            found[kind] = {int(depth): row["after"] for depth, row in part["depths"].items()}
    return found


def piece_rows(measured: Measured) -> list[list[str]]:
    """One row of the table per depth."""
    found = series(measured)
    wave, digit = (measured.get(name, {"depths": {}})["depths"] for name in ("regions_trained", "regions_digits"))
    rows = []
    for depth in sorted({depth for kind in found.values() for depth in kind}):
        row = [f"{depth} x {UNITS // depth}"]
        row += [
            spread(found[kind][depth]) if depth in found.get(kind, {}) else "" for kind in ("constructed", "random")
        ]
        if trained := wave.get(str(depth)):
            row += [f"{spread(trained['before'])}, {spread(trained['after'])}", f"{np.median(trained['error']):.3f}"]
        else:
            row += ["", ""]
        if read := digit.get(str(depth)):
            row += [f"{spread(read['before'])}, {spread(read['after'])}", f"{100 * np.median(read['accuracy']):.0f} %"]
        else:
            row += ["", ""]
        rows.append(row)
    return rows


def spread(counts: Sequence[float]) -> str:
    """``41 (36 to 48)``."""
    mean = f"{np.mean(counts):,.0f}"
    return mean if len(counts) == 1 else f"{mean} ({min(counts):,.0f} to {max(counts):,.0f})"


def advantages(measured: Measured) -> dict[str, float]:
    """By kind: how many times the pieces of one layer the best deep network has (of means over networks)."""
    found = {}
    for kind, by_depth in series(measured).items():
        deep = [float(np.mean(counts)) for depth, counts in by_depth.items() if depth > 1]
        if deep and 1 in by_depth:
            found[kind] = max(deep) / float(np.mean(by_depth[1]))
    return found


KINDS = {
    "constructed": "with weights written down for it",
    "random": "with random weights",
    "wave": "trained on a wave",
    "digits": "trained on digits",
}


def advantage_case(kind: str, by_depth: dict[int, list[float]]) -> Case:
    """How many times the pieces of one layer the best deep network has, with a 95 % bootstrap interval over networks."""
    draws = np.random.default_rng(0)
    means = {
        depth: np.append(np.mean(counts), np.mean(draws.choice(counts, (4000, len(counts))), axis=1))
        for depth, counts in by_depth.items()
    }
    ratios = np.max([each for depth, each in means.items() if depth > 1], axis=0) / means[1]
    low, high = (float(bound) for bound in np.quantile(ratios[1:], (0.025, 0.975)))
    seeds = min(map(len, by_depth.values()))
    return Case(KINDS[kind], float(ratios[0]), low, high, seeds if seeds > 1 else 0, MORE - 1e-9, ratio=True)


def judged(measured: Measured, advantage: dict[str, float]) -> Verdict:
    """For each kind of weights, has some depth ten times the pieces of one layer?"""
    figures = ", ".join(f"{times_text(times)} {KINDS[kind]}" for kind, times in advantage.items())
    text = f"With {UNITS} units, the best deep network has this many times the pieces of one layer: {figures}."
    found = series(measured)
    return verdict(
        "complexity",
        "With the same number of neurons, a deep network expresses more complex functions.",
        text,
        [advantage_case(kind, found[kind]) for kind in advantage],
        short="The same neurons in more layers express more",
        form="{:,.3g}x",
        headline=f"{times_text(min(advantage.values()))} to {times_text(max(advantage.values()))}",
        noun="kind",
    )


def wave_errors(part: dict[str, Any]) -> dict[int, float]:
    """The median squared error on the wave, by the number of layers."""
    return {int(depth): float(np.median(row["error"])) for depth, row in part["depths"].items()}


def times_text(times: float) -> str:
    """``1.43x``, ``34,992x``."""
    return f"{times:,.0f}x" if times >= 100 else f"{times:.2f}x"


def pieces_plot(measured: Measured) -> Plot:
    """Pieces against depth, by kind."""
    found = series(measured)
    styles = {
        "constructed": (plots.BLACK, "weights written down"),
        "random": (colors.of("random weights"), "random weights"),
        "wave": (colors.of("weights trained on a wave"), "trained on a wave"),
        "digits": (colors.of("weights trained on digits"), "trained on digits"),
    }

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for marker, (kind, by_depth) in zip(plots.MARKERS, found.items()):
            color, label = styles[kind]
            depths = sorted(by_depth)
            values = [by_depth[depth] for depth in depths]
            axes.plot(depths, [np.mean(v) for v in values], color=color, marker=marker, label=label)
            axes.fill_between(depths, [min(v) for v in values], [max(v) for v in values], color=color, alpha=0.15, lw=0)
        axes.set(yscale="log", xlabel=f"layers ({UNITS} units in all)", ylabel="linear pieces on a line")
        axes.set_xticks(DEPTHS)
        plots.plain_numbers(axes.yaxis, ",.0f")
        axes.legend()

    return Plot("regions_pieces", pieces_caption(measured), draw, (8.0, 4.5), "Linear pieces of the function, by depth")


def pieces_caption(measured: Measured) -> str:
    """What the plot of the pieces says."""
    parts = []
    for kind, by_depth in series(measured).items():
        means = {depth: float(np.mean(counts)) for depth, counts in by_depth.items()}
        name = KINDS[kind].removesuffix(" for it").removeprefix("with ").removeprefix("trained on ")
        parts.append(f"{name} {means.get(1, 0):,.0f}, {max(means.values()):,.0f}")
    return f"Linear pieces of {UNITS} units in 1 layer, at the best depth: {'; '.join(parts)}"


def size_table(part: dict[str, Any]) -> Table:
    """Pieces per unit of random networks of other sizes."""
    by_units = {
        **part["sizes"],
        str(UNITS): {depth: part["pieces"][depth] for depth in next(iter(part["sizes"].values()))},
    }
    head = ("units", *(f"{depth} layer{'s' * (depth != '1')}" for depth in by_units[str(UNITS)]))
    rows = [
        [units, *(f"{np.mean(counts) / int(units):.2f}" for counts in by_depth.values())]
        for units, by_depth in sorted(by_units.items(), key=lambda entry: int(entry[0]))
    ]
    return Table("regions_sizes", "Linear pieces per unit of random networks, mean over networks", head, rows)


def rate_text(part: dict[str, Any]) -> str:
    """The learning rates of the wave, and whether one is at an edge of what was tried."""
    grid = part["rates"]
    chosen = {depth: row["rate"] for depth, row in part["depths"].items()}
    edges = [depth for depth, rate in chosen.items() if rate in (grid[0], grid[-1])]
    text = (
        f"Networks learn the wave in {part['steps']:,} steps of Adam, at the learning rate of "
        f"{', '.join(f'{rate:g}' for rate in grid)} with the smallest error on other seeds; chosen by number of layers: "
        f"{', '.join(f'{depth}: {rate:g}' for depth, rate in chosen.items())}. "
    )
    errors = wave_errors(part)
    best = min(errors, key=lambda depth: errors[depth])
    if best > 1:
        more = parameters.count(sizes(best)) / parameters.count(sizes(1))
        text += f"{best} layers have the smallest error, but {more:.1f} times the parameters of one layer. "
    if not edges:
        return text + "No chosen rate is at an edge of the grid."
    return (
        text
        + f"Warning: the rate is at an edge of the grid, so a better one may lie outside, with {listed(edges, 'and')}."
    )


def scale_text(part: dict[str, Any]) -> str:
    """Whether the scale of the initial weights changes the picture."""
    ratios = [
        np.mean(counts) / np.mean(row["pieces"]["1"])
        for row in part["scales"]
        for depth, counts in row["pieces"].items()
        if depth != "1"
    ]
    weights, biases = (sorted({row[key] for row in part["scales"]}) for key in ("weights", "biases"))
    return (
        f"With the initial weights {weights[0]:g} to {weights[-1]:g} times as large, and biases from "
        f"N(0, {biases[0]:g}) to N(0, {biases[-1]:g}), random networks of 2 to {DEPTHS[-1]} layers have "
        f"{min(ratios):.2f} to {max(ratios):.2f} times the pieces of one layer."
    )


def map_text(part: dict[str, Any]) -> str:
    """The counts on the square beside what is possible."""
    most = 1 + UNITS + math.comb(UNITS, 2)
    counts = "; ".join(f"{depth}: {spread(counts)}" for depth, counts in part["patterns"].items())
    return (
        f"Number of patterns of active units on a grid of {part['side']} x {part['side']} points of the square, by number of "
        f"layers: {counts}. One layer can have at most {most:,} on a plane (Zaslavsky's formula for {UNITS} lines)."
    )


def map_plot(part: dict[str, Any]) -> Plot:
    """The square, a color per pattern, one layer beside four."""
    stored = part["stored"]
    colors = np.random.default_rng(5).permutation(4096)  # so that neighbors differ

    def draw(figure: Any) -> None:
        for axes, (depth, text) in zip(figure.subplots(1, 2), part["maps"].items()):
            image = colors[unpacked(text) % len(colors)].reshape(stored, stored)
            axes.imshow(image, cmap="cividis", origin="lower", extent=(-3, 3, -3, 3), interpolation="nearest")
            layers = "1 layer" if depth == "1" else f"{depth} layers"
            axes.set(
                title=f"{layers} of {UNITS // int(depth)}: {part['patterns'][depth][0]} regions", xticks=(), yticks=()
            )
            axes.grid(False)
            axes.spines[:].set_visible(False)

    means = {depth: float(np.mean(counts)) for depth, counts in part["patterns"].items()}
    counts = ", ".join(f"{mean:.0f} ({depth} layer{'s' * (depth != '1')})" for depth, mean in means.items())
    caption = f"Linear regions of random networks of {UNITS} units on a square of inputs: {counts}"
    return Plot("regions_map", caption, draw, (8.0, 4.4), "The linear regions of two random networks")
