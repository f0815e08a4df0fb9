"""``ModuleList`` and ``ModuleDict``: PyTorch's names, order and behavior; what is refused; ``apply`` and forward hooks."""

from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tests.train.interrupted import interrupted_at
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, RecordingError
from tinygrad_bn.program import record


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


CHANGES = {
    "append": lambda m, new, i: m.append(new()),
    "extend": lambda m, new, i: m.extend([new(), new()]),
    "insert": lambda m, new, i: m.insert(i % len(m), new()),
    "set": lambda m, new, i: m.__setitem__(i, new()),
    "del": lambda m, new, i: m.__delitem__(i),
    "del part": lambda m, new, i: m.__delitem__(slice(None, None, 2)),
    "pop": lambda m, new, i: m.pop(i),
    "+=": lambda m, new, i: m.__iadd__(type(m)(new()) if type(m).__name__ == "Sequential" else [new()]),
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
def test_random_changes_leave_what_pytorch_has(kind, seed):
    def made(lib):
        rng, numbers = np.random.default_rng(seed), iter(range(1000))
        start = [lib.Dropout(next(numbers) / 1000) for _ in range(4)]
        modules = lib.Sequential(*start) if kind == "Sequential" else lib.ModuleList(start)
        for name in rng.choice([*CHANGES], 12):
            if len(modules) > 1 or name in ("append", "extend", "+="):
                i = int(rng.integers(-len(modules), len(modules)))
                CHANGES[name](modules, lambda: lib.Dropout(next(numbers) / 1000), i)
        return [(name, module.p) for name, module in modules.named_children()]

    assert made(nn) == made(torch.nn)


def test_sequentials_add_up_and_parts_can_be_added_to():
    a, b = nn.Sequential(*dropouts(0.1, 0.2)), nn.Sequential(*dropouts(0.3, 0.4))
    both = a + b
    assert type(both) is nn.Sequential
    assert [(name, m.p) for name, m in both.named_children()] == [("0", 0.1), ("1", 0.2), ("2", 0.3), ("3", 0.4)]
    assert tags(a) == [0.1, 0.2]
    part = both[1:3].append(nn.Dropout(0.5))  # PyTorch would write over "2" here
    assert [(name, m.p) for name, m in part.named_children()] == [("1", 0.2), ("2", 0.3), ("3", 0.5)]
    assert tags(part.insert(0, nn.Dropout(0.6))) == [0.6, 0.2, 0.3, 0.5]
    assert tags(both) == [0.1, 0.2, 0.3, 0.4]
    a += b
    assert tags(a) == tags(both)
    with pytest.raises(DTypeError, match="Sequential is made of modules"):
        a.__add__([np.tanh])


def test_a_sequential_of_names():
    net = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.Tanh(), "last": nn.Linear(3, 1)})
    theirs = torch.nn.Sequential(OrderedDict([("first", torch.nn.Linear(2, 3)), ("act", torch.nn.Tanh()),
                                              ("last", torch.nn.Linear(3, 1))]))  # fmt: skip
    assert list(net.state_dict()) == list(theirs.state_dict())
    assert net.first is net[0]
    assert net(tg.Tensor(np.ones((1, 2), np.float32))).inputs[0].scope.path == ("Sequential", "last")
    for names in ({"forward": nn.Tanh()}, {"a.b": nn.Tanh()}, {"": nn.Tanh()}, {1: nn.Tanh()}):
        with pytest.raises(ArgumentError, match="cannot be a key"):
            nn.Sequential(names)
    with pytest.raises(DTypeError, match="at 'a'"):
        nn.Sequential({"a": np.tanh})


def test_a_list_that_is_added_to_in_place_stays_the_same_list():
    net = build(nn)
    layers = net.layers
    layers += [nn.Linear(3, 3)]
    assert layers is net.layers
    assert len(net.layers) == 6


@pytest.mark.parametrize(
    "kind", [lambda *m: nn.Sequential(*m), lambda *m: nn.ModuleList(m)], ids=["sequential", "list"]
)
def test_a_change_that_is_refused_changes_nothing(kind):
    modules = kind(*dropouts(0.1, 0.2))
    for misuse in (
        lambda: modules.extend([nn.ReLU(), np.tanh]), lambda: modules.append(3), lambda: modules.insert(0, None),
        lambda: modules.__setitem__(0, "relu"), lambda: modules.pop(5), lambda: modules.__delitem__(-3),
        lambda: modules.__iadd__([3]), lambda: modules.extend(7),
    ):  # fmt: skip
        with pytest.raises((DTypeError, IndexingError)):
            misuse()
        assert tags(modules) == [0.1, 0.2]


class Held(nn.Module):
    """Modules in a list and in a dictionary, which nobody calls."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Tanh()])
        self.named = nn.ModuleDict({"a": nn.Tanh()})

    def forward(self, x):
        for layer in (*self.layers, *self.named.values()):
            x = layer(x)
        return x


EXCHANGES = {
    "append": lambda net: net.layers.append(nn.Linear(2, 2)),
    "insert": lambda net: net.layers.insert(1, nn.Sigmoid()),
    "set": lambda net: net.layers.__setitem__(1, nn.Sigmoid()),
    "del": lambda net: net.layers.__delitem__(0),
    "another list": lambda net: setattr(net, "layers", net.layers[1:]),
    "key": lambda net: net.named.update({"b": nn.Sigmoid()}),
    "pop": lambda net: net.named.pop("a"),
    "clear": lambda net: net.named.clear(),
}


@pytest.mark.parametrize("exchange", [*EXCHANGES])
def test_a_program_notices_that_modules_have_been_added_or_taken_out(exchange):
    net, x = Held(), tg.Tensor(np.ones((3, 2), np.float32))
    program, compiled = record(net, x), tg.compile(net, quiet=True)
    assert_allclose(compiled(x).numpy(), net(x).numpy(), rtol=1e-6)
    EXCHANGES[exchange](net)
    assert_allclose(compiled(x).numpy(), net(x).numpy(), rtol=1e-6)
    with pytest.raises(RecordingError, match="has changed since the recording"):
        program.run(x)


@pytest.mark.parametrize("exchange", [c for c in CHANGES if c != "set"])
def test_a_program_notices_that_a_sequential_has_been_changed(exchange):
    net, x = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Tanh()), tg.Tensor(np.ones((3, 2), np.float32))
    program, compiled = record(net, x), tg.compile(net, quiet=True)
    assert_allclose(compiled(x).numpy(), net(x).numpy(), rtol=1e-6)
    CHANGES[exchange](net, nn.Sigmoid, 1)
    assert_allclose(compiled(x).numpy(), net(x).numpy(), rtol=1e-6)
    with pytest.raises(RecordingError, match="has changed since the recording"):
        program.run(x)


def test_ctrl_c_leaves_a_list_of_modules_whole():
    lines = interrupted_at(0, lambda: nn.Sequential(*dropouts(0.1, 0.2, 0.3)).insert(0, nn.Dropout(0.4)))
    for line in range(1, lines + 1):
        modules = nn.Sequential(*dropouts(0.1, 0.2, 0.3))
        interrupted_at(line, lambda modules=modules: modules.insert(0, nn.Dropout(0.4)))
        assert tags(modules) in ([0.1, 0.2, 0.3], [0.4, 0.1, 0.2, 0.3])


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


def test_apply_refuses_what_is_no_function():
    with pytest.raises(ArgumentError, match="apply calls a function"):
        build(nn).apply(nn.init.ones_(tg.Tensor(np.ones(1))))


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
