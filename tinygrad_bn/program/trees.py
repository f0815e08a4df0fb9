"""Nested tuples, lists and dicts of values, taken apart into a flat list and put together again.

The plan of a tree is plain data, as JSON has it: ``"value"``; ``["scalars", shape]`` for an array of scalars, one value an
element; ``["tuple", plan, ...]``, ``["list", plan, ...]``, ``["dict", {name: plan}]``; ``["same", constant]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import RecordingError, explain, is_foreign_array, native

VALUE = "value"
FIXED = (bool, np.bool_, str, bytes, slice, range, type(None), np.dtype)  # what nobody changes


def take_apart(tree: Any) -> tuple[list[Any], Any]:
    """The leaves of a tree (variables, arrays, numbers), and its plan."""
    leaves: list[Any] = []
    return leaves, _plan(tree, leaves)


def _plan(tree: Any, leaves: list[Any]) -> Any:
    if isinstance(tree, np.ndarray) and tree.dtype == object:
        leaves.extend(tree.ravel().tolist())
        return ["scalars", list(tree.shape)]
    if isinstance(tree, (Variable, np.ndarray, np.number)) or (
        isinstance(tree, (float, int)) and not isinstance(tree, bool)
    ):
        leaves.append(tree)
        return VALUE
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        fix = "pass or return a plain tuple or a dict"
        raise RecordingError(
            explain("record(): a program does not know named tuples", got=type(tree).__name__, fix=fix)
        )
    if isinstance(tree, (tuple, list)):
        return ["tuple" if isinstance(tree, tuple) else "list", *(_plan(part, leaves) for part in tree)]
    if isinstance(tree, dict):
        other = next((key for key in tree if not isinstance(key, str)), None)
        if other is not None:
            raise RecordingError(
                explain("record(): the keys of a dict are text", got=repr(other), fix=f"{str(other)!r}")
            )
        return ["dict", {key: _plan(part, leaves) for key, part in tree.items()}]
    return ["same", native(tree, "record()")]


def refuse_made(plan: Any, other: Any) -> None:
    """Refuse a result with an object that the function makes, as two recordings show: it would be the first one in each run.

    Raises:
        RecordingError: there is such an object.
    """
    if isinstance(plan, dict) and isinstance(other, dict):
        for key in plan.keys() & other.keys():
            refuse_made(plan[key], other[key])
    elif isinstance(plan, list) and isinstance(other, list):
        if plan[:1] != ["same"]:
            for one, another in zip(plan, other):
                refuse_made(one, another)
        elif other[:1] == ["same"] and plan[1] is not other[1] and not isinstance(plan[1], FIXED):
            got = f"a {type(plan[1]).__name__}, which the function makes"
            fix = "return tensors and numbers in tuples, lists and dicts"
            raise RecordingError(explain("record(): a program cannot return this", got=got, fix=fix))


def by_plan(plan: Any, tree: Any, name: str = "the arguments") -> list[Any]:
    """The leaves of a tree that has to fit a plan; an array of numbers fits in place of an array of scalars.

    Raises:
        RecordingError: it does not.
    """
    if plan == VALUE:
        if not isinstance(tree, (Variable, np.ndarray, np.number, float, int)) and not is_foreign_array(tree):
            try:
                tree = np.asarray(tree)
            except ValueError:
                raise _misfit(name, type(tree).__name__, "a number or an array") from None
        return [tree]
    kind, *parts = plan
    if kind == "scalars":
        shape = tuple(parts[0])
        array = np.asarray(tree.data if isinstance(tree, Variable) else tree)
        if array.shape != shape:
            raise _misfit(name, f"shape {array.shape}", f"shape {shape}")
        found: list[Any] = array.ravel().tolist()
        return found
    if kind == "same":
        if tree is not parts[0] and tree != parts[0]:
            raise _misfit(name, repr(tree), f"{parts[0]!r}, as at the recording")
        return []
    wanted = {"tuple": tuple, "list": list, "dict": dict}[kind]
    if not isinstance(tree, wanted):
        raise _misfit(name, type(tree).__name__, f"a {kind}")
    if kind == "dict":
        if tree.keys() != parts[0].keys():
            raise _misfit(name, ", ".join(map(str, tree)), ", ".join(parts[0]))
        return [leaf for key, part in parts[0].items() for leaf in by_plan(part, tree[key], f"{name}.{key}")]
    if len(tree) != len(parts):
        raise _misfit(name, f"{len(tree)} values", f"{len(parts)}")
    return [leaf for i, (part, one) in enumerate(zip(parts, tree)) for leaf in by_plan(part, one, f"{name}[{i}]")]


def _misfit(name: str, got: str, expected: str) -> RecordingError:
    fix = "give arguments like those it was recorded for, or record the function again"
    return RecordingError(explain(f"program.run: {name}", got=got, expected=expected, fix=fix))


def put_together(plan: Any, leaves: Iterator[Any], scalars: bool = False) -> Any:
    """The tree of a plan.

    Args:
        plan: what ``take_apart`` returned.
        leaves: its values in order.
        scalars: whether elements of an array of scalars are variables (else floats).
    """
    if plan == VALUE:
        return next(leaves)
    kind, *parts = plan
    if kind == "scalars":
        shape = tuple(parts[0])
        flat = [next(leaves) for _ in range(math.prod(shape))]
        array = np.empty(len(flat), object if scalars else float)
        array[:] = flat
        return array.reshape(shape)
    if kind == "dict":
        return {name: put_together(part, leaves, scalars) for name, part in parts[0].items()}
    if kind == "same":
        return parts[0]
    found = [put_together(part, leaves, scalars) for part in parts]
    return tuple(found) if kind == "tuple" else found


def names(plan: Any, name: str) -> Iterator[str]:
    """A name for every leaf of a plan."""
    if plan == VALUE:
        yield name
        return
    kind, *parts = plan
    if kind == "scalars":
        for index in np.ndindex(*parts[0]):
            yield f"{name}[{', '.join(map(str, index))}]" if index else name
    elif kind == "dict":
        for key, part in parts[0].items():
            yield from names(part, f"{name}.{key}")
    elif kind != "same":
        for i, part in enumerate(parts):
            yield from names(part, f"{name}[{i}]")
