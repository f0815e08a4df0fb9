"""What is recorded: switches as blocks and as decorators, per thread and per task; scopes; lines of code."""

import asyncio
import threading

import pytest

from tinygrad_bn import Scalar, Tensor, detect_anomaly, enable_grad, is_grad_enabled, no_grad, record_sites, scope
from tinygrad_bn.engine.mode import Scope, Site, current_mode, current_scope


def leaf():
    return Tensor([1.0, 2.0], requires_grad=True)


def test_no_grad_and_enable_grad_as_blocks():
    x = leaf()
    with no_grad():
        assert not is_grad_enabled()
        y = x * 2.0
        with enable_grad():
            assert is_grad_enabled()
            z = x * 2.0
        assert not is_grad_enabled()
        assert x.requires_grad
        assert Tensor([1.0], requires_grad=True).requires_grad
    assert is_grad_enabled()
    assert (y.is_leaf, y.requires_grad) == (True, False)
    assert (z.is_leaf, z.requires_grad) == (False, True)


def test_no_grad_and_enable_grad_as_decorators():
    @no_grad()
    def predict(x):
        return x * 2.0, is_grad_enabled()

    @enable_grad()
    def train(x):
        return x * 2.0, is_grad_enabled()

    for _ in range(2):  # more than once
        y, enabled = predict(leaf())
        assert y.is_leaf
        assert not enabled
    with no_grad():
        for _ in range(2):
            y, enabled = train(leaf())
            assert not y.is_leaf
            assert enabled


@pytest.mark.parametrize("block", [no_grad, enable_grad, detect_anomaly, record_sites, lambda: scope("s")])
def test_an_error_inside_a_block_restores_the_mode(block):
    def fail():
        assert (current_mode(), current_scope()) != before
        raise KeyError

    before = current_mode(), current_scope()
    with pytest.raises(KeyError), block():
        fail()
    assert (current_mode(), current_scope()) == before


def test_blocks_nest_in_any_order():
    with scope("a"), no_grad(), scope("b"), detect_anomaly(), record_sites():
        mode = current_mode()
        assert (mode.recording, mode.anomaly, mode.sites, current_scope().path) == (False, True, True, ("a", "b"))
    mode = current_mode()
    assert (mode.recording, mode.anomaly, mode.sites, current_scope()) == (True, False, False, None)


def test_backward_does_not_record_unless_asked_whatever_the_mode():
    x = leaf()
    y = (x * x).sum()
    y.backward(retain_graph=True)
    assert x.grad.is_leaf
    assert is_grad_enabled()
    x.grad = None
    with no_grad():
        y.backward(create_graph=True)
        assert not is_grad_enabled()
    assert x.grad.requires_grad


def test_threads_do_not_disturb_each_other():
    inside, done = threading.Event(), threading.Event()
    found = {}

    def other():
        inside.wait(10)
        found["default in a new thread"] = (is_grad_enabled(), current_scope())
        with scope("other"), detect_anomaly():
            found["recorded"] = (leaf() * 2.0).requires_grad
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad(), scope("main"):
        inside.set()
        assert done.wait(10)
        assert not is_grad_enabled()
        assert current_scope().path == ("main",)
        assert not current_mode().anomaly
    thread.join()
    assert found == {"default in a new thread": (True, None), "recorded": True}


def test_many_threads_build_and_sweep_graphs_at_the_same_time():
    results = {}

    def work(name):
        x = Tensor([float(name)], requires_grad=True)
        for _ in range(30):
            y = x
            for _ in range(20):
                y = y * 1.5 - y
            y.backward()
        results[name] = x.grad.item()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(8), 30 * 0.5**20)


def test_asyncio_tasks_do_not_disturb_each_other():
    async def silent(turns):
        with no_grad(), scope("silent"):
            for _ in range(turns):
                await asyncio.sleep(0)
                assert not is_grad_enabled()
                assert current_scope().path == ("silent",)
                assert (leaf() * 2.0).is_leaf
        assert is_grad_enabled()

    async def loud(turns):
        for _ in range(turns):
            await asyncio.sleep(0)
            assert is_grad_enabled()
            assert current_scope() is None
            with scope("loud"):
                await asyncio.sleep(0)
                assert (leaf() * 2.0).scope.path == ("loud",)

    async def main():
        await asyncio.gather(silent(5), loud(5), silent(3), loud(7))

    asyncio.run(main())


def test_operations_know_their_scope():
    x = leaf()
    outside = x * 2.0
    with scope("layer"):
        first = x * 2.0
        with scope("normalize"):
            second = x * 2.0
        third = x * 2.0
    assert outside.scope is None
    assert [v.scope.path for v in (first, second, third)] == [("layer",), ("layer", "normalize"), ("layer",)]
    assert second.scope.parent is first.scope is third.scope
    assert x.scope is None
    assert (Tensor([1.0]) * 2.0).scope is None


def test_a_scope_can_be_entered_again():
    block = scope("again")
    for _ in range(2):
        with block:
            assert (Scalar(1.0) * 2.0).scope.path == ("again",)


def test_a_scope_inside_of_itself():
    block = scope("again")
    with block, block:
        assert current_scope().path == ("again", "again")
    assert current_scope() is None


def test_a_line_inside_a_scope_without_a_name():
    with record_sites(), scope("outer"), scope(""):
        assert (leaf() * 2.0).scope.path == ("outer", "")


def test_record_sites_remembers_the_line_of_the_caller():
    x = leaf()
    with record_sites():
        y = x * 2.0  # recorded here
        with scope("layer"):
            z = x.mean()
        again = x * 2.0
    with open(__file__) as source:
        line = next(i for i, text in enumerate(source, 1) if text.rstrip().endswith("# recorded here"))
    assert isinstance(y.scope, Site)
    assert (y.scope.filename, y.scope.line, y.scope.path) == (__file__, line, ())
    assert (z.scope.line, z.scope.path) == (line + 2, ("layer",))
    assert again.scope.path == ()
    assert not isinstance((x * 2.0).scope, Scope)


def test_the_line_of_code_that_runs_without_a_file_of_its_own():
    names = {"x": leaf(), "record_sites": record_sites}
    exec(compile("with record_sites():\n    y = x * 2.0", "<cell>", "exec"), names)
    assert (names["y"].scope.filename, names["y"].scope.line) == ("<cell>", 2)
