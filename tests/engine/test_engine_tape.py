"""The tape and the door: what a recording writes, reads and refuses, seen through the programs that come of it."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import ops, program
from tinygrad_bn.errors import DTypeError, GraphError, RecordingError, ShapeError


def test_numbers_that_are_written_are_written_in_every_run():
    w = tg.Tensor([1.0, 2.0])
    recorded = program.record(lambda x: (tg.write([(w, [5.0, 6.0])]), x * w)[1], np.ones(2))
    assert w.data.tolist() == [1.0, 2.0]
    assert recorded.run(np.ones(2)).tolist() == [5.0, 6.0]
    assert w.data.tolist() == [5.0, 6.0]


def test_what_is_written_gets_the_dtype_of_the_leaf():
    w = tg.Tensor(np.zeros(2, np.float32))
    recorded = program.record(lambda x: (tg.write([(w, x * 0.1)]), w * 1.0)[1], np.ones(2))
    assert recorded.run(np.full(2, 3.0)).dtype == np.float32
    assert w.data.dtype == np.float32
    assert w.data[0] == np.float32(3.0 * 0.1)


def test_assigning_to_data_is_writing():
    w = tg.Tensor([1.0])
    recorded = program.record(lambda x: setattr(w, "data", w * x), np.ones(1))
    recorded.run(np.array([2.0]))
    recorded.run(np.array([3.0]))
    assert w.data[0] == 6.0


@pytest.mark.parametrize(
    ("value", "error"),
    [(np.ones(3), ShapeError), (np.ones(2, complex), DTypeError), (tg.Tensor(np.ones(3)), ShapeError)],
)
def test_what_does_not_fit_is_refused_alike_in_a_recording_and_outside(value, error):
    w, v = tg.Tensor([1.0, 2.0]), tg.Tensor([1.0, 2.0])
    with pytest.raises((error, TypeError, ValueError)):
        tg.write([(v, np.zeros(2)), (w, value)])
    with pytest.raises(error):
        program.record(lambda x: tg.write([(v, np.zeros(2)), (w, value)]), np.ones(2))
    assert v.data.tolist() == w.data.tolist() == [1.0, 2.0]


def test_only_leaves_are_written_to():
    w = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(GraphError, match="written"):
        tg.write([(w * 2.0, np.ones(1))])
    with pytest.raises(GraphError, match="written"):
        program.record(lambda x: tg.write([(w * x, np.ones(1))]), np.ones(1))


def test_a_gradient_that_is_looked_at_is_a_condition():
    w = tg.Tensor([1.0], requires_grad=True)

    def step(x):
        if w.grad is not None:
            return x * w.grad
        return x

    without = program.record(step, np.ones(1))
    assert without.run(np.full(1, 7.0))[0] == 7.0
    w.grad = tg.Tensor([3.0])
    with pytest.raises(RecordingError, match="grad has changed"):
        without.run(np.ones(1))
    assert program.record(step, np.ones(1)).run(np.full(1, 7.0))[0] == 21.0


def test_a_gradient_that_is_cleared_is_cleared_in_every_run():
    w = tg.Tensor([1.0], requires_grad=True)
    w.grad = tg.Tensor([3.0])
    recorded = program.record(lambda x: setattr(w, "grad", None), np.ones(1))
    assert w.grad.data[0] == 3.0
    recorded.run(np.ones(1))
    assert w.grad is None


def test_a_rule_that_takes_a_value_out_is_refused_as_such():
    leaking = tg.Primitive("leaking", lambda x: x * 2.0, lambda g, out, x: g * float(x.sum()))

    def step(x):
        x = x.detach().requires_grad_()
        return tg.grad(leaking(x).sum(), x)

    assert step(tg.Tensor([2.0])) is not None
    with pytest.raises(RecordingError, match="being recorded"):
        program.record(step, np.array([2.0]))


def test_a_scalar_setting_is_a_variable_of_its_kind():
    s = tg.Scalar(2.0, requires_grad=False)
    recorded = program.record(lambda x: x * s + ops.exp(x), np.ones(2))
    s.data = 5.0
    np.testing.assert_array_equal(recorded.run(np.zeros(2)), [1.0, 1.0])
    assert recorded.run(np.ones(2))[0] == 5.0 + np.exp(1.0)


def test_a_setting_that_is_read_twice_is_one_argument():
    w = tg.Tensor([1.0], requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=2.0)

    def twice(x):
        for _ in range(2):
            w.grad = x * 1.0
            optimizer.step()

    recorded = program.record(twice, np.ones(1))
    optimizer.param_groups[0]["lr"] = 0.5
    recorded.run(np.ones(1))
    assert w.data[0] == 0.0
    assert [line for line in str(recorded).splitlines() if line.startswith("lr ")] == [
        "lr  [setting]                number"
    ]


def test_the_base_of_all_variables_holds_nothing():
    with pytest.raises(NotImplementedError):
        tg.Variable.to_data(1.0)
