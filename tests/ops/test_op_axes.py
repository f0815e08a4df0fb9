"""Reductions over every kind of axis argument, with and without keepdims, against NumPy and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.oracles import compare_with_torch
from tinygrad_bn import Tensor, ops

SHAPE = (2, 3, 2)
AXES: list[Any] = [None, 0, 1, -1, np.int64(1), (0, 1), (0, -1), (-3, 2), (2, 0), (0, 1, 2), (), [0, 2]]


def plain(axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(len(SHAPE)))
    return tuple(a % len(SHAPE) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def along_last(function: Any, axis: Any, keepdims: bool) -> Any:
    """PyTorch's function of the last axis, for any axes: they are brought to the end and joined first."""
    axes = plain(axis)
    rest = [i for i in range(len(SHAPE)) if i not in axes]

    def reduced(x: Any) -> Any:
        joined = x.permute(*rest, *axes).reshape(*(SHAPE[i] for i in rest), -1)
        y = function(joined)
        return y.reshape([1 if i in axes else n for i, n in enumerate(SHAPE)]) if keepdims else y

    return reduced


REDUCTIONS: dict[str, tuple[Any, Any, Any]] = {
    "sum": (ops.sum, np.sum, lambda x: x.sum(-1)),
    "mean": (ops.mean, np.mean, lambda x: x.mean(-1)),
    "var": (ops.var, np.var, lambda x: x.var(-1, correction=0)),
    "prod": (ops.prod, np.prod, lambda x: x.prod(-1)),
    "max": (ops.max, np.max, lambda x: x.amax(-1)),
    "min": (ops.min, np.min, lambda x: x.amin(-1)),
    "logsumexp": (ops.logsumexp, lambda x, **kw: np.log(np.sum(np.exp(x), **kw)), lambda x: x.logsumexp(-1)),
    "norm 2": (ops.norm, lambda x, **kw: np.sqrt(np.sum(x * x, **kw)), lambda x: torch.linalg.vector_norm(x, 2, -1)),
    "norm 3": (
        lambda x, **kw: ops.norm(x, 3, **kw),
        lambda x, **kw: np.cbrt(np.sum(np.abs(x) ** 3, **kw)),
        lambda x: torch.linalg.vector_norm(x, 3, -1),
    ),
}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=repr)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_axis_argument(name: str, axis: Any, keepdims: bool) -> None:
    ours, numpys, torchs = REDUCTIONS[name]
    x = np.random.default_rng(0).standard_normal(SHAPE)
    expected = numpys(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    got = ours(Tensor(x), axis=axis, keepdims=keepdims)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-13)
    compare_with_torch(lambda x: ours(x, axis=axis, keepdims=keepdims), along_last(torchs, axis, keepdims), [x])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("axis", [a for a in AXES if plain(a)], ids=repr)
@pytest.mark.parametrize("name", ["var", "std"])
def test_degrees_of_freedom(name: str, axis: Any, ddof: int, keepdims: bool) -> None:
    x = np.random.default_rng(1).standard_normal(SHAPE)
    ours, numpys = getattr(ops, name), getattr(np, name)
    expected = numpys(x, axis=tuple(axis) if isinstance(axis, list) else axis, ddof=ddof, keepdims=keepdims)
    np.testing.assert_allclose(ours(x, axis, keepdims, ddof), expected, rtol=1e-13)
    torchs = along_last(lambda x: getattr(x, name)(-1, correction=ddof), axis, keepdims)
    compare_with_torch(lambda x: ours(x, axis, keepdims, ddof), torchs, [x])


@pytest.mark.parametrize("axis", AXES, ids=repr)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_over_any_axes(name: str, axis: Any) -> None:
    axes = plain(axis)
    rest = tuple(i for i in range(len(SHAPE)) if i not in axes)
    back = tuple(np.argsort(rest + axes))

    def theirs(x: Any) -> Any:
        moved = x.permute(*rest, *axes)
        flat = getattr(moved.reshape(*(SHAPE[i] for i in rest), -1), name)(-1)
        return flat.reshape(moved.shape).permute(back)

    compare_with_torch(lambda x: getattr(ops, name)(x, axis), theirs, [np.random.default_rng(2).standard_normal(SHAPE)])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions_as_numpy(name: str, axis: int | None, keepdims: bool) -> None:
    rng = np.random.default_rng(3)
    for x in (rng.standard_normal(SHAPE), rng.integers(0, 3, SHAPE), rng.integers(0, 3, SHAPE).astype(np.uint8)):
        got = getattr(ops, name)(Tensor(x), axis, keepdims)
        expected = np.asarray(getattr(np, name)(x, axis, keepdims=keepdims))
        assert got.shape == expected.shape
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_running_sums(axis: int | None) -> None:
    x = np.random.default_rng(4).standard_normal(SHAPE)
    np.testing.assert_allclose(ops.cumsum(x, axis), np.cumsum(x, axis), rtol=1e-14)
    compare_with_torch(
        lambda x: ops.cumsum(x, axis), lambda x: x.flatten().cumsum(0) if axis is None else x.cumsum(axis), [x]
    )


@pytest.mark.parametrize("n", range(1, 10))
def test_products_of_any_length(n: int) -> None:
    """Folding by halves treats odd lengths specially."""
    x = np.random.default_rng(n).uniform(0.5, 1.5, (2, n))
    compare_with_torch(lambda x: ops.prod(x, 1), lambda x: x.prod(1), [x])
