"""No axes, no elements, huge and infinite numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import tinygrad_bn as tg
from tests.ops.op_cases import ELEMENTWISE, Case
from tests.oracles import compare_with_torch, random_like
from tinygrad_bn import Tensor, ops

INF = math.inf


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0), (0, 3), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.theirs], ids=str)
def test_elementwise_operations_take_any_shape(case: Case, shape: tuple[int, ...]) -> None:
    n = math.prod(shape)
    arrays = [a.ravel()[:n].reshape(shape) for a in case.arrays(8)]
    compare_with_torch(case.ours, case.theirs, arrays)


@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.theirs], ids=str)
def test_elementwise_operations_take_numpy_numbers(case: Case) -> None:
    """A float32 number without axes stays float32 beside Python numbers, in a NumPy whose own promotion does that."""
    arrays = [a.ravel()[0] for a in case.arrays(8)]
    single = [np.float32(a) for a in arrays]
    result = case.ours(*single)
    assert isinstance(result, (np.generic, np.ndarray))
    assert result.dtype in {np.dtype(np.float32), (np.float32(1) * 0.5).dtype}
    np.testing.assert_allclose(result, case.ours(*arrays), rtol=1e-5, atol=1e-7)


# what, call of NumPy's or our function, shape
NOTHING: list[tuple[str, Any, tuple[int, ...]]] = [
    ("sum", lambda f, x: f.sum(x), (0,)),
    ("sum axis", lambda f, x: f.sum(x, axis=0), (0, 3)),
    ("sum other axis", lambda f, x: f.sum(x, axis=1), (0, 3)),
    ("mean other axis", lambda f, x: f.mean(x, axis=1), (0, 3)),
    ("var other axis", lambda f, x: f.var(x, axis=1), (0, 3)),
    ("std other axis", lambda f, x: f.std(x, axis=1), (0, 3)),
    ("prod", lambda f, x: f.prod(x), (0,)),
    ("prod axis", lambda f, x: f.prod(x, axis=0), (0, 3)),
    ("prod keepdims", lambda f, x: f.prod(x, axis=(0, 1), keepdims=True), (2, 0, 3)),
    ("prod other axis", lambda f, x: f.prod(x, axis=1), (0, 3)),
    ("max other axis", lambda f, x: f.max(x, axis=1), (0, 3)),
    ("min other axis", lambda f, x: f.min(x, axis=1), (0, 3)),
    ("argmax other axis", lambda f, x: f.argmax(x, axis=1), (0, 3)),
    ("cumsum", lambda f, x: f.cumsum(x), (0, 3)),
    ("cumsum axis", lambda f, x: f.cumsum(x, axis=1), (0, 3)),
    ("matmul", lambda f, x: f.matmul(x, x.T), (0, 3)),
    ("matmul to zeros", lambda f, x: f.matmul(x.T, x), (0, 3)),
    ("dot", lambda f, x: f.dot(x, x), (0,)),
    ("outer", lambda f, x: f.outer(x, x), (0,)),
    ("tensordot", lambda f, x: f.tensordot(x, x, 2), (0, 3)),
    ("einsum", lambda f, x: f.einsum("ij,ij->j", x, x), (0, 3)),
    ("concatenate", lambda f, x: f.concatenate([x, x]), (0, 3)),
    ("stack", lambda f, x: f.stack([x, x], axis=1), (0, 3)),
    ("split", lambda f, x: f.split(x, 3, axis=1)[1], (0, 3)),
    ("reshape", lambda f, x: f.reshape(x, (3, 0, 2)), (0, 3)),
    ("repeat", lambda f, x: f.repeat(x, 2), (0, 3)),
    ("pad", lambda f, x: f.pad(x, 1), (0, 3)),
    ("trace", lambda f, x: f.trace(x), (0, 3)),
    ("tril", lambda f, x: f.tril(x), (0, 3)),
    ("where", lambda f, x: f.where(x > 0, x, 1.0), (0, 3)),
    ("take", lambda f, x: f.take(x, np.zeros(0, int), axis=1), (0, 3)),
]


@pytest.mark.parametrize(("what", "call", "shape"), NOTHING, ids=[row[0] for row in NOTHING])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_nothing_to_compute_with(what: str, call: Any, shape: tuple[int, ...], dtype: Any) -> None:
    x = np.zeros(shape, dtype)
    expected = np.asarray(call(np, x))
    leaf = Tensor(x, requires_grad=True)
    y = call(ops, leaf)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.numpy(), expected)
    if y.dtype.kind == "f":
        y.backward(np.ones(y.shape))
        assert leaf.grad.shape == shape
        assert leaf.grad.dtype == dtype


BIG = [-1000.0, 1000.0, 0.0]

# what, function, point, values, gradient for the cotangent 1
STABLE: list[tuple[str, Any, Any, Any, Any]] = [
    ("sigmoid", ops.sigmoid, BIG, [0, 1, 0.5], [0, 0, 0.25]),
    ("sigmoid at inf", ops.sigmoid, [-INF, INF], [0, 1], [0, 0]),
    ("tanh", ops.tanh, BIG, [-1, 1, 0], [0, 0, 1]),
    ("softplus", ops.softplus, BIG, [0, 1000, math.log(2)], [0, 1, 0.5]),
    ("softplus at inf", ops.softplus, [-INF, INF], [0, INF], [0, 1]),
    ("relu at inf", ops.relu, [-INF, INF], [0, INF], [0, 1]),
    ("elu", ops.elu, [-1000.0, 1000.0], [-1, 1000], [0, 1]),
    ("silu", ops.silu, [-1000.0, 1000.0], [0, 1000], [0, 1]),
    ("gelu", ops.gelu, [-1000.0, 1000.0], [0, 1000], [0, 1]),
    ("gelu tanh", lambda x: ops.gelu(x, "tanh"), [-1000.0, 1000.0], [0, 1000], [0, 1]),
    ("erf", ops.erf, BIG, [-1, 1, 0], [0, 0, 2 / math.sqrt(math.pi)]),
    ("logsumexp", ops.logsumexp, [1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
    ("logsumexp down", ops.logsumexp, [-1000.0, -1000.0], -1000 + math.log(2), [0.5, 0.5]),
    ("logsumexp apart", ops.logsumexp, [-1000.0, 1000.0], 1000, [0, 1]),
    ("logsumexp of -inf", ops.logsumexp, [-INF, -INF], -INF, [0, 0]),
    ("logsumexp beside -inf", ops.logsumexp, [-INF, 3.0], 3, [0, 1]),
    (
        "logsumexp rows",
        lambda x: ops.logsumexp(x, 1),
        [[-INF, -INF], [0.0, 0.0]],
        [-INF, math.log(2)],
        [[0, 0], [0.5, 0.5]],
    ),
    ("softmax", ops.softmax, [1000.0, -1000.0], [1, 0], [0, 0]),
    ("softmax up", ops.softmax, [1000.0, 1000.0], [0.5, 0.5], [0, 0]),
    ("softmax beside -inf", ops.softmax, [-INF, 1.0, 1.0], [0, 0.5, 0.5], [0, 0, 0]),
    ("log_softmax", ops.log_softmax, [1000.0, -1000.0], [0, -2000], [-1, 1]),
    ("log_softmax beside -inf", ops.log_softmax, [-INF, 1.0], [-INF, 0], [1, -1]),
    ("log1p of little", ops.log1p, [1e-12], [1e-12], [1]),
    ("expm1 of little", ops.expm1, [1e-12], [1e-12], [1]),
    ("norm of little", ops.norm, [3e-100, 4e-100], 5e-100, [0.6, 0.8]),
    ("var far from 0", ops.var, [1e8 + 1, 1e8 - 1], 1.0, [1, -1]),
    ("prod beside 0", ops.prod, [0.0, 1e300], 0.0, [1e300, 0]),
]


@pytest.mark.parametrize(("what", "function", "point", "values", "slopes"), STABLE, ids=[row[0] for row in STABLE])
def test_stable_and_silent(what: str, function: Any, point: Any, values: Any, slopes: Any) -> None:
    """A warning would be an error here."""
    x = Tensor(point, requires_grad=True)
    y = function(x)
    np.testing.assert_allclose(y.numpy(), values, rtol=1e-11, atol=0)
    np.testing.assert_allclose(function(np.array(point)), values, rtol=1e-11, atol=0)
    slope = tg.grad(y, x, np.ones(y.shape), create_graph=True)
    np.testing.assert_allclose(slope.numpy(), slopes, rtol=1e-11, atol=1e-300)
    if slope.requires_grad:
        assert np.isfinite(tg.grad(slope, x, np.ones(x.shape)).numpy()).all()


def test_logsumexp_of_infinity() -> None:
    np.testing.assert_array_equal(ops.logsumexp(np.array([[INF, 1000.0], [INF, -INF], [INF, INF]]), 1), [INF, INF, INF])
    assert ops.logsumexp(np.array([np.float32(INF), np.float32(1000.0)])) == INF
    assert math.isnan(ops.logsumexp(np.array([math.nan, 1.0])))


def test_logsumexp_of_integers() -> None:
    assert ops.logsumexp(np.array([0, 0, 1000])) == 1000.0


def test_float32_softmax_at_the_edge_of_its_range() -> None:
    x = Tensor(np.array([[3e38, -3e38], [88.8, 0.0]]), dtype=np.float32, requires_grad=True)
    with np.errstate(over="ignore"):  # 3e38 - -3e38 is not a float32
        y = ops.log_softmax(x, 1)
    np.testing.assert_array_equal(y.numpy()[0], [0.0, -INF])
    np.testing.assert_allclose(ops.logsumexp(x.numpy()[1]), 88.8, rtol=1e-6)


def test_large_arrays_broadcast_as_views_and_small_ones_as_copies_alike() -> None:
    for n in (10, 200):
        x = Tensor(random_like((n,)), requires_grad=True)
        y = ops.broadcast_to(x, (n, n))
        np.testing.assert_array_equal(y.numpy(), np.broadcast_to(x.numpy(), (n, n)))
        y.backward(np.ones((n, n)))
        np.testing.assert_array_equal(x.grad.numpy(), np.full(n, float(n)))


def test_lists_are_arrays() -> None:
    for call, expected in [
        (lambda: ops.sum([[1, 2], [3, 4]], axis=0), [4, 6]),
        (lambda: ops.matmul([[1.0, 2.0]], [3.0, 4.0]), [11]),
        (lambda: ops.getitem([1, 2, 3], slice(1, None)), [2, 3]),
        (lambda: ops.power([1, 2], [2, 2]), [1, 4]),
        (lambda: ops.clip([1, 5], 2, 4), [2, 4]),
        (lambda: ops.silu([0.0]), [0]),
        (lambda: ops.sigmoid([0, 0]), [0.5, 0.5]),
        (lambda: ops.transpose([[1, 2]]), [[1], [2]]),
        (lambda: ops.cumsum([1, 2]), [1, 3]),
        (lambda: ops.norm([3, 4]), 5),
    ]:
        got = call()
        assert isinstance(got, (np.ndarray, np.generic))
        np.testing.assert_array_equal(got, expected)


def test_python_numbers_are_arrays_where_there_is_a_shape_to_work_on() -> None:
    for call, expected in [
        (lambda: ops.transpose(2.0), np.transpose(2.0)),
        (lambda: ops.reshape(2.0, (1, 1)), np.reshape(2.0, (1, 1))),
        (lambda: ops.broadcast_to(2.0, (2,)), np.broadcast_to(2.0, (2,))),
        (lambda: ops.tile(2, 2), np.tile(2, 2)),
        (lambda: ops.sum(2.0), np.sum(2.0)),
        (lambda: ops.max(2), np.max(2)),
        (lambda: ops.flip(2.0), np.flip(2.0)),
        (lambda: ops.dot(2.0, [1, 2]), np.dot(2.0, [1, 2])),
        (lambda: ops.outer(2.0, [1, 2]), np.outer(2.0, [1, 2])),
        (lambda: ops.einsum(",->", 2.0, 3.0), 6.0),
        (lambda: ops.tensordot(2.0, 3.0, 0), np.tensordot(2.0, 3.0, 0)),
    ]:
        got = call()
        assert np.shape(got) == np.shape(expected)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_logsumexp_up_to_the_largest_number(dtype: Any, share: float) -> None:
    """Of one element it is that element, whatever its size; beside a huge one nothing else counts."""
    huge = dtype(np.finfo(dtype).max * dtype(share))
    for sign in (1.0, -1.0):
        alone = Tensor(np.array([dtype(sign) * huge]), requires_grad=True)
        result = ops.logsumexp(alone)
        assert result.dtype == dtype
        assert result.item() == float(dtype(sign) * huge)
        result.backward()
        assert alone.grad.item() == 1.0
    rows = Tensor(np.array([[huge, 0.0], [-huge, 0.0], [huge, -1.0]], dtype), requires_grad=True)
    result = ops.logsumexp(rows, axis=1)
    np.testing.assert_array_equal(result.numpy(), np.array([huge, 0.0, huge], dtype))
    result.backward(np.ones(3, dtype))
    np.testing.assert_array_equal(rows.grad.numpy(), [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize("x", [1.5, 1e10, 1e160, 1e300])
def test_the_slope_of_arccosh_where_a_square_would_overflow(x: float) -> None:
    at = Tensor([x, -x], requires_grad=True)
    ops.arccosh(at[:1]).backward()
    assert at.grad.numpy()[0] == pytest.approx(1.0 / math.sqrt(x - 1.0) / math.sqrt(x + 1.0), rel=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "axis"), [((2, 0), 1), ((0, 3), 0), ((2, 0, 3), -2), ((0,), 0)])
def test_softmax_over_nothing_is_nothing_as_in_pytorch(name, shape, axis):
    theirs = getattr(torch, name)(torch.zeros(shape), axis)
    x = tg.Tensor(np.zeros(shape, np.float32), requires_grad=True)
    ours = getattr(ops, name)(x, axis)
    assert (ours.shape, ours.dtype) == (tuple(theirs.shape), np.float32)
    ours.backward(np.zeros(shape, np.float32))
    assert x.grad.shape == shape
    assert getattr(ops, name)(np.zeros(shape), axis).shape == shape
