"""Ready-made pages: Batch Normalization, the same inside a network, a diamond, softmax cross-entropy, and why order matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import functional, nn
from ..engine import Variable
from ..engine.sweep import seed_for
from ..graph import Contribution, Step, backward_steps
from ..tensor import Scalar, Tensor, scalarize
from . import explore
from .payload import Invariant, Order

EPS = 1e-5


def batch_norm(path: Path) -> Path:
    """BN of [1, 2, 3, 4] with the cotangent [1, 0, 0, 0], beside the paper's closed form (arXiv:1502.03167, section 3)."""
    data = np.array([[1.0], [2.0], [3.0], [4.0]])
    dy = np.array([[1.0], [0.0], [0.0], [0.0]])
    layer = nn.BatchNorm1d(1, eps=EPS, dtype=float)
    x = Tensor(data, requires_grad=True, name="x")
    y = layer(x)
    y.name = "y"
    sigma = np.sqrt(data.var() + EPS)
    x_hat = (data - data.mean()) / sigma
    paper = (4 * dy - dy.sum() - x_hat * (dy * x_hat).sum()) / (4 * sigma)
    facts = [("the paper's closed form of ∂x", paper)]
    invariants = [
        Invariant("Σ ∂x", x, 1.0),
        Invariant("Σ x̂ ∂x (only eps keeps it from 0)", x, x_hat),
    ]
    scalars = functional.batch_norm(scalarize(data, name="x"), training=True, eps=EPS)
    title = "Batch Normalization of [1, 2, 3, 4]"
    return explore(path, y, dy, module=layer, title=title, facts=facts, invariants=invariants, scalars=scalars)


def network(path: Path) -> Path:
    """BN inside a two-layer network, four samples of two features."""
    generator = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Linear(2, 2, bias=False, dtype=float),
        nn.BatchNorm1d(2, dtype=float),
        nn.Sigmoid(),
        nn.Linear(2, 1, dtype=float),
    )
    for parameter in net.parameters():
        parameter.data = np.round(generator.uniform(-1, 1, parameter.shape), 1)
    x = Tensor(np.round(generator.standard_normal((4, 2)), 1), name="x")
    loss = functional.mse_loss(net(x), np.array([[0.0], [1.0], [1.0], [0.0]]))
    loss.name = "loss"
    return explore(path, loss, module=net, title="Batch Normalization inside a two-layer network")


def diamond(path: Path) -> Path:
    """One value used twice: its two gradients add up."""
    x = Scalar(2.0, name="x")
    left, right = x * 3.0, x.square()
    left.name, right.name = "left", "right"
    y = left + right
    y.name = "y"
    return explore(path, y, title="A diamond: y = 3x + x²")


def cross_entropy(path: Path) -> Path:
    """Softmax cross-entropy of one row of scores."""
    scores = Tensor([[2.0, 1.0, 0.0]], requires_grad=True, name="scores")
    loss = functional.cross_entropy(scores, [0])
    loss.name = "loss"
    softmax = np.exp([2.0, 1.0, 0.0]) / np.exp([2.0, 1.0, 0.0]).sum()
    facts = [("closed form: softmax minus one-hot", softmax - np.array([1.0, 0.0, 0.0]))]
    return explore(path, loss, title="Softmax cross-entropy", facts=facts)


def topological_order(path: Path) -> Path:
    """a = 1; b = a + a; c = b + b, in the right and in a wrong order."""
    a = Scalar(1.0, name="a")
    b = a + a
    b.name = "b"
    c = b + b
    c.name = "c"
    orders = [
        Order("right order", backward_steps([c], [None]), "Right: b waits until both of its gradients have come."),
        Order("wrong order", steps_without_waiting(c), "Wrong: b passes on what it has as soon as something has come."),
    ]
    return explore(path, c, title="Why the order matters: a = 1; b = a + a; c = b + b", orders=orders)


def steps_without_waiting(root: Variable) -> list[Step]:
    """A faulty backward pass, for study: depth first, each operation once, whether or not its gradient is complete."""
    pending: dict[Variable, Any] = {root: seed_for(root, None, False)}
    steps: list[Step] = []
    visited: set[Variable] = set()

    def visit(result: Variable) -> None:
        if result in visited or result.primitive is None:
            return
        visited.add(result)
        upstream = pending[result]
        values = [arg.data if isinstance(arg, Variable) else arg for arg in result.inputs or ()]
        for slot, argument in enumerate(result.inputs or ()):
            rule = result.primitive.vjp(slot)
            if not isinstance(argument, Variable) or rule is None:
                continue
            cotangent = rule(upstream, result.data, *values, **(result.params or {}))
            before = pending.get(argument)
            pending[argument] = cotangent if before is None else before + cotangent
            part = Contribution(result, upstream, slot, argument, cotangent, cotangent, before, pending[argument])
            steps.append(Step(result, upstream, (part,)))
            visit(argument)  # the fault: it should wait for the other uses of the argument

    visit(root)
    return steps


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    "batch_norm": batch_norm,
    "network": network,
    "diamond": diamond,
    "cross_entropy": cross_entropy,
    "topological_order": topological_order,
}
