"""Derivatives of derivatives: the backward pass is recorded, on both kinds of variables, as often as one likes."""

import math

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Scalar, Tensor, grad, no_grad, ops


def derivatives(function, value, orders, make):
    x = make(value)
    y = function(x)
    found = []
    for _ in range(orders):
        (y,) = grad([y], [x], create_graph=True)
        found.append(y.item())
    return found


X = 0.7
TOWERS = {
    "x**5": (lambda x: x**5, [5 * X**4, 20 * X**3, 60 * X**2, 120 * X]),
    "exp(2x)": (lambda x: ops.exp(x * 2.0), [2**n * math.exp(2 * X) for n in range(1, 5)]),
    "sin": (ops.sin, [math.cos(X), -math.sin(X), -math.cos(X), math.sin(X)]),
    "1/x": (lambda x: 1.0 / x, [-(X**-2), 2 * X**-3, -6 * X**-4, 24 * X**-5]),
    "log": (ops.log, [1 / X, -(X**-2), 2 * X**-3, -6 * X**-4]),
    "sqrt": (ops.sqrt, [0.5 * X**-0.5, -0.25 * X**-1.5, 0.375 * X**-2.5, -0.9375 * X**-3.5]),
    "x*x*x*x by products": (lambda x: x * x * x * x, [4 * X**3, 12 * X**2, 24 * X, 24.0]),
    "sigmoid": (
        ops.sigmoid,
        (lambda s: [s - s**2, s - 3 * s**2 + 2 * s**3, s - 7 * s**2 + 12 * s**3 - 6 * s**4,
                    s - 15 * s**2 + 50 * s**3 - 60 * s**4 + 24 * s**5])(1 / (1 + math.exp(-X))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", [Scalar, lambda v: Tensor(v, requires_grad=True)], ids=["scalar", "tensor"])
@pytest.mark.parametrize(("function", "expected"), TOWERS.values(), ids=TOWERS)
def test_four_orders_in_closed_form(function, expected, make):
    np.testing.assert_allclose(derivatives(function, X, 4, make), expected, rtol=1e-12)


def test_many_orders_of_exp_are_exp():
    np.testing.assert_allclose(derivatives(ops.exp, X, 9, Scalar), [math.exp(X)] * 9, rtol=1e-14)


def test_a_polynomial_runs_out_of_derivatives():
    for make in (Scalar, lambda v: Tensor(v, requires_grad=True)):
        x = make(2.0)
        (first,) = grad([x * 3.0], [x], create_graph=True)
        assert first.item() == 3.0
        assert not first.requires_grad
        with pytest.raises(tg.TinygradError, match="does not require a gradient"):
            grad([first], [x])
    assert derivatives(lambda x: x**2, 2.0, 2, Scalar) == [4.0, 2.0]


def test_gradients_of_gradients_are_the_same_on_scalars_and_tensors():
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=4), rng.normal(size=4)

    def loss(x):
        return ops.sum(ops.tanh(x * x) * x)

    tensor, scalars = Tensor(a, requires_grad=True), tg.scalarize(a)
    slope = grad(loss(tensor), tensor, create_graph=True)
    product = grad(slope, tensor, v)
    slopes = grad(loss(scalars), list(scalars), create_graph=True)
    products = grad(list(slopes), list(scalars), [float(x) for x in v])
    np.testing.assert_allclose([s.item() for s in slopes], slope.data, rtol=1e-13)
    np.testing.assert_allclose([p.item() for p in products], product.data, rtol=1e-12)


def test_a_recorded_gradient_depends_on_its_cotangent():
    x = Tensor([1.0, 2.0], requires_grad=True)
    w = Tensor([3.0, 4.0], requires_grad=True)
    g = grad(x * x, x, w, create_graph=True)
    by_x, by_w = grad(g, [x, w], np.array([1.0, 10.0]))
    np.testing.assert_array_equal(by_x.data, [6.0, 80.0])
    np.testing.assert_array_equal(by_w.data, [2.0, 40.0])


def test_a_gradient_penalty_trains():
    rng = np.random.default_rng(1)
    x = Tensor(rng.normal(size=(5, 3)), requires_grad=True)
    w = Tensor(rng.normal(size=(3, 1)), requires_grad=True)
    (slope,) = grad([ops.tanh(x @ w).sum()], [x], create_graph=True)
    penalty = ops.sum((ops.norm(slope, axis=1) - 1.0) ** 2)
    penalty.backward()

    def value(weights):
        out = np.tanh(x.data @ weights)
        slopes = (1.0 - out**2) * weights.T
        return np.sum((np.sqrt(np.sum(slopes**2, axis=1)) - 1.0) ** 2)

    h = 1e-6
    for i in range(3):
        step = np.zeros((3, 1))
        step[i] = h
        expected = (value(w.data + step) - value(w.data - step)) / (2 * h)
        assert w.grad.data[i, 0] == pytest.approx(expected, rel=1e-6)


def test_kept_intermediates_and_plain_gradients_of_a_recorded_pass():
    x = Tensor([2.0], requires_grad=True)
    y = x * x
    y.retain_grad()
    (y * y).backward(create_graph=True)
    assert y.grad.item() == 8.0
    assert y.grad.requires_grad
    assert x.grad.item() == 32.0
    (curvature,) = grad([x.grad], [x])
    assert curvature.item() == 48.0  # 12 x**2
    x.grad = y.grad = None


def test_create_graph_works_inside_no_grad():
    x = Scalar(2.0)
    y = x**3
    with no_grad():
        (slope,) = grad([y], [x], create_graph=True)
        (curvature,) = grad([slope], [x])
    assert (slope.item(), curvature.item()) == (12.0, 12.0)


def test_mixed_precision_to_second_order():
    x = Tensor(np.array([1.5, 2.5], np.float32), requires_grad=True)
    y = Tensor(np.array([0.5, 2.0]), requires_grad=True)
    (slope,) = grad([ops.sum(x * x * y)], [x], create_graph=True)
    assert slope.dtype == np.float32
    by_x, by_y = grad([ops.sum(slope)], [x, y])
    assert (by_x.dtype, by_y.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(by_x.data, 2.0 * y.data, rtol=1e-6)
    np.testing.assert_allclose(by_y.data, 2.0 * x.data, rtol=1e-6)


def test_broadcasting_to_second_order():
    x, y = Tensor(np.ones((3, 1)), requires_grad=True), Tensor(np.arange(1.0, 5.0), requires_grad=True)
    (slope,) = grad([ops.sum(x * x * y)], [y], create_graph=True)
    np.testing.assert_array_equal(slope.data, np.full(4, 3.0))
    (by_x,) = grad([slope], [x], [np.array([1.0, 10.0, 100.0, 1000.0])])
    np.testing.assert_array_equal(by_x.data, np.full((3, 1), 2222.0))
