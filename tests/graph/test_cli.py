"""The graph command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_bn.cli import inputs, main

MODEL = """
import tinygrad_bn as tg

def f(x, y):
    with tg.scope("inside"):
        return (x * y).sum()

class Net(tg.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = tg.nn.Linear(3, 2, dtype=float)

    def forward(self, x):
        return self.layer(x).sum()

number = 3
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.py"
    file.write_text(MODEL)
    return file


@pytest.mark.parametrize("view", ["tensor", "scalar", "module", "backward", "reduced"])
def test_bn_in_every_view(view: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bn.svg"
    assert main(["graph", "bn", "--view", view, "-o", str(file)]) == 0
    assert "<svg" in file.read_text()
    said = capsys.readouterr().out
    assert str(file) in said
    if view == "reduced":
        assert float(said.rsplit("largest difference ", 1)[1]) < 1e-12


def test_text_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "bn"]) == 0
    assert "-1.3416  -0.4472  0.4472  1.3416" in capsys.readouterr().out


def test_own_function_and_module(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", f"{model}:f", "--shape", "2,3", "--shape", "3", "--sites"]) == 0
    assert "v1 = x0 · x1" in capsys.readouterr().out
    assert main(["graph", f"{model}:Net", "--shape", "4,3", "--view", "module"]) == 0
    assert "layer (Linear)  [group]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "message"),
    [("nothing", "nothing to draw"), ("missing.py:f", "no such file"), ("missing.module:f", "no such file or module"),
     ("{model}", "not what to draw in it"), (".:f", "is a folder"), ("{model}:", "no function or Module"),
     ("{model}:net", "to fix:   {model}:Net"), ("{model}:number", "of type int"), ("{model}:g", "no function or Module"),
     ("{model}:number", "no function or Module")],
)  # fmt: skip
def test_mistakes_are_explained(target: str, message: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", target.format(model=model)]) == 2
    assert message.format(model=model) in capsys.readouterr().err


def test_a_file_that_cannot_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    assert main(["graph", f"{broken}:f"]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err
    text = tmp_path / "notes.txt"
    text.write_text("no python")
    assert main(["graph", f"{text}:f"]) == 2
    assert "not a Python module" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--rows", "0"], ["--rows", "x"], ["--shape", "a,b"], ["--view", "side"]])
def test_bad_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["graph", "bn", *words])
    assert stop.value.code == 2
    assert "error" in capsys.readouterr().err


def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "bn", "-o", str(tmp_path / "missing" / "bn.dot")]) == 2
    assert "the folder does not exist" in capsys.readouterr().err


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_bn.cli.graph.draw", stop)
    assert main(["graph", "bn"]) == 130


def test_as_a_module_with_a_reader_that_leaves() -> None:
    command = f"{sys.executable} -m tinygrad_bn graph bn --rows 8 --features 4 | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("node")
    assert done.stderr == ""


# -- mistakes of all kinds: a message, never a traceback ----------------------------------------------------------------

