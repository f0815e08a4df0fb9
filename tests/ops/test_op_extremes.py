"""At the ends of the range: masks choose and do not multiply, and no product on the way overflows where the result does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import tinygrad_bn as tg
from tests.ops.op_cases import CASES, Case
from tinygrad_bn import Scalar, Tensor, functional, ops, scalarize

INF, NAN = math.inf, math.nan
HALF, SINGLE, DOUBLE = np.float16, np.float32, np.float64


def slopes(function: Any, cotangent: Any, *points: Any, dtype: Any = DOUBLE) -> list[Any]:
    leaves = [Tensor(point, requires_grad=True, dtype=dtype) for point in points]
    with np.errstate(all="ignore"):
        out = function(*leaves)
        out.backward(np.broadcast_to(np.asarray(cotangent, dtype), out.shape))
    return [leaf.grad.numpy() for leaf in leaves]


# -- masks choose -----------------------------------------------------------------------------------------------------

# what, function, points, gradients: where the function takes no part of x, an infinite cotangent gives 0
CHOICES: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("relu", ops.relu, [[-1.0, 0.0, 2.0]], [[0, 0, INF]]),
    ("abs at 0", ops.abs, [[0.0, -1.0, 2.0]], [[0, -INF, INF]]),
    ("sign", ops.sign, [[-1.0, 0.0, 2.0]], [[0, 0, 0]]),
    ("maximum", ops.maximum, [[1.0, 3.0], [2.0, 2.0]], [[0, INF], [INF, 0]]),
    ("minimum", ops.minimum, [[1.0, 3.0], [2.0, 2.0]], [[INF, 0], [0, INF]]),
    ("clip", lambda x: ops.clip(x, -1, 1), [[-2.0, 0.0, 2.0]], [[0, INF, 0]]),
    ("where", lambda x, y: ops.where(np.array([True, False]), x, y), [[1.0, 1.0], [2.0, 2.0]], [[INF, 0], [0, INF]]),
    ("max", ops.max, [[1.0, 3.0, 2.0]], [[0, INF, 0]]),
    ("max of ties", ops.max, [[3.0, 3.0, 2.0]], [[INF, INF, 0]]),
    ("min", ops.min, [[1.0, 3.0, 2.0]], [[INF, 0, 0]]),
    ("max of an axis", lambda x: ops.max(x, 1), [[[1.0, 3.0], [5.0, 4.0]]], [[[0, INF], [INF, 0]]]),
    ("inf-norm", lambda x: ops.norm(x, np.inf), [[1.0, -3.0]], [[0, -INF]]),
    ("leaky_relu", lambda x: ops.leaky_relu(x, 0.5), [[-1.0, 2.0]], [[INF, INF]]),
    ("elu", ops.elu, [[2.0]], [[INF]]),
    ("relu6 and the like", lambda x: ops.minimum(ops.relu(x), 6.0), [[-1.0, 1.0, 7.0]], [[0, INF, 0]]),
    ("tril", ops.tril, [[[1.0, 2.0], [3.0, 4.0]]], [[[INF, 0], [INF, INF]]]),
    ("triu", ops.triu, [[[1.0, 2.0], [3.0, 4.0]]], [[[INF, INF], [0, INF]]]),
    ("getitem", lambda x: x[1:], [[1.0, 2.0]], [[0, INF]]),
    ("take", lambda x: ops.take(x, [1]), [[1.0, 2.0]], [[0, INF]]),
    ("max_pool", lambda x: functional.max_pool1d(x, 2), [[[[1.0, 2.0]]]], [[[[0, INF]]]]),
]


@pytest.mark.parametrize(("what", "function", "points", "expected"), CHOICES, ids=[row[0] for row in CHOICES])
@pytest.mark.parametrize("dtype", [HALF, SINGLE, DOUBLE])
def test_masks_choose(what: str, function: Any, points: Any, expected: Any, dtype: Any) -> None:
    for got, wanted in zip(slopes(function, INF, *points, dtype=dtype), expected):
        np.testing.assert_array_equal(got, np.asarray(wanted, dtype))


@pytest.mark.parametrize(("what", "function", "points", "expected"), CHOICES[:7], ids=[row[0] for row in CHOICES[:7]])
def test_masks_choose_on_scalars(what: str, function: Any, points: Any, expected: Any) -> None:
    for i in range(len(points[0])):
        if what == "where":
            break  # its condition is an array here
        leaves = [Scalar(point[i]) for point in points]
        function(*leaves).backward(INF)
        assert [leaf.grad.item() for leaf in leaves] == [wanted[i] for wanted in expected]


def test_an_infinite_slope_behind_a_mask() -> None:
    for function in (
        lambda x: ops.sqrt(ops.relu(x)),
        lambda x: ops.sqrt(ops.maximum(x, 0.0)),
        lambda x: ops.where(x > 0, ops.log(ops.relu(x)), 0.0),
        lambda x: ops.sqrt(ops.abs(ops.relu(x))),
    ):
        np.testing.assert_array_equal(slopes(function, 1.0, [-1.0, 4.0])[0], [0.0, 0.25])


def test_the_check_above_can_fail() -> None:
    masked = tg.Primitive("masked", lambda x: np.maximum(x, 0.0), lambda g, out, x: g * ops.greater(x, 0.0))
    assert np.isnan(slopes(masked, INF, [-1.0])[0]).all()


# -- nothing overflows on the way -----------------------------------------------------------------------------------------

# At a large or infinite argument the derivative is no number (a sine), or rounding decides (one minus almost one).
ELSEWHERE = {"cos", "sin", "tan", "arccos", "arcsin", "arctanh", "sigmoid", "tanh"}
UNARY = [c for c in CASES if c.theirs and c.call.__name__ == "straight" and len(c.inputs) == 1]
UNARY = [c for c in UNARY if getattr(c.operation, "elementwise", False) and c.name not in ELSEWHERE]
BINARY = [c for c in CASES if c.theirs and c.call.__name__ == "straight" and len(c.inputs) == 2]
BINARY = [c for c in BINARY if getattr(c.operation, "elementwise", False) or c.operation is ops.power]


def magnitudes(dtype: Any) -> list[float]:
    """Numbers of every size the dtype has, none a power of two."""
    info = np.finfo(dtype)
    low, high = math.log2(info.tiny), math.log2(float(info.max)) - 1.0
    return [float(dtype(1.3 * 2.0**e)) for e in np.linspace(low, high - 1.0, 13)]


def in_double(case: Case, g: float, points: list[float]) -> list[float]:
    inputs = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in points]
    found = torch.autograd.grad(case.theirs(*inputs), inputs, torch.tensor(g, dtype=torch.float64))  # type: ignore[misc]
    return [float(f) for f in found]


def compare(case: Case, dtype: Any, points: list[float], got: Any, g: float) -> None:
    tiny, most, eps = (float(v) for v in (np.finfo(dtype).tiny, np.finfo(dtype).max, np.finfo(dtype).eps))
    for mine, theirs in zip(got, in_double(case, g, points)):
        sizes = [abs(theirs), abs(theirs / g)]  # the gradient, and the derivative
        if math.isnan(theirs) or 0.0 < min(sizes) < 8 * tiny or max(sizes) > most / 8:
            continue
        assert mine == pytest.approx(theirs, rel=40 * eps, abs=8 * tiny), (points, g)


@pytest.mark.parametrize("dtype", [HALF, SINGLE])
@pytest.mark.parametrize("case", UNARY, ids=str)
def test_gradients_of_one_argument_at_every_size(case: Case, dtype: Any) -> None:
    """In the narrow dtype as PyTorch in float64, unless the derivative itself is too large or too small to be said."""
    for size in [*magnitudes(dtype), INF]:
        for x in (size, -size):
            for g in (1.0, 2.0**-9, 2.0**9):
                with np.errstate(all="ignore"):
                    value = float(case.ours(np.array(x, dtype)))
                if math.isfinite(value) or case.name == "reciprocal":
                    got = slopes(case.ours, g, x, dtype=dtype)
                    compare(case, dtype, [x], [float(v) for v in got], g)


@pytest.mark.parametrize("dtype", [HALF, SINGLE])
@pytest.mark.parametrize("case", BINARY, ids=str)
def test_gradients_of_two_arguments_at_every_size(case: Case, dtype: Any) -> None:
    sizes = magnitudes(dtype)
    for x in sizes:
        for y in sizes:
            for g in (1.0, 2.0**-9, 2.0**9):
                with np.errstate(all="ignore"):
                    value = float(case.ours(np.array(x, dtype), np.array(y, dtype)))
                if math.isfinite(value) and abs(value) > 8 * np.finfo(dtype).tiny:
                    got = slopes(case.ours, g, x, y, dtype=dtype)
                    compare(case, dtype, [x, y], [float(v) for v in got], g)


# what, gradient by a library of the wrong order, right one: float64, by hand
FAR: list[tuple[str, Any, list[float], float, list[float]]] = [
    ("divide", ops.divide, [1e250, 1e100], 1e200, [1e100, -1e250]),
    ("divide by little", ops.divide, [1e-300, 1e-200], 1e-50, [1e150, -1e50]),
    ("arcsinh", ops.arcsinh, [-1e200], 1.0, [1e-200]),
    ("arctan", ops.arctan, [1e160], 1e100, [1e-220]),
    ("arccosh", ops.arccosh, [1e200], 1.0, [1e-200]),
    ("reciprocal", ops.reciprocal, [1e200], 1e250, [-1e-150]),
    ("hypot", ops.hypot, [3e200, 4e200], 1e100, [0.6e100, 0.8e100]),
    ("x ** 0 at inf", lambda x: x**0, [INF], 1.0, [0.0]),
    ("x ** 1 at inf", lambda x: x**1, [INF], 1.0, [1.0]),
    ("x ** -1 at inf", lambda x: x**-1, [INF], 1.0, [0.0]),
    ("power with exponent 0 at inf", ops.power, [INF, 0.0], 1.0, [0.0, INF]),
    ("power with exponent 0 at 0", ops.power, [0.0, 0.0], 1.0, [0.0, 0.0]),
    ("power of 0", ops.power, [0.0, 2.0], 1.0, [0.0, 0.0]),
    ("power to nothing", ops.power, [INF, -2.0], 1.0, [0.0, 0.0]),
    ("power too small", ops.power, [1e-200, 2.0], 1.0, [2e-200, 0.0]),
    ("sigmoid at inf", ops.sigmoid, [INF], 1.0, [0.0]),
    ("tanh at -inf", ops.tanh, [-INF], 1.0, [0.0]),
    ("softplus at inf", ops.softplus, [INF], 1.0, [1.0]),
    ("softplus at -inf", ops.softplus, [-INF], 1.0, [0.0]),
    ("erf at inf", ops.erf, [INF], 1.0, [0.0]),
    ("erf at the end", ops.erf, [1e300], 1.0, [0.0]),
    ("log at inf", ops.log, [INF], 1.0, [0.0]),
    ("sqrt at inf", ops.sqrt, [INF], 1.0, [0.0]),
    ("arctan at inf", ops.arctan, [INF], 1.0, [0.0]),
]


@pytest.mark.parametrize(("what", "function", "point", "g", "expected"), FAR, ids=[row[0] for row in FAR])
def test_far_out(what: str, function: Any, point: Any, g: float, expected: Any) -> None:
    got = [float(v) for v in slopes(function, g, *point)]
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    leaves = [Scalar(p) for p in point]
    function(*leaves).backward(g)
    np.testing.assert_allclose([leaf.grad.item() for leaf in leaves], expected, rtol=1e-14)


def test_a_mixed_second_derivative_where_the_exponent_is_0() -> None:
    x, y = Tensor(2.0, requires_grad=True), Tensor(0.0, requires_grad=True)
    (slope,) = tg.grad(ops.power(x, y), [x], create_graph=True)
    np.testing.assert_allclose(tg.grad(slope, y).numpy(), 0.5)  # x ** (y - 1) * (1 + y log x)


# -- NaN ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize(
    "values",
    [[1.0, NAN, 3.0], [NAN, 1.0, 2.0], [NAN, NAN, 1.0], [3.0, 1.0, 3.0], [INF, 1.0, NAN], [INF, INF, -INF], [NAN]],
    ids=str,
)
def test_scalars_and_tensors_agree_on_extrema(name: str, values: list[float]) -> None:
    """The value, and the gradient: where there is a NaN, nobody knows whose it is."""
    x, boxes = Tensor(values, requires_grad=True), scalarize(values)
    with np.errstate(invalid="ignore"):
        one, other = getattr(ops, name)(x), getattr(ops, name)(boxes, axis=0)
        one.backward(2.0)
        other.backward(2.0)
    np.testing.assert_array_equal(other.item(), one.item())
    np.testing.assert_array_equal(one.item(), getattr(np, name)(values))
    np.testing.assert_array_equal([s.grad.item() for s in boxes], x.grad.numpy())


@pytest.mark.parametrize("function", [ops.maximum, ops.minimum], ids=["maximum", "minimum"])
@pytest.mark.parametrize(("x", "y"), [(NAN, 1.0), (1.0, NAN), (NAN, NAN), (INF, 1.0), (-INF, -INF)])
def test_scalars_and_tensors_agree_on_the_extremum_of_two(function: Any, x: float, y: float) -> None:
    tensors = [Tensor(x, requires_grad=True), Tensor(y, requires_grad=True)]
    scalars = [Scalar(x), Scalar(y)]
    one, other = function(*tensors), function(*scalars)
    one.backward()
    other.backward()
    np.testing.assert_array_equal(other.item(), one.item())
    np.testing.assert_array_equal([s.grad.item() for s in scalars], [t.grad.item() for t in tensors])


@pytest.mark.parametrize("bounds", [(0.0, NAN), (NAN, 1.0), (0.0, 1.0), (1.0, 0.0)], ids=str)
@pytest.mark.parametrize("x", [NAN, 0.5, -INF, INF])
def test_scalars_and_tensors_agree_on_clip(x: float, bounds: tuple[float, float]) -> None:
    np.testing.assert_array_equal(ops.clip(Scalar(x), *bounds).item(), np.clip(x, *bounds))
    np.testing.assert_array_equal(ops.clip(Tensor(x), *bounds).item(), np.clip(x, *bounds))


# -- erf ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [HALF, SINGLE, DOUBLE])
def test_erf_to_two_units_in_the_last_place(dtype: Any) -> None:
    """Against the C library's, in steps of every size and at all borders between the formulas."""
    least = float(np.finfo(dtype).tiny)
    x = np.concatenate([np.linspace(-7.0, 7.0, 70001), np.geomspace(least, 7.0, 30001)]).astype(dtype)
    borders = np.array([0.6, 0.84375, 4.1, 6.0], dtype)
    x = np.concatenate([x, borders, np.nextafter(borders, dtype(9)), np.nextafter(borders, dtype(0))])
    exact = np.array([math.erf(float(v)) for v in x])
    error = np.abs(ops.erf(x).astype(float) - exact) / np.spacing(np.abs(exact).astype(dtype)).astype(float)
    assert error.max() <= 2.0
    np.testing.assert_array_equal(ops.erf(-x), -ops.erf(x))


