"""The convolution demo: it learns, measures what it says, and an interrupted run ends as an unbroken one."""

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import tinygrad_bn as tg
from demos import conv_mnist
from demos.conv_mnist import BATCH, Measurements, as_images, build, main, row
from demos.datasets import DatasetError, Splits
from tinygrad_bn.data import DataLoader

ROOT = Path(__file__).parents[2]


@pytest.fixture
def few(mnist, monkeypatch):
    """MNIST cut short; the demo loads this instead."""
    data = Splits(mnist.train[:1200], mnist.validation[:200], mnist.test[:300])
    monkeypatch.setattr(conv_mnist, "load_mnist", lambda: data)
    return data


def run(out, *options):
    return main(["--epochs", "3", "--seed", "4", "--out", str(out), *options])


def lines(text):
    """The cells of the table's lines: those that start with an epoch's number."""
    return [line.split() for line in text.splitlines() if line.split() and line.split()[0].isdigit()]


def test_the_network_is_the_one_described():
    tg.manual_seed(0)
    model = build()
    assert sum(p.data.size for p in model.parameters()) == 11_422
    assert "11,422 parameters" in conv_mnist.__doc__
    assert not [name for name, p in model.named_parameters() if name in ("0.bias", "3.bias")]


def test_images_keep_their_rows_and_labels(mnist):
    images = as_images(mnist.test[:5])
    pixels, labels = images[:]
    assert pixels.shape == (5, 1, 28, 28)
    assert np.array_equal(pixels[3, 0, 7], mnist.test.images[3, 7 * 28 : 8 * 28])
    assert np.array_equal(labels, mnist.test.labels[:5])


def torch_network(state):
    """The same network in PyTorch, with the weights of a checkpoint."""
    n = torch.nn
    model = n.Sequential(
        n.Conv2d(1, 12, 5, stride=2, bias=False), n.BatchNorm2d(12), n.ReLU(),
        n.Conv2d(12, 24, 5, stride=2, bias=False), n.BatchNorm2d(24), n.ReLU(), n.Flatten(), n.Linear(384, 10),
    )  # fmt: skip
    model.load_state_dict({name: torch.tensor(array) for name, array in state.items() if "/" not in name})
    return model.eval()


def test_a_run_learns_and_writes_what_it_measured(few, tmp_path, capsys):
    assert run(tmp_path) == 0
    shown = capsys.readouterr().out
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["conv_mnist-4.json", "conv_mnist-4.jsonl", "conv_mnist-4.safetensors"]
    document = json.loads((tmp_path / "conv_mnist-4.json").read_text())
    epochs = document["epochs"]
    assert (document["seed"], document["batch"], document["peak_lr"], document["parameters"]) == (
        4,
        BATCH,
        0.01,
        11_422,
    )
    assert [(e["epoch"], e["step"]) for e in epochs] == [(1, 12), (2, 24), (3, 36)]
    assert epochs[0]["train_loss"] > 1.0 > 0.6 > epochs[2]["train_loss"]  # 1.66 and 0.28 with this seed
    assert epochs[2]["test_accuracy"] > 0.6  # chance is 0.1
    assert all(0 < e["cpu_seconds"] < 60 for e in epochs)
    for cells, e in zip(lines(shown), epochs, strict=True):
        expected = (e["epoch"], e["train_loss"], 100 * e["validation_accuracy"], 100 * e["test_accuracy"])
        assert [float(cell) for cell in cells[:4]] == pytest.approx(expected, abs=0.006)
    log = [json.loads(line) for line in (tmp_path / "conv_mnist-4.jsonl").read_text().splitlines()]
    assert [record["loss"] for record in log] == [e["train_loss"] for e in epochs]
    scores = torch_network(load_file(tmp_path / "conv_mnist-4.safetensors"))(torch.tensor(as_images(few.test)[:][0]))
    found = np.mean(scores.argmax(1).numpy() == few.test.labels)
    assert found == pytest.approx(epochs[2]["test_accuracy"], abs=0.004)  # float32 may turn a near tie
    assert f"test accuracy {epochs[2]['test_accuracy']:.2%} after" in shown


