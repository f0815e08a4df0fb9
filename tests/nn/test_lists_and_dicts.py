"""``ModuleList`` and ``ModuleDict``: PyTorch's names, order and behavior; what is refused; ``apply`` and forward hooks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError


def build(lib):
    class Net(lib.Module):
        def __init__(self):
            super().__init__()
            self.layers = lib.ModuleList([lib.Linear(2, 2), lib.ReLU()])
            self.layers.append(lib.Linear(2, 3, bias=False)).extend(lib.Linear(3, 3) for _ in range(2))
            self.heads = lib.ModuleDict({"a": lib.Linear(3, 1), "b": lib.ModuleList([lib.Linear(3, 2)])})

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.heads["b"][0](x) + self.heads["a"](x)

    return Net()


def test_a_model_of_lists_and_dicts_is_pytorchs():
    ours, theirs = build(nn), build(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
    assert_allclose(ours(x).numpy(), theirs(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-6)
    assert not any(m.training for m in ours.eval().modules())


def test_modules_in_lists_run_in_scopes_named_after_the_holder():
    net = build(nn)
    y = net(tg.Tensor(np.ones((1, 2), np.float32)))
    left, right = y.inputs
    assert left.scope.path == ("Net", "heads.b.0")
    assert right.scope.path == ("Net", "heads.a")
    net.layers.append(nn.Linear(3, 3))
    with pytest.raises(tg.TinygradError, match=r"Linear 'layers.5'"):
        net.layers[-1](np.ones((1, 2)))


def tags(modules):
    return [module.p for module in modules]


def dropouts(*tags):
    """Modules that can be told apart."""
    return [nn.Dropout(tag) for tag in tags]


def test_a_list_of_modules_is_a_list():
    ours = nn.ModuleList(dropouts(0.1, 0.2))
    plain = dropouts(0.1, 0.2)
    for items in (ours, plain):
        items.append(nn.Dropout(0.3))
        items.insert(1, nn.Dropout(0.4))
        items.insert(-1, nn.Dropout(0.5))
        items[2] = nn.Dropout(0.6)
        del items[0]
        items.extend(dropouts(0.7, 0.8))
        del items[1:3]
    assert tags(ours) == tags(plain) == [0.4, 0.3, 0.7, 0.8]
    assert tags(ours[2:]) == [0.7, 0.8]
    assert ours[-1].p == ours[3].p == 0.8
    assert len(ours) == 4
    assert ours[1] in ours
    assert [name for name, _ in ours.named_children()] == ["0", "1", "2", "3"]
    assert len(nn.ModuleList()) == 0


@pytest.mark.parametrize("index", [3, -4, 99])
def test_positions_that_are_not_there(index):
    modules = nn.ModuleList(dropouts(0.1, 0.2, 0.3))
    for misuse in (
        lambda: modules[index],
        lambda: modules.__delitem__(index),
        lambda: modules.__setitem__(index, nn.ReLU()),
    ):
        with pytest.raises(IndexingError, match="ModuleList: no such module") as error:
            misuse()
        assert "-3 to 2" in str(error.value)
    with pytest.raises(IndexingError, match="it is empty"):
        nn.ModuleList()[0]


def test_a_dictionary_of_modules_is_a_dictionary():
    first, second = dropouts(0.1, 0.2)
    ours = nn.ModuleDict([("a", first)])
    ours.update({"b": second, "0": nn.ReLU()})
    assert list(ours) == list(ours.keys()) == ["a", "b", "0"]
    assert list(ours.items())[:2] == [("a", first), ("b", second)]
    assert list(ours.values())[1] is second
    assert "a" in ours
    assert "forward" not in ours
    assert ours.pop("a") is first
    del ours["0"]
    ours["b"] = first
    assert ours["b"] is first
    assert len(ours) == 1
    with pytest.raises(KeyError):
        ours["a"]
    with pytest.raises(KeyError):
        ours.pop("forward")


@pytest.mark.parametrize("key", ["items", "forward", "training", "_scope", "", "a.b", 3, None])
def test_keys_that_cannot_be(key):
    modules = nn.ModuleDict()
    with pytest.raises(ArgumentError, match="this cannot be a key"):
        modules[key] = nn.ReLU()
    assert len(modules) == 0


@pytest.mark.parametrize("thing", [np.tanh, None, 3, torch.nn.ReLU()], ids=["function", "none", "number", "torch"])
def test_only_modules_can_be_held(thing):
    modules = nn.ModuleList([nn.ReLU()])
    with pytest.raises(DTypeError, match="ModuleList is made of modules"):
        modules.append(thing)
    with pytest.raises(DTypeError, match="ModuleList is made of modules"):
        modules[0] = thing
    assert len(modules) == 1
    with pytest.raises(DTypeError, match="ModuleDict is made of modules"):
        nn.ModuleDict({"a": thing})


def test_an_insert_that_is_refused_changes_nothing():
    modules = nn.ModuleList(dropouts(0.1, 0.2))
    with pytest.raises(DTypeError):
        modules.insert(0, np.tanh)
    assert tags(modules) == [0.1, 0.2]


def test_holders_have_no_forward_and_can_be_copied():
    with pytest.raises(ArgumentError, match="ModuleList has no forward"):
        nn.ModuleList()(1.0)
    clone = copy.deepcopy(nn.ModuleList(dropouts(0.1)))
    assert tags(clone) == [0.1]


# -- apply ------------------------------------------------------------------------------------------------------------


def test_apply_visits_each_module_once_children_first_in_pytorchs_order():
    ours, theirs = build(nn), build(torch.nn)
    seen, expected = [], []
    assert ours.apply(lambda m: seen.append(type(m).__name__)) is ours
    theirs.apply(lambda m: expected.append(type(m).__name__))
    assert seen == expected
    shared = nn.ReLU()
    holder = nn.ModuleList([shared, shared])
    holder.back = holder
    count = []
    holder.apply(count.append)
    assert count == [shared, holder]


def test_apply_initializes_a_tree():
    def clear(module):
        if isinstance(module, nn.Linear):
            nn.init.ones_(module.weight)

    net = build(nn).apply(clear)
    assert all((p.numpy() == 1).all() for name, p in net.named_parameters() if name.endswith("weight"))


# -- forward hooks --------------------------------------------------------------------------------------------------------


def test_a_forward_hook_sees_module_arguments_and_output_until_it_is_removed():
    layer = nn.Linear(2, 1)
    seen = []
    handle = layer.register_forward_hook(lambda module, args, output: seen.append((module, args, output)))
    x = np.ones((1, 2), np.float32)
    y = layer(x)
    assert seen[0][0] is layer
    assert seen[0][1][0] is x
    assert seen[0][2] is y
    handle.remove()
    layer(x)
    handle.remove()
    assert len(seen) == 1


def test_what_a_forward_hook_returns_replaces_the_output_in_order_of_registration():
    layer = nn.Identity()
    layer.register_forward_hook(lambda module, args, output: output + 1.0)
    layer.register_forward_hook(lambda module, args, output: output * 10.0)
    layer.register_forward_hook(lambda module, args, output: None)
    x = tg.Tensor([2.0], requires_grad=True)
    y = layer(x)
    assert y.item() == 30.0
    y.backward(np.ones(1))
    assert x.grad.item() == 10.0
    assert y.scope.path == ("Identity",)


def test_a_hook_may_remove_itself_and_the_same_hook_may_be_there_twice():
    layer = nn.Identity()
    calls = []

    def once(module, args, output):
        calls.append(1)
        handle.remove()

    handle = layer.register_forward_hook(once)
    again = layer.register_forward_hook(once)
    layer(1.0)
    layer(1.0)
    assert len(calls) == 3
    again.remove()
    layer(1.0)
    assert len(calls) == 3


class Forgets(nn.Module):
    def forward(self, x):
        x + 1.0


def test_a_module_that_returns_nothing_is_named():
    with pytest.raises(DTypeError, match=r"module '1' gets nothing[\s\S]*return"):
        nn.Sequential(Forgets(), nn.Linear(2, 2))(np.ones((1, 2)))
    assert nn.Sequential(nn.Identity(), Forgets())(np.ones(2)) is None
