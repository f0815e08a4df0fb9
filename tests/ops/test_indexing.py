"""``x[...]``, ``take`` and ``take_along_axis`` in all of NumPy's forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.positions import check_moves
from tinygrad_bn import Tensor, ops
from tinygrad_bn.errors import DTypeError, IndexingError

SHAPE = (3, 4, 2)
ROWS = np.array([0, 2, 2])
GRID = np.array([[0, 2, 2], [1, 1, 0]])
BITS = np.arange(24).reshape(SHAPE) % 3 == 0

INDICES: dict[str, Any] = {
    "int": 1,
    "negative int": -1,
    "numpy int": np.int64(2),
    "ints": (1, -2),
    "all ints": (1, 2, 0),
    "empty tuple": (),
    "slice": slice(1, None),
    "step": slice(None, None, 2),
    "negative step": (slice(None), slice(None, None, -1)),
    "negative bounds": (slice(-2, None), slice(3, 0, -2)),
    "empty slice": slice(2, 1),
    "numpy slice": slice(np.int64(0), np.int64(2)),
    "none": None,
    "nones": (None, slice(None), None, 1),
    "ellipsis": (..., 0),
    "only ellipsis": ...,
    "ellipsis inside": (0, ..., slice(0, 1)),
    "ellipsis of nothing": (0, 1, ..., 1),
    "array": ROWS,
    "list": [2, 0],
    "nested list": [[2, 0], [0, 0]],
    "empty list": [],
    "array of one": np.array([1]),
    "array without axes": np.array(1),
    "unsigned": ROWS.astype(np.uint8),
    "negative array": np.array([-1, 0, -1]),
    "grid": GRID,
    "array later": (slice(None), ROWS),
    "two arrays": (ROWS, ROWS),
    "two arrays broadcast": (GRID, np.array([3, 1, 1])),
    "two arrays apart": (ROWS, slice(None), np.array([0, 1, 1])),
    "array and int": (ROWS, 1),
    "array and int apart": (0, slice(None), np.array([0, 1, 1])),
    "array and slice": (slice(1, None), ROWS, 0),
    "array and none": (None, ROWS, None),
    "array and ellipsis": (..., np.array([1, 0, 0])),
    "array, none between": (ROWS, None, ROWS),
    "mask": BITS,
    "mask of nothing": np.zeros(SHAPE, bool),
    "mask of rows": np.array([True, False, True]),
    "mask list": [True, False, True],
    "mask of two axes": BITS[..., 0],
    "mask at the end": (..., BITS[0, 0]),
    "mask behind an ellipsis": (..., BITS[0]),
    "mask in the middle": (slice(None), BITS[0, :, 0]),
    "mask and int": (BITS[:, 0, 0], 0),
    "mask and none": (None, BITS[:, 0, 0], slice(None)),
    "mask and array": (BITS[:, 0, 0], slice(None), np.array([1])),
    "mask of no axis left over": (BITS, ...),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_getitem(index: Any) -> None:
    check_moves(lambda x: x[index] if isinstance(x, Tensor) else ops.getitem(x, index), lambda x: x[index], SHAPE)


def test_indices_may_be_tensors() -> None:
    x = np.arange(24.0).reshape(SHAPE)
    np.testing.assert_array_equal(Tensor(x)[Tensor(ROWS)].numpy(), x[ROWS])
    np.testing.assert_array_equal(Tensor(x)[Tensor(x) > 7].numpy(), x[x > 7])
    np.testing.assert_array_equal(ops.take(x, Tensor(ROWS), 0).numpy(), x[ROWS])


def test_computed_indices_take_no_part_in_derivatives() -> None:
    x = Tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    for best in (ops.take_along_axis(x * x, ops.argmax(x, 1, keepdims=True), 1), (x * x)[0, ops.argmax(x[0])]):
        slope = tg.grad(best, x, np.ones(best.shape), create_graph=True)
        np.testing.assert_array_equal(slope.numpy(), [[0.0, 6.0, 0.0]])
        np.testing.assert_array_equal(tg.grad(slope, x, np.ones((1, 3))).numpy(), [[0.0, 2.0, 0.0]])


def test_an_index_array_changed_later_changes_nothing() -> None:
    rows = ROWS.copy()
    x = Tensor(np.arange(3.0), requires_grad=True)
    y = x[rows]
    rows[:] = 1
    y.backward(np.ones(3))
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 0.0, 2.0])


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("indices", [1, -1, [1, 0, 1], np.array([[1, 0], [1, 1]]), np.zeros((2, 0), int)], ids=str)
def test_take(indices: Any, axis: int | None) -> None:
    check_moves(lambda x: ops.take(x, indices, axis), lambda x: np.take(x, indices, axis), SHAPE)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
def test_take_along_axis(axis: int | None) -> None:
    rng = np.random.default_rng(0)
    if axis is None:
        indices = rng.integers(-24, 24, 30)
    else:
        shape = list(SHAPE)
        shape[axis] = 5
        indices = rng.integers(-SHAPE[axis], SHAPE[axis], shape)
    check_moves(lambda x: ops.take_along_axis(x, indices, axis), lambda x: np.take_along_axis(x, indices, axis), SHAPE)


def test_take_along_axis_broadcasts_the_other_axes() -> None:
    indices = np.array([[[1], [0], [3]]])
    check_moves(lambda x: ops.take_along_axis(x, indices, 1), lambda x: np.take_along_axis(x, indices, 1), SHAPE)


def test_sorting_by_take_along_axis_carries_the_gradient_back() -> None:
    x = Tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    ordered = ops.take_along_axis(x, np.argsort(x.numpy(), axis=1), 1)
    ordered.backward(np.array([[10.0, 20.0, 30.0]]))
    np.testing.assert_array_equal(x.grad.numpy(), [[30.0, 10.0, 20.0]])


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (3, IndexingError),
        ((0, 0, 0, 0), IndexingError),
        ((..., 0, ...), IndexingError),
        (np.array([0, 3]), IndexingError),
        ((ROWS, np.array([0, 1])), IndexingError),
        (np.array([True, False]), IndexingError),
        (np.array([True, False, True, False]), IndexingError),
        (BITS[:, :3], IndexingError),
        ((..., BITS[0, :, 0]), IndexingError),
        ((BITS, 0), IndexingError),
        (True, DTypeError),
        (np.True_, DTypeError),
        (1.0, DTypeError),
        ([0.5], DTypeError),
        (np.array([]), DTypeError),
        ("a", DTypeError),
        (slice(0.5, 2), DTypeError),
        ((0, {}), DTypeError),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", [Tensor, np.asarray])
def test_what_cannot_be_an_index(kind: Any, index: Any, error: Any) -> None:
    with pytest.raises(error, match=r"^x\["):
        ops.getitem(kind(np.zeros(SHAPE)), index)
