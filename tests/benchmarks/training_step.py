"""A training step of a multilayer perceptron with Batch Normalization: forward, backward, SGD with momentum.

Linear -> BatchNorm -> sigmoid three times, then a linear layer and the cross-entropy, as in the paper's MNIST
experiment (arXiv:1502.03167, section 4.1).  All start from the same weights and see the same batch again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_bn import Tensor, functional, manual_seed, nn, optim

from .peers import NOT_INSTALLED, hips, pytorch
from .report import Goal, Table, tabulate
from .timing import Contestant, Numbers, assert_same, interleave, repeat

Array = np.ndarray[Any, Any]
State = dict[str, Array]

SIZES = ((64, 100, 100, 100, 10), (784, 100, 100, 100, 10))
BATCH, LR, MOMENTUM, EPS = 60, 0.1, 0.9, 1e-5
OURS = "tinygrad_bn, composed BN"
FUSED = "PyTorch eager, nn.BatchNorm1d"
FUSED_SGD = "PyTorch eager, nn.BatchNorm1d, SGD(fused=True)"
COMPOSED = "PyTorch eager, composed BN"
HIPS = "HIPS/autograd, composed BN, SGD by hand"
STEPS_COMPARED = 3


def contestant(
    name: str, step: Callable[[], float], gradients: Callable[[], State], state: Callable[[], State], inner: int
) -> Contestant:
    """Compare the loss and gradients of the first step, then loss, weights and running statistics some steps later."""

    def numbers() -> Numbers:
        found: dict[str, Any] = {"first loss": step()}
        found |= {f"gradient of {key}": value for key, value in gradients().items()}
        for _ in range(STEPS_COMPARED):
            found["later loss"] = step()
        return found | {f"later {key}": value for key, value in state().items() if not key.endswith("tracked")}

    return Contestant(name, repeat(step, inner), numbers)


def model(sizes: tuple[int, ...]) -> nn.Sequential:
    """Our network; scales and shifts away from 1 and 0, so that leaving one out would show."""
    manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.Sigmoid()]
    network = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
    rng = np.random.default_rng(1)
    for module in network:
        if isinstance(module, nn.BatchNorm1d):
            module.weight.data = rng.uniform(0.5, 1.5, module.num_features)
            module.bias.data = rng.normal(0.0, 0.2, module.num_features)
    return network


def ours(sizes: tuple[int, ...], x: Array, labels: Array, inner: int) -> Contestant:
    network = model(sizes)
    optimizer = optim.SGD(network.parameters(), LR, MOMENTUM)
    batch = Tensor(x)

    def step() -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(batch), labels)
        loss.backward()
        optimizer.step()
        return loss.data

    def gradients() -> State:
        return {name: p.grad.numpy() for name, p in network.named_parameters()}

    return contestant(OURS, step, gradients, network.state_dict, inner)


def torch_step(
    name: str, sizes: tuple[int, ...], x: Array, labels: Array, inner: int, *, composed: bool, **settings: Any
) -> Contestant:
    torch = pytorch()
    assert torch is not None

    class ComposedBatchNorm(torch.nn.BatchNorm1d):  # type: ignore[misc, name-defined]
        """The four equations in PyTorch's own elementary operations, with its running statistics."""

        def forward(self, x: Any) -> Any:
            mean = x.mean(0)
            centred = x - mean
            variance = (centred * centred).mean(0)
            with torch.no_grad():
                n = x.shape[0]
                self.running_mean.mul_(1.0 - self.momentum).add_(mean, alpha=self.momentum)
                self.running_var.mul_(1.0 - self.momentum).add_(variance, alpha=self.momentum * n / (n - 1))
                self.num_batches_tracked.add_(1)
            return self.weight * (centred / torch.sqrt(variance + self.eps)) + self.bias

    norm = ComposedBatchNorm if composed else torch.nn.BatchNorm1d
    layers = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [torch.nn.Linear(inputs, outputs), norm(outputs), torch.nn.Sigmoid()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(*sizes[-2:]))
    network.load_state_dict({key: torch.from_numpy(value) for key, value in model(sizes).state_dict().items()})
    optimizer = torch.optim.SGD(network.parameters(), LR, MOMENTUM, **settings)
    batch, target = torch.from_numpy(x), torch.from_numpy(labels)

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(batch), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def gradients() -> State:
        return {key: p.grad.numpy().copy() for key, p in network.named_parameters()}

    def state() -> State:
        return {key: value.numpy().copy() for key, value in network.state_dict().items()}

    return contestant(name, step, gradients, state, inner)


