"""What a reader needs of a picture, measured: names, sizes of text, widths, contrast, names for screen readers; folded,
failed and other pictures."""

from __future__ import annotations

import json
import re
import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import functional, nn, ops, program
from tinygrad_bn.errors import ArgumentError, GraphError, columns
from tinygrad_bn.graph import Graph, Picture, draw, to_dot, trace
from tinygrad_bn.graph.dot import GRAY, LOOKS
from tinygrad_bn.graph.svg import size
from tinygrad_bn.graph.views import TINTS

from .programs import COTANGENT, HOSTILE, batch_norm, batch_norm_of_scalars, network

VIEWS = ("tensor", "module", "backward", "reduced")
PIXELS = 4 / 3  # in a point


def of_batch_norm(view: str = "tensor", **options: Any) -> Picture:
    layer, y = batch_norm()
    return draw(y, COTANGENT, view=view, module=layer, **options)


def labels(graph: Graph) -> list[str]:
    return [node.label for node in graph.nodes]


def automatic(graph: Graph) -> list[str]:
    return [label for label in labels(graph) if re.fullmatch(r"[vbc]\d+", label)]


def smallest_text(picture: Picture, width: float, height: float = float("inf")) -> float:
    """In pixels, when the picture is fitted into so many."""
    svg = picture.svg()
    own = [n * PIXELS for n in size(svg)]
    zoom = min(1.0, width / own[0], height / own[1])
    inner = re.search(r'transform="scale\(([\d.]+)', svg)
    assert inner is not None
    return min(map(float, re.findall(r'font-size="([\d.]+)"', svg))) * float(inner[1]) * PIXELS * zoom


# -- names ---------------------------------------------------------------------------------------------------------------


def test_batch_norm_speaks_the_papers_language() -> None:
    assert labels(of_batch_norm().graph) == ["x", "μ", "c", "v1", "σ²", "v2", "σ", "x̂", "γ", "v3", "β", "y"]
    text = of_batch_norm().text()
    for formula in (
        "μ = mean x",
        "c = x - μ",
        "σ² = mean v1",
        "v2 = σ² + 1e-05",
        "x̂ = c / σ",
        "y = v3 + β",
        "γ (weight)",
    ):
        assert formula in text
    layer = nn.BatchNorm1d(1, dtype=float).eval()
    running = draw(layer(tg.Tensor(np.ones((4, 1)), requires_grad=True, name="x")), module=layer).text()
    assert "c = x - running_mean" in running


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("depth", [None, 0, 1, 2])
def test_no_name_twice_and_no_gaps_in_any_view(view: str, depth: int | None) -> None:
    net, loss = network()
    for graph in (draw(loss, np.float32(1), view=view, module=net, depth=depth).graph, of_batch_norm(view).graph):
        assert len(set(labels(graph))) == len(graph)
        for letter in "vbc":
            own = [
                node.label for node in graph.nodes if node.kind != "forward"
            ]  # those are called as in the forward pass
            found = [label for label in automatic(graph) if label.startswith(letter) and label in own]
            assert found == [f"{letter}{i}" for i in range(1, len(found) + 1)]
        assert all(node.kind != "constant" or np.prod(node.shape) > 1 for node in graph.nodes)


def test_equal_names_get_subscripts_and_given_names_are_passed_over() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    found = labels(draw(net(tg.Tensor(np.eye(2), requires_grad=True)), module=net).graph)
    assert {"μ₁", "μ₂", "σ²₁", "σ²₂", "γ₁", "y₂"} <= set(found)
    a = tg.Tensor([1.0], requires_grad=True, name="v2")
    assert labels(draw(ops.exp(a * 2.0) * a).graph) == ["v2", "v1", "v3", "v4"]
    long = [tg.Tensor([1.0], requires_grad=True, name="n" * 50 + end) for end in "ab"]
    assert len(set(labels(draw(long[0] * long[1]).graph))) == 3


def test_named_names_arrays_of_scalars_and_leaves_the_rest_alone() -> None:
    raw = np.ones(2)
    assert tg.named(raw, "r") is raw
    assert tg.named(2.0, "r") == 2.0
    x = tg.scalarize([1.0, 2.0])
    y = tg.named(x * x, "y")
    assert labels(draw(y).graph) == ["v1", "y[0]", "v2", "y[1]"]
    h = tg.named(tg.Tensor([1.0], requires_grad=True) * 2.0, "h")
    assert h.name is None
    h.name = "mine"
    assert labels(draw(h).graph)[-1] == "mine"


