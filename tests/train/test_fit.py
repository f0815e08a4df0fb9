"""``fit`` and ``evaluate``: PyTorch's losses, the order of events, the log, interruptions, and what is refused."""

import io
import json
import math
import os
import signal
import sys
import threading
import types

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tinygrad_bn import nn, optim
from tinygrad_bn.data import ArrayDataset, DataLoader
from tinygrad_bn.errors import AnomalyError, ArgumentError, GraphError, ShapeError
from tinygrad_bn.functional import cross_entropy
from tinygrad_bn.train import accuracy, evaluate, fit, load_checkpoint

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


@pytest.mark.parametrize("installed", [True, False])
def test_no_bar_elsewhere(monkeypatch, capsys, installed):
    if not installed:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    assert trained(progress=True).step == 12
    assert capsys.readouterr() == ("", "")


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
        if len(calls) == 8:  # six batches of training, then the second of validation
            raise KeyboardInterrupt
        return 0.0

    arguments = {"validation": loader(8), "metrics": {"nosy": nosy}, "checkpoint": tmp_path / "run", "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        trained(**arguments)
    assert not any(calls)
    calls.clear()
    run = trained(**arguments, resume=True, log=tmp_path / "log")
    assert len(calls) == 3
    assert run.history[0]["step"] == 6
    assert (tmp_path / "log").read_text().count("\n") == 1


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
        ({"loss": 1.0}, "functions of output and target"),
        ({"metrics": {"accuracy": None}}, "functions of output and target"),
        ({"metrics": {"loss": accuracy}}, "'loss' is measured anyway"),
        ({"epochs": 0}, "epochs"), ({"epochs": 2.0}, "epochs"),
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
    ids=str,
)  # fmt: skip
def test_arguments_that_do_not_go_together_change_nothing(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = [p.numpy().tobytes() for p in NETWORK.parameters()], LOADER.state_dict()
    settings = {"model": NETWORK, "optimizer": OPTIMIZER, "loader": LOADER, **arguments}
    with pytest.raises(ArgumentError, match=message):
        trained(**settings)
    assert ([p.numpy().tobytes() for p in NETWORK.parameters()], LOADER.state_dict()) == before
    assert os.listdir(tmp_path) == []


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
