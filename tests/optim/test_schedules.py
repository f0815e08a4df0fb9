"""Every schedule against PyTorch's, group by group and count by count; saving; what is refused."""

import json
import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tests.train.interrupted import interrupted_at
from tinygrad_bn import nn, optim
from tinygrad_bn.errors import ArgumentError

RATES = [0.1, 0.02]
OPTIMIZERS = [("SGD", {"momentum": 0.9}), ("Adam", {}), ("RMSprop", {})]
CASES = [
    ("StepLR", {"step_size": 3}),
    ("StepLR", {"step_size": 1, "gamma": 0.5}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "end_factor": 0.5, "total_iters": 7}),
    ("CosineAnnealingLR", {"T_max": 6}),
    ("CosineAnnealingLR", {"T_max": 20, "eta_min": 0.005}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "epochs": 4, "steps_per_epoch": 5, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20, "pct_start": 0.4, "three_phase": True, "div_factor": 5.0}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20, "pct_start": 0.0, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20, "base_momentum": 0.5, "max_momentum": 0.8,
                    "final_div_factor": 10.0}),
]  # fmt: skip


def made(name="SGD", **settings):
    params = [nn.Parameter(np.array([1.0, -2.0])), nn.Parameter(np.array([0.5]))]
    return getattr(optim, name)([{"params": [p], "lr": lr} for p, lr in zip(params, RATES)], **settings)


def reference(name="SGD", **settings):
    params = [torch.tensor([1.0, -2.0], dtype=float), torch.tensor([0.5], dtype=float)]
    groups = [{"params": [p.requires_grad_()], "lr": lr} for p, lr in zip(params, RATES)]
    return getattr(torch.optim, name)(groups, **settings)


