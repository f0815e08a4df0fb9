"""Operations on several processes, with rules like any others.

What is differentiated is the sum of the scalars that all ranks call ``backward`` on.  Then summing over ranks is its own
transpose: the cotangent of what every rank got is the sum of what all of them send back.  Every rule is written in these
operations and the library's others, so derivatives of any order come out, and every rank runs the same exchanges in them.

A recording (``program.record``) exchanges nothing: its values are used for nothing but their shapes, and are those that
there would be if all ranks had what this one has.  Its runs exchange.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..engine import Primitive, Variable, shape_of
from ..engine.mode import current_mode, current_scope
from ..errors import ArgumentError, CollectiveError, DTypeError, ShapeError, explain, unmasked
from ..kinds import Array, Raw, Value
from ..ops import divide, equal, where
from ..tensor import Scalar, Tensor
from .world import world

BACK = "backward of "


def all_reduce(x: Value, op: Literal["sum", "mean", "max"] = "sum") -> Value:
    """The sum, mean or maximum over all ranks, element by element, on each of them.

    Args:
        x: the same shape and dtype on every rank.
        op: ``"sum"``; ``"mean"``, in which each rank counts the same; ``"max"``, whose gradient is split equally among
            ties.

    Raises:
        CollectiveError: another rank does something else, or has another shape or dtype.
        DTypeError: booleans.
    """
    if op not in ("sum", "mean", "max"):
        raise ArgumentError(explain("all_reduce: op", got=repr(op), expected="'sum', 'mean' or 'max'"))
    x = _given(x, "all_reduce")
    if op == "max":
        return all_reduce_max(x, at=_here())
    total = all_reduce_sum(x, at=_here())
    return total if op == "sum" else divide(total, float(world().size))


def broadcast(x: Value, root: int = 0) -> Value:
    """The value that rank ``root`` has, on all ranks; the gradients of all of them go back to it.

    Args:
        x: the same shape and dtype on every rank.
        root: whose value.

    Raises:
        CollectiveError: as for ``all_reduce``.
        ArgumentError: no such rank.
    """
    if not isinstance(root, (int, np.integer)) or isinstance(root, bool) or not 0 <= root < world().size:
        raise ArgumentError(explain("broadcast: root", got=repr(root), expected=f"a rank, 0 to {world().size - 1}"))
    return broadcast_from(_given(x, "broadcast"), root=int(root), at=_here())


def all_gather(x: Value) -> Value:
    """The rows of all ranks one below the other, in the order of ranks.

    Args:
        x: shape (n, ...), n of each rank its own, the other axes the same everywhere.  In a recorded program every rank
            has as many rows.

    Raises:
        CollectiveError: as for ``all_reduce``.
        ShapeError: no rows, such as a single number.
    """
    if not shape_of(x):
        raise ShapeError(explain("all_gather: no rows", got="shape ()", expected="(n, ...)", fix="x.reshape(1)"))
    x = _given(x, "all_gather")
    return all_gather_rows(x, even=current_mode().tape is not None, at=_here())


def _given(x: Value, what: str) -> Value:
    """Numbers that can be sent; in a recording a variable, so that what the ranks send becomes part of the program."""
    if isinstance(x, Variable):
        return x
    if type(x) in (float, int):
        return Scalar(float(x), requires_grad=False) if current_mode().tape is not None else float(x)
    array = np.asarray(unmasked(x, what))
    if array.dtype.kind not in "fiu":
        fix = "x.astype(int)"
        raise DTypeError(
            explain(f"{what} of numbers", got=f"dtype {array.dtype}", expected="floats or integers", fix=fix)
        )
    return Tensor(array) if current_mode().tape is not None else array


def _here() -> str:
    """Where in the model, so that ranks that are at different places notice."""
    scope = current_scope()
    return "" if scope is None else "/".join(scope.path)


def _said(name: str, at: str) -> str:
    return f"{name}, {at}," if at else name


# -- the primitives -------------------------------------------------------------------------------------------------------


def _dry() -> bool:
    return current_mode().tape is not None


def _reduced(largest: bool, name: str, x: Raw, at: str) -> Raw:
    return _alike(largest, x) if _dry() else world().reduce(x, largest, _said(name, at))


def _number(largest: bool, name: str, x: float, at: str) -> float:
    return _alike(largest, x) if _dry() else float(world().reduce(np.array(x), largest, _said(name, at)))


def _alike(largest: bool, x: Any) -> Any:
    return x * 1 if largest else x * world().size


def _max_rule(g: Value, out: Value, x: Value, at: str) -> Value:
    """Split equally among the ranks whose element it is."""
    there = equal(x, out)
    many = all_reduce_sum(where(there, 1.0, g * 0.0), at=f"ties in {at}")
    return where(there, all_reduce_sum(g, at=BACK + at) / many, 0.0)


def _sent(x: Raw, root: int, at: str) -> Raw:
    return np.array(x) if _dry() else world().send(x, root, _said("broadcast", at))


def _sent_rule(g: Value, out: Value, x: Value, root: int, at: str) -> Value:
    total = all_reduce_sum(g, at=BACK + at)
    return total if world().rank == root else where(False, total, 0.0)


def _gathered(x: Array, even: bool, at: str) -> Array:
    if _dry():
        return np.concatenate([x] * world().size)
    out, counts = world().join(x, _said("all_gather", at))
    if even and len(set(counts)) > 1:
        fix = "give every rank as many rows, or do not record"
        raise CollectiveError(explain("all_gather in a program: as many rows on every rank", got=str(counts), fix=fix))
    return out


def _scattered(x: Array, like: Array, even: bool, at: str) -> Array:
    """This rank's rows of the sum over all ranks."""
    if _dry():
        return x[: len(like)].copy()
    total = world().reduce(x, False, _said("reduce_scatter", at))
    counts = world().objects(len(like), _said("counts of reduce_scatter", at))
    first = sum(counts[: world().rank])
    return np.array(total[first : first + len(like)])


