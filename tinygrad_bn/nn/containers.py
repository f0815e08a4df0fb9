"""Modules made of modules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from operator import index as as_index
from typing import Any, overload

from ..errors import ArgumentError, DTypeError, IndexingError, explain
from ..kinds import Value
from .module import Module
from .tree import below


def _position(what: str, index: Any, count: int) -> int:
    """A position counted from the front."""
    try:
        position = as_index(index)
    except TypeError:
        fix = "a position or a slice of positions; a name is an attribute, getattr(model, name)"
        raise IndexingError(explain(f"{what}: no such module", got=repr(index), fix=fix)) from None
    if not -count <= position < count:
        expected = f"{-count} to {count - 1}" if count else "nothing: it is empty"
        raise IndexingError(explain(f"{what}: no such module", got=index, expected=expected))
    return position % count


def _listed(what: str, modules: Any) -> list[Any]:
    try:
        return list(modules)
    except TypeError:
        got, fix = type(modules).__name__, "a list of modules"
        raise DTypeError(explain(f"{what} is made of modules", got=got, fix=fix)) from None


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

    def forward(self, x: Value) -> Value:
        for name, module in self.named_children():
            if x is None:
                what = f"Sequential: module {name!r} gets nothing, because the one before it returned None"
                raise DTypeError(explain(what, fix="end its forward with return"))
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
            part.__dict__.update(children[index])  # under the names by which pictures know them
            return part
        return children[_position("Sequential", index, len(children))][1]


class _Holder(Module):
    """Modules held for another module to run; inside of it they are known by the holder's name and their own."""

    def _rename(self, name: str) -> None:
        super()._rename(name)
        with below(self, "_rename") as children:
            for key, module in children:
                module._rename(f"{name}.{key}")

    def _check(self, key: str, module: Any) -> None:
        if not isinstance(module, Module):
            kind = type(self).__name__
            got = f"{type(module).__name__} at {key!r}"
            raise DTypeError(explain(f"{kind} is made of modules", got=got, fix="wrap a function in a Module"))

    def _hold(self, key: str, module: Any) -> None:
        self._check(key, module)
        setattr(self, key, module)
        module._rename(f"{self._scope}.{key}")

    def __len__(self) -> int:
        return len(list(self.named_children()))


class ModuleList(_Holder):
    """A list whose modules belong to the module that holds it; it has no ``forward`` of its own.

    ::

        self.layers = nn.ModuleList(nn.Linear(n, n) for _ in range(3))
        ...
        for layer in self.layers:
            x = layer(x)

    A slice and a sum (``layers[:2]``, ``layers + more``) are lists of this kind too, of the same modules.

    Args:
        modules: what the list starts with.

    Raises:
        DTypeError: something that is not a module.
        IndexingError: a position that the list does not have.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        self._hold(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        given = _listed("ModuleList", modules)
        for i, module in enumerate(given):
            self._check(str(len(self) + i), module)
        for module in given:
            self.append(module)
        return self

    def __add__(self, modules: Iterable[Module]) -> ModuleList:
        return self._of([*self, *_listed("ModuleList", modules)])

    def _of(self, modules: list[Any]) -> ModuleList:
        """Another list of modules that keep the names by which pictures know them, until it is given one itself."""
        other = type(self)()
        for i, module in enumerate(modules):
            self._check(str(i), module)
            other.__dict__[str(i)] = module
        return other

    def insert(self, index: int, module: Module) -> None:
        """Add a module before position ``index``."""
        self._check(str(index), module)
        everything = list(self)
        everything.insert(index, module)
        self._refill(everything)

    def _refill(self, modules: list[Any]) -> None:
        for name, _ in list(self.named_children()):
            delattr(self, name)
        self.extend(modules)

    def pop(self, index: int = -1) -> Module:
        """Take a module out and return it."""
        module = self[index]
        del self[index]
        return module

    def __iter__(self) -> Iterator[Module]:
        return iter([module for _, module in self.named_children()])

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: int | slice) -> Module | ModuleList:
        everything = list(self)
        if isinstance(index, slice):
            return self._of(everything[index])
        return everything[_position("ModuleList", index, len(everything))]

    def __setitem__(self, index: int, module: Module) -> None:
        self._hold(str(_position("ModuleList", index, len(self))), module)

    def __delitem__(self, index: int | slice) -> None:
        everything = list(self)
        del everything[index if isinstance(index, slice) else _position("ModuleList", index, len(everything))]
        self._refill(everything)


class ModuleDict(_Holder):
    """A dictionary whose modules belong to the module that holds it; it has no ``forward`` of its own.

    Args:
        modules: a mapping, or pairs of key and module.

    Raises:
        DTypeError: something that is not a module.
        ArgumentError: a key that is not a string, is empty, has a dot in it, or names an attribute.
        KeyError: on looking up a key that is not there.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Take over modules by key; the modules of known keys are replaced."""
        try:
            given = dict(modules.items() if isinstance(modules, ModuleDict) else modules)
        except (TypeError, ValueError):
            got, fix = type(modules).__name__, "a dict of modules, or pairs of key and module"
            raise DTypeError(explain("ModuleDict is made of modules", got=got, fix=fix)) from None
        for key, module in given.items():
            self[key] = module

    def __setitem__(self, key: str, module: Module) -> None:
        taken = isinstance(key, str) and key not in self and (key in self.__dict__ or hasattr(type(self), key))
        if not isinstance(key, str) or not key or "." in key or taken:
            expected = "a string without dots" + (" that is no attribute already" if taken else "")
            raise ArgumentError(explain("ModuleDict: this cannot be a key", got=repr(key), expected=expected))
        self._hold(key, module)

    def __getitem__(self, key: str) -> Module:
        return self._as_dict()[key]

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        module = self[key]
        delattr(self, key)
        return module

    def __contains__(self, key: object) -> bool:
        return key in self._as_dict()

    def __iter__(self) -> Iterator[str]:
        return iter(self._as_dict())

    def keys(self) -> KeysView[str]:
        """The keys, in the order in which they were added."""
        return self._as_dict().keys()

    def values(self) -> ValuesView[Module]:
        """The modules, in the order in which they were added."""
        return self._as_dict().values()

    def items(self) -> ItemsView[str, Module]:
        """Pairs of key and module, in the order in which they were added."""
        return self._as_dict().items()

    def _as_dict(self) -> dict[str, Module]:
        return dict(self.named_children())
