"""``nn.BatchNorm1d`` and ``nn.BatchNorm2d``: modes, running statistics, saving; against PyTorch's layers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, DTypeError, ShapeError

CASES = [("BatchNorm1d", (7, 3)), ("BatchNorm1d", (4, 3, 5)), ("BatchNorm2d", (3, 3, 4, 2))]
case = pytest.mark.parametrize(("name", "shape"), CASES, ids=lambda v: str(v))


def batch(shape, seed=0, dtype=float):
    rng = np.random.default_rng([seed, *shape])
    return rng.normal(seed - 1.0, 1.0 + seed, shape).astype(dtype)


def pair(name, dtype=np.float64, **settings):
    """Our layer and PyTorch's with the same, not trivial, parameters."""
    ours = getattr(nn, name)(3, dtype=dtype, **settings)
    theirs = getattr(torch.nn, name)(3, dtype=torch.float64 if dtype == np.float64 else torch.float32, **settings)
    if settings.get("affine", True):
        rng = np.random.default_rng(5)
        for parameter, their in zip(ours.parameters(), theirs.parameters()):
            parameter.data = rng.uniform(0.5, 1.5, 3)
            their.data = torch.tensor(parameter.numpy())
    return ours, theirs


def step(ours, theirs, x, dy):
    """Forward and backward through both; the gradients by x."""
    a, b = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    assert_allclose(y.numpy(), z.detach(), rtol=1e-9, atol=1e-12)
    assert_allclose(a.grad.numpy(), b.grad, rtol=1e-9, atol=1e-12)
    return a.grad.numpy()


def same_state(ours, theirs):
    state = theirs.state_dict()
    for name, buffer in ours.named_buffers():
        assert_allclose(buffer.numpy(), state[name], rtol=1e-9, atol=1e-13)


# -- against PyTorch, batch after batch -------------------------------------------------------------------------------


@case
@pytest.mark.parametrize(
    "settings",
    [{}, {"momentum": None}, {"momentum": 0.0}, {"momentum": 1.0}, {"affine": False}, {"eps": 0.1},
     {"track_running_stats": False}, {"affine": False, "track_running_stats": False, "eps": 0.2}],
    ids=str,
)  # fmt: skip
def test_several_batches_in_training_then_evaluation_are_pytorchs(name, shape, settings):
    ours, theirs = pair(name, **settings)
    dy = batch(shape, seed=9)
    for seed in range(4):
        step(ours, theirs, batch(shape, seed), dy)
        same_state(ours, theirs)
    for parameter, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_allclose(parameter.grad.numpy(), their.grad, rtol=1e-9, atol=1e-12)  # accumulated over the four
    ours.eval()
    theirs.eval()
    dx = step(ours, theirs, batch(shape, 5), dy)
    same_state(ours, theirs)
    assert np.abs(dx).max() > 1e-3
    ours.train()
    theirs.train()
    step(ours, theirs, batch(shape, 6), dy)
    same_state(ours, theirs)


@case
def test_running_statistics_follow_the_recursion(name, shape):
    layer = getattr(nn, name)(3, momentum=0.3, dtype=float)
    mean, variance = np.zeros(3), np.ones(3)
    axes = (0, *range(2, len(shape)))
    for seed in range(3):
        x = batch(shape, seed)
        layer(x)
        mean = 0.7 * mean + 0.3 * x.mean(axes)
        variance = 0.7 * variance + 0.3 * x.var(axes, ddof=1)
        assert layer.num_batches_tracked.item() == seed + 1
    assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    assert_allclose(layer.running_var.numpy(), variance, rtol=1e-12)


@case
def test_without_momentum_they_are_the_plain_average_over_the_batches(name, shape):
    layer = getattr(nn, name)(3, momentum=None, dtype=float)
    batches = [batch(shape, seed) for seed in range(5)]
    for x in batches:
        layer(x)
    axes = (0, *range(2, len(shape)))
    assert_allclose(layer.running_mean.numpy(), np.mean([x.mean(axes) for x in batches], axis=0), rtol=1e-12)
    assert_allclose(layer.running_var.numpy(), np.mean([x.var(axes, ddof=1) for x in batches], axis=0), rtol=1e-12)


def test_momentum_0_keeps_and_momentum_1_replaces():
    x = batch((6, 3), 2)
    kept, replaced = nn.BatchNorm1d(3, momentum=0.0, dtype=float), nn.BatchNorm1d(3, momentum=1.0, dtype=float)
    kept(x)
    replaced(x)
    assert np.array_equal(kept.running_mean.numpy(), np.zeros(3))
    assert np.array_equal(kept.running_var.numpy(), np.ones(3))
    assert_allclose(replaced.running_mean.numpy(), x.mean(0), rtol=1e-13)
    assert_allclose(replaced.running_var.numpy(), x.var(0, ddof=1), rtol=1e-13)
    assert kept.num_batches_tracked.item() == replaced.num_batches_tracked.item() == 1


# -- modes ------------------------------------------------------------------------------------------------------------


