"""Finished parts that are kept: the name of the file says what the figures in it rest on.

They rest on what measures, not on what shows: a caption can be changed, and nothing is measured again.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_bn

from .demo import Demo
from .imports import reached
from .measure.part import Part, Settings
from .output import write_whole

DEMOS = Path(__file__).resolve().parents[1]
LIBRARY = Path(tinygrad_bn.__file__).resolve().parent


@dataclass(frozen=True)
class Finished:
    """What a part measured, and how.

    Attributes:
        measured: JSON data.
        cpu_seconds: what it took, when it was measured.
        reused: whether that was in an earlier run.
    """

    measured: dict[str, Any]
    cpu_seconds: float
    reused: bool = False


def cache_path(folder: Path, demo: Demo, part: Part, settings: Settings, code: str) -> Path:
    """Where a part's measurements are kept: the name says what they rest on, code, data, options and versions."""
    rests_on = [
        demo.name, part.name, [file.sha256 for file in part.data], code,
        settings.seeds, settings.seed, settings.full, sorted(settings.flags),
        settings.backend, sorted(settings.own.items()), platform.python_version(), np.__version__,
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(rests_on).encode()).hexdigest()
    return folder / "parts" / f"{demo.name}.{part.name}.{key[:16]}.json"


def code_hash(demo: str, demos: Path = DEMOS) -> str:
    """A hash of the code that a demo's measurements can depend on.

    Args:
        demo: its name.
        demos: the folder of the package.
    """
    content = hashlib.sha256()
    for root, paths in ((LIBRARY.parent, sorted(LIBRARY.rglob("*.py"))), (demos.parent, sources(demo, demos))):
        for path in paths:
            content.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return content.hexdigest()


def sources(demo: str, demos: Path = DEMOS) -> list[Path]:
    """The files of the demos that a demo's measurements can depend on: all of its own that measure, and what they import."""
    own = demos / demo
    measuring = [demos / "__init__.py", *own.glob("measure.py"), *(own / "measure").rglob("*.py")]
    return sorted(reached(measuring, demos))


def keep(path: Path, label: str, finished: Finished) -> None:
    """Write a finished part."""
    content = {"part": label, "cpu_seconds": finished.cpu_seconds, "measured": finished.measured}
    write_whole(path, lambda file: file.write_text(json.dumps(content), encoding="utf-8"))


def read(path: Path) -> Finished | None:
    """A part that was finished before, or ``None``: a file that cannot be read is measured again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Finished(content["measured"], content["cpu_seconds"], reused=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None
