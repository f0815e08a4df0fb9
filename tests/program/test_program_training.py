"""Whole training steps, recorded once and run: parameters, buffers, gradients and optimizer states to the last bit."""

import math

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.program.bits import same_bits, snapshot
from tests.program.training import OPTIMIZERS, batches, conv_net, mlp, pair, stepping
from tinygrad_bn import functional, nn, ops, optim, program
from tinygrad_bn.program import Program

STEPS = 10


def check(make_model, make_optimizer, shape, between=None, dtype=np.float32, after=lambda i, optimizer: None):
    """Ten steps of eager code beside ten runs of a program, read from JSON and simplified, too, where one step is enough."""
    (eager, eager_optimizer), (model, optimizer) = pair(make_model, make_optimizer)
    data = batches(shape, dtype)
    step = stepping(eager, eager_optimizer, between)
    recorded_step = stepping(model, optimizer, between)
    first = next(data)
    if "dampening" in optimizer.defaults and optimizer.dampening:  # whose first step is not like the others
        for one in (step, recorded_step):
            one(*map(tg.Tensor, first))
    before = snapshot(model, optimizer)
    recorded = program.record(recorded_step, *first)
    before["optimizer"]["state"] = optimizer.state_dict()["state"]  # which was made, with zeros, where there was none
    same_bits(snapshot(model, optimizer), before)
    for i, (x, labels) in zip(range(STEPS), data):
        expected = step(tg.Tensor(x), tg.Tensor(labels))
        same_bits(recorded.run(x, labels), expected)
        same_bits(snapshot(model, optimizer), snapshot(eager, eager_optimizer))
        for one in (eager_optimizer, optimizer):
            after(i, one)
    return recorded


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_mlp_with_batch_norm(name):
    check(mlp, OPTIMIZERS[name], (6, 4))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_convolutional_network(name):
    check(conv_net, OPTIMIZERS[name], (4, 2, 4, 4))


def test_float64():
    check(lambda: mlp(np.float64), OPTIMIZERS["Adam"], (6, 4), dtype=np.float64)


def test_a_state_that_is_made_during_the_recording_is_as_new_afterwards():
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["Adam"])
    program.record(stepping(model, optimizer), *next(batches((6, 4))))
    for kept in optimizer.state_dict()["state"].values():
        assert all(np.all(value == 0) for value in kept.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda o: optim.StepLR(o, 2),
        lambda o: optim.CosineAnnealingLR(o, 8),
    ],
)
def test_schedules_between_runs(make):
    schedules = {}

    def after(i, optimizer):
        if id(optimizer) not in schedules:
            schedules[id(optimizer)] = make(optimizer)
        optimizer_before = optimizer.lr
        schedules[id(optimizer)].step()
        after.moved |= optimizer.lr != optimizer_before

    after.moved = False
    check(mlp, OPTIMIZERS["SGD with momentum"], (6, 4), after=after)
    assert after.moved


def test_settings_that_change_between_runs_but_keep_what_is_computed():
    def after(i, optimizer):
        optimizer.betas = (0.9 - 0.01 * i, 0.99)
        optimizer.eps = 10.0 ** (-8 + i)
        optimizer.weight_decay = 0.01 * (i + 1)

    check(mlp, OPTIMIZERS["AdamW"], (6, 4), after=after)


@pytest.mark.parametrize("max_norm", [0.1, 1e-3, 100.0])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, math.inf])
def test_clipping_by_norm(max_norm, norm_type):
    check(mlp, OPTIMIZERS["SGD"], (6, 4), between=lambda m: optim.clip_grad_norm_(m.parameters(), max_norm, norm_type))


def test_clipping_by_value():
    check(conv_net, OPTIMIZERS["Adam"], (4, 2, 4, 4), between=lambda m: optim.clip_grad_value_(m.parameters(), 0.01))


