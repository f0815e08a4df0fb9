"""Where a derivative does not exist or a formula breaks down: the conventions, row by row.

Each row runs on a float64 tensor, on a float32 tensor and on scalars; the second derivative must be finite there too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Tensor, ops

INF = math.inf
W = np.array([10.0, 20.0, 30.0])

# what, function, point, gradient of the sum of its results, second derivative: gradient of the sum of the gradient
ROWS: list[tuple[str, Any, Any, Any, Any]] = [
    ("relu at 0", ops.relu, [-1, 0, 2], [0, 0, 1], [0, 0, 0]),
    ("abs at 0", ops.abs, [-1, 0, 2], [-1, 0, 1], [0, 0, 0]),
    ("sign at 0", lambda x: ops.sign(x) * x, [-1, 0, 2], [-1, 0, 1], [0, 0, 0]),
    ("maximum, tie", lambda x: ops.maximum(x, 1.0), [0, 1, 2], [0, 0.5, 1], [0, 0, 0]),
    ("minimum, tie", lambda x: ops.minimum(x, 1.0), [0, 1, 2], [1, 0.5, 0], [0, 0, 0]),
    ("maximum with itself", lambda x: ops.maximum(x, x), [0, 1, 2], [1, 1, 1], [0, 0, 0]),
    ("maximum of squares, tie", lambda x: ops.maximum(x * x, 1.0), [1, -1, 2], [1, -1, 4], [1, 1, 2]),
    ("clip at the bounds", lambda x: ops.clip(x, -1, 1), [-1, 1, 0], [1, 1, 1], [0, 0, 0]),
    ("clip outside", lambda x: ops.clip(x, -1, 1), [-2, 2, 0], [0, 0, 1], [0, 0, 0]),
    ("clip, one bound", lambda x: ops.clip(x, 0), [-1, 0, 2], [0, 1, 1], [0, 0, 0]),
    ("clip, equal bounds", lambda x: ops.clip(x, 1, 1), [0, 1, 2], [0, 1, 0], [0, 0, 0]),
    ("elu at 0", lambda x: ops.elu(x, 0.5), [0, 1, 2], [0.5, 1, 1], [0.5, 0, 0]),
    ("leaky relu at 0", lambda x: ops.leaky_relu(x, 0.25), [-1, 0, 1], [0.25, 0.25, 1], [0, 0, 0]),
    ("softplus at 0", ops.softplus, [0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]),
    ("sigmoid at 0", ops.sigmoid, [0, 0, 0], [0.25, 0.25, 0.25], [0, 0, 0]),
    ("silu at 0", ops.silu, [0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),
    ("x ** 2 at 0", lambda x: x**2, [0, 1, -1], [0, 2, -2], [2, 2, 2]),
    ("x ** 2. at 0", lambda x: x**2.0, [0, 1, -1], [0, 2, -2], [2, 2, 2]),
    ("x ** 1 at 0", lambda x: x**1, [0, 1, -1], [1, 1, 1], [0, 0, 0]),
    ("x ** 0 at 0", lambda x: x**0, [0, 1, -1], [0, 0, 0], [0, 0, 0]),
    ("square at 0", ops.square, [0, 1, -1], [0, 2, -2], [2, 2, 2]),
    ("max, tie", ops.max, [3, 1, 3], [0.5, 0, 0.5], [0, 0, 0]),
    ("max, all equal", ops.max, [2, 2, 2], [1 / 3, 1 / 3, 1 / 3], [0, 0, 0]),
    ("min, tie", ops.min, [1, 1, 3], [0.5, 0.5, 0], [0, 0, 0]),
    ("prod, one zero", ops.prod, [0, 2, 3], [6, 0, 0], [5, 3, 2]),
    ("prod, two zeros", ops.prod, [0, 0, 3], [0, 0, 0], [3, 3, 0]),
    ("prod, three zeros", ops.prod, [0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ("norm at 0", ops.norm, [0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ("1-norm at 0", lambda x: ops.norm(x, 1), [0, 0, 2], [0, 0, 1], [0, 0, 0]),
    ("3-norm at 0", lambda x: ops.norm(x, 3), [0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ("3-norm beside a 0", lambda x: ops.norm(x, 3), [0, 0, -2], [0, 0, -1], [0, 0, 0]),
    ("inf-norm, tie", lambda x: ops.norm(x, INF), [2, -2, 1], [0.5, -0.5, 0], [0, 0, 0]),
    ("inf-norm at 0", lambda x: ops.norm(x, INF), [0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ("std of equal numbers", ops.std, [2, 2, 2], [0, 0, 0], [0, 0, 0]),
    ("std with ddof of equal numbers", lambda x: ops.std(x, ddof=1), [2, 2, 2], [0, 0, 0], [0, 0, 0]),
    ("var of equal numbers", ops.var, [2, 2, 2], [0, 0, 0], [0, 0, 0]),
    ("repeated index", lambda x: ops.getitem(x, [0, 2, 2, 2]), [1, 2, 3], [1, 0, 3], [0, 0, 0]),
    ("repeated take", lambda x: ops.take(x, [1, 1]), [1, 2, 3], [0, 2, 0], [0, 0, 0]),
    ("cumsum", lambda x: ops.cumsum(x), [0, 0, 0], [3, 2, 1], [0, 0, 0]),
    ("softmax does not see a shift", ops.softmax, [5, 5, 5], [0, 0, 0], [0, 0, 0]),
    ("logsumexp, tie", ops.logsumexp, [7, 7, 7], [1 / 3, 1 / 3, 1 / 3], [0, 0, 0]),
    ("logsumexp of -inf alone", ops.logsumexp, [-INF, -INF, -INF], [0, 0, 0], [0, 0, 0]),
    ("logsumexp beside -inf", ops.logsumexp, [-INF, 1, 1], [0, 0.5, 0.5], [0, 0, 0]),
    ("a choice not taken", lambda x: ops.where(x > 0, x, 0.0), [-1, 0, 2], [0, 0, 1], [0, 0, 0]),
]


def twice(results: Any, leaves: list[Any]) -> tuple[Any, Any]:
    """Gradients of the sum of the results by each leaf, and gradients of the sum of those."""
    first = tg.grad([ops.sum(results)], leaves, create_graph=True)
    recorded = [g for g in first if g is not None and g.requires_grad]
    if not recorded:
        return first, [None] * len(leaves)
    return first, tg.grad(recorded, leaves, [np.ones(g.shape) for g in recorded])


@pytest.mark.parametrize(("what", "function", "point", "first", "second"), ROWS, ids=[row[0] for row in ROWS])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_on_tensors(what: str, function: Any, point: Any, first: Any, second: Any, dtype: Any) -> None:
    x = Tensor(point, requires_grad=True, dtype=dtype)
    ops.sum(function(x)).backward()
    np.testing.assert_allclose(x.grad.numpy(), first, rtol=1e-6, atol=1e-7)
    slopes, curves = twice(function(x), [x])
    np.testing.assert_allclose(slopes[0].numpy(), first, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(0.0 if curves[0] is None else curves[0].numpy(), second, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("what", "function", "point", "first", "second"), ROWS, ids=[row[0] for row in ROWS])
def test_on_scalars(what: str, function: Any, point: Any, first: Any, second: Any) -> None:
    x = tg.scalarize(np.array(point, float))
    slopes, curves = twice(function(x), list(x))
    np.testing.assert_allclose([0.0 if s is None else s.item() for s in slopes], first, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose([0.0 if c is None else c.item() for c in curves], second, rtol=1e-12, atol=1e-9)


def test_sqrt_is_infinitely_steep_at_0() -> None:
    x = Tensor([0.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        ops.sum(ops.sqrt(x)).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [INF, 0.25])
    s = tg.Scalar(0.0)
    ops.sqrt(s).backward()
    assert s.grad.item() == INF


def test_maximum_and_minimum_split_a_tie_between_their_arguments() -> None:
    for operation in (ops.maximum, ops.minimum):
        x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor(1.0, requires_grad=True)
        operation(x, y).backward(np.array([10.0, 30.0]))
        winner_of_second = x if operation is ops.maximum else y
        expected_x = [5.0, 30.0] if winner_of_second is x else [5.0, 0.0]
        np.testing.assert_array_equal(x.grad.numpy(), expected_x)
        np.testing.assert_array_equal(y.grad.numpy(), 40.0 - sum(expected_x))


def test_extrema_split_a_tie_over_several_axes() -> None:
    for operation, sign in ((ops.max, 1.0), (ops.min, -1.0)):
        x = Tensor(sign * np.array([[[1.0, 5.0], [5.0, 0.0]], [[2.0, 2.0], [1.0, 2.0]]]), requires_grad=True)
        operation(x, axis=(1, 2)).backward(np.array([10.0, 30.0]))
        np.testing.assert_array_equal(x.grad.numpy(), [[[0, 5], [5, 0]], [[10, 10], [0, 10]]])


def test_clip_gives_a_clipped_value_to_the_bound_that_clips() -> None:
    x, low, high = (Tensor(v, requires_grad=True) for v in ([-2.0, 0.0, 2.0, -1.0, 1.0], -1.0, 1.0))
    ops.clip(x, low, high).backward(np.array([1.0, 10.0, 100.0, 1000.0, 10000.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [0, 10, 0, 1000, 10000])
    assert low.grad.item() == 1.0
    assert high.grad.item() == 100.0


@pytest.mark.parametrize("x", [-3.0, 0.0, 1.0, 3.0])
def test_where_bounds_cross_the_upper_one_wins(x: float) -> None:
    value, low, high = Tensor(x, requires_grad=True), Tensor(2.0, requires_grad=True), Tensor(-1.0, requires_grad=True)
    y = ops.clip(value, low, high)
    assert y.item() == np.clip(x, 2.0, -1.0) == -1.0
    y.backward()
    assert [v.grad.item() for v in (value, low, high)] == [0.0, 0.0, 1.0]


def test_powers_of_zero() -> None:
    x, y = Tensor([0.0, 0.0, 0.0, 0.0], requires_grad=True), Tensor([0.0, 1.0, 2.0, 3.0], requires_grad=True)
    z = ops.power(x, y)
    np.testing.assert_array_equal(z.numpy(), [1, 0, 0, 0])
    first = tg.grad(z, x, np.ones(4), create_graph=True)
    np.testing.assert_array_equal(first.numpy(), [0, 1, 0, 0])
    np.testing.assert_array_equal(tg.grad(first, x, np.ones(4)).numpy(), [0, 0, 2, 0])
    np.testing.assert_array_equal(tg.grad(ops.power(x, y), y, np.ones(4)).numpy(), [0, 0, 0, 0])


def test_a_negative_base_has_a_derivative_for_a_constant_exponent() -> None:
    x = Tensor([-2.0, -1.0], requires_grad=True)
    ops.power(x, np.array([3.0, 2.0])).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [12.0, -2.0])


def test_std_and_norm_mix_zero_and_other_rows() -> None:
    x = Tensor([[2.0, 2.0], [1.0, 3.0]], requires_grad=True)
    ops.std(x, axis=1).backward(W[:2])
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0], [-10, 10]], rtol=1e-15)
    x = Tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    ops.norm(x, axis=1).backward(W[:2])
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0], [12, 16]], rtol=1e-15)


def test_a_maximum_of_nan_has_no_gradient_to_give() -> None:
    x = Tensor([[1.0, np.nan], [1.0, 2.0]], requires_grad=True)
    y = ops.max(x, axis=1)
    np.testing.assert_array_equal(y.numpy(), [np.nan, 2.0])
    with np.errstate(invalid="ignore"):
        y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [[np.nan, np.nan], [0, 1]])


def test_integer_operands_of_a_kink() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    ops.maximum(x, np.array([1, 1])).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [0.5, 1.0])
