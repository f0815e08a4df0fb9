"""The snapshot: what is in it, in which order, under which names, and as JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_bn as tg
from tests.program.test_program_json import HOSTILE, places
from tinygrad_bn import nn
from tinygrad_bn.errors import ArgumentError, GraphError, ShapeError
from tinygrad_bn.graph import Graph, Value, backward_steps, trace, trace_backward
from tinygrad_bn.graph.dot import to_dot
from tinygrad_bn.graph.plain import to_mermaid, to_text

from .programs import COTANGENT, batch_norm, batch_norm_of_scalars, network


def values(graph: Graph) -> dict[str, list[float]]:
    return {node.id: np.round(node.value.elements or [], 4).tolist() for node in graph.nodes}


def test_every_intermediate_of_the_worked_example_is_in_the_snapshot() -> None:
    layer, y = batch_norm()
    graph = trace(y, COTANGENT, layer)
    shown = [value for node in values(graph).values() for value in node]
    for expected in (2.5, 1.25, 1.118, -1.3416, -0.4472, 0.4472, 1.3416):
        assert expected in shown
    scopes = {node.scope for node in graph.nodes if node.op}
    assert scopes == {("BatchNorm1d", part) for part in ("mean", "variance", "normalize", "scale and shift")}
    kinds = {node.name: node.kind for node in graph.nodes if node.name}
    assert kinds == {"x": "input", "weight": "parameter", "bias": "parameter", "y": "output"}


def test_the_scalar_graph_has_the_same_numbers_one_by_one() -> None:
    graph = trace(batch_norm_of_scalars(), COTANGENT)
    assert [values(graph)[i][0] for i in graph.outputs] == [-1.3416, -0.4472, 0.4472, 1.3416]
    assert sum(node.op == "subtract" for node in graph.nodes) == 4
    gradients = [node.grad.elements[0] for node in graph.nodes if node.kind == "input" and node.grad]
    np.testing.assert_allclose(gradients, [0.26832816, -0.35777088, -0.08944272, 0.17888544], atol=1e-5)


def test_gradients_shown_are_those_of_backward_and_tracing_stores_none() -> None:
    layer, y = batch_norm()
    graph = trace(y, COTANGENT, layer)
    leaves = list(layer.parameters())
    assert all(leaf.grad is None for leaf in leaves)
    y.backward(COTANGENT)
    shown = {node.name: node.grad for node in graph.nodes}
    for leaf in leaves:
        assert shown[leaf.name].elements == tuple(leaf.grad.numpy().ravel())


def test_without_a_cotangent_only_what_backward_left_is_shown() -> None:
    _, y = batch_norm()
    assert all(node.grad is None for node in trace(y).nodes)
    y.backward(COTANGENT, retain_graph=True)
    graph = trace(y)
    assert {node.name for node in graph.nodes if node.grad is not None} == {"x", "weight", "bias"}


def test_x_times_x_has_two_edges_and_operands_keep_their_order() -> None:
    x = tg.Scalar(3.0, name="x")
    graph = trace(x * x)
    assert [(e.source, e.target, e.slot) for e in graph.edges] == [("n0", "n1", 0), ("n0", "n1", 1)]
    difference = trace(2.0 - x)
    assert [node.kind for node in difference.inputs_of(difference.outputs[0])] == ["constant", "input"]


def test_order_is_topological_even_after_a_leaf_was_changed() -> None:
    w = tg.Tensor([1.0], requires_grad=True, name="w")
    y = (w * 2.0) + w
    w.data = [5.0]
    graph = trace(y)
    position = {node.id: i for i, node in enumerate(graph.nodes)}
    assert all(position[e.source] < position[e.target] for e in graph.edges)


def test_the_same_program_gives_the_same_graph() -> None:
    first, second = (trace(network()[1]) for _ in range(2))
    assert first == second
    assert first.to_json() == second.to_json()


def test_module_names_parameters_and_buffers() -> None:
    net, _ = network()
    net.eval()
    graph = trace(net(np.ones((2, 3), np.float32)), module=net)
    named = {node.name: node.kind for node in graph.nodes if node.name}
    assert named["1.running_mean"] == "buffer"
    assert named["0.weight"] == "parameter"


def test_comparisons_are_in_the_graph() -> None:
    x = tg.Tensor([1.0, -2.0], requires_grad=True)
    graph = trace(tg.ops.where(x > 0.0, x, x * 0.1))
    assert [node.op for node in graph.nodes if node.op] == ["greater", "multiply", "where"]


def test_lines_of_code_on_request() -> None:
    x = tg.Scalar(1.0)
    with tg.record_sites():
        y = x.exp()
    assert [node.site for node in trace(y).nodes][1].startswith(__file__)
    assert all(node.site is None for node in trace(x.exp()).nodes)


def test_a_graph_that_backward_used_up_says_what_to_do() -> None:
    _, y = batch_norm()
    y.backward(COTANGENT)
    with pytest.raises(GraphError, match=r"trace\(y, gradient=...\)"):
        trace(y)


@pytest.mark.parametrize("wrong", [3.0, [], "y", [1.0, 2.0], None])
def test_only_variables_can_be_traced(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="variables expected"):
        trace(wrong)


def test_cotangents_must_fit() -> None:
    _, y = batch_norm()
    with pytest.raises(ShapeError, match=r"raw numbers of shape \(4, 1\)"):
        trace(y, np.ones(3))
    with pytest.raises(ArgumentError, match="one cotangent per output"):
        trace(batch_norm_of_scalars(), np.ones(3))


def test_several_outputs_and_a_leaf_as_output() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    graph = trace([x * 2.0, x], [np.ones(2), np.ones(2)])
    assert graph.outputs == ("n2", "n0")
    assert graph["n0"].grad.elements == (3.0, 3.0)
    assert trace(tg.Tensor([1.0])).nodes[0].kind == "output"


def test_a_hundred_thousand_nodes_without_recursion() -> None:
    z = tg.Scalar(0.0)
    for _ in range(100_000):
        z = z + 1.0
    graph = trace(z)
    assert len(graph) == 200_001
    assert graph[graph.outputs[0]].value.elements == (100_000.0,)


# -- the backward pass as a graph --------------------------------------------------------------------------------------


def test_backward_graph_computes_the_gradients_and_names_its_rules() -> None:
    layer, y = batch_norm()
    forward, backward = trace_backward(y, COTANGENT, layer)
    outputs = {backward[i].name: backward[i].value.elements for i in backward.outputs}
    np.testing.assert_allclose(outputs["∂x"], [0.26832816, -0.35777088, -0.08944272, 0.17888544], atol=1e-5)
    np.testing.assert_allclose(outputs["∂weight"], [-1.34164079], rtol=1e-5)
    assert outputs["∂bias"] == (1.0,)
    for node in backward.nodes:
        if node.op:
            assert forward[node.pair].kind in ("input", "parameter", "intermediate", "output")
            assert node.rule.startswith("rule of ")
    names = [node.name for node in backward.nodes if node.name and node.kind != "forward"]
    assert len(names) == len(set(names))


def test_slow_motion_agrees_with_the_engine() -> None:
    rng = np.random.default_rng(0)
    net, _ = network()
    out = net(rng.standard_normal((6, 3)).astype(np.float32))
    w = rng.standard_normal((6, 2)).astype(np.float32)
    steps = backward_steps([out], [w])
    last = {part.argument: part.after for step in steps for part in step.contributions}
    out.backward(w)
    for parameter in net.parameters():
        np.testing.assert_array_equal(last[parameter], parameter.grad.numpy())
    for step in steps:
        for part in step.contributions:
            if part.before is not None:
                np.testing.assert_allclose(part.after, part.before + part.cotangent)


def test_slow_motion_of_scalars_follows_ieee() -> None:
    x = tg.Scalar(0.0)
    steps = backward_steps([x.sqrt()], [None])
    assert steps[0].contributions[0].cotangent == float("inf")


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_json_round_trip() -> None:
    layer, y = batch_norm()
    for graph in (*trace_backward(y, COTANGENT, layer), trace(network()[1])):
        again = Graph.from_json(graph.to_json())
        assert again.to_json() == graph.to_json()
        assert [n.value for n in again.nodes] == [n.value for n in graph.nodes]


def test_json_of_not_finite_numbers_is_still_json() -> None:
    x = tg.Tensor([np.nan, np.inf, -np.inf, 1.0], name="x")
    text = trace(x).to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"bare {name}"))
    value = Graph.from_json(text).nodes[0].value
    assert value.nonfinite == 3
    assert np.isnan(value.elements[0])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=30))
def test_any_name_survives_json(name: str) -> None:
    graph = trace(tg.Scalar(1.0, name=name))
    assert Graph.from_json(graph.to_json()).nodes[0].name == (name if name else None) or name == ""


def good() -> dict:
    return json.loads(trace(tg.Scalar(1.0, name="x") * 2.0).to_json())


BROKEN = {
    "not json": lambda d: "{",
    "another version": lambda d: json.dumps({**d, "schema": "tinygrad_bn.graph/2"}),
    "no nodes": lambda d: json.dumps({k: v for k, v in d.items() if k != "nodes"}),
    "a list": lambda d: "[]",
    "an edge to nowhere": lambda d: json.dumps({**d, "edges": [{"source": "n9", "target": "n0", "slot": 0}]}),
    "an unknown kind": lambda d: json.dumps({**d, "nodes": [{**d["nodes"][0], "kind": "evil"}]}),
    "no value": lambda d: json.dumps({**d, "nodes": [{**d["nodes"][0], "value": None}]}),
    "deep nesting": lambda d: "[" * 100_000,
}


@pytest.mark.parametrize("case", BROKEN)
def test_foreign_json_is_refused(case: str) -> None:
    with pytest.raises(ArgumentError, match=r"graph|schema|node|kind"):
        Graph.from_json(BROKEN[case](good()))


def test_summary_of_a_large_array() -> None:
    value = Value.of(np.arange(100.0))
    assert value == Value(elements=None, low=0.0, mean=49.5, high=99.0, nonfinite=0)
    assert Value.of(np.empty((0, 3))) == Value(elements=(), low=None, mean=None, high=None, nonfinite=0)


def test_a_large_summary_says_where_it_is_not_finite() -> None:
    value = Value.of(np.array([np.inf] * 70 + [2.0]))
    assert (value.low, value.high, value.nonfinite) == (2.0, 2.0, 70)


# -- what is seldom met ----------------------------------------------------------------------------------------------------


def test_slices_are_written_as_in_python_and_go_through_json() -> None:
    x = tg.Tensor(np.arange(24.0).reshape(4, 6), requires_grad=True, name="x")
    graph = trace(x[1:3, ..., ::2])
    assert graph.nodes[1].notation == "{0}[1:3, …, ::2]"
    written = json.loads(graph.to_json())["nodes"][1]["params"]
    assert written == {"index": [{"slice": [1, 3, None]}, "...", {"slice": [None, None, 2]}]}
    assert Graph.from_json(graph.to_json()).nodes[1].params == written


def test_parameters_of_other_kinds_become_text_in_json() -> None:
    odd = tg.Primitive("odd", lambda x, kind: x * 1.0, lambda g, out, x, kind: g)
    graph = trace(odd(tg.Tensor([1.0], requires_grad=True), kind=np.dtype("float32")))
    assert json.loads(graph.to_json())["nodes"][1]["params"] == {"kind": "float32"}


def test_a_backward_graph_without_cotangents_starts_from_ones() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    _, backward = trace_backward(x * x)
    assert {backward[i].name: backward[i].value.elements for i in backward.outputs} == {"∂x": (2.0, 4.0)}
    _, of_two = trace_backward([x * 2.0, x.sum()])
    assert {of_two[i].name: of_two[i].value.elements for i in of_two.outputs} == {"∂x": (3.0, 3.0)}


def test_slow_motion_passes_over_what_no_gradient_reaches() -> None:
    first = tg.Primitive("first", lambda x, y: x * 1.0, lambda g, out, x, y: g, None)
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    unreached = x * 3.0
    steps = backward_steps([first(x, unreached)], [np.ones(2)])
    assert [step.result.primitive.name for step in steps] == ["first"]


def test_attacks_on_the_json_of_a_graph() -> None:
    """One place after another becomes something else: refused in the library's words, or shown without harm."""
    layer = nn.BatchNorm1d(2)
    text = trace(layer(np.arange(6.0).reshape(3, 2)), module=layer).to_json()
    everything = list(places(json.loads(text)))
    hostile = [
        *HOSTILE,
        math.inf,
        math.nan,
        10**400,
        "Infinity",
        "n0",
        ["n0"],
        {"a": {"b": [1]}},
        "\x1b]0;x\x07",
        "a" * 10**5,
    ]
    rng = np.random.default_rng(0)
    counts = {"refused": 0, "read": 0}
    for _ in range(200):
        path = everything[rng.integers(1, len(everything))]
        inside = changed = json.loads(text)
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = hostile[rng.integers(len(hostile))]
        try:
            graph = Graph.from_json(json.dumps(changed))
        except ArgumentError as error:
            counts["refused"] += 1
            assert all(line.isprintable() for line in str(error).splitlines())  # noqa: PT017
            continue
        counts["read"] += 1
        for shown in (to_text(graph), to_mermaid(graph), to_dot(graph)):
            assert "\x1b" not in shown
    assert min(counts.values()) > 20
