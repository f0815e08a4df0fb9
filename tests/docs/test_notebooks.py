"""The notebooks run from top to bottom, and what is kept in them is what they show today."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
import nbformat

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
sys.path.insert(0, str(FOLDER.parent))
from make_notebooks import run  # noqa: E402

TIMES = re.compile(r"[\d.]+ [µm]s")


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell printed or gave, without the times."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [TIMES.sub("…", output.get("text") or output["data"]["text/plain"]) for output in outputs]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["study_the_graph", "try_batch_norm", "write_a_layer"])
def test_a_notebook_shows_what_it_keeps(name: str) -> None:
    file = FOLDER / f"{name}.ipynb"
    kept, again = nbformat.read(file, as_version=4), run(file)
    assert shown(again) == shown(kept)
    pages = [
        output for cell in kept.cells for output in cell.get("outputs", ()) if "text/html" in output.get("data", {})
    ]
    assert len(pages) == (0 if name == "try_batch_norm" else 1)


def test_the_notebooks_are_those_and_no_path_of_a_machine_is_in_them() -> None:
    files = sorted(FOLDER.iterdir())
    assert [file.name for file in files] == ["study_the_graph.ipynb", "try_batch_norm.ipynb", "write_a_layer.ipynb"]
    for file in files:
        assert not re.search(r'"(/home|/tmp|/root|/Users|/work|C:\\\\)', file.read_text(encoding="utf-8"))
