"""``tinygrad-bn compile``."""

import pytest

from tinygrad_bn.cli import main


def test_it_prints_the_text_and_the_stages(capsys):
    assert main(["compile", "bn", "--backend", "numpy", "--shape", "4,2"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("def drive(")
    assert said.splitlines()[-1] == "recorded: 30 operations; simplified: 24 operations"


@pytest.mark.parametrize("name", ["bn.txt", "bn.mmd"])
def test_it_writes_the_text_or_a_picture(name, tmp_path, capsys):
    path = tmp_path / name
    assert main(["compile", "bn", "--backend", "numpy", "--stage", "simplified", "-o", str(path)]) == 0
    assert "μ" in path.read_text("utf-8")
    assert f"wrote {path}" in capsys.readouterr().out


def test_a_stage_that_is_not_there_is_named(capsys):
    assert main(["compile", "bn", "--backend", "numpy", "--stage", "grouped"]) == 2
    assert "no stage 'grouped'" in capsys.readouterr().err
