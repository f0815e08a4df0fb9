"""The reference says what the docstrings say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def written_anew() -> str:
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reference()


def test_the_reference_has_every_room_and_sections_as_lists() -> None:
    text = written_anew()
    for heading in (
        "### `batch_norm(",
        "### `BatchNorm1d(",
        "### `gradcheck(",
        "### `exp`",
        "#### `Tensor.backward(",
    ):
        assert heading in text
    assert "**Args:**\n\n- " in text
    assert "``" not in text.replace("```", "")
