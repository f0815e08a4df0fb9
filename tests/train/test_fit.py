"""``fit`` and ``evaluate``: PyTorch's losses, the order of events, the log, interruptions, and what is refused."""

import importlib.util
import io
import json
import math
import os
import re
import signal
import sys
import threading
import types
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.train.interrupted import interrupted_at, some_of
from tinygrad_bn import nn, optim
from tinygrad_bn.data import ArrayDataset, DataLoader
from tinygrad_bn.engine.mode import current_scope
from tinygrad_bn.errors import AnomalyError, ArgumentError, DTypeError, GraphError, ShapeError
from tinygrad_bn.functional import cross_entropy
from tinygrad_bn.random import generator
from tinygrad_bn.train import BestCheckpoint, EarlyStopping, accuracy, evaluate, fit, load_checkpoint
from tinygrad_bn.train import progress as progress_module

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((22, 4)), RNG.integers(0, 3, 22)


def loader(batch_size=4, **arguments):
    return DataLoader(ArrayDataset(X, Y), batch_size, **arguments)


def model():
    tg.manual_seed(0)
    return nn.Sequential(
        nn.BatchNorm1d(4, dtype=float), nn.Linear(4, 5, dtype=float), nn.ReLU(), nn.Linear(5, 3, dtype=float)
    )


def sgd(network, **arguments):
    return optim.SGD(network.parameters(), **{"lr": 0.1, "momentum": 0.9, **arguments})


def trained(**arguments):
    """A run of two epochs on everything small."""
    network = arguments.pop("model", None) or model()
    optimizer = arguments.pop("optimizer", None) or sgd(network)
    settings = {"epochs": 2, "progress": False, **arguments}
    return fit(
        network, settings.pop("loader", None) or loader(), optimizer, settings.pop("loss", cross_entropy), **settings
    )


# -- training -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule_each", ["epoch", "step"])
def test_losses_and_weights_are_pytorchs(schedule_each):
    network = model()
    theirs = torch.nn.Sequential(
        torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)
    ).double()  # fmt: skip
    theirs.load_state_dict({name: torch.tensor(array) for name, array in network.state_dict().items()})
    optimizer = sgd(network)
    schedule = optim.StepLR(optimizer, 2, gamma=0.5)
    run = trained(
        model=network, optimizer=optimizer, schedule=schedule, schedule_each=schedule_each, clip_norm=0.3, epochs=3,
        validation=loader(7), metrics={"accuracy": accuracy},
    )  # fmt: skip
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    their_schedule = torch.optim.lr_scheduler.StepLR(reference, 2, gamma=0.5)
    for record in run.history:
        theirs.train()
        total = right = 0.0
        rate = reference.param_groups[0]["lr"]
        for first in range(0, 22, 4):
            x, y = torch.tensor(X[first : first + 4]), torch.tensor(Y[first : first + 4])
            reference.zero_grad()
            scores = theirs(x)
            loss = torch.nn.functional.cross_entropy(scores, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.3)
            reference.step()
            total += loss.item() * len(y)
            right += (scores.argmax(1) == y).sum().item()
            if schedule_each == "step":
                rate = their_schedule.get_last_lr()[0]
                their_schedule.step()
        if schedule_each == "epoch":
            their_schedule.step()
        else:
            rate = their_schedule.get_last_lr()[0]
        theirs.eval()
        scores = theirs(torch.tensor(X))
        assert_allclose(record["loss"], total / 22, rtol=1e-9)
        assert_allclose(record["accuracy"], right / 22, rtol=1e-9)
        assert_allclose(
            record["val_loss"], torch.nn.functional.cross_entropy(scores, torch.tensor(Y)).item(), rtol=1e-9
        )
        assert_allclose(record["val_accuracy"], (scores.argmax(1).numpy() == Y).mean(), rtol=1e-9)
        assert_allclose(record["lr"], [rate], rtol=1e-9)
    for name, tensor in theirs.state_dict().items():
        assert_allclose(network.state_dict()[name], tensor.numpy(), rtol=1e-9, atol=1e-12)


def test_events_come_in_order_and_a_callback_can_stop():
    events = []

    def note(event, run):
        events.append((event, run.epoch, run.step, run.batch))
        assert math.isfinite(run.loss)
        run.stop = run.step == 8

    run = trained(callbacks=[note], epochs=5)
    steps = [("step", 0, i, i) for i in range(1, 7)]
    assert events == [*steps, ("epoch", 1, 6, 0), ("step", 1, 7, 1), ("step", 1, 8, 2)]
    assert (run.epoch, run.step, len(run.history)) == (1, 8, 1)


def test_a_callback_can_stop_after_an_epoch_or_at_its_last_step():
    def stop(event, run):
        run.stop = event == "epoch" or run.step == 6

    assert [trained(callbacks=[stop], epochs=5).epoch for _ in range(2)] == [1, 1]


def test_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3, dtype=float)

        def forward(self, a, b):
            return self.linear(a) * b

    network = Two()
    data = ArrayDataset(X, np.ones((22, 1)), Y)
    run = fit(network, DataLoader(data, 11), optim.Adam(network.parameters()), cross_entropy, epochs=1, progress=False)
    assert run.step == 2
    assert set(evaluate(network, DataLoader(data, 11), {"loss": cross_entropy})) == {"loss"}


