"""``Module``: a tree of parameters, buffers and submodules, with a ``forward``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from reprlib import recursive_repr
from typing import Any, ClassVar, TypeVar

import numpy as np

from ..engine import reading, scope, write
from ..engine.extras import HookHandle
from ..engine.mode import closing, current_mode
from ..engine.write import fitted, forget_gradients
from ..errors import ArgumentError, ShapeError, explain
from ..functional.settings import flag
from ..kinds import Array, Value
from ..tensor import Parameter, Tensor
from .hooks import FullBackward
from .inputs import no_array_among
from .loading import Loading, LoadReport
from .tree import OWN, Node, Once, below, joined, refuse_hidden

Self = TypeVar("Self", bound="Module")
Checks = Mapping[str, Callable[[str, Any], Any]]


class Module(Node):
    """Base of all layers: assign parameters and modules as attributes in ``__init__``, write ``forward``.

    ::

        class Scale(nn.Module):
            def __init__(self, features):
                super().__init__()
                self.weight = nn.Parameter(np.ones(features))

            def forward(self, x):
                return x * self.weight

    Parameters and submodules are found among the attributes by their type, buffers by ``register_buffer``.  Several
    modules go into a ``ModuleList`` or a ``ModuleDict``; a plain list or dict of modules is refused, since nothing
    looks into it.

    What is done to a whole tree (``train``, ``state_dict``, ``apply`` ...) is done by calling the method of that name
    on each child, so a layer that writes its own version keeps it inside other modules.

    Attributes:
        training: whether the module is in training mode; see ``train`` and ``eval``.
    """

    training: bool

    # Settings by which a layer made its parameters; what changes them afterwards would change nothing else.
    _fixed: ClassVar[tuple[str, ...]] = ()
    # What a setting may be, checked whenever it is set: the class's name and the value go in, the value comes out.
    _checks: ClassVar[Checks] = {}
    # Attributes in whose place ``functional_call`` has put something else for the time of a call.
    _stand_ins: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.__dict__.update(training=True, _scope=type(self).__name__, **{name: [] for name in sorted(OWN)})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if isinstance(value, (Parameter, Module)):
                what = f"{cls.__name__}.{name}: a {type(value).__name__} of the class belongs to none of its modules"
                raise ArgumentError(explain(what, fix=f"make it in __init__, as self.{name}"))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass writes its own."""
        raise ArgumentError(
            explain(f"{type(self).__name__} has no forward", fix="define forward(self, x) in the class")
        )

    @closing
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` inside a scope with the module's name, by which pictures group its operations."""
        tape = current_mode().tape
        if tape is not None:
            tape.modules[id(self)] = self
        with scope(self._scope, type(self).__name__):
            for hook in tuple(self._forward_pre_hooks):
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
            backward = None
            if self._full_backward_hooks:
                backward = FullBackward(self, self._full_backward_hooks)
                args = backward.inputs(args)
            try:
                output = self.forward(*args, **kwargs)
            except Exception as error:
                if (refused := no_array_among(self, args, kwargs)) is not None:
                    raise refused from error
                raise
            for hook in tuple(self._forward_hooks):
                replacement = hook(self, args, output)
                output = output if replacement is None else replacement
            return output if backward is None else backward.outputs(output)

    def register_forward_pre_hook(self, hook: Callable[[Any, tuple[Any, ...]], Any]) -> HookHandle:
        """Call ``hook(module, args)`` before each ``forward``, as PyTorch does.

        If it returns something other than ``None``, that replaces the positional arguments; a tuple replaces all of them.

        Returns:
            A handle whose ``remove()`` takes the hook off again.
        """
        return self._hooked("_forward_pre_hooks", hook)

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> HookHandle:
        """Call ``hook(module, args, output)`` after each ``forward``; what it returns, unless ``None``, is the output.

        Returns:
            A handle whose ``remove()`` takes the hook off again.
        """
        return self._hooked("_forward_hooks", hook)

    def register_full_backward_hook(self, hook: Callable[[Any, tuple[Any, ...], tuple[Any, ...]], Any]) -> HookHandle:
        """Call ``hook(module, grad_input, grad_output)`` in each backward pass through a later call, as PyTorch does.

        Both are tuples of tensors, one for each positional argument and one for each output; ``None`` stands for what
        got no gradient.  What the hook returns, unless ``None``, takes the place of ``grad_input``.  If no argument
        wants a gradient, ``grad_input`` is all ``None``.

        Returns:
            A handle whose ``remove()`` takes the hook off again.

        Raises:
            ArgumentError: on the call, an output that is neither a tensor nor a tuple of them; in the backward pass,
                another number of gradients than there are arguments.
        """
        return self._hooked("_full_backward_hooks", hook)

    def _hooked(self, which: str, hook: Callable[..., Any]) -> HookHandle:
        hooks: list[Any] = getattr(self, which)
        if not callable(hook):
            what = f"{type(self).__name__}: a hook is a function"
            raise ArgumentError(explain(what, got=type(hook).__name__))
        hooks.append(hook)
        return HookHandle(hooks, hook)

    # -- attributes -----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "training" not in self.__dict__:
            raise ArgumentError(
                explain(f"{type(self).__name__}: attribute {name!r} set too early", fix="call super().__init__() first")
            )
        if name == "training":
            value = flag(type(self).__name__, name, value)
        if name in self._checks:
            value = self._checks[name](type(self).__name__, value)
        if name in self._fixed and name in self.__dict__ and self.__dict__[name] != value:
            raise ArgumentError(self._refusal_to_set(name, value))
        kind = self._kind_of(name)
        if name in self._buffer_names and isinstance(value, Tensor) and not isinstance(value, Parameter):
            old = self.__dict__[name]
            if current_mode().tape is not None and old is not None and old.shape == value.shape:
                write([(old, reading(value))])  # so that a program that is being recorded repeats it
                return
            if old is not None and old.shape != value.shape:
                raise self._other_shape(name, old, value)
            if old is not None and old.dtype != value.dtype:
                value = Tensor.wrap(fitted(old, reading(value)))
            value = _as_buffer(name, value)
        if value is not None and not isinstance(value, kind):
            fix = f"assign a {kind.__name__}"
            if kind is not Module:
                fix += f", or numbers of the same shape to .{name}.data"
            if isinstance(value, Tensor):
                fix += f", as in .{name}.data = .{name}.numpy() - ...; or let an optimizer move it"
            raise ArgumentError(
                explain(f"{type(self).__name__}.{name} is a {kind.__name__}", got=type(value).__name__, fix=fix)
            )
        if isinstance(value, (Module, Parameter)):
            _check_name(self, name)
        if isinstance(value, Module):
            value._rename(name)
        elif isinstance(value, Parameter):
            if name in self._buffer_names:
                self._buffer_names.remove(name)
            if value.name is None:
                value.name = name
        else:
            refuse_hidden(self, {name: value})
        super().__setattr__(name, value)

    def _refusal_to_set(self, name: str, value: Any) -> str:
        """Why a setting stays as it is, and what to do."""
        kind = type(self).__name__
        got, fix = f"{name}={value!r}", f"make a new layer: nn.{kind}(..., {name}={value!r})"
        what = f"{kind}.{name} was decided when the layer was made"
        return explain(what, got=got, expected=f"{name}={self.__dict__[name]!r}", fix=fix)

    def _other_shape(self, name: str, old: Tensor, new: Tensor) -> ShapeError:
        """Why a buffer stays as it is: what is computed with it would fail later, or be broadcast."""
        fix = f"give its new value, or self.register_buffer({name!r}, ...) for another buffer of this name"
        what = f"{type(self).__name__}.{name} is a buffer, which keeps its shape"
        return ShapeError(explain(what, got=f"shape {new.shape}", expected=f"shape {old.shape}", fix=fix))

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
        if any(name in vars(base) for base in type(self).__mro__):
            # It is there, so it is a property whose own code met an AttributeError; run again, it tells which one.
            return object.__getattribute__(self, name)
        known = [n for n in (*self.__dict__, *dir(type(self))) if not n.startswith("_")]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if "training" not in self.__dict__:
            hint = "; call super().__init__() first"
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def register_buffer(self, name: str, buffer: Tensor | Array | None) -> None:
        """Add state that is saved and loaded but not trained, such as running statistics.

        Raises:
            ArgumentError: the name is taken by something else, or no part of a dotted path, or a ``Parameter`` is given, which
                is trained.
        """
        if isinstance(buffer, Parameter):
            raise ArgumentError(
                explain(
                    f"register_buffer({name!r}): a buffer is not trained", got="Parameter", fix="pass its .detach()"
                )
            )
        _check_name(self, name)
        if name not in self._buffer_names and (name in self.__dict__ or hasattr(type(self), name)):
            raise ArgumentError(explain(f"{type(self).__name__} has an attribute {name!r} already"))
        value = buffer if buffer is None or isinstance(buffer, Tensor) else Tensor(buffer)
        value = None if value is None else _as_buffer(name, value)
        if name not in self._buffer_names:
            self._buffer_names.append(name)
        self.__dict__[name] = value

    # -- walking the tree ---------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one."""
        return ((name, value) for name, value in self.__dict__.items() if isinstance(value, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names; this one's name is the prefix."""
        found: dict[Module, str] = {self: prefix}
        with below(self, "named_modules") as children:
            for name, child in children:
                if child not in found:
                    for path, module in child.named_modules(joined(prefix, name)):
                        found.setdefault(module, path)
        return iter([(path, module) for module, path in found.items()])

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names, a shared one once."""
        return self._found("named_parameters", self._own_parameters())

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, a shared one once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Buffers with dotted names, a shared one once."""
        return self._found("named_buffers", self._own_buffers())

    def buffers(self) -> Iterator[Tensor]:
        """All buffers, a shared one once."""
        return (buffer for _, buffer in self.named_buffers())

    def _found(self, walk: str, own: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """What is this module's own and what its children find, each once, under the first of its names."""
        found: dict[Any, str] = {}
        for name, tensor in own:
            found.setdefault(tensor, name)
        with below(self, walk) as children:
            for name, child in children:
                pairs = list(getattr(child, walk)())
                if walk == "named_parameters" and child._has_own("parameters"):
                    kept = set(child.parameters())
                    pairs = [(path, tensor) for path, tensor in pairs if tensor in kept]
                for path, tensor in pairs:
                    found.setdefault(tensor, joined(name, path))
        return iter([(name, tensor) for tensor, name in found.items()])

    def _own_parameters(self) -> list[tuple[str, Parameter]]:
        return [
            (name, value)
            for name, value in self.__dict__.items()
            if isinstance(value, Parameter) or (name in self._stand_ins and name not in self._buffer_names)
        ]

    def _own_buffers(self) -> list[tuple[str, Tensor]]:
        return [(name, self.__dict__[name]) for name in self._buffer_names if self.__dict__[name] is not None]

    def _places(self, path: str = "") -> Iterator[tuple[str, Module, str]]:
        """Where parameters and buffers are kept: every dotted name, the module, its attribute."""
        for name, _ in (*self._own_parameters(), *self._own_buffers()):
            yield joined(path, name), self, name
        with below(self, "_places") as children:
            deeper = [place for name, child in children for place in child._places(joined(path, name))]
        yield from deeper

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn(module)`` once on every module, those below before the one that holds them: to initialize, say."""
        if not callable(fn):
            what, fix = f"{type(self).__name__}.apply calls a function on every module", "model.apply(initialize)"
            raise ArgumentError(explain(what, got=type(fn).__name__, fix=fix))
        visit = fn if isinstance(fn, Once) else Once(fn)
        visit.entered.add(self)
        for _, child in self.named_children():
            if child not in visit.entered:
                visit.entered.add(child)
                child.apply(visit)
        visit(self)
        return self

    # -- modes and gradients --------------------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Training mode, here and below: batch statistics in BatchNorm."""
        self.training = mode
        with below(self, "train") as children:
            for _, child in children:
                if mode:
                    child.train()
                else:
                    child.eval()
        return self

    def eval(self: Self) -> Self:
        """Evaluation mode, here and below: running statistics in BatchNorm."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients of the parameters; with ``set_to_none=False`` they become zeros."""
        with self._trained("zero_grad") as (own, children):
            forget_gradients(own, set_to_none)
            for child in children:
                child.zero_grad(**({} if set_to_none else {"set_to_none": False}))

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Train all parameters, or none."""
        wanted = flag(type(self).__name__, "requires_grad_", requires_grad)
        with self._trained("requires_grad_") as (own, children):
            for parameter in own:
                parameter.requires_grad = wanted
            for child in children:
                child.requires_grad_(wanted)
        return self

    @contextmanager
    def _trained(self, walk: str) -> Iterator[tuple[list[Parameter], list[Module]]]:
        """This module's own parameters, and the modules that look after theirs."""
        if self._has_own("parameters") or self._has_own("named_parameters"):
            yield list(self.parameters()), []  # taken at its word
            return
        with below(self, walk) as children:
            yield [parameter for _, parameter in self._own_parameters()], [child for _, child in children]

    def _has_own(self, method: str) -> bool:
        """Whether the class writes its own version of a method."""
        return getattr(type(self), method) is not getattr(Module, method)

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by dotted name, in PyTorch's order."""
        own = (*self._own_parameters(), *self._own_buffers())
        state = {name: np.array(tensor.data, order="C") for name, tensor in own}
        with below(self, "state_dict") as children:
            for name, child in children:
                state |= {joined(name, key): value for key, value in child.state_dict().items()}
        return state

    def load_state_dict(self, state: Mapping[str, Value], strict: bool = True) -> LoadReport:
        """Take over values by name; nothing is changed unless all of them fit.

        Args:
            state: arrays or tensors by dotted name.
            strict: refuse entries that are missing or unexpected; without it they are skipped and reported.

        Returns:
            The names that were missing and those that were unexpected; none of either if ``strict``.

        Raises:
            ShapeError: lists missing, unexpected and mis-shaped entries, and dtypes that would lose their kind.
            DTypeError: the state is not a mapping.
        """
        loading = Loading(type(self).__name__, flag(type(self).__name__, "strict", strict), state)
        self._load_into(loading, dict(state), "")
        return loading.done()

    def _load_into(self, loading: Loading, state: dict[Any, Any], path: str) -> None:
        """Hand out the entries of this module and of those below."""
        for name, tensor in (*self._own_parameters(), *self._own_buffers()):
            loading.entry(joined(path, name), tensor, state, name)
        with below(self, "load_state_dict") as children:
            for name, child in children:
                inner = [key for key in state if isinstance(key, str) and key.startswith(f"{name}.")]
                part = {key.removeprefix(f"{name}."): state.pop(key) for key in inner}
                if child._has_own("load_state_dict"):
                    loading.to_itself(child, part)
                else:
                    child._load_into(loading, part, joined(path, name))
        loading.left_over(path, state)

    # -- showing ----------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The settings shown in the module's line of ``repr``."""
        return ""

    @recursive_repr("... refers back")
    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        head = f"{type(self).__name__}({self.extra_repr()})"
        if count:
            head += f"  # {count:,} parameters"
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.named_children()]
        return "\n".join([head, *lines])

    def __copy__(self: Self) -> Self:
        """The same parameters and modules in a module of its own: what is registered later belongs to one of them."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__.update({name: list(self.__dict__[name]) for name in OWN})
        return twin


def _check_name(owner: Module, name: Any) -> None:
    """Refuse what would be two names, or none, in the dotted path that a state is saved under."""
    if not isinstance(name, str) or not name or "." in name:
        what = f"{type(owner).__name__}: this cannot be the name of a parameter, a buffer or a module"
        raise ArgumentError(explain(what, got=repr(name), expected="a string without dots"))


def _as_buffer(name: str, value: Tensor) -> Tensor:
    """What a buffer keeps of a result: its value.  Its graph would grow with every batch."""
    if value.requires_grad or not value.is_leaf:
        given, value = value.name, value.detach()
        value.name = given
    value.name = value.name or name
    value._extra().is_buffer = True
    return value
