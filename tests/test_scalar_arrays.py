"""Arrays of scalars under NumPy's own reductions: the graph is kept, values and gradients are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg

X = np.array([1.0, 2.5, -3.0, 4.0])
N = X.size
CENTERED = X - X.mean()

# name: function, value and gradient in closed form
REDUCTIONS: dict[str, tuple[Callable[[Any], Any], float, np.ndarray[Any, Any]]] = {
    "sum": (np.sum, 4.5, np.ones(N)),
    "mean": (np.mean, 1.125, np.full(N, 1 / N)),
    "mean method": (lambda x: x.mean(), 1.125, np.full(N, 1 / N)),
    "var": (np.var, float(CENTERED @ CENTERED) / N, 2 * CENTERED / N),
    "var method": (lambda x: x.var(ddof=1), float(CENTERED @ CENTERED) / (N - 1), 2 * CENTERED / (N - 1)),
    "std": (np.std, (float(CENTERED @ CENTERED) / N) ** 0.5, CENTERED / (N * (float(CENTERED @ CENTERED) / N) ** 0.5)),
    "prod": (np.prod, -30.0, np.array([-30.0, -12.0, 10.0, -7.5])),
}


@pytest.mark.parametrize(("function", "value", "gradient"), REDUCTIONS.values(), ids=REDUCTIONS)
def test_numpy_reduces_scalars_and_keeps_the_graph(
    function: Callable[[Any], Any], value: float, gradient: np.ndarray[Any, Any]
) -> None:
    x = tg.scalarize(X)
    result = function(x)
    assert isinstance(result, tg.Scalar)  # and not a NumPy number without a graph
    assert result.item() == pytest.approx(value, rel=1e-14)
    (result * -2.0).backward()
    np.testing.assert_allclose(tg.gradients_of(x), -2.0 * gradient, rtol=1e-14)


def test_scalar_has_no_dtype() -> None:
    with pytest.raises(AttributeError, match="a Scalar holds a Python float and has no dtype"):
        tg.Scalar(1.0).dtype  # noqa: B018
    assert tg.engine.dtype_of(tg.Scalar(1.0)) == np.float64


@pytest.mark.parametrize("order", ["C", "F"])
def test_copy_on_write_keeps_the_memory_layout(order: Any) -> None:
    w = tg.Tensor(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], order=order))
    reader = w.data
    with w.unlocked() as array:
        array *= 2.0
    del array
    assert reader.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert w.data.tolist() == [[2.0, 4.0], [6.0, 8.0], [10.0, 12.0]]
    assert w.data.strides == reader.strides
