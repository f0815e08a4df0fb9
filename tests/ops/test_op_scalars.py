"""Tensor code on arrays of scalars: the same numbers, the same gradients, one scalar at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import CASES, DIFFERENTIABLE, ELEMENTWISE, WITHOUT_DERIVATIVE, Case
from tests.oracles import library_derivatives, random_like
from tinygrad_bn import Scalar, ops
from tinygrad_bn.errors import DTypeError, NoDerivativeError


def weighted_sum(result: Any, weight: np.ndarray[Any, Any]) -> Any:
    """One scalar from an array of scalars, some of which may be plain numbers."""
    total: Any = 0.0
    for value, factor in zip(np.ravel(np.asarray(result, dtype=object)), weight.ravel()):
        total = total + value * float(factor)
    return total


# A scalar is a float64 and so are its gradients: only the tensors round theirs to another dtype.
@pytest.mark.parametrize("case", [c for c in DIFFERENTIABLE if not c.changes_dtype and not c.of_matrices], ids=str)
def test_values_gradients_and_second_derivatives_are_the_tensors(case: Case) -> None:
    arrays = case.arrays(6)
    weight = random_like(np.shape(case.ours(*arrays)), 1)
    expected = library_derivatives(case.ours, arrays, weight)
    scalars = [tg.scalarize(a) for a in arrays]
    result = case.ours(*scalars)
    assert np.shape(result) == expected.value.shape
    assert isinstance(result, Scalar) == (expected.value.shape == ())
    np.testing.assert_allclose(tg.values_of(result), expected.value, rtol=1e-13)

    leaves = [s for array in scalars for s in array.ravel()]
    slopes = tg.grad([weighted_sum(result, weight)], leaves, create_graph=True)
    wanted = np.concatenate([g.ravel() for g in expected.gradients])
    np.testing.assert_allclose([0.0 if s is None else s.item() for s in slopes], wanted, rtol=1e-12, atol=1e-14)

    directions = np.concatenate([random_like(a.shape, 2 + i).ravel() for i, a in enumerate(arrays)])
    pairs = [(s, float(v)) for s, v in zip(slopes, directions) if s is not None and s.requires_grad]
    curves = tg.grad([s for s, _ in pairs], leaves, [v for _, v in pairs]) if pairs else [None] * len(leaves)
    wanted = np.concatenate([g.ravel() for g in expected.second[:-1]])  # the last is by the cotangent
    np.testing.assert_allclose([0.0 if c is None else c.item() for c in curves], wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("case", [c for c in WITHOUT_DERIVATIVE if not c.of_matrices], ids=str)
def test_values_without_a_derivative(case: Case) -> None:
    arrays = case.arrays(6)
    result = case.ours(*(tg.scalarize(a) for a in arrays))
    np.testing.assert_array_equal(np.asarray(result, dtype=float), case.ours(*arrays))


@pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
def test_a_single_scalar_and_a_float(case: Case) -> None:
    arrays = [a.ravel()[:1] for a in case.arrays(7)]
    expected = case.ours(*arrays)
    floats = [a.item() for a in arrays]
    result = case.ours(*floats)
    assert isinstance(result, (float, np.floating, np.bool_))
    assert float(result) == pytest.approx(float(expected[0]), rel=1e-14)
    scalars = [Scalar(f) for f in floats]
    made = case.ours(*scalars)
    assert type(made) is Scalar
    assert made.item() == pytest.approx(float(expected[0]), rel=1e-14)
    if case.theirs is not None:
        made.backward()
        slopes = library_derivatives(case.ours, arrays, np.ones(1)).gradients
        for s, slope in zip(scalars, slopes):
            assert (0.0 if s.grad is None else s.grad.item()) == pytest.approx(slope[0], rel=1e-12)


def test_where_on_single_scalars() -> None:
    x, y = Scalar(2.0), Scalar(3.0)
    assert ops.where(x > y, x, y).item() == 3.0
    z = ops.where(Scalar(1.0, requires_grad=False), x, y)
    z.backward()
    assert (z.item(), x.grad.item(), y.grad.item()) == (2.0, 1.0, 0.0)


@pytest.mark.parametrize(
    "reduce", [ops.sum, ops.mean, ops.max, ops.min, ops.prod, ops.norm, ops.logsumexp], ids=lambda f: f.__name__
)
def test_reducing_a_single_scalar_gives_the_scalar(reduce: Any) -> None:
    x = Scalar(2.5)
    y = reduce(x)
    assert type(y) is Scalar
    slope = tg.grad(y * x, x, create_graph=True)
    assert y.item() == pytest.approx(2.5)
    assert slope.item() == pytest.approx(5.0)
    assert tg.grad(slope, x).item() == pytest.approx(2.0)


def test_scalars_follow_ieee_where_python_would_raise() -> None:
    for operation, x, expected in [
        (ops.exp, 1000.0, math.inf),
        (ops.log, 0.0, -math.inf),
        (ops.log, -1.0, math.nan),
        (ops.sqrt, -1.0, math.nan),
        (ops.reciprocal, 0.0, math.inf),
        (ops.sigmoid, -1000.0, 0.0),
        (ops.softplus, 1000.0, 1000.0),
        (ops.arccosh, 0.5, math.nan),
        (ops.arctanh, 1.0, math.inf),
        (ops.square, 1e200, math.inf),
        (ops.relu, math.nan, math.nan),
        (ops.sign, math.nan, math.nan),
        (ops.isfinite, math.inf, 0.0),
        (ops.isfinite, 1.0, 1.0),
    ]:
        for value in (operation(Scalar(x)).item(), operation(x)):
            assert value == expected or (math.isnan(expected) and math.isnan(value)), operation


def test_nan_wins_in_extrema_as_in_numpy() -> None:
    nan = math.nan
    for operation in (ops.maximum, ops.minimum):
        assert math.isnan(operation(Scalar(nan), 1.0).item())
        assert math.isnan(operation(1.0, Scalar(nan)).item())
    for operation in (ops.max, ops.min):
        assert math.isnan(operation(tg.scalarize([1.0, nan, 2.0])).item())
    assert math.isnan(ops.clip(Scalar(nan), 0.0, 1.0).item())


def test_infinite_scalars_take_part_in_extrema() -> None:
    x = tg.scalarize([-math.inf, 1.0, math.inf])
    assert ops.max(x).item() == math.inf
    assert ops.min(x).item() == -math.inf
    assert ops.max(x[:2]).item() == 1.0


def test_padding_leaves_plain_numbers_around_the_scalars() -> None:
    x = tg.scalarize([1.0, 2.0])
    padded = ops.pad(x, 1)
    assert [type(v) is Scalar for v in padded] == [False, True, True, False]
    filled = ops.pad(x, 1, 9.0)
    np.testing.assert_array_equal(tg.values_of(filled), [9, 1, 2, 9])
    assert filled[0] == 9.0


def test_stack_of_scalars_is_an_array_of_them() -> None:
    x, y = Scalar(1.0), Scalar(2.0)
    both = ops.stack([x, y])
    assert both.shape == (2,)
    assert both[0] is x


def test_rounding_to_a_dtype() -> None:
    x = Scalar(0.1)
    y = ops.astype(x, "float32")
    y.backward()
    assert y.item() == float(np.float32(0.1))
    assert x.grad.item() == 1.0
    assert not ops.astype(x, int).requires_grad


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s: ops.reshape(s, (1,)), DTypeError),
        (lambda s: ops.expand_dims(s, 0), DTypeError),
        (lambda s: ops.broadcast_to(s, (2,)), DTypeError),
        (lambda s: ops.cumsum(s), DTypeError),
        (lambda s: ops.tile(s, 2), DTypeError),
        (lambda s: ops.getitem(s, None), NoDerivativeError),
        (lambda s: ops.transpose(s), NoDerivativeError),
        (lambda s: ops.multiply(s, tg.Tensor([1.0])), DTypeError),
        (lambda s: ops.add(s, "a"), DTypeError),
    ],
)
def test_a_single_scalar_has_no_axes(call: Any, error: Any) -> None:
    with pytest.raises(error):
        call(Scalar(1.0))


@pytest.mark.parametrize("case", [c for c in CASES if c.of_matrices], ids=str)
def test_matrices_are_not_made_scalar_by_scalar(case: Case) -> None:
    with pytest.raises(NoDerivativeError, match="is not made scalar by scalar"):
        case.ours(*(tg.scalarize(a) for a in case.arrays()))
