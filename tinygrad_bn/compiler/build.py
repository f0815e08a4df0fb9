"""C text -> a loaded function: built by the system's C compiler, and kept on disk for the next process.

What is built lies in the user's cache folder, ``tinygrad-bn``, which nobody else can write to.  An entry's name has two parts:
the hash of what it was made of (text, flags, compiler, processor) and the hash of its own content, so a file that is cut off,
changed or another's is recognised, removed and built anew.  Compilers work in a new folder inside of it, and a finished file
gets its name in one step: whoever is interrupted, killed, or building the same beside another process harms nobody.

Where the cache folder is of no use (read-only, full, open to others), a ``CacheWarning`` says why, and a temporary folder of
this process serves.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import functools
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import platform
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..errors import CompilerError, MissingCompilerError, clean, explain

NAMES = ("cc", "gcc", "clang")
FLAGS = (
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp-simd",
    "-ffp-contract=fast",
    "-mprefer-vector-width=512",
)
# What glibc's libmvec computes for a whole vector at once, for double and, with an f behind the name, for float: from
# glibc 2.35 on, and before.
ALWAYS = ("exp", "log", "sin", "cos")
NEWER = ("tanh", "expm1", "log1p", "log2", "log10", "exp2", "erf", "erfc", "sinh", "cosh", "tan", "atan", "cbrt")
SUFFIX = ".dll" if sys.platform == "win32" else ".so"
PATIENCE = 300.0  # seconds that a compiler has for one program
PROBE = 60.0  # ... and for one of the small texts that show what it can do
MOST = 1000  # files in the cache; the ones not used for longest go first
DEAD = 3600.0  # seconds after which nobody works in a folder any more
LINES = 12  # of what a compiler said that are shown
FULL = ("No space left on device", "Disk quota exceeded")

Result = TypeVar("Result")


class CacheWarning(UserWarning):
    """Compiled programs cannot be kept for the next process."""


class Loaded(NamedTuple):
    """A function in machine code."""

    function: Any  # as ctypes gives it: the caller sets ``argtypes`` and ``restype``
    path: Path
    from_cache: bool


class Toolchain(NamedTuple):
    """A C compiler, and what it was found to understand."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]
    vector_math: tuple[str, ...]  # functions computed for a whole vector at once, of both float and double

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
    key = _hash(repr((source, tools, _identity(tools.command), _processor())).encode())

    def find_or_build(folder: Path) -> Loaded:
        for path, _ in _kept(folder, key, SUFFIX):
            with suppress(OSError, AttributeError):
                return Loaded(ctypes.CDLL(str(path))[function], path, True)

        def build(place: Path) -> Loaded:
            status, said = _compile(tools.command, tools.flags, source, place, patience, bool(tools.vector_math))
            if status:
                raise _refused("the C compiler cannot build this program", tools.command, status, said)
            path = _keep(folder, key, place / f"program{SUFFIX}")
            return Loaded(ctypes.CDLL(str(path))[function], path, False)

        return _in_new_folder(folder, build)

    return _where_possible(find_or_build)


# -- the compiler ---------------------------------------------------------------------------------------------------------


def available() -> bool:
    """Whether there is a C compiler; nothing is started."""
    try:
        return bool(_command())
    except MissingCompilerError:
        return False


def toolchain() -> Toolchain:
    """The C compiler that is used, and what it understands; tried out once, then read from the cache folder.

    Raises:
        MissingCompilerError: there is none.
        CompilerError: it cannot build the smallest program.
    """
    command = _command()
    return _toolchain(command, _identity(command))


