"""``explore``: a page that computes, to walk through forward and backward, step by step, and to try other numbers.

Read in this order: ``recording``, ``payload``, ``page``; then the scripts in ``browser/``, from ``interpreter.js`` on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, overload

from .page import Page, page_of
from .payload import Fact, Invariant, Lesson, Order

__all__ = ["Fact", "Invariant", "Lesson", "Order", "Page", "explore"]


@overload
def explore(path: str | os.PathLike[str], outputs: Any, gradient: Any = None, /, **settings: Any) -> Path: ...
@overload
def explore(outputs: Any, gradient: Any = None, /, **settings: Any) -> Page: ...
def explore(*arguments: Any, **settings: Any) -> Page | Path:
    """A page on which forward and backward run one step at a time, on numbers that can be changed.

    ``explore(outputs, gradient)`` gives a ``Page``, which a notebook shows and ``.save(path)`` writes;
    ``explore(path, outputs, gradient)`` writes the file, complete or not at all, and gives its path.

    The page loads nothing and runs anywhere a browser does.  It holds the recorded program of both passes and runs it anew
    whenever a number is changed.  It shows, for each operation, the cotangent, the rule as a formula, its number, what
    each argument receives, the running sum where a value is used more than once, and the axes that un-broadcasting summed;
    modules open and close; any number can be seen as a graph of scalars; and gradients are held against central differences.

    Args:
        *arguments: the outputs: a variable, several, or an object array of scalars, with their graph; and their cotangents,
            which are 1 for a single number if left out.  A path before them is where to write the page.
        **settings: ``module``, which names its parameters and buffers; ``title``, a heading; ``facts``, programs to hold
            gradients against, such as a closed form (``Fact``); ``invariants``, sums that the final gradients make 0
            (``Invariant``); ``orders``, backward passes to walk through, by default the engine's own (``Order``); ``lesson``,
            what stands beside the graph: equations, a number line (``Lesson``); ``rows``, how many there are and a function
            that gives outputs and cotangents for another number of them, so that the reader can add and remove rows where
            it is the same computation for all.

    Raises:
        GraphError, ArgumentError, ShapeError: as for ``graph.trace``; more than 2000 operations.
        RecordingError: a hook lets a value out of the graph, or the program is not plain data.
    """
    if arguments and isinstance(arguments[0], (str, os.PathLike)):
        return page_of(*arguments[1:], **settings).save(arguments[0])
    return page_of(*arguments, **settings)
