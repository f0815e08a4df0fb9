"""``Module`` and ``Sequential``: attributes, the tree, modes, saving; what is refused."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, ShapeError


class Scale(nn.Module):
    def __init__(self, features=3):
        super().__init__()
        self.weight = nn.Parameter(np.arange(1.0, features + 1))
        self.register_buffer("calls", np.zeros(()))

    def forward(self, x):
        with self.calls.unlocked() as count:
            count += 1
        return x * self.weight


class Twice(nn.Module):
    """One parameter and one module, each under two names."""

    def __init__(self):
        super().__init__()
        self.first = Scale()
        self.second = self.first
        self.tied = self.first.weight
        self.own = nn.Parameter(np.zeros(2))

    def forward(self, x):
        return self.second(self.first(x)) * self.tied


def nested():
    return nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Tanh()), Scale())


# -- attributes -------------------------------------------------------------------------------------------------------


def test_parameters_modules_and_buffers_are_found_among_the_attributes():
    model = nested()
    assert [name for name, _ in model.named_parameters()] == [
        "0.weight",
        "0.bias",
        "1.0.weight",
        "1.0.bias",
        "2.weight",
    ]
    assert [name for name, _ in model.named_buffers()] == [
        "1.0.running_mean", "1.0.running_var", "1.0.num_batches_tracked", "2.calls"
    ]  # fmt: skip
    assert [name for name, _ in model.named_modules()] == ["", "0", "1", "1.0", "1.1", "2"]
    assert [name for name, _ in model.named_modules("net")] == ["net", "net.0", "net.1", "net.1.0", "net.1.1", "net.2"]
    assert [name for name, _ in model.named_children()] == ["0", "1", "2"]
    assert next(model.modules()) is model
    assert all(isinstance(p, nn.Parameter) for p in model.parameters())


def test_parameters_and_buffers_are_named_after_their_attribute_unless_they_have_a_name():
    model = Scale()
    assert model.weight.name == "weight"
    assert model.calls.name == "calls"
    named = nn.Parameter(np.ones(2), name="gamma")
    model.other = named
    assert named.name == "gamma"


def test_shared_parameters_buffers_and_modules_come_once():
    model = Twice()
    assert [name for name, _ in model.named_parameters()] == ["tied", "own"]
    assert [name for name, _ in model.named_buffers()] == ["first.calls"]
    assert [name for name, _ in model.named_modules()] == ["", "first"]
    assert list(model.parameters()) == [model.tied, model.own]


def test_a_shared_parameter_gets_the_sum_of_its_gradients():
    model = Twice()
    model(np.ones(3)).backward(np.ones(3))
    assert_allclose(model.tied.grad.numpy(), 3 * np.arange(1.0, 4) ** 2)  # d(w**3)/dw
    model.zero_grad()
    assert model.tied.grad is None


def test_a_parameter_cannot_be_replaced_by_something_else():
    model = Scale()
    weight = model.weight
    for value in (np.zeros(3), tg.Tensor(np.zeros(3)), 1.0, nn.Tanh()):
        with pytest.raises(ArgumentError, match=r"Scale.weight is a Parameter") as error:
            model.weight = value
        assert "model.data" not in str(error.value)
        assert ".weight.data" in str(error.value)
    assert model.weight is weight
    model.weight = nn.Parameter(np.zeros(2))
    assert model.weight.shape == (2,)
    model.weight = None
    assert list(model.parameters()) == []


def test_a_buffer_can_be_replaced_by_a_tensor_only():
    model = Scale()
    with pytest.raises(ArgumentError, match=r"Scale.calls is a Tensor"):
        model.calls = np.zeros(())
    model.calls = tg.Tensor(7.0)
    assert model.state_dict()["calls"] == 7.0
    model.calls = None
    assert list(model.state_dict()) == ["weight"]


def test_a_buffer_replaced_by_a_parameter_is_a_parameter():
    model = Scale()
    model.calls = nn.Parameter(np.array(2.0))
    assert [name for name, _ in model.named_parameters()] == ["weight", "calls"]
    assert list(model.named_buffers()) == []
    assert list(model.state_dict()) == ["weight", "calls"]


def test_a_module_cannot_be_replaced_by_something_else():
    model = nested()
    with pytest.raises(ArgumentError, match="is a Module") as error:
        setattr(model, "1", np.tanh)
    assert ".data" not in str(error.value)
    setattr(model, "1", nn.ReLU())
    assert repr(model[1]) == "ReLU()"


def test_attributes_set_before_init_are_refused():
    class Hasty(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.ones(2))
            super().__init__()

    class Forgetful(nn.Module):
        def __init__(self):
            pass

        def forward(self, x):
            return x

    with pytest.raises(ArgumentError, match="'weight' set too early") as error:
        Hasty()
    assert "super().__init__()" in str(error.value)
    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first"):
        Forgetful()(1.0)
    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first"):
        Forgetful().register_buffer("mean", np.zeros(2))


def test_an_unknown_attribute_suggests_a_near_one():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(AttributeError, match="did you mean 'running_mean'"):
        layer.running_means  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'state_dict'"):
        layer.statedict()
    with pytest.raises(AttributeError, match="no attribute 'zzz'") as error:
        layer.zzz  # noqa: B018
    assert "did you mean" not in str(error.value)
    assert not hasattr(layer, "gamma")


def test_properties_with_setters_work():
    class Half(Scale):
        @property
        def strength(self):
            return self.factor * 2

        @strength.setter
        def strength(self, value):
            self.factor = value / 2

    model = Half()
    model.strength = 3.0
    assert model.factor == 1.5
    assert model.strength == 3.0


def test_attributes_can_be_deleted():
    model = Scale()
    del model.weight
    del model.calls
    assert model.state_dict() == {}
    model.register_buffer("calls", np.ones(()))
    assert list(model.state_dict()) == ["calls"]
    with pytest.raises(AttributeError):
        del model.missing


def test_registering_a_buffer_twice_replaces_it():
    model = Scale()
    model.register_buffer("calls", np.ones(2))
    assert [(name, buffer.shape) for name, buffer in model.named_buffers()] == [("calls", (2,))]


@pytest.mark.parametrize("name", ["weight", "forward", "training"])
def test_a_buffer_cannot_take_a_name_in_use(name):
    with pytest.raises(ArgumentError, match=f"attribute '{name}' already"):
        Scale().register_buffer(name, np.zeros(2))


def test_a_buffer_is_not_a_parameter():
    model = Scale()
    with pytest.raises(ArgumentError, match=r"not trained"):
        model.register_buffer("mean", nn.Parameter(np.zeros(2)))
    assert "mean" not in model.__dict__
    kept = tg.Tensor(np.zeros(2), name="mu")
    model.register_buffer("mean", kept)
    assert model.mean is kept
    assert kept.name == "mu"


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(ArgumentError, match="Empty has no forward") as error:
        Empty()(1.0)
    assert "forward(self, x)" in str(error.value)


def test_forward_takes_keyword_arguments_and_runs_in_a_scope_of_the_modules_name():
    class Shift(nn.Module):
        def forward(self, x, by=1.0):
            return x + by

    y = Shift()(tg.Tensor([1.0], requires_grad=True), by=2.0)
    assert y.item() == 3.0
    assert y.scope.path == ("Shift",)
    model = nested()
    out = model(tg.Tensor(np.ones((4, 2)), requires_grad=True))
    assert out.scope.path == ("Sequential", "2")


# -- modes and gradients ----------------------------------------------------------------------------------------------


def test_train_and_eval_reach_everything_below_and_return_the_module():
    model = nested()
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert model.train() is model
    assert all(module.training for module in model.modules())
    model[1].eval()
    assert model.training
    assert not model[1][0].training


def test_requires_grad_freezes_all_parameters():
    model = nested()
    assert model.requires_grad_(False) is model
    assert not model(np.ones((4, 2))).requires_grad
    model.requires_grad_()
    assert all(p.requires_grad for p in model.parameters())


def test_zero_grad_forgets_all():
    model = nested()
    model(np.random.default_rng(0).standard_normal((4, 2))).backward(np.ones((4, 3)))
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("whose", ["module", "optimizer"])
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_that_become_zeros_are_pytorchs(whose, compiled):
    def trained(net, sgd, tensor, made):
        optimizer = sgd(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
        zeroing = net if whose == "module" else optimizer

        def step(x):
            zeroing.zero_grad(set_to_none=False)
            net(x).sum().backward()
            optimizer.step()

        step = made(step)
        for _ in range(3):
            step(tensor(np.ones((2, 3))))
        zeroing.zero_grad(set_to_none=False)
        optimizer.step()  # moves on by momentum and decay
        assert all(np.array_equal(p.grad.detach(), np.zeros(p.shape)) for p in net.parameters())
        return [p.detach().numpy() for p in net.parameters()]

    theirs = torch.nn.Linear(3, 2, dtype=torch.float64)
    ours = nn.Linear(3, 2, dtype=np.float64)
    ours.load_state_dict(theirs.state_dict())
    found = trained(ours, tg.optim.SGD, tg.Tensor, partial(tg.compile, quiet=True) if compiled else lambda f: f)
    expected = trained(theirs, torch.optim.SGD, torch.tensor, lambda f: f)
    for mine, other in zip(found, expected):
        assert_allclose(mine, other, rtol=1e-12)


def test_gradients_that_are_not_there_do_not_become_zeros():
    model = nested()
    model.zero_grad(set_to_none=False)
    assert all(p.grad is None for p in model.parameters())
    for zeroing in (model, tg.optim.SGD(model.parameters(), lr=0.1)):
        with pytest.raises(ArgumentError, match="True or False"):
            zeroing.zero_grad(set_to_none="no")


# -- saving and loading -----------------------------------------------------------------------------------------------


def test_state_dict_has_pytorchs_names_and_order_shared_modules_under_each_name():
    def build(lib):
        shared = lib.Linear(2, 2)
        return lib.Sequential(
            shared, lib.BatchNorm1d(2), lib.Sequential(lib.ReLU(), shared), lib.Linear(2, 1, bias=False)
        )

    ours, theirs = build(nn), build(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    theirs.eval()
    x = np.random.default_rng(1).standard_normal((4, 2)).astype(np.float32)
    assert_allclose(ours(x).numpy(), theirs(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-6)


def test_state_dict_is_a_copy_both_ways():
    model = Scale()
    state = model.state_dict()
    state["weight"][:] = -1.0
    assert_allclose(model.weight.numpy(), [1.0, 2.0, 3.0])
    model.load_state_dict(state)
    state["weight"][:] = 5.0
    assert_allclose(model.weight.numpy(), -1.0)


def test_loading_keeps_dtype_and_takes_tensors_and_lists():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": tg.Tensor([[1.5, 2.5]]), "bias": [3.0]})
    assert layer.weight.dtype == np.float32
    assert_allclose(layer.weight.numpy(), [[1.5, 2.5]])
    assert_allclose(layer.bias.numpy(), [3.0])
    assert layer.weight.requires_grad


def test_what_does_not_fit_is_listed_completely_and_nothing_is_changed():
    model = nested()
    before = model.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    del state["0.bias"]
    state["0.weight"] = np.zeros((2, 3))
    state["1.0.bias"] = np.array(["a", "b", "c"])
    state["2.wieght"] = np.zeros(3)
    with pytest.raises(ShapeError, match="load_state_dict of Sequential does not fit") as error:
        model.load_state_dict(state)
    text = str(error.value)
    assert "missing 0.bias, shape (3,)" in text
    assert "unexpected 2.wieght, shape (3,)" in text
    assert "0.weight has shape (2, 3), expected (3, 2)" in text
    assert "1.0.bias has dtype <U1, expected float32" in text
    assert text.count("\n") == 4
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name])


def test_a_failing_conversion_changes_nothing_either():
    model = nn.Linear(1, 1)
    before = model.state_dict()
    state = {"weight": np.ones((1, 1)), "bias": np.array([1e300])}  # too large for float32
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        model.load_state_dict(state)
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name])


def test_loading_into_a_module_whose_forward_was_recorded_is_reported_by_backward():
    model = Scale()
    y = model(tg.Tensor(np.ones(3), requires_grad=True))
    model.load_state_dict(model.state_dict())
    with pytest.raises(tg.TinygradError, match="changed before backward"):
        y.backward(np.ones(3))


def test_modules_can_be_copied_and_pickled_and_sharing_survives():
    for clone in (copy.deepcopy(model := Twice()), pickle.loads(pickle.dumps(model))):
        assert clone.tied is clone.first.weight
        assert clone.second is clone.first
        assert clone.tied is not model.tied
        clone.tied.data = np.zeros(3)
        assert_allclose(model.tied.numpy(), [1.0, 2.0, 3.0])
    trained = nested()
    trained(np.random.default_rng(0).standard_normal((4, 2)))
    again = pickle.loads(pickle.dumps(trained))
    for name, value in trained.state_dict().items():
        assert np.array_equal(again.state_dict()[name], value)
    with pytest.raises(AttributeError, match="weigth"):
        again[0].weigth  # noqa: B018


def test_a_module_that_refers_back_to_its_parent_is_walked_once():
    parent, child = Scale(), Scale()
    parent.child = child
    child.parent = parent
    assert list(parent.state_dict()) == ["weight", "calls", "child.weight", "child.calls"]
    assert len(list(parent.parameters())) == 2
    assert [name for name, _ in parent.named_modules()] == ["", "child"]


# -- repr -------------------------------------------------------------------------------------------------------------


def test_repr_shows_the_tree_the_settings_and_the_counts():
    assert repr(nn.Sequential(nn.Linear(30, 40), nn.Sequential(nn.BatchNorm1d(40), nn.Tanh()))) == (
        "Sequential()  # 1,320 parameters\n"
        "  (0): Linear(30, 40, bias=True)  # 1,240 parameters\n"
        "  (1): Sequential()  # 80 parameters\n"
        "    (0): BatchNorm1d(40, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)  # 80 parameters\n"
        "    (1): Tanh()"
    )
    assert repr(nn.ReLU()) == "ReLU()"


# -- Sequential -------------------------------------------------------------------------------------------------------


def test_sequential_runs_indexes_slices_and_iterates():
    model = nn.Sequential(Scale(), nn.ReLU(), Scale())
    assert_allclose(model(np.array([-1.0, 2.0, 3.0])).numpy(), [0.0, 8.0, 27.0])
    assert len(model) == 3
    assert list(model) == [model[0], model[1], model[2]]
    assert model[-1] is model[2]
    head = model[1:]
    assert isinstance(head, nn.Sequential)
    assert [name for name, _ in head.named_children()] == ["1", "2"]
    assert head[1] is model[2]
    assert_allclose(model[:-1](np.array([-1.0, 2.0, 3.0])).numpy(), [0.0, 4.0, 9.0])
    assert list(model.state_dict()) == ["0.weight", "0.calls", "2.weight", "2.calls"]


def test_sequential_of_nothing_is_the_identity():
    model = nn.Sequential()
    assert len(model) == 0
    assert model(3.0) == 3.0
    with pytest.raises(IndexingError, match="it is empty"):
        model[0]


@pytest.mark.parametrize("index", [2, -3])
def test_sequential_index_out_of_range(index):
    with pytest.raises(IndexError, match="no such module") as error:
        nn.Sequential(nn.Tanh(), nn.ReLU())[index]
    assert "-2 to 1" in str(error.value)


@pytest.mark.parametrize("wrong", [np.tanh, [nn.Tanh()], None, nn.Tanh])
def test_sequential_refuses_what_it_would_otherwise_skip(wrong):
    with pytest.raises(DTypeError, match="Sequential is made of modules") as error:
        nn.Sequential(nn.Tanh(), wrong)
    assert "position 1" in str(error.value)


# -- activations as modules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Sigmoid", "ReLU", "Tanh"])
def test_activations_are_pytorchs_forward_and_backward(name):
    rng = np.random.default_rng(3)
    x, dy = rng.normal(0, 2, (2, 4, 3))
    ours, theirs = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = getattr(nn, name)()(ours), getattr(torch.nn, name)()(theirs)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    assert_allclose(y.numpy(), z.detach(), rtol=1e-12)
    assert_allclose(ours.grad.numpy(), theirs.grad, rtol=1e-9)


@pytest.mark.parametrize("name", ["a.b", "", ".", "weight.", 3, None, b"a"])
def test_what_is_no_part_of_a_dotted_path_is_no_name(name):
    layer = nn.Linear(2, 2)
    before = list(layer.state_dict())
    with pytest.raises(ArgumentError, match="cannot be the name"):
        layer.register_buffer(name, np.zeros(2))
    if isinstance(name, str):
        for value in (nn.Parameter(np.zeros(2)), nn.ReLU()):
            with pytest.raises(ArgumentError, match="a string without dots"):
                setattr(layer, name, value)
    assert list(layer.state_dict()) == before
