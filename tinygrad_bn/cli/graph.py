"""``tinygrad-bn graph``: draw Batch Normalization, or a function of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..graph import Picture, draw, trace_reduced
from ..graph.views import VIEWS
from .inputs import whole
from .program import add_program_options, load_program, refuse_unused

EPILOG = """examples:
  tinygrad-bn graph bn -o bn.svg
  tinygrad-bn graph bn --view scalar --rows 4 -o bn.png
  tinygrad-bn graph bn --view reduced
  tinygrad-bn graph bn --slide -o bn.png
  tinygrad-bn graph model.py:net --shape 8,3 --view module -o net.svg
  tinygrad-bn graph model.py:embedding --input 0,2,1

The function is called with one tensor for each --shape or --input, in this order; a --shape gives random numbers from a fixed
seed.  Without -o the graph is printed as text.  If the function fails, the picture shows what it computed before, and the
operation that failed in red.
"""
TEXTS = (".txt", ".json", ".mmd")  # kinds of output that have no direction


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "graph",
        help="draw the graph of bn or of FILE.py:NAME",
        description="Draw the graph of Batch Normalization, or of a function or Module in a file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_program_options(parser, "bn, or FILE.py:NAME of a function, a Module, or a class of Module")
    parser.add_argument("--sites", action="store_true", help="show the line of code that made each node")
    parser.add_argument("--view", choices=VIEWS, default="tensor", help="default: %(default)s")
    parser.add_argument("--depth", type=whole(0), help="close modules that are nested deeper than this")
    parser.add_argument(
        "--max-nodes",
        type=whole(1),
        default=300,
        help="fold the picture above this number of boxes (default %(default)s)",
    )
    parser.add_argument(
        "--open", action="append", metavar="SCOPE", help="a scope to keep open, such as net/0; repeatable"
    )
    parser.add_argument("--close", action="append", metavar="SCOPE", help="a scope to close, such as net/0; repeatable")
    parser.add_argument(
        "--slide", action="store_true", default=None, help="a 16:9 picture with text that is readable from the last row"
    )
    parser.add_argument("--scale", type=float, help="for a .png: 2 doubles the number of pixels in each direction")
    parser.add_argument(
        "--rankdir", choices=("TB", "LR"), help="direction of the graph, top to bottom or left to right (default TB)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="a file ending in .svg, .png, .pdf, .dot, .mmd, .txt or .json"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw and write, or print."""
    if arguments.output is None or arguments.output.suffix in TEXTS:
        refuse_unused(arguments, "text", rankdir="--rankdir", slide="--slide", scale="--scale")
    elif arguments.output.suffix != ".png":
        refuse_unused(arguments, arguments.output.suffix, scale="--scale")
    if arguments.slide:
        refuse_unused(arguments, "a slide, which finds its direction itself", rankdir="--rankdir")
    try:
        program = load_program(arguments, on_scalars=arguments.view == "scalar")
    except ArgumentError as error:
        _show_failed(arguments, error)
        raise
    note = ""
    if arguments.view == "reduced" and arguments.target == "bn":
        gap = _closed_form_gap(program.outputs, program.inputs[0], program.gradient)
        note = f"paper: ∂x = (m ∂y - Σ ∂y - y Σ(∂y y)) / (m σ) with γ = 1, β = 0; largest difference {gap:.1e}"
    picture = draw(
        program.outputs,
        program.gradient,
        view=arguments.view,
        module=program.module,
        depth=arguments.depth,
        opened=arguments.open or (),
        closed=arguments.close or (),
        max_nodes=arguments.max_nodes,
        title=f"{program.title}, {arguments.view} view",
        note=note,
        rankdir=arguments.rankdir or "TB",
        preset="slide" if arguments.slide else "",
    )
    _deliver(picture, arguments)


def _show_failed(arguments: argparse.Namespace, error: ArgumentError) -> None:
    """What was computed before a function failed, where an operation did."""
    if error.__cause__ is None:
        return
    try:
        picture = draw(error.__cause__, title=f"{arguments.target}, as far as it came", max_nodes=arguments.max_nodes)
    except ArgumentError:  # nothing was computed
        return
    _deliver(picture, arguments)


def _closed_form_gap(outputs: Any, x: Any, dy: Any) -> float:
    """Largest difference between the derived gradient and the paper's: arXiv:1502.03167, section 3."""
    m = len(x)
    sigma = np.sqrt(x.var(axis=0) + 1e-5)
    x_hat = (x - x.mean(axis=0)) / sigma
    paper = (m * dy - dy.sum(axis=0) - x_hat * (dy * x_hat).sum(axis=0)) / (m * sigma)
    _, backward = trace_reduced(outputs, dy)
    shown = [backward[node_id] for node_id in backward.outputs]
    derived = next(node.value for node in shown if node.name == "∂x")
    if derived is None or derived.elements is None:
        return float("nan")
    return float(np.max(np.abs(np.reshape(derived.elements, x.shape) - paper)))


def _deliver(picture: Picture, arguments: argparse.Namespace) -> None:
    output = arguments.output
    if output is None:
        print(picture.text())
    else:
        print(f"wrote {picture.save(output, scale=arguments.scale or 1.0)}: {len(picture.graph)} nodes")
    if picture.note:
        print(picture.note)
