"""Intervals and medians, against closed forms, printed tables and counting."""

import itertools
import math

import numpy as np
import pytest

from demos.lab.measure import statistics as st
from demos.lab.show import texts


def test_t_quantiles_of_one_and_two_degrees_are_closed_forms():
    for p in (0.5, 0.75, 0.9, 0.975, 0.995):
        assert st.t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), abs=1e-9)
        assert st.t_quantile(p, 2) == pytest.approx((2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p))), abs=1e-9)


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(3, 3.182), (4, 2.776), (9, 2.262), (19, 2.093), (30, 2.042), (120, 1.980)]
)
def test_t_quantiles_of_the_printed_table(degrees, quantile):
    assert st.t_quantile(0.975, degrees) == pytest.approx(quantile, abs=6e-4)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(1).normal(3.0, 2.0, (4000, 5))
    covered = [abs(mean - 3.0) <= half for mean, half in (st.mean_interval(row) for row in draws)]
    assert 0.93 < np.mean(covered) < 0.97


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match="1 values have no interval"):
        st.mean_interval([0.3])


def test_medians_count_never_as_infinite():
    assert st.lower_median([30, 10, 20, 40]) == 20
    assert st.lower_median([30, None, 20]) == 30
    assert st.lower_median([None, 20, None]) is None
    assert st.first_at([10, 20, 30], [0.1, 0.9, 0.8], 0.8) == 20
    assert st.first_at([10, 20], [0.1, 0.2], 0.8) is None


def test_steps_saved():
    assert st.saved([100, 100, 200], [50, 20, 50]) == pytest.approx(0.5)
    assert st.saved([100, 100], [None, None]) is None
    assert st.saved_interval([100] * 5, [30] * 5) == pytest.approx((0.7, 0.7))
    low, high = st.saved_interval([100, 110, 90, 120, 95], [50, 80, 30, 60, 40])
    assert low < st.saved([100, 110, 90, 120, 95], [50, 80, 30, 60, 40]) < high
    assert st.saved_interval([100] * 4, [None] * 4) is None
    assert st.saved_interval([None] * 4, [50] * 4) == (1.0, 1.0)


def test_matched_compares_medians_at_the_same_level():
    # Two bins a decade: [1, 3.16) and [0.1, 0.316) are in both series, [10, 31.6) in one only.
    found = st.matched([20, 2, 2, 3, 0.2, 0.2], [99, 4, 6, 8, 1, 1], [1.5, 1.5, 0.3, 0.3, 0.3], [3, 3, 2, 4, 9], 2, 2)
    assert [ratio for _, ratio in found] == pytest.approx([6 / 3, 1 / 4])
    assert [level for level, _ in found] == pytest.approx([10**0.25, 10**-0.75])
    assert st.matched([2, 2], [1, 1], [2], [1], 2, 2) == []  # too few in one of them


def test_ratios_have_their_interval_on_logarithms():
    # log ratios 0 and log 4: mean log 2, standard error log 2, Student's t for one degree of freedom 12.7062
    middle, low, high = st.ratio_interval([1.0, 4.0])
    assert middle == pytest.approx(2)
    assert [math.log2(low), math.log2(high)] == pytest.approx([1 - 12.7062, 1 + 12.7062], rel=1e-5)


def test_auc_counts_pairs():
    rng = np.random.default_rng(4)
    scores, labels = rng.integers(0, 6, 60) / 2, rng.integers(0, 2, 60)  # with ties
    pairs = list(itertools.product(scores[labels == 1], scores[labels == 0]))
    assert st.auc(scores, labels) == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))
    assert st.auc(-scores, labels) == pytest.approx(1 - st.auc(scores, labels))


def test_texts():
    assert texts.steps_text([80, 90, 120]) == "90 (80 to 120)"
    assert texts.steps_text([1200]) == "1,200"
    assert (texts.never_text(1234.4), texts.never_text(0.5, ".2f"), texts.never_text(None)) == (
        "1,234",
        "0.50",
        "never",
    )
    assert texts.steps_text([80, None, 90]) == "90 (80 to 90), 2/3"
    assert texts.steps_text([None, None, 90]) == "never (90 to 90), 1/3"
    assert texts.steps_text([None, None]) == "never (0/2)"
    assert texts.saved_text([100] * 3, [25] * 3) == "75 % [75, 75]"
    assert texts.saved_text([None] * 3, [25] * 3) == "all: the other never"
    assert texts.saved_text([25] * 3, [None] * 3) == "none: never"
    assert texts.saved_text([None] * 3, [None] * 3) == "neither"
    assert texts.difference_text([0.01, 0.02, 0.03], 100) == "+2.00 ± 2.48"
    assert texts.mean_text([0.5, 0.6], 100, 1) == "55.0 ± 7.1"
