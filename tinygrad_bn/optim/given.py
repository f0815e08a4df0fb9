"""Parameters as they are given to optimizers and clipping: a tensor, a list, a generator; or something that is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..engine import Variable
from ..errors import ArgumentError, explain


def listed(what: str, params: Any) -> list[Any]:
    """What was given, as a list.

    Raises:
        ArgumentError: a module, an object that is not a collection, or an exhausted generator.
    """
    if isinstance(params, Variable):
        return [params]
    if not hasattr(params, "__iter__") or callable(getattr(params, "parameters", None)):
        expected = "tensors, or groups of them"
        raise ArgumentError(
            explain(f"{what}: these are no parameters", got=_short(params), expected=expected, fix="model.parameters()")
        )
    if isinstance(params, Mapping):
        got = f"a dict of {', '.join(map(repr, list(params)[:3]))}"
        fix = "model.parameters(), model.named_parameters(), or the dict's .values()"
        raise ArgumentError(explain(f"{what}: these are no parameters", got=got, expected="tensors in a list", fix=fix))
    given = list(params)
    if not given and isinstance(params, Iterator):
        fix = "call model.parameters() again, or keep list(model.parameters())"
        raise ArgumentError(explain(f"{what}: no parameters", got="a generator that is used up, or empty", fix=fix))
    return given


def _short(value: Any) -> str:
    text = repr(value).split("\n")[0]
    return f"{type(value).__name__}, {text}" if len(text) < 60 else type(value).__name__
