"""Modules made of modules."""

from __future__ import annotations

from collections import deque
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import chain, count
from operator import index as as_index
from typing import Any, TypeVar, overload

from ..errors import ArgumentError, DTypeError, IndexingError, explain
from ..kinds import Value
from .module import Module
from .tree import below

Self = TypeVar("Self", bound="_List")


def _position(what: str, index: Any, length: int) -> int:
    """A position counted from the front."""
    try:
        position = as_index(index)
    except TypeError:
        fix = "a position or a slice of positions; a name is an attribute, getattr(model, name)"
        raise IndexingError(explain(f"{what}: no such module", got=repr(index), fix=fix)) from None
    if not -length <= position < length:
        expected = f"{-length} to {length - 1}" if length else "nothing: it is empty"
        raise IndexingError(explain(f"{what}: no such module", got=index, expected=expected))
    return position % length


def _check(holder: Module, key: Any, module: Any) -> None:
    if isinstance(module, Module):
        return
    place = f"position {key}" if str(key).isdigit() else repr(key)
    got, fix = f"{type(module).__name__} at {place}", "unpack a list with *, wrap a function in a Module with a forward"
    if isinstance(module, type) and issubclass(module, Module):
        got, fix = f"the class {module.__name__} at {place}", f"a module of it: {module.__name__}(...)"
    raise DTypeError(explain(f"{type(holder).__name__} is made of modules", got=got, fix=fix))


def _check_key(holder: Module, key: Any) -> None:
    """Refuse what cannot be the name of a module in a dotted path, or is an attribute already."""
    taken = isinstance(key, str) and (key in holder.__dict__ or hasattr(type(holder), key))
    taken = taken and not isinstance(holder.__dict__.get(key), Module)
    if not isinstance(key, str) or not key or "." in key or taken:
        expected = "a string without dots" + (" that is no attribute already" if taken else "")
        raise ArgumentError(explain(f"{type(holder).__name__}: this cannot be a key", got=repr(key), expected=expected))


class _List(Module):
    """Modules by position: what a list does, where the numbers that are their names allow it."""

    def _name_below(self, key: str) -> str:
        """By which name a module is known to pictures and messages."""
        return key

    def _listed(self, modules: Any) -> list[Module]:
        """Modules that are to come after those that are there.

        Raises:
            DTypeError: something else.
        """
        try:
            given = list(modules)
        except TypeError:
            got, fix = type(modules).__name__, "a list of modules"
            raise DTypeError(explain(f"{type(self).__name__} is made of modules", got=got, fix=fix)) from None
        for i, module in enumerate(given, len(self)):
            _check(self, str(i), module)
        return given

    def _fill(self, modules: Iterable[Module]) -> None:
        """Hold these modules and no others, numbered from 0.

        It is a single call into C, where Python handles no signal: after a Ctrl-C they are all there.
        """
        own = self.__dict__
        old = [name for name, _ in self.named_children()]
        named = {str(i): module for i, module in enumerate(modules)}
        deque(chain(map(own.__delitem__, old), map(own.__setitem__, named, named.values())), 0)
        for key, module in named.items():
            module._rename(self._name_below(key))

    def _of(self, named: Iterable[tuple[str, Module]]) -> Any:
        """Another one, of some of the modules."""
        raise NotImplementedError

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        return self.extend([module])

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add modules at the end: all of them, or none."""
        given = self._listed(modules)
        names = (str(i) for i in count(len(self)) if str(i) not in self.__dict__)  # a part of a model begins elsewhere
        new = dict(zip(names, given))
        self.__dict__.update(new)
        for key, module in new.items():
            module._rename(self._name_below(key))
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Add a module before position ``index``; all are numbered anew."""
        _check(self, str(index), module)
        everything = list(self)
        everything.insert(index, module)
        self._fill(everything)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out and return it; the others are numbered anew."""
        module = self[index]
        del self[index]
        return module

    def __len__(self) -> int:
        return len(list(self.named_children()))

    def __iter__(self) -> Iterator[Module]:
        return iter([module for _, module in self.named_children()])

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self: Self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        children = list(self.named_children())
        if isinstance(index, slice):
            return self._of(children[index])
        return children[_position(type(self).__name__, index, len(children))][1]

    def __setitem__(self, index: int, module: Module) -> None:
        names = [name for name, _ in self.named_children()]
        name = names[_position(type(self).__name__, index, len(names))]
        _check(self, name, module)
        setattr(self, name, module)
        module._rename(self._name_below(name))

    def __delitem__(self, index: int | slice) -> None:
        everything = list(self)
        del everything[index if isinstance(index, slice) else _position(type(self).__name__, index, len(everything))]
        self._fill(everything)

    def __iadd__(self: Self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)


class Sequential(_List):
    """The modules one after the other, named "0", "1", ...

    ``model[0]`` is one of them, ``model[:-1]`` a ``Sequential`` of the same modules under the same names.  It can be
    changed as a list can (``append``, ``extend``, ``insert``, ``pop``, ``del``, ``model[1] = ...``), and ``a + b`` runs the
    modules of one, then those of the other.

    Args:
        modules: in the order in which they run; or one dictionary, whose keys are their names.

    Raises:
        DTypeError: something that is not a module; a plain function has to be wrapped in one.
        ArgumentError: a name that is not a string, is empty, has a dot in it, or names an attribute.
        IndexingError: a position that there is not.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                _check_key(self, name)
                _check(self, name, module)
                setattr(self, name, module)
        else:
            self.extend(modules)  # type: ignore[arg-type]  # what is not a module is refused there

    def forward(self, x: Value) -> Value:
        for name, module in self.named_children():
            if x is None:
                what = f"Sequential: module {name!r} gets nothing, because the one before it returned None"
                raise DTypeError(explain(what, fix="end its forward with return"))
            x = module(x)
        return x

    def __add__(self, modules: Iterable[Module]) -> Sequential:
        return Sequential(*self, *self._listed(modules))

    def _of(self, named: Iterable[tuple[str, Module]]) -> Any:
        part = Sequential()
        part.__dict__.update(named)  # under the names by which pictures know them
        return part


class _Holder(Module):
    """Modules held for another module to run; inside it they are known by the holder's name and their own."""

    def _rename(self, name: str) -> None:
        super()._rename(name)
        with below(self, "_rename") as children:
            for key, module in children:
                module._rename(f"{name}.{key}")

    def _name_below(self, key: str) -> str:
        return f"{self._scope}.{key}"


class ModuleList(_Holder, _List):
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

    def __add__(self, modules: Iterable[Module]) -> ModuleList:
        whole: ModuleList = self._of(enumerate([*self, *self._listed(modules)]))
        return whole

    def _of(self, named: Iterable[tuple[Any, Module]]) -> Any:
        """Another list of modules that keep the names by which pictures know them, until it is given one itself."""
        other = type(self)()
        other.__dict__.update((str(i), module) for i, (_, module) in enumerate(named))
        return other


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
        _check_key(self, key)
        _check(self, key, module)
        setattr(self, key, module)
        module._rename(self._name_below(key))

    def __getitem__(self, key: str) -> Module:
        return self._as_dict()[key]

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        module = self[key]
        delattr(self, key)
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for key in self:
            delattr(self, key)

    def __len__(self) -> int:
        return len(self._as_dict())

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
