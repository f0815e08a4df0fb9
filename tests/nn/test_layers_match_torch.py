"""Every layer against PyTorch's of the same name: state, value, first and second derivatives, and float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tinygrad_bn as tg
from tests.nn.layer_parity import compare, of_torch, twins
from tests.oracles import random_like
from tinygrad_bn import nn
from tinygrad_bn.program import record

# PyTorch says this of itself.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel lengths")

# name, arguments, settings, input shape
LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("Linear", (3, 2), {}, (4, 3)),
    ("Conv1d", (2, 3, 3), {}, (2, 2, 6)),
    ("Conv1d", (2, 4, 2), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False}, (2, 2, 6)),
    ("Conv1d", (2, 2, 2), {"padding": "same"}, (2, 5)),
    ("Conv2d", (2, 3, 3), {}, (2, 2, 4, 5)),
    ("Conv2d", (2, 3, (2, 3)), {"stride": (2, 1), "padding": (1, 2), "dilation": (2, 1)}, (2, 2, 4, 5)),
    ("Conv2d", (4, 2, 2), {"groups": 2, "padding": "valid"}, (1, 4, 3, 3)),
    ("Conv2d", (2, 2, (2, 3)), {"padding": "same", "dilation": (3, 1)}, (1, 2, 3, 4)),
    ("Conv2d", (2, 2, 3), {"padding": 1, "padding_mode": "reflect"}, (1, 2, 3, 4)),
    ("Conv2d", (2, 2, 3), {"padding": (2, 1), "padding_mode": "replicate"}, (1, 2, 3, 4)),
    ("Conv2d", (2, 2, 2), {"padding": "same", "padding_mode": "circular"}, (2, 3, 4)),
    ("Conv3d", (2, 3, 2), {}, (2, 2, 3, 2, 3)),
    (
        "Conv3d",
        (4, 2, (1, 2, 3)),
        {"stride": (1, 2, 1), "padding": (1, 0, 2), "dilation": (1, 1, 2), "groups": 2, "bias": False},
        (1, 4, 2, 4, 4),
    ),
    ("Conv3d", (1, 2, (2, 1, 3)), {"padding": "same", "padding_mode": "replicate"}, (1, 3, 2, 3)),
    ("ConvTranspose1d", (2, 3, 3), {"stride": 2}, (2, 2, 3)),
    ("ConvTranspose2d", (2, 3, 2), {}, (2, 2, 2, 3)),
    (
        "ConvTranspose2d",
        (4, 2, (3, 2)),
        {"stride": (3, 2), "padding": (1, 0), "output_padding": (2, 1), "groups": 2, "bias": False},
        (1, 4, 2, 3),
    ),
    ("ConvTranspose2d", (2, 2, 2), {"dilation": 3, "output_padding": 2, "padding": 1}, (2, 2, 3)),
    ("ConvTranspose3d", (2, 3, 2), {}, (1, 2, 2, 1, 2)),
    (
        "ConvTranspose3d",
        (4, 2, (2, 1, 3)),
        {"stride": (2, 1, 2), "padding": (1, 0, 1), "output_padding": (1, 0, 1), "groups": 2, "dilation": (1, 1, 2)},
        (4, 2, 2, 2),
    ),
    ("MaxPool1d", (2,), {}, (2, 2, 5)),
    ("MaxPool3d", (2,), {}, (1, 2, 4, 3, 2)),
    (
        "MaxPool3d",
        ((3, 2, 1), (2, 1, 2)),
        {"padding": (1, 1, 0), "dilation": (1, 2, 1), "ceil_mode": True},
        (2, 4, 5, 3),
    ),
    ("MaxPool2d", (2,), {}, (2, 2, 4, 5)),
    ("MaxPool2d", ((3, 2),), {"stride": (1, 2), "padding": (1, 0), "dilation": (1, 2)}, (2, 5, 6)),
    ("MaxPool2d", (3, 2), {"padding": 1, "ceil_mode": True}, (1, 2, 4, 6)),
    ("AvgPool1d", (3, 1, 1), {"count_include_pad": False}, (2, 2, 5)),
    ("AvgPool2d", (2,), {}, (2, 2, 4, 5)),
    ("AvgPool2d", (3, 2), {"padding": 1, "ceil_mode": True}, (1, 2, 4, 6)),
    ("AvgPool2d", (3, 2, 1, True, False), {}, (2, 4, 5)),
    ("AvgPool2d", ((2, 3),), {"divisor_override": 5, "padding": (1, 1)}, (2, 4, 5)),
    ("AvgPool3d", (2,), {}, (1, 2, 3, 2, 4)),
    ("AvgPool3d", ((3, 2, 2), 2, (1, 0, 1), True, False), {}, (2, 4, 5, 3)),
    ("AvgPool3d", (2,), {"divisor_override": 3, "padding": 1}, (2, 2, 3, 2)),
    ("AdaptiveAvgPool1d", (2,), {}, (2, 2, 5)),
    ("AdaptiveAvgPool3d", (1,), {}, (1, 2, 2, 3, 4)),
    ("AdaptiveAvgPool3d", ((2, None, 3),), {}, (1, 2, 3, 2, 5)),
    ("AdaptiveAvgPool3d", (3,), {}, (2, 2, 4, 5)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 4, 5)),
    ("AdaptiveAvgPool2d", ((3, None),), {}, (2, 4, 5)),
    ("AdaptiveAvgPool2d", ((3, 7),), {}, (1, 2, 4, 5)),
    ("BatchNorm1d", (3,), {}, (4, 3)),
    ("BatchNorm2d", (3,), {}, (2, 3, 2, 2)),
    ("BatchNorm3d", (2,), {"momentum": 0.3}, (2, 2, 2, 3, 2)),
    ("BatchNorm1d", (3,), {"bias": False}, (4, 3)),
    ("BatchNorm2d", (3,), {"bias": False, "affine": False, "track_running_stats": False}, (2, 3, 2, 2)),
    ("SyncBatchNorm", (3,), {"momentum": 0.3}, (4, 3, 2)),
    ("LayerNorm", (4,), {}, (3, 4)),
    ("LayerNorm", (1,), {}, (3, 1)),
    ("LayerNorm", ((1, 1),), {"eps": 0.5, "elementwise_affine": False}, (2, 1, 1)),
    ("LayerNorm", ((2, 3),), {"eps": 1e-3, "bias": False}, (2, 2, 3)),
    ("LayerNorm", ([4],), {"elementwise_affine": False}, (4,)),
    ("GroupNorm", (2, 4), {}, (2, 4, 3)),
    ("GroupNorm", (1, 4), {"affine": False}, (3, 4)),
    ("GroupNorm", (3, 6), {"eps": 0.1}, (2, 6, 2, 2)),
    ("GroupNorm", (2, 4), {"bias": False}, (2, 4, 3)),
    ("InstanceNorm1d", (2,), {"affine": True}, (3, 2, 5)),
    ("InstanceNorm1d", (2,), {"affine": True, "bias": False}, (3, 2, 5)),
    ("InstanceNorm3d", (2,), {"affine": True, "track_running_stats": True}, (2, 2, 2, 1, 2)),
    ("InstanceNorm2d", (2,), {}, (2, 2, 3, 2)),
    ("InstanceNorm2d", (2,), {"affine": True, "track_running_stats": True, "momentum": 0.4}, (2, 2, 3, 2)),
    ("InstanceNorm2d", (2,), {"track_running_stats": True}, (2, 3, 3)),
    ("RMSNorm", (4,), {}, (3, 4)),
    ("RMSNorm", ((2, 3),), {"eps": 0.1, "elementwise_affine": False}, (2, 2, 3)),
    ("Sigmoid", (), {}, (2, 3)),
    ("Tanh", (), {}, (2, 3)),
    ("ReLU", (), {}, (2, 3)),
    ("LeakyReLU", (0.2,), {}, (2, 3)),
    ("ELU", (0.7,), {}, (2, 3)),
    ("GELU", (), {}, (2, 3)),
    ("GELU", ("tanh",), {}, (2, 3)),
    ("SiLU", (), {}, (2, 3)),
    ("Softplus", (2.5, 1.0), {}, (4, 5)),
    ("Softmax", (1,), {}, (2, 3, 2)),
    ("LogSoftmax", (-1,), {}, (2, 3)),
    ("Softmax", (1,), {}, (2, 0)),
    ("LogSoftmax", (0,), {}, (0, 3)),
    ("Flatten", (), {}, (2, 3, 2, 2)),
    ("Flatten", (0, 1), {}, (2, 3, 2)),
    ("Identity", (), {}, (2, 3)),
    ("Dropout", (0.0,), {}, (2, 3)),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(LAYERS)]


@pytest.mark.parametrize(("name", "args", "settings", "shape"), LAYERS, ids=IDS)
def test_value_and_derivatives_in_training(name, args, settings, shape):
    ours, theirs = twins(name, *args, **settings)
    compare(ours, theirs, random_like(shape, 7))
    for key, value in theirs.state_dict().items():  # running statistics among them
        np.testing.assert_allclose(ours.state_dict()[key], value, rtol=1e-12, err_msg=key)


@pytest.mark.parametrize(("name", "args", "settings", "shape"), LAYERS, ids=IDS)
def test_value_and_derivatives_in_evaluation(name, args, settings, shape):
    ours, theirs = twins(name, *args, **settings)
    for key, value in theirs.state_dict().items():
        if key.startswith("running"):
            value += torch.tensor(np.abs(random_like(tuple(value.shape), 5)))
    ours.load_state_dict(theirs.state_dict())
    compare(ours.eval(), theirs.eval(), random_like(shape, 8))


@pytest.mark.parametrize(("name", "args", "settings", "shape"), LAYERS, ids=IDS)
def test_float32_stays_float32_by_default(name, args, settings, shape):
    layer = getattr(nn, name)(*args, **settings)
    x = tg.Tensor(random_like(shape, 7).astype(np.float32), requires_grad=True)
    y = layer(x)
    y.backward(np.ones(y.shape))
    assert y.dtype == x.grad.dtype == np.float32
    assert all(p.dtype == p.grad.dtype == np.float32 for p in layer.parameters())


@pytest.mark.parametrize(("name", "args", "settings", "shape"), LAYERS, ids=IDS)
def test_state_has_pytorchs_names_shapes_and_order(name, args, settings, shape):
    theirs = of_torch(name)(*args, **settings)
    ours = getattr(nn, name)(*args, **settings)
    expected = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected
    assert list(ours.state_dict()) == list(expected)
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in theirs.named_parameters()]


def has_batch(name: str, shape: tuple[int, ...]) -> bool:
    """Whether the first axis may have any length, rather than being the channels or what is averaged over."""
    axes = int(name[-2]) if name.startswith(("Conv", "InstanceNorm")) else 0
    return len(shape) == axes + 2 if axes else len(shape) > 1


BATCHED = [row for row in LAYERS if has_batch(row[0], row[3])]


@pytest.mark.parametrize(("name", "args", "settings", "shape"), BATCHED, ids=[f"{r[0]}-{r[3]}" for r in BATCHED])
def test_a_program_of_a_layer_runs_on_batches_of_other_lengths(name, args, settings, shape):
    recorded, eager = getattr(nn, name)(*args, **settings), getattr(nn, name)(*args, **settings)
    eager.load_state_dict(recorded.state_dict())
    program = record(recorded, random_like((11, *shape[1:]), 1))
    for seed, n in enumerate((2, 5, 11)):
        x = random_like((n, *shape[1:]), seed)
        y = eager(x)
        np.testing.assert_array_equal(program.run(x), y.numpy() if isinstance(y, tg.Tensor) else y)
    for key, value in eager.state_dict().items():
        np.testing.assert_array_equal(recorded.state_dict()[key], value)


def test_no_layer_is_left_out():
    plain = {"Module", "Parameter", "ModuleList", "ModuleDict", "Sequential", "Embedding", "functional_call", "init"}
    losses = {name for name in nn.__all__ if name.endswith("Loss")}
    assert set(nn.__all__) - plain - losses == {name for name, *_ in LAYERS}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 2), (0, 3)),
        (nn.Conv1d(2, 3, 2), (0, 2, 4)),
        (nn.Conv2d(2, 3, 2, padding=1), (0, 2, 4, 4)),
        (nn.Conv3d(2, 3, 2), (0, 2, 2, 3, 4)),
        (nn.ConvTranspose2d(2, 3, 2), (0, 2, 4, 4)),
        (nn.ConvTranspose3d(2, 3, 2), (0, 2, 2, 2, 2)),
        (nn.MaxPool3d(2), (0, 2, 2, 2, 2)),
        (nn.AvgPool3d(2, padding=1), (0, 2, 2, 2, 2)),
        (nn.AdaptiveAvgPool3d(2), (0, 2, 4, 4, 3)),
        (nn.MaxPool2d(2, padding=1), (0, 2, 4, 4)),
        (nn.AvgPool2d(2), (0, 2, 4, 4)),
        (nn.AdaptiveAvgPool2d(1), (0, 2, 4, 4)),
        (nn.AdaptiveAvgPool2d(3), (0, 2, 4, 4)),
        (nn.LayerNorm(4), (0, 4)),
        (nn.GroupNorm(2, 4), (0, 4, 3)),
        (nn.InstanceNorm1d(2, affine=True, track_running_stats=True), (0, 2, 4)),
        (nn.RMSNorm(4), (0, 4)),
        (nn.Flatten(), (0, 2, 3)),
        (nn.Dropout(), (0, 2)),
        (nn.Softplus(), (0, 2)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_an_empty_batch_gives_an_empty_result_and_gradients_of_zero(layer, shape):
    theirs = getattr(torch.nn, type(layer).__name__)
    x = tg.Tensor(np.zeros(shape, np.float32), requires_grad=True)
    before = layer.state_dict()
    y = layer(x)
    assert y.shape[0] == 0
    if isinstance(layer, nn.Conv2d):
        assert y.shape == tuple(theirs(2, 3, 2, padding=1)(torch.zeros(shape)).shape)
    y.backward(np.zeros(y.shape))
    assert x.grad.shape == shape
    assert all(not p.grad.numpy().any() for p in layer.parameters())
    for key, value in layer.state_dict().items():
        assert np.array_equal(value, before[key])
