"""Many copies of a small network, trained at once as one batched tensor program.

A copy has its own seed (initial weights, order of batches) or its own learning rate.  Every parameter has a leading axis
for the copies, so a layer is one batched product (S, B, inputs) @ (S, inputs, outputs), and one sweep gives the gradients
of all copies: the loss is the sum of the copies' losses, and no copy's loss depends on another's parameters.

The layers are written here as the textbook writes them, batch normalization too; their gradients are derived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_bn import Parameter, functional, nn, no_grad, ops, optim
from tinygrad_bn.engine import reading, write

Array = np.ndarray[Any, Any]


class Linear(nn.Module):
    """``x @ weight + bias`` in every copy.

    Shapes: weight (S, inputs, outputs), bias (S, 1, outputs) or none; input (S, B, inputs) or (B, inputs), the same for
    all copies; output (S, B, outputs).
    """

    def __init__(self, weight: Array, bias: bool = True) -> None:
        super().__init__()
        copies, _, outputs = weight.shape
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros((copies, 1, outputs), weight.dtype)) if bias else None

    def forward(self, x: Any) -> Any:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class BatchNorm(nn.Module):
    """Batch Normalization over axis 1 in every copy (arXiv:1502.03167, Algorithm 1), with running statistics for ``eval()``.

    Shapes: input and output (S, B, C), γ, β and the running statistics (S, 1, C).  ``momentum`` as in PyTorch: how far
    the running statistics move towards the batch's.
    """

    def __init__(
        self, copies: int, features: int, eps: float = 1e-5, momentum: float = 0.1, dtype: Any = np.float32
    ) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        shape = (copies, 1, features)
        self.gamma, self.beta = Parameter(np.ones(shape, dtype)), Parameter(np.zeros(shape, dtype))
        self.register_buffer("running_mean", np.zeros(shape, dtype))
        self.register_buffer("running_var", np.ones(shape, dtype))

    def forward(self, x: Any) -> Any:
        if self.training:
            mean = ops.mean(x, axis=1, keepdims=True)
            centered = x - mean
            variance = ops.mean(ops.square(centered), axis=1, keepdims=True)
            rows = x.shape[1]
            unbiased = reading(variance) * (rows / (rows - 1))  # which is what is stored
            moved = ((self.running_mean, reading(mean)), (self.running_var, unbiased))
            write([(running, self._towards(reading(running), batch)) for running, batch in moved], fresh=True)
        else:
            centered, variance = x - self.running_mean, self.running_var
        return self.gamma * (centered / ops.sqrt(variance + self.eps)) + self.beta

    def _towards(self, running: Any, batch: Any) -> Any:
        return running + self.momentum * (batch - running)


def draw_weights(sizes: Sequence[int], seeds: Sequence[int], std: float | str, dtype: Any = np.float32) -> list[Array]:
    """Initial weights of fully connected layers, one copy a seed; a seed's numbers do not depend on the other copies.

    Args:
        sizes: of the layers, input first: n + 1 numbers for n layers.
        seeds: one per copy.
        std: the standard deviation of a Gaussian around 0, or ``"xavier"`` (sqrt(2 / (inputs + outputs)); Glorot and
            Bengio 2010) or ``"he"`` (sqrt(2 / inputs); He et al. 2015), or ``"lecun"`` (sqrt(1 / inputs)).
        dtype: of the weights.

    Returns:
        One array of shape (S, inputs, outputs) per layer.
    """
    generators = [np.random.default_rng([seed, 0]) for seed in seeds]
    weights = []
    for inputs, outputs in pairwise(sizes):
        scales = {"xavier": (2 / (inputs + outputs)) ** 0.5, "he": (2 / inputs) ** 0.5, "lecun": inputs**-0.5}
        scale = scales[std] if isinstance(std, str) else std
        draws = [generator.standard_normal((inputs, outputs)) for generator in generators]
        weights.append((np.stack(draws) * scale).astype(dtype))
    return weights


def network(weights: Sequence[Array], activation: Callable[[], nn.Module], batch_norm: bool) -> nn.Sequential:
    """Fully connected layers with these initial weights and biases 0, an activation after each but the last.

    With Batch Normalization it stands before each activation, and its β takes the place of the bias (section 3.2 of the
    paper).
    """
    layers: list[nn.Module] = []
    for weight in weights[:-1]:
        layers.append(Linear(weight.copy(), bias=not batch_norm))
        if batch_norm:
            copies, _, outputs = weight.shape
            layers.append(BatchNorm(copies, outputs, dtype=weight.dtype))
        layers.append(activation())
    layers.append(Linear(weights[-1].copy()))
    return nn.Sequential(*layers)


class PerCopy:
    """An optimizer with a learning rate for each copy.

    It makes the step of ``optimizer``, which was built with ``lr=1``, and keeps the share of it that the copy's rate says.
    """

    def __init__(self, optimizer: optim.Optimizer, rates: Sequence[float]) -> None:
        self.optimizer, self.rates = optimizer, np.asarray(rates)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.optimizer.zero_grad()

    def step(self) -> None:
        """Move every copy."""
        before = [1.0 * reading(p) for p in self.optimizer.params]  # the values, which in a recording p itself is not
        self.optimizer.step()
        moves = []
        for p, old in zip(self.optimizer.params, before):
            rates = self.rates.astype(old.dtype).reshape(-1, *[1] * (old.ndim - 1))
            moved = reading(p) - old
            moved *= rates
            moved += old
            moves.append((p, moved))
        write(moves, fresh=True)


def optimizer(kind: str, model: nn.Module, rates: Sequence[float] | float) -> Any:
    """``"sgd"`` (without momentum) or ``"adam"``, with one rate for all copies or one for each."""
    build: Any = {"sgd": optim.SGD, "adam": optim.Adam}[kind]
    if isinstance(rates, (int, float)):
        return build(model.parameters(), lr=rates)
    if len(set(rates)) == 1:
        return build(model.parameters(), lr=rates[0])
    return PerCopy(build(model.parameters(), lr=1.0), rates)


def batches(rows: int, size: int, seeds: Sequence[int]) -> Iterator[Array]:
    """Row numbers of shape (S, size), without end; a seed's order does not depend on the other copies.

    Each copy goes through the rows in an order of its own, a new one each epoch; a short last batch is left out.

    Raises:
        ValueError: fewer rows than one batch.
    """
    if rows < size:
        raise ValueError(f"batches: {rows} rows do not make one batch of {size}")
    generators = {seed: np.random.default_rng([seed, 1]) for seed in seeds}
    while True:
        orders = {seed: generator.permutation(rows) for seed, generator in generators.items()}
        order = np.stack([orders[seed] for seed in seeds])
        for start in range(0, rows - size + 1, size):
            yield order[:, start : start + size]


def cross_entropy(scores: Any, labels: Array) -> Any:
    """The sum over the copies of each copy's mean cross-entropy; scores (S, B, K), labels (S, B)."""
    copies, rows, classes = scores.shape
    return copies * functional.cross_entropy(ops.reshape(scores, (copies * rows, classes)), labels.reshape(-1))


