"""Blocks that also decorate: what ``with block: ...`` does for lines, ``@block`` does for a whole function.

A generator, a coroutine and an asynchronous generator run piece by piece, and between two pieces other code runs.  So the
block is entered for each piece and left at each ``yield`` and ``await``.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import copy_context
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

from ..errors import DTypeError, explain

Decorated = TypeVar("Decorated")


class Block:
    """What can be entered and left, any number of times, also inside itself and interleaved with others."""

    __slots__ = ()

    def __enter__(self) -> None:
        raise NotImplementedError  # each kind of block has its own

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        raise NotImplementedError

    def __call__(self, function: Decorated) -> Decorated:
        """The function, always run inside this block.

        Raises:
            DTypeError: a class, or what cannot be called.
        """
        if isinstance(function, (staticmethod, classmethod)):
            return cast(Decorated, type(function)(self(function.__func__)))
        if isinstance(function, type) or not callable(function):
            what = f"{type(self).__name__}: this cannot be decorated"
            raise DTypeError(explain(what, got=repr(function), fix="decorate functions and methods, one by one"))
        inside: Callable[[Block, Any], Any]
        if inspect.isasyncgenfunction(function):
            inside = _of_async_generator
        elif inspect.iscoroutinefunction(function):
            inside = _of_coroutine
        elif inspect.isgeneratorfunction(function):
            inside = _of_generator
        else:
            inside = _of_function
        return cast(Decorated, inside(self, function))


def _of_function(block: Block, function: Callable[..., Any]) -> Any:
    @wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with block:
            return function(*args, **kwargs)

    return inside


def _of_generator(block: Block, function: Callable[..., Generator[Any, Any, Any]]) -> Any:
    @wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        return (yield from _in_pieces(block, function(*args, **kwargs)))

    return inside


def _of_coroutine(block: Block, function: Callable[..., Awaitable[Any]]) -> Any:
    @wraps(function)
    async def inside(*args: Any, **kwargs: Any) -> Any:
        return await _Awaited(block, function(*args, **kwargs))

    return inside


def _of_async_generator(block: Block, function: Callable[..., AsyncGenerator[Any, Any]]) -> Any:
    @wraps(function)
    async def inside(*args: Any, **kwargs: Any) -> Any:
        body = function(*args, **kwargs)
        step: Callable[[Any], Awaitable[Any]] = body.asend
        sent: Any = None
        while True:
            try:
                made = await _Awaited(block, step(sent))
            except StopAsyncIteration:
                return
            try:
                step, sent = body.asend, (yield made)
            except GeneratorExit:
                await _Awaited(block, body.aclose())
                raise
            except BaseException as error:
                step, sent = body.athrow, error

    return inside


def _in_pieces(block: Block, body: Any) -> Generator[Any, Any, Any]:
    """Run a generator, entering the block at each step and leaving it at each ``yield``."""
    step, sent = body.send, None
    while True:
        try:
            with block:
                made = step(sent)
        except StopIteration as end:
            return end.value
        try:
            step, sent = body.send, (yield made)
        except GeneratorExit:
            # Perhaps from the garbage collector, in the middle of Python's own work on the context: change a copy of it.
            copy_context().run(_close, block, body)
            raise
        except BaseException as error:
            step, sent = body.throw, error


def _close(block: Block, body: Any) -> None:
    with block:
        body.close()


class _Awaited:
    """An awaitable whose steps run inside a block."""

    def __init__(self, block: Block, awaitable: Awaitable[Any]) -> None:
        self._block = block
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        return _in_pieces(self._block, self._awaitable.__await__())
