"""The page on autograd's functions says what is true: what it lists as here is here, the rest is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Tensor, ops
from tinygrad_bn.numpy_protocol import FUNCTIONS, UFUNCS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "autograd-checklist.md").read_text(encoding="utf-8")
FIRST, SECOND = PAGE.split("## Left out")
HERE = re.findall(r"^\| (\S+) \| `(\w+)` \| `ops\.([\w.]+)` \|$", FIRST, re.MULTILINE)
LEFT_OUT = [
    (module, name, why)
    for module, names, why in re.findall(r"^\| (\S+) \| (`.*`) \| (.*) \|$", SECOND, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", names)
]
MODULES: dict[str, Any] = {"numpy": np, "numpy.linalg": np.linalg, "numpy.fft": np.fft}


def operation(path: str) -> Any:
    found: Any = ops
    for part in path.split("."):
        found = getattr(found, part)
    return found


def test_the_counts_are_those_of_the_tables() -> None:
    total, here, out = map(int, re.search(r"(\d+) names, of which (\d+) are here and (\d+) are left", PAGE).groups())  # type: ignore[union-attr]
    assert (here, out, total) == (len(HERE), len(LEFT_OUT), len(HERE) + len(LEFT_OUT))
    names = [row[:2] for row in HERE] + [row[:2] for row in LEFT_OUT]
    assert len(set(names)) == len(names) > 150


@pytest.mark.parametrize(("module", "name", "path"), HERE, ids=[row[1] for row in HERE])
def test_what_is_here_is_here(module: str, name: str, path: str) -> None:
    assert callable(operation(path))
    theirs = getattr(MODULES.get(module), name, None)
    if theirs is not None:
        assert theirs in UFUNCS or theirs in FUNCTIONS


@pytest.mark.parametrize(("module", "name", "why"), LEFT_OUT, ids=[row[1] for row in LEFT_OUT])
def test_what_is_left_out_is_refused_and_says_why(module: str, name: str, why: str) -> None:
    assert len(why) > 5
    assert name not in ops.__all__
    assert name not in ops.linalg.__all__
    for path in re.findall(r"`ops\.([\w.]+)", why):
        assert callable(operation(path))
    function = getattr(MODULES.get(module), name, None)
    if function is None:
        return
    x = Tensor(np.eye(3) + 0.5, requires_grad=True)
    for args in ((3, x[0, 0]),) if name == "full" else ((x,), (x, x), (x, 1)):
        with pytest.raises((tg.TinygradError, TypeError)):
            function(*args)
