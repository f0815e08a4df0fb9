"""What the options say of a program's arguments: shapes of random tensors, or the numbers themselves."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, explain
from ..files import is_pipe_or_device
from ..tensor import Tensor

LARGEST = 10**8  # numbers; more than a picture can be about
KINDS = {"float": np.float64, "float32": np.float32, "float64": np.float64, "int": np.int64, "bool": np.bool_}

Array = np.ndarray[Any, Any]
Maker = Callable[[np.random.Generator], Array]


def named_for(path: Path, endings: tuple[str, ...], content: str) -> Path:
    """The path to write to, if its name says what will be in it: an ONNX file called net.svg is opened as a picture.

    Args:
        path: as the user gave it.
        endings: the ones that promise this content; a pipe or a device has no ending.
        content: what would be written, for the message.

    Raises:
        ArgumentError: another ending, or none.
    """
    if path.suffix.lower() not in endings and not is_pipe_or_device(path):
        fix = f"-o {path.with_suffix(endings[0])}" if path.name else None
        expected = f"a file ending in {' or '.join(endings)}"
        raise ArgumentError(explain(f"-o: this would be {content}", got=str(path), expected=expected, fix=fix))
    return path


def whole(least: int) -> Callable[[str], int]:
    """For ``add_argument(type=...)``: a whole number from ``least`` on."""

    def number(text: str) -> int:
        value = int(text) if text.strip().lstrip("+-").isdecimal() else least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= {least}")
        return value

    return number


def shape(text: str) -> Maker:
    """``8,3`` or ``8,3:int``: an argument of random numbers; whole numbers are 0 and 1, which are classes of any model."""
    sizes, _, kind = text.partition(":")
    parts = [part.strip() for part in sizes.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts) or (kind or "float") not in KINDS:
        kinds = ", ".join(KINDS)
        raise argparse.ArgumentTypeError(f"{text!r} is not a shape such as 8,3 or 8,3:int (kinds: {kinds})")
    found = tuple(int(part) for part in parts)
    if math.prod(found) > LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} has {math.prod(found):.2g} numbers, more than {LARGEST:.0e}")
    dtype = np.dtype(KINDS[kind or "float"])

    def make(rng: np.random.Generator) -> Array:
        drawn = rng.standard_normal(found) if dtype.kind == "f" else rng.integers(2, size=found)
        return np.asarray(drawn, dtype)

    return make


def numbers(text: str) -> Maker:
    """``1,2;3,4``: the numbers of an argument, rows separated by semicolons; or a file that ``numpy.save`` wrote."""
    array = _loaded(text) if text.endswith(".npy") else _written(text)
    if array.dtype.kind not in "fiub":
        raise argparse.ArgumentTypeError(f"{text!r} holds no real numbers (dtype {array.dtype})")
    return lambda rng: array


def _written(text: str) -> Array:
    rows = [[part.strip() for part in row.split(",")] for row in text.split(";")]
    try:
        if all(part.lstrip("+-").isdecimal() for row in rows for part in row):
            array = np.array([[int(part) for part in row] for row in rows])
        else:
            array = np.array([[float(part) for part in row] for row in rows])
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not numbers such as 0,1,2 or 0.5,1;2,3, nor a .npy file"
        ) from None
    return array if ";" in text else array[0]


def _loaded(text: str) -> Array:
    try:
        return np.asarray(np.load(Path(text), allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read: {error}") from None


def as_tensor(array: Array, name: str) -> Tensor:
    """The argument; what is no floating-point number has no gradient."""
    return Tensor(array, requires_grad=array.dtype.kind == "f", name=name)