def binary_cross_entropy(logits: Any, labels: Array) -> Any:
    """The same for one logit a row; logits (S, B, 1), labels 0 or 1 of shape (S, B)."""
    target = labels[..., None].astype(logits.dtype)
    return logits.shape[0] * functional.binary_cross_entropy_with_logits(logits, target)


def squared_error(prediction: Any, target: Array) -> Any:
    """The sum over the copies of each copy's mean squared error; both (S, B, outputs)."""
    return prediction.shape[0] * functional.mse_loss(prediction, target)


def update(model: nn.Module, optimizer: Any, loss: Callable[[Any, Array], Any], x: Array, y: Array) -> Any:
    """One training step, of all copies at once or of one ordinary network; returns the loss as a tensor."""
    value = loss(model(x), y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value


def step(model: nn.Module, optimizer: Any, loss: Callable[[Any, Array], Any], x: Array, y: Array) -> float:
    """One eager training step; returns the loss."""
    return float(update(model, optimizer, loss, x, y).item())


def predict(model: nn.Module, x: Array, rows: int = 1024) -> Array:
    """The outputs (S, N, outputs) in evaluation mode, ``rows`` at a time.

    ``x`` has the same rows for every copy, (N, inputs), or its own for each, (S, N, inputs).
    """
    was_training = model.training
    model.eval()
    with no_grad():
        outputs = [model(x[..., i : i + rows, :]).data for i in range(0, x.shape[-2], rows)]
    model.train(was_training)
    return np.concatenate(outputs, axis=1)


def accuracy(scores: Array, labels: Array) -> Array:
    """The share of right labels in each copy: scores (S, N, K), labels (N,) or (S, N).

    A copy that diverged has what chance gives.
    """
    right: Array = np.argmax(scores, axis=-1) == labels
    return np.asarray(right.mean(axis=1))
