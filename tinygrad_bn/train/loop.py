"""``fit``: the training loop, with a log, checkpoints to continue from, and nothing else."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import numpy as np

from .. import ops, parallel
from ..compiler import compile as compiled
from ..data import DataLoader
from ..engine import Variable, no_grad
from ..engine.mode import closing
from ..errors import AnomalyError, ArgumentError, GraphError, explain
from ..files import FilePath, append, check_writable, is_pipe_or_device, write_whole
from ..functional.settings import flag
from ..nn import Module
from ..optim import Optimizer, PerParameter, Schedule, clip_grad_norm_
from ..parallel import all_reduce, backward, broadcast_parameters, rank, size, world
from ..random import generator
from .callbacks import Monitor
from .checkpoint import load_checkpoint, need_safetensors, save_checkpoint
from .evaluation import Metric, evaluated, measured, over_ranks, parts_of
from .interruption import put_off
from .progress import Progress
from .ranks import Ranks
from .undo import as_it_is

RESERVED = ("epoch", "step", "seconds", "lr", "loss")  # what a record has anyway

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

    def __init__(self, model: Module, loader: DataLoader, optimizer: PerParameter) -> None:
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
        if (state["rows"] == 0) != (state["batch"] == 0):
            got = f"{state['batch']} batches of {state['rows']} rows"
            raise ArgumentError(explain("progress of a run: batches have rows", got=got))
        if not all(isinstance(record, dict) for record in history):
            raise ArgumentError(explain("progress of a run: history is a list of records"))

        def commit() -> None:
            for name in own:
                setattr(self, name, state[name])

        return commit


@closing
def fit(
    model: Module,
    loader: DataLoader,
    optimizer: PerParameter,
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
    compile: bool = False,  # noqa: A002 (as elsewhere)
) -> Run:
    """Train: for each batch forward, loss, backward, step.

    On several ranks (see ``tinygrad_bn.parallel``) every rank calls it alike, with a ``parallel.DataLoader``; rank 0's
    parameters and buffers are where all begin.  Steps, history and loss are those of one process with all rows (a Batch
    Normalization that is not ``nn.SyncBatchNorm`` sees its own rank's rows alone).  Rank 0 alone writes and shows anything;
    callbacks are called on each.  A checkpoint can be continued on another number of ranks, unless ranks differ in buffers
    or have drawn random numbers; then that is refused.

    With ``checkpoint``, a run that was killed at any moment and is called again with ``resume=True`` ends with the
    same weights, bit for bit, as one that was never interrupted.  Ctrl-C waits for the step under way, writes the
    checkpoint and raises ``KeyboardInterrupt``; a second Ctrl-C does not wait and leaves the checkpoint as it was.
    With ``checkpoint``, SIGTERM does the same and raises ``SystemExit``.

    A batch that is refused, because the loss or a gradient is not finite or because something raises, changes nothing:
    parameters, their gradients, running statistics, the optimizer and the generator are as before it.

    Args:
        model: called on a batch's inputs, in training mode.
        loader: gives batches ``(*inputs, target)``.
        optimizer: of the model's parameters, with one update per gradient, so not ``LBFGS``.
        loss: of output and target, one number to make small.
        epochs: how many in all, those before a resumed checkpoint included.
        validation: batches to ``evaluate`` loss and metrics on after each epoch; its first batch is tried before the
            first step, too.
        metrics: more functions of output and target, each a mean over the batch, by name.
        schedule: stepped after each epoch, or with ``schedule_each="step"`` after each step.
        schedule_each: see ``schedule``.
        clip_norm: the largest norm of all gradients together, see ``optim.clip_grad_norm_``.
        callbacks: each called as ``callback("step", run)`` after each step, ``callback("epoch", run)`` after each epoch;
            ready ones are ``BestCheckpoint`` and ``EarlyStopping``.
        log: a file that gets one JSON object per line and epoch: epoch, step, seconds, lr (one per group), loss and
            metrics as means over the rows of the epoch, ``val_...`` for those of ``validation``; null for what is
            not finite.
        checkpoint: a file written after the first step, after each epoch, and on Ctrl-C or SIGTERM.
        checkpoint_every: also write it after every so many steps.
        resume: continue from ``checkpoint`` if it exists.  Without it, an existing checkpoint or log is an error, so
            that no run writes over another's.
        progress: on standard error, a bar per epoch where the package tqdm is installed and that is a terminal, else a
            line per epoch; nothing if ``TQDM_DISABLE`` is set.
        compile: record the forward and backward pass, and the optimizer's step, and run them compiled, see ``tg.compile``;
            a last batch of another size is a second program.

    Returns:
        The run, with ``history``.

    Raises:
        ArgumentError: arguments that do not go together; nothing has been changed then.
        CheckpointError: a checkpoint of something else; likewise.
        GraphError: a loss that depends on no parameter.
        AnomalyError: a loss or a gradient that is not finite.  The step was not taken, and the checkpoint is from before.
        FileError: a file that cannot be written.
        KeyboardInterrupt: see above.
    """
    for name, value in {"resume": resume, "progress": progress, "compile": compile}.items():
        flag("fit", name, value)
    callbacks, metrics = _callbacks(callbacks), _metrics(metrics)
    _check(model, loader, optimizer, loss, epochs, validation, metrics, schedule, schedule_each, clip_norm)
    if compile and size() > 1:
        what = "fit: several ranks agree on each loss before they go on, which is no part of a program"
        fix = "compile a step of your own, with parallel.backward in it"
        raise ArgumentError(explain(what, got="compile=True", fix=fix))
    every = {"loss": loss, **metrics}
    shown = [*every, *(f"val_{name}" for name in every if validation is not None)]
    monitors = [callback for callback in callbacks if isinstance(callback, Monitor)]
    for monitor in monitors:
        monitor.check(shown)
    files = {"checkpoint": checkpoint, "log": log}
    files |= {
        f"the file of callbacks[{i}]": path
        for i, m in enumerate(callbacks)
        if isinstance(m, Monitor)
        for path in m.files()
    }
    continues = _continues(checkpoint, checkpoint_every, {k: f for k, f in files.items() if f is not None}, resume)
    if size() > 1:
        world().meet(f"fit, {'continued' if continues else 'from the beginning'}, of {optimizer!r}")
        broadcast_parameters(model)
    if validation is not None:
        _try(model, validation, every)
    run = Run(model, loader, optimizer)
    run.sums = dict.fromkeys(every, 0.0)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule, "loader": loader, "run": run}

    ranks = Ranks(model)

    def save() -> None:
        if checkpoint is None:
            return
        extra = {"ranks": ranks.state()} if size() > 1 else None
        if rank() == 0:
            save_checkpoint(checkpoint, extra=extra, **parts)
        world().meet("a checkpoint that is written")  # until then none goes on, or ends the others

    if checkpoint is not None and continues:
        take_over = ranks.prepare(checkpoint, load_checkpoint(checkpoint, rng=False))
        load_checkpoint(checkpoint, **parts)
        take_over()
        if rank() == 0 and log is not None and not is_pipe_or_device(log):  # as it was at the checkpoint
            write_whole(log, "".join(map(_line, run.history)).encode())
        if run.history and run.batch == 0:  # the last run may have ended before they saw its last epoch
            for monitor in monitors:
                monitor.at_epoch(run)
    model.train()
    machine = (_CompiledMachine if compile else _Machine)(run, loss)

    word = Progress(progress and rank() == 0, epochs)
    whole = True  # whether model, optimizer, loader and run are all at the same step
    with put_off(terminate=checkpoint is not None, agreed=_largest) as ask:
        try:
            while run.epoch < epochs and not run.stop:
                began = time.perf_counter() - run.seconds
                if run.batch < len(loader):
                    for batch in word.batches(loader, run):
                        whole = False
                        _step(run, machine, batch, metrics, clip_norm)
                        if schedule is not None and schedule_each == "step":
                            schedule.step()
                        run.seconds = time.perf_counter() - began
                        whole = True
                        _call(callbacks, "step", run)
                        if run.step == 1 or (checkpoint_every is not None and run.step % checkpoint_every == 0):
                            save()
                        ask()
                        if run.stop:
                            break
                if run.batch < len(loader):
                    save()
                    break
                split = isinstance(validation, parallel.DataLoader)
                record = _record(run, None if validation is None else _interruptible(validation, ask), every, split)
                whole = False
                if schedule is not None and schedule_each == "epoch":
                    schedule.step()
                run.history.append(record)
                run.epoch, run.batch, run.rows, run.seconds = run.epoch + 1, 0, 0, 0.0
                run.sums = dict.fromkeys(run.sums, 0.0)
                whole = True
                save()
                if log is not None and rank() == 0:
                    append(log, _line(record).encode())
                word.epoch(record, shown)
                _call(callbacks, "epoch", run)
                ask()
        except (KeyboardInterrupt, SystemExit):
            if whole:
                save()
            raise
    ranks.together()
    return run


def _call(callbacks: list[Callback], event: str, run: Run) -> None:
    for callback in callbacks:
        callback(event, run)
    if callbacks:  # where one rank stops, all do
        run.stop = bool(_largest(int(run.stop)))


def _largest(number: int) -> int:
    """Over all ranks."""
    return number if size() == 1 else int(all_reduce(float(number), "max"))


class _Machine:
    """What a step does with a batch: the loss, then all gradients, then the optimizer's move."""

    def __init__(self, run: Run, loss: Metric) -> None:
        self._model, self._optimizer, self._loss = run.model, run.optimizer, loss

    def forward(self, inputs: Sequence[Any], target: Any, count: int) -> tuple[Any, Any]:
        """The output and the loss."""
        output = self._model(*inputs)
        value = self._loss(output, target) if count else _nothing(output)
        if not isinstance(value, Variable) or not value.requires_grad:
            got = f"a {type(value).__name__} that requires no gradient"
            raise GraphError(explain("fit: the loss depends on no parameter", got=got, fix="compute it with ops"))
        return output, value

    def backward(self, value: Any, count: int, total: float) -> None:
        """The gradients; on several ranks, for ``count`` of ``total`` rows."""
        self._optimizer.zero_grad()
        if size() > 1:
            backward(value, self._optimizer.params, count, total)
        else:
            value.backward()

    def step(self) -> None:
        """The move."""
        self._optimizer.step()


class _CompiledMachine(_Machine):
    """The same in two compiled pieces, so that a batch can still be refused between them."""

    def __init__(self, run: Run, loss: Metric) -> None:
        super().__init__(run, loss)
        self._both = compiled(self._forward_backward, quiet=True)
        self._move = compiled(run.optimizer.step, quiet=True)

    def _forward_backward(self, inputs: Sequence[Any], target: Any) -> tuple[Any, Any]:
        output, value = super().forward(inputs, target, 1)
        self._optimizer.zero_grad()
        if value.size == 1:  # else it is refused when it is measured
            value.backward()
        return output, value

    def forward(self, inputs: Sequence[Any], target: Any, count: int) -> tuple[Any, Any]:
        found: tuple[Any, Any] = self._both(inputs, target)
        return found

    def backward(self, value: Any, count: int, total: float) -> None:
        pass  # has been done

    def step(self) -> None:
        self._move()


def _step(run: Run, machine: _Machine, batch: Any, metrics: Mapping[str, Metric], clip_norm: float | None) -> None:
    inputs, target, count = parts_of(batch, split=size() > 1)
    put_back = as_it_is(run.model.buffers(), run.optimizer)
    try:
        output, value = machine.forward(inputs, target, count)
        own = measured({"loss": lambda output, target: value}, output, target, count)
        if math.isfinite(own["loss"]):
            with no_grad():
                own |= measured(metrics, output, target, count)
        found, total = _of_all_ranks({**dict.fromkeys(metrics, math.nan), **own}, count)
        number = found["loss"]
        if not math.isfinite(number):
            raise _anomaly(run, f"the loss is {number}")
        machine.backward(value, count, total)
        for p in run.optimizer.params:
            if p.grad is not None and not _is_finite(p.grad.numpy()):
                raise _anomaly(run, f"the loss is {number:.4g}, but the gradient of {p.label} is not finite")
        if clip_norm is not None:
            clip_grad_norm_(run.optimizer.params, clip_norm)
        machine.step()
    except BaseException:
        put_back()
        raise
    run.loss = number
    for name, mean in found.items():
        run.sums[name] += mean * total
    run.rows += int(total)
    run.batch += 1
    run.step += 1


def _of_all_ranks(means: Mapping[str, float], count: int) -> tuple[dict[str, float], float]:
    """Means over the rows of all ranks, and how many these are."""
    if size() == 1:
        return dict(means), float(count)
    sums, total = over_ranks({name: mean * count for name, mean in means.items()}, count)
    if not total:
        raise ArgumentError(explain("fit: a batch without rows"))
    return {name: whole / total for name, whole in sums.items()}, total


def _nothing(output: Any) -> Any:
    """The loss of no rows: 0, and depends on the parameters, so that this rank takes part in the others' backward."""
    parts = output if isinstance(output, (tuple, list)) else [output]
    return ops.sum(ops.stack([ops.sum(part) for part in parts]))


def _is_finite(array: Any) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())  # a sum of finite numbers may overflow