def test_the_log_has_a_line_per_epoch(tmp_path):
    groups = model()
    first, *others = groups.parameters()
    optimizer = optim.SGD([{"params": [first], "lr": 0.01}, {"params": others}], lr=0.1)
    run = trained(
        model=groups, optimizer=optimizer, log=tmp_path / "log.jsonl", metrics={"odd": lambda output, target: np.nan}
    )
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    records = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [(record["epoch"], record["step"]) for record in records] == [(1, 6), (2, 12)]
    assert list(records[0]) == ["epoch", "step", "seconds", "lr", "loss", "odd"]
    assert records[0]["lr"] == [0.01, 0.1]
    assert records[0]["odd"] is None
    assert [record["loss"] for record in records] == [record["loss"] for record in run.history]
    assert 0 < records[0]["seconds"] < 100


# -- the bar --------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_per_epoch_on_a_terminal(monkeypatch):
    pytest.importorskip("tqdm")
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    trained(progress=True)
    assert "epoch 1/2" in shown.getvalue()
    assert "epoch 2/2" in shown.getvalue()
    assert "6/6" in shown.getvalue()
    assert "loss" in shown.getvalue()


def test_a_bar_per_epoch_in_a_notebook(monkeypatch):
    """Its standard error is no terminal, and shows a bar all the same; without widgets one of characters."""
    pytest.importorskip("tqdm")
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    kernel = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    trained(progress=True)
    if importlib.util.find_spec("ipywidgets") is None:
        assert "6/6" in shown.getvalue()
    assert not LINE.search(shown.getvalue())


LINE = re.compile(r"epoch (\d)/2: loss [\d.]+, accuracy [\d.]+, val_loss [\d.]+, val_accuracy [\d.]+, [\d.]+ s")


def lines(**arguments):
    trained(progress=True, metrics={"accuracy": accuracy}, validation=loader(8), **arguments)


@pytest.mark.parametrize(("installed", "terminal"), [(True, False), (False, True), (False, False)])
def test_plain_lines_where_there_is_no_bar(monkeypatch, installed, terminal):
    shown = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if not installed:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    lines()
    found = shown.getvalue().splitlines()
    assert [LINE.fullmatch(line)[1] for line in found] == ["1", "2"]


def test_a_long_epoch_says_that_it_goes_on(monkeypatch, capsys):
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    trained(progress=True, epochs=1)
    found = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"epoch 1/1: batch 3/6, loss [\d.]+", found[0])
    assert len(found) == 3


@pytest.mark.parametrize("stream", [Terminal, io.StringIO, lambda: None])
@pytest.mark.parametrize("how", ["TQDM_DISABLE", "argument", "neither"])
def test_progress_can_be_turned_off(monkeypatch, stream, how):
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    if how == "TQDM_DISABLE":
        monkeypatch.setenv("TQDM_DISABLE", "1")
    run = trained(progress=how != "argument")
    assert run.step == 12
    assert shown is None or (shown.getvalue() == "") == (how != "neither")


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError("I/O operation on closed file")])
def test_nobody_has_to_read_the_lines(monkeypatch, error):
    class Closed(io.StringIO):
        def write(self, text):
            raise error

    monkeypatch.setattr(sys, "stderr", Closed())
    assert trained(progress=True).step == 12


def test_an_import_error_of_the_data_is_not_taken_for_a_missing_bar(monkeypatch):
    class Broken(ArrayDataset):
        def __getitem__(self, index):
            raise ImportError("of the data")

    with pytest.raises(ImportError, match="of the data"):
        trained(loader=DataLoader(Broken(X, Y), 4), progress=True)


# -- interruptions ----------------------------------------------------------------------------------------------------------


def interrupt(at_step, how=None, event="step"):
    def callback(happened, run):
        if (happened, run.step) == (event, at_step):
            if how is None:
                raise KeyboardInterrupt
            how()

    return callback


def press():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("how", [None, press], ids=["raised", "pressed"])
@pytest.mark.parametrize(("event", "step"), [("step", 1), ("step", 4), ("step", 6), ("epoch", 6), ("epoch", 12)])
def test_an_interrupted_run_leaves_a_checkpoint_to_go_on_from(tmp_path, how, event, step):
    expected = trained(loader=loader(shuffle=True, seed=5))
    with pytest.raises(KeyboardInterrupt):
        trained(
            loader=loader(shuffle=True, seed=5), checkpoint=tmp_path / "run", callbacks=[interrupt(step, how, event)]
        )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    seen = []
    run = trained(
        loader=loader(shuffle=True),
        checkpoint=tmp_path / "run",
        resume=True,
        callbacks=[lambda event, run: seen.extend([run.step] if event == "step" else [])],
    )
    assert seen[:1] == ([step + 1] if step < 12 else [])
    assert run.step == 12
    for ours, theirs in zip(run.model.parameters(), expected.model.parameters()):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()


