"""What a graph is made of: nodes with summaries of their values, and edges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

WHOLE = 64  # arrays up to this many elements are kept whole

KINDS = ("input", "parameter", "buffer", "constant", "intermediate", "output", "forward", "group", "failed")


@dataclass(frozen=True)
class Value:
    """What is remembered of an array.

    Attributes:
        elements: all elements in row-major order, when there are at most 64 of them; whole numbers as ints.
        low: smallest finite element, ``None`` when there is none.
        mean: mean of the finite elements.
        high: largest finite element.
        nonfinite: number of NaN and infinite elements.
    """

    elements: tuple[float, ...] | None
    low: float | None
    mean: float | None
    high: float | None
    nonfinite: int

    @classmethod
    def of(cls, data: Any) -> Value:
        """Summarize a raw value."""
        if isinstance(data, float) and math.isfinite(data):  # a scalar graph has many of these
            return cls(elements=(data,), low=data, mean=data, high=data, nonfinite=0)
        array = np.asarray(data)
        whole = array.dtype.kind in "iub"
        array = array.astype(int) if array.dtype.kind == "b" else array if whole else array.astype(float)
        finite = array if whole else array[np.isfinite(array)]
        some = finite.size > 0
        return cls(
            elements=tuple(array.ravel().tolist()) if array.size <= WHOLE else None,
            low=finite.min().item() if some else None,
            mean=float(finite.mean()) if some else None,
            high=finite.max().item() if some else None,
            nonfinite=int(array.size - finite.size),
        )


@dataclass(frozen=True)
class Node:
    """One variable or constant.

    Attributes:
        id: ``"n0"``, ``"n1"``, ... in order of creation, the same in every run of the same program.
        kind: input, parameter, buffer, constant, intermediate or output; in a backward graph also forward (a value taken
            over from the forward pass); in a folded graph also group (several nodes drawn as one); failed for the operation
            that raised an error.
        name: the user's name, or ``None``.
        op: the primitive that made it, ``None`` for leaves.
        notation: how to write the operation, with ``{0}``, ``{1}`` for its arguments.
        params: the operation's parameters as plain data.
        scope: names of the modules and formulas around it, outermost first.
        shape: as in NumPy; in the graph of a program that is free in its batch size also text, such as "N".
        dtype: NumPy's name of it.
        requires_grad: whether gradients flow to it.
        value: summary of its value, ``None`` in the graph of a program that has not been run.
        grad: summary of its gradient, ``None`` when no backward pass has reached it.
        site: ``"file:line"`` of the code that made it, where that was recorded.
        pair: in a backward graph, the id of the forward node it belongs to.
        rule: in a backward graph, the rule it comes from.
        members: how many nodes a group stands for.
        symbol: what the textbook calls it (``tinygrad_bn.named``), or ``None``.
        label: what pictures call it: its symbol or name, a number, or a letter with a count; no two of a graph are the same.
        calls: for each part of ``scope`` which time it was entered there, 1 for the first.
        times: how many equal parts a group stands for, 1 where they are not equal.
        why: why it has no gradient, or what failed; "" where there is nothing to say.
    """

    id: str
    kind: str
    name: str | None
    op: str | None
    notation: str | None
    params: Mapping[str, Any]
    scope: tuple[str, ...]
    shape: tuple[Any, ...]
    dtype: str
    requires_grad: bool
    value: Value | None
    grad: Value | None = None
    site: str | None = None
    pair: str | None = None
    rule: str | None = None
    members: int = 1
    symbol: str | None = None
    label: str = ""
    calls: tuple[int, ...] = ()
    times: int = 1
    why: str = ""


@dataclass(frozen=True)
class Edge:
    """``source`` is argument number ``slot`` of the operation that made ``target``; x * x has two edges."""

    source: str
    target: str
    slot: int
