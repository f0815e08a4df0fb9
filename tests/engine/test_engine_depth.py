"""Depth is no limit: a million operations in a row, recorded, swept and freed without recursion."""

import gc
import subprocess
import sys
import weakref

import pytest

from tinygrad_bn import Scalar, Tensor, grad

FACTOR = 1.0000001

# In a process of its own: freeing a long chain recursively would not raise an error but overflow the C stack.
MILLION = """
import gc, math, sys, weakref
from tinygrad_bn import Scalar, Tensor

gc.disable()
factor, n = 1.0000001, 1_000_000
x = Scalar(1.0) if sys.argv[1] == "scalar" else Tensor([1.0], requires_grad=True)
sys.setrecursionlimit(200)

def chain():
    y = x
    for i in range(n):
        y = y * factor
        if i == n // 2:
            middle = weakref.ref(y)
    return y, middle

y, middle = chain()
y.backward(retain_graph=True)
assert math.isclose(x.grad.item(), math.exp(n * math.log1p(factor - 1.0)), rel_tol=1e-9), x.grad
assert middle() is not None
del y  # the whole chain is still linked together, as if backward had never run
assert middle() is None
print("freed")
"""


@pytest.fixture(autouse=True)
def _no_cyclic_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("kind", ["scalar", "tensor"])
def test_a_million_operations(kind):
    done = subprocess.run([sys.executable, "-c", MILLION, kind], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "freed\n"), done.stderr


@pytest.mark.parametrize("make", [lambda: Scalar(1.0), lambda: Tensor([1.0], requires_grad=True)])
def test_backward_frees_the_operations_it_ran_through(make):
    x = make()
    y = x * FACTOR
    first = weakref.ref(y)
    for _ in range(20_000):
        y = y * FACTOR
    y.backward()
    assert first() is None
    assert not y.is_leaf


@pytest.mark.parametrize("make", [lambda: Scalar(1.0), lambda: Tensor([1.0], requires_grad=True)])
def test_a_graph_that_was_never_swept_is_freed(make):
    x = make()
    y = x * FACTOR
    first = weakref.ref(y)
    for _ in range(20_000):
        y = y * FACTOR
    del y
    assert first() is None


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
