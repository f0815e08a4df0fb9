"""A new elementwise primitive is written once and put on the public list; everything else follows from its declaration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import tinygrad_bn

PACKAGE = Path(tinygrad_bn.__file__).parent

# file: what stands there, and what stands there afterwards
EDITS = {
    "ops/primitives/elementary.py": (
        "\nidentity: Primitive = ",
        '\ncbrt: Primitive = _unary("cbrt", np.cbrt, lambda x: float(np.cbrt(x)),'
        ' lambda g, out, x: g / (out * out * 3.0), "cube root.", "∛{0}")\n\nidentity: Primitive = ',
    ),
    "ops/__init__.py": ("    arctanh,\n    ceil,", "    arctanh,\n    cbrt,\n    ceil,"),
}

USE = """
import numpy as np
import tinygrad_bn as tg
from tinygrad_bn import graph, ops
from tinygrad_bn.ops import primitives

assert primitives.TABLE["cbrt"] is ops.cbrt is primitives.cbrt
x = tg.Tensor([8.0, 27.0], requires_grad=True, name="x")
for y in (ops.cbrt(x), np.cbrt(x), x.cbrt()):
    assert type(y) is tg.Tensor and y.numpy().tolist() == [2.0, 3.0], y
    y.backward(np.ones(2))
assert np.allclose(x.grad.numpy(), [3 / 12, 3 / 27], rtol=1e-15, atol=0)
assert tg.gradgradcheck(np.cbrt, np.array([8.0, -2.0]))
s = tg.Scalar(8.0)
for scalars in (np.cbrt(s), s.cbrt(), ops.cbrt(s)):
    assert isinstance(scalars, tg.Scalar) and scalars.item() == 2.0
boxes = ops.cbrt(tg.scalarize([8.0, 27.0]))
assert tg.values_of(boxes).tolist() == [2.0, 3.0]
assert "∛x" in graph.draw(np.cbrt(x)).source, graph.draw(np.cbrt(x)).source
print("at home")
"""


def planted(folder: Path, edits: dict[str, tuple[str, str]]) -> subprocess.CompletedProcess[str]:
    """The package copied, edited, and used."""
    shutil.copytree(PACKAGE, folder / "tinygrad_bn", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in edits.items():
        file = folder / "tinygrad_bn" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1
        file.write_text(text.replace(old, new), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-c", USE], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8"
    )


def test_a_new_primitive_is_at_home_everywhere_after_touching_two_files(tmp_path: Path) -> None:
    done = planted(tmp_path, EDITS)
    assert (done.returncode, done.stdout) == (0, "at home\n"), done.stderr


def test_the_test_above_can_fail(tmp_path: Path) -> None:
    done = planted(tmp_path, {name: EDITS[name] for name in ("ops/primitives/elementary.py",)})
    assert done.returncode != 0
    assert "has no attribute 'cbrt'" in done.stderr
