"""What an operation leaves behind: inputs, parameters, order, and when nothing is recorded at all."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Parameter, Primitive, Scalar, Tensor, ops
from tinygrad_bn.engine import FREED
from tinygrad_bn.errors import DTypeError, GraphError


def leaf(value=(1.0, 2.0)):
    return Tensor(value, requires_grad=True)


def test_the_smallest_graph_in_its_order():
    a = Scalar(1.0, name="a")
    b = a + a
    c = b + b
    assert (b.inputs, c.inputs) == ((a, a), (b, b))
    assert a.stamp < b.stamp < c.stamp
    assert [v.primitive.name for v in (b, c)] == ["add", "add"]
    assert a.is_leaf
    assert not b.is_leaf
    c.backward()
    assert a.grad.item() == 4.0


@pytest.mark.parametrize("make", [Scalar, lambda v: Tensor(v, requires_grad=True)])
def test_a_variable_used_twice_by_one_operation_has_two_edges(make):
    x = make(3.0)
    y = x * x
    assert y.inputs == (x, x)
    y.backward()
    assert x.grad.item() == 6.0


def test_a_result_remembers_operation_inputs_and_parameters():
    x = leaf(np.ones((2, 3)))
    y = x.sum(axis=1, keepdims=True)
    assert (y.primitive.name, y.inputs, y.params) == ("sum", (x,), {"axis": (1,), "keepdims": True})
    assert y.requires_grad
    assert y.label == "a Tensor of shape (2, 1) made by sum"


def test_without_a_gradient_to_want_nothing_is_recorded():
    y = Tensor([1.0]) * 2.0
    assert (y.inputs, y.primitive, y.params, y.scope) == (None,) * 4
    assert y.is_leaf
    assert not y.requires_grad
    assert not (Scalar(1.0, requires_grad=False) * 2.0).requires_grad


def test_raw_arguments_give_raw_results():
    assert type(ops.add(1.0, 2.0)) is float
    assert type(ops.exp(np.ones(2))) is np.ndarray
    with pytest.raises(tg.TinygradError, match="matmul: inner sizes"):
        ops.matmul(np.ones((2, 3)), np.ones((2, 3)))


def test_results_of_results_without_a_derivative_stay_in_the_picture_but_want_no_gradient():
    x = leaf()
    mask = x > 1.0
    counted = ops.astype(mask, dtype="float64") * 2.0
    assert mask.inputs == (x, 1.0)
    assert counted.inputs[0].inputs[0] is mask
    assert not mask.requires_grad
    assert not counted.requires_grad
    with pytest.raises(GraphError, match="only operations without a derivative lead to it"):
        counted.sum().backward()


def test_a_rule_for_another_argument_does_not_make_a_result_want_a_gradient():
    condition = leaf()  # where has rules for its other two arguments only
    chosen = ops.where(condition, 1.0, 2.0)
    assert chosen.inputs is not None
    assert not chosen.requires_grad
    assert ops.where(condition, leaf(), 2.0).requires_grad


def test_operations_return_tensors_even_on_parameters_and_subclasses():
    class Marked(Tensor):
        __slots__ = ()

    for x in (Parameter([1.0]), Marked([1.0], requires_grad=True)):
        y = x * 2.0
        assert type(y) is Tensor
        y.backward()
        assert type(x.grad) is Tensor
        assert type(x.detach()) is Tensor


def test_scalars_and_tensors_do_not_mix():
    for mixed in (
        lambda: Scalar(1.0) + leaf(),
        lambda: leaf() * Scalar(1.0),
        lambda: ops.where(leaf(), Scalar(1.0), 1.0),
    ):
        with pytest.raises(DTypeError, match="a Scalar and a Tensor in one operation") as error:
            mixed()
        assert "Tensor(s.item())" in str(error.value)
        assert "scalarize(t)" in str(error.value)


def test_stop_gradient_and_detach():
    x = leaf([2.0, 3.0])
    y = (ops.stop_gradient(x) * x).sum()
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 3.0])
    z = (x * 1.0).detach()
    assert z.is_leaf
    assert not z.requires_grad
    assert z.data is not x.data
    assert np.shares_memory(x.detach().data, x.data)  # shared: it is read-only on both sides
    assert not x.detach().data.flags.writeable


def test_requires_grad_rules():
    x = Tensor([1.0])
    assert x.requires_grad_() is x
    assert x.requires_grad
    assert not x.requires_grad_(False).requires_grad
    x.requires_grad = True
    y = x * 2.0
    y.requires_grad = True  # it does already
    with pytest.raises(GraphError, match="requires_grad is decided by its inputs"):
        y.requires_grad = False
    with pytest.raises(GraphError, match=r"x\.detach\(\)"):
        ops.stop_gradient(x).requires_grad_()


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_only_floating_point_numbers_can_want_a_gradient(dtype):
    with pytest.raises(DTypeError, match=f"cannot require a gradient\n  got:      dtype {dtype}\n") as error:
        Tensor([1, 0], dtype=dtype, requires_grad=True)
    assert "x.astype(float)" in str(error.value)


def test_a_gradient_does_not_pass_through_integers():
    x = leaf([1.7, 2.2])
    y = x.astype(int)
    assert y.dtype == np.int64
    assert y.inputs is not None
    assert not y.requires_grad
    assert not (y.astype(float) * 3.0).requires_grad
    assert x.astype("float32").requires_grad


def test_a_variadic_operation_whose_results_may_be_integers():
    def count(*arrays, dtype):
        return sum(np.sign(array) for array in arrays).astype(dtype)

    signs = Primitive("signs", count, variadic=lambda i, g, out, *arrays, dtype: g, discrete=True, elementwise=True)
    assert signs(leaf(), leaf(), dtype="float32").requires_grad
    assert not signs(leaf(), leaf(), dtype="int8").requires_grad
    assert signs(Tensor([1.0]), leaf(), dtype="float64").requires_grad


def test_the_shape_dtype_and_size_of_odd_arrays():
    for value in (np.ones((0, 3)), np.float32(2.0), np.ones((4, 3))[::2, ::-1], np.asfortranarray(np.ones((2, 3)))):
        x = Tensor(value, requires_grad=True)
        assert (x.shape, x.dtype, x.size, x.ndim) == (value.shape, value.dtype, value.size, value.ndim)
        y = (x * 3.0).sum()
        y.backward()
        assert x.grad.shape == value.shape
        assert x.grad.dtype == value.dtype
        np.testing.assert_array_equal(x.grad.data, np.full(value.shape, 3.0))


def test_used_up_results_forget_what_they_were_computed_from():
    x = leaf()
    y = x * x
    y.sum().backward()
    assert y.inputs is FREED
    assert y.params is None
    assert not y.is_leaf
    np.testing.assert_array_equal(y.data, [1.0, 4.0])


def test_parameters_of_an_operation_are_plain_data():
    scale = Primitive("scale", lambda x, by: x * np.asarray(by), lambda g, out, x, by: g * by, elementwise=True)
    scale(leaf(), by=2.0).sum().backward()
    scale(leaf(), by=np.float64(2.0))  # a NumPy number is plain enough
    for by in (np.ones(2), Tensor(2.0), Tensor(np.ones(2))):
        with pytest.raises(DTypeError, match="scale: the parameter by= must be plain data") as error:
            scale(leaf(), by=by)
        assert type(by).__name__ in str(error.value)
        assert "by position" in str(error.value)


def test_a_primitive_shows_its_name_and_document():
    assert repr(ops.exp) == "<primitive exp>"
    assert ops.exp.__name__ == "exp"
    assert "exp(x)" in ops.exp.__doc__
    assert Primitive("bare", np.exp).__doc__ is None
    assert [p.differentiable for p in (ops.exp, ops.where, ops.concatenate([leaf()]).primitive)] == [True] * 3
    assert [p.differentiable for p in (Primitive("bare", np.exp), ops.greater)] == [False] * 2


def test_an_operation_without_rules_is_recorded_nowhere_to_go():
    rounded = Primitive("rounded", np.round, None)
    x = leaf()
    y = rounded(x)
    assert y.inputs == (x,)
    assert not y.requires_grad
    assert (y * x).requires_grad


def test_the_rule_of_each_argument_can_be_asked_for():
    assert ops.multiply.vjp(0)(1.0, 6.0, 2.0, 3.0) == 3.0
    assert ops.multiply.vjp(1)(1.0, 6.0, 2.0, 3.0) == 2.0
    assert ops.where.vjp(0) is None
    first, second = np.ones(2), np.ones(3)
    x, y = Tensor(first, requires_grad=True), Tensor(second, requires_grad=True)
    joined = ops.concatenate([x, y])
    rule = joined.primitive.vjp(1)
    np.testing.assert_array_equal(rule(np.arange(5.0), joined.data, first, second, **joined.params), [2.0, 3.0, 4.0])
