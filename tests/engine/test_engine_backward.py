"""The backward sweep: what is added, kept, overwritten, freed and refused."""

import numpy as np
import pytest

from tinygrad_bn import Primitive, Scalar, Tensor, grad, ops
from tinygrad_bn.engine import gradients
from tinygrad_bn.engine.sweep import sweep, toposort
from tinygrad_bn.errors import ArgumentError, GraphError, RuleError, ShapeError


def leaf(value):
    return Tensor(value, requires_grad=True)


def counting(calls):
    """Twice x; notes each time its rule runs."""

    def rule(g, out, x):
        calls.append(out)
        return g * 2.0

    return Primitive("twice", lambda x: x * 2.0, rule, scalar=lambda x: x * 2.0, elementwise=True)


def test_leaves_accumulate_and_intermediates_hold_nothing():
    x = leaf([1.0, 2.0])
    for times in (1, 2, 3):
        y = x * 3.0
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.data, np.full(2, 3.0 * times))
        assert y.grad is None


def test_accumulating_makes_a_new_gradient_and_leaves_the_old_one_alone():
    x = leaf([1.0, 2.0])
    (x * 3.0).sum().backward()
    first = x.grad
    (x * 4.0).sum().backward()
    np.testing.assert_array_equal(first.data, [3.0, 3.0])
    np.testing.assert_array_equal(x.grad.data, [7.0, 7.0])


def test_a_kept_intermediate_gradient_is_that_of_the_last_call():
    x = leaf([1.0, 2.0])
    y = x * 3.0
    y.retain_grad()
    loss = (y * y).sum()
    for _ in range(3):
        loss.backward(retain_graph=True)
        np.testing.assert_array_equal(y.grad.data, [6.0, 12.0])
    np.testing.assert_array_equal(x.grad.data, 3 * np.array([18.0, 36.0]))
    (y * 5.0).sum().backward()
    np.testing.assert_array_equal(y.grad.data, [5.0, 5.0])


def test_retain_grad_of_a_leaf_and_of_the_root():
    x = leaf([2.0])
    x.retain_grad()
    y = x * x
    y.retain_grad()
    y.backward(np.array([3.0]))
    assert (x.grad.item(), y.grad.item()) == (12.0, 3.0)
    with pytest.raises(GraphError, match=r"retain_grad\(\): a Tensor of shape \(1,\) does not require a gradient"):
        Tensor([1.0]).retain_grad()


def test_backward_from_a_leaf():
    x = leaf([2.0, 3.0])
    x.backward(np.array([5.0, 6.0]))
    np.testing.assert_array_equal(x.grad.data, [5.0, 6.0])
    s = Scalar(2.0)
    s.backward()
    s.backward(2.5)
    assert s.grad.item() == 3.5


@pytest.mark.parametrize("make", [Scalar, lambda v: Tensor(v, requires_grad=True)])
def test_the_second_backward_through_a_graph_is_an_error_that_says_so(make):
    x = make(2.0)
    y = x * x
    y.backward()
    with pytest.raises(GraphError, match=r"freed by an earlier backward\(\)") as error:
        y.backward()
    assert "retain_graph=True" in str(error.value)
    assert "made by multiply" in str(error.value)
    assert x.grad.item() == 4.0


def test_a_used_up_part_is_found_from_a_graph_built_on_it():
    x = leaf([1.0, 2.0])
    shared = x * x
    shared.sum().backward()
    before = x.grad.data.copy()
    with pytest.raises(GraphError, match="a Tensor of shape \\(2,\\) made by multiply: its graph was freed"):
        (shared * 2.0 + x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, before)


def test_retain_graph_lets_backward_run_again_and_the_last_one_frees():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [6.0, 12.0])
    with pytest.raises(GraphError, match="was freed"):
        y.backward()


