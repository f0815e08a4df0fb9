"""Values that an operation recorded never change under it: refused, copied, or reported with the operation's name."""

import numpy as np
import pytest

from tinygrad_bn import Scalar, Tensor, ops, optim
from tinygrad_bn.errors import DTypeError, GraphError, MutationError, ShapeError


def leaf(value=(2.0, 3.0)):
    return Tensor(value, requires_grad=True, name="w")


def assign(w):
    w.data = [20.0, 30.0]


def assign_the_same(w):
    w.data = w.data


def write(w):
    with w.unlocked() as array:
        array += 1.0


def step(w):
    w.grad = Tensor(np.ones(2))
    optim.SGD([w], lr=0.1).step()


def step_adam(w):
    w.grad = Tensor(np.ones(2))
    optim.Adam([w], lr=0.1).step()


def want_a_gradient_again(w):
    w.requires_grad = False
    w.requires_grad = True


CHANGES = [assign, assign_the_same, write, step, step_adam, want_a_gradient_again]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_forward_and_backward_is_reported(change):
    w, x = leaf(), leaf()
    y = (w * x).sum()
    change(w)
    w.grad = None
    with pytest.raises(
        MutationError, match="multiply recorded 'w', which was changed before backward needed it"
    ) as error:
        y.backward()
    assert "run backward before changing it" in str(error.value)
    assert w.grad is None
    assert x.grad is None


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_constant_leaf_is_reported_as_well(change):
    c, x = Tensor([2.0, 3.0]), leaf()
    y = (c * x).sum()
    if change is want_a_gradient_again:
        c.requires_grad_()
    else:
        change(c)
    with pytest.raises(MutationError, match="multiply recorded a Tensor of shape"):
        y.backward()


def test_a_constant_that_wants_a_gradient_later_would_get_only_part_of_it():
    x, w = Tensor([2.0, 3.0]), leaf()
    y = x * w + x * 5.0  # only the first product was recorded
    x.requires_grad_()
    with pytest.raises(MutationError, match="requires_grad switched on"):
        y.sum().backward()


def test_asking_again_for_what_holds_already_is_no_change():
    w = leaf()
    y = (w * w).sum()
    w.requires_grad_()
    y.backward()
    np.testing.assert_array_equal(w.grad.data, [4.0, 6.0])


def test_a_scalar_is_guarded_as_well():
    s = Scalar(2.0)
    y = s * s
    s.data = 5.0
    with pytest.raises(MutationError, match="multiply recorded a Scalar"):
        y.backward()
    (s * s).backward()
    assert s.grad.item() == 10.0
    with pytest.raises(GraphError, match=r"holds a Python float\n  to fix:   assign to its \.data"), s.unlocked():
        pass


def test_backward_inside_unlocked_is_too_late():
    w = leaf()
    y = (w * w).sum()
    with w.unlocked() as array:
        array *= 10.0
        with pytest.raises(MutationError, match="multiply recorded 'w'"):
            y.backward()
    assert w.grad is None


def test_a_forward_inside_unlocked_is_too_early():
    w = leaf()
    with w.unlocked() as array:
        y = (w * w).sum()
        array *= 10.0
    with pytest.raises(MutationError, match="multiply recorded 'w'"):
        y.backward()


def test_the_unlocked_array_is_the_callers_own_afterwards():
    w = leaf()
    with w.unlocked() as array:
        array += 1.0
        escaped = array[:1]
    y = (w * w).sum()
    escaped[:] = array[1:] = 1000.0
    y.backward()
    np.testing.assert_array_equal(w.data, [3.0, 4.0])
    np.testing.assert_array_equal(w.grad.data, [6.0, 8.0])
    assert not w.data.flags.writeable


def test_a_block_that_fails_changes_nothing():
    def write_and_fail(array):
        array[0] = 7.0
        raise KeyError

    w = leaf()
    with pytest.raises(KeyError), w.unlocked() as array:
        write_and_fail(array)
    np.testing.assert_array_equal(w.data, [2.0, 3.0])
    assert not w.data.flags.writeable


HOLDERS = {
    "data": lambda w: w.data,
    "numpy": lambda w: w.numpy(),
    "a slice": lambda w: w.data[1:],
    "a transpose": lambda w: w.data.T,
    "detach": lambda w: w.detach(),
    "a view made by an operation": lambda w: w[::-1],
    "reshape": lambda w: w.reshape(2, 1),
    "an operation": lambda w: ops.stop_gradient(w),
    "memoryview": lambda w: memoryview(w.data),
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_a_write_keeps_what_somebody_holds(hold):
    w = leaf()
    held = hold(w)
    before = np.array(held.numpy() if isinstance(held, Tensor) else held)
    write(w)
    np.testing.assert_array_equal(held.numpy() if isinstance(held, Tensor) else held, before)
    np.testing.assert_array_equal(w.data, [3.0, 4.0])


def test_assigning_data_never_shares_memory():
    w, source = leaf(), np.array([5.0, 6.0])
    w.data = source
    source[:] = 0.0
    other = leaf()
    other.data = w
    write(w)
    np.testing.assert_array_equal(w.data, [6.0, 7.0])
    np.testing.assert_array_equal(other.data, [5.0, 6.0])


def test_a_new_tensor_never_shares_memory():
    source = np.array([5.0, 6.0])
    w, copy = Tensor(source), None
    copy = Tensor(w)
    source[:] = 0.0
    write(w)
    np.testing.assert_array_equal(w.data, [6.0, 7.0])
    np.testing.assert_array_equal(copy.data, [5.0, 6.0])


def test_a_raw_array_beside_a_tensor_is_copied_when_recorded():
    x = leaf()
    factor = np.array([10.0, 20.0])
    mask = np.array([True, False])
    rows = np.array([1, 0])
    y = ops.where(mask, (x * factor)[rows], x)
    factor[:], mask[:], rows[:] = 0.0, True, 0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 21.0])  # y = (20 x[1], x[1])


