"""Values of ``functional.batch_norm``: the worked example, running statistics, precision, and what it refuses."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from bn_oracle import SHAPES, backward, per_channel, problem, statistics
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn.errors import ArgumentError, MutationError, ShapeError
from tinygrad_bn.functional import batch_norm, standardize


def running(channels, dtype=float):
    return tg.Tensor(np.zeros(channels, dtype)), tg.Tensor(np.ones(channels, dtype))


# -- the worked example -----------------------------------------------------------------------------------------------

EXAMPLE = np.array([[1.0], [2.0], [3.0], [4.0]])
EXAMPLE_X_HAT = [-1.3416407865, -0.4472135955, 0.4472135955, 1.3416407865]
EXAMPLE_DX = [0.26832816, -0.35777088, -0.08944272, 0.17888544]  # for the cotangent (1, 0, 0, 0)


def test_the_worked_example_step_by_step():
    x_hat, mean, variance = standardize(tg.Tensor(EXAMPLE), (0,), 0.0)
    assert mean.shape == variance.shape == (1, 1)
    assert mean.item() == 2.5
    assert variance.item() == 1.25
    assert_allclose(np.sqrt(variance.item()), 1.1180339887, rtol=1e-10)
    assert_allclose(x_hat.numpy().ravel(), EXAMPLE_X_HAT, rtol=1e-9)


def test_the_worked_example_with_scale_1_shift_0_its_gradient_and_running_statistics():
    x = tg.Tensor(EXAMPLE, requires_grad=True)
    mean, variance = running(1)
    z = batch_norm(x, mean, variance, np.ones(1), np.zeros(1), training=True, eps=0.0)
    assert_allclose(z.numpy().ravel(), EXAMPLE_X_HAT, rtol=1e-9)
    z.backward([[1.0], [0.0], [0.0], [0.0]])
    assert_allclose(x.grad.numpy().ravel(), EXAMPLE_DX, atol=5e-9)
    assert_allclose(mean.item(), 0.25, rtol=1e-12)  # 0.9 * 0 + 0.1 * 2.5
    assert_allclose(variance.item(), 1.066667, atol=5e-7)  # 0.9 * 1 + 0.1 * 5/3, the unbiased variance


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_raw_array_gives_a_raw_array_with_the_textbooks_values(shape):
    x, weight, bias, _ = problem(shape)
    y = batch_norm(x, weight=weight, bias=bias)
    assert type(y) is np.ndarray
    assert_allclose(y, per_channel(weight, x) * statistics(x, 1e-5)[0] + per_channel(bias, x), rtol=1e-12, atol=1e-13)


def test_nested_lists_are_arrays():
    assert_allclose(batch_norm(EXAMPLE.tolist(), eps=0.0).ravel(), EXAMPLE_X_HAT, rtol=1e-9)


def test_the_output_has_mean_0_and_variance_1_in_each_channel():
    x = problem((50, 4, 3))[0]
    y = batch_norm(tg.Tensor(x), eps=0.0).numpy()
    assert_allclose(y.mean((0, 2)), 0.0, atol=1e-14)
    assert_allclose(y.var((0, 2)), 1.0, rtol=1e-13)


# -- running statistics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.73, 1.0])
def test_running_statistics_follow_the_recursion_and_pytorch(shape, momentum):
    mean, variance = running(shape[1])
    theirs = torch.zeros(shape[1], dtype=torch.float64), torch.ones(shape[1], dtype=torch.float64)
    by_hand = [np.zeros(shape[1]), np.ones(shape[1])]
    for seed in range(4):
        x = problem(shape, seed)[0]
        batch_norm(tg.Tensor(x), mean, variance, training=True, momentum=momentum)
        torch.nn.functional.batch_norm(torch.tensor(x), *theirs, training=True, momentum=momentum)
        axes = (0, *range(2, x.ndim))
        for i, new in enumerate((x.mean(axes), x.var(axes, ddof=1))):
            by_hand[i] = (1 - momentum) * by_hand[i] + momentum * new
    for got, hand, their in zip((mean, variance), by_hand, theirs):
        assert_allclose(got.numpy(), hand, rtol=1e-12, atol=1e-14)
        assert_allclose(got.numpy(), their, rtol=1e-12, atol=1e-14)
    assert np.array_equal(mean.numpy(), np.zeros(shape[1])) == (momentum == 0.0)


def test_running_statistics_keep_their_dtype_and_leave_what_was_read():
    mean, variance = running(3, np.float32)
    read = [(t.numpy(), t.numpy().copy()) for t in (mean, variance)]
    batch_norm(problem((6, 3))[0], mean, variance, training=True)
    assert all(np.array_equal(held, before) for held, before in read)
    assert not np.array_equal(mean.numpy(), read[0][1])
    assert mean.dtype == variance.dtype == np.float32
    assert not mean.requires_grad
    assert mean.is_leaf


def test_values_read_before_an_update_do_not_change():
    mean, variance = running(3)
    before = mean.numpy()
    batch_norm(problem((6, 3))[0], mean, variance, training=True)
    assert np.array_equal(before, np.zeros(3))
    assert not np.array_equal(mean.numpy(), before)


def test_without_running_statistics_evaluation_uses_the_batch():
    x = problem((6, 3))[0]
    assert np.array_equal(batch_norm(x, training=False), batch_norm(x, training=True))


# -- evaluation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*SHAPES, (1, 3), (0, 3), (0, 3, 2)], ids=str)
def test_evaluation_is_pytorchs_forward_and_backward_and_moves_nothing(shape):
    x, weight, bias, dy = problem(shape)
    means, variances = np.linspace(-1, 1, shape[1]), np.linspace(0.5, 2, shape[1])
    ours = [tg.Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    mean, variance = tg.Tensor(means), tg.Tensor(variances)
    y = batch_norm(ours[0], mean, variance, ours[1], ours[2], training=False)
    y.backward(dy)
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    their_stats = torch.tensor(means), torch.tensor(variances)
    z = torch.nn.functional.batch_norm(theirs[0], *their_stats, theirs[1], theirs[2], training=False)
    z.backward(torch.tensor(dy))
    assert_allclose(y.numpy(), z.detach(), rtol=1e-9, atol=1e-13)
    for got, expected in zip(ours, theirs):
        assert_allclose(got.grad.numpy(), expected.grad, rtol=1e-9, atol=1e-13)
    # Elementwise by hand: an affine map, so dx = dy * weight / root.
    assert_allclose(ours[0].grad.numpy(), dy * per_channel(weight / np.sqrt(variances + 1e-5), x), rtol=1e-12)
    assert np.array_equal(mean.numpy(), means)
    assert np.array_equal(variance.numpy(), variances)


def test_second_derivatives_in_evaluation_are_pytorchs():
    x, weight, bias, dy = problem((4, 3))
    v = problem((4, 3), seed=8)[0]
    ours = [tg.Tensor(a, requires_grad=True) for a in (x, weight)]
    y = batch_norm(ours[0], *running(3), ours[1], bias)
    (dx,) = tg.grad(y, [ours[0]], dy, create_graph=True)
    by_weight = tg.grad((dx * v).sum(), ours[1])
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, weight)]
    z = torch.nn.functional.batch_norm(
        theirs[0], torch.zeros(3).double(), torch.ones(3).double(), theirs[1], torch.tensor(bias)
    )
    (their_dx,) = torch.autograd.grad(z, [theirs[0]], torch.tensor(dy), create_graph=True)
    (expected,) = torch.autograd.grad((their_dx * torch.tensor(v)).sum(), [theirs[1]])
    assert_allclose(by_weight.numpy(), expected, rtol=1e-9)


def test_evaluation_of_raw_values_by_running_tensors_is_raw():
    x = problem((4, 3, 2))[0]
    y = batch_norm(x, *running(3), eps=0.0)
    assert type(y) is np.ndarray
    assert_allclose(y, x, rtol=1e-15)
    assert_allclose(batch_norm(x, np.zeros(3), np.ones(3), eps=0.0), x, rtol=1e-15)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2)], ids=str)
def test_training_after_a_recorded_evaluation_is_reported_or_does_not_change_its_gradient(shape):
    x, _, _, dy = problem(shape)
    statistics = running(3)
    leaf = tg.Tensor(x, requires_grad=True)
    y = batch_norm(leaf, *statistics, eps=0.0)
    batch_norm(10 * x, *statistics, training=True)
    try:
        y.backward(dy)
    except MutationError:
        assert leaf.grad is None
    else:
        assert_allclose(leaf.grad.numpy(), dy, rtol=1e-12)


# -- hard numbers -----------------------------------------------------------------------------------------------------


def exact(x, eps):
    """x_hat of one channel from exact rational arithmetic; only the last root and division round."""
    values = [Fraction(float(v)) for v in x]
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    root = float(variance + Fraction(eps)) ** 0.5
    return np.array([float(v - mean) for v in values]) / root


@pytest.mark.parametrize(("dtype", "mean"), [(np.float64, 1e8), (np.float32, 1e4)])
def test_a_huge_mean_costs_no_more_than_the_rounding_of_the_mean(dtype, mean):
    n, eps = 64, 1e-5
    x = (mean + np.random.default_rng(10).standard_normal((n, 1))).astype(dtype)
    expected = exact(x[:, 0], eps)
    # A sum of n numbers rounds by at most n * u of their size, u the unit roundoff (Higham 2002, section 4.2).
    allowed = n * np.finfo(dtype).eps / 2 * mean / x.astype(float).std()
    leaf = tg.Tensor(x, requires_grad=True)
    y = batch_norm(leaf, eps=eps)
    assert y.dtype == dtype
    assert np.abs(y.numpy()[:, 0] - expected).max() < allowed

    dy = np.random.default_rng(11).standard_normal((n, 1)).astype(dtype)
    y.backward(dy)
    x_hat, g = expected[:, None], dy.astype(float)
    root = (x.astype(float).var() + eps) ** 0.5
    dx = (n * g - g.sum() - x_hat * (g * x_hat).sum()) / (n * root)
    assert np.abs(leaf.grad.numpy() - dx).max() < 4 * allowed * np.abs(dx).max()

    # The bound is one that the other textbook formula for the variance, E[x^2] - E[x]^2, breaks.
    shortcut = (x * x).mean(dtype=dtype) - x.mean(dtype=dtype) ** 2
    naive = (x - x.mean(dtype=dtype)) / np.sqrt(np.abs(shortcut) + dtype(eps))
    assert np.abs(naive[:, 0] - expected).max() > allowed


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_feature_gives_zeros_and_finite_gradients(dtype):
    x, weight, bias, dy = problem((6, 3), dtype=dtype)
    x[:, 1] = 0.1
    leaf = tg.Tensor(x, requires_grad=True)
    scale = tg.Tensor(weight, requires_grad=True)
    y = batch_norm(leaf, weight=scale, bias=bias, training=True)
    y.backward(dy)
    assert_allclose(y.numpy()[:, 1], bias[1], atol=1e-4)
    assert np.isfinite(leaf.grad.numpy()).all()
    expected = backward(*(a.astype(float) for a in (x, weight, dy)), 1e-5)
    size = np.abs(expected[0]).max()
    assert_allclose(leaf.grad.numpy(), expected[0], rtol=1e-4, atol=1e-4 * size)
    assert_allclose(scale.grad.numpy()[1], 0.0, atol=1e-4)


def test_second_derivatives_of_a_constant_feature_are_finite():
    x = tg.Tensor(np.full((4, 2), 3.0), requires_grad=True)
    y = batch_norm(x)
    (dx,) = tg.grad(y, [x], problem((4, 2))[3], create_graph=True)
    again = tg.grad((dx * dx).sum(), x)
    assert np.isfinite(again.numpy()).all()


def test_nan_stays_in_its_channel():
    x = problem((6, 3))[0]
    x[2, 1] = np.nan
    y = batch_norm(x)
    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, [0, 2]]).all()


def test_numpy_float64_settings_do_not_widen_float32():
    mean, variance = running(3, np.float32)
    x, weight, bias, _ = problem((6, 3), dtype=np.float32)
    for training in (True, False):
        y = batch_norm(x, mean, variance, weight, bias, training, np.float64(0.1), np.float64(1e-5))
        assert y.dtype == mean.dtype == variance.dtype == np.float32


def test_no_channels_are_no_problem():
    assert batch_norm(np.zeros((4, 0))).shape == (4, 0)


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (0, 3), (0, 3, 4), (4, 3, 0)], ids=str)
def test_fewer_than_two_values_per_channel_in_training(shape):
    statistics = running(3)
    with pytest.raises(ShapeError, match="at least two values per channel") as error:
        batch_norm(np.zeros(shape), *statistics, training=True)
    assert isinstance(error.value, ValueError)
    assert str(shape) in str(error.value)
    assert "larger batch" in str(error.value)
    assert ".eval()" in str(error.value)
    assert np.array_equal(statistics[0].numpy(), np.zeros(3))


def test_fewer_than_two_values_without_running_statistics_has_its_own_remedy():
    with pytest.raises(ShapeError, match="without running statistics") as error:
        batch_norm(np.zeros((1, 3)))
    assert "keep running statistics" in str(error.value)


@pytest.mark.parametrize("shape", [(), (4,)], ids=str)
def test_no_channel_axis(shape):
    with pytest.raises(ShapeError, match="no batch and channel axes"):
        batch_norm(np.zeros(shape))


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize("wrong", [(2,), (3, 1), (), (1,)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_parameters_of_another_shape_are_named_and_nothing_moves(name, wrong, training):
    good = dict(zip(("running_mean", "running_var"), running(3)), weight=np.ones(3), bias=np.zeros(3))
    arguments = good | {name: tg.Tensor(np.ones(wrong))}
    with pytest.raises(ShapeError, match=f"{name} of shape") as error:
        batch_norm(problem((4, 3))[0], **arguments, training=training)
    assert "(3,)" in str(error.value)
    assert np.array_equal(good["running_mean"].numpy(), np.zeros(3))
    assert np.array_equal(good["running_var"].numpy(), np.ones(3))


@pytest.mark.parametrize(
    "settings", [{"eps": -1e-9}, {"eps": np.nan}, {"momentum": 1.1}, {"momentum": -0.1}, {"momentum": None}]
)
def test_settings_out_of_range(settings):
    with pytest.raises(ArgumentError, match="out of range"):
        batch_norm(np.zeros((4, 3)), **settings)


@pytest.mark.parametrize("missing", [0, 1])
def test_one_running_statistic_without_the_other(missing):
    given = list(running(3))
    given[missing] = None
    with pytest.raises(ArgumentError, match="without the other"):
        batch_norm(np.zeros((4, 3)), *given)


def bad_statistics():
    recorded = tg.Tensor(np.zeros(3), requires_grad=True) * 2.0
    return [np.zeros(3), tg.Tensor(np.zeros(3, int)), recorded]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("bad", bad_statistics(), ids=["raw", "integers", "recorded"])
def test_running_statistics_that_cannot_be_updated_are_refused_before_the_other_moves(place, bad):
    given = list(running(3))
    given[place] = bad
    with pytest.raises(ArgumentError, match="leaf tensors"):
        batch_norm(problem((4, 3))[0], *given, training=True)
    other = given[1 - place].numpy()
    assert np.array_equal(other, np.full(3, float(1 - place)))


def test_a_failure_after_the_normalization_moves_no_running_statistics():
    statistics = running(3)
    with pytest.raises(TypeError):
        batch_norm(tg.Tensor(problem((4, 3))[0]), *statistics, weight=np.array(["a", "b", "c"]), training=True)
    x = tg.Tensor(np.full((4, 3), np.inf))
    with np.errstate(all="ignore"), tg.detect_anomaly(), pytest.raises(FloatingPointError):
        batch_norm(x, *statistics, training=True)
    assert np.array_equal(statistics[0].numpy(), np.zeros(3))
    assert np.array_equal(statistics[1].numpy(), np.ones(3))


def test_an_overflow_in_the_running_dtype_moves_nothing():
    mean, variance = running(3, np.float32)
    x = problem((4, 3))[0]
    x[:, 2] *= 1e30  # the mean fits into float32, the variance does not
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        batch_norm(x, mean, variance, training=True)
    assert np.array_equal(mean.numpy(), np.zeros(3))
    assert np.array_equal(variance.numpy(), np.ones(3))
