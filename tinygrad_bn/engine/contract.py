"""What an operation may be given and may return, apart from variables: raw arguments, parameters, the result of a forward.

Looked at once, where it enters a graph, so that what is remembered for the rules is numbers that nobody can change.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..kinds import Array, Params, Raw, Value
from . import messages

PLAIN = frozenset({bool, int, float, str, tuple, type(None)})
_ALSO_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic, np.dtype, enum.Enum, range)
_NUMBERS = (bool, int, float, np.generic)
_FLOATS = "efdg"


@lru_cache(maxsize=4096)
def plain(*values: Any) -> None:
    """Pass plain values, remembering them, since most calls give those of an earlier one.

    Raises:
        TypeError: something else, which is looked at by ``check_params``, or what has no hash, as a list.
    """
    if not all(map(_is_plain, values)):
        raise TypeError


def check_params(name: str, params: Params) -> None:
    """Refuse parameters that get no gradient (a variable) or can be changed afterwards (a list, an array).

    Raises:
        DTypeError: names the parameter.
    """
    for key, value in params.items():
        if not _is_plain(value):
            raise messages.not_plain(name, key, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_plain, value))
    if isinstance(value, slice):
        return _is_plain((value.start, value.stop, value.step))
    return isinstance(value, _ALSO_PLAIN) or (isinstance(value, type) and issubclass(value, _ALSO_PLAIN))


def keeps_floats(forward: Any) -> bool:
    """Whether a forward surely makes one array of floats from floats: most of NumPy's ufuncs do."""
    if not isinstance(forward, np.ufunc) or forward.nout != 1:
        return False
    signatures = (signature.split("->") for signature in forward.types)
    of_floats = {out for given, out in signatures if not set(given).isdisjoint(_FLOATS)}
    return bool(of_floats) and of_floats.issubset(_FLOATS)


def as_array(name: str, made: Any) -> Array:
    """What a forward returned as an array, if it is numbers.

    Raises:
        RuleError: it is nothing, several things, a variable, text.
    """
    if not isinstance(made, (np.ndarray, *_NUMBERS)) or isinstance(made, np.ma.MaskedArray):
        raise messages.not_an_array(name, made)
    return np.asarray(made)


def as_float(name: str, made: Any) -> float:
    """What a forward for scalars returned as a Python float, if it is a real number."""
    array = as_array(name, made)
    if array.ndim or array.dtype.kind not in "fiub":
        raise messages.not_an_array(name, made)
    return float(array)


def are_floats(name: str, made: Array) -> bool:
    """Whether a result can carry a gradient; integers and booleans cannot.

    Raises:
        RuleError: it is no array of real numbers.
    """
    if made.dtype.kind not in "fiub":
        raise messages.not_an_array(name, made)
    floats: bool = made.dtype.kind == "f"
    return floats


def frozen(array: Array) -> Array:
    """The array itself when nobody can write to it, else a read-only copy."""
    owner: object = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    if owner is not None:
        array = array.copy()
        array.setflags(write=False)
    return array


def as_objects(value: Value) -> Array:
    """An array of objects, among them perhaps scalars, to work through element by element."""
    if isinstance(value, np.ndarray):
        return value if value.dtype == object else value.astype(float).astype(object)
    box = np.empty((), object)
    box[()] = value
    return box


def not_widened(data: Array, values: Sequence[Raw]) -> Array:
    """NumPy 1 lets a Python number widen a 0-d float32 array; undo that."""
    dtypes = [value.dtype for value in values if isinstance(value, np.ndarray)]
    return data.astype(np.result_type(*dtypes), copy=False) if any(dtype.kind == "f" for dtype in dtypes) else data
