"""Laws that hold for every shape, looked for by random search; the search is the same in every run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_bn as tg
from tests.ops.positions import gathered
from tests.oracles import complex_step, random_like
from tinygrad_bn import Tensor, ops

steady = settings(derandomize=True, database=None, deadline=None, max_examples=60)
numbers = st.floats(-3, 3, width=32).map(float)


def arrays(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    return hnp.arrays(np.float64, shape, elements=numbers)


def unbroadcast(gradient: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Every element of the gradient added to the element that it came from, one by one."""
    total = np.zeros(shape)
    lead = gradient.ndim - len(shape)
    for place in np.ndindex(gradient.shape):
        total[tuple(0 if n == 1 else i for i, n in zip(place[lead:], shape))] += gradient[place]
    return total


@steady
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=0), st.data())
def test_broadcasting_is_undone(shapes: Any, data: Any) -> None:
    x, y = (data.draw(arrays(shape)) for shape in shapes.input_shapes)
    left, right = Tensor(x, requires_grad=True), Tensor(y, requires_grad=True)
    product = left * right
    assert product.shape == shapes.result_shape
    weight = random_like(product.shape)
    product.backward(weight)
    np.testing.assert_allclose(left.grad.numpy(), unbroadcast(weight * y, x.shape), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(right.grad.numpy(), unbroadcast(weight * x, y.shape), rtol=1e-12, atol=1e-12)


@steady
@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3), st.data())
def test_three_arguments_broadcast(shapes: Any, data: Any) -> None:
    a, b, c = shapes.input_shapes
    condition = data.draw(hnp.arrays(np.bool_, a))
    x, y = Tensor(data.draw(arrays(b)), requires_grad=True), Tensor(data.draw(arrays(c)), requires_grad=True)
    out = ops.where(condition, x, y)
    np.testing.assert_array_equal(out.numpy(), np.where(condition, x.numpy(), y.numpy()))
    weight = random_like(out.shape)
    out.backward(weight)
    np.testing.assert_allclose(x.grad.numpy(), unbroadcast(np.where(condition, weight, 0), b), rtol=1e-12)
    np.testing.assert_allclose(y.grad.numpy(), unbroadcast(np.where(condition, 0, weight), c), rtol=1e-12)


shapes_and_axes = hnp.array_shapes(max_dims=4, max_side=3).flatmap(
    lambda shape: st.tuples(
        st.just(shape),
        st.none()
        | st.integers(-len(shape), len(shape) - 1)
        | st.sets(st.integers(0, len(shape) - 1)).map(lambda axes: tuple(sorted(axes, key=lambda a: -a))),
        st.booleans(),
    )
)


@steady
@given(shapes_and_axes, st.data())
def test_reductions_agree_with_numpy_and_the_complex_step(reduction: Any, data: Any) -> None:
    shape, axis, keepdims = reduction
    x = data.draw(arrays(shape))
    for ours, numpys in (
        (ops.sum, np.sum),
        (ops.mean, np.mean),
        (ops.prod, np.prod),
        (ops.var, np.var),
    ):
        leaf = Tensor(x, requires_grad=True)
        out = ours(leaf, axis, keepdims)
        expected = numpys(x, axis=axis, keepdims=keepdims)
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12, atol=1e-13)
        weight = random_like(out.shape)
        out.backward(weight)
        (slope,) = complex_step(lambda z, f=ours: f(z, axis, keepdims), [x], weight)
        np.testing.assert_allclose(leaf.grad.numpy(), slope, rtol=1e-11, atol=1e-11)


@steady
@given(shapes_and_axes, st.data())
def test_extrema_pass_on_the_whole_cotangent_to_extremal_elements_only(reduction: Any, data: Any) -> None:
    shape, axis, keepdims = reduction
    x = data.draw(hnp.arrays(np.float64, shape, elements=st.integers(-2, 2)))  # few values, so many ties
    for ours, numpys in ((ops.max, np.max), (ops.min, np.min)):
        leaf = Tensor(x, requires_grad=True)
        out = ours(leaf, axis, keepdims)
        np.testing.assert_array_equal(out.numpy(), numpys(x, axis=axis, keepdims=keepdims))
        weight = random_like(out.shape)
        out.backward(weight)
        given_back = np.sum(leaf.grad.numpy(), axis=axis, keepdims=keepdims)
        np.testing.assert_allclose(given_back, weight, rtol=1e-12)
        extremal = x == numpys(x, axis=axis, keepdims=True)
        np.testing.assert_array_equal(leaf.grad.numpy() != 0, extremal)


