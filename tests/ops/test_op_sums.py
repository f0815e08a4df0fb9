"""Sums against exactly rounded ones (``math.fsum``), whichever way they are computed: shapes, memory order, dtypes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tinygrad_bn import Tensor, engine, ops

Array = np.ndarray[Any, Any]
SHAPES = [(1, 1), (3, 1), (1, 4), (0, 3), (3, 0), (7, 5), (60, 33), (2, 3, 4), (1, 60, 7), (3, 17, 1), (2, 2, 3, 5)]
LAYOUTS = {
    "row-major": lambda x: x,
    "column-major": np.asfortranarray,
    "every other row": lambda x: np.repeat(x, 2, axis=-2)[..., ::2, :],
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "stretched": lambda x: np.broadcast_to(x[..., :1, :], x.shape),
}


def exact(x: Array, axis: int) -> Array:
    """Sums along one axis, each rounded once."""
    rows = np.moveaxis(x, axis, -1).astype(float)
    sums = [math.fsum(row) for row in rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])]
    return np.array(sums).reshape(rows.shape[:-1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "float32", ">f4", "float16", "int8", "bool"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sum_is_the_exact_sum_up_to_rounding(shape: tuple[int, ...], dtype: str, layout: str) -> None:
    x = LAYOUTS[layout]((np.random.default_rng(0).normal(size=shape) * 9.0).astype(dtype))
    for axis in range(len(shape)):
        want = exact(x, axis)
        size = np.finfo(dtype).eps * exact(np.abs(x), axis) if x.dtype.kind == "f" else 0.0
        for keepdims in (False, True):
            got = ops.sum(x, axis, keepdims)
            assert got.dtype == x.sum(axis).dtype
            assert got.shape == x.sum(axis, keepdims=keepdims).shape
            assert (np.abs(np.asarray(got, float).reshape(want.shape) - want) <= shape[axis] * size).all()


@pytest.mark.parametrize("size", [(5, 3), (64, 17), (3, 9, 4)], ids=str)
@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_stays_in_its_column(size: tuple[int, ...], odd: float) -> None:
    x = np.ones(size, np.float32)
    x[..., 2, 1] = odd
    want = np.full((*size[:-2], size[-1]), size[-2], np.float32)
    want[..., 1] = odd
    np.testing.assert_array_equal(ops.sum(x, -2), want)
    np.testing.assert_array_equal(ops.sum(x, -2, keepdims=True), want[..., None, :])


def test_a_long_sum_in_single_precision_is_at_least_as_exact_as_numpys() -> None:
    x = (np.random.default_rng(0).normal(size=(60_000, 3)) + 1e4).astype(np.float32)
    want = exact(x, 0)

    def error(total: Array) -> float:
        return float(np.abs(total / want - 1.0).max())

    assert error(ops.sum(x, 0)) <= error(np.add.reduce(x)) + 1e-7


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 1, 4), (1, 1, 1), (5, 1), (3, 5, 1), ()], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_stretched_argument_gets_the_sum_of_its_uses(shape: tuple[int, ...], order: Any) -> None:
    g = np.asarray(np.random.default_rng(1).normal(size=(3, 5, 4)), order=order)
    small = Tensor(np.zeros(shape), requires_grad=True)
    (small + np.zeros((3, 5, 4))).backward(g)
    want = np.zeros(shape)
    for place in np.ndindex(g.shape):
        want[tuple(i if n > 1 else 0 for i, n in zip(place[3 - len(shape) :], shape))] += g[place]
    assert small.grad is not None
    np.testing.assert_allclose(small.grad.data, want, rtol=1e-13, atol=1e-13)


def test_nothing_is_stretched_where_the_shapes_are_equal() -> None:
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = engine.sum_to(x, shape=(2, 3))
    g = np.random.default_rng(2).normal(size=(2, 3))
    y.backward(g)
    np.testing.assert_array_equal(y.data, x.data)
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data, g)


def test_a_large_stretched_array_takes_no_memory_of_its_own() -> None:
    x = Tensor(np.arange(400.0), requires_grad=True)
    y = engine.broadcast_to(x, shape=(400, 400))
    g = np.random.default_rng(3).normal(size=(400, 400))
    y.backward(g)
    assert y.data.strides[0] == 0
    np.testing.assert_array_equal(y.data, np.broadcast_to(x.data, (400, 400)))
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, exact(g, 0), rtol=1e-12, atol=1e-12)
