"""The playground: its page computes what Python computes, the same seed gives the same run, and a reader can use it."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.playground import examples
from demos.playground.__main__ import main
from demos.playground.examples import EXAMPLES, described, measure, sentence
from demos.playground.generator import DATA, POINTS, PURPOSES, Order, Stream, points, weights
from demos.playground.networks import ACTIVATIONS, DEPTHS, WIDTH, recorded
from demos.playground.packing import packed
from demos.playground.training import Setting, Training
from tests.browsing import browsing
from tests.explorer.test_browser import LOOKS, SCREENS
from tinygrad_bn.program import Program

STEPS = 100
# Every data set, activation and depth, batches from 2 to 128, rates from 0.03 to 1, weights from 0.25 to 2; settings in which
# a change of the initial weights in the last place stays far below the bound.
GRID = [
    Setting("moons", 32, 0.1, 1.0, 4, "tanh"),
    Setting("circles", 32, 0.1, 0.25, 6, "relu"),
    Setting("circles", 16, 0.3, 1.0, 3, "sigmoid", seed=3),
    Setting("spiral", 128, 0.1, 1.4, 8, "relu", seed=7),
    Setting("spiral", 8, 0.03, 1.0, 3, "tanh", seed=11),
    Setting("xor", 4, 0.1, 1.0, 1, "relu", seed=2),
    Setting("xor", 64, 1.0, 2.0, 2, "sigmoid", seed=5),
    Setting("moons", 64, 0.1, 1.4, 5, "relu", seed=1),
    Setting("xor", 32, 0.1, 1.4, 7, "relu", seed=1),
    Setting("moons", 2, 0.03, 1.4, 1, "tanh", seed=999999),
]  # fmt: skip
CHAOTIC = Setting("moons", 8, 3.0, 0.25, 5, "tanh", seed=709)
LOSSES = """([setting, steps]) => {
  const run = pair.started(setting);
  for (let i = 0; i < steps; i += 1) run.advance();
  return run.networks.map((each) => each.losses.map(String));
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "playground.html"
    assert main(["--out", str(path)]) == 0
    return path


@pytest.fixture
def visit(chromium: Any, file: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page, with what comes after its address."""
    with browsing(chromium, lambda: [file.as_uri()]) as open_page:
        yield lambda address="", **settings: open_page(file.as_uri() + address, **settings)


def in_page(page: Any, setting: Setting, steps: int = STEPS) -> list[np.ndarray]:
    """The losses of the plain network, and of the one with BN."""
    return [numbers(losses) for losses in page.evaluate(LOSSES, [asdict(setting), steps])]


def numbers(losses: list[str]) -> np.ndarray:
    return np.array([float(text.replace("Infinity", "inf")) for text in losses])


def in_python(setting: Setting, bn: bool, steps: int = STEPS) -> np.ndarray:
    """The losses of the function itself: no program, nothing simplified."""
    return np.array(Training(setting, bn, recorded=False).run(steps))


def until(page: Any, steps: int) -> None:
    """Wait for so many steps; not by Playwright's own waiting, which the page's policy forbids."""
    end = time.monotonic() + 30
    while page.evaluate("page.state().steps") < steps:
        assert time.monotonic() < end
        page.wait_for_timeout(50)


# -- numbers ----------------------------------------------------------------------------------------------------------------


def test_numbers_equal_pythons_for_a_hundred_steps(visit: Callable[..., Any]) -> None:
    page = visit()
    for setting in GRID:
        for bn, got in zip((False, True), in_page(page, setting)):
            np.testing.assert_allclose(got, in_python(setting, bn), rtol=0, atol=1e-6, err_msg=f"{setting} {bn}")


def test_where_training_is_chaotic_the_page_is_as_near_as_a_neighbor_in_the_last_place(
    visit: Callable[..., Any],
) -> None:
    """No two libraries agree there; the page parts from Python as Python parts from itself, not before."""
    _, got = in_page(visit(), CHAOTIC)
    expected = in_python(CHAOTIC, bn=True)
    beside = Training(CHAOTIC, bn=True, recorded=False)
    for linear in (*beside.network.linear, beside.network.last):
        linear.weight.data = np.nextafter(linear.weight.data, np.inf)
    neighbor = np.maximum.accumulate(np.abs(np.array(beside.run(STEPS)) - expected))
    assert neighbor[-1] > 1e-3
    assert np.all(np.abs(got - expected) <= 100 * neighbor + 1e-13)


def test_the_gaps_would_be_seen(visit: Callable[..., Any]) -> None:
    """Another seed, rate or weight, however little, is far from the bound of the comparison."""
    page, setting = visit(), GRID[0]
    expected = in_python(setting, bn=True, steps=5)
    for other in (replace(setting, seed=1), replace(setting, rate=0.1001), replace(setting, scale=1.0001)):
        assert np.abs(in_page(page, other, 5)[1] - expected).max() > 1e-5


def test_data_weights_and_order_are_drawn_alike(visit: Callable[..., Any]) -> None:
    page = visit()
    for data, seed, purpose in [
        (data, seed, purpose) for data in DATA for seed, purpose in enumerate(PURPOSES[:2], 41)
    ]:
        got, classes = page.evaluate(
            "args => generator.points(...args).map((part) => Array.from(part))", [data, seed, purpose]
        )
        x, labels = points(data, seed, purpose)
        assert got == x.ravel().tolist()
        assert classes == labels.ravel().tolist()
    drawn = page.evaluate("() => Array.from(generator.weights(generator.stream(3, 'weights'), 16, 5, 1.4))")
    assert drawn == weights(Stream(3, "weights"), 16, 5, 1.4).ravel().tolist()
    batches = page.evaluate("() => { const next = generator.order(8, 64); return Array.from({ length: 10 }, next); }")
    order = Order(8, 64)
    assert batches == [order.next() for _ in range(10)]


def test_a_prepared_program_runs_as_in_the_interpreter(visit: Callable[..., Any]) -> None:
    """Its loops know positions beforehand, and keep their arrays; the numbers are the same ones."""
    found = visit().evaluate(
        """() => {
          const setting = { data: "moons", batch: 8, rate: 0.1, scale: 1, depth: 3, activation: "relu", seed: 0 };
          const both = pair.started(setting);
          const found = [];
          for (const [i, arm] of pair.ARMS.entries()) {
            const order = generator.order(0, 8);
            const [step] = programs(3, "relu", arm).map((program) => pair.initial(program, setting));
            for (let k = 0; k < 20; k += 1) {
              if (i === 0) both.advance();
              const batch = order();
              const x = Float64Array.from(batch.flatMap((p) => [both.points[2 * p], both.points[2 * p + 1]]));
              const t = Float64Array.from(batch, (p) => both.classes[p]);
              const value = (columns, data) => ({ shape: [8, columns], dtype: "float64", data });
              const [loss] = interpreter.run(step, [value(2, x), value(1, t)]);
              found.push([loss.data[0], i, k]);
            }
          }
          return found.map(([loss, i, k]) => [loss, both.networks[i].losses[k]]);
        }"""
    )
    assert len(found) == 40
    assert [a for a, _ in found] == [b for _, b in found]


def test_answers_and_dead_units_are_pythons(visit: Callable[..., Any]) -> None:
    setting = Setting("circles", 16, 0.1, 0.25, 6, "relu", seed=4)
    found = visit().evaluate(
        """(setting) => {
          const run = pair.started(setting);
          for (let i = 0; i < 40; i += 1) run.advance();
          return run.networks.map((each) => ({ right: each.accuracies.at(-1), dead: each.dead,
            map: Array.from(pair.cells(each)), steps: each.drift.map(({ step }) => step) }));
        }""",
        asdict(setting),
    )
    for bn, got in zip((False, True), found):
        training = Training(setting, bn, recorded=False)
        training.run(40)
        assert got["right"] == training.accuracy()
        assert got["steps"] == [1, 10, 20, 30, 40]
        training.network.eval()
        _, inputs = training.network(points(setting.data, setting.seed, "training points")[0])
        expected = [(z.numpy() <= 0).all(axis=0).tolist() for z in inputs]
        assert got["dead"] == expected
        assert any(map(any, expected)) != bn
        side = int(math.sqrt(len(got["map"])))
        at = ((np.arange(side) + 0.5) / side * 2 - 1) * 1.9
        cells = np.stack(np.meshgrid(at, -at), axis=-1).reshape(-1, 2)
        scores = training.answers(cells).ravel()
        np.testing.assert_allclose(got["map"], 1 / (1 + np.exp(-scores)), atol=1e-9)


def test_same_seed_same_run_however_it_is_clocked(visit: Callable[..., Any]) -> None:
    page = visit("#seed=5&depth=2")
    losses = "() => page.networks().map((each) => Array.from(each.losses))"
    for _ in range(12):
        page.locator("#step").click()
    one_by_one = page.evaluate(losses)
    assert [len(found) for found in one_by_one] == [12, 12]
    page.locator("#again").click()
    page.locator("#speed").select_option("fast")
    page.locator("#train").click()
    until(page, 50)
    page.locator("#train").click()
    assert [found[:12] for found in page.evaluate(losses)] == one_by_one
    page.locator("#reseed").click()
    page.locator("#step").click()
    assert page.evaluate("page.state().seed") == 6
    assert page.evaluate(losses)[0][0] != one_by_one[0][0]


# -- the page ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_it_fits_and_can_be_read(visit: Callable[..., Any], width: int, height: int, scheme: str) -> None:
    page = visit("#depth=8&batch=8", viewport={"width": width, "height": height}, color_scheme=scheme)
    page.locator("#step").click()
    page.get_by_role("button", name="where does BN lose?").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    texts = page.evaluate(LOOKS)
    assert len(texts) > 30
    assert [text for text in texts if text["size"] < 13 or text["contrast"] < 4.5] == []
    maps = page.locator(".map")
    assert [maps.nth(i).bounding_box()["y"] + 150 < height for i in range(2)] == [True, True]  # both, in the first view
    assert all(box["width"] >= 60 for box in (page.locator(f"#bn-{i}").bounding_box() for i in range(8)))
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("canvas, button, input, select")].filter((each) =>
          !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length)).map((each) => each.outerHTML)"""
    )
    assert nameless == []


def test_the_keyboard_alone_finds_where_bn_loses(visit: Callable[..., Any]) -> None:
    page = visit(reduced_motion="reduce")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Train
    until(page, 5)
    page.keyboard.press("t")
    assert page.evaluate("page.state().training") is False
    assert "unseen points right" in page.locator("#live").inner_text()
    page.keyboard.press("r")
    page.keyboard.press("s")
    assert page.evaluate("page.state().steps") == 1
    page.locator("#depth").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#activation input:checked").focus()
    page.keyboard.press("ArrowRight")
    state = page.evaluate("page.state()")
    assert (state["depth"], state["activation"], state["steps"]) == (5, "relu", 0)
    assert "depth=5" in page.url
    page.get_by_role("button", name="where does BN lose?").focus()
    page.keyboard.press("Enter")
    assert "mean and variance from the batch" in page.locator("#found").inner_text()
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.textContent") != "Show one":
        page.keyboard.press("Tab")
    page.locator("#speed").select_option("fast")
    page.get_by_role("button", name="Show one").focus()
    page.keyboard.press("Enter")
    until(page, 300)
    page.keyboard.press("t")
    accuracies = page.evaluate("page.networks().map((each) => each.accuracies.at(-1))")
    assert accuracies[0] > accuracies[1] + 0.1
    assert "behind 20 times" in page.locator("#found").inner_text()


def test_an_address_brings_back_a_setting_and_nonsense_is_passed_over(visit: Callable[..., Any]) -> None:
    address = "#data=spiral&batch=2&rate=0.3&scale=1.4&depth=8&activation=sigmoid&seed=12"
    state = visit(address).evaluate("page.state()")
    assert (state["data"], state["batch"], state["rate"], state["depth"], state["seed"]) == ("spiral", 2, 0.3, 8, 12)
    state = visit("#data=<b>&batch=-1&depth=99&seed=1e9&__proto__=1&rate=NaN").evaluate("page.state()")
    assert {name: state[name] for name in asdict(Setting())} == asdict(Setting())


def test_infinities_are_told(visit: Callable[..., Any]) -> None:
    page = visit("#rate=3&scale=2&depth=8&activation=relu&batch=2")
    for _ in range(8):
        page.locator("#step").click()
    assert "computes with infinities" in page.locator("#say").inner_text()


def test_one_small_file_that_allows_only_itself(file: Path) -> None:
    html = file.read_text(encoding="utf-8")
    assert file.stat().st_size < 400_000
    policy = unescape(re.search('Content-Security-Policy" content="([^"]*)"', html)[1])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http:" not in html
    assert "https:" not in html
    assert "eval(" not in html


# -- in Python --------------------------------------------------------------------------------------------------------------


def test_a_packed_program_is_the_recorded_one() -> None:
    step, _ = recorded(2, "relu", True)
    whole = packed({"one": [step]})
    short, shared = whole["programs"]["one"][0], whole["shared"]
    original = json.loads(step.to_json())
    steps = [
        [name, args, params, shape, dtype, [], "", [], ""]
        for (place, *args) in short["steps"]
        for name, params, shape, dtype in [shared[place]]
    ]
    states = [{**shared[place], "value": state["value"]} for place, state in zip(short["states"], original["states"])]
    text = json.dumps({
        **original, **short, "steps": steps, "states": states, "inputs": [shared[i] for i in short["inputs"]],
        "constants": [shared[i] for i in short["constants"]], "modules": [],
    })  # fmt: skip
    direct, again = Program.from_json(step.to_json()), Program.from_json(text)
    assert (again.free, again.smallest_n, again.writes) == (True, 2, direct.writes)
    x, labels = points("xor", 0, PURPOSES[0])
    for at in (0, 32):
        one, other = (program.run(x[at : at + 32], labels[at : at + 32])[0] for program in (direct, again))
        assert one == other


def test_the_draws_are_those_of_the_formula() -> None:
    """Written again, one number at a time, in Python's own integers."""

    def mix(x: int) -> int:
        x = ((x ^ (x >> 16)) * 0x85EBCA6B) % 2**32
        x = ((x ^ (x >> 13)) * 0xC2B2AE35) % 2**32
        return x ^ (x >> 16)

    start = mix((7 + 3 * 0x9E3779B9) % 2**32)
    expected = [mix((start + i * 0x9E3779B9) % 2**32) / 2**32 for i in range(1, 2001)]
    stream = Stream(7, "weights")
    drawn = [*stream.uniform(500), *stream.uniform(1500)]
    assert drawn == expected
    assert abs(np.mean(drawn) - 0.5) < 0.02
    assert abs(np.var(drawn) - 1 / 12) < 0.004
    normal = Stream(7, "order").normal(4000)
    assert abs(normal.mean()) < 0.05
    assert abs(normal.std() - 1) < 0.04


@pytest.mark.parametrize("data", DATA)
def test_data_has_two_classes_inside_of_the_map(data: str) -> None:
    x, labels = points(data, 3, PURPOSES[0])
    assert x.shape == (POINTS, 2)
    assert labels.mean() == 0.5
    assert np.abs(x).max() < 1.9
    assert not np.array_equal(x, points(data, 3, PURPOSES[1])[0])
    assert not np.array_equal(x, points(data, 4, PURPOSES[0])[0])


def test_every_epoch_has_every_point_once() -> None:
    order = Order(0, 64)
    epochs = [[point for _ in range(4) for point in order.next()] for _ in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(POINTS))] * 2
    assert epochs[0] != epochs[1]


