"""What optimizers and clipping take as parameters, and what they refuse."""

import numpy as np
import pytest

from tests.told import told
from tinygrad_bn import nn, optim
from tinygrad_bn.errors import ArgumentError


def used_up():
    parameters = nn.Linear(2, 2).parameters()
    list(parameters)
    return parameters


TAKERS = {
    "optimizer": lambda given: optim.SGD(given, lr=0.1),
    "group": lambda given: optim.Adam([{"params": given}]),
    "second group": lambda given: optim.SGD([nn.Parameter(np.ones(1))]).add_param_group({"params": given}),
    "norm": lambda given: optim.clip_grad_norm_(given, 1.0),
    "value": lambda given: optim.clip_grad_value_(given, 1.0),
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (used_up, ["no parameters", "used up", "model.parameters() again"]),
        (lambda: iter([]), ["no parameters"]),
        (lambda: nn.Linear(2, 2), ["these are no parameters", "Linear", "model.parameters()"]),
        (lambda: nn.Sequential(nn.Linear(2, 2)), ["these are no parameters", "Sequential", "model.parameters()"]),
        (lambda: nn.ModuleDict({"a": nn.Linear(2, 2)}), ["these are no parameters", "ModuleDict"]),
        (lambda: None, ["these are no parameters", "None"]),
        (lambda: 3.5, ["these are no parameters", "float"]),
        (lambda: nn.Linear(2, 2).parameters, ["these are no parameters", "model.parameters()"]),
    ],
)
def test_what_is_no_collection_of_parameters_is_refused(take, given, words):
    with told(ArgumentError, words):
        take(given())


def test_a_list_a_generator_and_a_tensor_are_taken():
    layer = nn.Linear(2, 2)
    for given in (layer.parameters(), list(layer.parameters()), tuple(layer.parameters())):
        assert optim.SGD(given, lr=0.1).params == list(layer.parameters())
    assert optim.SGD(layer.weight, lr=0.1).params == [layer.weight]
    assert optim.clip_grad_norm_([], 1.0) == 0.0  # a list that is empty was not used up
