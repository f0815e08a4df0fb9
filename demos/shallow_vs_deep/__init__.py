"""Shallow against deep networks: the lecture's table of six differences, one file a row.

python -m demos.shallow_vs_deep [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]
"""

from ..lab.demo import Demo
from . import measure, show

DEMO = Demo(
    name="shallow_vs_deep",
    title="Shallow against deep networks",
    claim="A table of the lecture names six differences between shallow and deep networks, each to the advantage of depth.",
    parts=measure.PARTS,
    show=show.show,
    seeds=(3, 6),
)
