"""Every error the library raises on purpose, and the one way its messages are laid out.

A message says what happened and where, what was got, what was expected, and what to do.  Each class also inherits from
the built-in exception that NumPy or PyTorch would raise, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import unicodedata

LONGEST = 40  # characters of a user's name that are shown


class TinygradError(Exception):
    """Base of all errors of this library."""


class ShapeError(TinygradError, ValueError):
    """Shapes or axes that do not fit the operation."""


class ArgumentError(TinygradError, ValueError):
    """An argument outside of what the operation accepts."""


class IndexingError(TinygradError, IndexError):
    """An index outside of the array, or of a kind that cannot index it."""


class DTypeError(TinygradError, TypeError):
    """A dtype or a type of value that cannot take part, such as a gradient for integers."""


class NoDerivativeError(TinygradError, TypeError):
    """A function that this library does not differentiate was called on one of its variables."""


class GraphError(TinygradError, RuntimeError):
    """The recorded graph cannot be used this way (no gradient wanted, used twice, ...)."""


class MutationError(GraphError):
    """A value was changed after an operation recorded it and before that operation's rule ran."""


class RecordingError(TinygradError, RuntimeError):
    """A function that cannot be recorded as a program, or a program that cannot run on what it was given."""


class RuleError(TinygradError, RuntimeError):
    """A primitive's derivative rule broke its contract (arity, shape, dtype, ``None``)."""


class AnomalyError(TinygradError, FloatingPointError):
    """Anomaly mode: the first operation that made a NaN or an infinity."""


class GradcheckError(TinygradError, AssertionError):
    """A derivative rule disagrees with the numerical derivative."""


def explain(what: str, *, got: object = None, expected: object = None, fix: str | None = None) -> str:
    """Lay out an error message; lines without content are left out."""
    lines = [what]
    for label, content in (("got", got), ("expected", expected), ("to fix", fix)):
        if content is not None:
            lines.append(f"  {label + ':':<10}{content}")
    return "\n".join(lines)


def clean(text: str, longest: int = LONGEST) -> str:
    """A name fit to be shown: no control or formatting characters, no lone surrogates, and not too long."""
    safe = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp") else c
        for c in text[: longest + 1]
    )
    if not safe.strip():
        return "(blank)"
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"
