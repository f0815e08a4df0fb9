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


MASK = np.array([[0.0, -np.inf, 0.0], [0.0, 0.0, -np.inf]])
HIDE = np.isinf(MASK)
MASKED: dict[str, Any] = {
    "added": lambda x: ops.softmax(x + MASK),
    "added as a tensor": lambda x: ops.softmax(x + tg.Tensor(MASK)),
    "where": lambda x: ops.softmax(ops.where(HIDE, -np.inf, x)),
    "log_softmax of what is left": lambda x: ops.where(HIDE, 0.0, ops.log_softmax(x + MASK)),
    "a logsumexp": lambda x: ops.logsumexp(x + MASK, axis=1),
    "a maximum": lambda x: ops.max(x + MASK, axis=1),
    "a clip": lambda x: ops.clip(x + MASK, -1.0, 1.0),
    "a cap that is infinite": lambda x: ops.minimum(x, np.inf),
}


@pytest.mark.parametrize("name", MASKED)
def test_an_infinite_mask_is_meant_so(name: str) -> None:
    """Values and gradients are finite, so neither the finder nor the mode has anything to say."""
    x = tg.Tensor(np.random.default_rng(0).normal(size=(2, 3)), requires_grad=True, name="x")
    loss = (MASKED[name](x) * np.arange(1.0, 4.0)[: MASKED[name](x).shape[-1]]).sum()
    assert np.isfinite(loss.item())
    assert find_nonfinite(loss) is None
    with tg.detect_anomaly():
        (MASKED[name](x) ** 2).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_what_a_mask_makes_of_a_row_without_anything_left() -> None:
    x = tg.Tensor(np.zeros((2, 2)), requires_grad=True, name="x")
    loss = ops.softmax(x + np.array([[-np.inf, -np.inf], [0.0, 0.0]])).sum()
    found = find_nonfinite(loss)
    assert found is not None
    assert (found.phase, found.operation) == ("forward", "subtract")
    assert "NaN" in found.sentence
    with tg.detect_anomaly(), pytest.raises(FloatingPointError, match=r"forward: subtract made .* 2 NaN"):
        ops.softmax(x + np.array([[-np.inf, -np.inf], [0.0, 0.0]]))


def test_an_infinity_of_its_own_beside_a_mask() -> None:
    x = tg.Tensor([[1000.0, 1.0]], requires_grad=True, name="x")
    masked = x + np.array([0.0, -np.inf])
    found = find_nonfinite((ops.exp(masked) * 0.5).sum())
    assert found is not None
    assert (found.phase, found.operation) == ("forward", "exp")
    with tg.detect_anomaly(), pytest.raises(FloatingPointError, match="forward: exp made"):
        ops.exp(masked)
    with tg.detect_anomaly(), pytest.raises(FloatingPointError, match="the rule of sqrt for argument 0 made"):
        ops.sqrt(tg.Tensor([0.0, np.inf], requires_grad=True)).backward(np.ones(2))


def test_an_infinite_gradient_is_traced_to_the_infinity_that_came_in() -> None:
    x = leaf(1.0, 2.0)
    loss = ops.exp(-(x * np.inf)).sum()
    assert loss.item() == 0.0
    found = find_nonfinite(loss)
    assert found is not None  # 0 * inf in the rule of the product
    assert (found.phase, found.operation) == ("backward", "multiply")
    loss = ops.minimum(x * np.inf, 3.0).sum()
    assert find_nonfinite(loss) is not None


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
