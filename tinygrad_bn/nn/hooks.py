"""Full backward hooks: how a module's call passes its gradients to the registered hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..engine import Variable, dtype_of
from ..errors import ArgumentError, explain
from ..ops.primitives.elementary import identity

Gradients = tuple[Any, ...]
Hook = Callable[[Any, Gradients, Gradients], Any]


class FullBackward:
    """The gradients of one call of a module, of its inputs and of its outputs, on their way to its hooks.

    A hook is called once, with all gradients.  So inputs and outputs pass through two rows of nodes, one after the
    other: the backward pass, which visits the latest first, has been to all of the second row before it comes to the
    first.  There the hooks are called, and there what they return takes the gradients' places.
    """

    def __init__(self, module: Any, hooks: Sequence[Hook]) -> None:
        self._module, self._hooks = module, tuple(hooks)
        self._inputs = self._outputs = 0  # how many there are
        self._of_inputs: dict[int, Any] = {}
        self._of_outputs: dict[int, Any] = {}
        self._replaced: dict[int, Any] = {}
        self._reaches_inputs = False

    def inputs(self, args: Gradients) -> Gradients:
        """The arguments, on their way into the module."""
        self._inputs = len(args)
        passed = self._rows(args, self._note_input, self._replacement)
        self._reaches_inputs = any(new is not old for new, old in zip(passed, args))
        return passed

    def outputs(self, output: Any) -> Any:
        """The output, on its way out.

        Raises:
            ArgumentError: neither a variable nor a tuple or list of them; gradients of a dict have no order.
        """
        several = isinstance(output, (tuple, list))
        if not several and not isinstance(output, Variable):
            got, expected = type(output).__name__, "a tensor, or a tuple of them"
            what = f"full backward hook: the output of {type(self._module).__name__}"
            raise ArgumentError(explain(what, got=got, expected=expected))
        given = tuple(output) if several else (output,)
        self._outputs = len(given)
        passed = self._rows(given, self._of_outputs.__setitem__, self._without_inputs)
        return type(output)(passed) if type(output) in (tuple, list) else passed if several else passed[0]

    def _rows(
        self,
        values: Gradients,
        note: Callable[[int, Variable], Variable | None],
        then: Callable[[int, Variable], Variable | None],
    ) -> Gradients:
        wanted = {i: v for i, v in enumerate(values) if isinstance(v, Variable) and v.requires_grad}
        first = {i: identity(variable) for i, variable in wanted.items()}
        second = {i: identity(variable) for i, variable in first.items()}
        for i in second:
            if second[i].requires_grad:  # it does not under no_grad
                second[i].register_hook(partial(note, i))
                first[i].register_hook(partial(then, i))
        return tuple(second.get(i, value) for i, value in enumerate(values))

    # -- in the backward pass -------------------------------------------------------------------------------------------

    def _note_input(self, i: int, gradient: Variable) -> None:
        self._replaced.clear()  # what a pass that failed halfway has left
        self._of_inputs[i] = gradient

    def _replacement(self, i: int, gradient: Variable) -> Variable | None:
        if not self._replaced:
            self._replaced = self._called()
        return self._replaced.pop(i)

    def _without_inputs(self, i: int, gradient: Variable) -> None:
        if not self._reaches_inputs and self._of_outputs:
            self._called()

    def _called(self) -> dict[int, Variable | None]:
        """What the hooks make of the gradients of the inputs."""
        into = tuple(self._of_inputs.get(i) for i in range(self._inputs))
        out = tuple(self._of_outputs.get(i) for i in range(self._outputs))
        known = dict(self._of_inputs)
        self._of_inputs.clear()  # a recorded gradient refers to the graph, which refers to this object
        self._of_outputs.clear()
        for hook in self._hooks:
            new = hook(self._module, into, out)
            if new is None:
                continue
            new = tuple(new) if isinstance(new, (tuple, list)) else (new,)
            if len(new) != len(into):
                what = f"full backward hook of {type(self._module).__name__}"
                expected = f"None, or {len(into)}: one for each positional argument"
                raise ArgumentError(explain(what, got=f"{len(new)} gradients", expected=expected))
            into = new
        return {i: _none(known[i]) if into[i] is None else into[i] for i in known}


def _none(gradient: Variable) -> Variable:
    """No gradient at all, in the shape of one."""
    return gradient.kind.wrap(gradient.to_data(np.zeros(gradient.shape, dtype_of(gradient))))
