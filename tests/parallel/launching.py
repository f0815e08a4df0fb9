"""Start scripts on several ranks, as a user does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 120  # seconds until a run counts as hanging


def need_mpi() -> None:
    """Skip where nothing can be started."""
    if find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed (extra mpi)")
    if shutil.which("mpiexec", path=os.path.dirname(sys.executable)) is None and shutil.which("mpiexec") is None:
        pytest.skip("there is no MPI: no mpiexec beside Python or on PATH")


def command(ranks: int, script: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tinygrad_bn", "run", "-n", str(ranks), str(script), *arguments]


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests/functional"))),
        "PYTHONWARNINGS": "error",
    }


def launched(ranks: int, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The run, when it is over."""
    return subprocess.run(
        command(ranks, script, *arguments),
        env=environment(), capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip


def started(ranks: int, script: Path, *arguments: str) -> subprocess.Popen[str]:
    """The run under way."""
    return subprocess.Popen(
        command(ranks, script, *arguments),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