USERS = """
from __future__ import annotations
from collections import namedtuple
from dataclasses import dataclass
import sys
import numpy as np
import tinygrad_bn as tg
from tinygrad_bn import nn

@dataclass
class Out:
    logits: tg.Tensor
    loss: tg.Tensor

Pair = namedtuple("Pair", "first second")
loss = (tg.Tensor([1.0, 2.0], requires_grad=True) * 2).sum()

def two(a, b): return a @ b
def one(x): return x * 2
def none(): return tg.Tensor([1.0], requires_grad=True) * 2
def default(x, scale=2.0): return x * scale
def keyword(x, *, scale): return x * scale
def pair(x): return x * 2, x + 1
def same(x): y = x * 2; return y, y
def table(x): return {"logits": x * 2, "loss": (x * x).sum()}
def nested(x): return [x * 2, {"rest": (x + 1, x - 1)}]
def record(x): return Out(x * 2, x.sum())
def named(x): return Pair(x * 2, x + 1)
def partly(x): return x * 2, None
def inner(x): return {"a": [x, 3.0]}
def nothing(x): return None
def empty(x): return ()
def plain(x): return np.ones(3)
def text(x): return "text"
def broken(x): return tg.ops.reshape(x, (7, 7))
def deep(x): return deep(x)
def leave(x): sys.exit(3)
def divide(x):
    return 1 / 0

class Needs(nn.Module):
    def __init__(self, width, depth=2):
        super().__init__()

class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(-1, 2)

class Unfinished(nn.Module):
    pass

embedding = nn.Embedding(4, 2)
"""


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "users.py").write_text(USERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("users", None)


MISTAKES = {
    "two --shape 2,2": ["missing a required argument: 'b'", "1 from --shape and --input", "2: a, b", "to fix:"],
    "two": ["missing a required argument: 'a'", "0 from"],
    "one --shape 2 --shape 2": ["too many positional arguments", "2 from"],
    "none --shape 2": ["too many positional", "expected: none"],
    "keyword --shape 2": ["scale"],
    "Needs --shape 2,2": ["a class that needs arguments: width", "users.py:net"],
    "Fails --shape 2": ["Fails() failed"],
    "Unfinished --shape 2": ["users.py:Unfinished failed"],
    "divide --shape 2": ["users.py:divide failed: ZeroDivisionError", "users.py, line", "return 1 / 0"],
    "broken --shape 2": ["users.py:broken failed", "users.py, line"],
    "deep --shape 2": ["RecursionError"],
    "leave --shape 2": ["ended the program"],
    "nothing --shape 2": ["returned None"],
    "empty --shape 2": ["returned nothing to draw"],
    "plain --shape 2": ["returned no variable", "ndarray"],
    "text --shape 2": ["returned no variable", "str"],
    "partly --shape 2": ["returned at [1] None"],
    "inner --shape 2": ["returned at ['a'][1] no variable", "float"],
    "one --shape 2 --rows 3": ["--rows would have no effect on users.py:one"],
    "one --shape 2 --features 3 --rows 3": ["--rows and --features would have no effect"],
    "one --shape 2 --rankdir LR": ["--rankdir would have no effect on text"],
    "embedding --shape 3": ["users.py:embedding failed"],
    "embedding --input 0,9": ["users.py:embedding failed"],
}


@pytest.mark.parametrize("command", ["graph", "explore"])
@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_get_a_message(command: str, words: str, users: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "rankdir" in words and command == "explore":
        words, expected = words.replace("--rankdir LR", "--dir x"), ["--dir would have no effect"]
    else:
        expected = MISTAKES[words]
    name, *options = words.split()
    assert main([command, f"users.py:{name}", *options]) == 2
    said = capsys.readouterr()
    for part in expected:
        assert part in said.err
    assert "Traceback" not in said.err
    assert os.listdir(users) in (["users.py"], ["__pycache__", "users.py"], ["users.py", "__pycache__"])


@pytest.mark.parametrize(
    "words",
    ["--seed -1", "--seed x", "--seed 1.5", "--shape=-1,3", "--shape 2,x", "--shape 3:complex",
     "--shape 1000000000,100000", "--shape 99999999999999999999", "--input 1,x", "--input 1,2;3", "--input no.npy",
     "--input 1e400x", "--depth -1", "--max-nodes 0", "--rankdir UP", "--view side"],
)  # fmt: skip
def test_options_that_mean_nothing(words: str, users: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["graph", "users.py:one", *words.split()])
    assert stopped.value.code == 2
    assert words.split("=")[0].split()[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["bn --shape 2", "bn --input 1,2", "examples --rows 2", "examples -o a.html", "examples --seed 1", "examples --shape 2"],
)  # fmt: skip
def test_options_of_another_target(words: str, users: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", *words.split()]) == 2
    assert "would have no effect" in capsys.readouterr().err


# -- what can be drawn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [("one --shape 2", "x · 2"), ("none", "v1 · 2"), ("default --shape 2", "x · 2"), ("loss", "Σ v2"),
     ("pair --shape 2", "x + 1"), ("same --shape 2", "x · 2"), ("table --shape 2", "logits"), ("nested --shape 2", "x - 1"),
     ("record --shape 2", "loss"), ("named --shape 2", "second"), ("embedding --input 0,2,1", "weight"),
     ("embedding --shape 3:int", "weight"), ("embedding --input 0,1;2,3", "weight"), ("one --input 0.5,-2", "0.5  -2"),
     ("one --input data.npy", "7.25"), ("two --shape 2,3 --input 1,0;0,1;1,1", "x0"),
     ("pair --view scalar --shape 2", "x[1]"), ("table --view scalar --shape 2", "x[1]")],
)  # fmt: skip
def test_programs_of_every_form(words: str, expected: str, users: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(users / "data.npy", np.array([7.25, 1.0]))
    name, *options = words.split()
    assert main(["graph", f"users.py:{name}", *options]) == 0, capsys.readouterr().err
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("convert", "text", "expected"),
    [("shape", "2,3", ("float64", (2, 3))), ("shape", "2:float32", ("float32", (2,))), ("shape", "", ("float64", ())),
     ("shape", " 2 , 3 :int", ("int64", (2, 3))), ("shape", "4:bool", ("bool", (4,))), ("shape", "0,3", ("float64", (0, 3))),
     ("numbers", "1,2", [1, 2]), ("numbers", "-1;+2", [[-1], [2]]), ("numbers", "1,2.5", [1.0, 2.5]), ("numbers", "7", [7]),
     ("numbers", "1e3,nan", [1000.0, np.nan]), ("numbers", "true.npy", [True, False])],
)  # fmt: skip
def test_arguments_as_they_are_written(convert: str, text: str, expected: object, users: Path) -> None:
    np.save("true.npy", np.array([True, False]))
    array = getattr(inputs, convert)(text)(np.random.default_rng(0))
    if convert == "shape":
        assert (array.dtype.name, array.shape) == expected
        assert array.dtype.kind == "f" or set(array.ravel().tolist()) <= {0, 1}
    else:
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.asarray(expected).dtype


def test_several_outputs_each_get_a_cotangent(users: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = users / "out.json"
    assert main(["graph", "users.py:table", "--shape", "2", "-o", str(file)]) == 0
    nodes = {node["name"]: node for node in json.loads(file.read_text())["nodes"] if node.get("name")}
    assert {"logits", "loss", "x"} <= set(nodes)


PACKAGE = {
    "outer/__init__.py": "",
    "outer/inner/__init__.py": "from .layers import Twice\n",
    "outer/inner/layers.py": "from tinygrad_bn import nn\nfrom ..helpers import TWO\n\n\nclass Twice(nn.Module):\n"
    "    def forward(self, x):\n        return x * TWO\n",
    "outer/helpers.py": "TWO = 2.0\n",
    "json.py": "def f(x):\n    return x * 3\n",
    "my-model.py": "from sibling import three\n\n\ndef f(x):\n    return three(x)\n",
    "sibling.py": "def three(x):\n    return x * 3\n",
}


@pytest.mark.parametrize(
    ("target", "expected"),
    [("outer/inner/layers.py:Twice", "x · 2"), ("outer/inner/__init__.py:Twice", "x · 2"),
     ("outer.inner.layers:Twice", "x · 2"), ("outer.inner:Twice", "x · 2"), ("json.py:f", "x · 3"),
     ("my-model.py:f", "x · 3"), ("./sibling.py:three", "x · 3"), ("sibling:three", "x · 3")],
)  # fmt: skip
def test_modules_of_packages_and_names_of_every_kind(target: str, expected: str, tmp_path: Path) -> None:
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = command(["graph", target, "--shape", "2"], tmp_path)
    assert expected in done.stdout, done.stderr
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("source", "message"),
    [("def f(:\n", "SyntaxError"), ("import sys\nsys.exit(1)\n", "ended the program"), ("import nowhere\n", "nowhere"),
     ("raise KeyError('a\\x1b[2Jb')\n", "KeyError"), ("x = 'ä'".encode("latin-1"), "SyntaxError"), (b"\0\0", "Error")],
)  # fmt: skip
def test_files_that_do_not_run(source: object, message: str, tmp_path: Path) -> None:
    data = source if isinstance(source, bytes) else str(source).encode()
    (tmp_path / "bad.py").write_bytes(data)
    done = command(["graph", "bad.py:f", "--shape", "2"], tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


# -- output ---------------------------------------------------------------------------------------------------------------

RUN = [sys.executable, "-c", "import sys; from tinygrad_bn.cli import main; sys.exit(main())"]


def command(words: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root, **environment}
    return subprocess.run([*RUN, *words], cwd=folder, env=env, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "utf-8", "utf-16"])
@pytest.mark.parametrize(
    "words", ["graph bn", "graph bn --view reduced", "graph", "graph é→:f", "explore bn -o é→.html"]
)
def test_any_encoding_of_the_output(encoding: str, words: str, tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    done = subprocess.run([*RUN, *words.split()], cwd=tmp_path, env=env, capture_output=True)
    out, err = (stream.decode(encoding) for stream in (done.stdout, done.stderr))
    assert "Traceback" not in err
    assert done.returncode == (2 if words in ("graph", "graph é→:f") else 0)
    if words == "graph bn --view reduced":
        assert "∂x" in out or "\\u2202x" in out


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "> /dev/full", "2> /dev/full", "| head -c 1"])
@pytest.mark.parametrize("words", ["graph bn", "graph nothing", "--version", "graph --help", "explore bn -o a.html"])
def test_an_output_that_takes_nothing(closed: str, words: str, tmp_path: Path) -> None:
    line = f'"{RUN[0]}" -c "{RUN[2]}" {words} {closed}'
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if closed == "> /dev/full" and words in ("graph bn", "explore bn -o a.html"):
        assert done.returncode == 2
        assert "No space left" in done.stderr
    elif closed == ">&-" and words != "graph nothing":
        assert done.returncode == 0
    if words == "explore bn -o a.html":
        assert (tmp_path / "a.html").exists()


