"""The command lines: what they print and write, and what they say when they cannot."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import fake
import pytest

from demos import __main__ as every
from demos.lab import command
from demos.lab.demo import Own
from demos.lab.measure import stepping
from demos.lab.measure.part import Part, Settings
from demos.lab.options import Option, positive, several, whole
from demos.lab.show import plots


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    fake.install(monkeypatch)
    monkeypatch.setattr(every, "NAMES", ("fake",))


def test_one_demo_prints_its_findings_and_writes_its_files(tmp_path, capsys):
    assert command.main("fake", ["--out", str(tmp_path), "--seeds", "4", "--extra"]) == 0
    out = capsys.readouterr().out
    assert "python -m demos.fake --seeds 4 --extra" in out
    assert "Measured: 6 in all" in out
    assert "Verdict:  HOLDS IN PART. In `x`." in out
    own = tmp_path / "fake"
    assert {path.name for path in own.iterdir()} == {
        "results.json",
        "line.svg",
        "line.png",
        "line.pdf",
        "graph.svg",
        "more.html",
    }
    (entry,) = json.loads((own / "results.json").read_text())["demos"]
    assert entry["parts"]["first"]["measured"] == {"values": [0, 1, 2, 3]}
    assert entry["settings"] == {
        "seeds": 4,
        "seed": 0,
        "full": False,
        "flags": ["extra"],
        "backend": stepping.usual(),
        "own": {},
    }
    assert [verdict["outcome"] for verdict in entry["verdicts"]] == ["holds if"]


def test_all_demos_write_results_and_report(tmp_path, capsys):
    assert every.main(["--out", str(tmp_path)]) == 0
    assert "open it in a browser" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "results.json", "report.html", "playground.html", "fake", "parts", "verdicts.svg", "verdicts.png", "verdicts.pdf"
    }  # fmt: skip
    report = (tmp_path / "report.html").read_bytes()
    calls = list(fake.calls)
    assert every.main(["--out", str(tmp_path / "again"), "--again", str(tmp_path / "results.json")]) == 0
    assert (tmp_path / "again" / "report.html").read_bytes() == report  # the same bytes from the results alone
    assert fake.calls == calls


def test_what_was_measured_is_shown_once(tmp_path, monkeypatch):
    times = []

    def show(measured):
        times.append(sorted(measured))
        return fake.show(measured)

    monkeypatch.setattr(sys.modules["demos.fake"], "DEMO", replace(fake.DEMO, show=show), raising=False)
    assert every.main(["--out", str(tmp_path)]) == 0
    assert times == [["first", "second"]]
    assert every.main(["--out", str(tmp_path), "--again", str(tmp_path / "results.json")]) == 0
    assert command.main("fake", ["--out", str(tmp_path)]) == 0
    assert times == [["first", "second"]] * 3


def test_without_matplotlib_tables_are_printed_and_the_report_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not plots.available()
    assert command.main("fake", ["--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "3 in all" in out
    assert "no plots, because matplotlib is not installed" in out
    assert not (tmp_path / "fake" / "line.svg").exists()
    assert every.main(["--out", str(tmp_path)]) == 0
    assert "No picture: matplotlib is not installed" in (tmp_path / "report.html").read_text()


def test_without_jinja2_the_results_are_still_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert every.main(["--out", str(tmp_path)]) == 2
    assert "the report needs jinja2" in capsys.readouterr().err
    assert (tmp_path / "results.json").exists()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1"], "1 is too few for an interval; give at least 2"),
        (["--seeds", "many"], "a whole number of at least 1, not 'many'"),
        (["--seed", "-1"], "a whole number of at least 0, not '-1'"),
        (["--jobs", "0"], "a whole number of at least 1, not '0'"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["--ful"], "unrecognized arguments: --ful"),
    ],
)
@pytest.mark.parametrize("main", [lambda arguments: command.main("fake", arguments), every.main])
def test_wrong_options(main, arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--out", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    for main in (lambda arguments: command.main("fake", arguments), every.main):
        assert main(["--out", str(tmp_path / "file" / "out")]) == 2
        assert "to fix:   give a folder that can be written to: --out DIR" in capsys.readouterr().err
    assert fake.calls == []


@pytest.mark.parametrize("content", [None, "", "[]", '{"schema": 99}'])
def test_a_file_that_is_no_results(tmp_path, capsys, content):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    assert every.main(["--out", str(tmp_path / "out"), "--again", str(path)]) == 2
    assert "python -m demos" in capsys.readouterr().err
    assert not (tmp_path / "out" / "report.html").exists()


OWN = Own(
    (Option("depth", whole(1), 3, "layers"), Option("rates", several(positive), None, "rates", "A,B")),
    (Part("first", lambda settings, progress: {"values": [float(settings.own["depth"])] * 2}),),
    lambda own: "too deep" if own["depth"] > 9 else "",
)


@pytest.fixture
def with_own(monkeypatch):
    monkeypatch.setattr(sys.modules["demos.fake"], "DEMO", replace(fake.DEMO, own=OWN), raising=False)


def test_a_setting_of_ones_own_is_measured_instead_and_kept_apart(tmp_path, capsys, with_own):
    assert command.main("fake", ["--out", str(tmp_path), "--depth", "8", "--rates", "1,0.1"]) == 0
    out = capsys.readouterr().out
    assert "python -m demos.fake --depth 8 --rates 0.1,1" in out
    assert "Measured: 16 in all" in out
    own = tmp_path / "own" / "fake-depth-8-rates-0.1,1"
    assert f"python -m demos --again {own / 'results.json'} --out {own}" in out
    assert {path.name for path in tmp_path.iterdir()} == {"own", "parts"}
    assert len(list((tmp_path / "parts").iterdir())) == 1
    (entry,) = json.loads((own / "results.json").read_text())["demos"]
    assert entry["settings"]["own"] == {"depth": 8, "rates": [0.1, 1.0]}
    assert entry["command"] == "python -m demos.fake --depth 8 --rates 0.1,1"
    assert command.main("fake", ["--out", str(tmp_path)]) == 0  # the demo's own beside it
    assert "Measured: 3 in all" in capsys.readouterr().out
    assert command.main("fake", ["--out", str(tmp_path), "--depth", "3"]) == 0  # the default, asked for
    assert (tmp_path / "own" / "fake-depth-3" / "results.json").exists()
    assert len(list((tmp_path / "parts").iterdir())) == 4  # none took another's place
    assert every.main(["--out", str(tmp_path / "page"), "--again", str(own / "results.json")]) == 0
    assert "python -m demos.fake --depth 8" in (tmp_path / "page" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--depth", "0"], "argument --depth: a whole number of at least 1, not '0'"),
        (["--depth", "10"], "too deep"),
        (["--rates", "1,1"], "argument --rates: different numbers, with commas between them, not '1,1'"),
        (["--rates", "1;2"], "argument --rates: a number greater than 0, not '1;2'"),
        (["--depth", "3", "--extra"], "--extra measures more of the demo's settings"),
        (["--backend", "cuda"], "argument --backend: c or numpy or eager, not 'cuda'"),
    ],
)
def test_wrong_settings_of_ones_own(arguments, message, tmp_path, capsys, with_own):
    with pytest.raises(SystemExit) as caught:
        command.main("fake", [*arguments, "--out", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_c_without_a_compiler_is_refused_and_numpy_is_what_is_usual(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stepping, "usual", lambda: "numpy")
    with pytest.raises(SystemExit):
        command.main("fake", ["--backend", "c", "--out", str(tmp_path / "out")])
    assert "there is no C compiler here; install gcc or clang, or say numpy" in capsys.readouterr().err
    for options, how in (([], "NumPy"), (["--backend", "eager"], "eager")):
        assert every.main(["--out", str(tmp_path), *options]) == 0
        assert how in json.loads((tmp_path / "results.json").read_text())["environment"]["training steps"]


def test_long_settings_have_short_names(with_own):
    demo, rates = sys.modules["demos.fake"].DEMO, tuple(i / 7 for i in range(1, 40))
    one, other = (command.place(demo, Settings(3, own={"depth": 3, "rates": given})) for given in (rates, rates[:-1]))
    assert len(one.name) <= 100
    assert one != other
