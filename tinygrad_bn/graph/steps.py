"""The backward sweep in slow motion: the engine's own, with every contribution written down, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Variable, no_grad
from ..engine.sweep import Contribution, cotangent_for, sweep


@dataclass(frozen=True)
class Step:
    """One operation's turn: its complete cotangent, and what its rules made of it."""

    result: Variable
    upstream: Any
    contributions: tuple[Contribution, ...]


def backward_steps(roots: Sequence[Variable], gradients: Sequence[Any]) -> list[Step]:
    """Run a backward pass and write down each step; no ``.grad`` changes.

    Args:
        roots: where the pass starts.
        gradients: their cotangents, as for ``backward``; ``None`` means 1 for a single element.

    Returns:
        The steps in order; cotangents are raw values.

    Raises:
        GraphError, ShapeError, MutationError, RuleError: as ``backward``.
    """
    turns: dict[Variable, list[Contribution]] = {}
    with no_grad():
        cotangents = [cotangent_for(root, gradient, False) for root, gradient in zip(roots, gradients)]
        sweep(roots, cotangents, on_variables=False, watch=lambda part: turns.setdefault(part.result, []).append(part))
    return [Step(result, parts[0].upstream, tuple(parts)) for result, parts in turns.items()]
