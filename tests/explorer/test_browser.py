"""The page as a reader meets it, in headless Chromium: its numbers, its keys, its looks, its address, what it must not do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.browsing import browsing
from tests.graph.programs import network
from tinygrad_bn import functional, nn, ops
from tinygrad_bn.cli import main
from tinygrad_bn.explorer import explore

EVIL = "<script>alert(1)</script>"
PHONE = {"width": 390, "height": 844}
SCREENS = [(390, 844), (830, 720), (1280, 800), (1920, 1080)]  # the second is a frame in a notebook
MINE = tg.Primitive("mine", lambda x: x**2, lambda g, out, x: g * x * 2.0)


@pytest.fixture(scope="session")
def pages(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "all"
    shutil.copytree(examples, folder)
    x = tg.Tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True, name=EVIL)
    with tg.scope(EVIL):
        y = x * x * x
    explore(folder / "evil.html", y, np.ones((2, 2)), title=EVIL)
    tg.manual_seed(0)
    layers = (m for _ in range(27) for m in (nn.Linear(4, 4, dtype=float), nn.BatchNorm1d(4, dtype=float), nn.ReLU()))
    deep = nn.Sequential(*layers)
    rows = np.random.default_rng(0).standard_normal((5, 4))
    explore(folder / "deep.html", functional.mse_loss(deep(rows), np.zeros((5, 4))), module=deep, title="27 layers")
    leaf = tg.Tensor([3.0, 1.0], requires_grad=True, name="x")
    explore(folder / "own.html", MINE(leaf).sum(), title="a primitive of one's own")
    scores = tg.Tensor([[2.0, 1.0, 0.0]], requires_grad=True, name="scores")
    explore(
        folder / "picked.html",
        scores[0, tg.ops.astype(tg.Tensor([1.0], requires_grad=True, name="at"), "int64")].sum(),
        title="picked",
    )
    text = (folder / "batch_norm.html").read_text(encoding="utf-8")
    (folder / "frame.html").write_text(
        f'<iframe width=1200 height=700 sandbox="allow-scripts" srcdoc="{escape(text)}"></iframe>'
    )
    return folder


@pytest.fixture
def visit(chromium: Any, pages: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page by its name, with what comes after its address."""
    with browsing(chromium, lambda: [file.as_uri() for file in pages.iterdir()]) as open_page:
        yield lambda name, address="", **settings: open_page(
            (pages / name).with_suffix(".html").as_uri() + address, **settings
        )


def sentence(page: Any) -> str:
    return page.locator("#say").inner_text()


def numbers(text: str) -> list[float]:
    return [float(part.replace("−", "-")) for part in re.findall(r"[−-]?[\d.]+(?:e[−-]?\d+)?", text)]


def box(page: Any, name: str) -> Any:
    """The box of a value."""
    return page.locator(f'#rows .box:has(> .title > .head[aria-label^="{name}"])').first


def shown(page: Any, name: str, what: str = "gradient") -> list[float]:
    return numbers(
        box(page, name)
        .locator(f".numbers{'.gradient' if what == 'gradient' else ':not(.gradient)'} .array")
        .inner_text()
    )


def row(page: Any, heading: str, label: str) -> list[float]:
    """The numbers beside a label under a heading of the panel."""
    found = page.evaluate(
        """([heading, label]) => {
          const part = [...document.querySelectorAll("#panel :is(section, .part, .check)")].findLast(
            (each) => each.querySelector(":scope > :is(h2, h3, h4)")?.textContent === heading);
          return [...part.querySelectorAll("tr")].find((each) => each.cells[0].textContent === label).cells[1].innerText;
        }""",
        [heading, label],
    )
    return numbers(found)


