"""What is done to a whole tree reaches every module in its own way, and nothing hides from it."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import sys
import threading
import types
import weakref
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tinygrad_bn import nn, ops
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, ShapeError
from tinygrad_bn.nn import tree
from tinygrad_bn.program import record

# -- a child's own version ------------------------------------------------------------------------------------------------


class Own(nn.Linear):
    """Notes every call of a method of its own, and does nothing else."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.calls = []


def noting(name, result):
    def method(self, *args, **kwargs):
        self.calls.append((name, args, kwargs))
        return result(self)

    return type(f"Own_{name}", (Own,), {name: method})


# How a walk is started from above, and what the child's own version returns.
WALKS = {
    "train": (lambda net: net.train(), lambda self: self),
    "eval": (lambda net: net.eval(), lambda self: self),
    "requires_grad_": (lambda net: net.requires_grad_(False), lambda self: self),
    "zero_grad": (lambda net: net.zero_grad(), lambda self: None),
    "apply": (lambda net: net.apply(lambda module: None), lambda self: self),
    "state_dict": (lambda net: net.state_dict(), lambda self: {}),
    "load_state_dict": (lambda net: net.load_state_dict(nn.Module.state_dict(net)), lambda self: None),
    "named_parameters": (lambda net: net.named_parameters(), lambda self: iter(())),
    "named_buffers": (lambda net: net.named_buffers(), lambda self: iter(())),
    "named_modules": (lambda net: net.named_modules(), lambda self: iter(())),
    "named_children": (lambda net: list(net.modules()), lambda self: iter(())),
}


def holders(child):
    """The same child under each kind of parent, two levels down."""
    outer = nn.Module()
    outer.inner = nn.Module()
    outer.inner.child = child
    return [
        nn.Sequential(nn.Sequential(child)),
        nn.ModuleList([nn.ModuleList([child])]),
        nn.ModuleDict({"a": nn.ModuleDict({"b": child})}),
        outer,
    ]


@pytest.mark.parametrize("name", WALKS)
def test_each_walk_calls_the_childs_own_method_once(name):
    start, result = WALKS[name]
    for i in range(4):
        child = noting(name, result)(2, 2)
        start(holders(child)[i])
        assert [call for call, *_ in child.calls] == [name], i


def test_every_public_method_that_walks_is_in_that_list():
    """A method whose code reaches children and that is not tried above would be forgotten."""
    own = {
        "named_children",
        "modules",
        "parameters",
        "buffers",
    }  # the first is the way down, the others go through walks
    names = {
        name
        for name, value in vars(nn.Module).items()
        if not name.startswith("_") and callable(value) and {"below", "children"} & set(_names_in(value))
    }
    assert names - set(WALKS) <= own
    assert {"train", "state_dict", "zero_grad"} <= names


def _names_in(function):
    code = function.__code__
    return (*code.co_names, *code.co_varnames)


def test_a_frozen_layer_stays_as_it_is_inside_of_others():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

        def requires_grad_(self, requires_grad=True):
            return super().requires_grad_(False)

    net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(Frozen(3)))
    frozen = net[1][0].requires_grad_()
    net.train().requires_grad_()
    assert (net.training, net[1].training, frozen.training) == (True, True, False)
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(p.requires_grad for p in net[0].parameters())
    before = frozen.state_dict()
    net(np.random.default_rng(0).normal(5.0, 2.0, (8, 3)).astype(np.float32))
    for key, value in frozen.state_dict().items():
        assert_array_equal(value, before[key])


def test_an_eval_of_its_own_counts_where_train_is_switched_off():
    class Sampling(nn.Dropout):
        def eval(self):
            return self.train()

    net = nn.Sequential(Sampling(0.5), nn.Dropout(0.5)).eval()
    assert (net[0].training, net[1].training) == (True, False)


def test_an_override_may_switch_single_modules_after_the_rest():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Sequential(nn.BatchNorm1d(2)), nn.Dropout())

        def train(self, mode=True):
            super().train(mode)
            self.body[0].eval()
            return self

    net = nn.Sequential(Net()).train()
    assert [m.training for m in net.modules()] == [True, True, True, False, False, True]