def test_erf_of_what_is_no_ordinary_number() -> None:
    for dtype in (HALF, SINGLE, DOUBLE):
        x = np.array([NAN, INF, -INF, np.finfo(dtype).max, 0.0, -0.0], dtype)
        np.testing.assert_array_equal(ops.erf(x), np.array([NAN, 1, -1, 1, 0, -0.0], dtype))
        assert np.signbit(ops.erf(x)[-1])
        assert ops.erf(x).dtype == dtype
    assert ops.erf(np.zeros((0, 2))).shape == (0, 2)
    wide = np.linspace(-3, 3, 40000).reshape(100, 400)  # more than one block
    np.testing.assert_array_equal(ops.erf(wide)[::7, ::9], ops.erf(wide[::7, ::9]))


# -- zeros by bits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [HALF, SINGLE, DOUBLE, np.int64])
@pytest.mark.parametrize("zero", [0.0, -0.0, 0], ids=str)
def test_where_beside_a_zero_is_numpys(dtype: Any, zero: Any) -> None:
    values = [1.0, -2.0, 3.0, 0.0] if dtype is np.int64 else [INF, -NAN, -3.0, -0.0]
    x = np.array([values, values[::-1]], dtype)
    for condition in (x.astype(float) < 1, np.array([True, False, True, False]), np.array(True), np.array([[1], [0]])):
        for args in ((x, zero), (zero, x), (x[:, ::2].T, zero), (x[0, 0], zero)):
            if np.ndim(args[0]) == 2 and np.shape(args[0]) != x.shape:
                condition = np.ones((2, 2), bool)
            got, expected = ops.where(condition, *args), np.where(condition, *args)
            np.testing.assert_array_equal(got, expected)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))
            assert np.asarray(got).dtype == expected.dtype
