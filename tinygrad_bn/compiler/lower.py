"""A program as few kinds of nodes, for kernels: elementwise, sums and extrema that keep their axes, views, products, calls.

Where each value lies in memory is settled here, too: a view is the memory of its root, seen with other strides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.unbroadcast import stretched
from ..kinds import Array, Params, Raw, Shape
from ..ops.primitives import TABLE
from ..program import Constant, Program, Step, evaluate
from ..program.parts import NUMBER
from ..program.shapes import without_leading_ones
from ..random import generator
from .buffers import alike, packed, reach
from .c.operations import DTYPES, ELEMENTWISE_OF, EXPRESSIONS
from .lines import VIEWS, has_no_gaps

NUMERIC = "numeric"  # of Python numbers alone
ELEMENTWISE = "elementwise"
REDUCTION = "reduction"  # sum, max or min over axes, which stay with length 1
VIEW = "view"
PRODUCT = "product"  # of matrices
PUTTING = "putting"  # to zeros, what belongs into a view of the result
CHECK = "check"  # of labels: may end the run
CALL = "call"  # of the primitive itself
GIVEN = "given"  # an input, a state, a constant
ALONG = "along"  # an axis: becomes elementwise nodes

# Up to so many multiplications, OpenBLAS works on the matrices as they lie, and takes a third longer where the second is
# transposed, unless the first has few rows (measured with 0.3.30 and AVX-512).
SMALL_PRODUCT, FEW_ROWS = 10**6, 16

REDUCTIONS = {"sum", "mean", "max", "min", "sum_to"}
ALONG_AXIS = {"take_along_axis", "add_along_axis"}
PUT = {
    "put_slice": "take_slice",
    "put_diagonal": "take_diagonal",
    "overlap_add": "sliding_window",
}  # back into such a view
COUNT = "count"  # 0, 1, 2, ... along an axis: an element is its own place, and needs no memory


class Node(NamedTuple):
    """A value.

    Attributes:
        kind: one of the kinds above.
        op: the primitive's name, "copy" or "count".
        args: nodes; of elementwise nodes and reductions those that loops read, as thin as they can be.
        params: as those of a step; of a reduction only its axes, counted from the end.
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
        self.in_c = in_c
        drawn_from = generator()
        before = drawn_from.bit_generator.state
        try:
            self.sample = evaluate(program, values)
        finally:
            drawn_from.bit_generator.state = before
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
        kind = self._kind(number, step, [self.nodes[i] for i in args])
        node = Node(kind, name, args, dict(step.params), step.shape, step.dtype, number)
        made = {VIEW: self._view, REDUCTION: self._reduction, ELEMENTWISE: self._elementwise, ALONG: self._along_axis}
        if kind in made:
            return made[kind](node)
        if kind == PRODUCT:
            node = node._replace(args=self._factors(step.shape, *args))
        elif kind in (PUTTING, CHECK):
            node = node._replace(args=tuple(map(self._in_memory, args)))
        return self._add(node, None if kind == NUMERIC else self.sample[number])

    def _kind(self, number: int, step: Step, args: Sequence[Node]) -> str:
        """The kind of a step's node: a call where the kernels' language has no such step."""
        name, dtypes = step.primitive.name, {node.dtype for node in args}
        if not self.in_c:
            return VIEW if self._is_view(number, step) else CALL
        if step.dtype == NUMBER:
            return NUMERIC if name in EXPRESSIONS and dtypes == {NUMBER} else CALL
        shapes = [step.shape, *(node.shape for node in args)]
        if step.dtype not in DTYPES or not dtypes <= {NUMBER, *DTYPES} or any(0 in shape for shape in shapes):
            return CALL
        of_floats = step.dtype.startswith("float") and dtypes == {step.dtype}
        known: dict[str, bool] = {
            PRODUCT: name == "matmul" and of_floats and self._products,
            REDUCTION: name in REDUCTIONS and of_floats,
            VIEW: name in VIEWS and NUMBER not in dtypes,
            ALONG: name in ALONG_AXIS and self._positions_are_safe(step, *args),
            PUTTING: name in PUT and NUMBER not in dtypes,
            CHECK: name == "checked_index" and dtypes == {"int64"} and self._root(self.of[step.args[0]]).kind == GIVEN,
            ELEMENTWISE: name in ELEMENTWISE_OF[np.dtype(step.dtype).kind] - VIEWS,
        }
        return next((kind for kind in known if known[kind]), CALL)

    def _is_view(self, number: int, step: Step) -> bool:
        result, source = self.sample[number], self.sample[step.args[0]] if step.args else None
        return step.primitive.name in VIEWS and isinstance(source, np.ndarray) and np.may_share_memory(result, source)

    def _root(self, number: int) -> Node:
        """The node that owns the memory."""
        return self.nodes[self.places[number].root]

    def _positions_are_safe(self, step: Step, x: Node, positions: Node) -> bool:
        """Whether there is one position along an axis, and it was looked at, or found there: eager code accepts it, too."""
        axis, shape = step.params["axis"], step.params.get("shape", x.shape)
        made, most = self._root(self.of[step.args[1]]), math.inf
        if made.op in ("argmax", "argmin") and made.params["axis"] == axis:
            most = self.nodes[made.args[0]].shape[axis]
        elif made.op == "checked_index":
            most = made.params["count"]
        return positions.shape == (*shape[:axis], 1, *shape[axis + 1 :]) and most <= shape[axis]

    def _source(self, number: int) -> int:
        """A node itself, or the one that owns the memory, where it is the same up to axes of length 1 in front."""
        root = self.places[number].root
        is_root = self._bare(number) == self._bare(root)
        return root if is_root and self.places[number].offset == self.places[root].offset else number

    def _bare(self, number: int) -> list[tuple[int, int]]:
        """Lengths and strides without axes of length 1 in front; along one of them any stride does."""
        shape = without_leading_ones(self.nodes[number].shape)
        strides = self.places[number].strides
        return [(n, s if n != 1 else 0) for n, s in zip(shape, strides[len(strides) - len(shape) :])]

    def _thin(self, number: int) -> int:
        """What a value was broadcast from: an elementwise operation broadcasts by itself."""
        while self.nodes[number].op == "broadcast_to" and self.nodes[number].kind == VIEW:
            (number,) = self.nodes[number].args
        return self._source(number)

    def _elementwise(self, node: Node) -> int:
        """Dividing by what there is less of is multiplying by its inverse."""
        x, *others = map(self._thin, node.args)
        node = node._replace(args=(x, *others))
        if node.op == "divide" and math.prod(self.nodes[others[0]].shape) < math.prod(node.shape):
            node = node._replace(op="multiply", args=(x, self._inverse(others[0], node.dtype)))
        return self._add(node, self.sample[node.number] if node.number is not None else None)

    def _inverse(self, number: int, dtype: str) -> int:
        if known := self.literals.get(number):
            return self._number(1.0 / known)
        return self._make_up(Node(ELEMENTWISE, "reciprocal", (number,), {}, self.nodes[number].shape, dtype))

    def _reduction(self, node: Node) -> int:
        """Over axes that are longer than 1, and with all of them kept; a mean is a sum times a number."""
        (at,) = node.args
        source = self.nodes[at].shape
        given = stretched(node.shape, source) if node.op == "sum_to" else node.params["axis"]
        axes = tuple(axis - len(source) for axis in given if source[axis] != 1)
        kept = tuple(1 if i in given else n for i, n in enumerate(source))
        if axes:
            op = node.op if node.op in ("max", "min") else "sum"
            at = self._make_up(Node(REDUCTION, op, (self._source(at),), {"axis": axes}, kept, node.dtype))
        if node.op == "mean":
            share = self._number(1.0 / math.prod(source[axis] for axis in given))
            at = self._make_up(Node(ELEMENTWISE, "multiply", (self._source(at), share), {}, kept, node.dtype))
        return self._view(node._replace(op="reshape", args=(at,), params={"shape": node.shape}))

    def _along_axis(self, node: Node) -> int:
        """One element along an axis, or zeros around it: a choice at each position, which shares loops with what is near."""
        (x, positions), axis = node.args, node.params["axis"]
        shape = node.params.get("shape", self.nodes[x].shape)
        line = (shape[axis], *[1] * (len(shape) - axis - 1))
        count = self._make_up(Node(GIVEN, COUNT, (), {}, line, "int64"))
        here = self._make_up(Node(ELEMENTWISE, "equal", (count, self._thin(positions)), {}, shape, "bool"))
        chosen = node._replace(kind=ELEMENTWISE, op="where", args=(here, x, self._number(0.0)), params={}, shape=shape)
        if node.op == "add_along_axis":
            return self._elementwise(chosen)
        part = self._elementwise(chosen._replace(number=None))
        return self._reduction(node._replace(op="sum", args=(part,), params={"axis": (axis,)}))

    def to_leave(self, number: int, like: Raw | None, taken: set[int]) -> int:
        """A node for a value that leaves, with memory of its own, in the layout that is asked for."""
        at = self.of[number]
        node, place = self.nodes[at], self.places[at]
        if node.dtype == NUMBER:
            return at
        root = self._root(at)
        whole = reach(node.shape, place.strides) == (place.offset, math.prod(root.shape)) == (0, math.prod(node.shape))
        foreign = root.kind == GIVEN or (self.in_c and root.kind == CALL)
        own = whole and not foreign and place.root not in taken
        if own and (like is None or alike(node.shape, self._stands[at].strides, packed(like))):
            taken.add(place.root)
            return at
        copy = self._add(Node(ELEMENTWISE, "copy", (self._thin(at),), {}, node.shape, node.dtype), like)
        taken.add(copy)
        return copy

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
        return self._in_memory(source, self.places[source].strides == _rows(self.nodes[source].shape))

    def _in_memory(self, source: int, good: bool = True) -> int:
        """A value that lies in memory as it is good, or a copy of it that does, row by row."""
        node = self.nodes[source]
        if good and self.places[source].root not in self.literals:
            return source
        return self._make_up(Node(ELEMENTWISE, "copy", (self._thin(source),), {}, node.shape, node.dtype))

    def _factors(self, shape: Shape, x: int, y: int) -> tuple[int, int]:
        """Two matrices for a product.  Copying the second one row by row is worth it where OpenBLAS itself copies nothing."""
        (*_, rows, columns), inner = shape, self.nodes[x].shape[-1]
        flip_x, flip_y = (matrix_layout(self.nodes[i].shape, self.places[i].strides)[0] for i in (x, y))
        small = rows >= FEW_ROWS and rows * inner * columns <= SMALL_PRODUCT
        y_is_good = flip_y == "N" or (flip_y == "T" and not small)
        return self._in_memory(x, flip_x != ""), self._in_memory(y, y_is_good)

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
        seen = self._seen(source, node.op, node.params)
        if not np.may_share_memory(seen, self._stands[source]):  # a copy: its elements in order first
            dense = self.dense(source)
            assert dense != source, node.op
            return self._view(node._replace(args=(dense,)))
        return self._append(node._replace(kind=VIEW), seen, self._part(source, seen))

    def _seen(self, number: int, op: str, params: Mapping[str, Any]) -> Array:
        view = SEEN.get(op, TABLE[op].forward)
        seen: Array = view(self._stands[number], **params)
        return seen

    def _part(self, number: int, part: Array) -> Place:
        """Where a part of what stands for a node lies."""
        place = self.places[number]
        offset = place.offset + (part.ctypes.data - self._stands[number].ctypes.data) // part.itemsize
        return Place(place.root, offset, tuple(s // part.itemsize for s in part.strides))

    def put(self, number: int) -> Place:
        """Where in a result that which is put there lies."""
        node = self.nodes[number]
        params = {key: value for key, value in node.params.items() if key != "shape"}
        return self._part(number, self._seen(number, PUT[node.op], params))

    def forget_layouts(self) -> None:
        """Let go of the arrays that only show strides: all nodes are made."""
        self._stands.clear()


def matrix_layout(shape: Shape, strides: Shape) -> tuple[str, int]:
    """How BLAS is told of a matrix: "N" and the distance of its rows, "T" and that of its columns; "" where it cannot be."""
    (rows, columns), (down, right) = shape[-2:], strides[-2:]
    if right == 1 and (down >= columns or rows == 1):
        return "N", max(down, columns)
    return ("T", max(right, rows)) if down == 1 and (right >= rows or columns == 1) else ("", 0)


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