def hips_step(sizes: tuple[int, ...], x: Array, labels: Array, inner: int) -> Contestant:
    autograd = hips()
    assert autograd is not None
    anp, value_of = autograd.numpy, autograd.tracer.getval
    start = model(sizes).state_dict()
    depth = len(sizes) - 2
    rows = np.arange(BATCH)
    names = [key for key in start if key.endswith(("weight", "bias"))]
    # This library has no layers; a user of it keeps weights the way they are multiplied, (in, out).
    params = [np.ascontiguousarray(start[key].T) for key in names]
    running = [[start[f"{3 * i + 1}.running_mean"], start[f"{3 * i + 1}.running_var"]] for i in range(depth)]
    velocity = [np.zeros_like(p) for p in params]
    last: list[Any] = []

    def batch_norm(h: Any, weight: Any, bias: Any, stats: list[Array]) -> Any:
        mean = anp.mean(h, axis=0)
        centred = h - mean
        variance = anp.mean(centred * centred, axis=0)
        for old, new, correction in zip(stats, (mean, variance), (1.0, BATCH / (BATCH - 1))):
            old *= 0.9
            old += (0.1 * correction) * value_of(new)
        return weight * (centred / anp.sqrt(variance + EPS)) + bias

    def loss(params: list[Any]) -> Any:
        h: Any = x
        for i in range(depth):
            matrix, shift, weight, bias = params[4 * i : 4 * i + 4]
            h = 1.0 / (1.0 + anp.exp(-batch_norm(anp.dot(h, matrix) + shift, weight, bias, running[i])))
        scores = anp.dot(h, params[-2]) + params[-1]
        shifted = scores - anp.max(value_of(scores), axis=1, keepdims=True)
        log_softmax = shifted - anp.log(anp.sum(anp.exp(shifted), axis=1, keepdims=True))
        return -anp.mean(log_softmax[rows, labels])

    value_and_gradients = autograd.value_and_grad(loss)

    def step() -> Any:
        value, grads = value_and_gradients(params)
        for p, v, g in zip(params, velocity, grads):
            v *= MOMENTUM
            v += g
            p -= LR * v
        last[:] = grads
        return value

    def gradients() -> State:
        return {key: g.T.copy() for key, g in zip(names, last)}

    def state() -> State:
        found = {key: p.T.copy() for key, p in zip(names, params)}
        for i, (mean, variance) in enumerate(running):
            found |= {f"{3 * i + 1}.running_mean": mean.copy(), f"{3 * i + 1}.running_var": variance.copy()}
        return found

    return contestant(HIPS, step, gradients, state, inner)


def run(quick: bool) -> list[Table]:
    """Time the step at both sizes."""
    rounds, warmup, inner = (2, 1, 1) if quick else (300, 20, 5)
    tables = []
    for sizes in SIZES:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(BATCH, sizes[0])).astype(np.float32)
        labels = rng.integers(0, sizes[-1], BATCH)
        contestants = [ours(sizes, x, labels, inner)]
        absent = {}
        if pytorch() is None:
            absent |= dict.fromkeys((FUSED, FUSED_SGD, COMPOSED), NOT_INSTALLED)
        else:
            contestants += [
                torch_step(FUSED, sizes, x, labels, inner, composed=False),
                torch_step(FUSED_SGD, sizes, x, labels, inner, composed=False, fused=True),
                torch_step(COMPOSED, sizes, x, labels, inner, composed=True),
            ]
        if hips() is None:
            absent[HIPS] = NOT_INSTALLED
        else:
            contestants.append(hips_step(sizes, x, labels, inner))
        worst = assert_same(contestants, rtol=1e-3, floor=0.1)
        rows = tabulate(interleave(contestants, rounds, warmup), [Goal(FUSED, 1.0)])
        title = f"Training step, {'-'.join(map(str, sizes))}, batch {BATCH}, sigmoid, SGD with momentum, float32"
        notes = [f"{rounds} rounds of {inner} steps each"]
        tables.append(Table(title, "per step", rows, absent, worst, notes))
    return tables
