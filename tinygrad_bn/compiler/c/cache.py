"""Files that the next process finds again: made once, kept in a folder that nobody else can write to.

It is ``tinygrad-bn`` in the user's cache folder.  A file's name has two parts, the hash of what it was made of and the hash of
its content, so one that is cut off, changed or another's is recognized, removed and made anew.  It is made in a new folder
inside and gets its name in one step: who is interrupted, killed, or makes the same beside another process harms nobody.

Where the cache folder is of no use (read-only, full, open to others), a ``CacheWarning`` says why, and a temporary folder of
this process serves.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import platform
import secrets
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ...errors import CompilerError, explain

MOST = 1000  # files that are kept; the oldest go first
DEAD = 3600.0  # seconds after which nobody works in a new folder any more
PROCESSOR = ("cpu family", "model", "model name", "flags", "Features", "CPU implementer", "CPU part", "isa")

Result = TypeVar("Result")


class CacheWarning(UserWarning):
    """Compiled programs cannot be kept for the next process."""


def cached(
    origin: object, suffix: str, make: Callable[[Path], Path], read: Callable[[Path], Result]
) -> tuple[Result, Path, bool]:
    """What ``read`` makes of a kept file, or of a new one.

    Args:
        origin: all that the file depends on besides the processor, with a ``repr`` that tells it.
        suffix: of its name.
        make: given a new folder, makes the file in there.
        read: given the file; OSError and ValueError mean that it is of no use.

    Returns:
        The result, the file, and whether it was there.

    Raises:
        CompilerError: it can be written or read neither in the cache folder nor in a temporary one.
    """
    key = _hash(repr((origin, processor())).encode())
    folder = cache_folder()
    try:
        if not folder.is_absolute():
            raise FileNotFoundError(0, "there is no home folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _find_or_make(_private(folder.resolve()), key, suffix, make, read)
    except OSError as error:
        what = f"compiled programs cannot be kept for the next process in {folder}"
        got = error.strerror or "what is built there cannot be loaded"
        fix = "set XDG_CACHE_HOME to a folder that only you can write to"
        warnings.warn(explain(what, got=got, fix=fix), CacheWarning, stacklevel=1)  # one place: Python says it once
    try:
        return _find_or_make(_temporary_folder(), key, suffix, make, read)
    except OSError as error:
        raise CompilerError(explain("a compiled program cannot be written or loaded", got=str(error))) from error


def cache_folder() -> Path:
    """Where files are kept; it need not be there."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        usual = {"darwin": "~/Library/Caches", "win32": os.environ.get("LOCALAPPDATA", "~/AppData/Local")}
        base = os.path.expanduser(usual.get(sys.platform, "~/.cache"))
    return Path(base, "tinygrad-bn")


@functools.cache
def processor() -> str:
    """What machine code made for this very processor depends on; empty where the system does not tell."""
    found = []
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():  # the second one begins
                break
            found += [line] if line.partition(":")[0].strip() in PROCESSOR else []
    return "".join([platform.machine(), "\n", *found]) if found else ""


def _find_or_make(
    folder: Path, key: str, suffix: str, make: Callable[[Path], Path], read: Callable[[Path], Result]
) -> tuple[Result, Path, bool]:
    for path in sorted(folder.glob(f"{key}-*{suffix}")):
        with suppress(OSError, ValueError):  # another process may have removed it
            if path == _name(folder, key, path):
                return read(path), path, True
            path.unlink()
    _clear(folder)
    place = folder / f"new-{secrets.token_hex(16)}"
    try:
        place.mkdir(mode=0o700)
        made = make(place)
        path = _name(folder, key, made)
        os.replace(made, path)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return read(path), path, False


def _name(folder: Path, key: str, file: Path) -> Path:
    return folder / f"{key}-{_hash(file.read_bytes())}{file.suffix}"


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=20).hexdigest()


def _clear(folder: Path) -> None:
    """Remove what the killed left, and the oldest files of too many."""
    with suppress(OSError):  # another process may do the same
        for place in folder.glob("new-*"):
            if place.stat().st_mtime < time.time() - DEAD:
                shutil.rmtree(place, ignore_errors=True)
        for path in sorted(folder.glob("*-*.*"), key=lambda path: path.stat().st_mtime)[:-MOST]:
            path.unlink()


def _private(folder: Path) -> Path:
    """The folder, closed to all others; refused if somebody else may have been in it, or could put another in its place."""
    if hasattr(os, "getuid"):  # otherwise the system has no such permissions
        found = folder.stat()
        above = [place.stat().st_mode for place in folder.parents]
        if found.st_uid != os.getuid():
            raise PermissionError(0, "it belongs to someone else")
        if found.st_mode & 0o022 or any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in above):
            raise PermissionError(0, "others can write to it, or to a folder above it")
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    return folder


_temporary: list[Path] = []


def _temporary_folder() -> Path:
    """A folder of this process, removed at its end."""
    if not _temporary or not _temporary[-1].is_dir():
        _temporary.append(_private(Path(tempfile.mkdtemp(prefix="tinygrad-bn-")).resolve()))
        atexit.register(_remove, _temporary[-1], os.getpid())
    return _temporary[-1]


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not at the end of a process forked from it
        shutil.rmtree(folder, ignore_errors=True)
