"""What an error has to say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def told(error: type[Exception] | tuple[type[Exception], ...], words: Iterable[str]) -> Iterator[None]:
    """Inside, ``error`` is raised, and its message has all the words."""
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"not said: {missing}; the message:\n{message}"
