"""Finished parts are used again only while code, data and options are the same; Ctrl-C leaves things whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import fake
import pytest

from demos import datasets
from demos.lab import kept
from demos.lab import run as running
from demos.lab.demo import Demo
from demos.lab.measure.part import Part, Settings

ROOT = Path(__file__).resolve().parents[3]
DEFAULT = Settings(3)


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    fake.install(monkeypatch)


def run(folder, settings=DEFAULT, demo: Demo = fake.DEMO):
    return running.run([(demo, settings)], folder, jobs=1)["fake"]


def test_a_finished_part_is_not_measured_again(tmp_path, capsys):
    parts = run(tmp_path)
    assert fake.calls == ["second", "first"]  # the longest first
    assert list(parts) == ["first", "second"]  # as the demo lists them
    assert parts["first"].measured == {"values": [0.0, 1.0, 2.0]}
    assert not parts["first"].reused
    again = run(tmp_path)
    assert fake.calls == ["second", "first"]
    assert again["first"] == replace(parts["first"], reused=True)
    assert "2 of 2 parts are finished already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other", [Settings(4), Settings(3, seed=7), Settings(3, full=True), Settings(3, flags=frozenset({"extra"}))]
)
def test_other_options_are_measured(tmp_path, other):
    run(tmp_path)
    run(tmp_path, other)
    assert fake.calls == ["second", "first"] * 2


def test_other_code_and_other_data_are_measured(tmp_path, monkeypatch):
    run(tmp_path)
    monkeypatch.setattr(kept, "code_hash", lambda demo: "other code")
    run(tmp_path)
    assert fake.calls == ["second", "first"] * 2
    first, second = fake.DEMO.parts
    run(tmp_path, demo=replace(fake.DEMO, parts=(replace(first, data=(datasets.GERMAN,)), second)))
    assert fake.calls == ["second", "first"] * 2 + ["first"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"measured": {}}'])
def test_a_damaged_file_is_measured_again(tmp_path, content):
    run(tmp_path)
    for path in (tmp_path / "parts").iterdir():
        path.write_text(content)
    assert run(tmp_path)["first"].measured == {"values": [0.0, 1.0, 2.0]}
    assert fake.calls == ["second", "first"] * 2


def test_an_altered_data_file_is_found_before_anything_runs(tmp_path, monkeypatch):
    def refuse(file):
        raise datasets.DatasetError(f"{file.name} is altered")

    monkeypatch.setattr(running, "checked", refuse)
    with pytest.raises(datasets.DatasetError, match=r"digits.npz is altered"):
        run(tmp_path)
    assert fake.calls == []


def test_what_is_finished_stays_when_a_later_part_fails(tmp_path):
    def fail(settings, progress):
        raise KeyboardInterrupt

    broken = replace(fake.DEMO, parts=(Part("first", fail, (), 1), fake.DEMO.parts[1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["demos.fake"], "DEMO", broken, raising=False)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, demo=broken)
    (left,) = (tmp_path / "parts").iterdir()
    assert json.loads(left.read_text())["part"] == "fake: second"
    assert run(tmp_path)["second"].reused
    assert fake.calls == ["second", "first"]


def test_a_number_that_json_lacks_is_refused(tmp_path):
    broken = replace(fake.DEMO, parts=(Part("first", lambda settings, progress: {"x": float("nan")}),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["demos.fake"], "DEMO", broken, raising=False)
        with pytest.raises(ValueError, match="JSON compliant"):
            run(tmp_path, demo=broken)
    assert list((tmp_path / "parts").iterdir()) == []


def is_gone(group: int) -> bool:
    """Whether no process of the group is left after a moment."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_termination_leave_whole_files_and_no_process(sent, code, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "demos.bn_activity", "--out", str(tmp_path), "--jobs", "2"], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job inherits it ignored
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "parts").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(2)  # the processes are at work
        process.send_signal(sent)
        output, _ = process.communicate(timeout=60)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # it and its workers
        process.communicate()
        raise
    assert process.returncode == code, output
    assert ("Interrupted. What was finished is kept" in output) == (sent == signal.SIGINT)
    assert "Traceback" not in output
    assert is_gone(process.pid)
    for path in tmp_path.rglob("*.*"):
        assert path.suffix == ".json"
        json.loads(path.read_text())


def test_parts_run_in_several_processes(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "demos", "--only", "worked_example", "--jobs", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("worked_example: ") == len(list((tmp_path / "parts").iterdir())) == 4
    (tmp_path / "alone").mkdir()
    alone = running.run([(running.load("worked_example"), Settings(1))], tmp_path / "alone", jobs=1)["worked_example"]
    (entry,) = json.loads((tmp_path / "results.json").read_text())["demos"]
    assert entry["parts"]["steps"]["measured"] == alone["steps"].measured
