"""What is measured with several processes: this side starts them, ``ranks`` is what each of them does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...datasets import DIGITS
from ...lab.measure.part import Part, Progress, Settings

RANKS = (1, 2, 3, 4)
STEPS = (240, 1000)  # by default and at full size
REPEATS = (30, 100)
ROOT = Path(__file__).resolve().parents[3]


def on_ranks(number: int, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What rank 0 of so many has found."""
    from . import ranks  # here, so that each of them can run it as its script

    with TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        given = json.dumps({"what": what, "file": str(file), **arguments})
        command = [sys.executable, "-m", "tinygrad_bn", "run", "-n", str(number), "-m", ranks.__name__, given]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=True)
        found: dict[str, Any] = json.loads(file.read_text())
    return found


def together(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Training with the rows of each batch shared, Batch Normalization over a rank's own rows and over all."""
    arguments = {"seeds": list(settings.test_seeds), "steps": STEPS[settings.full]}
    return {str(number): on_ranks(number, "together", arguments) for number in progress(RANKS, "ranks")}


def scaling(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Seconds of steps and of exchanges on each number of ranks."""
    arguments = {"repeats": REPEATS[settings.full]}
    return {str(number): on_ranks(number, "scaling", arguments) for number in progress(RANKS, "ranks")}


PARTS = (
    Part("together", together, (DIGITS,), 25),
    Part("scaling", scaling, (), 15),
)
