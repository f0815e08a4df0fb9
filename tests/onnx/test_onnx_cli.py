"""``tinygrad-bn export``."""

import pytest

from tinygrad_bn.cli import main

onnx = pytest.importorskip("onnx")

FILE = """
import numpy as np
from tinygrad_bn import nn

net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3))

def loss(x, labels):
    return nn.CrossEntropyLoss()(net(x), labels)

def fails(x):
    raise RuntimeError("no luck")

def fixed(x):
    return x * np.arange(8.0)[:, None]
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "file.py").write_text(FILE)
    return lambda name: f"{tmp_path / 'file.py'}:{name}"


@pytest.mark.parametrize(("name", "options", "inputs", "outputs"), [
    ("net", ["--shape", "8,3:float32", "--eval"], ["x"], ["output"]),
    ("net", ["--shape", "8,3:float32"], ["x", "1.running_mean", "1.running_var", "1.num_batches_tracked"],
     ["output", "1.running_mean.new", "1.running_var.new", "1.num_batches_tracked.new"]),
    ("fixed", ["--shape", "8,3", "--fixed", "--gradients"], ["x", "output.grad"], ["output", "x.grad"]),
])  # fmt: skip
def test_a_file_is_written(name, options, inputs, outputs, place, tmp_path, capsys):
    path = tmp_path / "m.onnx"
    assert main(["export", place(name), *options, "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote {path}\n"
    model = onnx.load(str(path))
    assert [entry.name for entry in model.graph.input] == inputs
    assert [entry.name for entry in model.graph.output] == outputs


def test_bn_and_labels(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "bn", "--rows", "8", "--features", "2"]) == 0
    assert onnx.load("program.onnx").functions[-1].name == "BatchNorm1d"
    assert (
        main(["export", place("loss"), "--shape", "8,3:float32", "--shape", "8:int", "--gradients", "-o", "l.onnx"])
        == 0
    )
    assert "0.weight.grad" in [entry.name for entry in onnx.load("l.onnx").graph.output]


@pytest.mark.parametrize(("name", "options", "word"), [
    ("net", [], "missing a required argument"),
    ("net", ["--shape", "8,4:float32"], "wrong input size"),
    ("fixed", ["--shape", "8,3"], "--fixed"),
    ("fails", ["--shape", "8,3"], "no luck"),
    ("net", ["--shape", "8,3:float32", "-o", "/no/such/folder/m.onnx"], "folder does not exist"),
])  # fmt: skip
def test_mistakes_are_said(name, options, word, place, capsys):
    assert main(["export", place(name), *options]) == 2
    said = capsys.readouterr().err
    assert word in said
    assert "Traceback" not in said
