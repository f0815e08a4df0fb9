"""Sums of halves are added up in float32, spreads of float32 in float64, and rounded once at the end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import CASES, Case
from tinygrad_bn import Tensor, engine, functional, nn, ops
from tinygrad_bn.ops import primitives

HALF = np.float16
RNG = np.random.default_rng(0)
LONG = RNG.random((5000, 4)).astype(HALF)
ROWS = np.zeros(5000, int)

# what, function of the array; where a plain sum of halves stops at 2048 or is off by a fifth
SUMS: dict[str, Any] = {
    "sum of rows": lambda x: ops.sum(x, axis=0),
    "sum of all": lambda x: ops.sum(x),
    "sum of columns": lambda x: ops.sum(ops.transpose(x), axis=1),
    "sum in three axes": lambda x: ops.sum(ops.reshape(x, (50, 100, 4)), axis=(0, 1)),
    "mean": lambda x: ops.mean(x, axis=0),
    "var": lambda x: ops.var(x, axis=0),
    "std": lambda x: ops.std(x, axis=0),
    "norm": lambda x: ops.norm(x, axis=0),
    "1-norm": lambda x: ops.norm(x, 1, axis=0),
    "3-norm": lambda x: ops.norm(x, 3, axis=0),
    "trace": lambda x: ops.trace(ops.matmul(x, ops.transpose(x))),
    "cumsum": lambda x: ops.cumsum(x, axis=0)[-1],
    "reverse cumsum": lambda x: primitives.cumsum(x, axis=0, reverse=True)[0],
    "logsumexp": lambda x: ops.logsumexp(x, axis=0),
    "matmul": lambda x: ops.matmul(ops.transpose(x), x),
    "einsum": lambda x: ops.einsum("ij,ij->j", x, x),
    "tensordot": lambda x: ops.tensordot(x, x, ([0], [0])),
    "sum_to": lambda x: engine.sum_to(x, shape=(1, 4)),
    "scatter_add": lambda x: primitives.scatter_add(x, ROWS, pattern=("array", slice(None)), shape=(2, 4))[0],
    "overlap_add": lambda x: primitives.overlap_add(
        ops.reshape(x[:3000], (1, 1, 12000)), window=(12000,), stride=(1,), dilation=(1,), shape=(1, 12000)
    ),
    "mse_loss": lambda x: functional.mse_loss(x, np.zeros((5000, 4), HALF)),
    "l1_loss": lambda x: functional.l1_loss(x, np.zeros((5000, 4), HALF)),
}


@pytest.mark.parametrize("function", SUMS.values(), ids=SUMS.keys())
def test_sums_of_halves(function: Any) -> None:
    got = function(Tensor(LONG)).numpy()
    assert got.dtype == HALF
    np.testing.assert_allclose(got.astype(float), function(LONG.astype(float)), rtol=2e-3)


def test_the_check_above_can_fail() -> None:
    assert np.add.reduce(LONG, axis=0)[0] == 2048.0  # what NumPy does with a sum of rows


def test_a_mean_may_be_smaller_than_its_sum() -> None:
    x = np.full(300, 500.0, HALF)
    assert ops.mean(x) == 500.0
    assert ops.std(np.array([300.0, -300.0] * 5, HALF)) == 300.0
    assert ops.norm(np.array([3e4, 4e4], HALF)) == HALF(5e4)
    with np.errstate(over="ignore"):
        assert ops.sum(x) == np.inf  # 150000 is no half


@pytest.mark.parametrize("function", [ops.softmax, ops.log_softmax], ids=lambda f: f.__name__)
def test_softmax_of_many_halves(function: Any) -> None:
    got = function(np.zeros(70000, HALF))
    assert got.dtype == HALF
    np.testing.assert_allclose(got.astype(float), function(np.zeros(70000)), rtol=0.01)


def test_gradients_that_are_sums_of_halves() -> None:
    layer = nn.Linear(4, 1, dtype=HALF)
    layer(Tensor(np.ones((5000, 4), HALF))).backward(np.full((5000, 1), 0.1, HALF))
    assert layer.bias.grad.item() == pytest.approx(500, rel=1e-3)
    table = Tensor(np.zeros((2, 4), HALF), requires_grad=True)
    ops.take(table, ROWS, axis=0).backward(np.ones((5000, 4), HALF))
    np.testing.assert_array_equal(table.grad.numpy(), [[5000.0] * 4, [0.0] * 4])
    x = Tensor(np.zeros(5000, HALF), requires_grad=True)
    ops.cumsum(x).backward(np.ones(5000, HALF))
    assert x.grad.numpy()[0] == 5000.0
    x = Tensor(np.zeros(70000, HALF), requires_grad=True)  # more ties than a half can count
    ops.max(x).backward(np.asarray(60000.0, HALF))
    np.testing.assert_allclose(x.grad.numpy().astype(float), 60000 / 70000, rtol=1e-3)


def test_running_statistics_of_a_half_batch() -> None:
    bn = nn.BatchNorm1d(3)
    bn(Tensor((RNG.standard_normal((4000, 3)) * 30 + 400).astype(HALF)))
    np.testing.assert_allclose(bn.running_mean.numpy(), 40.0, atol=1.0)
    assert np.isfinite(bn.running_var.numpy()).all()


BASE = np.array([1.0, -2.0, 3.0, 0.5])
SPREADS: dict[str, Any] = {
    "std": ops.std,
    "std, ddof": lambda x: ops.std(x, ddof=1),
    "norm": ops.norm,
    "3-norm": lambda x: ops.norm(x, 3),
    "2-norm of an axis": lambda x: ops.norm(x, 2, axis=-1),
}


@pytest.mark.parametrize("function", SPREADS.values(), ids=SPREADS.keys())
@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1.0, 1e20, 1e25])
def test_spreads_whose_squares_leave_the_range(function: Any, scale: float) -> None:
    """Value, gradient and second derivative of float32 as in float64."""
    x = (BASE * np.float32(scale)).astype(np.float32)
    single, double = Tensor(x, requires_grad=True), Tensor(x.astype(float), requires_grad=True)
    weight = np.array([0.3, -1.2, 0.7, 2.0])
    found = []
    for leaf in (single, double):
        y = function(leaf)
        (slope,) = tg.grad(y, [leaf], create_graph=True)
        found.append([y.numpy(), slope.numpy(), tg.grad(slope, leaf, weight).numpy() if scale == 1.0 else 0.0])
    assert all(np.asarray(part).dtype == np.float32 for part in found[0][:2])
    for got, expected in zip(*found):
        np.testing.assert_allclose(got, expected, rtol=3e-7, atol=1e-7 if scale == 1.0 else 0)


def test_a_variance_of_many_large_float32() -> None:
    x = np.full(1000, 1e18, np.float32)
    x[::2] *= -1
    np.testing.assert_allclose(ops.var(x), 1e36, rtol=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if c.theirs and not c.changes_dtype], ids=str)
def test_halves_stay_halves(case: Case) -> None:
    arrays = case.arrays(5)
    halves = [Tensor(a, requires_grad=True, dtype=HALF) for a in arrays]
    if case.of_matrices:  # NumPy says so
        with pytest.raises(tg.TinygradError):
            case.ours(*halves)
        return
    out = case.ours(*halves)
    assert out.dtype == HALF
    np.testing.assert_allclose(out.numpy().astype(float), case.ours(*arrays), rtol=0.02, atol=0.02)
    out.backward(np.ones(out.shape, HALF))
    for leaf in halves:
        assert leaf.grad is None or leaf.grad.dtype == HALF
        assert leaf.grad is None or math.isfinite(float(leaf.grad.numpy().sum()))
