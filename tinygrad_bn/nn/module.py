"""``Module``: a tree of parameters, buffers and submodules, with a ``forward``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from ..engine import scope
from ..engine.errors import ArgumentError, ShapeError, explain
from ..variables import Parameter, Tensor

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

    Attributes:
        training: whether the module is in training mode; see ``train`` and ``eval``.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module]

    def __init__(self) -> None:
        for registry in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, registry, {})
        object.__setattr__(self, "training", True)
        object.__setattr__(self, "_scope", type(self).__name__)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass writes its own."""
        raise ArgumentError(explain(f"{type(self).__name__} has no forward", fix="define forward(self, x) in the class"))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` inside a scope with the module's name, by which pictures group its operations."""
        with scope(self._scope):
            return self.forward(*args, **kwargs)

    # -- attributes -----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        registries: tuple[tuple[type, str], ...] = ((Parameter, "_parameters"), (Module, "_modules"))
        if "_modules" not in self.__dict__:
            raise ArgumentError(
                explain(f"{type(self).__name__}: attribute {name!r} set too early", fix="call super().__init__() first")
            )
        for kind, registry in registries:
            if isinstance(value, kind):
                self._forget(name)
                self.__dict__[registry][name] = value
                if isinstance(value, Module):
                    object.__setattr__(value, "_scope", name)
                elif isinstance(value, Parameter) and value.name is None:
                    value.name = name
                return
        for registry in ("_parameters", "_buffers"):
            if name in self.__dict__[registry]:
                if value is not None and not isinstance(value, Tensor):
                    fix = f"assign a {'Parameter' if registry == '_parameters' else 'Tensor'}, or to .{name}.data"
                    raise ArgumentError(explain(f"{type(self).__name__}.{name} cannot become this", got=type(value).__name__, fix=fix))
                self.__dict__[registry][name] = value
                return
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for registry in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(registry, {})
            if name in found:
                return found[name]
        known = [n for r in ("_parameters", "_buffers", "_modules") for n in self.__dict__.get(r, {})]
        known += [n for n in (*self.__dict__, *dir(type(self))) if not n.startswith("_")]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def _forget(self, name: str) -> bool:
        found = [r for r in ("_parameters", "_buffers", "_modules") if name in self.__dict__[r]]
        for registry in found:
            del self.__dict__[registry][name]
        return bool(found)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter by name; ``None`` says that the module could have one and has none."""
        if parameter is None:
            self._parameters[name] = None
        else:
            setattr(self, name, parameter)

    def register_buffer(self, name: str, buffer: Tensor | Array | None) -> None:
        """Add state that is saved and loaded but not trained, such as running statistics."""
        value = buffer if buffer is None or isinstance(buffer, Tensor) else Tensor(buffer)
        if value is not None and value.name is None:
            value.name = name
        self._buffers[name] = value

    # -- walking the tree ---------------------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names; this one's name is the prefix."""
        seen: set[Module] = set()
        waiting: list[tuple[str, Module]] = [(prefix, self)]
        while waiting:
            path, module = waiting.pop()
            if module in seen:
                continue
            seen.add(module)
            yield path, module
            below = [(f"{path}.{name}" if path else name, child) for name, child in module._modules.items()]
            waiting.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return iter(self._modules.values())

    def _named(self, registry: str) -> Iterator[tuple[str, Any]]:
        for path, module in self.named_modules():
            for name, value in module.__dict__[registry].items():
                if value is not None:
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names, a shared one once."""
        seen: set[Parameter] = set()
        for name, parameter in self._named("_parameters"):
            if parameter not in seen:
                seen.add(parameter)
                yield name, parameter

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, a shared one once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Buffers with dotted names."""
        return self._named("_buffers")

    def buffers(self) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers())

    # -- modes and gradients --------------------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Training mode, here and below: batch statistics in BatchNorm."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
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
        state: dict[str, Array] = {}
        for path, module in self.named_modules():
            for registry in ("_parameters", "_buffers"):
                for name, value in module.__dict__[registry].items():
                    if value is not None:
                        state[f"{path}.{name}" if path else name] = value.numpy().copy()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over values by name; nothing is changed unless all of them fit.

        Raises:
            ShapeError: lists missing, unexpected and mis-shaped entries.
        """
        own: dict[str, Tensor] = {}
        for registry in ("_parameters", "_buffers"):
            own.update(self._named(registry))
        arrays = {name: np.asarray(value.data if isinstance(value, Tensor) else value) for name, value in state.items()}
        problems = [f"missing {name}, shape {tensor.shape}" for name, tensor in own.items() if name not in arrays]
        problems += [f"unexpected {name}, shape {array.shape}" for name, array in arrays.items() if name not in own]
        problems += [
            f"{name} has shape {arrays[name].shape}, expected {tensor.shape}"
            for name, tensor in own.items()
            if name in arrays and arrays[name].shape != tensor.shape
        ]
        problems += [
            f"{name} has dtype {arrays[name].dtype}, expected numbers"
            for name in own
            if name in arrays and arrays[name].dtype.kind not in "fiub"
        ]
        if problems:
            raise ShapeError(explain(f"load_state_dict of {type(self).__name__} does not fit", got="\n            ".join(problems)))
        for name, tensor in own.items():
            tensor.data = arrays[name]

    # -- showing ----------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The settings shown in the module's line of ``repr``."""
        return ""

    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        head = f"{type(self).__name__}({self.extra_repr()})"
        if count:
            head += f"  # {count:,} parameters"
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._modules.items()]
        return "\n".join([head, *lines])
