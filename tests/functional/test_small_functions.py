"""Activations, padding, embedding and dropout: PyTorch to second order, kinks and extremes, statistics, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.oracles import compare_with_complex_step, compare_with_torch, random_like
from tests.told import told
from tinygrad_bn import functional as fn
from tinygrad_bn import ops
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, ShapeError

THEIRS = torch.nn.functional
X = random_like((3, 4)) * 2


# -- activations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("relu", {}),
        ("sigmoid", {}),
        ("tanh", {}),
        ("leaky_relu", {}),
        ("leaky_relu", {"negative_slope": 0.3}),
        ("elu", {"alpha": 1.7}),
        ("gelu", {}),
        ("gelu", {"approximate": "tanh"}),
        ("silu", {}),
        ("softplus", {}),
        ("softplus", {"beta": 3.0, "threshold": 2.0}),
        ("softplus", {"beta": 0.5, "threshold": -1.0}),
        ("softmax", {"dim": 0}),
        ("log_softmax", {"dim": 1}),
    ],
    ids=str,
)
def test_activations_are_pytorchs_to_second_order(name, settings):
    compare_with_torch(
        lambda x: getattr(fn, name)(x, **settings), lambda x: getattr(THEIRS, name)(x, **settings), [X], rtol=1e-9
    )


def test_softplus_is_exact_without_a_threshold_and_smooth_at_0():
    x = tg.Tensor([-800.0, -40.0, 0.0, 40.0, 800.0], requires_grad=True)
    y = fn.softplus(x, threshold=np.inf)
    assert_allclose(y.numpy(), [0.0, np.exp(-40.0), np.log(2.0), 40.0, 800.0], rtol=1e-14)
    y.backward(np.ones(5))
    assert_allclose(x.grad.numpy(), [0.0, np.exp(-40.0), 0.5, 1.0, 1.0], rtol=1e-14)
    compare_with_complex_step(lambda x: fn.silu(x), [X])
    with pytest.raises(ArgumentError, match="beta divides"):
        fn.softplus(X, beta=0)


# -- padding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pad", "mode", "value"),
    [
        ((1, 2), "constant", 0.0),
        ((1, 2, 0, 3), "constant", 1.5),
        ((0, 0, 0, 0, 2, 0), "constant", 0.0),
        ((), "constant", 0.0),
        ((1, 2), "reflect", 0.0),
        ((2, 0, 1, 1), "reflect", 0.0),
        ((0, 0, 1, 1), "reflect", 0.0),
        ((5, 1, 0, 4), "replicate", 0.0),
        ((4, 3, 1, 0), "circular", 0.0),
        ((-1, 0), "constant", 0.0),
        ((-1, 2, 3, -2), "constant", 1.5),
        ((-4, 0), "constant", 0.0),
        ((-2, -2, -1, 0), "constant", 0.0),
        ((-4, 3), "constant", 2.0),
        ((-1, -2), "reflect", 0.0),
        ((-1, 2), "reflect", 0.0),
        ((-1, 5, 2, -1), "replicate", 0.0),
        ((2, -1, -1, 2), "circular", 0.0),
        ((-2, -1), "circular", 0.0),
    ],
    ids=str,
)
def test_pad_is_pytorchs_to_second_order(pad, mode, value):
    x = random_like((2, 2, 3, 4))
    if mode != "constant" and len(pad) == 2:
        x = x[0]
    compare_with_torch(
        lambda x: fn.pad(x * x, pad, mode, value), lambda x: THEIRS.pad(x * x, pad, mode, value), [x], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.pad(X, (1, 1), "mirror"), ArgumentError, ["pad: mode", "'mirror'", "reflect"]),
        (lambda: fn.pad(X, (1,)), ArgumentError, ["pairs of ints"]),
        (lambda: fn.pad(X, 1), ArgumentError, ["pad: how much", "pairs of ints"]),
        (lambda: fn.pad(X, (1, "2")), ArgumentError, ["pad: how much", "pairs of ints"]),
        (lambda: fn.pad(X, (1, 1), value="0"), ArgumentError, ["pad: value", "'0'"]),
        (lambda: fn.pad(X, (0, -5)), ShapeError, ["pad: more to take off", "0 and -5 for axis 1 of length 4"]),
        (lambda: fn.pad(X, (-2, -3)), ShapeError, ["pad: more to take off"]),
        (lambda: fn.pad(X, (-3, 2), "reflect"), ShapeError, ["too much for mode 'reflect'", "<= 0"]),
        (lambda: fn.pad(X, (0,) * 6), ShapeError, ["more pairs than axes", "3 pairs for shape (3, 4)"]),
        (lambda: fn.pad(X, (4, 0), "reflect"), ShapeError, ["too much for mode 'reflect'", "axis 1", "<= 3"]),
        (lambda: fn.pad(X, (0, 5), "circular"), ShapeError, ["too much for mode 'circular'", "<= 4"]),
        (lambda: fn.pad(np.zeros((2, 0)), (1, 0), "replicate"), ShapeError, ["too much for mode 'replicate'"]),
    ],
)  # fmt: skip
def test_what_cannot_be_padded_is_explained(call, error, words):
    with told(error, words):
        call()


# -- embedding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [None, 2, -1])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)], ids=str)
def test_embedding_is_pytorchs_to_second_order(shape, padding):
    rows = np.random.default_rng(0).integers(0, 4, shape)
    compare_with_torch(
        lambda w: fn.embedding(rows, w * w * w, padding),
        lambda w: THEIRS.embedding(torch.tensor(rows), w * w * w, padding),
        [random_like((4, 3))],
        rtol=1e-9,
    )


def test_no_index_gives_no_row_and_gradients_of_zero():
    table = tg.Tensor(random_like((4, 2)), requires_grad=True)
    y = fn.embedding(np.zeros((0, 3), int), table, padding_idx=1)
    assert y.shape == (0, 3, 2)
    y.backward(np.zeros(y.shape))
    assert_array_equal(table.grad.numpy(), 0.0)


def test_rows_used_twice_add_up_and_the_filler_gets_nothing():
    table = tg.Tensor(random_like((4, 2)), requires_grad=True)
    y = fn.embedding(tg.Tensor([1, 3, 1, 0]), table, padding_idx=0)
    assert_array_equal(y.numpy(), table.numpy()[[1, 3, 1, 0]])
    y.backward(np.ones((4, 2)))
    assert_array_equal(table.grad.numpy(), [[0, 0], [2, 2], [0, 0], [1, 1]])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.embedding([0], np.zeros(3)), ShapeError, ["the table has two axes", "(3,)"]),
        (lambda: fn.embedding([0.0], X), DTypeError, ["indices are integers", "float64", "astype(int)"]),
        (lambda: fn.embedding([[0, 1], [3, 0]], X), IndexingError, ["no such row", "3 at (1, 0)", "0 to 2"]),
        (lambda: fn.embedding([-1], X), IndexingError, ["-1 in row 0"]),
        (lambda: fn.embedding([0], X[:0]), IndexingError, ["at least one to choose from; there is none"]),
        (lambda: fn.embedding([0], X, padding_idx=3), ArgumentError, ["padding_idx", "-3 to 2"]),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_up_is_explained(call, error, words):
    with told(error, words):
        call()


# -- dropout ------------------------------------------------------------------------------------------------------------


def test_dropout_keeps_about_the_right_share_and_the_expected_value():
    tg.manual_seed(0)
    n, p = 100_000, 0.3
    y = fn.dropout(np.ones(n), p)
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    # standard deviations of the share kept and of the mean, of n independent draws
    assert abs((y > 0).mean() - 0.7) < 4 * np.sqrt(p * (1 - p) / n)
    assert abs(y.mean() - 1.0) < 4 * np.sqrt(p / (1 - p) / n)


def test_the_gradient_passes_where_the_value_did():
    tg.manual_seed(1)
    x = tg.Tensor(X.astype(np.float32), requires_grad=True)
    y = fn.dropout(x, 0.5)
    cotangent = random_like(X.shape).astype(np.float32)
    y.backward(cotangent)
    assert y.dtype == x.grad.dtype == np.float32
    assert 0 < (y.numpy() == 0).sum() < X.size
    assert_allclose(x.grad.numpy(), cotangent * (y.numpy() / x.numpy()), rtol=1e-6)


def test_manual_seed_repeats_what_is_dropped():
    draws = []
    for seed in (5, 5, 6):
        tg.manual_seed(seed)
        draws.append(fn.dropout(np.ones(50)))
    assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_dropout_of_everything_of_nothing_and_in_evaluation():
    x = tg.Tensor(X, requires_grad=True)
    y = fn.dropout(x, 1.0)
    assert_array_equal(y.numpy(), 0.0)
    y.backward(X)
    assert_array_equal(x.grad.numpy(), 0.0)
    assert fn.dropout(x, 0.0) is x
    assert fn.dropout(x, 0.9, training=False) is x
    assert set(np.unique(fn.dropout(np.ones(50, int), 0.5))) == {0.0, 2.0}


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_dropout_probability_is_checked(p):
    with pytest.raises(ArgumentError, match="dropout: p is a probability"):
        fn.dropout(X, p)


def test_every_function_composes_operations_and_has_no_rule():
    for name in fn.__all__:
        if not hasattr(ops, name):
            assert not isinstance(getattr(fn, name), tg.Primitive), name
