"""``tinygrad-bn exercise``: each one fails as it is given and when it is half solved, and passes with its solution."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tinygrad_bn.cli import main
from tinygrad_bn.compiler.c.build import available
from tinygrad_bn.exercises import EXERCISES, Exercise

ROOT = Path(__file__).resolve().parents[1]
NAMES = [exercise.name for exercise in EXERCISES]

# Solutions that are nearly right: what of the solution is replaced, and what the check says about it.
HALF = {
    "backward_order": [
        ("uses[argument] == 0:", "uses[argument] >= 0:", "visited twice"),
        ("filter(is_operation, v.inputs):\n            uses[argument] -= 1", "[]:\n            pass", "is left out"),
    ],
    "unbroadcast": [
        ("ops.reshape(ops.sum(g, axis=tuple(range(added)) + repeated), shape)",
         "ops.sum(g, axis=tuple(range(added)) + repeated)", "wrong shape"),
        ("ops.sum(g, ", "ops.mean(g, ", "wrong numbers"),
    ],
    "wrong_max": [
        (" / count", "", "is not shared equally"),
        ("ops.where(largest, ops.expand_dims(g, -1) / count, 0.0)", "ops.where(largest, g / count, 0.0)", "rule"),
    ],
    "four_lines": [
        ("ops.sqrt(variance + eps)", "(ops.sqrt(variance) + eps)", "inside the root"),
        ("ops.mean(x, axis=0", "ops.mean(x, axis=1", "the mean of each feature is wrong"),
        ("gamma * x_hat", "x_hat", "standard deviation"),
        ("ops.mean(x, axis=0, keepdims=True)", "(x.detach() if hasattr(x, 'detach') else x).mean(axis=0)", "closed form"),
    ],
    "momentum": [
        (", ddof=1", "", "the running variance"),
        ("running_mean = (1 - momentum) * running_mean", "running_mean = running_mean", "the running mean"),
    ],
    "eval_drift": [
        ("module.training = training", "module.train(True)", "a frozen part"),
        ("with tg.no_grad():", "if True:", "records a graph"),
        ("    finally:\n", "    except ZeroDivisionError:\n", "in other modes"),
    ],
    "second_derivative": [("ops.sigmoid(x)", "ops.sigmoid(x.detach() if isinstance(x, tg.Tensor) else x)", "wrong")],
    "running_layer": [
        ("self.momentum * (mean", "(1 - self.momentum) * (mean", "the running mean after"),
        ("return x - mean\n", "return x - self.running_mean\n", "in training"),
        ("if not self.training:", "if False:", "in evaluation"),
        ("mean = ops.mean(x, axis=0)", "mean = ops.mean(x, axis=0).detach() if hasattr(x, 'detach') else ops.mean(x, axis=0)",
         "first derivatives"),
    ],
    "fused_rule": [
        (" - through_variance", " + through_variance", "the gradient differs"),
        ("out * ops.mean(g * out", "out * ops.mean(g * (out.detach() if hasattr(out, 'detach') else out)", "second derivative"),
    ],
    "read_a_kernel": [
        ("PASSES = 3", "PASSES = 2", "PASSES is not the number"),
        ('SCALE = "s17"', 'SCALE = "s9"', "SCALE: s9 is not gamma divided by sigma"),
        ('DX = "t34"', 'DX = "dx"', "no such name"),
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_stays_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in [name for name in sys.modules if "exercise_" in name and name not in before]:
        del sys.modules[name]


def exercise(*arguments: object) -> int:
    return main(["exercise", *map(str, arguments)])


def words(picture: Path) -> list[str]:
    """All text of an SVG; positions differ between layout programs."""
    return sorted(" ".join(element.itertext()) for element in ElementTree.parse(picture).iter() if element.text)


def needs(name: str) -> None:
    if name == "read_a_kernel" and not available():
        pytest.skip("there is no C compiler")


@pytest.mark.parametrize("given", EXERCISES, ids=NAMES)
def test_fails_as_given_and_passes_solved(given: Exercise, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs(given.name)
    assert exercise(given.number, "--dir", tmp_path) == 0
    file = tmp_path / given.file
    assert file.read_text(encoding="utf-8") == given.given
    assert str(file) in capsys.readouterr().out
    assert exercise(given.number, "--dir", tmp_path) == 2
    said = capsys.readouterr()
    assert f"exercise {given.number}, {given.title}: not yet\n" in said.err
    assert "your code stopped" not in said.err
    picture = file.with_suffix(".svg")
    assert f"picture: {picture}" in said.out
    before = picture.read_text(encoding="utf-8")
    assert "<svg" in before
    if (shown := ROOT / "docs" / "images" / "exercises" / f"{given.name}.svg").exists():
        assert words(shown) == words(picture), f"the picture has changed: tinygrad-bn exercise {given.number}, twice"
    assert file.read_text(encoding="utf-8") == given.given
    file.write_text(given.solved, encoding="utf-8")
    assert exercise(given.number, "--dir", tmp_path) == 0
    assert f"{given.title}: right" in capsys.readouterr().out
    if given.name != "read_a_kernel":  # its picture is the question
        assert picture.read_text(encoding="utf-8") != before


@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"), [(name, *case) for name, cases in HALF.items() for case in cases]
)
def test_half_solved(
    name: str, right: str, wrong: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs(name)
    given = EXERCISES[NAMES.index(name)]
    assert given.solved.count(right) >= 1
    (tmp_path / given.file).write_text(wrong.join(given.solved.rsplit(right, 1)), encoding="utf-8")
    assert exercise(given.number, "--dir", tmp_path) == 2
    assert said in capsys.readouterr().err


def test_every_text_is_listed_and_goes_into_the_wheel(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    texts = sorted(path.stem for path in (ROOT / "tinygrad_bn" / "exercises" / "texts").iterdir())
    assert texts == sorted(NAMES)
    assert '"exercises/texts/*.txt"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "exercises" / "README.md").read_text(encoding="utf-8")
    (tmp_path / EXERCISES[3].file).write_text("")
    assert exercise("--dir", tmp_path) == 0
    rows = capsys.readouterr().out.splitlines()
    for given, row in zip(EXERCISES, rows):
        assert given.title in row
        assert (given.file in row) is (given.number == 4)
        assert given.given != given.solved
        assert "#[" not in given.given + given.solved
        assert max(map(len, given.given.splitlines())) <= 120
        assert f"## {given.number}. {given.title[0].upper()}{given.title[1:]}" in page


def test_solution_prints_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exercise(2, "--dir", tmp_path, "--solution") == 0
    assert capsys.readouterr().out == EXERCISES[1].solved
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["11"], "there is no such exercise"), (["0"], "whole number"), (["--solution"], "of which exercise"),
     (["1", "--dir", "nowhere"], "no such folder")],
)  # fmt: skip
def test_wrong_calls(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        raise SystemExit(exercise(*arguments))
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def update(:", "SyntaxError"),
        ("", "no attribute 'update'"),
        ("def update(*given):\n    return 1 / 0", "line 2: return 1 / 0"),
        ("def update(*given):\n    return None", "TypeError"),
    ],
)
def test_code_that_stops(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / EXERCISES[4].file).write_text(text)
    assert exercise(5, "--dir", tmp_path) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("number", [3, 5])
def test_without_a_program_that_draws_it_is_text(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinygrad_bn.graph.layout.programs", lambda _: [])
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends", "matplotlib.backends.backend_svg"):
        monkeypatch.setitem(sys.modules, name, None)
    exercise(number, "--dir", tmp_path)
    capsys.readouterr()
    assert exercise(number, "--dir", tmp_path) == 2
    said = capsys.readouterr().out
    assert "no picture: " in said
    assert ("your update" if number == 5 else "the largest of each row of x") in said
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".svg"] == []
