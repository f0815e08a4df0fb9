"""Layer, group, instance and RMS normalization: one formula over different axes, PyTorch to second order, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.oracles import compare_with_complex_step, compare_with_torch, random_like
from tests.told import told
from tinygrad_bn import functional as fn
from tinygrad_bn.errors import ArgumentError, ShapeError

EPS = 1e-5
X = random_like((3, 4, 2, 3))
THEIRS = torch.nn.functional


def standardized(x, axes, eps=EPS):
    """The formula, written once more."""
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)


def test_each_norm_is_the_same_formula_over_its_own_axes():
    assert_allclose(fn.batch_norm(X, training=True), standardized(X, (0, 2, 3)), rtol=1e-12)
    assert_allclose(fn.layer_norm(X, (4, 2, 3)), standardized(X, (1, 2, 3)), rtol=1e-12)
    assert_allclose(fn.instance_norm(X), standardized(X, (2, 3)), rtol=1e-12)
    grouped = standardized(X.reshape(3, 2, 2, 2, 3), (2, 3, 4)).reshape(X.shape)
    assert_allclose(fn.group_norm(X, 2), grouped, rtol=1e-12)
    assert_allclose(fn.rms_norm(X, (2, 3), eps=EPS), X / np.sqrt((X**2).mean((2, 3), keepdims=True) + EPS), rtol=1e-12)


def test_the_ends_of_group_norm_are_layer_and_instance_norm():
    assert_allclose(fn.group_norm(X, 1), fn.layer_norm(X, (4, 2, 3)), rtol=1e-12)
    assert_allclose(fn.group_norm(X, 4), fn.instance_norm(X), rtol=1e-12)


def test_instance_norm_of_one_example_is_batch_norm_of_it():
    assert_allclose(fn.instance_norm(X[:1]), fn.batch_norm(X[:1], training=True), rtol=1e-12)


@pytest.mark.parametrize(
    "norm",
    [
        lambda x: fn.batch_norm(x, training=True),
        lambda x: fn.layer_norm(x, (2, 3)),
        lambda x: fn.group_norm(x, 2),
        fn.instance_norm,
    ],
    ids=["batch", "layer", "group", "instance"],
)
def test_all_go_through_the_one_core(norm):
    x = tg.Tensor(X, requires_grad=True)
    steps, waiting = set(), [norm(x)]
    while waiting:
        variable = waiting.pop()
        if isinstance(variable, tg.Variable) and variable.inputs is not None:
            steps.add(variable.scope.path[-1] if variable.scope else "")
            waiting.extend(variable.inputs)
    assert {"mean", "variance", "normalize"} <= steps


def params(*shapes):
    return [random_like(shape, 3 + i) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_they_are_pytorchs_to_second_order_with_parameters(eps):
    arrays = [X, *params((2, 3), (2, 3))]
    compare_with_torch(
        lambda x, w, b: fn.layer_norm(x, (2, 3), w, b, eps), lambda x, w, b: THEIRS.layer_norm(x, (2, 3), w, b, eps),
        arrays, rtol=1e-9,
    )  # fmt: skip
    compare_with_torch(
        lambda x, w: fn.rms_norm(x, (2, 3), w, eps),
        lambda x, w: THEIRS.rms_norm(x, (2, 3), w, eps),
        arrays[:2],
        rtol=1e-9,
    )
    arrays = [X, *params((4,), (4,))]
    compare_with_torch(
        lambda x, w, b: fn.group_norm(x, 2, w, b, eps), lambda x, w, b: THEIRS.group_norm(x, 2, w, b, eps),
        arrays, rtol=1e-9,
    )  # fmt: skip
    compare_with_torch(
        lambda x, w, b: fn.instance_norm(x, None, None, w, b, eps=eps),
        lambda x, w, b: THEIRS.instance_norm(x, None, None, w, b, eps=eps),
        arrays, rtol=1e-9,
    )  # fmt: skip


def test_gradients_are_the_complex_step_of_the_forward():
    x = random_like((2, 4, 3))
    weight, bias = params((4,), (4,))
    compare_with_complex_step(lambda x, w, b: fn.group_norm(x, 2, w, b), [x, weight, bias])
    compare_with_complex_step(lambda x, w, b: fn.instance_norm(x, None, None, w, b), [x, weight, bias])
    compare_with_complex_step(lambda x, w: fn.layer_norm(x, 3, w), [x, random_like((3,), 5)])
    compare_with_complex_step(lambda x, w: fn.rms_norm(x, 3, w), [x, random_like((3,), 5)])


def test_examples_do_not_touch_each_other():
    for norm in (lambda x: fn.layer_norm(x, (4, 2, 3)), lambda x: fn.group_norm(x, 2), fn.instance_norm):
        assert_allclose(norm(X)[1], norm(X[1:2])[0], rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rms_norm_adds_the_machine_epsilon_by_default(dtype):
    x = np.full((1, 3), 1e-4, dtype)
    expected = x / np.sqrt(x.astype(float) ** 2 + np.finfo(dtype).eps)
    got = fn.rms_norm(x, 3)
    assert got.dtype == dtype
    assert_allclose(got, expected, rtol=1e-6)
    assert_allclose(got, THEIRS.rms_norm(torch.tensor(x), (3,)), rtol=1e-6)


def test_a_list_is_a_shape_too_and_scalars_are_normalized_like_the_tensor():
    x = random_like((2, 3))
    assert_allclose(fn.layer_norm(x, [3]), fn.layer_norm(x, 3))
    assert_allclose(tg.values_of(fn.layer_norm(tg.scalarize(x), 3)), fn.layer_norm(x, 3), rtol=1e-12)
    assert_allclose(tg.values_of(fn.rms_norm(tg.scalarize(x), 3)), fn.rms_norm(x, 3), rtol=1e-12)


# -- running statistics of instance norm --------------------------------------------------------------------------------


def test_instance_norm_moves_running_statistics_as_pytorch_and_uses_them():
    mean, var = tg.Tensor(random_like((4,), 1)), tg.Tensor(np.abs(random_like((4,), 2)))
    their_mean, their_var = torch.tensor(mean.numpy().copy()), torch.tensor(var.numpy().copy())
    for momentum in (0.1, 1.0):
        got = fn.instance_norm(X, mean, var, momentum=momentum)
        expected = THEIRS.instance_norm(torch.tensor(X), their_mean, their_var, momentum=momentum)
        assert_allclose(got, expected, rtol=1e-10)
        assert_allclose(mean.numpy(), their_mean, rtol=1e-12)
        assert_allclose(var.numpy(), their_var, rtol=1e-12)
    assert_allclose(mean.numpy(), X.mean((0, 2, 3)), rtol=1e-12)  # momentum 1 keeps nothing of the old
    before = mean.numpy().copy()
    got = fn.instance_norm(X, mean, var, use_input_stats=False)
    expected = THEIRS.instance_norm(torch.tensor(X), their_mean, their_var, use_input_stats=False)
    assert_allclose(got, expected, rtol=1e-10)
    assert_array_equal(mean.numpy(), before)


def test_running_statistics_stay_outside_of_the_graph():
    x = tg.Tensor(X, requires_grad=True)
    mean, var = tg.Tensor(np.zeros(4)), tg.Tensor(np.ones(4))
    fn.instance_norm(x, mean, var).backward(random_like(X.shape))
    assert mean.is_leaf
    assert var.is_leaf
    assert not mean.requires_grad


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"momentum": 2.0}, ArgumentError),
        ({"momentum": None}, ArgumentError),
        ({"eps": -1.0}, ArgumentError),
        ({"running_var": None}, ArgumentError),
        ({"running_var": np.ones(4)}, ArgumentError),
        ({"running_mean": tg.Tensor(np.zeros(3))}, ShapeError),
        ({"weight": np.ones(3)}, ShapeError),
        ({"bias": np.ones((4, 1))}, ShapeError),
        ({"x": np.zeros((3, 4, 1, 1))}, ShapeError),
        ({"x": np.zeros((3, 4))}, ShapeError),
    ],
    ids=str,
)
def test_a_refused_call_leaves_running_statistics_as_they_are(change, error):
    mean, var = tg.Tensor(np.zeros(4)), tg.Tensor(np.ones(4))
    with pytest.raises(error, match=r"instance_norm|batch_norm"):
        fn.instance_norm(**{"x": X, "running_mean": mean, "running_var": var, **change})
    assert_array_equal(mean.numpy(), 0.0)
    assert_array_equal(var.numpy(), 1.0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.layer_norm(X, 4), ShapeError, ["layer_norm: the input does not end", "(3, 4, 2, 3)", "(..., 4)"]),
        (lambda: fn.layer_norm(X, (4, 2)), ShapeError, ["(..., 4, 2)"]),
        (lambda: fn.layer_norm(X, ()), ShapeError, ["at least one axis"]),
        (lambda: fn.layer_norm(X, 3.0), ArgumentError, ["normalized_shape", "3.0"]),
        (lambda: fn.layer_norm(X, 3, np.ones(2)), ShapeError, ["layer_norm: weight", "(2,)", "(3,)"]),
        (lambda: fn.layer_norm(X, 3, None, np.ones((1, 3))), ShapeError, ["bias", "(1, 3)"]),
        (lambda: fn.layer_norm(X, 3, eps=-1e-5), ArgumentError, ["layer_norm: eps", ">= 0"]),
        (lambda: fn.layer_norm(X, 3, eps="1e-5"), ArgumentError, ["layer_norm: eps", "'1e-5'"]),
        (lambda: fn.rms_norm(X, 2), ShapeError, ["rms_norm: the input does not end"]),
        (lambda: fn.rms_norm(X, 3, np.ones(2)), ShapeError, ["rms_norm: weight"]),
        (lambda: fn.group_norm(X, 3), ArgumentError, ["the groups divide", "3 groups of 4 channels"]),
        (lambda: fn.group_norm(X, 0), ArgumentError, ["num_groups", "at least 1"]),
        (lambda: fn.group_norm(np.zeros(4), 2), ShapeError, ["group_norm: no batch and channel axes"]),
        (lambda: fn.group_norm(X, 2, np.ones(3)), ShapeError, ["group_norm: one value per channel", "(3,)", "(4,)"]),
        (lambda: fn.group_norm(np.zeros((3, 4)), 4), ShapeError, ["at least two values"]),
        (lambda: fn.group_norm(X, 2, eps=float("nan")), ArgumentError, ["group_norm: eps"]),
        (lambda: fn.instance_norm(X, use_input_stats=False), ArgumentError, ["no running statistics"]),
        (lambda: fn.instance_norm(np.zeros((2, 3))), ShapeError, ["no axis to average over", "(N, C, L)"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_explained(call, error, words):
    with told(error, words):
        call()
