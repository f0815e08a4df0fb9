"""find_nonfinite: the first NaN or infinity, where it began and from what."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import ops
from tinygrad_bn.testing import find_nonfinite

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what NumPy says of it is not the point here


def leaf(*values: float) -> tg.Tensor:
    return tg.Tensor(list(values), requires_grad=True, name="x")


def test_all_is_well() -> None:
    x = leaf(1.0, 2.0)
    assert find_nonfinite((x * ops.log(x)).sum()) is None
    assert find_nonfinite(x, [1.0, 1.0]) is None
    assert find_nonfinite(tg.Tensor([1.0])) is None
    assert find_nonfinite(ops.greater(x, 1.0)) is None
    assert x.grad is None


def test_the_first_operation_forward() -> None:
    x = leaf(1.0, -1.0)
    with tg.record_sites():
        h = x * 2.0
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        y = ops.log(h)
        loss = (y * 0.0 + ops.sqrt(x)).sum()
    found = find_nonfinite(loss)
    assert found is not None
    assert (found.phase, found.operation, found.variable) == ("forward", "log", y)
    assert (
        f"test_find_nonfinite.py:{line}) made shape (2,): [0.6931 ... 0.6931], 1 NaN from input shape (2,): [-2 ... 2]"
        in str(found)
    )
    assert found.sentence.endswith("the loss is not finite")


def test_an_infinity_that_the_loss_survives() -> None:
    x = leaf(0.0, 1.0)
    found = find_nonfinite(ops.exp(-(1.0 / x)).sum())
    assert found is not None
    assert found.operation == "divide"
    assert (
        found.sentence.endswith("from inputs float64 of shape (); x: shape (2,): [0 ... 1]")
        or "x: shape (2,)" in found.sentence
    )
    assert "the loss is not finite" not in found.sentence


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_it_came_in(bad: float) -> None:
    found = find_nonfinite((leaf(1.0, bad) * 2.0).sum())
    assert found is not None
    assert (found.phase, found.operation) == ("input", "'x'")
    assert found.sentence.startswith("'x' came into multiply with shape (2,)")
    found = find_nonfinite((leaf(1.0, 2.0) * np.array([1.0, bad])).sum())
    assert found is not None
    assert (found.phase, found.operation) == ("input", "argument 1")
    assert find_nonfinite((leaf(1.0, 2.0) * bad).sum()).phase == "input"  # type: ignore[union-attr]
    found = find_nonfinite(leaf(bad))
    assert found is not None
    assert found.sentence.startswith("'x' itself is shape (1,)")


def test_what_came_in_late_does_not_hide_what_was_made_before() -> None:
    x = leaf(-1.0)
    late = ops.log(x) + leaf(np.nan)
    found = find_nonfinite(late)
    assert found is not None
    assert found.operation == "log"


def test_the_first_rule_backward() -> None:
    x = leaf(0.0, 4.0)
    with tg.record_sites():
        loss = (ops.sqrt(x) * 2.0).sum()
    found = find_nonfinite(loss)
    assert found is not None
    assert (found.phase, found.operation) == ("backward", "sqrt")
    assert (
        "for argument 0 made shape (2,): [0.5 ... 0.5], 1 +inf from the cotangent shape (2,): [2 ... 2] and input x:"
        in str(found)
    )
    assert "test_find_nonfinite.py" in str(found)
    loss.backward()  # the graph is still there
    np.testing.assert_array_equal(x.grad.numpy(), [np.inf, 0.5])


def test_a_sum_of_cotangents_overflows() -> None:
    x = leaf(1e-300)
    found = find_nonfinite((x * 1e308 + x * 1e308).sum())
    assert found is not None
    assert found.phase == "backward"
    assert "the cotangents that reach 'x' overflow when they are added, at multiply" in found.sentence


def test_scalars() -> None:
    x = tg.Scalar(0.0, name="x")
    assert find_nonfinite(ops.sqrt(x)).phase == "backward"  # type: ignore[union-attr]
    assert find_nonfinite(1.0 / x).operation == "divide"  # type: ignore[union-attr]


def test_the_cotangent_itself() -> None:
    x = leaf(1.0, 2.0)
    found = find_nonfinite(x * 2.0, np.array([1.0, np.nan]))
    assert found is not None
    assert found.sentence == "backward: the cotangent itself is shape (2,): [1 ... 1], 1 NaN"


@pytest.mark.parametrize(
    ("make", "kind"),
    [(lambda x: np.ones(2), ValueError), (lambda x: x * 2.0, ValueError), (lambda x: _used_up(x), RuntimeError)],
)
def test_misuse(make: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        find_nonfinite(make(leaf(1.0, 2.0)))


def _used_up(x: tg.Tensor) -> Any:
    loss = (x * x).sum()
    loss.backward()
    return loss
