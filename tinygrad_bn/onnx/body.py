"""``Body``: the nodes of a graph or function while it is being written, with constants and sizes that depend on N."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, explain
from ..kinds import Array
from ..program.parts import NUMBER, Size
from .package import package


class Arg(NamedTuple):
    """A value as operators see it: its name in the body, its dtype ("number" for a Python float), its shape."""

    name: str
    dtype: str
    shape: tuple[Any, ...]


class Body:
    """Nodes in order, each value with a name of its own.

    Args:
        size_of_batch: gives the name of N, an int64 vector of one element, when it is first asked for.
    """

    def __init__(self, size_of_batch: Callable[[], str]) -> None:
        self.onnx = package("export")
        self.nodes: list[Any] = []
        self._taken: set[str] = set()
        self._labels: set[str] = set()
        self._made: dict[Any, str] = {}
        self._size_of_batch = size_of_batch

    def name(self, wanted: str) -> str:
        """A name that no other value has."""
        return _unused(wanted, self._taken)

    def label(self, wanted: str) -> str:
        """A name that no other node has."""
        return _unused(wanted, self._labels)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node of the standard's operator ``kind``; gives the name of its result."""
        out = self.name(f"{kind.lower()}")
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def once(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """As ``op``; the same node is made once."""
        key = (kind, inputs, tuple(sorted(attributes.items())))
        if key not in self._made:
            self._made[key] = self.op(kind, *inputs, **attributes)
        return self._made[key]

    def array(self, value: Any, dtype: str) -> str:
        """A constant."""
        raw = np.asarray(value, dtype)
        key = (raw.tobytes(), raw.shape, dtype)
        if key not in self._made:
            tensor = self.onnx.numpy_helper.from_array(np.array(raw, order="C"))
            self._made[key] = self.op("Constant", value=tensor)
        return self._made[key]

    def type_of(self, dtype: str) -> int:
        """The format's number of a dtype."""
        plain = np.dtype("float64" if dtype == NUMBER else dtype)
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(plain))

    def cast(self, arg: Arg, dtype: str) -> Arg:
        """The same numbers in another dtype."""
        now = "float64" if arg.dtype == NUMBER else arg.dtype
        if now == dtype:
            return arg._replace(dtype=dtype)
        return Arg(self.once("Cast", arg.name, to=self.type_of(dtype)), dtype, arg.shape)

    def batch(self) -> str:
        """N as an int64 vector of one element."""
        if "N" not in self._made:
            self._made["N"] = self._size_of_batch()
        return self._made["N"]

    def size(self, size: Size) -> str:
        """``scale * N + offset``, as an int64 vector of one element."""
        value = self.batch()
        if size.scale != 1:
            value = self.once("Mul", value, self.array([size.scale], "int64"))
        if size.offset:
            value = self.once("Add", value, self.array([size.offset], "int64"))
        return value

    def ints(self, values: Sequence[Any]) -> str:
        """An int64 vector of whole numbers, some of which may depend on N."""
        if not any(isinstance(n, Size) for n in values):
            return self.array(list(values), "int64")
        parts = [self.size(n) if isinstance(n, Size) else self.array([n], "int64") for n in values]
        return parts[0] if len(parts) == 1 else self.once("Concat", *parts, axis=0)

    # -- what several operators need ------------------------------------------------------------------------------------

    def reshape(self, x: str, shape: Sequence[Any]) -> str:
        """Another shape; of a single size that depends on N nothing has to be known."""
        free = [i for i, n in enumerate(shape) if isinstance(n, Size)]
        if len(free) == 1 and all(isinstance(n, Size) or n > 0 for n in shape):
            return self.op("Reshape", x, self.ints([-1 if isinstance(n, Size) else n for n in shape]))
        if 0 in shape:
            return self.op("Reshape", x, self.ints(shape), allowzero=1)
        return self.op("Reshape", x, self.ints(shape))

    def transpose(self, x: str, axes: Sequence[int]) -> str:
        """Axes in another order."""
        return x if list(axes) == list(range(len(axes))) else self.op("Transpose", x, perm=list(axes))

    def zeros(self, shape: Sequence[Any], dtype: str) -> str:
        """An array of zeros."""
        return self.op("Expand", self.array(0, dtype), self.ints(shape))

    def placed(self, arg: Arg, places: Array, axis: int) -> str:
        """Elements along an axis put into zeros: for each place the number of the element, or one too many for none."""
        pads = [0] * len(arg.shape)
        after = [int(i == axis) for i in range(len(arg.shape))]
        wide = self.op("Pad", arg.name, self.ints(pads + after), self.array(0, arg.dtype))
        return self.op("Gather", wide, self.array(places, "int64"), axis=axis)


def _unused(wanted: str, taken: set[str]) -> str:
    found, count = wanted, 1
    while found in taken:
        count += 1
        found = f"{wanted}_{count}"
    taken.add(found)
    return found


def fixed(shape: Sequence[Any], what: str) -> tuple[int, ...]:
    """Sizes that must not depend on N.

    Raises:
        ArgumentError: one does.
    """
    if any(isinstance(n, Size) for n in shape):
        fix = "dynamic=False fixes the sizes of the example"
        shown = ", ".join(map(str, shape))
        raise ArgumentError(explain(f"export: {what} along the free axis", got=f"sizes {shown}", fix=fix))
    return tuple(shape)
