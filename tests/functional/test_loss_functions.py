"""``cross_entropy``, ``nll_loss``, ``mse_loss``: closed forms, complex step, PyTorch to second order, and label errors."""

import numpy as np
import pytest
import torch
from bn_oracle import complex_step
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn import functional, nn
from tinygrad_bn.errors import DTypeError, IndexingError, ShapeError

RNG = np.random.default_rng(20)
LOGITS = RNG.normal(0, 2, (6, 4))
LABELS = np.array([0, 3, 1, 1, 2, 3])
DIRECTION = RNG.standard_normal((6, 4))


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# -- cross entropy ----------------------------------------------------------------------------------------------------


def test_cross_entropy_and_its_gradient_are_the_closed_form():
    z = tg.Tensor(LOGITS, requires_grad=True)
    loss = functional.cross_entropy(z, LABELS)
    assert loss.shape == ()
    p = softmax(LOGITS)
    assert_allclose(loss.item(), -np.log(p[np.arange(6), LABELS]).mean(), rtol=1e-12)
    loss.backward()
    assert_allclose(z.grad.numpy(), (p - np.eye(4)[LABELS]) / 6, rtol=1e-10, atol=1e-14)


def test_the_gradient_of_cross_entropy_is_the_complex_step_of_its_forward():
    z = tg.Tensor(LOGITS, requires_grad=True)
    functional.cross_entropy(z, LABELS).backward()
    (expected,) = complex_step(lambda z: functional.cross_entropy(z, LABELS), [LOGITS])
    assert_allclose(z.grad.numpy(), expected, rtol=1e-10, atol=1e-14)


