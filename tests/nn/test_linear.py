"""``nn.Linear`` and the initial values of parameters."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, ShapeError
from tinygrad_bn.nn import init


def pair(inputs, outputs, bias=True):
    ours = nn.Linear(inputs, outputs, bias=bias, dtype=float)
    theirs = torch.nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (0, 4), (2, 0, 4)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_pytorchs_to_second_order(shape, bias):
    rng = np.random.default_rng(1)
    ours, theirs = pair(4, 3, bias)
    x, dy = rng.standard_normal(shape), rng.standard_normal((*shape[:-1], 3))
    a, b = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    assert y.shape == (*shape[:-1], 3)
    assert_allclose(y.numpy(), z.detach(), rtol=1e-9, atol=1e-13)
    leaves, their_leaves = [a, *ours.parameters()], [b, *theirs.parameters()]
    # A square in between, or the second derivatives by one argument twice would all be 0.
    first = tg.grad((y * y), leaves, dy, create_graph=True)
    expected = torch.autograd.grad(z * z, their_leaves, torch.tensor(dy), create_graph=True)
    directions = [rng.standard_normal(g.shape) for g in first]
    for got, want in zip(first, expected, strict=True):
        assert_allclose(got.numpy(), want.detach(), rtol=1e-9, atol=1e-12)
    inner = sum((g * v).sum() for g, v in zip(first, directions))
    their_inner = sum((g * torch.tensor(v)).sum() for g, v in zip(expected, directions))
    for got, want in zip(tg.grad(inner, leaves), torch.autograd.grad(their_inner, their_leaves), strict=True):
        assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-11)


def test_linear_is_the_closed_form():
    rng = np.random.default_rng(2)
    layer = nn.Linear(4, 3, dtype=float)
    x, dy = rng.standard_normal((5, 4)), rng.standard_normal((5, 3))
    leaf = tg.Tensor(x, requires_grad=True)
    y = layer(leaf)
    y.backward(dy)
    w, b = layer.weight.numpy(), layer.bias.numpy()
    assert_allclose(y.numpy(), x @ w.T + b, rtol=1e-12)
    assert_allclose(leaf.grad.numpy(), dy @ w, rtol=1e-12)
    assert_allclose(layer.weight.grad.numpy(), dy.T @ x, rtol=1e-12)
    assert_allclose(layer.bias.grad.numpy(), dy.sum(0), rtol=1e-12)


def test_lists_and_arrays_are_inputs():
    layer = nn.Linear(2, 2, dtype=float)
    x = [[1.0, 2.0], [3.0, 4.0]]
    assert np.array_equal(layer(x).numpy(), layer(np.array(x)).numpy())


def test_float32_by_default_and_it_stays():
    layer = nn.Linear(4, 3)
    x = tg.Tensor(np.ones((2, 4), np.float32), requires_grad=True)
    y = layer(x)
    y.backward(np.ones((2, 3)))
    assert {t.dtype for t in (y, x.grad, layer.weight, layer.weight.grad, layer.bias.grad)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 5), ()], ids=str)
def test_a_wrong_input_names_the_layer_and_both_shapes(shape):
    model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(ShapeError, match="Linear '0': wrong input size") as error:
        model(np.zeros(shape))
    assert str(shape) in str(error.value)
    assert "(..., 4)" in str(error.value)


def test_negative_sizes():
    with pytest.raises(ArgumentError, match="at least 0"):
        nn.Linear(-1, 2)
    with pytest.raises(ArgumentError, match="at least 0"):
        nn.Linear(2, -1)


def test_no_inputs_give_the_bias_which_is_0():
    layer = nn.Linear(0, 3)
    assert_allclose(layer(np.zeros((2, 0), np.float32)).numpy(), np.zeros((2, 3)))


def test_repr_and_state_are_pytorchs():
    ours, theirs = pair(4, 3)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(value.flags.c_contiguous for value in ours.state_dict().values())
    assert repr(ours) == "Linear(4, 3, bias=True)  # 15 parameters"
    without = nn.Linear(4, 3, bias=False)
    assert without.bias is None
    assert list(without.state_dict()) == ["weight"]


# -- initial values ---------------------------------------------------------------------------------------------------


def test_initial_values_are_uniform_within_one_over_the_root_of_the_fan_in():
    tg.manual_seed(0)
    layer = nn.Linear(400, 100)
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert np.abs(values).max() <= 0.05
        assert np.abs(values).max() > 0.045
        # The standard deviation of a uniform distribution on [-b, b] is b / sqrt(3); four standard errors of it.
        assert abs(values.std() - 0.05 / 3**0.5) < 4 * 0.05 / np.sqrt(values.size) * 0.3


def test_the_seed_decides_the_values():
    tg.manual_seed(3)
    a = nn.Linear(4, 3).state_dict()
    b = nn.Linear(4, 3).state_dict()
    tg.manual_seed(3)
    c = nn.Linear(4, 3).state_dict()
    assert all(np.array_equal(a[name], c[name]) for name in a)
    assert not any(np.array_equal(a[name], b[name]) for name in a)


def test_the_generator_is_the_one_that_draws():
    tg.manual_seed(4)
    drawn = init.generator().uniform(-1.0, 1.0, 3)
    tg.manual_seed(4)
    assert np.array_equal(init.uniform((3,), 1.0, float), drawn)


def test_normal_values_have_the_asked_spread():
    tg.manual_seed(5)
    values = init.normal((100, 100), std=0.3)
    assert values.dtype == np.float32
    assert abs(values.mean()) < 4 * 0.3 / 100
    assert abs(values.std() - 0.3) < 4 * 0.3 / (100 * 2**0.5)


@pytest.mark.parametrize(("fan_in", "bound"), [(0, 0.0), (1, 1.0), (4, 0.5), (100, 0.1)])
def test_fan_in_bound(fan_in, bound):
    assert init.fan_in_bound(fan_in) == bound
