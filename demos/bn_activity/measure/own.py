"""A setting of somebody's own: the options, and the experiment that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_bn import nn

from ...datasets import DIGITS, MNIST, load_digits, load_mnist
from ...lab.measure.part import Part, Progress, Settings
from ...lab.options import Option, one_of, positive, several, share, whole
from . import training
from .experiments import BATCH, Experiment, sized, split_digits, split_mnist

ACTIVATIONS: dict[str, Any] = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
RATES = {"sgd": (0.03, 0.1, 0.3, 1.0, 3.0), "adam": (0.0003, 0.001, 0.003, 0.01, 0.03)}
STARTS = {"xavier": "Xavier", "he": "He", "lecun": "LeCun"}
IMAGES = {"digits": 997, "mnist": 55_000}  # to train on


def start(text: str) -> str | float:
    """For ``add_argument(type=...)``: a name of initial weights, or a standard deviation."""
    return text if text in STARTS else positive(text)


OPTIONS = (
    Option("data", one_of(*IMAGES), "digits", "digits (8x8) or mnist (default: digits)", "NAME"),
    Option("depth", whole(1), 3, "hidden layers (default: 3)"),
    Option("width", whole(1), 100, "units in each of them (default: 100)"),
    Option("activation", one_of(*ACTIVATIONS), "sigmoid", f"{', '.join(ACTIVATIONS)} (default: sigmoid)", "NAME"),
    Option("weights", start, None, "initial ones: xavier, he, lecun, or their standard deviation (default: he for relu, xavier "
           "for the others)", "HOW"),
    Option("optimizer", one_of(*RATES), "sgd", "sgd (without momentum) or adam (default: sgd)", "NAME"),
    Option("rates", several(positive), None, "learning rates that each network chooses from, such as 0.1,1 (default: five that "
           "suit the optimizer)", "A,B,..."),
    Option("batch", whole(2), BATCH, f"images in a batch (default: {BATCH})"),
    Option("steps", whole(30), 1000, "of training (default: 1000)"),
    Option("targets", several(share), (0.90, 0.95), "accuracies to reach, the highest is the one that counts (default: "
           "0.9,0.95)", "A,B,..."),
)  # fmt: skip


def complaint(own: Mapping[str, Any]) -> str:
    """What is wrong with values that are right one by one."""
    images = IMAGES[own["data"]]
    if own["batch"] > images:
        return f"argument --batch: {own['data']} has {images:,} images to train on, fewer than {own['batch']:,}"
    return ""


def experiment(own: Mapping[str, Any]) -> Experiment:
    """The experiment of these values."""
    inputs, load, split = (64, load_digits, split_digits) if own["data"] == "digits" else (784, load_mnist, split_mnist)
    weights = own["weights"] or ("he" if own["activation"] == "relu" else "xavier")
    return Experiment(
        label(own, weights),
        load,
        split,
        (inputs, *[own["width"]] * own["depth"], 10),
        weights,
        ACTIVATIONS[own["activation"]],
        own["optimizer"],
        tuple(own["rates"] or RATES[own["optimizer"]]),
        own["steps"],
        tuple(sorted(own["targets"], reverse=True)),
        batch=own["batch"],
    )


def label(own: Mapping[str, Any], weights: str | float) -> str:
    """The data, and what was chosen, in a few words."""
    data = {"digits": "digits", "mnist": "MNIST"}[own["data"]]
    from_weights = STARTS[weights] if isinstance(weights, str) else f"N(0, {weights:g})"
    layers = "layer" if own["depth"] == 1 else "layers"
    words = f"{data} {own['depth']} {own['activation']} {layers} of {own['width']}, {from_weights}"
    words += " + Adam" if own["optimizer"] == "adam" else ""
    return words + (f", batches of {own['batch']}" if own["batch"] != BATCH else "")


def comparison(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Both networks of the setting."""
    return {"comparisons": [training.compare(sized(experiment(settings.own), settings), settings, progress)]}


def cost(settings: Settings, progress: Progress) -> dict[str, Any]:
    """CPU seconds of a step of each."""
    return training.cost([experiment(settings.own)])


PARTS = (Part("own", comparison, (DIGITS, MNIST), 15), Part("cost", cost, (), 2))
