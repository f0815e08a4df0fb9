"""The operations that rearrange: every kind of argument, against NumPy's function on the positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from tests.ops.positions import check_moves
from tinygrad_bn import Tensor, ops

A = (2, 3, 2)

# operation, shape of the array, arguments
CALLS: list[tuple[str, tuple[int, ...], tuple[Any, ...]]] = [
    *[("reshape", A, (shape,)) for shape in [12, (12,), (3, -1), (-1,), [4, 3], (2, 1, 6), np.int64(12)]],
    ("reshape", (), ((1, 1),)),
    ("reshape", (1,), ((),)),
    ("reshape", (0, 3), ((-1, 3),)),
    ("ravel", A, ()),
    ("ravel", (), ()),
    ("ravel", (0, 2), ()),
    *[("transpose", A, args) for args in [(), (None,), ((2, 0, 1),), ([1, -1, 0],)]],
    ("transpose", (), ()),
    ("transpose", (3,), ()),
    *[("swapaxes", A, args) for args in [(0, 1), (-1, 0), (1, 1)]],
    *[
        ("moveaxis", A, args)
        for args in [(0, 2), (-1, 0), ([0, 1], [-1, 0]), ((0, 1, 2), (2, 0, 1)), ((0, 1), (1, 0)), ([2, 0], [1, 0])]
    ],
    *[("squeeze", (1, 3, 1), args) for args in [(), (0,), (-1,), ((0, 2),)]],
    ("squeeze", (), ()),
    *[("expand_dims", (2, 3), (axis,)) for axis in [0, 1, 2, -1, (0, 2), [1, -1]]],
    ("expand_dims", (), (0,)),
    *[("broadcast_to", (3, 1), (shape,)) for shape in [(3, 1), (3, 2), (2, 3, 2), (0, 3, 1), [3, 2]]],
    ("broadcast_to", (), (3,)),
    ("broadcast_to", (1,), ((0,),)),
    ("broadcast_to", (1,), ((200, 100),)),
    *[("tile", (2, 3), (reps,)) for reps in [2, (2,), (2, 1), (1, 2), (2, 1, 3), (0, 1), ()]],
    ("tile", (), (3,)),
    ("tile", A, (2,)),
    *[("repeat", A, args) for args in [(2,), (0,), (2, 0), (3, -1), ([1, 0, 2], 1), (np.array([2, 1]), 0), ([2], 1)]],
    ("repeat", (), (3,)),
    *[("pad", (2, 3), (width,)) for width in [0, 1, (1, 2), ((0, 1), (2, 0)), ((1, 2),), (2,), np.array([[1], [2]])]],
    ("pad", (), (1,)),
    ("pad", (0, 2), (1,)),
    *[("flip", A, args) for args in [(), (None,), (0,), (-1,), ((0, 2),)]],
    ("flip", (), ()),
    *[("roll", A, args) for args in [(1,), (-5,), (100,), (0,), (1, 0), (-1, 1), (4, -1), ((1, 2), (0, 1))]],
    *[("roll", A, args) for args in [(1, (0, 1)), ((1, 2), 1), ((1, 1), (2, 2)), ((1, 2),), ([1], [0])]],
    ("roll", (0, 2), (1, 0)),
    ("roll", (), (1,)),
    *[(name, (3, 4), args) for name in ("tril", "triu") for args in [(), (1,), (-1,), (5,), (-5,)]],
    *[(name, A, args) for name in ("tril", "triu") for args in [(), (-1,)]],
    *[("diagonal", (3, 4), args) for args in [(), (1,), (-1,), (3,), (4,), (-9,), (0, 1, 0), (1, -1, 0)]],
    *[("diagonal", A, args) for args in [(), (0, 1, 2), (-1, 2, 0), (1, -2, -1)]],
    *[("trace", (3, 4), args) for args in [(), (1,), (-2,), (9,), (0, 1, 0)]],
    *[("trace", A, args) for args in [(), (1, 0, 2)]],
]


@pytest.mark.parametrize(("name", "shape", "args"), CALLS, ids=str)
def test_as_numpy(name: str, shape: tuple[int, ...], args: tuple[Any, ...]) -> None:
    if name == "trace":  # adds what it moves, so positions say nothing; its diagonal is above
        x = np.random.default_rng(0).standard_normal(shape)
        np.testing.assert_allclose(ops.trace(Tensor(x), *args).numpy(), np.trace(x, *args), rtol=1e-14)
        np.testing.assert_allclose(ops.trace(x, *args), np.trace(x, *args), rtol=1e-14)
        return
    check_moves(lambda x: getattr(ops, name)(x, *args), lambda x: getattr(np, name)(x, *args), shape)


@pytest.mark.parametrize("start", [0, 1, -1, 2])
def test_flatten(start: int) -> None:
    check_moves(lambda x: ops.flatten(x, start), lambda x: x.reshape(*A[: start % 3], -1), A)


@pytest.mark.parametrize("shape", [(), (0, 3)])
def test_flatten_of_little(shape: tuple[int, ...]) -> None:
    check_moves(ops.flatten, np.ravel, shape)


@pytest.mark.parametrize("value", [1.5, -2, float("nan")])
def test_pad_with_a_constant(value: float) -> None:
    x = Tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True)
    y = ops.pad(x, ((1, 0), (0, 2)), value)
    np.testing.assert_array_equal(y.numpy(), np.pad(x.numpy(), ((1, 0), (0, 2)), constant_values=value))
    weight = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(weight)
    np.testing.assert_array_equal(x.grad.numpy(), weight[1:, :3])


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_concatenate(axis: int | None) -> None:
    def joined(of: Any) -> Any:
        return lambda x: of.concatenate([x[:1], x, x[:, ::-1] if axis in (0, None) else x[:1]], axis=axis)

    if axis in (0, None):
        check_moves(joined(ops), joined(np), (2, 3))
    else:
        check_moves(
            lambda x: ops.concatenate((x, x[:, :1]), axis), lambda x: np.concatenate((x, x[:, :1]), axis), (2, 3)
        )


def test_concatenate_takes_constants_and_empty_parts() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = ops.concatenate([np.array([5.0]), x, [], [3.0]])
    np.testing.assert_array_equal(y.numpy(), [5.0, 1.0, 2.0, 3.0])
    y.backward(np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 3.0])


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_stack(axis: int) -> None:
    check_moves(lambda x: ops.stack([x, x[::-1], x], axis), lambda x: np.stack([x, x[::-1], x], axis), (2, 3))


def test_stack_of_single_numbers() -> None:
    check_moves(lambda x: ops.stack([x[1], x[0], x[1]]), lambda x: np.stack([x[1], x[0], x[1]]), (2,))


@pytest.mark.parametrize("part", [0, 1, -1])
@pytest.mark.parametrize(
    ("sections", "axis"),
    [(2, 0), (np.int64(3), 1), ([1], 1), ([1, 1, 2], 1), ([-1], 1), ([2, 9], -2), ((), 0)],
    ids=str,
)
def test_split(sections: Any, axis: int, part: int) -> None:
    def cut(of: Any) -> Any:
        return lambda x: of.split(x, sections, axis)[part if len(of.split(x, sections, axis)) > 1 else 0]

    check_moves(cut(ops), cut(np), (2, 3))


@pytest.mark.parametrize(
    ("shape", "window", "stride", "dilation"),
    [
        ((5,), 2, 1, 1),
        ((5,), 5, 1, 1),
        ((5,), 1, 2, 1),
        ((6,), 2, 2, 1),
        ((7,), 3, 2, 2),
        ((5,), 2, 3, 4),
        ((2, 5), 3, 1, 1),
        ((4, 5), (2, 3), 1, 1),
        ((4, 5), (2, 2), (2, 1), 1),
        ((5, 5), (2, 2), (1, 2), (2, 3)),
        ((2, 4, 4), (2, 2), 2, 1),
        ((0, 4), 2, 1, 1),
    ],
    ids=str,
)
def test_sliding_window(shape: tuple[int, ...], window: Any, stride: Any, dilation: Any) -> None:
    n = len(window) if isinstance(window, tuple) else 1
    lengths, steps, gaps = (v if isinstance(v, tuple) else (v,) * n for v in (window, stride, dilation))
    reach = tuple((w - 1) * d + 1 for w, d in zip(lengths, gaps))
    pick = (..., *(slice(None, None, s) for s in steps), *(slice(None, None, d) for d in gaps))
    check_moves(
        lambda x: ops.sliding_window(x, window, stride, dilation),
        lambda x: sliding_window_view(x, reach, tuple(range(-n, 0)))[pick],
        shape,
    )


def test_a_window_is_a_view() -> None:
    x = np.arange(1000.0)
    assert np.shares_memory(ops.sliding_window(x, 500), x)
