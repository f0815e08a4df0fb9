"""The figures in the pages are those of the results that are kept, and the verdicts do not depend on the seeds."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from demos.__main__ import NAMES
from demos.lab import results

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_measured", ROOT / "docs" / "make_measured.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def writer(made):
    return made.Pages()


def test_the_pages_show_what_was_measured(made, writer):
    pages = list(made.pages())
    assert {"why-batch-norm.md", "shallow-and-deep.md", "experiments.md"} <= {path.name for path in pages}
    for path in pages:
        assert path.read_text("utf-8") == writer.filled(path), f"{path.name} is stale: make figures"
        for picture in re.findall(r"\]\(([^)]*images/measured/[^)]*)\)", path.read_text("utf-8")):
            assert (path.parent / picture).is_file(), picture
    used = {
        made.image(demo, writer.find(demo, kind, name))
        for demo, name in writer.used
        for kind in kinds(writer, demo, name)
    }
    assert {path.name for path in made.IMAGES.iterdir()} == used


def kinds(writer, demo, name):
    return [
        type(b).__name__.lower()
        for b in writer.blocks[demo]
        if getattr(b, "svg", getattr(b, "draw", None)) and b.name == name
    ]


def test_a_changed_figure_is_noticed(made, writer, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("<!-- measured: worked_example table forward -->\nold\n<!-- end measured -->\n")
    monkeypatch.setattr(made, "IMAGES", tmp_path / "images")
    assert "old" not in writer.filled(page)
    assert "1.1180" in writer.filled(page)
    page.write_text("<!-- measured: worked_example table forwards -->\nold\n<!-- end measured -->\n")
    with pytest.raises(SystemExit, match="no table forwards in the results of worked_example"):
        writer.filled(page)


def test_the_results_are_of_a_default_run_of_all_demos(writer):
    entries = writer.content["demos"]
    assert [entry["name"] for entry in entries] == list(NAMES)
    assert all(not entry["settings"]["full"] and not entry["settings"]["flags"] for entry in entries)
    assert all(entry["command"] == f"python -m demos.{entry['name']}" for entry in entries)


def test_three_sets_of_seeds_give_the_same_verdicts(made, writer):
    runs = json.loads(made.VERDICTS.read_text("utf-8"))
    assert len({run["seed"] for run in runs}) == len(runs) >= 3
    assert len(runs[0]["outcomes"]) >= 20
    assert all(run["outcomes"] == runs[0]["outcomes"] for run in runs)
    assert runs[0] == made.outcomes(writer.content)
    others = list(made.kept())[1:]  # by the rules as they are now
    assert runs[1:] == [made.outcomes(results.judged(content, results.shown(content))) for content in others]
