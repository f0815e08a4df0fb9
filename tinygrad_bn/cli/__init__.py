"""The ``tinygrad-bn`` command: pictures of graphs from the command line."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from .. import __version__
from ..errors import TinygradError, printable
from . import compile as compile_command
from . import exercise, explore, export, graph, new, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when done, 2 for a mistake in the call or in its input (said on standard error), 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="tinygrad-bn",
        description="Draw, explore, compile and export programs, and start new layers and exercises.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    graph.add_to(commands)
    explore.add_to(commands)
    compile_command.add_to(commands)
    export.add_to(commands)
    new.add_to(commands)
    exercise.add_to(commands)
    run.add_to(commands)
    _write_what_can_be_written()
    try:
        try:
            arguments = parser.parse_args(argv)
            arguments.run(arguments)
        finally:
            if sys.stdout is not None:  # as after >&-
                sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        _give_up_output()
        return 0
    except (TinygradError, OSError) as error:
        _give_up_output()
        if sys.stderr is not None:
            with suppress(OSError):
                print(f"tinygrad-bn: {printable(str(error))}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _write_what_can_be_written() -> None:
    """A letter that the terminal's encoding does not have is spelled out, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """Leave nothing that Python would try to write when it ends, if standard output takes no more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
