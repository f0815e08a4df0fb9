"""The document of a run: everything that was measured, as JSON, from which all that is shown can be made again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinygrad_bn.errors import explain

from .demo import Demo
from .kept import Finished
from .measure import stepping
from .measure.part import Settings
from .options import typed
from .output import write_whole
from .run import environment, load
from .show.blocks import Block, Verdict

SCHEMA = 1


class ResultsError(Exception):
    """A file that is no document of results."""


def document(runs: Sequence[tuple[Demo, Settings, Mapping[str, Finished]]]) -> dict[str, Any]:
    """Everything that was measured in these runs; see ``judged`` for what follows from it."""
    demos = [
        {
            "name": demo.name,
            "title": demo.title,
            "command": command(demo, settings),
            "settings": asdict(settings) | {"flags": sorted(settings.flags)},
            "parts": {name: asdict(part) for name, part in parts.items()},
        }
        for demo, settings, parts in runs
    ]
    backends = dict.fromkeys(settings.backend for _, settings, _ in runs)
    steps = "; ".join(stepping.BACKENDS[name] for name in backends)
    return {"schema": SCHEMA, "environment": {**environment(), "training steps": steps}, "demos": demos}


Shown = Mapping[str, Sequence[Block]]  # what there is to show, by the demo's name


def shown(content: Mapping[str, Any]) -> dict[str, list[Block]]:
    """What there is to show of each demo of a document; made once and passed on, since drawing graphs takes a while."""
    return {
        entry["name"]: load(entry["name"]).show({name: part["measured"] for name, part in entry["parts"].items()})
        for entry in content["demos"]
    }


def judged(content: Mapping[str, Any], blocks: Shown) -> dict[str, Any]:
    """A document with the verdicts that its measurements lead to, in place of any that stood there."""
    verdicts = {name: [asdict(block) for block in own if isinstance(block, Verdict)] for name, own in blocks.items()}
    return {**content, "demos": [{**entry, "verdicts": verdicts[entry["name"]]} for entry in content["demos"]]}


def command(demo: Demo, settings: Settings) -> str:
    """What to type for this demo alone, with these settings."""
    words = ["python -m", f"demos.{demo.name}"]
    words += ["--full"] if settings.full else []
    words += [f"--seeds {settings.seeds}"] if settings.seeds != demo.seeds[settings.full] else []
    words += [f"--seed {settings.seed}"] if settings.seed else []
    words += [f"--backend {settings.backend}"] if settings.backend != stepping.usual() else []
    words += [f"--{flag}" for flag in sorted(settings.flags)]
    return " ".join([*words, *(f"--{name} {value}" for name, value in chosen(demo, settings).items())])


def chosen(demo: Demo, settings: Settings) -> dict[str, str]:
    """The options of somebody's own setting as they are typed: those that are not at their default, or the first one."""
    if not settings.own or demo.own is None:
        return {}
    values = {option.name: typed(settings.own[option.name]) for option in demo.own.options}
    moved = {option.name for option in demo.own.options if settings.own[option.name] != option.default}
    return {name: value for name, value in values.items() if name in (moved or list(values)[:1])}


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a document.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"
    return write_whole(path, lambda file: file.write_text(text, encoding="utf-8"))


def read(path: Path) -> dict[str, Any]:
    """Read a document.

    Raises:
        ResultsError: there is no such file, or it is something else.
    """
    fix = "make one: python -m demos"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(explain(f"{path}: cannot be read", got=error.strerror, fix=fix)) from error
    except ValueError as error:
        raise ResultsError(explain(f"{path}: not JSON", got=str(error), fix=fix)) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        got = f"schema {content.get('schema')!r}" if isinstance(content, dict) else type(content).__name__
        raise ResultsError(
            explain(f"{path}: not results of these demos", got=got, expected=f"schema {SCHEMA}", fix=fix)
        )
    return content
