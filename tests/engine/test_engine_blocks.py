"""Every mode as the decorator of every kind of function; blocks entered again, interleaved, and interrupted on the way in."""

import asyncio
import dis
import gc
import inspect
import sys
import threading
from contextvars import copy_context

import pytest

from tinygrad_bn import detect_anomaly, enable_grad, no_grad, record_sites, scope
from tinygrad_bn.engine import mode
from tinygrad_bn.engine.blocks import Block
from tinygrad_bn.engine.mode import current_mode, current_scope
from tinygrad_bn.errors import DTypeError

BLOCKS = {
    "no_grad": (no_grad, lambda: not current_mode().recording),
    "enable_grad": (enable_grad, lambda: current_mode().block is not None and current_mode().recording),
    "detect_anomaly": (detect_anomaly, lambda: current_mode().anomaly),
    "record_sites": (record_sites, lambda: current_mode().sites),
    "scope": (lambda: scope("s"), lambda: current_scope() is not None),
}
blocks = pytest.mark.parametrize(("block", "is_inside"), BLOCKS.values(), ids=BLOCKS)


def state():
    return current_mode(), current_scope()


@pytest.fixture(autouse=True)
def _nothing_stays_open():
    before = state()
    yield
    assert state() == before


@blocks
def test_a_generator_is_covered_at_each_step_and_its_caller_is_not(block, is_inside):
    @block()
    def numbers(first):
        """The docstring."""
        assert is_inside()
        try:
            sent = yield first, is_inside()
        except KeyError:
            sent = f"caught {is_inside()}"
        yield sent, is_inside()
        return "the end", is_inside()

    assert inspect.isgeneratorfunction(numbers)
    assert (numbers.__name__, numbers.__doc__) == ("numbers", "The docstring.")
    running, other = numbers(1), numbers(2)  # one block, entered by both in turns
    assert (next(running), next(other)) == ((1, True), (2, True))
    assert not is_inside()
    assert running.send("sent") == ("sent", True)
    assert other.throw(KeyError("x")) == ("caught True", True)
    assert not is_inside()
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == ("the end", True)


@blocks
def test_a_generator_that_is_closed_or_fails_cleans_up_inside_of_the_block(block, is_inside):
    seen = []

    @block()
    def numbers():
        try:
            yield 1
            raise ValueError("own")
        finally:
            seen.append(is_inside())

    running = numbers()
    next(running)
    running.close()
    running = numbers()
    next(running)
    with pytest.raises(ValueError, match="own"):
        next(running)
    running = numbers()
    next(running)
    with pytest.raises(KeyError):
        running.throw(KeyError("thrown"))
    assert seen == [True] * 3


@blocks
def test_a_generator_that_is_collected_changes_no_context(block, is_inside):
    """The collector may run while Python itself works on the context; a change from there would leave it broken."""
    seen = []

    @block()
    def numbers():
        try:
            yield 1
        finally:
            seen.append(is_inside())

    running = numbers()
    next(running)
    cycle = [running]
    cycle.append(cycle)
    before = copy_context()
    del running, cycle
    gc.collect()
    assert seen == [True]
    assert dict(copy_context()) == dict(before)
    with no_grad():
        running = numbers()
        next(running)
        running.close()
        assert not current_mode().recording
    assert seen == [True, True]


@blocks
def test_a_coroutine_is_covered_between_its_awaits_and_what_runs_meanwhile_is_not(block, is_inside):
    outside = []

    @block()
    async def predict(turns):
        for _ in range(turns):
            assert is_inside()
            await asyncio.sleep(0)
        return is_inside()

    async def main():
        first, second = predict(3), predict(2)
        assert await asyncio.gather(first, second) == [True, True]
        outside.append(is_inside())

    assert inspect.iscoroutinefunction(predict)
    asyncio.run(main())
    stepped = predict(1)  # driven by hand, in the caller's own context
    stepped.send(None)
    outside.append(is_inside())
    stepped.close()
    assert outside == [False, False]


@blocks
def test_an_asynchronous_generator_is_covered(block, is_inside):
    seen = []

    @block()
    async def numbers(first):
        try:
            await asyncio.sleep(0)
            sent = yield first, is_inside()
            try:
                yield sent, is_inside()
            except KeyError:
                await asyncio.sleep(0)
                yield "caught", is_inside()
        finally:
            seen.append(is_inside())

    async def main():
        assert [made async for made in numbers(1)] == [(1, True), (None, True)]
        running = numbers(2)
        assert await running.asend(None) == (2, True)
        assert not is_inside()
        assert await running.asend("sent") == ("sent", True)
        assert await running.athrow(KeyError("x")) == ("caught", True)
        await running.aclose()
        assert not is_inside()

    assert inspect.isasyncgenfunction(numbers)
    asyncio.run(main())
    assert seen == [True, True]