def test_programs_and_json_keep_the_symbols() -> None:
    p = program.record(lambda x: functional.batch_norm(x, training=True), np.zeros((6, 2)))
    for recorded in (p, program.Program.from_json(p.to_json()), program.simplify(p)):
        assert {"μ", "σ²", "x̂"} <= set(labels(draw(recorded).graph))
    graph = of_batch_norm("backward").graph
    assert Graph.from_json(graph.to_json()).to_json() == graph.to_json()


def test_the_same_result_in_other_orders_has_the_same_symbols() -> None:
    reduced = of_batch_norm("reduced")
    assert {reduced.graph[i].label for i in reduced.graph.outputs} == {"∂x", "∂γ", "∂β"}


# -- sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_a_slide_is_16_to_9_and_its_text_is_large_enough(view: str) -> None:
    picture = of_batch_norm(view, preset="slide", title="Batch Normalization")
    assert size(picture.svg()) == (1440, 810)
    assert struct.unpack(">II", picture.png()[16:24]) == (1920, 1080)
    assert smallest_text(picture, 1920, 1080) >= 16
    assert view == "tensor" or "without" in picture.note or view != "backward"
    assert len(picture.graph) >= 5  # not folded into nothing


def test_scalars_fit_a_slide_too() -> None:
    picture = draw(batch_norm_of_scalars(), COTANGENT, view="scalar", preset="slide")
    assert smallest_text(picture, 1920, 1080) >= 16


def test_text_in_a_column_of_700_pixels() -> None:
    assert smallest_text(of_batch_norm(), 700) >= 12
    assert smallest_text(of_batch_norm("module"), 700) >= 12
    assert smallest_text(of_batch_norm("reduced"), 700) >= 8
    assert smallest_text(of_batch_norm("backward"), 700) >= 6


def test_a_legend_does_not_widen_a_picture() -> None:
    a = tg.Tensor([1.0, 2.0], requires_grad=True, name="a")
    widths = {legend: size(draw(a * a, np.ones(2), legend=legend).svg())[0] * PIXELS for legend in (True, False)}
    assert widths[True] <= 420
    assert widths[False] <= 300
    z = tg.Scalar(1.0, name="z")
    for _ in range(30):
        z = z * 1.01
    assert size(draw(z).svg())[0] * PIXELS <= 640


def test_resolution() -> None:
    picture = of_batch_norm("module")
    plain, double, print_ = (struct.unpack(">II", picture.png(**k)[16:24]) for k in ({}, {"scale": 2}, {"dpi": 288}))
    assert np.allclose(np.divide(double, plain), 2, rtol=0.01)
    assert np.allclose(np.divide(print_, plain), 3, rtol=0.01)
    for wrong in ({"scale": 0}, {"scale": float("nan")}, {"dpi": 1e9}, {"scale": -1}):
        with pytest.raises(ArgumentError, match="resolution out of range"):
            picture.png(**wrong)
    with pytest.raises(ArgumentError, match="only a PNG has a scale"):
        picture.save("never.svg", scale=2)


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_all_text_can_be_told_from_its_ground() -> None:
    fills = {fill for fill, *_ in LOOKS.values()} | set(TINTS)
    assert min(contrast(GRAY, fill) for fill in fills) >= 4.5
    assert min(contrast(border, "#FFFFFF") for _, border, *_ in LOOKS.values()) >= 3
    assert contrast("#777777", "#FFFFFF") < 4.5  # the measure can fail


def test_single_numbers_have_no_shape_and_one_line() -> None:
    source = of_batch_norm().source
    assert "1×1" not in source
    assert "4×1" in source
    assert re.search(r"value</FONT> 2\.5  <FONT[^>]*>grad</FONT> -0\.8944", source)


def test_whole_numbers_are_whole() -> None:
    labels_ = tg.Tensor(np.array([123456789, 2**60, 3]), name="labels")
    x = tg.Tensor([[1.0], [2.0], [3.0]], requires_grad=True, name="x")
    text = draw([labels_, x * 2.0]).text()
    assert f"123456789  {2**60}  3" in text