def settled(page: Any) -> None:
    """What was changed has been drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def type_into(page: Any, label: str, text: str) -> None:
    field = page.get_by_role("spinbutton", name=label, exact=True)
    field.fill(text)
    field.press("Enter")
    settled(page)


# -- numbers -------------------------------------------------------------------------------------------------------------


def test_the_gradients_are_pythons(visit: Callable[..., Any], pages: Path) -> None:
    """A network in float32 and a random cotangent; to the last digit shown in the picture and in the panel."""
    net, _ = network()
    x = tg.Tensor(np.random.default_rng(1).standard_normal((3, 3)).astype(np.float32), requires_grad=True, name="x")
    out = net(x)
    cotangent = np.random.default_rng(2).standard_normal((3, 2)).astype(np.float32)
    explore(pages / "net.html", out, cotangent, module=net)
    out.backward(cotangent)
    page = visit("net")
    page.locator("#last").click()
    for name, variable in (*net.named_parameters(), ("x", x)):
        name = {"1.weight": "γ", "1.bias": "β"}.get(name, name)
        np.testing.assert_allclose(row(page, name, "backward"), variable.grad.numpy().ravel(), atol=6e-5)
        np.testing.assert_allclose(row(page, name, "numeric"), variable.grad.numpy().ravel(), atol=6e-5)
    np.testing.assert_allclose(shown(page, "x:"), x.grad.numpy().ravel(), atol=6e-5)
    assert "disagree" not in page.locator("#panel").inner_text()


def test_other_numbers_give_the_gradients_that_python_gives(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=18")
    for label, text in (("x[1, 0]", "7.5"), ("γ", "-2"), ("β", "0,25"), ("∂y[2, 0]", "3"), ("ε", "0.5")):
        type_into(page, label, text)
    x = tg.Tensor([[1.0], [7.5], [3.0], [4.0]], requires_grad=True)
    gamma, beta = (tg.Tensor([v], requires_grad=True) for v in (-2.0, 0.25))
    y = functional.batch_norm(x, weight=gamma, bias=beta, training=True, eps=0.5)
    y.backward(np.array([[1.0], [0.0], [3.0], [0.0]]))
    np.testing.assert_allclose(shown(page, "y = ", "value"), y.numpy().ravel(), atol=6e-5)
    for name, variable in (("x:", x), ("γ:", gamma), ("β:", beta)):
        np.testing.assert_allclose(shown(page, name), variable.grad.numpy().ravel(), atol=6e-5)
    label = "∂x: derived, and the closed form that libraries program"
    np.testing.assert_allclose(row(page, label, "closed form"), x.grad.numpy().ravel(), atol=6e-5)
    assert row(page, label, "largest difference")[0] < 1e-14
    assert numbers(page.locator(".equation .array").nth(0).inner_text()) == [3.875]
    page.locator("#reset").click()
    assert shown(page, "x:") == [0.2683, -0.3578, -0.0894, 0.1789]


def test_rows_come_and_go_and_the_count_follows(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=18")
    page.locator("#more").click()
    x = tg.Tensor([[1.0], [2.0], [3.0], [4.0], [5.0]], requires_grad=True)
    functional.batch_norm(x, training=True).backward(np.eye(5)[:, :1])
    np.testing.assert_allclose(shown(page, "x:"), x.grad.numpy().ravel(), atol=6e-5)
    assert page.locator("#line .handle").count() == 5
    for _ in range(6):
        page.locator("#fewer").click()
    assert page.locator("#line .handle").count() == 2  # a batch of one has no variance
    assert "N" in page.locator("#panel math").first.text_content()


def test_a_gradient_step_moves_the_parameters_against_their_gradients(visit: Callable[..., Any]) -> None:
    page = visit("network", "#k=36")
    before, gradient = shown(page, "3.weight", "value"), shown(page, "3.weight")
    losses = [numbers(page.locator("#loss").inner_text())[0]]
    for _ in range(3):
        page.locator("#descend").click()
        losses.append(numbers(page.locator("#loss").inner_text())[0])
    assert losses == sorted(losses, reverse=True)
    page.locator("#reset").click()
    page.locator("#rate").fill("0.5")
    page.locator("#descend").click()
    settled(page)
    np.testing.assert_allclose(
        shown(page, "3.weight", "value"), np.subtract(before, np.multiply(gradient, 0.5)), atol=2e-4
    )


def test_every_step_of_batch_norm(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    last = int(page.locator("#slider").get_attribute("max"))
    said, seen = [sentence(page)], []
    for k in range(last):
        page.evaluate("k => page.go(k)", k + 1)
        said.append(sentence(page))
        assert page.locator(".box.active").count() == 1
        assert page.locator(".edge.flows").count() >= 1
        assert page.locator(".edge.flows.back").count() == (
            page.locator(".edge.flows").count() if len(said) > 10 else 0
        )
        if (
            partial := (
                box(page, "x:").locator(".gradient .array").inner_text().split(),
                page.locator(".box.partial").count(),
            )
        ) not in seen:
            seen.append(partial)
    assert len(set(said)) == len(said) == 19
    assert said[2] == "Forward 2 of 9: c = x − μ gives −1.5 −0.5 0.5 1.5"
    assert (
        said[-1]
        == "Backward 9 of 9, μ: x gets another −0.2236 −0.2236 −0.2236 −0.2236, now 0.2683 −0.3578 −0.0894 0.1789"
    )
    assert next(part for part, _ in seen if part != ["…"]) == ["0.4919", "−0.1342", "0.1342", "0.4025"]
    sums = page.locator("section:has(h3:text-is('Sums that end at 0')) td").all_inner_texts()
    assert sums[0].split()[0] == "0"
    assert "not run" not in page.locator("main").inner_text()
    page.keyboard.press("Home")
    assert box(page, "x:").locator(".gradient .array").inner_text() == "…"


def test_the_rule_its_number_and_unbroadcasting(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=17")
    assert page.locator("#panel h2").inner_text() == "Backward through c = x − μ"
    assert row(page, "to μ", "derivative") == [-1.0] * 4
    assert "summed over axis 0" in page.locator("#panel").inner_text()
    rules = page.locator("#panel math")
    assert rules.all_text_contents() == ["g", "−g"]
    assert rules.first.bounding_box()["height"] > 5


def test_right_and_wrong_order(visit: Callable[..., Any]) -> None:
    page = visit("topological_order")
    assert sentence(page).startswith("Right:")
    page.keyboard.press("End")
    assert row(page, "a", "backward") == [4.0]
    page.get_by_role("button", name="wrong order").click()
    assert row(page, "a", "backward") == [2.0]
    assert "they disagree" in page.locator("#panel").inner_text()
    type_into(page, "a", "3")
    assert shown(page, "a:") == [2.0]
    page.keyboard.press("Escape")
    page.locator("#first").click()
    assert sentence(page).startswith("Wrong:")


def test_one_element_in_scalars(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=18")
    box(page, "y = ").locator(".cell").nth(1).click()
    scalars = dict(re.findall(r"^(x\[\d, 0\])\n.*\n∂\n(.*)$", page.locator("#rows").inner_text(), re.MULTILINE))
    x = tg.Tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True)
    functional.batch_norm(x, training=True).backward(np.eye(4)[:, 1:2])
    np.testing.assert_allclose([numbers(text)[0] for text in scalars.values()], x.grad.numpy().ravel(), atol=6e-5)
    assert "μ = mean(x[0, 0], x[1, 0], x[2, 0], x[3, 0])" in page.locator("#rows").inner_text()
    type_into(page, "x[0, 0]", "5")
    assert "μ = mean(x[0, 0], x[1, 0], x[2, 0], x[3, 0])\n3.5" in page.locator("#rows").inner_text()
    page.locator("#unzoom").press("Enter")
    assert page.locator("#rows .box").count() == 13
    page = visit("network", "#k=1")
    page.locator("#panel button.cell").first.press("Enter")  # any value of any program
    assert "number by number" in page.locator("#rows").inner_text()


def test_what_cannot_be_computed_is_said_and_stays_as_recorded(visit: Callable[..., Any]) -> None:
    page = visit("own")
    assert "mine is an operation of your own" in page.locator("#panel").inner_text()
    page.keyboard.press("End")
    assert shown(page, "x:") == [6.0, 2.0]
    assert page.locator("#inputs input:not(#rate):enabled").count() == 0


def test_numbers_that_a_program_refuses_are_taken_back(visit: Callable[..., Any]) -> None:
    page = visit("picked")
    type_into(page, "at", "7")
    assert "out of range" in page.get_by_role("alert").inner_text()
    assert page.get_by_role("spinbutton", name="at").input_value() == "1"
    type_into(page, "at", "2")
    assert page.get_by_role("alert").count() == 0


MODEL = """
import numpy as np
import tinygrad_bn as tg
from tinygrad_bn import functional, nn

