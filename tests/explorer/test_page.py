"""The file: complete, self-contained, its policy true, its data unable to get out; and the command that writes it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.graph.programs import HOSTILE
from tinygrad_bn.cli import main
from tinygrad_bn.explorer import explore
from tinygrad_bn.explorer.examples import EXAMPLES
from tinygrad_bn.explorer.page import SCRIPTS

ADDRESS = re.compile(r"[a-z]+://[^\s\"'<>)\\]+")


class Page(HTMLParser):
    """What a browser's parser makes of a file: its elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.raw.append((self.cdata_elem, data))

    def policy(self) -> str:
        return next(a["content"] or "" for tag, a in self.elements if a.get("http-equiv") == "Content-Security-Policy")

    def data(self) -> dict:
        scripts = [text for tag, text in self.raw if tag == "script"]
        assert len(scripts) == 1 + len(SCRIPTS)  # data and scripts, and nothing that the data added
        return json.loads(scripts[0])


def write(tmp_path: Path, name: str = "x") -> tuple[Page, str]:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name=name)
    with tg.scope(name):
        y = x * 2.0
    text = explore(tmp_path / "page.html", y, np.ones(2), title=name).read_text(encoding="utf-8")
    return Page(text), text


def test_all_examples_are_written(examples: Path) -> None:
    assert {file.name for file in examples.iterdir()} == {f"{name}.html" for name in EXAMPLES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_policy_allows_the_script_and_style_of_the_file_and_nothing_else(name: str, examples: Path) -> None:
    page = Page((examples / f"{name}.html").read_text(encoding="utf-8"))
    allowed = dict(part.split(" ", 1) for part in unescape(page.policy()).split("; "))
    programs = [text for tag, text in page.raw if tag == "script"][1:]
    style = next(text for tag, text in page.raw if tag == "style")
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (*programs, style)
    ]
    assert allowed["script-src"].split() == hashes[:-1]
    assert allowed["style-src"] == hashes[-1]
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    assert "unsafe" not in page.policy()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_file_refers_to_nothing_outside(name: str, examples: Path) -> None:
    text = (examples / f"{name}.html").read_text(encoding="utf-8")
    assert set(ADDRESS.findall(text)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://www.w3.org/1998/Math/MathML",
    }  # fmt: skip
    for tag, attributes in Page(text).elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form", "a")
        assert not {a for a in attributes if a in ("src", "href", "action", "style") or a.startswith("on")}


def test_the_page_says_its_numbers_without_scripts_and_its_title_once(examples: Path) -> None:
    text = (examples / "batch_norm.html").read_text(encoding="utf-8")
    plain = re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL)
    assert plain is not None
    for shown in ("2.5", "1.118", "-1.3416", "-0.4472", "0.4472", "1.3416"):
        assert shown in unescape(plain[1])
    assert text.count("<h1>Batch Normalization, forward and backward</h1>") == 1
    assert '<html lang="en">' in text


def test_pages_are_small(examples: Path) -> None:
    """What a mail or a lecture's folder takes without thinking."""
    assert (examples / "batch_norm.html").stat().st_size < 300_000
    assert (examples / "network.html").stat().st_size < 600_000


def test_a_page_in_a_notebook_is_a_frame_and_text() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    page = explore((x * x).sum(), title='a "title" <b>')
    assert repr(page).startswith("<Page of 2 operations")
    shown = page._repr_html_()
    frame = next(attributes for tag, attributes in Page(shown).elements if tag == "iframe")
    assert frame["srcdoc"] == page.html
    assert frame["sandbox"] == "allow-scripts"
    assert frame["title"] == 'a "title" <b>'
    assert shown.startswith("<style>.tinygrad-bn-as-text { display: none; }</style><iframe ")
    text = shown[
        shown.index('<div class="tinygrad-bn-as-text">') :
    ]  # what is left where frames and styles are taken out
    assert "2  4" in text[text.index("<pre>") :]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_text(name: str, tmp_path: Path) -> None:
    plain, _ = write(tmp_path)
    page, text = write(tmp_path, name)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.policy() == plain.policy()
    assert [node["kind"] for node in page.data()["nodes"]] == ["input", "number", "output"]
    assert "\x00" not in text


def test_data_cannot_end_its_element(tmp_path: Path) -> None:
    _, text = write(tmp_path, "</script><!--<script>\u2028&amp;")
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert block is not None
    assert not set("<>&\u2028") & set(block[1])
    assert any(node["name"].startswith("</script><!--<script>") for node in json.loads(block[1])["nodes"])


def test_the_same_program_gives_the_same_file(tmp_path: Path) -> None:
    assert write(tmp_path)[1] == write(tmp_path)[1]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    old = (tmp_path / "page.html").read_bytes()

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path, "other")
    assert (tmp_path / "page.html").read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


# -- the command -----------------------------------------------------------------------------------------------------------

MODEL = """
import tinygrad_bn as tg


def product(x, y):
    return (x * y).sum()


def nothing():
    return None
"""


def test_bn_of_other_sizes_and_a_function_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    made = tmp_path / "page.html"
    assert main(["explore", "bn", "-o", str(made)]) == 0
    assert Page(made.read_text(encoding="utf-8")).data()["title"] == "Batch Normalization, forward and backward"
    assert main(["explore", "bn", "--rows", "3", "--features", "2", "-o", str(made)]) == 0
    assert Page(made.read_text(encoding="utf-8")).data()["inputs"][0]["shape"] == [3, 2]
    assert main(["explore", f"{tmp_path}/model.py:product", "--shape", "2", "--shape", "2", "-o", str(made)]) == 0
    nodes = Page(made.read_text(encoding="utf-8")).data()["nodes"]
    assert "return (x * y).sum()" in {node.get("code") for node in nodes}
    assert capsys.readouterr().out == f"wrote {made}; open it in a browser\n" * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "nothing to draw"),
        (["{model}:nothing"], "returned None"),
        (["bn", "-o", "no/such/folder.html"], "the folder does not exist"),
    ],
)
def test_mistakes_are_explained(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    assert main(["explore", *(word.format(model=tmp_path / "model.py") for word in words)]) == 2
    assert message in capsys.readouterr().err
