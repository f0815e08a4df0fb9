"""Convolution and its transpose: the definition as loops, PyTorch on random settings, the complex step, what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tests.oracles import compare_with_complex_step, compare_with_torch, random_like
from tests.told import told
from tinygrad_bn import functional as fn
from tinygrad_bn.errors import ArgumentError, DTypeError, ShapeError


def by_definition(x, weight, bias, stride, padding, dilation, groups):
    """The sum over channels and window, element by element."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    n, _, h, w = x.shape
    o, share, kh, kw = weight.shape
    ho = (h - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    wo = (w - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, o, ho, wo))
    for a, b, i, j in np.ndindex(y.shape):
        group = b // (o // groups)
        total = bias[b]
        for s, p, q in itertools.product(range(share), range(kh), range(kw)):
            pixel = x[a, group * share + s, i * stride[0] + p * dilation[0], j * stride[1] + q * dilation[1]]
            total += weight[b, s, p, q] * pixel
        y[a, b, i, j] = total
    return y


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [((1, 1), (0, 0), (1, 1), 1), ((2, 1), (1, 2), (1, 2), 2)], ids=str
)
def test_conv2d_is_its_definition(stride, padding, dilation, groups):
    x, weight, bias = random_like((2, 4, 4, 5)), random_like((2, 4 // groups, 2, 3), 1), random_like((2,), 2)
    got = fn.conv2d(x, weight, bias, stride, padding, dilation, groups)
    assert isinstance(got, np.ndarray)
    assert_allclose(got, by_definition(x, weight, bias, stride, padding, dilation, groups), rtol=1e-12, atol=1e-13)


@st.composite
def convolutions(draw, transposed=False):
    """Shapes and settings that fit each other."""
    groups = draw(st.integers(1, 2))
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, window)]
    more = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    if transposed:
        extra = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation)]
        size = [1 + 2 * p + m for p, m in zip(padding, more)]
    else:
        extra = []
        size = [max(1, r - 2 * p) + m for r, p, m in zip(reach, padding, more)]
    channels = groups * draw(st.integers(1, 2))
    outputs = groups * draw(st.integers(1, 2))
    x = (draw(st.integers(0, 2)), channels, *size)
    weight = (channels, outputs // groups, *window) if transposed else (outputs, channels // groups, *window)
    return x, weight, outputs, stride, padding, dilation, groups, tuple(extra)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(convolutions())
def test_conv2d_is_pytorchs_to_second_order(case):
    x, weight, outputs, stride, padding, dilation, groups, _ = case
    arrays = [random_like(x), random_like(weight, 1), random_like((outputs,), 2)]
    compare_with_torch(
        lambda x, w, b: fn.conv2d(x, w, b, stride, padding, dilation, groups),
        lambda x, w, b: torch.nn.functional.conv2d(x, w, b, stride, padding, dilation, groups),
        arrays,
        rtol=1e-9,
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(convolutions(transposed=True))
def test_conv_transpose2d_is_pytorchs_to_second_order(case):
    x, weight, outputs, stride, padding, dilation, groups, extra = case
    arrays = [random_like(x), random_like(weight, 1), random_like((outputs,), 2)]
    compare_with_torch(
        lambda x, w, b: fn.conv_transpose2d(x, w, b, stride, padding, extra, groups, dilation),
        lambda x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, stride, padding, extra, groups, dilation),
        arrays,
        rtol=1e-9,
    )


@pytest.mark.parametrize("shape", [(2, 4, 7), (4, 7)], ids=str)
def test_conv1d_and_its_transpose_are_pytorchs(shape):
    arrays = [random_like(shape), random_like((2, 2, 3), 1), random_like((2,), 2)]
    compare_with_torch(
        lambda x, w, b: fn.conv1d(x, w, b, 2, 1, 2, 2),
        lambda x, w, b: torch.nn.functional.conv1d(x, w, b, 2, 1, 2, 2),
        arrays,
        rtol=1e-9,
    )
    arrays = [random_like(shape), random_like((4, 1, 3), 1), random_like((2,), 2)]
    compare_with_torch(
        lambda x, w, b: fn.conv_transpose1d(x, w, b, 2, 1, 1, 2, 2),
        lambda x, w, b: torch.nn.functional.conv_transpose1d(x, w, b, 2, 1, 1, 2, 2),
        arrays,
        rtol=1e-9,
    )


def test_gradients_are_the_complex_step_of_the_forward():
    x, weight, bias = random_like((2, 2, 3, 4)), random_like((2, 1, 2, 2), 1), random_like((2,), 2)
    compare_with_complex_step(lambda x, w, b: fn.conv2d(x, w, b, 2, 1, 1, 2), [x, weight, bias])
    compare_with_complex_step(lambda x, w, b: fn.conv_transpose2d(x, w, b, 2, 1, 1, 2), [x, weight, bias])


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (2, 0, 3)])
def test_the_transpose_is_the_transpose_of_the_linear_map(stride, padding, dilation):
    """<conv(x), y> = <x, conv_transpose(y)> for any x and y."""
    x, weight = random_like((2, 3, 9, 7)), random_like((4, 3, 3, 2), 1)
    forward = fn.conv2d(x, weight, None, stride, padding, dilation)
    y = random_like(forward.shape, 2)
    whole = [(n - 1) * stride - 2 * padding + dilation * (k - 1) + 1 for n, k in zip(forward.shape[2:], (3, 2))]
    missed = tuple(size - n for size, n in zip((9, 7), whole))  # positions that no window reached
    back = fn.conv_transpose2d(y, weight, None, stride, padding, missed, 1, dilation)
    assert_allclose((forward * y).sum(), (x * back).sum(), rtol=1e-12)


