"""Undoing what a training step has done."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..engine import Variable, reading, write
from ..engine.write import set_gradients
from ..optim import Optimizer
from ..random import generator


def as_it_is(state: Iterable[Variable], optimizer: Optimizer | None) -> Callable[[], None]:
    """Note what a step may change: values and gradients, what the optimizer trains and remembers, the generator.

    Args:
        state: what changes besides the optimizer's parameters, such as the buffers of a model.
        optimizer: which may be missing.

    Returns:
        What puts it back.  Nothing is copied for that, since new values replace arrays and never write to them.
    """
    tensors = list(dict.fromkeys([*state, *(() if optimizer is None else optimizer.params)]))
    values = [(tensor, reading(tensor)) for tensor in tensors]
    gradients = [tensor.grad for tensor in tensors]
    restore = None if optimizer is None else optimizer.snapshot()
    bits = generator().bit_generator
    drawn = bits.state

    def put_back() -> None:
        bits.state = drawn
        write(values)
        set_gradients(tensors, gradients)
        if restore is not None:
            restore()

    return put_back
