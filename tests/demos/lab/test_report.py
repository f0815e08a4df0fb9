"""The report as a reader and a browser see it."""

from __future__ import annotations

import re

import fake
import pytest

from demos import __main__ as every


@pytest.fixture
def report(tmp_path, monkeypatch, capsys):
    fake.install(monkeypatch)
    monkeypatch.setattr(every, "NAMES", ("fake",))
    assert every.main(["--out", str(tmp_path)]) == 0
    return tmp_path / "report.html"


def test_nothing_a_demo_says_becomes_markup_and_nothing_is_loaded(report):
    html = report.read_text()
    assert "<script" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html
    assert "Text with <code>code&lt;&gt;</code>" in html
    assert "default-src &#39;none&#39;" in html
    sources = re.findall(r'src="([^"]{0,40})', html)
    assert len(sources) == 1
    assert html.count('class="plot"') == 1
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    links = set(re.findall(r'href="([^"]+)"', html))
    pictures = {f"{name}.{kind}" for name in ("verdicts", "fake/line") for kind in ("svg", "png", "pdf")}
    links = {link for link in links if not link.startswith("#fake-line-")}  # names inside of the picture
    assert links - pictures == {
        "results.json",
        "playground.html",
        "#fake",
        "#fake-first",
        "data:,",
        "fake/graph.svg",
        "fake/more.html",
    }
    assert pictures < links


def test_the_links_lead_somewhere(report):
    for link in re.findall(r'href="([^"#:]+)"', report.read_text()):
        assert (report.parent / link).is_file(), link


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser_at_phone_and_desktop_width(report, chromium, width):
    page = chromium.new_page(viewport={"width": width, "height": 800})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url.split(":")[0]))
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # wide things scroll by themselves
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.locator(".verdicts li").count() == 1
    assert "1 holds in part" in page.locator(".verdicts").inner_text()
    assert page.locator(".strip").get_attribute("aria-label") == "holds in part: 1 for, 1 against, 1 not decided"
    page.close()
    assert said == []
    assert set(asked) <= {"file", "data"}
    assert asked.count("file") == 1
