"""C text becomes a loaded function, once; whatever the compiler, the disk, other processes and Ctrl-C do meanwhile."""

import ctypes
import errno
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.program.test_program_interrupts import interrupted, lines_of
from tinygrad_bn.compiler.c import blas, build, cache
from tinygrad_bn.errors import CompilerError, MissingCompilerError

ROOT = Path(__file__).resolve().parents[2]
TRIPLE = "int run(int x) { return 3 * x; }\n"
REAL = next(filter(None, map(shutil.which, build.NAMES)), None)
needs_compiler = pytest.mark.skipif(REAL is None, reason="there is no C compiler: none of cc, gcc, clang on PATH")
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and signals are those of POSIX")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The cache folder of this test, and no wish for a compiler."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "caches" / "tinygrad-bn"


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Makes CC a script: the real compiler, with something before it when the text has the word ``MARK``."""

    def make(before, always=False):
        script = tmp_path / "fake" / f"cc{len(list(tmp_path.glob('fake/*')))}"
        script.parent.mkdir(exist_ok=True)
        condition = "true" if always else "grep -q MARK program.c"
        plain = "grep -q all_exp program.c && exit 1"  # no vector math: trying it out takes a second
        script.write_text(f'#!/bin/sh\nif {condition}; then\n{before}\nfi\n{plain}\nexec {REAL} "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("CC", f"'{script}'")
        return script

    return make


def marked(number):
    """A text that nothing else builds."""
    return f"/* MARK {number} */\n{TRIPLE}"


def kept(folder):
    return sorted(path.name for path in folder.glob("*") if path.suffix != ".json")


def alive(process):
    """Whether a process runs; a dead one that nobody waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def start(code, **environment):
    """Another process with this library."""
    words = [sys.executable, "-c", f"from tinygrad_bn.compiler.c import build\n{code}"]
    inherited = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(words, cwd=ROOT, env=inherited, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# -- from a text to a function --------------------------------------------------------------------------------------------


@needs_compiler
def test_a_text_becomes_a_function_and_is_found_again(home):
    first, second = build.load(TRIPLE), build.load(TRIPLE)
    assert (first.function(14), first.from_cache) == (42, False)
    assert (second.function(14), second.from_cache, second.path) == (42, True, first.path)
    assert kept(home) == [first.path.name]
    other = build.load("double half(double x) { return x / 2; }", "half")
    other.function.argtypes, other.function.restype = [ctypes.c_double], ctypes.c_double
    assert (other.function(5.0), other.from_cache) == (2.5, False)
    assert build.load(TRIPLE).function(2) == 6  # what one caller sets says nothing to the other


@needs_compiler
def test_another_process_starts_no_compiler(compiler, tmp_path):
    compiler(f"echo x >> '{tmp_path}/calls'", always=True)
    assert not build.load(TRIPLE).from_cache
    calls = (tmp_path / "calls").read_text()
    out, err = start(f"found = build.load({TRIPLE!r}); print(found.function(5), found.from_cache)").communicate()
    assert out == "15 True\n", err
    assert (tmp_path / "calls").read_text() == calls


@needs_compiler
@pytest.mark.parametrize("what", ["text", "compiler", "version", "options", "processor"])
def test_what_a_program_depends_on_is_in_its_name(what, compiler, monkeypatch):
    script = compiler("true")
    before = build.load(TRIPLE)
    if what == "text":
        source = TRIPLE.replace("3", "4")
    else:
        source = TRIPLE
        if what == "compiler":
            compiler("true")
        elif what == "version":
            script.write_text(script.read_text() + "# newer\n")
        elif what == "options":
            monkeypatch.setenv("CC", f"'{script}' -DSOMETHING")
        else:
            monkeypatch.setattr(cache, "processor", lambda: "another machine")
    after = build.load(source)
    assert not after.from_cache
    assert after.path.name.split("-")[0] != before.path.name.split("-")[0]
    assert after.function(2) == (8 if what == "text" else 6)


@needs_compiler
def test_another_version_of_a_compiler_is_tried_out_anew(compiler):
    script = compiler("true")
    assert "-fopenmp-simd" in build.toolchain().flags
    refuse = 'for word; do [ "$word" = -fopenmp-simd ] && exit 1; done'
    script.write_text(script.read_text().replace("#!/bin/sh", f"#!/bin/sh\n{refuse}"))
    assert "-fopenmp-simd" not in build.toolchain().flags


@needs_compiler
def test_a_function_that_is_called_one_by_one_is_not_vector_math():
    source = "double f(double); double run(double x) { return f(x); }\n"
    plain = build.load(source.replace("f(double);", "f(double x) { return x; }"))
    assert build._vectorized(plain.path, build.VECTOR) == []


@needs_compiler
def test_the_compiler_gets_words_that_say_nothing_of_the_user(compiler, tmp_path):
    compiler(f"printf '%s\\n' \"$@\" > '{tmp_path}/words'; (pwd; echo $TMPDIR) > '{tmp_path}/places'")
    build.load(marked(1))
    words = (tmp_path / "words").read_text().splitlines()
    assert all(re.fullmatch(r"-[\w=-]+|program\.(so|dll|c)", word) for word in words), words
    here, temporary = (tmp_path / "places").read_text().splitlines()
    assert here == temporary
    assert Path(here).parent == (tmp_path / "caches" / "tinygrad-bn").resolve()
    assert not Path(here).exists()


@needs_compiler
def test_only_flags_that_the_compiler_understands(compiler):
    compiler('for word; do [ "$word" = -fopenmp-simd ] && echo "unknown argument" && exit 1; done', always=True)
    flags = build.toolchain().flags
    assert "-fopenmp-simd" not in flags
    assert "-O3" in flags
    assert build.toolchain().vector_math == []
    assert build.toolchain().declarations == ""


@needs_compiler
@pytest.mark.parametrize(("kind", "dtype"), [("double", np.float64), ("float", np.float32)])
def test_vector_math_is_used_and_right(kind, dtype):
    tools = build.toolchain()
    if not tools.vector_math:
        pytest.skip("this compiler has no vector math")
    assert set(tools.vector_math) >= set(build.VECTOR)
    end = "" if kind == "double" else "f"
    lines = "".join(
        f"for (int i = 0; i < 1001; i++) out[{k} * 1001 + i] = {f}{end}(x[i]);\n"
        for k, f in enumerate(tools.vector_math)
    )
    source = (
        f"#include <math.h>\n{tools.declarations}void run(const {kind} *restrict x, {kind} *restrict out) {{\n{lines}}}"
    )
    loaded = build.load(source)
    called = set(re.findall(rb"_ZGV\w+?_(\w+)\0", loaded.path.read_bytes()))
    assert called == {f"{f}{end}".encode() for f in tools.vector_math}
    x = np.linspace(0.01, 3, 1001).astype(dtype)
    out = np.empty((len(tools.vector_math), x.size), dtype)
    loaded.function(*(ctypes.c_void_p(array.ctypes.data) for array in (x, out)))
    for name, got in zip(tools.vector_math, out):
        expected = np.vectorize(exactly(name))(x.astype(np.float64))
        bound = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(
            got, expected, rtol=bound, atol=bound * (name in ("sin", "cos", "log")), err_msg=name
        )


def exactly(name):
    import math

    return {"exp2": lambda x: 2.0**x, "cbrt": lambda x: x ** (1 / 3)}.get(name) or getattr(math, name)


# -- the compiler: missing, failing, hanging, hostile ----------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["", "no-such-compiler", "/nowhere/cc -O2", "'cc", str(ROOT)])
def test_no_compiler_is_said_in_one_sentence(wish, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", wish)
    if not wish:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    assert not build.available()
    with pytest.raises(MissingCompilerError, match="there is no C compiler") as caught:
        build.load(TRIPLE)
    assert "install gcc or clang" in str(caught.value)
    assert ("unset CC" in str(caught.value)) == bool(wish)


@needs_compiler
def test_whether_there_is_a_compiler_is_asked_without_starting_it(compiler, tmp_path):
    compiler(f"touch '{tmp_path}/started'", always=True)
    assert build.available()
    assert not (tmp_path / "started").exists()


def test_the_wheel_is_the_last_resort(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ziglang.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert build._command() == (sys.executable, "-m", "ziglang", "cc")
    assert build.available()


@needs_compiler
@pytest.mark.parametrize(
    "wish",
    [
        "cc; touch {0}",
        "$(touch {0})",
        "`touch {0}`",
        "cc && touch {0}",
        "cc | touch {0}",
        "\x1b[31mcc\n\u202e > {0}",
        "'",
    ],
)
def test_a_hostile_wish_runs_nothing(wish, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", wish.format(tmp_path / "planted"))
    with pytest.raises(CompilerError) as caught:
        build.load(TRIPLE)
    assert not (tmp_path / "planted").exists()
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


@needs_compiler
def test_what_the_compiler_says_is_shown(home):
    with pytest.raises(CompilerError, match="refuses this program") as caught:
        build.load("int run(void) { return mystery; }\n" * 30)
    said = str(caught.value)
    assert "mystery" in said
    assert "exit status 1 of " in said
    assert "more lines" in said
    assert said.count("\n") < 20
    assert kept(home) == []


@needs_compiler
def test_a_compiler_that_builds_nothing_is_found_out(compiler, home):
    compiler("echo 'no license'; exit 3", always=True)
    with pytest.raises(CompilerError, match="cannot build the smallest program") as caught:
        build.load(TRIPLE)
    assert "exit status 3" in str(caught.value)
    assert "no license" in str(caught.value)
    assert kept(home) == []


@needs_compiler
def test_a_program_that_cannot_be_started_as_one(monkeypatch, tmp_path):
    script = tmp_path / "cc"
    script.write_bytes(b"\x7fELF, and nothing after it")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(CompilerError, match="cannot be started"):
        build.load(TRIPLE)


@needs_compiler
@needs_posix
def test_a_compiler_that_hangs_is_stopped_with_all_that_it_started(compiler, home, tmp_path):
    compiler(f"sleep 600 & echo $! > '{tmp_path}/child'; wait")
    build.toolchain()
    with pytest.raises(CompilerError, match=r"stopped after 0\.5 seconds"):
        build.load(marked(2), patience=0.5)
    wait_for(lambda: not alive((tmp_path / "child").read_text().strip()))
    assert kept(home) == []


@needs_compiler
def test_a_compiler_whose_work_cannot_be_loaded(compiler, home):
    compiler("echo nonsense > program.so; exit 0")
    with (
        pytest.warns(cache.CacheWarning, match="cannot be loaded"),
        pytest.raises(CompilerError, match="written or loaded"),
    ):
        build.load(marked(3))


# -- the cache: damaged, full, closed, open to others ------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("damage", ["cut off", "a bit flipped", "empty", "foreign", "another name", "a folder", "gone"])
def test_a_damaged_entry_is_built_anew(damage, home):
    before = build.load(TRIPLE)
    path = before.path
    content = path.read_bytes()
    path.unlink()
    if damage == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "a bit flipped":
        path.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    elif damage == "empty":
        path.touch()
    elif damage == "foreign":  # a whole library, but not this one
        shutil.copy(build.load("int run(int x) { return 7; }").path, path)
    elif damage == "a folder":
        path = path.with_name(path.name.replace("-", "-0"))
        path.mkdir()
    elif damage == "another name":
        path = path.with_name(path.name[:-10] + "0123456.so")
        path.write_bytes(content)
    after = build.load(TRIPLE)
    assert (after.function(5), after.from_cache) == (15, False)
    assert after.path.read_bytes() == content
    assert after.path == path or not path.is_file()
    assert build.load(TRIPLE).from_cache


@needs_compiler
@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"flags": "-fplugin=evil.so"}'])
def test_a_damaged_record_of_the_compiler_is_made_anew(content, compiler, home):
    compiler("true")
    right = build.toolchain()
    (record,) = home.glob("*.json")
    record.write_bytes(content)
    build._toolchain.cache_clear()
    assert build.toolchain() == right
    assert record.read_bytes() != content


@needs_compiler
@needs_posix
def test_the_folder_is_for_its_owner_alone(home):
    build.load(TRIPLE)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    home.chmod(0o755)  # nobody else could write to it
    assert build.load(TRIPLE).from_cache
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@needs_compiler
@needs_posix
@pytest.mark.parametrize("why", ["group", "everyone", "above", "someone else"])
def test_a_folder_that_others_can_write_to_is_refused(why, home, monkeypatch):
    planted = build.load(TRIPLE)
    if why == "someone else":
        mine = os.getuid()
        cache._temporary_folder()  # made by whom this is
        monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    else:
        place, mode = {"group": (home, 0o770), "everyone": (home, 0o707), "above": (home.parent, 0o777)}[why]
        place.chmod(mode)
    with pytest.warns(cache.CacheWarning, match="someone else" if why == "someone else" else "others can write"):
        found = build.load(TRIPLE)
    assert found.function(5) == 15
    assert home not in found.path.parents
    assert planted.path.exists()


@needs_compiler
@pytest.mark.parametrize("why", ["a file in the way", "no such folder can be made", "no permission", "no home"])
def test_without_a_cache_folder_the_process_has_its_own(why, tmp_path, monkeypatch):
    build.toolchain()
    place = tmp_path / "other"
    if why == "a file in the way":
        place.touch()
    elif why == "no permission":
        if not hasattr(os, "geteuid") or os.geteuid() == 0:
            pytest.skip("nothing is forbidden to root")
        place.mkdir(mode=0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere" if why == "no such folder can be made" else str(place))
    if why == "no home":
        monkeypatch.setenv("XDG_CACHE_HOME", "relative/path")  # is ignored
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.warns(cache.CacheWarning, match="cannot be kept for the next process"):
        first = build.load(marked(why))
    with pytest.warns(cache.CacheWarning):
        second = build.load(marked(why))
    assert (first.function(5), second.function(5), second.from_cache) == (15, 15, True)
    assert stat.S_IMODE(first.path.parent.stat().st_mode) == 0o700 or sys.platform == "win32"
    assert not Path("relative").exists()


def test_where_the_cache_folder_is(monkeypatch, tmp_path):
    assert cache.cache_folder() == tmp_path / "caches" / "tinygrad-bn"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    for unset in ("", "relative/path"):  # a relative one is to be ignored
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache.cache_folder() == tmp_path / ".cache" / "tinygrad-bn"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache.cache_folder() == tmp_path / "Library" / "Caches" / "tinygrad-bn"


@needs_compiler
def test_the_folder_of_a_process_goes_with_it_and_the_warning_comes_once(tmp_path):
    code = f"""
import os, warnings
for n in range(3):
    found = build.load({TRIPLE!r} + "int n = %d;" % n)
if os.fork() == 0:
    raise SystemExit  # the child's end is not the parent's
os.wait()
print(found.function(5), build.load({TRIPLE!r} + "int n = 2;").from_cache, found.path.parent)
"""
    out, err = start(code, XDG_CACHE_HOME="/proc/nowhere", TMPDIR=str(tmp_path)).communicate()
    assert out.startswith("15 True "), err
    assert str(tmp_path.resolve()) in out
    assert list(tmp_path.glob("tinygrad-bn*")) == []
    assert err.count("cannot be kept") == 1


@needs_compiler
def test_a_full_disk(compiler, home, monkeypatch):
    compiler('case "$PWD" in */caches/*) exit 1;; esac')
    build.toolchain()
    full = [str(home.parent.resolve())]
    real = Path.write_bytes

    def write(path, content):
        if str(path).startswith(tuple(full)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.warns(cache.CacheWarning, match="No space left"):
        found = build.load(marked(4))
    assert found.function(5) == 15
    assert kept(home) == []
    compiler("exit 1")
    full.append(str(cache._temporary_folder()))
    with pytest.warns(cache.CacheWarning), pytest.raises(CompilerError, match="No space left"):
        build.load(marked(4))


@needs_compiler
@needs_posix
def test_a_limit_on_the_size_of_files():
    code = "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))"
    _, err = start(f"{code}; build.load('/* unlike any other */ int run(int x) {{ return x; }}')").communicate()
    assert "CompilerError: a compiled program cannot be written or loaded" in err
    assert "File too large" in err


@needs_compiler
def test_a_folder_that_programs_may_not_be_loaded_from(home, monkeypatch):
    real = ctypes.CDLL

    def forbidden(path):
        if "caches" in path:
            raise OSError("failed to map segment from shared object")
        return real(path)

    monkeypatch.setattr(ctypes, "CDLL", forbidden)
    with pytest.warns(cache.CacheWarning, match="cannot be loaded"):
        assert build.load(TRIPLE).function(5) == 15


def fill(place):
    (place / "made.txt").write_text("whole")
    return place / "made.txt"


def test_the_oldest_files_go_and_what_the_killed_left(home, monkeypatch):
    monkeypatch.setattr(cache, "MOST", 3)
    for n in range(5):
        _, path, _ = cache.cached(n, ".txt", fill, Path.read_text)
        os.utime(path, (n, n))
    now = home / "new-now"
    (home / "new-dead").mkdir()
    now.mkdir()
    os.utime(home / "new-dead", (0, 0))
    _, newest, _ = cache.cached(5, ".txt", fill, Path.read_text)
    left = list(home.iterdir())
    assert newest in left
    assert now in left
    assert len(left) == 5  # three that were there, the newest, and the folder of somebody at work


# -- other processes, kill -9, Ctrl-C ------------------------------------------------------------------------------------------


@needs_compiler
def test_processes_that_build_at_once(compiler, home, tmp_path):
    compiler(f"touch '{tmp_path}/at-work-'$$; while [ ! -e '{tmp_path}/go' ]; do sleep 0.02; done")
    build.toolchain()
    processes = [start(f"print(build.load({marked(5)!r}).function(5))") for _ in range(2)]
    wait_for(lambda: len(list(tmp_path.glob("at-work-*"))) == 2)
    (tmp_path / "go").touch()
    said = [process.communicate() for process in processes]
    assert [out for out, _ in said] == ["15\n"] * 2, said
    assert len(kept(home)) == 1
    assert build.load(marked(5)).from_cache


@needs_compiler
@needs_posix
@pytest.mark.parametrize("when", ["compiling", "writing"])
def test_killed_in_the_middle(when, compiler, home, tmp_path):
    half = f'{REAL} "$@"; head -c 5000 program.so > half; mv half program.so;' if when == "writing" else ""
    compiler(f"[ -e '{tmp_path}/go' ] || {{ {half} echo $$ > '{tmp_path}/at-work'; sleep 600; }}")
    build.toolchain()
    process = start(f"build.load({marked(6)!r})")
    wait_for(lambda: (tmp_path / "at-work").exists() and (tmp_path / "at-work").read_text())
    process.kill()
    process.communicate()
    os.killpg(int((tmp_path / "at-work").read_text()), signal.SIGKILL)
    (left,) = home.glob("new-*")  # where the killed one was at work
    (tmp_path / "go").touch()
    found = build.load(marked(6))
    assert (found.function(5), found.from_cache) == (15, False)
    os.utime(left, (0, 0))
    build.load(marked(7))
    assert not left.exists()


@needs_compiler
@needs_posix
def test_ctrl_c_while_the_compiler_works(compiler, home, tmp_path):
    compiler(f"sleep 600 & echo $! > '{tmp_path}/child'; wait")
    build.toolchain()
    process = start(
        f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); build.load({marked(8)!r})"
    )
    wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in err
    assert kept(home) == []
    wait_for(lambda: not alive((tmp_path / "child").read_text().strip()))


def test_a_file_gets_its_name_last_and_at_once(home, monkeypatch):
    def interrupt(made, path):
        assert made.read_text() == "whole"
        assert not path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.cached("it", ".txt", fill, Path.read_text)
    assert list(home.iterdir()) == []


def test_ctrl_c_at_any_line(home):
    def action(origin):
        return cache.cached(origin, ".txt", fill, Path.read_text)

    assert action("once")[0] == "whole"
    for at in range(1, lines_of(partial(action, "counted")) + 1):
        interrupted(partial(action, at), at)
        assert all(path.read_text() == "whole" for path in home.glob("*.txt"))
        assert not [place for place in home.glob("new-*") if list(place.iterdir())]
        assert action(at)[0] == "whole"


# -- the product of matrices ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gemm_is_a_product_of_matrices(dtype):
    pytest.importorskip("scipy")
    addresses = blas.gemm()
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=(4, 5)).astype(dtype)
    out = np.empty((3, 5), dtype)
    number = ctypes.c_float if dtype == "float32" else ctypes.c_double
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(addresses[dtype])
    # Column-major, these are the transposes: out.T = b.T @ a.T.
    numbers = [ctypes.byref(ctypes.c_int(n)) for n in (5, 3, 4)]
    one, zero = ctypes.byref(number(1)), ctypes.byref(number(0))
    widths = [ctypes.byref(ctypes.c_int(n)) for n in (5, 4, 5)]
    data = [ctypes.c_void_p(array.ctypes.data) for array in (b, a, out)]
    function(b"N", b"N", *numbers, one, data[0], widths[0], data[1], widths[1], zero, data[2], widths[2])
    np.testing.assert_allclose(out, a @ b, rtol=10 * np.finfo(dtype).eps, atol=10 * np.finfo(dtype).eps)


def test_scipy_stays_whole():
    pytest.importorskip("scipy")
    code = """
from tinygrad_bn.compiler.c import blas
import sys
found = blas.gemm()
print("scipy.linalg" in sys.modules)
import numpy, scipy.linalg, scipy.linalg.cython_blas
print(scipy.linalg.inv(numpy.eye(2) / 2)[0, 0], "sgemm" in scipy.linalg.cython_blas.__pyx_capi__)
blas.gemm.cache_clear()
print(blas.gemm() == found)
"""
    out, err = start(code).communicate()
    assert out == "False\n2.0 True\nTrue\n", err


def test_without_scipy_or_with_other_integers_there_is_no_gemm(monkeypatch):
    pytest.importorskip("scipy")
    other = blas._cython_blas().__pyx_capi__["dswap"]
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "scipy", None)
        hidden.delitem(sys.modules, blas.MODULE, raising=False)
        assert blas.gemm.__wrapped__() is None
    wide = SimpleNamespace(__pyx_capi__={"sgemm": other, "dgemm": other})
    monkeypatch.setattr(blas, "_cython_blas", lambda: wide)
    assert blas.gemm.__wrapped__() is None
