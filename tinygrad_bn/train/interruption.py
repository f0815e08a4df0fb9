"""Being asked to stop, by Ctrl-C or by SIGTERM, where it suits: between two steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def put_off(terminate: bool, agreed: Callable[[int], int] = int) -> Iterator[Callable[[], None]]:
    """Note a first Ctrl-C, which the loop asks about when its state is consistent; a second one is raised at once.

    Only where Ctrl-C would raise ``KeyboardInterrupt`` anyway: in the main thread, with Python's own handler.

    Args:
        terminate: the same for SIGTERM, where it would end the process at once.  It becomes ``SystemExit`` with the code
            that shells know, 143, so that what is open gets closed.
        agreed: makes of the signal noted here (0 for none) the one to be raised, for processes that have to stop together.

    Yields:
        A function that raises what was noted.
    """
    noted: list[int] = []
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
    if terminate:
        usual[signal.SIGTERM] = signal.SIG_DFL

    def note(number: int, frame: Any) -> None:
        noted.append(number)
        if len(noted) > 1:
            raise _error(number)

    def ask() -> None:
        number = agreed(noted[0] if noted else 0)
        if number:
            raise _error(number)

    here = threading.current_thread() is threading.main_thread()
    ours = {number: handler for number, handler in usual.items() if here and signal.getsignal(number) == handler}
    try:
        for number in ours:
            signal.signal(number, note)
        yield ask
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
    ask()  # what came after the last time the loop asked


def _error(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
