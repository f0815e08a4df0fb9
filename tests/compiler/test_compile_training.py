"""Whole training steps, compiled, against the same steps in eager code: weights, statistics, gradients, optimizers' states."""

import math
import signal
import time
import warnings
from contextlib import nullcontext

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.compiler.backends import BACKENDS, HOW, QUIET
from tests.compiler.near import near
from tests.program.bits import flat, same_bits, snapshot
from tests.program.training import OPTIMIZERS, batches, conv_net, mlp, stepping
from tinygrad_bn import functional, nn, ops, optim
from tinygrad_bn.compiler import CompileWarning, compile

STEPS = 20
pytestmark = QUIET


def close(one, other, units=4000):
    near(one, other, units, ["float32"])


def pair(build, optimizer, how, shape, dtype=np.float32, between=None, steps=STEPS, seed=0, units=4000):
    """The same training twice, eager and compiled."""
    kept = []
    for compiled in (False, True):
        tg.manual_seed(seed)
        model = build()
        opt = optimizer([p for p in model.parameters() if p.requires_grad])
        step = stepping(model, opt, between)
        step = compile(step, **BACKENDS[how]) if compiled else step
        losses = [step(x, y).item() for _, (x, y) in zip(range(steps), batches(shape, dtype))]
        kept.append((losses, snapshot(model, opt)))
    (same_bits if how == "exact" else lambda a, b: near(a, b, units, [dtype]))(*[_without_generator(k) for k in kept])


def _without_generator(kept):
    losses, states = kept
    return losses, {name: value for name, value in states.items() if value is not None and name != "generator"}


@HOW
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name, how):
    if name == "SGD with dampening":
        pytest.skip("its first step is not like the others, and is refused by name")
    pair(mlp, OPTIMIZERS[name], how, (8, 4))


@HOW
def test_float64(how):
    pair(lambda: mlp(np.float64), OPTIMIZERS["SGD with momentum"], how, (8, 4), np.float64)


@HOW
def test_convolutions(how):
    pair(conv_net, OPTIMIZERS["Adam"], how, (5, 2, 4, 4), steps=6)


@HOW
def test_dropout_draws_what_eager_code_draws(how):
    def net():
        return nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.4), nn.Tanh(), nn.Linear(16, 3))

    pair(net, OPTIMIZERS["SGD with momentum"], how, (8, 4), seed=3)


@HOW
def test_clipped_gradients(how):
    def clip(model):
        optim.clip_grad_norm_(model.parameters(), 0.5)

    pair(mlp, OPTIMIZERS["SGD with momentum"], how, (8, 4), between=clip)


@HOW
def test_frozen_parameters(how):
    def net():
        made = mlp()
        made[0].weight.requires_grad = False
        return made

    pair(net, OPTIMIZERS["SGD with momentum"], how, (8, 4))


@HOW
def test_tied_weights(how):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(ops.tanh(self.layer(ops.tanh(self.layer(x)))) @ self.layer.weight)

    pair(Tied, OPTIMIZERS["Adam"], how, (8, 4))


@HOW
def test_two_losses_that_add_up_in_the_gradients(how):
    results = []
    for compiled in (False, True):
        tg.manual_seed(0)
        model = mlp()
        opt = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def step(x, labels, model=model, opt=opt):
            opt.zero_grad()
            one = functional.cross_entropy(model(x), labels)
            one.backward()
            two = (model(x * 0.5) ** 2).mean()
            two.backward()
            opt.step()
            return {"one": one, "both": (one + two, [two])}

        run = compile(step, **BACKENDS[how]) if compiled else step
        found = [run(x, y) for _, (x, y) in zip(range(6), batches((8, 4)))]
        results.append((found, _without_generator(([], snapshot(model, opt)))))
    (same_bits if how == "exact" else close)(*results[::-1])


@HOW
def test_gradients_that_add_up_over_calls(how):
    """No zero_grad inside: what was there before is read, and added to."""
    results = []
    for compiled in (False, True):
        tg.manual_seed(0)
        model = mlp()

        def add_up(x, labels, model=model):
            loss = functional.cross_entropy(model(x), labels)
            loss.backward()
            return loss

        run = compile(add_up, **BACKENDS[how]) if compiled else add_up
        for i, (x, y) in zip(range(6), batches((8, 4))):
            run(x, y)
            if i == 3:
                model.zero_grad()
        results.append(_without_generator(([], snapshot(model))))
    (same_bits if how == "exact" else close)(*results)


