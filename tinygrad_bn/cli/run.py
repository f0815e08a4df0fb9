"""``tinygrad-bn run``: a script on several processes."""

from __future__ import annotations

import argparse
from typing import Any

EPILOG = """examples:
  tinygrad-bn run -n 4 train.py --epochs 10
  tinygrad-bn run -n 2 -m package.module

On several machines, with the launcher there:
  mpiexec -hosts one,two -n 8 python -m tinygrad_bn.parallel train.py
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="run a script on several processes (MPI)",
        description="Run a Python script on several processes of this machine, which work together through "
        "tinygrad_bn.parallel. When one of them fails, all are ended.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-n", "--ranks", type=int, required=True, metavar="N", help="number of processes")
    parser.add_argument(
        "--mpiexec", metavar="PROGRAM", help="the launcher of the MPI that mpi4py uses (default: found automatically)"
    )
    parser.add_argument("-m", dest="module", action="store_true", help="SCRIPT is the name of a module")
    parser.add_argument("script", help="a Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Start the ranks and end with their code."""
    from ..parallel.launch import launch

    script = [*(["-m"] if arguments.module else []), arguments.script, *arguments.arguments]
    code = launch(script, arguments.ranks, arguments.mpiexec)
    if code:
        raise SystemExit(code)
