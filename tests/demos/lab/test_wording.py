"""What a demo says is short: the check notices what is not."""

from shown import too_long

from demos.lab.show.blocks import Attachment, Drawing, Heading, Plot, Table, Text, Verdict
from demos.lab.show.wording import fitting, listed


def test_what_is_too_long_is_named():
    def draw(figure):
        raise AssertionError

    assert (
        too_long([Heading("x" * 500), Text("x" * 500), Verdict("v", "C" * 110, "m" * 220, "holds if", "c" * 320)]) == []
    )
    found = too_long([Verdict("v", "C" * 111, "m" * 221, "holds if", "c" * 321)])
    assert [text[: text.index(" of ")] for text in found] == ["v: claim", "v: measured", "v: condition"]
    assert "begins with a small letter" in too_long([Verdict("v", "no sentence", "", "holds")])[0]
    for make in (lambda n: Plot("p", "x" * n, draw), lambda n: Drawing("d", "x" * n, ""),
                 lambda n: Attachment("a", "x" * n, print)):  # fmt: skip
        assert too_long([make(150)]) == []
        assert "caption of 151 characters" in too_long([make(151)])[0]
    assert too_long([Table("t", "x" * 200, (), ())]) == []
    assert too_long([Table("t", "x" * 201, (), ())])[0].startswith("t: caption of 201")


def test_the_first_text_that_fits():
    assert fitting(5, "seven..", "five.", "two") == "five."
    assert fitting(2, "seven..", "five.") == "five."


def test_words_in_a_row():
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a or b", "a, b or c"]
    assert listed(["a", "b"], "and") == "a and b"
