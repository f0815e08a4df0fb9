"""Layers: what they refuse before anything changes, what they print, embeddings, dropout and losses as modules."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tests.oracles import random_like
from tests.told import told
from tinygrad_bn import functional, nn
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, ShapeError


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(0, 2, 3), ["Conv2d: in_channels", "at least 1"]),
        (lambda: nn.Conv2d(2, -1, 3), ["Conv2d: out_channels", "-1"]),
        (lambda: nn.Conv2d(2, 2, 0), ["Conv2d: kernel_size", "tuple of 2"]),
        (lambda: nn.Conv2d(2, 2, (3, 3, 3)), ["Conv2d: kernel_size", "(3, 3, 3)"]),
        (lambda: nn.Conv1d(2, 2, 3, stride=0), ["Conv1d: stride", "an int of at least 1"]),
        (lambda: nn.Conv2d(2, 2, 3, dilation=1.5), ["Conv2d: dilation", "1.5"]),
        (lambda: nn.Conv2d(2, 2, 3, padding=-1), ["Conv2d: padding", "at least 0"]),
        (lambda: nn.Conv2d(2, 2, 3, padding="full"), ["Conv2d: padding", "'full'"]),
        (lambda: nn.Conv2d(2, 2, 3, 2, padding="same"), ["Conv2d: padding", "stride (2, 2)"]),
        (lambda: nn.Conv2d(2, 2, 3, padding_mode="mirror"), ["Conv2d: padding_mode", "reflect"]),
        (lambda: nn.Conv2d(4, 6, 3, groups=4), ["Conv2d: groups divide", "4 groups of 4 to 6 channels"]),
        (lambda: nn.Conv2d(4, 6, 3, groups=0), ["Conv2d: groups", "at least 1"]),
        (lambda: nn.ConvTranspose2d(2, 2, 3, output_padding=-1), ["ConvTranspose2d: output_padding", "at least 0"]),
        (lambda: nn.ConvTranspose1d(2, 2, 3, padding="same"), ["ConvTranspose1d: padding", "'same'"]),
        (lambda: nn.Embedding(-1, 2), ["Embedding: num_embeddings", "-1", "at least 0"]),
        (lambda: nn.Embedding(3, 2, padding_idx=3), ["Embedding: padding_idx", "-3 to 2"]),
        (lambda: nn.Dropout(1.1), ["Dropout: p is a probability", "1.1"]),
        (lambda: nn.LayerNorm(()), ["LayerNorm: no axis"]),
        (lambda: nn.LayerNorm(0), ["LayerNorm: normalized_shape", "at least 1"]),
        (lambda: nn.LayerNorm(3, eps=-1.0), ["LayerNorm: eps"]),
        (lambda: nn.RMSNorm(3, eps=-1.0), ["RMSNorm: eps"]),
        (lambda: nn.GroupNorm(3, 4), ["GroupNorm: the groups divide", "3 groups of 4 channels"]),
        (lambda: nn.GroupNorm(0, 4), ["GroupNorm: num_groups"]),
        (lambda: nn.InstanceNorm2d(3, momentum=1.5), ["InstanceNorm2d: momentum", "0 to 1"]),
        (lambda: nn.InstanceNorm1d(-3), ["InstanceNorm1d: num_features"]),
        (lambda: nn.CrossEntropyLoss(reduction="max"), ["CrossEntropyLoss: reduction", "'max'"]),
        (lambda: nn.KLDivLoss(reduction="batch"), ["KLDivLoss: reduction", "batchmean"]),
        (lambda: nn.HuberLoss(reduction="batchmean"), ["HuberLoss: reduction"]),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_explained(make, words):
    with told(ArgumentError, words):
        make()


@pytest.mark.parametrize(
    ("layer", "x", "error", "words"),
    [
        (nn.Conv2d(3, 2, 3), np.zeros((1, 4, 5, 5)), ShapeError, ["wrong number of channels", "3 channels in axis 1"]),
        (nn.Conv2d(3, 2, 3), np.zeros((4, 5, 5)), ShapeError, ["3 channels in axis 0"]),
        (nn.Conv2d(3, 2, 3), np.zeros((5, 5)), ShapeError, ["wrong number of axes", "(N, C, H, W) or (C, H, W)"]),
        (nn.Conv1d(3, 2, 3), np.zeros((1, 3, 2)), ShapeError, ["the window is larger than the image"]),
        (nn.Conv2d(3, 2, 3), np.zeros((1, 3, 5, 5), int), DTypeError, ["floating point"]),
        (nn.Conv2d(3, 2, 3, padding=5, padding_mode="reflect"), np.zeros((1, 3, 5, 5)), ShapeError, ["too much"]),
        (nn.ConvTranspose2d(3, 2, 3), np.zeros((1, 2, 5, 5)), ShapeError, ["3 channels in axis 1"]),
        (nn.BatchNorm3d(3), np.zeros((1, 3, 5, 5)), ShapeError, ["(N, 3, D, H, W)"]),
        (nn.GroupNorm(1, 3), np.zeros((1, 4, 5)), ShapeError, ["(N, 3, ...)"]),
        (nn.InstanceNorm1d(3, track_running_stats=True), np.zeros((1, 2, 5)), ShapeError, ["wrong number of channels"]),
        (nn.InstanceNorm2d(3), np.zeros((2, 3)), ShapeError, ["wrong number of axes"]),
        (nn.InstanceNorm1d(3, track_running_stats=True), np.zeros((2, 3, 1)), ShapeError, ["at least two values"]),
        (nn.LayerNorm(3), np.zeros((2, 4)), ShapeError, ["normalized_shape (3,)"]),
        (nn.Flatten(2), np.zeros((2, 4)), ShapeError, ["Flatten 'layer': no such axis"]),
        (nn.Flatten(1, 0), np.zeros((2, 4)), ShapeError, ["Flatten 'layer': the end is before the start", "1 to 0"]),
        (nn.Embedding(3, 2), [0.5], DTypeError, ["indices are integers"]),
        (nn.Embedding(3, 2), [3], IndexingError, ["no such row"]),
        (nn.Softmax(1), np.zeros(2), ShapeError, ["softmax", "axis 1 of 1 axes"]),
        (nn.MaxPool2d(7), np.zeros((1, 1, 5, 5)), ShapeError, ["larger than the image"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)  # fmt: skip
def test_a_refused_input_is_explained_and_changes_nothing(layer, x, error, words):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x)

    before = layer.state_dict()
    with told(error, words):
        Model()(x)
    for name, value in layer.state_dict().items():
        assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Conv2d(3, 8, 3), "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))  # 224 parameters"),
        (
            nn.Conv1d(4, 8, 2, 2, "valid", 3, 2, False, "circular"),
            "Conv1d(4, 8, kernel_size=(2,), stride=(2,), padding='valid', dilation=(3,), groups=2, bias=False, "
            "padding_mode='circular')  # 32 parameters",
        ),
        (
            nn.ConvTranspose2d(3, 8, (1, 2), 2, 1, (1, 0)),
            "ConvTranspose2d(3, 8, kernel_size=(1, 2), stride=(2, 2), padding=(1, 1), output_padding=(1, 0))"
            "  # 56 parameters",
        ),
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (nn.AvgPool1d(3, 2), "AvgPool1d(kernel_size=3, stride=2, padding=0)"),
        (nn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
        (nn.LayerNorm(4), "LayerNorm((4,), eps=1e-05, elementwise_affine=True)  # 8 parameters"),
        (nn.RMSNorm((2, 3)), "RMSNorm((2, 3), eps=None, elementwise_affine=True)  # 6 parameters"),
        (nn.GroupNorm(2, 4, affine=False), "GroupNorm(2, 4, eps=1e-05, affine=False)"),
        (nn.InstanceNorm2d(3), "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)"),
        (nn.Embedding(5, 2, -1), "Embedding(5, 2, padding_idx=4)  # 10 parameters"),
        (nn.Embedding(5, 2), "Embedding(5, 2)  # 10 parameters"),
        (nn.Dropout(0.2), "Dropout(p=0.2)"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.Identity(), "Identity()"),
        (nn.LeakyReLU(), "LeakyReLU(negative_slope=0.01)"),
        (nn.ELU(2.0), "ELU(alpha=2.0)"),
        (nn.GELU(), "GELU(approximate='none')"),
        (nn.SiLU(), "SiLU()"),
        (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
        (nn.Softmax(-1), "Softmax(dim=-1)"),
        (nn.LogSoftmax(1), "LogSoftmax(dim=1)"),
        (nn.HuberLoss("sum"), "HuberLoss(reduction='sum')"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_layers_print_their_settings(layer, text):
    assert repr(layer) == text


# -- embedding and dropout ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [None, 1])
def test_embedding_is_pytorchs(padding):
    theirs = torch.nn.Embedding(4, 3, padding).double()
    ours = nn.Embedding(4, 3, padding, dtype=np.float64)
    ours.load_state_dict(theirs.state_dict())
    rows = np.array([[0, 1, 3], [1, 1, 2]])
    cotangent = random_like((2, 3, 3))
    y = ours(rows)
    y.backward(cotangent)
    expected = theirs(torch.tensor(rows))
    expected.backward(torch.tensor(cotangent))
    assert_allclose(y.numpy(), expected.detach(), rtol=1e-14)
    assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad, rtol=1e-12)
    assert nn.Embedding(4, 3)(rows).dtype == np.float32


def test_dropout_works_in_training_and_rests_in_evaluation():
    layer = nn.Dropout(0.4)
    x = np.ones((50, 50), np.float32)
    tg.manual_seed(0)
    y = layer(x)
    tg.manual_seed(0)
    assert_array_equal(y, functional.dropout(x, 0.4))
    assert 0.5 < (y > 0).mean() < 0.7
    assert layer.eval()(x) is x
    assert (layer.train()(x) == 0).any()


# -- losses -------------------------------------------------------------------------------------------------------------

X, T = random_like((3, 4)), random_like((3, 4), 1)
Q = 1 / (1 + np.exp(-T))
LABELS = np.array([1, 3, 0])
WEIGHT = np.array([1.0, 0.5, 2.0, 1.5])
LOSSES = [
    ("MSELoss", (X, T), [{}]),
    ("L1Loss", (X, T), [{}]),
    ("SmoothL1Loss", (X, T), [{}, {"beta": 0.3}]),
    ("HuberLoss", (X, T), [{}, {"delta": 0.3}]),
    ("CrossEntropyLoss", (X, LABELS), [{}, {"weight": WEIGHT}, {"ignore_index": 3, "label_smoothing": 0.1}]),
    ("NLLLoss", (X, LABELS), [{}, {"weight": WEIGHT}, {"ignore_index": 3}]),
    ("BCELoss", (Q, Q[::-1].copy()), [{}, {"weight": WEIGHT}]),
    ("BCEWithLogitsLoss", (X, Q), [{}, {"weight": WEIGHT}, {"pos_weight": WEIGHT}]),
    ("KLDivLoss", (X, Q), [{}, {"log_target": True}, {"reduction": "batchmean"}]),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "arrays", "variants"), LOSSES, ids=[name for name, *_ in LOSSES])
def test_loss_modules_are_pytorchs_with_their_state(name, arrays, variants, reduction):
    for variant in variants:
        settings = {"reduction": reduction, **variant}
        theirs = getattr(torch.nn, name)(
            **{key: torch.tensor(value) if isinstance(value, np.ndarray) else value for key, value in settings.items()}
        )
        ours = getattr(nn, name)(**settings)
        assert {k: tuple(v.shape) for k, v in theirs.state_dict().items()} == {
            k: v.shape for k, v in ours.state_dict().items()
        }
        ours.load_state_dict(theirs.state_dict())
        x, their_x = tg.Tensor(arrays[0], requires_grad=True), torch.tensor(arrays[0], requires_grad=True)
        loss, expected = ours(x, arrays[1]), theirs(their_x, torch.tensor(arrays[1]))
        cotangent = random_like(loss.shape, 5)
        loss.backward(cotangent)
        expected.backward(torch.tensor(cotangent))
        assert_allclose(loss.numpy(), expected.detach(), rtol=1e-9)
        assert_allclose(x.grad.numpy(), their_x.grad, rtol=1e-9, atol=1e-13)


def test_no_loss_is_left_out():
    assert {name for name in nn.__all__ if name.endswith("Loss")} == {name for name, *_ in LOSSES}


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(2, 3, 3, padding=1), nn.InstanceNorm2d(2, track_running_stats=True), nn.ModuleDict({"a": nn.ReLU()}),
     nn.CrossEntropyLoss([1.0, 2.0])],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_layers_can_be_copied_and_pickled(layer):
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(clone) == repr(layer)
        for name, value in clone.state_dict().items():
            assert_array_equal(value, layer.state_dict()[name])


def test_a_small_convolutional_network_learns():
    """Horizontal against vertical bars, by gradient descent on all parts together."""
    tg.manual_seed(0)
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.1, (64, 1, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 2, 64)
    for image, label in zip(images, labels):
        line = rng.integers(0, 8)
        (image[0] if label else image[0].T)[line] += 1.0
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 2)
    )
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(30):
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert (np.argmax(model.eval()(images).numpy(), 1) == labels).mean() > 0.95
