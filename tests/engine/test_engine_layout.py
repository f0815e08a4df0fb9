"""Assigning to ``.data`` keeps the memory order of a leaf: an update runs straight through memory before and after."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_bn as tg

VALUES = np.arange(24.0).reshape(2, 3, 4)
ORDERS = {
    "C": np.ascontiguousarray(VALUES),
    "Fortran": np.asfortranarray(VALUES),
    "two axes exchanged": np.ascontiguousarray(VALUES.swapaxes(0, 1)).swapaxes(0, 1),
}


@pytest.mark.parametrize("given", [*ORDERS, "negative strides", "zero strides"])
@pytest.mark.parametrize("own", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_leaf_keeps_its_order_and_takes_the_values(own, given, dtype):
    leaf = tg.Tensor(ORDERS[own].astype(dtype, order="K"), requires_grad=True)
    strides = leaf.data.strides
    value = ORDERS.get(given, VALUES) + 1.0
    if given == "negative strides":
        value = np.ascontiguousarray(value[::-1, ::-1])[::-1, ::-1]
    elif given == "zero strides":
        value = np.broadcast_to(np.float64(7.0), VALUES.shape)
    leaf.data = value
    np.testing.assert_array_equal(leaf.data, value)
    assert leaf.data.strides == strides
    assert not leaf.data.flags.writeable


def test_the_weight_of_a_linear_layer_stays_column_major_through_loading_and_training():
    layer = tg.nn.Linear(5, 3)
    layer.weight.data = np.ascontiguousarray(layer.weight.data)
    layer.load_state_dict(layer.state_dict())
    optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
    layer(np.ones((2, 5), np.float32)).sum().backward()
    optimizer.step()
    assert layer.weight.data.flags.f_contiguous
    assert not layer.weight.data.flags.c_contiguous