def test_ctrl_c_waits_for_the_step_under_way(tmp_path):
    finished = []

    def loss(output, target):
        if len(finished) == 2:
            press()
        return cross_entropy(output, target)

    with pytest.raises(KeyboardInterrupt):
        trained(loss=loss, checkpoint=tmp_path / "run", callbacks=[lambda event, run: finished.append(run.step)])
    assert finished == [1, 2, 3]
    run = trained(checkpoint=tmp_path / "run", resume=True, epochs=1, callbacks=[lambda e, r: finished.append(r.step)])
    assert finished == [1, 2, 3, 4, 5, 6, 6]
    assert run.epoch == 1


def test_a_second_ctrl_c_does_not_wait_and_the_last_checkpoint_stays(tmp_path):
    contents = []

    def keep(event, run):
        contents.append((tmp_path / "run").read_bytes() if run.step > 1 else b"")

    def loss(output, target):
        if len(contents) == 3:
            press()
            press()
            pytest.fail("the second one waited")
        return cross_entropy(output, target)

    with pytest.raises(KeyboardInterrupt):
        trained(loss=loss, checkpoint=tmp_path / "run", checkpoint_every=2, callbacks=[keep])
    network = model()
    load_checkpoint(tmp_path / "run", model=network)
    assert network[0].num_batches_tracked.item() == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_the_last_checkpoint_is_not_lost(tmp_path):
    class Pressing(optim.SGD):
        pressed = False

        def state_dict(self):
            if self.pressed:
                press()
            return super().state_dict()

    network = model()
    optimizer = Pressing(network.parameters(), lr=0.1)

    def stop(event, run):
        run.stop = optimizer.pressed = run.step == 8

    with pytest.raises(KeyboardInterrupt):
        trained(model=network, optimizer=optimizer, callbacks=[stop], checkpoint=tmp_path / "run")
    other = model()
    load_checkpoint(tmp_path / "run", model=other)
    assert other[0].num_batches_tracked.item() == 8


def test_other_handlers_and_other_threads_keep_their_ways():
    noted = []
    signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        assert trained(callbacks=[interrupt(3, press)]).step == 12
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert noted == [signal.SIGINT]
    found = []
    thread = threading.Thread(target=lambda: found.append(trained().step))
    thread.start()
    thread.join()
    assert found == [12]