@functools.lru_cache(maxsize=8)
def _toolchain(command: tuple[str, ...], identity: tuple[int, ...]) -> Toolchain:
    key = _hash(repr((command, identity, _processor(), FLAGS, ALWAYS, NEWER)).encode())

    def find_or_try(folder: Path) -> Toolchain:
        for _, record in _kept(folder, key, ".json"):
            version, flags, vector_math = json.loads(record)
            return Toolchain(command, version, tuple(flags), tuple(vector_math))

        def try_out(place: Path) -> Toolchain:
            found = _try_out(command, place)
            file = place / "toolchain.json"
            file.write_text(json.dumps(found[1:]), encoding="utf-8")
            _keep(folder, key, file)
            return found

        return _in_new_folder(folder, try_out)

    return _where_possible(find_or_try)


def _command() -> tuple[str, ...]:
    """The words that start the compiler, the program with its whole path."""
    wish = os.environ.get("CC", "").strip()
    fix = (
        "install gcc or clang (Debian, Ubuntu: apt install gcc; macOS: xcode-select --install), or pip install ziglang"
    )
    if wish:
        try:
            words = shlex.split(wish)
        except ValueError:  # a quotation mark without its partner
            words = [wish]
        program = shutil.which(words[0])
        if program is None:
            what = "the environment variable CC names no program that is here"
            raise MissingCompilerError(explain(what, got=repr(clean(wish, 200)), fix=f"unset CC, or {fix}"))
        return (os.path.abspath(program), *words[1:])
    for name in NAMES:
        program = shutil.which(name)
        if program is not None:
            return (os.path.abspath(program),)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    raise MissingCompilerError(explain("there is no C compiler", got=f"no {', '.join(NAMES)} on PATH", fix=fix))


def _identity(command: Sequence[str]) -> tuple[int, ...]:
    """What changes when another version is installed, without starting the compiler."""
    wheel = importlib.util.find_spec("ziglang") if "ziglang" in command else None
    files = [command[0], *([wheel.origin] if wheel is not None and wheel.origin else [])]
    return tuple(number for file in map(os.stat, files) for number in (file.st_size, file.st_mtime_ns))


@functools.cache
def _processor() -> str:
    """What ``-march=native`` depends on; empty where it is not known."""
    names = (
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "flags",
        "Features",
        "CPU implementer",
        "CPU part",
        "isa",
    )
    found = []
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():  # the second processor begins
                break
            if line.partition(":")[0].strip() in names:
                found.append(line)
    return platform.machine() + "\n" + "".join(found) if found else ""


def _try_out(command: tuple[str, ...], place: Path) -> Toolchain:
    def works(flags: Sequence[str], source: str = "int run(int x) { return x + 1; }\n", vector: bool = False) -> bool:
        return not _compile(command, flags, source, place, PROBE, vector)[0]

    wanted = [flag for flag in FLAGS if flag != "-march=native" or _processor()]
    flags = wanted if works(wanted) else [flag for flag in wanted if works([flag])]
    if not flags:
        raise _refused(
            "the C compiler cannot build the smallest program", command, *_compile(command, (), "", place, PROBE)
        )
    vector_math: tuple[str, ...] = ()
    for functions in (ALWAYS + NEWER, ALWAYS):
        for extra in ([], ["-fveclib=libmvec"]):  # gcc goes by the declarations, clang by a flag
            if not vector_math and works(flags + extra, _each(functions), True) and _is_vector(place, functions):
                flags, vector_math = flags + extra, functions
    return Toolchain(
        command, _run([*command, "--version"], place, PROBE)[1].partition("\n")[0], tuple(flags), vector_math
    )


def _declarations(functions: Sequence[str]) -> str:
    line = '__attribute__((simd("notinbranch"))) {0} {1}({0});\n'
    texts = [line.format(kind, f + end) for f in functions for kind, end in (("double", ""), ("float", "f"))]
    return "".join(["#if defined(__GNUC__) && !defined(__clang__)\n", *texts, "#endif\n"]) if texts else ""


def _each(functions: Sequence[str]) -> str:
    """A program that uses every function in a loop."""
    line = "void {1}_all({0} *x) {{ for (int i = 0; i < 1024; i++) x[i] = {1}(x[i]); }}\n"
    texts = [line.format(kind, f + end) for f in functions for kind, end in (("double", ""), ("float", "f"))]
    return "#include <math.h>\n" + _declarations(functions) + "".join(texts)


