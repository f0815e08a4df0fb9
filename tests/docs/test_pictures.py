"""The pictures in the documentation are those that the commands above them draw today."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tinygrad_bn.cli import main

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
COMMANDS = {
    match[2]: match[1]
    for text in TEXT.values()
    for match in re.finditer(r"tinygrad-bn (graph .* -o docs/images/(\S+\.svg))$", text, re.MULTILINE)
}


def words(path: Path) -> list[str]:
    """All text of an SVG; positions may differ between layout programs, and rounding errors between machines."""
    found = (" ".join(element.itertext()) for element in ElementTree.parse(path).iter() if element.text)
    return sorted(re.sub(r"\d\.\de-1[4-9]", "rounding", text) for text in found)


def test_every_picture_is_shown_on_a_page_with_the_command_that_makes_it() -> None:
    assert len(COMMANDS) >= 5
    for file in filter(Path.is_file, IMAGES.iterdir()):  # those in folders of it: see test_measured
        pages = [
            text
            for page, text in TEXT.items()
            if f"]({'docs/' if page.parent == ROOT else ''}images/{file.name})" in text
        ]
        assert pages, f"{file.name} is not shown anywhere"
        assert any(re.search(rf"^\S.* \S*docs/images/{re.escape(file.name)}$", text, re.MULTILINE) for text in pages)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_picture_is_current(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = shlex.split(COMMANDS[name])
    assert main([*arguments[:-1], str(tmp_path / name)]) == 0
    now, committed = words(tmp_path / name), words(IMAGES / name)
    assert any("1.118" in text or "variance" in text for text in now)  # the words are read at all
    assert committed == now, f"the picture has changed: run tinygrad-bn {COMMANDS[name]}"