def test_convolution_is_one_matrix_product_and_has_no_rule_of_its_own():
    x = tg.Tensor(random_like((2, 3, 5, 5)), requires_grad=True)
    y = fn.conv2d(x, random_like((4, 3, 3, 3), 1), random_like((4,), 2), padding=1)
    names, waiting = [], [y]
    while waiting:
        variable = waiting.pop()
        if isinstance(variable, tg.Variable) and variable.primitive is not None:
            names.append(variable.primitive.name)
            waiting.extend(variable.inputs)
    assert names.count("matmul") == 1
    assert set(names) == {"add", "transpose", "reshape", "matmul", "sliding_window", "put_slice"}
    assert y.scope.path == ("conv2d",)


def test_scalars_are_convolved_like_the_tensor():
    x, weight = random_like((1, 2, 3, 3)), random_like((2, 2, 2, 2), 1)
    scalars, filters = tg.scalarize(x), tg.scalarize(weight)
    y = fn.conv2d(scalars, filters)
    assert_allclose(tg.values_of(y), fn.conv2d(x, weight), rtol=1e-12)
    cotangent = random_like(y.shape, 2)
    (y * cotangent).sum().backward()
    leaf = tg.Tensor(weight, requires_grad=True)
    fn.conv2d(x, leaf).backward(cotangent)
    assert_allclose(tg.gradients_of(filters), leaf.grad.numpy(), rtol=1e-12)


