"""Settings of the site: Sphinx reads this file; ``make site`` lays the pages where it finds them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import names  # noqa: E402

import tinygrad_bn  # noqa: E402

project = "tinygrad_bn"
author = "the tinygrad_bn authors"
project_copyright = f"2026, {author}"
version = release = tinygrad_bn.__version__

extensions = [
    "myst_nb",  # pages in Markdown, and notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode",
    "contents",
    "reference",
    "names",
    "sources",
    "formulas",
]
root_doc = "docs/index"
exclude_patterns = ["extra"]  # pages that are finished already
templates_path = ["templates"]
suppress_warnings = ["misc.highlighting_failure"]  # a page may show code that does not parse

myst_heading_anchors = 4
myst_fence_as_directive = ["math"]
nb_execution_mode = "off"  # `make notebooks` runs them, a test compares

autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: f"tinygrad_bn.kinds.{name}" for name in names.KINDS}
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

intersphinx_mapping = names.inventories(HERE.parents[1] / "out" / "site-parts")

html_theme = "furo"
html_title = f"tinygrad_bn {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "front.html"}
html_copy_source = False
html_show_sphinx = False
html_theme_options: dict[str, Any] = {"navigation_with_keys": True}


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """The page with the source of a member, which pages in ``reference/`` link to."""
    import reference

    return reference.source_of(info["module"], info["fullname"]) if domain == "py" else None