def test_a_state_of_its_own_is_saved_and_loaded():
    class Counting(nn.Linear):
        def __init__(self):
            super().__init__(1, 1)
            self.epoch = 0

        def state_dict(self):
            return {**super().state_dict(), "epoch": np.array(self.epoch)}

        def load_state_dict(self, state, strict=True):
            state = dict(state)
            self.epoch = int(state.pop("epoch"))
            return super().load_state_dict(state, strict)

    saved, fresh = nn.Sequential(nn.Tanh(), Counting()), nn.Sequential(nn.Tanh(), Counting())
    saved[1].epoch = 3
    assert list(saved.state_dict()) == ["1.weight", "1.bias", "1.epoch"]
    fresh.load_state_dict(saved.state_dict())
    assert fresh[1].epoch == 3
    assert_array_equal(fresh[1].weight.numpy(), saved[1].weight.numpy())


def test_a_load_of_its_own_that_fails_takes_everything_back():
    class Picky(nn.Linear):
        def load_state_dict(self, state, strict=True):
            super().load_state_dict(state, strict)
            raise ShapeError("not this one")

    net = nn.Sequential(nn.Linear(1, 1), Picky(1, 1))
    before = net.state_dict()
    with pytest.raises(ShapeError, match="not this one"):
        net.load_state_dict({name: value + 1 for name, value in before.items()})
    for name, value in net.state_dict().items():
        assert_array_equal(value, before[name])


def test_parameters_that_a_layer_adds_or_leaves_out_are_so_inside_of_others():
    class Outside(nn.Module):
        def __init__(self):
            super().__init__()
            self.store = {"weight": np.ones(2)}
            self.held = lambda: extra

        def named_parameters(self):
            yield "extra", extra

    class Silent(nn.Linear):
        def parameters(self):
            return iter(())

    extra = nn.Parameter(np.ones(2))
    net = nn.Sequential(Outside(), nn.Linear(1, 1), Silent(2, 2))
    assert [name for name, _ in net.named_parameters()] == ["0.extra", "1.weight", "1.bias"]
    extra.grad = tg.Tensor(np.ones(2))
    net[2].weight.grad = tg.Tensor(np.ones((2, 2), np.float32))
    net.zero_grad()
    assert extra.grad is None
    assert net[2].weight.grad is not None  # not among the parameters that it names
    assert not net.requires_grad_(False)[1].weight.requires_grad
    assert not extra.requires_grad


def test_modes_and_flags_are_true_or_false():
    net = nn.Sequential(nn.Linear(1, 1))
    for call in (lambda: net.train("no"), lambda: net.requires_grad_("no"), lambda: net.load_state_dict({}, "no")):
        with pytest.raises(ArgumentError, match="True or False"):
            call()
    with pytest.raises(ArgumentError, match=r"Linear: training"):
        net[0].training = "eval"
    assert net.train(np.False_).training is False


# -- modules that refer back ------------------------------------------------------------------------------------------------


def knows_its_parent():
    parent, child = nn.Linear(1, 1), nn.BatchNorm1d(1)
    parent.child, child.parent = child, parent
    return parent


@pytest.mark.parametrize("make", [knows_its_parent, lambda: holding_itself(nn.ModuleList([nn.Linear(1, 1)]))])
def test_every_walk_ends_where_a_module_refers_back(make):
    net = make()
    net.eval()
    assert not any(module.training for module in net.modules())
    net.train().requires_grad_(False).zero_grad()
    assert not any(p.requires_grad for p in net.parameters())
    net.load_state_dict(net.state_dict())
    seen = []
    net.apply(seen.append)
    assert len(seen) == len(set(seen)) == len(list(net.modules()))
    assert len(list(net.named_buffers())) in (0, 3)
    assert "refers back" in repr(net)
    net._rename("other")


def holding_itself(holder):
    holder.back = holder
    return holder


def test_a_walk_that_fails_leaves_nothing_behind():
    class Failing(nn.Linear):
        def train(self, mode=True):
            raise ShapeError("no")

    bad = Failing(1, 1)
    net = nn.Sequential(nn.Sequential(nn.Tanh()), bad)
    with pytest.raises(ShapeError):
        net.train()
    setattr(net, "1", nn.Tanh())
    assert not net.eval()[0][0].training