def _is_vector(place: Path, functions: Sequence[str]) -> bool:
    """Whether what was built calls the vector form of every function, and can be loaded."""
    built = place / f"program{SUFFIX}"
    names = built.read_bytes().split(b"\0")
    called = {name.rpartition(b"_")[2].decode() for name in names if name.startswith(b"_ZGV")}
    if not called.issuperset(f + end for f in functions for end in ("", "f")):
        return False
    try:
        ctypes.CDLL(str(built))
    except OSError:
        return False
    return True


def _compile(
    command: Sequence[str], flags: Sequence[str], source: str, place: Path, patience: float, vector: bool = False
) -> tuple[int, str]:
    """Build ``program.so`` in a folder of its own; the exit status, and what the compiler said."""
    (place / "program.c").write_text(source, encoding="utf-8")
    libraries = ["-lmvec", "-lm"] if vector else ["-lm"]
    words = [*command, *flags, "-shared", "-fPIC", "-o", f"program{SUFFIX}", "program.c", *libraries]
    status, said = _run(words, place, patience)
    if status and any(reason in said for reason in FULL):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
    return status, said


def _run(words: Sequence[str], place: Path, patience: float) -> tuple[int, str]:
    """Run a compiler: no shell, in a folder of its own, its temporary files there, too; nothing of it is left running."""
    here = {name: str(place) for name in ("TMPDIR", "TEMP", "TMP")}
    with open(place / "said.txt", "w+b") as output:  # a file: a pipe could be held open by whatever it started
        try:
            process = subprocess.Popen(
                words,
                cwd=place,
                env={**os.environ, **here, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
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
            if isinstance(error, subprocess.TimeoutExpired):
                fix = "try again, or set CC to another compiler"
                what = f"the C compiler took longer than {patience:g} seconds and was stopped"
                raise CompilerError(explain(what, got=words[0], fix=fix)) from None
            raise
        output.seek(0)
        return status, output.read(1 << 20).decode("utf-8", "replace")


def _refused(what: str, command: Sequence[str], status: int, said: str) -> CompilerError:
    lines = said.strip().splitlines()
    shown = lines[:LINES] + ([f"... {len(lines) - LINES} more lines"] if len(lines) > LINES else [])
    got = "\n            ".join([f"exit status {status} of {' '.join(command)}", *shown])
    return CompilerError(explain(what, got=got, fix="set CC to another compiler, or do without one: backend='numpy'"))


# -- the cache ------------------------------------------------------------------------------------------------------------


def _where_possible(work: Callable[[Path], Result]) -> Result:
    """Work in the cache folder, or else in the temporary one."""
    folder = _cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return work(_private(folder.resolve()))
    except OSError as error:
        what = f"compiled programs cannot be kept for the next process in {folder}"
        got = error.strerror or "what is built there cannot be loaded"
        fix = "set XDG_CACHE_HOME to a folder that only you can write to"
        warnings.warn(explain(what, got=got, fix=fix), CacheWarning, stacklevel=1)  # one place: Python says it once
    try:
        return work(_temporary_folder())
    except OSError as error:
        raise CompilerError(explain("a compiled program can be neither written nor loaded", got=str(error))) from error


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        usual = {"darwin": "~/Library/Caches", "win32": os.environ.get("LOCALAPPDATA", "~/AppData/Local")}
        base = os.path.expanduser(usual.get(sys.platform, "~/.cache"))
    return Path(base if os.path.isabs(base) else os.devnull, "tinygrad-bn")  # there need not be a home folder


def _private(folder: Path) -> Path:
    """The folder, closed to all others; refused if somebody else may have been in it, or could put another in its place."""
    if hasattr(os, "getuid"):  # otherwise the system has no such permissions
        found = folder.stat()
        if found.st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "it belongs to someone else", str(folder))
        if found.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "others can write to it", str(folder))
        for above in folder.parents:
            mode = above.stat().st_mode
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                raise PermissionError(errno.EPERM, "everyone can write to a folder above it", str(above))
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    return folder


