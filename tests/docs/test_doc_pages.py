"""The documentation does what it says: its code runs, its outputs are true, its links lead somewhere."""

from __future__ import annotations

import gc
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from doc_pages import PageError, Report, anchors, dead_links, links, parse, run_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_page_runs_as_shown(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what a page writes does not land in the repository
    monkeypatch.syspath_prepend(str(ROOT))
    with np.printoptions():  # a page may change them for itself
        try:
            report = run_page(page)
        finally:
            gc.enable()  # where a page failed with the collector switched off
    for reason in report.excused:
        print(f"left out: {reason}")


def test_few_blocks_are_left_out() -> None:
    blocks = [block for page in PAGES for block in parse(page.read_text(encoding="utf-8"), page)]
    python = [block for block in blocks if block.language in {"python", "py", "pycon"}]
    excused = [block.excused for block in blocks if block.excused is not None]
    assert len(python) >= 20, "the pages have lost their examples"
    assert len(excused) <= len(python) / 10, "too much of the documentation is not run:\n" + "\n".join(excused)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_and_images_exist(page: Path) -> None:
    assert not dead_links(page)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_name_programs_that_exist(page: Path) -> None:
    """``python file.py`` and ``python -m module`` in shell blocks; what the programs print is tested where they are."""
    for block in parse(page.read_text(encoding="utf-8"), page):
        if block.language not in {"bash", "sh", "console", "shell"}:
            continue
        for program in re.findall(r"\bpython3? (?!-)(\S+\.py)\b", block.source):
            assert (ROOT / program).exists(), f"{page}:{block.line}: no such program: {program}"
        for module in re.findall(r"\bpython3? -m ([\w.]+)", block.source):
            assert find_spec(module) is not None, f"{page}:{block.line}: no such module: {module}"


# -- the runner can fail ------------------------------------------------------------------------------------------------


def page_of(*blocks: str) -> str:
    return "# A page\n\n" + "\n\n".join(blocks) + "\n"


def python(code: str) -> str:
    return f"```python\n{code}\n```"


def text(output: str) -> str:
    return f"```text\n{output}\n```"


def run(*blocks: str) -> Report:
    return run_page(Path("page.md"), page_of(*blocks))


GOOD = {
    "namespace": (python("x = 2"), "prose", python("assert x == 2")),
    "output": (python("print('a', 1)"), text("a 1")),
    "ellipsis": (python("print('a', 123, 'b')"), text("a ... b")),
    "arrow": (python("1 + 1  # -> 2"),),
    "arrow on text": (python("'ab'  # -> ab"),),
    "arrow on assignment": (python("x = 1 + 1  # -> 2"),),
    "arrow on print": (python("print('p')\nprint(1, 2)  # -> 1 2"),),
    "arrow over lines": (python("sum([\n    1,\n    2,\n])  # -> 3"),),
    "arrow inside": (python("for i in range(2):\n    i * 0  # -> 0"),),
    "doctest": (python(">>> x = 1\n>>> x + 1\n2"), python("x  # -> 1")),
    "left out": ("<!-- not run: needs a network -->\n" + python("1 / 0"), python("1  # -> 1")),
    "indented": ("1. a list\n\n   ```python\n   x = 1\n   x  # -> 1\n   ```",),
    "nested fence": ("````markdown\n```python\n1 / 0\n```\n````",),
    "output is for its neighbor only": (python("print(1)"), "prose", text("2")),
}

BAD = {
    "raises": ((python("x = 1\n1 / 0"),), r"page\.md:5: ZeroDivisionError"),
    "does not parse": ((python("x = = 1"),), "SyntaxError"),
    "exits": ((python("raise SystemExit(0)"),), "SystemExit"),
    "wrong output": ((python("print(1)"), text("2")), r"page\.md:8: the page shows\n2\nbut it is\n1"),
    "output missing": ((python("x = 1"), text("2")), "but it is"),
    "more output than shown": ((python("print(1)\nprint(2)"), text("1")), "but it is"),
    "wrong value": ((python("1 + 1  # -> 3"),), r"page\.md:4: the page shows\n3\nbut it is\n2"),
    "wrong assigned value": ((python("x = 1 + 1  # -> 3"),), "but it is"),
    "wrong print": ((python("print(1)  # -> 3"),), "but it is"),
    "wrong value inside": ((python("if True:\n    1 + 1  # -> 3"),), "but it is"),
    "never reached": ((python("if False:\n    1 + 1  # -> 2"),), "was not checked"),
    "arrow on nothing": ((python("import math  # -> 2"),), "was not checked"),
    "wrong doctest": ((python(">>> 1 + 1\n3"),), "1 of 1 examples fail"),
    "raising doctest": ((python(">>> 1 / 0"),), "1 of 1 examples fail"),
    "no reason": (("<!-- not run: -->\n" + python("1 / 0"),), "says why"),
    "wrong note": (("<!-- not checked: because -->\n" + python("1 / 0"),), "'not run' is for Python blocks"),
    "open fence": (("```python\nx = 1",), "never closed"),
    "other page's names": ((python("x"),), "NameError"),
}


@pytest.mark.parametrize("blocks", GOOD.values(), ids=GOOD)
def test_runner_accepts(blocks: tuple[str, ...]) -> None:
    run(*blocks)


@pytest.mark.parametrize(("blocks", "message"), BAD.values(), ids=BAD)
def test_runner_refuses(blocks: tuple[str, ...], message: str) -> None:
    with pytest.raises(PageError, match=message):
        run(*blocks)


def test_runner_counts() -> None:
    report = run(
        python("x = 1  # -> 1"),
        python("print(x)"),
        text("1"),
        "<!-- not run: slow -->\n" + python("1 / 0"),
        python("print(2)"),
        "<!-- not checked: differs by machine -->\n" + text("3"),
        python(">>> x = 2\n>>> x\n2"),
    )
    assert (report.run, report.checks) == (4, 3)
    assert [reason.split(": ")[1] for reason in report.excused] == ["slow", "differs by machine"]


def test_link_checker_finds_dead_links_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One `code` title\n\n## Twice\n\n## Twice\n")
    (tmp_path / "picture.svg").write_text("<svg/>")
    good = (
        "# Here\n[a](other.md) [b](other.md#one-code-title) ![p](picture.svg) [c](#here) [d](other.md#twice-1)\n"
        '[web](https://example.org/x) [![i](picture.svg)](other.md) <img src="picture.svg">\n\n[ref]: other.md\n'
        "`[in code](nowhere.md)`\n\n```text\n[in a block](nowhere.md)\n```\n"
    )
    page = tmp_path / "page.md"
    assert dead_links(page, good) == []
    bad = (
        "# Here\n[a](gone.md) ![p](gone.svg)\n[b](other.md#three) [c](#there)\n"
        '[![i](lost.svg)](other.md) <img src="gone.png">\n\n[ref]: gone.txt\n'
    )
    dead = dead_links(page, bad)
    assert [entry.split(": ")[1] for entry in dead] == [
        "gone.md", "gone.svg", "#there", "other.md#three", "gone.png", "lost.svg", "gone.txt"
    ]  # fmt: skip
    assert len(links(good)) == 9
    assert anchors("# A (b), c-d: e_f\n") == {"a-b-c-d-e_f"}