@HOW
def test_a_schedule_and_a_shorter_last_batch(how):
    results = []
    for compiled in (False, True):
        tg.manual_seed(0)
        model = mlp()
        opt = optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
        schedule = optim.CosineAnnealingLR(opt, 12)
        step = stepping(model, opt)
        run = compile(step, **BACKENDS[how]) if compiled else step
        for i, (x, y) in zip(range(12), batches((8, 4))):
            rows = 5 if i % 3 == 2 else 8
            run(x[:rows], y[:rows])
            schedule.step()
        results.append(_without_generator(([], snapshot(model, opt))))
    (same_bits if how == "exact" else close)(*results)


@HOW
def test_training_and_evaluation_are_two_programs(how):
    tg.manual_seed(0)
    model, other = mlp(), mlp()
    other.load_state_dict(model.state_dict())
    compiled = compile(lambda x: model(x).detach(), **BACKENDS[how])
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    for mode in (True, True, False, True, False):
        model.train(mode)
        other.train(mode)
        near(compiled(x), other(x).detach())
    assert "2 recorded" in repr(compiled)
    near(model.state_dict(), other.state_dict())


# -- what the library lets people do between two calls ------------------------------------------------------------------------


@HOW
def test_a_state_that_is_read_transposed_is_whole_until_then(how):
    """Each row of the new value needs a column of the old one, so row by row in its place would be too early."""
    before, x = np.random.default_rng(0).normal(size=(2, 30, 30))
    a = tg.Tensor(before)

    def step(x):
        tg.write([(a, a - (a.T * x).sum(axis=1, keepdims=True))])

    compile(step, **BACKENDS[how])(x)
    close(a.data, before - (before.T * x).sum(axis=1, keepdims=True))


@HOW
def test_states_changed_between_calls(how):
    """Assigned, loaded, written, moved by an eager step, kept by somebody: the next call sees it, and nobody's copy changes."""
    results = []
    for compiled in (False, True):
        tg.manual_seed(0)
        model = mlp(np.float64)
        opt = optim.Adam(model.parameters(), lr=0.01)
        step = stepping(model, opt)
        run = compile(step, **BACKENDS[how]) if compiled else step
        data = batches((8, 4), np.float64)
        seen = []

        def go(times=2, data=data, run=run, seen=seen):
            for _, (x, y) in zip(range(times), data):
                seen.append(run(x, y).item())

        go()
        weight = model[3].weight
        kept, copy = weight.data, weight.data.copy()
        view, graph = weight.data[0], (weight * weight).sum()
        gradient, gradient_copy = weight.grad, weight.grad.data.copy()
        go()
        assert np.array_equal(kept, copy)
        assert np.array_equal(view, copy[0])
        assert np.array_equal(gradient.data, gradient_copy)
        with pytest.raises(tg.errors.MutationError):
            graph.backward()
        alone = (weight * weight).sum()  # nobody else holds the array, so it is written in place
        go()
        with pytest.raises(tg.errors.MutationError):
            alone.backward()
        weight.data = weight.data * 0.5
        go()
        before = {name: np.array(value) for name, value in model.state_dict().items()}
        go(3)
        model.load_state_dict(before)
        go()
        saved = opt.state_dict()
        go()
        opt.load_state_dict(saved)
        go()
        tg.write([(model[1].running_mean, np.zeros(5))])
        go()
        step(*next(data))  # an eager step between
        go()
        opt.param_groups[0]["lr"] = 0.03
        go()
        opt.param_groups[0]["betas"] = (0.8, 0.99)
        go()
        model.zero_grad()
        assert weight.grad is None
        go()
        results.append((seen, _without_generator(([], snapshot(model, opt)))))
    (same_bits if how == "exact" else close)(*results)


