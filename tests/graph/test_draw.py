"""Pictures: their DOT text, how it is laid out, what happens without a layout program, and hostile names."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_bn as tg
from tinygrad_bn.errors import ArgumentError, clean
from tinygrad_bn.graph import LayoutError, Value, collapse, draw, inlined, to_dot, trace, trace_backward, trace_reduced
from tinygrad_bn.graph import layout as layout_module
from tinygrad_bn.graph.labels import number, value_lines
from tinygrad_bn.graph.reading import own_pass

from .programs import COTANGENT, HOSTILE, batch_norm, batch_norm_of_scalars, network

GOLDEN = Path(__file__).parent / "golden"
BUNDLED = shutil.which("graphviz-pure", path=str(Path(sys.executable).parent)) or shutil.which("graphviz-pure")


def picture(view: str):
    if view == "scalar":
        return draw(batch_norm_of_scalars(), COTANGENT, view="scalar", title="scalar view")
    if view == "network":
        net, loss = network()
        return draw(loss, np.float32(1), view="module", depth=2, module=net, title="a network")
    layer, y = batch_norm()
    return draw(y, COTANGENT, view=view, module=layer, title=f"{view} view")


@pytest.mark.parametrize("view", ["tensor", "scalar", "module", "backward", "reduced", "network"])
def test_dot_text_is_as_recorded(view: str) -> None:
    """Look at the picture before recording it anew: UPDATE_GOLDEN=1 pytest tests/graph."""
    file = GOLDEN / f"{view}.dot"
    source = picture(view).source
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(source)
    assert source == file.read_text()


@pytest.mark.parametrize("view", ["tensor", "scalar"])
def test_the_worked_example_can_be_read_in_the_picture(view: str) -> None:
    svg = picture(view).svg()
    text = " ".join(ElementTree.fromstring(svg).itertext())
    for shown in ("2.5", "1.118", "-1.3416", "-0.4472", "0.4472", "1.3416"):
        assert shown in text


def test_png_and_svg_are_what_they_say(tmp_path: Path) -> None:
    shown = picture("tensor")
    assert shown.png().startswith(b"\x89PNG\r\n")
    assert ElementTree.fromstring(shown.svg()).tag.endswith("svg")
    for name in ("bn.svg", "bn.png", "bn.dot", "bn.txt", "bn.mmd", "bn.json"):
        path = shown.save(tmp_path / name)
        assert path.stat().st_size > 100
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert (tmp_path / "bn.dot").read_text() == shown.source
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bn.dot", "bn.json", "bn.mmd", "bn.png", "bn.svg", "bn.txt"]


def test_saving_elsewhere_or_otherwise_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    shown = picture("tensor")
    with pytest.raises(ArgumentError, match=r"expected: .dot, .svg"):
        shown.save(tmp_path / "bn.gif")
    with pytest.raises(FileNotFoundError):
        shown.save(tmp_path / "missing" / "bn.dot")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "bn.dot"
    target.write_text("old")

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        picture("tensor").save(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


# -- layout programs ---------------------------------------------------------------------------------------------------


def elements(program: str, source: str) -> tuple[set[str], set[tuple[str, str]], set[str]]:
    """Names of nodes, edges and clusters as the program's own JSON output has them."""
    done = subprocess.run([program, "-Tjson"], input=source.encode(), capture_output=True, check=True, timeout=60)
    document = json.loads(done.stdout)
    objects = document.get("objects", [])
    nodes = {
        o["name"] for o in objects if "nodes" not in o and "subgraphs" not in o and not o["name"].startswith("cluster")
    }
    clusters = {o["name"] for o in objects if o["name"].startswith("cluster")}
    edges = {(objects[e["tail"]]["name"], objects[e["head"]]["name"]) for e in document.get("edges", [])}
    return nodes, edges, clusters


