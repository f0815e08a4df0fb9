"""What the page is given: the engine's gradients, every contribution, checks, rules, pictures; also for odd values."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.graph.programs import COTANGENT, batch_norm, batch_norm_of_scalars, network
from tinygrad_bn import ops
from tinygrad_bn.errors import ArgumentError, ShapeError
from tinygrad_bn.explorer import payload as payload_module
from tinygrad_bn.explorer.examples import steps_without_waiting
from tinygrad_bn.explorer.payload import Invariant, Order, array, payload

RNG = np.random.default_rng(3)


def by_symbol(content: dict[str, Any]) -> dict[str, str]:
    return {node["symbol"]: node_id for node_id, node in content["nodes"].items()}


SYMBOLS = {"1.weight": "γ", "1.bias": "β"}  # of the network's parameters; the others are called by their names


def last_gradients(content: dict[str, Any], order: int = 0) -> dict[str, Any]:
    """Gradients after the last step, as the page computes them."""
    known = dict(content["seeds"])
    for step in content["orders"][order]["steps"]:
        known.update({part["to"]: part["after"] for part in step["parts"]})
    return known


def test_the_last_gradients_are_those_of_backward() -> None:
    net, _ = network()
    out = net(RNG.standard_normal((6, 3)).astype(np.float32))
    cotangent = RNG.standard_normal((6, 2)).astype(np.float32)
    content = payload(out, cotangent, module=net)
    out.backward(cotangent)
    found, ids = last_gradients(content), by_symbol(content)
    for name, parameter in net.named_parameters():
        node_id = ids[SYMBOLS.get(name, name)]
        assert found[node_id]["exact"] == parameter.grad.numpy().ravel().tolist()
        assert found[node_id] == content["nodes"][node_id]["grad"]


def test_every_step_adds_up() -> None:
    """Contributions: before + given = after, the local derivative times g is the contribution, sums undo broadcasting."""
    layer, y = batch_norm()
    content = payload(y, RNG.standard_normal((4, 1)), module=layer)
    summed, fan_out = 0, 0
    for step in content["orders"][0]["steps"]:
        for part in step["parts"]:
            given, after = np.array(part["given"]["exact"]), np.array(part["after"]["exact"])
            if part["before"] is not None:
                fan_out += 1
                np.testing.assert_allclose(np.array(part["before"]["exact"]) + given, after, rtol=1e-12)
            if part["local"] is not None:
                product = np.array(part["local"]["exact"]) * np.array(step["upstream"]["exact"])
                summed += bool(part["reduced"])
                np.testing.assert_allclose(product.sum() if part["reduced"] else product, given, rtol=1e-12, atol=1e-15)
    assert summed >= 3  # x - mean, / sigma, weight, bias
    assert fan_out >= 2  # x and x - mean are used twice


def test_numeric_checks_agree_with_the_gradients_and_would_notice_an_error() -> None:
    net, loss = network()
    content = payload(loss, None, module=net)
    found = last_gradients(content)
    called = {SYMBOLS.get(name, name) for name, _ in net.named_parameters()}
    assert {content["nodes"][i]["symbol"] for i in content["checks"]} == called
    for node_id, check in content["checks"].items():
        np.testing.assert_allclose(check["exact"], found[node_id]["exact"], atol=2e-5)
    wrong = tg.Primitive("wrong", lambda x: x**2, lambda g, out, x: g * x)
    bad = payload(wrong(tg.Tensor([3.0], requires_grad=True)), None)
    assert last_gradients(bad)["n0"]["exact"] == [3.0]
    assert bad["checks"]["n0"]["exact"] == pytest.approx([6.0])


def test_a_budget_keeps_the_check_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_module, "MOST_REPLAYED", 2 * 3)
    x, w = tg.Scalar(3.0, name="x"), tg.Tensor(np.ones(4), requires_grad=True)
    assert set(payload(x * 1.0, None)["checks"]) == {"n0"}  # one leaf of one element, three nodes
    assert payload((w * 1.0).sum(), None)["checks"] == {}


def test_waiting_for_all_gradients_matters() -> None:
    a = tg.Scalar(1.0, name="a")
    b = a + a
    c = b + b
    wrong = payload(c, None, orders=[Order("wrong", steps_without_waiting(c))])
    assert last_gradients(wrong)["n0"]["exact"] == [2.0]
    assert last_gradients(payload(c, None))["n0"]["exact"] == [4.0]
    assert wrong["checks"]["n0"]["exact"] == pytest.approx([4.0])


def test_the_faulty_order_is_right_where_nothing_is_used_twice() -> None:
    x = tg.Scalar(0.5, name="x")
    y = (x * 3.0).exp()
    found = last_gradients(payload(y, None, orders=[Order("", steps_without_waiting(y))]))
    assert found["n0"]["exact"] == pytest.approx([3.0 * np.exp(1.5)])


def test_invariants_hold_at_the_end() -> None:
    layer, y = batch_norm()
    x = next(v for v in tg.graph.tracing.trace_ids(y) if v.name == "x")
    content = payload(y, COTANGENT, module=layer, invariants=[Invariant("sum", x, 1.0)], facts=[("half", 0.5)])
    label, node_id, weights = content["invariants"][0]
    assert (label, content["nodes"][node_id]["symbol"], weights) == ("sum", "x", [1.0] * 4)
    assert np.dot(weights, last_gradients(content)[node_id]["exact"]) == pytest.approx(0, abs=1e-15)
    assert content["facts"] == [["half", array(0.5)]]


@pytest.mark.parametrize(
    ("value", "text", "cells"),
    [
        (np.empty((0, 3)), "empty", 0),
        (np.array([np.nan, np.inf, -np.inf, 2.0]), "NaN  +inf  -inf  2", 4),
        (np.zeros(3), "0  0  0", 3),
        (np.arange(65.0), "0 … 32 … 64", None),
        (np.full(65, np.nan), "no finite element", None),
        (np.array([True, False]), "1  0", 2),
        (2.5, "2.5", 1),
    ],
)
def test_arrays(value: Any, text: str, cells: int | None) -> None:
    found = array(value)
    assert found["text"] == text
    assert found["shape"] == list(np.shape(value))
    assert (None if found["cells"] is None else len(found["cells"])) == cells
    json.dumps(found, allow_nan=False)
    assert all(-1 <= heat <= 1 for _, heat in found["cells"] or [])


def wanting(*values: float) -> tg.Tensor:
    return tg.Tensor(np.array(values), requires_grad=True, name="leaf")


ODD = {
    "large": lambda: (ops.sum(ops.exp(tg.Tensor(np.ones((10, 10)), requires_grad=True))), None),
    "empty": lambda: (tg.Tensor(np.empty((0, 3)), requires_grad=True) * 2.0, np.empty((0, 3))),
    "root of zero": lambda: (tg.Scalar(0.0).sqrt(), None),
    "overflow": lambda: (tg.Scalar(1e300) * 1e300, None),
    "power of zero": lambda: (tg.Scalar(0.0) ** tg.Scalar(0.5), None),
    "infinite": lambda: (ops.log(wanting(0.0, 1.0)), np.ones(2)),
    "leaf as output": lambda: ([(leaf := wanting(1.0, 2.0)) * 2.0, leaf], [np.ones(2), np.ones(2)]),
    "zero-dimensional": lambda: (ops.sum(wanting(1.0, 2.0)), None),
    "comparison": lambda: (ops.where((leaf := wanting(1.0, 2.0)) > 1.5, leaf, leaf * 0.1).sum(), None),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_programs_become_json(case: str) -> None:
    with np.errstate(all="ignore"):
        content = payload(*ODD[case]())
    again = json.loads(json.dumps(content, allow_nan=False))
    assert again["views"][0]["svg"].startswith("<svg")
    assert set(again["nodes"]) == set(again["views"][0]["standsFor"])
    assert set(last_gradients(again)) == {i for i, node in again["nodes"].items() if node["wants"]}


def test_an_output_needs_a_cotangent() -> None:
    with pytest.raises(ShapeError, match="needs a cotangent"):
        payload(wanting(1.0, 2.0) * 2.0, None)


# -- rules ---------------------------------------------------------------------------------------------------------------


def rules_of(y: Any) -> dict[str, str]:
    return {part["to"]: part["rule"] for part in payload(y, None)["orders"][0]["steps"][0]["parts"]}


def read(markup: str) -> str:
    return "".join(ElementTree.fromstring(markup).itertext()).replace(" ", "")


def test_rules_are_written_with_the_nodes_own_names() -> None:
    x, w = tg.Scalar(2.0, name="x"), tg.Scalar(3.0, name="w")
    y = x / w
    y.name = "ratio"
    assert {i: read(rule) for i, rule in rules_of(y).items()} == {
        "n0": "gw",
        "n1": "g·(ratio-w)",
    }  # g/w, g·(ratio/(-w))
    assert "<mfrac>" in rules_of(y)["n0"]
    assert read(rules_of(tg.Scalar(2.0, name="x") ** 3)["n0"]) == "g·(3·(x^2))"


def test_a_rule_at_a_tie_is_the_one_that_ran() -> None:
    a, b = tg.Scalar(1.0, name="a"), tg.Scalar(1.0, name="b")
    part = payload(ops.maximum(a, b), None)["orders"][0]["steps"][0]["parts"][0]
    assert part["given"]["text"] == "0.5"
    assert read(part["rule"]) == "(g·0.5)if(a=b)else(gif(a>b)else0)"


def test_hostile_names_stay_text_in_rules() -> None:
    x, w = tg.Scalar(2.0, name="x"), tg.Scalar(-1.5e7, name="</math><script>alert(1)</script>")
    assert read(rules_of(x * w)["n0"]) == "g·</math><script>alert(1)</script>"
    assert "<mn>-1.5e+07</mn>" in rules_of(x * -1.5e7)["n0"]


# -- pictures ------------------------------------------------------------------------------------------------------------


def nodes_in(svg: str) -> set[str]:
    found = {e.findtext("{*}title") for e in ElementTree.fromstring(svg).iter() if e.get("class") == "node"}
    return {title for title in found if title is not None}


def test_one_picture_per_combination_of_closed_modules() -> None:
    layer, y = batch_norm()
    content = payload(y, COTANGENT, module=layer)
    names = ["/".join(path) for path in content["modules"]]
    assert names == [
        "BatchNorm1d",
        *(f"BatchNorm1d/{part}" for part in ("mean", "normalize", "scale and shift", "variance")),
    ]
    closed = [tuple(view["closed"]) for view in content["views"]]
    assert len(set(closed)) == len(closed) == 2**4 + 1  # the four parts, each open or closed; and the layer as a whole
    for view in content["views"]:
        shown = nodes_in(view["svg"])
        assert shown == set(view["standsFor"].values()) == set(view["faces"])
        assert all(view["standsFor"][face] == shown_as for shown_as, face in view["faces"].items())


def test_a_closed_module_shows_what_leaves_it() -> None:
    layer, y = batch_norm()
    content = payload(y, COTANGENT, module=layer)
    for view in content["views"]:
        for shown, face in view["faces"].items():
            group = next(
                e for e in ElementTree.fromstring(view["svg"]).iter()
                if e.get("class") == "node" and e.findtext("{*}title") == shown
            )  # fmt: skip
            words = [" ".join(t.split()) for t in group.itertext()]
            node = content["nodes"][face]
            assert " ".join(node["value"]["text"].split()) in words or node["kind"] == "constant"


def test_many_modules_close_by_depth() -> None:
    net, loss = network()
    content = payload(loss, None, module=net)
    assert len(content["modules"]) > payload_module.MOST_SCOPES
    assert len(content["views"]) == 1 + max(map(len, content["modules"]))
    sizes = [len(view["faces"]) for view in content["views"]]
    assert sizes == sorted(sizes, reverse=True)


def test_scopes_with_a_slash_in_their_name() -> None:
    x = tg.Scalar(2.0)
    with tg.scope("a/b"), tg.scope("</script>"):
        y = x * 3.0
    content = payload(y, None)
    assert content["modules"] == [["a/b"], ["a/b", "</script>"]]
    assert [view["closed"] for view in content["views"]] == [[], [0], [1]]
    assert len(content["views"][1]["faces"]) == 2  # x, and the closed scope with its constant


def test_large_graphs_start_with_modules_closed_or_are_refused() -> None:
    x = tg.Scalar(1.0, name="x")
    with tg.scope("many"):
        y = x
        for _ in range(200):
            y = y * 1.0
    assert [view["closed"] for view in payload(y, None)["views"]] == [[0]]
    for _ in range(200):
        y = y + 1.0
    with pytest.raises(ArgumentError, match="801 nodes"):
        payload(y, None)


def test_scalars_of_each_element() -> None:
    layer, y = batch_norm()
    content = payload(y, COTANGENT, module=layer, scalars=batch_norm_of_scalars())
    assert [zoom["label"] for zoom in content["zoom"]] == [f"element {i}" for i in range(4)]
    text = " ".join(ElementTree.fromstring(content["zoom"][0]["svg"]).itertext())
    assert re.search(r"x\[0, 0\].*0\.2683", text, re.DOTALL)  # the gradient of y[0] alone, as in the worked example
    assert payload(y, COTANGENT, scalars=tg.scalarize(np.ones(9)))["zoom"] == []


def test_lines_of_code() -> None:
    x = tg.Scalar(2.0)
    with tg.record_sites():
        y = x.exp()
    node = payload(y, None)["nodes"]["n1"]
    assert node["code"] == "y = x.exp()"
    assert re.fullmatch(r"test_payload\.py:\d+", node["site"])
    assert payload(x.exp(), None)["nodes"]["n1"]["code"] == ""
