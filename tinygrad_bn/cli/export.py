"""``tinygrad-bn export``: a function or a module as an ONNX file."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ..nn import Module
from .find import worked_on
from .inputs import named_for
from .program import add_program_options, chosen

EPILOG = """examples:
  tinygrad-bn export bn --rows 8 --features 3 -o bn.onnx
  tinygrad-bn export model.py:net --shape 8,3:float32 --eval -o net.onnx
  tinygrad-bn export model.py:loss --shape 8,3 --shape 8:int --gradients -o loss.onnx
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        help="write an ONNX file for other runtimes and viewers",
        description="Write a function or a module as an ONNX file, with modules and formulas as nested functions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_program_options(parser, "bn, or FILE.py:NAME of a function, a Module, or a class of Module")
    parser.add_argument("-o", "--output", type=Path, help="the file to write (default: program.onnx)")
    parser.add_argument(
        "--eval", action="store_true", help="export a module in evaluation mode (running statistics, no dropout)"
    )
    parser.add_argument("--gradients", action="store_true", help="export the backward pass, too")
    parser.add_argument(
        "--fixed", action="store_true", help="fix all sizes, instead of leaving the length of the first axis free"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the file."""
    from ..onnx import export

    output = named_for(arguments.output or Path("program.onnx"), (".onnx",), "an ONNX file")
    function, inputs, _ = chosen(arguments)
    module = function if isinstance(function, Module) else None
    if arguments.eval and module is not None:
        module.eval()
    write = partial(
        export,
        function,
        tuple(inputs),
        output,
        dynamic=not arguments.fixed,
        gradients=arguments.gradients,
        module=module,
    )
    path = worked_on(write, function, inputs, arguments.target)
    print(f"wrote {path}")