def test_after_a_page_is_written_one_knows_what_to_do_with_it(users: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", "users.py:one", "--shape", "2"]) == 0
    assert capsys.readouterr().out == "wrote explore.html; open it in a browser\n"
    assert main(["explore", "bn", "-o", "bn.html"]) == 0
    assert "open it in a browser" in capsys.readouterr().out
    assert main(["explore", "examples", "--dir", "pages"]) == 0
    assert capsys.readouterr().out.endswith("open them in a browser\n")
    assert len(os.listdir(users / "pages")) == 5


def test_a_core_install_says_what_brings_the_rest(users: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr("tinygrad_bn.graph.layout.programs", lambda kind: [])
    assert main(["graph", "bn", "-o", "a.svg"]) == 2
    assert "pip install 'tinygrad-bn[draw]'" in capsys.readouterr().err
    assert main(["graph", "bn"]) == 0
    assert main(["explore", "bn"]) == 0  # the page lays itself out
    monkeypatch.setitem(sys.modules, "graphviz", None)
    assert main(["graph", "bn", "-o", "a.dot"]) == 2
    assert "pip install graphviz" in capsys.readouterr().err


def test_a_function_that_fails_is_drawn_as_far_as_it_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "broken.py"
    file.write_text("from tinygrad_bn import nn\nnet = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(3, 1))\n")
    assert main(["graph", f"{file}:net", "--shape", "4,3", "-o", str(tmp_path / "broken.svg")]) == 2
    shown = capsys.readouterr()
    assert "Linear failed in Sequential / 2" in shown.out
    assert "wrong input size" in shown.err
    assert "#B00020" in (tmp_path / "broken.svg").read_text().upper()
    assert main(["graph", f"{file}:missing", "--shape", "4,3", "-o", str(tmp_path / "none.svg")]) == 2
    assert not (tmp_path / "none.svg").exists()


def test_the_incoming_gradient_of_bn_is_that_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "bn"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split("  ")[0] == "y = v3 + β"
    assert last.endswith("1  0  0  0")


def test_a_slide_and_a_sharp_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bn.png"
    assert main(["graph", "bn", "--slide", "--scale", "0.5", "--close", "BatchNorm1d/mean", "-o", str(file)]) == 0
    assert int.from_bytes(file.read_bytes()[16:20], "big") == 960
    for words in (
        ["--slide"],
        ["--scale", "2", "-o", str(tmp_path / "bn.svg")],
        ["--slide", "--rankdir", "LR", "-o", str(file)],
    ):
        assert main(["graph", "bn", *words]) == 2
    assert capsys.readouterr().err.count("would have no effect") == 3


@pytest.mark.parametrize("command", ["graph", "explore", "compile", "export"])
@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        ("return x", (), "m.py:f: missing a required argument: 'x'"),
        ("return x", ("--shape=3", "--shape=3"), "m.py:f: too many positional arguments"),
        ("raise KeyError(3)", ("--shape=3",), "m.py:f failed: KeyError: 3"),
        ("import sys; sys.exit(3)", ("--shape=3",), "m.py:f ended the program"),
    ],
)
def test_no_command_shows_its_own_lines_for_a_mistake_of_the_user(
    command: str,
    body: str,
    options: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if command == "export":
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(f"def f(x):\n    {body}\n")
    output = () if command != "graph" else ("-o", "f.dot")
    assert main([command, "m.py:f", *options, *output]) == 2
    assert said in capsys.readouterr().err
