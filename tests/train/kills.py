"""``python -m tests.train.kills N [SEED] [compiled]``: kill -9 a training run with checkpoint and log N times, at any moment.

A run that was killed is started again on its files until it ends; then its final weights, its optimizer and its log have to
be those of a run that was left alone, bit for bit.  Each run is a process forked from this one, which has everything
imported already.  With ``compiled``, what trains is a compiled step.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .killed_training import main as train

FILES = ("run", "log", "final")
QUICK = {"epochs": 12, "pause": 0.001}


def start(folder: Path, compiled: bool) -> int:
    """A training run in a process of its own; its number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with open(folder / "stderr", "w") as file:
                os.dup2(file.fileno(), 2)
            train(*(str(folder / name) for name in FILES), **QUICK, compile=compiled)
            code = 0
        finally:
            os._exit(code)
    return child


def left(folder: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """What a run that has ended leaves: the file of its weights, and its log without the times."""
    log = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    return (folder / "final").read_bytes(), [{k: v for k, v in record.items() if k != "seconds"} for record in log]


def ended(process: int) -> bool:
    """Whether a run that nobody kills any more ended well."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def kill_many(
    kills: int, seed: int, say: Callable[[str], None] = lambda text: None, compiled: bool = False
) -> tuple[int, int]:
    """Kill as many times; how many runs that took, and how many kills came while a file was being written.

    Raises:
        AssertionError: a run that did not go on, or ended with other bits.
    """
    rng = random.Random(seed)
    done = runs = writing = 0
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        whole.mkdir()
        began = time.monotonic()
        assert ended(start(whole, compiled)), (whole / "stderr").read_text()
        length, expected = time.monotonic() - began, left(whole)
        while done < kills:
            folder = Path(name) / str(runs)
            folder.mkdir()
            for _ in range(rng.randint(1, 12)):
                before = set(folder.iterdir())
                process = start(folder, compiled)
                time.sleep(rng.uniform(0.0, 0.5 * length))
                os.kill(process, signal.SIGKILL)
                if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0:
                    break  # it was done before
                done += 1
                writing += any(path.name not in (*FILES, "stderr") for path in set(folder.iterdir()) - before)
            assert ended(start(folder, compiled)), f"run {runs}, seed {seed}: {(folder / 'stderr').read_text()}"
            assert left(folder) == expected, f"run {runs}, seed {seed}: other bits than of a run left alone"
            runs += 1
            if runs % 20 == 0:
                say(f"{done} kills, {runs} runs")
    return runs, writing


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word != "compiled"]
    number = numbers[0] if numbers else 1000
    chosen = numbers[1] if numbers[1:] else random.randrange(2**32)
    runs, writing = kill_many(number, chosen, lambda text: print(text, flush=True), "compiled" in sys.argv)
    print(f"{number} kills, {writing} of them while a file was being written, in {runs} runs; seed {chosen}")
    print("every run ended with the bits of one that was left alone")
