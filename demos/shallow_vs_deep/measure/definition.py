"""Row 1: a deep network has many layers, "with more neurons in each layer".

That is a definition, and a definition cannot be wrong. Its second half can be looked at, though: the same 48 hidden units
arranged in more layers are fewer in each, and the deep networks that win in the other rows can be asked whether they
needed more neurons in a layer than the shallow ones they beat.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tinygrad_bn import nn

from ...lab.measure.part import Part, Progress, Settings
from .regions import UNITS

LAYERS = (1, 2, 4, 12)


def sizes(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The parameters of networks with 48 hidden units, one input and one output, counted in the networks themselves."""
    networks = []
    for layers in LAYERS:
        widths = [1, *[UNITS // layers] * layers, 1]
        model = nn.Sequential(*(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(widths)))
        networks.append(
            {
                "layers": layers,
                "width": UNITS // layers,
                "parameters": sum(p.data.size for p in model.parameters()),
            }
        )
    return {"networks": networks}


PARTS = (Part("definition_sizes", sizes, seconds=0.1),)
