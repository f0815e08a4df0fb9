"""Arrays that belong together row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine import Variable
from ..errors import ArgumentError, DTypeError, IndexingError, ShapeError, explain, native
from ..kinds import Array


class ArrayDataset:
    """Inputs and targets, or any arrays of one length, indexed together: ``dataset[i]`` is a tuple of rows.

    The arrays are not copied; through the dataset they are read-only.

    Args:
        arrays: anything ``numpy.asarray`` takes; numbers or booleans; the first axis counts the rows.

    Raises:
        ArgumentError: no arrays.
        ShapeError: arrays without rows to count, or of different lengths.
        DTypeError: something other than real numbers and booleans.
    """

    def __init__(self, *arrays: Any) -> None:
        if not arrays:
            raise ArgumentError(explain("ArrayDataset: at least one array", fix="ArrayDataset(inputs, targets)"))
        views = []
        for array in arrays:
            view = (array.numpy() if isinstance(array, Variable) else np.asarray(native(array, "ArrayDataset"))).view()
            if view.dtype.kind not in "fiub":
                raise DTypeError(explain("ArrayDataset holds real numbers or booleans", got=f"dtype {view.dtype}"))
            view.setflags(write=False)
            views.append(view)
        shapes = [view.shape for view in views]
        if any(not shape or shape[0] != shapes[0][0] for shape in shapes):
            got = ", ".join(map(str, shapes))
            raise ShapeError(
                explain("ArrayDataset: arrays of one length", got=f"shapes {got}", expected="(N, ...) each")
            )
        self.arrays: tuple[Array, ...] = tuple(views)

    def __len__(self) -> int:
        return int(self.arrays[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        """The rows at an integer, a slice, integers or a mask, of every array.

        Raises:
            IndexingError: rows that do not exist, or something that is no index of rows.
        """
        if isinstance(index, bool) or not isinstance(index, (int, np.integer, slice)):
            index = np.asarray(native(index, "ArrayDataset"))
            if index.ndim != 1 or (index.size and index.dtype.kind not in "iub"):
                raise self._no_rows("not an index of rows", index)
            index = index if index.size else index.astype(int)
        try:
            return tuple(array[index] for array in self.arrays)
        except (IndexError, TypeError) as error:
            raise self._no_rows(str(error), index) from error

    def _no_rows(self, why: str, index: Any) -> IndexingError:
        expected = f"an integer, a slice, integers or a mask; rows 0 to {len(self) - 1}"
        return IndexingError(explain(f"ArrayDataset: {why}", got=repr(index), expected=expected))

    def __repr__(self) -> str:
        described = ", ".join(f"{array.shape} {array.dtype}" for array in self.arrays)
        return f"ArrayDataset({described})"


class Subset:
    """Some rows of a dataset whose ``dataset[i]`` is one row, in the order given, as torch.utils.data.Subset.

    Args:
        dataset: what has the rows; nothing is copied.
        indices: the numbers of the rows.
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset = dataset
        self.indices = [int(i) for i in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        """One row."""
        return self.dataset[self.indices[index]]

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {len(self.dataset)} rows of a {type(self.dataset).__name__})"


def rows_of(dataset: Any, owner: str) -> int:
    """How many rows a dataset has.

    Raises:
        DTypeError: it is none.
    """
    if isinstance(dataset, (Mapping, type)) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        expected = "an ArrayDataset, a list of rows, or an object with __len__ and __getitem__"
        got = f"the class {dataset.__name__}" if isinstance(dataset, type) else type(dataset).__name__
        raise DTypeError(explain(f"{owner}: a dataset has a length and numbered rows", got=got, expected=expected))
    return len(dataset)
