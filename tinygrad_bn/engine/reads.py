"""Which values a rule reads: asked where an argument has changed since, to refuse the gradient only if it would be wrong.

``x + c`` needs neither x nor c for its gradient, so c may change before backward; ``x * c`` needs c for the gradient of x.
That is not declared anywhere.  The rule is run on the changed argument as a variable of its own, with an observer in the
place of a tape: what takes part in no operation, and is asked for nothing but its shape and dtype, is not read.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from . import messages
from .mode import switched
from .primitive import Rule
from .variable import Variable


class _Read(BaseException):
    """The rule has read what was changed."""


class _Observer:
    """Stands where a tape would, and stops the rule at the first use of a variable."""

    def __init__(self, observed: Variable) -> None:
        self._observed = observed

    def append(self, primitive: Any, args: tuple[Any, ...], params: Any, out: Variable) -> None:
        if any(arg is self._observed for arg in args):
            raise _Read

    def __getattr__(self, name: str) -> Any:  # whatever else a tape is told: a value leaves the graph
        raise _Read


def check_unread(
    result: Variable, changed: Variable, g: Any, on_variables: bool, on_path: Container[Variable] | None
) -> None:
    """Refuse a backward pass through an operation that needs the earlier value of one of its arguments.

    Raises:
        MutationError: a rule that is about to run reads the value, or there was no wish for a gradient when it was recorded.
    """
    if changed._extras is not None and changed._extras.renewed > result.stamp:
        raise messages.mutated(result, changed)
    assert result.primitive is not None  # as in the sweep
    for index, arg in enumerate(result.inputs or ()):
        if isinstance(arg, Variable) and arg._requires_grad and (on_path is None or arg in on_path):
            rule = result.primitive.vjp(index)
            if rule is not None and _reads(rule, result, changed, g, on_variables):
                raise messages.mutated(result, changed)


def _reads(rule: Rule, result: Variable, changed: Variable, g: Any, on_variables: bool) -> bool:
    probe = changed.kind.wrap(changed._data)

    def given(value: Any) -> Any:
        if value is changed:
            return probe
        raw = value if on_variables or not isinstance(value, Variable) else value._data
        return np.float64(raw) if type(raw) is float else raw  # which divide by 0

    args = map(given, (g, result, *(result.inputs or ())))
    try:
        with switched(tape=_Observer(probe), recording=False, anomaly=False, sites=False), np.errstate(all="ignore"):
            rule(*args, **(result.params or {}))
    except (_Read, Exception):  # a rule that cannot do without the value itself
        return True
    return False
