"""Gradient clipping against PyTorch's, and what it must leave alone."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, GraphError
from tinygrad_bn.optim import clip_grad_norm_, clip_grad_value_


def pairs(dtype=np.float64, scale=1.0):
    rng = np.random.default_rng(0)
    ours = [nn.Parameter(np.ones(shape, dtype), name=f"p{i}") for i, shape in enumerate([(3, 2), (4,), (), (0,), (2,)])]
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    for p, q in list(zip(ours, theirs))[:-1]:  # the last has no gradient
        g = (scale * rng.standard_normal(p.shape)).astype(dtype)
        p.grad, q.grad = tg.Tensor(g), torch.tensor(g)
    return ours, theirs


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1, 1000.0])
def test_the_norm_and_the_scaled_gradients_are_pytorchs(max_norm, norm_type, dtype):
    ours, theirs = pairs(dtype)
    with np.errstate(all="raise"):
        norm = clip_grad_norm_(iter(ours), max_norm, norm_type)
    reference = torch.nn.utils.clip_grad_norm_([q for q in theirs if q.numel()], max_norm, norm_type)
    tolerance = 1e-9 if dtype is np.float64 else 1e-6
    assert type(norm) is float
    assert_allclose(norm, reference.item(), rtol=tolerance)
    for p, q in zip(ours[:-1], theirs):
        assert p.grad.dtype == dtype
        assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=tolerance)
    assert ours[-1].grad is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_clipped_values_are_pytorchs(dtype):
    ours, theirs = pairs(dtype)
    clip_grad_value_(ours, 0.5)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    for p, q in zip(ours[:-1], theirs):
        assert p.grad.dtype == dtype
        assert_array_equal(p.grad.numpy(), q.grad.numpy())
    assert max(np.abs(p.grad.numpy()).max(initial=0.0) for p in ours[:-1]) == 0.5


def test_a_gradient_shared_by_two_parameters_is_scaled_once_in_each():
    a, b = nn.Parameter(np.ones(3)), nn.Parameter(np.ones((1, 3)))
    (a + b.reshape(3)).backward(np.full(3, 2.0))  # both gradients are one array, or views of it
    clip_grad_norm_([a, b], 1.0)
    length = math.sqrt(24.0) + 1e-6
    assert_allclose(a.grad.numpy(), 2.0 / length, rtol=1e-12)
    assert_allclose(b.grad.numpy(), 2.0 / length, rtol=1e-12)


def test_one_tensor_is_a_list_of_one():
    p = nn.Parameter(np.ones(2))
    assert clip_grad_norm_(p, 1.0) == 0.0
    p.grad = tg.Tensor([3.0, 4.0])
    assert clip_grad_norm_(p, 10.0) == 5.0
    assert_array_equal(p.grad.numpy(), [3.0, 4.0])
    clip_grad_value_(p, 3.5)
    assert_array_equal(p.grad.numpy(), [3.0, 3.5])


def test_float32_gradients_whose_squares_overflow_are_still_measured():
    p = nn.Parameter(np.ones(2, np.float32))
    p.grad = tg.Tensor(np.array([3e30, 4e30], np.float32))
    assert_allclose(clip_grad_norm_([p], 1.0), 5e30, rtol=1e-6)
    assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize(("bad", "clipped"), [(np.nan, [np.nan, np.nan]), (np.inf, [np.nan, 0.0])])
def test_a_norm_that_is_not_finite_spreads_or_raises_as_in_pytorch(bad, clipped):
    p, q = nn.Parameter(np.ones(2), name="gamma"), nn.Parameter(np.ones(1), name="beta")
    gradients = tg.Tensor([bad, 1.0]), tg.Tensor([1.0])
    p.grad, q.grad = gradients
    with pytest.raises(GraphError, match=r"cannot be scaled.*\n.*'gamma'") as error:
        clip_grad_norm_([p, q], 1.0, error_if_nonfinite=True)
    assert "beta" not in str(error.value)
    assert (p.grad, q.grad) == gradients or (p.grad is gradients[0] and q.grad is gradients[1])
    assert not math.isfinite(clip_grad_norm_([p, q], 1.0))
    assert_array_equal(p.grad.numpy(), clipped)


def test_norms_that_overflow_only_together_are_reported():
    params = [nn.Parameter(np.ones(1)) for _ in range(2)]
    for p in params:
        p.grad = tg.Tensor([1e308])
    with pytest.raises(GraphError, match="norm inf, from all"):
        clip_grad_norm_(params, 1.0, norm_type=1.0, error_if_nonfinite=True)


@pytest.mark.parametrize(("max_norm", "norm_type"), [(0.0, 2.0), (-1.0, 2.0), ("1", 2.0), (1.0, 0.0), (np.nan, 2.0)])
def test_norms_that_are_not_positive(max_norm, norm_type):
    with pytest.raises(ArgumentError, match="both are numbers > 0"):
        clip_grad_norm_([nn.Parameter(np.ones(1))], max_norm, norm_type)


@pytest.mark.parametrize("bound", [-0.1, np.nan, "1"])
def test_bounds_that_are_negative(bound):
    with pytest.raises(ArgumentError, match="a number >= 0"):
        clip_grad_value_([nn.Parameter(np.ones(1))], bound)


@pytest.mark.parametrize("wrong", [np.ones(2), tg.Scalar(1.0), "weight"], ids=["array", "scalar", "name"])
def test_only_tensors_are_clipped(wrong):
    with pytest.raises(ArgumentError, match="clipping takes tensors"):
        clip_grad_norm_([wrong], 1.0)
    with pytest.raises(ArgumentError, match="clipping takes tensors"):
        clip_grad_value_([wrong], 1.0)
