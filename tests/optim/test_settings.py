"""Settings that would have no effect are refused; a closure in ``step``; a step without gradients says so."""

import copy

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.train.interrupted import interrupted_at
from tinygrad_bn import nn, optim, program
from tinygrad_bn.errors import ArgumentError

EVERY = [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.NAdam, optim.RAdam, optim.LBFGS]
EVERYTHING = sorted({name for kind in EVERY for name in kind([nn.Parameter(np.ones(1))]).defaults})


def made(kind=optim.Adam, n=2):
    return kind([nn.Parameter(np.ones(n))])


@pytest.mark.parametrize("kind", EVERY)
def test_a_setting_that_another_optimizer_has_is_refused_in_every_way(kind):
    optimizer = made(kind)
    own = dict(optimizer.param_groups[0])
    for name in [*EVERYTHING, "learning_rate", "lrate"]:
        if name in optimizer.defaults:
            assert getattr(optimizer, name) == own[name]
            continue
        ways = [
            lambda: optimizer.param_groups[0].__setitem__(name, 0.5),  # noqa: B023
            lambda: optimizer.param_groups[0].update({name: 0.5}),  # noqa: B023
            lambda: optimizer.param_groups[0].__ior__({name: 0.5}),  # noqa: B023
        ]
        if name != "lrate":
            ways.append(lambda: setattr(optimizer, name, 0.5))  # noqa: B023
            assert not hasattr(optimizer, name)
        for way in ways:
            with pytest.raises(ArgumentError, match=f"{kind.__name__} has no setting '{name}'"):
                way()
    assert dict(optimizer.param_groups[0]) == own


def test_the_message_says_which_setting_is_meant():
    for name in ("learning_rate", "lrs"):
        with pytest.raises(ArgumentError, match="did you mean 'lr'"):
            made().param_groups[0][name] = 0.1
    with pytest.raises(ArgumentError, match="did you mean 'lr'"):
        made().learning_rate = 0.1
    optimizer = made()
    optimizer.remark = "anything else is the user's own"
    assert optimizer.remark.startswith("any")


def test_what_a_group_is_given_is_checked_at_once_and_kept_as_a_float():
    optimizer = made(optim.SGD)
    group = optimizer.param_groups[0]
    for name, wrong in (("lr", -1.0), ("lr", "0.1"), ("lr", tg.Tensor([0.1])), ("nesterov", True), ("maximize", 1)):
        with pytest.raises(ArgumentError):
            group[name] = wrong
    group["lr"] = np.float32(0.5)
    assert type(group["lr"]) is float
    group.update(momentum=0.5, nesterov=True)  # together they fit
    assert optimizer.nesterov
    for name in ("params", "param_names"):
        with pytest.raises(ArgumentError, match="add_param_group"):
            group[name] = [nn.Parameter(np.ones(1))]
    with pytest.raises(AttributeError):
        group["params"].append(nn.Parameter(np.ones(1)))


def test_a_setting_of_all_groups_moves_in_all_of_them_or_in_none():
    def fresh():
        return optim.Adam([{"params": [nn.Parameter(np.ones(1))]} for _ in range(5)])

    length = interrupted_at(0, lambda: setattr(fresh(), "lr", 0.5))
    for at in range(1, length + 1):
        optimizer = fresh()
        interrupted_at(at, lambda: setattr(optimizer, "lr", 0.5))  # noqa: B023
        assert len({group["lr"] for group in optimizer.param_groups}) == 1


def test_a_copy_has_groups_of_its_own():
    optimizer = made()
    twin = copy.deepcopy(optimizer.param_groups)[0]
    twin["lr"] = 0.5
    assert optimizer.lr == 1e-3
    with pytest.raises(ArgumentError):
        twin["momentum"] = 0.5


@pytest.mark.parametrize("kind", EVERY[:-1])
def test_a_closure_computes_the_loss_first(kind):
    def run(with_closure):
        tg.manual_seed(0)
        layer = nn.Linear(3, 1)
        optimizer, x, losses = kind(layer.parameters()), np.ones((4, 3)), []

        def closure():
            assert tg.is_grad_enabled()
            optimizer.zero_grad()
            loss = (layer(x) ** 2).sum()
            loss.backward()
            return loss

        for _ in range(3):
            if with_closure:
                with tg.no_grad():
                    losses.append(optimizer.step(closure).item())
            else:
                losses.append(closure().item())
                assert optimizer.step() is None
        return losses, layer.weight.numpy().tobytes()

    assert run(True) == run(False)


def test_a_closure_can_be_recorded():
    layer = nn.Linear(2, 1, dtype=np.float64)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)

    def training(x):
        def closure():
            optimizer.zero_grad()
            loss = (layer(x) ** 2).sum()
            loss.backward()
            return loss

        return optimizer.step(closure)

    x = np.ones((3, 2))
    recorded = program.record(training, x)
    first = recorded.run(x)
    expected = 3 * float(layer.weight.numpy().sum() + layer.bias.numpy()[0]) ** 2
    assert recorded.run(x) == pytest.approx(expected)
    assert first > 0


def test_a_loss_in_place_of_a_closure():
    optimizer = made()
    loss = (optimizer.params[0] ** 2).sum()
    with pytest.raises(
        ArgumentError, match=r"a function that computes the loss, or nothing\n.*Tensor\n.*loss.backward\(\)"
    ):
        optimizer.step(loss)


def test_a_step_without_gradients_says_so_at_the_users_line():
    optimizer = made()
    with pytest.warns(
        UserWarning, match=r"Adam.step moved nothing: no parameter has a gradient\n.*loss.backward"
    ) as caught:
        optimizer.step()
    assert caught[0].filename == __file__


def test_a_state_without_maximize_is_of_the_first_version():
    optimizer = made()
    optimizer.maximize = True
    state = optimizer.state_dict()
    del state["param_groups"][0]["maximize"]
    optimizer.load_state_dict(state)
    assert optimizer.maximize is False