def test_an_interruption_during_validation_is_followed_by_validation(tmp_path):
    calls = []

    def nosy(output, target):
        calls.append(tg.is_grad_enabled())
        if len(calls) == 9:  # one to try, six batches of training, then the second of validation
            raise KeyboardInterrupt
        return 0.0

    arguments = {"validation": loader(8), "metrics": {"nosy": nosy}, "checkpoint": tmp_path / "run", "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        trained(**arguments)
    assert not any(calls)
    calls.clear()
    run = trained(**arguments, resume=True, log=tmp_path / "log")
    assert len(calls) == 1 + 3
    assert run.history[0]["step"] == 6
    assert (tmp_path / "log").read_text().count("\n") == 1


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("where", ["callback", "step", "validation", "epoch"])
def test_a_run_that_is_terminated_saves_first(tmp_path, where):
    expected = trained(loader=loader(shuffle=True, seed=5), validation=loader(8))
    step = []

    def loss(output, target):
        if where == "step" and len(step) == 4 and tg.is_grad_enabled():
            terminate()
        return cross_entropy(output, target)

    def metric(output, target):
        if where == "validation" and len(step) == 6 and len(target) == 8:
            terminate()
        return 0.0

    def callback(event, run):
        step.append(event)
        if where == {"step": "callback", "epoch": "epoch"}[event] and run.step in (3, 6):
            terminate()

    arguments = {"validation": loader(8), "checkpoint": tmp_path / "run", "metrics": {"m": metric}, "loss": loss}
    with pytest.raises(SystemExit) as stopped:
        trained(loader=loader(shuffle=True, seed=5), callbacks=[callback], **arguments)
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert step.count("step") == {"callback": 3, "step": 5, "validation": 6, "epoch": 6}[where]
    where = ""
    seen = []
    run = trained(
        loader=loader(shuffle=True), resume=True, callbacks=[lambda e, run: seen.append(run.step)], **arguments
    )
    assert seen[0] == step.count("step") + (step.count("step") < 6 or "epoch" in step)
    for ours, theirs in zip(run.model.parameters(), expected.model.parameters()):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()


def test_sigterm_is_left_alone_without_a_checkpoint_and_with_a_handler_of_ones_own(tmp_path):
    seen = []
    trained(callbacks=[lambda event, run: seen.append(signal.getsignal(signal.SIGTERM))])
    assert set(seen) == {signal.SIG_DFL}

    def own(number, frame):
        raise SystemExit(7)

    signal.signal(signal.SIGTERM, own)
    try:
        with pytest.raises(SystemExit) as stopped:
            trained(callbacks=[interrupt(4, terminate)], checkpoint=tmp_path / "run")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert stopped.value.code == 7
    other = model()
    load_checkpoint(tmp_path / "run", model=other)
    assert other[0].num_batches_tracked.item() == 4  # saved on the way out, too


def test_a_second_sigterm_does_not_wait(tmp_path):
    def loss(output, target):
        terminate()
        terminate()
        pytest.fail("the second one waited")

    with pytest.raises(SystemExit):
        trained(loss=loss, checkpoint=tmp_path / "run")
    assert os.listdir(tmp_path) == []


# -- refusals -------------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_before_the_step(tmp_path):
    network = model()
    steps = []

    def loss(output, target):
        return cross_entropy(output, target) * (np.inf if len(steps) == 3 else 1.0)

    with pytest.raises(AnomalyError, match="loss is inf in step 4, batch 4 of epoch 1"):
        trained(model=network, loss=loss, checkpoint=tmp_path / "run", checkpoint_every=1,
                callbacks=[lambda event, run: steps.append(np.array(network[1].weight.numpy()))])  # fmt: skip
    assert_array_equal(network[1].weight.numpy(), steps[-1])
    other = model()
    load_checkpoint(tmp_path / "run", model=other)
    assert_array_equal(other[1].weight.numpy(), steps[-1])


def everything(network, optimizer):
    """Parameters, running statistics, gradients, the optimizer and the generator, to compare bit for bit."""
    tensors = [*network.parameters(), *network.buffers()]
    gradients = [None if p.grad is None else p.grad.numpy().tobytes() for p in network.parameters()]
    return (
        [t.numpy().tobytes() for t in tensors],
        gradients,
        repr(optimizer.state_dict()),
        repr(generator().bit_generator.state),
    )


def with_dropout():
    tg.manual_seed(0)
    return nn.Sequential(
        nn.BatchNorm1d(4, dtype=float), nn.Dropout(0.3), nn.Linear(4, 5, dtype=float), nn.BatchNorm1d(5, dtype=float),
        nn.Linear(5, 3, dtype=float),
    )  # fmt: skip


def fail(error):
    raise error


BAD = {
    "NaN scores": lambda output, target: cross_entropy(output * np.array([1.0, np.nan, 1.0]), target),
    "infinite loss": lambda output, target: cross_entropy(output, target) * np.inf,
    "NaN gradient": lambda output, target: cross_entropy(output, target) + tg.ops.sum(tg.ops.sqrt(output * 0.0)),
    "error in the loss": lambda output, target: fail(ZeroDivisionError()),
    "no gradient": lambda output, target: cross_entropy(output, target).detach(),
    "interrupted": lambda output, target: fail(KeyboardInterrupt()),
}


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_batch_that_is_refused_changes_nothing(make, bad):
    network = with_dropout()
    optimizer = make(network.parameters(), lr=0.1)
    steps = []

    def note(event, run):
        steps.append(everything(network, optimizer))

    def loss(output, target):
        return bad(output, target) if len(steps) == 3 else cross_entropy(output, target)

    with np.errstate(all="ignore"), pytest.raises((AnomalyError, ZeroDivisionError, GraphError, KeyboardInterrupt)):
        trained(model=network, optimizer=optimizer, loss=loss, callbacks=[note])
    assert len(steps) == 3
    assert everything(network, optimizer) == steps[-1]


@pytest.mark.parametrize(("make", "compiled"), [(optim.SGD, False), (optim.Adam, False), (optim.Adam, True)])
def test_ctrl_c_at_any_line_of_training_leaves_a_whole_step(make, compiled):
    def setup():
        network = with_dropout()
        return network, make(network.parameters(), lr=0.1)

    def state(network, optimizer):
        tensors, _, *others = everything(network, optimizer)  # gradients may be those of the step under way
        return tensors, others

    def run(network, optimizer, callbacks=()):
        trained(model=network, optimizer=optimizer, epochs=1, callbacks=callbacks, compile=compiled)

    parts = setup()
    whole = [state(*parts)]
    run(*parts, [lambda event, run: whole.append(state(*parts))])
    assert len({repr(found) for found in whole}) == 7  # the start and six steps
    parts = setup()
    lines = interrupted_at(0, lambda: run(*parts))
    late = some_of(lines, 4, first=lines * 2 // 3)  # when the step has been compiled
    for line in late if compiled else some_of(lines, 25):
        parts = setup()
        assert interrupted_at(line, partial(run, *parts)) == line or compiled  # what is built is not built again
        assert state(*parts) in whole, line


@pytest.mark.parametrize("what", ["module", "backward", "grad", "evaluate", "fit"])
def test_ctrl_c_while_a_block_ends_leaves_it_closed(what):
    """Only who is around a block can close it then: ``__exit__`` is not called again."""
    network = with_dropout()
    network.append(Loss())
    parameters = list(network.parameters())

    def action():
        if what == "module":
            return lambda: network(X[:4])
        if what == "fit":
            return lambda: trained(model=with_dropout(), epochs=1)
        if what == "evaluate":
            return lambda: evaluate(with_dropout(), loader(11), {"loss": cross_entropy})
        loss = network(X[:4])
        return loss.backward if what == "backward" else lambda: tg.grad(loss, parameters)

    lines = interrupted_at(0, action(), "__exit__")
    assert lines
    for line in {1, *some_of(lines + 1, 20)}:
        assert interrupted_at(line, action(), "__exit__") == line
        assert tg.is_grad_enabled()
        assert current_scope() is None


class Loss(nn.Module):
    def forward(self, x):
        return cross_entropy(x, Y[:4])


def test_a_batch_with_nan_spoils_no_running_statistics():
    bad = np.array(X)
    bad[13, 2] = np.nan
    network = with_dropout()
    with pytest.raises(AnomalyError, match="loss is nan in step 4"):
        trained(model=network, loader=DataLoader(ArrayDataset(bad, Y), 4))
    assert all(np.isfinite(buffer.numpy()).all() for buffer in network.buffers())
    assert network[0].num_batches_tracked.item() == 3


def test_a_metric_that_fails_refuses_the_batch():
    network = with_dropout()
    optimizer = sgd(network)
    before = everything(network, optimizer)
    for metric, error in ((lambda o, t: 1 / 0, ZeroDivisionError), (lambda o, t: o.numpy(), ShapeError)):
        with pytest.raises(error):
            trained(model=network, optimizer=optimizer, metrics={"m": metric})
        assert everything(network, optimizer) == before
    with pytest.raises(ShapeError, match="metric 'm' gives one number"):
        evaluate(network, loader(), {"m": lambda output, target: "text"})


def test_a_finite_gradient_whose_sum_overflows_is_no_anomaly():
    network = nn.Linear(4, 1, bias=False, dtype=float)
    huge = DataLoader(ArrayDataset(np.full((4, 4), 1e308), np.zeros(4)), 4)
    optimizer = optim.SGD(network.parameters(), lr=1e-300)
    with np.errstate(over="ignore"):
        run = trained(model=network, loader=huge, optimizer=optimizer, loss=lambda o, t: tg.ops.mean(o * 1e-10) * 1e10,
                      epochs=1)  # fmt: skip
    assert run.step == 1


@pytest.mark.parametrize("loss", [lambda output, target: 1.0, lambda output, target: output.detach().sum()])
def test_a_loss_that_depends_on_nothing(loss):
    with pytest.raises(GraphError, match="depends on no parameter"):
        trained(loss=loss)


NETWORK = model()
OPTIMIZER = sgd(NETWORK)
LOADER = loader()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": types.SimpleNamespace(parameters=list)}, "fit: model"),
        ({"loader": [(X, Y)]}, "fit: loader"),
        ({"optimizer": torch.optim.SGD([torch.zeros(1, requires_grad=True)])}, "fit: optimizer"),
        ({"optimizer": sgd(model())}, "none of the model's parameters"),
        ({"loss": 1.0}, "a function of output and target"),
        ({"metrics": {"accuracy": None}}, "a function of output and target"),
        ({"metrics": {"loss": accuracy}}, "'loss' is measured anyway"),
        ({"metrics": {"lr": accuracy}}, "its own 'lr'"), ({"metrics": {"epoch": accuracy}}, "its own 'epoch'"),
        ({"metrics": {"val_loss": accuracy}}, "its own 'val_loss'"),
        ({"metrics": {"a": accuracy, "val_a": accuracy}}, "'val_a'"),
        ({"metrics": {1: accuracy}}, "name of a metric is text"), ({"metrics": [accuracy]}, "functions by name"),
        ({"validation": []}, "validation has no batches"), ({"validation": ((X, Y) for _ in range(3))}, "used up"),
        ({"validation": iter([(X, Y)])}, "used up"), ({"validation": 5}, "batches to go through"),
        ({"callbacks": [BestCheckpoint("best")]}, "no value 'val_loss'"),
        ({"callbacks": [EarlyStopping("accuracy")]}, "no value 'accuracy'"),
        ({"log": "run", "checkpoint": "run"}, "checkpoint and log are one file"),
        ({"log": "./run", "checkpoint": "run"}, "checkpoint and log are one file"),
        ({"checkpoint": "run", "callbacks": [BestCheckpoint("run", "loss")]}, "are one file"),
        ({"callbacks": [BestCheckpoint("no/such/run", "loss")]}, "folder does not exist"),
        ({"log": "."}, "is a folder"), ({"checkpoint": "."}, "is a folder"),
        ({"epochs": 0}, "epochs"), ({"epochs": 2.0}, "epochs"), ({"callbacks": [3]}, "callbacks are functions"),
        ({"callbacks": print}, "callbacks are functions"), ({"callbacks": 3}, "callbacks are functions"),
        ({"progress": "no"}, "progress"), ({"compile": "no"}, "compile"), ({"resume": 1}, "resume"),
        ({"validation": LOADER}, "cannot train and validate"),
        ({"schedule": optim.StepLR(sgd(model()), 1)}, "schedule of this optimizer"),
        ({"schedule": lambda: None}, "schedule of this optimizer"),
        ({"schedule_each": "batch"}, "schedule_each"),
        ({"clip_norm": -1.0}, "clip_grad_norm_"),
        ({"resume": True}, "need a checkpoint"),
        ({"checkpoint_every": 5}, "need a checkpoint"),
        ({"checkpoint_every": 0, "checkpoint": "run"}, "checkpoint_every"),
        ({"checkpoint": "no/such/folder/run"}, "folder does not exist"),
        ({"log": "no/such/folder/log"}, "folder does not exist"),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),  # the same in every process
)  # fmt: skip
def test_arguments_that_do_not_go_together_change_nothing(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = [p.numpy().tobytes() for p in NETWORK.parameters()], LOADER.state_dict()
    settings = {"model": NETWORK, "optimizer": OPTIMIZER, "loader": LOADER, **arguments}
    with pytest.raises(ArgumentError, match=message):
        trained(**settings)
    assert ([p.numpy().tobytes() for p in NETWORK.parameters()], LOADER.state_dict()) == before
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_two_names_of_one_file_are_seen_through(tmp_path, link):
    (tmp_path / "log").write_text("")
    if link == "hard":
        os.link(tmp_path / "log", tmp_path / "run")
    else:
        (tmp_path / "run").symlink_to(tmp_path / "log")
    with pytest.raises(ArgumentError, match="checkpoint and log are one file"):
        trained(log=tmp_path / "log", checkpoint=tmp_path / "run", resume=True)


def test_a_device_is_no_file_of_another_run():
    assert trained(log="/dev/null", checkpoint="/dev/null").step == 12


def test_validation_that_does_not_fit_is_found_before_the_first_step():
    steps = []
    bad = {
        "columns": ([(X[:, :3], Y)], ShapeError),
        "batch": ([(X,)], ShapeError),
        "no tuple": ([X], ShapeError),
        "no rows": ([(X[:0], Y[:0])], ShapeError),
        "labels": ([(X, Y + 9)], tg.TinygradError),
    }
    network = model()
    before = everything(network, sgd(network))
    for validation, error in bad.values():
        with pytest.raises(error):
            trained(model=network, validation=validation, callbacks=[lambda event, run: steps.append(event)])
    assert steps == []
    assert everything(network, sgd(network)) == before
    assert network.training


def test_trying_the_validation_data_changes_no_result():
    class Drawing(nn.Dropout):
        """Drops in evaluation, too."""

        def forward(self, x):
            return tg.functional.dropout(x, 0.5, training=True)

    def run(validation):
        tg.manual_seed(3)
        network = nn.Sequential(nn.Linear(4, 5, dtype=float), Drawing(0.5), nn.Linear(5, 3, dtype=float))
        weights = []
        trained(model=network, validation=validation, epochs=1,
                callbacks=[lambda event, run: weights.append(network[0].weight.numpy().tobytes())])  # fmt: skip
        return weights[:6]

    shuffled = loader(8, shuffle=True, seed=1)
    assert run(shuffled) == run(None)
    assert shuffled.epoch == 1


@pytest.mark.parametrize("name", ["checkpoint", "log"])
def test_no_run_writes_over_another(tmp_path, name):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(ArgumentError, match="is there already, of another run"):
        trained(**{name: path})
    assert path.read_text() == "precious"


def test_without_the_package_no_checkpoint_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"tinygrad-bn\[train\]"):
        trained(checkpoint=tmp_path / "run")
    assert trained().step == 12