def test_evaluation_is_per_example_and_moves_nothing():
    layer = nn.BatchNorm1d(3, dtype=float)
    layer(batch((8, 3)))
    before = layer.state_dict()
    x = batch((5, 3), 1)
    layer.eval()
    whole = layer(x).numpy()
    one_by_one = np.concatenate([layer(x[i : i + 1]).numpy() for i in range(5)])
    assert_allclose(whole, one_by_one, rtol=1e-14)
    assert layer(np.zeros((0, 3))).shape == (0, 3)
    for name, value in layer.state_dict().items():
        assert np.array_equal(value, before[name])


def test_training_and_evaluation_differ_until_the_statistics_are_the_batchs():
    layer = nn.BatchNorm1d(3, momentum=1.0, dtype=float)
    x = batch((8, 3), 2)
    trained = layer(x).numpy()
    evaluated = layer.eval()(x).numpy()
    assert not np.allclose(trained, evaluated)  # biased against unbiased variance
    layer.running_var.data = x.var(0)
    assert_allclose(layer(x).numpy(), trained, rtol=1e-13)


def test_a_frozen_layer_inside_a_training_model():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    model.train()
    model[1].eval()
    model(batch((4, 3), dtype=np.float32))
    assert model[1].num_batches_tracked.item() == 0
    model.train()
    model(batch((4, 3), dtype=np.float32))
    assert model[1].num_batches_tracked.item() == 1


def test_gradients_flow_through_an_evaluating_layer_to_the_layer_before():
    layer, before = nn.BatchNorm1d(3, dtype=float), nn.Linear(2, 3, dtype=float)
    layer.running_var.data = [0.25, 1.0, 4.0]
    layer.eval()
    x, dy = batch((4, 2)), batch((4, 3), 1)
    layer(before(x)).backward(dy)
    root = np.sqrt(np.array([0.25, 1.0, 4.0]) + 1e-5)
    assert_allclose(before.weight.grad.numpy(), (dy / root).T @ x, rtol=1e-12)
    assert_allclose(before.bias.grad.numpy(), (dy / root).sum(0), rtol=1e-12)
    assert layer.running_mean.grad is None


def test_without_tracking_evaluation_is_training():
    layer = nn.BatchNorm1d(3, track_running_stats=False, dtype=float)
    assert layer.running_mean is layer.running_var is layer.num_batches_tracked is None
    x = batch((6, 3))
    assert np.array_equal(layer(x).numpy(), layer.eval()(x).numpy())
    with pytest.raises(ShapeError, match="without running statistics"):
        layer(x[:1])


def test_without_affine_there_is_nothing_to_train():
    layer = nn.BatchNorm1d(3, affine=False, dtype=float)
    assert layer.weight is layer.bias is None
    assert list(layer.parameters()) == []
    y = layer(tg.Tensor(batch((6, 3)))).numpy()
    assert_allclose(y.mean(0), 0.0, atol=1e-14)


def test_recording_is_not_needed_to_track():
    layer = nn.BatchNorm1d(3)
    with tg.no_grad():
        y = layer(tg.Tensor(batch((6, 3), dtype=np.float32), requires_grad=True))
    assert not y.requires_grad
    assert layer.num_batches_tracked.item() == 1


def test_two_forwards_before_one_backward():
    """As when a discriminator sees real and generated data in one step."""
    layer = nn.BatchNorm1d(3, dtype=float)
    a, b = tg.Tensor(batch((5, 3)), requires_grad=True), tg.Tensor(batch((4, 3), 1), requires_grad=True)
    w, v = batch((5, 3), 2), batch((4, 3), 3)
    ((layer(a) * w).sum() + (layer(b) * v).sum()).backward()
    together = layer.weight.grad.numpy()
    layer.zero_grad()
    layer(a.detach()).backward(w)
    layer(b.detach()).backward(v)
    assert_allclose(together, layer.weight.grad.numpy(), rtol=1e-12)


# -- refusals, and nothing has moved ----------------------------------------------------------------------------------


def test_a_batch_of_one_in_training_names_layer_shape_and_remedy_and_moves_nothing():
    layer = nn.BatchNorm1d(3)
    before = layer.state_dict()
    for shape in [(1, 3), (1, 3, 1), (0, 3)]:
        with pytest.raises(ValueError, match="at least two values per channel") as error:
            layer(np.zeros(shape, np.float32))
        assert isinstance(error.value, ShapeError)
        assert str(shape) in str(error.value)
        assert ".eval()" in str(error.value)
    assert layer(np.zeros((1, 3, 2), np.float32)).shape == (1, 3, 2)  # two values per channel are enough
    layer.load_state_dict(before)
    with pytest.raises(ValueError, match="per channel"):
        nn.BatchNorm2d(3)(np.zeros((1, 3, 1, 1)))
    for name, value in layer.state_dict().items():
        assert np.array_equal(value, before[name])