@blocks
def test_functions_and_methods_of_every_kind(block, is_inside):
    class Model:
        @block()
        def method(self):
            return self, is_inside()

        @staticmethod
        @block()
        def inner_static():
            return is_inside()

        @block()
        @staticmethod
        def static():
            return is_inside()

        @block()
        @classmethod
        def of_class(cls):
            return cls, is_inside()

    model = Model()
    assert model.method() == (model, True)
    assert model.inner_static() is model.static() is True
    assert model.of_class() == (Model, True)


@pytest.mark.parametrize("block", [no_grad, enable_grad, detect_anomaly, record_sites])
def test_a_mode_decorates_without_parentheses_too(block):
    @block
    def inside():
        return current_mode().block

    assert isinstance(inside(), block)


@pytest.mark.parametrize("given", [dict, 3, None, property(len)])
def test_what_cannot_be_decorated(given):
    with pytest.raises(DTypeError, match=r"(?s)no_grad: this cannot be decorated.*decorate functions and methods"):
        no_grad()(given)


def test_a_block_of_no_kind():
    for method in (Block().__enter__, lambda: Block().__exit__(None, None, None)):
        with pytest.raises(NotImplementedError):
            method()


@blocks
def test_a_block_is_entered_again_and_inside_of_itself(block, is_inside):
    again = block()
    for _ in range(2):
        with again:
            with again:
                assert is_inside()
            assert is_inside()
        assert not is_inside()


@blocks
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (1, 2, 0)])
def test_blocks_are_left_in_any_order(block, is_inside, order):
    entered = [block() for _ in order]
    for one in entered:
        one.__enter__()
    for left, which in enumerate(order, 1):
        entered[which].__exit__(None, None, None)
        assert is_inside() == (left < len(order))


def test_of_interleaved_modes_the_innermost_that_is_left_counts():
    first, second, third = no_grad(), enable_grad(), scope("a")
    inner = scope("b")
    for block in (first, second, third, inner):
        block.__enter__()
    assert current_mode().recording
    third.__exit__(None, None, None)
    assert current_scope().path == ("b",)
    second.__exit__(None, None, None)
    assert not current_mode().recording
    for block in (first, inner):
        block.__exit__(None, None, None)


@blocks
def test_one_block_in_two_threads(block, is_inside):
    again, entered, left = block(), threading.Event(), threading.Event()
    found = []

    def other():
        with again:
            entered.set()
            left.wait(10)
            found.append(is_inside())
        found.append(is_inside())

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(10)
    again.__exit__(None, None, None)  # entered, but not here
    with again:
        assert is_inside()
    assert not is_inside()
    left.set()
    thread.join()
    assert found == [True, False]


class Interrupt:
    """Raises KeyboardInterrupt at the n-th step of the interpreter inside of ``__enter__``, as a signal does.

    Not while it returns: signals are handled after calls and jumps only.
    """

    def __init__(self, at):
        self.at = at

    def __call__(self, frame, event, argument):
        if frame.f_code.co_name != "__enter__":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and not dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith(
            ("RETURN", "LOAD_CONST")
        ):
            self.at -= 1
            if self.at == 0:
                raise KeyboardInterrupt
        return self


@blocks
def test_an_interrupt_on_the_way_in_leaves_nothing_open(block, is_inside):
    one, before, tracer = block(), state(), sys.gettrace()
    interrupts = []
    for at in range(1, 200):
        try:
            sys.settrace(Interrupt(at))
            one.__enter__()
        except KeyboardInterrupt:
            sys.settrace(tracer)
            interrupts.append(state() == before)
        else:
            sys.settrace(tracer)
            one.__exit__(None, None, None)
            break
        while state() != before and is_inside():  # so that one fault is not counted again
            one.__exit__(None, None, None)
    else:
        pytest.fail("never got through")
    assert len(interrupts) > 10
    assert all(interrupts)


@blocks
@pytest.mark.parametrize("name", ["_mode", "_scope"])
def test_an_interrupt_right_after_the_block_is_set(block, is_inside, name, monkeypatch):
    class Interrupted:
        """A context variable whose first change is interrupted just when it is made."""

        def __init__(self, variable):
            self.variable, self.left = variable, 1

        def set(self, value):
            self.variable.set(value)
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    before, one = state(), block()
    monkeypatch.setattr(mode, name, Interrupted(getattr(mode, name)))
    if isinstance(one, scope) == (name == "_scope"):
        with pytest.raises(KeyboardInterrupt):
            one.__enter__()
    assert state() == before
