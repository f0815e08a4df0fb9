"""Tables in a terminal stand in columns."""

from demos.lab.show.blocks import Heading, Text, Verdict
from demos.lab.show.terminal import as_text, columns, display_width


def test_marks_above_letters_take_no_place():
    assert display_width("x̂4") == 2
    assert columns([("a", "b"), ("x̂", "1"), ("long", "2")]).splitlines() == [
        "a     b",
        "-------",
        "x̂     1",
        "long  2",
    ]


def test_blocks_are_paragraphs_and_an_outcome_is_loud():
    text = as_text([Heading("Title"), Text("`code` and words"), Verdict("v", "Claim", "1 of 2", "holds if", "So.")])
    assert text == "Title\n-----\n\ncode and words\n\nClaim:    Claim\nMeasured: 1 of 2\nVerdict:  HOLDS IN PART. So."
