"""``fit``: the training loop, with a log, checkpoints to continue from, and nothing else."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from ..data import DataLoader
from ..engine import Variable, no_grad
from ..errors import AnomalyError, ArgumentError, GraphError, explain
from ..files import FilePath, check_writable, write_whole
from ..nn import Module
from ..optim import Optimizer, Schedule, clip_grad_norm_
from .checkpoint import load_checkpoint, need_safetensors, save_checkpoint
from .evaluation import Metric, add_to, evaluate, rows_of

Callback = Callable[[str, "Run"], Any]


class Run:
    """Where a training run is.  Callbacks get it, ``fit`` returns it.

    Attributes:
        model, optimizer, loader: what was given to ``fit``.
        epoch: completed epochs.
        step: completed steps of the optimizer.
        batch: completed batches of the epoch under way.
        loss: the last batch's loss.
        history: one record per completed epoch, as in the log.
        stop: a callback sets it to True to end the training after this step or epoch.
    """

    def __init__(self, model: Module, loader: DataLoader, optimizer: Optimizer) -> None:
        self.model, self.loader, self.optimizer = model, loader, optimizer
        self.epoch = self.step = self.batch = self.rows = 0
        self.loss = math.nan
        self.seconds = 0.0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, Any]] = []
        self.stop = False

    def state_dict(self) -> dict[str, Any]:
        """Progress as plain data."""
        return {name: getattr(self, name) for name in ("epoch", "step", "batch", "rows", "seconds", "sums", "history")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over progress.

        Raises:
            ArgumentError: the progress of a run with other metrics; nothing is changed then.
        """
        self.prepare_load(state)()

    def prepare_load(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Check a state, as ``load_state_dict`` does; the result takes it over and cannot fail."""
        own = self.state_dict()
        if not isinstance(state, Mapping) or set(state) != set(own):
            raise ArgumentError(explain("not the progress of a run", expected=", ".join(own)))
        for name in own:
            if type(state[name]) is not type(own[name]) or (type(own[name]) in (int, float) and not state[name] >= 0):
                raise ArgumentError(explain(f"progress of a run: {name}", got=repr(state[name])))
        sums, history = state["sums"], state["history"]
        if list(sums) != list(self.sums) or not all(type(total) is float for total in sums.values()):
            got, expected = ", ".join(map(str, sums)), ", ".join(self.sums)
            raise ArgumentError(explain("progress of a run with other metrics", got=got, expected=expected))
        if not all(isinstance(record, dict) for record in history):
            raise ArgumentError(explain("progress of a run: history is a list of records"))

        def commit() -> None:
            for name in own:
                setattr(self, name, state[name])

        return commit


def fit(
    model: Module,
    loader: DataLoader,
    optimizer: Optimizer,
    loss: Metric,
    *,
    epochs: int,
    validation: Iterable[Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    schedule: Schedule | None = None,
    schedule_each: Literal["epoch", "step"] = "epoch",
    clip_norm: float | None = None,
    callbacks: Iterable[Callback] = (),
    log: FilePath | None = None,
    checkpoint: FilePath | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Run:
    """Train: for each batch forward, loss, backward, step.

    With ``checkpoint``, a run that was killed at any moment and is called again with ``resume=True`` ends with the
    same weights, bit for bit, as one that was never interrupted.  Ctrl-C waits for the step under way, writes the
    checkpoint and raises ``KeyboardInterrupt``; a second Ctrl-C does not wait and leaves the checkpoint as it was.

    Args:
        model: called on a batch's inputs, in training mode.
        loader: gives batches ``(*inputs, target)``.
        optimizer: over the model's parameters.
        loss: of output and target, one number to make small.
        epochs: how many in all, those before a resumed checkpoint included.
        validation: batches to ``evaluate`` loss and metrics on after each epoch.
        metrics: more functions of output and target, each a mean over the batch, by name.
        schedule: stepped after each epoch, or with ``schedule_each="step"`` after each step.
        schedule_each: see ``schedule``.
        clip_norm: the largest norm of all gradients together, see ``optim.clip_grad_norm_``.
        callbacks: each called as ``callback("step", run)`` after each step, ``callback("epoch", run)`` after each epoch.
        log: a file that gets one JSON object per line and epoch: epoch, step, seconds, lr (one per group), loss and
            metrics as means over the rows of the epoch, ``val_...`` for those of ``validation``; null for what is
            not finite.
        checkpoint: a file written after the first step, after each epoch, and on Ctrl-C.
        checkpoint_every: write it after each so many steps, too.
        resume: continue from ``checkpoint`` if it exists.  Without it, an existing checkpoint or log is an error, so
            that no run writes over another's.
        progress: show a bar per epoch, where the package tqdm is installed and the output is a terminal.

    Returns:
        The run, with ``history``.

    Raises:
        ArgumentError: arguments that do not go together; nothing has been changed then.
        CheckpointError: a checkpoint of something else; likewise.
        GraphError: a loss that depends on no parameter.
        AnomalyError: a loss that is not finite.  The step was not taken, and the checkpoint is from before it.
        KeyboardInterrupt: see above.
    """
    callbacks, metrics = list(callbacks), dict(metrics or {})
    measured = {"loss": loss, **metrics}
    _check(model, loader, optimizer, loss, epochs, validation, metrics, schedule, schedule_each, clip_norm)
    continues = _continues(checkpoint, checkpoint_every, log, resume)
    run = Run(model, loader, optimizer)
    run.sums = dict.fromkeys(measured, 0.0)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule, "loader": loader, "run": run}

    def save() -> None:
        if checkpoint is not None:
            save_checkpoint(checkpoint, **parts)

    if checkpoint is not None and continues:
        load_checkpoint(checkpoint, **parts)
        if log is not None:  # as it was at the checkpoint
            write_whole(log, "".join(map(_line, run.history)).encode())
    model.train()

    whole = True  # whether model, optimizer, loader and run are all at the same step
    with _interrupt_put_off() as interrupted:
        try:
            while run.epoch < epochs and not run.stop:
                began = time.perf_counter() - run.seconds
                if run.batch < len(loader):
                    for batch in _bar(loader, run, epochs, progress):
                        whole = False
                        _step(run, batch, loss, metrics, clip_norm)
                        if schedule is not None and schedule_each == "step":
                            schedule.step()
                        run.seconds = time.perf_counter() - began
                        whole = True
                        for callback in callbacks:
                            callback("step", run)
                        if run.step == 1 or (checkpoint_every is not None and run.step % checkpoint_every == 0):
                            save()
                        if interrupted():
                            raise KeyboardInterrupt
                        if run.stop:
                            break
                if run.batch < len(loader):
                    save()
                    break
                record = _record(run, validation, measured)
                whole = False
                if schedule is not None and schedule_each == "epoch":
                    schedule.step()
                run.history.append(record)
                run.epoch, run.batch, run.rows, run.seconds = run.epoch + 1, 0, 0, 0.0
                run.sums = dict.fromkeys(run.sums, 0.0)
                whole = True
                save()
                if log is not None:
                    with open(log, "a", encoding="utf-8") as file:
                        file.write(_line(record))
                for callback in callbacks:
                    callback("epoch", run)
                if interrupted():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            if whole:
                save()
            raise
    return run


def _step(run: Run, batch: Any, loss: Metric, metrics: Mapping[str, Metric], clip_norm: float | None) -> None:
    *inputs, target = batch
    count = rows_of(target)
    run.optimizer.zero_grad()
    output = run.model(*inputs)
    value = loss(output, target)
    if not isinstance(value, Variable) or not value.requires_grad:
        got = f"a {type(value).__name__} that requires no gradient"
        raise GraphError(explain("fit: the loss depends on no parameter", got=got, fix="compute it with ops"))
    run.loss = float(value)
    if not math.isfinite(run.loss):
        what = f"fit: the loss is {run.loss} in step {run.step + 1}, batch {run.batch + 1} of epoch {run.epoch + 1}"
        fix = "lower the learning rate or clip_norm; with tg.detect_anomaly(): ... names the operation"
        raise AnomalyError(explain(what, fix=fix))
    value.backward()
    if clip_norm is not None:
        clip_grad_norm_(run.optimizer.params, clip_norm)
    run.optimizer.step()
    run.sums["loss"] += run.loss * count
    with no_grad():
        add_to(run.sums, metrics, output, target, count)
    run.rows += count
    run.batch += 1
    run.step += 1


def _record(run: Run, validation: Iterable[Any] | None, measured: Mapping[str, Metric]) -> dict[str, Any]:
    """The line of the log for the epoch that all batches have been trained on."""
    rates = [group["lr"] for group in run.optimizer.param_groups]
    record: dict[str, Any] = {"epoch": run.epoch + 1, "step": run.step, "seconds": run.seconds, "lr": rates}
    record |= {name: total / run.rows for name, total in run.sums.items()}
    if validation is not None:
        found = evaluate(run.model, validation, measured)
        record |= {f"val_{name}": value for name, value in found.items()}
    return record


def _check(
    model: Any,
    loader: Any,
    optimizer: Any,
    loss: Any,
    epochs: Any,
    validation: Any,
    metrics: Mapping[str, Metric],
    schedule: Any,
    schedule_each: str,
    clip_norm: Any,
) -> None:
    for name, value, kind in (
        ("model", model, Module), ("loader", loader, DataLoader), ("optimizer", optimizer, Optimizer),
    ):  # fmt: skip
        if not isinstance(value, kind):
            raise ArgumentError(explain(f"fit: {name}", got=type(value).__name__, expected=f"a {kind.__name__}"))
    if not all(callable(function) for function in (loss, *metrics.values())):
        raise ArgumentError(explain("fit: loss and metrics are functions of output and target"))
    if "loss" in metrics:
        raise ArgumentError(explain("fit: 'loss' is measured anyway", fix="give the metric another name"))
    if type(epochs) is not int or epochs < 1:
        raise ArgumentError(explain("fit: epochs is a whole number >= 1", got=repr(epochs)))
    if not set(model.parameters()) & set(optimizer.params):
        fix = "make the optimizer from this model's parameters"
        raise ArgumentError(explain("fit: the optimizer has none of the model's parameters", fix=fix))
    if validation is loader:
        fix = "make another DataLoader over the same dataset"
        raise ArgumentError(explain("fit: one loader cannot train and validate", fix=fix))
    if schedule is not None and (not isinstance(schedule, Schedule) or schedule.optimizer is not optimizer):
        raise ArgumentError(explain("fit: a schedule of this optimizer", got=repr(schedule)))
    if schedule_each not in ("epoch", "step"):
        raise ArgumentError(explain("fit: schedule_each", got=repr(schedule_each), expected="'epoch' or 'step'"))
    if clip_norm is not None:
        clip_grad_norm_([], clip_norm)  # refuses what is not a bound


def _continues(checkpoint: FilePath | None, every: Any, log: FilePath | None, resume: bool) -> bool:
    """Whether there is a checkpoint to continue from; refuses to write over the files of another run."""
    if every is not None and (type(every) is not int or every < 1):
        raise ArgumentError(explain("fit: checkpoint_every is a whole number >= 1", got=repr(every)))
    if checkpoint is None and (resume or every is not None):
        fix = "checkpoint='run.safetensors'"
        raise ArgumentError(explain("fit: resume and checkpoint_every need a checkpoint", fix=fix))
    if checkpoint is not None:
        need_safetensors()
    there = [path for path in (checkpoint, log) if path is not None and os.path.exists(path)]
    continues = resume and checkpoint in there
    if there and not continues:
        fix = "resume=True continues from a checkpoint; or move the file away"
        raise ArgumentError(explain(f"fit: {there[0]} is there already, of another run", fix=fix))
    for path in (checkpoint, log):
        if path is not None:
            check_writable(path)
    return continues


def _line(record: Mapping[str, Any]) -> str:
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(finite, allow_nan=False) + "\n"


def _bar(loader: DataLoader, run: Run, epochs: int, progress: bool) -> Iterator[Any]:
    """The batches, with a bar that shows how far they are where that is possible."""
    tqdm = _tqdm() if progress else None
    if tqdm is None:
        yield from loader
        return
    first, title = run.batch, f"epoch {run.epoch + 1}/{epochs}"
    with tqdm(total=len(loader), initial=first, desc=title, unit="batch", disable=None) as bar:
        for batch in loader:
            yield batch
            bar.set_postfix_str(f"loss {run.sums['loss'] / run.rows:.4g}", refresh=False)
            bar.update()


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm


@contextlib.contextmanager
def _interrupt_put_off() -> Iterator[Callable[[], bool]]:
    """Note a first Ctrl-C, for the loop to ask about when all is whole; a second one is raised at once.

    Only where Ctrl-C would raise ``KeyboardInterrupt`` anyway: in the main thread, with Python's own handler.
    """
    noted = False

    def note(number: int, frame: Any) -> None:
        nonlocal noted
        if noted:
            raise KeyboardInterrupt
        noted = True

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if noted:  # after the last time the loop asked
        raise KeyboardInterrupt
