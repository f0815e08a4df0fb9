"""Ctrl-C at a chosen line.

``INTERRUPTS=500 pytest tests/train -k any_line`` tries more lines than the few of an ordinary run.
"""

import os
import sys

import numpy as np


def some_of(lines, usual, first=1):
    """Which lines to try, at random."""
    return np.random.default_rng(0).integers(first, lines, int(os.environ.get("INTERRUPTS", usual))).tolist()


def interrupted_at(line, action, function=None):
    """Run an action with a Ctrl-C at the n-th line that it executes in the package; returns how many it executed.

    Only lines of functions with this name count, if one is given.
    """
    count, before = 0, sys.gettrace()

    def trace(frame, event, arg):
        nonlocal count
        if "tinygrad_bn" not in frame.f_code.co_filename:
            return None
        if event == "line" and function in (None, frame.f_code.co_name):
            count += 1
            if count == line:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        assert count == line
    finally:
        sys.settrace(before)
    return count
