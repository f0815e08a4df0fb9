"""How the training steps of a measurement are made: eager, or recorded at the first one and compiled.

Which of them is a choice of the run, not of what is measured: ``with backend("c"): part.measure(...)``.  Compiled to NumPy
a step has the bits of an eager one; compiled to C its last bits differ, as those of sums that are added up in another order
do, and a long training that is sensitive to them ends with other digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import tinygrad_bn as tg
from tinygrad_bn import nn
from tinygrad_bn.compiler.c.build import toolchain
from tinygrad_bn.errors import CompilerError

from .copies import Array, update

BACKENDS = {
    "c": "compiled to C",
    "numpy": "compiled to NumPy, with the bits of eager steps",
    "eager": "eager",
}
_chosen: ContextVar[str] = ContextVar("_chosen", default="eager")


def usual() -> str:
    """C where there is a compiler that works, NumPy elsewhere."""
    try:
        toolchain()
    except CompilerError:
        return "numpy"
    return "c"


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Inside, steps are made by this backend."""
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def stepper(
    model: nn.Module,
    optimizer: Any,
    loss: Callable[[Any, Any], Any],
    by: str | None = None,
    brief: bool = False,
) -> Callable[[Array, Array], float]:
    """A training step of all copies at once, or of one ordinary network, as a function of a batch; it returns the loss.

    Args:
        model: called with the batch's inputs.
        optimizer: of its parameters.
        loss: of the model's output and the batch's targets.
        by: one of ``BACKENDS``; ``None``: what the run chose.
        brief: whether there are so few and so small steps that a C compiler takes longer than it saves; then NumPy is
            used in place of C.
    """
    by, step = by or _chosen.get(), partial(update, model, optimizer, loss)
    by = "numpy" if brief and by == "c" else by
    run = step if by == "eager" else tg.compile(step, backend=by, exact=by == "numpy", quiet=True)
    return lambda x, y: float(run(x, y).item())
