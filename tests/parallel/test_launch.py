"""``tinygrad-bn run``: when one rank goes wrong all end, and it is said why; nothing hangs.

No test looks at the time; a run that hangs is ended after two minutes, and fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launching import ROOT, launched, need_mpi, started

from tinygrad_bn.cli import main
from tinygrad_bn.train import load_checkpoint

SCRIPT = Path(__file__).with_name("failing.py")


@pytest.fixture(autouse=True)
def _mpi() -> None:
    need_mpi()


def test_all_goes_well() -> None:
    done = launched(2, SCRIPT, "well", "--flag", "two words")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"rank {r} of 2 is done: well --flag two words" for r in range(2)]


def test_a_rank_raises() -> None:
    done = launched(3, SCRIPT, "raise")
    assert done.returncode != 0
    told = done.stderr.split("rank 2 of 3 failed, and all are ended:\n")[1]
    assert told.startswith(f'Traceback (most recent call last):\n  File "{SCRIPT}", line ')
    assert "ValueError: what rank 2 says" in told
    assert done.stderr.count("Traceback") == 1
    assert "is done" not in done.stdout


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("end", r"rank 0: all_reduce of float64 \(3,\)  \(.*failing.py:\d+\)\n +rank 1: the end of the script"),
        (
            "no gradient",
            r"rank 0: all_reduce, backward of SyncBatchNorm/variance, of .*\n +rank 1: all_reduce of float64",
        ),
    ],
)
def test_ranks_that_do_not_do_the_same(how: str, said: str) -> None:
    done = launched(2, SCRIPT, how)
    assert done.returncode != 0
    assert "CollectiveError: ranks do not do the same" in done.stderr
    assert re.search(said, done.stderr), done.stderr
    assert done.stderr.count("Traceback") == 1


def test_a_rank_is_killed() -> None:
    done = launched(3, SCRIPT, "kill")
    assert done.returncode != 0
    assert "is done" not in done.stdout


def test_a_rank_exits() -> None:
    done = launched(2, SCRIPT, "exit")
    assert done.returncode != 0
    assert "rank 1 of 2: enough" in done.stderr


def wait_for_begin(job: subprocess.Popen[str]) -> None:
    assert job.stdout is not None
    assert job.stdout.readline() == "begun\n"


def test_ctrl_c_while_all_wait_for_one() -> None:
    job = started(2, SCRIPT, "wait")
    wait_for_begin(job)
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGINT
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_fit_writes_its_checkpoint_when_asked_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "run.safetensors"
    job = started(2, SCRIPT, "fit", str(file))
    wait_for_begin(job)
    first = file.read_bytes()
    job.send_signal(number)
    job.communicate(timeout=60)
    assert job.returncode == 128 + number
    assert file.read_bytes() != first  # of the step under way
    assert load_checkpoint(file, rng=False) == {"ranks": {"size": 2, "own": None}}
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_a_module(tmp_path: Path) -> None:
    (tmp_path / "said.py").write_text("from tinygrad_bn import parallel\nprint(__name__, parallel.size())\n")
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_bn", "run", "-n", "1", "-m", "said"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "__main__ 1\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-n", "0", str(SCRIPT)], "how many ranks"),
        (["-n", "2", "no such.py"], "no such script"),
        (["-n", "2", "--mpiexec", "no-such-launcher", str(SCRIPT)], "no launcher no-such-launcher"),
    ],
)
def test_what_cannot_be_started(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_another_mpi(tmp_path: Path) -> None:
    """A launcher that is not of the MPI that mpi4py uses starts so many worlds of one."""
    launcher = tmp_path / "mpiexec"
    launcher.write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    launcher.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_bn", "run", "-n", "2", "--mpiexec", str(launcher), str(SCRIPT), "well"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "started by another MPI" in done.stderr
    assert "expected: 2 ranks" in done.stderr


def test_what_a_rank_starts_is_no_rank(tmp_path: Path) -> None:
    inner = "from tinygrad_bn import parallel; print('inner', parallel.size())"
    script = tmp_path / "outer.py"
    script.write_text(
        "import subprocess, sys\nfrom tinygrad_bn import parallel\nparallel.all_reduce(1.0)\n"
        f"subprocess.run([sys.executable, '-c', {inner!r}], check=True)\n"
    )
    done = launched(2, script)
    assert done.stdout.splitlines() == ["inner 1", "inner 1"], done.stderr
