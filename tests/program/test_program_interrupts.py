"""Ctrl-C at any line: states are as they were, or all of them new; no array can be written to."""

import contextvars
import sys

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.program.bits import flat, raw, same_bits, snapshot
from tests.program.training import OPTIMIZERS, batches, mlp, pair, stepping
from tinygrad_bn import nn, optim, program


def interrupted(action, at):
    """Run an action; at the at-th line that Python starts in the library, raise KeyboardInterrupt.  Whether it was raised.

    In a context of its own: an interrupt inside of the very line that opens a block leaves the block open.
    """
    left = [at]

    def trace(frame, event, arg):
        if "tinygrad_bn" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    context = contextvars.copy_context()
    sys.settrace(trace)
    try:
        context.run(action)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def lines_of(action):
    """How many lines of the library an action runs."""
    count = [0]

    def trace(frame, event, arg):
        if "tinygrad_bn" not in frame.f_code.co_filename:
            return None
        count[0] += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count[0]


def arrays_of(model, optimizer):
    yield from (v.data for v in (*model.parameters(), *(buffer for _, buffer in model.named_buffers())))
    yield from (p.grad.data for p in model.parameters() if p.grad is not None)
    if optimizer is not None:
        yield from (v.data for kept in optimizer.state.values() for v in kept.values())


def equal(one, other):
    try:
        same_bits(one, other)
    except AssertionError:
        return False
    return True


def check_all_or_nothing(setting_up, times):
    """``setting_up()`` gives model, optimizer and an action; it is interrupted at lines all over its length."""
    model, optimizer, action = setting_up()
    before = snapshot(model, optimizer)
    length = lines_of(action)
    after = snapshot(model, optimizer)
    assert not equal(before, after)
    raised = {"nothing": 0, "all": 0}
    for at in np.unique(np.random.default_rng(0).integers(1, length + 1, times)):
        model, optimizer, action = setting_up()
        if interrupted(action, int(at)):
            now = snapshot(model, optimizer)
            outcome = "nothing" if equal(now, before) else "all"
            assert outcome == "nothing" or equal(now, after), f"half done at line {at} of {length}"
            raised[outcome] += 1
            for array in arrays_of(model, optimizer):
                assert not isinstance(array, np.ndarray) or not array.flags.writeable
    assert raised["nothing"] > times // 4
    return raised


def no_generator(setting_up):
    """A fresh start with the same numbers each time."""

    def wrapped():
        tg.manual_seed(0)
        return setting_up()

    return wrapped


def test_batch_norm_in_training():
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)

    def setting_up():
        layer = nn.BatchNorm1d(3)
        return layer, None, lambda: layer(tg.Tensor(x))

    check_all_or_nothing(no_generator(setting_up), 150)


@pytest.mark.parametrize("name", ["SGD with momentum", "Adam"])
def test_a_step_of_an_optimizer(name):
    batch = tuple(map(tg.Tensor, next(batches((6, 4)))))

    def setting_up():
        (model, optimizer), _ = pair(mlp, OPTIMIZERS[name])
        step = stepping(model, optimizer)
        step(*batch)
        tg.functional.cross_entropy(model(batch[0]), batch[1]).backward()
        return model, optimizer, optimizer.step

    check_all_or_nothing(no_generator(setting_up), 100)


def test_running_a_program():
    first, second = (next(batches((6, 4), seed=s)) for s in (0, 1))

    def setting_up():
        (model, optimizer), _ = pair(mlp, OPTIMIZERS["Adam"])
        stepping(model, optimizer)(*map(tg.Tensor, first))
        recorded = program.record(stepping(model, optimizer), *first, free=False)
        return model, optimizer, lambda: recorded.run(*second)

    check_all_or_nothing(no_generator(setting_up), 150)


def test_loading_a_state():
    def setting_up():
        (model, optimizer), (other, another) = pair(mlp, lambda p: optim.Adam(p, lr=0.1))
        for m, o, seed in ((model, optimizer, 0), (other, another, 5)):
            stepping(m, o)(*map(tg.Tensor, next(batches((6, 4), seed=seed))))
        states = other.state_dict(), another.state_dict()

        def load():
            model.load_state_dict(states[0])

        return model, None, load

    check_all_or_nothing(no_generator(setting_up), 80)


def test_the_comparison_sees_a_change():
    one, other = {"a": np.ones(2)}, {"a": np.array([1.0, 1.0 + 2e-16])}
    assert equal(one, one)
    assert not equal(one, other)
    assert list(flat(raw({"a": [1.0]}))) == [".a[0]"]
