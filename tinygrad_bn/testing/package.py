"""``check_all``: every layer and primitive of a package, and which of them no check touches."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

from ..engine import Primitive
from ..errors import ArgumentError, explain
from ..nn import Module
from ..ops.primitives import TABLE
from . import touched
from .layer import check_layer
from .primitive import check_primitive
from .report import Check, Outcome, Report, passed, print_and_raise, run, skipped
from .sample import failed


def check_all(
    package: ModuleType | str,
    *,
    layers: Iterable[tuple[Any, ...]] = (),
    primitives: Iterable[tuple[Any, ...]] = (),
    skip: Iterable[str] = (),
    quiet: bool = False,
    raise_exception: bool = True,
) -> Report:
    """Run checks, import all of a package, and find every layer and primitive in it that no check has touched.

    A check touches the layer it is given, every module inside it, and every primitive that its forward recorded.
    What ``check_layer`` and ``check_primitive`` touched earlier in this process counts, so at the end of a test suite
    ``check_all(package)`` alone tells what was forgotten.

    ::

        check_all("my_layers", layers=[(Scale(3), x), (Gate(3), x, y)], primitives=[(cube, [x]), (pick, [x], {"axis": 0})])

    Args:
        package: a package, a module, or the name of one.
        layers: arguments of ``check_layer``, one tuple per call: a layer and its inputs.
        primitives: arguments of ``check_primitive``, one tuple per call: a primitive, its samples, and if it has any a
            dictionary of its parameters.
        skip: names of layers and primitives that need no check.
        quiet: print nothing.
        raise_exception: raise when a check failed or something was not touched.

    Returns:
        The report: one line per check and per layer or primitive.  Names that begin with an underscore, and classes
        without a ``forward`` of their own, are left out.

    Raises:
        CheckError: a check failed, or nothing touches a layer or primitive.
        ArgumentError: no package of that name, or nothing of a name in ``skip``.
    """
    root = _imported(package)
    checks = [run(_called(call), partial(_layer, call)) for call in layers]
    checks += [run(_called(call), partial(_primitive, call)) for call in primitives]
    found: dict[str, Any] = {}
    for module in _modules(root, checks):
        found.update(_things(module, root.__name__))
    left_out = skipped(skip, sorted({label.rpartition(".")[2] for label in found}), f"check_all of {root.__name__}")
    for label, thing in sorted(found.items()):
        name = label.rpartition(".")[2]
        checks.append(run(label, partial(_touched, name, thing), {label} if name in left_out else ()))
    return print_and_raise(Report(f"check_all of {root.__name__}", tuple(checks)), quiet, raise_exception)


def _imported(package: ModuleType | str) -> ModuleType:
    if isinstance(package, ModuleType):
        return package
    try:
        return importlib.import_module(package)
    except ImportError as error:
        fix = "pass the package itself, or the name by which it is imported"
        raise ArgumentError(explain(f"check_all: no package {package!r}", got=str(error), fix=fix)) from error


def _modules(root: ModuleType, checks: list[Check]) -> Iterator[ModuleType]:
    """The package and all modules in it; one that cannot be imported is a failure of its own."""
    yield root
    for info in pkgutil.walk_packages(getattr(root, "__path__", []), f"{root.__name__}.", onerror=lambda _: None):
        if info.name.endswith("__main__"):  # importing it would run it
            continue
        check = run(f"import {info.name}", partial(_import, info.name))
        if check.verdict == "failed":
            checks.append(check)
        else:
            yield importlib.import_module(info.name)


def _import(name: str) -> Outcome:
    importlib.import_module(name)
    return passed("")


def _things(module: ModuleType, package: str) -> Iterator[tuple[str, Any]]:
    """Layers that a module defines, and primitives that it holds by name, in a list or in a dictionary."""
    own = package.partition(".")[0] == __name__.partition(".")[0]
    for name, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, Module):
            here = value.__module__ == module.__name__ and value.forward is not Module.forward
            if here and not value.__name__.startswith("_"):
                yield f"{module.__name__}.{value.__name__}", value
        elif not name.startswith("__"):
            for primitive in _primitives(value):
                if own or TABLE.get(primitive.name) is not primitive:
                    yield f"{package}.{primitive.name}", primitive


def _primitives(value: Any) -> Iterator[Primitive]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    return (part for part in parts if isinstance(part, Primitive))


def _touched(name: str, thing: Any) -> Outcome:
    if thing in touched.SEEN:
        return passed("touched by a check")
    what = f"no check touches {name}"
    if isinstance(thing, Primitive):
        fix = f"check_primitive({name}, [samples]), here in primitives=, or skip=[{name!r}]"
    else:
        fix = f"check_layer({name}(...), inputs), here in layers=, or skip=[{name!r}]"
    raise failed(what, "no check", "one, in this process", fix)


def _called(call: tuple[Any, ...]) -> str:
    subject = call[0] if isinstance(call, tuple) and call else call
    return f"check of {getattr(subject, '__name__', type(subject).__name__)}"


def _layer(call: tuple[Any, ...]) -> Outcome:
    return _outcome(partial(check_layer, *call))


def _primitive(call: tuple[Any, ...]) -> Outcome:
    primitive, samples, *params = call
    return _outcome(partial(check_primitive, primitive, samples, **(params[0] if params else {})))


def _outcome(check: Callable[..., Report]) -> Outcome:
    report = check(quiet=True)
    return passed(f"{sum(c.verdict == 'passed' for c in report.checks)} passed, {len(report.warnings)} warnings")
