"""An epoch split over the ranks, so that together they do what one process does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import data
from .world import world


class DataLoader(data.DataLoader):
    """A loader whose batches are split over the ranks: each gets its share of the rows of every batch.

    The batches, their order and ``state_dict`` are those of ``data.DataLoader`` on one process, whatever the number of
    ranks; so a run can be continued on another number.  The rows of a batch are dealt out in pieces that differ by at most
    one row: 10 rows are 3, 3, 2 and 2 for four ranks.  No row is repeated or left out; with fewer rows than ranks, as may
    happen in a last batch, the last ranks get a batch of none.

    Args:
        dataset: the same on every rank; as for ``data.DataLoader``.
        batch_size: rows per batch, of all ranks together.
        shuffle: as for ``data.DataLoader``, and so the others.
        drop_last: see there.
        seed: see there; what is drawn is rank 0's.
        collate_fn: see there; for a batch of none, what it makes of a single row is cut to no rows.

    Raises:
        CollectiveError: another rank has a loader with another number of rows, or other settings.
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
        super().__init__(dataset, batch_size, shuffle, drop_last=drop_last, seed=seed, collate_fn=collate_fn)
        said = ", ".join(f"{name}={value}" for name, value in {**self._made_with(), "seed": seed}.items())
        self.seed = world().objects(self.seed, f"DataLoader({said})")[0]

    def _fetched(self, rows: slice, order: Any) -> Any:
        rank, size = world().rank, world().size
        each, more = divmod(rows.stop - rows.start, size)
        first = rows.start + rank * each + min(rank, more)
        own = slice(first, first + each + (rank < more))
        if own.start < own.stop or self._takes_slices():
            return super()._fetched(own, order)
        batch = super()._fetched(slice(rows.start, rows.start + 1), order)
        return tuple(part[:0] for part in batch) if isinstance(batch, (tuple, list)) else batch[:0]
