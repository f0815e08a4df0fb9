"""Taking over a ``state_dict``: everything is checked and converted before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..engine import write
from ..errors import DTypeError, ShapeError, explain, unmasked
from ..tensor import Tensor

if TYPE_CHECKING:
    from .module import Module


class LoadReport(NamedTuple):
    """What a state and a module had no counterpart for, under PyTorch's names."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Loading:
    """One ``load_state_dict``, while the modules of a tree look for their entries."""

    def __init__(self, owner: str, strict: bool, state: Any) -> None:
        if not isinstance(state, Mapping):
            what = f"load_state_dict of {owner}: a state is a mapping from names to arrays"
            raise DTypeError(explain(what, got=type(state).__name__, fix="pass what state_dict() returned"))
        self._owner, self._strict = owner, strict
        self._report = LoadReport([], [])
        self._problems: list[str] = []
        self._values: list[tuple[Tensor, Any]] = []
        self._own_way: list[tuple[Module, dict[str, Any]]] = []

    def entry(self, path: str, tensor: Tensor, state: dict[Any, Any], name: str) -> None:
        """Look for one tensor's value, and take it out of ``state``."""
        if name not in state:
            self._report.missing_keys.append(path)
            if self._strict:
                self._problems.append(f"missing {path}, shape {tensor.shape}")
            return
        value = state.pop(name)
        value = value.data if isinstance(value, Tensor) else unmasked(value, path)
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:
            self._problems.append(f"{path} is no array: {error}")
            return
        if array.shape != tensor.shape:
            self._problems.append(f"{path} has shape {array.shape}, expected {tensor.shape}")
        elif not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
            self._problems.append(f"{path} has dtype {array.dtype}, expected {tensor.dtype}")
        else:
            self._values.append((tensor, array))

    def to_itself(self, module: Module, part: dict[str, Any]) -> None:
        """Leave entries to a module that has a ``load_state_dict`` of its own."""
        self._own_way.append((module, part))

    def left_over(self, path: str, state: Mapping[Any, Any]) -> None:
        """Note the entries that no module used."""
        for key, value in state.items():
            full = f"{path}.{key}" if path else key
            self._report.unexpected_keys.append(full)
            if self._strict:
                self._problems.append(f"unexpected {full}, {_described(value)}")

    def done(self) -> LoadReport:
        """Change the tensors, or none of them."""
        if self._problems:
            got = "\n            ".join(sorted(self._problems, key=lambda line: not line.startswith("missing")))
            raise ShapeError(explain(f"load_state_dict of {self._owner} does not fit", got=got))
        converted = [(tensor, tensor.to_data(array, tensor.dtype)) for tensor, array in self._values]
        held = [tensor for module, _ in self._own_way for tensor in (*module.parameters(), *module.buffers())]
        before = [(tensor, tensor.data) for tensor in [*(tensor for tensor, _ in converted), *held]]
        try:
            write(converted)  # all of them, also when interrupted
            for module, part in self._own_way:
                module.load_state_dict(part) if self._strict else module.load_state_dict(part, strict=False)
        except BaseException:
            write(before)
            raise
        return self._report


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"shape {tuple(shape)}" if shape is not None else type(value).__name__
