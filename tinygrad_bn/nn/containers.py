"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

from ..engine.errors import DTypeError, IndexingError, explain
from .module import Module


class Sequential(Module):
    """The modules one after the other, named "0", "1", ...

    ``model[0]`` is one of them, ``model[:-1]`` a ``Sequential`` of the same modules under the same names.

    Raises:
        DTypeError: something that is not a module; a plain function has to be wrapped in one.
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                fix = "unpack a list with *, wrap a function in a Module with a forward"
                raise DTypeError(
                    explain("Sequential is made of modules", got=f"{type(module).__name__} at position {i}", fix=fix)
                )
            setattr(self, str(i), module)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(list(self.named_children()))

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        children = list(self.named_children())
        if isinstance(index, slice):
            part = Sequential()
            for name, module in children[index]:
                setattr(part, name, module)
            return part
        if not -len(children) <= index < len(children):
            expected = f"{-len(children)} to {len(children) - 1}" if children else "nothing: it is empty"
            raise IndexingError(explain("Sequential: no such module", got=index, expected=expected))
        return children[index][1]
