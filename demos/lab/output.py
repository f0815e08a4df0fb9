"""Where demos write: a folder checked before the work starts, and files written atomically."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tinygrad_bn import files
from tinygrad_bn.errors import FileError, explain


class OutputError(Exception):
    """A folder that cannot be made or written to."""


def prepare(folder: Path) -> Path:
    """The folder, made if need be, and tried: a file is written to it and removed.

    Raises:
        OutputError: says why not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = "give a folder that can be written to: --out DIR"
        raise OutputError(explain(f"cannot write to {folder}", got=error.strerror, fix=fix)) from error
    return folder


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let ``write`` make the file in a folder of its own, under the same name, and put what it made in its place.

    Raises:
        OutputError: nothing was written, the disk is full, ...; what stood at ``path`` before still does.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / path.name
            write(made)
            return files.write_whole(path, made.read_bytes())
    except FileError as error:
        raise OutputError(str(error)) from error
    except OSError as error:
        raise OutputError(explain(f"cannot write {path}", got=error.strerror or error)) from error
