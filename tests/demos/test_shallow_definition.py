"""Shallow against deep, row 1: sizes counted, and a rule that can come out either way."""

import pytest
from shown import too_long

from demos import shallow_vs_deep
from demos.lab.measure.part import Progress, Settings
from demos.lab.show.blocks import Summary, Table, Verdict
from demos.shallow_vs_deep import show
from demos.shallow_vs_deep.measure import definition
from demos.shallow_vs_deep.show.definition import Win


def test_parameters_of_48_units():
    networks = definition.sizes(Settings(2), Progress())["networks"]
    for network in networks:
        layers, width = network["layers"], network["width"]
        assert layers * width == 48
        assert network["parameters"] == 2 * width + (layers - 1) * (width * width + width) + width + 1
    assert [network["parameters"] for network in networks] == [145, 673, 505, 233]


def test_the_verdict_can_come_out_each_way():
    def outcome(*won, open_tasks=()):
        return show.definition.judged(won, open_tasks).outcome

    assert outcome(Win("a", 9, 3), Win("b", 4, 3)) == "holds"
    assert outcome(Win("a", 2, 3), Win("b", 3, 3)) == "does not hold"
    assert outcome(Win("a", 9, 3), Win("b", 2, 3)) == "holds if"
    assert outcome(Win("a", 9, 3), open_tasks=["b task"]) == "holds if"
    assert outcome(open_tasks=["b task"]) == "not decided"


def duel_part(shallow, deep, width):
    def run(error, width):
        return [{"budget": 60, "parameters": 60, "widths": [width], "rate": 1, "validation": error, "error": error}]

    nets = {"depth 1": run(shallow, 7), "depth 2": run(deep, width), "depth 3": run([9.0, 9.0], 3)}
    return {"rates": [1, 2, 3], "steps": 1, "nets": nets}


def test_winners_come_from_the_measurements_of_the_other_rows():
    better = duel_part([0.8, 0.81], [0.4, 0.41], 5)
    worse = duel_part([0.4, 0.41], [0.8, 0.81], 5)
    assert show.definition.wins({"parameters_radial": better}) == [Win("radial task (60 parameters)", 5, 7)]
    assert show.definition.wins({"parameters_radial": worse}) == []
    zigzags = [{"depth": 1, "pieces": 48}, {"depth": 4, "pieces": 20736}, {"depth": 12, "pieces": 20736}]
    assert show.definition.wins({"regions_constructed": {"networks": zigzags}}) == [
        Win("20,736 pieces with 48 units", 12, 48)
    ]
    flat = [{"depth": 1, "pieces": 48}, {"depth": 4, "pieces": 30}]
    assert show.definition.wins({"regions_constructed": {"networks": flat}}) == []
    rows = [{"k": 3, "shallow": {"units": 8}, "deep": {"units": 6}}]
    assert show.definition.wins({"growth_sawtooth": {"rows": rows}}) == [Win("sawtooth of 8 pieces", 2, 8)]


@pytest.mark.parametrize(("width", "outcome"), [(5, "does not hold"), (30, "holds")])
def test_what_is_shown(width, outcome):
    measured = {"parameters_radial": duel_part([0.8, 0.81], [0.4, 0.41], width)}
    winners, verdict = show.definition.show(measured)
    assert winners.rows == [("radial task (60 parameters)", str(width), "7")]
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == outcome
    assert f"{width} against 7" in verdict.measured
    assert show.definition.show({}) == []
    (_, table) = show.definition.show({"definition_sizes": definition.sizes(Settings(2), Progress())})
    assert isinstance(table, Table)
    assert table.rows[2] == ("4", "12", "505")


def test_what_is_said_is_short():
    """Also where many deep networks won, some with more neurons in a layer and some with fewer."""
    measured = {f"parameters_{task}": duel_part([0.8, 0.81], [0.4, 0.41], width)
                for task, width in {"compositional": 30, "radial": 5, "additive": 20, "digits": 9}.items()}  # fmt: skip
    assert too_long(show.definition.show(measured)) == []
    assert too_long(show.definition.show({"definition_sizes": definition.sizes(Settings(2), Progress())})) == []
    shown = show.definition.show(measured)[-1]
    assert shown.outcome == "holds if"
    many = [Win(f"a task with a long name ({i} parameters)", 9, 3) for i in range(4)]
    assert (
        show.definition.judged([*many, Win("a", 2, 3)], []).condition
        == "It holds in 4 of 5 networks. It does not hold for the a."
    )
    assert shown.measured.endswith(": 5 against 7; 30 against 7.")


def test_the_rows_make_one_demo():
    names = [part.name for part in shallow_vs_deep.DEMO.parts]
    assert len(set(names)) == len(names)
    own = [row.__name__.rsplit(".", 1)[1] for _, row in show.ROWS]
    assert list(dict.fromkeys(next(row for row in own if name.startswith(f"{row}_")) for name in names)) == own
    sentence, first = show.show({})
    assert isinstance(sentence, Summary)
    assert isinstance(first, Table)
    assert first.rows == []
    blocks = show.show({"parameters_radial": duel_part([0.8, 0.81], [0.4, 0.41], 5)})
    assert [row[0] for row in blocks[1].rows] == ["Layers and neurons", "Parameters"]
    assert {row[2] for row in blocks[1].rows} == {"does not hold", "holds"}


def test_every_verdict_is_in_the_summary():
    """With made-up verdicts of all six rows: one line each, and a sign where there is a condition."""
    names = list(show.SAID)
    shown = {
        title: [
            Verdict(name, "claim", "figures", "holds if", "so") if i else Verdict(name, "claim", "figures", "holds")
        ]
        for i, ((title, _), name) in enumerate(zip(show.ROWS, names))
    }
    rows = show.summary(shown).rows
    assert [row[0] for row in rows] == [title for title, _ in show.ROWS]
    assert [row[2] for row in rows] == ["holds"] + ["holds in part"] * 5
