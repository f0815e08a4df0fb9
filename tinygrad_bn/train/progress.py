"""What a person sees of a training under way: a bar on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

QUIET = 60.0  # seconds after which a line says that a long epoch is still under way


class Watched(Protocol):
    """What is shown of a run."""

    epoch: int
    batch: int
    rows: int
    sums: dict[str, float]


class Progress:
    """A bar for each epoch where tqdm is installed, on standard error if that is a terminal, or in a notebook; else a line.

    ``TQDM_DISABLE`` in the environment turns off both, and the other variables of tqdm act on its bar as everywhere.
    """

    def __init__(self, wanted: bool, epochs: int) -> None:
        self._epochs = epochs
        self._on = wanted and sys.stderr is not None and not os.environ.get("TQDM_DISABLE")
        self._tqdm = _tqdm() if self._on and (sys.stderr.isatty() or _in_notebook()) else None

    def batches(self, loader: Any, run: Watched) -> Iterator[Any]:
        """The batches, with word of how far they are."""
        if self._tqdm is None:
            yield from self._with_lines(loader, run)
            return
        with self._tqdm(total=len(loader), initial=run.batch, desc=self._epoch(run.epoch + 1), unit="batch") as bar:
            for batch in loader:
                yield batch
                bar.set_postfix_str(f"loss {run.sums['loss'] / run.rows:.4g}", refresh=False)
                bar.update()

    def _with_lines(self, loader: Any, run: Watched) -> Iterator[Any]:
        said = time.monotonic()
        for batch in loader:
            yield batch
            if time.monotonic() - said > QUIET:
                said = time.monotonic()
                where = f"batch {run.batch}/{len(loader)}"
                self._say(f"{self._epoch(run.epoch + 1)}: {where}, loss {run.sums['loss'] / run.rows:.4g}")

    def epoch(self, record: Mapping[str, Any], measured: Iterable[str]) -> None:
        """Say how an epoch went; a bar shows it already."""
        if self._tqdm is None:
            values = ", ".join(f"{name} {record[name]:.4g}" for name in measured)
            self._say(f"{self._epoch(record['epoch'])}: {values}, {record['seconds']:.1f} s")

    def _epoch(self, number: int) -> str:
        return f"epoch {number}/{self._epochs}"

    def _say(self, text: str) -> None:
        if self._on:
            with contextlib.suppress(OSError, ValueError):  # nobody reads any more; no reason to stop training
                print(text, file=sys.stderr, flush=True)


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel; known without importing anything, since a kernel has imported IPython."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _tqdm() -> Any:
    """The bar: that of notebooks where their widgets are installed, otherwise one of characters."""
    try:
        if _in_notebook() and importlib.util.find_spec("ipywidgets") is not None:
            from tqdm.notebook import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
