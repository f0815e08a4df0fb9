"""Initial values: bounds and spreads of every rule, of every layer's own parameters, and in place only."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.told import told
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_bn.nn import init

SHAPE = (60, 40, 3, 3)  # fan_in 360, fan_out 540
N = math.prod(SHAPE)
FAN_IN, FAN_OUT = 360, 540


def filled(fill, *args, shape=SHAPE, dtype=np.float64, **settings):
    tg.manual_seed(7)
    tensor = nn.Parameter(np.zeros(shape, dtype))
    assert fill(tensor, *args, **settings) is tensor
    return tensor.numpy()


@pytest.mark.parametrize(
    ("fill", "args", "settings", "low", "high"),
    [
        (init.uniform_, (), {}, 0.0, 1.0),
        (init.uniform_, (-3.0, 5.0), {}, -3.0, 5.0),
        (init.xavier_uniform_, (), {}, -math.sqrt(6 / 900), math.sqrt(6 / 900)),
        (init.xavier_uniform_, (2.0,), {}, -2 * math.sqrt(6 / 900), 2 * math.sqrt(6 / 900)),
        (init.kaiming_uniform_, (), {}, -math.sqrt(6 / FAN_IN), math.sqrt(6 / FAN_IN)),
        (init.kaiming_uniform_, (math.sqrt(5),), {}, -1 / math.sqrt(FAN_IN), 1 / math.sqrt(FAN_IN)),
        (init.kaiming_uniform_, (), {"mode": "fan_out"}, -math.sqrt(6 / FAN_OUT), math.sqrt(6 / FAN_OUT)),
        (init.kaiming_uniform_, (), {"nonlinearity": "linear"}, -math.sqrt(3 / FAN_IN), math.sqrt(3 / FAN_IN)),
    ],
)
def test_uniform_rules_fill_their_interval_evenly(fill, args, settings, low, high):
    values = filled(fill, *args, **settings)
    width = high - low
    assert low <= values.min() < low + width * 20 / N
    assert high - width * 20 / N < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 4 * width / math.sqrt(12 * N)
    counts, _ = np.histogram(values, 10, (low, high))
    assert np.abs(counts - N / 10).max() < 5 * math.sqrt(N / 10)


@pytest.mark.parametrize(
    ("fill", "args", "settings", "mean", "std"),
    [
        (init.normal_, (), {}, 0.0, 1.0),
        (init.normal_, (2.0, 0.5), {}, 2.0, 0.5),
        (init.xavier_normal_, (), {}, 0.0, math.sqrt(2 / 900)),
        (init.xavier_normal_, (5 / 3,), {}, 0.0, 5 / 3 * math.sqrt(2 / 900)),
        (init.kaiming_normal_, (), {}, 0.0, math.sqrt(2 / FAN_IN)),
        (init.kaiming_normal_, (0.5,), {}, 0.0, math.sqrt(2 / 1.25 / FAN_IN)),
        (init.kaiming_normal_, (), {"mode": "fan_out", "nonlinearity": "tanh"}, 0.0, 5 / 3 / math.sqrt(FAN_OUT)),
    ],
)
def test_normal_rules_have_their_mean_and_spread_and_tails(fill, args, settings, mean, std):
    values = filled(fill, *args, **settings)
    assert abs(values.mean() - mean) < 4 * std / math.sqrt(N)
    assert abs(values.std() / std - 1) < 4 / math.sqrt(2 * N)
    for bound, share in ((1.0, 0.682689), (2.0, 0.954500)):  # of a normal distribution
        within = (np.abs(values - mean) < bound * std).mean()
        assert abs(within - share) < 4 * math.sqrt(share * (1 - share) / N)


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 2, 3, 2), (1, 6)], ids=str)
def test_orthogonal_rows_or_columns(shape):
    values = filled(init.orthogonal_, 2.0, shape=shape)
    flat = values.reshape(shape[0], -1)
    gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_matrices_are_uniformly_distributed():
    """The mean of many random rotations is 0 and their trace has variance 1 (Diaconis and Shahshahani 1994)."""
    tg.manual_seed(3)
    draws = np.array([init.orthogonal_(nn.Parameter(np.zeros((3, 3)))).numpy() for _ in range(2000)])
    assert np.abs(draws.mean(0)).max() < 4 / math.sqrt(3 * 2000)
    assert abs(np.trace(draws, axis1=1, axis2=2).var() - 1.0) < 0.15


def test_constants():
    assert_array_equal(filled(init.constant_, 2.5, shape=(2, 3)), 2.5)
    assert_array_equal(filled(init.ones_, shape=(3,)), 1.0)
    assert_array_equal(filled(lambda t: init.zeros_(init.ones_(t)), shape=()), 0.0)


@pytest.mark.parametrize("name", [n for n in init.__all__ if n.endswith("_")])
def test_filling_keeps_dtype_shape_layout_and_identity(name):
    layer = nn.Linear(4, 3)  # column-major weight
    strides = layer.weight.data.strides
    settings = {"val": 1.0} if name == "constant_" else {}
    assert getattr(init, name)(layer.weight, **settings) is layer.weight
    assert layer.weight.dtype == np.float32
    assert layer.weight.data.strides == strides
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf
    tensor = tg.Tensor(np.zeros((0, 3)))
    assert getattr(init, name)(tensor, **settings).shape == (0, 3)


def test_filling_is_repeatable_and_reported_where_a_recorded_operation_needs_the_old_value():
    assert_array_equal(filled(init.kaiming_normal_), filled(init.kaiming_normal_))
    layer = nn.Linear(2, 2)
    y = layer.weight * layer.weight
    init.zeros_(layer.weight)
    with pytest.raises(tg.TinygradError, match="changed before backward"):
        y.backward(np.ones((2, 2)))


@pytest.mark.parametrize("nonlinearity", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_pytorchs(nonlinearity):
    assert init.calculate_gain(nonlinearity) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity), rel=1e-15)
    if nonlinearity == "leaky_relu":
        expected = torch.nn.init.calculate_gain(nonlinearity, 0.3)
        assert init.calculate_gain(nonlinearity, 0.3) == pytest.approx(expected, rel=1e-15)


WEIGHT, BIAS = nn.Parameter(np.ones((2, 3))), nn.Parameter(np.ones(3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: init.xavier_uniform_(BIAS), ShapeError, ["xavier_uniform_: at least two axes", "(3,)", "zeros_"]),
        (lambda: init.kaiming_normal_(BIAS), ShapeError, ["kaiming_normal_: at least two axes"]),
        (lambda: init.orthogonal_(BIAS), ShapeError, ["orthogonal_: at least two axes"]),
        (lambda: init.kaiming_uniform_(WEIGHT, mode="fan"), ArgumentError, ["mode", "'fan'", "fan_in or fan_out"]),
        (lambda: init.kaiming_uniform_(WEIGHT, nonlinearity="relu6"), ArgumentError, ["'relu6'", "leaky_relu"]),
        (lambda: init.normal_(WEIGHT, std=-1.0), ArgumentError, ["standard deviation", "-1.0"]),
        (lambda: init.zeros_(np.zeros(3)), DTypeError, ["in place", "ndarray"]),
        (lambda: init.xavier_normal_([[0.0]]), DTypeError, ["in place", "list"]),
        (lambda: init.uniform_(tg.Tensor([1, 2])), DTypeError, ["int64"]),
        (lambda: init.ones_(WEIGHT * 2), tg.TinygradError, ["result of a recorded operation"]),
    ],
)  # fmt: skip
def test_what_cannot_be_filled_is_explained_and_left_alone(call, error, words):
    with told(error, words):
        call()
    assert (WEIGHT.numpy() == 1).all()
    assert (BIAS.numpy() == 1).all()


# -- the layers' own ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "settings", "fan"),
    [
        ("Linear", (400, 100), {}, 400),
        ("Conv1d", (32, 64, 5), {}, 160),
        ("Conv2d", (16, 64, 3), {"groups": 2}, 72),
        ("ConvTranspose1d", (64, 16, 5), {}, 80),
        ("ConvTranspose2d", (64, 16, 3), {"groups": 2}, 72),
    ],
)
def test_weights_and_biases_start_uniform_within_one_over_root_fan_as_pytorchs(name, args, settings, fan):
    tg.manual_seed(11)
    torch.manual_seed(11)
    ours, theirs = getattr(nn, name)(*args, **settings), getattr(torch.nn, name)(*args, **settings)
    bound = 1 / math.sqrt(fan)
    for weight in (ours.weight.numpy(), theirs.weight.detach().numpy()):  # the same statistics for both
        assert bound * 0.99 < np.abs(weight).max() <= np.float32(bound)
        assert abs(weight.mean()) < 4 * bound / math.sqrt(3 * weight.size)
        assert abs(weight.std() * math.sqrt(3) / bound - 1) < 4 / math.sqrt(1.25 * weight.size)
    for bias in (ours.bias.numpy(), theirs.bias.detach().numpy()):
        assert 0.7 * bound < np.abs(bias).max() <= np.float32(bound)


def test_embeddings_start_standard_normal_with_a_filler_of_zeros():
    tg.manual_seed(2)
    table = nn.Embedding(200, 50, padding_idx=-2).weight.numpy()
    assert_array_equal(table[198], 0.0)
    rest = np.delete(table, 198, 0)
    assert abs(rest.mean()) < 4 / math.sqrt(rest.size)
    assert abs(rest.std() - 1) < 4 / math.sqrt(2 * rest.size)


@pytest.mark.parametrize(
    "layer",
    [nn.BatchNorm3d(3), nn.LayerNorm((2, 3)), nn.GroupNorm(1, 3), nn.InstanceNorm1d(3, affine=True), nn.RMSNorm(3)],
    ids=lambda layer: type(layer).__name__,
)
def test_norms_start_with_scale_one_and_shift_zero(layer):
    for name, parameter in layer.named_parameters():
        assert_array_equal(parameter.numpy(), 1.0 if name == "weight" else 0.0)
