"""Writing a file so that at any moment the old one or the new one is there, whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ..errors import ArgumentError, explain

FilePath = str | os.PathLike[str]


def check_folder(path: FilePath) -> Path:
    """The real place of a file to be written, after links.

    Raises:
        ArgumentError: its folder does not exist.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise ArgumentError(explain(f"{path}: the folder does not exist", got=str(target.parent), fix="make it first"))
    return target


def write_atomically(path: FilePath, data: bytes) -> None:
    """Put ``data`` into the file ``path``, on the disk itself when this returns.

    The data goes to a temporary file in the same folder, which is flushed to the disk and then takes the name; renaming
    is one step for the operating system.  A process killed in between may leave ``.<name>.<numbers>.tmp`` behind, which
    can be deleted.

    Raises:
        ArgumentError: the folder does not exist.
        OSError: the operating system's own, such as a full disk; the old file is still there then.
    """
    target = check_folder(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # not on Windows, where a folder cannot be opened
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the new name, too, is on the disk
        finally:
            os.close(folder)
