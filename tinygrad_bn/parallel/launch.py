"""Start several ranks on this machine, and let none of them outlive the others."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from ..errors import ArgumentError, MissingPackageError, explain, missing_package
from .world import EXPECTED

LAUNCHER = "TINYGRAD_BN_LAUNCHER"  # host:process that the ranks watch
AS_ROOT = ("OMPI_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT")  # Open MPI 4 and 5; each again with _CONFIRM


def launch(arguments: Sequence[str], ranks: int, mpiexec: str | None = None) -> int:
    """Run a script on several ranks of this machine, and wait for its end.

    When one rank raises or is killed, all end.  Ctrl-C (or SIGTERM) reaches all of them; a second one kills them.

    Args:
        arguments: the script and its arguments; or ``-m``, a module and its arguments.
        ranks: how many, >= 1; more than there are processors is fine, and slow.
        mpiexec: the launcher of the MPI that mpi4py uses; by default the one beside Python, then the one on PATH.

    Returns:
        0 when all went well.

    Raises:
        ArgumentError: no rank, or no such script.
        ImportError: mpi4py, or a launcher, is missing.
    """
    if type(ranks) is not int or ranks < 1:
        raise ArgumentError(explain("run: how many ranks", got=repr(ranks), expected="a whole number >= 1"))
    if arguments[:1] != ["-m"] and not (arguments and os.path.isfile(arguments[0])):
        got = arguments[0] if arguments else "nothing"
        raise ArgumentError(explain("run: no such script", got=got, expected="a Python file, or -m MODULE"))
    command = [_mpiexec(mpiexec), "-n", str(ranks), sys.executable, "-m", "tinygrad_bn.parallel", *arguments]
    return _watched(command, _environment(ranks))


def _watched(command: list[str], environment: Mapping[str, str]) -> int:
    """Run the launcher of MPI to its end, and hand on what this process is asked."""
    asked: list[int] = []
    jobs: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, frame: object) -> None:
        asked.append(number)
        for job in jobs:
            job.send_signal(number if len(asked) == 1 else signal.SIGKILL)

    # What is ignored, such as Ctrl-C by a job in the background, stays so.
    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, hand_on) for number in heard}
    try:
        # A session of its own: Ctrl-C on the terminal comes here alone, and is handed on once.
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True) as job:
            jobs.append(job)
            if asked:  # before there was anybody to hand it on to
                job.kill()
            code = job.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        return 128 + asked[0]
    return code if code >= 0 else 128 - code


def this_launcher() -> str:
    """This process, as ranks on the same machine know it."""
    return f"{platform.node()}:{os.getpid()}"


def _environment(ranks: int) -> Mapping[str, str]:
    threads = str(max(1, (os.cpu_count() or 1) // ranks))
    found = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, **os.environ}
    found |= {EXPECTED: str(ranks), LAUNCHER: this_launcher()}
    found |= {"OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        found |= {name + end: "1" for name in AS_ROOT for end in ("", "_CONFIRM")}
    return found


def _mpiexec(given: str | None) -> str:
    if find_spec("mpi4py") is None:
        raise missing_package("run", "mpi4py", "'tinygrad-bn[mpi]'")
    beside = os.path.dirname(sys.executable)
    found = (
        shutil.which(given) if given is not None else shutil.which("mpiexec", path=beside) or shutil.which("mpiexec")
    )
    if found is None:
        what = "run: no launcher of MPI" if given is None else f"run: no launcher {given}"
        raise MissingPackageError(explain(what, expected="mpiexec", fix="pip install 'tinygrad-bn[mpi]'"))
    return found
