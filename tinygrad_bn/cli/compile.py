"""``tinygrad-bn compile``: what a function or a training step becomes when it is compiled."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler import BACKENDS, STAGES, Compiled, Stage
from ..errors import ArgumentError, explain
from ..files import write_whole
from ..functional import batch_norm
from ..graph import draw
from ..transforms import vjp
from .find import find, worked_on
from .inputs import named_for
from .program import SEED, add_argument_options

EPILOG = """examples:
  tinygrad-bn compile bn
  tinygrad-bn compile bn -o bn.svg
  tinygrad-bn compile model.py:step --shape 60,64:float32 --shape 60:int -o step.c

bn is Batch Normalization, forward and backward.  A function gets one tensor per --shape or --input, in this order, and may be a
whole training step.  Without -o the code is printed.
"""
TEXTS = (".c", ".py", ".txt")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compile",
        help="compile bn or FILE.py:NAME, and show the stages",
        description="Record a function, simplify and compile it; print the generated code, or draw a stage.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", help="bn, or FILE.py:NAME of a function or Module")
    add_argument_options(parser)
    parser.add_argument("--backend", choices=BACKENDS, help="default: c if there is a C compiler, else numpy")
    parser.add_argument("--stage", choices=STAGES, help="the stage to draw or print (default: the last)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="a file ending in .c, .py or .txt for the code, as it is; with another ending, a picture of the stage",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Compile, and print or write."""
    rng = np.random.default_rng(SEED if arguments.seed is None else arguments.seed)
    function, inputs = _target(arguments.target, [make(rng) for make in arguments.given or []])
    compiled = Compiled(function, arguments.backend)
    worked_on(lambda: compiled(*inputs), function, inputs, arguments.target)
    stage = next((s for s in compiled.stages if s.name == arguments.stage), compiled.stages[-1])
    if arguments.stage is not None and stage.name != arguments.stage:
        got = ", ".join(s.name for s in compiled.stages)
        raise ArgumentError(explain(f"compile: no stage {arguments.stage!r} here", got=got, fix="--backend c"))
    text = compiled.source if arguments.stage is None else str(stage.program)
    if arguments.output is None:
        print(text)
    elif arguments.output.suffix.lower() in TEXTS:
        if arguments.stage is not None:
            named_for(arguments.output, (".txt",), f"the operations of stage {stage.name}")
        elif _is_python(text):
            named_for(arguments.output, (".py", ".txt"), "Python code")
        else:
            named_for(arguments.output, (".c", ".txt"), "C code")
        write_whole(arguments.output, text.encode())
        print(f"wrote {arguments.output}")
    else:
        picture = draw(stage.program, title=f"{arguments.target}, {stage.name}")
        print(f"wrote {picture.save(arguments.output)}: {len(picture.graph)} nodes")
    print(_summary(compiled.stages))


def _is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def _summary(stages: tuple[Stage, ...]) -> str:
    return "; ".join(f"{stage.name}: {len(stage.program)} operations" for stage in stages)


def _target(target: str, inputs: list[Any]) -> tuple[Any, list[Any]]:
    if target != "bn":
        return find(target), inputs
    if not inputs:
        inputs = [np.arange(1.0, 5.0).reshape(4, 1)]

    def bn(x: Any, weight: Any, bias: Any, cotangent: Any) -> Any:
        y, pull = vjp(
            lambda *leaves: batch_norm(leaves[0], weight=leaves[1], bias=leaves[2], training=True), x, weight, bias
        )
        return y, pull(cotangent)

    features = inputs[0].shape[1] if inputs[0].ndim > 1 else 1
    rng = np.random.default_rng(SEED)
    dtype = inputs[0].dtype if inputs[0].dtype.kind == "f" else np.dtype(float)
    x = inputs[0].astype(dtype)
    return bn, [
        x,
        np.ones(features, dtype),
        np.zeros(features, dtype),
        np.round(rng.uniform(-1, 1, x.shape), 2).astype(dtype),
    ]
