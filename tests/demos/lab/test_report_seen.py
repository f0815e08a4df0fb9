"""The report on the results that are kept, as a reader sees it: first screen, sizes, colors, folding, keys and print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demos import __main__ as every
from demos.lab.show import colors, plots
from tests.browsing import browsing

ROOT = Path(__file__).resolve().parents[3]
UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"

pytest.importorskip("matplotlib", exc_type=ImportError)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report, with its pictures as SVG alone, which takes a third of the time."""
    made = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "KINDS", ("svg",))
        assert every.main(["--again", str(ROOT / "docs/measured/results.json"), "--out", str(made)]) == 0
    return made


@pytest.fixture
def visit(chromium: Any, folder: Path) -> Iterator[Any]:
    """Opens the report."""
    report = (folder / "report.html").as_uri()
    with browsing(chromium, lambda: [report]) as open_page:
        yield partial(open_page, report)


def test_the_first_screen_has_all_verdicts_the_contents_and_the_environment(visit):
    page = visit()
    boxes = {name: page.locator(name).bounding_box() for name in ("figure.verdicts", "nav", ".environment")}
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= 800 for box in boxes.values()), boxes
    marks = page.locator(".verdicts li .mark")
    assert marks.count() == page.locator(".strip").count() == 26
    shapes = page.evaluate(
        """() => { const found = {}; for (const mark of document.querySelectorAll(".verdicts .mark"))
             (found[mark.innerHTML.trim()] ??= new Set()).add(getComputedStyle(mark).color);
             return Object.values(found).map((each) => [...each]); }"""
    )
    assert len(shapes) == 4  # shapes, each in one color
    assert len({color for own in shapes for color in own}) == 4 == sum(map(len, shapes))
    phone = visit(390, 844)
    assert phone.locator(".strip").first.bounding_box()["y"] < 400


def test_a_demo_is_a_sentence_and_a_picture_and_the_rest_is_folded(visit):
    page = visit()
    tall = page.evaluate("document.documentElement.scrollHeight")
    assert tall < 8500
    for section in page.locator("main > section").all():
        assert section.locator(":scope > .says").count() == 1
        assert section.locator(":scope > figure").count() == 1
        assert section.locator(":scope > details").count() == 2
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollHeight") > 3 * tall
    assert visit(390, 844).evaluate("document.documentElement.scrollHeight") < 12500


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_no_page_is_wider_than_its_screen_and_no_text_is_small(visit, width):
    page = visit(width)
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = page.evaluate(
        """() => { const found = []; const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) { const node = walker.currentNode, parent = node.parentElement;
            if (!node.textContent.trim() || parent.closest("title, style")) continue;
            const scale = parent.ownerSVGElement ? parent.getScreenCTM().a : 1;
            const size = parseFloat(getComputedStyle(parent).fontSize) * scale;
            const turned = parent.ownerSVGElement && Math.abs(parent.getScreenCTM().b) > 1e-6;
            if (!turned && size < 11.9) found.push([size, node.textContent]); }
          return found; }"""
    )
    assert small == []


CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = (element) => { for (; element; element = element.parentElement) {
      const color = parse(getComputedStyle(element).backgroundColor); if (color.length < 4 || color[3] > 0) return color; }
    return [255, 255, 255]; };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    if (element.closest("svg")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push([ratio, element.tagName, element.textContent.slice(0, 40)]);
  }
  return found; }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_themes(visit, scheme):
    page = visit(color_scheme=scheme)
    page.evaluate(UNFOLD)
    assert page.evaluate(CONTRAST) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    text = page.evaluate("getComputedStyle(document.querySelector('.plot text')).fill")
    assert (background, text) == {
        "light": ("rgb(255, 255, 255)", "rgb(0, 0, 0)"), "dark": ("rgb(13, 17, 23)", "rgb(230, 237, 243)")
    }[scheme]  # fmt: skip


def test_pictures_have_titles_and_text_that_is_text(visit, folder):
    found = visit().evaluate(
        """() => [...document.querySelectorAll(".plot")].map((svg) => ({
          title: svg.querySelector(":scope > title")?.textContent, named: svg.getAttribute("aria-labelledby"),
          texts: [...svg.querySelectorAll("text")].map((each) => each.textContent) }))"""
    )
    assert len(found) >= 25
    for picture in found:
        assert picture["title"]
        assert picture["title"] in picture["texts"]
        assert len(picture["texts"]) > 2
        assert picture["named"]
    ids = visit().evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
    assert "<text" in (folder / "bn_activity/saved.svg").read_text("utf-8")


def test_a_color_has_one_meaning(folder):
    """Every color of every plot is one of the palette's, and no demo writes a color of its own."""
    known = {c.lower() for c in (*colors.GROUND, *(light for light, _ in colors.MEANINGS.values()))}
    assert len(known) == len(colors.GROUND) + len(colors.MEANINGS)
    for path in [*folder.glob("verdicts.svg"), *folder.glob("*/*.svg")]:
        text = path.read_text("utf-8")
        if "matplotlib" in text:
            used = {c.lower() for c in re.findall(r"(?:stroke|fill): (#[0-9a-fA-F]{6})", text)}
            assert used <= known, path.name
    for source in (ROOT / "demos").glob("*/show*/**/*.py"):
        if source.name != "colors.py":
            assert not re.findall(r"[\"']#[0-9a-fA-F]{6}", source.read_text("utf-8")), source
    red, green, blue = (int(colors.PLAIN[i : i + 2], 16) for i in (1, 3, 5))
    assert red > 3 * max(green, blue)  # red that is red


def test_by_keyboard_alone(visit):
    page = visit()
    focused = "document.activeElement.getAttribute('href')"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "playground.html"
    page.keyboard.press("Tab")
    link = page.evaluate(focused)
    assert link == page.locator(".verdicts li a").first.get_attribute("href")
    page.keyboard.press("Enter")
    target = page.locator(link)
    assert target.is_visible()  # the fold has opened
    page.evaluate("document.querySelector('main summary').focus()")
    fold = "document.querySelector('main details').open"
    before = page.evaluate(fold)
    page.keyboard.press("Enter")
    assert page.evaluate(fold) != before


def test_print_unfolds_everything_on_white(visit):
    page = visit(color_scheme="dark")
    folded = page.locator("main details table").last
    assert folded.evaluate("(each) => each.checkVisibility({contentVisibilityAuto: true})") is False
    page.emulate_media(media="print", color_scheme="dark")
    hidden = page.evaluate(
        """() => [...document.querySelectorAll("details > *")]
          .filter((each) => !each.checkVisibility({contentVisibilityAuto: true}) || each.getBoundingClientRect().height === 0)
          .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert hidden == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
