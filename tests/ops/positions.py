"""An oracle for operations that only move elements: NumPy's own function, run on the numbers 1, 2, 3, ...

Where the moved numbers say 7, element 7 went; where they say 0, nothing did.  So the gradient of element 7 is the sum of
the cotangent where they say 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tests.oracles import random_like

Array = np.ndarray[Any, Any]


def gathered(places: Array, cotangent: Array, shape: tuple[int, ...]) -> Array:
    """The gradient: the cotangent summed by the element that it belongs to."""
    size = int(np.prod(shape))
    sums = np.bincount(places.ravel(), weights=cotangent.ravel(), minlength=size + 1)
    return sums[1:].reshape(shape)


def check_moves(ours: Callable[[Any], Any], numpys: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    """Value, dtype, gradient and second derivative of an operation on one array."""
    x = random_like(shape)
    places = np.asarray(numpys(np.arange(1, x.size + 1).reshape(shape)))
    for dtype in (np.float64, np.float32, np.int64):
        typed = (10 * x).astype(dtype)
        for got in (ours(typed), ours(tg.Tensor(typed))):
            assert got.dtype == dtype
            np.testing.assert_array_equal(got.numpy() if isinstance(got, tg.Tensor) else got, numpys(typed))
    leaf = tg.Tensor(x, requires_grad=True)
    out = ours(leaf)
    assert out.shape == places.shape
    weight = tg.Tensor(random_like(out.shape, 1), requires_grad=True)
    (slope,) = tg.grad([out], [leaf], [weight.numpy()], retain_graph=True)
    np.testing.assert_allclose(slope.numpy(), gathered(places, weight.numpy(), shape), rtol=1e-14)
    (recorded,) = tg.grad([out], [leaf], [weight], create_graph=True)
    direction = random_like(shape, 2)
    (second,) = tg.grad([recorded], [weight], [direction])
    np.testing.assert_array_equal(second.numpy(), numpys(direction))  # the operation is linear
