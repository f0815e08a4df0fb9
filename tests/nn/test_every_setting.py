"""Every setting of every layer, given something it cannot be: refused with its name when the layer is made or changed."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.told import told
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, DTypeError, TinygradError

# What each layer needs to be made.
NEEDED = {
    "Linear": (3, 2), "Embedding": (4, 2), "BatchNorm1d": (3,), "BatchNorm2d": (3,), "BatchNorm3d": (3,),
    "LayerNorm": (3,), "RMSNorm": (3,), "GroupNorm": (2, 4), "InstanceNorm1d": (3,), "InstanceNorm2d": (3,),
    "InstanceNorm3d": (3,), "Softmax": (1,), "LogSoftmax": (1,), "Conv1d": (2, 2, 1), "Conv2d": (2, 2, 1),
    "Conv3d": (2, 2, 1), "ConvTranspose1d": (2, 2, 1), "ConvTranspose2d": (2, 2, 1), "ConvTranspose3d": (2, 2, 1),
    "MaxPool1d": (2,), "MaxPool2d": (2,), "MaxPool3d": (2,), "AvgPool1d": (2,), "AvgPool2d": (2,), "AvgPool3d": (2,),
    "AdaptiveAvgPool1d": (2,), "AdaptiveAvgPool2d": (2,), "AdaptiveAvgPool3d": (2,), "SyncBatchNorm": (3,),
}  # fmt: skip
NONE_MEANS_SOMETHING = {
    "padding_idx", "stride", "divisor_override", "momentum", "output_size", "weight", "pos_weight", "eps"
}  # fmt: skip
COUNTED = {
    "in_features", "out_features", "num_embeddings", "embedding_dim", "num_features", "normalized_shape", "num_groups",
    "num_channels", "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "output_padding",
    "groups", "output_size", "start_dim", "end_dim", "dim", "padding_idx", "ignore_index",
}  # fmt: skip


def settings():
    """(layer, setting) for all of them, read from the signatures."""
    for name in nn.__all__:
        kind = getattr(nn, name)
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)) or name in (
            "Module", "Sequential", "ModuleList", "ModuleDict"
        ):  # fmt: skip
            continue
        for parameter in inspect.signature(kind).parameters:
            yield name, parameter


EVERY = list(settings())
WRONG = {
    "text": "3",
    "array": np.ones((2, 2)),
    "tensor": tg.Tensor([1.0, 2.0], requires_grad=True),
    "function": len,
    "complex": 1j,
    "object": object(),
    "set": {1},
}


def made(name, setting, value):
    given = dict(zip(inspect.signature(getattr(nn, name)).parameters, NEEDED.get(name, ())))
    return getattr(nn, name)(**(given | {setting: value}))


ARRAYS = {"weight", "pos_weight"}  # of losses; whatever makes a tensor is one
REFUSED = [(*pair, wrong) for pair in EVERY if pair[1] not in ARRAYS for wrong in WRONG]
NOT_NONE = [
    pair for pair in EVERY if pair[1] not in NONE_MEANS_SOMETHING or (pair[1] == "eps" and pair[0] != "RMSNorm")
]


@pytest.mark.parametrize(("name", "setting", "wrong"), REFUSED)
def test_what_a_setting_cannot_be_is_refused_by_name(name, setting, wrong):
    with pytest.raises((ArgumentError, DTypeError)) as error:
        made(name, setting, WRONG[wrong])
    assert name in str(error.value)
    assert setting in str(error.value)


@pytest.mark.parametrize("wrong", ["text", "function", "complex", "object", "set"])
@pytest.mark.parametrize(("name", "setting"), [pair for pair in EVERY if pair[1] in ARRAYS])
def test_weights_are_numbers(name, setting, wrong):
    with pytest.raises(DTypeError):
        made(name, setting, WRONG[wrong])


@pytest.mark.parametrize(("name", "setting"), NOT_NONE)
def test_none_is_refused_where_it_means_nothing(name, setting):
    with pytest.raises((ArgumentError, DTypeError), match=setting):
        made(name, setting, None)


@pytest.mark.parametrize(("name", "setting"), [pair for pair in EVERY if pair[1] in COUNTED])
def test_counts_are_whole_numbers_and_no_flags(name, setting):
    for wrong in (1.5, 2.0, True, np.float32(2.0), "2"):
        with pytest.raises(ArgumentError, match=f"{name}: {setting}"):
            made(name, setting, wrong)
    made(name, setting, np.int64(2 if setting != "padding" or "Pool" not in name else 1))


def test_the_list_holds_all_settings():
    assert {setting for _, setting in EVERY} >= {
        "in_features",
        "kernel_size",
        "p",
        "eps",
        "bias",
        "dtype",
        "dim",
        "delta",
    }
    assert len(EVERY) > 120


NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear("3", 2), ["Linear: in_features", "'3'", "an int of at least 0"]),
        (lambda: nn.Linear(3, 2, bias="no"), ["Linear: bias", "'no'", "True or False"]),
        (lambda: nn.Linear(3, 2, dtype=int), ["Linear: dtype", "floating-point"]),
        (lambda: nn.Linear(3, 2, dtype="float33"), ["Linear: dtype", "'float33'"]),
        (lambda: nn.Dropout(NAN), ["Dropout: p", "nan", "0 to 1"]),
        (lambda: nn.BatchNorm1d(3, eps=NAN), ["BatchNorm1d: eps", ">= 0"]),
        (lambda: nn.BatchNorm1d(3, affine="False"), ["BatchNorm1d: affine", "True or False"]),
        (lambda: nn.LayerNorm((3, "4")), ["LayerNorm: normalized_shape"]),
        (lambda: nn.ELU(NAN), ["ELU: alpha", "a number"]),
        (lambda: nn.GELU("fast"), ["GELU: approximate", "'fast'", "tanh"]),
        (lambda: nn.Softplus(0.0), ["Softplus: beta divides"]),
        (lambda: nn.Flatten(1.0), ["Flatten: start_dim", "an int"]),
        (lambda: nn.Softmax("1"), ["Softmax: dim"]),
        (lambda: nn.AvgPool2d(2, divisor_override=0), ["AvgPool2d: divisor_override cannot be 0"]),
        (lambda: nn.MaxPool2d(2, ceil_mode="no"), ["MaxPool2d: ceil_mode", "True or False"]),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), ["AdaptiveAvgPool2d: output_size", "tuple of 2"]),
        (lambda: nn.Conv2d(2, 2, 3, padding_mode=[1]), ["Conv2d: padding_mode"]),
        (lambda: nn.Conv2d(2, 2, True), ["Conv2d: kernel_size", "True"]),
        (lambda: nn.Embedding(3, 2, padding_idx="1"), ["Embedding: padding_idx", "'1'"]),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), ["CrossEntropyLoss: label_smoothing", "0 to 1"]),
        (lambda: nn.HuberLoss(delta=0), ["HuberLoss: delta", "> 0"]),
        (lambda: nn.init.uniform_(nn.Parameter(np.ones(2)), "0"), ["uniform_: a", "'0'"]),
        (lambda: nn.init.uniform_(nn.Parameter(np.ones(2)), 0.0, np.inf), ["uniform_: b", "inf"]),
        (lambda: nn.init.normal_(nn.Parameter(np.ones(2)), std="1"), ["normal_: a standard deviation"]),
        (lambda: nn.init.constant_(nn.Parameter(np.ones(2)), "1"), ["constant_: val"]),
        (lambda: nn.init.xavier_uniform_(nn.Parameter(np.ones((2, 2))), "1"), ["xavier_uniform_: gain"]),
        (lambda: nn.init.xavier_normal_(nn.Parameter(np.ones((2, 2))), None), ["xavier_normal_: gain"]),
        (lambda: nn.init.kaiming_normal_(nn.Parameter(np.ones((2, 2))), "1"), ["param", "'1'"]),
        (lambda: nn.init.orthogonal_(nn.Parameter(np.ones((2, 2))), "1"), ["orthogonal_: gain"]),
        (lambda: nn.init.calculate_gain(["relu"]), ["unknown nonlinearity"]),
    ],
)
def test_messages_say_what_and_what_else(make, words):
    with told((ArgumentError, DTypeError), words):
        make()


# -- settings that are changed later -----------------------------------------------------------------------------------------


def structural():
    for name in nn.__all__:
        kind = getattr(nn, name)
        for setting in getattr(kind, "_fixed", ()):
            yield name, setting


@pytest.mark.parametrize(("name", "setting"), list(structural()))
def test_what_the_parameters_were_made_by_cannot_change(name, setting):
    layer = getattr(nn, name)(*NEEDED[name])
    before = getattr(layer, setting)
    other = not before if isinstance(before, bool) else "circular" if setting == "padding_mode" else 7
    with pytest.raises(ArgumentError, match=name):
        setattr(layer, setting, other)
    assert getattr(layer, setting) == before
    setattr(layer, setting, before)  # nothing changes


def test_tracking_is_decided_when_the_layer_is_made_and_the_message_says_what_does_it():
    for kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        layer = kind(2)
        with pytest.raises(ArgumentError, match=r"set momentum = 0\.0"):
            layer.track_running_stats = False
        with pytest.raises(ArgumentError, match="no running statistics to move"):
            kind(2, track_running_stats=False).track_running_stats = True
    layer = nn.BatchNorm1d(2, dtype=float)
    layer.momentum = 0.0
    layer(np.random.default_rng(0).normal(5.0, 1.0, (8, 2)))
    assert not layer.running_mean.numpy().any()
    layer = nn.InstanceNorm1d(2, track_running_stats=True)
    with pytest.raises(ArgumentError, match="momentum = 0"):
        layer.track_running_stats = False


X = np.random.default_rng(0).normal(size=(2, 2, 6))
CHANGES = [
    (nn.BatchNorm1d(2, dtype=float), "eps", 3.0),
    (nn.GroupNorm(1, 2, dtype=float), "eps", 3.0),
    (nn.GroupNorm(1, 2, dtype=float), "num_groups", 2),
    (nn.InstanceNorm1d(2, dtype=float), "eps", 3.0),
    (nn.LayerNorm(6, dtype=float), "eps", 3.0),
    (nn.RMSNorm(6, dtype=float), "eps", 3.0),
    (nn.LeakyReLU(), "negative_slope", 0.5),
    (nn.ELU(), "alpha", 3.0),
    (nn.GELU(), "approximate", "tanh"),
    (nn.Softplus(), "beta", 3.0),
    (nn.Softplus(), "threshold", 0.0),
    (nn.Softmax(1), "dim", 2),
    (nn.LogSoftmax(1), "dim", 2),
    (nn.Flatten(), "start_dim", 0),
    (nn.Flatten(), "end_dim", 1),
    (nn.Conv1d(2, 3, 3, dtype=float), "stride", 2),
    (nn.Conv1d(2, 3, 3, dtype=float), "padding", 1),
    (nn.Conv1d(2, 3, 3, dtype=float), "dilation", 2),
    (nn.Conv1d(2, 3, 3, padding=1, padding_mode="reflect", dtype=float), "padding", 2),
    (nn.Conv1d(2, 3, 3, padding=2, padding_mode="circular", dtype=float), "padding", "same"),
    (nn.ConvTranspose1d(2, 3, 3, dtype=float), "stride", 2),
    (nn.ConvTranspose1d(2, 3, 3, stride=2, dtype=float), "output_padding", 1),
    (nn.MaxPool1d(2), "stride", 1),
    (nn.MaxPool1d(2), "kernel_size", 3),
    (nn.AvgPool1d(2), "padding", 1),
    (nn.AdaptiveAvgPool1d(2), "output_size", 3),
    (nn.Dropout(0.0), "p", 1.0),
    (nn.MSELoss(), "reduction", "sum"),
    (nn.HuberLoss(), "delta", 0.1),
    (nn.SmoothL1Loss(), "beta", 0.1),
]


@pytest.mark.parametrize(("layer", "setting", "value"), CHANGES, ids=lambda v: str(v).split("(")[0])
def test_every_other_setting_acts_when_it_is_changed(layer, setting, value):
    inputs = (X, X * 0.5 + 1.0) if isinstance(layer, (nn.MSELoss, nn.HuberLoss, nn.SmoothL1Loss)) else (X,)
    before = values(layer(*inputs))
    setattr(layer, setting, value)
    after = values(layer(*inputs))
    assert before.shape != after.shape or not np.array_equal(before, after)


REFUSED_LATER = {
    "GroupNorm": ("eps", "num_groups"),
    "LayerNorm": ("eps",),
    "RMSNorm": ("eps",),
    "GELU": ("approximate",),
    "Softplus": ("beta", "threshold"),
    "Softmax": ("dim",),
    "Flatten": ("start_dim", "end_dim"),
    "Conv1d": ("stride", "padding", "dilation"),
    "ConvTranspose1d": ("stride", "padding", "output_padding", "dilation"),
    "MaxPool1d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "AvgPool1d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "AdaptiveAvgPool1d": ("output_size",),
}
PAIRS = [(name, setting) for name, found in REFUSED_LATER.items() for setting in found]
SIZES = {"GroupNorm": (1, 2), "LayerNorm": (6,), "RMSNorm": (6,), "AvgPool1d": (2,)}


@pytest.mark.parametrize("wrong", ["3.5", 1j, object(), [len]], ids=["text", "complex", "object", "list"])
@pytest.mark.parametrize(("name", "setting"), PAIRS)
def test_what_a_setting_cannot_be_is_refused_on_the_call_if_it_is_set_later(name, setting, wrong):
    layer = getattr(nn, name)(*SIZES.get(name, NEEDED.get(name, ())))
    setattr(layer, setting, wrong)
    with pytest.raises(TinygradError):
        layer(X)


@pytest.mark.parametrize("wrong", ["3.5", 1j, object(), [len], NAN], ids=["text", "complex", "object", "list", "nan"])
@pytest.mark.parametrize(
    ("layer", "setting"),
    [(nn.BatchNorm1d(2), "eps"), (nn.BatchNorm1d(2), "momentum"), (nn.InstanceNorm1d(2), "eps"),
     (nn.InstanceNorm1d(2), "momentum"), (nn.Dropout(), "p"), (nn.ELU(), "alpha"), (nn.LeakyReLU(), "negative_slope")],
)  # fmt: skip
def test_or_refused_when_it_is_set(layer, setting, wrong):
    before = getattr(layer, setting)
    with pytest.raises(ArgumentError, match=f"{type(layer).__name__}: {setting}"):
        setattr(layer, setting, wrong)
    assert getattr(layer, setting) == before


def values(result):
    return result.numpy() if isinstance(result, tg.Tensor) else np.asarray(result)
