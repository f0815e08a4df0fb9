"""The parts of the site: its order, its reference, its links.  ``make site`` builds the whole, and fails at a warning."""

from __future__ import annotations

import importlib
import inspect
import sys
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("sphinx", reason="the site needs Sphinx")
pytest.importorskip("latex2mathml", reason="the site needs latex2mathml")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))
import check  # noqa: E402
import contents  # noqa: E402
import formulas  # noqa: E402
import live  # noqa: E402
import names  # noqa: E402
import reference  # noqa: E402
import sources  # noqa: E402


def test_the_index_links_to_every_page_so_that_the_site_has_it() -> None:
    listed = {
        page
        for pages in contents.sections((ROOT / "docs/index.md").read_text(encoding="utf-8")).values()
        for page in pages
    }
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/notebooks/*.ipynb")]
    assert {page.relative_to(ROOT).with_suffix("").as_posix() for page in pages} - {"docs/index"} <= listed


def test_the_order_is_that_of_the_links() -> None:
    text = "# T\n[x](x.md)\n## One\n[b](b.md#part) [a](../a.md)\n## None\nnothing\n"
    text += "## Two\n[a](../a.md) [n](notebooks/n.ipynb) [c](c.py)\n"
    assert contents.sections(text) == {"One": ["docs/b", "a"], "Two": ["docs/notebooks/n"]}


def test_the_reference_has_a_page_for_each_room_and_each_public_name() -> None:
    pages = {**reference.rooms(), **reference.entries()}
    for module in reference.ROOMS:
        room = importlib.import_module(module)
        for name in getattr(room, "__all__", ()):
            if inspect.ismodule(getattr(room, name)):
                continue
            place = reference.places()[module, name]
            assert f"<{place}>`" in pages[module]
            assert place in pages
    assert ".. autofunction:: tinygrad_bn.ops.exp" in pages["tinygrad_bn.ops.exp"]
    assert ":py:obj:`exp(x) <tinygrad_bn.ops.exp>`\n     - e to the power of x." in pages["tinygrad_bn.ops"]
    assert "backward" in pages["tinygrad_bn.Tensor"]
    assert "tinygrad_bn.nn.Parameter" not in pages  # it is the one of tinygrad_bn


def test_every_public_room_is_in_the_reference() -> None:
    import tinygrad_bn

    rooms = {value.__name__ for value in map(tinygrad_bn.__dict__.get, tinygrad_bn.__all__) if inspect.ismodule(value)}
    assert rooms <= set(reference.ROOMS)


def test_signs_of_docstrings_are_taken_as_they_are() -> None:
    assert reference.plain("|x| of a_ and ``|y|``s") == r"\|x\| of a\_ and ``|y|``\ s"
    assert (
        reference.plain("(N, *shape) or + and *. but *this* and 2 * b")
        == r"(N, \*shape) or + and \*. but *this* and 2 * b"
    )
    lines = ["|x|", "", ">>> a_ | b", "1"]
    reference.plain_docstring(None, "", "", None, None, lines)
    assert lines == [r"\|x\|", "", ">>> a_ | b", "1"]


@pytest.mark.parametrize(
    ("module", "path", "line"),
    [
        ("tinygrad_bn.ops", "exp", "exp: Primitive = "),
        ("tinygrad_bn.functional", "batch_norm", "def batch_norm("),
        ("tinygrad_bn", "Tensor.backward", "def backward("),
        ("tinygrad_bn.nn", "BatchNorm1d", "class BatchNorm1d("),
    ],
)
def test_a_name_leads_to_the_line_that_makes_it(module: str, path: str, line: str) -> None:
    address = urlsplit(reference.source_of(module, path))
    file = ROOT / address.path.removeprefix("../sources/").removesuffix(".html")
    assert (
        file.read_text(encoding="utf-8")
        .splitlines()[int(address.fragment.removeprefix("L")) - 1]
        .strip()
        .startswith(line)
    )


def test_which_names_a_piece_of_code_may_be() -> None:
    assert "tinygrad_bn.functional.batch_norm" in names.candidates("functional.batch_norm", None)
    assert "tinygrad_bn.compile" in names.candidates("tg.compile", None)
    assert "numpy.mean" in names.candidates("np.mean(x, axis=0)", None)
    assert list(names.candidates("mean", None)) == []  # as likely a variable
    assert list(names.candidates("mean", "tinygrad_bn.ops")) == ["tinygrad_bn.ops.mean"]
    assert list(names.candidates("a + b", None)) == []


def test_inventories_are_what_sphinx_reads() -> None:
    head, _, packed = names.inventory("numpy", names.numpy_names()).partition(b"using zlib.\n")
    assert head.startswith(b"# Sphinx inventory version 2\n# Project: numpy\n# Version: \n")
    lines = zlib.decompress(packed).decode().splitlines()
    assert "numpy.exp py:class 1 reference/generated/numpy.exp.html#$ -" in lines
    assert "numpy.abs py:class 1 reference/generated/numpy.absolute.html#numpy.absolute -" in lines
    assert "numpy.float32 py:class 1 reference/arrays.scalars.html#$ -" in lines


def test_a_formula_is_laid_out_by_the_browser() -> None:
    html = formulas.convert(r"\frac{\partial l}{\partial\gamma}=\sum_i\hat x_i")
    assert "<mfrac>" in html
    assert "γ" in html or "&#x003B3;" in html


def test_a_source_has_an_anchor_on_each_line() -> None:
    html = sources.body("LICENSE")
    assert 'id="L1"' in html
    assert f'id="L{len((ROOT / "LICENSE").read_text(encoding="utf-8").splitlines())}"' in html


def test_live_pages_are_framed_by_name() -> None:
    assert len({entry.name for entry in live.PAGES}) == len(live.PAGES)
    for entry in live.PAGES:
        assert f'src="{entry.name}/index.html"' in live.frame(entry)


def test_links_that_lead_nowhere_are_found_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.html").write_text('<p id="here"><a href="../a.html">a</a><a href="https://example.org/">web</a>')
    (tmp_path / "a.html").write_text(
        '<a href="sub/b.html#here">b</a><a href="#top">t</a><p id="top"><img src="data:,">'
    )
    assert check.Site(tmp_path).dead() == []
    (tmp_path / "c.html").write_text(
        '<a href="gone.html">1</a><a href="sub/b.html#gone">2</a><a href="#gone">3</a><img src="gone.png">'
        '<script src="https://example.org/x.js"></script><link rel="stylesheet" href="gone.css"><a href="../out.html">4</a>'
    )
    dead = check.Site(tmp_path).dead()
    assert [line.split(": ")[1] for line in dead] == [
        "gone.html", "sub/b.html#gone", "#gone", "../out.html", "gone.png", "https://example.org/x.js", "gone.css"
    ]  # fmt: skip
