"""One training step of a multilayer perceptron, as a user of each library writes it.

Linear -> BatchNorm -> sigmoid for each hidden layer, then a linear layer and the cross-entropy, as in the paper's MNIST
experiment (arXiv:1502.03167, section 4.1); SGD with momentum.  All start from the same weights and see the same batch again
and again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_bn import Tensor, functional, manual_seed, nn, optim
from tinygrad_bn.compiler import compile as compiled

from .peers import hips, jax, pytorch
from .timing import Contestant, Numbers, repeat

Array = np.ndarray[Any, Any]
State = dict[str, Array]

LR, MOMENTUM, EPS = 0.1, 0.9, 1e-5
STEPS_COMPARED = 3


@dataclass(frozen=True)
class Work:
    """What all sides do: a network of these widths on this batch, so many steps in one timed block."""

    sizes: tuple[int, ...]
    x: Array
    labels: Array
    inner: int

    @classmethod
    def make(cls, sizes: tuple[int, ...], batch: int, inner: int) -> Work:
        """Random points with random labels."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(batch, sizes[0])).astype(np.float32)
        return cls(sizes, x, rng.integers(0, sizes[-1], batch), inner)


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


def model(sizes: tuple[int, ...], norm: bool = True) -> nn.Sequential:
    """Our network; scales and shifts away from 1 and 0, so that leaving one out would show."""
    manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.Sigmoid()]
    network = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
    rng = np.random.default_rng(1)
    for module in network:
        if isinstance(module, nn.BatchNorm1d):
            module.weight.data = rng.uniform(0.5, 1.5, module.num_features)
            module.bias.data = rng.normal(0.0, 0.2, module.num_features)
    return network


def stepping(network: nn.Module) -> Callable[[Any, Any], Any]:
    """The step that is timed, and compiled."""
    optimizer = optim.SGD(network.parameters(), LR, MOMENTUM)

    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def ours(name: str, work: Work, *, norm: bool = True, backend: str | None = None) -> Contestant:
    """Eager, or compiled by one of the backends."""
    return our_contestant(name, model(work.sizes, norm), work, backend)


def our_contestant(name: str, network: nn.Module, work: Work, backend: str | None) -> Contestant:
    """The step of a network of ours."""
    step = stepping(network)
    run = step if backend is None else compiled(step, backend=backend)
    batch, labels = Tensor(work.x), work.labels

    def gradients() -> State:
        return {name: p.grad.numpy() for name, p in network.named_parameters()}

    return contestant(name, lambda: run(batch, labels).data, gradients, network.state_dict, work.inner)


def torch_step(name: str, work: Work, *, composed: bool = False, norm: bool = True, **settings: Any) -> Contestant:
    """PyTorch, eager; ``settings`` are the optimizer's."""
    torch = pytorch()
    assert torch is not None

    class ComposedBatchNorm(torch.nn.BatchNorm1d):  # type: ignore[misc, name-defined]
        """The four equations in PyTorch's own elementary operations, with its running statistics."""

        def forward(self, x: Any) -> Any:
            mean = x.mean(0)
            centered = x - mean
            variance = (centered * centered).mean(0)
            with torch.no_grad():
                n = x.shape[0]
                self.running_mean.mul_(1.0 - self.momentum).add_(mean, alpha=self.momentum)
                self.running_var.mul_(1.0 - self.momentum).add_(variance, alpha=self.momentum * n / (n - 1))
                self.num_batches_tracked.add_(1)
            return self.weight * (centered / torch.sqrt(variance + self.eps)) + self.bias

    layer = ComposedBatchNorm if composed else torch.nn.BatchNorm1d
    layers = []
    for inputs, outputs in pairwise(work.sizes[:-1]):
        layers += [torch.nn.Linear(inputs, outputs), *([layer(outputs)] if norm else []), torch.nn.Sigmoid()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(*work.sizes[-2:]))
    return torch_contestant(name, network, model(work.sizes, norm), work, **settings)


