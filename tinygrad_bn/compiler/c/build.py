"""C text -> a loaded function, by the system's C compiler; what was built once is found in the cache."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CompilerError, MissingCompilerError, clean, explain
from .cache import cached, processor

NAMES = ("cc", "gcc", "clang")
FLAGS = (
    "-O3 -march=native -fno-math-errno -fno-trapping-math -fopenmp-simd -ffp-contract=fast -mprefer-vector-width=512"
)
# What glibc's libmvec computes for a whole vector at once, for double and, with an f behind the name, for float: from
# glibc 2.35 on there is more.
VECTOR = ("exp", "log", "sin", "cos")
MORE_VECTOR = ("tanh", "expm1", "log1p", "log2", "log10", "exp2", "erf", "erfc", "sinh", "cosh", "tan", "atan", "cbrt")
TRIAL = 2  # a new number whenever ``_try_out`` changes: what an old one found is not read then
PROGRAM = "program.dll" if sys.platform == "win32" else "program.so"
PATIENCE = 300.0  # seconds that a compiler has
LINES = 12  # of what a compiler said that are shown
ROOM = 1 << 22  # bytes that there is room for on a disk that is not full


class Loaded(NamedTuple):
    """A function in machine code."""

    function: Any  # as ctypes gives it: the caller sets ``argtypes`` and ``restype``
    path: Path
    from_cache: bool


class Toolchain(NamedTuple):
    """A C compiler, and what it was found to understand."""

    command: tuple[str, ...]
    identity: tuple[int, ...]  # sizes and times of its files: they change with its version
    flags: list[str]
    vector_math: list[str]  # functions computed for a whole vector at once, of both float and double

    @property
    def declarations(self) -> str:
        """C text, for the top of a program, without which the functions in ``vector_math`` are called one by one."""
        return _declarations(self.vector_math)


def load(source: str, function: str = "run", patience: float = PATIENCE) -> Loaded:
    """Build a C text, unless it was built before, and load one of its functions.

    Args:
        source: the whole text.
        function: the name of one function in it.
        patience: seconds that the compiler has.

    Raises:
        MissingCompilerError: there is none.
        CompilerError: it refuses the text, takes too long, or what it built cannot be loaded.
    """
    tools = toolchain()

    def make(place: Path) -> Path:
        status, said = _compile(tools.command, tools.flags, source, place, patience)
        if status:
            raise _refused("the C compiler refuses this program", tools.command, status, said)
        return place / PROGRAM

    return Loaded(*cached((source, tools), Path(PROGRAM).suffix, make, lambda path: ctypes.CDLL(str(path))[function]))


def available() -> bool:
    """Whether there is a C compiler; nothing is started."""
    try:
        return bool(_command())
    except MissingCompilerError:
        return False


def toolchain() -> Toolchain:
    """The C compiler that is used, and what it understands; tried out once, then known from the cache.

    Raises:
        MissingCompilerError: there is none.
        CompilerError: it cannot build the smallest program.
    """
    command = _command()
    # Changes when another version is installed, and costs less than asking the compiler for its version.
    wheel = importlib.util.find_spec("ziglang") if "ziglang" in command else None
    files = [os.stat(file) for file in (command[0], wheel and wheel.origin) if file]
    return _toolchain(command, tuple(number for file in files for number in (file.st_size, file.st_mtime_ns)))


@functools.lru_cache(maxsize=8)
def _toolchain(command: tuple[str, ...], identity: tuple[int, ...]) -> Toolchain:
    def make(place: Path) -> Path:
        file = place / "toolchain.json"
        file.write_text(json.dumps(_try_out(command, place)), encoding="utf-8")
        return file

    origin = (TRIAL, command, identity, FLAGS, VECTOR, MORE_VECTOR)
    found, _, _ = cached(origin, ".json", make, lambda path: json.loads(path.read_bytes()))
    return Toolchain(command, identity, *found)


def _command() -> tuple[str, ...]:
    """The words that start the compiler, the program with its whole path."""
    wish = os.environ.get("CC", "").strip()
    try:
        words = shlex.split(wish)
    except ValueError:  # a quotation mark without its partner
        words = [wish]
    for name, *options in [words] if words else [[name] for name in NAMES]:
        program = shutil.which(name)
        if program is not None:
            return (os.path.abspath(program), *options)
    if not words and importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    got = f"CC={clean(wish, 200)!r}, which is no program here" if words else f"no {', '.join(NAMES)} on PATH"
    fix = (
        "install gcc or clang (Debian, Ubuntu: apt install gcc; macOS: xcode-select --install), or pip install ziglang"
    )
    raise MissingCompilerError(explain("there is no C compiler", got=got, fix=("unset CC, or " if words else "") + fix))


def _try_out(command: tuple[str, ...], place: Path) -> tuple[list[str], list[str]]:
    """Flags that are understood, functions computed for whole vectors."""

    def works(flags: Sequence[str], source: str = "int run(int x) { return x + 1; }\n") -> bool:
        return not _compile(command, flags, source, place)[0]

    flags = [flag for flag in FLAGS.split() if flag != "-march=native" or processor()]
    if not works(flags):
        status, said = _compile(command, [], "", place)
        if status:
            raise _refused("the C compiler cannot build the smallest program", command, status, said)
        flags = [flag for flag in flags if works([flag])]
    for functions in ([*VECTOR, *MORE_VECTOR], [*VECTOR]):
        for extra in (["-lmvec"], ["-lmvec", "-fveclib=libmvec"]):  # gcc goes by declarations, clang by a flag
            vector = _vectorized(place / PROGRAM, functions) if works(flags + extra, _each(functions)) else []
            if vector:
                return flags + extra, vector
    return flags, []


def _both(line: str, functions: Sequence[str]) -> str:
    """A line of C for each function, of double and of float."""
    return "".join(line.format(*names) for f in functions for names in (("double", f), ("float", f"{f}f")))


def _declarations(functions: Sequence[str]) -> str:
    lines = _both('__attribute__((simd("notinbranch"))) {0} {1}({0});\n', functions)
    return f"#if defined(__GNUC__) && !defined(__clang__)\n{lines}#endif\n" if lines else ""


def _each(functions: Sequence[str]) -> str:
    """A program that uses every function in a loop."""
    lines = _both("void all_{1}({0} *x) {{ for (int i = 0; i < 1024; i++) x[i] = {1}(x[i]); }}\n", functions)
    return "#include <math.h>\n" + _declarations(functions) + lines


def _vectorized(program: Path, functions: Sequence[str]) -> list[str]:
    """The functions whose vector forms a program calls; none if it cannot be loaded."""
    names = [name for name in program.read_bytes().split(b"\0") if name.startswith(b"_ZGV")]
    called = {name.rpartition(b"_")[2].decode() for name in names}
    vector = [f for f in functions if {f, f"{f}f"} <= called]
    with suppress(OSError):
        return vector if vector and ctypes.CDLL(str(program)) else []
    return []


def _compile(
    command: Sequence[str], flags: Sequence[str], source: str, place: Path, patience: float = PATIENCE
) -> tuple[int, str]:
    """Build a program in a folder of its own; the exit status, and what the compiler said."""
    (place / "program.c").write_text(source, encoding="utf-8")
    libraries = [flag for flag in flags if flag.startswith("-l")]  # they come after what needs them
    words = [*command, *flags, "-shared", "-fPIC", "-o", PROGRAM, "program.c", *libraries, "-lm"]
    status, said = _run(words, place, patience)
    if status:  # is it the disk?  Then this fails, too, whatever the compiler was able to say
        (place / "room").write_bytes(bytes(ROOM))
    return status, said


def _run(words: Sequence[str], place: Path, patience: float = PATIENCE) -> tuple[int, str]:
    """Run a compiler: no shell, in a folder of its own, its temporary files there, too; nothing of it is left running."""
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(place)), "LC_ALL": "C"}
    with open(place / "said.txt", "w+b") as said:  # a file: a pipe can be held open by what a compiler starts
        try:
            process = subprocess.Popen(
                words,
                cwd=place,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CompilerError(explain("the C compiler cannot be started", got=f"{words[0]}: {error}")) from error
        try:
            status = process.wait(patience)
        except BaseException as error:  # Ctrl-C, too
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            what = f"the C compiler was stopped after {patience:g} seconds"
            raise CompilerError(explain(what, got=words[0], fix="set CC to another compiler")) from None
        said.seek(0)
        return status, said.read(1 << 20).decode("utf-8", "replace")


def _refused(what: str, command: Sequence[str], status: int, said: str) -> CompilerError:
    lines = [f"exit status {status} of {' '.join(command)}", *said.strip().splitlines()]
    shown = lines[: LINES + 1] + [f"... {len(lines) - LINES - 1} more lines"] * (len(lines) > LINES + 1)
    return CompilerError(explain(what, got="\n            ".join(shown), fix="set CC to another compiler"))
