"""``-o`` of every command: what is written is what the ending promises."""

import os

import pytest

from tinygrad_bn.cli import main
from tinygrad_bn.compiler.c.build import available

EXPORT = ["export", "bn", "--rows", "4"]
COMPILE = ["compile", "bn", "--backend", "numpy"]


@pytest.mark.parametrize(
    ("words", "output", "content", "remedy"),
    [
        (EXPORT, "o.svg", "an ONNX file", "o.onnx"),
        (EXPORT, "o.json", "an ONNX file", "o.onnx"),
        (EXPORT, "o", "an ONNX file", "o.onnx"),
        (["explore", "bn"], "o.svg", "a page", "o.html"),
        (["explore", "bn"], "o.onnx", "a page", "o.html"),
        (COMPILE, "o.c", "Python code", "o.py"),
        ([*COMPILE, "--stage", "recorded"], "o.c", "the operations of stage recorded", "o.txt"),
        ([*COMPILE, "--stage", "simplified"], "o.py", "the operations of stage simplified", "o.txt"),
        (["compile", "bn", "--backend", "c"], "o.py", "C code", "o.c"),
    ],
)
def test_a_name_that_promises_something_else_is_refused_and_the_remedy_works(
    words, output, content, remedy, tmp_path, monkeypatch, capsys
):
    if words[0] == "export":
        pytest.importorskip("onnx")
    if words[-1] == "c" and not available():
        pytest.skip("no C compiler")
    monkeypatch.chdir(tmp_path)
    assert main([*words, "-o", output]) == 2
    said = capsys.readouterr().err
    assert f"this would be {content}" in said
    assert f"to fix:   -o {remedy}" in said
    assert os.listdir() == []
    assert main([*words, "-o", remedy]) == 0
    assert os.listdir() == [remedy]


@pytest.mark.parametrize(("words", "output"), [(["graph", "bn"], "o.onnx"), (COMPILE, "o.html")])
def test_a_picture_has_the_ending_of_one(words, output, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "-o", output]) == 2
    assert "unknown kind of picture" in capsys.readouterr().err
    assert os.listdir() == []


def test_endings_are_read_as_people_write_them(tmp_path, capsys):
    assert main(["explore", "bn", "-o", str(tmp_path / "O.HTM")]) == 0
    assert main([*COMPILE, "-o", str(tmp_path / "O.PY")]) == 0
    capsys.readouterr()


def test_a_device_has_no_ending(capsys):
    assert main(["explore", "bn", "-o", os.devnull]) == 0
    capsys.readouterr()
