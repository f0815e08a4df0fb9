"""What ``tinygrad-bn run`` starts on every rank: ``python -m tinygrad_bn.parallel SCRIPT [ARGUMENTS]``, or ``-m MODULE``."""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time
from contextlib import suppress

from .launch import LAUNCHER, this_launcher
from .world import World, world


def main() -> None:
    """Run the script as if Python had been called with it, as one of several ranks."""
    launcher = os.environ.pop(LAUNCHER, None)
    here = world()
    if launcher is not None:
        threading.Thread(target=_watch, args=(launcher,), daemon=True).start()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]  # whole lines
    is_module = sys.argv[1] == "-m"
    sys.argv = sys.argv[2 if is_module else 1 :]
    sys.path[0] = os.getcwd() if is_module else os.path.dirname(os.path.abspath(sys.argv[0]))
    try:
        if is_module:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as error:
        if error.code not in (None, 0):
            _exit(here, error.code)
        raise


def _exit(here: World, code: object) -> None:
    number = code if isinstance(code, int) else 1
    if here.size > 1:
        here.abort(number, "" if isinstance(code, int) else f"rank {here.rank} of {here.size}: {code}\n")
    raise SystemExit(code)


def _watch(launcher: str) -> None:
    """End this rank when what started it is gone, killed by somebody, so that none is left behind."""
    parent = os.getppid()
    while True:
        time.sleep(1.0)
        host, _, number = launcher.rpartition(":")
        gone = os.getppid() != parent
        if host == this_launcher().rpartition(":")[0]:
            with suppress(PermissionError):
                try:
                    os.kill(int(number), 0)
                except ProcessLookupError:
                    gone = True
        if gone:
            os._exit(1)


if __name__ == "__main__":
    main()
