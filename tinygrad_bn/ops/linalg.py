"""Linear algebra on the last two axes, spelled as in ``numpy.linalg``: the axes before them are a stack of matrices.

All of it can be differentiated again.  Single scalars and object arrays have no matrix; float16 has no LAPACK.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import ArgumentError, ShapeError, explain
from ..kinds import Value
from . import primitives
from .composed.axes import as_array, shape_of
from .composed.shaping import swapaxes


class SlogdetResult(NamedTuple):
    """What ``slogdet`` returns: the determinant is ``sign * exp(logabsdet)``."""

    sign: Value
    logabsdet: Value


class EighResult(NamedTuple):
    """What ``eigh`` returns: ``x @ eigenvectors = eigenvectors * eigenvalues``."""

    eigenvalues: Value
    eigenvectors: Value


def solve(a: Value, b: Value) -> Value:
    """The x with ``a @ x = b``, as ``numpy.linalg.solve``: b is one vector (one axis) or a matrix, or a stack of matrices.

    Raises:
        ShapeError: a is not square, or b has not as many rows.
        MatrixError: a is singular.
    """
    a, b = _square(a, "solve"), as_array(b)
    n, rows = shape_of(a)[-1], shape_of(b)
    if not rows or rows[-2 if len(rows) > 1 else 0] != n:
        raise ShapeError(explain("solve: as many rows as a has", got=f"{shape_of(a)} and {rows}"))
    if len(rows) > 1:
        return primitives.solve(a, b)
    x = primitives.solve(a, primitives.reshape(b, shape=(n, 1)))
    return primitives.reshape(x, shape=shape_of(x)[:-1])


def inv(x: Value) -> Value:
    """The inverse, as ``numpy.linalg.inv``; to multiply by it, ``solve`` is faster and more exact.

    Raises:
        ShapeError: not square.
        MatrixError: singular.
    """
    return primitives.inv(_square(x, "inv"))


def det(x: Value) -> Value:
    """The determinant, as ``numpy.linalg.det``.  Its derivative needs the inverse: backward refuses a singular matrix.

    Raises:
        ShapeError: not square.
    """
    return primitives.det(_square(x, "det"))


def slogdet(x: Value) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant, as ``numpy.linalg.slogdet``; the sign has no derivative.

    Raises:
        ShapeError: not square.
    """
    x = _square(x, "slogdet")
    return SlogdetResult(primitives.signdet(x), primitives.logabsdet(x))


def cholesky(x: Value, *, upper: bool = False) -> Value:
    """The lower triangle L with ``L @ L.T = x``, as ``numpy.linalg.cholesky``; with ``upper`` the U with ``U.T @ U = x``.

    Reads the lower (upper) triangle of x only, so the gradient is one, too; that by ``(x + x.T) / 2`` is symmetric.

    Raises:
        ShapeError: not square.
        MatrixError: not positive definite.
    """
    x = _square(x, "cholesky")
    return swapaxes(primitives.cholesky(swapaxes(x, -1, -2)), -1, -2) if upper else primitives.cholesky(x)


def eigh(x: Value, UPLO: str = "L") -> EighResult:  # noqa: N803
    """Eigenvalues, rising, and eigenvectors, as columns, of a symmetric matrix, as ``numpy.linalg.eigh``.

    Reads one triangle of x only (``UPLO``), so the gradient is one, too.  The sign of an eigenvector is arbitrary: what is
    made of it should not depend on it.  Where eigenvalues are equal the eigenvectors have no derivative: it is NaN.

    Raises:
        ShapeError: not square.
        ArgumentError: another ``UPLO`` than ``"L"`` and ``"U"``.
    """
    x = _triangle(x, UPLO, "eigh")
    return EighResult(primitives.eigvalsh(x), primitives.eigenvectors(x))


def eigvalsh(x: Value, UPLO: str = "L") -> Value:  # noqa: N803
    """The eigenvalues of a symmetric matrix, rising, as ``numpy.linalg.eigvalsh``; errors as in ``eigh``."""
    return primitives.eigvalsh(_triangle(x, UPLO, "eigvalsh"))


def _triangle(x: Value, uplo: str, what: str) -> Value:
    x = _square(x, what)
    if uplo not in ("L", "U"):
        raise ArgumentError(explain(f"{what}: which triangle", got=repr(uplo), expected="'L' or 'U'"))
    return swapaxes(x, -1, -2) if uplo == "U" else x


def _square(x: Value, what: str) -> Value:
    x = as_array(x)
    shape = shape_of(x)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(explain(f"{what}: square matrices", got=f"shape {shape}", expected="(..., n, n)"))
    return x


__all__ = ["cholesky", "det", "eigh", "eigvalsh", "inv", "slogdet", "solve"]
