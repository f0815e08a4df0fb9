"""Matrices: batches, triangles, singular and degenerate cases; values and derivatives are also among the op cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Tensor, ops
from tinygrad_bn.errors import MatrixError, ShapeError
from tinygrad_bn.ops.primitives import factor


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ops.linalg.inv(x), lambda x: ops.linalg.solve(x, np.ones(2)), lambda x: ops.linalg.cholesky(x * -2.0),
        lambda x: np.linalg.inv(x),
    ],
)  # fmt: skip
def test_a_matrix_without_a_result(call: Any) -> None:
    for error in (MatrixError, ValueError, np.linalg.LinAlgError):
        with pytest.raises(error, match=r"Singular|positive definite"):
            call(Tensor(np.ones((2, 2))))


def test_misused_matrices() -> None:
    x = Tensor(np.ones((2, 3)))
    for name in ops.linalg.__all__:
        arguments = [x, x] if name == "solve" else [x]
        for module in (ops.linalg, np.linalg):
            with pytest.raises(ShapeError, match=f"{name}: square matrices"):
                getattr(module, name)(*arguments)
    for b in (np.ones(3), 1.0, np.ones((3, 2))):
        with pytest.raises(ShapeError, match="as many rows"):
            ops.linalg.solve(np.eye(2), b)
    for call in (ops.linalg.eigh, ops.linalg.eigvalsh):
        with pytest.raises(tg.TinygradError, match="which triangle"):
            call(np.eye(2), "X")
    with pytest.raises(ShapeError, match="diag: one axis or two"):
        ops.diag(np.ones((2, 2, 2)))
    with pytest.raises(ShapeError, match="inner: paired axes"):
        ops.inner(np.ones(2), np.ones(3))
    np.testing.assert_array_equal(ops.inner(2.0, [1.0, 2.0]), [2.0, 4.0])


def test_batches_of_equations_broadcast() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 3)) + 4 * np.eye(3), rng.normal(size=(5, 3, 2))
    np.testing.assert_allclose(ops.linalg.solve(a, b), np.stack([np.linalg.solve(a, part) for part in b]), rtol=1e-12)
    assert tg.gradcheck(ops.linalg.solve, [a, b])
    many = rng.normal(size=(2, 3, 3)) + 4 * np.eye(3)
    assert tg.gradcheck(ops.linalg.solve, [many, b[0]])
    assert tg.gradcheck(ops.linalg.solve, [many, b[0, :, 0]])
    assert tg.gradgradcheck(ops.linalg.solve, [a, b[0]])


def test_the_gradient_is_that_of_the_triangle_that_is_read() -> None:
    """Central differences by every element, those that the operation does not look at included."""
    m = np.random.default_rng(1).normal(size=(3, 3))
    positive = m @ m.T + np.diag([1.0, 2.0, 3.0])
    assert tg.gradcheck(ops.linalg.cholesky, positive)
    assert tg.gradcheck(lambda x: ops.linalg.cholesky(x, upper=True), positive)
    assert tg.gradgradcheck(ops.linalg.cholesky, positive)
    for uplo in ("L", "U"):
        assert tg.gradcheck(lambda x, u=uplo: ops.linalg.eigvalsh(x, u), positive)
        assert tg.gradgradcheck(lambda x, u=uplo: ops.linalg.eigh(x, u).eigenvectors ** 2, positive)


def test_a_function_of_a_matrix_by_its_eigenvalues() -> None:
    """The root R of a matrix X, whose derivative is known by itself: R dR + dR R = dX."""
    rng = np.random.default_rng(2)
    m, w = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    x = Tensor(m @ m.T + np.eye(3), requires_grad=True)
    values, vectors = np.linalg.eigh((x + x.T) / 2)
    root = (vectors * np.sqrt(values)) @ vectors.T
    np.testing.assert_allclose((root @ root).numpy(), x.numpy(), rtol=1e-12)
    root.backward(w + w.T)
    r = root.numpy()
    kron = np.kron(r, np.eye(3)) + np.kron(np.eye(3), r)
    expected = np.linalg.solve(kron, (w + w.T).ravel()).reshape(3, 3)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-10)


def test_equal_eigenvalues() -> None:
    """The eigenvalues have a gradient; the eigenvectors have none, and say so."""
    x = Tensor(np.eye(3), requires_grad=True)
    ops.linalg.eigvalsh(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.eye(3), atol=1e-15)
    x.grad = None
    with np.errstate(invalid="ignore", divide="ignore"):
        ops.linalg.eigh(x).eigenvectors.backward(np.ones((3, 3)))
    assert not np.isfinite(x.grad.numpy()).all()


def test_a_singular_determinant_has_a_value_and_refuses_its_derivative() -> None:
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    y = ops.linalg.det(x)
    assert y.item() == 0.0
    with pytest.raises(tg.TinygradError, match="Singular"):
        y.backward()
    assert x.grad is None


def test_no_matrix_at_all() -> None:
    empty = Tensor(np.zeros((0, 0)), requires_grad=True)
    assert ops.linalg.det(empty).item() == 1.0
    ops.linalg.inv(empty).backward(np.zeros((0, 0)))
    assert empty.grad.shape == (0, 0)


@pytest.mark.parametrize("name", ["cholesky", "eigvalsh", "eigenvectors", "inv", "det", "logabsdet"])
def test_rules_hold_no_arrays(name: str) -> None:
    """No size is baked in but in parameters for shapes: what the rules compute with is numbers and arguments."""
    primitive = getattr(factor, name)
    x = Tensor(np.array([[3.0, 0.5], [0.5, 2.0]]), requires_grad=True)
    out = primitive(x)
    g = Tensor(np.ones(out.shape), requires_grad=True)
    seen = [tg.grad(out, x, g, create_graph=True)]
    while seen:
        node = seen.pop()
        for arg in node.inputs or ():
            assert not isinstance(arg, np.ndarray), (primitive, node.primitive)
            if isinstance(arg, tg.Variable):
                seen.append(arg)
