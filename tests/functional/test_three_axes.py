"""Convolution and pooling over three axes: PyTorch on random settings to second order, ties, NaN, float32, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.oracles import compare_with_complex_step, compare_with_torch, random_like
from tests.told import told
from tinygrad_bn import functional as fn
from tinygrad_bn.errors import ArgumentError, DTypeError, ShapeError

THEIRS = torch.nn.functional
THREE = range(3)


def triple(draw, low, high):
    return tuple(draw(st.integers(low, high)) for _ in THREE)


@st.composite
def convolutions(draw, transposed=False):
    """Shapes and settings that fit each other."""
    groups, batch = draw(st.integers(1, 2)), draw(st.sampled_from([(), (1,), (2,)]))
    window, stride, dilation = triple(draw, 1, 2), triple(draw, 1, 2), triple(draw, 1, 2)
    padding = triple(draw, 0, 1)
    channels, outputs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, window)]
    if transposed:
        extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
        size = [1 + 2 * p + draw(st.integers(0, 1)) for p in padding]
        arrays = (*batch, channels, *size), (channels, outputs // groups, *window)
        return arrays, outputs, (stride, padding, extra, groups, dilation)
    size = [max(1, r - 2 * p) + draw(st.integers(0, 2)) for r, p in zip(reach, padding)]
    return (
        ((*batch, channels, *size), (outputs, channels // groups, *window)),
        outputs,
        (stride, padding, dilation, groups),
    )


@pytest.mark.parametrize(("name", "transposed"), [("conv3d", False), ("conv_transpose3d", True)])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_convolution_is_pytorchs_to_second_order(name, transposed, data):
    (x_shape, w_shape), outputs, rest = data.draw(convolutions(transposed))
    arrays = [random_like(x_shape), random_like(w_shape, 1), random_like((outputs,), 2)]
    compare_with_torch(
        lambda x, w, b: getattr(fn, name)(x, w * w, b, *rest),
        lambda x, w, b: getattr(THEIRS, name)(x, w * w, b, *rest),
        arrays,
        rtol=1e-8,
    )


@st.composite
def poolings(draw, unpadded=False):
    """Shapes and settings that PyTorch takes; its avg_pool3d wants the window to fit without the padding."""
    window = triple(draw, 1, 3)
    padding = tuple(draw(st.integers(0, k // 2)) for k in window)
    size = tuple((k if unpadded else max(1, k - 2 * p)) + draw(st.integers(0, 2)) for k, p in zip(window, padding))
    lead = draw(st.sampled_from([(2,), (2, 1)]))
    return (*lead, *size), window, draw(st.none() | st.integers(1, 3)), padding, draw(st.booleans())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(poolings())
def test_max_pool3d_is_pytorchs_to_second_order(case):
    shape, window, stride, padding, ceil_mode = case
    compare_with_torch(
        lambda x: fn.max_pool3d(x * x * x, window, stride, padding, 1, ceil_mode),
        lambda x: THEIRS.max_pool3d(x * x * x, window, stride, padding, 1, ceil_mode),
        [random_like(shape)],
        rtol=1e-9,
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(poolings(unpadded=True), st.booleans(), st.sampled_from([None, 3, -2]))
def test_avg_pool3d_is_pytorchs_to_second_order(case, count_include_pad, divisor):
    shape, window, stride, padding, ceil_mode = case
    compare_with_torch(
        lambda x: fn.avg_pool3d(x * x * x, window, stride, padding, ceil_mode, count_include_pad, divisor),
        lambda x: THEIRS.avg_pool3d(x * x * x, window, stride, padding, ceil_mode, count_include_pad, divisor),
        [random_like(shape)],
        rtol=1e-9,
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.tuples(*[st.none() | st.integers(1, 6)] * 3),
    st.sampled_from([(2,), (2, 2)]),
)
def test_adaptive_avg_pool3d_is_pytorchs_to_second_order(size, wanted, lead):
    compare_with_torch(
        lambda x: fn.adaptive_avg_pool3d(x * x * x, wanted),
        lambda x: THEIRS.adaptive_avg_pool3d(x * x * x, wanted),
        [random_like((*lead, *size))],
        rtol=1e-9,
    )


def test_gradients_are_the_complex_step_of_the_forward():
    x, weight, bias = random_like((2, 2, 2, 3, 2)), random_like((3, 2, 1, 2, 2), 1), random_like((3,), 2)
    compare_with_complex_step(lambda x, w, b: fn.conv3d(x, w, b, padding="same"), [x, weight, bias])
    compare_with_complex_step(
        lambda x, w: fn.conv_transpose3d(x, w, stride=2), [x, random_like((2, 1, 1, 2, 2), 1)]
    )  # fmt: skip
    compare_with_complex_step(lambda x: fn.avg_pool3d(x, 2, 1, 1), [x])
    compare_with_complex_step(lambda x: fn.adaptive_avg_pool3d(x, (2, 2, 1)), [x])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_of_equal_largest_elements_the_first_gets_the_gradient_and_nan_stays(n):
    pool, theirs = getattr(fn, f"max_pool{n}d"), getattr(THEIRS, f"max_pool{n}d")
    for values in (np.ones((2, 1, *[4] * n)), np.full((1, 1, *[2] * n), -np.inf)):
        x, t = tg.Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        y, expected = pool(x, 2), theirs(t, 2)
        cotangent = random_like(y.shape)
        y.backward(cotangent)
        expected.backward(torch.tensor(cotangent))
        assert_array_equal(y.numpy(), expected.detach().numpy())
        if np.isfinite(values).all():
            assert_array_equal(x.grad.numpy(), t.grad.numpy())
    holed = random_like((1, 1, *[4] * n))
    holed[(0, 0, *[1] * n)] = np.nan
    assert_array_equal(pool(holed, 2), theirs(torch.tensor(holed), 2).numpy())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: fn.max_pool1d(x, 2, 1),
        lambda x: fn.avg_pool1d(x, 3, 1, 1, count_include_pad=False),
        lambda x: fn.adaptive_avg_pool1d(x, 3),
        lambda x: fn.conv1d(x, np.ones((2, 2, 2)), padding=1),
        lambda x: fn.pad(x, (1, 2), "reflect"),
        lambda x: fn.kl_div(x, np.ones(()) * 0.5 + x.detach() * 0.0, "batchmean"),
        lambda x: fn.layer_norm(x, 5),
        lambda x: fn.group_norm(x, 1),
        fn.instance_norm,
    ],
)
def test_no_array_that_an_operation_gets_is_as_long_as_the_batch(function, monkeypatch):
    """What is made of the batch's length outside of the operations would be wrong for a batch of another length."""
    call, given = tg.Primitive.__call__, []

    def noting(self, *args, **params):
        given.extend(arg.shape for arg in args if isinstance(arg, np.ndarray))
        return call(self, *args, **params)

    monkeypatch.setattr(tg.Primitive, "__call__", noting)
    shapes = []
    for batch in (3, 7):
        given.clear()
        function(tg.Tensor(random_like((batch, 2, 5)), requires_grad=True))
        shapes.append(list(given))
    assert shapes[0] == shapes[1]


