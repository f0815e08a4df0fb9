"""Tables, plots and verdicts."""

from __future__ import annotations

from ...lab.measure.part import Measured
from ...lab.show.blocks import Block, Text
from .findings import findings
from .pictures import curves_plot, gain_plot, rates_plot, saved_plot
from .tables import accuracy_table, cpu_table, rates_table, steps_table, unfinished, warnings
from .verdicts import better_accuracy, faster_cpu, faster_steps, stable_rates, summary

SETTINGS = (
    "The name of a setting gives its data, and how it differs from the default: the distribution of the initial weights "
    "(N(0, 0.1) is normal with standard deviation 0.1), other hidden units, another optimizer, or fewer images. The default "
    "is three hidden layers of 100 sigmoids that learn by SGD from batches of 60."
)


def show(measured: Measured) -> list[Block]:
    """Everything, from what was measured."""
    found = findings(measured)
    if not found:
        return []
    timed = [f for f in found if f.seconds]
    blocks: list[Block] = [
        summary(found, timed),
        Text(SETTINGS),
        rates_table(found),
        *warnings(found),
        steps_table(found),
    ]
    blocks += [cpu_table(timed)] if timed else []
    blocks += [
        accuracy_table(found),
        *unfinished(found),
        curves_plot(found[0]),
        rates_plot(found[0]),
        saved_plot(found),
        gain_plot(found),
    ]
    blocks += [faster_steps(found)]
    blocks += [faster_cpu(timed)] if timed else []
    return [*blocks, stable_rates(found), better_accuracy(found)]
