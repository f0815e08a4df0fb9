"""What a layout program's SVG lacks: names for screen readers, texts to hover over, and a size that fits its frame."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from ..errors import clean, explain
from .labels import formula, no_gradient, one_line, shape_text, symbol, title_of
from .layout import LayoutError
from .model import Graph, Node
from .naming import named
from .reading import frames, homes, own_pass
from .scopes import Call, Titles

SVG = "http://www.w3.org/2000/svg"
DECLARED = re.compile(r'<svg((?: xmlns(?::\w+)?="[^"]*")*)([^>]*)')
POINTS = re.compile(r"([\d.]+)pt")


def accessible(svg: str, graph: Graph, title: str = "", note: str = "") -> str:
    """The picture with a title and a description, and a name for each box, arrow and frame.

    Args:
        svg: what the layout program made of ``to_dot(graph)``.
        graph: the same graph.
        title: of the picture.
        note: a sentence about it.

    Raises:
        LayoutError: the text is not SVG.
    """
    graph = named(graph)
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise LayoutError(explain(f"the layout program made no SVG: {error}", got=repr(svg[:60]))) from None
    texts = _texts(graph)
    inner = root.find(f"{{{SVG}}}g")
    for group in root.iter(f"{{{SVG}}}g"):
        known = group.find(f"{{{SVG}}}title")
        if known is None:
            continue
        kind, text = group.get("class"), texts.get(known.text or "", "")
        if group is inner or not text:
            group.remove(known)
            continue
        known.text = text
        if kind in ("node", "cluster"):
            group.set("role", "img" if kind == "node" else "group")
            group.set("aria-label", text)
        else:
            group.set("aria-hidden", "true")  # the boxes say what they are made of
    name = clean(title, 120) if title else f"Graph of {_listed(graph, 'output')}"
    root.set("role", "group")
    root.set("aria-label", name)
    root.set("style", "max-width:100%;height:auto")
    for tag, text in (("desc", _description(graph, note)), ("title", name)):
        element = ElementTree.Element(f"{{{SVG}}}{tag}")
        element.text = text
        root.insert(0, element)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    text = ElementTree.tostring(root, "unicode")
    spaces, rest = DECLARED.match(text).groups()  # type: ignore[union-attr]  # ElementTree begins with them
    return f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<svg{rest}{spaces}{text[text.index(">") :]}\n'


def size(svg: str) -> tuple[float, float]:
    """Width and height of a picture, in points."""
    found = POINTS.findall(svg[svg.find("<svg") :].partition(">")[0])
    if len(found) < 2:
        raise LayoutError(explain("the layout program made no SVG", got=repr(svg[:60])))
    return float(found[0]), float(found[1])


def _texts(graph: Graph) -> dict[str, str]:
    """What to say of each element, by the title that the layout program gave it."""
    texts = {node.id: describe(graph, node) for node in graph.nodes}
    for edge in graph.edges:
        texts[f"{edge.source}->{edge.target}"] = f"{symbol(graph[edge.source])} into {symbol(graph[edge.target])}"
    laid_out, taken_over = own_pass(graph)
    for i, (source, _) in enumerate(taken_over):
        texts[f"r{i}"] = f"{symbol(graph[source])}, from the forward pass"
    titles = Titles(graph)
    home = homes(laid_out)
    for i, call in enumerate(frames(graph, home)):
        inside = sum(other.outermost(len(call.path)) == call for other in home.values())
        texts[f"cluster_{i}"] = f"{titles.path(call)}: {inside} box{'es' * (inside != 1)}"
    return texts


def describe(graph: Graph, node: Node) -> str:
    """A node in words: what it is, its shape, value and gradient, and where it was computed."""
    return "; ".join(_said(graph, node))


def _said(graph: Graph, node: Node) -> Iterator[str]:
    expression = formula(graph, node)
    if node.kind == "failed":
        yield f"{clean(expression, 200)} failed"
        yield clean(node.why, 400)
    else:
        yield f"{symbol(node)} = {clean(expression, 200)}" if expression else title_of(node)
        yield node.kind + f" of {node.members} nodes" * (node.members > 1)
        yield shape_text(node) if node.shape == () else f"shape {shape_text(node)}"
    if node.value is not None:
        yield f"value {one_line(node.value, node)}"
    if node.requires_grad:
        yield f"gradient {no_gradient(node) if node.grad is None else one_line(node.grad, node)}"
    if node.rule is not None:
        yield f"from the {node.rule}"
    if node.scope:
        yield "in " + Titles(graph).path(Call.of(node))
    if node.site is not None:
        yield clean(node.site.rpartition("/")[2], 80)


def _description(graph: Graph, note: str) -> str:
    """The whole picture in a few sentences."""
    given = [f"{kind}s {_listed(graph, kind)}" for kind in ("input", "parameter") if _listed(graph, kind)]
    outputs = ", ".join(symbol(graph[i]) for i in graph.outputs[:8])
    parts = [f"{len(graph)} boxes", *given, f"result {outputs}" if outputs else ""]
    return "; ".join(part for part in parts if part) + "." + f" {clean(note, 400)}." * bool(note)


def _listed(graph: Graph, kind: str) -> str:
    labels = [title_of(graph[i]) for i in graph.outputs] if kind == "output" else [
        title_of(node) for node in graph.nodes if node.kind == kind
    ]  # fmt: skip
    return ", ".join(labels[:6]) + ", ..." * (len(labels) > 6)
