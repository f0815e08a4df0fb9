"""Networks with and without Batch Normalization: all splits of one arm are trained at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinygrad_bn import functional, nn

from ...lab.measure import copies, cost
from ...lab.measure.arms import ARMS
from ...lab.measure.copies import Array
from ...lab.measure.part import Progress, Settings
from ...lab.measure.stepping import stepper
from . import scores
from .tables import LENDERS, PROBE, Lender, Rows, Splits, split

ACTIVATIONS: dict[str, Any] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


@dataclass(frozen=True)
class Net:
    """A network to compare with itself, without and with Batch Normalization.

    Attributes:
        lender: name of the table.
        activation: after each hidden layer.
        hidden: widths of the hidden layers.
        optimizer: "sgd" (without momentum) or "adam".
        rates: learning rates to choose from, for either arm.
        full: whether it is left out of a run of default size.
        he: whether it starts from the larger weights of He et al. 2015 instead of ones like ``nn.Linear``'s.
    """

    lender: str
    activation: str
    hidden: tuple[int, ...]
    optimizer: str
    rates: tuple[float, ...]
    full: bool = False
    he: bool = False

    @property
    def name(self) -> str:
        return "_".join([self.lender, self.activation, *map(str, self.hidden), self.optimizer, *["he"] * self.he])

    @property
    def title(self) -> str:
        optimizer = {"sgd": "SGD", "adam": "Adam"}[self.optimizer]
        return f"{self.activation} {'-'.join(map(str, self.hidden))}, {optimizer}{', He' if self.he else ''}"


NETS = (
    Net("taiwan", "relu", (64, 32), "adam", (0.001, 0.003, 0.01, 0.03)),
    Net("taiwan", "relu", (64, 32), "sgd", (0.1, 0.3, 1.0, 3.0)),
    Net("taiwan", "sigmoid", (64, 32), "sgd", (1.0, 3.0, 10.0, 30.0)),
    Net("german", "relu", (64, 32), "sgd", (0.03, 0.1, 0.3, 1.0, 3.0)),
    Net("german", "sigmoid", (64, 32), "sgd", (0.1, 0.3, 1.0, 3.0, 10.0)),
    Net("german", "sigmoid", (64, 64, 64), "sgd", (0.1, 0.3, 1.0, 3.0, 10.0)),
    Net("taiwan", "relu", (64, 32), "adam", (0.001, 0.003, 0.01, 0.03), full=True, he=True),
    Net("german", "relu", (64, 32), "sgd", (0.1, 0.3, 1.0, 3.0, 10.0), full=True, he=True),
    Net("german", "relu", (64, 32), "adam", (0.0003, 0.001, 0.003, 0.01, 0.03), full=True),
    Net("german", "relu", (64, 64, 64), "sgd", (0.03, 0.1, 0.3, 1.0, 3.0, 10.0), full=True),
)


def first_weights(net: Net, inputs: int, seeds: Sequence[int]) -> list[Array]:
    """One copy a seed, the same in both arms: Gaussian, of the variance of ``nn.Linear``'s weights, 1 / (3 inputs)."""
    sizes = (inputs, *net.hidden, 1)
    if net.he:
        return copies.draw_weights(sizes, seeds, "he")
    return [weight / np.float32(3**0.5) for weight in copies.draw_weights(sizes, seeds, "lecun")]


