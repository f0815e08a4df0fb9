"""Running a Graphviz program on DOT text: found here, run with a time limit, without a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from ..errors import TinygradError, explain

SECONDS = 20
BUNDLED_FORMATS = ("svg", "png")
ADVICE = (
    "pip install 'tinygrad-bn[draw]' brings a layout program as a wheel; or install Graphviz so that `dot` is on PATH; "
    "the DOT text is in .source and .save('graph.dot') needs neither"
)


class LayoutError(TinygradError, RuntimeError):
    """No layout program was found, or it failed or took too long."""


def programs(format: str) -> list[str]:  # noqa: A002
    """Layout programs that can make ``format``, the one to use first.

    In this order: the environment variable TINYGRAD_BN_DOT, the bundled program of the ``graphviz-pure`` package (SVG and
    PNG only), ``dot`` in a folder of PATH; never a program in the current folder.
    """
    found = []
    chosen = os.environ.get("TINYGRAD_BN_DOT")
    if chosen:
        found.append(chosen)
    if format in BUNDLED_FORMATS:
        bundled = shutil.which("graphviz-pure", path=sysconfig.get_path("scripts")) or _on_path("graphviz-pure")
        if bundled:
            found.append(bundled)
    system = _on_path("dot")
    if system:
        found.append(system)
    return found


def _on_path(name: str) -> str | None:
    """A program in one of the folders of PATH, never in the folder that happens to be the current one.

    An empty or relative entry of PATH means that folder, and Windows looks there before anywhere else.
    """
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(name, path=folder) if os.path.isabs(folder) else None
        if found and os.path.isabs(found):
            return found
    return None


def lay_out(source: str, format: str, dpi: float | None = None) -> bytes:  # noqa: A002
    """The picture of DOT text in ``svg``, ``png`` or ``pdf``; with ``dpi``, in as many dots per inch.

    Raises:
        LayoutError: no program for this format, or it failed, or it needed more than 20 seconds.
    """
    candidates = programs(format)
    if not candidates:
        what = f"no layout program that makes {format.upper()} was found"
        fix = ADVICE if format in BUNDLED_FORMATS else f"install Graphviz so that `dot` is on PATH; {ADVICE}"
        raise LayoutError(explain(what, fix=fix))
    program = candidates[0]
    command = [program, f"-T{format}", *([] if dpi is None else [f"-Gdpi={dpi:g}"])]
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        fix = "draw a smaller part, or save the DOT text with .save('graph.dot')"
        raise LayoutError(
            explain(f"laying out the graph took more than {SECONDS} s", got=Path(program).name, fix=fix)
        ) from None
    except OSError as error:
        raise LayoutError(
            explain(f"the layout program could not be started: {error}", got=program, fix=ADVICE)
        ) from None
    if done.returncode != 0 or not done.stdout:
        complaint = done.stderr.decode(errors="replace").strip()[-500:]
        raise LayoutError(
            explain(f"{Path(program).name} failed on the graph", got=complaint or f"exit code {done.returncode}")
        )
    return done.stdout