@HOW
def test_a_graph_with_a_view_of_an_array_that_a_step_writes_keeps_its_values(how):
    """No rule asks for w itself, so nothing is to be refused; but w.T in the graph is a view of its array."""
    w, x = tg.Tensor([[1.0, 2.0]], requires_grad=True), tg.Tensor([[3.0], [4.0]], requires_grad=True)

    def step(z):
        tg.write([(w, w * z)])
        return w.sum()

    run = compile(step, **BACKENDS[how])
    for _ in range(3):
        run(10.0)
    graph = (w.T * x).sum()
    for _ in range(3):
        run(0.5)
    graph.backward()
    assert w.numpy().tolist() == [[125.0, 250.0]]
    assert x.grad.numpy().tolist() == [[1000.0], [2000.0]]
    assert w.grad.numpy().tolist() == [[3.0, 4.0]]


@HOW
def test_outputs_and_gradients_that_are_kept_stay_as_they_are(how):
    model = mlp()
    opt = optim.SGD(model.parameters(), lr=0.1)
    run = compile(stepping(model, opt), **BACKENDS[how])
    kept = []
    for _, (x, y) in zip(range(6), batches((8, 4))):
        loss = run(x, y)
        gradient = model[0].weight.grad
        kept.append((loss, loss.item(), gradient, gradient.data.copy(), gradient.data))
    for loss, value, gradient, copy, array in kept:
        assert loss.item() == value
        assert np.array_equal(gradient.data, copy)
        assert np.array_equal(array, copy)
        assert not array.flags.writeable


@HOW
def test_what_is_done_to_a_result_or_a_gradient_is_gone_with_it(how):
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        w.grad = None
        y = w * x
        y.sum().backward()
        return y.detach()

    run, x = compile(step, **BACKENDS[how]), np.array([3.0, 4.0])
    for _ in range(3):
        run(x)
    result = run(x)
    result.requires_grad, result.name, result.data, w.grad.data = True, "mine", [7.0, 7.0], [8.0, 8.0]
    del result
    again = run(x)
    assert (again.requires_grad, again.name) == (False, None)
    assert (again.numpy().tolist(), w.grad.numpy().tolist()) == ([3.0, 8.0], [3.0, 4.0])
    for change in ({"name": "mine"}, {"requires_grad": True}):
        for name, value in change.items():
            setattr(w.grad, name, value)
        run(x)
        assert (w.grad.name, w.grad.requires_grad, w.grad.numpy().tolist()) == (None, False, [3.0, 4.0])


@HOW
def test_a_gradient_that_is_kept_while_its_leaf_has_none(how):
    model = mlp()
    run = compile(stepping(model, optim.SGD(model.parameters(), lr=0.1)), **BACKENDS[how])
    data = batches((8, 4))
    for _ in range(3):
        run(*next(data))
        kept = model[0].weight.grad
        copy = kept.numpy().copy()
        model.zero_grad()
        run(*next(data))
        assert kept is not model[0].weight.grad
        assert np.array_equal(kept.numpy(), copy)


@HOW
def test_looking_at_values_makes_no_copies_but_keeping_them_does(how):
    """``.data`` hands out a view that a variable keeps; what nobody else has is written into again."""
    model = mlp()
    run = compile(stepping(model, optim.SGD(model.parameters(), lr=0.1)), **BACKENDS[how])
    data = batches((8, 4))
    leaf = model[0].weight

    def looked(times):
        found = []
        for _ in range(times):
            run(*next(data))
            found.append((leaf.data.ctypes.data, leaf.grad.data.ctypes.data))
        return found

    looked(2)
    assert len(set(looked(4))) == 1
    kept, gradient = leaf.data, leaf.grad.data
    copies = kept.copy(), gradient.copy()
    looked(2)
    assert np.array_equal(kept, copies[0])
    assert np.array_equal(gradient, copies[1])


@HOW
def test_an_array_that_is_its_own_result_is_not_shared(how):
    run = compile(lambda x: (x, x.T, x.reshape(-1)), **BACKENDS[how])
    x = np.arange(6.0).reshape(2, 3)
    first = run(x)
    x[:] = 0
    run(x)
    assert first[0].numpy().sum() == first[1].numpy().sum() == first[2].numpy().sum() == 15


def test_a_new_kind_of_argument_is_recorded_anew_and_said_once():
    run = compile(lambda x: (x * x).sum(), backend="numpy")
    run(np.ones(3))
    with pytest.warns(CompileWarning, match="recorded anew"):
        run(np.ones(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(np.ones(5))
    assert "3 recorded" in repr(run)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such timer")
@HOW
def test_an_interrupt_finds_all_states_old_or_all_new(how):
    """A signal at any time: weights, statistics and momentum are those after some whole number of steps."""

    def start():
        tg.manual_seed(0)
        model = mlp()
        opt = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        return model, opt, compile(stepping(model, opt), **BACKENDS[how])

    def seen(model, opt):
        kept = snapshot(model, opt)
        return {
            name: str(np.asarray(value).tolist()) for name, value in flat([kept["model"], kept["optimizer"]]).items()
        }

    x, y = next(batches((8, 4)))
    steps = 250
    model, opt, run = start()
    whole, took = [], []
    for _ in range(steps):
        began = time.perf_counter()
        run(x, y)
        took.append(time.perf_counter() - began)
        whole.append(seen(model, opt))
    two = 2 * float(np.median(took))  # so that most signals come while one of two steps runs, however fast they are
    model, opt, run = start()
    run(x, y)
    interrupted, steps_run = 0, False

    def interrupt(number, frame):
        if steps_run:  # not when the signal came at the last moment, and is told of later
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    rng = np.random.default_rng(0)
    try:
        for _ in range(100):
            try:
                steps_run = True
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0, 1.0) * two + 1e-6)
                run(x, y)
                run(x, y)
                steps_run = False
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert seen(model, opt) in whole
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted


# -- what is refused -----------------------------------------------------------------------------------------------------


def test_a_decision_by_a_value_is_refused_with_its_line():
    @compile
    def decides(x):
        if x.sum() > 3:
            return x
        return x * 2.0

    with pytest.raises(tg.errors.RecordingError) as error:
        decides(np.ones(3))
    assert "if x.sum() > 3" in str(error.value) or "test_compile_training.py" in str(error.value)


def test_hooks_are_refused_by_name():
    model = mlp()
    model[1].register_forward_hook(lambda module, inputs, out: None)
    with pytest.raises(tg.errors.RecordingError, match="hook"):
        compile(model)(np.ones((8, 4), np.float32))
    model = mlp()
    model[0].weight.register_hook(lambda g: g)
    opt = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(tg.errors.RecordingError, match="hook"):
        compile(stepping(model, opt))(*next(batches((8, 4))))


def test_a_hook_that_comes_later_is_refused_too():
    model = mlp()
    run = compile(lambda x: model(x).detach(), backend="numpy")
    x = np.ones((8, 4), np.float32)
    run(x)
    handle = model[1].register_forward_hook(lambda module, inputs, out: None)
    with pytest.raises(tg.errors.RecordingError, match="hook"):
        run(x)
    handle.remove()
    run(x)


def test_an_argument_that_wants_a_gradient_is_refused():
    run = compile(lambda x: x * 2.0)
    with pytest.raises(tg.errors.RecordingError, match="wants a gradient"):
        run(tg.Tensor([1.0], requires_grad=True))
    with tg.no_grad():
        assert run(tg.Tensor([1.0], requires_grad=True)).item() == 2.0


@HOW
def test_a_result_that_would_have_a_gradient_refuses_one(how):
    """(w x + w) needs both parts of its gradient; without the first, it would be wrong in silence."""
    w, s, x = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Scalar(3.0), np.array([3.0, 4.0])
    run = compile(lambda x: {"both": [w * x, x * 2.0], "alone": s * s}, **BACKENDS[how])
    for anomaly in (False, True):
        with tg.detect_anomaly() if anomaly else nullcontext():
            results = run(x)
        (wanting, constant), alone = results["both"], results["alone"]
        assert (wanting.requires_grad, constant.requires_grad, alone.requires_grad) == (True, False, True)
        for root in ((wanting + w).sum(), alone, wanting.sum()):
            with pytest.raises(tg.errors.GraphError, match="a compiled function made it"):
                root.backward()
        assert w.grad is None
        (wanting.detach() * constant + w).sum().backward()
        assert w.grad.numpy().tolist() == [1.0, 1.0]
        w.grad = None
    with tg.no_grad():
        assert not run(x)["alone"].requires_grad


