"""``tinygrad-bn new``: a layer, a primitive or a claim to start from, with a test that is green, in the user's project."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ..errors import ArgumentError, explain
from ..files import write_whole

EPILOG = """examples:
  tinygrad-bn new layer LayerScale           writes layer_scale.py and test_layer_scale.py
  tinygrad-bn new stateful RunningScale      the same for a layer with running statistics
  tinygrad-bn new primitive soft_sign --dir src/ops
  tinygrad-bn new claim bn_is_faster         then: python bn_is_faster.py measures it and gives a verdict

Then: python -m pytest test_layer_scale.py.  Replace the formula by your own; the test says what is wrong with it.
"""

# What the templates use under these names, and what no file can be called on Windows.
TAKEN = frozenset({"check_layer", "check_primitive", "math", "nn", "np", "ops", "tg", "con", "prn", "aux", "nul"})


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "new",
        help="write a layer, a primitive or a claim to start from, with its test",
        description="Write a small commented file and its test, ready to run.  Existing files are never changed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = ("layer", "stateful", "primitive", "claim")
    parser.add_argument(
        "kind", choices=kinds, help="stateful: a layer with buffers; claim: an experiment with a verdict"
    )
    parser.add_argument("name", help="such as LayerScale, soft_sign or bn_is_faster")
    parser.add_argument("--dir", type=Path, default=Path(), help="an existing folder (default: this one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write both files, or none."""
    folder: Path = arguments.dir
    if not folder.is_dir():
        raise ArgumentError(explain("no such folder", got=str(folder), fix="make it first, or name another with --dir"))
    module, title = _names(arguments.name)
    name = title if arguments.kind in ("layer", "stateful") else module
    paths = folder / f"{module}.py", folder / f"test_{module}.py"
    for path in paths:
        if path.exists() or path.is_symlink():
            raise ArgumentError(explain(f"{path} is there already", fix="choose another name, or move that file away"))
    in_package = (folder / "__init__.py").exists()
    if not in_package:
        _check_free(module)
    source = f".{module}" if in_package else module
    texts = [_filled(f"{part}{arguments.kind}.txt", name=name, module=module, source=source) for part in ("", "test_")]
    _write(dict(zip(paths, texts)))
    print(f"wrote {paths[0]} and {paths[1]}")
    if arguments.kind == "claim":
        print(f"run:  python {paths[0]}")
    print(f"run:  python -m pytest {paths[1]}")


def _names(name: str) -> tuple[str, str]:
    """``soft_sign`` and ``SoftSign``, whichever of them was given."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        expected = "letters, digits and _, a letter first"
        raise ArgumentError(explain("this cannot name a Python file", got=repr(name), expected=expected))
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    title = name if name[0].isupper() else "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    for word in (snake, title):
        if keyword.iskeyword(word) or word in TAKEN:
            fix = "choose another name"
            raise ArgumentError(explain(f"{word!r} means something else in Python or in the file", got=name, fix=fix))
    if snake.startswith("test_") or snake.endswith("_test") or snake in ("test", "conftest"):
        raise ArgumentError(explain("pytest would take this file for a test", got=f"{snake}.py", fix="another name"))
    return snake, title


def _check_free(module: str) -> None:
    """A file of the same name would stand in front of a module that somebody imports."""
    if module in sys.stdlib_module_names or PathFinder.find_spec(module) is not None:
        raise ArgumentError(
            explain(f"there is a module {module!r} already, which this file would hide", fix="choose another name")
        )


def _filled(template: str, **names: str) -> str:
    text = files(__package__).joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(names)


def _write(texts: dict[Path, str]) -> None:
    """All of them or, when anything goes wrong, none; never over an existing file."""
    made: list[Path] = []
    try:
        for path, text in texts.items():
            made.append(write_whole(path, text.encode(), new=True))
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise
