"""Scalars follow IEEE 754 where Python's floats would raise: values and gradients are those of NumPy's float64."""

import math

import numpy as np
import pytest

from tinygrad_bn import Primitive, Scalar, Tensor, grad, ops
from tinygrad_bn.errors import ArgumentError

inf, nan = math.inf, math.nan

# operation, argument, value, derivative: what calculus and IEEE 754 say
ONE = [
    ("reciprocal", 0.0, inf, -inf),
    ("reciprocal", -0.0, -inf, -inf),
    ("exp", 1000.0, inf, inf),
    ("exp", -1000.0, 0.0, 0.0),
    ("expm1", 1000.0, inf, inf),
    ("log", -1.0, nan, -1.0),
    ("log", 0.0, -inf, inf),
    ("log1p", -1.0, -inf, inf),
    ("log1p", -2.0, nan, -1.0),
    ("sqrt", 0.0, 0.0, inf),
    ("sqrt", -1.0, nan, nan),
    ("square", 1e200, inf, 2e200),
    ("sinh", 1000.0, inf, inf),
    ("cosh", -1000.0, inf, -inf),
    ("sin", inf, nan, nan),
    ("cos", -inf, nan, nan),
    ("tan", inf, nan, nan),
    ("arcsin", 2.0, nan, nan),
    ("arcsin", 1.0, math.pi / 2, inf),
    ("arccos", -1.0, math.pi, -inf),
    ("arccosh", 1.0, 0.0, inf),
    ("arccosh", 0.0, nan, nan),
    ("arctanh", 1.0, inf, inf),
    ("arctanh", 2.0, nan, -1.0 / 3.0),
    ("sigmoid", -1000.0, 0.0, 0.0),
    ("sigmoid", 1000.0, 1.0, 0.0),
    ("softplus", 1000.0, 1000.0, 1.0),
    ("softplus", -1000.0, 0.0, 0.0),
    ("tanh", inf, 1.0, 0.0),
    ("abs", -inf, inf, -1.0),
    ("sign", nan, nan, 0.0),
    ("relu", nan, nan, 0.0),
    ("exp", nan, nan, nan),
]


def on_tensor(function, *values):
    leaves = [Tensor(float(v), requires_grad=True) for v in values]
    with np.errstate(all="ignore"):
        out = function(*leaves)
        out.backward()
    return out.item(), [None if x.grad is None else x.grad.item() for x in leaves]


def on_scalar(function, *values):
    leaves = [Scalar(float(v)) for v in values]
    out = function(*leaves)
    assert type(out.data) is float
    out.backward()
    assert all(s.grad is None or type(s.grad.data) is float for s in leaves)
    return out.item(), [None if s.grad is None else s.grad.item() for s in leaves]


@pytest.mark.parametrize(("name", "x", "value", "slope"), ONE)
def test_one_argument(name, x, value, slope):
    operation = getattr(ops, name)
    got, (derivative,) = on_scalar(operation, x)
    np.testing.assert_allclose([got, derivative], [value, slope], rtol=1e-15)
    np.testing.assert_allclose(on_tensor(operation, x)[0], value, rtol=1e-15)
    np.testing.assert_allclose(on_tensor(operation, x)[1], [slope], rtol=1e-15)


TWO = [
    (lambda x, y: x / y, 1.0, 0.0, inf, (inf, -inf)),
    (lambda x, y: x / y, -1.0, 0.0, -inf, (inf, inf)),
    (lambda x, y: x / y, 0.0, 0.0, nan, (inf, nan)),
    (lambda x, y: x * y, inf, 0.0, nan, (0.0, inf)),
    (lambda x, y: x * y, 1e300, 1e300, inf, (1e300, 1e300)),
    (lambda x, y: x - y, inf, inf, nan, (1.0, -1.0)),
    (lambda x, y: x**y, -8.0, 1.0 / 3.0, nan, (nan, nan)),
    (lambda x, y: x**y, 0.0, -1.0, inf, (-inf, -inf)),  # as in PyTorch
    (lambda x, y: x**y, 10.0, 400.0, inf, (inf, inf)),
    (lambda x, y: x**y, 0.0, 2.0, 0.0, (0.0, 0.0)),
    (lambda x, y: ops.maximum(x, y), nan, 1.0, nan, (0.0, 0.0)),
    (lambda x, y: ops.minimum(x, y), 1.0, nan, nan, (0.0, 0.0)),
]