def _anomaly(run: Run, what: str) -> AnomalyError:
    where = f"in step {run.step + 1}, batch {run.batch + 1} of epoch {run.epoch + 1}"
    fix = "lower the learning rate or clip_norm; with tg.detect_anomaly(): ... names the operation"
    return AnomalyError(explain(f"fit: {what} {where}", fix=fix))


def _interruptible(validation: Iterable[Any], ask: Callable[[], None]) -> Iterator[Any]:
    """The batches; what was put off is raised between two of them, since an evaluation can be made again."""
    for batch in validation:
        ask()
        yield batch


def _record(run: Run, validation: Iterable[Any] | None, every: Mapping[str, Metric], split: bool) -> dict[str, Any]:
    """The line of the log for the epoch that all batches have been trained on."""
    rates = [group["lr"] for group in run.optimizer.param_groups]
    record: dict[str, Any] = {"epoch": run.epoch + 1, "step": run.step, "seconds": run.seconds, "lr": rates}
    record |= {name: total / run.rows for name, total in run.sums.items()}
    if validation is not None:
        found = evaluated(run.model, validation, every, split)
        record |= {f"val_{name}": value for name, value in found.items()}
    return record


# -- before the first step --------------------------------------------------------------------------------------------------


def _callbacks(callbacks: Any) -> list[Callback]:
    given = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in given:
        _no_class("callbacks", callback)
        if not callable(callback) or not isinstance(callbacks, Iterable):
            what, fix = "fit: callbacks are functions of an event and the run", "callbacks=[function]"
            raise ArgumentError(explain(what, got=type(callback).__name__, fix=fix))
    return given


