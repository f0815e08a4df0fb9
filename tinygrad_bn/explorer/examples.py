"""Ready-made pages: Batch Normalization, the same inside a network, a diamond, softmax cross-entropy, and why order matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import functional, nn, ops
from ..engine import Variable
from ..engine.sweep import Contribution
from ..kinds import Value
from ..program import record
from ..tensor import Scalar, Tensor
from .page import Page, page_of
from .payload import Fact, Invariant, Lesson, Order
from .recording import Watch, engines

EPS = 1e-5

# Algorithm 1 of the paper (arXiv:1502.03167); each name that is a value on the page is linked to it.
SUM = "<munder><mo>∑</mo><mi>i</mi></munder>"
MEAN = f"<mfrac><mn>1</mn><mi>N</mi></mfrac>{SUM}"
EQUATIONS = [
    f"<mi>μ</mi><mo>=</mo>{MEAN}<msub><mi>x</mi><mi>i</mi></msub>",
    f"<mi>σ²</mi><mo>=</mo>{MEAN}<msup><mrow><mo>(</mo><msub><mi>x</mi><mi>i</mi></msub><mo>−</mo><mi>μ</mi><mo>)</mo></mrow>"
    "<mn>2</mn></msup>",
    "<msub><mi>x̂</mi><mi>i</mi></msub><mo>=</mo><mfrac><mrow><msub><mi>x</mi><mi>i</mi></msub><mo>−</mo><mi>μ</mi></mrow>"
    "<msqrt><mrow><mi>σ²</mi><mo>+</mo><mi>ε</mi></mrow></msqrt></mfrac>",
    "<msub><mi>y</mi><mi>i</mi></msub><mo>=</mo><mi>γ</mi><msub><mi>x̂</mi><mi>i</mi></msub><mo>+</mo><mi>β</mi>",
]


def closed_form(x: Value, gamma: Value, eps: Value, dy: Value) -> Value:
    """∂x of Batch Normalization as libraries program it (the paper, section 3, simplified)."""
    n = x * 0.0 + 1.0
    centered = x - ops.mean(x, 0)
    sigma = ops.sqrt(ops.mean(centered * centered, 0) + eps)
    x_hat = centered / sigma
    count = ops.sum(n, 0)
    return gamma / (count * sigma) * (count * dy - ops.sum(dy, 0) - x_hat * ops.sum(dy * x_hat, 0))


def batch_norm() -> Page:
    """BN of [1, 2, 3, 4] with the cotangent [1, 0, 0, 0], compared with the closed form."""

    def computed(n: int) -> tuple[nn.BatchNorm1d, Tensor, Any]:
        layer = nn.BatchNorm1d(1, eps=EPS, dtype=float)
        x = Tensor(np.arange(1.0, n + 1.0).reshape(n, 1), requires_grad=True, name="x")
        return layer, x, layer(x)

    def cotangent(n: int) -> Any:
        return np.eye(n)[:, :1]

    layer, x, y = computed(4)
    gamma = layer.weight
    x_hat = next(a for a in y.inputs[0].inputs if a.inputs is not None)
    facts = [
        Fact(
            "∂x: derived, and the closed form that libraries program",
            record(closed_form, np.ones((4, 1)), np.ones(1), 1e-5, np.ones((4, 1))),
            [x, gamma, "ε", None],
            x,
        )
    ]
    invariants = [Invariant("Σ ∂x", x), Invariant("Σ x̂ ∂x (only ε keeps it from 0)", x, x_hat)]
    lesson = Lesson(
        constants={EPS: "ε"},
        equations=[f'<math xmlns="http://www.w3.org/1998/Math/MathML">{row}</math>' for row in EQUATIONS],
        line=["x", "c", "x̂", "y"],
        tries=[
            "Drag a point of x on the number line: x̂ keeps mean 0 and spread 1, whatever you do.",
            "Pull one point far out: the three others crowd together, and their ∂x shrinks with them.",
            "Make the four points nearly equal: σ² comes down to ε, and ε decides.",
            "Give all four rows the same ∂y: every ∂x becomes 0, since a shift of all points changes nothing.",
            "Change γ and β: y moves, x̂ does not.",
        ],
    )
    return page_of(
        y, cotangent(4), module=layer, title="Batch Normalization, forward and backward", facts=facts, invariants=invariants,
        lesson=lesson, rows=(4, lambda n: (computed(n)[2], cotangent(n))),
    )  # fmt: skip


def network() -> Page:
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
    return page_of(loss, module=net, title="Batch Normalization inside a two-layer network")


def diamond() -> Page:
    """One value used twice: its two gradients add up."""
    x = Scalar(2.0, name="x")
    left, right = x * 3.0, x.square()
    left.name, right.name = "left", "right"
    y = left + right
    y.name = "y"
    return page_of(y, title="A diamond: y = 3x + x²")


def cross_entropy() -> Page:
    """Softmax cross-entropy of one row of scores."""
    scores = Tensor([[2.0, 1.0, 0.0]], requires_grad=True, name="scores")
    labels = np.array([0])
    loss = functional.cross_entropy(scores, labels)
    loss.name = "loss"
    difference = record(lambda scores: ops.softmax(scores, axis=1) - np.eye(3)[labels], scores.numpy(), free=False)
    facts = [Fact("∂scores: derived, and softmax minus one-hot", difference, [scores], scores)]
    return page_of(loss, title="Softmax cross-entropy", facts=facts)


def topological_order() -> Page:
    """a = 1; b = a + a; c = b + b, in the right and in a wrong order."""
    a = Scalar(1.0, name="a")
    b = a + a
    b.name = "b"
    c = b + b
    c.name = "c"
    orders = [
        Order("right order", engines, "Right: b waits until both of its gradients have come."),
        Order("wrong order", without_waiting, "Wrong: b passes on what it has as soon as something has come."),
    ]
    return page_of(c, title="Why the order matters: a = 1; b = a + a; c = b + b", orders=orders)


def without_waiting(roots: Sequence[Variable], cotangents: Sequence[Variable], watch: Watch) -> None:
    """A faulty backward pass, for study: depth first, each operation once, whether or not its gradient is complete."""
    pending: dict[Variable, Any] = dict(zip(roots, cotangents))
    visited: set[Variable] = set()

    def visit(result: Variable) -> None:
        if result in visited or result.primitive is None:
            return
        visited.add(result)
        upstream = pending[result]
        for slot, argument in enumerate(result.inputs or ()):
            rule = result.primitive.vjp(slot)
            if not isinstance(argument, Variable) or rule is None:
                continue
            cotangent = rule(upstream, result, *result.inputs or (), **(result.params or {}))
            before = pending.get(argument)
            pending[argument] = cotangent if before is None else before + cotangent
            watch(Contribution(result, upstream, slot, argument, cotangent, cotangent, before, pending[argument]))
            visit(argument)  # the fault: it should wait for the other uses of the argument

    for root in roots:
        visit(root)


EXAMPLES: dict[str, Callable[[], Page]] = {
    "batch_norm": batch_norm,
    "network": network,
    "diamond": diamond,
    "cross_entropy": cross_entropy,
    "topological_order": topological_order,
}
