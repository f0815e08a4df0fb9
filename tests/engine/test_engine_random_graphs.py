"""Random programs with sharing, broadcasting and dead ends, against PyTorch: gradients, kept ones, second derivatives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_bn import Scalar, Tensor, grad, gradients_of, ops, scalarize

SHAPES = [(), (3,), (2, 1), (2, 3), (1, 3)]

# Each pair works on tensors of the library and of PyTorch; all are smooth and tame, so that deep programs stay finite.
BINARY = [
    (lambda x, y: x + y, lambda x, y: x + y),
    (lambda x, y: x - y, lambda x, y: x - y),
    (lambda x, y: ops.tanh(x) * y, lambda x, y: torch.tanh(x) * y),
    (lambda x, y: x / (ops.square(y) + 1.0), lambda x, y: x / (y**2 + 1.0)),
    (lambda x, y: 0.5 * y - x * 2, lambda x, y: 0.5 * y - x * 2),
]
UNARY = [
    (lambda x: ops.sin(x), torch.sin),
    (lambda x: ops.exp(-ops.square(x)), lambda x: torch.exp(-(x**2))),
    (lambda x: ops.sigmoid(x) * x, lambda x: torch.sigmoid(x) * x),
    (lambda x: -x, lambda x: -x),
    (lambda x: 1.0 - x, lambda x: 1.0 - x),
    (lambda x: x * x, lambda x: x * x),
    (lambda x: ops.log1p(ops.abs(x) + 1.0), lambda x: torch.log1p(torch.abs(x) + 1.0)),
]
SHAPING = [
    (lambda x: ops.sum(x, axis=0, keepdims=True) if x.ndim else x, lambda x: x.sum(0, keepdim=True) if x.ndim else x),
    (lambda x: ops.mean(x), lambda x: x.mean()),
    (lambda x: ops.sum(ops.reshape(x, (-1, 1)), axis=1), lambda x: x.reshape(-1, 1).sum(1)),
]

step = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))


def run(leaves, steps, side, scalars_only=False):
    """The program on one library (side 0: ours, 1: PyTorch): every value made, and one number from all of the last."""
    values = list(leaves)
    table = BINARY + UNARY + ([] if scalars_only else SHAPING)
    for which, i, j in steps:
        pair = table[which % len(table)]
        x, y = values[-1 - i % min(4, len(values))], values[j % len(values)]
        if pair in BINARY:
            try:
                np.broadcast_shapes(tuple(x.shape), tuple(y.shape))
            except ValueError:
                y = x
            values.append(pair[side](x, y))
        else:
            values.append(pair[side](x))
    return values


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    shapes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3),
    steps=st.lists(step, min_size=1, max_size=25),
)
def test_tensors(seed, shapes, steps):
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-2.0, 2.0, shape) for shape in shapes]
    ours = run([Tensor(a, requires_grad=True) for a in arrays], steps, 0)
    theirs = run([torch.tensor(a, requires_grad=True) for a in arrays], steps, 1)
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=1e-11, atol=1e-12)
        mine.retain_grad()
        other.retain_grad()
    w = rng.normal(size=ours[-1].shape)
    ours[-1].backward(w, retain_graph=True)
    theirs[-1].backward(torch.tensor(w), retain_graph=True)
    for mine, other in zip(ours, theirs):
        assert (mine.grad is None) == (other.grad is None)
        if other.grad is not None:
            np.testing.assert_allclose(mine.grad.data, other.grad.numpy(), rtol=1e-9, atol=1e-11)

    leaves, their_leaves = ours[: len(arrays)], theirs[: len(arrays)]
    first = grad([ours[-1]], leaves, [w], create_graph=True)
    expected = torch.autograd.grad(theirs[-1], their_leaves, torch.tensor(w), create_graph=True, allow_unused=True)
    assert [g is None for g in first] == [g is None for g in expected]
    pairs = [(g, e) for g, e in zip(first, expected) if g is not None and e.requires_grad]
    directions = [rng.normal(size=g.shape) for g, _ in pairs]
    recorded = [(g, v) for (g, _), v in zip(pairs, directions) if g.requires_grad]
    second = grad([g for g, _ in recorded], leaves, [v for _, v in recorded]) if recorded else [None] * len(leaves)
    if pairs:
        wanted = torch.autograd.grad(
            [e for _, e in pairs], their_leaves, [torch.tensor(v) for v in directions], allow_unused=True
        )
        for leaf, got, want in zip(leaves, second, wanted):
            got = np.zeros(leaf.shape) if got is None else got.data
            want = np.zeros(leaf.shape) if want is None else want.numpy()
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), count=st.integers(1, 3), steps=st.lists(step, min_size=1, max_size=25))
def test_scalars_equal_tensors_to_second_order(seed, count, steps):
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(-2.0, 2.0, count)
    scalars = [Scalar(v) for v in numbers]
    tensors = [Tensor(v, requires_grad=True) for v in numbers]
    a, b = run(scalars, steps, 0, True)[-1], run(tensors, steps, 0, True)[-1]
    assert a.item() == pytest.approx(b.item(), rel=1e-13)
    slopes = [grad([y], leaves, create_graph=True) for y, leaves in ((a, scalars), (b, tensors))]
    for one, other in zip(*slopes):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.item() == pytest.approx(other.item(), rel=1e-11, abs=1e-13)
    curves = []
    for found, leaves in zip(slopes, (scalars, tensors)):
        outputs = [g for g in found if g is not None and g.requires_grad]
        again = grad(outputs, leaves) if outputs else [None] * count
        curves.append([0.0 if c is None else c.item() for c in again])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-10, atol=1e-12)


def test_arrays_of_scalars_run_tensor_code():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 3))
    scalars, tensor = scalarize(a), Tensor(a, requires_grad=True)
    w = rng.normal(size=(2, 3))

    def program(x):
        centered = x - x.mean(axis=0)
        return (centered / np.sqrt((centered * centered).mean(axis=0) + 0.1) * w).sum()

    program(scalars).backward()
    program(tensor).backward()
    np.testing.assert_allclose(gradients_of(scalars), tensor.grad.data, rtol=1e-12)


def test_the_comparison_can_fail(monkeypatch):
    monkeypatch.setattr(ops.tanh, "vjps", (lambda g, out, x: g * (1.0 - out),))
    with pytest.raises(AssertionError):
        test_tensors.hypothesis.inner_test(0, [(3,), (3,)], [(2, 0, 0)])
