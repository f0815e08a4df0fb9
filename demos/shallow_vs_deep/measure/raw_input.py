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

from ...datasets import DIGITS, SYLLABLES, load_syllables, shuffled_digits, spelled
from ...lab.measure import copies
from ...lab.measure.copies import Array
from ...lab.measure.part import Part, Progress, Settings
from ...lab.measure.stepping import stepper

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
    train_on = stepper(model, optimizer, functional.cross_entropy)
    batches = copies.batches(task.train, BATCH, [seed])
    for _ in progress(range(steps), label):
        rows = next(batches)[0]
        train_on(task.x[rows], task.y[rows])
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
    Part(PREFIX + "digits", digits, (DIGITS,), seconds=6),
    Part(PREFIX + "placed", placed, (DIGITS,), seconds=7),
    Part(PREFIX + "text", text, (SYLLABLES,), seconds=7),
)
