"""The example pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinygrad_bn.cli import main


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "made"
    assert main(["explore", "examples", "--dir", str(folder)]) == 0
    return folder
