"""``optim.SGD`` with every combination of its settings; what it shares with the others is in ``test_optimizers``."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError
from tinygrad_bn.optim import SGD

COMBINATIONS = [
    {"momentum": m, "dampening": d, "weight_decay": w, "nesterov": n}
    for m, d, w, n in itertools.product([0.0, 0.9], [0.0, 0.3, -0.5], [0.0, 0.1], [False, True])
    if not n or (m and not d)
]


@pytest.mark.parametrize("settings", COMBINATIONS, ids=str)
def test_seven_steps_are_pytorchs(settings):
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal((3, 2)), rng.standard_normal(4)]
    ours = [nn.Parameter(a) for a in starts]
    theirs = [torch.tensor(a, requires_grad=True) for a in starts]
    optimizer, reference = SGD(ours, lr=0.05, **settings), torch.optim.SGD(theirs, lr=0.05, **settings)
    for i in range(7):
        for p, q in zip(ours, theirs):
            g = rng.standard_normal(p.shape)
            skipped = p is ours[1] and i in (0, 3)  # a parameter without a gradient in some steps
            p.grad = None if skipped else tg.Tensor(g)
            q.grad = None if skipped else torch.tensor(g)
        optimizer.step()
        reference.step()
        for p, q in zip(ours, theirs):
            assert_allclose(p.numpy(), q.detach(), rtol=1e-9, atol=1e-13)
    assert not np.allclose(ours[0].numpy(), starts[0], atol=0.05)


def test_all_settings_have_an_effect():
    ends = []
    for settings in COMBINATIONS:
        p = nn.Parameter(np.array([1.0, -2.0]))
        optimizer = SGD([p], lr=0.1, **settings)
        for _ in range(3):
            p.grad = tg.Tensor([0.5, 0.25])
            optimizer.step()
        ends.append(tuple(p.numpy()))
    # Without momentum dampening has none; nesterov and all others differ.
    assert len(set(ends)) == len(COMBINATIONS) - 4


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), np.float32(0.1), 0])
def test_plain_descent_is_p_minus_lr_times_g(lr):
    p = nn.Parameter(np.array([1.0, 2.0]))
    p.grad = tg.Tensor([10.0, -10.0])
    SGD([p], lr=lr).step()
    assert_allclose(p.numpy(), np.array([1.0, 2.0]) - float(lr) * np.array([10.0, -10.0]), rtol=1e-15)


def test_the_minimum_of_a_quadratic_is_found():
    p = nn.Parameter(np.array([5.0, -3.0]))
    optimizer = SGD([p], lr=0.1, momentum=0.5)
    for _ in range(120):
        optimizer.zero_grad()
        ((p - np.array([1.0, 2.0])) ** 2).sum().backward()
        optimizer.step()
    assert_allclose(p.numpy(), [1.0, 2.0], atol=1e-9)


# -- guarded, whole ---------------------------------------------------------------------------------------------------


def test_momentum_does_not_keep_the_gradients_own_array():
    p = nn.Parameter(np.array([1.0, 2.0]))
    p.grad = gradient = tg.Tensor([1.0, 1.0])
    optimizer = SGD([p], lr=1.0, momentum=0.5)
    optimizer.step()
    optimizer.step()
    assert_allclose(gradient.numpy(), [1.0, 1.0])


def test_a_parameter_without_gradient_is_not_touched():
    still, moved = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    recorded = (still * 2.0).sum()
    moved.grad = tg.Tensor([1.0, 1.0])
    SGD([still, moved], lr=0.1, momentum=0.9, weight_decay=0.1).step()
    assert_allclose(still.numpy(), 1.0)
    recorded.backward()  # its value was not changed, so this is still right
    assert_allclose(still.grad.numpy(), 2.0)


def test_zero_grad_forgets_all():
    model = nn.Linear(2, 2)
    optimizer = SGD(model.parameters(), lr=0.1)
    model(np.ones((1, 2))).backward(np.ones((1, 2)))
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("settings", COMBINATIONS, ids=str)
def test_float32_stays_float32_even_with_float64_settings_and_gradients(settings):
    p = nn.Parameter(np.ones(3, np.float32))
    wide = {k: v if isinstance(v, bool) else np.float64(v) for k, v in settings.items()}
    optimizer = SGD([p], lr=np.float64(0.1), **wide)
    for _ in range(3):
        p.grad = tg.Tensor(np.full(3, 0.1))
        optimizer.step()
    assert p.dtype == np.float32
    assert [v.dtype for v in optimizer.state.get(p, {}).values()] == [np.float32] * bool(settings["momentum"])


def test_a_changed_learning_rate_counts_from_the_next_step():
    p = nn.Parameter(np.array([1.0]))
    optimizer = SGD([p], lr=0.1)
    optimizer.lr = np.float64(1.0)
    p.grad = tg.Tensor([1.0])
    optimizer.step()
    assert p.item() == 0.0


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_and_no_dampening(settings):
    with pytest.raises(ArgumentError, match="nesterov"):
        SGD([nn.Parameter(np.ones(2))], nesterov=True, **settings)
