"""The lecture's table, row by row, after a summary of the verdicts."""

from __future__ import annotations

from ...lab.measure.part import Measured
from ...lab.show.blocks import Block, Heading, Table, Verdict
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
