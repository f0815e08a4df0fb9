"""What ``.data`` of a leaf hands out: its array, which says what to write where somebody tries to change it in place.

NumPy would only say that the output array is read-only.  Whatever is computed from it is a plain array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kinds import Array
from . import messages

if TYPE_CHECKING:
    from .variable import Variable


class ReadOnlyArray(np.ndarray[Any, Any]):
    """A view of the array of a leaf; see the module."""

    __array_priority__ = -1.0  # a plain array beside it decides the kind of the result

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.get("out", ())
        for target in inputs[:1] if method == "at" else out:
            _check(target)
        if out:
            kwargs["out"] = tuple(map(_plain, out))
        return getattr(ufunc, method)(*map(_plain, inputs), **kwargs)

    def __reduce__(self) -> Any:
        return _plain(self).__reduce__()

    def __repr__(self) -> str:
        return repr(_plain(self))

    def copy(self, order: Any = "C") -> Array:  # type: ignore[override]
        """A plain array to write to."""
        return np.array(self, order=order)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        """A plain array of another dtype."""
        return _plain(self).astype(*args, **kwargs)


def _refusing(name: str) -> Callable[..., Any]:
    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        _check(self)
        return getattr(np.ndarray, name)(self, *args, **kwargs)

    return method


for _name in ("__setitem__", "fill", "partition", "put", "resize", "sort"):
    setattr(ReadOnlyArray, _name, _refusing(_name))


def shown(leaf: Variable) -> Array:
    """The array of a leaf as ``.data`` hands it out: the same object until the leaf gets another value."""
    extras, data = leaf._extra(), leaf._data
    if extras.shown is None or extras.shown[0] is not data:
        extras.shown = data, data.view(ReadOnlyArray)
    return extras.shown[1]


def _check(array: Any) -> None:
    if isinstance(array, ReadOnlyArray) and not array.flags.writeable:
        raise messages.read_only()


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, ReadOnlyArray) else value
