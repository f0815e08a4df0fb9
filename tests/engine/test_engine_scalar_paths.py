"""The straight path of + and * of two scalars, and what stands beside it."""

import pytest

import tinygrad_bn as tg
from tinygrad_bn.engine.unbroadcast import unbroadcast


def test_anomalies_are_found_on_the_straight_path():
    large = tg.Scalar(1e200)
    with tg.detect_anomaly():
        assert (large + large).item() == 2e200
        with pytest.raises(tg.errors.AnomalyError, match="multiply"):
            large * large
    assert (large * large).item() == float("inf")


def test_a_recorded_cotangent_of_a_scalar_stays_itself():
    x = tg.Scalar(2.0)
    cotangent = tg.Scalar(3.0, requires_grad=False)
    assert unbroadcast(cotangent, x * x, 0, x, as_variable=True) is cotangent
    second = tg.grad(tg.grad(x * x * x, [x], create_graph=True)[0], [x])[0]
    assert second.item() == 12.0
