"""Calling a module with other parameters than its own, so that it is a function of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..engine import Variable
from ..errors import ArgumentError, DTypeError, ShapeError, explain
from ..kinds import Value
from ..tensor import Tensor
from .module import Module

Places = dict[tuple[Module, str], Tensor]


def functional_call(module: Module, parameters: Mapping[str, Value], *inputs: Any, **kwargs: Any) -> Any:
    """``module(*inputs)`` with other parameters and buffers, as torch.func.functional_call; the module stays as it is.

    ::

        loss = lambda w: functional.mse_loss(functional_call(layer, {"weight": w}, x), target)
        slope = grad(loss)(layer.weight)

    Args:
        module: what is called.  While it runs, ``self.weight`` and the like are what was given.
        parameters: tensors or arrays by dotted name, as in ``state_dict``; what is not named is the module's own.
            A parameter that is used at several places in the module is replaced at all of them.
        inputs: the module's positional arguments; a single tuple is taken as all of them, as in PyTorch.
        kwargs: its keyword arguments.

    Returns:
        The module's output; it depends on ``parameters``, and can be differentiated by them to any order.

    Raises:
        ArgumentError: a name that the module does not have, or two values for one shared parameter.
        ShapeError: a value of another shape than what it replaces.
        DTypeError: a value that is not a tensor or array, or an argument that is not a mapping.
    """
    if not isinstance(module, Module):
        got = type(module).__name__
        raise DTypeError(explain("functional_call calls a module", got=got, expected="an nn.Module"))
    arguments = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], tuple) else inputs
    with _replaced(_places(module, parameters)):
        return module(*arguments, **kwargs)


def _places(module: Module, parameters: Any) -> Places:
    """What goes where, once everything fits."""
    if not isinstance(parameters, Mapping):
        got, fix = type(parameters).__name__, "dict(module.named_parameters()) is one"
        raise DTypeError(explain("functional_call: parameters by name", got=got, expected="a dict", fix=fix))
    places = {name: (owner, attribute) for name, owner, attribute in module._places()}
    own = {name: owner.__dict__[attribute] for name, (owner, attribute) in places.items()}
    new: Places = {}
    for name, value in parameters.items():
        if name not in own:
            close = difflib.get_close_matches(str(name), own, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(own)}" if own else "it has none"
            what = f"functional_call: {type(module).__name__} has no parameter or buffer of this name"
            raise ArgumentError(explain(what, got=repr(name), fix=fix))
        tensor = _tensor(name, value, own[name])
        for other, place in places.items():
            if own[other] is own[name]:
                if new.get(place, tensor) is not tensor:
                    what = f"functional_call: {name!r} and {other!r} are one parameter"
                    raise ArgumentError(explain(what, got="a value for each", fix="give it once"))
                new[place] = tensor
    return new


def _tensor(name: str, value: Value, own: Tensor) -> Tensor:
    what = f"functional_call: {name!r} is a tensor or an array"
    if isinstance(value, Variable) and not isinstance(value, Tensor):
        raise DTypeError(explain(what, got=f"a {type(value).__name__}"))
    try:
        tensor = value if isinstance(value, Tensor) else Tensor(value)
    except DTypeError as error:
        raise DTypeError(explain(what, got=type(value).__name__)) from error
    if tensor.shape != own.shape:
        raise ShapeError(explain(f"functional_call: {name!r}", got=f"shape {tensor.shape}", expected=own.shape))
    return tensor


@contextmanager
def _replaced(new: Places) -> Iterator[None]:
    before = {(owner, attribute): owner.__dict__[attribute] for owner, attribute in new}
    marks = {owner: owner._stand_ins for owner, _ in new}
    try:
        for (owner, attribute), tensor in new.items():
            owner.__dict__[attribute] = tensor
            owner.__dict__["_stand_ins"] = owner._stand_ins | {attribute}
        yield
    finally:
        for (owner, attribute), tensor in before.items():
            owner.__dict__[attribute] = tensor
        for owner, mark in marks.items():
            owner.__dict__["_stand_ins"] = mark
            if not mark:
                del owner.__dict__["_stand_ins"]
