"""``explore``: one self-contained HTML file in which a learner walks through forward and backward, step by step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import write_whole
from .page import page as as_page
from .payload import payload as all_of

__all__ = ["explore"]


def explore(
    path: str | os.PathLike[str],
    outputs: Any,
    gradient: Any = None,
    *,
    module: Any = None,
    title: str = "",
    facts: Sequence[tuple[str, Any]] = (),
    invariants: Sequence[Any] = (),
    scalars: Any = None,
    orders: Sequence[Any] = (),
) -> Path:
    """Write an HTML file that shows the graph behind ``outputs`` and its backward pass, one step at a time.

    The file loads nothing and runs anywhere a browser does.  It shows, for each operation, the incoming gradient, the
    rule as a formula, its number, what each argument receives, the running sum where a value is used more than once, and
    the axes that un-broadcasting summed; modules open and close; and it holds gradients against central differences.

    Args:
        path: the file to write, complete or not at all.
        outputs: a variable, several, or an object array of scalars, with their graph.
        gradient: cotangents of the outputs; 1 for a single number if left out.
        module: names its parameters and buffers.
        title: a heading.
        facts: numbers or arrays to show at the end, each with what it is, such as a closed form.
        invariants: sums that the final gradients must make 0 (``payload.Invariant``), shown at every backward step.
        scalars: the same outputs computed on scalars (``scalarize``), for the graph of a single element.
        orders: backward passes to walk through (``payload.Order``); by default the engine's own.

    Returns:
        The path.

    Raises:
        GraphError, ArgumentError, ShapeError: as for ``graph.trace``; more than 300 nodes even with all modules closed.
        LayoutError: no layout program was found (extra "draw").
    """
    content = all_of(
        outputs,
        gradient,
        module=module,
        title=title,
        facts=facts,
        invariants=invariants,
        scalars=scalars,
        orders=orders,
    )
    return write_whole(path, as_page(content).encode())