@pytest.mark.parametrize("view", ["tensor", "backward"])
def test_layout_programs_find_the_same_nodes_edges_and_clusters_as_the_graph(view: str) -> None:
    shown = picture(view)
    found = [elements(p, shown.source) for p in {BUNDLED, shutil.which("dot")} if p]
    assert found, "no layout program on this machine"
    for nodes, edges, clusters in found:
        words = {node for node in nodes if node.startswith("r")}  # for values of the forward pass, beside their users
        across = {e for e in edges if e[0] in words}
        _, over = own_pass(shown.graph)
        assert nodes - words == {node.id for node in shown.graph.nodes}
        hidden = {(a, b) for a, b in edges if (a, b) not in {(e.source, e.target) for e in shown.graph.edges}} - across
        assert len(hidden) == (2 if view == "backward" else 0)  # invisible ones, which keep the three outputs in order
        assert edges - across - hidden == {(e.source, e.target) for e in shown.graph.edges} - set(over)
        assert sorted(target for _, target in across) == sorted(target for _, target in over)
        assert len(clusters) == shown.source.count("subgraph cluster_")


def test_an_installed_dot_comes_last_and_alone_makes_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"dot": "/usr/bin/dot", "graphviz-pure": "/venv/bin/graphviz-pure"}
    monkeypatch.setattr(layout_module.shutil, "which", lambda name, **kwargs: places[name])
    monkeypatch.delenv("TINYGRAD_BN_DOT", raising=False)
    assert layout_module.programs("svg") == ["/venv/bin/graphviz-pure", "/usr/bin/dot"]
    assert layout_module.programs("pdf") == ["/usr/bin/dot"]


def test_a_program_in_the_current_folder_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("dot", "graphviz-pure"):
        (tmp_path / name).write_text("#!/bin/sh\ntouch was-run\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYGRAD_BN_DOT", raising=False)
    monkeypatch.setattr(layout_module.sysconfig, "get_path", lambda name: str(tmp_path / "nothing"))
    for path in ("", ".", os.pathsep, f".{os.pathsep}", f"{os.pathsep}nowhere", "../" + tmp_path.name):
        monkeypatch.setenv("PATH", path)
        assert shutil.which("dot") or path != "."  # others would find it
        assert layout_module.programs("svg") == []
    monkeypatch.setenv("PATH", f".{os.pathsep}{tmp_path}")  # named in full it is meant
    assert layout_module.programs("svg") == [str(tmp_path / "graphviz-pure"), str(tmp_path / "dot")]
    monkeypatch.setenv("TINYGRAD_BN_DOT", "./dot")
    assert layout_module.programs("svg")[0] == "./dot"


def test_without_the_package_graphviz_all_but_drawing_works() -> None:
    code = """
import sys
sys.modules["graphviz"] = None
import tinygrad_bn as tg
y = tg.Tensor([2.0], requires_grad=True).exp()
assert "exp" in tg.graph.to_text(tg.graph.trace(y))
assert "exp" in tg.explore(y).html
for draw in (tg.graph.draw, lambda y: tg.graph.to_dot(tg.graph.trace(y))):
    try:
        draw(y)
    except tg.TinygradError as error:
        assert isinstance(error, ImportError)
        assert "pip install graphviz" in str(error)
        print("said")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.stdout, done.stderr) == ("said\n" * 2, "")


def test_without_a_layout_program_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module.shutil, "which", lambda *args, **kwargs: None)
    monkeypatch.delenv("TINYGRAD_BN_DOT", raising=False)
    shown = picture("tensor")
    with pytest.raises(LayoutError, match=r"tinygrad-bn\[draw\]"):
        shown.svg()
    with pytest.raises(LayoutError, match="makes PDF was found"):
        shown.pdf()
    bundle = shown._repr_mimebundle_()
    assert "σ² = mean v1" in bundle["text/plain"]  # the table, which a person can read
    assert "image/svg+xml" not in bundle


def test_notebooks_get_the_svg_and_a_png() -> None:
    shown = picture("tensor")
    bundle = shown._repr_mimebundle_()
    assert bundle["image/svg+xml"].count("<svg") == 1
    assert bundle["image/png"].startswith(b"\x89PNG\r\n")  # where nobody trusts the notebook with an SVG
    assert bundle["text/plain"] == "<Picture: 'tensor view', 12 boxes, 13 arrows>"
    assert set(shown._repr_mimebundle_(include={"image/png"})) == {"image/png", "text/plain"}
    assert set(shown._repr_mimebundle_(exclude={"image/png"})) == {"image/svg+xml", "text/plain"}
    assert set(shown.graph._repr_mimebundle_()) == set(bundle)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a layout program out of a line of Python and chooses it."""

    def make(body: str) -> None:
        file = tmp_path / "layout"
        file.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
        file.chmod(0o755)
        monkeypatch.setenv("TINYGRAD_BN_DOT", str(file))

    return make