def test_a_run_that_fails_in_its_first_step_leaves_no_files(tmp_path):
    with pytest.raises(ZeroDivisionError):
        trained(loss=lambda output, target: 1 / 0, checkpoint=tmp_path / "run", log=tmp_path / "log")
    assert os.listdir(tmp_path) == []


# -- best and enough --------------------------------------------------------------------------------------------------------


def scripted(values):
    """A metric that is the next of these values after each epoch, whatever the model."""

    def metric(output, target):
        return values[metric.epoch]

    metric.epoch = 0
    return metric


def monitored(values, callbacks, **arguments):
    metric = scripted(values)

    def count(event, run):
        metric.epoch = min(run.epoch, len(values) - 1)

    return trained(metrics={"m": metric}, epochs=len(values), callbacks=[count, *callbacks], **arguments)


@pytest.mark.parametrize(
    ("values", "settings", "epochs"),
    [([3, 2, 1, 2, 2, 2, 2], {"patience": 2, "mode": "min"}, 5), ([3, 2, 1, 2, 0, 2, 2], {"patience": 2, "mode": "min"}, 7),
     ([1, 2, 3, 3, 3], {"patience": 2, "mode": "max"}, 5), ([1, 1, 1], {"patience": 1, "mode": "max"}, 2),
     ([5, 4.9, 4.8, 4.7, 4.6], {"patience": 2, "mode": "min", "min_delta": 0.5}, 3),
     ([math.nan, math.nan, math.nan], {"patience": 2, "mode": "min"}, 2),
     ([2, math.nan, 1, math.nan, math.inf, 0], {"patience": 2, "mode": "min"}, 5)],
)  # fmt: skip
def test_a_run_stops_when_it_gets_no_better(values, settings, epochs):
    run = monitored(values, [EarlyStopping("m", **settings)])
    assert run.epoch == epochs