def test_the_norm_is_returned():
    (eager, _), (model, _) = pair(mlp, OPTIMIZERS["SGD"])

    def norm_of(model):
        def step(x, labels):
            model.zero_grad()
            functional.cross_entropy(model(x), labels).backward()
            return optim.clip_grad_norm_(model.parameters(), 0.1)

        return step

    data = batches((6, 4))
    recorded = program.record(norm_of(model), *next(data))
    for _, (x, labels) in zip(range(3), data):
        assert recorded.run(x, labels) == norm_of(eager)(tg.Tensor(x), tg.Tensor(labels))


def test_gradients_that_are_not_finite_spread_as_in_eager_code():
    data = batches((6, 4))
    (eager, one), (model, other) = pair(mlp, OPTIMIZERS["SGD"])
    between = lambda m: optim.clip_grad_norm_(m.parameters(), 0.1)  # noqa: E731
    recorded = program.record(stepping(model, other, between), *next(data))
    x, labels = next(data)
    x[0, 0] = np.nan
    with np.errstate(all="ignore"):
        stepping(eager, one, between)(tg.Tensor(x), tg.Tensor(labels))
        recorded.run(x, labels)
    same_bits(snapshot(model, other), snapshot(eager, one))


def test_gradients_that_accumulate_over_two_batches():
    (eager, _), (model, _) = pair(mlp, OPTIMIZERS["Adam"])

    def step_of(model):
        def step(x, labels):
            functional.cross_entropy(model(x), labels).backward()

        return step

    data = batches((6, 4))
    first = next(data)
    for m in (eager, model):
        step_of(m)(*map(tg.Tensor, first))
    recorded = program.record(step_of(model), *first)
    for _, (x, labels) in zip(range(3), data):
        step_of(eager)(tg.Tensor(x), tg.Tensor(labels))
        recorded.run(x, labels)
        same_bits(snapshot(model), snapshot(eager))
    model.zero_grad()
    with pytest.raises(tg.errors.RecordingError, match="grad has changed"):
        recorded.run(*first)


def test_two_groups_a_frozen_parameter_and_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Linear(4, 4)
            self.second.weight = self.first.weight
            self.last = nn.Linear(4, 3)
            self.last.bias.requires_grad = False

        def forward(self, x):
            return self.last(ops.tanh(self.second(ops.tanh(self.first(x)))))

    def optimizer(params):
        first, *rest = params
        return optim.SGD([{"params": [first], "lr": 0.3}, {"params": rest}], lr=0.1, momentum=0.9)

    check(Tied, optimizer, (6, 4))


def test_hooks_on_parameters_and_inside():
    class Hooked(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(4, 5), nn.Linear(5, 3)
            self.one.weight.register_hook(lambda g: g * 0.5)

        def forward(self, x):
            h = ops.tanh(self.one(x))
            h.register_hook(lambda g: ops.clip(g, -0.01, 0.01))
            h.retain_grad()
            return self.two(h)

    check(Hooked, OPTIMIZERS["SGD with momentum"], (6, 4))


def test_dropout_draws_anew_from_the_same_generator():
    def make():
        return nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.4), nn.Linear(6, 3))

    (eager, one), (model, other) = pair(make, OPTIMIZERS["Adam"])
    data = batches((6, 4))
    tg.manual_seed(1)
    drawn = str(tg.random.generator().bit_generator.state)
    recorded = program.record(stepping(model, other), *next(data))
    assert str(tg.random.generator().bit_generator.state) == drawn
    losses = set()
    for i, (x, labels) in zip(range(STEPS), data):
        tg.manual_seed(i)
        expected = stepping(eager, one)(tg.Tensor(x), tg.Tensor(labels))
        tg.manual_seed(i)
        losses.add(float(recorded.run(x, labels)))
        assert expected.item() in losses
        same_bits(snapshot(model, other), snapshot(eager, one))
    assert len(losses) == STEPS
    shorter = program.simplify(recorded)
    assert [s.primitive.name for s in shorter.steps].count("uniform_like") == 1


