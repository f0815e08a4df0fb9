"""The README's picture is the one its command draws today."""

from pathlib import Path
from xml.etree import ElementTree

from tinygrad_bn.cli import main

ROOT = Path(__file__).resolve().parents[2]


def words(path):
    """All text of an SVG; positions may differ between layout programs, words may not."""
    return sorted(" ".join(element.itertext()) for element in ElementTree.parse(path).iter() if element.text)


def test_the_readme_shows_the_current_picture(tmp_path, capsys):
    shown = "docs/images/batch_norm.svg"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"tinygrad-bn graph bn -o {shown}" in readme
    assert f"]({shown})" in readme
    assert main(["graph", "bn", "-o", str(tmp_path / "now.svg")]) == 0
    now, committed = words(tmp_path / "now.svg"), words(ROOT / shown)
    assert any("1.118" in text for text in now)  # the words are read at all: σ of the worked example
    assert committed == now, f"the picture has changed: run tinygrad-bn graph bn -o {shown}"
