"""Every optimizer against PyTorch's, in both precisions, with groups; all or nothing; what is saved; what is refused."""

import json
import math
import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tinygrad_bn import nn, optim
from tinygrad_bn.errors import ArgumentError, DTypeError, MutationError, ShapeError

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.5, "dampening": 0.25}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.9, 0.5), "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.0}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.05, "alpha": 0.7, "eps": 1e-3, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"momentum": 0.5}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.3, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.2}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.05, "betas": (0.5, 0.6), "weight_decay": 0.3, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05, "betas": (0.9, 0.95), "maximize": True}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"weight_decay": 0.1, "momentum": 0.9, "centered": True, "maximize": True}),
    ("Adagrad", {"weight_decay": 0.1, "maximize": True}),
]
NAMES = sorted({name for name, _ in CASES})
by_case = pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda value: str(value))


@pytest.fixture(autouse=True)
def _numbers_of_torch_are_float64():
    """Such as NAdam's product, which would be float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def parameters(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 2), (4,), ())]
    return [nn.Parameter(np.asfortranarray(a) if a.ndim == 2 else a) for a in arrays]


def give_gradients(ours, theirs=(), seed=0, skip=None):
    rng = np.random.default_rng(seed)
    for i, p in enumerate(ours):
        g = rng.standard_normal(p.shape).astype(p.dtype)
        p.grad = None if i == skip else tg.Tensor(g)
        if theirs:
            theirs[i].grad = None if i == skip else torch.tensor(g)


# -- PyTorch's rules ----------------------------------------------------------------------------------------------------


@by_case
def test_nine_steps_are_pytorchs(name, settings):
    ours = parameters()
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    starts = [p.numpy() for p in ours]
    optimizer, reference = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    for step in range(9):
        give_gradients(ours, theirs, seed=step, skip=1 if step in (0, 4) else None)
        optimizer.step()
        reference.step()
        for p, q in zip(ours, theirs):
            assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-9, atol=1e-14)
    assert all(np.abs(p.numpy() - start).min() > 1e-4 for p, start in zip(ours, starts))


@by_case
def test_float32_stays_float32_and_follows_pytorch(name, settings):
    ours = parameters(np.float32)
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    wide = {k: np.float64(v) if isinstance(v, float) else v for k, v in settings.items()}
    optimizer, reference = getattr(optim, name)(ours, **wide), getattr(torch.optim, name)(theirs, **settings)
    for step in range(7):
        give_gradients(ours, theirs, seed=step)
        optimizer.step()
        reference.step()
    for p, q in zip(ours, theirs):
        assert p.dtype == np.float32
        assert_allclose(p.numpy(), q.detach().numpy(), rtol=2e-5, atol=1e-6)
        arrays = [value.data for value in optimizer.state.get(p, {}).values() if not value.is_scalar_kind]
        assert [a.dtype for a in arrays] == [np.float32] * len(arrays)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_pytorchs(name):
    theirs = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)]).defaults
    ours = getattr(optim, name)([nn.Parameter(np.zeros(1))]).defaults
    assert ours == {setting: theirs[setting] for setting in ours}


@pytest.mark.parametrize("name", NAMES)
def test_groups_have_settings_of_their_own(name):
    ours = parameters()
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    own = {"lr": 0.3, "weight_decay": 0.2}
    optimizer = getattr(optim, name)([{"params": ours[:1]}, {"params": ours[1], **own}], lr=0.01)
    optimizer.add_param_group({"params": ours[2:], "lr": 0.5})
    reference = getattr(torch.optim, name)([{"params": theirs[:1]}, {"params": theirs[1], **own}], lr=0.01)
    reference.add_param_group({"params": theirs[2:], "lr": 0.5})
    for step in range(7):
        give_gradients(ours, theirs, seed=step)
        if step == 3:
            optimizer.param_groups[0]["lr"] = reference.param_groups[0]["lr"] = 0.1
        optimizer.step()
        reference.step()
    for p, q in zip(ours, theirs):
        assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-9, atol=1e-14)


def test_centered_rmsprop_stays_finite_when_the_variance_rounds_below_zero():
    p = nn.Parameter(np.zeros(2000, np.float32))
    gradient = tg.Tensor(np.linspace(0.1, 1.0, 2000, dtype=np.float32))
    optimizer = optim.RMSprop([p], lr=1e-3, alpha=0.5, centered=True)
    for _ in range(60):
        p.grad = gradient
        optimizer.step()
    state = optimizer.state[p]
    assert (state["square_avg"].data < state["grad_avg"].data ** 2).any()  # the case was met
    assert np.isfinite(p.numpy()).all()


@pytest.mark.parametrize("name", [name for name in NAMES if getattr(optim, name).joins])
def test_small_parameters_moved_together_get_the_bits_they_get_alone(name, monkeypatch):
    def run():
        rng = np.random.default_rng(0)
        arrays = [
            rng.standard_normal((3, 4)), np.asfortranarray(rng.standard_normal((3, 4))), rng.standard_normal(()),
            rng.standard_normal((2, 3, 4)).transpose(1, 0, 2), np.empty((0, 3)), rng.standard_normal(5000),
            np.asfortranarray(rng.standard_normal((2, 3, 4))), rng.standard_normal((1, 5)),
        ]  # fmt: skip
        params = [nn.Parameter(a.astype(dtype)) for a in arrays for dtype in (np.float32, np.float64, np.float16)]
        optimizer = getattr(optim, name)(params, lr=0.05, weight_decay=0.1, eps=1e-3)
        for step in range(3):
            for i, p in enumerate(params):
                gradient = rng.standard_normal(p.shape).astype(p.dtype)
                p.grad = None if (i + step) % 4 == 0 else tg.Tensor(gradient if i % 5 else np.asfortranarray(gradient))
            optimizer.step()
            assert all(not p.data.flags.writeable for p in params)
        kept = [slot.data for entries in optimizer.state.values() for slot in entries.values()]
        return [np.asarray(value) for value in (*(p.data for p in params), *kept)]

    together = run()
    monkeypatch.setattr(getattr(optim, name), "joins", False)
    for a, b in zip(together, run(), strict=True):
        assert a.tobytes("A") == b.tobytes("A")
        assert a.strides == b.strides


# -- guarded, whole -----------------------------------------------------------------------------------------------------


@by_case
def test_a_step_replaces_the_value_and_leaves_what_was_read_and_the_gradient(name, settings):
    p = parameters()[0]
    optimizer = getattr(optim, name)([p], **settings)
    held, strides = p.numpy(), p.numpy().strides
    first = held.copy()
    for step in range(3):
        give_gradients([p], seed=step)
        before = np.array(p.grad.numpy())
        optimizer.step()
        assert_array_equal(p.grad.numpy(), before)
    assert_array_equal(held, first)
    assert (p.numpy() != first).any()
    assert p.numpy().strides == strides
    assert not p.numpy().flags.writeable
    assert all(v.data.strides == strides for v in optimizer.state.get(p, {}).values() if not v.is_scalar_kind)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_a_change_that_backward_notices(name):
    p = nn.Parameter(np.array([1.0, 2.0]))
    loss = (p * p).sum()
    p.grad = tg.Tensor([1.0, 1.0])
    getattr(optim, name)([p]).step()
    with pytest.raises(MutationError, match="changed before backward"):
        loss.backward()


def test_a_step_that_fails_half_way_moves_nothing():
    good, bad = nn.Parameter(np.array([1.0, 2.0], np.float32)), nn.Parameter(np.array([1.0, 2.0], np.float32))
    good.grad, bad.grad = tg.Tensor(np.ones(2, np.float32)), tg.Tensor(np.array([1.0, 3e38], np.float32))
    optimizer = optim.SGD([good, bad], lr=1e3, momentum=0.5)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        optimizer.step()
    assert_array_equal(good.numpy(), [1.0, 2.0])
    assert_array_equal(optimizer.state[good]["momentum_buffer"].data, [0.0, 0.0])
    assert not good.numpy().flags.writeable


@by_case
def test_a_step_needs_memory_for_the_new_values_and_little_else(name, settings):
    size = 50_000
    model = [nn.Parameter(np.ones(size)) for _ in range(12)]
    for p in model:
        p.grad = tg.Tensor(np.full(size, 0.5))
    optimizer = getattr(optim, name)(model, **settings)
    optimizer.step()  # makes the state
    values = 12 * (1 + sum(not slot.is_scalar_kind for slot in optimizer.state.get(model[0], {}).values()))
    tracemalloc.start()
    try:
        optimizer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert values * size * 8 <= peak < (values + 4) * size * 8 + 50_000


# -- settings -----------------------------------------------------------------------------------------------------------


def test_a_setting_is_read_and_set_for_all_groups_at_once():
    a, b = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    optimizer = optim.Adam([{"params": [a]}, {"params": [b], "lr": 0.5}])
    assert optimizer.betas == (0.9, 0.999)
    with pytest.raises(ArgumentError, match="lr differs between the parameter groups"):
        _ = optimizer.lr
    optimizer.lr = np.float32(0.25)
    optimizer.betas = [0.5, 0.75]
    assert optimizer.lr == 0.25
    assert type(optimizer.lr) is float
    assert [group["betas"] for group in optimizer.param_groups] == [(0.5, 0.75)] * 2
    with pytest.raises(ArgumentError, match="out of range"):
        optimizer.lr = -1.0
    assert optimizer.lr == 0.25
    assert optim.Adam.lr.name == "lr"


def test_repr_shows_settings_and_sizes():
    optimizer = optim.SGD(nn.Linear(20, 100).parameters(), lr=0.5)
    assert "lr=0.5, momentum=0.0" in repr(optimizer)
    assert "2 tensors, 2,100 numbers" in repr(optimizer)


def test_one_tensor_is_a_list_of_one():
    p = nn.Parameter(np.ones(2))
    assert optim.SGD(p).params == [p]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SGD", {"lr": "0.1"}), ("SGD", {"lr": True}), ("SGD", {"lr": None}), ("SGD", {"lr": 10**400}),
        ("SGD", {"lr": -0.1}), ("SGD", {"lr": math.nan}), ("SGD", {"lr": math.inf}), ("SGD", {"momentum": -0.1}),
        ("SGD", {"momentum": math.nan}), ("SGD", {"weight_decay": -0.1}), ("SGD", {"dampening": math.nan}),
        ("SGD", {"nesterov": 1, "momentum": 0.9}), ("SGD", {"dampening": math.inf}),
        ("Adam", {"lr": -1e-9}), ("Adam", {"betas": (0.9, 1.0)}), ("Adam", {"betas": (-0.1, 0.9)}),
        ("Adam", {"betas": 0.9}), ("Adam", {"betas": (0.9,)}), ("Adam", {"eps": -1.0}), ("AdamW", {"weight_decay": -1}),
        ("RMSprop", {"alpha": 1.5}), ("RMSprop", {"momentum": -0.5}), ("RMSprop", {"centered": "yes"}),
        ("Adagrad", {"lr_decay": -1.0}), ("Adagrad", {"initial_accumulator_value": math.nan}),
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range(name, settings):
    p = nn.Parameter(np.ones(2))
    with pytest.raises(ArgumentError, match=next(iter(settings))) as error:
        getattr(optim, name)([p], **settings)
    assert name in str(error.value)
    value = next(iter(settings.values()))
    assert isinstance(value, tuple) or str(value)[:40] in str(error.value)
    with pytest.raises(ArgumentError, match=next(iter(settings))):
        getattr(optim, name)([{"params": [p], **settings}])


P, Q = nn.Parameter(np.ones(2), name="gamma"), nn.Parameter(np.ones(2))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], r"nothing to train[\s\S]*pass model.parameters\(\)"),
        (nn.ReLU().parameters(), "SGD: no parameters"),
        *(([P, wrong], "trains leaf tensors") for wrong in (P * 2.0, np.ones(2), tg.Scalar(1.0), "weight")),
        ([P, Q, P], "'gamma' is given twice"),
        ([{"params": [P]}, Q], "not a group"),
        ([{"lr": 0.1}], "not a group"),
        ([P, {"params": [Q]}], "trains leaf tensors"),
        ([{"params": [P]}, {"params": [P]}], "'gamma' is given twice"),
        ([{"params": [P], "learning_rate": 0.1}], "unknown setting.*\n.*'learning_rate'"),
        ([("a", P), Q], "trains leaf tensors"),
        ([("a", P), ("a", Q)], "a name given twice"),
        ([{"params": [("a", P)]}, {"params": [("a", Q)]}], "a name given twice"),
        ([{"params": [("a", P)]}, {"params": [Q]}], "name the parameters of all groups, or of none"),
    ],
)
def test_parameters_that_cannot_be_trained(params, message):
    with pytest.raises(ArgumentError, match=message):
        optim.SGD(params)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_does_not_fit_moves_nothing(name):
    first, second = nn.Parameter(np.ones(3)), nn.Parameter(np.ones(3), name="beta")
    optimizer = getattr(optim, name)([first, second], lr=0.1)
    first.grad = tg.Tensor(np.ones(3))
    for wrong, kind in (
        (tg.Tensor(np.ones(2)), ShapeError), (tg.Tensor(1.0), ShapeError), (np.ones(3), DTypeError)
    ):  # fmt: skip
        second.grad = wrong
        with pytest.raises(kind, match="gradient of 'beta'"):
            optimizer.step()
    assert_array_equal(first.numpy(), 1.0)
    assert optimizer.state == {}


# -- saving and loading ---------------------------------------------------------------------------------------------------


@by_case
@pytest.mark.parametrize("named", [False, True])
def test_a_restored_optimizer_continues_bit_for_bit(name, settings, named):
    def made(seed):
        params = parameters(np.float32, seed)
        given = list(zip("abc", params)) if named else params
        return params, getattr(optim, name)([{"params": given[:1]}, {"params": given[1:], "lr": 0.03}], **settings)

    ours, optimizer = made(0)
    for step in range(3):
        give_gradients(ours, seed=step, skip=1)
        optimizer.step()
    state = optimizer.state_dict()
    others, restored = made(1)
    restored.load_state_dict(state)
    for p, q in zip(ours, others):
        q.data = p.data
    for step in range(3, 6):
        for params, training in ((ours, optimizer), (others, restored)):
            give_gradients(params, seed=step)
            training.step()
    for p, q in zip(ours, others):
        assert p.numpy().tobytes() == q.numpy().tobytes()
    keys = ["a", "b", "c"] if named else [0, 1, 2]
    assert [group["params"] for group in state["param_groups"]] == [keys[:1], keys[1:]]
    assert set(state["state"]) <= {keys[0], keys[2]}


def test_a_state_is_a_copy_and_its_plain_part_survives_json():
    p = nn.Parameter(np.asfortranarray(np.ones((2, 3))))
    optimizer = optim.Adam([p])
    give_gradients([p])
    optimizer.step()
    state = optimizer.state_dict()
    kept = np.array(state["state"][0]["exp_avg"])
    optimizer.step()
    assert_array_equal(state["state"][0]["exp_avg"], kept)
    assert state["state"][0]["exp_avg"].flags.c_contiguous
    state["state"] = {"0": state["state"][0]}
    state["param_groups"] = json.loads(json.dumps(state["param_groups"]))
    optimizer.load_state_dict(state)
    assert optimizer.state[p]["step"] == 1
    assert optimizer.betas == (0.9, 0.999)
    state["state"]["0"]["exp_avg"][...] = 7.0
    assert_array_equal(optimizer.state[p]["exp_avg"].data, kept)


def adam_state():
    p = nn.Parameter(np.ones(3))
    optimizer = optim.Adam([("w", p), ("b", nn.Parameter(np.ones(2)))])
    give_gradients([p])
    optimizer.step()
    return optimizer.state_dict()


def changed(*path, to):
    state = adam_state()
    inner = state
    for step in path[:-1]:
        inner = inner[step]
    if to is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "not an optimizer's state"),
        ({}, "not an optimizer's state"),
        (changed("optimizer", to="AdamW"), "another optimizer.*\n.*AdamW"),
        (changed("param_groups", to=[]), "number of parameter groups"),
        (changed("param_groups", to=7), "number of parameter groups"),
        (changed("param_groups", 0, to=None), "group 0 has other settings"),
        (changed("param_groups", 0, "eps", to=KeyError), "group 0 has other settings"),
        (changed("param_groups", 0, "foreach", to=True), "group 0 has other settings"),
        (changed("param_groups", 0, "params", to=["w", "c"]), "group 0 has other parameters"),
        (changed("param_groups", 0, "params", to=["b", "w"]), "group 0 has other parameters"),
        (changed("param_groups", 0, "lr", to=-1.0), "lr is out of range"),
        (changed("param_groups", 0, "initial_lr", to="x"), "lr is out of range"),
        (changed("param_groups", 0, "betas", to="ab"), "betas"),
        (changed("state", to=[]), "'state' is not a mapping"),
        (changed("state", "c", to={}), "unknown parameters.*\n.*c"),
        (changed("state", "w", to={}), "state of parameter w has other entries"),
        (changed("state", "w", to=None), "state of parameter w has other entries"),
        (changed("state", "w", "exp_avg", to=KeyError), "state of parameter w has other entries"),
        (changed("state", "w", "velocity", to=1), "state of parameter w has other entries"),
        (changed("state", "w", "step", to=-1), "step of parameter w"),
        (changed("state", "w", "step", to=1.5), "step of parameter w"),
        (changed("state", "w", "exp_avg", to=np.ones(3, int)), "exp_avg of parameter w.*\n.*int"),
        (changed("state", "w", "exp_avg", to="zero"), "exp_avg of parameter w"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    params = [nn.Parameter(np.ones(3)), nn.Parameter(np.ones(2))]
    optimizer = optim.Adam(list(zip("wb", params)), lr=0.5)
    with pytest.raises(ArgumentError, match=message):
        optimizer.load_state_dict(state)
    assert optimizer.lr == 0.5
    assert optimizer.state == {}


def test_a_state_of_another_shape_changes_nothing():
    optimizer = optim.Adam([("w", nn.Parameter(np.ones(4))), ("b", nn.Parameter(np.ones(2)))], lr=0.5)
    with pytest.raises(ShapeError, match=r"exp_avg of parameter w does not fit"):
        optimizer.load_state_dict(adam_state())
    assert optimizer.lr == 0.5
    assert optimizer.state == {}


def test_state_that_no_setting_asks_for_is_refused():
    optimizer = optim.SGD([nn.Parameter(np.ones(2))])
    state = optimizer.state_dict()
    state["state"] = {0: {}}
    with pytest.raises(ArgumentError, match="state of parameter 0 has other entries"):
        optimizer.load_state_dict(state)