@pytest.mark.parametrize("momentum", [0.1, None, 0.0, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.BatchNorm1d, (5, 3)),
        (nn.BatchNorm1d, (4, 3, 2)),
        (nn.BatchNorm2d, (3, 3, 2, 2)),
        (nn.BatchNorm3d, (2, 3, 2, 1, 2)),
    ],
)
def test_batch_norm_and_its_statistics(kind, shape, momentum, dtype):
    made = [kind(3, momentum=momentum, dtype=dtype) for _ in range(2)]
    rng = np.random.default_rng(0)
    data = [rng.standard_normal(shape).astype(dtype) for _ in range(6)]
    cotangent = rng.standard_normal(shape).astype(dtype)

    def step_of(layer):
        def step(x):
            x = x.detach().requires_grad_()
            y = layer(x)
            layer.zero_grad()
            y.backward(cotangent)
            return y, x.grad

        return step

    recorded = program.record(step_of(made[0]), data[0])
    for x in data[1:4]:
        same_bits(recorded.run(x), step_of(made[1])(tg.Tensor(x)))
        same_bits(snapshot(made[0]), snapshot(made[1]))
    for layer in made:
        layer.eval()
    evaluated = program.record(step_of(made[0]), data[0])
    for x in data[4:]:
        same_bits(evaluated.run(x), step_of(made[1])(tg.Tensor(x)))
        same_bits(snapshot(made[0]), snapshot(made[1]))
    made[0].running_mean.data = made[1].running_mean.data = np.array([1.0, 2.0, 3.0], dtype)
    same_bits(evaluated.run(x), step_of(made[1])(tg.Tensor(x)))  # read anew in every run


NORMS = {
    "LayerNorm": (lambda: nn.LayerNorm(4), (3, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (3, 4, 2)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), (3, 4, 2)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4), (3, 4, 2, 2)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (3, 4)),
}


@pytest.mark.parametrize("name", NORMS)
def test_the_other_norms(name):
    make, shape = NORMS[name]
    check(lambda: nn.Sequential(make(), nn.Flatten(), nn.Linear(math.prod(shape[1:]), 3)), OPTIMIZERS["Adam"], shape)


