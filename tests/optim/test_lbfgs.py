"""L-BFGS against PyTorch's and SciPy's; what its line search promises; all of a step, or nothing."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, rosen, rosen_der

import tinygrad_bn as tg
from tests.train.interrupted import interrupted_at
from tinygrad_bn import functional, nn, ops, optim, program
from tinygrad_bn.errors import AnomalyError, ArgumentError, RecordingError, ShapeError
from tinygrad_bn.optim.line_search import Point, strong_wolfe

START = [-1.2, 1.0, 0.7, 1.3]


def rosenbrock(p):
    return (100.0 * (p[1:] - p[:-1] ** 2) ** 2 + (1.0 - p[:-1]) ** 2).sum()


def closure_of(optimizer, loss):
    """The closure, and how often it was called."""
    calls = []

    def closure():
        calls.append(1)
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure, calls


def ours(settings, start=START, dtype=np.float64):
    p = nn.Parameter(np.array(start, dtype))
    optimizer = optim.LBFGS([p], **settings)
    return (p, optimizer, *closure_of(optimizer, lambda: rosenbrock(p)))


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.01, "max_iter": 7}, {"lr": 0.3, "history_size": 3}, {"lr": 0.2, "max_iter": 9, "max_eval": 5},
        {"lr": 0.2, "max_iter": 1}, {"lr": 0.3, "tolerance_grad": 0.5}, {"lr": 0.3, "tolerance_change": 1e-3},
    ],
    ids=str,
)  # fmt: skip
def test_without_a_line_search_every_step_is_pytorchs(settings):
    p, optimizer, closure, calls = ours(settings)
    q = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.LBFGS([q], **settings)
    other, other_calls = closure_of(reference, lambda: rosenbrock(q))
    for _ in range(4):
        first, expected = optimizer.step(closure), reference.step(other)
        assert_allclose(first.numpy(), expected.detach().numpy(), rtol=1e-7)
        assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-9)
        assert len(calls) == len(other_calls)


def test_defaults_are_pytorchs():
    theirs = torch.optim.LBFGS([torch.zeros(1, requires_grad=True)]).defaults
    assert optim.LBFGS([nn.Parameter(np.zeros(1))]).defaults == theirs


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [2, 10])
def test_with_a_line_search_it_finds_scipys_minimum_in_about_as_many_evaluations(seed, size):
    start = np.random.default_rng(seed).uniform(-2, 2, size)
    theirs = minimize(
        rosen, start, jac=rosen_der, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15, "maxcor": 10}
    )
    p, optimizer, closure, calls = ours(
        {"line_search_fn": "strong_wolfe", "max_iter": 500, "max_eval": 1000, "history_size": 10}, start
    )
    optimizer.step(closure)
    assert rosen(p.numpy()) < 1e-12 or abs(rosen(p.numpy()) - theirs.fun) < 1e-9
    assert len(calls) < 2 * theirs.nfev + 20


def test_a_network_and_float32():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 2)).astype(np.float32)
    y = np.sin(3 * x[:, :1]) * x[:, 1:]
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 1))
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    closure, _ = closure_of(optimizer, lambda: functional.mse_loss(model(x), y))
    losses = [optimizer.step(closure).item() for _ in range(8)]
    assert losses[-1] < 1e-3 * losses[0]
    assert all(p.dtype == np.float32 for p in model.parameters())
    assert model[0].weight.data.flags.f_contiguous  # laid out as before


def along(f, slope, calls):
    def at(t):
        calls.append(t)
        return Point(t, f(t), slope(t), np.zeros(1))

    return at


@pytest.mark.parametrize("first", [1e-8, 1e-3, 0.1, 1.0, 30.0, 1e6])
@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda t: (t - 1.0) ** 2, lambda t: 2.0 * (t - 1.0)),
        (lambda t: -t / (t * t + 2.0), lambda t: (t * t - 2.0) / (t * t + 2.0) ** 2),  # Moré and Thuente, function 1
        (
            lambda t: (t + 0.004) ** 5 - 2.0 * (t + 0.004) ** 4,
            lambda t: 5.0 * (t + 0.004) ** 4 - 8.0 * (t + 0.004) ** 3,
        ),
        (lambda t: math.cosh(min(t, 700.0)) - 3.0 * t, lambda t: math.sinh(min(t, 700.0)) - 3.0),
        (lambda t: -math.log1p(t) + 0.1 * t, lambda t: -1.0 / (1.0 + t) + 0.1),
        (lambda t: t * t - t if t < 2.0 else math.nan, lambda t: 2.0 * t - 1.0 if t < 2.0 else math.nan),
        (lambda t: t**4 - t if t < 9.0 else math.inf, lambda t: 4.0 * t**3 - 1.0 if t < 9.0 else math.inf),
    ],
)
def test_the_line_search_ends_where_wolfes_conditions_hold(f, slope, first):
    calls = []
    start = Point(0.0, f(0.0), slope(0.0), np.zeros(1))
    point = strong_wolfe(along(f, slope, calls), start, first, most=60)
    assert point.t in calls
    assert f(point.t) <= f(0.0) + 1e-4 * point.t * slope(0.0)
    assert abs(slope(point.t)) <= 0.9 * abs(slope(0.0))


def test_a_line_search_that_finds_nothing_lower_stays_where_it_is():
    calls = []
    start = Point(0.0, 1.0, -1.0, np.zeros(1))  # a slope that is wrong
    assert strong_wolfe(along(lambda t: 1.0 + t, lambda t: 1.0, calls), start, 1.0).t < 1e-15
    assert strong_wolfe(along(lambda t: 2.0, lambda t: 0.0, calls), start, 1.0, most=3) is start
    assert len(calls) <= 28


def test_a_state_goes_on_where_it_was():
    p, optimizer, closure, _ = ours({"lr": 0.2, "max_iter": 4, "history_size": 3})
    for _ in range(3):
        optimizer.step(closure)
    q, restored, other, _ = ours({"lr": 0.2, "max_iter": 4, "history_size": 3}, p.numpy())
    restored.load_state_dict(optimizer.state_dict())
    for _ in range(3):
        optimizer.step(closure)
        restored.step(other)
        assert_array_equal(p.numpy(), q.numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("turns") is None, "other entries"),
        (lambda s: s.update(iterations=-1), "iterations"),
        (lambda s: s.update(t=math.nan), "t\n"),
        (lambda s: s.update(scale="1"), "scale"),
        (lambda s: s.update(moves=s["moves"][:1]), "belong together"),
        (lambda s: s.update(moves=None), "belong together"),
        (lambda s: s.update(direction=None), "belong together"),
        (lambda s: s.update(gradient=np.ones(3)), "gradient does not fit"),
        (lambda s: s.update(direction=np.full(4, np.inf)), "direction does not fit"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    _, optimizer, closure, _ = ours({"lr": 0.2})
    optimizer.step(closure)
    state = optimizer.state_dict()
    change(state["state"])
    _, other, _, _ = ours({"lr": 0.5})
    before = other.memory
    with pytest.raises(ArgumentError, match=message):
        other.load_state_dict(state)
    assert other.memory is before
    assert other.lr == 0.5


def test_a_step_that_fails_or_is_interrupted_moves_nothing():
    p, optimizer, closure, calls = ours({"line_search_fn": "strong_wolfe", "max_iter": 3})
    optimizer.step(closure)
    values, memory = p._data, optimizer.memory
    length = interrupted_at(0, lambda: ours({"line_search_fn": "strong_wolfe", "max_iter": 3})[1].step(closure))
    for at in np.random.default_rng(0).integers(1, length, 25):
        interrupted_at(int(at), lambda: optimizer.step(closure))
        whole = optimizer.memory is not memory
        assert (p._data is values) != whole
        if whole:
            values, memory = p._data, optimizer.memory

    def failing():
        if len(calls) % 3 == 0:
            raise ZeroDivisionError
        return closure()

    p, optimizer, closure, calls = ours({"lr": 0.1})
    values = p._data
    with pytest.raises(ZeroDivisionError):
        optimizer.step(failing if calls.append(1) is None else None)
    assert p._data is values
    assert p.grad is None


def test_what_is_not_finite_moves_nothing_and_a_line_search_goes_less_far():
    def loss_of(p):
        return -ops.log(1.0 - p * p).sum() + (p * 3.0).sum()

    p = nn.Parameter(np.array([0.5]))
    optimizer = optim.LBFGS([p], lr=100.0)
    closure, _ = closure_of(optimizer, lambda: loss_of(p))
    with (
        np.errstate(all="ignore"),
        pytest.raises(AnomalyError, match=r"not finite after iteration 1[\s\S]*strong_wolfe"),
    ):
        optimizer.step(closure)
    assert_array_equal(p.numpy(), [0.5])
    optimizer = optim.LBFGS([p], lr=100.0, line_search_fn="strong_wolfe")
    closure, _ = closure_of(optimizer, lambda: loss_of(p))
    with np.errstate(all="ignore"):
        for _ in range(5):
            optimizer.step(closure)
    assert_allclose(p.numpy(), (1.0 - math.sqrt(10.0)) / 3.0, rtol=1e-6)  # where the derivative is 0


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"line_search_fn": "wolfe"}, "line_search_fn"), ({"max_iter": 0}, "max_iter"), ({"max_iter": 2.5}, "max_iter"),
        ({"history_size": True}, "history_size"), ({"max_eval": -1}, "max_eval"), ({"tolerance_grad": -1.0}, "tolerance_grad"),
        ({"lr": math.nan}, "lr"),
    ],
)  # fmt: skip
def test_settings_out_of_range(settings, word):
    with pytest.raises(ArgumentError, match=word):
        optim.LBFGS([nn.Parameter(np.ones(2))], **settings)


def test_what_is_refused_says_what_to_do():
    p, optimizer, closure, _ = ours({})
    with pytest.raises(ArgumentError, match=r"needs a closure\n.*optimizer.step\(closure\)"):
        optimizer.step()
    with pytest.raises(ShapeError, match="the closure returns the loss"):
        optimizer.step(lambda: None)
    with pytest.raises(RecordingError, match="cannot be recorded"):
        program.record(lambda x: optimizer.step(closure), np.ones(2))
    with pytest.raises(ArgumentError, match="one group"):
        optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))]})
    with pytest.raises(ArgumentError, match="LBFGS has no setting 'weight_decay'"):
        optimizer.weight_decay = 0.1
    assert not hasattr(optimizer, "weight_decay")
    assert_array_equal(p.numpy(), START)
