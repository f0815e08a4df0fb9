"""``Module``: a tree of parameters, buffers and submodules, with a ``forward``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from ..engine import scope, write
from ..engine.extras import HookHandle
from ..engine.mode import current_mode
from ..errors import ArgumentError, ShapeError, explain
from ..tensor import Parameter, Tensor

Array = np.ndarray[Any, Any]
Self = TypeVar("Self", bound="Module")


class Module:
    """Base of all layers: assign parameters and modules as attributes in ``__init__``, write ``forward``.

    ::

        class Scale(nn.Module):
            def __init__(self, features):
                super().__init__()
                self.weight = nn.Parameter(np.ones(features))

            def forward(self, x):
                return x * self.weight

    Parameters and submodules are found among the attributes by their type, buffers by ``register_buffer``.

    Attributes:
        training: whether the module is in training mode; see ``train`` and ``eval``.
    """

    training: bool

    def __init__(self) -> None:
        self.__dict__.update(training=True, _scope=type(self).__name__, _buffer_names=[], _forward_hooks=[])

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass writes its own."""
        raise ArgumentError(
            explain(f"{type(self).__name__} has no forward", fix="define forward(self, x) in the class")
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` inside a scope with the module's name, by which pictures group its operations."""
        tape = current_mode().tape
        if tape is not None:
            tape.modules[id(self)] = self
        with scope(self._scope):
            output = self.forward(*args, **kwargs)
            if self._forward_hooks:
                for hook in tuple(self._forward_hooks):
                    replacement = hook(self, args, output)
                    output = output if replacement is None else replacement
            return output

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> HookHandle:
        """Call ``hook(module, args, output)`` after each ``forward``; what it returns, unless ``None``, is the output.

        Returns:
            A handle whose ``remove()`` takes the hook off again.
        """
        hooks: list[Any] = self._forward_hooks
        hooks.append(hook)
        return HookHandle(hooks, hook)

    # -- attributes -----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "training" not in self.__dict__:
            raise ArgumentError(
                explain(f"{type(self).__name__}: attribute {name!r} set too early", fix="call super().__init__() first")
            )
        kind = self._kind_of(name)
        if value is not None and not isinstance(value, kind):
            fix = f"assign a {kind.__name__}" + ("" if kind is Module else f", or assign to .{name}.data")
            raise ArgumentError(
                explain(f"{type(self).__name__}.{name} is a {kind.__name__}", got=type(value).__name__, fix=fix)
            )
        if isinstance(value, Module):
            value._rename(name)
        elif isinstance(value, Parameter):
            if name in self._buffer_names:
                self._buffer_names.remove(name)
            if value.name is None:
                value.name = name
        super().__setattr__(name, value)

    def _rename(self, name: str) -> None:
        """Take the name under which another module holds this one, for pictures and messages."""
        self.__dict__["_scope"] = name

    def _kind_of(self, name: str) -> type:
        """What an attribute has to stay: a buffer, a parameter, a module; anything, if it is none of these."""
        if name in self._buffer_names:
            return Tensor
        value = self.__dict__.get(name)
        return next((kind for kind in (Parameter, Module) if isinstance(value, kind)), object)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in self._buffer_names:
            self._buffer_names.remove(name)

    def __getattr__(self, name: str) -> Any:
        known = [n for n in (*self.__dict__, *dir(type(self))) if not n.startswith("_")]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if "training" not in self.__dict__:
            hint = "; call super().__init__() first"
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def register_buffer(self, name: str, buffer: Tensor | Array | None) -> None:
        """Add state that is saved and loaded but not trained, such as running statistics.

        Raises:
            ArgumentError: the name is taken by something else, or a ``Parameter`` is given, which is trained.
        """
        if isinstance(buffer, Parameter):
            raise ArgumentError(
                explain(
                    f"register_buffer({name!r}): a buffer is not trained", got="Parameter", fix="pass its .detach()"
                )
            )
        if name not in self._buffer_names and (name in self.__dict__ or hasattr(type(self), name)):
            raise ArgumentError(explain(f"{type(self).__name__} has an attribute {name!r} already"))
        value = buffer if buffer is None or isinstance(buffer, Tensor) else Tensor(buffer)
        if value is not None and value.name is None:
            value.name = name
        if value is not None:
            value._extra().is_buffer = True
        if name not in self._buffer_names:
            self._buffer_names.append(name)
        self.__dict__[name] = value

    # -- walking the tree ---------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one."""
        return ((name, value) for name, value in self.__dict__.items() if isinstance(value, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names; this one's name is the prefix."""
        seen: set[Module] = set()
        waiting: list[tuple[str, Module]] = [(prefix, self)]
        while waiting:
            path, module = waiting.pop()
            if module not in seen:
                seen.add(module)
                yield path, module
                below = [(_join(path, name), child) for name, child in module.named_children()]
                waiting.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names, a shared one once."""
        seen: set[Parameter] = set()
        for name, value in self._named_state():
            if isinstance(value, Parameter) and value not in seen:
                seen.add(value)
                yield name, value

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, a shared one once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Buffers with dotted names, a shared one once."""
        seen: set[Tensor] = set()
        for name, value in self._named_state():
            if not isinstance(value, Parameter) and value not in seen:
                seen.add(value)
                yield name, value

    def _named_state(self, path: str = "", above: tuple[Module, ...] = ()) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers under every name they have, module by module, parameters first."""
        for name, value in self.__dict__.items():
            if isinstance(value, Parameter):
                yield _join(path, name), value
        for name in self._buffer_names:
            if self.__dict__[name] is not None:
                yield _join(path, name), self.__dict__[name]
        above = (*above, self)
        for name, child in self.named_children():
            if child not in above:  # a module that refers back to one around it
                yield from child._named_state(_join(path, name), above)

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn(module)`` once on every module, those below before the one that holds them: to initialize, say."""
        self._visit(fn, set())
        return self

    def _visit(self, fn: Callable[[Module], Any], seen: set[Module]) -> None:
        seen.add(self)
        for _, child in self.named_children():
            if child not in seen:
                child._visit(fn, seen)
        fn(self)

    # -- modes and gradients --------------------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Training mode, here and below: batch statistics in BatchNorm."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Evaluation mode, here and below: running statistics in BatchNorm."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients of the parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Train all parameters, or none."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by dotted name, in PyTorch's order."""
        return {name: np.array(tensor.data, order="C") for name, tensor in self._named_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over values by name; nothing is changed unless all of them fit.

        Raises:
            ShapeError: lists missing, unexpected and mis-shaped entries, and dtypes that would lose their kind.
        """
        own = dict(self._named_state())
        arrays = {name: np.asarray(value.data if isinstance(value, Tensor) else value) for name, value in state.items()}
        problems = [f"missing {name}, shape {own[name].shape}" for name in own if name not in arrays]
        problems += [f"unexpected {name}, shape {arrays[name].shape}" for name in arrays if name not in own]
        for name, tensor in own.items():
            array = arrays.get(name, tensor.data)
            if array.shape != tensor.shape:
                problems.append(f"{name} has shape {array.shape}, expected {tensor.shape}")
            elif not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
                problems.append(f"{name} has dtype {array.dtype}, expected {tensor.dtype}")
        if problems:
            got = "\n            ".join(problems)
            raise ShapeError(explain(f"load_state_dict of {type(self).__name__} does not fit", got=got))
        converted = {name: tensor.to_data(arrays[name], tensor.dtype) for name, tensor in own.items()}
        write([(tensor, converted[name]) for name, tensor in own.items()])  # all of them, also when interrupted

    # -- showing ----------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The settings shown in the module's line of ``repr``."""
        return ""

    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        head = f"{type(self).__name__}({self.extra_repr()})"
        if count:
            head += f"  # {count:,} parameters"
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.named_children()]
        return "\n".join([head, *lines])


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
