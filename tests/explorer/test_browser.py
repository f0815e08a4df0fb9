"""The page as a reader meets it, in headless Chromium: its numbers, its keys, its address, and what it must not do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.graph.programs import network
from tinygrad_bn.explorer import explore
from tinygrad_bn.graph.labels import number

EVIL = "<script>alert(1)</script>"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def pages(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "all"
    shutil.copytree(examples, folder)
    x = tg.Tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True, name=EVIL)
    with tg.scope(EVIL):
        y = x * x
    explore(folder / "evil.html", y, np.ones((2, 2)), title=EVIL)
    return folder


@pytest.fixture
def visit(chromium: Any, pages: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page; at the end of the test it must have asked for nothing but itself, and complained about nothing."""
    contexts, wrong, asked = [], [], set()

    def open_page(name: str, address: str = "", **settings: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.add(request.url.partition("#")[0]))
        file = (pages / name).with_suffix(".html").as_uri()
        asked.add(file)
        page.goto(file + address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert all(url.startswith(pages.as_uri()) for url in asked)
    assert len(asked) == 1


def sentence(page: Any) -> str:
    return page.locator("#say").inner_text()


def table(page: Any, heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading of the panel: label to the numbers shown."""
    found = page.locator(f"#panel :is(h2, h3, h4):text-is({json.dumps(heading)}) ~ table").first
    return {row.locator("th").inner_text(): row.locator("td").inner_text().split() for row in found.locator("tr").all()}


def data(page: Any) -> Any:
    return json.loads(page.locator("#data").text_content())


# -- numbers -------------------------------------------------------------------------------------------------------------


def test_after_the_last_step_the_gradients_are_pythons(visit: Callable[..., Any], pages: Path) -> None:
    """A network and a random cotangent; to the last digit shown in the panel and in the picture."""
    net, _ = network()
    x = tg.Tensor(np.random.default_rng(1).standard_normal((3, 3)).astype(np.float32), requires_grad=True, name="x")
    out = net(x)
    cotangent = np.random.default_rng(2).standard_normal((3, 2)).astype(np.float32)
    explore(pages / "own.html", out, cotangent, module=net)
    out.backward(cotangent)
    page = visit("own")
    page.locator("#last").click()
    wanted = dict(net.named_parameters()) | {"x": x}
    for name, variable in wanted.items():
        shown = [number(float(v)) for v in variable.grad.numpy().ravel()]
        assert table(page, name)["backward"] == shown
        node = page.locator(f'g.node[aria-label="{name}"]')
        if variable.size <= 16:
            texts = node.locator("text").all_text_contents()
            assert " ".join(texts[texts.index("grad") + 1 :]).split() == shown
    checked = [row.locator("td").inner_text() for row in page.locator('tr:has(th:text-is("largest difference"))').all()]
    assert len(checked) == len(wanted)
    assert all(float(text) < 1e-4 for text in checked)


def test_every_step_of_batch_norm(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    content = data(page)
    steps = content["orders"][0]["steps"]
    said = [sentence(page)]
    for _ in range(len(content["forward"]) + len(steps)):
        page.keyboard.press("ArrowRight")
        said.append(sentence(page))
        assert page.locator("g.active").count() == 1
        assert page.locator("g.flows").count() >= 1
    assert len(set(said)) == len(said)
    assert said[2] == "Forward 2 of 9: c = x - μ is -1.5 -0.5 0.5 1.5."
    assert said[-1].endswith("x gets another -0.2236 -0.2236 -0.2236 -0.2236, now 0.2683 -0.3578 -0.0894 0.1789.")
    assert table(page, "to x, argument 0")["running sum"] == [
        *("0.4919", "-0.1342", "0.1342", "0.4025", "+", "-0.2236", "-0.2236", "-0.2236", "-0.2236"),
        *("→", "0.2683", "-0.3578", "-0.0894", "0.1789"),
    ]
    assert page.locator("g.receives").count() == 1
    assert table(page, "Invariants: 0 when all contributions have come")["Σ ∂x"] == ["0"]
    closed_form = page.locator("#panel h4:has-text('closed form') + .heat").inner_text().split()
    assert closed_form == ["0.2683", "-0.3578", "-0.0894", "0.1789"]


def test_gradients_come_into_the_picture_when_they_come(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    x = page.locator('g.node[aria-label="x"]')
    seen = []
    for _ in range(len(data(page)["forward"]) + len(data(page)["orders"][0]["steps"])):
        page.keyboard.press("ArrowRight")
        texts = x.locator("text").all_text_contents()
        partial = x.locator("text.partial").count() == 1
        state = (" ".join(texts[texts.index("grad") + 1].split()), partial)
        if state not in seen:
            seen.append(state)
    final = "0.2683 -0.3578 -0.0894 0.1789"
    assert seen == [("…", False), ("0.4919 -0.1342 0.1342 0.4025", True), (final, False)]
    page.keyboard.press("Home")
    assert "…" in x.locator("text").all_text_contents()


def test_the_rule_its_number_and_unbroadcasting(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=17")
    assert page.locator("#panel h2").inner_text() == "Backward through c = x - μ"
    part = table(page, "to μ, argument 1")
    assert part["local derivative"] == ["-1"] * 4
    assert " ".join(part["un-broadcast"]) == "summed over axis 0, along which it was broadcast"
    assert page.locator("#panel math").count() == 2
    box = page.locator("#panel math").first.bounding_box()
    assert box["width"] > 5  # drawn, not just there
    assert box["height"] > 5


def test_right_and_wrong_order(visit: Callable[..., Any]) -> None:
    page = visit("topological_order")
    assert sentence(page).startswith("Right:")
    page.keyboard.press("End")
    assert table(page, "a")["backward"] == ["4"]
    page.get_by_role("button", name="wrong order").click()
    assert table(page, "a")["backward"] == ["2"]
    assert " ".join(table(page, "a")["largest difference"]) == "2.0e+0: they disagree"
    assert page.locator('g.node[aria-label="a"] text.partial').text_content() == "2"
    page.keyboard.press("Home")
    assert sentence(page).startswith("Wrong:")


# -- keys and controls -----------------------------------------------------------------------------------------------------


def test_tab_reaches_everything_in_order_and_keys_operate_it(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    picture = page.locator("#holder").bounding_box()
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.id")
        if not where or where in reached:
            break
        reached.append(where)
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if page.evaluate("document.activeElement.matches('.node')"):  # shown by its border, and brought into view
            box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
            assert picture["x"] <= box["left"]
            assert box["right"] <= picture["x"] + picture["width"]
            assert picture["y"] <= box["top"]
            assert box["bottom"] <= picture["y"] + picture["height"]
        else:
            assert outline != "none", where
    controls = ["first", "previous", "next", "last", "turn", "slider"]
    choices = ["whole", *(f"zoom{i}" for i in range(4))]
    zoom = ["larger", "smaller", "fit"]
    assert reached[: 6 + 5 + 5 + 1 + 3] == [*controls, *choices, *(f"module{i}" for i in range(5)), "search", *zoom]
    nodes = page.locator("g.node").evaluate_all("all => all.map(e => e.id)")
    assert reached[20:-1] == nodes
    assert reached[-1] == "panel"


def test_keys(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    at = lambda: int(page.locator("#slider").input_value())  # noqa: E731
    last = int(page.locator("#slider").get_attribute("max"))
    page.keyboard.press("ArrowLeft")
    assert at() == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert at() == 2
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert at() == last
    page.keyboard.press("Home")
    assert at() == 0
    page.locator("#next").focus()
    for _ in range(last + 2):
        page.keyboard.press("Enter")
    assert at() == last
    assert page.evaluate("document.activeElement.id") == "next"  # the focus stays, although there is nothing more
    assert page.locator("#next").get_attribute("aria-disabled") == "true"
    page.locator("#slider").focus()
    page.keyboard.press("ArrowLeft")
    assert at() == last - 1
    page.keyboard.press("Home")
    assert at() == 0
    page.locator("#turn").focus()
    page.keyboard.press("Space")
    assert sentence(page).startswith("Backward 1 of 9")


def test_slider_by_pointer(visit: Callable[..., Any]) -> None:
    page = visit("diamond")
    box = page.locator("#slider").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#slider").input_value() == "3"
    assert sentence(page).startswith("Forward 3 of 3: y = left + right is 10")
    assert page.locator("#slider").get_attribute("aria-valuetext") == sentence(page)


def test_choosing_a_node_shows_it_and_its_kin(visit: Callable[..., Any]) -> None:
    page = visit("diamond")
    node = page.locator('g.node[aria-label^="left = "]')
    node.focus()
    page.keyboard.press("Enter")
    assert page.locator("#panel h3").first.inner_text().startswith("Chosen: left =")
    assert node.get_attribute("aria-pressed") == "true"
    kin = set(page.locator("g.kin").evaluate_all("all => all.map(e => e.getAttribute('aria-label').split(' ')[0])"))
    assert kin == {"x", "3", "y"}
    page.keyboard.press("Enter")
    assert page.locator("g.kin").count() == 0
    node.click()
    assert page.locator("g.kin").count() == 3
    page.keyboard.press("Escape")
    assert page.locator("g.kin").count() == 0
    used_twice = page.locator('g.node[aria-label="x"]')
    used_twice.click()
    assert "2 uses: gradients add up" in page.locator("#panel").inner_text()


def test_search(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    page.keyboard.press("/")
    page.keyboard.type("variance")
    assert page.locator("#hits").inner_text() == "3 found"  # v2 = x - v1 is among them
    assert page.locator("g.found").count() == 3
    page.keyboard.press("Escape")
    assert page.locator("g.found").count() == 0
    page.keyboard.type("no such thing")
    assert page.locator("#hits").inner_text() == "0 found"
    page.keyboard.press("Home")  # moves the cursor in the text, not the step
    assert page.locator("#slider").input_value() == "0"


def test_opening_and_closing_modules_keeps_the_place(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=14&n=n4")
    before, counts = sentence(page), [page.locator("g.node").count()]
    page.get_by_role("button", name="close BatchNorm1d/mean").press("Enter")
    counts.append(page.locator("g.node").count())
    assert page.evaluate("document.activeElement.id") == "module1"
    page.get_by_role("button", name="close BatchNorm1d/variance").click()
    counts.append(page.locator("g.node").count())
    page.get_by_role("button", name="close BatchNorm1d", exact=True).click()
    counts.append(page.locator("g.node").count())
    assert counts == [13, 13, 11, 2]  # the mean is one operation: its box stands for itself
    assert sentence(page) == before
    assert "&n=n4" in page.url
    assert page.locator("g.active").count() == 1
    page.get_by_role("button", name="open BatchNorm1d", exact=True).click()
    assert page.locator("g.node").count() == 13
    assert page.locator("#module0").get_attribute("aria-expanded") == "true"


def test_modules_that_close_by_depth(visit: Callable[..., Any]) -> None:
    page = visit("network")
    whole = page.locator("g.node").count()
    page.get_by_role("button", name="close Sequential/1/mean").click()
    some = page.locator("g.node").count()
    page.get_by_role("button", name="close Sequential/0").click()
    few = page.locator("g.node").count()
    assert whole > some > few
    page.get_by_role("button", name="open Sequential/0").click()
    assert page.locator("g.node").count() > few


def test_scalars_of_one_element(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=18")
    page.get_by_role("button", name="element 0 in scalars").click()
    text = page.locator("#holder svg").text_content()
    assert all(shown in text for shown in ("x[0, 0]", "0.2683", "-0.3578", "-0.0894", "0.1789", "1.118"))
    assert page.locator("#modules").is_hidden()
    assert "number by number" in page.locator("#panel").inner_text()
    page.keyboard.press("/")
    page.keyboard.type("x[2, 0]")
    assert page.locator("g.found").count() >= 1
    page.keyboard.press("Escape")
    page.get_by_role("button", name="tensors").click()
    assert page.locator("g.node").count() == 13


def test_zoom_drag_and_wheel(visit: Callable[..., Any]) -> None:
    page = visit("diamond")
    box = lambda: [float(v) for v in page.locator("#holder svg").get_attribute("viewBox").split()]  # noqa: E731
    home = box()
    page.locator("#larger").click()
    assert box()[2] == pytest.approx(0.8 * home[2])
    page.locator("#fit").click()
    assert box() == home
    x = page.locator('g.node[aria-label="x"]').bounding_box()
    at = (x["x"] + x["width"] / 2, x["y"] + x["height"] / 2)
    page.mouse.move(*at)
    page.mouse.wheel(0, -100)
    page.wait_for_function("width => document.querySelector('#holder svg').viewBox.baseVal.width < width", arg=home[2])
    after = page.locator('g.node[aria-label="x"]').bounding_box()
    assert after["width"] > x["width"]
    assert after["x"] + after["width"] / 2 == pytest.approx(at[0], abs=2)  # what is under the pointer stays there
    assert after["y"] + after["height"] / 2 == pytest.approx(at[1], abs=2)
    page.mouse.down()
    page.mouse.move(at[0] + 50, at[1] + 30, steps=3)
    page.mouse.up()
    moved = page.locator('g.node[aria-label="x"]').bounding_box()
    assert (moved["x"] - after["x"], moved["y"] - after["y"]) == (pytest.approx(50, abs=2), pytest.approx(30, abs=2))
    assert page.locator("g.chosen").count() == 0  # the drag ended on the box, and did not choose it


def test_a_picture_that_was_enlarged_follows_the_steps(visit: Callable[..., Any]) -> None:
    page = visit("network")
    picture = page.locator("#picture").bounding_box()
    for _ in range(int(page.locator("#slider").get_attribute("max"))):
        page.keyboard.press("ArrowRight")
        active = page.locator("g.active").bounding_box()
        assert active["x"] + active["width"] / 2 == pytest.approx(
            picture["x"] + picture["width"] / 2, abs=picture["width"] / 2
        )
        assert active["y"] + active["height"] / 2 == pytest.approx(
            picture["y"] + picture["height"] / 2, abs=picture["height"] / 2
        )
    letters = page.locator("g.active text").first.bounding_box()
    assert letters["height"] > 10  # pixels: the picture started large enough to read


# -- the address ---------------------------------------------------------------------------------------------------------


def test_the_address_holds_the_state(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=13&v=5&n=n4")
    assert page.url.endswith("#k=13&v=5&n=n4")
    shown = (sentence(page), page.locator("#panel").inner_text(), page.locator("#holder").inner_text())
    again = visit("batch_norm", page.url[page.url.index("#") :])
    assert (sentence(again), again.locator("#panel").inner_text(), again.locator("#holder").inner_text()) == shown
    page.evaluate("location.hash = '#k=2&z=1'")
    page.wait_for_function("document.getElementById('say').textContent.startsWith('Forward 2')")
    assert page.locator("#zoom1").get_attribute("aria-pressed") == "true"
    assert page.url.endswith("#k=2&v=0&z=1")


@pytest.mark.parametrize(
    ("address", "becomes"),
    [
        ("#k=999999&v=999&n=nope&z=99&o=7", "#k=18&v=16&z=3"),
        ("#k=-1&v=-1&n=__proto__&z=-1&o=-1", "#k=0&v=0"),
        ("#k=1.5&v=x&n=constructor&z=&o=NaN", "#k=0&v=0"),
        ("#%00<script>&k=1e1", "#k=10&v=0"),
    ],
)
def test_an_address_that_is_out_of_range(address: str, becomes: str, visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", address)
    assert page.url.endswith(becomes)
    assert sentence(page)


# -- safety, and other readers -----------------------------------------------------------------------------------------------


def test_a_script_as_name_stays_text(visit: Callable[..., Any]) -> None:
    page = visit("evil")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    page.locator("g.node").first.click()
    page.locator("#search").fill("<script>")
    page.locator("#module0").click()
    assert page.locator("h1").inner_text() == EVIL
    assert EVIL in page.locator("#panel").inner_text()
    assert EVIL in page.locator("#modules").inner_text()
    assert page.locator("script").count() == 2
    assert page.locator("#panel script, #holder script").count() == 0


def test_foreign_scripts_and_requests_are_refused(chromium: Any, pages: Path, tmp_path: Path) -> None:
    """The policy works: what somebody adds to the file does not run."""
    text = (pages / "diamond.html").read_text(encoding="utf-8")
    added = "<script>window.added = 1</script><img src='https://example.org/x.png'></body>"
    (tmp_path / "page.html").write_text(text.replace("</body>", added), encoding="utf-8")
    page = chromium.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("window.added") is None
    assert sum("Content Security Policy" in text for text in complaints) == 2
    page.close()


def test_without_scripts_there_is_a_picture(visit: Callable[..., Any]) -> None:
    page = visit("diamond", java_script_enabled=False)
    box = page.locator("noscript svg").bounding_box()
    assert box["width"] > 100
    assert "left" in page.locator("noscript svg").text_content()


def test_what_a_screen_reader_is_told(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=12")
    assert page.locator("#say").get_attribute("aria-live") == "polite"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, g.node, [tabindex]')].filter("
        "e => !(e.textContent.trim() || e.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0
    assert page.locator("#panel th:not([scope])").count() == 0
    assert page.get_by_role("slider", name="step").count() == 1
    assert page.get_by_role("button", name="y = v10 + bias").count() == 1


def contrast(page: Any, selector: str) -> float:
    """WCAG 2 contrast of the text of an element against the background behind it."""
    return page.evaluate(
        """selector => {
          const element = document.querySelector(selector);
          const parts = (color) => color.match(/[\\d.]+/g).map(Number);
          let behind = element;
          while (parts(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
          const light = (color) => {
            const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            const [r, g, b] = parts(color).map((v) => linear(v / 255));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)];
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }""",
        selector,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(scheme: str, visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=18", color_scheme=scheme)
    for selector in ("h1", "#say", "#next", "#first", "#module1", "#panel th", "#panel .note", ".heat span", "#search"):
        assert contrast(page, selector) >= 4.5, selector
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 300) == (scheme == "dark")


def test_on_a_phone_nothing_is_wider_than_the_screen(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=18", viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    order = [page.locator(selector).bounding_box()["y"] for selector in ("#steps", "#say", "#picture", "#panel")]
    assert order == sorted(order)
    assert order[2] < PHONE["height"] / 2  # the picture begins in the upper half
    page.locator("#previous").tap()
    assert sentence(page).startswith("Backward 8")


def test_on_paper_there_are_no_controls_and_the_whole_picture(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit("batch_norm", "#k=18", color_scheme="dark", viewport={"width": 760, "height": 1075})  # as on A4
    enlarged = page.locator("#holder svg").get_attribute("viewBox")
    page.emulate_media(media="print")
    for selector in ("#steps", "#modules", "#zoom", "#search"):
        assert page.locator(selector).is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#holder svg").get_attribute("viewBox") != enlarged
    last, panel = (page.locator(s).bounding_box() for s in ('g.node[aria-label^="y = "]', "#panel"))
    assert last["height"] > 10
    assert last["y"] + last["height"] < panel["y"]
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#holder svg").get_attribute("viewBox") == enlarged
    assert page.pdf().startswith(b"%PDF")


def test_the_picture_cannot_be_lost(visit: Callable[..., Any]) -> None:
    page = visit("diamond")
    box = lambda: [float(v) for v in page.locator("#holder svg").get_attribute("viewBox").split()]  # noqa: E731
    home = box()
    turn = """([times, delta, ctrl]) => { const holder = document.getElementById('holder'), r = holder.getBoundingClientRect();
        let kept = 0;
        for (let i = 0; i < times; i += 1) kept += holder.dispatchEvent(new WheelEvent('wheel', {deltaY: delta, ctrlKey: ctrl,
            clientX: r.left + 30, clientY: r.top + 30, bubbles: true, cancelable: true}));
        return kept; }"""
    assert page.evaluate(turn, [200, 100, False]) == 0  # the page took them all
    assert home[2] < box()[2] < 5 * home[2]
    page.locator("#smaller").click()
    assert box()[2] < 5 * home[2]
    page.locator("#fit").click()
    page.evaluate(turn, [500, -100, False])
    assert home[2] / 1000 < box()[2] < home[2] / 20
    page.locator("#fit").click()
    assert page.evaluate(turn, [20, 100, True]) == 20  # with Ctrl they are the browser's
    assert page.evaluate(turn, [20, 0, False]) == 20  # a turn to the side is no zoom
    assert box() == home
    page.mouse.move(300, 300)
    page.mouse.down()
    page.mouse.move(-5000, 9000)
    page.mouse.up()
    x, y, width, height = box()
    assert home[0] <= x + width / 2 <= home[0] + home[2]
    assert home[1] <= y + height / 2 <= home[1] + home[3]
