"""Writes ``docs/reference.md``, the reference of everything public, from the docstrings: ``python docs/make_reference.py``."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import tinygrad_bn
from tinygrad_bn import Primitive
from tinygrad_bn.files import write_whole

# module: (heading, names); without names the module's own __all__
ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tinygrad_bn": ("Variables, gradients and transforms", ()),
    "tinygrad_bn.ops": ("Operations", ()),
    "tinygrad_bn.ops.linalg": ("Matrices", ()),
    "tinygrad_bn.functional": ("Formulas and losses", ()),
    "tinygrad_bn.nn": ("Layers", ()),
    "tinygrad_bn.nn.init": ("Initial values", ()),
    "tinygrad_bn.optim": ("Optimizers and schedules", ()),
    "tinygrad_bn.data": ("Data", ()),
    "tinygrad_bn.train": ("Training and checkpoints", ()),
    "tinygrad_bn.program": ("Programs", ()),
    "tinygrad_bn.graph": ("Graphs and pictures", ()),
    "tinygrad_bn.explorer": ("The explorer", ()),
    "tinygrad_bn.testing": ("Checking layers and primitives", ()),
    "tinygrad_bn.errors": ("Errors", ()),
}
SECTIONS = ("Args:", "Returns:", "Raises:", "Attributes:", "Warns:", "Shapes:", "Yields:")


def reference() -> str:
    """The whole page."""
    parts = [
        "# Reference",
        "Everything public, room by room, written from the docstrings by `python docs/make_reference.py`.",
        "\n".join(f"- [{heading}](#{_anchor(heading)}): `{module}`" for module, (heading, _) in ROOMS.items()),
    ]
    for module, (heading, names) in ROOMS.items():
        room = importlib.import_module(module)
        parts += [f"## {heading}", f"`{module}`: {_first_line(room)}"]
        for name in names or sorted(_public(room), key=str.lower):
            value = getattr(room, name)
            if not inspect.ismodule(value):
                parts += _entry(name, value)
    return "\n\n".join(parts) + "\n"


def _public(room: Any) -> list[str]:
    if hasattr(room, "__all__"):
        return list(room.__all__)
    return [
        name
        for name, value in vars(room).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == room.__name__ and callable(value)
    ]


def _entry(name: str, value: Any) -> list[str]:
    parts = [f"### `{name}{_signature(value)}`", _markdown(inspect.getdoc(value) or "")]
    if inspect.isclass(value) and not issubclass(value, BaseException):
        for method, function in _members(value).items():
            if method.startswith("_") or not (inspect.isfunction(function) or isinstance(function, property)):
                continue
            text = inspect.getdoc(function)
            if text:
                signature = "" if isinstance(function, property) else _signature(function)
                parts += [f"#### `{name}.{method}{signature}`", _markdown(text)]
    return parts


def _members(kind: type) -> dict[str, Any]:
    """What a class defines, with what it has from bases that are not public themselves."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base is kind or (base.__module__.startswith("tinygrad_bn") and not hasattr(tinygrad_bn, base.__name__)):
            found |= vars(base)
    return found


def _signature(value: Any) -> str:
    if isinstance(value, Primitive):
        return ""  # its docstring begins with the call
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    plain = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in signature.parameters.values()
        if p.name not in ("self", "cls")
    ]
    return str(inspect.Signature(plain))


def _first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").partition("\n")[0].replace("``", "`")


def _markdown(text: str) -> str:
    """Sections as bold words, their entries as lists, ``code`` as `code`; examples stay as they are."""
    lines: list[str] = []
    section = False
    for line in text.replace("``", "`").splitlines():
        if line.strip() in SECTIONS and not line.startswith(" "):
            section = True
            lines += ["", f"**{line.strip()}**", ""]
        elif section and re.match(r" {4}\S", line):
            lines.append(f"- {line.strip()}")
        elif section and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            section = section and not line.strip()
            lines.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    target = Path(__file__).with_name("reference.md")
    write_whole(target, reference().encode())
    print(f"wrote {target}")
