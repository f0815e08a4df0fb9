"""The list of faults stays true of the code; ``make mutants`` plants them and runs the tests on each."""

from __future__ import annotations

from pathlib import Path

import pytest

import tinygrad_bn

from .faults import FAULTS, Fault

PACKAGE = Path(tinygrad_bn.__file__).parent


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.slip for fault in FAULTS])
def test_a_fault_can_be_planted(fault: Fault) -> None:
    text = (PACKAGE / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.right) == 1
    compile(text.replace(fault.right, fault.wrong), fault.file, "exec")
    for place in fault.tests.split():
        assert (PACKAGE.parent / place).exists()
