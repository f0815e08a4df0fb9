"""A value becomes a plain number without anybody having said so: refused where it makes a derivative wrong, else warned of.

``x.item()``, ``x.numpy()``, ``x.data`` and ``x.detach()`` say so; ``float(x)`` does not, since ``math.sin(x)``, a draw around
x and an array of numbers that x is put into call it, too.
"""

from __future__ import annotations

import dis
import warnings
from types import FrameType
from typing import TYPE_CHECKING

from ..errors import GraphWarning
from . import messages
from .mode import current_mode, current_points, is_point, users_frame

if TYPE_CHECKING:
    from .variable import Variable


def leaving(variable: Variable, how: str) -> None:
    """Note that the value of a variable is about to leave the graph by ``how``; quiet if nothing of it is recorded.

    Raises:
        RecordingError: in a function that is being recorded as a program.
        GraphError: in a function that a transform differentiates.

    Warns:
        GraphWarning: elsewhere, once for each line of the user's code.
    """
    mode = current_mode()
    if mode.tape is not None:
        mode.tape.refuse_value(variable, how)
    if not variable._requires_grad or not mode.recording or variable.size != 1:  # more elements become no number
        return
    frame = users_frame()
    if _formats(frame):
        return
    if current_points():
        raise messages.leaves_graph(variable, how)
    names = frame.f_globals
    warnings.warn_explicit(
        messages.left_graph(variable, how),
        GraphWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        names.get("__name__"),
        names.setdefault("__warningregistry__", {}),
    )


def copying(leaf: Variable) -> None:
    """Refuse a copy of what a transform differentiates by, which would be a constant; other leaves can be copied.

    Raises:
        GraphError: in a function that a transform differentiates.
    """
    if is_point(leaf) and current_mode().recording:
        raise messages.leaves_graph(leaf, "a copy")


def _formats(frame: FrameType) -> bool:
    """Whether a line is at ``"%.3f" % x``, which shows a value and computes nothing: no other ``%`` asks for a number."""
    code, at = frame.f_code.co_code, frame.f_lasti
    name = dis.opname[code[at]]
    return name == "BINARY_MODULO" or (name == "BINARY_OP" and code[at + 1] in (6, 19))  # % and %= among the operators
