"""A run that was stopped anywhere, politely or not, ends with the same bits as one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import nn, optim
from tinygrad_bn.data import ArrayDataset, DataLoader
from tinygrad_bn.random import generator
from tinygrad_bn.train import CheckpointError, accuracy, fit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((22, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
STEPS = 6  # per epoch: 22 rows in batches of 4


def run(tmp_path, optimizer="Adam", schedule_each="step", stop_at=None, **arguments):
    """Train three epochs, everything new but the files; ends like a crash after ``stop_at`` steps."""
    tg.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.25), nn.Linear(6, 2))
    momentum = {"momentum": 0.9} if optimizer in ("SGD", "RMSprop") else {}
    trained = getattr(optim, optimizer)(model.parameters(), lr=0.05, **momentum)
    warmup = optim.LinearLR(trained, total_iters=4)
    schedule = optim.SequentialLR(trained, [warmup, optim.StepLR(trained, 3)], [4])

    def crash(event, state):
        if event == "step" and state.step == stop_at:
            raise ZeroDivisionError

    done = fit(
        model, DataLoader(ArrayDataset(X, Y), 4, shuffle=True, seed=1), trained, tg.functional.cross_entropy, epochs=3,
        validation=DataLoader(ArrayDataset(X, Y), 9), metrics={"accuracy": accuracy}, schedule=schedule,
        schedule_each=schedule_each, log=tmp_path / "log", checkpoint=tmp_path / "run", checkpoint_every=1, resume=True,
        callbacks=[crash], **arguments,
    )  # fmt: skip
    return done, bits(model, trained)


def bits(model, optimizer):
    """Weights, the optimizer's arrays and the generator's next numbers."""
    arrays = list(model.state_dict().values())
    for state in optimizer.state_dict()["state"].values():
        arrays += [np.asarray(value) for value in state.values()]
    return [array.tobytes() for array in arrays], generator().random(3).tolist()


def without_times(records):
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def log_of(tmp_path):
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


@pytest.mark.parametrize(
    ("optimizer", "schedule_each"),
    [("SGD", "step"), ("Adam", "epoch")],
)
def test_going_on_from_any_step_ends_with_the_same_bits(tmp_path, optimizer, schedule_each):
    whole = tmp_path / "whole"
    whole.mkdir()
    expected_run, expected = run(whole, optimizer, schedule_each)
    assert [record["epoch"] for record in log_of(whole)] == [1, 2, 3]
    for stop_at in (2, STEPS, STEPS + 1, 2 * STEPS + 3, 3 * STEPS):
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        with pytest.raises(ZeroDivisionError):
            run(folder, optimizer, schedule_each, stop_at)
        resumed, got = run(folder, optimizer, schedule_each)
        assert got == expected
        assert without_times(resumed.history) == without_times(expected_run.history)
        assert log_of(folder) == resumed.history


def test_a_finished_run_goes_no_further(tmp_path):
    _, first = run(tmp_path)
    content = (tmp_path / "run").read_bytes()
    again, second = run(tmp_path)
    assert first == second
    assert (tmp_path / "run").read_bytes() == content
    assert (again.epoch, again.step) == (3, 3 * STEPS)


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, stop_at=STEPS + 2)
    with open(tmp_path / "log", "a") as file:
        file.write('{"epoch": 2, "loss": 0.1}\n{"epo')  # what a later, lost part of the run had written
    run(tmp_path)
    assert [record["epoch"] for record in log_of(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda progress: progress.pop("step") and None, "not the progress of a run"),
        (lambda progress: progress.update(step=-1), "step"),
        (lambda progress: progress.update(epoch=1.0), "epoch"),
        (lambda progress: progress.update(batch=True), "batch"),
        (lambda progress: progress.update(seconds=float("nan")), "seconds"),
        (lambda progress: progress.update(history={}), "history"),
        (lambda progress: progress.update(history=[1]), "history"),
        (lambda progress: progress.update(sums={"loss": 1.0}), "other metrics"),
        (lambda progress: progress["sums"].update(loss="much"), "other metrics"),
    ],
)
def test_progress_that_does_not_fit(tmp_path, change, message):
    done, _ = run(tmp_path)
    progress = done.state_dict() | {"sums": dict(done.sums)}
    change(progress)
    before = done.state_dict()
    with pytest.raises(ValueError, match=message):
        done.load_state_dict(progress)
    assert done.state_dict() == before
    done.load_state_dict(before)
    with pytest.raises(ValueError, match="not the progress"):
        done.load_state_dict(None)


def test_a_checkpoint_of_something_else_changes_nothing(tmp_path):
    run(tmp_path)
    model = nn.Linear(4, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(ArrayDataset(X, Y), 4)
    before = bits(model, optimizer)[0], loader.state_dict()
    with pytest.raises(CheckpointError, match="does not fit"):
        fit(model, loader, optimizer, tg.functional.cross_entropy, epochs=1, checkpoint=tmp_path / "run", resume=True)
    assert (bits(model, optimizer)[0], loader.state_dict()) == before


# -- a real process, really killed ----------------------------------------------------------------------------------------

PROGRAM = Path(__file__).with_name("killed_training.py")


def started(folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAM.parents[2])}
    command = [sys.executable, str(PROGRAM), *(str(folder / name) for name in ("run", "log", "final"))]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def finished(process):
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors.decode()


def stamp(path):
    """Changes with each new file of this name."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def test_a_training_killed_again_and_again_ends_with_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    undisturbed = started(whole)
    moments = random.Random(0)
    kills = 0
    for _ in range(4):
        before = stamp(killed / "run")
        process = started(killed)
        while stamp(killed / "run") == before and process.poll() is None:  # until it has written a checkpoint
            time.sleep(0.002)
        time.sleep(moments.uniform(0.0, 0.1))  # four of them are shorter than the training
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert not (killed / "final").exists()
    assert kills == 4
    finished(started(killed))
    finished(undisturbed)
    assert (killed / "final").read_bytes() == (whole / "final").read_bytes()
    assert without_times(log_of(killed)) == without_times(log_of(whole))
    assert len(log_of(whole)) == 30


def test_a_few_kills_at_random_moments():
    """``python -m tests.train.kills 1000`` for many."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.train.kills", "12", "7"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(PROGRAM.parents[2]),
    }
    done = subprocess.run(command, cwd=PROGRAM.parents[2], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 kills" in done.stdout
    assert "the bits of one that was left alone" in done.stdout
