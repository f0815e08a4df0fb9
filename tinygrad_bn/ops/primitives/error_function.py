"""The values of erf, which NumPy does not have: rational approximations near 0 and one minus a small rest elsewhere.

Errors, measured against ``math.erf`` by the tests: at most 2 units in the last place in float64 and in float32.
"""

from __future__ import annotations

import numpy as np

from ...kinds import Array, DTypeLike, Raw

Coefficients = tuple[float, ...]

# float64, |x| < 0.84375: erf(x) = x + x P(x²) / Q(x²).  Source: Sun Microsystems' fdlibm 5.3, s_erf.c (1993).
BORDER = 0.84375
P = (0.128379167095512558561, -0.32504210724700149937, -0.0284817495755985104766, -0.00577027029648944159157,
     -2.37630166566501626084e-05)  # fmt: skip
Q = (1.0, 0.397917223959155352819, 0.0650222499887672944485, 0.00508130628187576562776, 0.000132494738004321644526,
     -3.96022827877536812320e-06)  # fmt: skip

# float64 elsewhere: erf(x) = 1 - exp(-x²) C(x) / D(x).  Source: W. J. Cody, Rational Chebyshev approximations for the error
# function, Mathematics of Computation 23 (1969) 631-637, there for |x| up to 4; beyond, the rest is below 2e-8 and as good.
C = (1230.33935479799725, 2051.07837782607147, 1712.04761263407058, 881.952221241769090, 298.635138197400131,
     66.1191906371416295, 8.88314979438837594, 0.564188496988670089, 2.15311535474403846e-08)  # fmt: skip
D = (1230.33935480374942, 3439.36767414372164, 4362.61909014324716, 3290.79923573345963, 1621.38957456669019,
     537.181101862009858, 117.693950891312499, 15.7449261107098347, 1.0)  # fmt: skip

# float32: x + x S(x²) near 0, and 1 - exp(-x - x L(x)) elsewhere; polynomials of least largest error, fitted for this file.
BORDER_SINGLE = 0.6
S = (0.12837915790321588, -0.3761251260867542, 0.11280990719296214, -0.026646986051813353, 0.004512357563902212)
L = (0.1285068068864455, 0.635769731627672, 0.10515200597236836, -0.02278685491668118, 0.0031706755750397185,
     -0.00020689166158660354)  # fmt: skip

BLOCK = 16000  # elements at a time: what the many steps of a polynomial read and write stays in the cache


def erf_array(x: Raw) -> Raw:
    """Element by element, in the dtype of x (float64 for integers and booleans)."""
    x = np.asarray(x)
    narrow = x.dtype in (np.float16, np.float32)
    flat = x.astype(np.float32 if narrow else np.float64).ravel()  # a copy, which the values replace
    for start in range(0, flat.size, BLOCK):
        (_single if narrow else _double)(flat[start : start + BLOCK])
    return flat.reshape(x.shape).astype(x.dtype if x.dtype.kind == "f" else float, copy=False)


def _double(x: Array) -> None:
    np.clip(x, -6.0, 6.0, out=x)  # beyond, erf is 1 to the last place, and nothing overflows on the way
    t = np.abs(x)
    far = _polynomial(C, t)
    far /= _polynomial(D, t)
    far *= np.exp(-t * t)
    s = np.minimum(x * x, 1.0)
    near = _polynomial(P, s)
    near /= _polynomial(Q, s)
    _choose(t < BORDER, near, far, x, np.int64)


def _single(x: Array) -> None:
    np.clip(x, -4.1, 4.1, out=x)
    near = _polynomial(S, x * x)
    t = np.abs(x)
    far = _polynomial(L, t)
    far *= t
    far += t
    np.negative(far, out=far)
    np.exp(far, out=far)
    _choose(t < BORDER_SINGLE, near, far, x, np.int32)


def _choose(is_near: Array, near: Array, far: Array, x: Array, bits: DTypeLike) -> None:
    """Write x + x * near, or one minus far with the sign of x, into x.

    Chosen as ``numpy.where`` does, but by bits: a branch for each element would take longer than all the rest.
    """
    near *= x
    near += x
    np.subtract(1.0, far, out=far)
    a, b, signs = near.view(bits), far.view(bits), x.view(bits)
    signs &= np.iinfo(bits).min
    b |= signs
    a ^= b
    a *= is_near
    np.bitwise_xor(a, b, out=signs)


def _polynomial(coefficients: Coefficients, x: Array) -> Raw:
    """Horner's scheme, in place; the coefficients from the constant one on."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total