def test_an_interrupted_run_goes_on_to_the_same_weights(few, tmp_path, capsys, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(whole) == 0
    capsys.readouterr()

    def ctrl_c(self, event, run):
        original(self, event, run)
        if run.step == 18 and event == "step":
            raise KeyboardInterrupt

    original = Measurements.__call__
    with monkeypatch.context() as patch:
        patch.setattr(Measurements, "__call__", ctrl_c)
        assert run(broken) == 130
    assert "the same command with --resume goes on from here" in capsys.readouterr().out
    assert (broken / "conv_mnist-4.unfinished.safetensors").exists()
    assert run(broken, "--resume") == 0
    shown = capsys.readouterr().out
    assert "CPU seconds" not in shown  # an epoch was begun by another process
    weights, again = (load_file(folder / "conv_mnist-4.safetensors") for folder in (whole, broken))
    model = {name for name in weights if "/" not in name}
    assert len(model) == 14  # two filters, twice γ, β and three statistics, a matrix and a bias
    assert all(np.array_equal(weights[name], again[name]) for name in model)
    epochs = [json.loads((f / "conv_mnist-4.json").read_text())["epochs"] for f in (whole, broken)]
    assert [[e["cpu_seconds"] is None for e in run] for run in epochs] == [[False] * 3, [False, True, False]]
    for a, b in zip(*epochs):
        assert {**a, "cpu_seconds": 0} == {**b, "cpu_seconds": 0}


def test_a_run_stopped_before_its_last_measurement_is_measured_when_resumed(few, tmp_path, capsys, monkeypatch):
    def ctrl_c(self, event, run):
        if event == "epoch" and run.epoch == 3:
            raise KeyboardInterrupt
        original(self, event, run)

    original = Measurements.__call__
    with monkeypatch.context() as patch:
        patch.setattr(Measurements, "__call__", ctrl_c)
        assert run(tmp_path) == 130
    assert run(tmp_path, "--resume") == 0
    last = json.loads((tmp_path / "conv_mnist-4.json").read_text())["epochs"][-1]
    assert last["test_accuracy"] > 0.6
    assert last["cpu_seconds"] is None
    assert f"test accuracy {last['test_accuracy']:.2%}\n" in capsys.readouterr().out


def test_an_unfinished_run_is_not_written_over_and_a_finished_one_is(few, tmp_path, capsys):
    unfinished = tmp_path / "conv_mnist-4.unfinished.safetensors"
    unfinished.write_bytes(b"precious")
    assert run(tmp_path) == 2
    assert "the run of seed 4 is unfinished" in (error := capsys.readouterr().err)
    assert "--resume" in error
    assert unfinished.read_bytes() == b"precious"
    assert run(tmp_path, "--resume") == 2
    assert "is not a whole safetensors file" in capsys.readouterr().err
    unfinished.unlink()
    assert main(["--epochs", "1", "--seed", "4", "--out", str(tmp_path)]) == 0
    first = (tmp_path / "conv_mnist-4.jsonl").read_text()
    assert main(["--epochs", "1", "--seed", "4", "--out", str(tmp_path)]) == 0
    again = (tmp_path / "conv_mnist-4.jsonl").read_text()
    assert first.count("\n") == again.count("\n") == 1
    assert json.loads(first)["loss"] == json.loads(again)["loss"]  # the same seed, the same run


def test_resuming_needs_an_unfinished_run_of_the_same_options(few, tmp_path, capsys, monkeypatch):
    assert run(tmp_path, "--resume") == 2
    assert "there is no unfinished run" in capsys.readouterr().err

    def ctrl_c(self, event, run):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Measurements, "__call__", ctrl_c)
        assert run(tmp_path) == 130
    assert run(tmp_path, "--resume", "--lr", "0.02") == 2
    assert "does not fit" in capsys.readouterr().err


def test_the_clock_leaves_evaluation_out(mnist, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    monkeypatch.setattr(
        conv_mnist.train, "evaluate", lambda *args: now.__setitem__(0, now[0] + 50) or {"accuracy": 0.5}
    )
    measurements = Measurements(DataLoader(as_images(mnist.test[:10]), 10))
    state = type("Run", (), {"batch": 0, "model": None, "history": []})()
    for epoch in (1, 2):
        for batch in (1, 2, 3):
            now[0] += 2.0
            state.batch = batch
            measurements("step", state)
        now[0] += 7.0  # what fit evaluates
        state.history.append({"epoch": epoch, "loss": 1.0, "val_accuracy": 0.5})
        measurements("epoch", state)
    assert [record["cpu_seconds"] for record in state.history] == [6.0, 6.0]


def test_what_was_not_measured_is_a_dash():
    record = {"epoch": 2, "loss": 0.123456, "val_accuracy": 0.9712}
    assert row(record).split() == ["2", "0.1235", "97.12", "-", "-"]
    assert row(record | {"test_accuracy": 0.98, "cpu_seconds": None}).split() == ["2", "0.1235", "97.12", "98.00", "-"]


def test_a_rate_that_blows_up_ends_with_a_message(few, tmp_path, capsys):
    assert run(tmp_path, "--lr", "1e38") == 2
    assert "conv_mnist: fit: the loss is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epoch", "5"], "unrecognized arguments: --epoch"),
        (["--epochs", "0"], "a whole number of at least 1, not '0'"),
        (["--seed", "-1"], "a whole number of at least 0, not '-1'"),
        (["--lr", "nan"], "a number greater than 0, not 'nan'"),
    ],
)
def test_bad_options_end_with_code_2_and_say_what_is_wrong(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_a_bad_folder_or_data_file_ends_with_code_2_before_training(few, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("x")
    assert main(["--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot write to" in capsys.readouterr().err

    def missing():
        raise DatasetError("mnist.npz: no such file")

    monkeypatch.setattr(conv_mnist, "load_mnist", missing)
    assert main(["--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "conv_mnist: mnist.npz: no such file\n"


def test_without_safetensors_it_says_what_to_install(few, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    assert run(tmp_path) == 2
    assert "pip install" in capsys.readouterr().err


def test_ctrl_c_leaves_the_real_program_with_a_checkpoint(tmp_path):
    command = [sys.executable, "-m", "demos.conv_mnist", "--epochs", "1000", "--out", str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job inherits it ignored
    )  # fmt: skip
    checkpoint = tmp_path / "conv_mnist-0.unfinished.safetensors"
    try:
        deadline = time.monotonic() + 60
        while not checkpoint.exists() and time.monotonic() < deadline:  # written after the first step
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "55,000 training images" in shown
    assert "--resume goes on from here" in shown
    assert "Traceback" not in errors
    assert all(np.isfinite(array).all() for name, array in load_file(checkpoint).items() if "/" not in name)


def test_the_measured_runs_are_those_of_this_demo_and_reach_what_the_pages_say():
    for seed in (0, 1, 2):
        document = json.loads((ROOT / f"docs/measured/conv_mnist-{seed}.json").read_text())
        assert (document["seed"], document["batch"], document["parameters"]) == (seed, BATCH, 11_422)
        assert [e["step"] for e in document["epochs"]] == [550, 1100, 1650, 2200, 2750]  # 55,000 images, none left out
        assert document["epochs"][2]["test_accuracy"] > 0.985
        assert math.fsum(e["cpu_seconds"] for e in document["epochs"]) < 60
