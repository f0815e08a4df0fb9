"""Shallow against deep networks: the lecture's table of six differences, one file a row.

python -m demos.shallow_vs_deep [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]
"""

from __future__ import annotations

from ..lab.demo import Block, Demo, Heading, Measured
from . import definition, growth, parameters, raw_input, regions, trainability

ROWS = (
    ("Layers and neurons", definition),
    ("Raw input", raw_input),
    ("Parameters", parameters),
    ("Complexity of the function", regions),
    ("Growth with the task", growth),
    ("Ease of training", trainability),
)


def show(measured: Measured) -> list[Block]:
    """The six rows, each under its heading."""
    blocks: list[Block] = []
    for title, row in ROWS:
        shown = row.show(measured)
        blocks += [Heading(title), *shown] if shown else []
    return blocks


DEMO = Demo(
    name="shallow_vs_deep",
    title="Shallow against deep networks",
    claim="A table of the lecture names six differences between shallow and deep networks, each to the advantage of depth.",
    parts=tuple(part for _, row in ROWS for part in row.PARTS),
    show=show,
    seeds=(3, 6),
)
