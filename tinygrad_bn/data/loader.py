"""Batches in a reproducible order that can be resumed in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, explain
from ..random import generator
from .dataset import ArrayDataset, rows_of
from .stacking import collate

State = Mapping[str, Any]


class DataLoader:
    """Goes through a dataset in batches, each a tuple of arrays; each ``for`` over it is one epoch.

    The order of an epoch depends on ``seed`` and on the number of the epoch alone.  So ``state_dict()``, a few numbers,
    says where an epoch is; a loader that takes it over gives the batches that were still to come, then new epochs.

    Args:
        dataset: an ``ArrayDataset``; or anything with a length whose ``dataset[i]`` is one row, such as a list of
            ``(input, label)`` or PyTorch's map-style datasets.
        batch_size: rows per batch, >= 1.
        shuffle: a new order for each epoch; otherwise the dataset's own.
        drop_last: leave out a last batch that is not full.
        seed: of the order, >= 0; by default drawn from the generator that ``tinygrad_bn.manual_seed`` seeds.
        collate_fn: makes a batch of a list of rows; by default the rows' fields are stacked, see ``data.collate``.

    Attributes:
        epoch: the number of the epoch begun last, from 1; 0 before the first.  An epoch begins when its first batch is
            asked for, not when the loop is set up.
        position: how many of its batches were handed out.

    Raises:
        ArgumentError: a batch size below 1, a seed below 0, or not a single batch to give.
        DTypeError: something that has no length or no rows, such as a generator.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        if not _is_count(batch_size, 1):
            raise ArgumentError(explain("DataLoader: batch_size is a whole number >= 1", got=repr(batch_size)))
        if seed is not None and not _is_count(seed, 0):
            raise ArgumentError(explain("DataLoader: seed is a whole number >= 0", got=repr(seed)))
        if collate_fn is not None and not callable(collate_fn):
            raise ArgumentError(explain("DataLoader: collate_fn is a function of a list of rows", got=repr(collate_fn)))
        rows = rows_of(dataset, "DataLoader")
        for name, value in {"shuffle": shuffle, "drop_last": drop_last}.items():
            if not isinstance(value, (bool, np.bool_)):  # a text such as "no" would count as true
                raise ArgumentError(explain(f"DataLoader: {name}", got=repr(value), expected="True or False"))
        if rows < (batch_size if drop_last else 1):
            got = f"{rows} rows, batch_size={batch_size}, drop_last={drop_last}"
            raise ArgumentError(explain("DataLoader: not a single batch", got=got, fix="more rows, or a smaller batch"))
        self.dataset, self.batch_size = dataset, int(batch_size)
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.collate_fn = collate_fn
        if seed is None:
            seed = int(generator().integers(2**63)) if shuffle else 0
        self.seed = int(seed)
        self.epoch = self.position = 0
        self._continues = False  # whether the next ``for`` goes on with the epoch of a loaded state

    def __len__(self) -> int:
        """Batches per epoch."""
        rows = len(self.dataset)
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        # All of this runs when the first batch is asked for: an iterator that is made and dropped loses no place.
        if not self._continues or self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
        self._continues = False
        epoch, first = self.epoch, self.position
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset)) if self.shuffle else None
        for i in range(first, len(self)):
            rows = slice(i * self.batch_size, min((i + 1) * self.batch_size, len(self.dataset)))
            batch = self._fetched(rows, order)
            self.epoch, self.position = epoch, i + 1
            yield batch

    def _fetched(self, rows: slice, order: Any) -> Any:
        if self._takes_slices():
            return self.dataset[rows if order is None else order[rows]]
        numbers = range(rows.start, rows.stop) if order is None else order[rows].tolist()
        return (self.collate_fn or collate)([self.dataset[i] for i in numbers])

    def _takes_slices(self) -> bool:
        return isinstance(self.dataset, ArrayDataset) and self.collate_fn is None

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def _made_with(self) -> dict[str, Any]:
        settings = {"batch_size": self.batch_size, "shuffle": self.shuffle, "drop_last": self.drop_last}
        return {"rows": len(self.dataset), **settings}

    def state_dict(self) -> dict[str, Any]:
        """Where it is, as plain data; taken inside the loop, the batch in hand counts as handed out."""
        return {**self._made_with(), "seed": self.seed, "epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: State) -> None:
        """Go on from ``state``: the next ``for`` gives the rest of its epoch, or the next epoch if nothing is left.

        Raises:
            ArgumentError: the state of a loader with other data or settings; nothing is changed then.
        """
        self.prepare_load(state)()

    def prepare_load(self, state: State) -> Callable[[], None]:
        """Check a state, as ``load_state_dict`` does; the result takes it over and cannot fail."""
        own = self._made_with()
        where = {"seed", "epoch", "position"}
        if not isinstance(state, Mapping) or set(state) != where.union(own):
            got = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise _other("not a loader's state", got, ", ".join([*own, "seed", "epoch", "position"]))
        for name, value in own.items():
            if type(state[name]) is not type(value) or state[name] != value:
                raise _other(f"{name} differs", state[name], value)
        seed, epoch, position = state["seed"], state["epoch"], state["position"]
        if not (_is_count(seed, 0) and _is_count(epoch, 0) and _is_count(position, 0)):
            raise _other("seed, epoch and position", f"{seed!r}, {epoch!r}, {position!r}", "whole numbers >= 0")
        if position > (len(self) if epoch else 0):
            raise _other("position is outside the epoch", f"epoch {epoch}, {position}", f"0 to {len(self)}")

        def commit() -> None:
            self.seed, self.epoch, self.position = seed, epoch, position
            self._continues = epoch > 0

        return commit

    def __repr__(self) -> str:
        settings = f"batch_size={self.batch_size}, shuffle={self.shuffle}, drop_last={self.drop_last}, seed={self.seed}"
        return f"DataLoader({self.dataset!r}, {settings})  # {len(self)} batches"


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= least


def _other(what: str, got: object, expected: object) -> ArgumentError:
    return ArgumentError(explain(f"DataLoader.load_state_dict: {what}", got=got, expected=expected))