def test_initial_weights_have_the_spread_that_was_asked_for() -> None:
    drawn = weights(Stream(0, "weights"), WIDTH, 4000, 1.4)
    assert abs(drawn.std() * math.sqrt(WIDTH) - 1.4) < 0.02


@pytest.mark.parametrize("bn", [False, True])
def test_the_simplified_program_trains_as_the_function_does(bn: bool) -> None:
    setting = Setting("xor", 16, 0.1, 1.0, 2, "tanh", seed=2)
    np.testing.assert_allclose(Training(setting, bn).run(30), in_python(setting, bn, 30), rtol=0, atol=1e-11)


def test_the_page_says_what_was_measured_and_refuses_what_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told = described()
    assert [entry["setting"] for entry in told] == [asdict(example.setting) for example in EXAMPLES]
    lost = [entry for entry in told if "behind 20 times" in entry["found"]]
    assert [entry["title"] for entry in lost] == ["where does BN lose?"]
    other = replace(EXAMPLES[0], steps=7)
    monkeypatch.setattr(examples, "EXAMPLES", [other])
    with pytest.raises(ValueError, match="was not measured"):
        described()


@pytest.mark.parametrize("name", ["two points", "shallow"])
def test_kept_measurements_can_be_measured_again(name: str) -> None:
    example = next(example for example in EXAMPLES if example.name == name)
    kept = json.loads(examples.MEASURED.read_text(encoding="utf-8"))[name]
    found = measure(example, 1)
    for arm in ("plain", "bn"):
        assert abs(found[arm][0] - kept[arm][0]) < 0.05  # another machine's last places may lead elsewhere
    assert (found["bn"][0] < found["plain"][0] - 0.1) == (name == "two points")


def test_a_sentence_counts_wins_and_losses() -> None:
    found = {"steps": 9, "bn": [0.9, 0.5, 0.7], "plain": [0.8, 0.6, 0.7]}
    said = sentence(found).replace("\N{NO-BREAK SPACE}", " ")
    assert "over 3 seeds: after 9 steps BN has 70 % of unseen points right, the plain network 70 %" in said
    assert said.endswith("BN is ahead 1 times, behind 1 times.")


def test_every_choice_has_its_programs(visit: Callable[..., Any]) -> None:
    found = visit().evaluate(
        "() => page.CHOICES.depth.values.flatMap((depth) => page.CHOICES.activation.values.flatMap((activation) =>"
        " pair.ARMS.map((arm) => programs(depth, activation, arm).flatMap(interpreter.unknown).length)))"
    )
    assert found == [0] * (2 * len(DEPTHS) * len(ACTIVATIONS))
    assert len(found) == 48


def test_a_place_that_cannot_be_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot write" in capsys.readouterr().err