def test_each_operation_is_visited_once_however_many_ways_lead_to_it():
    calls = []
    twice = counting(calls)
    x = leaf([1.0])
    y = twice(x)
    (y + y * y + ops.sin(y) * y).backward()
    assert len(calls) == 1
    value = 2.0
    expected = 2.0 * (1.0 + 2.0 * value + np.cos(value) * value + np.sin(value))
    np.testing.assert_allclose(x.grad.data, [expected], rtol=1e-15)


@pytest.mark.parametrize("make", [Scalar, lambda v: Tensor(v, requires_grad=True)])
def test_forty_doublings_are_forty_visits_not_two_to_the_forty(make):
    x = make(1.0)
    y = x
    for _ in range(40):
        y = y + y
    _kept, order = sweep([y], [np.ones(()) if y.shape == () and not y.is_scalar_kind else 1.0], on_variables=False)
    assert len(order) == 40
    y.backward()
    assert x.grad.item() == 2.0**40


def test_the_order_is_latest_first_and_complete():
    x, unused = leaf([1.0]), leaf([1.0])
    a = x * 2.0
    b = x + 1.0
    c = a * b
    d = ops.exp(unused)
    order = toposort([c])
    assert order == [c, b, a]
    assert d not in set(order)


def test_fan_out_of_a_hundred_thousand():
    x = Scalar(1.0)
    y = x * 3.0
    total = y
    for _ in range(100_000):
        total = total + y
    total.backward()
    assert x.grad.item() == 3.0 * 100_001


def test_a_cotangent_has_exactly_the_shape_of_the_root():
    x = leaf(np.ones((2, 3)))
    y = x * 2.0
    w = np.arange(6.0).reshape(2, 3)
    y.backward(w, retain_graph=True)
    np.testing.assert_array_equal(x.grad.data, 2.0 * w)
    for wrong in (np.ones(3), np.ones((1, 3)), np.ones((3, 2)), 1.0, np.ones((2, 3, 1)), Tensor(np.ones(3))):
        with pytest.raises(ShapeError, match=r"(?s)does not fit.*expected: a Tensor or raw numbers of shape \(2, 3\)"):
            y.backward(wrong, retain_graph=True)
    with pytest.raises(ShapeError, match=r"needs a cotangent(?s:.*)y\.backward\(w\)"):
        y.backward()
    np.testing.assert_array_equal(x.grad.data, 2.0 * w)


def test_what_a_cotangent_may_be():
    x = leaf(np.ones(2, np.float32))
    for seed in ([1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1.0, 2.0], np.float32), Tensor([1.0, 2.0])):
        x.grad = None
        (x * 1.0).backward(seed)
        np.testing.assert_array_equal(x.grad.data, [1.0, 2.0])
        assert x.grad.dtype == np.float32
    for wrong in (np.array([1j, 2.0]), ["a", "b"], [None, None]):
        with pytest.raises(ShapeError, match="raw numbers of shape"):
            (x * 1.0).backward(wrong)
    for single in (np.ones(1), np.ones((1, 1))):
        y = leaf(single)
        (y * 3.0).backward()
        np.testing.assert_array_equal(y.grad.data, 3.0 * single)


def test_writing_to_the_cotangent_afterwards_changes_nothing():
    x = leaf([1.0, 2.0])
    w = np.array([3.0, 4.0])
    x.backward(w)
    w[:] = 100.0
    np.testing.assert_array_equal(x.grad.data, [3.0, 4.0])


def test_recorded_cotangents_are_checked_too():
    x = leaf([1.0, 2.0])
    with pytest.raises(ShapeError, match="does not fit"):
        (x * x).backward(Tensor(np.ones(3)), create_graph=True)
    with pytest.raises(
        ShapeError, match=r"got:      a Scalar of shape \(\)\n  expected: a Tensor or raw numbers of shape \(\)"
    ):
        (x * x).sum().backward(Scalar(1.0), create_graph=True)


def test_backward_where_nothing_wants_a_gradient():
    cases = {
        "it is a leaf created without requires_grad=True": Tensor(1.0),
        "only operations without a derivative": ops.stop_gradient(leaf(1.0)),
    }
    for reason, y in cases.items():
        with pytest.raises(GraphError, match=rf"backward\(\): .* does not require a gradient(?s:.*){reason}"):
            y.backward()


