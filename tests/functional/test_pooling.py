"""Pooling: PyTorch on random settings, ties and infinities, the definition of adaptive tiles, what is refused."""

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
from tinygrad_bn.errors import ArgumentError, ShapeError


@st.composite
def poolings(draw, dilated=False):
    """Shapes and settings that PyTorch takes."""
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.none() | st.integers(1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in window)
    dilation = draw(st.integers(1, 2)) if dilated else 1
    size = tuple(
        max(dilation, dilation * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 4)) for k, p in zip(window, padding)
    )
    lead = draw(st.sampled_from([(2,), (0, 2), (2, 1)]))
    return (*lead, *size), window, stride, padding, dilation, draw(st.booleans())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(poolings(dilated=True))
def test_max_pool2d_is_pytorchs_to_second_order(case):
    shape, window, stride, padding, dilation, ceil_mode = case
    compare_with_torch(
        lambda x: fn.max_pool2d(x * x * x, window, stride, padding, dilation, ceil_mode),
        lambda x: torch.nn.functional.max_pool2d(x * x * x, window, stride, padding, dilation, ceil_mode),
        [random_like(shape)],
        rtol=1e-9,
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(poolings(), st.booleans(), st.sampled_from([None, 3, -2]))
def test_avg_pool2d_is_pytorchs_to_second_order(case, count_include_pad, divisor):
    shape, window, stride, padding, _, ceil_mode = case
    compare_with_torch(
        lambda x: fn.avg_pool2d(x * x * x, window, stride, padding, ceil_mode, count_include_pad, divisor),
        lambda x: torch.nn.functional.avg_pool2d(
            x * x * x, window, stride, padding, ceil_mode, count_include_pad, divisor
        ),
        [random_like(shape)],
        rtol=1e-9,
    )


@pytest.mark.parametrize("shape", [(2, 3, 7), (3, 7)], ids=str)
def test_pooling_in_one_dimension_is_pytorchs(shape):
    x = [random_like(shape)]
    torchs = torch.nn.functional
    compare_with_torch(lambda x: fn.max_pool1d(x * x, 3, 2, 1), lambda x: torchs.max_pool1d(x * x, 3, 2, 1), x)
    compare_with_torch(lambda x: fn.avg_pool1d(x * x, 3, 2, 1), lambda x: torchs.avg_pool1d(x * x, 3, 2, 1), x)
    compare_with_torch(lambda x: fn.adaptive_avg_pool1d(x * x, 3), lambda x: torchs.adaptive_avg_pool1d(x * x, 3), x)
    compare_with_torch(lambda x: fn.adaptive_avg_pool1d(x * x, (1,)), lambda x: torchs.adaptive_avg_pool1d(x * x, 1), x)


@pytest.mark.parametrize("size", [(2, 3), (5, 4), (1, 1), (9, 1), (None, 2), 3], ids=str)
def test_adaptive_tiles_are_the_means_of_their_definition(size):
    x = random_like((2, 5, 4))
    got = fn.adaptive_avg_pool2d(x, size)
    rows, columns = size if isinstance(size, tuple) else (size, size)
    rows = 5 if rows is None else rows
    expected = np.empty((2, rows, columns))
    for i, j in np.ndindex(rows, columns):
        tile = x[:, 5 * i // rows : -(-5 * (i + 1) // rows), 4 * j // columns : -(-4 * (j + 1) // columns)]
        expected[:, i, j] = tile.mean(axis=(1, 2))
    assert_allclose(got, expected, rtol=1e-12)
    compare_with_complex_step(lambda x: fn.adaptive_avg_pool2d(x, size), [x])


def test_of_equal_largest_elements_the_first_gets_the_gradient():
    x = tg.Tensor(np.ones((1, 1, 2, 4)), requires_grad=True)
    fn.max_pool2d(x, 2).backward(np.array([[[[3.0, 5.0]]]]))
    assert_array_equal(x.grad.numpy()[0, 0], [[3.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    theirs = torch.ones((1, 1, 2, 4), requires_grad=True)
    torch.nn.functional.max_pool2d(theirs, 2).backward(torch.tensor([[[[3.0, 5.0]]]]))
    assert_array_equal(x.grad.numpy(), theirs.grad)


def test_overlapping_windows_add_up():
    x = tg.Tensor([[0.0, 9.0, 1.0]], requires_grad=True)
    fn.max_pool1d(x, 2, 1).backward(np.array([[2.0, 3.0]]))
    assert_array_equal(x.grad.numpy(), [[0.0, 5.0, 0.0]])


def test_the_padding_never_wins_and_not_a_number_does():
    x = np.full((1, 3, 3), -1e300)
    assert fn.max_pool2d(x, 3, 1, 1).max() == -1e300
    x[0, 1, 1] = np.nan
    assert np.isnan(fn.max_pool2d(x, 3)).all()
    assert_array_equal(fn.max_pool1d(np.full((1, 2), -np.inf), 2), [[-np.inf]])


def test_float32_stays_float32_with_padding_and_counts():
    x = tg.Tensor(random_like((1, 1, 5, 5)).astype(np.float32), requires_grad=True)
    for y in (
        fn.max_pool2d(x, 3, 2, 1),
        fn.avg_pool2d(x, 3, 2, 1, True, False),
        fn.avg_pool2d(x, 2, divisor_override=3),
        fn.adaptive_avg_pool2d(x, 2),
        fn.adaptive_avg_pool2d(x, 1),
    ):
        assert y.dtype == np.float32
        y.backward(np.ones(y.shape))
        assert x.grad.dtype == np.float32


def test_scalars_are_pooled_like_the_tensor():
    x = random_like((1, 4, 4))
    scalars = tg.scalarize(x)
    assert_allclose(tg.values_of(fn.max_pool2d(scalars, 2)), fn.max_pool2d(x, 2))
    assert_allclose(tg.values_of(fn.avg_pool2d(scalars, 3, 2, 1)), fn.avg_pool2d(x, 3, 2, 1))


IMAGE = np.zeros((2, 3, 4, 5))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.max_pool2d(IMAGE[0, 0], 2), ShapeError, ["max_pool2d: wrong number of axes", "(4, 5)", "(C, H, W)"]),
        (lambda: fn.avg_pool1d(IMAGE, 2), ShapeError, ["avg_pool1d: wrong number of axes", "(N, C, L)"]),
        (lambda: fn.max_pool2d(IMAGE, 5), ShapeError, ["max_pool2d: the window is larger", "(2, 3, 4, 5)"]),
        (lambda: fn.max_pool2d(IMAGE, 3, dilation=2), ShapeError, ["larger than the image", "dilation (2, 2)"]),
        (lambda: fn.max_pool1d(IMAGE[0], 2, 1, 1, 6), ShapeError, ["nothing but padding", "dilation (6,)"]),
        (lambda: fn.avg_pool2d(IMAGE[..., :0], 1, ceil_mode=True), ShapeError, ["larger than the image"]),
        (lambda: fn.max_pool2d(IMAGE, 0), ArgumentError, ["kernel_size", "at least 1"]),
        (lambda: fn.max_pool2d(IMAGE, 2, (1, 2, 3)), ArgumentError, ["stride", "(1, 2, 3)"]),
        (lambda: fn.max_pool2d(IMAGE, 2, padding=-1), ArgumentError, ["padding", "at least 0"]),
        (lambda: fn.avg_pool2d(IMAGE, 3, padding=2), ArgumentError, ["at most half of the window", "(2, 2)"]),
        (lambda: fn.max_pool2d(IMAGE, 2, dilation="1"), ArgumentError, ["dilation", "'1'"]),
        (lambda: fn.avg_pool2d(IMAGE, 2, divisor_override=0), ArgumentError, ["divisor_override"]),
        (lambda: fn.adaptive_avg_pool2d(IMAGE, 0), ArgumentError, ["adaptive_avg_pool2d: output_size", "at least 1"]),
        (lambda: fn.adaptive_avg_pool2d(IMAGE, (1, 2, 3)), ArgumentError, ["output_size", "(1, 2, 3)"]),
        (lambda: fn.adaptive_avg_pool2d(IMAGE[..., :0], 1), ShapeError, ["an axis without elements"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_explained(call, error, words):
    with told(error, words):
        call()
