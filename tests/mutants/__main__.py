"""``python -m tests.mutants``: plant each fault in a copy of the project and see which test notices.

Prints one line per fault, with the first test that failed; ends with 1 when a fault went unnoticed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .faults import FAULTS, Fault

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 600


def noticed_by(fault: Fault, copy: Path) -> str | None:
    """The first test that fails with the fault planted, or ``None``."""
    file = copy / "tinygrad_bn" / fault.file
    original = file.read_text(encoding="utf-8")
    file.write_text(original.replace(fault.right, fault.wrong), encoding="utf-8")
    try:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "--no-header",
            "-p",
            "no:cacheprovider",
            *fault.tests.split(),
        ]
        environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no end within {SECONDS} s"
    finally:
        file.write_text(original, encoding="utf-8")
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return failed.group(1) if failed else f"pytest ended with {done.returncode}"


def main() -> int:
    wanted = sys.argv[1:]
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", "out", "*.egg-info")
        shutil.copytree(PROJECT, copy, ignore=ignored)
        for number, fault in enumerate(FAULTS, 1):
            if wanted and str(number) not in wanted:
                continue
            test = noticed_by(fault, copy)
            survivors += test is None
            print(f"{number:2} {fault.file}: {fault.slip}\n   {'NOT NOTICED' if test is None else test}", flush=True)
    print(f"{survivors} of {len(wanted) or len(FAULTS)} faults went unnoticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