# -- screen readers and hovering -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["tensor", "backward"])
def test_everything_in_the_svg_has_a_name(view: str) -> None:
    picture = of_batch_norm(view, title="A layer")
    root = ElementTree.fromstring(picture.svg())
    assert root.get("aria-label") == root[0].text == "A layer"
    assert root[1].tag.endswith("desc")
    titles = [e.text or "" for e in root.iter() if e.tag.endswith("title")]
    assert len(titles) > len(picture.graph)
    assert not [text for text in titles if re.search(r"->|cluster_|^[nrb]+\d+$", text)]
    boxes = [e for e in root.iter() if e.get("class") == "node" and e.get("role") == "img"]
    assert len(boxes) >= len(picture.graph)
    if view == "tensor":
        said = [e.get("aria-label") for e in boxes]
        wanted = "σ² = mean v1; intermediate; shape 1×1; value 1.25; gradient 0.5366; in BatchNorm1d / variance"
        assert wanted in said
        assert "BatchNorm1d / variance: 3 boxes" in [e.get("aria-label") for e in root.iter()]


def test_a_picture_without_a_title_is_called_by_its_result() -> None:
    assert ElementTree.fromstring(of_batch_norm().svg()).get("aria-label") == "Graph of y"


# -- folding -------------------------------------------------------------------------------------------------------------


def deep(blocks: int = 9) -> tuple[Any, Any]:
    tg.manual_seed(0)
    layers = [m for _ in range(blocks) for m in (nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh())]
    net = nn.Sequential(*layers)
    x = tg.Tensor(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), requires_grad=True, name="x")
    return net, net(x)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("limit", [1, 7, 40])
def test_max_nodes_holds_in_every_view(view: str, limit: int) -> None:
    net, y = deep(4)
    picture = draw(y, np.ones(y.shape, np.float32), view=view, module=net, max_nodes=limit)
    assert 1 <= len(picture.graph) <= limit
    assert ("hidden" in picture.note) == (limit < 40 or view != "module")
    assert "{" not in picture.text()
    assert picture.mermaid()


@pytest.mark.parametrize("view", VIEWS)
def test_modules_are_opened_and_closed_in_every_view(view: str) -> None:
    net, y = deep(2)
    options = {"view": view, "module": net}
    closed = draw(y, np.ones(y.shape), closed=["Sequential/1"], **options)
    whole = draw(y, np.ones(y.shape), depth=0, **options)
    opened = draw(y, np.ones(y.shape), depth=0, opened=["Sequential"], **options)
    assert any("1 (BatchNorm1d)" in label for label in labels(closed.graph))
    assert len(whole.graph) < len(opened.graph)
    with pytest.raises(ArgumentError, match=r"no such scope.*\n.*Sequential/9"):
        draw(y, np.ones(y.shape), closed=["Sequential/9"], **options)


def test_repeated_blocks_become_one() -> None:
    net, y = deep()
    found = labels(draw(y, module=net, max_nodes=10).graph)
    assert found == ["x", "Linear, BatchNorm1d, Tanh × 9"]


def test_a_long_sum_is_short() -> None:
    total: Any = 0.0
    for i in range(500):
        total = total + tg.Scalar(float(i), name=f"x{i}")
    picture = draw(total)
    assert len(picture.graph) <= 4
    assert "x0 … x499 × 500" in labels(picture.graph)


def test_every_call_of_a_module_is_a_box_and_there_is_no_circle() -> None:
    cell, other = nn.Linear(2, 2), nn.Linear(2, 2)
    net = nn.Sequential(cell, nn.Tanh(), cell, other, cell)
    x = tg.Tensor(np.ones((1, 2)), name="x")
    for y in (net(x), cell(x) + cell(net(x)), [cell(x), cell(x)]):
        for view in ("module", "tensor"):
            picture = draw(y, view=view, depth=1)
            place = {node.id: i for i, node in enumerate(picture.graph.nodes)}
            assert all(place[e.source] < place[e.target] for e in picture.graph.edges)
    assert {f"4 (Linear), call {i} of 3" for i in (1, 2, 3)} <= set(labels(draw(net(x), view="module").graph))
    with tg.record_sites():
        y = net(x)
    assert "4 (Linear), call 2 of 3" in draw(y, module=net).text()


