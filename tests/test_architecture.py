"""The house stands as docs/architecture.md says: floors import downwards, the engine knows no operation and stays small.

The page is the specification: floors, reading order and exceptions are read from it.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tinygrad_bn"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

ENGINE_BUDGET = 620  # lines of code in variable.py, primitive.py and sweep.py together
FOLDER_BUDGET = 1640  # lines of code in all of engine/

Sources = dict[str, str]


class Import(NamedTuple):
    """One imported name: from which module to which, where it stands and how."""

    source: str
    target: str
    line: int
    in_function: bool
    for_types_only: bool

    def __str__(self) -> str:
        return f"{self.source}, line {self.line}, imports {self.target}"


def sources() -> Sources:
    """Dotted module name to text, for the whole package; a package stands under its own name."""
    found = {}
    for file in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.read_text(encoding="utf-8")
    return found


def packages(known: Sources) -> set[str]:
    return {name for name in known if any(other.startswith(f"{name}.") for other in known)}


def imports(known: Sources) -> list[Import]:
    """All imports, those of other libraries under their top name."""
    return _imports(tuple(known.items()))


@cache
def _imports(items: tuple[tuple[str, str], ...]) -> list[Import]:
    known = dict(items)
    inner = packages(known)
    return [found for name in known for found in _imports_of(name, known, inner)]


parsed = cache(ast.parse)


def _imports_of(name: str, known: Sources, inner: set[str]) -> Iterator[Import]:
    def walk(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = in_function or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            types = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
            if isinstance(child, ast.Import):
                for alias in child.names:
                    own = alias.name.split(".")[0] == PACKAGE
                    target = alias.name if own else alias.name.split(".")[0]
                    yield Import(name, target, child.lineno, inside, types)
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    yield Import(name, _target(name, child, alias.name, known, inner), child.lineno, inside, types)
            else:
                yield from walk(child, inside, types)

    yield from walk(parsed(known[name]), False, False)


def _target(name: str, node: ast.ImportFrom, alias: str, known: Sources, inner: set[str]) -> str:
    if node.level:
        base = name.split(".") if name in inner else name.split(".")[:-1]
        base = base[: len(base) - node.level + 1]
        module = ".".join([*base, *([node.module] if node.module else [])])
    else:
        module = node.module or ""
        if module.split(".")[0] != PACKAGE:
            return module.split(".")[0]
    return f"{module}.{alias}" if f"{module}.{alias}" in known else module


# -- what the page says -------------------------------------------------------------------------------------------------


def text_after(marker: str) -> str:
    """The first fenced block after a line of the page that contains ``marker``."""
    found = re.search(rf"{re.escape(marker)}.*?```text\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, f"docs/architecture.md has lost its block after {marker!r}"
    return found[1]


def floors() -> dict[str, int]:
    """Room to floor; several rooms of one floor are separated by commas."""
    rows = re.findall(r"^ *(\d+)  +([^\s,]+(?:, [^\s,]+)*)", text_after("## Floors"), re.MULTILINE)
    return {room: int(number) for number, rooms in rows for room in rooms.split(", ")}


def reading_order() -> list[str]:
    return [name.strip() for name in text_after("each file imports only files to its left").split("<-")]


def documented_exceptions() -> set[tuple[str, str]]:
    rows = re.findall(r"^(\S+) -> (\S+)", text_after("## Exceptions"), re.MULTILINE)
    return {(f"{PACKAGE}.{a}", f"{PACKAGE}.{b}") for a, b in rows}


def documented_libraries() -> dict[tuple[str, str], bool]:
    """(room, library) to whether the library is optional."""
    rows = re.findall(r"^(\S+) -> (\S+) +(.*)", text_after("each in one room"), re.MULTILINE)
    return {(room, library): "optional" in remark for room, library, remark in rows}


FLOORS = floors()
EXCEPTIONS = documented_exceptions()


def room_of(module: str) -> str:
    """The longest room on the plan that a module lies in; the package's own ``__init__`` is a room by itself."""
    if module == PACKAGE:
        return PACKAGE
    parts = module.split(".")[1:]
    fitting = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((room for room in fitting if room in FLOORS), ".".join(parts[:1]))


# -- rules, as functions of sources, so that they can be tried on planted ones ---------------------------------------------


def own(known: Sources) -> list[Import]:
    return [found for found in imports(known) if found.target.split(".")[0] == PACKAGE]


def from_above(known: Sources) -> list[str]:
    """Imports that do not go down: to a higher floor, or to another room on the same one."""
    bad = []
    for found in own(known):
        here, there = room_of(found.source), room_of(found.target)
        planned = here in FLOORS and there in FLOORS  # what is not planned is reported by a test of its own
        if here != there and planned and FLOORS[there] >= FLOORS[here]:
            bad.append(str(found))
    return bad


