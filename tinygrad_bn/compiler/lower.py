"""A program as few kinds of nodes, for kernels: elementwise, sums and extrema that keep their axes, views, products, calls.

Where each value lies in memory is settled here, too: a view is the memory of its root, seen with other strides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.unbroadcast import stretched
from ..kinds import Array, Params, Raw, Shape
from ..program import Constant, Program, Step, evaluate
from ..program.parts import NUMBER
from .buffers import packed
from .c_operations import DTYPES, EXPRESSIONS, QUESTIONS, WHOLE
from .lines import VIEWS

NUMERIC, ELEMENTWISE, REDUCTION, VIEW, PRODUCT, SPECIAL, CALL, GIVEN = (
    "numeric",  # of Python numbers alone
    "elementwise",
    "reduction",
    "view",
    "product",
    "special",
    "call",
    "given",
)
REDUCTIONS = {"sum", "max", "min"}
SPECIALS = {"take_along_axis", "add_along_axis", "overlap_add", "put_slice", "checked_index"}


class Node(NamedTuple):
    """A value.

    Attributes:
        kind: one of the kinds above.
        op: the primitive's name, or "copy".
        args: nodes.
        params: as those of a step; of a reduction only its axes.
        shape: of the value.
        dtype: NumPy's name, or "number" for a Python float.
        number: of the value in the program, or None.
    """

    kind: str
    op: str
    args: tuple[int, ...]
    params: Params
    shape: Shape
    dtype: str
    number: int | None = None


class Place(NamedTuple):
    """Where a value lies: the node that owns the memory, and how far from its beginning and in which strides, in elements."""

    root: int
    offset: int
    strides: Shape


class Lowered:
    """The nodes of a program, and the place of each.

    Args:
        program: one without a free size.
        values: raw inputs and states.
        in_c: whether there are kernels; else all but views are calls.
        products: whether products are for the kernels' language, too; else they are calls.

    Attributes:
        nodes: the nodes, in order.
        of: the node of each value of the program.
        places: where each node lies.
        sample: results of the program's values for the given ones.
        literals: the numbers that are the same in every run, by node.
    """

    def __init__(self, program: Program, values: Sequence[Raw], in_c: bool, products: bool) -> None:
        self.program = program
        self.in_c = in_c
        self.sample = evaluate(program, values)
        self.nodes: list[Node] = []
        self.of: list[int] = []
        self.places: list[Place] = []
        self.literals: dict[int, float] = {}
        self._stands: list[Any] = []  # an array with a node's strides, and no memory
        self._copies: dict[int, int] = {}
        self._made: dict[Any, int] = {}
        self._products = products
        for number, entry in program.entries():
            if isinstance(entry, Step):
                self.of.append(self._step(number, entry))
            else:
                self.of.append(self._given(number, entry))
        for node in reversed(self.nodes):
            for i in node.args if node.kind == CALL else ():  # what Python takes, Python computes
                if self.nodes[i].kind == NUMERIC:
                    self.nodes[i] = self.nodes[i]._replace(kind=CALL)

    # -- nodes ------------------------------------------------------------------------------------------------------------

    def _add(self, node: Node, stand: Any = None) -> int:
        """A node that owns its memory, laid out like ``stand``, or row by row."""
        if stand is None and node.dtype != NUMBER:
            stand = _stand(node.shape, node.dtype)
        self.nodes.append(node)
        self._stands.append(stand)
        number = len(self.nodes) - 1
        strides = () if stand is None else tuple(s // stand.itemsize for s in stand.strides)
        self.places.append(Place(number, 0, strides))
        return number

    def _given(self, number: int, entry: Any) -> int:
        value = self.sample[number]
        dtype = entry.dtype
        node = Node(
            GIVEN, "given", (), {}, np.shape(value) if dtype != NUMBER and value is not None else (), dtype, number
        )
        if (
            isinstance(entry, Constant)
            and (dtype == NUMBER or not np.shape(entry.value))
            and dtype in (NUMBER, *DTYPES)
        ):
            at = self._add(node, None if dtype == NUMBER else _stand((), dtype))
            self.literals[at] = value if dtype == NUMBER else entry.value.item()
            if node.shape:
                return self._view(Node(VIEW, "broadcast_to", (at,), {"shape": node.shape}, node.shape, dtype, number))
            return at
        return self._add(
            node, None if value is None or dtype == NUMBER else _stand(value.shape, value.dtype, packed(value))
        )

    def _step(self, number: int, step: Step) -> int:
        args = tuple(self.of[i] for i in step.args)
        result, name, params = self.sample[number], step.primitive.name, dict(step.params)
        node = Node(CALL, name, args, params, step.shape, step.dtype, number)
        if self.in_c and name in EXPRESSIONS and all(of.dtype == NUMBER for of in (node, *map(self.nodes.__getitem__, args))):
            return self._add(node._replace(kind=NUMERIC))
        if step.dtype == NUMBER or not (self._known(step) if self.in_c else self._is_view(number, step)):
            return self._add(node, None if step.dtype == NUMBER else _stand(step.shape, result.dtype, packed(result)))
        if name in VIEWS:
            return self._view(node._replace(kind=VIEW))
        if name == "matmul":
            dense = tuple(self._blas(i) for i in args)
            return self._add(node._replace(kind=PRODUCT, args=dense))
        if name in SPECIALS:
            first = (
                args[0]
                if name in ("take_along_axis", "overlap_add", "put_slice", "checked_index")
                else self.dense(args[0])
            )
            if self.places[first].root in self.literals:
                first = self.dense(first)
            return self._add(node._replace(kind=SPECIAL, args=(first, *map(self.dense, args[1:]))))
        if name in ("sum", "mean", "max", "min", "sum_to"):
            return self._reduction(node)
        if name == "divide" and _size(self.nodes[self._thin(args[1])].shape) < _size(step.shape):
            x, y = map(self._thin, args)
            known = self.literals.get(y)
            if known:
                inverse = self._number(1.0 / known)
            else:
                inverse = self._elementwise("reciprocal", (y,), self.nodes[y].shape, step.dtype)
            return self._elementwise("multiply", (x, inverse), step.shape, step.dtype, number, packed(result))
        return self._elementwise(
            name, tuple(map(self._thin, args)), step.shape, step.dtype, number, packed(result), params
        )

    def _is_view(self, number: int, step: Step) -> bool:
        result, source = self.sample[number], self.sample[step.args[0]] if step.args else None
        return step.primitive.name in VIEWS and isinstance(source, np.ndarray) and np.may_share_memory(result, source)

    def _known(self, step: Step) -> bool:
        """Whether the kernels' language has such a step."""
        name = step.primitive.name
        nodes = [self.nodes[self.of[i]] for i in step.args]
        if any(node.dtype not in (NUMBER, *DTYPES) for node in nodes) or step.dtype not in DTYPES or 0 in step.shape:
            return False
        if any(0 in node.shape for node in nodes):
            return False
        if name == "matmul":
            return self._products and step.dtype.startswith("float") and all(node.dtype == step.dtype for node in nodes)
        if name in ("take_along_axis", "add_along_axis"):
            return self._positions_are_safe(step, nodes)
        if name in ("sum", "mean", "max", "min", "sum_to"):
            return step.dtype.startswith("float") and nodes[0].dtype == step.dtype
        if name in VIEWS:
            return nodes[0].dtype != NUMBER
        if name == "checked_index":  # before anything is written
            return nodes[0].dtype == "int64" and self.nodes[self.places[self.of[step.args[0]]].root].kind == GIVEN
        if name == "overlap_add":
            return len(step.params["window"]) == 2
        if step.dtype == "bool":
            return name in QUESTIONS or name in ("where", "copy", "astype") or name == "put_slice"
        whole = (name in WHOLE and name not in QUESTIONS) or name == "put_slice"
        return whole or (step.dtype.startswith("float") and name in EXPRESSIONS and name not in QUESTIONS)

    def _positions_are_safe(self, step: Step, nodes: list[Node]) -> bool:
        """Whether positions along an axis were looked at, or found there: nothing reads or writes out of bounds."""
        axis, shape = step.params["axis"], step.params.get("shape", nodes[0].shape)
        source: Any = self.program.entry(step.args[1])
        while isinstance(source, Step) and source.primitive.name == "reshape":
            source = self.program.entry(source.args[0])
        if nodes[1].shape != (*shape[:axis], 1, *shape[axis + 1 :]) or not isinstance(source, Step):
            return False
        if source.primitive.name == "checked_index":
            return bool(source.params["count"] <= shape[axis])
        found = source.primitive.name in ("argmax", "argmin") and source.params["axis"] == axis
        return found and self.nodes[self.of[source.args[0]]].shape[axis] <= shape[axis]

    def _elementwise(
        self, op: str, args: tuple[int, ...], shape: Shape, dtype: str, number: int | None = None,
        strides: Shape | None = None, params: Params | None = None,
    ) -> int:  # fmt: skip
        key = (op, args, shape, dtype)
        if number is None and key in self._made:
            return self._made[key]
        node = Node(ELEMENTWISE, op, args, params or {}, shape, dtype, number)
        made = self._add(node, _stand(shape, dtype, strides))
        if number is None:
            self._made[key] = made
        return made

    def _reduction(self, node: Node) -> int:
        source = self.nodes[node.args[0]].shape
        axes = stretched(node.shape, source) if node.op == "sum_to" else node.params["axis"]
        axes = tuple(axis for axis in axes if source[axis] != 1)
        kept = tuple(1 if i in axes else n for i, n in enumerate(source))
        op = "sum" if node.op in ("mean", "sum_to") else node.op
        key = (op, node.args, axes)
        at = self._made.get(key, node.args[0])
        if axes and key not in self._made:
            at = self._made[key] = self._add(Node(REDUCTION, op, node.args, {"axis": axes}, kept, node.dtype))
        if node.op == "mean":
            share = self._number(1.0 / math.prod(source[axis] for axis in node.params["axis"]))
            at = self._elementwise("multiply", (at, share), kept, node.dtype)
        return self._view(Node(VIEW, "reshape", (at,), {"shape": node.shape}, node.shape, node.dtype, node.number))

    def _thin(self, number: int) -> int:
        """What a value was broadcast from: an elementwise operation broadcasts by itself."""
        while self.nodes[number].op == "broadcast_to" and self.nodes[number].kind == VIEW:
            (number,) = self.nodes[number].args
        return number

    def to_leave(self, number: int, strides: Shape | None, taken: set[int]) -> int:
        """A node for a value that leaves, with memory of its own, in the strides (in elements) that are asked for."""
        at = self.of[number]
        node, place = self.nodes[at], self.places[at]
        if node.dtype == NUMBER:
            return at
        root = self.nodes[place.root]
        own = (
            root.kind != GIVEN
            and not (self.in_c and root.kind == CALL)
            and place.offset == 0
            and _size(root.shape) == _size(node.shape)
            and place.root not in taken
        )
        if own and (strides is None or place.strides == strides):
            taken.add(place.root)
            return at
        stand = (
            None
            if strides is None
            else _stand(node.shape, node.dtype, tuple(s * np.dtype(node.dtype).itemsize for s in strides))
        )
        copy = self._add(Node(ELEMENTWISE, "copy", (at,), {}, node.shape, node.dtype), stand)
        taken.add(copy)
        return copy

    def numeric(self, nodes: Iterable[int]) -> set[int]:
        """Those of these nodes that are Python numbers computed in C, and all that they are computed from."""
        found: set[int] = set()
        todo = [i for i in nodes if self.nodes[i].kind == NUMERIC]
        while todo:
            found.add(number := todo.pop())
            if self.nodes[number].kind == NUMERIC:
                todo += [i for i in self.nodes[number].args if i not in found]
        return found

    def _number(self, value: float) -> int:
        key = ("number", value)
        if key not in self._made:
            self._made[key] = self._add(Node(GIVEN, "given", (), {}, (), NUMBER))
            self.literals[self._made[key]] = value
        return self._made[key]

    def _view(self, node: Node) -> int:
        (source,) = node.args
        primitive = SHAPES[node.op] if node.number is None or node.op in SHAPES else None
        stand = self._stands[source]
        if primitive is None:
            step: Any = self.program.entry(node.number)  # type: ignore[arg-type]
            primitive = step.primitive.forward
        seen = np.asarray(primitive(stand, **node.params))
        if not np.may_share_memory(seen, stand):  # a copy: its elements in order first
            dense = self.dense(source)
            assert dense != source, node.op
            return self._view(node._replace(args=(dense,)))
        place = self.places[source]
        offset = place.offset + (seen.ctypes.data - stand.ctypes.data) // stand.itemsize
        self.nodes.append(node._replace(kind=VIEW))
        self._stands.append(seen)
        self.places.append(Place(place.root, offset, tuple(s // seen.itemsize for s in seen.strides)))
        return len(self.nodes) - 1

    def seen(self, number: int, index: Any) -> Place:
        """A part of a node that owns its memory, by a basic index."""
        stand = self._stands[number]
        part = _slice(stand, index)
        offset = (part.ctypes.data - stand.ctypes.data) // stand.itemsize
        return Place(number, offset, tuple(s // part.itemsize for s in part.strides))

    def forget_layouts(self) -> None:
        """Let go of the arrays that only show strides: all nodes are made."""
        self._stands.clear()

    def dense(self, source: int) -> int:
        """A value row by row, in memory of its own where it is not so."""
        node, place = self.nodes[source], self.places[source]
        if place.strides == _rows(node.shape) and source not in self.literals and place.root not in self.literals:
            return source
        if source not in self._copies:
            self._copies[source] = self._add(Node(ELEMENTWISE, "copy", (source,), {}, node.shape, node.dtype))
        return self._copies[source]

    def _blas(self, source: int) -> int:
        """A matrix as a product can take it: its rows or its columns without gaps."""
        strides = self.places[source].strides
        shape = self.nodes[source].shape
        by_rows = strides[-1] == 1 and strides[-2] >= shape[-1]
        by_columns = strides[-2] == 1 and strides[-1] >= shape[-2]
        return (
            source if (by_rows or by_columns) and self.places[source].root not in self.literals else self.dense(source)
        )


def _slice(x: Array, index: tuple[Any, ...]) -> Array:
    whole = index if any(part is Ellipsis for part in index) else (*index, Ellipsis)
    part: Array = x[whole]  # with an ellipsis a view even where it is a single element
    return part


SHAPES: dict[str, Any] = {
    "reshape": lambda x, shape: x.reshape(shape),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "take_slice": _slice,
}


def _stand(shape: Shape, dtype: Any, strides: Shape | None = None) -> Array:
    """An array with a shape and strides, for other views to be made of; its memory is never touched."""
    array = np.empty(max(math.prod(shape), 1), dtype)
    if strides is None:
        strides = tuple(n * array.itemsize for n in _rows(shape))
    return np.lib.stride_tricks.as_strided(array, shape, strides)


def _rows(shape: Shape) -> Shape:
    """The strides of an array row by row, in elements."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _size(shape: Shape) -> int:
    return math.prod(shape)
