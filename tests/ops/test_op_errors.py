"""Misuse is answered by the library's own errors, which name the operation, on tensors and on raw arrays alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_bn import Tensor, TinygradError, ops
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, ShapeError

# operation named in the message, call on a 2 by 3 array, class
MISUSE: list[tuple[str, Any, type[TinygradError]]] = [
    *[
        (name, lambda x, name=name, axis=axis: getattr(ops, name)(x, axis), error)
        for name in (
            "sum", "mean", "var", "std", "prod", "max", "min", "logsumexp", "softmax", "log_softmax", "squeeze", "flip",
        )
        for axis, error in [(2, ShapeError), (-3, ShapeError), ((0, 0), ShapeError), ((0, -2), ShapeError),
                            (0.5, DTypeError), ("a", DTypeError), ({0}, DTypeError), ((0, 1.0), DTypeError)]
    ],
    *[
        (name, lambda x, name=name, axis=axis: getattr(ops, name)(x, axis=axis), error)
        for name in ("argmax", "argmin", "cumsum", "norm")
        for axis, error in [(2, ShapeError), (0.5, DTypeError)]
    ],
    *[(name, lambda x, name=name: getattr(ops, name)(x[:0], axis=0), ShapeError)
      for name in ("mean", "var", "std", "max", "min", "argmax", "argmin", "logsumexp")],
    *[(name, lambda x, name=name: getattr(ops, name)(x[:, :0]), ShapeError)
      for name in ("mean", "var", "std", "max", "min", "argmax", "argmin", "logsumexp")],
    ("var", lambda x: ops.var(x, axis=0, ddof=2), ShapeError),
    ("std", lambda x: ops.std(x, axis=0, ddof=2), ShapeError),
    ("norm", lambda x: ops.norm(x[:0], np.inf), ShapeError),
    ("norm", lambda x: ops.norm(x, 0), ArgumentError),
    ("norm", lambda x: ops.norm(x, -np.inf), ArgumentError),
    ("norm", lambda x: ops.norm(x, "fro"), ArgumentError),
    # elementwise
    ("add", lambda x: ops.add(x, np.ones(2)), ShapeError),
    ("multiply", lambda x: ops.multiply(x, np.ones((3, 3))), ShapeError),
    ("where", lambda x: ops.where(np.ones(2, bool), x, 0.0), ShapeError),
    ("clip", lambda x: ops.clip(x), ArgumentError),
    ("clip", lambda x: ops.clip(x, np.ones(2), 3), ShapeError),
    ("gelu", lambda x: ops.gelu(x, "sigmoid"), ArgumentError),
    ("astype", lambda x: ops.astype(x, "nonsense"), DTypeError),
    # products
    ("matmul", lambda x: ops.matmul(x, x), ShapeError),
    ("matmul", lambda x: ops.matmul(x, 2.0), ShapeError),
    ("matmul", lambda x: ops.matmul(x, np.ones(2)), ShapeError),
    ("matmul", lambda x: ops.matmul(np.ones((2, 2, 2)), np.ones((3, 1, 1)) * x[:, :2]), ShapeError),
    ("dot", lambda x: ops.dot(x, x), ShapeError),
    ("dot", lambda x: ops.dot(x, np.ones((2, 2, 2))), ShapeError),
    ("tensordot", lambda x: ops.tensordot(x, x, 3), ShapeError),
    ("tensordot", lambda x: ops.tensordot(x, x, -1), ShapeError),
    ("tensordot", lambda x: ops.tensordot(x, x, 1), ShapeError),
    ("tensordot", lambda x: ops.tensordot(x, x, ([0], [2])), ShapeError),
    ("tensordot", lambda x: ops.tensordot(x, x, ([0], [0, 1])), ShapeError),
    ("tensordot", lambda x: ops.tensordot(x, x, ([0, 0], [0, 0])), ShapeError),
    ("tensordot", lambda x: ops.tensordot(x, x, ([0],)), ArgumentError),
    ("tensordot", lambda x: ops.tensordot(x, x, "ab"), ArgumentError),
    ("tensordot", lambda x: ops.tensordot(x, x, ([0.5], [0])), DTypeError),
    ("einsum", lambda x: ops.einsum("ij,jk->ik", x), ArgumentError),
    ("einsum", lambda x: ops.einsum("ij", x, x), ArgumentError),
    ("einsum", lambda x: ops.einsum("ijk", x), ShapeError),
    ("einsum", lambda x: ops.einsum("...ijk", x), ShapeError),
    ("einsum", lambda x: ops.einsum("i.", x), ShapeError),
    ("einsum", lambda x: ops.einsum("i1", x), ShapeError),
    ("einsum", lambda x: ops.einsum("ij,jk", x, x), ShapeError),
    ("einsum", lambda x: ops.einsum("ii", x), ShapeError),
    ("einsum", lambda x: ops.einsum("ii", x[:1]), ShapeError),
    ("einsum", lambda x: ops.einsum("ij->ik", x), ArgumentError),
    ("einsum", lambda x: ops.einsum("ij->ii", x), ArgumentError),
    ("einsum", lambda x: ops.einsum("ij->i->j", x), ArgumentError),
    ("einsum", lambda x: ops.einsum("...j->j", x), ArgumentError),
    ("einsum", lambda x: ops.einsum(x, [0, 1]), DTypeError),
    # shapes
    ("reshape", lambda x: ops.reshape(x, (4, 2)), ShapeError),
    ("reshape", lambda x: ops.reshape(x, (-1, 4)), ShapeError),
    ("reshape", lambda x: ops.reshape(x, (-1, -1)), ShapeError),
    ("reshape", lambda x: ops.reshape(x, (-2, -3)), ShapeError),
    ("reshape", lambda x: ops.reshape(x[:0], (0, -1)), ShapeError),
    ("reshape", lambda x: ops.reshape(x, (2.0, 3)), DTypeError),
    ("reshape", lambda x: ops.reshape(x, "ab"), DTypeError),
    ("flatten", lambda x: ops.flatten(x, 2), ShapeError),
    ("transpose", lambda x: ops.transpose(x, (0, 0)), ShapeError),
    ("transpose", lambda x: ops.transpose(x, (0,)), ShapeError),
    ("transpose", lambda x: ops.transpose(x, 1), ShapeError),
    ("transpose", lambda x: ops.transpose(x, (0, 2)), ShapeError),
    ("swapaxes", lambda x: ops.swapaxes(x, 0, 2), ShapeError),
    ("moveaxis", lambda x: ops.moveaxis(x, [0, 1], [0]), ShapeError),
    ("moveaxis", lambda x: ops.moveaxis(x, [0, 0], [0, 1]), ShapeError),
    ("moveaxis", lambda x: ops.moveaxis(x, [0, 1], [1, 1]), ShapeError),
    ("moveaxis", lambda x: ops.moveaxis(x, 0, 2), ShapeError),
    ("squeeze", lambda x: ops.squeeze(x, 0), ShapeError),
    ("expand_dims", lambda x: ops.expand_dims(x, 3), ShapeError),
    ("expand_dims", lambda x: ops.expand_dims(x, (0, 0)), ShapeError),
    ("broadcast_to", lambda x: ops.broadcast_to(x, (2, 4)), ShapeError),
    ("broadcast_to", lambda x: ops.broadcast_to(x, (3,)), ShapeError),
    ("broadcast_to", lambda x: ops.broadcast_to(x[:1], (3,)), ShapeError),
    ("broadcast_to", lambda x: ops.broadcast_to(x[:1], (-1, 3)), ShapeError),
    ("broadcast_to", lambda x: ops.broadcast_to(x, (2, 3.0)), DTypeError),
    ("concatenate", lambda x: ops.concatenate([]), ArgumentError),
    ("concatenate", lambda x: ops.concatenate([x, x], 2), ShapeError),
    ("concatenate", lambda x: ops.concatenate([x, x[:, :2]]), ShapeError),
    ("concatenate", lambda x: ops.concatenate([x[0, 0], x[0, 0]]), ShapeError),
    ("stack", lambda x: ops.stack([]), ArgumentError),
    ("stack", lambda x: ops.stack([x, x[:1]]), ShapeError),
    ("stack", lambda x: ops.stack([x, x], 3), ShapeError),
    ("split", lambda x: ops.split(x, 2, axis=1), ShapeError),
    ("split", lambda x: ops.split(x, 0), ShapeError),
    ("split", lambda x: ops.split(x, 2, axis=2), ShapeError),
    ("split", lambda x: ops.split(x, [0.5]), DTypeError),
    ("split", lambda x: ops.split(x, 2.0), DTypeError),
    ("tile", lambda x: ops.tile(x, -1), ShapeError),
    ("tile", lambda x: ops.tile(x, 1.5), DTypeError),
    ("repeat", lambda x: ops.repeat(x, -1), ShapeError),
    ("repeat", lambda x: ops.repeat(x, [1, 2], axis=1), ShapeError),
    ("repeat", lambda x: ops.repeat(x, [1, -2], axis=0), ShapeError),
    ("repeat", lambda x: ops.repeat(x, 1.5), DTypeError),
    ("repeat", lambda x: ops.repeat(x, 2, axis=2), ShapeError),
    ("pad", lambda x: ops.pad(x, -1), ShapeError),
    ("pad", lambda x: ops.pad(x, (1, 2, 3)), ShapeError),
    ("pad", lambda x: ops.pad(x, ((1, 2), (3,))), ShapeError),
    ("pad", lambda x: ops.pad(x, 1.5), DTypeError),
    ("pad", lambda x: ops.pad(x, {0: 1}), DTypeError),
    ("pad", lambda x: ops.pad(x, 1, (1, 2)), DTypeError),
    ("roll", lambda x: ops.roll(x, 1, 2), ShapeError),
    ("roll", lambda x: ops.roll(x, (1, 2), (0, 1, 0)), ShapeError),
    ("roll", lambda x: ops.roll(x, 1.5, 0), DTypeError),
    ("tril", lambda x: ops.tril(x[0]), ShapeError),
    ("triu", lambda x: ops.triu(x[0]), ShapeError),
    ("diagonal", lambda x: ops.diagonal(x[0]), ShapeError),
    ("diagonal", lambda x: ops.diagonal(x, 0, 1, -1), ShapeError),
    ("diagonal", lambda x: ops.diagonal(x, 0, 0, 2), ShapeError),
    ("diagonal", lambda x: ops.diagonal(x, 0.5), DTypeError),
    ("trace", lambda x: ops.trace(x[0]), ShapeError),
    ("trace", lambda x: ops.trace(x, 0, 1, 1), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, 4), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, 2, dilation=3), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, 0), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, 2, 0), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, ()), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, (1, 1, 1)), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, (1, 1), (1, 1, 1)), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, (1, 1), 1, (1, 1, 1)), ShapeError),
    ("sliding_window", lambda x: ops.sliding_window(x, 1.5), DTypeError),
    # elements
    ("take", lambda x: ops.take(x, [0], 2), ShapeError),
    ("take", lambda x: ops.take(x, [True, False], 0), DTypeError),
    ("take", lambda x: ops.take(x, 0.5), DTypeError),
    ("take", lambda x: ops.take(x, [6]), IndexingError),
    ("take_along_axis", lambda x: ops.take_along_axis(x, [0], 0), IndexingError),
    ("take_along_axis", lambda x: ops.take_along_axis(x, [[0]], 2), ShapeError),
    ("take_along_axis", lambda x: ops.take_along_axis(x, [[True]], 0), DTypeError),
    ("take_along_axis", lambda x: ops.take_along_axis(x, [[0.5]], 0), DTypeError),
    ("take_along_axis", lambda x: ops.take_along_axis(x, [[9]], 0), IndexingError),
]  # fmt: skip


@pytest.mark.parametrize("kind", [Tensor, np.asarray], ids=["tensor", "raw"])
@pytest.mark.parametrize(("name", "call", "error"), MISUSE)
def test_misuse_is_named(name: str, call: Any, error: type[TinygradError], kind: Any) -> None:
    with pytest.raises(error) as caught:
        call(kind(np.ones((2, 3))))
    assert type(caught.value) is error
    first, *rest = str(caught.value).splitlines()
    assert first.startswith(f"{name}:")
    assert all(line.strip() for line in rest)


def test_messages_speak_of_what_was_written() -> None:
    x = Tensor(np.ones((2, 3)), name="image")
    said = {
        r"image[5]: index 5 is out of bounds": lambda: x[5],
        r"image[:, [0, 7]]: index 7": lambda: x[:, [0, 7]],
        r"image[..., 1:, None, 3]: index 3": lambda: x[..., 1:, None, 3],
        r"image[0, 1, 2]: too many indices": lambda: x[0, 1, 2],
        r"take: index 9 is out of bounds for axis 1": lambda: ops.take(x, [9], axis=1),
        r"hstack: these do not fit together": lambda: ops.hstack([x, np.ones((3, 2))]),
        r"vstack: these do not fit together": lambda: ops.vstack([x, np.ones((3, 2))]),
        r"hstack: at least one array": lambda: ops.hstack([]),
        r"vstack: at least one array": lambda: ops.vstack([]),
        r"image[::2, 9]: index 9": lambda: x[::2, 9],
        r"add: shapes that do not broadcast": lambda: x + np.ones(4),
        r"where: shapes that do not broadcast": lambda: ops.where(np.ones(5) > 0, x, 0.0),
    }
    for first, call in said.items():
        with pytest.raises(TinygradError) as caught:
            call()
        assert str(caught.value).startswith(first)
        assert str(caught.value) == str(caught.value).strip()


def test_the_classes_are_also_pythons_own() -> None:
    x = Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match="sum: no such axis"):
        x.sum(5)
    with pytest.raises(TypeError, match="sum: an axis is an integer"):
        x.sum(0.5)
    with pytest.raises(IndexError, match="out of bounds"):
        x[7]


def test_a_single_number_has_no_axis() -> None:
    for call in (
        lambda x: ops.sum(x, 0),
        lambda x: ops.cumsum(x, 0),
        lambda x: ops.argmax(x, 0),
        lambda x: ops.split(x, 1),
    ):
        with pytest.raises(ShapeError, match="no axis: the value is a single number"):
            call(Tensor(1.0))


def test_a_good_axis_seen_before_does_not_excuse_a_bad_one() -> None:
    """1.0 == 1, so a cache that does not look at types would hand out the axes of 1."""
    x = Tensor(np.ones((2, 3)))
    for good, bad in [(1, 1.0), ((0, 1), (0, 1.0))]:
        assert x.sum(good).shape in {(2,), ()}
        with pytest.raises(DTypeError):
            x.sum(bad)
