"""One way to write a file: old or new, whole, and what it was (mode, link, pipe, device) stays; every writer uses it."""

import errno
import os
import re
import secrets
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import errors, files, graph, nn, train
from tinygrad_bn.errors import FileError
from tinygrad_bn.explorer import explore

ROOT = Path(__file__).resolve().parents[1]


def drawn():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    return (x * x).sum()


WRITERS = {
    "bytes": lambda path: files.write_whole(path, b"new"),
    "checkpoint": lambda path: train.save_checkpoint(path, model=nn.Linear(2, 2)),
    "picture": lambda path: graph.draw(drawn()).save(path),
    "page": lambda path: explore(path, drawn()),
}


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def named(folder, name="file.dot"):
    return folder / name


# -- what a file is, it stays ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o644, 0o666, 0o755])
def test_an_existing_file_keeps_its_permissions(write, tmp_path, umask, permissions):
    path = named(tmp_path)
    path.write_text("old")
    path.chmod(permissions)
    umask(0o077)
    write(path)
    assert mode(path) == permissions
    assert path.read_bytes() not in (b"", b"old")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_a_new_file_has_what_the_umask_leaves(write, tmp_path, umask, mask):
    umask(mask)
    write(named(tmp_path))
    assert mode(named(tmp_path)) == 0o666 & ~mask


def test_links_stay_links(write, tmp_path):
    (tmp_path / "disk").mkdir()
    link, again = named(tmp_path), named(tmp_path, "again.dot")
    link.symlink_to(tmp_path / "disk" / "run")  # leads nowhere yet
    again.symlink_to("file.dot")
    for _ in range(2):
        write(again)
        assert link.is_symlink()
        assert again.is_symlink()
        assert os.listdir(tmp_path / "disk") == ["run"]
    assert sorted(os.listdir(tmp_path)) == ["again.dot", "disk", "file.dot"]


def test_a_circle_of_links_is_left_alone(write, tmp_path):
    named(tmp_path, "a.dot").symlink_to("b.dot")
    named(tmp_path, "b.dot").symlink_to("a.dot")
    with pytest.raises(FileError):
        write(named(tmp_path, "a.dot"))
    assert all(path.is_symlink() for path in tmp_path.iterdir())


def read_while(pipe, write):
    """What comes out of a pipe while ``write`` puts something in."""
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    for _ in range(1000):
        try:
            write(pipe)
            break
        except FileError as error:  # the reader has not opened it yet
            assert error.errno == errno.ENXIO  # noqa: PT017
            time.sleep(0.01)
    reader.join(20)
    return found[0]


def test_a_pipe_gets_the_content_and_stays_a_pipe(write, tmp_path):
    pipe, plain = named(tmp_path), named(tmp_path, "plain.dot")
    os.mkfifo(pipe)
    with pytest.raises(FileError):  # nobody reads it
        write(pipe)
    tg.manual_seed(0)
    found = read_while(pipe, lambda path: (tg.manual_seed(0), write(path)))
    tg.manual_seed(0)
    write(plain)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert found == plain.read_bytes()


def test_a_long_content_waits_for_the_reader_of_a_pipe(tmp_path):
    pipe, content = tmp_path / "pipe", os.urandom(2_000_000)
    os.mkfifo(pipe)
    assert read_while(pipe, lambda path: files.write_whole(path, content)) == content


@pytest.mark.parametrize("device", ["/dev/null", "link"])
def test_a_device_stays_a_device(tmp_path, device):
    path = Path(device) if device != "link" else tmp_path / "link"
    if device == "link":
        path.symlink_to("/dev/null")
    train.save_checkpoint(path, model=nn.Linear(2, 2))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert path.is_symlink() == (device == "link")


def test_standard_output_is_written_to_and_not_replaced(tmp_path):
    code = "from tinygrad_bn import files; files.write_whole('/dev/stdout', b'first\\n'); print('second')"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout == b"first\nsecond\n"
    with open(tmp_path / "out", "wb") as out:
        subprocess.run(command, cwd=ROOT, stdout=out, check=True)
        assert os.path.samestat(os.fstat(out.fileno()), os.stat(tmp_path / "out"))
    assert os.listdir(tmp_path) == ["out"]


