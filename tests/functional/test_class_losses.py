"""``cross_entropy``, ``nll_loss``: weights, ignored targets, smoothing, probabilities, more axes, as PyTorch; refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.oracles import compare_with_complex_step, compare_with_torch, random_like
from tests.told import told
from tinygrad_bn import functional as fn
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, ShapeError

THEIRS = torch.nn.functional
RNG = np.random.default_rng(3)
WEIGHT = np.array([0.5, 2.0, 1.5])
# scores, and class indices with an ignored one where there is room
CASES = [
    ((5, 3), np.array([0, 2, -100, 1, 1])),
    ((2, 3, 4), RNG.integers(0, 3, (2, 4)) * np.array([[1, 1, -100, 1]]).clip(-100, 1)),
    ((2, 3, 2, 2), np.array([[[0, 1], [2, -100]], [[1, 1], [0, 2]]])),
    ((3,), np.array(2)),
]
IDS = [str(shape) for shape, _ in CASES]


def labeled(shape, target):
    """Multiples of -100 all mean the same."""
    return random_like(shape) * 2, np.where(target < 0, -100, target)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize(("shape", "target"), CASES, ids=IDS)
def test_cross_entropy_of_class_indices_is_pytorchs_to_second_order(shape, target, weight, smoothing, reduction):
    scores, target = labeled(shape, target)
    settings = {"reduction": reduction, "label_smoothing": smoothing}
    their_weight = None if weight is None else torch.tensor(weight)
    compare_with_torch(
        lambda x: fn.cross_entropy(x, target, weight, **settings),
        lambda x: THEIRS.cross_entropy(x, torch.tensor(target), their_weight, **settings),
        [scores],
        rtol=1e-9,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize(("shape", "target"), CASES, ids=IDS)
def test_nll_loss_is_pytorchs_to_second_order(shape, target, weight, reduction):
    scores, target = labeled(shape, target)
    their_weight = None if weight is None else torch.tensor(weight)
    compare_with_torch(
        lambda x: fn.nll_loss(x * x * x, target, weight, reduction=reduction),
        lambda x: THEIRS.nll_loss(x * x * x, torch.tensor(target), their_weight, reduction=reduction),
        [scores],
        rtol=1e-9,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize("shape", [shape for shape, _ in CASES], ids=str)
def test_cross_entropy_of_probabilities_is_pytorchs_by_both_arguments(shape, weight, smoothing, reduction):
    axis = 1 if len(shape) > 1 else 0
    probabilities = np.abs(random_like(shape, 5))
    probabilities /= probabilities.sum(axis, keepdims=True)
    settings = {"reduction": reduction, "label_smoothing": smoothing}
    their_weight = None if weight is None else torch.tensor(weight)
    compare_with_torch(
        lambda x, t: fn.cross_entropy(x, t, weight, **settings),
        lambda x, t: THEIRS.cross_entropy(x, t, their_weight, **settings),
        [random_like(shape) * 2, probabilities],
        rtol=1e-9,
    )


def test_probabilities_of_one_class_are_its_index():
    scores = random_like((4, 3))
    target = np.array([0, 2, 1, 1])
    assert_allclose(fn.cross_entropy(scores, np.eye(3)[target]), fn.cross_entropy(scores, target), rtol=1e-13)
    assert_allclose(fn.cross_entropy(scores, np.eye(3)[target].tolist(), label_smoothing=0.1),
                    fn.cross_entropy(scores, target, label_smoothing=0.1), rtol=1e-13)  # fmt: skip


def test_the_gradient_is_the_complex_step_of_the_forward():
    scores, target = labeled(*CASES[1])
    compare_with_complex_step(lambda x: fn.cross_entropy(x, target, WEIGHT, label_smoothing=0.1), [scores])


@pytest.mark.parametrize("ignored", [1, 255, -1])
def test_ignored_targets_count_for_nothing_whatever_their_scores(ignored):
    scores = random_like((4, 3))
    target = np.array([0, ignored, 2, ignored])
    spoiled = scores.copy()
    spoiled[[1, 3]] = np.nan
    expected = fn.cross_entropy(scores[[0, 2]], [0, 2])
    x = tg.Tensor(spoiled, requires_grad=True)
    loss = fn.nll_loss(x, target, ignore_index=ignored)
    loss.backward()
    assert_allclose(loss.item(), -(scores[0, 0] + scores[2, 2]) / 2)
    assert_array_equal(x.grad.numpy()[[1, 3]], 0.0)
    assert_allclose(fn.cross_entropy(scores, target, ignore_index=ignored), expected, rtol=1e-13)
    assert_array_equal(fn.nll_loss(spoiled, target, ignore_index=ignored, reduction="none")[[1, 3]], 0.0)
    assert fn.cross_entropy(scores, np.full(4, ignored), ignore_index=ignored, reduction="sum") == 0.0


def test_an_ignored_target_where_there_is_one_class():
    assert_array_equal(fn.cross_entropy(np.ones((2, 1)), [0, -100], reduction="none"), [0.0, 0.0])


def test_the_graph_of_the_plain_loss_has_no_idle_operations():
    x = tg.Tensor(random_like((4, 3)), requires_grad=True)
    names, y = [], fn.cross_entropy(x, [0, 1, 2, 0])
    while y.scope.path == ("cross entropy",):
        names.append(y.primitive.name)
        y = y.inputs[0]
    assert names == ["negative", "mean", "take_along_axis"]
    assert y.scope.path == ("cross entropy", "log_softmax")


@pytest.mark.parametrize("weight", [WEIGHT, WEIGHT.tolist(), tg.Tensor(WEIGHT), WEIGHT.astype(np.float32)])
@pytest.mark.parametrize("target", [np.array([0, 2]), np.array([[0.2, 0.8, 0], [1, 0, 0]], np.float32)], ids=["i", "p"])
def test_float32_scores_give_a_float32_loss(weight, target):
    x = tg.Tensor(random_like((2, 3)).astype(np.float32), requires_grad=True)
    for smoothing in (0.0, 0.1):
        loss = fn.cross_entropy(x, target, weight, label_smoothing=smoothing)
        loss.backward()
        assert loss.dtype == x.grad.dtype == np.float32


def test_an_empty_batch():
    empty = np.zeros((0, 3))
    assert fn.cross_entropy(empty, np.zeros(0, int), reduction="sum") == 0.0
    assert fn.cross_entropy(empty, np.zeros(0, int), reduction="none").shape == (0,)
    assert fn.cross_entropy(empty, empty, reduction="none").shape == (0,)
    with pytest.raises(ShapeError):
        fn.cross_entropy(empty, empty)


SCORES = np.zeros((2, 3, 4))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fn.cross_entropy(SCORES, [[0] * 4] * 2, reduction="avg"), ArgumentError, ["reduction", "'avg'", "none"]),
        (lambda: fn.nll_loss(SCORES, [[0] * 4] * 2, reduction=None), ArgumentError, ["nll_loss: reduction"]),
        (lambda: fn.cross_entropy(SCORES, [[0] * 4] * 2, label_smoothing=1.5), ArgumentError, ["label_smoothing", "1.5"]),
        (lambda: fn.cross_entropy(SCORES, [[0] * 4] * 2, [1.0, 2.0]), ShapeError, ["one weight per class", "(3,)"]),
        (lambda: fn.cross_entropy(SCORES, SCORES, ignore_index=1), ArgumentError, ["ignore_index is for class indices"]),
        (lambda: fn.cross_entropy(SCORES, SCORES.astype(int)), ShapeError, ["shapes do not fit", "probabilities are floats"]),
        (lambda: fn.nll_loss(SCORES, SCORES), ShapeError, ["nll_loss: shapes do not fit", "(2, 3, 4)"]),
        (lambda: fn.cross_entropy(0.0, 0), ShapeError, ["shapes do not fit", "scores ()"]),
        (lambda: fn.cross_entropy(SCORES, np.zeros((2, 4))), DTypeError, ["class indices are integers"]),
        (lambda: fn.cross_entropy(SCORES, [[0, 0, 0, 0], [0, 7, 0, 0]]), IndexingError, ["7 at (1, 1)", "0 to 2"]),
        (lambda: fn.cross_entropy(np.zeros(3), 3), IndexingError, ["no such class", "got:      3\n"]),
        (lambda: fn.cross_entropy(SCORES, np.full((2, 4), -100)), ArgumentError, ["every target is ignored", "-100"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_explained(call, error, words):
    with told(error, words):
        call()
