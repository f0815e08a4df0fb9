"""Something that is no array, given to each layer there is."""

import inspect

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.errors import DTypeError, ShapeError, TinygradError

SETTINGS: list[tuple[object, ...]] = [(), (3,), (3, 2), (3, 2, 1), (1, 3)]
ANYTHING = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Identity)
NO_ARRAYS = {
    "NoneType": None,
    "str": "abc",
    "dict": {"a": 1},
    "bytes": b"abc",
    "object": object(),
    "ndarray of dtype <U1": np.array(["x"]),
    "ndarray of dtype object": np.array([None]),
    "list of dtype <U1": [["a"]],
    "list whose rows have different lengths": [[1, 2], [3]],
}


def made(kind):
    found = (layer for settings in SETTINGS if (layer := made_with(kind, settings)) is not None)
    return next(found)


def made_with(kind, settings):
    try:
        return kind(*settings)
    except (TypeError, TinygradError):
        return None


LAYERS = [
    kind for kind in vars(nn).values() if inspect.isclass(kind) and issubclass(kind, nn.Module) and kind not in ANYTHING
]


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_each_layer_names_the_type_of_what_is_no_array(kind):
    layer = made(kind)
    loss = len(inspect.signature(layer.forward).parameters) == 2
    for got, value in NO_ARRAYS.items():
        if kind is nn.Flatten and got == "list of dtype <U1":
            continue  # has two axes already: nothing to do, nothing to refuse
        with pytest.raises(DTypeError) as told:
            layer(*[value] * (1 + loss))
        assert "is no array of numbers" in str(told.value), got
        assert f"{kind.__name__} '" in str(told.value)
        assert f"got:      {got}\n" in str(told.value)


def test_the_second_argument_is_named_and_the_first_is_not_blamed():
    with pytest.raises(DTypeError, match="MSELoss 'MSELoss': target is no array"):
        nn.MSELoss()(np.ones(3), None)


def test_what_is_an_array_gets_the_error_of_the_layer():
    for value in (np.ones((2, 5)), [[1.0, 2.0]], 3.0, tg.Tensor([1.0, 2.0])):
        with pytest.raises(ShapeError, match="wrong input size"):
            nn.Linear(3, 2)(value)


def test_arrays_of_scalars_and_plain_lists_are_arrays():
    with pytest.raises(ShapeError, match="wrong input size"):
        nn.Linear(3, 2)(np.array([tg.Scalar(1.0), 2.0], dtype=object))
    assert nn.Linear(3, 2)([[1.0, 2.0, 3.0]]).shape == (1, 2)


def test_errors_of_a_users_layer_are_left_as_they_are():
    class Mine(nn.Module):
        def forward(self, x):
            return x["a"] + 1

    with pytest.raises(KeyError):
        Mine()({})
    with pytest.raises(TypeError, match="takes 2 positional arguments"):
        nn.ReLU()(1.0, 2.0)
