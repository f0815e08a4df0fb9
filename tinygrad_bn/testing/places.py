"""Walking a recorded graph for reports, and naming places in it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..engine import Variable
from ..engine.mode import Site
from ..engine.sweep import toposort


def behind(roots: Sequence[Variable]) -> list[Variable]:
    """Every variable that the roots were computed from, themselves included, in order of creation.

    Raises:
        GraphError: the graph was freed by an earlier backward pass.
    """
    results = toposort(roots, everything=True)
    leaves = (arg for result in results for arg in result.inputs or () if isinstance(arg, Variable))
    return sorted(dict.fromkeys((*results, *leaves, *roots)), key=attrgetter("stamp"))


def operation(result: Variable) -> str:
    """The operation that made a result, and where: ``relu (model.py:12)``."""
    assert result.primitive is not None  # that is what makes it a result
    where = place(result)
    return f"{result.primitive.name} ({where})" if where else result.primitive.name


def place(result: Variable) -> str:
    """``file:line`` where that was recorded, else the modules and formulas around it, else ""."""
    scope = result.scope
    if isinstance(scope, Site):
        return f"{scope.filename}:{scope.line}"
    return "" if scope is None else "in " + " / ".join(scope.path)


def largest(value: Any) -> float:
    """The largest absolute value; NaN if there is one, 0 where there is no element."""
    raw = np.asarray(value.data if isinstance(value, Variable) else value)
    return float(np.max(np.abs(raw))) if raw.size else 0.0
