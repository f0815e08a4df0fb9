"""The backward sweep in slow motion: the same order and the same rules as the engine's, with every step written down.

For pictures and for study.  The engine's sweep is the one that trains; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Variable, enable_grad, no_grad, scope
from ..engine.mode import Scope, current_mode
from ..engine.sweep import ieee_or_raise, seed_for, toposort
from ..engine.unbroadcast import conform


@dataclass(frozen=True)
class Contribution:
    """What one rule added to one argument.

    Attributes:
        slot: which argument of the operation.
        argument: the argument.
        returned: what the rule returned, still of the result's shape where broadcasting took place.
        cotangent: the same with broadcasting undone.
        before: the argument's cotangent so far, ``None`` when this is the first contribution.
        after: the sum of both.
        scope: the scope in which the rule ran, for finding its operations in a recorded backward pass.
    """

    slot: int
    argument: Variable
    returned: Any
    cotangent: Any
    before: Any
    after: Any
    scope: Scope | None


@dataclass(frozen=True)
class Step:
    """One operation's turn: its complete cotangent, and what its rules made of it."""

    result: Variable
    upstream: Any
    contributions: tuple[Contribution, ...]


def backward_steps(roots: Sequence[Variable], gradients: Sequence[Any], create_graph: bool = False) -> list[Step]:
    """Run a backward pass and write down each step; no ``.grad`` changes.

    Args:
        roots: where the pass starts.
        gradients: their cotangents, as for ``backward``; ``None`` means 1 for a single element.
        create_graph: run the rules on variables, so that the pass itself is recorded.

    Returns:
        The steps in order; cotangents are raw values, or variables when ``create_graph``.
    """
    pending: dict[Variable, Any] = {}
    steps: list[Step] = []
    with enable_grad() if create_graph else no_grad():
        for root, gradient in zip(roots, gradients):
            seed = seed_for(root, gradient, create_graph)
            pending[root] = pending[root] + seed if root in pending else seed
        for result in toposort(roots):
            if result not in pending:
                continue
            upstream = pending.pop(result)
            primitive, inputs, params = result.primitive, result.inputs or (), result.params or {}
            assert primitive is not None  # that is what recorded means
            values = inputs if create_graph else [a.data if isinstance(a, Variable) else a for a in inputs]
            contributions = []
            for slot, argument in enumerate(inputs):
                rule = primitive.vjp(slot)
                if rule is None or not isinstance(argument, Variable) or not argument.requires_grad:
                    continue
                with scope(f"rule of {primitive.name}"):
                    where = current_mode().scope
                    out = result if create_graph else result.data
                    try:
                        returned = rule(upstream, out, *values, **params)
                    except Exception as error:
                        returned = ieee_or_raise(error, result, slot, rule, upstream, list(values))
                    cotangent = conform(returned, result, slot, argument, create_graph)
                    before = pending.get(argument)
                    after = cotangent if before is None else before + cotangent
                pending[argument] = after
                contributions.append(Contribution(slot, argument, returned, cotangent, before, after, where))
            steps.append(Step(result, upstream, tuple(contributions)))
    return steps