def test_the_hessian_of_cross_entropy_is_the_closed_form():
    z = tg.Tensor(LOGITS, requires_grad=True)
    slope = tg.grad(functional.cross_entropy(z, LABELS), z, create_graph=True)
    product = tg.grad((slope * DIRECTION).sum(), z)
    p = softmax(LOGITS)  # each row's Hessian is (diag(p) - p p^T) / N
    expected = (p * DIRECTION - p * (p * DIRECTION).sum(1, keepdims=True)) / 6
    assert_allclose(product.numpy(), expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_classification_losses_are_pytorchs_to_second_order(name):
    ours, theirs = tg.Tensor(LOGITS, requires_grad=True), torch.tensor(LOGITS, requires_grad=True)
    # nll_loss is linear in the log-probabilities; squaring the input first makes its second derivative say something.
    loss = getattr(functional, name)(ours * ours, LABELS)
    their_loss = getattr(torch.nn.functional, name)(theirs * theirs, torch.tensor(LABELS))
    assert_allclose(loss.item(), their_loss.item(), rtol=1e-9)
    slope = tg.grad(loss, ours, create_graph=True)
    (their_slope,) = torch.autograd.grad(their_loss, theirs, create_graph=True)
    assert_allclose(slope.numpy(), their_slope.detach(), rtol=1e-9, atol=1e-13)
    again = tg.grad((slope * DIRECTION).sum(), ours)
    (expected,) = torch.autograd.grad((their_slope * torch.tensor(DIRECTION)).sum(), theirs)
    assert_allclose(again.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert np.abs(again.numpy()).max() > 1e-2


def test_nll_loss_picks_the_labelled_columns():
    z = tg.Tensor(LOGITS, requires_grad=True)
    loss = functional.nll_loss(z, LABELS)
    assert_allclose(loss.item(), -LOGITS[np.arange(6), LABELS].mean(), rtol=1e-14)
    loss.backward()
    assert_allclose(z.grad.numpy(), -np.eye(4)[LABELS] / 6, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_huge_logits_overflow_nothing(size, dtype):
    z = tg.Tensor(np.array([[size, 0.0, -size], [0.0, size, -size]], dtype), requires_grad=True)
    loss = functional.cross_entropy(z, [0, 0])
    loss.backward()
    assert loss.dtype == z.grad.dtype == dtype
    assert_allclose(loss.item(), size / 2, rtol=1e-6)
    assert_allclose(z.grad.numpy(), [[0, 0, 0], [-0.5, 0.5, 0]], atol=1e-7)


@pytest.mark.parametrize(
    "labels",
    [LABELS.tolist(), LABELS.astype(np.uint8), LABELS.astype(np.int16), tg.Tensor(LABELS)],
    ids=["list", "uint8", "int16", "tensor"],
)
def test_labels_of_any_integer_kind(labels):
    assert functional.cross_entropy(LOGITS, labels) == functional.cross_entropy(LOGITS, LABELS)


def test_labels_changed_after_the_call_do_not_change_the_gradient():
    labels = LABELS.copy()
    z = tg.Tensor(LOGITS, requires_grad=True)
    loss = functional.cross_entropy(z, labels)
    labels[:] = 0
    loss.backward()
    assert_allclose(z.grad.numpy(), (softmax(LOGITS) - np.eye(4)[LABELS]) / 6, rtol=1e-10, atol=1e-14)


def test_cross_entropy_of_scalars_equals_that_of_the_tensor():
    scalars = tg.scalarize(LOGITS)
    loss = functional.cross_entropy(scalars, LABELS)
    assert isinstance(loss, tg.Scalar)
    loss.backward()
    assert_allclose(loss.item(), functional.cross_entropy(LOGITS, LABELS), rtol=1e-13)
    assert_allclose(tg.gradients_of(scalars), (softmax(LOGITS) - np.eye(4)[LABELS]) / 6, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(
    ("scores", "labels"),
    [((4,), (4,)), ((2, 3, 4), (2, 3)), ((4, 3), (3,)), ((4, 3), (4, 1)), ((4, 3), ())],
    ids=str,
)
def test_shapes_that_do_not_fit(name, scores, labels):
    with pytest.raises(ShapeError, match=f"{name}: shapes do not fit") as error:
        getattr(functional, name)(np.zeros(scores), np.zeros(labels, int))
    assert str(scores) in str(error.value)
    assert str(labels) in str(error.value)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_the_mean_over_no_examples(name):
    with pytest.raises(ShapeError, match=name) as error:
        getattr(functional, name)(np.zeros((0, 3)), np.zeros(0, int))
    assert "N at least 1" in str(error.value)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(
    "labels", [np.zeros(2), np.zeros(2, bool), np.array(["a", "b"])], ids=["float", "bool", "text"]
)
def test_labels_that_are_not_integers(name, labels):
    with pytest.raises(DTypeError, match=f"{name}: class indices are integers") as error:
        getattr(functional, name)(np.zeros((2, 3)), labels)
    assert isinstance(error.value, TypeError)
    assert "astype(int)" in str(error.value)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(("labels", "what"), [([0, 3], "3 in row 1"), ([-1, 0], "-1 in row 0")])
def test_labels_outside_of_the_classes_name_the_row(name, labels, what):
    with pytest.raises(IndexingError, match=f"{name}: no such class") as error:
        getattr(functional, name)(np.zeros((2, 3)), labels)
    assert isinstance(error.value, IndexError)
    assert what in str(error.value)
    assert "0 to 2" in str(error.value)


def test_no_classes_at_all():
    with pytest.raises(
        IndexingError, match=r"no such class\s+got:      0 in row 0\s+expected: at least one to choose from"
    ):
        functional.cross_entropy(np.zeros((2, 0)), [0, 0])


# -- mean squared error -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 2)], ids=str)
def test_mse_is_the_closed_form_and_pytorchs_to_second_order(shape):
    rng = np.random.default_rng(21)
    a, b, v = rng.standard_normal((3, *shape))
    prediction, target = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
    loss = functional.mse_loss(prediction, target)
    assert_allclose(loss.item(), np.mean((a - b) ** 2), rtol=1e-13)
    by_prediction, by_target = tg.grad(loss, [prediction, target], create_graph=True)
    assert_allclose(by_prediction.numpy(), 2 * (a - b) / a.size, rtol=1e-12)
    assert_allclose(by_target.numpy(), -2 * (a - b) / a.size, rtol=1e-12)
    p, t = (torch.tensor(x, requires_grad=True) for x in (a, b))
    theirs = torch.autograd.grad(torch.nn.functional.mse_loss(p, t), [p, t], create_graph=True)
    assert_allclose(by_prediction.numpy(), theirs[0].detach(), rtol=1e-9)
    again = tg.grad((by_prediction * v).sum(), [prediction, target])
    expected = torch.autograd.grad((theirs[0] * torch.tensor(v)).sum(), [p, t])
    for got, want in zip(again, expected):
        assert_allclose(got.numpy(), want, rtol=1e-9)
        assert_allclose(np.abs(got.numpy()), 2 * np.abs(v) / a.size, rtol=1e-12)


def test_mse_of_lists_is_a_number():
    assert functional.mse_loss([1.0, 2.0], [1.0, 4.0]) == 2.0


def test_mse_refuses_to_broadcast():
    with pytest.raises(ShapeError, match="one shape") as error:
        functional.mse_loss(np.zeros((4, 1)), np.zeros(4))
    assert "(4, 1)" in str(error.value)
    assert "(4,)" in str(error.value)


def test_mse_of_nothing():
    with pytest.raises(ShapeError):
        functional.mse_loss(np.zeros(0), np.zeros(0))


# -- as modules -------------------------------------------------------------------------------------------------------


def test_loss_modules_are_the_functions():
    assert nn.CrossEntropyLoss()(LOGITS, LABELS) == functional.cross_entropy(LOGITS, LABELS)
    assert nn.MSELoss()(LOGITS, DIRECTION) == functional.mse_loss(LOGITS, DIRECTION)
    assert list(nn.CrossEntropyLoss().parameters()) == []
