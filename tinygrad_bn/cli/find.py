"""``FILE.py:NAME``: the function, Module or result that a user means, and words for what went wrong on the way there."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..engine import Variable
from ..errors import ArgumentError, TinygradError, explain
from ..nn import Module

EXPECTED = "FILE.py:NAME, or package.module:NAME"


def find(target: str) -> Callable[..., Any]:
    """What ``target`` names, to be called with one tensor per argument; a class of Module is made first.

    Raises:
        ArgumentError: no such file or name, a file that does not run, something that cannot be called.
    """
    place, _, name = target.rpartition(":")
    if not place:
        is_file = name.endswith(".py") or Path(name).exists()
        what = "a file, but not what to draw in it" if is_file else "nothing to draw"
        raise ArgumentError(explain(what, got=repr(target), expected=f"bn, or {EXPECTED}"))
    module = load_file(place)
    found = _named(module, name, place)
    if isinstance(found, Variable):
        return lambda: found
    if inspect.isclass(found) and issubclass(found, Module):
        return _made(found, target)
    called: Callable[..., Any] = found
    return called


def call(function: Callable[..., Any], given: list[Any], target: str) -> Any:
    """What a function of the user's gives; its mistakes are told without our own lines in between.

    Raises:
        ArgumentError: another number of arguments, or whatever the function raised.
    """
    check_arguments(function, given, target)
    try:
        return function(*given)
    except Exception as error:
        raise failed(f"{target} failed", error) from error
    except SystemExit as error:
        raise _ended(target) from error


def worked_on(work: Callable[[], Any], function: Callable[..., Any], given: list[Any], target: str) -> Any:
    """What work that calls a function of the user's gives; what is refused in words is told as it is.

    Raises:
        ArgumentError: another number of arguments, or whatever the function raised.
    """
    check_arguments(function, given, target)
    try:
        return work()
    except (TinygradError, OSError):
        raise
    except Exception as error:
        raise failed(f"{target} failed", error) from error
    except SystemExit as error:
        raise _ended(target) from error


def check_arguments(function: Callable[..., Any], given: list[Any], target: str) -> None:
    """Whether a function takes as many arguments as there are.

    Raises:
        ArgumentError: it takes others.
    """
    takes = function.forward if isinstance(function, Module) else function
    names, problem = _misfit(takes, given)
    if problem:
        got = f"{len(given)} from --shape and --input"
        expected = f"{len(names)}: {', '.join(names)}" if names else "none"
        fix = "one --shape or --input for each argument, such as --shape 8,3" if len(given) < len(names) else None
        raise ArgumentError(explain(f"{target}: {problem}", got=got, expected=expected, fix=fix))


def _misfit(function: Callable[..., Any], given: list[Any]) -> tuple[list[str], str]:
    """The arguments that have to be given, and why these do not fit; "" if they do or nobody can say."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return [], ""
    needed = [
        p.name
        for p in signature.parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    try:
        signature.bind(*given)
    except TypeError as error:
        return needed, str(error)
    return needed, ""


def _made(kind: type[Module], target: str) -> Module:
    names, problem = _misfit(kind, [])
    name = kind.__name__
    if problem:
        fix = f"make one in the file, such as net = {name}(...), and name it: {target.rpartition(':')[0]}:net"
        raise ArgumentError(explain(f"{target} is a class that needs arguments: {', '.join(names)}", fix=fix))
    try:
        return kind()
    except Exception as error:
        raise failed(f"{name}() failed", error) from error


def _named(module: ModuleType, name: str, place: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if callable(found) or isinstance(found, Variable):
        return found
    public = [
        n
        for n, value in vars(module).items()
        if callable(value) and not n.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    close = difflib.get_close_matches(name, public, n=1)
    got = repr(name) if found is None else f"{name!r}, of type {type(found).__name__}"
    fix = f"{place}:{close[0]}" if close else None
    what = f"{place} has no function or Module of this name"
    raise ArgumentError(explain(what, got=got, expected=", ".join(public) or "there is none", fix=fix))


# -- files ----------------------------------------------------------------------------------------------------------------


def load_file(place: str) -> ModuleType:
    """The module in a file, or of a dotted name, run now.

    Raises:
        ArgumentError: there is none, or it does not run.
    """
    path = Path(place)
    if path.is_dir():
        raise ArgumentError(explain(f"{place} is a folder", expected=EXPECTED))
    if not path.is_file():
        if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", place) and not place.endswith(".py"):
            return _imported(place, Path.cwd())
        raise ArgumentError(explain("no such file", got=repr(place), expected=EXPECTED))
    if path.suffix != ".py":
        raise ArgumentError(explain("this file is not a Python module", got=place, expected="a .py file"))
    folder, names = path.resolve().parent, [] if path.stem == "__init__" else [path.stem]
    while (folder / "__init__.py").exists():  # a module of a package, which may import its neighbors
        folder, names = folder.parent, [folder.name, *names]
    if len(names) > 1 or path.stem == "__init__":
        module = _imported(".".join(names), folder)
        if Path(str(module.__file__)).resolve() != path.resolve():
            what = f"another module is called {module.__name__}, which {place} would have to be imported as"
            raise ArgumentError(explain(what, got=str(module.__file__), fix="rename the folder"))
        return module
    sys.path.insert(0, str(folder))
    # Registered under its name, as an import does, because dataclasses and pickle look it up there.
    known = path.stem in sys.modules or path.stem in sys.stdlib_module_names
    spec = importlib.util.spec_from_file_location(f"_{path.stem}" if known else path.stem, path)
    if spec is None or spec.loader is None:
        raise ArgumentError(explain("this file is not a Python module", got=place, expected="a .py file"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        _run(lambda: spec.loader.exec_module(module), place)  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _imported(name: str, folder: Path) -> ModuleType:
    sys.path.insert(0, str(folder))
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise ArgumentError(explain("no such file or module", got=repr(name), expected=EXPECTED))
    found = _run(lambda: importlib.import_module(name), name)
    if not isinstance(found, ModuleType):
        raise ArgumentError(explain("no such module", got=repr(name), expected=EXPECTED))
    return found


def _run(action: Callable[[], Any], place: str) -> Any:
    try:
        return action()
    except Exception as error:
        raise failed(f"{place} could not be run", error) from error
    except SystemExit as error:
        raise _ended(place) from error


def _ended(place: str) -> ArgumentError:
    fix = 'what only a program does stands under: if __name__ == "__main__":'
    return ArgumentError(explain(f"{place} ended the program instead of coming to its end", got="sys.exit", fix=fix))


def failed(what: str, error: BaseException) -> ArgumentError:
    """An error of the user's code, with the line of that code."""
    library = str(Path(__file__).resolve().parents[1])
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith((library, "<"))]
    own = [f for f in theirs if "site-packages" not in f.filename and "importlib" not in f.filename]
    line = None
    if own and not isinstance(error, SyntaxError):
        line = f"{own[-1].filename}, line {own[-1].lineno}: {own[-1].line}"
    return ArgumentError(explain(f"{what}: {type(error).__name__}: {error}", got=line and f"in {line}"))
