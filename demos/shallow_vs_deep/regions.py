"""Row 4: with the same number of neurons a deep network expresses more complex functions, the lecture says.

A ReLU network is made of linear pieces, so their number is a measure of complexity.  It is counted for networks of 48
hidden units in 1 to 8 layers: with weights written down to have as many pieces as possible (on a line: width**depth;
Montufar, Pascanu, Cho and Bengio 2014, arXiv:1402.1869), with the random weights that training starts from, and after
training.  Hanin and Rolnick (arXiv:1906.00904) prove a bound for the second that does not depend on the depth, and
conjecture from experiments that the third stays near it.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_bn import nn

from ..datasets import DIGITS, shuffled_digits
from ..lab import copies, plots
from ..lab.copies import Array
from ..lab.demo import Block, Measured, Part, Plot, Progress, Settings, Table, Text, Verdict
from ..lab.wording import CONDITION, fitting, listed
from . import exact, parameters, pieces

UNITS = 48
DEPTHS = (1, 2, 3, 4, 6, 8)
TRAINED = (1, 2, 4, 6)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)  # of Adam
ENDS = np.array([-3.0]), np.array([3.0])
WAVES = 4  # the target of the regression: a sine, so many waves on [-3, 3]
SIDE, STORED = 300, 200  # grid points of the map, counted and kept
MORE = 10.0  # "more complex" in the verdict: ten times the pieces; 48 units could have 432 times as many in 4 layers


def sizes(depth: int, inputs: int = 1, outputs: int = 1, units: int = UNITS) -> list[int]:
    """Of the layers of a network of so many hidden units."""
    return [inputs, *[units // depth] * depth, outputs]


def one(layers: exact.Layers, copy: int, weight_scale: float = 1.0, bias_scale: float = 1.0) -> exact.Layers:
    """One of several networks that were drawn together."""
    return [(weight[copy] * weight_scale, bias[copy] * bias_scale) for weight, bias in layers]


def constructed(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces of the zig-zag on [0, 1], counted from its weights."""
    found = []
    for depth in progress(DEPTHS, "zig-zags"):
        layers = exact.zigzag(UNITS // depth, depth)
        count = pieces.line_pieces(layers, np.zeros(1), np.ones(1))
        found.append({"depth": depth, "pieces": count, "parameters": exact.parameters(layers)})
    return {"networks": found}


def random(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces on [-3, 3] before training: He's weights, biases from N(0, 1); then other sizes and other scales."""
    seeds = range(settings.seed, settings.seed + (200 if settings.full else 50))
    few = seeds[: len(seeds) // 5]

    def count(
        depth: int, seeds: Sequence[int], units: int = UNITS, weight: float = 1.0, bias: float = 1.0
    ) -> list[int]:
        drawn = exact.random_layers(sizes(depth, units=units), seeds, np.float64)
        return [pieces.line_pieces(one(drawn, i, weight, bias), *ENDS) for i in range(len(seeds))]

    return {
        "pieces": {str(depth): count(depth, seeds) for depth in progress(DEPTHS, "random weights")},
        "sizes": {
            str(units): {str(depth): count(depth, few, units) for depth in DEPTHS[:-1]} for units in (24, 96, 192)
        },
        "scales": [
            {"weights": w, "biases": b, "pieces": {str(depth): count(depth, few, UNITS, w, b) for depth in DEPTHS}}
            for w in (1.0, 4.0)
            for b in (1.0, 0.1)
        ],
    }


def trained(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces on [-3, 3] before and after learning a wave, in which one bend takes about six units.

    The rate of a depth is the one with the least error (geometric mean) on tuning seeds, which are not reported.
    """
    tuning, test = settings.tuning_seeds(3), settings.more_seeds(2)
    steps = 6000 if settings.full else 1000
    result: dict[str, Any] = {"steps": steps, "rates": list(RATES), "depths": {}}
    for depth in TRAINED:
        label = f"wave, {depth} layers"
        tried = [rate for rate in RATES for _ in tuning]
        _, errors, _ = learn_wave(depth, list(tuning) * len(RATES), tried, progress(range(steps), f"{label}, tuning"))
        best = RATES[int(np.argmin(np.log(errors).reshape(len(RATES), -1).mean(axis=1)))]
        before, errors, after = learn_wave(depth, test, [best] * len(test), progress(range(steps), label))
        result["depths"][str(depth)] = {"rate": best, "before": before, "after": after, "error": errors.tolist()}
    return result


def learn_wave(
    depth: int, seeds: Sequence[int], rates: Sequence[float], steps: Iterable[int]
) -> tuple[list[int], Array, list[int]]:
    """Train networks on the wave; returns their pieces before, their squared errors after, their pieces after."""
    x = np.linspace(-3, 3, 97, dtype=np.float32)[:, None]
    y = np.sin(WAVES * np.pi / 3 * x)
    network = exact.batched(exact.random_layers(sizes(depth), seeds))
    optimizer = copies.optimizer("adam", network, rates)

    def count() -> list[int]:
        return [pieces.line_pieces(exact.layers_of(network, i), *ENDS) for i in range(len(seeds))]

    before = count()
    inputs, targets = (np.broadcast_to(a, (len(seeds), *a.shape)) for a in (x, y))
    for _ in steps:
        copies.step(network, optimizer, copies.squared_error, inputs, targets)
    return before, ((copies.predict(network, x) - y) ** 2).mean(axis=(1, 2)), count()


def digits(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The pieces on straight lines between two test images, before and after learning the digits; biases 0 at first."""
    data = shuffled_digits([settings.seed, 3])
    train, test = data[:1297], data[1297:]
    pairs = np.random.default_rng([settings.seed, 4]).permutation(len(test))[:20].reshape(-1, 2)
    seeds = list(settings.test_seeds)
    steps = 3000 if settings.full else 800

    def count(network: nn.Sequential) -> list[float]:
        ends = test.images.astype(float)
        return [
            float(np.mean([pieces.line_pieces(exact.layers_of(network, i), ends[a], ends[b]) for a, b in pairs]))
            for i in range(len(seeds))
        ]

    result: dict[str, Any] = {"steps": steps, "lines": len(pairs), "depths": {}}
    for depth in TRAINED:
        weights = copies.draw_weights(sizes(depth, 64, 10), seeds, "he")
        network = copies.network(weights, nn.ReLU, batch_norm=False)
        optimizer = copies.optimizer("adam", network, 0.003)
        before, rows = count(network), copies.batches(len(train), 60, seeds)
        for _ in progress(range(steps), f"digits, {depth} layers"):
            chosen = next(rows)
            copies.step(network, optimizer, copies.cross_entropy, train.images[chosen], train.labels[chosen])
        accuracy = copies.accuracy(copies.predict(network, test.images), test.labels)
        result["depths"][str(depth)] = {"before": before, "after": count(network), "accuracy": accuracy.tolist()}
    return result


def maps(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The patterns of active units on the square [-3, 3] x [-3, 3], and a map of them for the first seed."""
    seeds = list(settings.test_seeds)
    result: dict[str, Any] = {"side": SIDE, "stored": STORED, "patterns": {}, "maps": {}}
    fine, coarse = square(SIDE), square(STORED)
    for depth in progress(TRAINED, "maps"):
        drawn = exact.random_layers(sizes(depth, 2), seeds, np.float64)
        counts = [int(pieces.patterns(one(drawn, i), fine).max()) + 1 for i in range(len(seeds))]
        result["patterns"][str(depth)] = counts
        if depth in (1, 4):
            result["maps"][str(depth)] = packed(pieces.patterns(one(drawn, 0), coarse))
    return result


def square(side: int) -> Array:
    """The points of a grid, row by row; shape (side * side, 2)."""
    along = np.linspace(-3, 3, side)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def packed(numbers: Array) -> str:
    """Small numbers as text: two bytes each, compressed, in base 64."""
    return base64.b64encode(zlib.compress(numbers.astype("<u2").tobytes(), 9)).decode("ascii")


def unpacked(text: str) -> Array:
    """The numbers again."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<u2")


PARTS: tuple[Part, ...] = (
    Part("regions_constructed", constructed, seconds=2),
    Part("regions_random", random, seconds=3),
    Part("regions_trained", trained, seconds=11),
    Part("regions_digits", digits, (DIGITS,), seconds=3),
    Part("regions_map", maps, seconds=3),
)


# -- what there is to say ----------------------------------------------------------------------------------------------


def show(measured: Measured) -> list[Block]:
    """Tables, plots and the verdict."""
    blocks: list[Block] = []
    if rows := piece_rows(measured):
        head = (
            "layers x units",
            "constructed",
            "random",
            "wave: before, after",
            "error",
            "digits: before, after",
            "accuracy",
        )
        caption = (
            f"Linear pieces on a line, networks of {UNITS} hidden units (mean, and range over networks); error: median of "
            "the mean squared error on the wave; accuracy: median on test digits"
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
        blocks.append(verdict(measured, advantage))
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
    "constructed": "written down for it",
    "random": "random",
    "wave": "trained on a wave",
    "digits": "trained on digits",
}


def verdict(measured: Measured, advantage: dict[str, float]) -> Verdict:
    """Holds for a kind of weights if some depth has ten times the pieces of one layer; for the claim, if all kinds do."""
    yes = [kind for kind, times in advantage.items() if times >= MORE]
    no = [kind for kind in advantage if kind not in yes]
    figures = ", ".join(f"{KINDS[kind]} {times_text(times)}" for kind, times in advantage.items())
    text = f"Pieces of the best deep network by those of 1 layer, {UNITS} units; weights {figures}"
    if part := measured.get("regions_trained"):
        errors = wave_errors(part)
        text += f"; wave error {min(errors.values()):.3f}, 1 layer {errors[1]:.3f}"
    condition = ""
    if yes and no:
        low, high = (times_text(bound([advantage[kind] for kind in no])) for bound in (min, max))
        rest = f"{low} the pieces" if low == high else f"{low} to {high} the pieces"
        short = f"the weights are {listed([KINDS[kind] for kind in yes])}"
        condition = fitting(CONDITION, f"{short}; {rest} if {listed([KINDS[kind] for kind in no])}", short)
    return Verdict(
        "complexity",
        "With the same number of neurons, a deep network expresses more complex functions.",
        text,
        "holds" if not no else "holds if" if yes else "does not hold",
        condition,
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
        "constructed": (plots.RED, "weights written down"),
        "random": (plots.BLUE, "random weights"),
        "wave": (plots.GREEN, "trained on a wave"),
        "digits": (plots.PINK, "trained on digits"),
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

    return Plot("regions_pieces", pieces_caption(measured), draw, (8.0, 4.5))


def pieces_caption(measured: Measured) -> str:
    """What the plot of the pieces says."""
    parts = []
    for kind, by_depth in series(measured).items():
        means = {depth: float(np.mean(counts)) for depth, counts in by_depth.items()}
        name = KINDS[kind].removesuffix(" for it").removeprefix("trained on ")
        parts.append(f"{name} {means.get(1, 0):,.0f}, {max(means.values()):,.0f}")
    return f"Linear pieces of {UNITS} units in 1 layer, and at the best depth: {'; '.join(parts)}"


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
    return Table("regions_sizes", "Pieces per unit of random networks: mean over networks", head, rows)


def rate_text(part: dict[str, Any]) -> str:
    """The learning rates of the wave, and whether one is at an edge of what was tried."""
    grid = part["rates"]
    chosen = {depth: row["rate"] for depth, row in part["depths"].items()}
    edges = [depth for depth, rate in chosen.items() if rate in (grid[0], grid[-1])]
    text = (
        f"The wave: {part['steps']:,} steps of Adam at the rate of {', '.join(f'{rate:g}' for rate in grid)} with the least "
        f"error on other seeds; by layers: {', '.join(f'{depth}: {rate:g}' for depth, rate in chosen.items())}. "
    )
    errors = wave_errors(part)
    best = min(errors, key=lambda depth: errors[depth])
    if best > 1:
        more = parameters.count(sizes(best)) / parameters.count(sizes(1))
        text += f"The least error is that of {best} layers, with {more:.1f} times the parameters of one layer. "
    if not edges:
        return text + "No rate is at an edge of what was tried."
    return (
        text
        + f"Warning: the rate is at an edge of what was tried, so a better one may lie beyond, with {listed(edges, 'and')}."
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
        f"Patterns of active units seen on a grid of {part['side']} x {part['side']} points of the square, by the number "
        f"of layers: {counts}. One layer can have at most {most:,} on a plane (Zaslavsky's formula for {UNITS} lines)."
    )


def map_plot(part: dict[str, Any]) -> Plot:
    """The square, a color per pattern, one layer beside four."""
    stored = part["stored"]
    colors = np.random.default_rng(5).permutation(4096)  # so that neighbours differ

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
    caption = f"Where random networks of {UNITS} units are linear, on a square of inputs; regions: {counts}"
    return Plot("regions_map", caption, draw, (8.0, 4.4))
