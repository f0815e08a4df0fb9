"""What every row of the table has to cope with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from demos.lab.show.blocks import Block, Table


def check_any_part_may_be_absent(show: Callable[[Mapping[str, Any]], list[Block]], measured: Mapping[str, Any]) -> None:
    """Whatever parts were measured, something is shown, in tables with as many cells as headings."""
    assert show({}) == []
    for count in range(1, len(measured) + 1):
        for names in itertools.combinations(measured, count):
            shown = show({name: measured[name] for name in names})
            assert shown
            for block in shown:
                if isinstance(block, Table):
                    assert all(len(row) == len(block.head) for row in block.rows)
