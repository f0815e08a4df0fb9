"""Pages of the built site in a browser, as a phone and a desktop, light and dark: ``make visit``, after ``make site``.

That every link leads somewhere is checked when the site is built; here is what only a browser can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SITE = Path(__file__).parents[2] / "out" / "site"
PAGES = (
    "index.html",  # which goes on to the first page
    "README.html",
    "docs/engine.html",
    "docs/batch-norm-derived.html",  # formulas
    "docs/experiments.html",  # wide tables, pictures
    "docs/notebooks/write_a_layer.html",
    "reference/tinygrad_bn.ops.html",
    "reference/tinygrad_bn.functional.batch_norm.html",
    "sources/tinygrad_bn/functional/batch_norm.py.html",
    "live/batch_norm.html",
    "live/report.html",
)
ALLOWED = 1.0  # pixels by which rounding may make a page wider than the window


@pytest.fixture(
    params=[(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")], ids=lambda it: f"{it[1]}-{it[0]}"
)
def window(request: Any, chromium: Any) -> Iterator[tuple[Any, list[str]]]:
    """A window, and what goes wrong in it."""
    assert (SITE / "index.html").exists(), "there is no site yet: make site"
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if is_here(request.url) else wrong.append(f"fetched: {request.url}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    yield page, wrong
    context.close()


def is_here(address: str) -> bool:
    return address.startswith(("file:", "data:", "blob:", "about:"))


def too_wide(page: Any) -> float:
    """By how many pixels the page has to be moved sideways to be seen."""
    return float(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_pages_fit_and_nothing_fails(window: Any) -> None:
    page, wrong = window
    for name in PAGES:
        page.goto((SITE / name).as_uri())
        page.wait_for_load_state("load")
        if name == "index.html":
            page.wait_for_url("**/docs/index.html")
        assert page.locator("h1").first.inner_text()
        assert too_wide(page) <= ALLOWED, f"{name} is {too_wide(page)} pixels wider than the window"
        assert not wrong, f"{name}: {wrong}"


def test_colors_follow_the_reader(window: Any) -> None:
    page, _ = window
    page.goto((SITE / "docs/engine.html").as_uri())
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    red, green, blue = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)"
    )
    assert (red + green + blue < 3 * 128) == dark


def test_search_finds_a_name_and_a_page(chromium: Any) -> None:
    page = chromium.new_page()
    for words, found in (("batch_norm", "tinygrad_bn.functional.batch_norm"), ("broadcasting", "docs/engine.html")):
        page.goto(f"{(SITE / 'search.html').as_uri()}?q={words}")
        page.wait_for_selector(f"#search-results a[href*='{found}']", timeout=15_000)
    page.close()


def test_a_live_page_computes_inside_of_its_frame(chromium: Any) -> None:
    page = chromium.new_page()
    page.goto((SITE / "live/batch_norm.html").as_uri())
    frame = page.frame_locator("iframe.live")
    frame.locator("body").wait_for()
    assert "1.3416" in frame.locator("body").inner_text()
    page.close()


def test_what_is_too_wide_and_what_fails_is_seen(window: Any) -> None:
    page, wrong = window
    page.set_content("<h1>x</h1><div style='width: 3000px'>wide</div><script>nothing.there()</script>")
    assert too_wide(page) > ALLOWED
    assert wrong
