"""dtypes follow NumPy's promotion; float32 stays float32 beside Python numbers, also without axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Tensor, ops
from tinygrad_bn.errors import DTypeError

WITH_NUMBERS: dict[str, Any] = {
    "x + 1": lambda x: x + 1,
    "1 - x": lambda x: 1 - x,
    "x * 2.5": lambda x: x * 2.5,
    "x / 3": lambda x: x / 3,
    "2.0 / x": lambda x: 2.0 / x,
    "x ** 2": lambda x: x**2,
    "x ** 0.5": lambda x: x**0.5,
    "x ** 0": lambda x: x**0,
    "2.0 ** x": lambda x: 2.0**x,
    "-x": lambda x: -x,
    "maximum": lambda x: ops.maximum(x, 0.5),
    "minimum": lambda x: ops.minimum(2, x),
    "where": lambda x: ops.where(x > 1, x, 0.0),
    "where, numbers first": lambda x: ops.where(x > 1, 3, x * x),
    "clip": lambda x: ops.clip(x, 0.5),
    "clip both": lambda x: ops.clip(x, 0, 1.3),
    "mean": ops.mean,
    "var": ops.var,
    "std": ops.std,
    "norm": ops.norm,
    "3-norm": lambda x: ops.norm(x, 3),
    "prod": ops.prod,
    "max": ops.max,
    "logsumexp": ops.logsumexp,
    "softmax": lambda x: ops.softmax(ops.ravel(x)),
    "log_softmax": lambda x: ops.log_softmax(ops.ravel(x)),
    "gelu": ops.gelu,
    "gelu tanh": lambda x: ops.gelu(x, "tanh"),
    "elu": ops.elu,
    "silu": ops.silu,
    "leaky_relu": ops.leaky_relu,
    "erf": ops.erf,
    "softplus": ops.softplus,
    "sigmoid": ops.sigmoid,
    "relu": ops.relu,
    "sign": lambda x: ops.sign(x) * x,
    "pad": lambda x: ops.pad(ops.ravel(x), 1, 2.0),
    "einsum": lambda x: ops.einsum("i,i->i", ops.ravel(x), ops.ravel(x)),
}


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("function", WITH_NUMBERS.values(), ids=WITH_NUMBERS.keys())
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_python_numbers_widen_nothing(function: Any, shape: tuple[int, ...], dtype: Any) -> None:
    x = Tensor(np.linspace(0.6, 1.4, int(np.prod(shape))).reshape(shape), dtype=dtype, requires_grad=True)
    y = function(x)
    assert y.dtype == dtype
    first = tg.grad(y, x, np.ones(y.shape), create_graph=True)
    assert first.dtype == dtype
    if first.requires_grad:
        assert tg.grad(first, x, np.ones(x.shape)).dtype == dtype
    y = function(x)
    y.backward(np.ones(y.shape))
    assert x.grad.dtype == dtype
    assert x.grad.shape == shape


@pytest.mark.parametrize("operation", [ops.add, ops.multiply, ops.divide, ops.power, ops.maximum, ops.matmul])
def test_a_gradient_has_the_dtype_of_its_leaf(operation: Any) -> None:
    x = Tensor(np.full((2, 2), 1.5), dtype=np.float32, requires_grad=True)
    y = Tensor(np.full((2, 2), 0.5), dtype=np.float64, requires_grad=True)
    z = operation(x, y)
    assert z.dtype == np.float64
    for found in (
        tg.grad(z, [x, y], np.ones((2, 2)), retain_graph=True),
        tg.grad(z, [x, y], np.ones((2, 2)), create_graph=True),
    ):
        assert [g.dtype for g in found] == [np.float32, np.float64]


def test_wider_arrays_widen_as_in_numpy() -> None:
    x = Tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    for other in (np.array([1.0, 2.0]), np.array([1, 2]), Tensor([1.0, 2.0])):
        y = x * other
        assert y.dtype == np.float64
        y.backward(np.ones(2))
    assert x.grad.dtype == np.float32


INTEGER_CALLS: dict[str, Any] = {
    "add": lambda f, x: f.add(x, 1),
    "divide": lambda f, x: f.divide(x, 2),
    "multiply": lambda f, x: f.multiply(x, x),
    "square": lambda f, x: f.square(x),
    "power": lambda f, x: f.power(x, 2),
    "sum": lambda f, x: f.sum(x, axis=0),
    "mean": lambda f, x: f.mean(x, axis=0),
    "var": lambda f, x: f.var(x),
    "std": lambda f, x: f.std(x, axis=1),
    "prod": lambda f, x: f.prod(x, axis=0),
    "prod of nothing": lambda f, x: f.prod(x[:0], axis=0),
    "cumsum": lambda f, x: f.cumsum(x, axis=0),
    "max": lambda f, x: f.max(x, axis=0),
    "min": lambda f, x: f.min(x),
    "argmax": lambda f, x: f.argmax(x, axis=0),
    "argmin": lambda f, x: f.argmin(x, axis=0),
    "clip": lambda f, x: f.clip(x, 2, 4),
    "clip low": lambda f, x: f.clip(x, 2, None),
    "clip high": lambda f, x: f.clip(x, None, 4),
    "maximum": lambda f, x: f.maximum(x, 3),
    "abs": lambda f, x: f.abs(x),
    "sign": lambda f, x: f.sign(x),
    "exp": lambda f, x: f.exp(x),
    "sqrt": lambda f, x: f.sqrt(x),
    "tril": lambda f, x: f.tril(x),
    "triu": lambda f, x: f.triu(x),
    "pad": lambda f, x: f.pad(x, 1),
    "roll": lambda f, x: f.roll(x, 1),
    "tile": lambda f, x: f.tile(x, 2),
    "matmul": lambda f, x: f.matmul(x, x),
    "einsum": lambda f, x: f.einsum("ij,ij->i", x, x),
    "where": lambda f, x: f.where(x > 3, x, 0),
    "equal": lambda f, x: f.equal(x, 3),
    "trace": lambda f, x: f.trace(x),
}


@pytest.mark.parametrize("call", INTEGER_CALLS.values(), ids=INTEGER_CALLS.keys())
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8])
def test_integers_as_numpy(call: Any, dtype: Any) -> None:
    x = np.array([[3, 1, 5], [0, 4, 2], [6, 7, 1]], dtype)
    expected = np.asarray(call(np, x))
    for got in (call(ops, x), call(ops, Tensor(x)).numpy()):
        got = np.asarray(got)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-3 if expected.dtype == np.float16 else 1e-6)


def test_small_integers_do_not_wrap_around() -> None:
    x = np.array([200, 150], np.uint8)
    assert ops.prod(x) == 30000
    assert ops.norm(x) == 250.0
    assert ops.argmin(np.array([3, 0, 1], np.uint8)) == 1
    np.testing.assert_allclose(ops.sigmoid(np.array([0, 2], np.uint8)), 1 / (1 + np.exp([0.0, -2.0])), rtol=1e-15)
    np.testing.assert_allclose(ops.erf(np.array([0, 1])), [0.0, 0.8427007929497149], rtol=1e-15)


def test_booleans_count() -> None:
    x = Tensor([True, False, True])
    assert ops.sum(x).item() == 2
    assert ops.mean(x).item() == pytest.approx(2 / 3)
    assert ops.var(x).item() == pytest.approx(2 / 9)
    assert ops.prod(x).item() == 0
    assert ops.argmin(x).item() == 1
    assert ops.sigmoid(x).numpy()[1] == 0.5


@pytest.mark.parametrize("dtype", [np.float32, "float32", "f4", np.dtype("float32")])
def test_astype_takes_every_spelling(dtype: Any) -> None:
    x = Tensor([0.1, 0.2], requires_grad=True)
    for y in (ops.astype(x, dtype), x.astype(dtype)):
        assert y.dtype == np.float32
        y.backward(np.array([1.0, 2.0]))
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 4.0])
    assert ops.astype([1, 2], dtype).dtype == np.float32
    assert ops.astype(2.5, dtype).dtype == np.float32


@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_rounding_ends_the_graph(dtype: Any) -> None:
    x = Tensor([1.7, 0.0], requires_grad=True)
    y = ops.astype(x, dtype)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), [1, 0])
    z = y * x  # the rounded numbers are constants
    z.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 0.0])


@pytest.mark.parametrize("dtype", ["nonsense", complex, str, object])
def test_what_a_tensor_cannot_become(dtype: Any) -> None:
    with pytest.raises(DTypeError, match="astype"):
        ops.astype(Tensor([1.0]), dtype)


def test_a_numpy_number_as_exponent_is_an_argument_of_its_own_dtype() -> None:
    x = Tensor([0.0, 3.0], dtype=np.float32, requires_grad=True)
    for exponent, dtype in (
        (np.float64(2), (x.numpy() ** np.float64(2)).dtype),
        (np.float32(2), np.float32),
        (2, np.float32),
    ):
        y = x**exponent
        assert y.dtype == dtype
        y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [0.0, 18.0])


def test_a_mask_has_no_gradient_but_may_be_a_factor() -> None:
    x = Tensor([-1.0, 2.0], dtype=np.float32, requires_grad=True)
    y = x * (x > 0)
    assert y.dtype == np.float32
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [0.0, 1.0])
