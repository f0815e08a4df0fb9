"""The rule of verdicts: an interval that contains both answers decides nothing, and how many seeds would decide it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from demos.lab.measure import statistics
from demos.lab.show import evidence
from demos.lab.show.blocks import Verdict
from demos.lab.show.evidence import Case, judge
from demos.lab.show.telling import cases_table, effects_text, told, verdict


def case(answer: str, name: str = "on a", detail: str = "", seeds: int = 5) -> Case:
    low, high = {"yes": (1.0, 3.0), "no": (-3.0, -1.0), "open": (-1.0, 3.0)}[answer]
    return Case(name, (low + high) / 2, low, high, seeds, detail=detail)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (["yes"], "holds"),
        (["yes", "yes"], "holds"),
        (["yes", "open"], "holds if"),
        (["yes", "no", "open"], "holds if"),
        (["open"], "not decided"),
        (["open", "open"], "not decided"),
        (["open", "no"], "does not hold"),  # one that speaks against it is enough where none speaks for it
        (["no", "no"], "does not hold"),
        ([], "not decided"),
    ],
)
def test_what_becomes_of_a_claim(answers, outcome):
    assert judge([case(answer) for answer in answers]) == outcome


def test_few_cases_for_a_claim_may_be_chance():
    cases = [case("yes"), *[case("open")] * 9]
    assert (judge(cases), judge(cases, some=0.2)) == ("holds if", "not decided")


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(0.1, 2, "yes"), (0, 2, "open"), (-2, 0, "open"), (-2, -0.1, "no"), (None, 2, "open"), (1, None, "yes"),
     (None, None, "open"), (None, -1, "no")],
)  # fmt: skip
def test_the_whole_interval_answers(low, high, answer):
    assert Case("on a", 0.5, low, high, 3).answer == answer


def test_between_two_borders_a_difference_is_too_small_to_count():
    small = Case("on a", 1.0, 0.5, 1.5, 5, border=5.0, against=-5.0)
    assert (small.answer, small.between, small.seeds_needed) == ("open", True, None)
    assert Case("on a", -6.0, -7.0, -5.5, 5, border=5.0, against=-5.0).answer == "no"
    assert "too small to count" in told([small], "not decided")


@pytest.mark.parametrize("seed", range(20))
def test_the_smallest_number_of_seeds_that_could_decide(seed):
    values = np.random.default_rng(seed).normal(0.5, 1.5, size=2 + seed % 5)
    found = evidence.of_values("on a", values.tolist())
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))

    def decided(count):
        return abs(mean) > statistics.t_quantile(0.975, count - 1) * deviation / math.sqrt(count)

    assert (found.answer == "open") == (not decided(len(values)))
    if found.answer == "open":
        needed = found.seeds_needed
        assert not decided((needed or evidence.MOST + 1) - 1)
        assert needed is None or decided(needed)
    else:
        assert found.seeds_needed is None


def test_two_seeds_with_a_wide_interval():
    found = evidence.of_values("on a", [10.4 + 1.196, 10.4 - 1.196])  # 10.4 ± 15.2
    assert (found.low, found.high) == (pytest.approx(-4.8, abs=0.01), pytest.approx(25.6, abs=0.01))
    assert judge([found]) == "not decided"
    assert found.seeds_needed == 3
    assert told([found], "not decided") == "It is not decided: 3 seeds could decide it."


def test_ratios_are_judged_by_their_logarithms():
    found = evidence.of_ratios("on a", [1.5, 0.9, 1.6])
    assert found.answer == "open"
    logs = evidence.of_values("on a", np.log([1.5, 0.9, 1.6]).tolist())
    assert found.seeds_needed == logs.seeds_needed
    assert (math.log(found.low), math.log(found.high)) == (pytest.approx(logs.low), pytest.approx(logs.high))


def test_a_share_of_runs_has_wilsons_interval():
    # p = 0.1 of 10 runs: 0.0179 to 0.4042 (Wilson's formula, worked out by hand)
    found = evidence.of_share("on a", 1, 10)
    assert (found.low, found.high) == (pytest.approx(1.79, abs=0.01), pytest.approx(40.42, abs=0.01))
    assert found.answer == "no"
    assert evidence.of_share("on a", 1, 10, sign=-1).answer == "yes"
    assert evidence.of_share("on a", 5, 10).answer == "open"
    assert evidence.of_share("on a", 0, 4).low == 0


def test_seeds_that_have_to_agree():
    assert evidence.of_seeds("on a", [2.0, 3.0], 1.0).answer == "yes"
    assert evidence.of_seeds("on a", [0.2, 3.0], 1.0).answer == "open"
    assert evidence.of_seeds("on a", [0.2, 0.3], 1.0).answer == "no"
    assert evidence.of_seeds("on a", [math.nan, 3.0], 1.0).answer == "open"
    assert evidence.of_seeds("on a", [math.nan, math.nan], 1.0).answer == "no"


def test_what_is_saved_where_some_never_get_there():
    assert evidence.of_saved("on a", [100] * 5, [20] * 5).answer == "yes"
    assert evidence.of_saved("on a", [100] * 5, [200] * 5).answer == "no"
    assert evidence.of_saved("on a", [100] * 5, [None] * 5).answer == "no"
    some = evidence.of_saved("on a", [100] * 5, [None, None, None, 20, 20])
    assert (some.answer, some.low) == ("open", None)
    assert evidence.of_saved("on a", [None] * 5, [None] * 5).answer == "open"
    assert evidence.of_saved("on a", [100] * 5, [70] * 5, border=0.3 - 1e-9).answer == "yes"


def test_a_verdict_says_where_it_holds():
    cases = [
        case("yes", "on a", "to 90 %"),
        case("no", "on a", "to 95 %"),
        case("yes", "with b"),
        case("open", "with c"),
    ]
    assert told(cases, judge(cases)) == (
        "It holds on a to 90 % and with b. It does not hold on a to 95 %. It is not decided with c: 13 seeds could decide it."
    )
    many = [case("yes", f"on a task with a long name, number {i}") for i in range(9)] + [case("no", "on a")]
    assert told(many, judge(many), "task") == "It holds in 9 of 10 tasks. It does not hold on a."
    assert told([case("no"), case("no", "on b")], "does not hold", "task") == "It fails in both tasks."
    assert told([case("yes")], "holds") == ""


def test_every_case_is_in_the_table():
    cases = [case("yes", "on a"), case("open", "with c"), Case("with d", None, None, None, 0)]
    made = verdict("v", "Claim", "Measured.", cases, short="Short", form="{:+.0f} points")
    assert isinstance(made, Verdict)
    assert made.headline == "+1 to +2 points"
    assert [list(row) for row in cases_table(made).rows] == [
        ["on a", "+2 points [+1, +3]", "supports the claim"],
        ["with c", "+1 points [−1, +3]", "not decided: 13 seeds could decide it"],
        ["with d", "never", "not decided"],
    ]
    assert effects_text([Case("", -2.0, -2.0, -2.0)], "{:.0f} %") == "−2 %"
