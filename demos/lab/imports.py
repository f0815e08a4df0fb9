"""Which files of the demos a file can run: those it imports, and what they import; where that is not plain, all of them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

UNREADABLE = {"importlib", "runpy", "__import__", "exec", "eval"}  # which module they run does not stand in the source


def reached(files: Iterable[Path], demos: Path) -> set[Path]:
    """These files and those that they import, directly or through others, at the top or inside functions.

    Args:
        files: inside ``demos``.
        demos: the folder of the package; imports from elsewhere are not followed.
    """
    found: set[Path] = set()
    todo = list(files)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += imported(path, demos)
    return found


def imported(path: Path, demos: Path) -> Iterator[Path]:
    """The files that one file imports."""
    package = path.relative_to(demos.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from files_of([*above, *module, alias.name], demos)
        elif isinstance(node, ast.Import):
            for alias in node.names:  # the name stands for the whole package, of which anything may be used
                yield from files_of([alias.name.split(".")[0]], demos)
        elif isinstance(node, ast.Name):
            yield from files_of([node.id], demos) if node.id in UNREADABLE else ()


def files_of(names: Sequence[str], demos: Path) -> Iterator[Path]:
    """The files behind ``from a.b import c``, as ``["a", "b", "c"]``: a module's, and those of the packages around it.

    All files of a package that is imported as a whole. The ``__init__.py`` that joins what measures and what shows is left
    out as long as nothing is taken from it: it holds nothing of its own.
    """
    if names[0] in UNREADABLE or list(names) == [demos.name]:
        yield from demos.rglob("*.py")
    if names[0] != demos.name:
        return
    place = demos.parent
    for name in names:
        package, place = place, place / name
        if place.is_dir():
            if (init := place / "__init__.py").is_file() and not joins(place):
                yield init
        elif (module := place.with_suffix(".py")).is_file():
            yield module
            return
        elif joins(package):
            yield from package.rglob("*.py")
            return
        else:
            return
    yield from place.rglob("*.py")


def joins(folder: Path) -> bool:
    """Whether a folder has a side that shows, so that its ``__init__.py`` joins it to the side that measures."""
    return (folder / "show.py").is_file() or (folder / "show").is_dir()


def shows(path: Path, demos: Path) -> bool:
    """Whether a file shows: it is ``show.py``, or stands in a folder ``show``."""
    return "show" in path.relative_to(demos).with_suffix("").parts
