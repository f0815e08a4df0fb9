"""Plus, minus, times, divided by, to the power of: elementwise on two broadcasting arguments."""

from __future__ import annotations

import math
import operator

import numpy as np

from ...engine import Primitive
from ...kinds import Value
from .compare import equal, logical_and, logical_or, nothing, where
from .elementary import sigmoid

add: Primitive = Primitive(
    "add",
    np.add,
    lambda g, out, x, y: g,
    lambda g, out, x, y: g,
    scalar=operator.add,
    elementwise=True,
    notation="{0} + {1}",
    doc="``add(x, y)``, ``x + y``.",
)

subtract: Primitive = Primitive(
    "subtract",
    np.subtract,
    lambda g, out, x, y: g,
    lambda g, out, x, y: -g,
    scalar=operator.sub,
    elementwise=True,
    notation="{0} - {1}",
    doc="``subtract(x, y)``, ``x - y``.",
)

multiply: Primitive = Primitive(
    "multiply",
    np.multiply,
    lambda g, out, x, y: g * y,
    lambda g, out, x, y: g * x,
    scalar=operator.mul,
    elementwise=True,
    notation="{0} · {1}",
    doc="``multiply(x, y)``, ``x * y``.",
)

divide: Primitive = Primitive(
    "divide",
    np.divide,
    lambda g, out, x, y: g / y,
    lambda g, out, x, y: g * (out / -y),  # not g * out first, which may overflow
    scalar=operator.truediv,
    elementwise=True,
    notation="{0} / {1}",
    doc="``divide(x, y)``, ``x / y``.",
)

negative: Primitive = Primitive(
    "negative",
    np.negative,
    lambda g, out, x: -g,
    scalar=operator.neg,
    elementwise=True,
    notation="-{0}",
    doc="``negative(x)``, ``-x``.",
)


def _both_zero(x: Value, y: Value) -> Value:
    return logical_and(equal(x, 0.0), equal(y, 0.0))


# By the base: 0 * 0**(-1) would be NaN where both are 0, and the derivative of x**0 is 0.  By the exponent: where the result is
# 0 the logarithm is infinite, and the derivative 0 in the limit; at 0**0 it is taken to be 0, too.
power: Primitive = Primitive(
    "power",
    np.power,
    lambda g, out, x, y: g * (y * power(x, where(_both_zero(x, y), 1.0, y - 1.0))),
    lambda g, out, x, y: g * (out * log(where(logical_or(equal(out, 0.0), _both_zero(x, y)), 1.0, x))),
    scalar=math.pow,
    elementwise=True,
    notation="{0} ^ {1}",
    doc="``power(x, y)``, ``x ** y`` with a variable exponent; for a constant exponent see ``power_constant``.",
)

power_constant: Primitive = Primitive(
    "power_constant",
    lambda x, exponent: x**exponent,
    lambda g, out, x, exponent: g * (exponent * power_constant(x, exponent=exponent - 1 if exponent else 0)),
    scalar=lambda x, exponent: math.pow(x, exponent),
    elementwise=True,
    notation="{0} ^ {exponent}",
    doc="``power_constant(x, exponent=3)``, ``x ** 3``: the exponent is a Python number, so x**2 at 0 has derivative 0.",
)

square: Primitive = Primitive(
    "square",
    np.square,
    lambda g, out, x: g * x * 2.0,
    scalar=lambda x: x * x,
    elementwise=True,
    notation="{0}²",
    doc="``square(x)``, ``x * x``.",
)

reciprocal: Primitive = Primitive(
    "reciprocal",
    np.reciprocal,
    lambda g, out, x: -g * out * out,
    scalar=lambda x: 1.0 / x,
    elementwise=True,
    notation="1 / {0}",
    doc="``reciprocal(x)``, ``1 / x``, for floating-point x.",
)

log: Primitive = Primitive(
    "log",
    np.log,
    lambda g, out, x: g / x,
    scalar=math.log,
    elementwise=True,
    notation="log {0}",
    doc="``log(x)``: natural logarithm.",
)

# Where both are -inf the result is, too, and both derivatives are 0, as those of logsumexp.
logaddexp: Primitive = Primitive(
    "logaddexp",
    np.logaddexp,
    lambda g, out, x, y: g * sigmoid(x - where(equal(out, -math.inf), 0.0, y)),
    lambda g, out, x, y: g * sigmoid(y - where(equal(out, -math.inf), 0.0, x)),
    scalar=lambda x, y: float(np.logaddexp(x, y)),
    elementwise=True,
    notation="log(exp {0} + exp {1})",
    doc="``logaddexp(x, y)``: log(exp(x) + exp(y)), without overflow.",
)

floor_divide: Primitive = Primitive(
    "floor_divide",
    np.floor_divide,
    lambda g, out, x, y: nothing(g),
    lambda g, out, x, y: nothing(g),
    scalar=operator.floordiv,
    elementwise=True,
    notation="⌊{0} / {1}⌋",
    doc="``floor_divide(x, y)``, ``x // y``: the next integer below the quotient; its derivative is 0.",
)

remainder: Primitive = Primitive(
    "remainder",
    np.remainder,
    lambda g, out, x, y: g,
    lambda g, out, x, y: g * -floor_divide(x, y),
    scalar=operator.mod,
    elementwise=True,
    notation="{0} mod {1}",
    doc="``remainder(x, y)``, ``x % y``: x - floor(x / y) * y, with the sign of y.",
)