def test_a_group_that_would_make_a_circle_is_taken_apart() -> None:
    document = json.loads(trace((tg.Scalar(1.0, name="x") * 2.0).exp() * 3.0).to_json())
    for node, scope in zip([n for n in document["nodes"] if n["op"]], (["a"], ["b"], ["a"])):
        node["scope"], node["calls"] = scope, [1]
    picture = draw(Graph.from_json(json.dumps(document)), depth=0)
    assert labels(picture.graph) == ["x", "a, part 1", "b, part 1", "a, part 2"]


def test_parallel_arrows_are_one_with_a_count() -> None:
    a = tg.Scalar(3.0, name="a")
    picture = draw(a * a)
    assert picture.source.count("n0 -> n1") == 1
    assert "×2" in picture.source
    assert "-->|×2|" in picture.mermaid()


# -- what there is to say ------------------------------------------------------------------------------------------------


def test_why_there_is_no_gradient() -> None:
    x = tg.Tensor([[1.0, 2.0]], requires_grad=True, name="x")
    h = ops.exp(x)
    h.name = "h"
    y = h.sum()
    assert "not run yet" in draw(y).text()
    y.backward(retain_graph=True)
    line = next(line for line in draw(y).text().splitlines() if line.startswith("h ="))
    assert line.endswith("not kept")


def test_nothing_recorded_is_said() -> None:
    with tg.no_grad():
        y = nn.Linear(2, 2)(tg.Tensor(np.ones((1, 2))))
    assert "no_grad" in draw(y).note
    assert "no_grad" in draw([y, tg.Scalar(1.0) * 2.0]).note
    assert draw(tg.Tensor([1.0], requires_grad=True)).note == ""
    for view in ("backward", "reduced"):
        with pytest.raises(GraphError, match="no backward pass to draw"):
            draw(y, view=view)


@dataclass
class Out:
    logits: Any
    loss: Any


def test_outputs_of_every_form() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y, z = x * 2.0, (x * 3.0).sum()
    one = np.ones(2)
    assert {"logits", "loss"} <= set(labels(draw({"logits": y, "loss": z}, {"loss": 1.0, "logits": one}).graph))
    assert {"logits", "loss"} <= set(labels(draw(Out(y, z)).graph))
    assert y.name is None  # drawing changes nothing
    for outputs, gradient in (
        ((y, {"loss": [z]}), (one, {"loss": [1.0]})),
        ((y, {"loss": z}), [one, 1.0]),
        ([y, (z,)], None),
        ([y], one),
    ):
        for view in ("tensor", "backward", "reduced"):
            assert len(draw(outputs, gradient, view=view).graph) >= 2
    grad = draw((y, y), (one, 2 * one)).graph
    assert next(n for n in grad.nodes if n.label == "x").grad.elements == (6.0, 6.0)
    for outputs, place in (
        ((y, None), r"outputs\[1\]"),
        ({"a": [z, 3.0]}, r"outputs\['a'\]\[1\]"),
        (Out(y, None), "outputs.loss"),
    ):
        with pytest.raises(ArgumentError, match=place):
            draw(outputs)
    for wrong in ({"logits": one}, {"logits": one, "other": 1.0}, [one], 1.0):
        with pytest.raises(ArgumentError, match="cotangent"):
            draw({"logits": y, "loss": z}, wrong)


def test_x_draw_and_short_reprs() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    picture = (x * 2.0).draw([1.0, 1.0], title="twice")
    assert repr(picture) == "<Picture: 'twice', 2 boxes, 1 arrows>"
    assert repr(picture.graph) == "<Graph of 2 nodes and 1 edges: x -> v1>"
    assert (tg.Scalar(1.0, name="s") * 2.0).draw().graph.nodes[0].label == "s"


# -- a forward pass that fails -------------------------------------------------------------------------------------------


def caught(run: Any) -> BaseException:
    try:
        run()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def test_a_failed_operation_is_drawn_in_red_behind_what_was_computed() -> None:
    w = tg.Tensor(np.ones((3, 2)), requires_grad=True, name="w")
    x = tg.Tensor(np.ones((4, 2)), requires_grad=True, name="x")
    error = caught(lambda: (x * 2.0) @ w)
    picture = draw(error)
    failed = picture.graph[picture.graph.outputs[0]]
    assert (failed.kind, failed.op) == ("failed", "matmul")
    assert picture.graph.sources_of(failed.id) == tuple(n.id for n in picture.graph.nodes if n.label in ("v1", "w"))
    assert "ShapeError" in failed.why
    assert LOOKS["failed"][1] in picture.source
    assert "matmul failed" in picture.note
    assert "✗" in picture.text()
    assert "failed" in picture.svg()
    assert "classDef failed" in picture.mermaid()


