"""Pages as a reader opens them: they ask for nothing but themselves, and complain about nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def browsing(chromium: Any, allowed: Callable[[], Collection[str]]) -> Iterator[Callable[..., Any]]:
    """Gives a function that opens an address in a window of its own.

    Args:
        chromium: the browser.
        allowed: called at the end: the addresses that may have been asked for, without what comes after ``#``.
    """
    contexts, wrong, asked = [], [], set()

    def open_page(address: str, width: int = 1280, height: int = 800, **settings: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": width, "height": height}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.add(request.url.partition("#")[0]))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert {url for url in asked if not url.startswith("data:")} <= {*allowed(), "about:srcdoc"}
