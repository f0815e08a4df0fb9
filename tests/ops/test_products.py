"""matmul, dot, outer, tensordot and einsum in all the cases that NumPy has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.oracles import compare_with_complex_step, compare_with_torch
from tinygrad_bn import Tensor, ops

Shape = tuple[int, ...]


def compare(ours: Any, numpys: Any, torchs: Any, *shapes: Shape) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    got, expected = ours(*map(Tensor, arrays)), np.asarray(numpys(*arrays))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ours(*arrays), expected, rtol=1e-12, atol=1e-14)
    compare_with_torch(ours, torchs, arrays)
    compare_with_complex_step(ours, arrays)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((2, 3), (3, 2)),
        ((1, 1), (1, 1)),
        ((4, 2, 3), (3, 2)),
        ((2, 3), (4, 3, 2)),
        ((4, 2, 3), (4, 3, 2)),
        ((4, 2, 3), (1, 3, 2)),
        ((1, 2, 3), (4, 3, 2)),
        ((2, 1, 2, 3), (4, 3, 2)),
        ((2, 4, 2, 3), (3, 2)),
        ((3,), (4, 3, 2)),
        ((4, 2, 3), (3,)),
        ((2, 4, 2, 3), (3,)),
        ((3,), (2, 4, 3, 2)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((4, 0, 3), (3, 2)),
        ((0, 2, 3), (0, 3, 2)),
        ((0,), (0,)),
    ],
    ids=str,
)
def test_matmul(a: Shape, b: Shape) -> None:
    compare(ops.matmul, np.matmul, torch.matmul, a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((), ()),
        ((), (2, 3)),
        ((3,), ()),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 2)),
        ((2, 2, 3), (3,)),
        ((2, 2, 3), (3, 2)),
        ((3,), (4, 3, 2)),
        ((2, 3), (4, 3, 2)),
        ((2, 2, 3), (4, 3, 2)),
    ],
    ids=str,
)
def test_dot(a: Shape, b: Shape) -> None:
    def theirs(x: Any, y: Any) -> Any:
        if not a or not b:
            return x * y
        return torch.tensordot(x, y, ([len(a) - 1], [max(0, len(b) - 2)]))

    compare(ops.dot, np.dot, theirs, a, b)


@pytest.mark.parametrize(("a", "b"), [((2,), (3,)), ((), (3,)), ((), ()), ((2, 2), (3, 1)), ((0,), (3,))], ids=str)
def test_outer(a: Shape, b: Shape) -> None:
    compare(ops.outer, np.outer, lambda x, y: torch.outer(x.flatten(), y.flatten()), a, b)


@pytest.mark.parametrize(
    ("a", "b", "axes", "pair"),
    [
        ((2, 3), (4,), 0, ([], [])),
        ((2, 3), (3, 4), 1, ([1], [0])),
        ((2, 3), (3, 4), np.int64(1), ([1], [0])),
        ((2, 3, 4), (3, 4, 2), 2, ([1, 2], [0, 1])),
        ((2, 3), (4, 3), (1, 1), ([1], [1])),
        ((2, 3), (4, 3), (-1, -1), ([1], [1])),
        ((2, 3), (4, 2), ([0], [1]), ([0], [1])),
        ((2, 3, 4), (4, 5, 2), ([0, -1], [2, 0]), ([0, 2], [2, 0])),
        ((2, 3), (3, 2), ((0, 1), (1, 0)), ([0, 1], [1, 0])),
        ((), (3,), 0, ([], [])),
    ],
    ids=repr,
)
def test_tensordot(a: Shape, b: Shape, axes: Any, pair: Any) -> None:
    def theirs(x: Any, y: Any) -> Any:
        return torch.tensordot(x, y, pair if pair[0] else 0)

    compare(lambda x, y: ops.tensordot(x, y, axes), lambda x, y: np.tensordot(x, y, axes), theirs, a, b)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ij , kj -> ki", [(2, 3), (4, 3)]),
        ("ij->ji", [(2, 3)]),
        ("ba", [(2, 3)]),
        ("ij->", [(2, 3)]),
        ("ij->j", [(2, 3)]),
        ("ii", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("iij->ji", [(3, 3, 2)]),
        ("iii->i", [(2, 2, 2)]),
        ("ijij->ij", [(2, 3, 2, 3)]),
        ("i,i->", [(3,), (3,)]),
        ("i,i", [(3,), (3,)]),
        ("i,j->ij", [(2,), (3,)]),
        ("i,i->i", [(3,), (3,)]),
        ("ij,k->i", [(2, 3), (4,)]),
        ("ii,ij->j", [(3, 3), (3, 2)]),
        ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 4)]),
        ("bij,bjk->bik", [(2, 3, 2), (2, 2, 3)]),
        ("i,i,i->i", [(3,), (3,), (3,)]),
        (",ij->ij", [(), (2, 3)]),
        ("->", [()]),
        ("...ij,...jk->...ik", [(2, 4, 2, 3), (2, 4, 3, 2)]),
        ("...ij,...jk->...ik", [(4, 2, 3), (3, 2)]),
        ("...ij,...jk->...ik", [(2, 1, 2, 3), (4, 3, 2)]),
        ("...i,...i", [(2, 3), (2, 3)]),
        ("...i,i->...", [(2, 4, 3), (3,)]),
        ("i...->...i", [(2, 3, 4)]),
        ("...ii->...i", [(2, 3, 3)]),
        ("...,...->...", [(2, 3), (3,)]),
        ("ij,ij->ij", [(1, 3), (2, 3)]),
        ("ij,ij->", [(2, 3), (1, 3)]),
        ("ij,ij->j", [(2, 1), (2, 3)]),
        ("aB,Bc->ac", [(2, 3), (3, 2)]),
        ("Ba", [(2, 3)]),
        ("ij,jk->ik", [(2, 0), (0, 3)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_einsum(subscripts: str, shapes: list[Shape]) -> None:
    compare(
        lambda *arrays: ops.einsum(subscripts, *arrays),
        lambda *arrays: np.einsum(subscripts, *arrays),
        lambda *arrays: torch.einsum(subscripts, *arrays),
        *shapes,
    )


def test_einsum_of_one_operand_twice() -> None:
    x = np.random.default_rng(1).standard_normal((3, 3))
    compare_with_torch(lambda x: ops.einsum("ij,jk->ik", x, x), lambda x: x @ x, [x])


def test_a_constant_factor_gets_no_gradient_and_does_no_harm() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    compare_with_torch(lambda x: ops.matmul(a, x), lambda x: torch.tensor(a) @ x, [b])
    compare_with_torch(lambda x: ops.matmul(x, b), lambda x: x @ torch.tensor(b), [a])
    compare_with_torch(lambda x: ops.einsum("ij,jk->k", a, x), lambda x: (torch.tensor(a) @ x).sum(0), [b])