def test_walks_of_several_threads_do_not_meet():
    net = nn.Sequential(*(nn.Sequential(nn.BatchNorm1d(1)) for _ in range(20)))
    lengths = []

    def count():
        lengths.extend(len(list(net.named_parameters())) for _ in range(50))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(lengths) == {40}


def test_a_generator_of_parameters_that_is_left_half_way_disturbs_no_other():
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    started = net.named_parameters()
    assert next(started)[0] == "0.weight"
    assert len(list(net.named_parameters())) == 4
    assert [name for name, _ in started] == ["0.bias", "1.weight", "1.bias"]


# -- what hides -----------------------------------------------------------------------------------------------------------


def boxed(x):
    box = np.empty(1, object)
    box[0] = x
    return box


PLAIN = {
    "object array": boxed,
    "keys of a dict": lambda x: {x: 1},
    "values": lambda x: {"a": x}.values(),
    "partial": lambda x: functools.partial(print, x),
    "namespace": lambda x: types.SimpleNamespace(a=x),
    "list": lambda m: [m],
    "tuple": lambda m: (1, m),
    "dict": lambda m: {"a": m},
    "set": lambda m: {m},
    "deque": lambda m: deque([m]),
    "nested": lambda m: [[3, {"b": (m,)}]],
}
OF_HOLDERS = {
    "filtered": lambda m: [layer for layer in nn.ModuleList([m, nn.ReLU()]) if isinstance(layer, type(m))],
    "reversed": lambda m: list(reversed(nn.ModuleList([m]))),
    "list of a ModuleList": lambda m: list(nn.ModuleList([m])),
    "dict of a ModuleDict": lambda m: dict(nn.ModuleDict({"a": m}).items()),
}


@pytest.mark.parametrize("plain", (PLAIN | OF_HOLDERS).values(), ids=PLAIN | OF_HOLDERS)
def test_plain_collections_of_modules_are_refused(plain):
    net, value = nn.Module(), plain(nn.Linear(1, 1))
    with pytest.raises(ArgumentError, match=r"Module.layers: a plain \w+ is not looked into") as error:
        net.layers = value
    assert "layers" not in net.__dict__
    kind = "ModuleDict" if isinstance(value, dict) else "ModuleList"
    assert f"self.layers = nn.{kind}(" in str(error.value)


@pytest.mark.parametrize("plain", PLAIN.values(), ids=PLAIN)
def test_plain_collections_of_parameters_are_refused(plain):
    net = nn.Module()
    with pytest.raises(ArgumentError, match="a Parameter in it") as error:
        net.weights = plain(nn.Parameter(np.ones(2)))
    assert "an attribute of its own" in str(error.value)


