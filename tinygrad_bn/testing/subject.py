"""What ``check_layer`` works on: a layer with its inputs, and fresh twins of it in a dtype and a mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import ops
from ..engine import Variable, dtype_of
from ..errors import ArgumentError, explain
from ..kinds import Array
from ..nn import Module
from ..ops import stop_gradient
from ..random import generator
from ..tensor import Tensor
from .places import largest
from .sample import failed, is_float

Call = Callable[..., Any]


class Subject:
    """The layer under test; every check works on a fresh twin of it."""

    def __init__(
        self, layer: Any, inputs: Sequence[Any], parameters: Sequence[Variable], batched: Any, seed: int
    ) -> None:
        if not callable(layer):
            raise ArgumentError(explain("check_layer: a Module or a function is needed", got=type(layer).__name__))
        self.module = layer if isinstance(layer, Module) else None
        self.function: Call = layer
        self.name = getattr(layer, "__name__", type(layer).__name__)
        self.parameters = list(parameters)
        self.raw = [raw_input(x) for x in inputs]
        self.seed = seed
        arrays = [i for i, x in enumerate(self.raw) if isinstance(x, (np.ndarray, Variable)) and len(x.shape) > 0]
        self.size = self.raw[arrays[0]].shape[0] if arrays else 0
        self.batched = [i for i in arrays if self.raw[i].shape[0] == self.size] if batched is None else list(batched)
        self.modes = ("training", "evaluation") if self.module is not None else ("",)
        self.draws = generator().bit_generator.state

    def elements(self) -> int:
        """How many numbers the derivative checks move."""
        trained = self.parameters if self.module is None else list(self.module.parameters())
        return sum(int(x.size) for x in self.raw if is_float(x)) + sum(p.size for p in trained)

    def twin(self, dtype: Any = np.float64, mode: str = "") -> Twin:
        """A fresh copy to work on."""
        return Twin(self, dtype, mode)

    def inputs(self, dtype: Any = np.float64, rows: Any = None) -> list[Any]:
        """Fresh leaves; ``rows`` chooses examples."""
        made = []
        for i, x in enumerate(self.raw):
            chosen = x[rows] if rows is not None and i in self.batched else x
            if is_float(x):
                made.append(Tensor(chosen, requires_grad=True, dtype=dtype, name=f"input {i}"))
            else:
                made.append(copy_of(chosen))
        return made

    def repeatable(self) -> None:
        """Random layers draw the same numbers again."""
        generator().bit_generator.state = self.draws


class Twin:
    """A copy of the layer in a dtype and a mode; each call begins with the same draws and the same buffers."""

    def __init__(self, subject: Subject, dtype: Any, mode: str) -> None:
        self.subject = subject
        self.module = None if subject.module is None else in_dtype(subject.module, dtype)
        self.buffers: list[_Buffer] = []
        self.function = subject.function if self.module is None else self.module
        self.leaves: list[Variable] = list(subject.parameters)
        self.__name__ = f"{subject.name} in {mode}" if mode else subject.name
        if self.module is not None:
            if mode:
                self.module.train(mode == "training")
            for name, parameter in self.module.named_parameters():
                parameter.name = name
            self.leaves = [p for p in self.module.parameters() if p.requires_grad]
            self.settle()

    def __call__(self, *args: Any) -> Any:
        self.subject.repeatable()
        for buffer in self.buffers:
            buffer.put_back()
        return self.function(*args)

    def settle(self) -> None:
        """What the buffers hold now is what each call begins with."""
        if self.module is not None:
            owners = dict(self.module.named_modules())
            self.buffers = [_Buffer(owners, name) for name, _ in self.module.named_buffers()]

    def outputs(self, *args: Any) -> list[Any]:
        """The results of a call, as a list of variables."""
        outputs = as_list(self(*args))
        for y in outputs:
            if not isinstance(y, Variable):
                fix = "compute with ops, operators and NumPy's functions on the variables; .numpy() and .data leave the graph"
                raise failed("the layer must return a variable, or a tuple of them", type(y).__name__, None, fix)
        return outputs

    def moved(self) -> list[tuple[str, Array, Array]]:
        """The buffers that the last call left with other values: path, what they hold, what they held before it."""
        now = [(buffer.path, buffer.owner.__dict__.get(buffer.name), buffer.data) for buffer in self.buffers]
        held = [(path, tensor.data, then) for path, tensor, then in now if isinstance(tensor, Tensor)]
        return [(path, x, then) for path, x, then in held if not np.array_equal(x, then, equal_nan=x.dtype.kind == "f")]

    def state(self) -> dict[str, Any]:
        """Copies of parameters and buffers."""
        return {} if self.module is None else self.module.state_dict()


@contextmanager
def constants_held(twin: Twin) -> Iterator[Call]:
    """The twin as a function in which what ``stop_gradient`` makes is what it made in the first call.

    A derivative takes it for a constant, so a difference has to, too: Batch Renormalization and straight-through
    estimators are right, though their gradient is not the slope of what they compute.
    """
    made: list[Any] = []
    calls = 0
    original = stop_gradient.forward

    def held(x: Any) -> Any:
        nonlocal calls
        if calls == len(made):
            made.append(original(x))
        calls += 1
        return made[calls - 1]

    def function(*args: Any) -> Any:
        nonlocal calls
        calls = 0
        return twin(*args)

    function.__name__ = twin.__name__
    stop_gradient.forward = held
    try:
        yield function
    finally:
        stop_gradient.forward = original


class _Buffer:
    """A buffer of a module, and what it held at first."""

    def __init__(self, owners: dict[str, Module], path: str) -> None:
        self.path = path
        owner, _, self.name = path.rpartition(".")
        self.owner = owners[owner]
        self.tensor: Tensor = self.owner.__dict__[self.name]
        self.data = self.tensor.data

    def put_back(self) -> None:
        """A new tensor rather than new data: what was recorded with the old one stays valid."""
        now = self.owner.__dict__.get(self.name)
        if now is not self.tensor or now.data is not self.data:
            self.tensor = Tensor(self.data, name=self.tensor.name)
            self.data = self.tensor.data
            self.owner.__dict__[self.name] = self.tensor


def in_dtype(module: Module, dtype: Any) -> Module:
    """A copy of a module whose floating-point parameters and buffers have another dtype."""
    twin = copy.deepcopy(module)
    made: dict[Variable, Variable] = {}  # a shared parameter stays shared
    for part in twin.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, Tensor) and value.dtype.kind == "f":
                if value not in made:
                    made[value] = type(value)(value.data, value.requires_grad, value.name, dtype)
                part.__dict__[name] = made[value]
    return twin


def raw_input(x: Any) -> Any:
    """Floating-point input as an array; everything else as it is, lists of numbers as arrays."""
    if isinstance(x, Variable):
        return x.numpy() if dtype_of(x).kind == "f" else x
    return np.array(x) if isinstance(x, (np.ndarray, np.generic, float, list)) else copy_of(x)


def copy_of(x: Any) -> Any:
    """What a layer could write to, a fresh one for each call."""
    return copy.deepcopy(x) if isinstance(x, (np.ndarray, list, dict, set)) else x


def as_list(result: Any) -> list[Any]:
    """One result or several, as a list."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two lists of results are equal, bit for bit."""
    return len(one) == len(other) and all(np.array_equal(a.data, b.data, equal_nan=True) for a, b in zip(one, other))


def difference(one: Sequence[Any], other: Sequence[Any]) -> str:
    """How far two lists of results are apart, in words."""
    if [y.shape for y in one] != [y.shape for y in other]:
        return f"shapes {shapes(one)} and {shapes(other)}"
    return f"a difference of up to {max(largest(a.data - b.data) for a, b in zip(one, other)):.3g}"


def shapes(outputs: Sequence[Any]) -> str:
    """The shapes, in words."""
    return ", ".join(str(y.shape) for y in outputs)


def loss_of(subject: Subject, twin: Twin, inputs: list[Any]) -> Any:
    """A random combination of all outputs."""
    rng = np.random.default_rng(subject.seed)
    parts = [ops.sum(y * rng.uniform(0.5, 1.5, y.shape)) for y in twin.outputs(*inputs) if y.requires_grad]
    return sum(parts[1:], parts[0]) if parts else None
