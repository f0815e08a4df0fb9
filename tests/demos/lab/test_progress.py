"""What is said while parts run, where there is no terminal: at once what will run, then a line now and then."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace

import fake
import pytest

from demos.lab import progress
from demos.lab import run as running
from demos.lab.measure.part import Part, Settings


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    fake.install(monkeypatch)


def test_the_plan_names_every_part_and_the_time(tmp_path):
    parts = {"bn": ["digits", "mnist"], "drift": [], "shallow": ["growth"]}
    text = progress.plan(parts, [100, 140, 60], 2, True, tmp_path)
    assert text.splitlines()[:3] == [
        "To measure, 2 at once: 3 parts, about 2 minutes.", "  bn: digits, mnist", "  shallow: growth",
    ]  # fmt: skip
    assert f"kept in {tmp_path}" in text
    other = progress.plan(parts, [100, 140, 60], 2, False, tmp_path)
    assert "about 2 minutes with the default options, with these it differs" in other
    assert progress.plan({"bn": []}, [], 2, True, tmp_path) == "Nothing is left to measure."


@pytest.mark.parametrize(
    ("seconds", "jobs", "said"),
    [
        ([0.2], 1, "1 second"),
        ([30, 30], 1, "60 seconds"),
        ([30, 30], 2, "30 seconds"),
        ([200, 10], 2, "3 minutes"),  # as long as the longest
        ([100] * 3, 1, "5 minutes"),
        ([], 2, "1 second"),
    ],
)
def test_how_long_in_words(seconds, jobs, said):
    assert progress.duration(seconds, jobs) == said


@pytest.mark.parametrize(
    ("settings", "usual"),
    [
        (Settings(3), True),
        (Settings(3, seed=7), True),
        (Settings(4), False),
        (Settings(3, full=True), False),
        (Settings(3, flags=frozenset({"extra"})), False),
    ],
)
def test_the_usual_time_is_that_of_the_default_options(settings, usual):
    assert running.is_usual(fake.DEMO, settings) == usual


def test_the_plan_is_in_a_file_before_anything_is_measured(tmp_path, monkeypatch):
    path = tmp_path / "printed"

    def look(settings, progress):
        return {"seen": path.read_text()}

    demo = replace(fake.DEMO, parts=(Part("look", look, (), 1),))
    monkeypatch.setattr(sys.modules["demos.fake"], "DEMO", demo, raising=False)
    with path.open("w") as file, pytest.MonkeyPatch.context() as patch:  # which is written in blocks
        patch.setattr(sys, "stdout", file)
        finished = running.run([(demo, Settings(3))], tmp_path, jobs=1)
    seen = finished["fake"]["look"].measured["seen"]
    assert seen.startswith("To measure, 1 at once: 1 part, about 1 second.\n  fake: look\n")


def test_a_line_now_and_then_while_a_part_runs(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0.05)
    with progress.overall([1.0, 300.0], 3, 1, True) as advance:
        advance(1.0, "first, 1 s CPU")
        time.sleep(0.3)
        advance(300.0, "second, 300 s CPU")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "1 of 3 parts are finished already: same code, data and options"
    assert re.fullmatch(r"\[2/3\]    0 s: first, 1 s CPU", said[1])
    assert len(said) > 3
    assert {line.split(": ")[1] for line in said[2:-1]} == {"measuring, about 5 minutes left"}
    assert re.fullmatch(r"\[3/3\]    \d s: second, 300 s CPU", said[-1])


def test_with_other_options_nobody_says_how_long(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0.05)
    with progress.overall([300.0], 1, 1, False):
        time.sleep(0.2)
    said = capsys.readouterr().err.splitlines()
    assert said
    assert all(line.endswith(" s: measuring") for line in said)


def test_nothing_is_said_after_the_end(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0.05)
    with pytest.raises(KeyboardInterrupt), progress.overall([300.0], 1, 1, True):
        raise KeyboardInterrupt
    before = capsys.readouterr().err
    time.sleep(0.2)
    assert capsys.readouterr().err == ""
    assert "finished" not in before
