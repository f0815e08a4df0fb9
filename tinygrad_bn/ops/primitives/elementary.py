"""Elementary functions of one argument.  Sources: any calculus text; kinks as in docs/engine.md."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...engine import Primitive
from ...kinds import Raw, Value
from .compare import equal, greater, nothing, where
from .error_function import erf_array


def _unary(
    name: str,
    forward: Callable[..., Raw],
    scalar: Callable[[float], float],
    rule: Callable[..., Value],
    doc: str,
    notation: str = "",
) -> Primitive:
    notation = notation or f"{name} {{0}}"
    return Primitive(
        name, forward, rule, scalar=scalar, elementwise=True, notation=notation, doc=f"``{name}(x)``: {doc}"
    )


exp: Primitive = _unary("exp", np.exp, math.exp, lambda g, out, x: g * out, "e to the power of x.")
expm1: Primitive = _unary("expm1", np.expm1, math.expm1, lambda g, out, x: g * (out + 1.0), "exp(x) - 1, exact near 0.")
log1p: Primitive = _unary("log1p", np.log1p, math.log1p, lambda g, out, x: g / (x + 1.0), "log(1 + x), exact near 0.")
log2: Primitive = _unary(
    "log2", np.log2, math.log2, lambda g, out, x: g * (1.0 / math.log(2.0)) / x, "logarithm to the base 2.", "log₂ {0}"
)
log10: Primitive = _unary(
    "log10",
    np.log10,
    math.log10,
    lambda g, out, x: g * (1.0 / math.log(10.0)) / x,
    "logarithm to the base 10.",
    "log₁₀ {0}",
)
sqrt: Primitive = _unary(
    "sqrt", np.sqrt, math.sqrt, lambda g, out, x: g * 0.5 / out, "square root; its derivative at 0 is inf.", "√{0}"
)

abs: Primitive = _unary(  # noqa: A001
    "abs",
    np.abs,
    math.fabs,
    lambda g, out, x: where(equal(x, 0.0), 0.0, g * sign(x)),
    "absolute value; derivative 0 at 0.",
    "|{0}|",
)
sign: Primitive = _unary(
    "sign", np.sign, lambda x: x if x != x else float((x > 0) - (x < 0)), lambda g, out, x: nothing(g),
    "-1, 0 or 1; its derivative is 0.",
)  # fmt: skip


def _step(name: str, forward: Callable[..., Raw], doc: str, notation: str) -> Primitive:
    return _unary(name, forward, lambda x: float(forward(x)), lambda g, out, x: nothing(g), doc, notation)


floor: Primitive = _step("floor", np.floor, "the next integer below; its derivative is 0.", "⌊{0}⌋")
ceil: Primitive = _step("ceil", np.ceil, "the next integer above; its derivative is 0.", "⌈{0}⌉")
trunc: Primitive = _step("trunc", np.trunc, "the next integer towards 0; its derivative is 0.", "trunc {0}")
rint: Primitive = _step("rint", np.rint, "the nearest integer, the even one of two; its derivative is 0.", "⌊{0}⌉")

# The root of x² + 1 without its square, which leaves the range long before the root does; at (0, 0) the derivative is 0.
hypot: Primitive = Primitive(
    "hypot",
    np.hypot,
    lambda g, out, x, y: g * (x / where(equal(out, 0.0), 1.0, out)),
    lambda g, out, x, y: g * (y / where(equal(out, 0.0), 1.0, out)),
    scalar=math.hypot,
    elementwise=True,
    notation="√({0}² + {1}²)",
    doc="``hypot(x, y)``: the root of x² + y², without overflow; derivative 0 where both are 0.",
)

# Divided twice by the distance from (0, 0), not by its square, which overflows; at (0, 0) the derivative is 0.
arctan2: Primitive = Primitive(
    "arctan2",
    np.arctan2,
    lambda g, out, y, x: g * (x / _distance(x, y) / _distance(x, y)),
    lambda g, out, y, x: g * (-y / _distance(x, y) / _distance(x, y)),
    scalar=math.atan2,
    elementwise=True,
    notation="∠({1}, {0})",
    doc="``arctan2(y, x)``: the angle of the point (x, y), in radians; derivative 0 where both are 0.",
)


def _distance(x: Value, y: Value) -> Value:
    r = hypot(x, y)
    return where(equal(r, 0.0), 1.0, r)


sin: Primitive = _unary("sin", np.sin, math.sin, lambda g, out, x: g * cos(x), "sine; x in radians.")
cos: Primitive = _unary("cos", np.cos, math.cos, lambda g, out, x: -g * sin(x), "cosine; x in radians.")
tan: Primitive = _unary("tan", np.tan, math.tan, lambda g, out, x: g * (out * out + 1.0), "tangent; x in radians.")
arcsin: Primitive = _unary(
    "arcsin", np.arcsin, math.asin, lambda g, out, x: g / sqrt(1.0 - x * x), "inverse sine, in radians."
)
arccos: Primitive = _unary(
    "arccos", np.arccos, math.acos, lambda g, out, x: -g / sqrt(1.0 - x * x), "inverse cosine, in radians."
)
arctan: Primitive = _unary(
    "arctan", np.arctan, math.atan, lambda g, out, x: g / hypot(x, 1.0) / hypot(x, 1.0), "inverse tangent, in radians."
)
sinh: Primitive = _unary("sinh", np.sinh, math.sinh, lambda g, out, x: g * cosh(x), "hyperbolic sine.")
cosh: Primitive = _unary("cosh", np.cosh, math.cosh, lambda g, out, x: g * sinh(x), "hyperbolic cosine.")
tanh: Primitive = _unary("tanh", np.tanh, math.tanh, lambda g, out, x: g * (1.0 - out * out), "hyperbolic tangent.")
arcsinh: Primitive = _unary("arcsinh", np.arcsinh, math.asinh, lambda g, out, x: g / hypot(x, 1.0), "inverse of sinh.")
arccosh: Primitive = _unary(
    "arccosh", np.arccosh, math.acosh, lambda g, out, x: g / (sqrt(x - 1.0) * sqrt(x + 1.0)), "inverse of cosh, x >= 1."
)
arctanh: Primitive = _unary(
    "arctanh", np.arctanh, math.atanh, lambda g, out, x: g / (1.0 - x * x), "inverse of tanh, |x| < 1."
)


def _sigmoid(x: Raw) -> Raw:
    with np.errstate(over="ignore"):  # exp(-x) = inf gives the right 0
        e = np.exp(np.subtract(0.0, x))  # not -x, which wraps around for unsigned integers
    e += 1.0
    return 1.0 / e


def _sigmoid_float(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


sigmoid: Primitive = _unary(
    "sigmoid", _sigmoid, _sigmoid_float, lambda g, out, x: g * (out * (1.0 - out)), "1 / (1 + exp(-x)).", "σ({0})"
)


def _softplus(x: Raw) -> Raw:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


softplus: Primitive = _unary(
    "softplus", _softplus, lambda x: float(_softplus(x)), lambda g, out, x: g * sigmoid(x),
    "log(1 + exp(x)), without overflow.",
)  # fmt: skip

relu: Primitive = _unary(
    "relu", lambda x: np.maximum(x, 0.0), lambda x: x if x > 0.0 or x != x else 0.0,
    lambda g, out, x: where(greater(x, 0.0), g, 0.0),
    "x where x > 0, else 0; derivative 0 at 0.",
)  # fmt: skip

_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)

erf: Primitive = _unary(
    "erf", erf_array, math.erf,
    lambda g, out, x: g * (exp(-x * x) * _TWO_OVER_ROOT_PI),
    "the error function, 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x.",
)  # fmt: skip

identity: Primitive = Primitive(
    "identity",
    lambda x: x,
    lambda g, out, x: g,
    scalar=lambda x: x,
    elementwise=True,
    notation="{0}",
    doc="``identity(x)``: x as a node of its own, such as the point at which a function is differentiated.",
)

stop_gradient: Primitive = Primitive(
    "stop_gradient",
    lambda x: x,
    None,
    scalar=lambda x: x,
    elementwise=True,
    notation="stop {0}",
    doc="``stop_gradient(x)``: x, taken as a constant by every derivative.",
)
