"""What is measured of the inputs of layers: percentiles over training, spreads across depth, two kinds of shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_bn import nn

from ..datasets import DIGITS, shuffled_digits
from ..lab.measure import copies, probe
from ..lab.measure.arms import ARMS
from ..lab.measure.copies import Array
from ..lab.measure.part import Part, Progress, Settings
from ..lab.measure.stepping import stepper

BATCH = 60
TRAINING, PROBED = slice(997), slice(400)  # of the shuffled rows; what is probed is part of what is trained on
HELD_OUT = slice(1297, None)
RATES = (0.3, 1.0, 3.0)
PERCENTILES = (15, 50, 85)

DRIFT_STEPS, DEPTH_STEPS = (1200, 5000), (500, 2000)  # by default and at full size

STARTS: dict[str, float | str] = {"Xavier": "xavier", "N(0, 1)": 1.0}
DEEP = 5  # sigmoid layers of the lecture's figure


@dataclass(frozen=True)
class Net:
    """A network of the part ``shift``: hidden layers of 100 units, and how it is trained."""

    layers: int
    activation: type[nn.Module]
    start: str
    rate: float
    steps: tuple[int, int]  # by default and at full size

    @property
    def middle(self) -> int:
        """The middle hidden layer, counted from 1."""
        return (self.layers + 1) // 2


NETS: dict[str, Net] = {
    "sig3": Net(3, nn.Sigmoid, "xavier", 1.0, (1200, 3000)),
    "relu5": Net(5, nn.ReLU, "he", 0.1, (400, 2000)),
}


def rows(seed: int) -> tuple[Array, Array]:
    """The digits in an order that depends on the seed: images (1797, 64) and labels (1797,)."""
    data = shuffled_digits(seed)
    return data.images, data.labels


def percentiles(inputs: Array) -> Array:
    """The 15th, 50th and 85th percentile over the rows, linear between two: (S, N, units) to (S, units, 3)."""
    ordered = np.sort(np.swapaxes(inputs, 1, 2), axis=2).astype(np.float64)  # numpy.quantile takes ten times as long
    place = np.array(PERCENTILES) / 100 * (inputs.shape[1] - 1)
    below = place.astype(int)
    return np.asarray(ordered[..., below] + (ordered[..., below + 1] - ordered[..., below]) * (place - below))


def drift_of(history: Array) -> tuple[Array, Array]:
    """R and S of each unit from its percentiles: (T, S, units, 3) to two arrays (S, units).

    A unit whose spread is 0 at some time has no R or S: not a number, which medians over units leave out.
    """
    spread = history[..., 2] - history[..., 0]
    spread = np.where(spread > 0, spread, np.nan)
    moved = history[..., 1].max(axis=0) - history[..., 1].min(axis=0)
    return moved / spread.mean(axis=0), spread.max(axis=0) / spread.min(axis=0)


def drift(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Percentiles of the last hidden layer's inputs at several learning rates."""
    steps, every = DRIFT_STEPS[settings.full], 50 if settings.full else 20
    x, y = rows(settings.seed)
    pairs = [(seed, rate) for rate in RATES for seed in settings.test_seeds]
    seeds, rates = [seed for seed, _ in pairs], [rate for _, rate in pairs]
    at = list(range(0, steps + 1, every))
    result: dict[str, Any] = {"rates": list(RATES), "at": at}
    spread: dict[str, Array] = {}
    for arm, batch_norm in ARMS.items():
        model = copies.network(copies.draw_weights((64, 100, 100, 100, 10), seeds, "xavier"), nn.Sigmoid, batch_norm)
        optimizer, batches = copies.optimizer("sgd", model, rates), copies.batches(997, BATCH, seeds)
        train_on = stepper(model, optimizer, copies.cross_entropy)
        ways = {arm: True, "bn_running": False} if batch_norm else {arm: True}
        history: dict[str, list[Array]] = {way: [] for way in ways}
        for step in progress(range(steps + 1), f"{arm}, {len(seeds)} copies"):
            if step % every == 0:
                for way, batch_statistics in ways.items():
                    last = probe.activation_inputs(model, x[PROBED], batch_statistics)[-1]
                    history[way].append(percentiles(last))
            if step < steps:
                chosen = next(batches)
                train_on(x[chosen], y[chosen])
        right = copies.accuracy(copies.predict(model, x[HELD_OUT]), y[HELD_OUT])
        for way, taken in history.items():
            result[way] = summary(np.stack(taken), len(RATES)) | {"accuracy": right.reshape(len(RATES), -1).tolist()}
            spread[way] = np.stack(taken)[..., 2] - np.stack(taken)[..., 0]
    lag = np.nanmedian(spread["bn_running"] / spread["bn"], axis=-1)  # over units: (T, rates * seeds)
    result["lag"] = np.median(lag.reshape(len(at), len(RATES), -1), axis=-1).T.tolist()
    return result


