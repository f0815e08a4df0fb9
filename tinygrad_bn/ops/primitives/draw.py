"""Random draws, as an operation: a recorded program draws anew each time it runs."""

from __future__ import annotations

from ...engine import Primitive, shape_of
from ...kinds import Raw
from ...random import generator


def _uniform_like(x: Raw) -> Raw:
    return generator().random(shape_of(x))


uniform_like: Primitive = Primitive(
    "uniform_like",
    _uniform_like,
    None,
    scalar=lambda x: float(generator().random()),
    object_forward=_uniform_like,
    pure=False,
    notation="uniform",
    doc="``uniform_like(x)``: numbers from [0, 1) in the shape of x, float64, from the generator that"
    " ``tinygrad_bn.manual_seed`` seeds; no derivative.",
)