USES = {
    "parameters": lambda net: list(net.parameters()),
    "named_buffers": lambda net: list(net.named_buffers()),
    "modules": lambda net: list(net.modules()),
    "train": lambda net: net.train(),
    "eval": lambda net: net.eval(),
    "state_dict": lambda net: net.state_dict(),
    "load_state_dict": lambda net: net.load_state_dict({}),
    "requires_grad_": lambda net: net.requires_grad_(False),
    "zero_grad": lambda net: net.zero_grad(),
    "repr": repr,
    "around": lambda net: nn.Sequential(net).state_dict(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_list_that_is_filled_later_is_refused_when_it_would_be_passed_over(use):
    net = nn.Module()
    net.layers, net.by_name = [], {}
    use(net)
    net.layers.append(nn.Linear(1, 1))
    with pytest.raises(ArgumentError, match="plain list"):
        use(net)
    net.layers.clear()
    net.by_name["a"] = [nn.Linear(1, 1)]
    with pytest.raises(ArgumentError, match=r"nn\.ModuleDict"):
        use(net)


def test_other_collections_are_kept_as_they_are():
    net = nn.Module()
    net.sizes, net.names, net.pair = [1, 2], {"a": "b"}, (np.ones(2), tg.Tensor([1.0]))
    net.kept = lambda: nn.Linear(1, 1)
    own = []
    own.append(own)
    net.own = own
    assert net.state_dict() == {}
    assert net.sizes == [1, 2]
    hook = nn.ReLU()
    net.register_forward_hook(lambda module, args, output: hook(output))
    net._forward_hooks.append(hook)  # a module as a hook is a function like others
    assert list(net.parameters()) == []


def test_modules_and_parameters_of_the_class_are_refused():
    for value in (nn.Linear(1, 1), nn.Parameter(np.ones(1))):
        with pytest.raises(ArgumentError, match=r"Net\.layer: .* of the class") as error:
            type("Net", (nn.Module,), {"layer": value})
        assert "self.layer" in str(error.value)


# -- slices, sums and copies --------------------------------------------------------------------------------------------------


def test_slices_and_sums_of_a_list_are_lists_of_the_same_modules_as_pytorchs():
    layers = nn.ModuleList([nn.Linear(1, 1) for _ in range(4)])
    theirs = torch.nn.ModuleList([torch.nn.Linear(1, 1) for _ in range(4)])
    for cut in (slice(2), slice(1, None), slice(None, None, -1), slice(3, 1), slice(None, None, 2)):
        ours = layers[cut]
        assert isinstance(ours, nn.ModuleList)
        assert list(ours) == list(layers)[cut]
        assert list(ours.state_dict()) == list(theirs[cut].state_dict())
    more = [nn.ReLU()]
    both = layers[:1] + more
    assert isinstance(both, nn.ModuleList)
    assert [type(m).__name__ for m in both] == ["Linear", "ReLU"]
    assert len(layers) == 4
    assert list(nn.ModuleList() + layers) == list(layers)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = layers[1:3]

    assert [name for name, _ in Encoder().named_parameters()] == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"
    ]  # fmt: skip


def test_a_slice_that_is_only_looked_at_renames_nothing():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(1, 1) for _ in range(3)])
            self.chain = nn.Sequential(nn.Tanh(), nn.ReLU())

        def forward(self, x):
            for layer in self.layers[1:]:
                x = layer(x)
            return self.chain[1:](x)

    net = Net()
    x = tg.Tensor(np.ones((1, 1), np.float32), requires_grad=True)
    for _ in range(2):
        paths, waiting = set(), [net(x)]
        while waiting:
            variable = waiting.pop()
            if isinstance(variable, tg.Variable) and variable.inputs is not None:
                paths.add(variable.scope.path[:2])
                waiting.extend(variable.inputs)
        assert ("Net", "layers.1") in paths
        assert ("Net", "layers.2") in paths


def test_a_list_gives_modules_back_and_refuses_what_is_none_at_once():
    layers = nn.ModuleList([nn.Tanh(), nn.ReLU()])
    last = layers[1]
    assert layers.pop() is last
    assert layers.pop(0).__class__ is nn.Tanh
    with pytest.raises(IndexingError, match="it is empty"):
        layers.pop()
    with pytest.raises(DTypeError):
        layers.extend([nn.Tanh(), np.tanh])
    assert len(layers) == 0
    with pytest.raises(DTypeError):
        layers.__add__([3])
    for wrong in (5, None):
        with pytest.raises(DTypeError, match="ModuleList is made of modules"):
            nn.ModuleList(wrong)
        with pytest.raises(DTypeError, match="ModuleDict is made of modules"):
            nn.ModuleDict(wrong)


@pytest.mark.parametrize("make", [lambda: nn.ModuleList([nn.Tanh()]), lambda: nn.Sequential(nn.Tanh())])
@pytest.mark.parametrize("index", ["0", 0.0, None, (0,)])
def test_positions_are_whole_numbers(make, index):
    with pytest.raises(IndexingError, match="no such module"):
        make()[index]


