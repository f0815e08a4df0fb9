"""Demos leave whole files or none."""

import pytest

from demos.lab.output import OutputError, prepare, write_whole


def test_prepare_makes_the_folder_and_leaves_nothing_in_it(tmp_path):
    folder = prepare(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_prepare_refuses_a_path_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write to") as caught:
        prepare(tmp_path / "file" / "out")
    assert "--out DIR" in str(caught.value)


def test_a_failed_write_keeps_the_old_file_and_no_half_of_the_new(tmp_path):
    target = tmp_path / "result.json"
    target.write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left on device"):
        write_whole(target, fail)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("result.json", "old")]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def interrupt(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "result.json", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_file_keeps_the_suffix_that_says_the_format(tmp_path):
    seen = []

    def write(path):
        seen.append(path.suffix)
        path.write_text("new")

    assert write_whole(tmp_path / "picture.svg", write).read_text() == "new"
    assert seen == [".svg"]
