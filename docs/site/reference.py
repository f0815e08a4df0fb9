"""The reference: a page for each room and one for each public name, which autodoc fills from signatures and docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import names
import sources

import tinygrad_bn
from tinygrad_bn import Primitive

# The rooms in reading order.  A name that several rooms have is described in the first of them.
ROOMS = {
    "tinygrad_bn": "Variables, gradients and transforms",
    "tinygrad_bn.ops": "Operations",
    "tinygrad_bn.ops.linalg": "Matrices",
    "tinygrad_bn.functional": "Formulas and losses",
    "tinygrad_bn.nn": "Layers",
    "tinygrad_bn.nn.init": "Initial values",
    "tinygrad_bn.optim": "Optimizers and schedules",
    "tinygrad_bn.data": "Data",
    "tinygrad_bn.train": "Training and checkpoints",
    "tinygrad_bn.program": "Programs",
    "tinygrad_bn.compiler": "Compiled programs",
    "tinygrad_bn.parallel": "Several processes",
    "tinygrad_bn.onnx": "ONNX files",
    "tinygrad_bn.graph": "Graphs and pictures",
    "tinygrad_bn.explorer": "The explorer",
    "tinygrad_bn.testing": "Checking layers and primitives",
    "tinygrad_bn.engine": "The engine",
    "tinygrad_bn.errors": "Errors",
    "tinygrad_bn.kinds": "Types in signatures",
}
GROUPS = ("Classes", "Functions", "Errors and warnings", "Values")
CALL = re.compile(r"``\w+(\([^`]*\))``[,:]?\s*")
LITERAL = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`)", re.DOTALL)
MEANS_SOMETHING = re.compile(r"\||(?<=\w)_(?!\w)|(?<![*\\\w])\*(?=[\w.,;)])(?![^*\n]*\S\*)")
ALIAS = re.compile(r"TypeAliasForwardRef\('([\w.]+)'\)")  # how Sphinx writes an alias within a union
KIND = re.compile(r"^(\w+): TypeAlias = (.+?)  # (.+)$", re.MULTILINE)


# -- what there is ------------------------------------------------------------------------------------------------------


def public(room: Any) -> list[str]:
    """The public names of a room that are not rooms themselves."""
    listed = getattr(room, "__all__", None)
    if listed is None:
        listed = [
            name for name, value in vars(room).items()
            if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == room.__name__
        ]  # fmt: skip
    return sorted((name for name in listed if not inspect.ismodule(getattr(room, name))), key=str.lower)


@cache
def places() -> dict[tuple[str, str], str]:
    """(room, name) to the full name under which it is described."""
    found: dict[tuple[str, str], str] = {}
    first: dict[int, str] = {}
    for module in ROOMS:
        room = importlib.import_module(module)
        for name in names.KINDS if module == "tinygrad_bn.kinds" else public(room):
            value = getattr(room, name)
            own = f"{module}.{name}"
            found[module, name] = own if module == "tinygrad_bn.kinds" else first.setdefault(id(value), own)
    return found


def group(value: Any) -> str:
    """Under which heading of its room something stands."""
    if inspect.isclass(value):
        return GROUPS[2] if issubclass(value, BaseException) else GROUPS[0]
    return GROUPS[1] if callable(value) else GROUPS[3]


@cache
def classes() -> set[type]:
    """All that have a page."""
    return {value for value in map(resolved, places().values()) if inspect.isclass(value)}


@cache
def members(kind: type) -> list[str]:
    """What a class defines, with what it has from bases that are not public themselves."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base is kind or (base.__module__.startswith("tinygrad_bn") and base not in classes()):
            found |= vars(base)
    return [
        name for name, value in found.items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | staticmethod | classmethod))
        and inspect.getdoc(getattr(kind, name))
    ]  # fmt: skip


