"""Elementwise losses against PyTorch to second order, at their kinks and extremes, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.oracles import compare_with_complex_step, compare_with_torch, random_like
from tests.told import told
from tinygrad_bn import functional as fn
from tinygrad_bn.errors import ArgumentError, ShapeError

THEIRS = torch.nn.functional
X, T = random_like((3, 4)) * 2, random_like((3, 4), 1)
P, Q = 1 / (1 + np.exp(-X)), 1 / (1 + np.exp(-T))
REDUCTIONS = ["mean", "sum", "none"]
WEIGHT = np.abs(random_like((4,), 5))
TENSOR = torch.tensor(WEIGHT)

# name, arguments, our settings, theirs
LOSSES = [
    ("mse_loss", (X, T), {}, {}),
    ("l1_loss", (X, T), {}, {}),
    ("huber_loss", (X, T), {"delta": 1.3}, {"delta": 1.3}),
    ("smooth_l1_loss", (X, T), {"beta": 0.7}, {"beta": 0.7}),
    ("smooth_l1_loss", (X, T), {"beta": 0}, {"beta": 0}),
    ("binary_cross_entropy", (P, Q), {}, {}),
    ("binary_cross_entropy", (P, Q), {"weight": WEIGHT}, {"weight": TENSOR}),
    ("binary_cross_entropy_with_logits", (X, Q), {}, {}),
    ("binary_cross_entropy_with_logits", (X, Q), {"weight": WEIGHT[:1]}, {"weight": TENSOR[:1]}),
    ("binary_cross_entropy_with_logits", (X, Q), {"pos_weight": WEIGHT}, {"pos_weight": TENSOR}),
    ("kl_div", (X, Q), {}, {}),
    ("kl_div", (X, T), {"log_target": True}, {"log_target": True}),
]
IDS = [f"{name}-{'-'.join(settings)}-{i}" for i, (name, _, settings, _) in enumerate(LOSSES)]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # PyTorch's advice about kl_div
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "arrays", "settings", "theirs"), LOSSES, ids=IDS)
def test_losses_are_pytorchs_to_second_order_by_prediction_and_target(name, arrays, settings, theirs, reduction):
    ours = getattr(fn, name)
    if name.startswith("binary"):  # PyTorch has no second derivative by these targets
        target = torch.tensor(arrays[1])
        compare_with_torch(
            lambda x: ours(x, arrays[1], reduction=reduction, **settings),
            lambda x: getattr(THEIRS, name)(x, target, reduction=reduction, **theirs),
            arrays[:1],
            rtol=1e-9,
        )
        return
    compare_with_torch(
        lambda x, t: ours(x, t, reduction=reduction, **settings),
        lambda x, t: getattr(THEIRS, name)(x, t, reduction=reduction, **theirs),
        arrays,
        rtol=1e-9,
    )


def test_batchmean_divides_by_the_length_of_the_first_axis():
    compare_with_torch(
        lambda x, t: fn.kl_div(x, t, reduction="batchmean"),
        lambda x, t: THEIRS.kl_div(x, t, reduction="batchmean"),
        [X, Q],
        rtol=1e-9,
    )


@pytest.mark.parametrize(
    "loss",
    [
        fn.mse_loss,
        lambda p, t: fn.binary_cross_entropy(p, t, WEIGHT, "none"),
        lambda x, t: fn.kl_div(x, t, log_target=True),
        lambda x, t: fn.kl_div(x, t),
    ],
)
def test_gradients_by_both_arguments_are_the_complex_step_of_the_forward(loss):
    compare_with_complex_step(loss, [P, Q])


# -- kinks and extremes -------------------------------------------------------------------------------------------------


def slopes(loss, x, target):
    """First and second derivative by each element of the prediction."""
    point = tg.Tensor(x, requires_grad=True)
    first = tg.grad(loss(point, np.asarray(target), reduction="sum"), point, create_graph=True)
    return first.numpy(), tg.grad(first.sum(), point).numpy() if first.requires_grad else np.zeros_like(x)


def test_kinks_are_on_the_quadratic_side_and_equal_numbers_have_no_slope():
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    for loss in (fn.huber_loss, fn.smooth_l1_loss):
        first, second = slopes(loss, x, np.zeros(5))
        assert_array_equal(first, [-1, -1, 0, 1, 1])
        assert_array_equal(second[[0, 2, 4]], [0, 1, 0])
    assert_array_equal(slopes(fn.l1_loss, x, np.zeros(5))[0], [-1, -1, 0, 1, 1])


def test_huge_errors_do_not_overflow():
    x = np.array([3e38], np.float32)
    assert_allclose(fn.huber_loss(x, np.zeros(1, np.float32)), 3e38, rtol=1e-6)
    assert_allclose(fn.smooth_l1_loss(x, np.zeros(1, np.float32)), 3e38, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_predictions_have_a_finite_loss_and_gradient(dtype):
    p, t = np.array([0.0, 0.0, 1.0, 1.0, 0.3], dtype), np.array([0.0, 1.0, 0.0, 1.0, 1.0], dtype)
    point = tg.Tensor(p, requires_grad=True)
    loss = fn.binary_cross_entropy(point, t, reduction="none")
    expected = THEIRS.binary_cross_entropy(torch.tensor(p), torch.tensor(t), reduction="none")
    assert_allclose(loss.numpy(), expected, rtol=1e-6)
    loss.backward(np.ones(5))
    assert_allclose(point.grad.numpy(), [1, 0, 0, -1, -1 / 0.3], rtol=1e-6)  # one-sided where it is finite


def test_nearly_certain_predictions_have_their_exact_loss_and_slope():
    p = tg.Tensor([1e-5, 1e-30, 1e-43], requires_grad=True)
    loss = fn.binary_cross_entropy(p, np.ones(3), reduction="none")
    loss.backward(np.ones(3))
    assert_allclose(loss.numpy(), -np.log([1e-5, 1e-30, 1e-43]), rtol=1e-14)
    assert_allclose(p.grad.numpy(), -1 / np.array([1e-5, 1e-30, 1e-43]), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_keep_their_small_gradients(dtype):
    z = tg.Tensor(np.array([50.0, -50.0, 80.0, -1e30, 1e30], dtype), requires_grad=True)
    t = np.array([1.0, 0.0, 0.0, 0.0, 1.0])
    loss = fn.binary_cross_entropy_with_logits(z, t.astype(dtype), reduction="none")
    loss.backward(np.ones(5, dtype))
    assert_allclose(loss.numpy(), [np.exp(-50.0), np.exp(-50.0), 80.0, 0.0, 0.0], rtol=1e-5)
    tiny = np.exp(-50.0)
    assert_allclose(z.grad.numpy(), [-tiny, tiny, 1.0, 0.0, 0.0], rtol=1e-5)


def test_a_target_of_zero_contributes_nothing_to_the_divergence():
    target = tg.Tensor([0.0, 1.0], requires_grad=True)
    loss = fn.kl_div(tg.Tensor([-3.0, -0.5]), target, reduction="none")
    assert_array_equal(loss.numpy(), [0.0, 0.5])
    loss.backward(np.ones(2))
    assert np.isfinite(target.grad.numpy()).all()


# -- kinds of arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [np.array([0, 1]), np.array([False, True]), [0, 1], tg.Tensor([0, 1])])
@pytest.mark.parametrize(
    "loss", ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits", "kl_div"]
)
def test_whole_numbers_as_targets_leave_float32_float32(loss, target):
    x = tg.Tensor(np.array([0.25, 0.5], np.float32), requires_grad=True)
    value = getattr(fn, loss)(x, target)
    value.backward()
    assert value.dtype == x.grad.dtype == np.float32
    assert_allclose(value.item(), getattr(fn, loss)(np.array([0.25, 0.5]), np.array([0.0, 1.0])), rtol=1e-6)


def test_small_integers_do_not_wrap_around():
    assert fn.mse_loss(np.array([1], np.uint8), np.array([3], np.uint8)) == 4.0


def test_weights_take_the_predictions_dtype():
    x = tg.Tensor(np.array([0.25, 0.5], np.float32), requires_grad=True)
    for weight in (np.array([1.0, 2.0]), [1, 2], tg.Tensor([1.0, 2.0])):
        value = fn.binary_cross_entropy_with_logits(x, [0, 1], weight, pos_weight=weight)
        assert value.dtype == np.float32


def test_scalars_have_the_tensors_loss():
    x, t = random_like((2, 3)), random_like((2, 3), 1)
    scalars = tg.scalarize(x)
    loss = fn.huber_loss(scalars, t)
    loss.backward()
    point = tg.Tensor(x, requires_grad=True)
    same = fn.huber_loss(point, t)
    same.backward()
    assert_allclose(loss.item(), same.item(), rtol=1e-13)
    assert_allclose(tg.gradients_of(scalars), point.grad.numpy(), rtol=1e-12)
    bits = fn.binary_cross_entropy(tg.scalarize([0.25, 0.5]), np.array([0.0, 1.0]))
    assert_allclose(bits.item(), fn.binary_cross_entropy(np.array([0.25, 0.5]), np.array([0.0, 1.0])), rtol=1e-13)
    assert fn.mse_loss(tg.Scalar(3.0), 1.0).item() == 4.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.l1_loss(X, T[0]), ShapeError, ["l1_loss: two arrays of one shape", "(3, 4) and (4,)"]),
        (lambda: fn.huber_loss(X, T, delta=0), ArgumentError, ["huber_loss: delta", "> 0"]),
        (lambda: fn.smooth_l1_loss(X, T, beta=-1.0), ArgumentError, ["smooth_l1_loss: beta", ">= 0"]),
        (lambda: fn.smooth_l1_loss(X, T, reduction="batchmean"), ArgumentError, ["reduction", "'batchmean'"]),
        (lambda: fn.binary_cross_entropy(X, Q), ArgumentError, ["probabilities", "0 to 1", "with_logits"]),
        (lambda: fn.binary_cross_entropy(P * np.nan, Q), ArgumentError, ["probabilities", "nan"]),
        (lambda: fn.binary_cross_entropy(P, Q, np.ones(3)), ShapeError, ["weight", "(3,)", "broadcasts to (3, 4)"]),
        (lambda: fn.binary_cross_entropy(P, Q, np.ones((2, 3, 4))), ShapeError, ["weight", "(2, 3, 4)"]),
        (lambda: fn.binary_cross_entropy_with_logits(X, Q, pos_weight=np.ones(2)), ShapeError, ["pos_weight", "(2,)"]),
        (lambda: fn.kl_div(np.zeros(()), np.ones(()), reduction="batchmean"), ShapeError, ["batchmean", "shape ()"]),
        (lambda: fn.kl_div(X[:0], Q[:0], reduction="batchmean"), ShapeError, ["batchmean", "(0, 4)"]),
        (lambda: fn.kl_div(X, Q, reduction="max"), ArgumentError, ["kl_div: reduction", "batchmean"]),
        (lambda: fn.l1_loss(X[:0], T[:0]), ShapeError, ["mean"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_explained(call, error, words):
    with told(error, words):
        call()


def test_an_empty_batch_has_a_sum_and_no_elements():
    empty = np.zeros((0, 3))
    for name in ("mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "kl_div"):
        assert getattr(fn, name)(empty, empty, reduction="sum") == 0.0
        assert getattr(fn, name)(empty, empty, reduction="none").shape == (0, 3)


@pytest.mark.parametrize("p", [0.0, 1e-300, 1e-60, 1e-40])
def test_the_logarithm_of_a_tiny_probability_is_cut_at_minus_100(p):
    """As in PyTorch, below exp(-100) and not only at 0."""
    expected = torch.nn.functional.binary_cross_entropy(
        torch.tensor([p], dtype=float), torch.tensor([1.0], dtype=float)
    )
    assert expected.item() == pytest.approx(min(100.0, -math.log(p) if p else math.inf), rel=1e-12)
    assert fn.binary_cross_entropy(np.array([p]), np.array([1.0])) == pytest.approx(expected.item(), rel=1e-12)