class Training:
    """Copies of one network in training, each on a split of its own, or several on one split at different rates.

    Attributes:
        best: the lowest validation log-loss of each copy so far.
    """

    def __init__(
        self, net: Net, batch_norm: bool, splits: Splits, seeds: Sequence[int], rates: Sequence[float]
    ) -> None:
        """``seeds`` are one a split; each split is trained on at each of ``rates``, rates of a split side by side."""
        self.splits, self.which = splits, np.repeat(np.arange(len(seeds)), len(rates))
        self.seeds = [seed for seed in seeds for _ in rates]
        weights = first_weights(net, splits.train.x.shape[2], self.seeds)
        self.model = copies.network(weights, ACTIVATIONS[net.activation], batch_norm)
        self.optimizer = copies.optimizer(net.optimizer, self.model, list(rates) * len(seeds))
        self.train_on = stepper(self.model, self.optimizer, copies.binary_cross_entropy)
        self.best = np.full(len(self.seeds), np.inf)
        self.kept = {name: array.copy() for name, array in self.model.state_dict().items()}

    def run(self, lender: Lender, progress: Progress, label: str) -> Iterator[int]:
        """Train; yields the number of each step when it is done."""
        train, which = self.splits.train, self.which[:, None]
        rows = copies.batches(train.x.shape[1], lender.batch, self.seeds)
        for step in progress(range(1, lender.evaluations[-1] + 1), label):
            chosen = next(rows)
            with np.errstate(over="ignore", invalid="ignore"):  # a rate that diverges is one that is not chosen
                self.train_on(train.x[which, chosen], train.y[which, chosen])
            yield step

    def scores(self, part: Rows, rows: slice = slice(None)) -> tuple[Array, Array]:
        """Logits and labels (S, N) of every copy on its split's rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            logits = copies.predict(self.model, part.x[self.which, rows], 1000)[..., 0]
        return logits, part.y[self.which, rows]

    def keep_best(self, losses: Array) -> None:
        """Keep the parameters and running statistics of the copies whose validation loss is the lowest so far."""
        better = losses < self.best
        self.best = np.where(better, losses, self.best)
        for name, array in self.model.state_dict().items():
            self.kept[name][better] = array[better]

    def restore(self) -> None:
        """Go back to the kept ones."""
        self.model.load_state_dict(self.kept)


def tune(net: Net, batch_norm: bool, settings: Settings, progress: Progress) -> list[float]:
    """What each of the net's rates is judged by: the validation log-loss of the best network so far, mean over the run.

    It is low for a rate that ends low and is there early, so it gives each arm a rate that is both good and fast; the
    lowest loss alone hardly differs between rates a hundred times apart, and would leave the choice to chance.
    """
    lender = LENDERS[net.lender]
    seeds = lender.tuning_seeds(settings)
    training = Training(net, batch_norm, split(lender, seeds, "sensitive" in settings.flags), seeds, net.rates)
    evaluations, lowest = lender.evaluations[1::2], []
    for step in training.run(lender, progress, f"{net.title}, {'BN' if batch_norm else 'plain'}: learning rates"):
        if step in evaluations:
            training.best = np.minimum(training.best, scores.log_loss(*training.scores(training.splits.validation)))
            lowest.append(training.best)
    any_time = np.average(lowest, axis=0, weights=np.diff((0, *evaluations)))
    return [float(value) for value in any_time.reshape(len(seeds), -1).mean(axis=0)]


def follow(net: Net, batch_norm: bool, rate: float, settings: Settings, progress: Progress) -> dict[str, Any]:
    """The splits to report at one learning rate: losses over the steps, and the test rows at the best step."""
    lender = LENDERS[net.lender]
    seeds = lender.seeds(settings)
    splits = split(lender, seeds, "sensitive" in settings.flags)
    training = Training(net, batch_norm, splits, seeds, [rate])
    curves: dict[str, list[list[float]]] = {"validation": [], "validation_auc": [], "train": []}
    for step in training.run(lender, progress, f"{net.title}, {'BN' if batch_norm else 'plain'}"):
        if step in lender.evaluations:
            logits, labels = training.scores(splits.validation)
            losses = scores.log_loss(logits, labels)
            training.keep_best(losses)
            curves["validation"].append(losses.tolist())
            curves["validation_auc"].append(scores.area(logits, labels))
            curves["train"].append(scores.log_loss(*training.scores(splits.train, slice(PROBE))).tolist())
    training.restore()
    by_seed = {name: np.round(np.array(values).T, 6).tolist() for name, values in curves.items()}
    return {**by_seed, "test": scores.report(*training.scores(splits.test))}


def measure(net: Net, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Both arms, each at the learning rate that suits it best on the tuning splits."""
    lender = LENDERS[net.lender]
    result: dict[str, Any] = {"rates": list(net.rates), "steps": list(lender.evaluations)}
    for arm, batch_norm in ARMS.items():
        losses = tune(net, batch_norm, settings, progress)
        rate = net.rates[int(np.argmin(losses))]
        result[arm] = {"tuning": losses, "rate": rate, **follow(net, batch_norm, rate, settings, progress)}
    return result


def costs(settings: Settings, progress: Progress) -> dict[str, Any]:
    """CPU seconds of a training step of each network alone, without and with Batch Normalization, eager and compiled."""
    measured = {}
    for net in progress([net for net in NETS if settings.full or not net.full], "cost of a step"):
        lender = LENDERS[net.lender]
        splits = split(lender, [settings.seed], "sensitive" in settings.flags)
        x, y = splits.train.x[0, : lender.batch], splits.train.y[0, : lender.batch, None].astype(np.float32)
        measured[net.name] = cost.costs_of_arms(partial(alone, net, x, y))
    return measured


def alone(net: Net, x: Array, y: Array, batch_norm: bool, by: str) -> Callable[[], object]:
    """Makes one training step of an ordinary network of this kind on one batch."""
    model = cost.ordinary_network((x.shape[1], *net.hidden, 1), ACTIVATIONS[net.activation], batch_norm)
    optimizer = copies.optimizer(net.optimizer, model, 0.001)
    return partial(stepper(model, optimizer, functional.binary_cross_entropy_with_logits, by), x, y)