def test_a_module_that_refuses_its_input_is_the_failed_box() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(4))
    picture = draw(caught(lambda: net(tg.Tensor(np.ones((4, 2)), name="x"))), module=net)
    failed = picture.graph[picture.graph.outputs[0]]
    assert (failed.op, failed.scope) == ("BatchNorm1d", ("Sequential", "1"))
    assert "1 (BatchNorm1d)" in picture.source


def test_scalars_raw_arrays_and_other_errors() -> None:
    s = tg.Scalar(2.0, name="s")
    assert "s" in labels(draw(caught(lambda: tg.ops.matmul(s, s))).graph)
    assert len(draw(caught(lambda: ops.add(np.ones(3), np.ones(2)))).graph) == 3
    with pytest.raises(ArgumentError, match="no operation failed"):
        draw(caught(lambda: 1 / 0))
    with pytest.raises(ArgumentError, match="no operation failed"):
        draw(ValueError("never raised"))


# -- from files: anything that is not a graph is refused, anything that is can be drawn ------------------------------------

STRANGE = [None, "", "x", -1, 0, 1.5, 10**400, float("inf"), True, [], {}, [[]], "{²}{0}", "\ud800", ["s"] * 200]


@pytest.mark.parametrize("part", ["nodes", "edges", "value"])
def test_a_foreign_file_is_refused_or_drawn(part: str) -> None:
    base = trace(tg.Tensor([1.0, 2.0], requires_grad=True, name="x") * 2.0, np.ones(2)).to_json()
    first = json.loads(base)
    where = {"nodes": first["nodes"][-1], "edges": first["edges"][0], "value": first["nodes"][0]["value"]}[part]
    refused = 0
    for key in where:
        for strange in STRANGE:
            document = json.loads(base)
            {"nodes": document["nodes"][-1], "edges": document["edges"][0], "value": document["nodes"][0]["value"]}[
                part
            ][key] = strange
            try:
                graph = Graph.from_json(json.dumps(document))
            except ArgumentError:
                refused += 1
                continue
            for shown in (to_dot(graph), draw(graph, max_nodes=1).text(), draw(graph).mermaid(), graph.to_json()):
                assert shown
    assert refused > len(where) * 4


def test_scopes_deeper_than_pythons_stack() -> None:
    x = tg.Scalar(1.0, name="x")
    scopes = [tg.scope(f"s{i}") for i in range(1500)]
    for scope in scopes:
        scope.__enter__()
    y = x * 2.0
    for scope in reversed(scopes):
        scope.__exit__(None, None, None)
    assert draw(y).source.count("subgraph") == 40


# -- hostile names -------------------------------------------------------------------------------------------------------

MARKUP = [
    "$$x^2$$",
    "fa:fa-car",
    "a\\nb",
    '%%{init: {"theme":"dark"}}%%',
    "1. one",
    "- one",
    "**b** _i_ ~~s~~",
    "# h",
    "<br/>",
]


@pytest.mark.parametrize("name", [*MARKUP, *HOSTILE])
def test_mermaid_reads_nothing_in_a_name(name: str) -> None:
    x = tg.Tensor([1.0], requires_grad=True, name=name)
    shown = draw(x * 2.0).mermaid().splitlines()[1]
    inside = shown[shown.index('["') + 2 : shown.rindex('"]')].partition("<br/>")[0]
    codes = re.sub(r"#\d+;", "", inside)
    assert not set(codes) & set('"`<>&$\\%{}*_~#:;@!')
    assert not re.match(r"\d+\. |[-+] ", codes)
    decoded = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), inside)
    assert not re.search(r"\$\$|:fa|\\n", decoded)  # what it looks for after it has read the codes
    if name.isprintable() and name.strip() and len(name) <= 40:
        assert decoded.replace("\u2060", "") == name


def test_wide_and_combining_letters_keep_the_columns() -> None:
    for name in ("图像", "x̂", "한글", "e\u0301\u0323", "👍", "ab"):
        a, b = tg.Tensor([7.0], requires_grad=True, name=name), tg.Tensor([7.0], requires_grad=True, name="b")
        lines = draw(a * b, np.ones(1)).text().splitlines()
        assert len({columns(line[: line.index("  7 ")]) for line in lines[1:3]}) == 1
