"""Every error the library raises on purpose, and the one way its messages are laid out.

A message says what happened and where, what was got, what was expected, and what to do.  Each class also inherits from
the built-in exception that NumPy or PyTorch would raise, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.ma import MaskedArray

LONGEST = 40  # characters of a user's name that are shown


class TinygradError(Exception):
    """Base of all errors of this library."""


class ShapeError(TinygradError, ValueError):
    """Shapes or axes that do not fit the operation."""


class ArgumentError(TinygradError, ValueError):
    """An argument outside what the operation accepts."""


class MatrixError(ArgumentError, LinAlgError):
    """A matrix that the operation has no result for: a singular one to invert, one that is not positive definite."""


class IndexingError(TinygradError, IndexError):
    """An index outside the array, or of a kind that cannot index it."""


class DTypeError(TinygradError, TypeError):
    """A dtype or a type of value that cannot take part, such as a gradient for integers."""


class NoDerivativeError(TinygradError, TypeError):
    """A function that this library does not differentiate was called on one of its variables."""


class GraphError(TinygradError, RuntimeError):
    """The recorded graph cannot be used this way (no gradient wanted, used twice, ...)."""


class GraphWarning(UserWarning):
    """A value that is being recorded was implicitly converted to a plain number."""


class MutationError(GraphError):
    """A value was changed after an operation recorded it and before that operation's rule ran."""


class RecordingError(TinygradError, RuntimeError):
    """A function that cannot be recorded as a program, or a program that cannot run on what it was given."""


class RuleError(TinygradError, RuntimeError):
    """A primitive's derivative rule broke its contract (arity, shape, dtype, ``None``)."""


class AnomalyError(TinygradError, FloatingPointError):
    """Anomaly mode: the first operation that made a NaN or an infinity."""


class CollectiveError(TinygradError, RuntimeError):
    """Processes that work together and do not do the same: one calls an all-reduce, another something else, or has ended."""


class FileError(ArgumentError, OSError):
    """A file that cannot be written where it was asked for; ``errno`` says why, if the operating system did."""


class MissingFolderError(FileError, FileNotFoundError):
    """The folder of a file to be written does not exist."""


class MissingPackageError(TinygradError, ImportError):
    """A package that this library does without until it is needed, such as one that only an extra brings."""


class CompilerError(TinygradError, RuntimeError):
    """The C compiler refused a program, took too long, or what it built cannot be loaded."""


class MissingCompilerError(CompilerError):
    """No C compiler was found."""


class GradcheckError(TinygradError, AssertionError):
    """A derivative rule disagrees with the numerical derivative."""


def explain(what: str, *, got: object = None, expected: object = None, fix: str | None = None) -> str:
    """Lay out an error message; lines without content are left out, and characters that steer a terminal are spelled out."""
    lines = [what]
    for label, content in (("got", got), ("expected", expected), ("to fix", fix)):
        if content is not None:
            lines.append(f"  {label + ':':<10}{content}")
    return printable("\n".join(lines))


def printable(text: str) -> str:
    """The text with what is neither printable nor a line's end as an escape: a name from a file may hold anything.

    Control characters would steer the terminal, marks of direction would show another text than there is, and half a
    surrogate pair could not be written at all.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def missing_package(what: str, package: str, install: str) -> MissingPackageError:
    """The error that says what to install."""
    return MissingPackageError(explain(f"{what} needs the package {package}", fix=f"pip install {install}"))


def unmasked(value: Any, what: str) -> Any:
    """The value, unless it is a masked array: as an array or a tensor it would lose its mask, and a hidden 99 would count.

    Raises:
        DTypeError: a masked array.
    """
    if isinstance(value, MaskedArray):
        fix = "x.filled(value) puts numbers in the place of what is masked"
        raise DTypeError(explain(f"{what}: a masked array would lose its mask", got=type(value).__name__, fix=fix))
    return value


def is_foreign_array(value: Any) -> bool:
    """Whether a value is an array of another library than NumPy, such as a torch.Tensor."""
    return hasattr(type(value), "__dlpack__") and not isinstance(value, (np.ndarray, np.generic))


def native(value: Any, what: str) -> Any:
    """The value, unless it is a masked array, or another library's array, which would be copied, perhaps from a GPU.

    Raises:
        DTypeError: such an array.
    """
    if is_foreign_array(value):
        got = f"{type(value).__module__}.{type(value).__qualname__}"
        fix = "numpy.asarray(x) makes a NumPy array of it; program.record(...).run(x, xp=...) computes with it as it is"
        raise DTypeError(explain(f"{what}: an array of another library", got=got, fix=fix))
    return unmasked(value, what)


def clean(text: str, longest: int = LONGEST) -> str:
    """A name fit to be shown: what is not printable replaced, and not too long."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: longest + 1])
    if not safe.strip():
        return "(blank)"
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: letters of Chinese and the like two, combining marks none."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
