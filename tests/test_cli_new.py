"""``tinygrad-bn new``: what it writes is green in plain pytest, red when broken, and nothing is ever half-written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_bn.cli.new as command
from tinygrad_bn.cli import main
from tinygrad_bn.errors import FileError

ROOT = Path(__file__).resolve().parents[1]


def new(*arguments: object) -> int:
    return main(["new", *map(str, arguments)])


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    """Plain pytest in a project of the user's own, without this repository's settings."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_what_is_written_is_green_and_can_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside one another, inside of a package, and each broken once: one that leaves the graph, one with a wrong rule."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert new("layer", "LayerScale", "--dir", tmp_path) == 0
    assert new("primitive", "soft_sign", "--dir", tmp_path) == 0
    assert new("layer", "layer_scale", "--dir", package) == 0  # the same name, inside of a package
    assert new("primitive", "HardSign", "--dir", package) == 0
    assert f"wrote {tmp_path / 'layer_scale.py'} and {tmp_path / 'test_layer_scale.py'}" in capsys.readouterr().out
    assert "class LayerScale(nn.Module)" in (package / "layer_scale.py").read_text()
    assert "hard_sign = Primitive(" in (package / "hard_sign.py").read_text()
    assert new("claim", "bn_is_faster", "--dir", package) == 0
    assert f"run:  python {package / 'bn_is_faster.py'}" in capsys.readouterr().out
    new("layer", "BrokenLayer", "--dir", tmp_path)
    new("claim", "broken_claim", "--dir", tmp_path)
    new("primitive", "broken_rule", "--dir", tmp_path)
    new("stateful", "BrokenState", "--dir", tmp_path)
    new("stateful", "RunningScale", "--dir", tmp_path)
    for name, right, wrong in (
        ("broken_layer.py", "self.weight * x", "self.weight.data * x"),
        ("broken_rule.py", "** 1.5", "** 1.4"),
        ("broken_claim.py", "mean + half < 0", "mean < 0"),
        (
            "broken_state.py",
            'self.register_buffer("running_square", np.ones(features, dtype))',
            "self.running_square = np.ones(features, dtype)",
        ),
    ):
        text = (tmp_path / name).read_text()
        assert text.count(right) == 1
        (tmp_path / name).write_text(text.replace(right, wrong))
    result = pytest_in(tmp_path)
    assert "5 failed, 15 passed" in result.stdout, result.stdout + result.stderr
    assert "FAILED test_broken_claim.py::test_the_verdict_can_come_out_each_way" in result.stdout
    for name, subject in (("test_broken_layer.py", "BrokenLayer in training"), ("test_broken_rule.py", "broken_rule")):
        assert f"FAILED {name}::test_everything_else" in result.stdout
        assert f"first derivatives: gradcheck of {subject}: " in result.stdout


@pytest.mark.parametrize("kind", ["layer", "stateful", "primitive", "claim"])
def test_style_of_what_is_written(kind: str, tmp_path: Path) -> None:
    new(kind, "soft_sign", "--dir", tmp_path)
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert "$" not in text
        assert max(map(len, text.splitlines())) <= 120
        compile(text, str(path), "exec")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2d", "cannot name a Python file"),
        ("a-b", "cannot name a Python file"),
        ("../up", "cannot name a Python file"),
        ("", "cannot name a Python file"),
        ("größe", "cannot name a Python file"),
        ("_private", "cannot name a Python file"),
        ("class", "'class' means something else"),
        ("None", "means something else"),
        ("Lambda", "'lambda' means something else"),
        ("np", "'np' means something else"),
        ("CON", "'con' means something else"),
        ("random", "a module 'random' already"),
        ("numpy", "a module 'numpy' already"),
        ("TinygradBn", "a module 'tinygrad_bn' already"),
        ("test_this", "take this file for a test"),
        ("this_test", "take this file for a test"),
        ("conftest", "take this file for a test"),
    ],
)
def test_bad_names(name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new("layer", name, "--dir", tmp_path) == 2
    assert said in capsys.readouterr().err
    assert listing(tmp_path) == []


def test_inside_of_a_package_a_name_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    assert new("layer", "random", "--dir", tmp_path) == 0
    assert "from .random import Random" in (tmp_path / "test_random.py").read_text()


@pytest.mark.parametrize("there", ["soft_sign.py", "test_soft_sign.py"])
def test_existing_files_stay(there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / there).write_text("mine")
    assert new("primitive", "soft_sign", "--dir", tmp_path) == 2
    assert f"{there} is there already" in capsys.readouterr().err
    assert listing(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "soft_sign.py").symlink_to(tmp_path / "elsewhere.py")
    assert new("primitive", "soft_sign", "--dir", folder) == 2
    assert listing(tmp_path) == ["project"]


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new("layer", "LayerScale", "--dir", tmp_path / "no") == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_both_files_or_none(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second file cannot be written: the first one goes again."""
    write_whole = command.write_whole

    def failing(path: Path, content: bytes, *, new: bool) -> Path:
        if path.name.startswith("test_"):
            assert listing(tmp_path) == ["soft_sign.py"]
            raise failure
        return write_whole(path, content, new=new)

    monkeypatch.setattr(command, "write_whole", failing)
    assert new("primitive", "soft_sign", "--dir", tmp_path) == (2 if isinstance(failure, OSError) else 130)
    assert listing(tmp_path) == []


def test_a_file_that_appears_in_between_stays(tmp_path: Path) -> None:
    mine = tmp_path / "test_x.py"
    mine.write_text("mine")
    with pytest.raises(FileError, match="is there already"):
        command._write({tmp_path / "x.py": "a", mine: "b"})
    assert listing(tmp_path) == ["test_x.py"]
    assert mine.read_text() == "mine"


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["new", "--help"])
    assert re.search(r"tinygrad-bn new layer LayerScale +writes layer_scale.py", capsys.readouterr().out)


def test_templates_go_into_the_wheel() -> None:
    """Installed from a wheel, the command finds them: the settings name every template."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"cli/templates/*.txt"' in text
    assert listing(ROOT / "tinygrad_bn" / "cli" / "templates") == [
        "claim.txt", "layer.txt", "primitive.txt", "stateful.txt",
        "test_claim.txt", "test_layer.txt", "test_primitive.txt", "test_stateful.txt",
    ]  # fmt: skip


def test_a_claim_is_measured_kept_and_shown_again(tmp_path: Path) -> None:
    new("claim", "bn_is_faster", "--dir", tmp_path)
    path = tmp_path / "bn_is_faster.py"
    path.write_text(path.read_text().replace("STEPS, EVERY, BATCH = 0.90, 500", "STEPS, EVERY, BATCH = 0.90, 40"))

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command, environment = [sys.executable, str(path), *options], {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=tmp_path.parent, env=environment, capture_output=True, text=True, check=False
        )

    assert "a number of at least 2, not '1'" in run("--seeds", "1").stderr
    assert "nothing was measured yet; run it without --again" in run("--again").stderr
    first = run("--seeds", "2")
    assert first.returncode == 0, first.stderr
    assert "Verdict:  not decided" in first.stdout
    assert (tmp_path / "bn_is_faster.json").exists()
    assert run("--again").stdout == first.stdout
