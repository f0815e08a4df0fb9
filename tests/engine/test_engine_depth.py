"""Depth is no limit: a million operations in a row, recorded, swept and freed without recursion."""

import gc
import math
import sys
import weakref

import pytest

from tinygrad_bn import Scalar, Tensor, grad

MILLION = 1_000_000
FACTOR = 1.0000001


@pytest.fixture(autouse=True)
def _no_cyclic_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("make", [Scalar, lambda: Tensor([1.0], requires_grad=True)], ids=["scalar", "tensor"])
def test_a_million_operations(make):
    x = make(1.0) if make is Scalar else make()
    y = x
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        for i in range(MILLION):
            y = y * FACTOR
            if i == MILLION // 2:
                middle = weakref.ref(y)
        y.backward(retain_graph=True)
        assert x.grad.item() == pytest.approx(math.exp(MILLION * math.log1p(FACTOR - 1.0)), rel=1e-9)
        assert middle() is not None
        del y  # the whole chain is still linked together: freed from the end, one by one
        assert middle() is None
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("make", [lambda: Scalar(1.0), lambda: Tensor([1.0], requires_grad=True)])
def test_backward_frees_the_operations_it_ran_through(make):
    x = make()
    y = x
    for _ in range(20_000):
        y = y * FACTOR
        if y.inputs[0] is x:
            first = weakref.ref(y)
    y.backward()
    assert first() is None
    assert y.is_leaf is False


def test_a_deep_graph_can_be_differentiated_twice():
    x = Scalar(1.0)
    y = x
    for _ in range(2_000):
        y = y * x  # x ** 2001
    (slope,) = grad([y], [x], create_graph=True)
    assert slope.item() == 2001.0
    assert grad(slope, x).item() == 2001.0 * 2000.0


def test_a_wide_and_deep_diamond():
    x = Scalar(0.5)
    y = x
    for _ in range(20_000):
        y = (y + y) * 0.5  # two ways through each level
    y.backward()
    assert x.grad.item() == 1.0
