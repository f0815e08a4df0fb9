"""The table from operators of ONNX to operations of this library.

A counterpart is called with the node and its inputs: variables, arrays, or ``None`` for one that is left out.  What has to be
known when the program is made (shapes, axes) is read by ``node.known``.

Source: the ONNX operator specification, opsets 13 to 26.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import functional, ops
from ..engine import Variable, dtype_of, shape_of
from ..errors import ArgumentError, explain
from ..functional.batch_norm import standardize
from ..kinds import Array, Value

LARGEST = 2**28  # elements that an operator may make of nothing: more is a mistake or an attack


class Node:
    """An operator with its attributes, and the opset that it is to be read by."""

    def __init__(self, kind: str, attributes: dict[str, Any], opset: int, outputs: int) -> None:
        self.kind = kind
        self.attributes = attributes
        self.opset = opset
        self.outputs = outputs

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute; text as text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def known(self, value: Value, name: str) -> Any:
        """An input that must not depend on the data: a list of whole numbers, or one of them for a single number.

        Raises:
            ArgumentError: it does.
        """
        if isinstance(value, Variable):
            what = f"{self.kind}: {name} depends on the data"
            raise ArgumentError(explain(what, expected="what can be known from the file and the shapes"))
        return np.asarray(value).tolist()

    def axes(self, value: Value, ndim: int) -> tuple[int, ...]:
        """Axes from the input or, in older opsets, the attribute; all axes without either."""
        given = self.get("axes") if value is None else self.known(value, "axes")
        if given is None or (given == [] and not self.get("noop_with_empty_axes", 0)):
            given = [] if self.get("noop_with_empty_axes", 0) else range(ndim)
        return tuple(int(axis) % ndim if -ndim <= axis < ndim else int(axis) for axis in np.atleast_1d(given))

    def only(self, **expected: Any) -> None:
        """Raise an error for settings that have no counterpart.

        Raises:
            ArgumentError: an attribute with another value.
        """
        for name, value in expected.items():
            if self.get(name, value) != value:
                raise ArgumentError(
                    explain(f"{self.kind}: no counterpart for this {name}", got=self.get(name), expected=value)
                )


Counterpart = Callable[..., Any]


def _unary(operation: Callable[[Value], Value]) -> Counterpart:
    return lambda node, x: operation(x)


def _binary(operation: Callable[[Value, Value], Value]) -> Counterpart:
    return lambda node, x, y: operation(x, y)


def _many(operation: Callable[[Value, Value], Value]) -> Counterpart:
    def apply(node: Node, first: Value, *others: Value) -> Value:
        for other in others:
            first = operation(first, other)
        return first

    return apply


def _same_type(operation: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """Of what ONNX gives the type of its first input."""
    return lambda x, y: _as(operation(x, y), dtype_of(x))


def _as(value: Value, dtype: Any) -> Value:
    return value if dtype_of(value) == dtype else ops.astype(value, dtype)


def _div(x: Value, y: Value) -> Value:
    """Whole numbers are divided towards 0."""
    if dtype_of(x).kind == "f":
        return ops.divide(x, y)
    quotient = ops.floor_divide(ops.abs(x), ops.abs(y))
    return _as(quotient * ops.sign(x) * ops.sign(y), dtype_of(x)) if dtype_of(x).kind == "i" else quotient


def _mod(node: Node, x: Value, y: Value) -> Value:
    if not node.get("fmod", 0):
        return ops.remainder(x, y)
    rest = ops.remainder(ops.abs(x), ops.abs(y))
    return _as(ops.where(ops.less(x, 0), -rest, rest), dtype_of(x))


def _clip(node: Node, x: Value, low: Value = None, high: Value = None) -> Value:
    low, high = (node.get(name) if value is None else value for name, value in (("min", low), ("max", high)))
    if low is not None:
        x = _as(ops.maximum(x, low), dtype_of(x))
    return x if high is None else _as(ops.minimum(x, high), dtype_of(x))


def _leaky(node: Node, x: Value) -> Value:
    return ops.where(ops.less(x, 0.0), x * node.get("alpha", 0.01), x)


def _prelu(node: Node, x: Value, slope: Value) -> Value:
    return ops.where(ops.less(x, 0.0), x * slope, x)


def _elu(node: Node, x: Value) -> Value:
    return ops.where(ops.less(x, 0.0), ops.expm1(ops.minimum(x, 0.0)) * node.get("alpha", 1.0), x)


def _celu(node: Node, x: Value) -> Value:
    alpha = node.get("alpha", 1.0)
    return ops.maximum(x, 0.0) + ops.minimum(ops.expm1(x / alpha) * alpha, 0.0)


def _selu(node: Node, x: Value) -> Value:
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return ops.where(ops.greater(x, 0.0), x, ops.expm1(ops.minimum(x, 0.0)) * alpha) * gamma


def _gelu(node: Node, x: Value) -> Value:
    if node.get("approximate", "none") == "tanh":
        inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
        return x * 0.5 * (ops.tanh(inner) + 1.0)
    return ops.gelu(x)


def _hard_sigmoid(node: Node, x: Value) -> Value:
    return ops.clip(x * node.get("alpha", 0.2) + node.get("beta", 0.5), 0.0, 1.0)


def _hard_swish(node: Node, x: Value) -> Value:
    return x * ops.clip(x * (1.0 / 6.0) + 0.5, 0.0, 1.0)


def _thresholded(node: Node, x: Value) -> Value:
    return ops.where(ops.greater(x, node.get("alpha", 1.0)), x, 0.0)


def _shrink(node: Node, x: Value) -> Value:
    bias, limit = node.get("bias", 0.0), node.get("lambd", 0.5)
    return ops.where(ops.less(x, -limit), x + bias, ops.where(ops.greater(x, limit), x - bias, 0.0))


def _isinf(node: Node, x: Value) -> Value:
    node.only(detect_negative=1, detect_positive=1)
    return ops.isinf(x)


def _cast(node: Node, x: Value) -> Value:
    return ops.astype(x, _dtype(node, node.get("to")))


def _dtype(node: Node, number: int) -> Any:
    import onnx

    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    if dtype.kind not in "fiub" or dtype.name.startswith("bfloat"):
        raise ArgumentError(explain(f"{node.kind}: no counterpart for this type", got=dtype))
    return dtype


# -- reductions -----------------------------------------------------------------------------------------------------------


def _reduce(operation: Callable[..., Value], before: Callable[[Value], Value] | None = None) -> Counterpart:
    def reduce(node: Node, x: Value, axes: Value = None) -> Value:
        along = node.axes(axes, len(shape_of(x)))
        y = x if before is None else before(x)
        return _as(operation(y, axis=along, keepdims=bool(node.get("keepdims", 1))), dtype_of(x)) if along else y

    return reduce


def _log_sum(x: Value, axis: Any, keepdims: bool) -> Value:
    return ops.log(ops.sum(x, axis, keepdims))


def _norm2(x: Value, axis: Any, keepdims: bool) -> Value:
    return ops.sqrt(ops.sum(ops.square(x), axis, keepdims))


def _softmax(operation: Callable[..., Value]) -> Counterpart:
    def apply(node: Node, x: Value) -> Value:
        if node.opset >= 13:
            return operation(x, axis=node.get("axis", -1))
        shape, axis = shape_of(x), node.get("axis", 1)  # before opset 13: of all axes from there on
        axis = axis % max(len(shape), 1)
        flat = ops.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))
        return ops.reshape(operation(flat, axis=-1), shape)

    return apply


def _position(find: Callable[..., Value]) -> Counterpart:
    def apply(node: Node, x: Value) -> Value:
        node.only(select_last_index=0)
        return find(x, axis=node.get("axis", 0), keepdims=bool(node.get("keepdims", 1)))

    return apply


def _cumsum(node: Node, x: Value, axis: Value) -> Value:
    along = int(np.reshape(node.known(axis, "axis"), ()))
    reverse = bool(node.get("reverse", 0))
    y = ops.cumsum(ops.flip(x, along) if reverse else x, along)
    y = _as(y - (ops.flip(x, along) if reverse else x) if node.get("exclusive", 0) else y, dtype_of(x))
    return ops.flip(y, along) if reverse else y


def _top_k(node: Node, x: Value, k: Value) -> Value:
    axis, many = node.get("axis", -1) % len(shape_of(x)), int(np.reshape(node.known(k, "k"), ()))
    if dtype_of(x).kind not in "fi":
        raise ArgumentError(explain("TopK: no counterpart for this type", got=dtype_of(x)))
    order = ops.argsort(-x if node.get("largest", 1) else x, axis=axis, kind="stable")
    first = ops.getitem(order, (slice(None),) * axis + (slice(many),))
    return ops.take_along_axis(x, first, axis), first


# -- shapes ---------------------------------------------------------------------------------------------------------------


def _bounded(node: Node, shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes) or math.prod(sizes) > LARGEST:
        raise ArgumentError(
            explain(
                f"{node.kind}: a size that is negative or too large",
                got=f"shape {sizes}",
                expected=f"0 to {LARGEST} elements",
            )
        )
    return sizes


def _reshape(node: Node, x: Value, shape: Value = None) -> Value:
    wanted = node.get("shape") if shape is None else node.known(shape, "shape")
    old = shape_of(x)
    if not node.get("allowzero", 0):
        wanted = [old[i] if n == 0 and i < len(old) else n for i, n in enumerate(wanted)]
    if -1 in wanted:
        rest = math.prod(n for n in wanted if n != -1)
        wanted = [math.prod(old) // rest if n == -1 and rest else n for n in wanted]
    return ops.reshape(x, tuple(int(n) for n in wanted))


def _flatten(node: Node, x: Value) -> Value:
    shape, axis = shape_of(x), node.get("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return ops.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _squeeze(node: Node, x: Value, axes: Value = None) -> Value:
    if axes is None and node.get("axes") is None:
        return ops.squeeze(x)
    return ops.squeeze(x, node.axes(axes, len(shape_of(x))))


def _unsqueeze(node: Node, x: Value, axes: Value = None) -> Value:
    given = node.get("axes") if axes is None else node.known(axes, "axes")
    return ops.expand_dims(x, tuple(int(axis) for axis in given))


def _transpose(node: Node, x: Value) -> Value:
    return ops.transpose(x, node.get("perm"))


def _split(node: Node, x: Value, split: Value = None) -> Value:
    axis = node.get("axis", 0) % len(shape_of(x))
    size = shape_of(x)[axis]
    sizes = node.get("split") if split is None else node.known(split, "split")
    if sizes is None:
        many = node.get("num_outputs", node.outputs)
        each = -(-size // many)
        sizes = [min(each, size - i * each) for i in range(many)]
    return tuple(ops.split(x, [int(n) for n in np.cumsum(sizes)[:-1]], axis))


def _slice(node: Node, x: Value, *given: Value) -> Value:
    names = ("starts", "ends", "axes", "steps")
    known = [
        node.get(name) if i >= len(given) or given[i] is None else node.known(given[i], name)
        for i, name in enumerate(names)
    ]
    starts, ends, axes, steps = known
    axes = range(len(starts)) if axes is None else axes
    parts: list[slice] = [slice(None)] * len(shape_of(x))
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts)):
        size = shape_of(x)[axis]
        if step < 0:
            start = min(start + size if start < 0 else start, size - 1)
            end = max(end + size if end < 0 else end, -1)
            parts[axis] = slice(start, None if end < 0 else end, step)
        else:
            parts[axis] = slice(*slice(start, end, step).indices(size))
    return ops.getitem(x, tuple(parts))


def _gather(node: Node, x: Value, positions: Value) -> Value:
    return ops.take(x, positions, axis=node.get("axis", 0))


def _gather_nd(node: Node, x: Value, positions: Value) -> Value:
    node.only(batch_dims=0)
    return ops.getitem(x, _places(positions))


def _places(positions: Value) -> tuple[Value, ...]:
    """The last axis of positions as one array for each axis that is indexed."""
    return tuple(ops.getitem(positions, (..., i)) for i in range(shape_of(positions)[-1]))


def _scatter_nd(node: Node, x: Value, positions: Value, rows: Value) -> Value:
    places = _places(positions)
    pattern = ("array",) * len(places)

    def add(values: Value) -> Value:
        return ops.primitives.scatter_add(values, *places, pattern=pattern, shape=shape_of(x))

    return _scattered(node, x, rows, positions, add, lambda known: known.reshape(-1, known.shape[-1]))


def _scatter_elements(node: Node, x: Value, positions: Value, rows: Value) -> Value:
    axis = node.get("axis", 0) % len(shape_of(x))
    if any(i != axis and a != b for i, (a, b) in enumerate(zip(shape_of(x), shape_of(positions)))):
        raise ArgumentError(explain(f"{node.kind}: no counterpart for positions in part of the other axes"))

    def add(values: Value) -> Value:
        return ops.primitives.add_along_axis(values, positions, axis=axis, shape=shape_of(x))

    def cells(known: Array) -> Array:
        grid = np.indices(known.shape)
        grid[axis] = known % shape_of(x)[axis]
        return grid.reshape(len(grid), -1).T

    return _scattered(node, x, rows, positions, add, cells)


def _scattered(
    node: Node, x: Value, rows: Value, positions: Value, add: Callable[[Value], Value], cells: Callable[[Array], Array]
) -> Value:
    """Adding is what there is; what replaces is added to what has lost its old values, where no place comes twice."""
    kind = node.get("reduction", "none")
    if kind == "none":
        flat = cells(np.asarray(node.known(positions, "indices")))
        if len(np.unique(flat, axis=0)) < len(flat):
            raise ArgumentError(explain(f"{node.kind}: a place is written twice", fix="reduction='add' adds up"))
        x = ops.where(ops.greater(add(np.ones(shape_of(rows), dtype_of(x))), 0), 0, x)
    elif kind != "add":
        raise ArgumentError(explain(f"{node.kind}: no counterpart for this reduction", got=kind, expected="add, none"))
    return _as(x + add(rows), dtype_of(rows))


def _gather_elements(node: Node, x: Value, positions: Value) -> Value:
    axis = node.get("axis", 0) % len(shape_of(x))
    ends = shape_of(positions)
    cut = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(ends))
    return ops.take_along_axis(ops.getitem(x, cut), positions, axis=axis)


def _expand(node: Node, x: Value, shape: Value) -> Value:
    wanted = np.broadcast_shapes(shape_of(x), tuple(node.known(shape, "shape")))
    return ops.broadcast_to(x, _bounded(node, wanted))


def _tile(node: Node, x: Value, repeats: Value) -> Value:
    many = node.known(repeats, "repeats")
    _bounded(node, [n * r for n, r in zip(shape_of(x), many)])
    return ops.tile(x, tuple(many))


MODES = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(node: Node, x: Value, pads: Value = None, value: Value = None, axes: Value = None) -> Value:
    ndim = len(shape_of(x))
    given = node.get("pads") if pads is None else node.known(pads, "pads")
    along = range(ndim) if axes is None else [a % ndim for a in node.known(axes, "axes")]
    number = node.get("value", 0.0) if value is None else node.known(value, "constant_value")
    widths = [(0, 0)] * ndim
    for i, axis in enumerate(along):
        widths[axis] = (given[i], given[i + len(along)])
    _bounded(node, [max(0, n + a + b) for n, (a, b) in zip(shape_of(x), widths)])
    mode = node.get("mode", "constant")
    if mode == "constant" and min(map(min, widths), default=0) >= 0:
        number = float(np.reshape(number, ()))
        return _as(ops.pad(x, widths, number), dtype_of(x))
    flat = [n for pair in reversed(widths) for n in pair]
    name = "constant" if mode == "constant" else MODES.get(mode, mode)
    return functional.pad(x, flat, mode=name, value=float(np.reshape(number, ())))


def _depth_to_space(node: Node, x: Value) -> Value:
    n, c, h, w = shape_of(x)
    b = node.get("blocksize")
    if node.get("mode", "DCR") == "DCR":
        y = ops.transpose(ops.reshape(x, (n, b, b, c // (b * b), h, w)), (0, 3, 4, 1, 5, 2))
    else:
        y = ops.transpose(ops.reshape(x, (n, c // (b * b), b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return ops.reshape(y, (n, c // (b * b), h * b, w * b))


def _space_to_depth(node: Node, x: Value) -> Value:
    node.only(mode="DCR")
    n, c, h, w = shape_of(x)
    b = node.get("blocksize")
    y = ops.transpose(ops.reshape(x, (n, c, h // b, b, w // b, b)), (0, 3, 5, 1, 2, 4))
    return ops.reshape(y, (n, c * b * b, h // b, w // b))


def _shape(node: Node, x: Value) -> Array:
    return np.array(shape_of(x)[node.get("start", 0) : node.get("end")], np.int64)


def _constant(node: Node) -> Array:
    import onnx

    for name, dtype in (
        ("value_float", "float32"),
        ("value_floats", "float32"),
        ("value_int", "int64"),
        ("value_ints", "int64"),
    ):
        if name in node.attributes:
            return np.array(node.get(name), dtype)
    if "value" not in node.attributes:
        raise ArgumentError(explain("Constant: no counterpart for this kind of value", got=", ".join(node.attributes)))
    return np.asarray(onnx.numpy_helper.to_array(node.get("value")))


def _constant_of_shape(node: Node, shape: Value) -> Array:
    import onnx

    value = node.get("value")
    filler = np.zeros(1, np.float32) if value is None else onnx.numpy_helper.to_array(value)
    return np.full(_bounded(node, node.known(shape, "shape")), filler.ravel()[0], filler.dtype)


def _range(node: Node, start: Value, limit: Value, delta: Value) -> Array:
    ends = [np.reshape(node.known(v, "an end"), ()).item() for v in (start, limit, delta)]
    _bounded(node, [max(0, math.ceil((ends[1] - ends[0]) / ends[2]))])
    return np.arange(*ends, dtype=dtype_of(start))


def _one_hot(node: Node, positions: Value, depth: Value, values: Value) -> Value:
    n = int(np.reshape(node.known(depth, "depth"), ()))
    _bounded(node, [n, math.prod(shape_of(positions))])
    axis = node.get("axis", -1) % (len(shape_of(positions)) + 1)
    places = np.arange(n).reshape([-1 if i == axis else 1 for i in range(len(shape_of(positions)) + 1)])
    wanted = ops.astype(ops.expand_dims(positions, axis), "int64")
    chosen = ops.equal(ops.where(ops.less(wanted, 0), wanted + n, wanted), places)
    return ops.where(chosen, ops.getitem(values, 1), ops.getitem(values, 0))


def _trilu(node: Node, x: Value, k: Value = None) -> Value:
    offset = 0 if k is None else int(np.reshape(node.known(k, "k"), ()))
    return (ops.triu if node.get("upper", 1) else ops.tril)(x, offset)


def _dropout(node: Node, x: Value, ratio: Value = None, training: Value = None) -> Value:
    if training is not None and bool(np.reshape(node.known(training, "training_mode"), ())):
        raise ArgumentError(
            explain("Dropout: in training mode every runtime draws other numbers", fix="export for use")
        )
    mask = np.ones(shape_of(x), bool)
    return (x, mask) if node.outputs > 1 else x


# -- products and windows -------------------------------------------------------------------------------------------------


def _gemm(node: Node, a: Value, b: Value, c: Value = None) -> Value:
    a = ops.transpose(a) if node.get("transA", 0) else a
    b = ops.transpose(b) if node.get("transB", 0) else b
    y = ops.matmul(a, b)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    y = y if alpha == 1.0 else _as(y * alpha, dtype_of(a))
    return y if c is None else y + (c if beta == 1.0 else _as(c * beta, dtype_of(a)))


def _settings(
    node: Node, size: Sequence[int], kernel: Sequence[int]
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Strides, dilations and paddings of a sliding window."""
    n = len(kernel)
    strides, dilations = node.get("strides", [1] * n), node.get("dilations", [1] * n)
    auto, pads = node.get("auto_pad", "NOTSET"), node.get("pads", [0] * 2 * n)
    pairs = list(zip(pads[:n], pads[n:]))
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for length, k, s, d in zip(size, kernel, strides, dilations):
            total = max(0, (-(-length // s) - 1) * s + (k - 1) * d + 1 - length)
            half = total // 2
            pairs.append((half, total - half) if auto == "SAME_UPPER" else (total - half, half))
    elif auto == "VALID":
        pairs = [(0, 0)] * n
    return list(strides), list(dilations), pairs


CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def _rank(node: Node, x: Value) -> int:
    n = len(shape_of(x)) - 2
    if n not in CONVOLUTIONS:
        raise ArgumentError(explain(f"{node.kind}: no counterpart for this many axes", got=f"shape {shape_of(x)}"))
    return n


def _conv(node: Node, x: Value, weight: Value, bias: Value = None) -> Value:
    n = _rank(node, x)
    strides, dilations, pads = _settings(node, shape_of(x)[2:], shape_of(weight)[2:])
    even = all(a == b for a, b in pads)
    if not even:
        x = ops.pad(x, [(0, 0), (0, 0), *pads])
    padding = tuple(a for a, _ in pads) if even else (0,) * n
    return CONVOLUTIONS[n](
        x, weight, bias, stride=tuple(strides), padding=padding, dilation=tuple(dilations), groups=node.get("group", 1)
    )


def _conv_transpose(node: Node, x: Value, weight: Value, bias: Value = None) -> Value:
    n = _rank(node, x)
    kernel = shape_of(weight)[2:]
    strides, dilations, pads = _settings(node, shape_of(x)[2:], kernel)
    extra = node.get("output_padding", [0] * n)
    whole = [
        s * (size - 1) + e + (k - 1) * d + 1
        for s, size, e, k, d in zip(strides, shape_of(x)[2:], extra, kernel, dilations)
    ]
    wanted = node.get("output_shape")
    auto = node.get("auto_pad", "NOTSET")
    if wanted is None and auto.startswith("SAME"):
        wanted = [size * s for size, s in zip(shape_of(x)[2:], strides)]
    if wanted is not None:
        totals = [max(0, size - end) for size, end in zip(whole, wanted[-n:])]
        extra = [e + max(0, end - size) for e, size, end in zip(extra, whole, wanted[-n:])]
        pads = [(t - t // 2, t // 2) if auto == "SAME_LOWER" else (t // 2, t - t // 2) for t in totals]
    y = TRANSPOSED[n](
        x, weight, bias, stride=tuple(strides), output_padding=tuple(extra), groups=node.get("group", 1),
        dilation=tuple(dilations),
    )  # fmt: skip
    cut = tuple(slice(a, size - b) for size, (a, b) in zip(shape_of(y)[2:], pads))
    return ops.getitem(y, (slice(None), slice(None), *cut))


def _windows(node: Node, x: Value, filler: float) -> tuple[Value, list[tuple[int, int]], list[int], list[int]]:
    """The windows of a pooling over the padded input; its paddings, strides and dilations."""
    node.only(storage_order=0)
    kernel, size = node.get("kernel_shape"), shape_of(x)[2:]
    strides, dilations, pads = _settings(node, size, kernel)
    if node.get("ceil_mode", 0):
        for i, (length, (a, b)) in enumerate(zip(size, pads)):
            span = (kernel[i] - 1) * dilations[i] + 1
            many = -(-(length + a + b - span) // strides[i])
            many -= many * strides[i] >= length + a  # a window that would start in the padding behind
            pads[i] = (a, max(b, many * strides[i] + span - length - a))
    padded = ops.pad(x, [(0, 0), (0, 0), *pads], filler) if any(map(any, pads)) else x
    axes = tuple(range(2, len(shape_of(x))))
    for axis, k, d in zip(axes, kernel, dilations):
        if shape_of(padded)[axis] < (k - 1) * d + 1:
            raise ArgumentError(explain(f"{node.kind}: a window larger than the input", got=shape_of(x)))
    windows = ops.primitives.sliding_window(
        padded, window=tuple(kernel), stride=tuple(strides), dilation=tuple(dilations)
    )
    return windows, pads, strides, dilations


def _max_pool(node: Node, x: Value) -> Value:
    if node.outputs > 1:
        raise ArgumentError(explain("MaxPool: no counterpart for its second output, the positions"))
    kernel = node.get("kernel_shape")
    filler = -math.inf if dtype_of(x).kind == "f" else float(np.iinfo(dtype_of(x)).min)
    windows = _windows(node, x, filler)[0]
    return _as(ops.max(windows, axis=tuple(range(-len(kernel), 0))), dtype_of(x))


def _average_pool(node: Node, x: Value) -> Value:
    kernel = node.get("kernel_shape")
    axes = tuple(range(-len(kernel), 0))
    windows, pads, strides, dilations = _windows(node, x, 0.0)
    size = shape_of(x)[2:]
    given = node.get("pads", [0] * 2 * len(size)) if node.get("auto_pad", "NOTSET") == "NOTSET" else [0] * 2 * len(size)
    ones = np.zeros([n + a + b for n, (a, b) in zip(size, pads)])
    counted = tuple(slice(a, a + n) for n, (a, _) in zip(size, pads))
    if node.get("count_include_pad", 0):
        whole = [(a, b) for a, b in zip(given[: len(size)], given[len(size) :])]
        if node.get("auto_pad", "NOTSET") != "NOTSET":
            whole = pads
        counted = tuple(slice(0, a + n + b) for n, (a, b) in zip(size, whole))
    ones[counted] = 1.0
    counts = ops.primitives.sliding_window.forward(
        ones, window=tuple(kernel), stride=tuple(strides), dilation=tuple(dilations)
    ).sum(axis=axes)
    return _as(ops.sum(windows, axis=axes) / counts.astype(dtype_of(x)), dtype_of(x))


def _global_pool(operation: Callable[..., Value]) -> Counterpart:
    return lambda node, x: operation(x, axis=tuple(range(2, len(shape_of(x)))), keepdims=True)


# -- norms ----------------------------------------------------------------------------------------------------------------


def _channels(x: Value, like: Value) -> Value:
    return ops.reshape(x, (1, -1, *[1] * (len(shape_of(like)) - 2)))


def _batch_norm(node: Node, x: Value, weight: Value, bias: Value, mean: Value, var: Value) -> Value:
    eps, momentum = node.get("epsilon", 1e-5), node.get("momentum", 0.9)
    if not node.get("training_mode", 0):
        if node.outputs > 1:
            raise ArgumentError(explain("BatchNormalization: several outputs without training_mode"))
        y = (x - _channels(mean, x)) / ops.sqrt(_channels(var, x) + eps)
        return _as(_channels(weight, x) * y + _channels(bias, x), dtype_of(x))
    axes = (0, *range(2, len(shape_of(x))))
    y, batch_mean, batch_var = standardize(x, axes, eps)
    y = _as(_channels(weight, x) * y + _channels(bias, x), dtype_of(x))
    moved = [
        _as(old * momentum + ops.reshape(new, shape_of(old)) * (1.0 - momentum), dtype_of(old))
        for old, new in ((mean, batch_mean), (var, batch_var))
    ]
    return (y, *moved)[: node.outputs]


def _layer_norm(node: Node, x: Value, weight: Value, bias: Value = None) -> Value:
    first = node.get("axis", -1) % len(shape_of(x))
    axes = tuple(range(first, len(shape_of(x))))
    y, mean, variance = standardize(x, axes, node.get("epsilon", 1e-5))
    y = y * weight if bias is None else y * weight + bias
    return (y, mean, 1.0 / ops.sqrt(variance + node.get("epsilon", 1e-5)))[: node.outputs] if node.outputs > 1 else y


def _instance_norm(node: Node, x: Value, weight: Value, bias: Value) -> Value:
    y = standardize(x, tuple(range(2, len(shape_of(x)))), node.get("epsilon", 1e-5))[0]
    return _channels(weight, x) * y + _channels(bias, x)


def _group_norm(node: Node, x: Value, weight: Value, bias: Value) -> Value:
    shape, groups = shape_of(x), node.get("num_groups")
    grouped = ops.reshape(x, (shape[0], groups, math.prod(shape[1:]) // groups))
    y = standardize(grouped, (2,), node.get("epsilon", 1e-5))[0]
    if node.opset < 21:  # one weight for each group then
        y = ops.reshape(y, (shape[0], groups, -1)) * ops.reshape(weight, (1, -1, 1)) + ops.reshape(bias, (1, -1, 1))
        return ops.reshape(y, shape)
    return _channels(weight, x) * ops.reshape(y, shape) + _channels(bias, x)


def _rms_norm(node: Node, x: Value, weight: Value) -> Value:
    first = node.get("axis", -1) % len(shape_of(x))
    axes = tuple(range(first, len(shape_of(x))))
    return x / ops.sqrt(ops.mean(ops.square(x), axes, keepdims=True) + node.get("epsilon", 1e-5)) * weight


def _lrn(node: Node, x: Value) -> Value:
    size, alpha, beta = node.get("size"), node.get("alpha", 1e-4), node.get("beta", 0.75)
    before, channels = (size - 1) // 2, shape_of(x)[1]
    wide = ops.pad(ops.square(x), [(0, 0), (before, size - 1 - before), *[(0, 0)] * (len(shape_of(x)) - 2)])
    parts = [ops.getitem(wide, (slice(None), slice(i, i + channels))) for i in range(size)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return x / ops.power(total * (alpha / size) + node.get("bias", 1.0), beta)


COUNTERPARTS: dict[str, Counterpart] = {
    "Abs": _unary(ops.abs), "Acos": _unary(ops.arccos), "Acosh": _unary(ops.arccosh), "Add": _binary(ops.add),
    "And": _binary(ops.logical_and), "ArgMax": _position(ops.argmax), "ArgMin": _position(ops.argmin),
    "Asin": _unary(ops.arcsin), "Asinh": _unary(ops.arcsinh), "Atan": _unary(ops.arctan), "Atanh": _unary(ops.arctanh),
    "AveragePool": _average_pool, "BatchNormalization": _batch_norm, "Cast": _cast,
    "CastLike": lambda node, x, like: ops.astype(x, dtype_of(like)), "Ceil": _unary(ops.ceil), "Celu": _celu,
    "Clip": _clip, "Concat": lambda node, *arrays: ops.concatenate(arrays, node.get("axis")), "Constant": _constant,
    "ConstantOfShape": _constant_of_shape, "Conv": _conv, "ConvTranspose": _conv_transpose, "Cos": _unary(ops.cos),
    "Cosh": _unary(ops.cosh), "CumSum": _cumsum, "DepthToSpace": _depth_to_space, "Div": _binary(_div),
    "Dropout": _dropout, "Einsum": lambda node, *arrays: ops.einsum(node.get("equation"), *arrays), "Elu": _elu,
    "Equal": _binary(ops.equal), "Erf": _unary(ops.erf), "Exp": _unary(ops.exp), "Expand": _expand,
    "Flatten": _flatten, "Floor": _unary(ops.floor), "Gather": _gather, "GatherElements": _gather_elements,
    "GatherND": _gather_nd, "Gelu": _gelu, "Gemm": _gemm, "GlobalAveragePool": _global_pool(ops.mean),
    "GlobalMaxPool": _global_pool(ops.max), "Greater": _binary(ops.greater),
    "GreaterOrEqual": _binary(ops.greater_equal), "GroupNormalization": _group_norm, "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish, "Identity": lambda node, x: x, "InstanceNormalization": _instance_norm, "IsInf": _isinf,
    "IsNaN": _unary(ops.isnan), "LRN": _lrn, "LayerNormalization": _layer_norm, "LeakyRelu": _leaky,
    "Less": _binary(ops.less), "LessOrEqual": _binary(ops.less_equal), "Log": _unary(ops.log),
    "LogSoftmax": _softmax(ops.log_softmax), "MatMul": _binary(ops.matmul), "Max": _many(ops.maximum),
    "MaxPool": _max_pool,
    "Mean": lambda node, *xs: _many(ops.add)(node, *xs) / float(len(xs)), "Min": _many(ops.minimum),
    "Mish": lambda node, x: x * ops.tanh(ops.softplus(x)), "Mod": _mod, "Mul": _binary(ops.multiply),
    "Neg": _unary(ops.negative), "Not": _unary(ops.logical_not), "OneHot": _one_hot, "Or": _binary(ops.logical_or),
    "PRelu": _prelu, "Pad": _pad, "Pow": _binary(_same_type(ops.power)), "RMSNormalization": _rms_norm,
    "Range": _range, "Reciprocal": _unary(ops.reciprocal), "ReduceL1": _reduce(ops.sum, ops.abs),
    "ReduceL2": _reduce(_norm2), "ReduceLogSum": _reduce(_log_sum), "ReduceLogSumExp": _reduce(ops.logsumexp),
    "ReduceMax": _reduce(ops.max), "ReduceMean": _reduce(ops.mean), "ReduceMin": _reduce(ops.min),
    "ReduceProd": _reduce(ops.prod), "ReduceSum": _reduce(ops.sum), "ReduceSumSquare": _reduce(ops.sum, ops.square),
    "Relu": _unary(lambda x: _as(ops.relu(x), dtype_of(x))), "Reshape": _reshape, "Round": _unary(ops.rint),
    "ScatterElements": _scatter_elements, "ScatterND": _scatter_nd, "Selu": _selu, "Shape": _shape,
    "Shrink": _shrink, "Sigmoid": _unary(ops.sigmoid), "Sign": _unary(ops.sign), "Sin": _unary(ops.sin),
    "Sinh": _unary(ops.sinh), "Size": lambda node, x: np.array(math.prod(shape_of(x)), np.int64), "Slice": _slice,
    "Softmax": _softmax(ops.softmax), "Softplus": _unary(ops.softplus),
    "Softsign": lambda node, x: x / (ops.abs(x) + 1.0), "SpaceToDepth": _space_to_depth, "Split": _split,
    "Sqrt": _unary(ops.sqrt), "Squeeze": _squeeze, "Sub": _binary(ops.subtract), "Sum": _many(ops.add),
    "Swish": lambda node, x: x * ops.sigmoid(x * node.get("alpha", 1.0)), "Tan": _unary(ops.tan),
    "Tanh": _unary(ops.tanh), "ThresholdedRelu": _thresholded, "Tile": _tile, "TopK": _top_k, "Transpose": _transpose,
    "Trilu": _trilu, "Unsqueeze": _unsqueeze, "Where": lambda node, c, x, y: ops.where(c, x, y),
    "Xor": _binary(ops.logical_xor),
}  # fmt: skip