# -- old or new, whole ------------------------------------------------------------------------------------------------------


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("function", ["open", "fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_at_any_step_leaves_the_old_file_and_no_other(write, tmp_path, monkeypatch, function, error):
    named(tmp_path).write_text("old")

    def failing(*args, **kwargs):
        raise error

    monkeypatch.setattr(files.os, function, failing)
    with pytest.raises(FileError if isinstance(error, OSError) else KeyboardInterrupt) as raised:
        write(named(tmp_path))
    monkeypatch.undo()
    assert contents(tmp_path) == {"file.dot": b"old"}
    if isinstance(error, OSError):
        assert "No space left on device" in str(raised.value)
        assert raised.value.errno == errno.ENOSPC


def test_a_full_disk(tmp_path):
    with pytest.raises(FileError, match="No space left") as raised:
        files.write_whole("/dev/full", b"x" * 100_000)
    assert isinstance(raised.value, OSError)
    assert isinstance(raised.value, tg.TinygradError)


def test_the_folder_cannot_be_flushed_and_the_file_is_there_nevertheless(tmp_path, monkeypatch):
    real = os.open
    monkeypatch.setattr(files.os, "open", lambda path, *args: real(path, *args) if path != tmp_path else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        files.write_whole(tmp_path / "file", b"x")  # the check below can fail

    def refusing(path, *args):
        if path == tmp_path:
            raise PermissionError(13, "Permission denied")
        return real(path, *args)

    monkeypatch.setattr(files.os, "open", refusing)
    files.write_whole(tmp_path / "file", b"y")
    monkeypatch.undo()
    assert contents(tmp_path) == {"file": b"y"}


def test_the_temporary_name_cannot_be_guessed_and_a_link_planted_there_is_not_followed(tmp_path, monkeypatch):
    seen = set()
    real = os.open

    def note(path, *args):
        seen.add(Path(path).name)
        return real(path, *args)

    monkeypatch.setattr(files.os, "open", note)
    for _ in range(5):
        files.write_whole(tmp_path / "file", b"x")
    temporary = {name for name in seen if name.endswith(".tmp")}
    assert len(temporary) == 5
    assert not any(str(os.getpid()) == part for name in temporary for part in name.split("."))
    monkeypatch.setattr(secrets, "token_hex", lambda size: "guessed")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".file.guessed.tmp").symlink_to(victim)
    with pytest.raises(FileError):
        files.write_whole(tmp_path / "file", b"y")
    assert victim.read_text() == "precious"


def test_nobody_else_can_read_a_private_file_while_it_is_written(tmp_path, monkeypatch, umask):
    path, seen = tmp_path / "file", []
    path.write_text("old")
    path.chmod(0o600)

    def look(handle):
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))

    monkeypatch.setattr(files.os, "fsync", look)
    files.write_whole(path, b"secret")
    assert seen[0] == 0o600


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "name with spaces", "-o", "新しい"])
def test_names_of_any_length_and_letters(tmp_path, name):
    files.write_whole(tmp_path / name, b"x")
    assert contents(tmp_path) == {name: b"x"}


# -- adding to a file -------------------------------------------------------------------------------------------------------


def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    path, link = tmp_path / "log", tmp_path / "link"
    link.symlink_to(path)
    for line in (b"first\n", b"second\n"):
        files.append(link, line)
    assert path.read_bytes() == b"first\nsecond\n"
    assert link.is_symlink()
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)); import signal; "
    limited += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from tinygrad_bn import files; "
    code = f"{limited}\ntry: files.append({str(path)!r}, b'x' * 100)\nexcept files.FileError as e: print(e.errno)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.EFBIG}\n"
    assert path.read_bytes() == b"first\nsecond\n"  # not seven letters more