def test_float32_stays_float32():
    x, weight = random_like((1, 2, 3, 3, 3)).astype(np.float32), random_like((2, 2, 2, 2, 2), 1).astype(np.float32)
    for got, expected in [
        (fn.conv3d(x, weight), THEIRS.conv3d(torch.tensor(x), torch.tensor(weight))),
        (fn.conv_transpose3d(x, weight), THEIRS.conv_transpose3d(torch.tensor(x), torch.tensor(weight))),
        (fn.max_pool3d(x, 2), THEIRS.max_pool3d(torch.tensor(x), 2)),
        (fn.avg_pool3d(x, 2), THEIRS.avg_pool3d(torch.tensor(x), 2)),
        (fn.adaptive_avg_pool3d(x, 2), THEIRS.adaptive_avg_pool3d(torch.tensor(x), 2)),
    ]:
        assert got.dtype == np.float32
        assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.conv3d(np.ones((2, 2)), np.ones((1, 1, 1, 1, 1))), ShapeError, ["conv3d", "(N, C, D, H, W)"]),
        (lambda: fn.conv3d(np.ones((1, 2, 2, 2, 2)), np.ones((1, 2, 1, 1))), ShapeError, ["conv3d: weight"]),
        (lambda: fn.conv3d(np.ones((1, 2, 2, 2, 2), int), np.ones((1, 2, 1, 1, 1))), DTypeError, ["conv3d: input"]),
        (lambda: fn.conv3d(np.ones((1, 2, 2, 2, 2)), np.ones((1, 2, 3, 1, 1))), ShapeError, ["larger than the image"]),
        (lambda: fn.conv3d(np.ones((1, 2, 2, 2, 2)), np.ones((1, 2, 1, 1, 1)), groups="2"), ArgumentError, ["groups"]),
        (
            lambda: fn.conv3d(np.ones((1, 2, 2, 2, 2)), np.ones((1, 2, 1, 1, 1)), stride=(1, 2)),
            ArgumentError,
            ["stride"],
        ),
        (lambda: fn.max_pool3d(np.ones((1, 2, 2, 2, 2)), 3), ShapeError, ["max_pool3d: the window"]),
        (lambda: fn.avg_pool3d(np.ones((1, 2, 2, 2, 2)), 2, padding=2), ArgumentError, ["half of the window"]),
        (lambda: fn.adaptive_avg_pool3d(np.ones((1, 2, 2, 2, 2)), (1, 2)), ArgumentError, ["tuple of 3"]),
    ],
)
def test_what_does_not_fit_is_explained(call, error, words):
    with told(error, words):
        call()
