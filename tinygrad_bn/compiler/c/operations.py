"""Elementwise primitives as C expressions.

``{0} {1} {2}`` are the arguments, in the type ``{T}`` of the result (comparisons and questions: of the arguments); ``{f}`` ends
the name of a function of the C library for that type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ...program.parts import NUMBER

DTYPES = {"float32": "float", "float64": "double", "int64": "int64_t", "int32": "int32_t", "bool": "unsigned char"}

EXPRESSIONS = {
    "copy": "{0}",
    "identity": "{0}",
    "stop_gradient": "{0}",
    "astype": "({T}){0}",
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "square": "{0} * {0}",
    "reciprocal": "1 / {0}",
    **{name: f"{name}{{f}}({{0}})" for name in ("sqrt", "floor", "ceil", "trunc", "rint", "erf", "exp", "expm1")},
    **{name: f"{name}{{f}}({{0}})" for name in ("log", "log1p", "log2", "log10")},
    **{name: f"{name}{{f}}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"arc{name}": f"a{name}{{f}}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "arctan2": "atan2{f}({0}, {1})",
    "hypot": "hypot{f}({0}, {1})",
    "power": "pow{f}({0}, {1})",
    "abs": "fabs{f}({0})",
    "sign": "{0} > 0 ? 1 : {0} < 0 ? -1 : {0}",
    "sigmoid": "1 / (1 + exp{f}(-{0}))",
    "softplus": "({0} < 0 ? 0 : {0}) + log1p{f}(exp{f}(-fabs{f}({0})))",
    "relu": "{0} < 0 ? 0 : {0}",  # NaN stays
    "maximum": "{0} >= {1} || {0} != {0} ? {0} : {1}",  # NaN wins
    "minimum": "{0} <= {1} || {0} != {0} ? {0} : {1}",
    "where": "{0} ? {1} : {2}",
}

QUESTIONS = {
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "logical_and": "{0} && {1}",
    "logical_or": "{0} || {1}",
    "logical_xor": "!{0} != !{1}",
    "logical_not": "!{0}",
    "isfinite": "{0} - {0} == 0",  # exactly 1, which the macros of C do not promise
    "isinf": "{0} == {0} && {0} - {0} != 0",
    "isnan": "{0} != {0}",
}
EXPRESSIONS |= QUESTIONS
EXPRESSIONS["power_constant"] = ""  # by its exponent


class Accumulation(NamedTuple):
    """How a reduction begins, what OpenMP calls it, and its step from ``{0}`` by ``{1}``."""

    first: str
    name: str
    step: str


REDUCTIONS = {
    "sum": Accumulation("0", "+", "{0} += {1}"),
    "max": Accumulation("-INFINITY", "highest", "{0} = {1} > {0} || {1} != {1} ? {1} : {0}"),  # NaN wins
    "min": Accumulation("INFINITY", "lowest", "{0} = {1} < {0} || {1} != {1} ? {1} : {0}"),
}

FREE = ("copy", "identity", "stop_gradient")
ARITHMETIC = ("add", "subtract", "multiply", "negative", "square")
ELEMENTWISE_OF = {  # by the kind of the result's dtype
    "f": {*EXPRESSIONS},
    "i": {*FREE, *ARITHMETIC, "astype", "where", "maximum", "minimum"},
    "b": {*QUESTIONS, "astype", "where"},
}
CHEAP = dict.fromkeys(FREE, 0) | dict.fromkeys(
    (*ARITHMETIC, *QUESTIONS, "where"), 1
)  # what it costs to compute them once more


def types(op: str, dtypes: Sequence[str], dtype: str) -> list[str]:
    """The dtypes in which an operation with a result of some dtype takes its arguments; a Python number has none of its own."""
    if op in QUESTIONS:
        arrays = {dtype for dtype in dtypes if dtype != NUMBER}
        common = arrays.pop() if len(arrays) == 1 else "float64"
        return [common if common[0] == "f" or NUMBER not in dtypes else "float64"] * len(dtypes)
    first = dtypes[0] if dtypes[0] != NUMBER else "float64"
    return [first if op in ("where", "astype") else dtype, *[dtype] * (len(dtypes) - 1)]


def expression(op: str, args: list[str], dtype: str, exponent: float | None = None) -> str:
    """The C text of an operation on texts, each a name or a number."""
    if op == "power_constant":
        text = {2: "{0} * {0}", 3: "{0} * {0} * {0}", 0.5: "sqrt{f}({0})", -1: "1 / {0}"}.get(exponent)  # type: ignore[arg-type]
        text = text or f"pow{{f}}({{0}}, {literal(float(exponent or 0), dtype)})"
    elif op == "astype" and dtype == "bool":
        text = "{0} != 0"
    else:
        text = EXPRESSIONS[op]
    return text.format(*args, f="f" if dtype == "float32" else "", T=DTYPES[dtype])


def literal(value: float, dtype: str) -> str:
    """A number as C writes it."""
    if dtype in ("int64", "int32", "bool"):
        return f"({int(value)})"
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    return f"({value!r}f)" if dtype == "float32" else f"({value!r})"
