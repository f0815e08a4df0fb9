"""Several processes equal one: every check of ``on_ranks.py``, on 1 to 4 ranks.  Each number of ranks is started once."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from launching import launched, need_mpi

SCRIPT = Path(__file__).with_name("on_ranks.py")
TREE = ast.parse(SCRIPT.read_text(encoding="utf-8"))
CHECKS = [f.name for f in TREE.body if isinstance(f, ast.FunctionDef) and f.name.startswith("check_")]
RANKS = (1, 2, 3, 4)  # in this order: later ones go on with checkpoints of earlier ones


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, dict[str, str]]]:
    need_mpi()
    folder = tmp_path_factory.mktemp("ranks")
    found = {}
    for ranks in RANKS:
        file = folder / f"{ranks}.json"
        done = launched(ranks, SCRIPT, str(file), str(folder))
        assert done.returncode == 0, f"{ranks} ranks: {done.stderr}"
        found[ranks] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("check", CHECKS)
def test_on_ranks(results: dict[int, dict[str, dict[str, str]]], ranks: int, check: str) -> None:
    wrong = results[ranks][check]
    assert not wrong, "\n".join(f"rank {rank}:\n{text}" for rank, text in wrong.items())