all_reduce_sum: Primitive = Primitive(
    "all_reduce",
    lambda x, at="": _reduced(False, "all_reduce", x, at),
    lambda g, out, x, at="": all_reduce_sum(g, at=BACK + at),
    scalar=lambda x, at="": _number(False, "all_reduce", x, at),
    pure=False,
    notation="Σranks {0}",
)

all_reduce_max: Primitive = Primitive(
    "all_reduce_max",
    lambda x, at="": _reduced(True, "all_reduce_max", x, at),
    lambda g, out, x, at="": _max_rule(g, out, x, at),
    scalar=lambda x, at="": _number(True, "all_reduce_max", x, at),
    pure=False,
    notation="maxranks {0}",
)

broadcast_from: Primitive = Primitive(
    "broadcast",
    lambda x, root, at="": _sent(x, root, at),
    lambda g, out, x, root, at="": _sent_rule(g, out, x, root, at),
    scalar=lambda x, root, at="": float(_sent(np.array(x), root, at)),
    pure=False,
    notation="rank {root}'s {0}",
)

all_gather_rows: Primitive = Primitive(
    "all_gather",
    _gathered,
    lambda g, out, x, even, at: reduce_scatter(g, x, even=even, at=BACK + at),
    pure=False,
    notation="all ranks' {0}",
)

reduce_scatter: Primitive = Primitive(
    "reduce_scatter",
    _scattered,
    lambda g, out, x, like, even, at: all_gather_rows(g, even=even, at=BACK + at),
    None,
    pure=False,
    notation="own rows of Σranks {0}",
)

# For Program.from_json(text, primitives=parallel.PRIMITIVES).
PRIMITIVES = (all_reduce_sum, all_reduce_max, broadcast_from, all_gather_rows, reduce_scatter)
