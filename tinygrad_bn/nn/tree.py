"""The ways through a tree of modules, and what hides from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, explain
from ..tensor import Parameter

if TYPE_CHECKING:
    from .module import Module


class Node:
    """What a tree is made of: ``Module``, and nothing else."""


class _Walk:
    """Which walks are in the middle of which modules, and whether the one that said so is over."""

    __slots__ = ("inside", "over")

    def __init__(self, inside: frozenset[tuple[str, int]]) -> None:
        self.inside = inside
        self.over = False


_walking: ContextVar[_Walk | None] = ContextVar("tinygrad_bn_walking", default=None)


@contextmanager
def below(module: Module, walk: str) -> Iterator[list[tuple[str, Module]]]:
    """The children of a module to which a walk goes on, with their names.

    A walk calls the method of its name on each child, so that a child's own version counts.  A child that the walk is in
    the middle of refers back to a module around it, and is left out.
    """
    refuse_hidden(module, module.__dict__)
    before = _walking.get()
    outer: frozenset[tuple[str, int]] = frozenset() if before is None or before.over else before.inside
    inside = outer | {(walk, id(module))}
    mine = _Walk(inside)
    try:  # two endings that each suffice: a walk left by Ctrl-C, even in one of them, must not hide modules from later ones
        try:
            _walking.set(mine)
            yield [(name, child) for name, child in module.named_children() if (walk, id(child)) not in inside]
        finally:
            mine.over = True
    finally:
        _walking.set(before)


def joined(path: str, name: str) -> str:
    """A dotted name."""
    return f"{path}.{name}" if path else name


class Once:
    """A function for ``Module.apply`` that remembers where it has been, for a module may stand at several places."""

    def __init__(self, function: Callable[[Module], Any]) -> None:
        self.function = function
        self.entered: set[Module] = set()

    def __call__(self, module: Module) -> Any:
        return self.function(module)


# -- what hides -----------------------------------------------------------------------------------------------------------

OWN = {"_buffer_names", "_forward_hooks", "_forward_pre_hooks", "_full_backward_hooks"}  # a module's own lists


def refuse_hidden(module: Module, attributes: Mapping[str, Any]) -> None:
    """Refuse plain lists, dicts and the like with modules or parameters in them: nothing would train or save those.

    Raises:
        ArgumentError: names the attribute, and what to write.
    """
    for name, value in attributes.items():
        if isinstance(value, CONTAINERS) and name not in OWN:
            hidden = _hidden_in(value)
            if hidden is not None:
                raise ArgumentError(_hides(module, name, value, hidden))


CONTAINERS = (
    list, tuple, dict, set, frozenset, deque, KeysView, ValuesView, ItemsView, np.ndarray, partial, SimpleNamespace,
)  # fmt: skip


def _hidden_in(value: Any, depth: int = 4) -> Any:
    """The first module or parameter inside plain containers, or ``None``."""
    if isinstance(value, (Parameter, Node)):
        return value
    if not depth or not isinstance(value, CONTAINERS):
        return None
    items: Iterable[Any] = value if not isinstance(value, (np.ndarray, partial, SimpleNamespace)) else ()
    if isinstance(value, dict):
        items = (*value, *value.values())
    elif isinstance(value, np.ndarray):
        items = value.flat if value.dtype == object else ()
    elif isinstance(value, partial):
        items = (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, SimpleNamespace):
        items = vars(value).values()
    return next((found for found in (_hidden_in(item, depth - 1) for item in items) if found is not None), None)


def _hides(module: Module, name: str, value: Any, hidden: Any) -> str:
    kind = "ModuleDict" if isinstance(value, dict) else "ModuleList"
    fix = f"self.{name} = nn.{kind}(...)"
    if isinstance(hidden, Parameter):
        fix = "make each parameter an attribute of its own, or put it into a module"
    what = f"{type(module).__name__}.{name}: a plain {type(value).__name__} is not looked into"
    expected = "what is in it to be trained, saved and switched between train() and eval() with the module"
    return explain(what, got=f"a {type(hidden).__name__} in it", expected=expected, fix=fix)
