"""Where the data files are, and the check that each is the one the figures were measured on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_bn.errors import explain

Array = np.ndarray[Any, Any]

FOLDER = Path(__file__).resolve().parent.parent / "data"


class DatasetError(Exception):
    """A data file that is missing, or is not the file the figures were measured on."""


@dataclass(frozen=True)
class DataFile:
    """What a data file has to be: its name, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


def checked(file: DataFile, folder: Path = FOLDER) -> Path:
    """The path of a data file that is there and unaltered.

    Raises:
        DatasetError: the file is missing, cannot be read, is shorter or longer than it should be, or differs.
    """
    path = folder / file.name
    fix = f"restore it from the repository: git checkout -- demos/data/{file.name}"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DatasetError(explain(f"{path}: no such file", expected=f"{file.size} bytes", fix=fix)) from None
    except OSError as error:
        raise DatasetError(explain(f"{path}: cannot be read: {error.strerror}", fix=fix)) from error
    if len(content) != file.size:
        state = "truncated" if len(content) < file.size else "altered"
        raise DatasetError(
            explain(f"{path}: the file is {state}", got=f"{len(content)} bytes", expected=f"{file.size} bytes", fix=fix)
        )
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DatasetError(
            explain(
                f"{path}: the file is altered", got=f"sha256 {found}", expected=f"sha256 {file.sha256}", fix=fix
            )
        )  # fmt: skip
    return path