def cycles(known: Sources) -> list[str]:
    """A cycle of imports, wherever they stand, without the documented exceptions and those for types only."""
    graph: dict[str, set[str]] = {name: set() for name in known}
    for found in own(known):
        if not found.for_types_only and (found.source, found.target) not in EXCEPTIONS and found.source != found.target:
            graph[found.source].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def foreign(known: Sources) -> set[tuple[str, str]]:
    """(room, library) for every library that is neither this one nor Python's own."""
    return {
        (room_of(found.source), found.target)
        for found in imports(known)
        if found.target.split(".")[0] != PACKAGE and found.target not in sys.stdlib_module_names
    }


def primitives(known: Sources) -> set[tuple[str, str]]:
    """(module, name) of primitives made outside of the rooms for them."""
    found = set()
    for module, text in known.items():
        if room_of(module) == "ops.primitives":
            continue
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Primitive":
                name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "?"
                found.add((module.removeprefix(f"{PACKAGE}."), str(name)))
    return found


def added_from_afar(known: Sources) -> list[str]:
    """Assignments to attributes of the variable classes from outside of their class body."""
    return [f"{module}: {patch}" for module, text in known.items() for patch in _patches(parsed(text))]


def _patches(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else []:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) in VARIABLES:
                yield ast.unparse(target)
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "setattr"
            and ast.unparse(node.args[0]) in VARIABLES
        ):
            yield ast.unparse(node)


VARIABLES = {"Variable", "Arithmetic", "Scalar", "Tensor", "Parameter"}


