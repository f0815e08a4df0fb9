"""The curve of the convolution demo: drawn from results only, and the committed picture is the current one."""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from demos.conv_curve import main, read

pytest.importorskip("matplotlib", exc_type=ImportError)

ROOT = Path(__file__).resolve().parents[2]
RUNS = [f"docs/measured/conv_mnist-{seed}.json" for seed in (0, 1, 2)]


def results(path, cpu=(2.0, 3.0), test=(0.5, 0.75)):
    epochs = [{"cpu_seconds": c, "test_accuracy": t} for c, t in zip(cpu, test)]
    path.write_text(json.dumps({"seed": 7, "epochs": epochs}))
    return path


def words(path):
    return sorted(" ".join(element.itertext()).strip() for element in ElementTree.parse(path).iter() if element.text)


def test_cpu_seconds_add_up_and_accuracies_are_percent(tmp_path):
    assert read(results(tmp_path / "r.json")) == ("seed 7", [2.0, 5.0], [50.0, 75.0])


def test_the_page_shows_the_picture_its_command_draws(tmp_path, capsys, monkeypatch):
    shown = "docs/images/conv_mnist.svg"
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert f"python -m demos.conv_curve {' '.join(RUNS)} --out {shown}" in page
    assert "](images/conv_mnist.svg)" in page
    monkeypatch.chdir(ROOT)
    assert main([*RUNS, "--out", str(tmp_path / "now.svg")]) == 0
    now = words(tmp_path / "now.svg")
    for path in RUNS:
        last = json.loads((ROOT / path).read_text())["epochs"][-1]["test_accuracy"]
        assert any(f"{100 * last:.2f} %" in text for text in now)
    # Versions of matplotlib place the ticks differently.
    then, now = (re.findall(r"seed \d|[\d.]+ %", " ".join(texts)) for texts in (words(ROOT / shown), now))
    assert len(now) >= len(RUNS)
    assert then == now, "the picture has changed: run the command in docs/training.md"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "no results"),
        ('{"seed": 1}', "no results"),
        ('{"seed": 1, "epochs": []}', "is not known"),
        ('{"seed": 1, "epochs": [{"cpu_seconds": null, "test_accuracy": 0.5}]}', "is not known"),
    ],
)
def test_files_without_a_curve_are_refused(tmp_path, capsys, content, complaint):
    (tmp_path / "r.json").write_text(content)
    assert main([str(tmp_path / "r.json"), "--out", str(tmp_path / "c.svg")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "c.svg").exists()


def test_missing_files_folders_formats_and_packages_are_named(tmp_path, capsys, monkeypatch):
    there = str(results(tmp_path / "r.json"))
    for arguments, complaint in (
        ([str(tmp_path / "none.json"), "--out", str(tmp_path / "c.svg")], "cannot be read"),
        ([there, "--out", str(tmp_path / "none" / "c.svg")], "the folder does not exist"),
        ([there, "--out", str(tmp_path / "c.xyz")], "cannot draw"),
    ):
        assert main(arguments) == 2
        assert re.search(complaint, capsys.readouterr().err)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([there, "--out", str(tmp_path / "c.svg")]) == 2
    assert "pip install 'tinygrad-bn[demos]'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
