"""Walking a recorded graph for reports, and naming places in it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..engine import FREED, Variable
from ..engine.errors import GraphError, explain
from ..engine.mode import Site


def behind(roots: Sequence[Variable]) -> list[Variable]:
    """Every variable that the roots were computed from, themselves included, in order of creation.

    Raises:
        GraphError: the graph was used up by an earlier backward pass.
    """
    found = list(dict.fromkeys(roots))
    seen = set(found)
    for variable in found:  # the list grows while it is walked
        if variable.inputs is FREED:
            fix = "ask before backward, or call backward(retain_graph=True)"
            raise GraphError(explain(f"{variable.label}: its graph was used up by backward()", fix=fix))
        for arg in variable.inputs or ():
            if isinstance(arg, Variable) and arg not in seen:
                seen.add(arg)
                found.append(arg)
    found.sort(key=attrgetter("stamp"))
    return found


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