def test_a_shallow_copy_shares_parameters_and_nothing_that_is_registered_later():
    net = nn.BatchNorm1d(2)
    twin = copy.copy(net)
    assert twin.weight is net.weight
    twin.register_buffer("extra", np.ones(1))
    twin.register_forward_hook(lambda module, args, output: output * 0.0)
    del twin.running_var
    assert list(net.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(twin.state_dict()) == ["weight", "bias", "running_mean", "num_batches_tracked", "extra"]
    assert net.eval()(np.ones((2, 2), np.float32)).numpy().any()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_deep_copy_of_a_net_that_refers_back_refers_to_itself(again):
    net = knows_its_parent()
    twin = again(net)
    assert twin.child.parent is twin
    assert twin.weight is not net.weight
    assert_array_equal(twin.weight.numpy(), net.weight.numpy())


# -- buffers ----------------------------------------------------------------------------------------------------------------


class Running(nn.Module):
    """The running mean that everybody writes first."""

    def __init__(self, features, momentum=0.1):
        super().__init__()
        self.scale = nn.Parameter(np.ones(features))
        self.momentum = momentum
        self.register_buffer("running_mean", np.zeros(features))

    def forward(self, x):
        x = x * self.scale
        mean = ops.mean(x, axis=0)
        self.running_mean += self.momentum * (mean - self.running_mean)
        return x - self.running_mean


def test_a_result_that_is_assigned_to_a_buffer_leaves_its_graph_behind():
    layer = Running(2)
    batches = np.random.default_rng(0).normal(3.0, 1.0, (50, 4, 2))
    expected = np.zeros(2)
    watched = []
    for batch in batches:
        y = layer(batch)
        watched.append(weakref.ref(y))
        y.backward(np.ones(y.shape))
        expected += 0.1 * (batch.mean(0) - expected)
        del y
        gc.disable()  # what is left must go by itself
        try:
            assert layer.running_mean.is_leaf
            assert not layer.running_mean.requires_grad
        finally:
            gc.enable()
    assert [ref() for ref in watched if ref() is not None] == []
    assert_allclose(layer.running_mean.numpy(), expected, rtol=1e-12)
    assert layer.running_mean.name == "running_mean"
    assert list(layer.state_dict()) == ["scale", "running_mean"]


@pytest.mark.parametrize("backward", [True, False])
def test_its_gradient_is_that_of_the_value_as_a_constant(backward):
    layer = Running(2)
    x = np.random.default_rng(1).normal(size=(4, 2))
    layer(x)
    cotangent = np.random.default_rng(2).normal(size=(4, 2))
    if backward:
        layer(x).backward(cotangent)
        assert_allclose(layer.scale.grad.numpy(), (cotangent * x).sum(0), rtol=1e-12)
    second = tg.grad(layer(x), layer.scale, tg.Tensor(cotangent), create_graph=True)
    assert_allclose(second.numpy(), (cotangent * x).sum(0), rtol=1e-12)


def test_a_result_that_is_registered_as_a_buffer_is_a_value_too():
    x = tg.Tensor(np.ones(2), requires_grad=True, name="x")
    net = nn.Module()
    net.register_buffer("kept", x * 2.0)
    net.register_buffer("input", x)
    assert net.kept.is_leaf
    assert not net.input.requires_grad
    assert x.requires_grad
    constant = tg.Tensor(np.ones(2))
    net.kept = constant
    assert net.kept is constant


def test_a_counter_that_no_gradient_reaches_leaves_its_graph_behind_too():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", np.zeros((), np.int64))
            self.register_buffer("sum", np.zeros(2))

        def forward(self, x):
            self.count += 1
            self.sum = self.sum + x
            return x

    layer = Counting()
    for _ in range(4):
        layer(np.ones(2))
    assert layer.count.is_leaf
    assert layer.sum.is_leaf
    assert (layer.count.item(), layer.sum.numpy().tolist()) == (4, [4.0, 4.0])


@pytest.mark.parametrize("how", ["eager", "recorded", "compiled"])
@pytest.mark.parametrize("shape", [(3,), (1, 2), (), (2, 1), (0,)])
def test_a_buffer_keeps_its_shape(shape, how):
    layer = nn.BatchNorm1d(2)

    def assigned(x):
        layer.running_mean = tg.Tensor(np.zeros(shape)) + x.sum()
        return x

    run = {"eager": assigned, "recorded": lambda x: record(assigned, x), "compiled": tg.compile(assigned)}[how]
    before = layer.running_mean
    with pytest.raises(ShapeError, match=r"running_mean is a buffer[\s\S]*expected: shape \(2,\)"):
        run(tg.Tensor(np.ones((3, 2))))
    assert layer.running_mean is before
    layer.register_buffer("running_mean", np.zeros(shape))  # on purpose
    assert layer.running_mean.shape == shape


def test_a_program_repeats_what_is_assigned_to_a_buffer_on_batches_of_other_lengths():
    rng = np.random.default_rng(0)
    batches = [rng.normal(3.0, 1.0, (n, 2)) for n in (4, 7, 2)]
    eager, recorded = Running(2), Running(2)
    program = record(recorded, batches[0])
    assert not recorded.running_mean.numpy().any()  # a recording changes nothing
    for batch in batches:
        assert_array_equal(program.run(batch), eager(batch).numpy())
        assert_array_equal(recorded.running_mean.numpy(), eager.running_mean.numpy())


# -- errors inside of properties -----------------------------------------------------------------------------------------------


class Widths(nn.Module):
    @property
    def missing_name(self):
        return self.hidden_size

    @property
    def foreign(self):
        return [].bar

    @property
    def other_kind(self):
        raise ValueError("not yet")

    @property
    def through_another(self):
        return self.foreign + 1


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("missing_name", AttributeError, "no attribute 'hidden_size'"),
        ("foreign", AttributeError, "'list' object has no attribute 'bar'"),
        ("through_another", AttributeError, "'list' object has no attribute 'bar'"),
        ("other_kind", ValueError, "not yet"),
    ],
)
def test_an_error_inside_of_a_property_is_told_as_it_is(name, error, words):
    with pytest.raises(error, match=words):
        getattr(Widths(), name)


