"""The ``tinygrad-bn`` command: pictures of graphs from the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import TinygradError
from . import explore, graph, new


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when done, 2 for a mistake in the call or in its input (said on standard error), 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="tinygrad-bn", description="See what an autodiff program does.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    graph.add_to(commands)
    explore.add_to(commands)
    new.add_to(commands)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (TinygradError, OSError) as error:
        print(f"tinygrad-bn: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
