"""What the page is given: a program that computes the engine's gradients and contributions, names, rules; odd values too."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.graph.programs import COTANGENT, batch_norm, network
from tinygrad_bn import functional, graph, nn, ops
from tinygrad_bn.errors import ArgumentError, ShapeError
from tinygrad_bn.explorer import payload as payload_module
from tinygrad_bn.explorer.examples import without_waiting
from tinygrad_bn.explorer.payload import Invariant, Lesson, Order, payload
from tinygrad_bn.program import Program, evaluate
from tinygrad_bn.program.written import _back

RNG = np.random.default_rng(3)


class Numbers:
    """Every value of a payload's program, as Python computes them from nothing but the payload."""

    def __init__(self, content: dict[str, Any], order: int = 0, inputs: list[Any] | None = None) -> None:
        self.content = json.loads(json.dumps(content, allow_nan=False))
        self.walk = self.content["walks"][order]
        self.program = Program.from_json(json.dumps(self.walk["program"]))
        given = [_back(x) for x in self.content["inputs"]] if inputs is None else inputs
        self.given = [float(x) if isinstance(x, (int, float)) else x for x in given]
        n = next(
            (len(x) for e, x in zip(self.program.inputs, self.given) if e.shape and not isinstance(e.shape[0], int)),
            None,
        )
        with np.errstate(all="ignore"):
            self.results = evaluate(self.program, self.given, n)

    def node(self, name: str) -> int:
        return next(i for i, node in enumerate(self.content["nodes"]) if name in (node["name"], node.get("own")))

    def value(self, name: str) -> Any:
        return self.results[self.walk["numbers"][self.node(name)]]

    def gradient(self, name: str) -> Any:
        return self.results[self.walk["gradients"][self.node(name)]]


def test_the_gradients_are_those_of_backward() -> None:
    net, _ = network()
    x = tg.Tensor(RNG.standard_normal((6, 3)).astype(np.float32), requires_grad=True, name="x")
    out = net(x)
    cotangent = RNG.standard_normal((6, 2)).astype(np.float32)
    found = Numbers(payload(out, cotangent, module=net))
    out.backward(cotangent)
    for name, variable in (*net.named_parameters(), ("x", x)):
        np.testing.assert_array_equal(found.gradient(name), variable.grad.numpy())


def test_every_step_adds_up() -> None:
    """Contributions: before + given = after; those of a step come one after the other; un-broadcasting is said."""
    layer, y = batch_norm()
    found = Numbers(payload(y, RNG.standard_normal((4, 1)), module=layer))
    known = {}
    summed = fan_out = 0
    for step in found.walk["steps"]:
        for part in step["parts"]:
            given, after = found.results[part["given"]], found.results[part["after"]]
            summed += bool(part["reduced"])
            assert np.shape(found.results[part["returned"]]) == np.shape(given) or part["reduced"]
            if part["before"] is None:
                np.testing.assert_array_equal(given, after)
            else:
                fan_out += 1
                assert known[part["to"]] == part["before"]
                np.testing.assert_allclose(found.results[part["before"]] + given, after, rtol=1e-15)
            known[part["to"]] = part["after"]
    assert summed == 4  # x - mean, / sigma, weight, bias
    assert fan_out == 2  # x and x - mean are used twice


def test_waiting_for_all_gradients_matters() -> None:
    a = tg.Scalar(1.0, name="a")
    b = a + a
    c = b + b
    content = payload(c, None, orders=[Order("right", payload_module.engines), Order("wrong", without_waiting)])
    assert [Numbers(content, order).gradient("a") for order in (0, 1)] == [4.0, 2.0]


def test_the_faulty_order_is_right_where_nothing_is_used_twice() -> None:
    x = tg.Scalar(0.5, name="x")
    found = Numbers(payload((x * 3.0).exp(), None, orders=[Order("", without_waiting)]))
    assert found.gradient("x") == pytest.approx(3.0 * np.exp(1.5))


def test_the_same_program_for_any_number_of_rows() -> None:
    def made(n: int) -> Any:
        x = tg.Tensor(np.arange(1.0, n + 1.0).reshape(n, 1), requires_grad=True, name="x")
        return functional.batch_norm(x, training=True)

    content = payload(made(4), COTANGENT, rows=(4, lambda n: (made(n), np.ones((n, 1)))))
    assert content["fixed_rows"] == ""
    x, dy = RNG.standard_normal((7, 1)), RNG.standard_normal((7, 1))
    leaf = tg.Tensor(x, requires_grad=True)
    functional.batch_norm(leaf, training=True).backward(dy)
    np.testing.assert_allclose(Numbers(content, inputs=[x, dy]).gradient("x"), leaf.grad.numpy(), rtol=1e-12)
    rules = [part["rule"] for step in content["walks"][0]["steps"] for part in step["parts"]]
    assert any("<mi>N</mi>" in rule for rule in rules)
    assert not any("<mn>4</mn>" in rule for rule in rules)


