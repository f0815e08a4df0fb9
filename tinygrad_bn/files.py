"""The one way a file is written: whole or not at all, on the disk itself, and what it was (mode, link, device) kept."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from .errors import FileError, MissingFolderError, explain

FilePath = str | os.PathLike[str]

# Names of what a process has open already: what stands behind them is written to as it is, never replaced.
OPENED = ("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/self/fd/")


def write_whole(path: FilePath, content: bytes, *, new: bool = False) -> Path:
    """Write a file atomically: a reader finds the old content or the new one, never a part.

    It goes to a temporary file in the same folder, which is flushed to the disk and then takes the name; renaming is one
    step for the operating system.  An existing file keeps its permissions and, where the process may give it away, its
    owner; a new one gets those that the umask leaves.  Links are followed and stay.  A pipe or a device is written to
    directly.

    An error or Ctrl-C leaves nothing behind; a process killed in between may leave ``.<name>.<letters>.tmp``, which can
    be deleted.

    Args:
        path: the file.
        content: all of it.
        new: refuse an existing file, even one that appears while this runs.

    Returns:
        The path.

    Raises:
        FileError: the folder does not exist, the disk is full, ...; the old file is as it was.
    """
    try:
        target = _place(path, new)
        if target is None:
            _write_into(path, content)
        else:
            _replace(target, content, new)
    except FileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise _unwritable(path, error) from error
    return Path(path)


def append(path: FilePath, content: bytes) -> None:
    """Add ``content`` at the end of a file, such as a line of a log; all of it or, when the disk is full, nothing.

    Raises:
        FileError: it cannot be written.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            end = 0 if is_pipe_or_device(path) else os.fstat(file.fileno()).st_size
            try:
                left = memoryview(content)
                while left:
                    left = left[file.write(left) :]
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(file.fileno(), end)
                raise
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def check_writable(path: FilePath) -> None:
    """Say now what ``write_whole`` would say later, after hours of work; writes nothing.

    Raises:
        FileError: no such folder, a folder of that name, no permission.
    """
    try:
        _place(path, new=False)
    except FileError:
        raise
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def is_pipe_or_device(path: FilePath) -> bool:
    """Whether what is there takes data as it comes, so that nothing in it can be written over."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _place(path: FilePath, new: bool) -> Path | None:
    """The real place of a file to be written whole, after links; ``None`` for one that is written to directly."""
    if is_pipe_or_device(path) or os.fspath(path).startswith(OPENED):
        return None
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise FileError(explain(f"{path} is a folder", expected="the name of a file", fix="add a name to it"))
    if target.is_symlink():
        raise FileError(explain(f"{path} is a link that leads in a circle", fix="remove the link"))
    if new and os.path.lexists(path):
        raise FileError(explain(f"{path} is there already", fix="choose another name, or move that file away"))
    if not target.parent.is_dir():
        what = f"{path}: the folder does not exist"
        raise MissingFolderError(explain(what, got=str(target.parent), fix="make the folder first"))
    for place in (target, target.parent):
        if place.exists() and not os.access(place, os.W_OK):
            raise FileError(explain(f"{path} cannot be written", got=f"no permission to write to {place}"))
    return target


def _replace(target: Path, content: bytes, new: bool) -> None:
    before = os.stat(target) if target.exists() else None
    # Nobody can guess the name, and O_EXCL refuses a link planted there.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.tmp")
    reserved = False
    try:
        if new:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            reserved = True
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        handle = os.open(temporary, flags, 0o666 if before is None else 0o600)  # nobody reads it before it is whole
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            _take_over(temporary, before)
        os.replace(temporary, target)
    except BaseException:
        for leftover in (temporary, *([target] if reserved else [])):
            leftover.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every system can open or flush a folder; the file itself is there, whole
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, too, is on the disk
        finally:
            os.close(folder)


def _take_over(temporary: Path, before: os.stat_result) -> None:
    """Owner and permissions of the file that is going to be replaced."""
    now = os.stat(temporary)
    if hasattr(os, "chown") and (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with suppress(OSError):  # only root can give a file away
            os.chown(temporary, before.st_uid, before.st_gid)
    os.chmod(temporary, stat.S_IMODE(before.st_mode) & 0o777)


def _write_into(path: FilePath, content: bytes) -> None:
    """Write to a pipe or a device; a pipe that nobody reads is an error instead of a wait without end."""
    handle = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "wb") as file:
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(handle, True)
        file.write(content)


def _unwritable(path: FilePath, error: OSError | ValueError) -> FileError:
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    found = FileError(explain(f"{path} cannot be written", got=said))
    found.errno = error.errno if isinstance(error, OSError) else None
    return found
