"""What tests of several rooms need: Ctrl-C that works, and a headless Chromium for pages.

Without a browser the tests of pages are skipped; where TINYGRAD_BN_REQUIRE_BROWSER=1 they fail.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


def missing(reason: str) -> None:
    if os.environ.get("TINYGRAD_BN_REQUIRE_BROWSER") == "1":
        pytest.fail(f"TINYGRAD_BN_REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


def pytest_configure() -> None:
    """A job in the background inherits Ctrl-C ignored; the tests that press it need it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")  # Playwright's event loop runs until it is closed, and other tests start their own
def chromium() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing(f"there is no browser: none of {', '.join(NAMES)} on PATH")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield browser
        browser.close()
