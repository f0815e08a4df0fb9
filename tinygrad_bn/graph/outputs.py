"""What a function returned, taken apart: variables in tuples, lists, dicts and dataclasses, and a cotangent for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import ArgumentError, clean, explain


def as_variables(outputs: Any) -> list[Variable]:
    """The variables among the outputs, each once, in order.

    Raises:
        ArgumentError: something in them that is not a variable, by its place.
    """
    return list(keys_of(outputs))


def keys_of(outputs: Any) -> dict[Variable, str | None]:
    """As ``as_variables``, each with the key under which the outputs first hold it, where they do."""
    found: dict[Variable, str | None] = {}
    for variable, key in _leaves(outputs, "", None):
        found.setdefault(variable, key)
    if not found:
        raise _not_a_variable("", outputs)
    return found


def unrecorded(outputs: Any) -> str:
    """Why there is nothing behind an output; "" where there is."""
    variables = as_variables(outputs)
    bare = [v for v in variables if v.is_leaf and not v.requires_grad]
    if not bare:
        return ""
    which = "the output" if len(variables) == 1 else "an output" if len(bare) == 1 else f"{len(bare)} outputs"
    return (
        f"nothing is recorded behind {which}: made by hand, under no_grad(), by detach(), "
        "or of values none of which requires a gradient"
    )


def as_cotangents(outputs: Any, gradient: Any) -> list[Any]:
    """One cotangent for each of ``as_variables``; those of an output that is there twice are added up.

    Args:
        outputs: as for ``as_variables``.
        gradient: arranged as the outputs are; or one for each of them, in order; an array for an array of scalars.
    """
    leaves = [variable for variable, _ in _leaves(outputs, "", None)]
    roots = list(dict.fromkeys(leaves))
    if gradient is None:
        return [None] * len(roots)
    given = _given(outputs, gradient)
    if len(given) == len(roots) < len(leaves):  # one for each of them, however often it is there
        return given
    if len(given) != len(leaves):
        raise ArgumentError(explain("trace(): one cotangent per output", got=len(given), expected=len(leaves)))
    cotangents: dict[Variable, Any] = {}
    for variable, cotangent in zip(leaves, given):
        cotangents[variable] = (
            np.add(_raw(cotangents[variable]), _raw(cotangent)) if variable in cotangents else cotangent
        )
    return list(cotangents.values())


def _raw(cotangent: Any) -> Any:
    return cotangent._data if isinstance(cotangent, Variable) else np.asarray(cotangent)


def _given(outputs: Any, gradient: Any) -> list[Any]:
    """The cotangents in the order of the leaves."""
    if isinstance(outputs, Variable):
        if isinstance(gradient, Variable) or not outputs.is_scalar_kind:
            return [gradient]
        single = isinstance(gradient, (tuple, list)) and len(gradient) == 1
        return [np.reshape(gradient[0] if single else gradient, ())]
    inner = _inside(outputs)
    assert inner is not None  # the leaves have been found
    if isinstance(outputs, np.ndarray):
        given = np.asarray(gradient, dtype=object).ravel().tolist()
    elif isinstance(gradient, Mapping):
        keys = [key for _, key, _ in inner]
        if set(keys) != set(gradient):
            got, expected = (", ".join(clean(str(key)) for key in some) for some in (gradient, keys))
            what = "trace(): cotangents under other keys than the outputs"
            raise ArgumentError(explain(what, got=got, expected=expected))
        given = [gradient[key] for key in keys]
    elif dataclasses.is_dataclass(gradient) and not isinstance(gradient, type):
        given = [getattr(gradient, field.name) for field in dataclasses.fields(gradient)]
    elif len(inner) == 1 and not isinstance(gradient, (tuple, list)):
        given = [gradient]
    elif isinstance(gradient, (tuple, list, np.ndarray)):
        given = list(gradient)
    else:
        got = type(gradient).__name__
        raise ArgumentError(explain("trace(): one cotangent per output", got=got, expected=f"{len(inner)} of them"))
    if len(given) != len(inner):
        return given  # one for each leaf, perhaps
    return [cotangent for (_, _, value), part in zip(inner, given) for cotangent in _given(value, part)]


def _leaves(value: Any, place: str, name: str | None) -> Iterator[tuple[Variable, str | None]]:
    """Every variable, with the key that leads to it; in an array of scalars with its index, too."""
    if isinstance(value, Variable):
        yield value, name
        return
    inner = _inside(value)
    if inner is None:
        raise _not_a_variable(place, value)
    for where, key, part in inner:
        if isinstance(value, np.ndarray):
            called = None if name is None else name + where
        else:
            called = key if isinstance(key, str) else None
        yield from _leaves(part, place + where, called)


def _inside(value: Any) -> list[tuple[str, Any, Any]] | None:
    """The parts of a container: how each is written behind the container, its key, and itself."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.size:
        return [(f"[{', '.join(map(str, i))}]", i, part) for i, part in np.ndenumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f".{f.name}", f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", key, part) for key, part in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(f".{key}", key, part) for key, part in zip(value._fields, value)]
    if isinstance(value, (list, tuple)):
        return [(f"[{i}]", i, part) for i, part in enumerate(value)]
    return None


def _not_a_variable(place: str, value: Any) -> ArgumentError:
    got = "None" if value is None else type(value).__name__
    where = f" at outputs{place[:200]}" if place else ""
    fix = "trace the result of a computation" if not place else "leave it out, or trace what was computed"
    return ArgumentError(explain(f"trace(): variables expected{where}", got=got, fix=fix))
