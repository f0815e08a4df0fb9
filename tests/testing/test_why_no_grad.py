"""why_no_grad: each cause is told from the others, in one sentence with the place; gradients agree with what it says."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import nn, ops
from tinygrad_bn.testing import why_no_grad

rng = np.random.default_rng(0)


def leaves() -> tuple[tg.Tensor, tg.Tensor]:
    return tg.Tensor([1.0, 2.0], requires_grad=True, name="w"), tg.Tensor([3.0, -4.0], requires_grad=True, name="x")


def told(param: Any, loss: Any) -> tuple[str, str]:
    found = why_no_grad(param, loss)
    assert str(found) == found.sentence
    assert "\n" not in found.sentence
    return found.cause, re.sub(r"\([^() ]*test_why_no_grad\.py:\d+\)", "(here)", found.sentence)


# -- there is none --------------------------------------------------------------------------------------------------------


def test_not_asked_for() -> None:
    w, x = leaves()
    w.requires_grad = False
    cause, said = told(w, (w * x).sum())
    assert cause == "requires_grad is off"
    assert said.startswith("'w' has requires_grad=False: it was made so, under no_grad() or by detach()")
    assert (
        told(tg.Tensor([1, 2], name="n"), x.sum())[1]
        == "'n' holds int64, and only floating-point numbers have a gradient"
    )
    mask = x > 0.0
    assert "because no input of greater passes one on" in told(mask, ops.where(mask, x, 0.0).sum())[1]


@pytest.mark.parametrize(
    "how", [lambda v: v.detach(), lambda v: v.numpy(), lambda v: v.data, lambda v: v.numpy()[::-1]]
)
def test_detached_directly(how: Any) -> None:
    w, x = leaves()
    with tg.record_sites():
        loss = (x * how(w)).sum()
    assert told(w, loss) == (
        "detached",
        "the value of 'w' enters multiply (here) as a constant, after .detach(), .data or .numpy()",
    )


def test_detached_on_the_way() -> None:
    w, x = leaves()
    h = w * 2.0
    loss = (x * h.detach()).sum()
    cause, said = told(w, loss)
    assert cause == "detached"
    assert said.startswith(
        "the value of a Tensor of shape (2,) made by multiply, which was computed from 'w', enters multiply"
    )
    used_up = w * 2.0
    kept = used_up.detach()
    used_up.sum().backward()
    assert told(w, (x * kept).sum())[0] == "not used"  # what it was made of, nobody knows any more
    other = x * 3.0
    assert told(w, (x * other.detach()).sum())[0] == "not used"  # detached, but not made of w


def test_the_place_is_the_line() -> None:
    w, x = leaves()
    with tg.record_sites():
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        loss = ops.stop_gradient(w * 3.0) * x
        loss = loss.sum()
    found = why_no_grad(w, loss)
    assert f"test_why_no_grad.py:{line})" in found.sentence


def test_the_place_is_the_scope_where_no_line_was_recorded() -> None:
    w, x = leaves()
    with tg.scope("block"), tg.scope("cut"):
        h = ops.stop_gradient(w)
    assert "only through stop_gradient (in block / cut), which detaches it" in told(w, (h * x).sum())[1]
    assert "only through stop_gradient, which detaches it" in told(w, (ops.stop_gradient(w) * x).sum())[1]


def test_no_derivative_names_the_operations() -> None:
    w, x = leaves()
    with tg.record_sites():
        loss = (x * ops.argmax(w) * (w > 0.0)).sum()
    cause, said = told(w, loss)
    assert cause == "no derivative"
    assert said.startswith("'w' reaches the loss only through operations without a derivative: ")
    assert "argmax (here)" in said
    assert "greater (here)" in said


def test_integers_end_the_graph() -> None:
    w, x = leaves()
    with tg.record_sites():
        loss = (x * (w * 3.0).astype(int)).sum()
    assert told(w, loss)[1].endswith("without a derivative: astype (here) to int64")
    both = (x * w.astype(int) * ops.stop_gradient(w)).sum()
    assert told(w, both)[1].endswith("astype to int64, stop_gradient")


def test_many_blocks_are_counted() -> None:
    w, x = leaves()
    loss = (x * (w > 0.0) * (w >= 0.0) * (w < 9.0) * (w <= 9.0) * ops.equal(w, w)).sum()
    assert told(w, loss)[1].count(",") == 2
    assert told(w, loss)[1].endswith(" and 2 more")


def test_changed_since() -> None:
    """Its requires_grad, or its value: both times backward refuses, as the sentence says."""
    said = "'w' was given a new value, or requires_grad=True, after multiply (here) had recorded it: backward refuses"
    for change in ("switch", "assign"):
        w, x = leaves()
        w.requires_grad = change != "switch"
        with tg.record_sites():
            early = w * x
            later = (early * early).sum()
        if change == "switch":
            w.requires_grad = True
        else:
            w.data = np.zeros(2)
        cause, sentence = told(w, later)
        assert cause == "changed since"
        assert sentence.startswith(said)
        if change == "assign":
            with pytest.raises(tg.TinygradError, match="was changed before backward"):
                later.backward()


def test_nothing_was_recorded() -> None:
    w, x = leaves()
    with tg.no_grad():
        loss = (w * x).sum()
        cause, said = told(w, loss)
        assert cause == "not recorded"
        assert "recording is switched off (no_grad)" in said
    assert "no recorded operation made it" in told(w, loss)[1]


def test_not_used() -> None:
    w, x = leaves()
    said = "no recorded operation leads from 'w' to the loss: it is not used"
    assert told(w, (x * x).sum()) == ("not used", said)
    assert told(w, lambda: (x * x).sum()) == ("not used", "'w' is not used: the loss stays the same when it is changed")


def test_hidden_in_a_constant() -> None:
    w, x = leaves()

    def loss() -> Any:
        with tg.no_grad():
            h = ops.exp(w)
        return (x * 2.0 * h).sum()

    cause, said = told(w, loss())
    assert cause == "not used"
    assert "or it is hidden in a constant of multiply; pass a function that computes the loss to tell which" in said
    cause, said = told(w, loss)
    assert cause == "not recorded"
    assert said.startswith("changing 'w' changes the loss, but only as a constant, which enters multiply (here)")
    np.testing.assert_array_equal(w.numpy(), [1.0, 2.0])  # moved back


def test_hidden_in_a_number() -> None:
    """Raw NumPy, a Python float, and a program that takes another course: the loss moves all the same."""
    w, x = leaves()
    assert "which enters multiply (here)" in told(w, lambda: (x * float(np.exp(w.numpy()).sum())).sum())[1]
    assert "which enters multiply (here)" in told(w, lambda: (x * np.exp(w.numpy())).sum())[1]

    def branches() -> Any:
        return (x * 2.0).sum() if w.numpy()[0] == 1.0 else (x * 2.0 + 1.0).sum()

    assert "only as a constant: it was computed" in told(w, branches)[1]


def test_a_raw_constant_is_a_suspect() -> None:
    w, x = leaves()
    loss = (x * np.exp(w.numpy())).sum()
    assert "hidden in a constant of multiply" in told(w, loss)[1]


def test_scalars() -> None:
    w, x = tg.Scalar(2.0, name="w"), tg.Scalar(3.0, name="x")
    assert told(w, w * x)[0] == "has one"
    assert told(w, x * x)[0] == "not used"
    assert told(w, ops.relu(-w) * x)[1].endswith("relu is dead: its input is 0 or less")
    assert told(w, lambda: x * w.detach())[0] == "not recorded"


# -- there is one, and it is zero -----------------------------------------------------------------------------------------

ZERO: dict[str, tuple[Any, str]] = {
    "dead relu": (lambda w, x: ops.relu(-w) * x, "relu (here) is dead: all 2 of its inputs are 0 or less"),
    "times 0": (lambda w, x: w * 0.0 * x, "multiply (here) multiplies it by 0"),
    "times 0, on the left": (lambda w, x: (x - x) * w, "multiply (here) multiplies it by 0"),
    "not chosen": (lambda w, x: ops.where(x > 9.0, w, x), "where (here) takes none of its elements"),
    "smaller": (lambda w, x: ops.maximum(w, 9.0) * x, "maximum (here) takes none of its elements"),
    "larger": (lambda w, x: ops.minimum(w, -9.0) * x, "minimum (here) takes none of its elements"),
    "clipped": (lambda w, x: ops.clip(w, 5.0, 6.0) * x, "takes none of its elements"),
    "sign": (lambda w, x: ops.sign(w) * x, "sign (here) has the derivative 0 everywhere"),
    "saturated sigmoid": (lambda w, x: ops.sigmoid(w * 1000.0) * x, "sigmoid (here) is saturated: its input is 1e+03 to 2e+03"),
    "saturated tanh": (lambda w, x: ops.tanh(w * -100.0) * x, "tanh (here) is saturated: its input is -200 to -100"),
    "a square at 0": (lambda w, x: ops.square(w - w.detach()) * x, "(here) has the derivative 0 at these values"),
    "two together": (lambda w, x: ops.relu(w - 1.5) * ops.relu(1.5 - w) * x, "or gives 0 wherever a gradient comes in"),
    "it cancels": (lambda w, x: (w - w) * x, "the cotangents that reach 'w' cancel in their sum"),
    "it cancels within": (lambda w, x: w * x * 2.0 - x * (w + w), "cancel in their sum (a symmetry"),
    "softmax": (lambda w, x: ops.softmax(w * x), "cancel in their sum"),
    "two reasons": (lambda w, x: ops.relu(-w) * x + ops.sign(w), "relu (here) is dead: all 2 of its inputs are 0 or less"),
}  # fmt: skip


@pytest.mark.parametrize("name", ZERO)
def test_zero(name: str) -> None:
    program, reason = ZERO[name]
    w, x = leaves()
    with tg.record_sites():
        loss = program(w, x).sum()
    cause, said = told(w, loss)
    assert cause == "zero", said
    assert said.startswith("the gradient of 'w' is 0 because ")
    assert reason in said
    loss.backward()
    np.testing.assert_allclose(w.grad.numpy(), 0.0, atol=1e-14)


def test_both_reasons_are_named() -> None:
    w, x = leaves()
    said = told(w, (ops.relu(-w) * x + ops.sign(w)).sum())[1]
    assert "relu is dead" in said
    assert "sign has the derivative 0" in said


def test_the_sum_of_batch_normalization() -> None:
    x = tg.Tensor(rng.normal(size=(8, 3)), requires_grad=True, name="x")
    layer, norm = nn.Linear(3, 2, dtype=float), nn.BatchNorm1d(2, dtype=float)
    for param in (x, layer.weight, layer.bias, norm.weight):
        cause, said = told(param, norm(layer(x)).sum())
        assert cause == "zero"
        assert "cancel in their sum (a symmetry, such as the sum of a normalized batch)" in said
    assert told(norm.bias, norm(layer(x)).sum())[0] == "has one"
    weights = rng.normal(size=(8, 2))
    for param in (x, layer.weight, norm.weight):
        assert told(param, (norm(layer(x)) * weights).sum())[0] == "has one"
    assert told(layer.bias, (norm(layer(x)) * weights).sum())[0] == "zero"  # batch norm takes any shift away again


def test_float32_cancels_to_its_own_rounding() -> None:
    x = tg.Tensor(rng.normal(size=(8, 3)), requires_grad=True, name="x", dtype=np.float32)
    assert told(x, nn.BatchNorm1d(3)(x).sum())[0] == "zero"


def test_small_is_not_zero() -> None:
    w, x = leaves()
    cause, said = told(w, (w * 1e-30 * x).sum())
    assert cause == "has one"
    assert "its largest element 4e-30" in said


def test_it_has_one() -> None:
    w, x = leaves()
    loss = (w * x).sum()
    never_run = "; .grad is None as long as backward has not been run, or after zero_grad()"
    assert told(w, loss) == ("has one", "'w' gets a gradient, its largest element 4" + never_run)
    loss.backward(retain_graph=True)
    assert told(w, loss) == ("has one", "'w' gets a gradient, its largest element 4")
    middle = w * 2.0
    assert told(middle, (middle * x).sum())[0] == "has one"
    assert told(loss, loss)[0] == "has one"
    assert told(w, lambda: (w * x).sum())[0] == "has one"


def test_not_finite() -> None:
    w, x = leaves()
    cause, said = told(w, (ops.sqrt(w - w) * x).sum())
    assert cause == "not finite"
    assert "find_nonfinite(loss) names the place" in said


def test_nothing_changes() -> None:
    w, x = leaves()
    loss = (w * x).sum()
    why_no_grad(w, loss)
    assert w.grad is None
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), x.numpy())


def test_misuse() -> None:
    w, x = leaves()
    with pytest.raises(ValueError, match="the parameter is a variable"):
        why_no_grad(np.ones(2), x.sum())
    with pytest.raises(ValueError, match="the loss is a variable"):
        why_no_grad(w, np.ones(2))
    with pytest.raises(ValueError, match="the loss is a variable"):
        why_no_grad(w, lambda: 3.0)
    with pytest.raises(ValueError, match="needs a cotangent"):
        why_no_grad(w, w * x)
    loss = (w * x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        why_no_grad(w, loss)
