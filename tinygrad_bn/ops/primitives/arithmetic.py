"""Plus, minus, times, divided by, to the power of: elementwise on two broadcasting arguments."""

from __future__ import annotations

import math
import operator

import numpy as np

from ...engine import Primitive
from .compare import equal, where

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
    lambda g, out, x, y: g * out / -y,
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

# Where the exponent is 0 the derivative is 0 * x**(-1), which is 0 for every x but would be NaN at x = 0; where the base
# is 0 the derivative by the exponent is 0, the limit, for positive exponents.
power: Primitive = Primitive(
    "power",
    np.power,
    lambda g, out, x, y: g * (y * power(x, where(equal(y, 0.0), 1.0, y - 1.0))),
    lambda g, out, x, y: g * (out * log(where(equal(x, 0.0), 1.0, x))),
    scalar=math.pow,
    elementwise=True,
    notation="{0} ^ {1}",
    doc="``power(x, y)``, ``x ** y`` with a variable exponent; for a constant exponent see ``power_constant``.",
)

power_constant: Primitive = Primitive(
    "power_constant",
    lambda x, exponent: x**exponent,
    lambda g, out, x, exponent: g * (exponent * power_constant(x, exponent=exponent - 1 if exponent else 1)),
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