LOSSES = {
    "mse": lambda y, t, k: functional.mse_loss(y, t),
    "l1": lambda y, t, k: functional.l1_loss(y, t),
    "smooth l1": lambda y, t, k: functional.smooth_l1_loss(y, t),
    "huber": lambda y, t, k: functional.huber_loss(y, t, delta=0.7),
    "bce with logits": lambda y, t, k: functional.binary_cross_entropy_with_logits(y, ops.sigmoid(t)),
    "cross entropy, weighted": lambda y, t, k: functional.cross_entropy(y, k, weight=np.array([1.0, 2.0, 0.5])),
    "cross entropy, smoothed": lambda y, t, k: functional.cross_entropy(y, k, label_smoothing=0.1),
    "cross entropy, ignoring": lambda y, t, k: functional.cross_entropy(y, k, ignore_index=1),
    "cross entropy, none": lambda y, t, k: functional.cross_entropy(y, k, reduction="none").sum(),
    "cross entropy of probabilities": lambda y, t, k: functional.cross_entropy(y, ops.softmax(t)),
    "nll": lambda y, t, k: functional.nll_loss(ops.log_softmax(y), k, weight=np.array([1.0, 2.0, 0.5])),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    loss = LOSSES[name]

    def step(y, target, labels):
        y = y.detach().requires_grad_()
        value = loss(y, target, labels)
        value.backward()
        return value, y.grad

    rng = np.random.default_rng(0)
    data = [
        (rng.standard_normal((6, 3)), rng.standard_normal((6, 3)), np.array(labels))
        for labels in ([0, 1, 2, 0, 1, 2], [2, 2, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0])
    ]
    recorded = program.record(step, *data[0])
    for one in data[1:]:
        same_bits(recorded.run(*one), step(*map(tg.Tensor, one)))
    for rows in (2, 5, 9):
        one = (rng.standard_normal((rows, 3)), rng.standard_normal((rows, 3)), np.arange(rows) % 3)
        same_bits(recorded.run(*one), step(*map(tg.Tensor, one)))


def test_labels_outside_of_the_classes_are_refused_and_nothing_is_written():
    (model, optimizer), _ = pair(mlp, OPTIMIZERS["Adam"])
    data = batches((6, 4))
    recorded = program.record(stepping(model, optimizer), *next(data))
    x, labels = next(data)
    before = snapshot(model, optimizer)
    with pytest.raises(IndexError):
        recorded.run(x, labels + 2)
    same_bits(snapshot(model, optimizer), before)


def test_functional_transforms_inside():
    def several(x, v):
        f = lambda z: ops.sum(ops.tanh(z) * z * z)  # noqa: E731
        value, slope = tg.value_and_grad(f)(x)
        _, along = tg.jvp(lambda z: ops.sin(z) * z, (x,), (v,))
        return value, slope, along, tg.hvp(f, (x,), (v,)), tg.grad(lambda z: tg.grad(f)(z).sum())(x)

    rng = np.random.default_rng(0)
    one, other = (tuple(rng.standard_normal((2, 4))) for _ in range(2))
    recorded = program.record(several, *one)
    same_bits(recorded.run(*other), several(*map(tg.Tensor, other)))


def moons(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    return x, np.where(x[:, 0] * x[:, 1] > 0, 1.0, -1.0)


def as_scalars(array):
    made = np.empty(array.size, object)
    made[:] = [tg.Scalar(float(value), requires_grad=False) for value in array.ravel()]
    return made.reshape(array.shape)


def test_a_step_of_scalars_on_moons():
    """Arrays of scalars as arguments, a Python loop over neurons, SGD by hand on the scalars."""
    rng = np.random.default_rng(0)
    start = [float(value) for value in rng.standard_normal(13)]
    nets = [[tg.Scalar(value) for value in start] for _ in range(2)]

    def step_of(net):
        def step(x, y):
            hidden = [(net[i] * x[:, 0] + net[3 + i] * x[:, 1] + net[6 + i]) for i in range(3)]
            hidden = [np.array([ops.relu(h) for h in row], object) for row in hidden]
            score = sum((net[9 + i] * hidden[i] for i in range(3)), start=0.0) + net[12]
            loss = sum(ops.relu(1.0 - s * t) for s, t in zip(score, y)) / len(y)
            for p in net:
                p.grad = None
            loss.backward()
            tg.write([(p, p.detach() - 0.1 * p.grad) if in_recording else (p, p.data - 0.1 * p.grad.data) for p in net])
            return loss

        return step

    x, y = moons(4, 0)
    in_recording = True
    recorded = program.record(step_of(nets[0]), as_scalars(x), as_scalars(y))
    in_recording = False
    for seed in range(1, 6):
        x, y = moons(4, seed)
        expected = step_of(nets[1])(as_scalars(x), as_scalars(y))
        assert recorded.run(x, y) == expected.data
        assert [p.data for p in nets[0]] == [p.data for p in nets[1]]
        assert [p.grad.data for p in nets[0]] == [p.grad.data for p in nets[1]]
    read = Program.from_json(recorded.to_json())
    assert read.run(x, y) == recorded.run(x, y)
    assert len(program.simplify(recorded)) <= len(recorded)


@pytest.mark.parametrize("run", [lambda f, x: program.record(f, x).run(x), lambda f, x: tg.compile(f)(x)])
def test_a_leaf_that_was_given_an_argument_has_its_gradient_as_well(run):
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        w.grad = None
        tg.write([(w, x)])
        loss = (w * w).sum()
        loss.backward()
        return loss

    run(step, np.array([3.0, 4.0]))
    assert w.numpy().tolist() == [3.0, 4.0]
    assert w.grad.numpy().tolist() == [6.0, 8.0]
