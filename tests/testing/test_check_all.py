"""check_all: every layer and primitive of a package, and which no check touches."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn.testing import CheckError, check_all, check_layer

X = np.random.default_rng(0).normal(size=(4, 3))

LAYERS = '''
import numpy as np
from tinygrad_bn import nn, ops
from tinygrad_bn.nn import Linear
from .rules import cube, TABLE

class Base(nn.Module):
    """Without a forward."""

class _Private(nn.Module):
    def forward(self, x):
        return x

class Cubed(Base):
    def forward(self, x):
        return cube(x)

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Cubed()
    def forward(self, x):
        return self.inner(x) * 2.0

class Forgotten(nn.Module):
    def forward(self, x):
        return x * 2.0
'''
RULES = """
import numpy as np
from tinygrad_bn import Primitive, ops
cube = Primitive("cube", lambda x: x**3, lambda g, out, x: g * 3.0 * x**2, elementwise=True)
_scale = Primitive("scale", lambda x, by: x * by, lambda g, out, x, by: g * by, elementwise=True)
TABLE = {"listed": Primitive("listed", np.sin, lambda g, out, x: g * ops.cos(x), elementwise=True)}
exp = ops.exp
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    folder = tmp_path / "my_layers"
    (folder / "deep").mkdir(parents=True)
    for name, text in (
        ("__init__", ""),
        ("layers", LAYERS),
        ("rules", RULES),
        ("deep/__init__", ""),
        (
            "deep/more",
            "from tinygrad_bn import nn\n\nclass Deep(nn.Module):\n    def forward(self, x):\n        return -x\n",
        ),
        ("__main__", "raise SystemExit('it was run')"),
    ):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_layers"]:
        del sys.modules[name]


def untouched(report: Any) -> set[str]:
    return {check.name for check in report.failures}


def test_what_no_check_touches_is_found(package: Path) -> None:
    report = check_all("my_layers", quiet=True, raise_exception=False)
    everything = {"layers.Cubed", "layers.Pair", "layers.Forgotten", "deep.more.Deep", "cube", "scale", "listed"}
    assert untouched(report) == {f"my_layers.{name}" for name in everything}
    told = report["my_layers.layers.Forgotten"].message
    assert "no check touches Forgotten" in told
    assert "check_layer(Forgotten(...), inputs)" in told
    assert "check_primitive(scale, [samples])" in report["my_layers.scale"].message


def test_checks_given_and_checks_made_before_count(package: Path) -> None:
    layers = importlib.import_module("my_layers.layers")
    rules = importlib.import_module("my_layers.rules")
    check_layer(layers.Pair(), X, quiet=True)  # touches the layer inside of it, and the primitive behind both
    more = importlib.import_module("my_layers.deep.more")
    report = check_all(
        sys.modules["my_layers"],
        layers=[(more.Deep(), X)],
        primitives=[(rules._scale, [X], {"by": 2.0})],
        skip=["Forgotten"],
        quiet=True,
        raise_exception=False,
    )
    assert untouched(report) == {"my_layers.listed"}
    assert report["my_layers.layers.Forgotten"].detail == "left out, as asked"
    assert report["check of Deep"].verdict == report["check of scale"].verdict == "passed"
    with pytest.raises(CheckError, match="no check touches listed"):
        check_all("my_layers", skip="Forgotten", quiet=True)
    assert check_all("my_layers", primitives=[(rules.TABLE["listed"], [X])], skip=["Forgotten"], quiet=True)


def test_a_check_that_fails_is_told_in_its_own_words(package: Path) -> None:
    wrong = tg.Primitive("wrong", np.sin, lambda g, out, x: g * 2.0, elementwise=True)
    report = check_all("my_layers.deep", primitives=[(wrong, [X])], skip=["Deep"], quiet=True, raise_exception=False)
    assert untouched(report) == {"check of wrong"}
    assert "derivatives disagree with central differences" in report["check of wrong"].message


def test_a_module_that_cannot_be_imported(package: Path) -> None:
    (package / "broken.py").write_text("import no_such_module\n", encoding="utf-8")
    importlib.invalidate_caches()
    report = check_all("my_layers", quiet=True, raise_exception=False)
    assert "No module named 'no_such_module'" in report["import my_layers.broken"].message


def test_misuse(package: Path) -> None:
    with pytest.raises(tg.TinygradError, match="check_all: no package 'no_such_package'"):
        check_all("no_such_package")
    with pytest.raises(tg.TinygradError, match="skip= names no check\n  got:      Nothing"):
        check_all("my_layers", skip="Nothing")
