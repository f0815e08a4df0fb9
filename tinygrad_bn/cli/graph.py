"""``tinygrad-bn graph``: draw Batch Normalization, or a function of one's own."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import Variable, record_sites
from ..errors import ArgumentError, explain
from ..functional import batch_norm
from ..graph import Picture, draw, trace_reduced
from ..graph.views import VIEWS
from ..kinds import Shape
from ..nn import BatchNorm1d, Module
from ..tensor import Tensor, scalarize

EPILOG = """examples:
  tinygrad-bn graph bn -o bn.svg
  tinygrad-bn graph bn --view scalar --rows 4 -o bn.png
  tinygrad-bn graph bn --view reduced
  tinygrad-bn graph model.py:net --shape 8,3 --view module -o net.svg

A function gets one tensor per --shape, filled with seeded random numbers; a function without arguments is called as it
is.  Without -o the graph is printed as text.
"""


@dataclass(frozen=True)
class Program:
    """A program that was run: what it gave, and how to speak of it."""

    outputs: Any
    inputs: list[Any]
    gradient: Any
    module: Module | None
    title: str


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "graph",
        help="draw the graph of bn, or of FILE.py:NAME",
        description="Draw the graph of Batch Normalization, or of a function or Module in a file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_program_options(parser, "bn, or FILE.py:NAME of a function, a Module, or a class of Module")
    parser.add_argument("--view", choices=VIEWS, default="tensor", help="default: %(default)s")
    parser.add_argument("--depth", type=int, help="close modules nested deeper than this")
    parser.add_argument("--max-nodes", type=_positive, default=300, help="fold above this many (default %(default)s)")
    parser.add_argument("--rankdir", choices=("TB", "LR"), default="TB", help="direction (default %(default)s)")
    parser.add_argument(
        "-o", "--output", type=Path, help="a file ending in .svg, .png, .pdf, .dot, .mmd, .txt or .json"
    )
    parser.set_defaults(run=run)


def add_program_options(parser: argparse.ArgumentParser, target: str) -> None:
    """The options that say which program to run."""
    parser.add_argument("target", help=target)
    parser.add_argument("--rows", type=_positive, default=4, help="bn: size of the batch (default %(default)s)")
    parser.add_argument("--features", type=_positive, default=1, help="bn: number of features (default %(default)s)")
    parser.add_argument("--shape", type=_shape, action="append", default=[], help="of an argument, as 8,3; repeatable")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default %(default)s)")
    parser.add_argument("--sites", action="store_true", help="show the line of code that made each node")


def load_program(arguments: argparse.Namespace, on_scalars: bool = False) -> Program:
    """Run what the options name."""
    if arguments.target == "bn":
        function, inputs, title = _batch_norm(arguments.rows, arguments.features)
    else:
        function, inputs = _load(arguments.target), _random(arguments.shape, arguments.seed)
        title = arguments.target
    names = [f"x{i}" if len(inputs) > 1 else "x" for i in range(len(inputs))]
    given: list[Any] = [scalarize(x, name) for x, name in zip(inputs, names)]
    if not on_scalars:
        given = [Tensor(x, requires_grad=True, name=name) for x, name in zip(inputs, names)]
    with record_sites() if arguments.sites else nullcontext():
        outputs = function(*given)
    shape = outputs.shape if isinstance(outputs, Variable) else np.shape(outputs)
    module = function if isinstance(function, Module) else None
    return Program(outputs, inputs, _cotangent(shape, arguments.seed), module, title)


def run(arguments: argparse.Namespace) -> None:
    """Draw and write, or print."""
    program = load_program(arguments, on_scalars=arguments.view == "scalar")
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
        max_nodes=arguments.max_nodes,
        title=f"{program.title}, {arguments.view} view",
        note=note,
        rankdir=arguments.rankdir,
    )
    _deliver(picture, arguments.output)


def _batch_norm(rows: int, features: int) -> tuple[Callable[..., Any], list[Any], str]:
    """The worked example [1, 2, 3, 4], and its like for other sizes."""
    x = np.arange(1.0, rows + 1).reshape(rows, 1) * np.arange(1, features + 1)
    layer = BatchNorm1d(features, dtype=float)

    def bn(x: Any) -> Any:
        y = layer(x) if isinstance(x, Tensor) else batch_norm(x, training=True)
        if isinstance(y, Tensor):
            y.name = "y"
        return y

    listed = ", ".join(f"{v:g}" for v in x[:, 0])
    return bn, [x], f"Batch Normalization of [{listed}]" if features == 1 and rows <= 8 else "Batch Normalization"


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


def _load(target: str) -> Callable[..., Any]:
    filename, _, name = target.rpartition(":")
    path = Path(filename)
    if not filename or not path.is_file():
        raise ArgumentError(
            explain("nothing to draw", got=repr(target), expected="bn, or FILE.py:NAME of an existing file")
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ArgumentError(explain("this file is not a Python module", got=str(path), expected="a .py file"))
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ArgumentError(explain(f"{path} could not be run: {type(error).__name__}: {error}")) from error
    found = getattr(module, name, None)
    if not callable(found):
        public = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_")) or "none"
        raise ArgumentError(explain(f"{path} has no function or Module of this name", got=repr(name), expected=public))
    made = found() if inspect.isclass(found) and issubclass(found, Module) else found
    called: Callable[..., Any] = made
    return called


def _random(shapes: list[tuple[int, ...]], seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def _cotangent(shape: Shape, seed: int) -> Any:
    """1 for a single number; else random, because symmetric cotangents hide what a backward pass does."""
    return np.ones(shape) if np.prod(shape) == 1 else np.round(np.random.default_rng(seed).uniform(-1, 1, shape), 2)


def _deliver(picture: Picture, output: Path | None) -> None:
    if output is None:
        print(picture.text())
    else:
        print(f"wrote {picture.save(output)}: {len(picture.graph)} nodes")
    if picture.note:
        print(picture.note)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a shape such as 8,3") from None