@pytest.mark.parametrize(
    ("name", "shape"),
    [("BatchNorm1d", (4, 2)), ("BatchNorm1d", (3,)), ("BatchNorm1d", ()), ("BatchNorm1d", (4, 3, 2, 2)),
     ("BatchNorm2d", (4, 3)), ("BatchNorm2d", (4, 3, 2)), ("BatchNorm2d", (4, 2, 3, 3))],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
def test_inputs_of_another_shape_are_refused_and_nothing_moves(name, shape, training):
    layer = getattr(nn, name)(3).train(training)
    before = layer.state_dict()
    with pytest.raises(ShapeError, match="wrong input") as error:
        layer(np.ones(shape))
    assert name in str(error.value)
    assert str(shape) in str(error.value)
    assert "(N, 3" in str(error.value)
    for key, value in layer.state_dict().items():
        assert np.array_equal(value, before[key])


def test_the_message_names_the_layer_by_its_place():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(5))
    with pytest.raises(ShapeError, match="BatchNorm1d '1'"):
        model(np.zeros((3, 2)))


@pytest.mark.parametrize(
    "settings",
    [{"num_features": -1}, {"eps": -1e-5}, {"eps": float("nan")}, {"momentum": -0.1}, {"momentum": 1.5},
     {"momentum": float("nan")}, {"dtype": int}, {"dtype": bool}],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range(settings):
    with pytest.raises((ArgumentError, DTypeError), match=f"BatchNorm1d: {next(iter(settings))}"):
        nn.BatchNorm1d(**({"num_features": 3} | settings))


# -- saving and loading -----------------------------------------------------------------------------------------------


@case
@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"track_running_stats": False}], ids=str)
def test_the_state_has_pytorchs_names_order_shapes_and_dtypes(name, shape, settings):
    ours, theirs = pair(name, np.float32, **settings)
    state, their_state = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(their_state)
    for key, value in state.items():
        assert value.shape == tuple(their_state[key].shape)
        assert value.dtype == their_state[key].numpy().dtype


@case
def test_a_state_round_trip_gives_the_same_layer(name, shape):
    source, target = getattr(nn, name)(3), getattr(nn, name)(3)
    for seed in range(3):
        source(batch(shape, seed, np.float32))
    source.weight.data = [1.0, 2.0, 3.0]
    target.load_state_dict(source.state_dict())
    x = batch(shape, 4, np.float32)
    assert target.num_batches_tracked.item() == 3
    assert np.array_equal(source.eval()(x).numpy(), target.eval()(x).numpy())


@case
def test_a_layer_trained_by_pytorch_can_be_loaded(name, shape):
    ours, theirs = pair(name)
    for seed in range(3):
        theirs(torch.tensor(batch(shape, seed)))
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    theirs.eval()
    step(ours, theirs, batch(shape, 4), batch(shape, 5))


def test_a_copied_state_does_not_follow_the_layer():
    layer = nn.BatchNorm1d(3)
    state = layer.state_dict()
    layer(batch((4, 3), dtype=np.float32))
    assert np.array_equal(state["running_mean"], np.zeros(3))
    assert state["num_batches_tracked"] == 0


def test_a_fractional_batch_count_is_not_rounded_away():
    layer = nn.BatchNorm1d(3)
    state = layer.state_dict() | {"num_batches_tracked": np.array(2.5)}
    with pytest.raises(ShapeError, match="num_batches_tracked has dtype float64, expected int64"):
        layer.load_state_dict(state)


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_the_initial_state_is_pytorchs():
    ours, theirs = nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)
    for key, value in theirs.state_dict().items():
        assert np.array_equal(ours.state_dict()[key], value)


def test_repr_shows_the_settings():
    settings = "3, eps=0.1, momentum=None, affine=False, track_running_stats=True"
    assert repr(nn.BatchNorm2d(3, eps=0.1, momentum=None, affine=False)) == f"BatchNorm2d({settings})"


def test_float32_stays_float32_everywhere():
    layer = nn.BatchNorm1d(3)
    x = tg.Tensor(batch((5, 3), dtype=np.float32), requires_grad=True)
    y = layer(x)
    y.backward(batch((5, 3), 1, np.float32))
    for tensor in (y, x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var):
        assert tensor.dtype == np.float32
    assert layer.eval()(x).dtype == np.float32


def test_no_channels():
    layer = nn.BatchNorm1d(0)
    assert layer(np.zeros((4, 0))).shape == (4, 0)


def test_scalars_pass_through_a_layer_without_parameters():
    layer = nn.BatchNorm1d(2, affine=False, dtype=float)
    x = batch((4, 2))
    y = layer(tg.scalarize(x))
    assert_allclose(tg.values_of(y), nn.BatchNorm1d(2, affine=False, dtype=float)(x), rtol=1e-12)
    assert_allclose(layer.running_mean.numpy(), 0.1 * x.mean(0), rtol=1e-12)
    with pytest.raises(DTypeError):
        nn.BatchNorm1d(2)(tg.scalarize(x))  # tensors as parameters beside scalars