def resolved(path: str) -> Any:
    """What stands under a full name."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


# -- pages --------------------------------------------------------------------------------------------------------------


def write_all(source: Path) -> None:
    """Write every page of the reference below ``source``."""
    folder = source / "reference"
    folder.mkdir(parents=True)
    for name, text in {**rooms(), **entries()}.items():
        (folder / f"{name}.rst").write_text(text, encoding="utf-8")


def rooms() -> dict[str, str]:
    """The page of all rooms, and the page of each."""
    listed = "\n".join(f"   {module}" for module in ROOMS)
    rows = [f"* - :doc:`{title} <{module}>`\n  - ``{module}``\n  - {first_line(importlib.import_module(module))}"
            for module, title in ROOMS.items()]  # fmt: skip
    pages = {
        "index": f"{headed('Reference')}Everything public, room by room.\n\n{table(rows)}\n"
        f".. toctree::\n   :hidden:\n\n{listed}\n"
    }
    for module, title in ROOMS.items():
        parts = [headed(title), f".. automodule:: {module}\n\n"]
        grouped: dict[str, list[str]] = {}
        for (room, name), place in places().items():
            if room == module:
                grouped.setdefault(group(resolved(place)), []).append(row(name, place))
        kinds = module == "tinygrad_bn.kinds"
        parts += [
            headed(heading, "-") + table(grouped[heading]) for heading in GROUPS if heading in grouped and not kinds
        ]
        pages[module] = "".join(parts) + (kind_entries() if kinds else "")
    return pages


def row(name: str, place: str) -> str:
    """A line in the table of a room: the name, as it is called, and the first sentence."""
    value = resolved(place)
    call = written_call(value)
    return f"* - :py:obj:`{name}{call} <{place}>`\n  - {first_line(value)}"


def entries() -> dict[str, str]:
    """The page of each name."""
    pages = {}
    for (module, name), place in places().items():
        if place != f"{module}.{name}" or module == "tinygrad_bn.kinds":
            continue
        value = resolved(place)
        head = f":orphan:\n:room: {module}\n\n{headed(name)}.. container:: above\n\n   :doc:`{ROOMS[module]} <{module}>`\n\n"
        pages[place] = head + directive(place, value)
    return pages


def directive(place: str, value: Any) -> str:
    """What autodoc is to describe."""
    if not inspect.isclass(value):
        return f".. {'autofunction' if callable(value) else 'autodata'}:: {place}\n"
    if issubclass(value, BaseException):
        return f".. autoexception:: {place}\n   :show-inheritance:\n"
    options = "   :show-inheritance:\n"
    if members(value):
        options += f"   :members: {', '.join(members(value))}\n   :inherited-members:\n   :member-order: bysource\n"
    return f".. autoclass:: {place}\n{options}"


def kind_entries() -> str:
    """The names of types, with what the source says beside them."""
    found = KIND.findall(Path(tinygrad_bn.kinds.__file__).read_text(encoding="utf-8"))
    if tuple(name for name, _, _ in found) != names.KINDS:
        raise ValueError(
            f"docs/site/names.py lists {names.KINDS}, tinygrad_bn/kinds.py has {[name for name, _, _ in found]}"
        )
    return "".join(
        f".. py:data:: {name}\n   :module: tinygrad_bn.kinds\n\n   ``{value}``: {says}.\n\n"
        for name, value, says in found
    )


def headed(title: str, line: str = "=") -> str:
    """A heading of reStructuredText."""
    title = plain(title)
    return f"{title}\n{line * len(title)}\n\n"


def table(rows: list[str]) -> str:
    """A table of rows without a head."""
    body = "\n".join(f"   {line}" for row in rows for line in row.splitlines())
    return f".. list-table::\n   :class: names\n   :widths: auto\n\n{body}\n\n"


def first_line(value: Any) -> str:
    """The first paragraph of a docstring, without the call that it may begin with."""
    text = CALL.sub("", described(value), count=1)
    return plain(" ".join(text.partition("\n\n")[0].split())) or "."


def described(value: Any) -> str:
    """The docstring of a thing itself, not that of its type."""
    if not (callable(value) or inspect.ismodule(value)):
        return f"``{value!r}``"
    return inspect.getdoc(value) or ""


def written_call(value: Any) -> str:
    """How a primitive is called, which its docstring begins with."""
    match = CALL.match(described(value)) if isinstance(value, Primitive) else None
    return match[1] if match else ""


def plain(text: str) -> str:
    """Text in which no sign but ``code`` means anything: |x|, a_ and 2 * b are what they look like."""
    parts = LITERAL.split(text)
    for i in range(0, len(parts), 2):  # between pieces of code
        parts[i] = MEANS_SOMETHING.sub(r"\\\g<0>", parts[i])
        if i and parts[i][:1].isalnum():
            parts[i] = "\\ " + parts[i]  # code may be followed by a letter
    return "".join(parts)


def plain_docstring(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """The same for the paragraphs of a docstring, as napoleon left them; examples stay as they are."""
    paragraphs = "\n".join(lines).split("\n\n")
    example = [text.lstrip().startswith((">>>", "..")) for text in paragraphs]
    quoted = [
        before.rstrip().endswith("::") and text.startswith(" ") for before, text in zip(["", *paragraphs], paragraphs)
    ]
    kept = [text if example[i] or quoted[i] else plain(text) for i, text in enumerate(paragraphs)]
    lines[:] = "\n\n".join(kept).split("\n")


# -- what autodoc asks --------------------------------------------------------------------------------------------------


def sign(app: Any, what: str, name: str, value: Any, options: Any, signature: str | None, returns: str | None) -> Any:
    """A primitive has the signature that its docstring begins with, since its own says ``*args``; aliases have their names."""
    if isinstance(value, Primitive):
        return written_call(value), None
    return tuple(text and ALIAS.sub(r"\1", text) for text in (signature, returns))


def source_of(module: str, path: str) -> str | None:
    """Address of the lines that make a public thing, from a page of the reference."""
    if not path or module == "tinygrad_bn.kinds":
        return None
    value: Any = importlib.import_module(module)
    for part in path.split("."):
        value = inspect.getattr_static(value, part, None) if inspect.isclass(value) else getattr(value, part, None)
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, Primitive):
        place = primitives().get(id(value))
    else:
        try:
            value = inspect.unwrap(value)
            place = (inspect.getsourcefile(value), inspect.getsourcelines(value)[1])
        except (TypeError, OSError):  # a plain value, or an attribute of instances
            place = None
    if place is None or place[0] is None or not Path(place[0]).is_relative_to(sources.ROOT):
        return None
    file = Path(place[0]).relative_to(sources.ROOT).as_posix()
    return f"../{sources.page_of(file)}.html#L{place[1]}"


@cache
def primitives() -> dict[int, tuple[str, int]]:
    """Where each primitive is assigned to its name."""
    found = {}
    for folder in ("ops/primitives", "engine", "parallel"):
        for file in sorted((Path(tinygrad_bn.__file__).parent / folder).glob("*.py")):
            module = importlib.import_module(f"tinygrad_bn.{folder.replace('/', '.')}.{file.stem}")
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                targets = getattr(node, "targets", None) or [getattr(node, "target", None)]  # one, if annotated
                for target in targets:
                    value = vars(module).get(target.id) if isinstance(target, ast.Name) else None
                    if isinstance(value, Primitive):
                        found.setdefault(id(value), (str(file), node.lineno))
    return found


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", sign)
    app.connect("autodoc-process-docstring", plain_docstring, priority=600)  # napoleon is at 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
