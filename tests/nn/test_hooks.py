"""Forward pre-hooks and full backward hooks: PyTorch's calls, in PyTorch's order, with PyTorch's gradients."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tests.oracles import random_like
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, ShapeError

W = random_like((3, 3), 4)


class Ours(nn.Module):
    """Two inputs, two outputs, and one argument that is none."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(W)

    def forward(self, a, b, power=1, by=1.0):
        return (a @ self.weight) * b * by, a * b**power


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(W))

    def forward(self, a, b, power=1, by=1.0):
        return (a @ self.weight) * b * by, a * b**power


def raw(gradient):
    return None if gradient is None else np.array(gradient.detach().numpy())


def both(hook_of, run):
    """The same hook on both libraries' modules; what each saw, and the gradients that came out."""
    results = []
    for lib, net in ((tg, Ours()), (torch, Theirs())):
        make = tg.Tensor if lib is tg else torch.tensor
        a, b = (make(random_like((2, 3), i), requires_grad=True) for i in (0, 1))
        seen = []
        hook_of(net, seen, make)
        run(net, a, b, make)
        results.append((seen, [raw(v.grad) for v in (a, b, net.weight)]))
    return results


def assert_same(results):
    (ours, our_grads), (theirs, their_grads) = results
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        for mine, yours in zip(one, other):
            assert len(mine) == len(yours)
            for x, y in zip(mine, yours):
                assert_allclose(x, y, rtol=1e-12) if x is not None and y is not None else None
                assert (x is None) <= (y is None or not y.any())  # PyTorch says zeros where there is none
    for x, y in zip(our_grads, their_grads):
        assert_allclose(x, y, rtol=1e-12)


def cotangents(make):
    return [make(random_like((2, 3), i)) for i in (7, 8)]


def backward(y, z, make):
    u, v = cotangents(make)
    ((y * u).sum() + (z * v).sum()).backward()


def note(seen):
    return lambda module, into, out: seen.append(([raw(g) for g in into], [raw(g) for g in out]))


def test_a_full_backward_hook_sees_all_gradients_of_a_call_at_once():
    def run(net, a, b, make):
        backward(*net(a, b, 2, by=0.5), make)

    results = both(lambda net, seen, make: net.register_full_backward_hook(note(seen)), run)
    assert_same(results)
    into, out = results[0][0][0]
    assert [g is None for g in into] == [False, False, True]  # the power is no tensor
    assert len(out) == 2


def test_what_it_returns_takes_the_place_of_the_gradients_of_the_inputs():
    def hook_of(net, seen, make):
        net.register_full_backward_hook(lambda module, into, out: (into[0] * 10.0, into[1] + out[0]))
        net.register_full_backward_hook(note(seen))

    def run(net, a, b, make):
        backward(*net(a, b), make)

    assert_same(both(hook_of, run))


def test_none_among_what_it_returns_stops_that_gradient():
    net = Ours()
    net.register_full_backward_hook(lambda module, into, out: (None, into[1]))
    a, b = (tg.Tensor(random_like((2, 3), i), requires_grad=True) for i in (0, 1))
    backward(*net(a, b), tg.Tensor)
    assert not a.grad.numpy().any()
    assert b.grad.numpy().any()


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_an_input_that_wants_no_gradient_has_none(wanted):
    net, seen = Ours(), []
    net.register_full_backward_hook(note(seen))
    a, b = (tg.Tensor(random_like((2, 3), i), requires_grad=want) for i, want in enumerate(wanted))
    backward(*net(a, b), tg.Tensor)
    ((into, out),) = seen
    assert [g is not None for g in into] == list(wanted)
    assert all(g is not None for g in out)
    point, other = (a, b) if wanted[0] else (b, a)
    assert_allclose(into[wanted.index(True)], point.grad.numpy())
    assert other.grad is None


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_it_is_called_even_if_no_input_wants_a_gradient():
    def run(net, a, b, make):
        a.requires_grad = b.requires_grad = False
        backward(*net(a, b), make)
        a.grad, b.grad = make(np.zeros((2, 3))), make(np.zeros((2, 3)))

    results = both(lambda net, seen, make: net.register_full_backward_hook(note(seen)), run)
    assert_same(results)
    assert results[0][0][0][0] == [None, None]


