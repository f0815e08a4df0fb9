"""``find_nonfinite``: where the first NaN or infinity of a recorded program began, forward or backward.

An infinity that came in is no fault as long as no NaN comes of it: -inf in a mask is how a softmax is told to leave
something out.  An infinity that came from none is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Variable, messages
from ..engine.messages import made_nonfinite, summary
from ..errors import ArgumentError, explain
from ..graph import backward_steps
from .places import behind, operation


@dataclass(frozen=True)
class Finding:
    """The first NaN or infinity.

    Attributes:
        phase: "input" (it came in with a leaf or a constant), "forward" or "backward".
        operation: the name of the operation, or the label of the leaf.
        sentence: what, where and from what.
        variable: the leaf, or the result of the operation; in backward, the operation whose rule made it.
    """

    phase: str
    operation: str
    sentence: str
    variable: Variable

    def __str__(self) -> str:
        return self.sentence


def find_nonfinite(loss: Any, gradient: Any = None) -> Finding | None:
    """The first value, in order of creation, that is NaN, or infinite from nothing infinite; else that of the backward pass.

    Infinities that came in with a leaf or a constant are named only where the loss or a gradient is not finite and
    nothing else explains it.

    Nothing changes: no ``.grad`` is written and the graph is kept.  Record inside ``tinygrad_bn.record_sites()`` to see
    the line of code.

    Args:
        loss: the recorded result that is looked behind.
        gradient: its cotangent for the backward pass; 1 for a single element, required otherwise.

    Returns:
        What was found, or ``None`` when there is neither a NaN nor an infinity that is not meant so.

    Raises:
        ArgumentError: the loss is not a variable.
        GraphError: the graph was freed by ``backward``.
        ShapeError: a cotangent that does not fit.
    """
    if not isinstance(loss, Variable):
        raise ArgumentError(explain("find_nonfinite: the loss is a variable", got=type(loss).__name__))
    remark = "" if finite(loss) else "; the loss is not finite"
    came_in: Finding | None = None
    for variable in behind([loss]):
        if variable.is_leaf:
            continue
        for slot, arg in enumerate(variable.inputs or ()):  # a leaf counts from its first use on
            if not finite(arg) and (not isinstance(arg, Variable) or arg.is_leaf):
                name = arg.label if isinstance(arg, Variable) else f"argument {slot}"
                said = f"{name} came into {operation(variable)} with {summary(raw(arg))}{remark}"
                found = Finding("input", name, said, arg if isinstance(arg, Variable) else variable)
                if np.isnan(raw(arg)).any():
                    return found
                came_in = came_in or found
        if made_nonfinite(variable.data, map(raw, variable.inputs or ()), _elementwise(variable)):
            said = f"forward: {operation(variable)} made {summary(variable.data)} from {_inputs(variable)}{remark}"
            return Finding("forward", messages.operation(variable), said, variable)
    if not finite(loss):
        said = f"{loss.label} itself is {summary(loss.data)}"
        return came_in or Finding("input", loss.label, said, loss)  # nothing was recorded
    return _backward(loss, gradient, came_in) if loss.requires_grad else None


def _backward(loss: Variable, gradient: Any, came_in: Finding | None) -> Finding | None:
    with np.errstate(all="ignore"):
        steps = backward_steps([loss], [gradient])
    if gradient is not None and not finite(gradient):
        return Finding("backward", "cotangent", f"backward: the cotangent itself is {summary(raw(gradient))}", loss)
    reached: dict[Variable, Any] = {}
    for step in steps:
        result = step.result
        for part in step.contributions:
            given = (step.upstream, result.data, *map(raw, result.inputs or ()))
            alike = _elementwise(result) and part.argument.shape == result.shape
            if made_nonfinite(part.cotangent, given, alike):
                said = (
                    f"backward: the rule of {operation(result)} for argument {part.slot} made"
                    f" {summary(part.cotangent)} from the cotangent {summary(step.upstream)} and {_inputs(result)}"
                )
                return Finding("backward", messages.operation(result), said, result)
            if part.before is not None and made_nonfinite(part.after, (part.before, part.cotangent), True):
                said = (
                    f"backward: the cotangents that reach {part.argument.label} overflow when they are added, at"
                    f" {operation(result)}: {summary(part.after)}"
                )
                return Finding("backward", messages.operation(result), said, result)
            reached[part.argument] = part.after
    return None if all(finite(g) for argument, g in reached.items() if argument.is_leaf) else came_in


def _elementwise(result: Variable) -> bool:
    return result.primitive is not None and result.primitive.elementwise


def raw(value: Any) -> Any:
    """The value as NumPy has it."""
    return value.data if isinstance(value, Variable) else value


def finite(value: Any) -> bool:
    """Whether a variable, array or number has neither NaN nor infinity."""
    return bool(np.isfinite(raw(value)).all())


def _inputs(result: Variable) -> str:
    told = [
        f"{arg.name + ': ' if isinstance(arg, Variable) and arg.name else ''}{summary(raw(arg))}"
        for arg in result.inputs or ()
    ]
    return "inputs " + "; ".join(told) if len(told) != 1 else f"input {told[0]}"