def code_lines(text: str) -> int:
    """Lines with code on them; docstrings, comments and blank lines do not count."""
    docstrings: set[int] = set()
    for node in ast.walk(parsed(text)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            docstrings.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


# -- the house as it stands ---------------------------------------------------------------------------------------------


def test_every_room_is_on_the_plan() -> None:
    rooms = {room_of(module) for module in sources()}
    assert not rooms - set(FLOORS), "new rooms: give each a line in docs/architecture.md, section Floors"
    assert not set(FLOORS) - rooms, "docs/architecture.md, section Floors, lists rooms that are not there"


def test_no_floor_imports_from_above() -> None:
    assert not from_above(sources())


def test_engine_reads_in_the_given_order() -> None:
    order = reading_order()
    files = {f"{PACKAGE}.engine.{name}": i for i, name in enumerate(order)}
    known = sources()
    assert set(files) | {f"{PACKAGE}.engine"} == {name for name in known if room_of(name) == "engine"}
    for found in own(known):
        if found.source in files and found.target in files and (found.source, found.target) not in EXCEPTIONS:
            assert files[found.target] < files[found.source], found


def test_no_cycle_but_the_documented_ones() -> None:
    assert not cycles(sources())


def test_documented_exceptions_are_there_and_needed() -> None:
    upward = {(f.source, f.target) for f in own(sources()) if f.in_function or f.for_types_only}
    assert upward >= EXCEPTIONS
    for exception in EXCEPTIONS:
        assert _closes_a_cycle(exception)


def _closes_a_cycle(edge: tuple[str, str]) -> bool:
    """Whether the target of ``edge`` imports its source, directly or through others."""
    graph: dict[str, set[str]] = {}
    for found in own(sources()):
        if not found.for_types_only:
            graph.setdefault(found.source, set()).add(found.target)
    waiting = [edge[1]]
    for module in waiting:
        waiting += [target for target in graph.get(module, ()) if target not in waiting]
    return edge[0] in waiting


def test_other_libraries_are_those_on_the_page() -> None:
    documented = documented_libraries()
    assert {pair for pair in foreign(sources()) if pair[1] != "numpy"} == set(documented)


def test_the_package_does_without_the_optional_libraries() -> None:
    optional = sorted(library for (_, library), is_optional in documented_libraries().items() if is_optional)
    assert optional
    hide = f"import sys; sys.modules.update(dict.fromkeys({optional}))"  # importing them raises ImportError now
    use = "import tinygrad_bn.cli, tinygrad_bn as tg; x = tg.Scalar(2.0); (x * x).backward(); print(x.grad.data)"
    done = subprocess.run([sys.executable, "-c", f"{hide}; {use}"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "4.0\n"), done.stderr


def test_pictures_are_made_of_snapshots() -> None:
    readers = {f"{PACKAGE}.graph.{name}" for name in ("tracing", "outputs", "failure", "steps", "rules")}
    others = [f for f in own(sources()) if room_of(f.source) == "graph" and f.source not in readers]
    from_package = {f"{PACKAGE}.graph": f"{PACKAGE}.engine.sweep"}  # which hands on a name of the engine's
    targets = {f.target for f in others if room_of(f.target) != "graph" and f.target != from_package.get(f.source)}
    assert targets == {f"{PACKAGE}.errors", f"{PACKAGE}.files", f"{PACKAGE}.drawing"}
    assert len({f.source for f in others}) > 3


def test_primitives_are_where_the_page_says() -> None:
    assert primitives(sources()) == {
        ("engine.unbroadcast", "broadcast_to"),
        ("engine.unbroadcast", "sum_to"),
        ("engine.unbroadcast", "astype"),
        ("parallel.collectives", "all_reduce"),
        ("parallel.collectives", "all_reduce_max"),
        ("parallel.collectives", "broadcast"),
        ("parallel.collectives", "all_gather"),
        ("parallel.collectives", "reduce_scatter"),
        ("exercises.unbroadcast", "stretch"),
    }


def test_a_reader_of_tensor_finds_every_operator_there() -> None:
    allowed = {f"{PACKAGE}.tensor: Scalar.kind", f"{PACKAGE}.tensor: Tensor.kind"}
    assert set(added_from_afar(sources())) == allowed


def test_engine_stays_within_its_budget() -> None:
    known = sources()
    core = {name: code_lines(known[f"{PACKAGE}.engine.{name}"]) for name in ("variable", "primitive", "sweep")}
    folder = sum(code_lines(text) for name, text in known.items() if room_of(name) == "engine")
    assert sum(core.values()) <= ENGINE_BUDGET, core
    assert folder <= FOLDER_BUDGET
    assert f"{ENGINE_BUDGET} lines of code" in PAGE
    assert f"{FOLDER_BUDGET} lines of code" in PAGE


# -- the rules can be broken --------------------------------------------------------------------------------------------

PLANTED = {
    "tinygrad_bn": "",
    "tinygrad_bn.engine": "",
    "tinygrad_bn.engine.sweep": "import torch\n\n\ndef f():\n    from ..ops import primitives\n",
    "tinygrad_bn.ops.primitives": "",
    "tinygrad_bn.ops.primitives.add": "from ...engine import sweep\n",
    "tinygrad_bn.ops.primitives.compare": "from .add import add\nfrom ... import engine\n",
    "tinygrad_bn.functional.norms": "from ..nn import Module\nfrom ..engine import Variable\nimport tinygrad_bn\n",
    "tinygrad_bn.nn": "from .norms import Norm\n",
    "tinygrad_bn.nn.norms": (
        "from ..engine import Primitive\n"
        "batch_norm = Primitive('batch_norm', f)\n"
        "Tensor.batch_norm = batch_norm\n"
        "setattr(Tensor, 'norm', batch_norm)\n"
    ),
}


def test_imports_from_above_are_found() -> None:
    assert from_above(PLANTED) == [
        "tinygrad_bn.engine.sweep, line 5, imports tinygrad_bn.ops.primitives",
        "tinygrad_bn.functional.norms, line 1, imports tinygrad_bn.nn",
        "tinygrad_bn.functional.norms, line 3, imports tinygrad_bn",
    ]


def test_rooms_of_one_floor_do_not_import_each_other() -> None:
    assert FLOORS["transforms"] == FLOORS["gradcheck"]
    planted = {
        "tinygrad_bn": "",
        "tinygrad_bn.gradcheck": "from .transforms import grad\n",
        "tinygrad_bn.transforms": "",
    }
    assert from_above(planted) == ["tinygrad_bn.gradcheck, line 1, imports tinygrad_bn.transforms"]


def test_a_cycle_inside_a_function_is_found() -> None:
    planted = {**PLANTED, "tinygrad_bn.ops.primitives": "def f():\n    from .compare import add\n"}
    planted["tinygrad_bn.ops.primitives.add"] = "from . import f\n"
    assert {name.split(".")[-1] for name in cycles(planted)} == {"primitives", "compare", "add"}
    assert not cycles(PLANTED)


def test_other_libraries_primitives_and_patches_are_found() -> None:
    assert foreign(PLANTED) == {("engine", "torch")}
    assert primitives(PLANTED) == {("nn.norms", "batch_norm")}
    assert added_from_afar(PLANTED) == [
        "tinygrad_bn.nn.norms: Tensor.batch_norm",
        "tinygrad_bn.nn.norms: setattr(Tensor, 'norm', batch_norm)",
    ]


def test_lines_of_code_are_counted() -> None:
    text = '"""Doc."""\n\n# comment\nx = [\n    1,\n]\n\n\ndef f(a):\n    """Doc\n    string."""\n    return a\n'
    assert code_lines(text) == 5  # three of the list, the def, the return
    assert code_lines("a = 1; b = 2\n") == 1
    assert code_lines("if a:\n    pass\n") == 2


def test_a_new_room_is_missed() -> None:
    assert room_of("tinygrad_bn.quantum.bits") not in FLOORS
