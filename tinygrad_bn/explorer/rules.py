"""Local derivatives as formulas: for each primitive and argument, what a rule multiplies the incoming gradient by.

Written in LaTeX with a, b, c for the arguments, y for the result, n for an exponent and g for the incoming gradient;
``latex2mathml`` makes MathML of it, which browsers draw by themselves.  On the page, the nodes' own names stand in place of
the letters.  Primitives that are not listed are described by their rule's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape

import latex2mathml.converter

# name: the contribution to each argument
CONTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "add": ("g", "g"),
    "subtract": ("g", "-g"),
    "multiply": (r"g \cdot b", r"g \cdot a"),
    "divide": (r"g \cdot \frac{1}{b}", r"-g \cdot \frac{y}{b}"),
    "negative": ("-g",),
    "power": (r"g \cdot b\,a^{b-1}", r"g \cdot y \log a"),
    "power_constant": (r"g \cdot n\,a^{n-1}",),
    "square": (r"g \cdot 2a",),
    "reciprocal": (r"-g \cdot y^2",),
    "exp": (r"g \cdot y",),
    "expm1": (r"g \cdot (y + 1)",),
    "log": (r"g \cdot \frac{1}{a}",),
    "log1p": (r"g \cdot \frac{1}{1 + a}",),
    "sqrt": (r"g \cdot \frac{1}{2y}",),
    "abs": (r"g \cdot \operatorname{sign}(a)",),
    "sin": (r"g \cdot \cos a",),
    "cos": (r"-g \cdot \sin a",),
    "tanh": (r"g \cdot (1 - y^2)",),
    "sigmoid": (r"g \cdot y (1 - y)",),
    "softplus": (r"g \cdot \sigma(a)",),
    "relu": (r"g \text{ where } a > 0",),
    "erf": (r"g \cdot \frac{2}{\sqrt{\pi}} e^{-a^2}",),
    "where": ("", r"g \text{ where } a", r"g \text{ where not } a"),
    "maximum": (r"g \text{ where } a > b", r"g \text{ where } b > a"),
    "minimum": (r"g \text{ where } a < b", r"g \text{ where } b < a"),
    "clip": (r"g \text{ where } b \le a \le c", r"g \text{ where } a < b", r"g \text{ where } a > c"),
    "sum": (r"g \text{ to each summand}",),
    "max": (r"g \text{ to the largest, shared among ties}",),
    "min": (r"g \text{ to the smallest, shared among ties}",),
    "cumsum": (r"\text{sums of } g \text{ from the other end}",),
    "broadcast_to": (r"\sum g \text{ over the repeated axes}",),
    "sum_to": (r"g \text{ repeated}",),
    "reshape": (r"g \text{ in the shape of } a",),
    "transpose": (r"g \text{ with the axes put back}",),
    "matmul": (r"g \, b^{T}", r"a^{T} g"),
    "take_slice": (r"g \text{ where it was taken from, else } 0",),
    "gather": (r"g \text{ added where it was taken from}",),
}


@lru_cache(maxsize=256)
def mathml(latex: str) -> str:
    """A formula as MathML markup."""
    markup: str = latex2mathml.converter.convert(latex)
    return markup


def contribution(primitive: str, slot: int, names: Mapping[str, str]) -> str:
    """MathML for what argument ``slot`` of a primitive receives, with ``names`` in place of the letters."""
    known = CONTRIBUTIONS.get(primitive, ())
    if slot < len(known) and known[slot]:
        return re.sub(r"<mi>([abcyn])</mi>", lambda found: _named(names.get(found[1], found[1])), mathml(known[slot]))
    return f"<span>rule of {escape(primitive)} for argument {slot}</span>"


def _named(name: str) -> str:
    tag = "mn" if re.fullmatch(r"-?[\d.]+(e[-+]\d+)?", name) else "mi"
    return f"<{tag}>{escape(name, quote=True)}</{tag}>"
