"""The processes that work together: how many, which one this is, and how they exchange arrays without ever waiting in vain.

MPI carries the arrays.  A process that was started alone is a world of one rank, and needs no MPI.

Before every exchange all ranks meet: each says in a few bytes what it is about to do.  Where they are not about to do the
same, all of them raise, with what each one wanted.  A rank that ends, or fails, meets or ends the others, too.
"""

from __future__ import annotations

import atexit
import os
import runpy
import sys
import time
import traceback
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from types import TracebackType
from typing import Any

import numpy as np

from ..engine.mode import Site
from ..errors import ArgumentError, CollectiveError, explain, missing_package
from ..kinds import Array

STARTED = (
    "PMI_RANK",
    "PMIX_RANK",
    "OMPI_COMM_WORLD_RANK",
)  # what launchers of MPI tell each rank: MPICH, Intel; Open MPI
EXPECTED = "TINYGRAD_BN_RANKS"  # what `tinygrad-bn run` tells it besides
_STARTERS = ("<frozen runpy>", runpy.__file__, os.path.join(os.path.dirname(__file__), "__main__.py"))
END = "the end of the script"
PATIENCE = 5.0  # seconds in which the rank that tells what happened has ended all others


class World:
    """All ranks.

    Args:
        comm: an MPI communicator; ``None`` for a process alone.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
    """

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = 0 if comm is None else comm.rank
        self.size: int = 1 if comm is None else comm.size
        self._spin = 0.0 if comm is None or _crowded(comm) else 1e-4  # seconds in which a rank keeps its processor
        self._broken = False
        self._over = False

    def reduce(self, array: Array, largest: bool, what: str) -> Array:
        """The sums, or the largest, over all ranks, element by element; the same bits on each."""
        array = np.asarray(array, order="C")
        self.meet(f"{what} of {array.dtype} {array.shape}")
        if self.comm is None or not array.size:
            return array.copy()
        from mpi4py import MPI

        given = array.astype(np.float32) if array.dtype == np.float16 else array  # which is no type of MPI's
        out = np.empty_like(given)
        self._wait(self.comm.Iallreduce(given, out, MPI.MAX if largest else MPI.SUM))
        return out.astype(array.dtype, copy=False)

    def send(self, array: Array, root: int, what: str) -> Array:
        """The array of one rank, on all of them."""
        out = np.array(array, order="C")
        self.meet(f"{what} of {out.dtype} {out.shape}")
        if self.comm is not None and out.size:
            self._wait(self.comm.Ibcast(out.view(np.uint8) if out.ndim else out, root))
        return out

    def join(self, array: Array, what: str) -> tuple[Array, list[int]]:
        """The rows of all ranks in the order of ranks, and how many each has."""
        array = np.asarray(array, order="C")
        self.meet(f"{what} of {array.dtype} (..., {str(array.shape[1:])[1:]}")
        if self.comm is None:
            return array.copy(), [len(array)]
        counts = np.empty(self.size, np.int64)
        self._wait(self.comm.Iallgather(np.array([len(array)], np.int64), counts))
        out = np.empty((int(counts.sum()), *array.shape[1:]), array.dtype)
        if out.size:
            size = out.itemsize * (out.size // len(out))
            lengths = (counts * size).tolist()
            given, taken = array.reshape(-1).view(np.uint8), out.reshape(-1).view(np.uint8)
            self._wait(self.comm.Iallgatherv(given, [taken, lengths]))
        return out, counts.tolist()

    def objects(self, value: Any, what: str) -> list[Any]:
        """One plain object of each rank, on all of them."""
        self.meet(what)
        found: list[Any] = [value] if self.comm is None else self.comm.allgather(value)
        return found

    def meet(self, what: str) -> None:
        """Wait for all ranks, and go on if all are about to do the same.

        Raises:
            CollectiveError: they are not; raised on each of them.
        """
        if self.comm is None:
            return
        if self._broken:
            fix = "let the interrupt end the script"
            raise CollectiveError(explain("ranks cannot go on: an exchange was interrupted", fix=fix))
        from mpi4py import MPI

        digest = int.from_bytes(blake2b(what.encode(), digest_size=7).digest(), "little")
        mine, largest = np.array([digest, -digest], np.int64), np.empty(2, np.int64)
        self._wait(self.comm.Iallreduce(mine, largest, MPI.MAX))
        if largest[0] != -largest[1]:  # the largest and the smallest
            site = Site.here(None)
            place = "" if what == END else f"  ({site.filename}:{site.line})"
            raise self._disagreement(self.comm.allgather((what, place)))

    def _disagreement(self, calls: list[tuple[str, str]]) -> CollectiveError:
        groups: dict[tuple[str, str], list[int]] = {}
        for rank, call in enumerate(calls):
            groups.setdefault(call, []).append(rank)
        said = [f"rank {', '.join(map(str, ranks))}: {what}{place}" for (what, place), ranks in groups.items()]
        fix = (
            "let every rank run the same forward and backward, and ask for the same gradients; a rank without rows takes "
            "part with an empty batch"
        )
        error = CollectiveError(explain("ranks do not do the same", got=("\n" + " " * 12).join(said), fix=fix))
        error.__dict__["told_by"] = next(rank for rank, (what, _) in enumerate(calls) if what != END)
        return error

    def _wait(self, request: Any) -> None:
        """Wait so that others can use the processor, and Ctrl-C is heard."""
        began = time.perf_counter()
        done = False
        try:
            while not (done := request.Test()):
                waited = time.perf_counter() - began
                if waited > self._spin:
                    time.sleep(min(waited / 20, 0.001))
        finally:
            self._broken = not done

    # -- how it ends ------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """The script has ended on this rank: wait for the others to end, too."""
        if self._over:
            return
        if self._broken:  # and the script went on, so others may wait
            self.abort(130)
        self._over = True
        try:
            self.meet(END)
        except BaseException as error:
            self.failed(type(error), error, error.__traceback__)

    def failed(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Say why the script failed on this rank, and end all ranks."""
        self._over = True
        if isinstance(error, KeyboardInterrupt):
            self.abort(130)
        # Where all fail alike one says it, and ends the others while they wait.
        told_by = getattr(error, "told_by", self.rank)
        time.sleep(min(0.1 * self.rank, 1.0) if told_by == self.rank else PATIENCE)
        told = "".join(traceback.format_exception(kind, error, _without_ours(trace)))
        self.abort(1, f"rank {self.rank} of {self.size} failed, and all are ended:\n{told}")

    def abort(self, code: int, message: str = "") -> None:
        """End all ranks now."""
        self._over = True
        with suppress(OSError, ValueError, AttributeError):  # closed, or not there
            sys.stdout.flush()
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(message)  # in one piece, for others may be writing, too
            sys.stderr.flush()
        self.comm.Abort(code)


def _crowded(comm: Any) -> bool:
    """Whether this machine has more ranks than processors, so that one who waits must let others run."""
    from mpi4py import MPI

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks = here.size
    here.Free()
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return bool(ranks > processors)


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the script on, without what started it."""
    step = trace
    while step is not None and step.tb_frame.f_code.co_filename in _STARTERS:
        step = step.tb_next
    return trace if step is None else step


@cache
def world() -> World:
    """The world that this process is part of; found out once.

    Raises:
        ImportError: it was started as one of several, and mpi4py or MPI is missing.
        ArgumentError: it was started by the launcher of another MPI than mpi4py uses.
    """
    expected = os.environ.get(EXPECTED)
    if expected is None and not any(name in os.environ for name in STARTED):
        return World()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise missing_package("a process among several", "mpi4py with an MPI", "'tinygrad-bn[mpi]'") from error
    for name in (EXPECTED, *STARTED):  # what this process starts itself is no rank
        os.environ.pop(name, None)
    ranks = MPI.COMM_WORLD.size
    if expected is not None and ranks != int(expected):
        got = f"{MPI.Get_library_version().split(',')[0].splitlines()[0]}, which sees {ranks} ranks"
        fix = "start with the mpiexec of the MPI that mpi4py uses: tinygrad-bn run --mpiexec PATH"
        raise ArgumentError(explain("started by another MPI", got=got, expected=f"{expected} ranks", fix=fix))
    if ranks == 1:
        return World()
    found = World(MPI.COMM_WORLD.Dup())
    sys.excepthook = found.failed
    atexit.register(found.end)
    return found


def rank() -> int:
    """The number of this process among those that work together, from 0."""
    return world().rank


def size() -> int:
    """How many processes work together."""
    return world().size
