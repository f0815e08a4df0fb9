"""Small networks, optimizers, batches, and the step that everybody writes."""

from __future__ import annotations

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import functional, nn, optim

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD with momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
    "SGD with Nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True, weight_decay=1e-3),
    "SGD with dampening": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "Adam with weight decay and amsgrad": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01),
    "RMSprop centered": lambda p: optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5, weight_decay=0.01),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.01, weight_decay=0.01, initial_accumulator_value=0.1),
    "NAdam": lambda p: optim.NAdam(p, lr=0.01, weight_decay=0.01),
    "RAdam": lambda p: optim.RAdam(p, lr=0.01, betas=(0.5, 0.9), decoupled_weight_decay=True, weight_decay=0.1),
    "SGD upwards": lambda p: optim.SGD(p, lr=0.01, maximize=True),
}


def mlp(dtype=np.float32):
    return nn.Sequential(
        nn.Linear(4, 5, bias=False, dtype=dtype),
        nn.BatchNorm1d(5, dtype=dtype),
        nn.Tanh(),
        nn.Linear(5, 3, dtype=dtype),
    )


def conv_net():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3)
    )  # fmt: skip


def batches(shape, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    while True:
        yield rng.standard_normal(shape).astype(dtype), rng.integers(0, 3, shape[0])


def stepping(model, optimizer, between=None):
    """The step that everybody writes."""

    def step(x, labels):
        loss = functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        if between is not None:
            between(model)
        optimizer.step()
        return loss

    return step


def pair(make_model, make_optimizer, seed=0):
    """The same model and optimizer twice."""
    made = []
    for _ in range(2):
        tg.manual_seed(seed)
        model = make_model()
        made.append((model, make_optimizer(model.parameters())))
    return made
