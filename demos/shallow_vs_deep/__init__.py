"""Shallow against deep networks: the lecture's table of six differences, one file a row.

python -m demos.shallow_vs_deep [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]
"""

from __future__ import annotations

from ..lab.demo import Block, Demo, Heading, Measured, Table, Verdict
from . import definition, growth, parameters, raw_input, regions, trainability

ROWS = (
    ("Layers and neurons", definition),
    ("Raw input", raw_input),
    ("Parameters", parameters),
    ("Complexity of the function", regions),
    ("Growth with the task", growth),
    ("Ease of training", trainability),
)

SAID = {  # of deep networks, by the name of the verdict
    "definition": "has many layers, with more neurons in each",
    "raw_input": "takes raw images and text, not only vectors",
    "fewer_parameters": "fits with fewer parameters",
    "complexity": "expresses more with as many neurons",
    "growth": "need not grow with the task",
    "trainability": "is easy to train, without local minima",
}


def show(measured: Measured) -> list[Block]:
    """A summary, then the six rows, each under its heading."""
    shown = {title: row.show(measured) for title, row in ROWS}
    blocks: list[Block] = [summary(shown)]
    for title, own in shown.items():
        blocks += [Heading(title), *own] if own else []
    return blocks


def summary(shown: dict[str, list[Block]]) -> Table:
    """The verdicts of all rows, without their figures."""
    rows = [
        (title, SAID[verdict.name], f"{verdict.outcome} ..." if verdict.condition else verdict.outcome)
        for title, own in shown.items()
        for verdict in own
        if isinstance(verdict, Verdict)
    ]
    caption = "The six differences that the lecture names, and what became of them; the conditions are with each row"
    return Table("summary", caption, ("row", "a deep network, the lecture says", "measured"), rows)


DEMO = Demo(
    name="shallow_vs_deep",
    title="Shallow against deep networks",
    claim="A table of the lecture names six differences between shallow and deep networks, each to the advantage of depth.",
    parts=tuple(part for _, row in ROWS for part in row.PARTS),
    show=show,
    seeds=(3, 6),
)