@pytest.mark.parametrize(
    ("values", "mode", "best"),
    [([3, 1, 2, 1], "min", 2), ([1, 3, 2, 3], "max", 2), ([math.nan, 5, 6], "min", 2), ([1, 2, 3], "max", 3)],
)
def test_the_best_weights_are_kept(tmp_path, values, mode, best):
    weights = []
    run = monitored(
        values,
        [BestCheckpoint(tmp_path / "best", "m", mode), lambda event, run: weights.append(run.model.state_dict())],
    )
    network = model()
    assert load_checkpoint(tmp_path / "best", model=network) == {"epoch": best, "m": values[best - 1]}
    kept = weights[best * 7 - 1]  # six steps and the end of an epoch
    for name, array in network.state_dict().items():
        assert_array_equal(array, kept[name])
    assert run.epoch == len(values)


def test_no_number_no_best(tmp_path):
    monitored([math.nan, math.inf], [BestCheckpoint(tmp_path / "best", "m", "min")])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("stop", range(1, 20))
def test_a_resumed_run_keeps_and_stops_as_an_unbroken_one(tmp_path, stop):
    values = [3.0, 1.0, 2.0, 2.0, 0.5]

    def run(folder, *more, **arguments):
        folder.mkdir(exist_ok=True)
        ready = [EarlyStopping("m", 2, "min"), BestCheckpoint(folder / "best", "m", "min")]
        metric = scripted(values)
        count = lambda event, run: setattr(metric, "epoch", min(run.epoch, 4))  # noqa: E731
        return trained(
            metrics={"m": metric}, epochs=5, checkpoint=folder / "run", callbacks=[*more, count, *ready], **arguments
        )

    whole = run(tmp_path / "whole")
    assert (whole.epoch, whole.step) == (4, 24)
    events = []

    def leave(event, run):
        events.append(event)
        if len(events) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", leave)
    metric_epochs = events.count("epoch")
    again = scripted(values)
    again.epoch = metric_epochs
    count = lambda event, run: setattr(again, "epoch", min(run.epoch, 4))  # noqa: E731
    folder = tmp_path / "broken"
    rest = trained(metrics={"m": again}, epochs=5, checkpoint=folder / "run", resume=True,
                   callbacks=[count, EarlyStopping("m", 2, "min"), BestCheckpoint(folder / "best", "m", "min")])  # fmt: skip
    assert (rest.epoch, rest.step) == (4, 24)
    found = [model(), model()]
    for place, network in zip(("whole", "broken"), found):
        assert load_checkpoint(tmp_path / place / "best", model=network)["epoch"] == 2
    for a, b in zip(found[0].parameters(), found[1].parameters()):
        assert_array_equal(a.numpy(), b.numpy())
    done = trained(metrics={"m": again}, epochs=5, checkpoint=folder / "run", resume=True,
                   callbacks=[EarlyStopping("m", 2, "min")])  # fmt: skip
    assert done.epoch == 4  # it had stopped, and stays so


