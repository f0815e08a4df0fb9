"""Ready callbacks of ``fit``: keep the best weights, stop when it gets no better.

Both use only the run's history and have no state of their own, so that a resumed run continues as one that was never
interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ArgumentError, explain
from ..files import FilePath
from ..parallel import rank
from .checkpoint import save_checkpoint

if TYPE_CHECKING:
    from .loop import Run

Mode = Literal["min", "max"]


class Monitor:
    """Base of callbacks that look at one value of each epoch's record.

    Args:
        monitor: its name in the log, such as ``"val_loss"``.
        mode: whether small or large values are good; by default ``"min"`` for a loss and ``"max"`` for an accuracy.

    Raises:
        ArgumentError: a mode that is missing or unknown.
    """

    def __init__(self, monitor: str, mode: Mode | None) -> None:
        known: dict[str, Mode] = {"loss": "min", "accuracy": "max"}
        if mode is None:
            mode = next((m for ending, m in known.items() if str(monitor).endswith(ending)), None)
        if mode not in ("min", "max"):
            what = f"{type(self).__name__}: whether small or large values of {monitor!r} are good"
            raise ArgumentError(explain(what, got=f"mode={mode!r}", expected="mode='min' or mode='max'"))
        self.monitor, self.mode = monitor, mode

    def __call__(self, event: str, run: Run) -> None:
        """What ``fit`` calls after each step and each epoch."""
        if event == "epoch":
            self.at_epoch(run)

    def at_epoch(self, run: Run) -> None:
        """Called after each epoch, when its record is in ``run.history``; and when a run resumes between two epochs."""
        raise NotImplementedError

    def files(self) -> list[FilePath]:
        """What it writes; ``fit`` checks the places before the first step."""
        return []

    def check(self, names: Sequence[str]) -> None:
        """Refuse a value that the records of the run do not have.

        Raises:
            ArgumentError: no such value.
        """
        if self.monitor not in names:
            what = f"{type(self).__name__}: the run has no value {self.monitor!r} to look at"
            fix = "give fit validation= and metrics= that measure it"
            raise ArgumentError(explain(what, expected=", ".join(names), fix=fix))

    def best(self, history: Sequence[dict[str, Any]], min_delta: float = 0.0) -> int | None:
        """The number of the best epoch, from 0, the first of equals; ``None`` if no value is a number."""
        found, best = None, math.nan
        for i, record in enumerate(history):
            value = record[self.monitor]
            value = math.nan if value is None else value if self.mode == "min" else -value
            if math.isfinite(value) and (found is None or value < best - min_delta):
                found, best = i, value
        return found


class BestCheckpoint(Monitor):
    """Keep the weights of the best epoch in a file; of several ranks, rank 0 writes it.

    ::

        best = train.BestCheckpoint("best.safetensors", "val_accuracy")
        train.fit(..., callbacks=[best])
        train.load_checkpoint("best.safetensors", model=model)

    Loading returns ``{"epoch": ..., monitor: ...}``.

    Args:
        path: the file, with the model alone; its folder exists.
        monitor: the name in the log of the value that says what is best.
        mode: ``"min"`` or ``"max"``, see ``Monitor``.
    """

    def __init__(self, path: FilePath, monitor: str = "val_loss", mode: Mode | None = None) -> None:
        super().__init__(monitor, mode)
        self.path = Path(path)

    def at_epoch(self, run: Run) -> None:
        if rank() == 0 and self.best(run.history) == len(run.history) - 1:
            extra = {"epoch": run.epoch, self.monitor: run.history[-1][self.monitor]}
            save_checkpoint(self.path, model=run.model, rng=False, extra=extra)

    def files(self) -> list[FilePath]:
        return [self.path]


class EarlyStopping(Monitor):
    """End the training when a value has not become better for some epochs.

    Args:
        monitor: the name in the log of the value that says what is better.
        patience: how many epochs without a better one, >= 1.
        mode: ``"min"`` or ``"max"``, see ``Monitor``.
        min_delta: by how much better is better, >= 0.

    Raises:
        ArgumentError: a setting out of its range.
    """

    def __init__(
        self, monitor: str = "val_loss", patience: int = 5, mode: Mode | None = None, min_delta: float = 0.0
    ) -> None:
        super().__init__(monitor, mode)
        if type(patience) is not int or patience < 1:
            raise ArgumentError(explain("EarlyStopping: patience is a whole number >= 1", got=repr(patience)))
        if not isinstance(min_delta, (int, float)) or not 0 <= min_delta < math.inf:
            raise ArgumentError(explain("EarlyStopping: min_delta is a number >= 0", got=repr(min_delta)))
        self.patience, self.min_delta = patience, min_delta

    def at_epoch(self, run: Run) -> None:
        best = self.best(run.history, self.min_delta)
        waited = len(run.history) - (0 if best is None else best + 1)
        if waited >= self.patience:
            run.stop = True
