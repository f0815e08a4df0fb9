"""Builds what is published, looks into it, and uses it where nothing else is: ``make package``.

A wheel holds the package's files, all of them and no others; so no page file is missing and no demo's data is in it.  Then
wheel and source distribution are installed into an empty environment, away from this folder, and have to work there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tinygrad_bn"
AROUND = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.cfg"}

# What a person does first.  It runs with the version that it has to find as its argument.
USE = """
import importlib.metadata, importlib.resources, pathlib, sys
import numpy as np
import tinygrad_bn as tg

assert tg.__version__ == importlib.metadata.version("tinygrad-bn") == sys.argv[1]
assert pathlib.Path(tg.__file__).is_relative_to(sys.prefix), tg.__file__
x = tg.Tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True)
layer = tg.nn.BatchNorm1d(1, dtype=np.float64)
y = layer(x)
y.backward(np.array([[1.0], [0.0], [0.0], [0.0]]))
assert np.allclose(y.numpy().ravel(), [-1.3416, -0.4472, 0.4472, 1.3416], atol=1e-4)
assert np.allclose(x.grad.numpy().ravel(), [0.26832, -0.35777, -0.08944, 0.17889], atol=1e-4)
assert importlib.resources.files(tg).joinpath("py.typed").is_file()
"""


def build(folder: Path) -> tuple[Path, Path]:
    """Wheel and source distribution.

    Raises:
        SystemExit: the build failed, or warned.
    """
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }  # it warns of it
    made = subprocess.run(command, capture_output=True, text=True, env=environment)
    said = made.stdout + made.stderr
    if made.returncode or re.search(r"warning", said, re.IGNORECASE):
        raise SystemExit(f"{said}\npython -m build failed or warned; its output is above")
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def files_of_the_package() -> set[str]:
    """What the package consists of, on this disk."""
    found = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in found}


def differences(there: Iterable[str], expected: Iterable[str]) -> list[str]:
    """What is missing and what is too much, as sentences."""
    missing, extra = set(expected) - set(there), set(there) - set(expected)
    return [f"missing: {name}" for name in sorted(missing)] + [
        f"does not belong there: {name}" for name in sorted(extra)
    ]


def wrong_in_wheel(wheel: Path) -> list[str]:
    """What a wheel has too much or too little."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")]
    return differences(names, files_of_the_package())


def wrong_in_source(source: Path) -> list[str]:
    """The same of a source distribution, which also has what a build reads."""
    with tarfile.open(source) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    names = [name for name in names if not name.startswith("tinygrad_bn.egg-info/")]
    return differences(names, files_of_the_package() | AROUND)


def use(wheel: Path, source: Path, folder: Path) -> None:
    """Install and use both, one after the other, in an environment that has nothing else."""
    venv.create(folder / "empty", with_pip=True)
    programs = folder / "empty" / ("Scripts" if sys.platform == "win32" else "bin")
    version = wheel.name.split("-")[1]

    pins = str(ROOT / "constraints.txt")  # also for what is installed to build; older and newer pip
    environment = {**os.environ, "PIP_CONSTRAINT": pins, "PIP_BUILD_CONSTRAINT": pins}
    environment.pop("PYTHONPATH", None)  # or what is in this folder would be used

    def run(*command: str) -> str:
        called = [programs / command[0], *command[1:]]
        done = subprocess.run(called, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{done.stdout}{done.stderr}\n{' '.join(command[:4])} ... failed; its output is above")
        return done.stdout

    pip = ("python", "-m", "pip", "--disable-pip-version-check")
    for artifact in (wheel, source):
        run(*pip, "install", str(artifact))
        run("python", "-I", "-c", USE, version)
        if version not in run("tinygrad-bn", "--version"):
            raise SystemExit("tinygrad-bn --version says something else")
        run("tinygrad-bn", "explore", "bn", "-o", "bn.html")
        page = (folder / "bn.html").read_text(encoding="utf-8")
        for file in sorted((ROOT / PACKAGE / "explorer/browser").iterdir()):
            line = max(file.read_text(encoding="utf-8").splitlines(), key=len).strip()
            if line not in page:
                raise SystemExit(f"the page that was written lacks {file.name}")
        print(f"{artifact.name}: installed and used")
        run(*pip, "uninstall", "-y", "tinygrad-bn")
        (folder / "bn.html").unlink()


def main() -> int:
    """Build, look, install, use."""
    target = ROOT / "out" / "dist"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, source = build(folder / "dist")
        wrong = [f"{wheel.name}: {line}" for line in wrong_in_wheel(wheel)]
        wrong += [f"{source.name}: {line}" for line in wrong_in_source(source)]
        if wrong:
            raise SystemExit("\n".join(wrong))
        use(wheel, source, folder)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder / "dist", target)
    print(f"wrote {target}: {wheel.name}, {source.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