@pytest.mark.parametrize(
    "make",
    [lambda: EarlyStopping("m"), lambda: BestCheckpoint("p", "m"), lambda: EarlyStopping("m", mode="least"),
     lambda: EarlyStopping(patience=0), lambda: EarlyStopping(patience=1.5), lambda: EarlyStopping(min_delta=-1),
     lambda: EarlyStopping(min_delta="x")],
)  # fmt: skip
def test_settings_of_callbacks(make):
    with pytest.raises(ArgumentError):
        make()


def test_losses_are_to_be_small_and_accuracies_large():
    assert EarlyStopping("val_loss").mode == "min"
    assert BestCheckpoint("p", "val_accuracy").mode == "max"


# -- evaluation -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 5, 22])
def test_metrics_are_means_over_rows_whatever_the_batches(batch_size):
    network = model().eval()
    with tg.no_grad():
        scores = network(X).numpy()
    network.train()
    network[0].eval()
    modes = [module.training for module in network.modules()]
    statistics = np.array(network[0].running_mean.numpy())
    found = evaluate(network, loader(batch_size), {"loss": cross_entropy, "accuracy": accuracy})
    chosen = np.exp(scores)[np.arange(22), Y] / np.exp(scores).sum(1)
    assert_allclose(found["loss"], -np.log(chosen).mean(), rtol=1e-12)
    assert_allclose(found["accuracy"], (scores.argmax(1) == Y).mean(), rtol=1e-12)
    assert [module.training for module in network.modules()] == modes
    assert_array_equal(network[0].running_mean.numpy(), statistics)


def test_modes_come_back_after_an_error():
    network = model()
    with pytest.raises(ZeroDivisionError):
        evaluate(network, loader(), {"loss": lambda output, target: 1 / 0})
    assert network.training
    assert tg.is_grad_enabled()


def test_evaluations_that_measure_nothing():
    for metrics, batches, message in [({}, loader(), "nothing to measure"), ({"a": accuracy}, [], "no rows")]:
        with pytest.raises(ArgumentError, match=message):
            evaluate(model(), batches, metrics)
    with pytest.raises(ShapeError, match="first axis of rows"):
        evaluate(model(), [(X, np.array(1))], {"a": accuracy})