def torch_contestant(
    name: str, network: Any, start: nn.Module, work: Work, *, by_compiler: bool = False, **settings: Any
) -> Contestant:
    """The step of a network of PyTorch's, from the weights of ours; ``torch.compile`` takes forward and backward."""
    torch: Any = pytorch()
    network.load_state_dict({key: torch.from_numpy(value) for key, value in start.state_dict().items()})
    optimizer = torch.optim.SGD(network.parameters(), LR, MOMENTUM, **settings)
    batch, target = torch.from_numpy(work.x), torch.from_numpy(work.labels)

    def loss_of(batch: Any, target: Any) -> Any:
        return torch.nn.functional.cross_entropy(network(batch), target)

    evaluate = torch.compile(loss_of) if by_compiler else loss_of

    def step() -> Any:
        optimizer.zero_grad()
        loss = evaluate(batch, target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def gradients() -> State:
        return {key: p.grad.numpy().copy() for key, p in network.named_parameters()}

    def state() -> State:
        return {key: value.numpy().copy() for key, value in network.state_dict().items()}

    return contestant(name, step, gradients, state, work.inner)


def hips_step(name: str, work: Work) -> Contestant:
    """HIPS/autograd."""
    autograd = hips()
    assert autograd is not None
    anp, value_of = autograd.numpy, autograd.tracer.getval
    x, labels, count = work.x, work.labels, len(work.x)
    start = model(work.sizes).state_dict()
    depth = len(work.sizes) - 2
    rows = np.arange(count)
    names = [key for key in start if key.endswith(("weight", "bias"))]
    # This library has no layers; a user of it keeps weights the way they are multiplied, (in, out).
    params = [np.ascontiguousarray(start[key].T) for key in names]
    running = [[start[f"{3 * i + 1}.running_mean"], start[f"{3 * i + 1}.running_var"]] for i in range(depth)]
    velocity = [np.zeros_like(p) for p in params]
    last: list[Any] = []

    def batch_norm(h: Any, weight: Any, bias: Any, stats: list[Array]) -> Any:
        mean = anp.mean(h, axis=0)
        centered = h - mean
        variance = anp.mean(centered * centered, axis=0)
        for old, new, correction in zip(stats, (mean, variance), (1.0, count / (count - 1))):
            old *= 0.9
            old += (0.1 * correction) * value_of(new)
        return weight * (centered / anp.sqrt(variance + EPS)) + bias

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

    return contestant(name, step, gradients, state, work.inner)


def jax_step(name: str, work: Work) -> Contestant:
    """JAX: one compiled function from the old state to the new one, which may reuse its memory."""
    package: Any = jax()
    jnp = package.numpy
    count, depth = len(work.x), len(work.sizes) - 2
    start = model(work.sizes).state_dict()
    names = [key for key in start if key.endswith(("weight", "bias"))]
    first = [np.ascontiguousarray(start[key].T) for key in names]  # kept the way they are multiplied, (in, out)
    statistics = [[start[f"{3 * i + 1}.running_mean"], start[f"{3 * i + 1}.running_var"]] for i in range(depth)]

    def loss_of(params: Any, running: Any, x: Any, labels: Any) -> Any:
        h, moved = x, []
        for i in range(depth):
            matrix, shift, weight, bias = params[4 * i : 4 * i + 4]
            h = h @ matrix + shift
            mean = h.mean(0)
            centered = h - mean
            variance = (centered * centered).mean(0)
            old_mean, old_variance = running[i]
            corrected = variance * (count / (count - 1))
            moved.append([0.9 * old_mean + 0.1 * mean, 0.9 * old_variance + 0.1 * corrected])
            h = package.nn.sigmoid(weight * (centered / jnp.sqrt(variance + EPS)) + bias)
        log_softmax = package.nn.log_softmax(h @ params[-2] + params[-1], axis=1)
        return -log_softmax[jnp.arange(count), labels].mean(), moved

    def step(params: Any, velocity: Any, running: Any, x: Any, labels: Any) -> Any:
        (loss, moved), grads = package.value_and_grad(loss_of, has_aux=True)(params, running, x, labels)
        velocity = [MOMENTUM * v + g for v, g in zip(velocity, grads)]
        return loss, [p - LR * v for p, v in zip(params, velocity)], velocity, moved

    fast = package.jit(step, donate_argnums=(0, 1, 2))
    now = [list(map(jnp.array, first)), list(map(jnp.zeros_like, first)), package.tree.map(jnp.array, statistics)]
    x, labels = jnp.array(work.x), jnp.array(work.labels.astype(np.int32))

    def run() -> Any:
        loss, *now[:] = fast(*now, x, labels)
        return loss

    def gradients() -> State:
        grads = package.jit(package.grad(loss_of, has_aux=True))(list(map(jnp.array, first)), statistics, x, labels)[0]
        return {key: np.asarray(g).T for key, g in zip(names, grads)}

    def state() -> State:
        params, _, running = now
        found = {key: np.asarray(p).T for key, p in zip(names, params)}
        for i, (mean, variance) in enumerate(running):
            found |= {f"{3 * i + 1}.running_mean": np.asarray(mean), f"{3 * i + 1}.running_var": np.asarray(variance)}
        return found

    return contestant(name, run, gradients, state, work.inner)
