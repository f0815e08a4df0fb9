"""Operations on several arguments: every pair of shapes that broadcast, against PyTorch and NumPy."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from tests.oracles import compare_with_torch
from tinygrad_bn import Tensor, ops

SHAPES: list[tuple[int, ...]] = [(), (3,), (1, 3), (2, 3), (2, 1, 3)]
PAIRS = list(product(SHAPES, SHAPES))
CONDITION = np.array([True, False, True])

BINARY: dict[str, tuple[Any, Any]] = {
    "add": (ops.add, torch.add),
    "subtract": (ops.subtract, torch.subtract),
    "multiply": (ops.multiply, torch.multiply),
    "divide": (ops.divide, torch.divide),
    "power": (ops.power, torch.pow),
    "maximum": (ops.maximum, torch.maximum),
    "minimum": (ops.minimum, torch.minimum),
    "where": (lambda x, y: ops.where(CONDITION, x, y), lambda x, y: torch.where(torch.tensor(CONDITION), x, y)),
    "clip low": (lambda x, y: ops.clip(x, y, 1.5), lambda x, y: torch.maximum(x, y).clamp(max=1.5)),
    "clip high": (lambda x, y: ops.clip(x, 0.8, y), lambda x, y: torch.minimum(x.clamp(min=0.8), y)),
}


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_every_pair_of_shapes(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    compare_with_torch(*BINARY[name], [rng.uniform(0.5, 2.0, a), rng.uniform(0.5, 2.0, b)])


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"])
def test_comparisons_as_numpy(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 3, a), rng.integers(0, 3, b).astype(float)
    got, expected = getattr(ops, name)(Tensor(x), Tensor(y)), getattr(np, name)(x, y)
    assert got.dtype == bool
    np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize("name", ["logical_and", "logical_or"])
def test_logic_as_numpy(name: str) -> None:
    x, y = np.array([0.0, 2.0, 0.0, -1.0]), np.array([[0.0], [3.0]])
    np.testing.assert_array_equal(getattr(ops, name)(Tensor(x), Tensor(y)).numpy(), getattr(np, name)(x, y))


def test_a_condition_broadcasts_too() -> None:
    condition = np.array([[True], [False]])
    rng = np.random.default_rng(2)
    compare_with_torch(
        lambda x, y: ops.where(condition, x, y),
        lambda x, y: torch.where(torch.tensor(condition), x, y),
        [rng.standard_normal(3), rng.standard_normal(())],
    )


def test_one_variable_as_both_arguments() -> None:
    x = np.random.default_rng(3).uniform(0.5, 2.0, (2, 3))
    compare_with_torch(lambda x: ops.multiply(x, x), lambda x: x * x, [x])
    compare_with_torch(lambda x: ops.divide(x, x * x), lambda x: x / (x * x), [x])
    compare_with_torch(lambda x: ops.power(x, x), lambda x: x**x, [x])