def test_an_operation_whose_cotangent_never_arrives_is_passed_over():
    calls = []
    twice = counting(calls)
    blocked = Primitive("blocked", lambda x, y: x + y, None, lambda g, out, x, y: g, elementwise=True)
    x, z = leaf([1.0]), leaf([1.0])
    blocked(twice(x), z).backward()
    assert calls == []
    assert x.grad is None
    assert z.grad.item() == 1.0


def test_a_failed_backward_leaves_every_gradient_as_it_was():
    def broken(g, out, x):
        raise ValueError("no luck")

    fails = Primitive("fails", lambda x: x * 1.0, broken, elementwise=True)
    x, early = leaf([1.0]), leaf([2.0])
    (x * early).backward()
    before = (x.grad, early.grad)
    middle = fails(x)
    late = middle * early
    late.retain_grad()
    for _ in range(2):  # and the graph is still there
        with pytest.raises(RuleError, match="fails: the derivative rule for argument 0 failed: ValueError: no luck"):
            late.backward()
    assert (x.grad, early.grad) == before
    assert x.grad is before[0]
    assert early.grad is before[1]
    assert late.grad is None


@pytest.mark.parametrize(
    "assigned",
    [np.ones(2), Tensor(np.ones(3)), Tensor(np.ones(2, np.float32)), Scalar(1.0), 0.0],
    ids=["array", "shape", "dtype", "kind", "number"],
)
def test_a_gradient_that_was_assigned_must_fit(assigned):
    x, y = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    x.grad = assigned
    with pytest.raises(ArgumentError, match=r"its \.grad was set to(?s:.*)Tensor of shape \(2,\), dtype float64"):
        (x * y).sum().backward()
    assert x.grad is assigned
    assert y.grad is None
    x.grad = Tensor([10.0, 20.0])
    (x * y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [11.0, 22.0])


def test_a_gradient_of_the_other_kind_does_not_fit_even_if_its_shape_does():
    for x, wrong in ((leaf(2.0), Scalar(1.0)), (Scalar(2.0), Tensor(1.0))):
        x.grad = wrong
        with pytest.raises(ArgumentError, match=f"got:      {type(wrong).__name__} of shape"):
            (x * x).backward()
        assert x.grad is wrong


def test_equal_gradients_of_two_leaves_can_be_changed_one_by_one():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x + y).sum().backward()
    with x.grad.unlocked() as array:
        array *= 100.0
    np.testing.assert_array_equal(x.grad.data, [100.0, 100.0])
    np.testing.assert_array_equal(y.grad.data, [1.0, 1.0])


@pytest.mark.parametrize("shape", [(4, 5), (300, 200)], ids=["small", "large"])
def test_a_gradient_that_was_broadcast_can_be_scaled_in_place(shape):
    x = leaf(np.zeros(shape))
    (x.sum(axis=0) * np.arange(1.0, shape[1] + 1)).sum().backward()
    with x.grad.unlocked() as array:
        array *= 0.5
    np.testing.assert_array_equal(x.grad.data, np.tile(0.5 * np.arange(1.0, shape[1] + 1), (shape[0], 1)))


def test_gradients_for_chosen_inputs_store_nothing():
    x, w, other = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([1.0, 1.0])
    h = x * w
    y = (h * h).sum()
    dx, dh, nothing = gradients([y], [x, h, other], retain_graph=True)
    np.testing.assert_array_equal(dx.data, 2.0 * x.data * w.data**2)
    np.testing.assert_array_equal(dh.data, 2.0 * h.data)
    assert nothing is None
    assert x.grad is w.grad is h.grad is None
    assert gradients([y], [y])[0].item() == 1.0