def test_an_output_that_is_not_used_has_no_gradient():
    net, seen = Ours(), []
    net.register_full_backward_hook(note(seen))
    a, b = (tg.Tensor(random_like((2, 3), i), requires_grad=True) for i in (0, 1))
    net(a, b)[1].backward(random_like((2, 3), 5))
    ((into, out),) = seen
    assert out[0] is None
    assert_allclose(into[0], a.grad.numpy())


def test_each_call_and_each_pass_calls_it_again_with_its_own_gradients():
    net, seen = Ours(), []
    net.register_full_backward_hook(note(seen))
    a, b = (tg.Tensor(random_like((2, 3), i), requires_grad=True) for i in (0, 1))
    y, z = net(*net(a, b))
    (y + z).sum().backward(retain_graph=True)
    first = list(seen)
    (y * 3.0 + z * 3.0).sum().backward()
    assert len(seen) == 4
    for (into, out), (into3, out3) in zip(first, seen[2:]):
        for g, g3 in zip([*into, *out], [*into3, *out3]):
            assert_allclose(g3, g * 3.0)


def test_a_pass_that_fails_in_the_hook_changes_nothing_and_the_next_one_is_whole():
    net, calls = Ours(), []

    def hook(module, into, out):
        calls.append(into)
        if len(calls) == 1:
            raise ZeroDivisionError

    net.register_full_backward_hook(hook)
    a, b = (tg.Tensor(random_like((2, 3), i), requires_grad=True) for i in (0, 1))
    y, z = net(a, b)
    with pytest.raises(ZeroDivisionError):
        (y + z).sum().backward()
    assert a.grad is b.grad is None
    (y + z).sum().backward()
    assert len(calls) == 2
    assert_allclose(a.grad.numpy(), calls[1][0].numpy())
    assert_allclose(b.grad.numpy(), calls[1][1].numpy())


def test_a_gradient_of_another_shape_is_refused_and_the_next_pass_is_whole():
    net, calls = Ours(), []

    def hook(module, into, out):
        calls.append(into)
        return (into[0], tg.Tensor(np.ones(7))) if len(calls) == 1 else (into[0] * 2.0, into[1])

    net.register_full_backward_hook(hook)
    a, b = (tg.Tensor(random_like((2, 3), i), requires_grad=True) for i in (0, 1))
    y, z = net(a, b)
    with pytest.raises(ShapeError, match="bad replacement gradient"):
        (y + z).sum().backward()
    (y + z).sum().backward()
    assert_allclose(a.grad.numpy(), calls[1][0].numpy() * 2.0)
    assert_allclose(b.grad.numpy(), calls[1][1].numpy())


def test_gradients_through_a_hooked_module_can_be_differentiated_again():
    plain, hooked = Ours(), Ours()
    hooked.register_full_backward_hook(lambda module, into, out: None)
    found = []
    for net in (plain, hooked):
        a = tg.Tensor(random_like((2, 3), 0), requires_grad=True)
        y, z = net(a, a * 2.0)
        u, v = cotangents(tg.Tensor)
        first = tg.grad((y * u).sum() + (z * v).sum(), a, create_graph=True)
        found.append((first.numpy(), tg.grad(first, a, tg.Tensor(random_like((2, 3), 3))).numpy()))
    assert_allclose(found[0], found[1], rtol=1e-12)