X, W = np.zeros((2, 4, 5, 5)), np.zeros((6, 4, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.conv2d(X[0, 0], W), ShapeError, ["conv2d: wrong number of axes", "(5, 5)", "(N, C, H, W)"]),
        (lambda: fn.conv1d(X, W[0]), ShapeError, ["conv1d: wrong number of axes", "(N, C, L)"]),
        (lambda: fn.conv2d(X, W[0]), ShapeError, ["conv2d: weight", "(4, 3, 3)", "(O, C / groups"]),
        (lambda: fn.conv2d(X, np.zeros((6, 4, 0, 3))), ShapeError, ["weight", "(6, 4, 0, 3)"]),
        (lambda: fn.conv2d(X, W[:, :3]), ShapeError, ["wrong number of channels", "4 channels", "3 channels"]),
        (lambda: fn.conv2d(X, W, np.zeros(4)), ShapeError, ["one bias per output channel", "(4,)", "(6,)"]),
        (lambda: fn.conv2d(X[..., :2], W), ShapeError, ["the window is larger than the image", "(3, 3)", "(5, 2)"]),
        (lambda: fn.conv2d(X, W, dilation=3), ShapeError, ["larger than the image", "dilation (3, 3)"]),
        (lambda: fn.conv2d(X, W, groups=3), ArgumentError, ["groups divide", "3 groups"]),
        (lambda: fn.conv2d(X, W, groups=0), ArgumentError, ["conv2d: groups", "at least 1"]),
        (lambda: fn.conv2d(X, W, groups=2.0), ArgumentError, ["conv2d: groups", "2.0"]),
        (lambda: fn.conv2d(X, W, stride=0), ArgumentError, ["conv2d: stride", "at least 1", "tuple of 2"]),
        (lambda: fn.conv2d(X, W, stride=(1, 1, 1)), ArgumentError, ["stride", "(1, 1, 1)"]),
        (lambda: fn.conv2d(X, W, stride=1.5), ArgumentError, ["stride", "1.5"]),
        (lambda: fn.conv2d(X, W, padding=-1), ArgumentError, ["padding", "-1", "at least 0"]),
        (lambda: fn.conv2d(X, W, padding="full"), ArgumentError, ["padding", "'full'", '"same"']),
        (lambda: fn.conv2d(X, W, stride=2, padding="same"), ArgumentError, ["stride (2, 2)", '"same"']),
        (lambda: fn.conv2d(X, W, dilation=(1, 0)), ArgumentError, ["dilation", "(1, 0)"]),
        (lambda: fn.conv1d(X[:, :, 0], W[:, :, 0], padding=(1, 1)), ArgumentError, ["conv1d: padding", "an int of at least 0"]),
        (lambda: fn.conv2d(X.astype(np.uint8), W), DTypeError, ["conv2d: input", "uint8", "astype('float32') / 255"]),
        (lambda: fn.conv2d(X, W.astype(int)), DTypeError, ["conv2d: weight", "int64"]),
        (lambda: fn.conv_transpose2d(X, W), ShapeError, ["conv_transpose2d: wrong number", "6 channels", "(C, O / groups"]),
        (lambda: fn.conv_transpose2d(X, W[:4], output_padding=1), ArgumentError, ["output_padding", "stride (1, 1)"]),
        (lambda: fn.conv_transpose2d(X, W[:4], padding=4), ShapeError, ["nothing is left", "padding (4, 4)"]),
        (lambda: fn.conv_transpose2d(X, W[:4], np.zeros(3)), ShapeError, ["one bias per output channel", "(4,)"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_explained(call, error, words):
    with told(error, words):
        call()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("window", [(1, 1), (2, 2), (2, 3), (4, 1), (5, 2)])
def test_same_puts_the_odd_zero_where_pytorch_puts_it(window, dilation):
    """A window of even length needs an odd number of zeros: one more after than before."""
    x, weight = random_like((2, 2, 5, 6)), random_like((3, 2, *window), 1)
    compare_with_torch(
        lambda a, b: fn.conv2d(a, b, padding="same", dilation=dilation),
        lambda a, b: torch.nn.functional.conv2d(a, b, padding="same", dilation=dilation),
        [x, weight],
    )
    row = np.arange(1.0, 6.0)[None, None]
    ends = (
        fn.conv1d(row, np.array([[[1.0, 0.0]]]), padding="same"),
        fn.conv1d(row, np.array([[[0.0, 1.0]]]), padding="same"),
    )
    assert_allclose(ends, [[[[1.0, 2.0, 3.0, 4.0, 5.0]]], [[[2.0, 3.0, 4.0, 5.0, 0.0]]]])