def test_rows_that_cannot_be_added_say_why() -> None:
    def leaf(n: int) -> Any:
        return tg.Tensor(np.arange(1.0, n + 1.0), requires_grad=True, name="x")

    def two_ways(n: int) -> Any:
        return ops.sum(leaf(n) if n < 6 else leaf(n) * 2.0)

    def of_four(n: int) -> Any:
        return ops.sum(leaf(n) * np.arange(4.0))

    def drawn(n: int) -> Any:
        return ops.sum(functional.dropout(leaf(n), 0.5, training=True))

    for made, why in ((two_ways, "operations"), (of_four, "broadcast"), (drawn, "random draws")):
        content = payload(made(4), None, rows=(4, lambda n, made=made: (made(n), None)))
        assert why in content["fixed_rows"]
        assert not content["walks"][0]["program"]["free"]


def test_names_occur_once_and_are_counted_without_gaps() -> None:
    x, again = (tg.Tensor([1.0, 2.0], requires_grad=True, name="x") for _ in range(2))
    taken = tg.Tensor([1.0, 2.0], requires_grad=True, name="v2")
    y = ops.exp(x * again) * 4.0 + taken
    names = [node["name"] for node in payload(y.sum(), None)["nodes"] if node["kind"] != "number"]
    assert names == ["x₁", "x₂", "v1", "v3", "v4", "v2", "v5", "v6"]


def test_values_are_called_as_in_the_pictures() -> None:
    net, _ = network()
    y = net(tg.Tensor(RNG.standard_normal((6, 3)).astype(np.float32), requires_grad=True, name="x")).sum()
    labels = {node.label for node in graph.trace(y, 1.0, net).nodes if node.kind != "constant"}
    nodes = payload(y, None, module=net)["nodes"]
    assert labels == {node["name"] for node in nodes if node["kind"] not in ("number", "constant")}
    assert {"μ", "γ", "x̂"} <= labels
    assert next(node["own"] for node in nodes if node["name"] == "γ") == "1.weight"


def test_constants_with_a_name() -> None:
    layer, y = batch_norm()
    lesson = Lesson(constants={1e-5: "ε"})
    nodes = {node["name"]: node for node in payload(y, COTANGENT, module=layer, lesson=lesson)["nodes"]}
    assert nodes["ε"]["kind"] == "constant"
    assert nodes["γ"]["kind"] == "parameter"


def test_invariants_name_their_values() -> None:
    layer, y = batch_norm()
    x = y.inputs[0].inputs[1].inputs[0].inputs[0]
    content = payload(y, COTANGENT, module=layer, invariants=[Invariant("sum", x)])
    assert content["invariants"] == [["sum", next(i for i, n in enumerate(content["nodes"]) if n["name"] == "x"), None]]


def wanting(*values: float) -> tg.Tensor:
    return tg.Tensor(np.array(values), requires_grad=True, name="leaf")