def test_hooks_come_in_pytorchs_order():
    orders = []
    for lib, make in ((nn, tg.Tensor), (torch.nn, torch.tensor)):
        order = []
        net = lib.Sequential(lib.Identity(), lib.Identity())
        for name, module in net.named_modules():
            module.register_forward_pre_hook(lambda m, args, name=name, order=order: order.append(f"pre {name}"))
            module.register_forward_hook(lambda m, args, out, name=name, order=order: order.append(f"post {name}"))
            module.register_full_backward_hook(
                lambda m, into, out, name=name, order=order: order.append(f"back {name}")
            )
        net(make([1.0, 2.0], requires_grad=True)).sum().backward()
        orders.append(order)
    assert orders[0] == orders[1]


def test_a_pre_hook_sees_the_arguments_and_may_replace_them():
    seen = []
    for lib, net, make in ((nn, Ours(), tg.Tensor), (torch.nn, Theirs(), torch.tensor)):
        calls = []
        net.register_forward_pre_hook(lambda m, args, calls=calls: calls.append(len(args)))
        net.register_forward_pre_hook(lambda m, args: (args[0] * 2.0, args[1], 3))
        net.register_forward_pre_hook(lambda m, args, calls=calls: calls.append(len(args)))
        y, z = net(make(random_like((2, 3), 0)), make(random_like((2, 3), 1)), by=0.5)
        single = lib.Identity()
        single.register_forward_pre_hook(lambda m, args: args[0] + 1.0)  # no tuple: the only argument
        seen.append((calls, y.detach().numpy(), z.detach().numpy(), single(make([1.0])).detach().numpy()))
    assert seen[0][0] == seen[1][0] == [2, 3]
    for ours, theirs in zip(seen[0][1:], seen[1][1:]):
        assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(
    "register", ["register_forward_pre_hook", "register_forward_hook", "register_full_backward_hook"]
)
def test_hooks_are_taken_off_again_and_are_functions(register):
    net, calls = nn.Identity(), []
    handle = getattr(net, register)(lambda *args: calls.append(args))
    net(tg.Tensor([1.0], requires_grad=True)).backward(np.ones(1))
    handle.remove()
    handle.remove()
    net(tg.Tensor([1.0], requires_grad=True)).backward(np.ones(1))
    assert len(calls) == 1
    with pytest.raises(ArgumentError, match="a hook is a function"):
        getattr(net, register)("print")


def test_what_does_not_fit_is_explained():
    net = nn.Identity()
    net.register_full_backward_hook(lambda module, into, out: (into[0], into[0]))
    with pytest.raises(ArgumentError, match="2 gradients") as error:
        net(tg.Tensor([1.0], requires_grad=True)).backward(np.ones(1))
    assert "one for each positional argument" in str(error.value)
    with pytest.raises(ArgumentError, match="output of Identity") as error:
        net({"a": tg.Tensor([1.0], requires_grad=True)})
    assert "dict" in str(error.value)


def test_lists_and_single_outputs_keep_their_kind_and_nothing_is_wrapped_without_need():
    class Several(nn.Module):
        def forward(self, x):
            return [x, x * 2.0]

    net = Several()
    net.register_full_backward_hook(lambda *args: None)
    x = tg.Tensor([1.0], requires_grad=True)
    assert isinstance(net(x), list)
    constant = tg.Tensor([1.0])
    assert net(constant)[0] is constant
    with tg.no_grad():
        assert not net(x)[1].requires_grad


def test_scalars_pass_through_as_well():
    net, seen = nn.Identity(), []
    net.register_full_backward_hook(lambda module, into, out: seen.append((into[0].item(), out[0].item())))
    x = tg.Scalar(3.0)
    (net(x) * 2.0).backward()
    assert seen == [(2.0, 2.0)]
    assert x.grad.item() == 2.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_keep_no_graph_alive(create_graph):
    net = Ours()
    net.register_full_backward_hook(lambda module, into, out: None)
    gc.collect()
    gc.disable()
    try:
        a, b = (tg.Tensor(random_like((2, 3), i), requires_grad=True) for i in (0, 1))
        y, z = net(a, b)
        watched = weakref.ref(y)
        tg.grad((y * y + z).sum(), [a, b, net.weight], create_graph=create_graph)
        del y, z
        assert watched() is None
    finally:
        gc.enable()
