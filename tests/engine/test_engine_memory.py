"""No reference cycles: with the cyclic collector off, memory stays flat and a graph dies with its last holder."""

import gc
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Scalar, Tensor, grad, nn, ops, optim
from tinygrad_bn.errors import RuleError


def training_step():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Sigmoid(), nn.Linear(16, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(32, 8)).astype(np.float32), rng.integers(0, 3, 32)

    def step():
        optimizer.zero_grad()
        loss = tg.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()

    return step


def scalar_step():
    x = tg.scalarize(np.linspace(-1.0, 1.0, 6).reshape(3, 2))

    def step():
        y = tg.functional.batch_norm(x, training=True)
        (y * y * y).sum().backward()
        for s in x.ravel():
            s.grad = None

    return step


def second_order_step():
    x = Tensor(np.linspace(0.1, 1.0, 5), requires_grad=True)

    def step():
        (slope,) = grad([ops.sum(x * x * x)], [x], create_graph=True)
        curvature = grad(ops.sum(slope * slope), x)
        assert curvature.shape == (5,)

    return step


def transform_step():
    hessian = tg.hessian(lambda x: ops.sum(ops.exp(x) * x))

    def step():
        tg.jvp(lambda x: ops.sin(x) * x, [np.ones(3)], [np.ones(3)])
        hessian(np.ones(3))

    return step


def failing_step():
    bad = tg.Primitive("bad", lambda x: x * 1.0, lambda g, out, x: None, elementwise=True)
    x = Tensor(np.ones(3), requires_grad=True)

    def step():
        try:
            bad(ops.exp(x)).sum().backward()
        except RuleError:
            return
        raise AssertionError("the rule returned None and nobody noticed")

    return step


def hooked_step():
    x = Tensor(np.ones(3), requires_grad=True)

    def step():
        y = x * 2.0
        y.register_hook(lambda g: g * 2.0)
        y.retain_grad()
        with tg.scope("here"), tg.detect_anomaly():
            (y * y).sum().backward()
        x.grad = None

    return step


STEPS = [training_step, scalar_step, second_order_step, transform_step, failing_step, hooked_step]


def live():
    """How many variables there are, and how many bytes of array data."""
    variables = sum(issubclass(type(o), tg.Variable) for o in gc.get_objects())
    arrays = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    return variables, sum(trace.size for trace in arrays.traces)


def resident():
    """Pages of memory the process holds, where the system tells."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) if statm.exists() else 0


@pytest.mark.parametrize("make", STEPS)
def test_nothing_is_left_for_the_cyclic_collector_and_memory_is_flat(make):
    step = make()
    step()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        step()
        before = live()
        for _ in range(5):
            step()
        assert live() == before
        assert gc.collect() == 0
        tracemalloc.stop()
        for _ in range(50):
            step()
        pages = resident()
        for _ in range(200):
            step()
        assert resident() - pages < 50  # the smallest graph here, kept 200 times, would be more than that
    finally:
        tracemalloc.stop()
        gc.enable()


def test_the_check_above_can_fail():
    x = Tensor(np.ones(3), requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            (x * x).sum().backward(create_graph=True)  # .grad refers to a graph that refers to x: documented
        del x
        assert gc.collect() > 0
    finally:
        gc.enable()


@pytest.mark.parametrize("make", [lambda: Scalar(2.0), lambda: Tensor([2.0], requires_grad=True)])
def test_a_graph_dies_with_its_last_holder(make):
    gc.disable()
    try:
        x = make()
        y = x * x
        z = y * y
        watched = [weakref.ref(v) for v in (x, y, z)]
        del z
        assert watched[2]() is None
        assert watched[1]() is y
        del x, y
        assert [w() for w in watched] == [None] * 3
    finally:
        gc.enable()
