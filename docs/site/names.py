"""Names become links: ``functional.batch_norm`` in a page leads to its place in the reference, ``numpy.exp`` to NumPy.

The inventories that Sphinx needs for that are written here from what is installed, so a site is made without a network.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from sphinx import addnodes
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import find_pending_xref_condition

KINDS = ("Array", "Value", "Raw", "Shape", "DType", "DTypeLike", "Plain", "Params", "Json")

NUMPY, PYTHON = "https://numpy.org/doc/stable/", "https://docs.python.org/3/"
SHORT = {"tg": "tinygrad_bn", "np": "numpy"}
NAME = re.compile(r"([A-Za-z_][\w.]*)(\(.*\))?", re.DOTALL)

FUNCTIONS = "library/functions.html"
ABSTRACT = (
    "Callable",
    "Sequence",
    "Mapping",
    "MutableMapping",
    "Iterable",
    "Iterator",
    "Generator",
    "Set",
    "Collection",
    "Hashable",
)
BUILTINS = {
    FUNCTIONS: "bool int float complex object type slice range",
    "library/stdtypes.html": "str bytes list tuple dict set frozenset",
    "library/exceptions.html": "BaseException Exception ValueError TypeError IndexError KeyError RuntimeError OSError "
    "FileNotFoundError ArithmeticError NotImplementedError ImportError ModuleNotFoundError AttributeError Warning UserWarning "
    "FloatingPointError KeyboardInterrupt StopIteration LookupError RuntimeWarning",
    "library/collections.abc.html": " ".join(f"collections.abc.{name}" for name in ABSTRACT),
    "library/typing.html": "typing.Any typing.NamedTuple typing.Literal typing.Self",
    "library/pathlib.html": "pathlib.Path",
    "library/os.html": "os.PathLike",
}


def numpy_names() -> dict[str, str]:
    """Name to address below NumPy's documentation: its functions have a page each, types of numbers share one."""
    found = {}
    for name in sorted(np.__all__):
        value = getattr(np, name, None)
        if isinstance(value, type) and issubclass(value, np.generic):
            found[f"numpy.{name}"] = "reference/arrays.scalars.html"
        elif isinstance(value, np.ufunc):  # numpy.abs is described as numpy.absolute
            own = f"numpy.{value.__name__}"
            found[f"numpy.{name}"] = f"reference/generated/{own}.html" + (f"#{own}" if own != f"numpy.{name}" else "")
        elif callable(value):
            found[f"numpy.{name}"] = f"reference/generated/numpy.{name}.html"
    found |= {f"numpy.linalg.{name}": f"reference/generated/numpy.linalg.{name}.html" for name in np.linalg.__all__}
    found["numpy.random.Generator"] = "reference/random/generator.html"
    found["numpy.typing.ArrayLike"] = found["numpy.typing.DTypeLike"] = "reference/typing.html"
    return found


def python_names() -> dict[str, str]:
    """Name to address below Python's documentation, for what signatures mention."""
    return {name: page for page, names in BUILTINS.items() for name in names.split()}


def inventory(project: str, names: dict[str, str]) -> bytes:
    """An inventory as Sphinx reads it, version 2: a name stands at the anchor of its own name, if no other is given."""
    lines = "".join(
        f"{name} py:class 1 {page if '#' in page else page + '#$'} -\n" for name, page in sorted(names.items())
    )
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    return (head + "# The remainder of this file is compressed using zlib.\n").encode() + zlib.compress(lines.encode())


def inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Write both inventories; returns Sphinx's setting."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, address, names in (("numpy", NUMPY, numpy_names()), ("python", PYTHON, python_names())):
        path = folder / f"{project}.inv"
        path.write_bytes(inventory(project, names))
        mapping[project] = (address, str(path))
    return mapping


def candidates(text: str, room: str | None) -> Iterable[str]:
    """The full names that a piece of code may mean, likeliest first.

    A bare word means something only where it is called or has a capital letter (``gradcheck()``, ``BatchNorm1d``), or in
    the reference beside the names of its room; elsewhere it is as likely a variable of the page.
    """
    match = NAME.fullmatch(text.strip())
    if match is None:
        return
    name, called = match[1], match[2] is not None
    first, dot, rest = name.partition(".")
    if first in SHORT:
        name = SHORT[first] + dot + rest
    if room is not None:
        yield f"{room}.{name}"
    if dot or called or (name[0].isupper() and len(name) > 2):
        yield name
        yield f"tinygrad_bn.{name}"


class LinkNames(SphinxPostTransform):
    """Code within a sentence that is the name of something public becomes a link, and so do types in signatures."""

    default_priority = 8  # before Sphinx, which tries every name against every other

    def run(self, **options: Any) -> None:
        """Called by Sphinx for each page that is written."""
        self.own = self.env.domaindata["py"]["objects"]
        self.foreign = {
            name: getattr(entry, "uri", None) or entry[2]  # Sphinx before 8.2 has tuples
            for inventory in InventoryAdapter(self.env).named_inventory.values()
            for name, entry in inventory.get("py:class", {}).items()
        }
        self.room = self.env.metadata.get(self.env.docname, {}).get("room")
        for reference in list(self.document.findall(addnodes.pending_xref)):
            if reference.get("refdomain") == "py":
                link = self.link(reference["reftarget"], shown(reference, "resolved"))
                reference.replace_self(link or shown(reference, "*"))
        if self.env.docname != "CHANGELOG":  # which speaks of names that are gone
            for literal in list(self.document.findall(nodes.literal)):
                if not any(isinstance(above, nodes.reference | nodes.title) for above in ancestors(literal)):
                    self.link_code(literal)

    def link_code(self, literal: nodes.literal) -> None:
        """Put a link around a piece of code, if it is a name of something."""
        for name in candidates(literal.astext(), self.room):
            link = self.link(name, [literal.deepcopy()])
            if link is not None:
                literal.replace_self(link)
                return

    def link(self, name: str, content: list[nodes.Node]) -> nodes.reference | None:
        """A link to what has this full name, unless it is on this page."""
        if name in self.own and self.own[name].docname != self.env.docname:
            place = self.own[name]
            uri = self.app.builder.get_relative_uri(self.env.docname, place.docname)
            return nodes.reference("", "", *content, internal=True, refuri=f"{uri}#{place.node_id}", reftitle=name)
        if name in self.foreign:
            return nodes.reference("", "", *content, internal=False, refuri=self.foreign[name], reftitle=name)
        return None


def shown(reference: addnodes.pending_xref, condition: str) -> list[nodes.Node]:
    """What a reference shows: some have a short text for when they are resolved, and a long one for when not."""
    found = find_pending_xref_condition(reference, condition)
    return (reference if found is None else found).children


def ancestors(node: nodes.Node) -> Iterable[nodes.Node]:
    """What a node stands in, from the inside out."""
    while node.parent is not None:
        node = node.parent
        yield node


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
