"""``tinygrad-bn explore``: a page to walk through a graph, forward and backward."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, explain
from .graph import Program, add_program_options, load_program

EPILOG = """examples:
  tinygrad-bn explore examples --dir out
  tinygrad-bn explore bn -o bn.html
  tinygrad-bn explore model.py:net --shape 4,3 -o net.html
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explore",
        help="write a page that walks through a graph",
        description="Write one HTML file, which needs no network, to walk through forward and backward step by step.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_program_options(parser, "examples, bn, or FILE.py:NAME of a function, a Module, or a class of Module")
    parser.add_argument("--dir", type=Path, default=Path(), help="examples: the folder to write to (default: this one)")
    parser.add_argument("-o", "--output", type=Path, default=Path("explore.html"), help="default: %(default)s")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the page, or all examples."""
    from ..explorer import explore

    if arguments.target == "examples":
        from ..explorer.examples import EXAMPLES

        arguments.dir.mkdir(parents=True, exist_ok=True)
        for name, write in EXAMPLES.items():
            print(f"wrote {write(arguments.dir / f'{name}.html')}")
        return
    if arguments.target == "bn" and (arguments.rows, arguments.features) == (4, 1):
        from ..explorer.examples import batch_norm

        print(f"wrote {batch_norm(arguments.output)}")
        return
    arguments.sites = True  # a reader of the page sees the line of code beside each node
    program: Program = load_program(arguments)
    if program.outputs is None:
        raise ArgumentError(explain("nothing to explore: the program returned None", got=arguments.target))
    path = explore(arguments.output, program.outputs, program.gradient, module=program.module, title=program.title)
    print(f"wrote {path}")