def test_the_chosen_program_is_used(program) -> None:
    program("sys.stdout.write('laid out with ' + ' '.join(sys.argv[1:]))")
    assert picture("tensor").pdf() == b"laid out with -Tpdf"
    assert picture("tensor").png(scale=2) == b"laid out with -Tpng -Gdpi=192"
    with pytest.raises(LayoutError, match="made no SVG"):
        picture("tensor").svg()


def test_a_program_that_fails_hangs_or_is_missing(program, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = picture("tensor")
    program("sys.stderr.write('syntax error in line 1'); sys.exit(3)")
    with pytest.raises(LayoutError, match="syntax error in line 1"):
        shown.svg()
    program("sys.exit(0)")
    with pytest.raises(LayoutError, match="exit code 0"):
        shown.svg()
    program("time.sleep(60)")
    monkeypatch.setattr(layout_module, "SECONDS", 0.5)
    with pytest.raises(LayoutError, match=r"took more than 0.5 s"):
        shown.svg()
    monkeypatch.setenv("TINYGRAD_BN_DOT", "/no/such/program")
    with pytest.raises(LayoutError, match="could not be started"):
        shown.svg()


# -- names -------------------------------------------------------------------------------------------------------------


def check_name(name: str) -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name=name)
    with tg.scope(name):
        shown = draw(x * 2.0, np.ones(2), title=name)
    root = ElementTree.fromstring(shown.svg())
    assert not [e for e in root.iter() if e.tag.endswith(("script", "foreignObject", "image"))]
    assert not [a for e in root.iter() for a in e.attrib if "href" in a or a.startswith("on")]
    groups = [e for e in root.iter() if e.get("class") == "node"]
    assert len(groups) == len(shown.graph.nodes) == 2
    assert "\n" not in clean(name)
    assert shown.mermaid().count('"') == 2 * len(shown.graph.nodes)
    assert shown.mermaid().count("\n") == len(shown.graph.nodes) + len(shown.graph.edges) + 4


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_text(name: str) -> None:
    check_name(name)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(), max_size=60))
def test_any_name_stays_text(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5, "2.5"), (1.1180339887, "1.118"), (-1.3416407865, "-1.3416"), (0.0, "0"), (1e-5, "1e-05"), (123456.0, "123456"),
     (3e7, "3e+07"), (123456.5, "1.23e+05"), (2**62, str(2**62)), (True, "1"),
     (float("nan"), "NaN"), (float("inf"), "+inf"), (float("-inf"), "-inf"), (-4.0, "-4")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_values_that_are_not_finite_are_flagged() -> None:
    with np.errstate(divide="ignore"):
        y = tg.ops.log(tg.Tensor([0.0, 1.0], requires_grad=True))
    source = draw(y).source
    assert "1 not finite" in source
    assert "not run yet" in source


# -- views and folding ---------------------------------------------------------------------------------------------------


def test_collapse_by_depth_and_by_name() -> None:
    net, loss = network()
    graph = trace(loss, module=net)
    closed = collapse(graph, 1)
    assert [node.name for node in closed.nodes if node.kind == "group"][:2] == ["0", "1"]
    opened = collapse(graph, 1, opened=["Sequential/1/mean"])
    assert ("Sequential", "1", "mean") in {node.scope for node in opened.nodes}
    assert {"variance", "normalize"} <= {node.name for node in opened.nodes if node.kind == "group"}
    only = collapse(graph, closed=["Sequential/1"])
    groups = [node for node in only.nodes if node.kind == "group"]
    assert [(node.name, node.shape) for node in groups] == [("1", (5, 4))]
    assert groups[0].members + len(only) - 1 == len(graph)
    with pytest.raises(ArgumentError, match="no such scope"):
        collapse(graph, closed=["Sequential/9"])
    with pytest.raises(ArgumentError, match="negative"):
        collapse(graph, -1)


def test_large_graphs_are_folded_and_say_so() -> None:
    z = tg.Scalar(1.0)
    for _ in range(5_000):
        z = z * 1.0
    shown = draw(z)
    assert len(shown.graph) <= 3
    assert "of 5001 nodes hidden" in shown.note
    assert "max_nodes=5001 shows all" in shown.note
    assert ElementTree.fromstring(shown.svg()).tag.endswith("svg")
    assert all(word in shown.source for word in shown.note.split())


