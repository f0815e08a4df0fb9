"""What the plots share: curves that are smoothed for the eye, and axes with plain numbers."""

import numpy as np
import pytest

from demos.lab.show import plots

pytest.importorskip("matplotlib", exc_type=ImportError)


def axis(low, high):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.set(yscale="log", ylim=(low, high))
    return axes.yaxis


def numbers(axis):
    return [label.get_text() for label in axis.get_majorticklabels()]


def test_smooth_is_a_running_median_that_drops_a_lone_spike():
    row = [1.0, 1.0, 9.0, 1.0, 1.0, 5.0, 5.0]
    np.testing.assert_array_equal(plots.smooth([row]), [[1, 1, 1, 1, 5, 3, 5]])


def test_ticks_are_plain_numbers_where_the_axis_is():
    shown = axis(0.02, 5)
    plots.log_numbers(shown, (0.01, 0.1, 1, 10))
    assert numbers(shown) == ["0.1", "1"]
    assert list(shown.get_minorticklocs()) == []
    assert tuple(shown.get_view_interval()) == (0.02, 5)
    plots.only_ticks(shown, (0.001, 1))  # the axis grows to what is asked for
    assert numbers(shown) == ["0.001", "1"]
    assert shown.get_view_interval()[0] <= 0.001


def test_numbers_instead_of_powers():
    shown = axis(1, 10_000)
    plots.plain_numbers(shown, ",.0f")
    assert shown.get_major_formatter()(1000, 0) == "1,000"
    plots.plain_numbers(shown)
    assert shown.get_major_formatter()(0.01, 0) == "0.01"
