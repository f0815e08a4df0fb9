"""The same ``batch_norm`` on object arrays of ``Scalar``: scalar by scalar the same values and gradients."""

import numpy as np
import pytest
from bn_oracle import backward, per_channel, problem, statistics
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn.functional import batch_norm, standardize

SHAPES = [(4, 1), (3, 2), (2, 2, 2), (2, 1, 2, 2)]


def pieces(shape):
    x, weight, bias, dy = problem(shape)
    return (
        [tg.scalarize(a) for a in (x, weight, bias)],
        [tg.Tensor(a, requires_grad=True) for a in (x, weight, bias)],
        dy,
    )


def test_the_worked_example_scalar_by_scalar():
    x = tg.scalarize([[1.0], [2.0], [3.0], [4.0]], name="x")
    x_hat, mean, variance = standardize(x, (0,), 0.0)
    assert mean[0, 0].item() == 2.5
    assert variance[0, 0].item() == 1.25
    expected = [-1.3416407865, -0.4472135955, 0.4472135955, 1.3416407865]
    assert_allclose(tg.values_of(x_hat).ravel(), expected, rtol=1e-9)

    running = tg.Tensor([0.0]), tg.Tensor([1.0])
    z = batch_norm(x, *running, tg.scalarize([1.0]), tg.scalarize([0.0]), training=True, eps=0.0)
    assert_allclose(tg.values_of(z).ravel(), expected, rtol=1e-9)
    z[0, 0].backward()
    assert_allclose(tg.gradients_of(x).ravel(), [0.26832816, -0.35777088, -0.08944272, 0.17888544], atol=5e-9)
    assert_allclose(running[0].item(), 0.25, rtol=1e-12)
    assert_allclose(running[1].item(), 1.066667, atol=5e-7)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_equal_those_of_the_tensor_and_the_closed_form(shape):
    scalars, tensors, dy = pieces(shape)
    y = batch_norm(scalars[0], weight=scalars[1], bias=scalars[2], training=True)
    z = batch_norm(tensors[0], weight=tensors[1], bias=tensors[2], training=True)
    assert y.shape == shape
    assert all(isinstance(s, tg.Scalar) for s in y.ravel())
    assert_allclose(tg.values_of(y), z.numpy(), rtol=1e-13, atol=1e-14)
    (y * dy).sum().backward()
    z.backward(dy)
    closed = backward(*(t.numpy() for t in tensors[:2]), dy, 1e-5)
    for s, t, c in zip(scalars, tensors, closed):
        assert_allclose(tg.gradients_of(s), t.grad.numpy(), rtol=1e-11, atol=1e-13)
        assert_allclose(tg.gradients_of(s), c, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 1), (2, 2, 2)], ids=str)
def test_second_derivatives_equal_those_of_the_tensor(shape):
    scalars, tensors, dy = pieces(shape)
    v = problem(shape, seed=9)[0]
    inputs = list(scalars[0].ravel())
    slopes = tg.grad((batch_norm(scalars[0], weight=scalars[1]) * dy).sum(), inputs, create_graph=True)
    inner = sum(s * float(w) for s, w in zip(slopes, v.ravel()))
    got = [float(g) for g in tg.grad(inner, [*inputs, *scalars[1]])]
    (dx,) = tg.grad(batch_norm(tensors[0], weight=tensors[1]), [tensors[0]], dy, create_graph=True)
    by_x, by_weight = tg.grad((dx * v).sum(), tensors[:2])
    expected = np.concatenate([by_x.numpy().ravel(), by_weight.numpy()])
    assert_allclose(got, expected, rtol=1e-9, atol=1e-11)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_statistics_and_evaluation(shape):
    x, weight, bias, dy = problem(shape)
    channels = shape[1]
    by_scalars = tg.Tensor(np.zeros(channels)), tg.Tensor(np.ones(channels))
    by_tensors = tg.Tensor(np.zeros(channels)), tg.Tensor(np.ones(channels))
    batch_norm(tg.scalarize(x), *by_scalars, training=True)
    batch_norm(tg.Tensor(x), *by_tensors, training=True)
    for got, expected in zip(by_scalars, by_tensors):
        assert_allclose(got.numpy(), expected.numpy(), rtol=1e-13)

    scalars = tg.scalarize(x)
    y = batch_norm(scalars, *by_scalars, weight, bias)
    root = np.sqrt(by_tensors[1].numpy() + 1e-5)
    expected = (x - per_channel(by_tensors[0].numpy(), x)) * per_channel(weight / root, x) + per_channel(bias, x)
    assert_allclose(tg.values_of(y), expected, rtol=1e-12, atol=1e-13)
    (y * dy).sum().backward()
    assert_allclose(tg.gradients_of(scalars), dy * per_channel(weight / root, x), rtol=1e-12)


def test_a_mixture_of_scalars_and_numbers():
    x = problem((4, 2))[0]
    mixed = x.astype(object)
    mixed[1, 0] = tg.Scalar(x[1, 0])
    y = batch_norm(mixed)
    assert_allclose(tg.values_of(y), statistics(x, 1e-5)[0], rtol=1e-12)
    y[0, 0].backward()
    expected = backward(x, np.ones(2), np.eye(4, 2) * [1.0, 0.0], 1e-5)[0]
    assert_allclose(float(mixed[1, 0].grad), expected[1, 0], rtol=1e-10)