@pytest.mark.parametrize(("function", "x", "y", "value", "slopes"), TWO)
def test_two_arguments(function, x, y, value, slopes):
    got, derivatives = on_scalar(function, x, y)
    np.testing.assert_allclose([got, *derivatives], [value, *slopes], rtol=1e-15)
    tensor_value, tensor_slopes = on_tensor(function, x, y)
    np.testing.assert_allclose([tensor_value, *tensor_slopes], [value, *slopes], rtol=1e-15)


@pytest.mark.parametrize(
    ("exponent", "x", "value", "slope"), [(-1, 0.0, inf, -inf), (0.5, -1.0, nan, nan), (400, 10.0, inf, inf)]
)
def test_a_constant_exponent(exponent, x, value, slope):
    for engine in (on_scalar, on_tensor):
        got, (derivative,) = engine(lambda s: s**exponent, x)
        np.testing.assert_allclose([got, derivative], [value, slope])


def test_division_by_a_constant_zero():
    for zero in (0, 0.0, np.float64(0.0), np.int64(0), False):
        s = Scalar(2.0)
        y = s / zero
        y.backward()
        assert (y.item(), s.grad.item()) == (inf, inf)


def test_recorded_gradients_follow_ieee_754_too():
    s, t = Scalar(0.0), Tensor(0.0, requires_grad=True)
    with np.errstate(all="ignore"):
        for x in (s, t):
            (slope,) = grad([ops.sqrt(x)], [x], create_graph=True)
            assert slope.item() == inf
            assert grad(slope, x).item() == -inf  # -1/4 x**(-3/2)


def test_a_rule_on_plain_floats_is_run_again_on_floats_that_do_not_raise():
    halves = Primitive(
        "inverse", lambda x: 1.0 / x, lambda g, out, x: -g / x / x, scalar=lambda x: 1.0 / x, elementwise=True
    )
    assert on_scalar(halves, 0.0) == (inf, [-inf])
    overflow = Primitive(
        "overflow", np.exp, lambda g, out, x: g * (math.exp(x) if type(x) is float else np.exp(x)), scalar=math.exp,
        elementwise=True,
    )  # fmt: skip
    assert on_scalar(overflow, 1000.0) == (inf, [inf])


def test_comparisons_are_ones_and_zeros_without_a_derivative():
    s, t = Scalar(1.0), Scalar(2.0)
    results = [s < t, s <= t, s > t, s >= t, s == t, s != t]
    assert [r.data for r in results] == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert not any(r.requires_grad for r in results)
    assert (s if s < t else t) is s
    assert hash(s) != hash(t)
    assert s in {s}
    assert t not in {s}


def test_python_control_flow_on_scalars():
    def shrink(s):
        while s > 1.5:  # 10, 5, 4.75, 2.375, 2.125, 1.0625
            s = s * 0.5
            if s > 1.5:
                s = s - 0.25
        return s

    s = Scalar(10.0)
    y = shrink(s)
    y.backward()
    assert (y.item(), s.grad.item()) == (1.0625, 0.125)


def test_numbers_of_all_kinds_beside_a_scalar_stay_floats():
    s = Scalar(2.0)
    for three in (3, 3.0, np.float32(3), np.int8(3), np.float64(3), np.uint64(3)):
        for value in (s * three, three * s, s + three, three - s, three / s, s**three, three**s):
            assert isinstance(value, Scalar)
            assert type(value.data) is float
    assert type(ops.where(s > 1.0, 1, 0).data) is float


def test_an_array_on_either_side_of_a_scalar_makes_an_array_of_scalars():
    s, a = Scalar(2.0), np.array([1.0, 2.0, 3.0])
    for out, slopes in ((a * s, a), (s * a, a), (a - s, -np.ones(3)), (a / s, -a / 4.0), (s**a, a * 2.0 ** (a - 1.0))):
        assert out.dtype == object
        assert out.shape == (3,)
        for element, slope in zip(out, slopes):
            (g,) = grad([element], [s])
            np.testing.assert_allclose(g.item(), slope, rtol=1e-15)
    total = (np.array(3.0) * s) + np.float64(1.0) * s
    assert isinstance(total, Scalar)
    total.backward()
    assert s.grad.item() == 4.0


def test_truth_needs_one_element():
    assert Scalar(1.0)
    assert not Scalar(0.0)
    with pytest.raises(ArgumentError, match="the truth of more than one element is ambiguous"):
        bool(Tensor([1.0, 2.0]))


def test_two_constants_leave_no_record():
    constant = Scalar(2.0, requires_grad=False)
    for out, value in ((constant + constant, 4.0), (constant * constant, 4.0)):
        assert out.item() == value
        assert out.primitive is None
        assert not out.requires_grad
