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
from ..ops.primitives import TABLE
from ..program import Constant, Program, Step, evaluate
from ..program.parts import NUMBER
from .buffers import alike, packed, reach
from .c_operations import DTYPES, EXPRESSIONS, QUESTIONS, WHOLE
from .lines import VIEWS, has_no_gaps

NUMERIC = "numeric"  # of Python numbers alone
ELEMENTWISE = "elementwise"
REDUCTION = "reduction"  # sum, max or min over axes, which stay with length 1
VIEW = "view"
PRODUCT = "product"  # of matrices
SPECIAL = "special"  # has a text of its own in C
CALL = "call"  # of the primitive itself
GIVEN = "given"  # an input, a state, a constant

# Up to so many multiplications, OpenBLAS works on the matrices as they lie, and takes a third longer where the second is
# transposed, unless the first has few rows (measured with 0.3.30 and AVX-512).
SMALL_PRODUCT, FEW_ROWS = 10**6, 16

REDUCTIONS = {"sum", "mean", "max", "min", "sum_to"}
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
        self._stands: list[Array] = []  # an array with a node's strides, and no memory
        self._made_up: dict[str, int] = {}
        self._products = products
        for number, entry in program.entries():
            make: Any = self._step if isinstance(entry, Step) else self._given
            self.of.append(make(number, entry))
        for node in reversed(self.nodes):
            for i in node.args if node.kind == CALL else ():  # what Python takes, Python computes
                if self.nodes[i].kind == NUMERIC:
                    self.nodes[i] = self.nodes[i]._replace(kind=CALL)

    # -- nodes ------------------------------------------------------------------------------------------------------------

    def _given(self, number: int, entry: Any) -> int:
        value, dtype = self.sample[number], entry.dtype
        node = Node(GIVEN, "given", (), {}, entry.shape if value is None else np.shape(value), dtype, number)
        if not isinstance(entry, Constant) or np.shape(entry.value) or dtype not in (NUMBER, *DTYPES):
            return self._add(node, value)
        at = self._add(node._replace(shape=()))
        self.literals[at] = value if dtype == NUMBER else entry.value.item()
        if node.shape == ():
            return at
        return self._view(node._replace(op="broadcast_to", args=(at,), params={"shape": node.shape}))

    def _step(self, number: int, step: Step) -> int:
        name, args = step.primitive.name, tuple(self.of[i] for i in step.args)
        node = Node(CALL, name, args, dict(step.params), step.shape, step.dtype, number)
        if self.in_c and name in EXPRESSIONS and {NUMBER} == {step.dtype, *(self.nodes[i].dtype for i in args)}:
            return self._add(node._replace(kind=NUMERIC))
        if step.dtype == NUMBER or not (self._known(step) if self.in_c else self._is_view(number, step)):
            return self._add(node, self.sample[number])
        if name in VIEWS:
            return self._view(node)
        if name == "matmul":
            return self._add(node._replace(kind=PRODUCT, args=self._factors(step.shape, *map(self._matrix, args))))
        if name in SPECIALS:
            return self._add(node._replace(kind=SPECIAL, args=tuple(map(self._in_memory, args))))
        if name in REDUCTIONS:
            return self._reduction(node)
        thin = tuple(map(self._thin, args))
        node = node._replace(kind=ELEMENTWISE, args=thin)
        if name == "divide" and math.prod(self.nodes[thin[1]].shape) < math.prod(step.shape):
            node = node._replace(op="multiply", args=(thin[0], self._inverse(thin[1], step.dtype)))
        return self._add(node, self.sample[number])

    def _is_view(self, number: int, step: Step) -> bool:
        result, source = self.sample[number], self.sample[step.args[0]] if step.args else None
        return step.primitive.name in VIEWS and isinstance(source, np.ndarray) and np.may_share_memory(result, source)

    def _known(self, step: Step) -> bool:
        """Whether the kernels' language has such a step."""
        name, nodes = step.primitive.name, [self.nodes[self.of[i]] for i in step.args]
        dtypes = {node.dtype for node in nodes}
        if not dtypes <= {NUMBER, *DTYPES} or step.dtype not in DTYPES:
            return False
        if any(0 in shape for shape in (step.shape, *(node.shape for node in nodes))):
            return False
        is_float = step.dtype.startswith("float")
        if name in VIEWS:
            return nodes[0].dtype != NUMBER
        if name == "matmul":
            return self._products and is_float and dtypes == {step.dtype}
        if name in REDUCTIONS:
            return is_float and dtypes == {step.dtype}
        if name in ("take_along_axis", "add_along_axis"):
            return self._positions_are_safe(step, nodes)
        if name == "checked_index":  # before anything is written
            return nodes[0].dtype == "int64" and self.nodes[self.places[self.of[step.args[0]]].root].kind == GIVEN
        if name == "overlap_add":
            return len(step.params["window"]) == 2
        if name == "put_slice" or name in QUESTIONS:
            return True
        if step.dtype == "bool":
            return name in ("where", "astype")
        return name in WHOLE or (is_float and name in EXPRESSIONS)

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

    def _thin(self, number: int) -> int:
        """What a value was broadcast from: an elementwise operation broadcasts by itself."""
        while self.nodes[number].op == "broadcast_to" and self.nodes[number].kind == VIEW:
            (number,) = self.nodes[number].args
        return number

    def _inverse(self, number: int, dtype: str) -> int:
        """1 / x, of which there are fewer than of what is divided by it."""
        known = self.literals.get(number)
        if known:
            return self._number(1.0 / known)
        return self._make_up(Node(ELEMENTWISE, "reciprocal", (number,), {}, self.nodes[number].shape, dtype))

    def _reduction(self, node: Node) -> int:
        """Over axes that are longer than 1, and with all of them kept; a mean is a sum times a number."""
        (at,) = node.args
        source = self.nodes[at].shape
        given = stretched(node.shape, source) if node.op == "sum_to" else node.params["axis"]
        axes = tuple(axis for axis in given if source[axis] != 1)
        kept = tuple(1 if i in axes else n for i, n in enumerate(source))
        if axes:
            op = "sum" if node.op in ("mean", "sum_to") else node.op
            at = self._make_up(Node(REDUCTION, op, node.args, {"axis": axes}, kept, node.dtype))
        if node.op == "mean":
            share = self._number(1.0 / math.prod(source[axis] for axis in given))
            at = self._make_up(Node(ELEMENTWISE, "multiply", (at, share), {}, kept, node.dtype))
        return self._view(node._replace(op="reshape", args=(at,), params={"shape": node.shape}))

    def to_leave(self, number: int, like: Raw | None, taken: set[int]) -> int:
        """A node for a value that leaves, with memory of its own, in the layout that is asked for."""
        at = self.of[number]
        node, place = self.nodes[at], self.places[at]
        if node.dtype == NUMBER:
            return at
        root = self.nodes[place.root]
        own = (
            root.kind != GIVEN
            and not (self.in_c and root.kind == CALL)
            and place.offset == 0
            and math.prod(root.shape) == math.prod(node.shape)
            and reach(root.shape, self.places[place.root].strides) == (0, math.prod(root.shape))
            and place.root not in taken
        )
        if own and (like is None or alike(node.shape, self._stands[at].strides, packed(like))):
            taken.add(place.root)
            return at
        copy = self._add(Node(ELEMENTWISE, "copy", (at,), {}, node.shape, node.dtype), like)
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

    # -- nodes that the program does not have -----------------------------------------------------------------------------

    def _make_up(self, node: Node) -> int:
        """A node, the same one for what is the same."""
        key = repr(node)
        if key not in self._made_up:
            self._made_up[key] = self._add(node)
        return self._made_up[key]

    def _number(self, value: float) -> int:
        made = self._make_up(Node(GIVEN, "given", (), {"value": value}, (), NUMBER))
        self.literals[made] = value
        return made

    def dense(self, source: int) -> int:
        """A value row by row, in memory of its own where it is not so."""
        node = self.nodes[source]
        if self.places[source].strides == _rows(node.shape) and not self._is_literal(source):
            return source
        return self._make_up(Node(ELEMENTWISE, "copy", (source,), {}, node.shape, node.dtype))

    def _in_memory(self, source: int) -> int:
        return self.dense(source) if self._is_literal(source) else source

    def _matrix(self, source: int) -> int:
        """A matrix as a product can take it."""
        is_one = matrix_layout(self.nodes[source].shape, self.places[source].strides) is not None
        return source if is_one and not self._is_literal(source) else self.dense(source)

    def _factors(self, shape: Shape, x: int, y: int) -> tuple[int, int]:
        """Two matrices for a product.  Copying the second one row by row is worth it where OpenBLAS itself copies nothing."""
        (*_, rows, columns), inner = shape, self.nodes[x].shape[-1]
        layout = matrix_layout(self.nodes[y].shape, self.places[y].strides)
        small = rows >= FEW_ROWS and rows * inner * columns <= SMALL_PRODUCT
        return x, self.dense(y) if small and layout is not None and layout[0] == "T" else y

    def _is_literal(self, number: int) -> bool:
        return self.places[number].root in self.literals

    # -- places -----------------------------------------------------------------------------------------------------------

    def _add(self, node: Node, like: Raw | None = None) -> int:
        """A node that owns its memory, in the order of axes that an array has, or row by row.

        What NumPy does, it does in exactly the strides that the primitives' own results have, backwards, with gaps and along
        axes of length 1, too: by them it chooses how a sum or a product is rounded.
        """
        strides = None
        if isinstance(like, np.ndarray):
            is_result = node.number is not None and node.kind != GIVEN and like.size > 0
            as_it_is = not self.in_c and (is_result or has_no_gaps(like))
            strides = like.strides if as_it_is else packed(like)
        stand = _stand(node.shape, node.dtype, strides)
        steps = tuple(s // stand.itemsize for s in stand.strides)
        return self._append(node, stand, Place(len(self.nodes), reach(node.shape, steps)[0], steps))

    def _append(self, node: Node, stand: Array, place: Place) -> int:
        self.nodes.append(node)
        self._stands.append(stand)
        self.places.append(place)
        return len(self.nodes) - 1

    def _view(self, node: Node) -> int:
        (source,) = node.args
        stand = self._stands[source]
        view = SEEN.get(node.op, TABLE[node.op].forward)
        seen = view(stand, **node.params)
        if not np.may_share_memory(seen, stand):  # a copy: its elements in order first
            dense = self.dense(source)
            assert dense != source, node.op
            return self._view(node._replace(args=(dense,)))
        return self._append(node._replace(kind=VIEW), seen, self._part(source, seen))

    def _part(self, number: int, part: Array) -> Place:
        """Where a part of what stands for a node lies."""
        place = self.places[number]
        offset = place.offset + (part.ctypes.data - self._stands[number].ctypes.data) // part.itemsize
        return Place(place.root, offset, tuple(s // part.itemsize for s in part.strides))

    def seen(self, number: int, index: Any) -> Place:
        """Where the part of a node lies that a basic index takes."""
        return self._part(number, _slice(self._stands[number], index))

    def forget_layouts(self) -> None:
        """Let go of the arrays that only show strides: all nodes are made."""
        self._stands.clear()


def matrix_layout(shape: Shape, strides: Shape) -> tuple[str, int] | None:
    """How BLAS is told of a matrix without gaps: "N" and the distance of its rows, or "T" and that of its columns."""
    (rows, columns), (down, right) = shape[-2:], strides[-2:]
    if right == 1 and (down >= columns or rows == 1):
        return "N", max(down, columns)
    if down == 1 and (right >= rows or columns == 1):
        return "T", max(right, rows)
    return None


def _slice(x: Array, index: tuple[Any, ...]) -> Array:
    whole = index if any(part is Ellipsis for part in index) else (*index, Ellipsis)
    part: Array = x[whole]  # with an ellipsis a view even where it is a single element
    return part


SEEN: dict[str, Any] = {"broadcast_to": np.broadcast_to, "take_slice": _slice}  # views where the primitives make copies


def _stand(shape: Shape, dtype: str, strides: Shape | None) -> Array:
    """An array with a shape and strides, for other views to be made of; its memory is never touched."""
    array = np.empty(max(math.prod(shape), 1), "float64" if dtype == NUMBER else dtype)
    if strides is None:
        strides = tuple(n * array.itemsize for n in _rows(shape))
    return np.lib.stride_tricks.as_strided(array, shape, strides)


def _rows(shape: Shape) -> Shape:
    """The strides of an array row by row, in elements."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