# -- loading a part -----------------------------------------------------------------------------------------------------------


def test_a_part_is_loaded_if_asked_for_and_what_did_not_fit_is_told():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    before = net.state_dict()
    state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "aux": np.ones(1), "1.old": [1.0]}
    report = net.load_state_dict(state, strict=False)
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)).load_state_dict(
        {name: torch.tensor(value) for name, value in state.items()}, strict=False
    )
    assert sorted(report.missing_keys) == sorted(theirs.missing_keys) == ["1.bias", "1.weight"]
    assert sorted(report.unexpected_keys) == sorted(theirs.unexpected_keys) == ["1.old", "aux"]
    assert_array_equal(net.state_dict()["0.weight"], 1.0)
    assert_array_equal(net.state_dict()["1.weight"], before["1.weight"])
    with pytest.raises(ShapeError, match=r"missing 1\.weight"):
        net.load_state_dict(state)
    with pytest.raises(ShapeError, match=r"0\.bias has shape \(4,\)"):
        net.load_state_dict({"0.bias": np.ones(4)}, strict=False)
    assert net.load_state_dict(net.state_dict()) == ([], [])


@pytest.mark.parametrize("state", [None, 3, "weights", [np.ones(2)]])
def test_a_state_is_a_mapping(state):
    with pytest.raises(DTypeError, match="a state is a mapping"):
        nn.Linear(1, 1).load_state_dict(state)


def test_entries_that_are_no_arrays_are_listed_too():
    layer = nn.Linear(2, 1)
    with pytest.raises(ShapeError, match="weight is no array"):
        layer.load_state_dict({"weight": [[1.0], [1.0, 2.0]], "bias": [0.0]})
    with pytest.raises(ShapeError, match="unexpected 3, int"):
        layer.load_state_dict({**layer.state_dict(), 3: 4})


def test_an_interrupt_at_any_line_of_a_walk_hides_nothing_from_later_ones() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1)))
    around = nn.Sequential(net)  # in which a walk that seems to be in the middle of net would leave it out
    names = [name for name, _ in around.named_parameters()]
    before, line = sys.gettrace(), 0

    def interrupt(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_name != "below":
            return interrupt if frame.f_code.co_filename == tree.__file__ else None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return interrupt

    while True:
        line += 1
        left = line
        sys.settrace(interrupt)
        try:
            list(net.named_parameters())
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert [name for name, _ in around.named_parameters()] == names, line
        if left > 0:
            break
    assert line > 20