def test_accuracy():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])
    assert accuracy(scores, np.array([1, 1, 0])) == 2 / 3
    assert accuracy(tg.Tensor(scores, requires_grad=True), tg.Tensor([1, 0, 1])) == 2 / 3
    for wrong in (np.array([1, 1]), np.array([[1], [1], [0]])):
        with pytest.raises(ShapeError, match="accuracy"):
            accuracy(scores, wrong)
    with pytest.raises(ShapeError, match="accuracy"):
        accuracy(np.ones((0, 2)), np.ones(0, int))
    assert accuracy(scores, np.array([True, True, False])) == 2 / 3
    for kind in (np.int8, np.uint8, np.int64, np.uint64):
        assert accuracy(scores, np.array([1, 1, 0], kind)) == 2 / 3


@pytest.mark.parametrize("wrong", [
    np.array([1.0, 1.0, 0.0]), np.array([0.9, 1.2, 0.1]), np.array([np.nan, 1.0, 0.0]), np.array(["1", "1", "0"]),
    np.array([1, 1, None], object), np.array([1 + 0j, 1, 0]), tg.Tensor([1.0, 0.0, 1.0]),
])  # fmt: skip
def test_accuracy_of_targets_that_are_no_numbers_of_classes(wrong):
    with pytest.raises(DTypeError, match="whole ones"):
        accuracy(np.eye(3)[:, :2], wrong)


@pytest.mark.parametrize("wrong", [-1, -100, 2, 2**40])
def test_accuracy_of_targets_that_no_class_has(wrong):
    with pytest.raises(ArgumentError, match=rf"no such class[\s\S]*got: *{wrong}\n"):
        accuracy(np.eye(3)[:, :2], np.array([0, wrong, 1]))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_accuracy_is_never_a_plausible_wrong_number(kind):
    with pytest.raises(ShapeError, match="at least two classes"):
        accuracy(np.array([[-3.0], [4.0], [5.0], [2.0]], kind), np.array([0, 1, 1, 1]))
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.4]], kind)
    for row in range(3):
        for column in range(2):
            spoilt = np.array(scores)
            spoilt[row, column] = np.nan
            assert math.isnan(accuracy(spoilt, np.array([1, 1, 0])))
    assert math.isnan(accuracy(np.full((4, 2), np.nan), np.zeros(4, int)))
    assert accuracy(np.array([[np.inf, 0.0], [-np.inf, 0.0]], kind), np.array([0, 1])) == 1.0


class Stumbles(optim.Adam):
    """Moves the parameters, and fails then."""

    def step(self, closure=None):
        super().step(closure)
        if self.state[self.params[0]]["step"].item() == 3:
            raise KeyboardInterrupt


def test_a_step_that_is_interrupted_when_it_has_moved_is_not_taken():
    network = with_dropout()
    optimizer, steps = Stumbles(network.parameters(), lr=0.1), []
    with pytest.raises(KeyboardInterrupt):
        trained(model=network, optimizer=optimizer, callbacks=[lambda *_: steps.append(everything(network, optimizer))])
    assert len(steps) == 2
    assert everything(network, optimizer) == steps[-1]


@pytest.mark.parametrize(
    ("arguments", "where", "name"),
    [({"model": nn.Linear}, "model", "Linear"), ({"loader": DataLoader}, "loader", "DataLoader"),
     ({"optimizer": optim.SGD}, "optimizer", "SGD"), ({"loss": nn.CrossEntropyLoss}, "loss", "CrossEntropyLoss"),
     ({"metrics": {"mse": nn.MSELoss}}, "metrics['mse']", "MSELoss"),
     ({"callbacks": [EarlyStopping]}, "callbacks", "EarlyStopping"),
     ({"callbacks": [BestCheckpoint]}, "callbacks", "BestCheckpoint")],
    ids=str,
)  # fmt: skip
def test_a_class_where_an_object_is_meant_is_refused_before_the_first_step(arguments, where, name):
    net = model()
    before = net.state_dict()
    given = {"model": net, "loader": loader(), "optimizer": optim.SGD(net.parameters(), lr=0.1), "loss": cross_entropy}
    with pytest.raises(ArgumentError) as told:
        fit(**{**given, "epochs": 1, "progress": False, **arguments})
    assert str(told.value).splitlines()[0] == f"fit: {where}"
    assert f"the class {name}" in str(told.value)
    assert f"make one of it: {name}(...)" in str(told.value)
    for key, value in net.state_dict().items():
        assert_array_equal(value, before[key])


def test_a_class_of_datasets_is_refused():
    with pytest.raises(DTypeError, match="the class ArrayDataset"):
        DataLoader(ArrayDataset, 4)


def test_two_callbacks_do_not_write_over_each_others_file(tmp_path):
    net = model()
    best = [BestCheckpoint(tmp_path / "b", "loss"), BestCheckpoint(tmp_path / "." / "b", "loss")]
    with pytest.raises(ArgumentError, match=r"the file of callbacks\[0\] and the file of callbacks\[1\] are one file"):
        fit(net, loader(), optim.SGD(net.parameters(), lr=0.1), cross_entropy, epochs=1, callbacks=best, progress=False)
    assert os.listdir(tmp_path) == []