_temporary: list[Path] = []


def _temporary_folder() -> Path:
    """A folder of this process, removed at its end."""
    if not _temporary or not _temporary[-1].is_dir():
        _temporary.append(_private(Path(tempfile.mkdtemp(prefix="tinygrad-bn-")).resolve()))
        atexit.register(_remove, _temporary[-1], os.getpid())
    return _temporary[-1]


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not at the end of a process forked from it
        shutil.rmtree(folder, ignore_errors=True)


def _in_new_folder(folder: Path, work: Callable[[Path], Result]) -> Result:
    """Work in a new folder inside, which is gone afterwards; and clear away what the killed and the long past left."""
    for place in folder.glob("build-*"):
        with suppress(OSError):
            if place.stat().st_mtime < time.time() - DEAD:
                shutil.rmtree(place, ignore_errors=True)
    with suppress(OSError):  # another process may do the same
        for path in sorted(folder.glob("*-*.*"), key=lambda path: path.stat().st_mtime)[:-MOST]:
            path.unlink()
    place = folder / f"build-{secrets.token_hex(16)}"
    try:
        place.mkdir(mode=0o700)
        return work(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=20).hexdigest()


def _keep(folder: Path, key: str, file: Path) -> Path:
    """Give a finished file its name in the cache, in one step."""
    target = folder / f"{key}-{_hash(file.read_bytes())}{file.suffix}"
    os.replace(file, target)
    return target


def _kept(folder: Path, key: str, suffix: str) -> Iterator[tuple[Path, bytes]]:
    """The whole and unchanged files of that key; what is neither is removed."""
    for path in sorted(folder.glob(f"{key}-*{suffix}")):
        with suppress(OSError):  # another process may have removed it
            content = path.read_bytes()
            if path.name != f"{key}-{_hash(content)}{suffix}":
                path.unlink()
                continue
            with suppress(OSError):  # a read-only folder serves as well
                os.utime(path)
            yield path, content


# -- the product of matrices ----------------------------------------------------------------------------------------------


@functools.cache
def gemm() -> dict[str, int] | None:
    """Addresses of BLAS's sgemm and dgemm, by dtype; ``None`` without SciPy.

    They have the Fortran interface: every argument is a pointer, integers are 32-bit, matrices column-major.  SciPy gives
    these addresses to other compiled code (``scipy.linalg.cython_blas``); its BLAS goes by OPENBLAS_NUM_THREADS and the
    like, as NumPy's does.
    """
    try:
        capsules = _cython_blas().__pyx_capi__
        return {dtype: _address(capsules[name]) for dtype, name in (("float32", "sgemm"), ("float64", "dgemm"))}
    except (ImportError, AttributeError, KeyError, ValueError):
        return None


def _cython_blas() -> Any:
    """SciPy's module, without the 0.2 seconds that importing all of ``scipy.linalg`` takes, if nobody has done so."""
    name = "scipy.linalg.cython_blas"
    if "scipy.linalg" not in sys.modules:
        scipy = importlib.util.find_spec("scipy")
        folders = [str(Path(folder, "linalg")) for folder in (scipy and scipy.submodule_search_locations) or ()]
        found = importlib.machinery.PathFinder.find_spec(name, folders)
        if found is not None and found.loader is not None:
            with suppress(ImportError):
                importlib.import_module("scipy")  # which finds its libraries
                module = importlib.util.module_from_spec(found)
                found.loader.exec_module(module)
                sys.modules.pop(name, None)  # a later import of the package does it all by itself
                return module
    from scipy.linalg import cython_blas

    return cython_blas


def _address(capsule: object) -> int:
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))(capsule)
    if not name.startswith(b"void (char *, char *, int *, int *, int *,"):  # integers of another size
        raise ValueError(name)
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return int(get(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, name))
