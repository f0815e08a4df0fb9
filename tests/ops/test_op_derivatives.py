"""Every operation and every primitive: value, gradient and second derivative against sources outside of the library."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.ops.op_cases import ANALYTIC, CASES, DIFFERENTIABLE, WITHOUT_DERIVATIVE, Case
from tests.oracles import (
    central_difference,
    compare_with_complex_step,
    compare_with_torch,
    random_like,
)
from tinygrad_bn import Primitive, ops
from tinygrad_bn.errors import GraphError


def primitives() -> dict[str, Primitive]:
    """Every Primitive that a module of ops holds, under the name it has there."""
    found = {}
    for info in pkgutil.walk_packages(ops.__path__, ops.__name__ + "."):
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, Primitive):
                found[f"{info.name}.{name}"] = value
    return found


def test_no_operation_is_forgotten() -> None:
    tried = {id(case.operation) for case in CASES}
    everything: dict[str, Any] = {f"ops.{name}": getattr(ops, name) for name in ops.__all__} | primitives()
    everything |= {f"ops.linalg.{name}": getattr(ops.linalg, name) for name in ops.linalg.__all__}
    assert len(everything) > 100
    assert [name for name, operation in everything.items() if id(operation) not in tried] == []


def test_the_public_list_is_complete() -> None:
    public = {name for name, value in vars(ops).items() if callable(value) and not name.startswith("_")}
    assert public == set(ops.__all__)
    assert len(set(ops.__all__)) == len(ops.__all__)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_value_gradient_and_second_derivative_agree_with_torch(case: Case) -> None:
    compare_with_torch(case.ours, case.theirs, case.arrays())


@pytest.mark.parametrize("case", ANALYTIC, ids=str)
def test_gradient_agrees_with_the_complex_step(case: Case) -> None:
    compare_with_complex_step(case.ours, case.arrays(1))


# Not those that round to float32 or hide a dependence on purpose: a difference sees another function there.
@pytest.mark.parametrize("case", [c for c in DIFFERENTIABLE if not c.analytic and not c.pretends], ids=str)
def test_gradient_agrees_with_central_differences(case: Case) -> None:
    arrays = case.arrays(1)
    inputs = [tg.Tensor(a, requires_grad=True) for a in arrays]
    out = case.ours(*inputs)
    weight = random_like(out.shape)
    out.backward(weight)
    for x, expected in zip(inputs, central_difference(case.ours, arrays, weight)):
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("case", WITHOUT_DERIVATIVE, ids=str)
def test_no_derivative_means_no_gradient(case: Case) -> None:
    inputs = [tg.Tensor(a, requires_grad=True) for a in case.arrays()]
    out = case.ours(*inputs)
    assert not out.requires_grad
    with pytest.raises(GraphError, match="does not require a gradient"):
        out.backward(np.ones(out.shape))


@pytest.mark.parametrize("case", [c for c in CASES if c.numpy is not None], ids=str)
def test_same_call_and_same_result_as_numpy(case: Case) -> None:
    arrays = case.arrays(2)
    got, expected = case.ours(*arrays), case.call(case.numpy, *arrays)
    assert np.asarray(got).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(got, expected, rtol=1e-14)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_raw_values_give_the_raw_result(case: Case) -> None:
    arrays = case.arrays(3)
    raw, out = case.ours(*arrays), case.ours(*map(tg.Tensor, arrays))
    assert isinstance(raw, (np.ndarray, np.generic))
    assert type(out) is tg.Tensor
    assert out.is_leaf  # nothing wants a gradient, so nothing is recorded
    assert raw.dtype == out.dtype
    np.testing.assert_array_equal(raw, out.numpy())


def spaced(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same numbers as a view with reversed axes in memory and gaps between the elements."""
    wide = np.full((*array.shape[::-1], 2), np.nan)
    wide[..., 0] = array.T
    return wide[..., 0].T


@pytest.mark.parametrize("case", CASES, ids=str)
def test_views_with_gaps_are_as_good_as_contiguous_arrays(case: Case) -> None:
    arrays = case.arrays(4)
    views = [spaced(a) for a in arrays]
    assert not any(v.flags.c_contiguous for v in views)
    np.testing.assert_allclose(case.ours(*views), case.ours(*arrays), rtol=1e-14)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_gradients_flow_through_views_with_gaps(case: Case) -> None:
    arrays = case.arrays(4)
    straight = [tg.Tensor(a, requires_grad=True) for a in arrays]
    wide = [tg.Tensor(np.stack([a.T, a.T], -1), requires_grad=True) for a in arrays]
    out, other = case.ours(*straight), case.ours(*(x[..., 0].T for x in wide))
    weight = random_like(out.shape[::-1]).T
    out.backward(weight)
    other.backward(weight)
    for x, y in zip(straight, wide):
        np.testing.assert_allclose(y.grad.numpy()[..., 0].T, x.grad.numpy(), rtol=1e-12, atol=1e-14)
        assert not y.grad.numpy()[..., 1].any()


@pytest.mark.parametrize("case", [c for c in DIFFERENTIABLE if not c.changes_dtype], ids=str)
def test_float32_stays_float32(case: Case) -> None:
    arrays = case.arrays(5)
    exact = [tg.Tensor(a, requires_grad=True) for a in arrays]
    single = [tg.Tensor(a, requires_grad=True, dtype=np.float32) for a in arrays]
    expected, out = case.ours(*exact), case.ours(*single)
    assert out.dtype == np.float32
    assert np.asarray(case.ours(*(x.numpy() for x in single))).dtype == np.float32
    weight = random_like(out.shape)
    slopes = tg.grad(expected, exact, weight)
    for found in (
        tg.grad(out, single, weight, retain_graph=True),
        tg.grad(out, single, tg.Tensor(weight, dtype=np.float32), create_graph=True),
    ):
        for got, slope in zip(found, slopes):
            assert got.dtype == np.float32
            np.testing.assert_allclose(got.numpy(), slope.numpy(), rtol=2e-4, atol=1e-5)
