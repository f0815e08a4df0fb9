"""The wall between what measures and what shows: kept results rest on the one side, and never on the other."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demos.__main__ import NAMES
from demos.lab import kept
from demos.lab.imports import shows

ROOT = Path(__file__).resolve().parents[2]
DEMOS = ROOT / "demos"

# Imports the measuring side of each demo as Python does, but for the packages that join it to the showing side, and
# prints which files that loaded.
LOAD = """
import importlib, json, pkgutil, sys, types
found = {}
for name in sys.argv[2:]:
    for module in [module for module in sys.modules if module.split(".")[0] == "demos"]:
        del sys.modules[module]
    for joint in (f"demos.{name}", "demos.lab"):
        sys.modules[joint] = types.ModuleType(joint)
        sys.modules[joint].__path__ = [f"{sys.argv[1]}/{joint.replace('.', '/')}"]
    side = importlib.import_module(f"demos.{name}.measure")
    for module in pkgutil.walk_packages(getattr(side, "__path__", []), f"{side.__name__}."):
        importlib.import_module(module.name)
    found[name] = [module.__file__ for key, module in sys.modules.items()
                   if key.split(".")[0] == "demos" and getattr(module, "__file__", None)]
found["other libraries"] = sorted(sys.modules)
print(json.dumps(found))
"""


def python(*arguments: str, path: Path = ROOT) -> str:
    """What Python prints, stdout and stderr, with these folders to import from: this one, and the project's."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (path, ROOT)))}
    done = subprocess.run([sys.executable, *arguments], cwd=path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[Path]]:
    """The files that Python loads to measure, by demo."""
    found = json.loads(python("-c", LOAD, str(ROOT), *NAMES))
    assert not {"matplotlib", "jinja2"} & set(found.pop("other libraries"))
    return {name: {Path(file) for file in files} for name, files in found.items()}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the demos, without their data."""
    return Path(shutil.copytree(DEMOS, tmp_path / "demos", ignore=shutil.ignore_patterns("data", "__pycache__")))


@pytest.mark.parametrize("name", [*NAMES, "lab"])
def test_a_folder_has_two_sides(name):
    folder = DEMOS / name
    there = {path.stem for path in folder.iterdir() if path.name != "__pycache__"}
    assert {"measure", "show"} <= there
    if name != "lab":
        assert there == {"__init__", "__main__", "measure", "show"}
    for side in ("measure", "show"):
        assert (folder / f"{side}.py").exists() != (folder / side).exists()
    joint = ast.parse((folder / "__init__.py").read_text("utf-8")).body
    own = [node for node in joint[1:] if not isinstance(node, ast.ImportFrom)]  # behind the docstring
    assert [ast.unparse(node).split("(")[0] for node in own] == ([] if name == "lab" else ["DEMO = Demo"])


def test_no_file_is_longer_than_can_be_read_at_once():
    assert {path for path in DEMOS.rglob("*.py") if len(path.read_text("utf-8").splitlines()) > 500} == set()


@pytest.mark.parametrize("name", NAMES)
def test_what_measures_imports_nothing_that_shows(name, loaded):
    found = set(kept.sources(name))
    assert [path for path in found | loaded[name] if shows(path, DEMOS)] == []
    assert found >= loaded[name]  # nothing that is run is overlooked


OWN, PLOTS, BLOCKS = "activation_drift/show.py", "lab/show/plots.py", "lab/show/blocks.py"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from .show import WAYS", OWN),
        ("from . import show", OWN),
        ("from demos.activation_drift import show", OWN),
        ("def f():\n    from .show import WAYS", OWN),
        ("from . import DEMO", OWN),
        ("from .. import activation_drift", OWN),
        ("import demos.activation_drift.show", OWN),
        ("import demos", OWN),
        ("from importlib import import_module", OWN),
        ("import importlib.util", OWN),
        ("def f(name):\n    return __import__(name)", OWN),
        ("from ..lab.show import plots", PLOTS),
        ("from ..lab.show.plots import BN", PLOTS),
        ("from ..lab import show", PLOTS),
        ("from .. import lab", PLOTS),
        ("from ..lab import demo", BLOCKS),
        ("from ..bn_activity import DEMO", "bn_activity/show/findings.py"),
    ],
)
def test_an_import_through_the_wall_is_found(line, found, copied):
    assert copied / found not in kept.sources("activation_drift", copied)
    change(copied / "activation_drift" / "measure.py", line)
    sources = kept.sources("activation_drift", copied)
    assert copied / found in sources
    assert any(shows(path, copied) for path in sources)


def test_an_import_through_the_wall_is_found_behind_other_files(copied):
    change(copied / "lab" / "measure" / "copies.py", "from ..show import plots")
    through = [name for name in NAMES if copied / PLOTS in kept.sources(name, copied)]
    assert through == [name for name in NAMES if name != "worked_example"]  # which trains nothing


def change(path: Path, line: str = "# changed") -> None:
    path.write_text(f"{path.read_text('utf-8')}\n{line}\n", "utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_results_stay_valid_until_a_file_that_measures_is_changed(name, loaded, copied, monkeypatch):
    monkeypatch.setattr(kept, "LIBRARY", DEMOS / "datasets")  # a small one
    measuring = {copied / path.relative_to(DEMOS) for path in loaded[name]}
    before = kept.code_hash(name, copied)
    assert before == kept.code_hash(name)  # wherever the folder is
    for path in copied.rglob("*"):
        if path.is_file() and path not in measuring:
            path.write_bytes(path.read_bytes() + b"\n# changed\n")
    assert kept.code_hash(name, copied) == before
    for path in measuring:
        text = path.read_bytes()
        change(path)
        assert kept.code_hash(name, copied) != before, path
        path.write_bytes(text)
    assert kept.code_hash(name, copied) == before


def test_results_rest_on_the_whole_library(tmp_path, monkeypatch):
    library = Path(shutil.copytree(kept.LIBRARY, tmp_path / "tinygrad_bn"))
    monkeypatch.setattr(kept, "LIBRARY", library)
    before = kept.code_hash("worked_example")
    (library / "new.py").write_text("")
    assert kept.code_hash("worked_example") != before


def test_a_changed_caption_measures_nothing_again(copied):
    def run() -> str:
        return python("-m", "demos.worked_example", "--jobs", "1", path=copied.parent)

    finished = "4 of 4 parts are finished already"
    assert finished not in run()
    show = copied / "worked_example" / "show.py"
    show.write_text(show.read_text("utf-8").replace('Heading("What m is")', 'Heading("What m stands for")'), "utf-8")
    again = run()
    assert finished in again
    assert "Nothing is left to measure." in again
    assert "What m stands for" in again
    change(copied / "worked_example" / "measure.py")
    assert finished not in run()
