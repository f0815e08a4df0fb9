"""``tinygrad-bn explore``: a page to walk through a graph, forward and backward."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .inputs import named_for
from .program import add_program_options, load_program, refuse_unused

EPILOG = """examples:
  tinygrad-bn explore examples --dir out
  tinygrad-bn explore bn -o bn.html
  tinygrad-bn explore model.py:net --shape 4,3 -o net.html
"""
PROGRAM = {"rows": "--rows", "features": "--features", "given": "--shape and --input", "seed": "--seed"}


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explore",
        help="write a page that runs a graph step by step",
        description="Write one HTML file, which needs no network, that runs the forward and the backward pass step by step.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_program_options(parser, "examples, bn, or FILE.py:NAME of a function, a Module, or a class of Module")
    parser.add_argument("--dir", type=Path, help="for examples: the folder to write to (default: this one)")
    parser.add_argument("-o", "--output", type=Path, help="the file to write (default: explore.html)")
    parser.set_defaults(run=run, sites=True)  # a reader of the page sees the line of code beside each node


def run(arguments: argparse.Namespace) -> None:
    """Write the page, or all examples."""
    from ..explorer import explore
    from ..explorer.examples import EXAMPLES, batch_norm

    if arguments.target == "examples":
        refuse_unused(arguments, "the examples", output="-o", **PROGRAM)
        folder = arguments.dir or Path()
        folder.mkdir(parents=True, exist_ok=True)
        for name, example in EXAMPLES.items():
            print(f"wrote {example().save(folder / f'{name}.html')}")
        print("open them in a browser")
        return
    refuse_unused(arguments, arguments.target, dir="--dir")
    output = named_for(arguments.output or Path("explore.html"), (".html", ".htm"), "a page")
    if arguments.target == "bn" and all(getattr(arguments, name) is None for name in PROGRAM):
        path = batch_norm().save(output)
    else:
        program = load_program(arguments)
        page = explore(program.outputs, program.gradient, module=program.module, title=program.title, rows=program.rows)
        path = page.save(output)
    print(f"wrote {path}; open it in a browser")