tg.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 3, dtype=float), nn.BatchNorm1d(3, dtype=float), nn.Tanh(), nn.Linear(3, 2, dtype=float))

def loss(x, labels):
    return functional.cross_entropy(net(x), labels)
"""


def test_rows_come_and_go_in_a_program_of_ones_own(visit: Callable[..., Any], pages: Path, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    target, given = str(tmp_path / "model.py:loss"), ["--input", "1,2;0,-1;0.5,3", "--input", "0,1,1"]
    assert main(["explore", target, *given, "-o", str(pages / "rows.html")]) == 0
    page = visit("rows", "#k=99")
    page.locator("#more").click()
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    x = tg.Tensor([[1.0, 2.0], [0.0, -1.0], [0.5, 3.0], [1.0, 2.0]], requires_grad=True)
    value = namespace["loss"](x, np.array([0, 1, 1, 0]))
    value.backward()
    assert numbers(page.locator("#loss").inner_text()) == [pytest.approx(value.item(), abs=6e-5)]
    np.testing.assert_allclose(shown(page, "x0:"), x.grad.numpy().ravel(), atol=6e-5)
    page.locator("#fewer").click()
    page.locator("#fewer").click()
    assert len(shown(page, "x0:")) == 4


# -- dragging, keys, pointing ------------------------------------------------------------------------------------------------


def test_a_point_is_dragged_on_the_number_line(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    handle = page.locator("#line .handle").nth(3).bounding_box()
    at = (handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] - 60, at[1], steps=5)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('#inputs [aria-label=\"x[3, 0]\"]').value !== '4'")
    moved = float(page.get_by_role("spinbutton", name="x[3, 0]").input_value())
    assert 1.5 < moved < 3.5
    assert shown(page, "μ = ", "value") == [pytest.approx((6 + moved) / 4, abs=1e-4)]
    page.locator("#line .handle").nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('#inputs [aria-label=\"x[0, 0]\"]').value === '1.1'")
    assert sentence(page).startswith("Forward: 9")  # the key moved the point, not the step
    assert page.evaluate("document.activeElement.dataset.point") == "0"


def test_a_number_is_dragged_and_moved_by_keys(visit: Callable[..., Any]) -> None:
    page = visit("diamond", "#k=6")
    field = page.get_by_role("spinbutton", name="x", exact=True)
    place = field.bounding_box()
    page.mouse.move(place["x"] + 10, place["y"] + 8)
    page.mouse.down()
    page.mouse.move(place["x"] + 70, place["y"] + 8, steps=4)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('#inputs input').value !== '2'")
    assert field.input_value() == "3"
    assert shown(page, "x:") == [9.0]  # 3 + 2x
    field.press("ArrowDown")
    field.press("PageUp")
    assert field.input_value() == "3.45"


def test_a_finger_drags_too(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", viewport=PHONE, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="numbers").tap()
    handle = page.locator("#line .handle").nth(0).bounding_box()
    at = (handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    session = page.context.new_cdp_session(page)
    for kind, dx in (("touchStart", 0), ("touchMove", -20), ("touchMove", -40), ("touchEnd", None)):
        points = [] if dx is None else [{"x": at[0] + dx, "y": at[1]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function("() => Number(document.querySelector('#inputs [aria-label=\"x[0, 0]\"]').value) < 0.5")


def test_keys(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm")
    at = lambda: int(page.locator("#slider").input_value())  # noqa: E731
    for key, expected in (
        ("ArrowLeft", 0),
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("End", 18),
        ("ArrowRight", 18),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert at() == expected
    page.locator("#next").focus()
    page.evaluate("page.go(17)")
    for _ in range(2):
        page.keyboard.press("Enter")
    assert at() == 18
    assert page.evaluate("document.activeElement.id") == "next"  # the focus stays, although there is nothing more
    assert page.locator("#next").get_attribute("aria-disabled") == "true"
    page.locator("#turn").press("Space")
    assert sentence(page).startswith("Backward 1 of 9")


def test_ctrl_and_the_wheel_and_keys_make_the_picture_larger_within_limits(visit: Callable[..., Any]) -> None:
    page = visit("network", "#k=25")
    level = lambda: page.locator("#level").inner_text()  # noqa: E731
    gap = """() => { // how far the ends of arrows are from the boxes they lead to
      const tips = [...document.querySelectorAll(".edge .tip")].map((tip) => tip.getBoundingClientRect());
      const boxes = [...document.querySelectorAll("#rows .box")].map((box) => box.getBoundingClientRect());
      const apart = (a, b, c, d) => Math.max(c - b, a - d, 0);
      const near = (t, b) => Math.hypot(apart(t.left, t.right, b.left, b.right), apart(t.top, t.bottom, b.top, b.bottom));
      return Math.max(...tips.map((tip) => Math.min(...boxes.map((box) => near(tip, box)))));
    }"""
    assert page.evaluate(gap) < 3
    page.mouse.move(640, 400)
    page.mouse.wheel(0, 40)  # scrolls
    assert level() == "100 %"
    under = "document.elementFromPoint(640, 400).closest('.box')?.dataset.node"
    before = page.evaluate(under)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -30)
    page.wait_for_function("() => document.getElementById('level').textContent === '116 %'")
    assert page.evaluate(under) == before  # what the pointer is on stays under it
    assert page.evaluate(gap) < 4
    for _ in range(20):
        page.mouse.wheel(0, 100)
    page.keyboard.up("Control")
    page.wait_for_function("() => document.getElementById('level').textContent === '40 %'")
    assert page.locator("#smaller").get_attribute("aria-disabled") == "true"
    assert page.evaluate("devicePixelRatio") == 1  # the rest of the page keeps its size
    page.keyboard.press("0")
    assert level() == "100 %"
    for _ in range(9):
        page.keyboard.press("+")
    assert level() == "300 %"
    page.locator("#level").press("Enter")
    page.locator("#larger").press("Enter")
    assert level() == "125 %"
    assert page.locator("#slider").input_value() == "25"


def test_play_and_pause(visit: Callable[..., Any]) -> None:
    page = visit("diamond")
    page.locator("#speed").select_option(label="fast")
    page.locator("#play").click()
    page.wait_for_function("() => Number(document.getElementById('slider').value) >= 2")
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "▶ play"
    page.locator("#play").click()
    page.wait_for_function("() => document.getElementById('play').textContent === '▶ play'")
    assert page.locator("#slider").input_value() == "6"


def test_everything_is_reached_by_tab_and_seen(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=18")
    reached: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(e => e === document.body ? '' : e.id || e.getAttribute('aria-label') || e.textContent)(document.activeElement)"
        )
        if not name:
            break
        reached.append(name)
        outline, stroke = page.evaluate(
            "[getComputedStyle(document.activeElement).outlineStyle,"
            " getComputedStyle(document.activeElement.querySelector('.grip') ?? document.activeElement).stroke]"
        )
        assert outline != "none" or stroke != "none", name
        place = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
        assert place["bottom"] > 0, name
        assert place["top"] < 800, name
    for wanted in (
        "search",
        "first",
        "play",
        "slider",
        "x[0, 0]",
        "γ",
        "ε",
        "more",
        "descend",
        "rate",
        "panel",
        "close variance",
    ):
        assert wanted in reached, wanted
    assert sum(name.startswith(("μ = mean x: value", "y = v3 + β: value")) for name in reached) == 2


def test_pointing_at_a_name_shows_its_box_and_its_array_and_back(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=12")
    page.locator("#equations mi.term", has_text="x̂").first.hover()
    assert box(page, "x̂ = ").evaluate("e => e.classList.contains('linked')")
    assert numbers(page.locator("#tip").inner_text()) == [-1.3416, -0.4472, 0.4472, 1.3416]
    box(page, "μ = ").hover()
    assert page.locator("#equations mi.linked").all_text_contents() == ["μ"] * 3
    page.locator("#equations mi.term", has_text="γ").first.focus()
    assert box(page, "γ:").evaluate("e => e.classList.contains('linked')")
    page.keyboard.press("Enter")
    assert page.locator("#panel h3").first.inner_text() == "Chosen: γ"
    page.locator("#panel math mi", has_text="g").first.hover()
    assert page.locator("#tip b").inner_text() == "g, the cotangent"


def test_choosing_a_value_shows_it_and_its_kin(visit: Callable[..., Any]) -> None:
    page = visit("diamond")
    head = box(page, "left = ").locator(".head")
    head.focus()
    page.keyboard.press("Enter")
    assert page.locator("#panel h3").first.inner_text().startswith("Chosen: left =")
    assert head.get_attribute("aria-pressed") == "true"
    assert page.locator(".box.kin .head").all_inner_texts() == ["x", "y = left + right"]
    page.keyboard.press("Enter")
    assert page.locator(".box.kin").count() == 0
    box(page, "x:").locator(".head").click()
    assert "its gradients add up" in page.locator("#panel").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".box.kin").count() == 0


# -- many operations ---------------------------------------------------------------------------------------------------------


def test_many_layers_are_one_box_with_a_count_and_open_one_by_one(visit: Callable[..., Any]) -> None:
    page = visit("deep")
    assert page.locator("button:visible").count() < 50
    boxes = page.locator("#rows .box.group")
    assert boxes.count() == 1
    assert boxes.inner_text().replace("\xa0", " ").startswith("▸\nLinear, BatchNorm1d, ReLU × 27: 351 operations")
    page.get_by_role("button", name="open Linear, BatchNorm1d, ReLU × 27").click()
    assert page.locator("#rows .box.group > .title").all_inner_texts()[4].startswith("5 of 27: 13 operations")
    assert boxes.count() == 27
    page.get_by_role("button", name="open 1 of 27", exact=True).click()
    assert boxes.count() == 28  # that one opened, not a whole depth: Linear and BatchNorm1d in place of 1
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "close 1 of 27"
    page.get_by_role("button", name="open 1 (BatchNorm1d)", exact=True).click()
    assert boxes.count() == 30  # three named parts in its place
    page.get_by_role("button", name="close 1 of 27", exact=True).press("Enter")
    assert boxes.count() == 27
    page.locator("#search").fill("variance")
    assert page.locator("#hits").inner_text() == "81 found"
    assert page.locator(".box.found:visible").count() == 81
    page.locator("#close").click()
    page.locator("#last").click()
    assert sentence(page).startswith("Backward 354 of 354")
    assert page.locator(".box.active").count() == 1


def test_repeats_of_other_kinds(visit: Callable[..., Any], pages: Path) -> None:
    """Blocks with a way around them, terms of a chain, equal branches; what is not the same stays apart."""

    def chain(x: Any) -> Any:
        for i in range(60):
            x = x * 1.5 if i % 2 else x + 0.5
        return x

    def branches(x: Any) -> Any:
        parts = [ops.tanh(x * x) - x for _ in range(20)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def blocks(x: Any) -> Any:
        for _ in range(15):
            with tg.scope("block"):
                x = x + ops.tanh(x * 0.5)
        return x

    def unequal(x: Any) -> Any:
        for i in range(50):
            x = x * (1.0 + i)
        return x

    each = "multiply, tanh, subtract × 20: 60 operations, gives v60"
    for name, function, wanted in (
        ("chain", chain, ["add, multiply × 30: 60 operations, gives v60"]),
        ("branches", branches, [each, "add × 19: 19 operations, gives v79"]),
        ("blocks", blocks, ["block × 15: 45 operations, gives v45"]),
        ("unequal", unequal, []),
    ):
        explore(pages / f"{name}.html", function(tg.Scalar(0.5, name="x")))
        page = visit(name)
        heads = page.locator("#rows .box.group .head").all_inner_texts()
        assert [head.replace("\xa0", " ") for head in heads] == wanted
        page.keyboard.press("End")
        assert not page.locator(".box.partial").count()
    page = visit("branches")
    assert page.locator(".edge text").all_text_contents() == [
        "×60",
        "×20",
    ]  # arrows beside each other are one with a count


def test_a_module_called_several_times_is_a_box_for_each_call(visit: Callable[..., Any], pages: Path) -> None:
    cell = nn.Linear(2, 2, dtype=float)
    y = cell(ops.tanh(cell(ops.tanh(cell(np.ones((1, 2)))))))
    explore(pages / "cell.html", y, np.ones((1, 2)), module=cell)
    page = visit("cell")
    page.locator("#close").click()
    heads = page.locator("#rows .box.group .head").all_inner_texts()
    assert heads == [f"Linear, call {i} of 3: 3 operations, gives v{v}" for i, v in ((1, 3), (2, 7), (3, 11))]
    page.get_by_role("button", name="open Linear, call 2 of 3").click()
    assert page.locator("#rows .box.group").count() == 2


def test_folding_keeps_the_place(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=14&n=1")
    before, counts = sentence(page), [page.locator("#rows .box").count()]
    for name in ("variance", "normalize", "BatchNorm1d"):
        page.get_by_role("button", name=f"close {name}", exact=True).click()
        counts.append(page.locator("#rows .box").count())
    assert counts == [13, 11, 9, 2]
    assert sentence(page) == before
    assert page.locator(".box.active").count() == 1
    assert "&c=" in page.url
    again = visit("batch_norm", page.url[page.url.index("#") :])
    assert again.locator("#rows .box").count() == 2
    page.get_by_role("button", name="open all").click()
    assert page.locator("#rows .box").count() == 13


def test_it_is_fast_enough_to_drag(visit: Callable[..., Any]) -> None:
    """Counted, not timed: a drag redraws once a frame and builds no new box."""
    page = visit("batch_norm", "#k=18")
    made = page.evaluate(
        """async () => {
          let boxes = 0;
          const watch = new MutationObserver((all) => {
            for (const m of all) boxes += m.target.id === "rows" ? m.addedNodes.length : 0;
          });
          watch.observe(document.getElementById("rows"), { childList: true, subtree: true });
          let draws = 0;
          const draw = panel.draw;
          panel.draw = () => { draws += 1; draw(); };
          for (let i = 0; i < 100; i += 1) { model.set(model.groups()[0], 0, i / 10); page.changed(); }
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          return [draws, boxes];
        }"""
    )
    assert made == [1, 0]


# -- the address ---------------------------------------------------------------------------------------------------------


def test_the_address_holds_the_state(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=13&n=4")
    assert page.url.endswith("#k=13&n=4")
    again = visit("batch_norm", page.url[page.url.index("#") :])
    assert again.locator("main").inner_text() == page.locator("main").inner_text()
    page.evaluate("location.hash = '#k=2&z=9.1'")
    page.wait_for_function("() => document.getElementById('say').textContent.startsWith('Forward 2')")
    assert "number by number" in page.locator("#rows").inner_text()


@pytest.mark.parametrize(
    ("address", "becomes"),
    [
        ("#k=999999&n=999&z=99.99&o=7&c=99", "#k=18&n=12&z=12.3"),
        ("#k=-1&n=__proto__&o=-1&c=x", "#k=0&n=0"),
        ("#%00<script>&k=1e1", "#k=0"),
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
    page.locator("#rows .head").first.click()
    page.locator("#search").fill("<script>")
    page.locator("#search").press("Escape")
    page.locator("#rows .cell").first.click()
    page.locator("#unzoom").click()
    page.locator(".band").first.click()
    assert page.locator("h1").inner_text() == EVIL
    assert EVIL in page.locator("#panel").inner_text()
    assert EVIL in page.locator("#inputs").inner_text()
    assert page.locator("main script").count() == 0


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


def test_inside_of_a_frame_made_of_text_every_step_works(visit: Callable[..., Any]) -> None:
    """As a notebook embeds it: no address can be written there."""
    page = visit("frame")
    frame = page.frame_locator("iframe")
    for k in range(18):
        assert frame.locator("#slider").input_value() == str(k)
        frame.locator("#next").press("Enter")
    assert frame.locator("#say").inner_text().startswith("Backward 9 of 9")
    frame.get_by_role("button", name="close variance").click()
    frame.locator("#rows .box.output .cell").first.click()
    assert "number by number" in frame.locator("#rows").inner_text()


def test_without_scripts_there_is_the_text(visit: Callable[..., Any]) -> None:
    page = visit("diamond", java_script_enabled=False)
    assert "left" in page.locator("noscript pre").inner_text()


def test_what_a_screen_reader_is_told(visit: Callable[..., Any]) -> None:
    page = visit("batch_norm", "#k=12")
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    told = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if not n.get("ignored")]
    wanted = ("button", "spinbutton", "slider", "searchbox", "combobox")
    assert [role for role, name in told if role in wanted and not name.strip()] == []
    assert not [name for _, name in told if "->" in name or "cluster" in name or "undefined" in name]
    names = dict.fromkeys(name for _, name in told)
    assert "μ = mean x: value 2.5, no gradient yet" in names
    assert "x̂ = c / σ: value −1.3416 −0.4472 0.4472 1.3416, gradient 1 0 0 0" in [
        re.sub(r"\s+", " ", name) for name in names
    ]
    assert page.locator("#say").get_attribute("aria-live") == "polite"
    assert page.locator("#panel th:not([scope])").count() == 0


# The size of each text on the page, and its contrast by WCAG 2 against what is behind it.
LOOKS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const plain = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (color) => {
    const [r, g, b] = plain(color).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    if (element.classList.contains("index")) return getComputedStyle(element.previousSibling).fill;
    while (plain(getComputedStyle(element).backgroundColor)[3] < 255 && element.parentElement) element = element.parentElement;
    return getComputedStyle(element).backgroundColor;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    const unseen = ["script", "noscript", "title", "option"].includes(element.tagName.toLowerCase());
    if (!text || unseen || !element.getBoundingClientRect().width) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(element.closest("svg") ? style.fill : style.color), light(behind(element))];
    const off = element.closest("[aria-disabled=true], #line .later");
    const contrast = off ? 21 : (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push({ text, size: parseFloat(style.fontSize), contrast });
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["batch_norm", "network"])
def test_text_can_be_read_in_light_and_dark(name: str, scheme: str, visit: Callable[..., Any]) -> None:
    page = visit(name, "#k=18&n=2", color_scheme=scheme)
    texts = page.evaluate(LOOKS)
    assert len(texts) > 60
    assert [text for text in texts if text["size"] < 12] == []
    assert [text for text in texts if text["contrast"] < 4.5] == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 300) == (scheme == "dark")


@pytest.mark.parametrize(("width", "height"), SCREENS)
@pytest.mark.parametrize(
    ("name", "least"), [("batch_norm", (4, 5, 6, 13)), ("network", (3, 3, 4, 8)), ("deep", (5, 6, 6, 6))]
)
def test_the_first_view_shows_whole_boxes_in_letters_that_can_be_read(
    name: str, least: tuple[int, ...], width: int, height: int, visit: Callable[..., Any]
) -> None:
    page = visit(name, viewport={"width": width, "height": height}, has_touch=width < 500, is_mobile=width < 500)
    whole = page.evaluate(
        """() => [...document.querySelectorAll("#rows .box")].filter((box) => {
          const r = box.getBoundingClientRect();
          const corners = [r.left + 5, r.right - 5].flatMap((x) => [[x, r.top + 5], [x, r.bottom - 5]]);
          return corners.every(([x, y]) => box.contains(document.elementFromPoint(x, y)));
        }).length"""
    )
    assert whole >= least[SCREENS.index((width, height))]
    assert page.locator("#rows .box").first.bounding_box()["y"] < height / 2  # it starts at the first operation
    assert min(text["size"] for text in page.evaluate(LOOKS)) >= 12
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for tab in ("numbers", "details") if width < 500 else ():
        page.locator(f"#tabs [data-tab={tab}]").tap()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    over = page.evaluate(
        """() => [...document.querySelectorAll("#rows .box")].filter((box) => box.scrollWidth > box.clientWidth + 1)
          .map((box) => box.textContent.slice(0, 40))"""
    )
    assert over == []


def test_a_step_is_brought_into_view(visit: Callable[..., Any]) -> None:
    for settings in ({}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}):
        page = visit("network", **settings)
        bar = page.locator("#controls").bounding_box()
        bottom = bar["y"] if bar["y"] > 400 else 800
        for k in range(1, 37, 3):
            page.evaluate("k => page.go(k)", k)
            active = page.locator(".box.active").bounding_box()
            assert active["y"] >= 0
            assert active["y"] + active["height"] <= bottom + 1


def test_who_wants_no_motion_gets_none(visit: Callable[..., Any]) -> None:
    moving = "getComputedStyle(document.querySelector('.edge.flows path')).animationName"
    assert visit("diamond", "#k=2").evaluate(moving) == "flow"
    assert visit("diamond", "#k=2", reduced_motion="reduce").evaluate(moving) == "none"


def test_on_paper_there_are_no_controls_and_all_boxes(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit("batch_norm", "#k=18", color_scheme="dark", viewport={"width": 760, "height": 1075})  # as on A4
    page.emulate_media(media="print")
    assert page.locator("#play").is_hidden()
    assert page.locator("#descend").is_hidden()
    assert page.locator("#rows .box").count() == 13
    cut = "e => e.scrollHeight - e.clientHeight"
    assert max(page.locator(part).evaluate(cut) for part in ("#holder", "#panel", "#left")) <= 1  # nothing is cut off
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
