"""The graph command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_bn.cli import main

MODEL = """
import tinygrad_bn as tg

def f(x, y):
    with tg.scope("inside"):
        return (x * y).sum()

class Net(tg.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = tg.nn.Linear(3, 2, dtype=float)

    def forward(self, x):
        return self.layer(x).sum()

number = 3
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.py"
    file.write_text(MODEL)
    return file


@pytest.mark.parametrize("view", ["tensor", "scalar", "module", "backward", "reduced"])
def test_bn_in_every_view(view: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bn.svg"
    assert main(["graph", "bn", "--view", view, "-o", str(file)]) == 0
    assert "<svg" in file.read_text()
    said = capsys.readouterr().out
    assert str(file) in said
    if view == "reduced":
        assert float(said.rsplit("largest difference ", 1)[1]) < 1e-12


def test_text_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "bn"]) == 0
    assert "-1.3416  -0.4472  0.4472  1.3416" in capsys.readouterr().out


def test_own_function_and_module(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", f"{model}:f", "--shape", "2,3", "--shape", "3", "--sites"]) == 0
    assert "v2 = x0 · x1" in capsys.readouterr().out
    assert main(["graph", f"{model}:Net", "--shape", "4,3", "--view", "module", "--rows", "2"]) == 0
    assert "layer  [group]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "message"),
    [("nothing", "nothing to draw"), ("missing.py:f", "nothing to draw"), ("{model}:g", "no function or Module"),
     ("{model}:number", "no function or Module")],
)  # fmt: skip
def test_mistakes_are_explained(target: str, message: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", target.format(model=model)]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    assert main(["graph", f"{broken}:f"]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err
    text = tmp_path / "notes.txt"
    text.write_text("no python")
    assert main(["graph", f"{text}:f"]) == 2
    assert "not a Python module" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--rows", "0"], ["--rows", "x"], ["--shape", "a,b"], ["--view", "side"]])
def test_bad_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["graph", "bn", *words])
    assert stop.value.code == 2
    assert "error" in capsys.readouterr().err


def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "bn", "-o", str(tmp_path / "missing" / "bn.dot")]) == 2
    assert "the folder does not exist" in capsys.readouterr().err


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_bn.cli.graph.draw", stop)
    assert main(["graph", "bn"]) == 130


def test_as_a_module_with_a_reader_that_leaves() -> None:
    command = f"{sys.executable} -m tinygrad_bn graph bn --rows 8 --features 4 | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("node")
    assert done.stderr == ""
