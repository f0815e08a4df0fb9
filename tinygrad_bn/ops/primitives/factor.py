"""Square matrices: systems of equations, inverses, determinants and factors, over any leading axes.

``cholesky``, ``eigvalsh`` and ``eigenvectors`` read the lower triangle only, as NumPy does, so their gradients are lower
triangles.  Sources: Giles 2008, Collected matrix derivative results; Murray 2016, arXiv:1602.07527 (Cholesky).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np

from ...engine import Primitive, shape_of
from ...errors import MatrixError, NoDerivativeError, explain
from ...kinds import Raw, Value
from .compare import where
from .shape import reshape, tril, triu


def _named(name: str, forward: Callable[..., Raw]) -> Callable[..., Raw]:
    """NumPy's complaint about a matrix, or about an array of scalars, with the operation's name."""

    @wraps(forward)
    def compute(*arrays: Raw) -> Raw:
        if any(array.dtype == object for array in arrays):
            fix = "use a Tensor"
            raise NoDerivativeError(explain(f"{name} is not made scalar by scalar", got="an array of scalars", fix=fix))
        try:
            return forward(*arrays)
        except np.linalg.LinAlgError as error:
            got = ", ".join(f"shape {array.shape}" for array in arrays)
            raise MatrixError(explain(f"{name}: {error}", got=got)) from error

    return compute


def _flipped(x: Value) -> Value:
    return x.swapaxes(-1, -2)


def _lower(x: Value) -> Value:
    """The lower triangle with half of the diagonal; of s + sᵀ: the gradient by a lower triangle that stands for both."""
    return (tril(x, k=0) + tril(x, k=-1)) * 0.5


def _solved(a: Raw, b: Raw) -> Raw:
    return np.linalg.solve(a, b.reshape((1,) * (a.ndim - b.ndim) + b.shape))  # NumPy 1 took fewer axes for a vector


solve: Primitive = Primitive(
    "solve",
    _named("solve", _solved),
    lambda g, out, a, b: -(solve(_flipped(a), g) @ _flipped(out)),
    lambda g, out, a, b: solve(_flipped(a), g),
    core_dims=2,
    notation="{0}⁻¹ {1}",
    doc="``solve(a, b)``: the x with a @ x = b; both have at least two axes, the axes before the last two broadcast.",
)

inv: Primitive = Primitive(
    "inv",
    _named("inv", np.linalg.inv),
    lambda g, out, x: -(_flipped(out) @ g @ _flipped(out)),
    notation="{0}⁻¹",
    doc="``inv(x)``: the inverse of each matrix.",
)


def _per_matrix(g: Value, x: Value) -> Value:
    """One number for each matrix, shaped to multiply matrices."""
    return reshape(g, shape=(*shape_of(x)[:-2], 1, 1))


det: Primitive = Primitive(
    "det",
    _named("det", np.linalg.det),
    lambda g, out, x: _per_matrix(g * out, x) * _flipped(inv(x)),
    notation="det {0}",
    doc="``det(x)``: the determinant of each matrix; the derivative needs an inverse, so a singular matrix has none here.",
)

logabsdet: Primitive = Primitive(
    "logabsdet",
    _named("logabsdet", lambda x: np.linalg.slogdet(x)[1]),
    lambda g, out, x: _per_matrix(g, x) * _flipped(inv(x)),
    notation="log |det {0}|",
    doc="``logabsdet(x)``: the logarithm of the determinant's absolute value, without overflow.",
)

signdet: Primitive = Primitive(
    "signdet",
    _named("signdet", lambda x: np.linalg.slogdet(x)[0]),
    None,
    notation="sign det {0}",
    doc="``signdet(x)``: the sign of the determinant of each matrix, without a derivative.",
)


def _cholesky_rule(g: Value, out: Value, x: Value) -> Value:
    upper = _flipped(out)
    s = _flipped(solve(upper, _flipped(solve(upper, _lower(upper @ g)))))
    return _lower(s + _flipped(s))


cholesky: Primitive = Primitive(
    "cholesky",
    _named("cholesky", np.linalg.cholesky),
    _cholesky_rule,
    notation="cholesky {0}",
    doc="``cholesky(x)``: the lower triangle L with L @ Lᵀ = x, of each positive definite matrix.",
)


def _eigvalsh_rule(g: Value, out: Value, x: Value) -> Value:
    v = eigenvectors(x)
    s = (v * reshape(g, shape=(*shape_of(g)[:-1], 1, shape_of(g)[-1]))) @ _flipped(v)
    return _lower(s + _flipped(s))


eigvalsh: Primitive = Primitive(
    "eigvalsh",
    _named("eigvalsh", np.linalg.eigvalsh),
    _eigvalsh_rule,
    notation="eigenvalues {0}",
    doc="``eigvalsh(x)``: the eigenvalues of each symmetric matrix, rising.",
)


def _eigenvectors_rule(g: Value, out: Value, x: Value) -> Value:
    """Divides by the gaps between eigenvalues: where two are equal their eigenvectors are no function of x, and it says NaN."""
    values = eigvalsh(x)
    lead, n = shape_of(values)[:-1], shape_of(values)[-1]
    gaps = reshape(values, shape=(*lead, 1, n)) - reshape(values, shape=(*lead, n, 1))
    identity = tril(triu(where(False, gaps, 1.0), k=0), k=0)
    turned = _flipped(out) @ g
    off_diagonal = tril(turned, k=-1) + triu(turned, k=1)
    s = out @ (off_diagonal / (gaps + identity)) @ _flipped(out)
    return _lower(s + _flipped(s))


eigenvectors: Primitive = Primitive(
    "eigenvectors",
    _named("eigenvectors", lambda x: np.linalg.eigh(x)[1]),
    _eigenvectors_rule,
    notation="eigenvectors {0}",
    doc="``eigenvectors(x)``: the eigenvectors of each symmetric matrix, as columns, in the order of ``eigvalsh``.",
)