def test_lines_go_to_devices_and_nowhere_else(tmp_path):
    files.append("/dev/null", b"x")
    with pytest.raises(FileError, match="No space left"):
        files.append("/dev/full", b"x")
    with pytest.raises(FileError, match="cannot be written"):
        files.append(tmp_path / "missing" / "log", b"x")


# -- where no file can be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing/file.dot", "the folder does not exist"), ("a.dot", "is a folder"), ("file.dot/inner.dot", "folder"),
     ("zero\0byte.dot", "cannot be written"), ("x" * 300 + ".dot", "cannot be written")],
)  # fmt: skip
def test_places_that_are_none(write, tmp_path, name, message):
    (tmp_path / "a.dot").mkdir()
    (tmp_path / "file.dot").write_text("old")
    with pytest.raises(FileError, match=message):
        write(os.path.join(tmp_path, name))
    assert sorted(os.listdir(tmp_path)) == ["a.dot", "file.dot"]
    assert (tmp_path / "file.dot").read_text() == "old"


@pytest.mark.parametrize("name", ["missing/file", "folder", "file"])
def test_what_cannot_be_written_is_said_before(tmp_path, name, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("write-protected")
    monkeypatch.setattr(files.os, "access", lambda path, kind: Path(path).name != "file")  # root may write everywhere
    with pytest.raises(FileError):
        files.check_writable(tmp_path / name)
    with pytest.raises(FileError):
        files.write_whole(tmp_path / name, b"x")
    files.check_writable(tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_new_file_is_never_an_old_one(tmp_path, monkeypatch):
    files.write_whole(tmp_path / "file", b"x", new=True)
    with pytest.raises(FileError, match="is there already"):
        files.write_whole(tmp_path / "file", b"y", new=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError, match="is there already"):
        files.write_whole(tmp_path / "link", b"y", new=True)
    monkeypatch.setattr(files.os.path, "lexists", lambda path: False)  # one that appears in between
    with pytest.raises(FileError, match="cannot be written"):
        files.write_whole(tmp_path / "file", b"y", new=True)
    assert (tmp_path / "file").read_bytes() == b"x"
    monkeypatch.setattr(files.os, "replace", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        files.write_whole(tmp_path / "other", b"z", new=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


# -- nobody writes another way ------------------------------------------------------------------------------------------------

OTHER_WAYS = re.compile(
    r"write_text\(|write_bytes\(|mkstemp|os\.replace|\bopen\([^)]*[\"'][wx]b?[\"']|np\.save|savetxt"
)


def other_ways(text):
    return OTHER_WAYS.findall(text)


def test_nothing_in_the_package_writes_another_way():
    assert other_ways("path.write_text(x); open(path, 'w'); open(p, \"xb\"); path.open('x')") != []
    found = {path.name: other_ways(path.read_text("utf-8")) for path in (ROOT / "tinygrad_bn").rglob("*.py")}
    of_a_compiler = {"build.py", "cache.py"}  # in a folder of their own, which nobody else reads
    assert {name for name, ways in found.items() if ways} == {"files.py"} | of_a_compiler


# -- text from elsewhere ------------------------------------------------------------------------------------------------------


def test_messages_hold_no_character_that_steers_a_terminal():
    nasty = "\x1b[31mred\x1b[0m \x9b \x07 \u202e \ud800 \x7f\r"
    for part in ("what", "got", "expected", "fix"):
        said = errors.explain(**{"what": "w", part: nasty})
        assert all(c.isprintable() or c == "\n" for c in said)
        assert "\\x1b[31mred" in said
        assert "\\u202e \\ud800 \\x7f\\r" in said
        said.encode()
    plain = "μ → 新 é\n  got: x̂"
    assert errors.printable(plain) == plain
    with pytest.raises(tg.TinygradError) as raised:
        tg.Tensor(np.ones(2), name=nasty, requires_grad=True).reshape(3)
    assert all(c.isprintable() or c == "\n" for c in str(raised.value))
