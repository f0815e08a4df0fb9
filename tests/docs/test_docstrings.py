"""Every public name says what it is, and the examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import tinygrad_bn

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    [
        "tinygrad_bn",
        *(
            found.name
            for found in pkgutil.walk_packages(tinygrad_bn.__path__, "tinygrad_bn.")
            if not found.name.endswith("__main__")  # importing it runs the command line
        ),
    ]
)


def undocumented(module: Any) -> list[str]:
    """Functions, classes, primitives and modules in ``module.__all__`` without a docstring of their own."""
    things = {name: getattr(module, name) for name in module.__all__}
    speaking = {name: thing for name, thing in things.items() if callable(thing) or inspect.ismodule(thing)}
    return [f"{module.__name__}.{name}" for name, thing in speaking.items() if not (thing.__doc__ or "").strip()]


def public_modules() -> list[str]:
    return [name for name in MODULES if hasattr(importlib.import_module(name), "__all__")]


@pytest.mark.parametrize("name", public_modules())
def test_public_names_have_docstrings(name: str) -> None:
    assert not undocumented(importlib.import_module(name))


@pytest.mark.parametrize("name", MODULES)
def test_modules_say_what_they_are(name: str) -> None:
    assert (importlib.import_module(name).__doc__ or "").strip()


def test_the_two_public_tables_are_among_the_checked() -> None:
    assert {"tinygrad_bn", "tinygrad_bn.ops"} <= set(public_modules())
    assert len(tinygrad_bn.ops.__all__) > 80
    for module in (tinygrad_bn, tinygrad_bn.ops):  # and no name in them goes unchecked for being a constant
        assert all(callable(getattr(module, n)) or inspect.ismodule(getattr(module, n)) for n in module.__all__)


def test_a_missing_docstring_is_found() -> None:
    module = ModuleType("made_up")

    class Documented:
        """It is."""

    class Inherits(Documented):
        pass

    def bare() -> None:
        pass

    nameless = tinygrad_bn.Primitive("nameless", lambda x: x)
    vars(module).update(Documented=Documented, Inherits=Inherits, bare=bare, nameless=nameless)
    module.__all__ = ["Documented", "Inherits", "bare", "nameless"]  # type: ignore[attr-defined]
    assert undocumented(module) == ["made_up.Inherits", "made_up.bare", "made_up.nameless"]


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    """The doctests of a module's functions, classes and primitives (whose docstring belongs to the instance)."""
    tests = doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__)
    parser = doctest.DocTestParser()
    for name, thing in vars(module).items():
        if isinstance(thing, tinygrad_bn.Primitive) and thing.__doc__:
            title = f"{module.__name__}.{name}"
            tests.append(parser.get_doctest(thing.__doc__, dict(vars(module)), title, module.__file__, 0))
    return [test for test in tests if test.examples]


def failures(test: doctest.DocTest) -> str:
    report = io.StringIO()
    result = doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(test, out=report.write)
    return report.getvalue() if result.failed else ""


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    for test in examples_of(importlib.import_module(name)):
        assert not failures(test)


def test_there_are_examples_and_a_wrong_one_is_found() -> None:
    assert sum(len(examples_of(importlib.import_module(name))) for name in MODULES) >= 1
    module = ModuleType("made_up", ">>> 1 + 1\n2\n")
    vars(module).update(
        cube=tinygrad_bn.Primitive("cube", lambda x: x**3, doc=">>> cube(2.0)\n9.0\n"), __file__="made_up.py"
    )
    right, wrong = examples_of(module)
    assert failures(right) == ""
    assert "Expected:\n    9.0" in failures(wrong)