def step_together(ours, theirs, schedule, their_schedule, steps):
    """Train both on the same gradients; compare settings before each step and parameters after it."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        for group, their_group in zip(ours.param_groups, theirs.param_groups):
            for setting in ("lr", "momentum", "betas"):
                if setting in group:
                    assert_allclose(group[setting], their_group[setting], rtol=1e-9, atol=1e-15)
            (p,), (q,) = group["params"], their_group["params"]
            g = rng.standard_normal(p.shape)
            p.grad, q.grad = tg.Tensor(g), torch.tensor(g)
        assert_allclose(schedule.get_last_lr(), their_schedule.get_last_lr(), rtol=1e-9, atol=1e-15)
        ours.step()
        theirs.step()
        schedule.step()
        their_schedule.step()
    for p, their_group in zip(ours.params, theirs.param_groups):
        assert_allclose(p.numpy(), their_group["params"][0].detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize(("optimizer", "own"), OPTIMIZERS, ids=lambda value: str(value))
@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda value: str(value))
def test_twenty_steps_are_pytorchs(name, settings, optimizer, own):
    ours, theirs = made(optimizer, **own), reference(optimizer, **own)
    schedule = getattr(optim, name)(ours, **settings)
    their_schedule = getattr(torch.optim.lr_scheduler, name)(theirs, **settings)
    step_together(ours, theirs, schedule, their_schedule, 20)
    assert schedule.last_epoch == 20


def chained(module, optimizer):
    warmup = module.LinearLR(optimizer, start_factor=0.1, total_iters=4)
    steps = module.StepLR(optimizer, step_size=2)
    decay = module.CosineAnnealingLR(optimizer, T_max=8)
    return module.SequentialLR(optimizer, [warmup, steps, decay], milestones=[4, 9])


def test_a_sequence_is_pytorchs():
    ours, theirs = made(), reference()
    step_together(ours, theirs, chained(optim, ours), chained(torch.optim.lr_scheduler, theirs), 20)


def test_a_sequence_of_one():
    optimizer = made()
    schedule = optim.SequentialLR(optimizer, [optim.OneCycleLR(optimizer, 0.5, total_steps=4)], [])
    for _ in range(4):
        schedule.step()
    with pytest.raises(ArgumentError, match="lasts 4 steps"):
        schedule.step()
    assert schedule.last_epoch == 4


@pytest.mark.parametrize("pct_start", [0.1, 1.0])
def test_a_cycle_whose_rise_or_fall_has_no_length(pct_start):
    optimizer = made()
    schedule = optim.OneCycleLR(optimizer, 0.5, total_steps=10, pct_start=pct_start)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert max(rates) == rates[0 if pct_start == 0.1 else 9] == 0.5
    assert_allclose(optimizer.param_groups[0]["lr"], 0.5 / 25 / 1e4, rtol=1e-9)


def test_a_cycle_ends():
    optimizer = made(momentum=0.9)
    schedule = optim.OneCycleLR(optimizer, 0.5, total_steps=5, anneal_strategy="linear")
    for _ in range(5):
        schedule.step()
    assert min(group["lr"] for group in optimizer.param_groups) > 0.0  # the count after the last batch
    before = optimizer.state_dict()["param_groups"]
    with pytest.raises(ArgumentError, match=r"lasts 5 steps.*\n.*6"):
        schedule.step()
    assert optimizer.state_dict()["param_groups"] == before
    assert schedule.last_epoch == 5


# -- saving and loading -------------------------------------------------------------------------------------------------


MAKERS = [lambda o, n=n, s=s: getattr(optim, n)(o, **s) for n, s in CASES] + [lambda o: chained(optim, o)]


@pytest.mark.parametrize("make", MAKERS)
def test_a_restored_schedule_continues_exactly(make):
    optimizer, other = made(momentum=0.9), made(momentum=0.9)
    schedule = make(optimizer)
    for _ in range(6):
        schedule.step()
    state = json.loads(json.dumps(schedule.state_dict()))
    other.lr = 0.7  # other rates than the saved ones: those in the state count
    restored = make(other)
    restored.load_state_dict(state)
    saved = optimizer.state_dict()
    other.load_state_dict(saved)
    assert other.state_dict() == saved
    for _ in range(8):
        schedule.step()
        restored.step()
        assert [g["lr"] for g in other.param_groups] == [g["lr"] for g in optimizer.param_groups]
        assert [g["momentum"] for g in other.param_groups] == [g["momentum"] for g in optimizer.param_groups]


def test_loading_a_schedule_sets_the_rates_of_its_count():
    optimizer = made()
    schedule = optim.StepLR(optimizer, step_size=2)
    state = schedule.state_dict()
    state["last_epoch"] = 4
    schedule.load_state_dict(state)
    assert_allclose(schedule.get_last_lr(), [0.1 * 0.01, 0.02 * 0.01])
    assert [group["lr"] for group in optimizer.param_groups] == schedule.get_last_lr()


SCHEDULES = {
    "StepLR": lambda o: optim.StepLR(o, 2, 0.5),
    "LinearLR": lambda o: optim.LinearLR(o, 0.25, total_iters=9),
    "CosineAnnealingLR": lambda o: optim.CosineAnnealingLR(o, 11),
    "OneCycleLR": lambda o: optim.OneCycleLR(o, 0.5, total_steps=20),
    "SequentialLR": lambda o: optim.SequentialLR(o, [optim.LinearLR(o, 0.1), optim.StepLR(o, 3)], [4]),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_rates_do_not_depend_on_the_order_of_making_and_loading(make):
    first = made(momentum=0.9)
    schedule = make(first)
    for _ in range(5):
        schedule.step()
    saved, saved_schedule = first.state_dict(), schedule.state_dict()
    schedule.step()
    expected = [dict(group, params=None) for group in first.param_groups]

    def load_optimizer(optimizer):
        optimizer.load_state_dict(saved)

    def load_schedule(schedule):
        schedule.load_state_dict(saved_schedule)

    for order in ("make, optimizer, schedule", "make, schedule, optimizer", "optimizer, make, schedule"):
        optimizer = made(momentum=0.9)
        for group in optimizer.param_groups:
            group["lr"] = 7.0  # what it is made with does not matter either
        resumed = None
        for step in order.split(", "):
            if step == "make":
                resumed = make(optimizer)
            elif step == "optimizer":
                load_optimizer(optimizer)
            else:
                load_schedule(resumed)
        assert [group["lr"] for group in optimizer.param_groups] == [g["lr"] for g in saved["param_groups"]], order
        assert resumed.base_lrs == RATES
        resumed.step()
        assert [dict(group, params=None) for group in optimizer.param_groups] == expected, order


def test_an_optimizer_state_that_knows_no_schedule_gives_its_own_rates_as_the_base_in_either_order():
    saved = made().state_dict()
    for load_first in (True, False):
        optimizer = made()
        for group in optimizer.param_groups:
            group["lr"] = 7.0
        if load_first:
            optimizer.load_state_dict(saved)
        schedule = optim.StepLR(optimizer, 1, 0.5)
        if not load_first:
            optimizer.load_state_dict(saved)
        schedule.step()
        schedule.step()
        assert_allclose([group["lr"] for group in optimizer.param_groups], [0.025, 0.005], rtol=1e-15)
        assert schedule.base_lrs == RATES


def test_a_group_added_afterwards_is_reported_on_loading_too():
    optimizer = made()
    schedule = optim.StepLR(optimizer, 3)
    state = schedule.state_dict()
    optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))]})
    with pytest.raises(ArgumentError, match="a group was added"):
        schedule.load_state_dict(state)


def cycle_state(**changes):
    return optim.OneCycleLR(made(), 0.5, total_steps=20).state_dict() | changes


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "not the state of such a schedule"),
        ({}, "not the state of such a schedule"),
        (cycle_state(extra=1), "not the state of such a schedule"),
        (optim.StepLR(made(), 3).state_dict(), "not the state of such a schedule"),
        (cycle_state(schedule="StepLR"), "schedule differs"),
        (cycle_state(total_steps=21), "total_steps differs"),
        (cycle_state(base_lrs=[0.1]), "base_lrs do not fit"),
        (cycle_state(base_lrs=[0.1, -0.1]), "base_lrs do not fit"),
        (cycle_state(base_lrs="ab"), "base_lrs do not fit"),
        (cycle_state(last_epoch=-1), "last_epoch is not a count"),
        (cycle_state(last_epoch=21), "last_epoch is not a count"),
        (cycle_state(last_epoch=2.0), "last_epoch is not a count"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    optimizer = made()
    schedule = optim.OneCycleLR(optimizer, 0.5, total_steps=20)
    schedule.step()
    before = optimizer.state_dict()
    with pytest.raises(ArgumentError, match=message):
        schedule.load_state_dict(state)
    assert (optimizer.state_dict(), schedule.last_epoch) == (before, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"milestones": [4, 8]}, "milestones differ"),
        ({"schedules": None}, "schedules differ"),
        ({"schedules": []}, "schedules differ"),
        ({"schedules": [{}, {}, {}]}, "LinearLR.load_state_dict"),
    ],
)
def test_a_sequence_checks_its_parts(changes, message):
    optimizer = made()
    schedule = chained(optim, optimizer)
    with pytest.raises(ArgumentError, match=message):
        schedule.load_state_dict(schedule.state_dict() | changes)
    assert schedule.last_epoch == 0


# -- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("StepLR", {"step_size": 0}, "step_size"),
        ("StepLR", {"step_size": 2.0}, "step_size"),
        ("StepLR", {"step_size": 2, "gamma": -0.1}, "gamma"),
        ("LinearLR", {"start_factor": 0.0}, "start_factor"),
        ("LinearLR", {"start_factor": 1.5}, "start_factor"),
        ("LinearLR", {"end_factor": -0.5}, "end_factor"),
        ("LinearLR", {"total_iters": 0}, "total_iters"),
        ("CosineAnnealingLR", {"T_max": 0}, "T_max"),
        ("CosineAnnealingLR", {"T_max": 5, "eta_min": math.nan}, "eta_min"),
        ("OneCycleLR", {"max_lr": 0.5}, "total_steps, or both"),
        ("OneCycleLR", {"max_lr": 0.5, "epochs": 3}, "total_steps, or both"),
        ("OneCycleLR", {"max_lr": 0.5, "epochs": 0, "steps_per_epoch": 3}, "epochs"),
        ("OneCycleLR", {"max_lr": 0.5, "epochs": 3, "steps_per_epoch": -3}, "steps_per_epoch"),
        ("OneCycleLR", {"max_lr": 0.5, "total_steps": 0}, "total_steps"),
        ("OneCycleLR", {"max_lr": -0.5, "total_steps": 9}, "max_lr"),
        ("OneCycleLR", {"max_lr": [0.5], "total_steps": 9}, "one max_lr per group"),
        ("OneCycleLR", {"max_lr": 0.5, "total_steps": 9, "pct_start": 1.1}, "pct_start"),
        ("OneCycleLR", {"max_lr": 0.5, "total_steps": 9, "anneal_strategy": "step"}, "anneal_strategy"),
        ("OneCycleLR", {"max_lr": 0.5, "total_steps": 9, "div_factor": 0.0}, "div_factor"),
        ("OneCycleLR", {"max_lr": 0.5, "total_steps": 9, "final_div_factor": 0.0}, "final_div_factor"),
        ("OneCycleLR", {"max_lr": 0.5, "total_steps": 9, "base_momentum": -0.1}, "base_momentum"),
    ],
)
def test_settings_out_of_range_change_nothing(name, settings, message):
    optimizer = made()
    before = optimizer.state_dict()
    with pytest.raises(ArgumentError, match=message):
        getattr(optim, name)(optimizer, **settings)
    assert optimizer.state_dict() == before


def test_adams_first_beta_stays_below_one():
    with pytest.raises(ArgumentError, match="max_momentum"):
        optim.OneCycleLR(made("Adam"), 0.5, total_steps=9, max_momentum=1.0)


def test_momentum_cannot_cycle_where_there_is_none():
    with pytest.raises(ArgumentError, match="Adagrad has no momentum to cycle"):
        optim.OneCycleLR(made("Adagrad"), 0.5, total_steps=9)
    schedule = optim.OneCycleLR(made("Adagrad"), 0.5, total_steps=9, cycle_momentum=False)
    assert_allclose(schedule.get_last_lr(), [0.02, 0.02])


@pytest.mark.parametrize("make", [lambda o: optim.StepLR(o, 3), lambda o: optim.OneCycleLR(o, 0.1, total_steps=5)])
def test_a_schedule_sets_an_optimizer(make):
    with pytest.raises(ArgumentError, match="sets an optimizer"):
        make(nn.Linear(2, 2))


def test_a_group_added_afterwards_is_reported():
    optimizer = made()
    schedule = optim.StepLR(optimizer, 3)
    optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))]})
    with pytest.raises(ArgumentError, match="a group was added"):
        schedule.step()
    assert schedule.last_epoch == 0


def test_sequences_that_do_not_fit_together():
    optimizer = made()
    a, b = optim.StepLR(optimizer, 3), optim.StepLR(optimizer, 5)
    for schedules, milestones, message in [
        ([a, b], [], "one milestone between"),
        ([a, b], [0], "milestones"),
        ([a, b, a], [5, 5], "ascend"),
        ([a, optim.StepLR(made(), 3)], [5], "schedules of this optimizer"),
        ([a, None], [5], "schedules of this optimizer"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            optim.SequentialLR(optimizer, schedules, milestones)


def test_a_rate_to_start_from_that_a_loaded_state_does_not_have_is_forgotten():
    """As in PyTorch: a schedule made after loading starts from the loaded rates, not from those of an earlier schedule."""
    ours, theirs = made(), reference()
    optim.StepLR(ours, step_size=1, gamma=0.5)
    torch.optim.lr_scheduler.StepLR(theirs, step_size=1, gamma=0.5)
    fresh, other = made(), reference()
    for mine, its, lr in zip(fresh.param_groups, other.param_groups, (0.7, 0.3)):
        mine["lr"] = its["lr"] = lr
    ours.load_state_dict(fresh.state_dict())
    theirs.load_state_dict(other.state_dict())
    assert all("initial_lr" not in group for group in ours.param_groups)
    schedule = optim.StepLR(ours, step_size=1, gamma=0.1)
    expected = torch.optim.lr_scheduler.StepLR(theirs, step_size=1, gamma=0.1)
    assert schedule.base_lrs == expected.base_lrs == [0.7, 0.3]
    for group in ours.param_groups:
        assert group["initial_lr"] == group["lr"]


# -- in any order -------------------------------------------------------------------------------------------------------


def two_groups():
    a, b = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(1))
    return optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1, momentum=0.9)


def warmed(*parts):
    return lambda o: optim.SequentialLR(o, [part(o) for part in parts], [3])


ANY_ORDER = {
    "step": lambda o: optim.StepLR(o, 2, 0.5),
    "one cycle": lambda o: optim.OneCycleLR(o, [1.0, 2.0], total_steps=12),
    "warm-up, then a cycle": warmed(lambda o: optim.LinearLR(o), lambda o: optim.OneCycleLR(o, 1.0, total_steps=9)),
    "a cycle, then a line": warmed(lambda o: optim.OneCycleLR(o, 1.0, total_steps=3), lambda o: optim.LinearLR(o)),
}


def settings_over(optimizer, schedule, steps):
    seen = []
    for _ in range(steps):
        seen.append([(group["lr"], group["momentum"]) for group in optimizer.param_groups])
        schedule.step()
    return seen


@pytest.mark.parametrize("make", ANY_ORDER.values(), ids=ANY_ORDER)
def test_made_and_loaded_in_any_order_it_gives_the_same_rates(make):
    optimizer = two_groups()
    plain, schedule = optimizer.state_dict(), make(optimizer)
    settings_over(optimizer, schedule, 4)
    of_optimizer, of_schedule = optimizer.state_dict(), schedule.state_dict()
    expected = settings_over(optimizer, schedule, 5)

    def run(order, lr=0.1, state=of_optimizer):
        new = two_groups()
        new.param_groups[0]["lr"] = lr
        for what in order:
            if what == "make":
                made = make(new)
            elif what == "optimizer":
                new.load_state_dict(state)
            else:
                made.load_state_dict(of_schedule)
        return settings_over(new, made, 5)

    assert run(["make", "optimizer", "schedule"]) == expected
    assert run(["make", "schedule", "optimizer"]) == expected
    assert run(["optimizer", "make", "schedule"]) == expected
    assert run(["make", "schedule"], lr=7.0) == expected
    assert run(["optimizer", "make", "schedule"], state=plain) == expected
    assert run(["make", "schedule", "optimizer"], state=plain)[1:] == expected[1:]


def test_two_schedules_in_turn_are_refused_and_one_after_the_other_are_not():
    optimizer = two_groups()
    warmup, decay = optim.LinearLR(optimizer, total_iters=3), optim.StepLR(optimizer, 2)
    warmup.step()
    warmup.step()
    decay.step()
    decay.step()
    before = [g["lr"] for g in optimizer.param_groups]
    with pytest.raises(
        ArgumentError, match=r"LinearLR.step: a StepLR sets the rates of this optimizer, too[\s\S]*SequentialLR"
    ):
        warmup.step()
    assert [g["lr"] for g in optimizer.param_groups] == before
    assert warmup.last_epoch == 2


def test_loading_that_is_interrupted_changes_nothing():
    def saved():
        optimizer = two_groups()
        schedule = ANY_ORDER["a cycle, then a line"](optimizer)
        for p in optimizer.params:
            p.grad = tg.Tensor(np.ones(p.shape))
        optimizer.step()
        settings_over(optimizer, schedule, 4)
        return optimizer, schedule

    def seen(optimizer, schedule):
        places = [(type(part).__name__, count) for part, count in schedule._places()]
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        return (
            groups,
            places,
            [(p.name, {k: v.data.tolist() for k, v in s.items()}) for p, s in optimizer.state.items()],
        )

    source = [part.state_dict() for part in saved()]
    for number in (0, 1):

        def load(parts):
            return parts[number].load_state_dict(source[number])  # noqa: B023

        def fresh():
            optimizer = two_groups()
            return optimizer, ANY_ORDER["a cycle, then a line"](optimizer)

        before, after = fresh(), fresh()
        length = interrupted_at(0, lambda: load(after))  # noqa: B023
        changed = 0
        for at in range(1, length + 1):
            parts = fresh()
            interrupted_at(at, lambda: load(parts))  # noqa: B023
            assert seen(*parts) in (seen(*before), seen(*after))
            changed += seen(*parts) == seen(*after)
        assert changed < length / 2