def test_gradients_of_several_outputs_add_up():
    x = leaf([1.0, 2.0])
    y, z = x * 3.0, x * x
    (g,) = gradients([y, z], [x], [np.array([1.0, 10.0]), np.array([100.0, 1000.0])], retain_graph=True)
    np.testing.assert_array_equal(g.data, [3.0 + 200.0, 30.0 + 4000.0])
    (g,) = gradients([y, y], [x], [np.array([1.0, 0.0]), np.array([0.0, 1.0])])  # one output twice
    np.testing.assert_array_equal(g.data, [3.0, 3.0])


def test_gradients_refuse_what_cannot_be_meant():
    x, frozen = leaf([1.0]), Tensor([1.0])
    y = x * frozen
    with pytest.raises(GraphError, match=r"grad\(\): .* does not require a gradient"):
        gradients([frozen], [x])
    with pytest.raises(GraphError, match=r"grad\(\) with respect to it: .* does not require a gradient"):
        gradients([y], [x, frozen])
    with pytest.raises(ShapeError, match=r"one cotangent per output\n  got:      2\n  expected: 1"):
        gradients([y], [x], [np.ones(1), np.ones(1)])
    assert gradients([y], [x])[0].item() == 1.0


def test_only_what_leads_to_the_chosen_inputs_is_computed_and_freed():
    calls = []
    twice = counting(calls)
    x, w = leaf([1.0]), leaf([2.0])
    aside = twice(w)
    y = x * 3.0 + aside
    assert gradients([y], [x])[0].item() == 3.0
    assert calls == []
    aside.backward()  # was not freed
    assert w.grad.item() == 2.0
    with pytest.raises(GraphError, match="was freed"):
        gradients([y], [w])


def test_a_float32_leaf_beside_float64_gets_a_float32_gradient():
    x = leaf(np.array([1.0, 2.0], np.float32))
    y = leaf(np.array([0.1, 0.2]))
    z = x * y
    assert z.dtype == np.float64
    z.sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(x.grad.data, np.array([0.1, 0.2], np.float32))
    np.testing.assert_array_equal(y.grad.data, [1.0, 2.0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_gradients_have_the_dtype_of_their_leaf_through_python_numbers(dtype):
    x = leaf(np.array([0.5, 2.0], dtype))
    y = 3 * (2.0 ** (x * 2 + 1.5)) / 4 - 1
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.dtype == dtype
    np.testing.assert_allclose(
        x.grad.data.astype(float), 1.5 * np.log(2) * 2.0 ** (2 * x.data.astype(float) + 1.5), 2e-3
    )


def test_broadcasting_is_undone_by_the_engine():
    rng = np.random.default_rng(0)
    for shape in [(), (1,), (3,), (1, 3), (2, 1), (2, 3), (4, 2, 3), (4, 1, 1), (1, 1, 1, 1)]:
        x, y = leaf(rng.normal(size=shape)), leaf(rng.normal(size=(2, 3)))
        out = x * y
        w = rng.normal(size=out.shape)
        out.backward(w)
        stretched = np.broadcast_shapes(shape, (2, 3))
        full_x, full_y = w * np.broadcast_to(y.data, stretched), w * np.broadcast_to(x.data, stretched)
        for got, full in ((x.grad, full_x), (y.grad, full_y)):
            lead = full.ndim - got.ndim
            axes = (*range(lead), *(lead + i for i, n in enumerate(got.shape) if n == 1))
            np.testing.assert_allclose(got.data, full.sum(axis=axes).reshape(got.shape), rtol=1e-13)


def test_create_graph_accumulates_variables_that_can_be_differentiated():
    x = leaf([2.0])
    (x * x * x).backward(create_graph=True)
    (x * x * x).backward(create_graph=True)
    total = x.grad
    np.testing.assert_array_equal(total.data, [24.0])
    assert total.requires_grad
    x.grad = None
    total.backward()
    np.testing.assert_array_equal(x.grad.data, [24.0])  # twice 6x


def test_a_plain_backward_adds_to_a_recorded_gradient_without_recording():
    x = leaf([2.0])
    (x * x).backward(create_graph=True)
    (x * x).backward()
    assert x.grad.item() == 8.0
    assert not x.grad.requires_grad
    assert grad(x * x, x).item() == 4.0