def _no_class(name: str, given: Any) -> None:
    """A class where one made of it is meant: calling it would make an object, and measure or do nothing.

    Raises:
        ArgumentError: a class.
    """
    if isinstance(given, type):
        fix = f"make one of it: {given.__name__}(...)"
        raise ArgumentError(explain(f"fit: {name}", got=f"the class {given.__name__}", fix=fix))


def _metrics(metrics: Any) -> dict[str, Metric]:
    if metrics is not None and not isinstance(metrics, Mapping):
        fix = "metrics={'accuracy': tg.train.accuracy}"
        raise ArgumentError(explain("fit: metrics are functions by name", got=type(metrics).__name__, fix=fix))
    found = dict(metrics or {})
    for name in found:
        if not isinstance(name, str) or not name:
            raise ArgumentError(explain("fit: the name of a metric is text", got=repr(name)))
        what = f"fit: {name!r} is measured anyway" if name == "loss" else f"fit: the log has its own {name!r}"
        if name in RESERVED or (name.startswith("val_") and name[4:] in ("loss", *found)):
            raise ArgumentError(explain(what, fix="give the metric another name"))
    return found


def _try(model: Module, validation: Any, every: Mapping[str, Metric]) -> None:
    """Evaluate the first batch of the validation data: what cannot work is to be found before hours of training.

    Raises:
        ArgumentError: no batches, or an iterator, which could be gone through once only.
        Exception: whatever the model or a metric raises on that batch.
    """
    fix = "a DataLoader or a list of batches"
    if not hasattr(validation, "__iter__"):
        got = type(validation).__name__
        raise ArgumentError(explain("fit: validation is batches to go through", got=got, fix=fix))
    if iter(validation) is validation:
        what = "fit: validation is gone through after every epoch, and this is used up after the first"
        raise ArgumentError(explain(what, got=type(validation).__name__, fix=fix))
    # A copy of a loader, so that the epochs of the loader itself are counted as if nobody had looked.
    batches = iter(copy.copy(validation) if isinstance(validation, DataLoader) else validation)
    try:
        first = next(batches)
    except StopIteration:
        raise ArgumentError(explain("fit: validation has no batches", fix=fix)) from None
    bits = generator().bit_generator
    state = bits.state
    try:
        evaluated(model, [first], every, isinstance(validation, parallel.DataLoader))
    finally:
        bits.state = state


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
        _no_class(name, value)
        if not isinstance(value, kind):
            raise ArgumentError(explain(f"fit: {name}", got=type(value).__name__, expected=f"a {kind.__name__}"))
    if not isinstance(optimizer, PerParameter):
        got, fix = type(optimizer).__name__, "a loop of your own: optimizer.step(closure)"
        raise ArgumentError(
            explain("fit computes the loss once in a step, and this optimizer needs it several times", got=got, fix=fix)
        )
    for name, function in {"loss": loss, **{f"metrics[{name!r}]": metric for name, metric in metrics.items()}}.items():
        _no_class(name, function)
        if not callable(function):
            got = type(function).__name__
            raise ArgumentError(explain(f"fit: {name} is a function of output and target", got=got))
    if size() > 1 and not isinstance(loader, parallel.DataLoader):
        fix = "parallel.DataLoader(...), which splits every batch over the ranks"
        got = f"a {type(loader).__name__} that gives each of {size()} ranks all rows"
        raise ArgumentError(explain("fit: a loader for several ranks", got=got, fix=fix))
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


