"""Row 2: what kind of input does a network take?

The lecture says that shallow learning takes only vectors, features that somebody made by hand, and that deep networks take
raw images and text. Two things differ between such networks, and they are varied separately here: how many hidden layers
there are, and whether the layers see the whole input at once (fully connected) or the same weights are laid over every
window of it (a convolution; LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition"). All
networks get the same raw input and end in one linear layer:

* pixels of the 8x8 digits;
* the same digits at a random place of a 12x12 image, a place for each image and not for each step;
* the spelling of English words, a column of 26 zeros and ones for each letter, for the number of their syllables. The
  dictionary has names and other rare words, and nothing was picked out but length.

The windowed networks of one layer, with 5x5 windows, and of two, with 3x3 twice, see equally much of the input and pool
alike, so that what the second adds is depth. One layer of 3x3 shows what is due to the size of the window.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, nn, no_grad, ops, optim

from ..datasets import DIGITS, SYLLABLES, load_syllables, shuffled_digits, spelled
from ..lab import copies, plots, statistics
from ..lab.copies import Array
from ..lab.demo import Block, Measured, Outcome, Part, Plot, Progress, Settings, Table, Text, Verdict
from ..lab.wording import MEASURED, fitting, listed

RATES = (0.005, 0.02, 0.08, 0.3)
BATCH = 32
LETTERS = 26
LONGEST = 14  # letters; 99 % of the words are as short
MOST = 6  # syllables told apart; more count as this many

# -- the tasks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """Rows in a random order: those to learn from, to choose learning rates with, and to report.

    Attributes:
        x, y: inputs and classes.
        train: rows to learn from.
        validation: rows after them.
        rules: classes that need no training, from a rule that is no network.
    """

    x: Array
    y: Array
    train: int
    validation: int
    rules: Mapping[str, Array]


def digits_task(seed: int) -> Task:
    """The 8x8 digits, (N, 1, 8, 8)."""
    data = shuffled_digits([seed, 3])
    return Task(data.images.reshape(-1, 1, 8, 8), data.labels, 997, 300, {})


def placed_task(seed: int) -> Task:
    """Each digit at one of 25 places of an empty 12x12 image, (N, 1, 12, 12)."""
    task = digits_task(seed)
    canvas = np.zeros((len(task.x), 1, 12, 12), task.x.dtype)
    corners = np.random.default_rng([seed, 4]).integers(0, 5, (len(task.x), 2))
    for image, digit, (row, column) in zip(canvas, task.x, corners):
        image[:, row : row + 8, column : column + 8] = digit
    return Task(canvas, task.y, task.train, task.validation, {})


def text_task(seed: int, train: int = 5000, validation: int = 1000, test: int = 3000) -> Task:
    """Spelled words, (N, 26, 14), and the number of their syllables less one."""
    data = load_syllables()
    short = [i for i, word in enumerate(data.words) if len(word) <= LONGEST]
    chosen = np.random.default_rng([seed, 3]).permutation(short)[: train + validation + test]
    words = [data.words[i] for i in chosen]
    letters = spelled(words, LONGEST)
    x = (letters[:, None, :] == np.arange(1, LETTERS + 1)[None, :, None]).astype(np.float32)
    y = np.minimum(data.syllables[chosen], MOST) - 1
    groups = np.array([len(re.findall("[aeiouy]+", word)) for word in words])
    frequent = np.full(len(y), np.bincount(y[:train]).argmax())
    return Task(x, y, train, validation, {"most frequent": frequent, "vowel groups": np.clip(groups, 1, MOST) - 1})


# -- the networks -------------------------------------------------------------------------------------------------------


class Total(nn.Module):
    """The sum over the last axis: how much of each feature there is in a word, wherever it stands."""

    def forward(self, x: Any) -> Any:
        return ops.sum(x, axis=-1)


def dense(inputs: int, width: int, layers: int, classes: int) -> nn.Sequential:
    """Fully connected hidden layers on the input as one vector."""
    sizes = [inputs, *[width] * layers]
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, classes))


def on_image(side: int, windows: Sequence[int], channels: Sequence[int]) -> nn.Sequential:
    """Convolutions without padding, the largest value in each quarter of what is left, and a linear layer."""
    layers: list[nn.Module] = []
    for inputs, outputs, window in zip((1, *channels), channels, windows):
        layers += [nn.Conv2d(inputs, outputs, window), nn.ReLU()]
    half = (side - sum(window - 1 for window in windows)) // 2
    return nn.Sequential(*layers, nn.MaxPool2d(half), nn.Flatten(), nn.Linear(4 * channels[-1], 10))


def on_word(windows: Sequence[int], channels: Sequence[int]) -> nn.Sequential:
    """Convolutions that keep the length, the sum over all places, and a linear layer."""
    layers: list[nn.Module] = []
    for inputs, outputs, window in zip((LETTERS, *channels), channels, windows):
        layers += [nn.Conv1d(inputs, outputs, window, padding=window // 2), nn.ReLU()]
    return nn.Sequential(*layers, Total(), nn.Linear(channels[-1], MOST))


Nets = Mapping[str, Callable[[], nn.Sequential]]
DENSE1, DENSE3, SMALL, WIDE, TWICE = (
    "dense, 1 layer",
    "dense, 3 layers",
    "windows of 3",
    "windows of 5",
    "windows of 3, twice",
)


def image_nets(side: int) -> Nets:
    """The five networks for images."""
    return {
        DENSE1: lambda: dense(side * side, 32, 1, 10),
        DENSE3: lambda: dense(side * side, 28, 3, 10),
        SMALL: lambda: on_image(side, (3,), (24,)),
        WIDE: lambda: on_image(side, (5,), (24,)),
        TWICE: lambda: on_image(side, (3, 3), (8, 16)),
    }


WORD_NETS: Nets = {
    DENSE1: lambda: dense(LETTERS * LONGEST, 32, 1, MOST),
    DENSE3: lambda: dense(LETTERS * LONGEST, 32, 3, MOST),
    SMALL: lambda: on_word((3,), (24,)),
    WIDE: lambda: on_word((5,), (24,)),
    TWICE: lambda: on_word((3, 3), (24, 24)),
}

# -- measuring ----------------------------------------------------------------------------------------------------------


def compare(task: Task, nets: Nets, steps: int, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Every network, at the learning rate that suited it on the validation rows."""
    held_out = slice(task.train, task.train + task.validation)
    unseen = slice(held_out.stop, None)
    result: dict[str, Any] = {"rates": list(RATES), "steps": steps, "nets": {}}
    for name, build in nets.items():
        tuning = settings.tuning_seeds(1 + settings.full)
        by_rate = [
            float(np.mean([accuracy(fit(task, build, seed, rate, steps, progress, name), task, held_out) for seed in tuning]))
            for rate in RATES
        ]  # fmt: skip
        rate = RATES[int(np.argmax(by_rate))]
        models = [fit(task, build, seed, rate, steps, progress, name) for seed in settings.test_seeds]
        result["nets"][name] = {
            "parameters": sum(p.data.size for p in models[0].parameters()),
            "rate": rate,
            "validation": by_rate,
            "accuracy": [accuracy(model, task, unseen) for model in models],
        }
    result["rules"] = {name: float((rule[unseen] == task.y[unseen]).mean()) for name, rule in task.rules.items()}
    return result