def test_mistakes_of_the_caller():
    with pytest.raises(tg.errors.ArgumentError, match="no such backend"):
        compile(abs, backend="fortran")
    with pytest.raises(tg.errors.ArgumentError, match="a function is compiled"):
        compile(3)
    with pytest.raises(tg.errors.ArgumentError, match="same bits"):
        compile(abs, backend="c", exact=True)
    with pytest.raises(tg.errors.RecordingError, match="call it once"):
        _ = compile(lambda x: x).source


@HOW
def test_anomalies_are_found(how):
    run = compile(lambda x: ops.log(x).sum(), **BACKENDS[how])
    run(np.ones(3))
    assert math.isnan(run(-np.ones(3)).item())
    with np.errstate(all="ignore"), tg.detect_anomaly(), pytest.raises(tg.errors.AnomalyError, match="log"):
        run(-np.ones(3))


@HOW
def test_a_label_out_of_range_is_found_and_nothing_is_written(how):
    model = mlp()
    opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    run = compile(stepping(model, opt), **BACKENDS[how])
    x, y = next(batches((8, 4)))
    run(x, y)
    before = snapshot(model, opt)
    y[3] = 7
    with pytest.raises(tg.errors.IndexingError, match="7"):
        run(x, y)
    same_bits(_without_generator(([], snapshot(model, opt))), _without_generator(([], before)))


def test_fit_compiled(tmp_path):
    """The same training as without, with a shorter last batch, metrics, clipping; a run continued from a checkpoint, too."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(45, 4)).astype(np.float32), rng.integers(0, 3, 45)
    kept = []
    for how in ({}, {"compile": True}, {"compile": True, "checkpoint": tmp_path / "run.safetensors"}):
        tg.manual_seed(0)
        model = mlp()
        loader = tg.data.DataLoader(tg.data.ArrayDataset(x, y), batch_size=10, shuffle=True)
        opt = optim.Adam(model.parameters(), lr=0.01)
        settings = {"metrics": {"accuracy": tg.train.accuracy}, "clip_norm": 1.0, "progress": False, **how}
        for epochs in (2, 4) if "checkpoint" in how else (4,):
            resume = {"resume": True} if "checkpoint" in how else {}
            run = tg.train.fit(model, loader, opt, functional.cross_entropy, epochs=epochs, **settings, **resume)
        history = [{name: record[name] for name in ("loss", "accuracy")} for record in run.history]
        kept.append((history, model.state_dict()))
    near(kept[1], kept[0], 4000, ["float32"])
    same_bits(kept[2], kept[1])


def test_fit_compiled_refuses_a_loss_that_is_not_finite():
    x = np.full((4, 4), np.inf, np.float32)
    model = mlp()
    loader = tg.data.DataLoader(tg.data.ArrayDataset(x, np.zeros(4, int)), batch_size=4)
    before = {name: np.array(value) for name, value in model.state_dict().items()}
    opt = optim.SGD(model.parameters(), lr=0.1)
    with np.errstate(all="ignore"), pytest.raises(tg.errors.AnomalyError, match="the loss is nan"):
        tg.train.fit(model, loader, opt, functional.cross_entropy, epochs=1, progress=False, compile=True)
    same_bits(dict(model.state_dict()), before)


@pytest.mark.parametrize("change", [{"weight_decay": 0.5}, {"momentum": 0.9}, {"maximize": True}], ids=str)
def test_settings_that_decide_what_is_computed_may_change_between_steps(change):
    def trained(made):
        net = nn.Linear(2, 1, dtype=np.float64)
        net.load_state_dict({"weight": np.array([[1.0, -2.0]]), "bias": np.array([0.5])})
        opt = optim.SGD(net.parameters(), lr=0.1)

        def step(x):
            opt.zero_grad()
            (net(x) * net(x)).sum().backward()
            opt.step()

        step = made(step)
        for _ in range(4):
            step(np.array([[1.0, 2.0], [0.5, -1.0]]))
            opt.param_groups[0].update(change)
        return net.weight.numpy()

    expected = trained(lambda step: step)
    for exact in (True, False):
        np.testing.assert_allclose(
            trained(lambda step, e=exact: tg.compile(step, exact=e, quiet=True)), expected, rtol=1e-9
        )
