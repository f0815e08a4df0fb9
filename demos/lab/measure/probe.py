"""Looking into networks of many copies while they train, without leaving a trace in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_bn import nn, no_grad, ops

from . import copies, statistics
from .copies import Array


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Inside, the model may be run and moved; afterwards it is bit for bit what it was.

    That is: parameters, gradients, running statistics, and training or evaluation mode of every layer.
    """
    values = [(v, v.data) for v in (*model.parameters(), *(buffer for _, buffer in model.named_buffers()))]
    gradients = [(p, p.grad) for p in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for variable, data in values:  # a held array is not written to: whoever changes the variable gets a copy
            variable.data = data
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, training in modes:
            module.training = training


def activation_inputs(model: nn.Sequential, x: Array, batch_statistics: bool = True) -> list[Array]:
    """What every nonlinearity of ``copies.network`` gets for these rows, the first layer's first: each (S, N, units).

    Args:
        model: its layers.
        x: shape (N, inputs).
        batch_statistics: whether Batch Normalization uses the mean and variance of these rows, as in training, or its
            running ones, as in evaluation.  Either way the running ones stay what they were.
    """
    inputs: list[Array] = []
    with untouched(model), no_grad():
        model.train(batch_statistics)
        h: Any = x
        for layer in model:
            if not isinstance(layer, (copies.Linear, copies.BatchNorm)):
                inputs.append(h.data)
            h = layer(h)
    return inputs


def loss_and_gradients(model: nn.Module, x: Array, y: Array) -> tuple[Array, list[Array]]:
    """Each copy's mean cross-entropy on its minibatch and its gradient, with the batch's statistics.

    Args:
        model: of ``copies.network``.
        x: shape (S, B, inputs).
        y: labels, shape (S, B).

    Returns:
        Losses (S,) in float64; the parameters' gradients in order, each with the copies first.
    """
    parameters = list(model.parameters())
    with untouched(model):
        model.train()
        for parameter in parameters:
            parameter.grad = None
        scores = model(x)
        copies.cross_entropy(scores, y).backward()
        gradients: list[Array] = [parameter.grad.data for parameter in parameters]
    return losses(scores.data, y), gradients


def losses(scores: Array, labels: Array) -> Array:
    """Each copy's mean cross-entropy in float64; scores (S, B, K), labels (S, B)."""
    wide = scores.astype(np.float64)
    own = np.take_along_axis(wide, labels[..., None], axis=-1)[..., 0]
    return np.asarray((ops.logsumexp(wide, axis=-1) - own).mean(axis=1))


def norms(arrays: Sequence[Array]) -> Array:
    """The Euclidean norm of each copy over all arrays, in float64: shape (S,)."""
    squares = [np.square(a, dtype=np.float64).reshape(len(a), -1).sum(axis=1) for a in arrays]
    return np.asarray(np.sqrt(np.sum(squares, axis=0)))


def at_same_loss(plain: Mapping[str, Any], bn: Mapping[str, Any], key: str) -> list[tuple[float, float]]:
    """What was probed in one network by what was probed in the other, where their losses are about the same.

    One that trains faster has the smaller loss at the same step, and with it smaller gradients; so that comparison at the
    same step cannot tell a difference between the networks from one between early and late.

    Args:
        plain: ``"loss"`` and ``key``, each with one row a seed and one column a probe; the seeds are pooled.
        bn: the same of the other network.
        key: what to compare.

    Returns:
        See ``statistics.matched``.
    """
    series = [np.ravel(each[name]).tolist() for each in (plain, bn) for name in ("loss", key)]
    return statistics.matched(*series)


def ratios_at_same_loss(plain: Mapping[str, Any], bn: Mapping[str, Any], key: str) -> list[float] | None:
    """One number a seed: the geometric mean over the levels of loss that both of its networks passed through.

    Returns:
        ``None`` where some seed has no such level.
    """
    ratios = []
    for a, b in zip(zip(plain["loss"], plain[key]), zip(bn["loss"], bn[key])):
        found = [ratio for _, ratio in statistics.matched(a[0], a[1], b[0], b[1], per_decade=4, fewest=2)]
        if not found:
            return None
        ratios.append(float(np.exp(np.mean(np.log(found)))))
    return ratios
