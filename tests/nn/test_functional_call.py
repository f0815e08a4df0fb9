"""A module as a function of its parameters: PyTorch's torch.func, first and second derivatives, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.nn.layer_parity import twins
from tests.oracles import random_like
from tests.told import told
from tinygrad_bn import functional, nn
from tinygrad_bn.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_bn.nn import functional_call

# PyTorch says this of itself, when torch.func is used first.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is:DeprecationWarning")

X = random_like((5, 3))


def raw(found):
    """Numbers, whether or not something from outside makes the derivative depend on it."""
    return found.numpy() if isinstance(found, tg.Tensor) else np.asarray(found)


def nets():
    def build(lib, **settings):
        return lib.Sequential(
            lib.Linear(3, 4, **settings),
            lib.BatchNorm1d(4, track_running_stats=False, **settings),
            lib.Tanh(),
            lib.Linear(4, 2, **settings),
        )

    ours, theirs = build(nn, dtype=np.float64), build(torch.nn, dtype=torch.float64)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return ours, theirs


def test_values_and_gradients_are_pytorchs_for_all_parameters_at_once():
    ours, theirs = nets()
    names = [name for name, _ in ours.named_parameters()]
    values = [random_like(p.shape, 10 + i) for i, p in enumerate(ours.parameters())]
    cotangent = random_like((5, 2), 1)

    def loss(*parameters):
        return (functional_call(ours, dict(zip(names, parameters)), X) * cotangent).sum()

    def their_loss(*parameters):
        out = torch.func.functional_call(theirs, dict(zip(names, parameters)), (torch.tensor(X),))
        return (out * torch.tensor(cotangent)).sum()

    tensors = [torch.tensor(value) for value in values]
    found = tg.grad(loss, tuple(range(len(values))))(*values)
    expected = torch.func.grad(their_loss, tuple(range(len(values))))(*tensors)
    assert_allclose(loss(*values).item(), their_loss(*tensors).item(), rtol=1e-12)
    for ours_, theirs_ in zip(found, expected):
        assert_allclose(raw(ours_), theirs_, rtol=1e-9, atol=1e-13)


def test_second_derivatives_by_a_parameter_are_pytorchs():
    ours, theirs = twins("Linear", 3, 2)
    theirs.requires_grad_(False)

    def loss(w):
        return (functional_call(ours, {"weight": w}, X) ** 3).sum()

    def their_loss(w):
        return (torch.func.functional_call(theirs, {"weight": w}, torch.tensor(X)) ** 3).sum()

    w, v = ours.weight.numpy(), random_like((2, 3), 2)
    their_w, their_v = torch.tensor(w), torch.tensor(v)
    hessian = torch.func.hessian(their_loss)(their_w)
    for point in (w, ours.weight, tg.Tensor(w)):
        assert_allclose(raw(tg.hessian(loss)(point)), hessian, rtol=1e-9)
        (product,) = tg.hvp(loss, (point,), (v,))
        assert_allclose(raw(product), np.einsum("ijkl,kl->ij", hessian, v), rtol=1e-9)
        _, slope = tg.jvp(loss, (point,), (v,))
        assert_allclose(raw(slope), torch.func.jvp(their_loss, (their_w,), (their_v,))[1], rtol=1e-9)


def test_the_sum_over_the_batch_of_single_gradients_is_the_gradient():
    ours, _ = twins("Linear", 3, 2)
    ours.requires_grad_(False)

    def loss(w, x):
        return (functional_call(ours, {"weight": w}, x) ** 2).sum()

    single = sum(tg.grad(loss)(ours.weight.numpy(), x) for x in X)
    assert_allclose(tg.grad(loss)(ours.weight.numpy(), X), single, rtol=1e-12)


def test_the_module_is_what_it_was_afterwards_even_if_the_call_fails():
    ours, _ = nets()
    before, tensors = ours.state_dict(), [*ours.parameters(), *ours.buffers()]
    functional_call(ours, {"0.weight": np.zeros((4, 3))}, X)
    with pytest.raises(ShapeError):
        functional_call(ours, {"0.weight": np.zeros((4, 3)), "3.bias": np.ones(2)}, np.ones((5, 7)))
    assert [*ours.parameters(), *ours.buffers()] == tensors or all(
        a is b for a, b in zip([*ours.parameters(), *ours.buffers()], tensors)
    )
    assert not any("_stand_ins" in vars(module) for module in ours.modules())
    for name, value in ours.state_dict().items():
        if "running" not in name and "tracked" not in name:
            assert_array_equal(value, before[name])


def test_what_is_not_named_is_the_modules_own_and_gets_its_gradient():
    ours, _ = twins("Linear", 3, 2)
    w = tg.Tensor(np.zeros((2, 3)), requires_grad=True)
    functional_call(ours, {"weight": w}, X).sum().backward()
    assert ours.weight.grad is None
    assert_allclose(ours.bias.grad.numpy(), [5.0, 5.0])
    assert_allclose(w.grad.numpy(), np.tile(X.sum(0), (2, 1)))


def test_buffers_that_are_given_are_used_and_moved_instead_of_the_modules():
    norm = nn.BatchNorm1d(3, dtype=np.float64)
    given = {"running_mean": tg.Tensor(np.full(3, 2.0)), "running_var": tg.Tensor(np.full(3, 4.0))}
    functional_call(norm, given, X)
    assert_allclose(norm.running_mean.numpy(), 0.0)
    assert_allclose(given["running_mean"].numpy(), 0.9 * 2.0 + 0.1 * X.mean(0), rtol=1e-12)
    out = functional_call(norm.eval(), {"running_mean": np.zeros(3), "running_var": np.full(3, 4.0)}, X)
    assert_allclose(out.numpy(), X / np.sqrt(4.0 + 1e-5), rtol=1e-12)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False, dtype=np.float64)
        self.second = nn.Linear(3, 3, bias=False, dtype=np.float64)
        self.second.weight = self.first.weight
        self.again = self.first

    def forward(self, x):
        return self.again(self.second(self.first(x)))


@pytest.mark.parametrize("name", ["first.weight", "second.weight", "again.weight"])
def test_a_shared_parameter_is_replaced_wherever_it_stands(name):
    net, w = Tied(), random_like((3, 3), 3)
    assert_allclose(functional_call(net, {name: w}, X).numpy(), X @ w.T @ w.T @ w.T, rtol=1e-9)
    both = tg.Tensor(w)
    functional_call(net, {"first.weight": both, "second.weight": both}, X)
    with pytest.raises(ArgumentError, match="are one parameter"):
        functional_call(net, {"first.weight": w, "second.weight": w + 1}, X)


def test_a_forward_that_asks_for_its_parameters_finds_those_that_were_given():
    class Decayed(nn.Linear):
        def forward(self, x):
            return super().forward(x).sum() + sum((p**2).sum() for p in self.parameters())

    layer = Decayed(3, 1, dtype=np.float64)
    slope = tg.grad(lambda w: functional_call(layer, {"weight": w}, X))(layer.weight.numpy())
    assert_allclose(raw(slope), X.sum(0)[None] + 2.0 * layer.weight.numpy(), rtol=1e-12)


def test_arguments_come_as_in_a_call_or_as_one_tuple():
    class Two(nn.Linear):
        def forward(self, x, y=0.0, *, factor=1.0):
            return super().forward(x) * factor + y

    layer = Two(3, 2, dtype=np.float64)
    expected = layer(X, 1.0, factor=2.0).numpy()
    for call in (
        lambda: functional_call(layer, {}, X, 1.0, factor=2.0),
        lambda: functional_call(layer, {}, (X, 1.0), factor=2.0),
        lambda: functional_call(layer, {}, X, y=1.0, factor=2.0),
    ):
        assert_array_equal(call().numpy(), expected)


def test_hooks_and_scopes_are_those_of_a_call():
    layer, seen = nn.Linear(3, 2, dtype=np.float64), []
    layer.register_forward_hook(lambda module, args, output: seen.append(module))
    y = functional_call(layer, {"weight": tg.Tensor(np.ones((2, 3)), requires_grad=True)}, X)
    assert seen == [layer]
    assert y.scope.path == ("Linear",)


def test_a_call_inside_of_a_call_gives_back_what_the_outer_one_gave():
    class Inner(nn.Linear):
        def forward(self, x):
            if x.shape[0] == 1:
                return super().forward(x)
            inner = functional_call(self, {"weight": np.zeros((2, 3))}, x[:1])
            return super().forward(x) + inner

    layer = Inner(3, 2, bias=False, dtype=np.float64)
    w = random_like((2, 3), 5)
    assert_allclose(functional_call(layer, {"weight": w}, X).numpy(), X @ w.T, rtol=1e-12)
    assert isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"wieght": np.ones((2, 3))}, ArgumentError, ["no parameter or buffer of this name", "'weight'"]),
        ({"zzz": np.ones(2)}, ArgumentError, ["one of weight, bias"]),
        ({3: np.ones(2)}, ArgumentError, ["got:      3"]),
        ({"weight": np.ones((3, 2))}, ShapeError, ["'weight'", "(3, 2)", "(2, 3)"]),
        ({"weight": "w"}, DTypeError, ["str"]),
        ({"weight": tg.Scalar(1.0)}, DTypeError, ["'weight' is a tensor", "Scalar"]),
        ([np.ones((2, 3))], DTypeError, ["parameters by name", "list"]),
        (None, DTypeError, ["named_parameters"]),
    ],
)
def test_what_does_not_fit_is_explained_and_changes_nothing(parameters, error, words):
    layer = nn.Linear(3, 2)
    weight = layer.weight
    with told(error, words):
        functional_call(layer, parameters, X)
    assert layer.weight is weight


def test_only_modules_are_called():
    with pytest.raises(DTypeError, match="calls a module"):
        functional_call(functional.relu, {}, X)