def test_modules_close_from_the_deepest_up() -> None:
    net, loss = network()
    graph = inlined(trace(loss, module=net))
    sizes = [len(graph), *(len(collapse(graph, depth)) for depth in (1, 0))]
    deeper, closed, outermost = (draw(graph, max_nodes=size) for size in (sizes[0] - 1, sizes[1], sizes[2]))
    assert "modules closed below depth" in deeper.note
    assert "modules closed below depth 1;" in closed.note
    assert "modules closed below depth 0;" in outermost.note
    assert [len(shown.graph) for shown in (closed, outermost)] == sizes[1:]
    tiny = draw(graph, max_nodes=1)
    assert len(tiny.graph) == 1
    assert "equal parts folded, only the 1 nodes nearest the output kept" in tiny.note


def test_equal_parts_fold_into_one() -> None:
    scalars = tg.scalarize(np.arange(400.0))
    total = np.sum(tg.ops.tanh(scalars)[:200]) * 1.0
    shown = draw(total, max_nodes=250)
    groups = {(node.name, node.members) for node in shown.graph.nodes if node.kind == "group"}
    assert ("tanh", 200) in groups


def test_the_reduced_backward_pass_is_smaller_and_equal() -> None:
    layer, y = batch_norm()
    _, backward = trace_backward(y, COTANGENT, layer)
    _, smaller = trace_reduced(y, COTANGENT, layer)
    assert sum(bool(n.op) for n in smaller.nodes) < sum(bool(n.op) for n in backward.nodes)
    assert {smaller[i].name for i in smaller.outputs} == {"∂x", "∂weight", "∂bias"}
    for name in ("∂x", "∂weight", "∂bias"):
        one, other = (next(g[i] for i in g.outputs if g[i].name == name) for g in (smaller, backward))
        np.testing.assert_allclose(one.value.elements, other.value.elements, atol=1e-14)
    x = next(i for i in smaller.outputs if smaller[i].name == "∂x")
    np.testing.assert_allclose(smaller[x].value.elements, [0.26832816, -0.35777088, -0.08944272, 0.17888544], atol=1e-5)


def test_views_that_need_something_else() -> None:
    _, y = batch_norm()
    with pytest.raises(ArgumentError, match="scalarize"):
        draw(y, view="scalar")
    with pytest.raises(ArgumentError, match="unknown view"):
        draw(y, view="side")
    with pytest.raises(ArgumentError, match="needs the variables"):
        draw(trace(y), view="backward")
    with pytest.raises(ArgumentError, match="unknown direction"):
        draw(y, rankdir="up")


def test_rows_of_a_box_can_be_left_out() -> None:
    x = tg.Tensor([[7.25], [1.0]], requires_grad=True, name="x")
    with tg.record_sites():
        graph = trace(x * 2.0, np.ones((2, 1)))
    shown = {row: to_dot(graph, legend=False, show=[row]) for row in ("shape", "value", "grad", "line")}
    marks = {"shape": "2×1", "value": "7.25", "grad": ">grad<", "line": "test_draw.py:"}
    for row, source in shown.items():
        assert [mark for mark in marks if marks[mark] in source] == [row]


def test_wide_arrays_are_summarized() -> None:
    assert value_lines(Value.of(np.empty((0, 3))), (0, 3)) == ["empty"]
    assert value_lines(Value.of(np.full(20, np.nan)), (20,)) == ["no finite element"]
    assert value_lines(Value.of(np.arange(16.0)), (16,)) == ["0 … 7.5 … 15"]
    assert value_lines(Value.of(np.arange(16.0)), (2, 8)) == [
        "0  1  2  3  4  5  6  7", "8  9  10  11  12  13  14  15",
    ]  # fmt: skip


def test_text_and_mermaid() -> None:
    layer, y = batch_norm()
    shown = draw(y, COTANGENT, module=layer)
    lines = shown.text().splitlines()
    assert lines[0].split() == ["node", "shape", "value", "grad"]
    assert "-- BatchNorm1d / normalize" in lines
    assert any(line.startswith("μ = mean x") and "2.5" in line for line in lines)
    assert shown.mermaid().startswith("flowchart TD\n")
    assert "    n0 --> n1" in shown.mermaid().splitlines()
