"""Something that is no array, given to a layer: told by its type, whatever the layer itself stumbled over."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import DTypeError, TinygradError, explain, is_foreign_array

EXPECTED = "a tensor, or an array of numbers"


def no_array_among(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> DTypeError | None:
    """The error for the first argument of one of our layers that is no array; ``None`` if all are, or the layer is a user's.

    Asked only after ``forward`` failed, so that a call that works costs nothing.
    """
    if not type(layer).forward.__module__.startswith(__name__.rpartition(".")[0]):
        return None
    try:
        given = inspect.signature(layer.forward).bind(*args, **kwargs)
    except TypeError:  # too many arguments, or too few, which Python says itself
        return None
    for name, parameter in given.signature.parameters.items():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or name not in given.arguments:
            continue
        value = given.arguments[name]
        if (value is None and parameter.default is None) or (got := _what_else(value)) is None:
            continue
        what = f"{type(layer).__name__} '{layer._scope}': {name} is no array of numbers"
        return DTypeError(explain(what, got=got, expected=EXPECTED))
    return None


def _what_else(value: Any) -> str | None:
    """What a value is that no layer computes with; ``None`` for one that is an array, or becomes one."""
    if isinstance(value, Variable) or is_foreign_array(value):
        return None
    kind = type(value).__name__
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.asarray(value)
    except TinygradError:
        return None
    except ValueError:
        return f"{kind} whose rows have different lengths"
    if array.dtype.kind in "biufc" or (array.dtype.kind == "O" and array.ndim and _computes(array)):
        return None
    return f"{kind} of dtype {array.dtype}" if array.ndim else kind


def _computes(array: np.ndarray[Any, Any]) -> bool:
    return all(isinstance(element, (Variable, Number)) for element in array.flat)
