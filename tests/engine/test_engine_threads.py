"""Several threads that run backward into the same leaves lose no gradient."""

import sys
import threading
import time

import numpy as np
import pytest

from tinygrad_bn import Scalar, Tensor, enable_grad
from tinygrad_bn.engine import sweep as sweeping

THREADS, PASSES = 4, 30


@pytest.fixture
def _hasty():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(work, threads=THREADS):
    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(30)
    assert not any(thread.is_alive() for thread in running)


LEAVES = {"scalar": lambda: Scalar(3.0)} | {
    np.dtype(dtype).name: lambda dtype=dtype: Tensor(np.full(3, 3.0, dtype), requires_grad=True)
    for dtype in (np.float16, np.float32, np.float64)
}  # fmt: skip
leaves = pytest.mark.parametrize("make", LEAVES.values(), ids=LEAVES)


@leaves
@pytest.mark.parametrize(
    "settings", [{}, {"retain_graph": True}, {"create_graph": True}], ids=["plain", "retain", "create"]
)
@pytest.mark.usefixtures("_hasty")
def test_every_gradient_arrives(make, settings):
    leaf, other = make(), make()

    def work():
        for _ in range(PASSES):
            y = leaf * other
            (y if y.shape == () else y.sum()).backward(**settings)

    together(work)
    for x in (leaf, other):
        np.testing.assert_array_equal(x.grad.detach().data, np.full(x.shape, 3.0 * THREADS * PASSES))
        x.grad = None


@leaves
def test_between_reading_and_writing_nobody_else_writes(make, monkeypatch):
    read = sweeping._so_far

    def slow(*args):
        found = read(*args)
        time.sleep(0.005)
        return found

    monkeypatch.setattr(sweeping, "_so_far", slow)
    leaf = make()
    leaf.grad = leaf.detach() * 0.0

    def work():
        for _ in range(3):
            (leaf * 1.0 if leaf.shape == () else leaf.sum()).backward()

    together(work)
    np.testing.assert_array_equal(leaf.grad.data, np.full(leaf.shape, 3.0 * THREADS))


def test_a_backward_pass_in_the_middle_of_another_does_not_wait_for_itself(monkeypatch):
    """As a finalizer or the handler of a signal may start one."""
    read, leaf, other = sweeping._so_far, Scalar(3.0), Scalar(4.0)
    leaf.grad = Scalar(0.0, requires_grad=False)

    def interrupted(*args):
        with enable_grad():
            (other * 2.0).backward()
        return read(*args)

    monkeypatch.setattr(sweeping, "_so_far", interrupted)
    together(lambda: (leaf * 5.0).backward(), threads=1)
    assert (leaf.grad.item(), other.grad.item()) == (5.0, 2.0)
