"""The lecture's table, row by row, after a summary of the verdicts."""

from __future__ import annotations

from ...lab.measure.part import Measured
from ...lab.show.blocks import Block, Heading, Summary, Table, Verdict
from ...lab.show.evidence import LABELS, MANY
from ...lab.show.wording import listed
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
    "complexity": "expresses more with the same number of neurons",
    "growth": "need not grow with the task",
    "trainability": "is easy to train, without local minima",
}


def show(measured: Measured) -> list[Block]:
    """A summary, then the six rows, each under its heading."""
    shown = {title: row.show(measured) for title, row in ROWS}
    blocks: list[Block] = [in_a_sentence(shown), summary(shown)]
    for title, own in shown.items():
        blocks += [Heading(title), *own] if own else []
    return blocks


def in_a_sentence(shown: dict[str, list[Block]]) -> Summary:
    """How many of the differences came out how."""
    outcomes = [block.outcome for own in shown.values() for block in own if isinstance(block, Verdict)]
    said = [
        f"{count or 'none'} {LABELS[outcome] if count == 1 else many}".replace("1 not", "1 is not")
        for outcome, many in MANY.items()
        if (count := outcomes.count(outcome)) or outcome == "holds"
    ]
    return Summary(
        f"Of {len(outcomes)} differences between shallow and deep networks that the lecture names, {listed(said, 'and')}.",
        "parameters_error",
    )


def summary(shown: dict[str, list[Block]]) -> Table:
    """The verdicts of all rows, without their figures."""
    rows = [
        (title, SAID[verdict.name], LABELS[verdict.outcome])
        for title, own in shown.items()
        for verdict in own
        if isinstance(verdict, Verdict)
    ]
    caption = "The six differences that the lecture names, and the verdicts; the conditions follow with each row"
    return Table("summary", caption, ("row", "the lecture says that a deep network", "verdict"), rows)