def test_a_read_only_view_of_an_array_that_can_be_written_to_is_copied():
    x, factor = leaf(), np.array([10.0, 20.0])
    view = factor[:]
    view.setflags(write=False)
    y = x * view
    factor[:] = 0.0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [10.0, 20.0])


def test_an_array_that_nobody_can_write_to_is_not_copied():
    x, c = leaf(), Tensor([10.0, 20.0])
    y = x * c.data
    assert np.shares_memory(y.inputs[1], c.data)
    del y
    frozen = np.frombuffer(np.array([10.0, 20.0]).tobytes())  # its owner is no array: copied, to be safe
    y = x * frozen
    assert y.inputs[1] is not frozen
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [10.0, 20.0])


def test_raw_data_of_a_leaf_that_changes_later_is_safe():
    x, w = leaf(), leaf([10.0, 20.0])
    y = x * w.data
    write(w)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [10.0, 20.0])
    np.testing.assert_array_equal(w.data, [11.0, 21.0])


def test_lists_and_numbers_beside_a_tensor():
    x, factors = leaf(), [10.0, 20.0]
    y = x * factors
    factors[0] = 0.0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [10.0, 20.0])


def test_data_is_read_only_everywhere():
    x = leaf()
    y = x * 2.0
    y.sum().backward()
    for array in (x.data, y.data, x.grad.data, x.detach().data, x.numpy(), np.asarray(Tensor([1.0])), x[0].data):
        assert isinstance(array, np.ndarray)
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_the_result_of_an_operation_cannot_be_changed():
    y = leaf() * 2.0
    for change in (assign, write):
        with pytest.raises(GraphError, match="is the result of a recorded operation") as error:
            change(y)
        assert "x.detach()" in str(error.value)


def test_a_result_that_was_not_recorded_can_be_changed_also_when_it_is_a_view():
    base = Tensor(np.zeros((2, 3)))
    view = base.T
    with view.unlocked() as array:
        array += 1.0
    np.testing.assert_array_equal(view.data, np.ones((3, 2)))
    np.testing.assert_array_equal(base.data, np.zeros((2, 3)))


def test_assigned_data_keeps_shape_dtype_and_layout():
    w = Tensor(np.asfortranarray(np.zeros((2, 3), np.float32)))
    w.data = np.arange(6.0).reshape(2, 3)
    assert w.dtype == np.float32
    assert w.data.flags.f_contiguous
    np.testing.assert_array_equal(w.data, np.arange(6.0).reshape(2, 3))
    w.data = np.ones((2, 3), np.int8)
    assert w.dtype == np.float32
    for wrong in (np.zeros((3, 2)), np.zeros(6), 0.0):
        with pytest.raises(ShapeError, match=r"new data of another shape(?s:.*)expected: \(2, 3\)"):
            w.data = wrong
    with pytest.raises(DTypeError, match="real numbers or booleans"):
        w.data = np.ones((2, 3)) * 1j
    counter = Tensor(np.array([1, 2]))
    counter.data = np.array([3, 4], np.int8)
    with pytest.raises(DTypeError, match="new data of another kind\n  got:      dtype float64\n  expected: int64"):
        counter.data = [2.7, 3.0]
    np.testing.assert_array_equal(counter.data, [3, 4])
    s = Scalar(1.0)
    s.data = np.float32(2.5)
    assert type(s.data) is float
    with pytest.raises(DTypeError, match="one real number"):
        s.data = [1.0, 2.0]


def test_a_write_inside_a_write_is_not_lost_silently():
    w = leaf()

    def nested():
        with w.unlocked() as outer:
            outer += 1.0
            with w.unlocked() as inner:
                inner += 10.0

    def assigned():
        with w.unlocked() as array:
            array += 1.0
            w.data = [0.0, 0.0]

    for change, value in ((nested, [12.0, 13.0]), (assigned, [0.0, 0.0])):
        w = leaf()
        with pytest.raises(MutationError, match=r"'w' was changed otherwise inside its own unlocked\(\) block"):
            change()
        np.testing.assert_array_equal(w.data, value)
        assert not w.data.flags.writeable
        write(w)


def test_other_byte_orders_become_native():
    x = Tensor(np.array([1.0, 2.0], ">f8"), requires_grad=True)
    assert x.dtype.isnative
    assert Tensor([1.0], dtype=">f4").dtype == np.float32
    y = (x * np.array([3.0, 4.0], ">f8")).sum()
    y.backward()
    assert x.grad.dtype.isnative
    np.testing.assert_array_equal(x.grad.data, [3.0, 4.0])