def fit(
    task: Task, build: Callable[[], nn.Sequential], seed: int, rate: float, steps: int, progress: Progress, label: str
) -> nn.Sequential:
    """A trained network: Adam, the learning rate rising to ``rate`` and falling again (Smith, Topin: arXiv:1708.07120)."""
    tg.manual_seed(seed)
    model = build()
    optimizer = optim.Adam(model.parameters(), lr=rate)
    schedule = optim.OneCycleLR(optimizer, max_lr=rate, total_steps=steps, cycle_momentum=False)
    batches = copies.batches(task.train, BATCH, [seed])
    for _ in progress(range(steps), label):
        rows = next(batches)[0]
        copies.step(model, optimizer, functional.cross_entropy, task.x[rows], task.y[rows])
        schedule.step()
    return model


def accuracy(model: nn.Sequential, task: Task, rows: slice) -> float:
    """The share of right classes."""
    x, y = task.x[rows], task.y[rows]
    with no_grad():
        right = [(model(x[i : i + 250]).data.argmax(axis=1) == y[i : i + 250]).sum() for i in range(0, len(x), 250)]
    return float(sum(right) / len(x))


def steps_for(settings: Settings) -> int:
    """How long to train."""
    return 1500 if settings.full else 300


def digits(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The 8x8 digits."""
    return compare(digits_task(settings.seed), image_nets(8), steps_for(settings), settings, progress)


def placed(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The digits at random places."""
    return compare(placed_task(settings.seed), image_nets(12), steps_for(settings), settings, progress)


def text(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Words."""
    return compare(text_task(settings.seed), WORD_NETS, steps_for(settings), settings, progress)


PREFIX = "raw_input_"
PARTS = (
    Part(PREFIX + "digits", digits, (DIGITS,), seconds=14),
    Part(PREFIX + "placed", placed, (DIGITS,), seconds=21),
    Part(PREFIX + "text", text, (SYLLABLES,), seconds=12),
)

# -- showing ------------------------------------------------------------------------------------------------------------

TITLES = {"digits": "8x8 digits", "placed": "digits at random places", "text": "syllables of a word"}
SHORT = {"digits": "digits", "placed": "digits anywhere", "text": "words"}


CHANGES = {  # what is changed: the network before and after
    "windows of 5, not 3 dense": (DENSE3, WIDE),
    "3 dense, not 1": (DENSE1, DENSE3),
    "windows of 3 twice, not once": (SMALL, TWICE),
    "twice 3, not once 5": (WIDE, TWICE),
}


@dataclass(frozen=True)
class Gain:
    """How much one network is more accurate than another, in points: mean and half-width of the 95 % interval."""

    mean: float
    half: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval leaves out 0, else 0."""
        return 0 if abs(self.mean) <= self.half else 1 if self.mean > 0 else -1

    def __str__(self) -> str:
        return f"{self.mean:+.1f} ± {self.half:.1f}"


def gain(part: Mapping[str, Any], before: str, after: str) -> Gain:
    """The paired differences of two networks of a part, by seed."""
    pairs = zip(part["nets"][before]["accuracy"], part["nets"][after]["accuracy"])
    mean, half = statistics.mean_interval([100 * (b - a) for a, b in pairs])
    return Gain(mean, half)


def verdict(parts: Mapping[str, Mapping[str, Any]]) -> tuple[Outcome, str]:
    """Holds where, on raw input, depth decides rather than the kind of the first layer; see ``depth_decides``."""
    deep = [TITLES[name] for name, part in parts.items() if depth_decides(part)]
    if len(deep) == len(parts):
        return "holds", ""
    if not deep:
        return "does not hold", ""
    return "holds if", f"the input is {listed(deep)}"


def depth_decides(part: Mapping[str, Any]) -> bool:
    """Whether one layer of windows is worse than three without, or gains more from a second than it has over those."""
    kind, depth = gain(part, DENSE3, WIDE), gain(part, WIDE, TWICE)
    return kind.sign < 0 or (depth.sign > 0 and depth.mean > kind.mean)


def show(measured: Measured) -> list[Block]:
    """Tables of accuracies and of gains, their picture and the verdict."""
    parts = {name: measured[PREFIX + name] for name in TITLES if PREFIX + name in measured}
    if not parts:
        return []
    outcome, condition = verdict(parts)
    first = next(iter(parts.values()))
    return [
        Text(
            "All networks get the same raw input: pixels, or letters. Dense layers see all of it at once; windows lay the "
            f"same weights over every place. {first['steps']:,} steps of Adam with a rate that rises and falls; its highest "
            f"value is the best of {', '.join(f'{rate:g}' for rate in first['rates'])} on rows and a seed that are not "
            "reported." + at_edge(parts)
        ),
        Table(
            "raw_input_accuracy",
            "Test accuracy in percent, mean ± standard deviation over the seeds; the rules for words need no network: the most "
            "frequent number of syllables, and as many as there are groups of vowels",
            ("input", "network", "parameters", "rate", "accuracy"),
            [row for name, part in parts.items() for row in accuracy_rows(name, part)],
        ),
        Table(
            "raw_input_gains",
            "What a change of the network gains, points of accuracy with 95 % interval (the same seeds in both)",
            ("input", *CHANGES),
            [(TITLES[name], *(str(gain(part, *change)) for change in CHANGES.values())) for name, part in parts.items()],
        ),
        Plot("raw_input_accuracy", caption(parts), lambda figure: draw(figure, parts), (8.0, 4.4)),
        Verdict(
            "raw_input",
            "A shallow network takes only vectors; raw images and text need a deep one",
            gains_text(parts),
            outcome,
            condition,
        ),
    ]  # fmt: skip


def gains_text(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """What windows gain over three dense layers, and what a second layer of them adds."""
    kind = ", ".join(f"{gain(part, DENSE3, WIDE)} ({SHORT[name]})" for name, part in parts.items())
    second = [gain(part, WIDE, TWICE) for part in parts.values()]
    texts = (", ".join(map(str, second)), ", ".join(f"{found.mean:+.1f}" for found in second))
    return fitting(
        MEASURED,
        *(
            f"Points gained by 1 layer of windows over 3 dense ones: {kind}; by a second layer of windows: {t}"
            for t in texts
        ),
    )


def at_edge(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """A warning where the best rate is the smallest or the largest that was tried."""
    edge = [
        f"{name} ({TITLES[task]})"
        for task, part in parts.items()
        for name, run in part["nets"].items()
        if run["rate"] in (part["rates"][0], part["rates"][-1])
    ]
    return f" The best rate is at the edge of the grid for: {'; '.join(edge)}." if edge else ""


def accuracy_rows(name: str, part: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The networks of one task, then the rules that need no network."""
    rows: list[tuple[str, ...]] = []
    for net, run in part["nets"].items():
        accuracies = statistics.mean_text(run["accuracy"], 100, 1)
        rows.append((TITLES[name], net, f"{run['parameters']:,}", f"{run['rate']:g}", accuracies))
    for rule, value in part["rules"].items():
        rows.append((TITLES[name], f"rule: {rule}", "-", "-", f"{100 * value:.1f}"))
    return rows


def caption(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """What the picture says, as measured."""
    said = ", ".join(f"{TITLES[name]} {gain(part, DENSE3, WIDE).mean:+.1f} points" for name, part in parts.items())
    return f"One hidden layer of windows against three without: {said}"


def draw(figure: Any, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Accuracy as bars, one group an input; the lines are the range over the seeds."""
    axes = figure.subplots()
    on_top = {DENSE3: "white", TWICE: "white"}  # of the dark bars
    colors = {DENSE1: plots.SKY, DENSE3: plots.BLUE, SMALL: plots.YELLOW, WIDE: plots.ORANGE, TWICE: plots.RED}
    width = 0.17
    for place, part in enumerate(parts.values()):
        for i, (name, run) in enumerate(part["nets"].items()):
            x, values = place + (i - 2) * width, 100 * np.asarray(run["accuracy"])
            axes.bar(x, values.mean(), width * 0.92, color=colors[name], label=name if place == 0 else None)
            axes.plot([x, x], [values.min(), values.max()], color=plots.BLACK, linewidth=1.5)
            axes.text(x, 3, f"{values.mean():.0f}", ha="center", color=on_top.get(name, plots.BLACK))
        for rule, value in part["rules"].items():
            axes.plot([place - 0.45, place + 0.45], [100 * value] * 2, color=plots.BLACK, linewidth=1.5, linestyle=":")
            axes.text(place + 0.47, 100 * value, "rule: " + rule.replace(" ", "\n"), va="center")
    axes.set(ylabel="test accuracy, %", ylim=(0, 104))
    axes.set_xticks(
        range(len(parts)), [TITLES[name].replace(" at ", "\nat ").replace(" of ", "\nof ") for name in parts]
    )
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
