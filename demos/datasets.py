"""The data files of the demos: found, checked against their SHA-256, loaded.  Sources and licences: demos/data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_bn.engine.errors import explain

Array = np.ndarray[Any, Any]

FOLDER = Path(__file__).resolve().parent / "data"


class DatasetError(Exception):
    """A data file that is missing, or is not the file the figures were measured on."""


@dataclass(frozen=True)
class DataFile:
    """What a data file has to be: its name, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


MNIST = DataFile("mnist.npz", 11_490_519, "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64")


@dataclass(frozen=True)
class Digits:
    """Images of digits as rows of pixels, and their labels.

    Attributes:
        images: float32 of shape (N, 784), each pixel 0 or 1.
        labels: int64 of shape (N,), 0 to 9.
    """

    images: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> Digits:
        return Digits(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Splits:
    """Training images, validation images (held out of MNIST's training set) and MNIST's test images."""

    train: Digits
    validation: Digits
    test: Digits


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


def load_mnist(folder: Path = FOLDER) -> Splits:
    """MNIST with binary pixels (gray value above 127), as the paper's experiment uses it (arXiv:1502.03167, 4.1).

    Every twelfth training image, 5,000 in all, is held out for validation: evenly, because the images come in the order
    of their writers.

    Raises:
        DatasetError: see ``checked``.
    """
    with np.load(checked(MNIST, folder)) as archive:
        known = Digits(_binary(archive["x_train"]), archive["y_train"].astype(np.int64))
        test = Digits(_binary(archive["x_test"]), archive["y_test"].astype(np.int64))
    held_out = np.arange(len(known)) % 12 == 0
    return Splits(known[~held_out], known[held_out], test)


def _binary(images: Array) -> Array:
    return (images.reshape(len(images), -1) > 127).astype(np.float32)