def summary(history: Array, rates: int) -> dict[str, Any]:
    """What is kept of percentiles (T, rates * seeds, units, 3).

    Returns:
        ``R`` and ``S``, medians over units, one row a rate and one column a seed; ``moved`` and ``spread``, in units of
        the input, likewise; ``unit``, for each rate the percentiles over time of the first seed's unit of median R.
    """
    location, scale = drift_of(history)
    middle = history[..., 1]
    seeds = len(location) // rates
    first = [rate * seeds for rate in range(rates)]
    typical = [int(np.argsort(location[copy])[location.shape[1] // 2]) for copy in first]

    def per_copy(values: Array) -> Any:
        return np.nanmedian(values, axis=-1).reshape(rates, seeds).tolist()

    return {
        "R": per_copy(location),
        "S": per_copy(scale),
        "moved": per_copy(middle.max(axis=0) - middle.min(axis=0)),
        "spread": per_copy((history[..., 2] - history[..., 0]).mean(axis=0)),
        "unit": [history[:, copy, unit].round(5).tolist() for copy, unit in zip(first, typical)],
    }


def depth(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The standard deviation of each layer's inputs over the rows, mean over its units, before and after training."""
    steps, rate = DEPTH_STEPS[settings.full], 0.3
    x, y = rows(settings.seed)
    deviation = x[TRAINING].std(axis=0)
    x = (x - x[TRAINING].mean(axis=0)) / np.where(deviation > 0, deviation, 1)  # some pixels never have ink
    seeds = list(settings.test_seeds)
    sizes = (64, *[100] * DEEP, 10)
    drawn = [copies.draw_weights(sizes, seeds, start) for start in STARTS.values()]
    weights = [np.concatenate(layer) for layer in zip(*drawn)]  # the starts one after the other, as copies
    result: dict[str, Any] = {"steps": steps, "rate": rate, "input": float(x[TRAINING][:, deviation > 0].std())}
    for arm, batch_norm in ARMS.items():
        model = copies.network(weights, nn.Sigmoid, batch_norm)
        optimizer, batches = copies.optimizer("sgd", model, rate), copies.batches(997, BATCH, seeds)
        train_on, before = (
            stepper(model, optimizer, copies.cross_entropy, brief=not settings.full),
            deviations(model, x),
        )
        for _ in progress(range(steps), f"{arm}, {len(weights[0])} copies"):
            chosen = np.tile(next(batches), (len(STARTS), 1))
            train_on(x[chosen], y[chosen])
        right = copies.accuracy(copies.predict(model, x[HELD_OUT]), y[HELD_OUT])
        result[arm] = {
            start: {key: values[i * len(seeds) : (i + 1) * len(seeds)].tolist() for key, values in
                    (("start", before), ("trained", deviations(model, x)), ("accuracy", right))}
            for i, start in enumerate(STARTS)
        }  # fmt: skip
    return result


def deviations(model: nn.Sequential, x: Array) -> Array:
    """Standard deviation over the probed rows, mean over units: (S, layers)."""
    return np.stack([h.std(axis=1).mean(axis=-1) for h in probe.activation_inputs(model, x[PROBED])], axis=1)


def shift(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Both definitions of internal covariate shift at the middle hidden layer, on the same runs."""
    every = 20
    x, y = rows(settings.seed)
    seeds = list(settings.test_seeds)
    result: dict[str, Any] = {}
    for name, net in NETS.items():
        steps = net.steps[settings.full]
        weights = copies.draw_weights((64, *[100] * net.layers, 10), seeds, net.start)
        result[name] = {"at": list(range(every, steps + 1, every))}
        for arm, batch_norm in ARMS.items():
            model = copies.network(weights, net.activation, batch_norm)
            optimizer, batches = copies.optimizer("sgd", model, net.rate), copies.batches(997, BATCH, seeds)
            train_on = stepper(model, optimizer, copies.cross_entropy, brief=not settings.full)
            history, losses, changes = [], [], []
            for step in progress(range(1, steps + 1), f"{name}, {arm}"):
                chosen = next(batches)
                if step % every == 0:
                    history.append(percentiles(probe.activation_inputs(model, x[PROBED])[net.middle - 1]))
                    loss, change = gradient_shift(model, optimizer, x[chosen], y[chosen], net.middle - 1)
                    losses.append(loss)
                    changes.append(change)
                train_on(x[chosen], y[chosen])
            location, scale = drift_of(np.stack(history))
            relative, cosine = np.moveaxis(np.stack(changes), -1, 0)
            result[name][arm] = {
                "loss": np.transpose(losses).tolist(),  # one row a seed, one column a probe; so the next two
                "relative": relative.T.tolist(),
                "cosine": cosine.T.tolist(),
                "R": np.nanmedian(location, axis=-1).tolist(),
                "S": np.nanmedian(scale, axis=-1).tolist(),
                "accuracy": copies.accuracy(copies.predict(model, x[HELD_OUT]), y[HELD_OUT]).tolist(),
            }
    return result


def gradient_shift(model: nn.Sequential, optimizer: Any, x: Array, y: Array, layer: int) -> tuple[Array, Array]:
    """How a layer's gradient changes when only the layers below it make their step (Santurkar et al., definition 2.1).

    Args:
        model: of ``copies.network``; untouched.
        optimizer: of this model, without memory (SGD without momentum): it makes the step that is then taken back.
        x: a minibatch, shape (S, B, inputs).
        y: its labels, shape (S, B).
        layer: which, counted from 0; Batch Normalization belongs to the layer it follows.

    Returns:
        The losses (S,), and (S, 2): the norm of the change of the weight's gradient by the norm of that gradient, and the
        cosine between the two gradients.
    """
    linear = [module for module in model if isinstance(module, copies.Linear)]
    place = [p is linear[layer].weight for p in model.parameters()].index(True)
    loss, gradients = probe.loss_and_gradients(model, x, y)
    with probe.untouched(model):
        own_and_above = [(p, p.data) for p in list(model.parameters())[place:]]
        copies.step(model, optimizer, copies.cross_entropy, x, y)
        for p, before in own_and_above:
            p.data = before
        _, moved = probe.loss_and_gradients(model, x, y)
    old, new = (grads[place].astype(np.float64) for grads in (gradients, moved))
    length, other = probe.norms([old]), probe.norms([new])
    product = (old * new).reshape(len(old), -1).sum(axis=1)
    return loss, np.stack([probe.norms([new - old]) / length, product / (length * other)], axis=-1)


PARTS = (
    Part("drift", drift, (DIGITS,), 8),
    Part("depth", depth, (DIGITS,), 4),
    Part("shift", shift, (DIGITS,), 7),
)