MINE = tg.Primitive("mine", lambda x: x**2, lambda g, out, x: g * x * 2.0)
ODD = {
    "large": lambda: (ops.sum(ops.exp(tg.Tensor(np.ones((10, 10)), requires_grad=True, name="leaf"))), None),
    "empty": lambda: (tg.Tensor(np.empty((0, 3)), requires_grad=True, name="leaf") * 2.0, np.empty((0, 3))),
    "root of zero": lambda: (tg.Scalar(0.0, name="leaf").sqrt(), None),
    "overflow": lambda: (tg.Scalar(1e300, name="leaf") * 1e300, None),
    "infinite": lambda: (ops.log(wanting(0.0, 1.0)), np.ones(2)),
    "leaf as output": lambda: ([(leaf := wanting(1.0, 2.0)) * 2.0, leaf], [np.ones(2), np.ones(2)]),
    "comparison": lambda: (ops.where((leaf := wanting(1.0, 2.0)) > 1.5, leaf, leaf * 0.1).sum(), None),
    "own primitive": lambda: (MINE(wanting(1.0, 2.0)).sum(), None),
    "scalars": lambda: (
        functional.batch_norm(tg.scalarize([[1.0], [2.0], [4.0]], name="leaf"), training=True),
        np.eye(3)[:, :1],
    ),
    "draw": lambda: (functional.dropout(wanting(1.0, 2.0), 0.5, training=True).sum(), None),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_programs(case: str) -> None:
    with np.errstate(all="ignore"):
        content = payload(*ODD[case]())
    json.dumps(content, allow_nan=False)
    assert content["unknown"] == (["mine"] if case == "own primitive" else [])
    assert len(content["walks"][0]["held"]) == (1 if case in ("own primitive", "draw") else 0)
    if case not in ("own primitive", "draw"):
        found = Numbers(content)
        leaf = next(node["name"] for node in content["nodes"] if node["kind"] == "input")
        assert np.shape(found.gradient(leaf)) == np.shape(found.value(leaf))


def test_an_output_needs_a_cotangent() -> None:
    with pytest.raises(ShapeError, match="needs a cotangent"):
        payload(wanting(1.0, 2.0) * 2.0, None)


def test_what_is_too_large_for_a_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_module, "MOST_NODES", 20)
    x = tg.Scalar(1.0)
    for _ in range(21):
        x = x * 1.0
    with pytest.raises(ArgumentError, match="21 operations"):
        payload(x, None)
    monkeypatch.setattr(payload_module, "MOST_NUMBERS", 3)
    with pytest.raises(ArgumentError, match="4 numbers in its leaves"):
        payload(wanting(1.0, 2.0, 3.0, 4.0).sum(), None)


# -- rules ---------------------------------------------------------------------------------------------------------------


def rules_of(y: Any) -> list[str]:
    return [read(part["rule"]) for part in payload(y, None)["walks"][0]["steps"][0]["parts"]]


def read(markup: str) -> str:
    return "".join(ElementTree.fromstring(markup).itertext()).replace(" ", "")


def test_rules_are_written_with_the_nodes_own_names() -> None:
    x, w = tg.Scalar(2.0, name="x"), tg.Scalar(3.0, name="w")
    y = x / w
    y.name = "ratio"
    assert rules_of(y) == ["gw", "g·(ratio-w)"]  # g/w, g·(ratio/(-w))
    assert rules_of(tg.Scalar(2.0, name="x") ** 3) == ["g·(3·(x^2))"]
    assert rules_of(tg.Scalar(2.0, name="a−b") * w) == ["g·w", "g·(a−b)"]


def test_a_rule_at_a_tie_is_the_one_that_ran() -> None:
    a, b = tg.Scalar(1.0, name="a"), tg.Scalar(1.0, name="b")
    content = payload(ops.maximum(a, b), None)
    assert Numbers(content).gradient("a") == 0.5
    assert rules_of(ops.maximum(a, b))[0] == "(g·0.5)if(a=b)else(gif(a>b)else0)"


def test_hostile_names_stay_text_in_rules() -> None:
    x, w = tg.Scalar(2.0, name="x"), tg.Scalar(-1.5e7, name="</math><script>alert(1)</script>")
    assert rules_of(x * w)[0] == "g·</math><script>alert(1)</script>"


def test_scopes_and_lines_of_code() -> None:
    x = tg.Scalar(2.0)
    with tg.record_sites(), tg.scope("a/b"), tg.scope("</script>"):
        y = x.exp()
    content = payload(y, None)
    node = content["nodes"][1]
    assert content["scopes"] == [[-1, "a/b", "a/b"], [0, "</script>", "</script>"]]
    assert node["scope"] == 1
    assert node["code"] == "y = x.exp()"
    assert node["site"].startswith("test_payload.py:")
    assert payload(x.exp(), None)["nodes"][1]["code"] == ""


def test_each_call_of_a_module_is_a_scope() -> None:
    layer = nn.Linear(2, 2, dtype=float)
    content = payload(layer(layer(np.ones((1, 2)))), np.ones((1, 2)), module=layer)
    assert content["scopes"] == [[-1, "Linear, call 1 of 2", "Linear"], [-1, "Linear, call 2 of 2", "Linear"]]


def test_buffers_are_told_from_parameters() -> None:
    layer = nn.BatchNorm1d(1, dtype=float)
    y = layer.eval()(tg.Tensor([[1.0], [2.0]], requires_grad=True, name="x"))
    kinds = {node["name"]: node["kind"] for node in payload(y, np.ones((2, 1)), module=layer)["nodes"]}
    assert (kinds["running_mean"], kinds["γ"], kinds["x"]) == ("buffer", "parameter", "input")