def _continues(checkpoint: FilePath | None, every: Any, files: Mapping[str, FilePath], resume: bool) -> bool:
    """Whether there is a checkpoint to continue from; refuses to write over the files of another run."""
    if every is not None and (type(every) is not int or every < 1):
        raise ArgumentError(explain("fit: checkpoint_every is a whole number >= 1", got=repr(every)))
    if checkpoint is None and (resume or every is not None):
        fix = "checkpoint='run.safetensors'"
        raise ArgumentError(explain("fit: resume and checkpoint_every need a checkpoint", fix=fix))
    if set(files) - {"log"}:
        need_safetensors()
    for path in files.values():
        check_writable(path)
    kept = {what: path for what, path in files.items() if not is_pipe_or_device(path)}
    _check_different(kept)
    there = {what: path for what, path in kept.items() if os.path.exists(path)}
    continues = resume and "checkpoint" in there
    if there and not continues:
        fix = "resume=True continues from a checkpoint; or move the file away"
        what = f"fit: {next(iter(there.values()))} is there already, of another run"
        raise ArgumentError(explain(what, fix=fix))
    return continues


def _check_different(files: Mapping[str, FilePath]) -> None:
    """No two of them are one file, whatever links and ways of writing it lead there."""
    seen: dict[str, str] = {}
    for what, path in files.items():
        place = os.path.normcase(os.path.realpath(path))
        with suppress(OSError):
            there = os.stat(path)
            place = f"{there.st_dev}, {there.st_ino}"  # two names of one file
        if place in seen:
            fix = "give each a file of its own"
            raise ArgumentError(explain(f"fit: {seen[place]} and {what} are one file", got=str(path), fix=fix))
        seen[place] = what


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(_finite(record), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """The value with ``None`` for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value