@steady
@given(hnp.arrays(np.float64, st.integers(1, 9), elements=st.integers(-2, 2)))
def test_the_gradient_of_a_product_leaves_one_out_exactly(x: Any) -> None:
    leaf = Tensor(x, requires_grad=True)
    ops.prod(leaf).backward()
    expected = [math.prod(np.delete(x, i)) for i in range(x.size)]
    np.testing.assert_array_equal(leaf.grad.numpy(), expected)


@steady
@given(st.data())
def test_basic_and_advanced_indexing(data: Any) -> None:
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    whole = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
    index = data.draw(basic | whole | hnp.arrays(np.bool_, shape))
    x = random_like(shape)
    leaf = Tensor(x, requires_grad=True)
    out = leaf[index]
    np.testing.assert_array_equal(out.numpy(), x[index])
    weight = random_like(out.shape)
    out.backward(weight)
    places = np.asarray(np.arange(1, x.size + 1).reshape(shape)[index])
    np.testing.assert_allclose(leaf.grad.numpy(), gathered(places, weight, shape), rtol=1e-14)


@steady
@given(st.data())
def test_matmul_of_any_batch(data: Any) -> None:
    batch = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3))
    n, k, m = (data.draw(st.integers(0, 3)) for _ in range(3))
    x, y = (random_like((*lead, *core)) for lead, core in zip(batch.input_shapes, [(n, k), (k, m)]))
    left, right = Tensor(x, requires_grad=True), Tensor(y, requires_grad=True)
    out = left @ right
    np.testing.assert_allclose(out.numpy(), np.einsum("...ij,...jk->...ik", x, y), rtol=1e-12, atol=1e-13)
    weight = random_like(out.shape)
    out.backward(weight)
    by_left = np.einsum("...ik,...jk->...ij", weight, np.broadcast_to(y, (*out.shape[:-2], k, m)))
    by_right = np.einsum("...ij,...ik->...jk", np.broadcast_to(x, (*out.shape[:-2], n, k)), weight)
    np.testing.assert_allclose(left.grad.numpy(), _fold(by_left, x.shape), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(right.grad.numpy(), _fold(by_right, y.shape), rtol=1e-12, atol=1e-13)


def _fold(gradient: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    while gradient.ndim > len(shape):
        gradient = gradient.sum(0)
    return gradient.sum(tuple(i for i, n in enumerate(shape) if n == 1 != gradient.shape[i]), keepdims=True)


@steady
@given(hnp.array_shapes(max_dims=3, max_side=3), st.integers(-4, 4), st.data())
def test_moves_undo_each_other(shape: tuple[int, ...], shift: int, data: Any) -> None:
    x = random_like(shape)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    order = data.draw(st.permutations(range(len(shape))))
    np.testing.assert_array_equal(ops.roll(ops.roll(x, shift, axis), -shift, axis), x)
    np.testing.assert_array_equal(ops.flip(ops.flip(x, axis), axis), x)
    np.testing.assert_array_equal(ops.transpose(ops.transpose(x, order), np.argsort(order)), x)
    np.testing.assert_array_equal(ops.moveaxis(ops.moveaxis(x, 0, -1), -1, 0), x)
    np.testing.assert_array_equal(ops.concatenate(ops.split(x, shape[0])), x)


@steady
@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=4), elements=st.floats(-1e3, 1e3)))
def test_softmax_sums_to_one_and_its_gradient_to_nothing(x: Any) -> None:
    leaf = Tensor(x, requires_grad=True)
    y = ops.softmax(leaf)
    np.testing.assert_allclose(y.numpy().sum(-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(ops.log_softmax(x), x - ops.logsumexp(x, -1, keepdims=True), rtol=1e-10, atol=1e-10)
    y.backward(random_like(y.shape))
    np.testing.assert_allclose(leaf.grad.numpy().sum(-1), 0.0, atol=1e-12)


@steady
@given(hnp.arrays(np.float64, st.integers(1, 6), elements=numbers), st.integers(0, 4))
def test_a_constant_power_is_repeated_multiplication(x: Any, n: int) -> None:
    def repeated(x: Any) -> Any:
        out = ops.multiply(x, 0.0) + 1.0
        for _ in range(n):
            out = out * x
        return out

    powers, products = Tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    results = []
    for leaf, y in ((powers, powers**n), (products, repeated(products))):
        first = tg.grad(y, leaf, random_like(y.shape), create_graph=True)
        second = tg.grad(first, leaf, random_like(x.shape, 1)) if first.requires_grad else None
        results.append((y.numpy(), first.numpy(), np.zeros(x.shape) if second is None else second.numpy()))
    for got, expected in zip(*results):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
