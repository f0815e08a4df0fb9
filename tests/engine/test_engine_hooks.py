"""Hooks: see a gradient when it is complete, replace it, take the hook off, and fail without consequences."""

import numpy as np
import pytest

from tinygrad_bn import Scalar, Tensor, grad
from tinygrad_bn.errors import GraphError, ShapeError


def leaf(value=(1.0, 2.0), dtype=float):
    return Tensor(np.asarray(value, dtype), requires_grad=True)


def test_a_hook_sees_the_complete_gradient_once_per_pass():
    seen = []
    x = leaf()
    y = x * 2.0
    y.register_hook(lambda g: seen.append(("y", g.data.tolist())))
    x.register_hook(lambda g: seen.append(("x", g.data.tolist())))
    (y + y * 3.0).sum().backward()
    assert seen == [("y", [4.0, 4.0]), ("x", [8.0, 8.0])]
    (x * 5.0).sum().backward()  # of this pass, not what has accumulated
    assert seen[2:] == [("x", [5.0, 5.0])]
    np.testing.assert_array_equal(x.grad.data, [13.0, 13.0])


def test_a_hook_gets_a_variable_that_cannot_be_written_to():
    x = leaf()
    kinds = []
    x.register_hook(lambda g: kinds.append((type(g), g.requires_grad, g.data.flags.writeable)))
    (x * 2.0).sum().backward()
    assert kinds == [(Tensor, False, False)]


def test_a_replacement_goes_on_to_what_is_before():
    x = leaf()
    y = x * 2.0
    y.retain_grad()
    y.register_hook(lambda g: g * 10.0)
    y.register_hook(lambda g: g + 1.0)
    y.sum().backward()
    np.testing.assert_array_equal(y.grad.data, [11.0, 11.0])
    np.testing.assert_array_equal(x.grad.data, [22.0, 22.0])


def test_a_replacement_on_a_leaf_and_on_a_scalar():
    x, s = leaf(), Scalar(3.0)
    x.register_hook(lambda g: Tensor(np.clip(g.data, -1.0, 1.0)))
    s.register_hook(lambda g: g * 0.5)
    (x * 7.0).sum().backward()
    (s * s).backward()
    np.testing.assert_array_equal(x.grad.data, [1.0, 1.0])
    assert s.grad.item() == 3.0


def test_a_replacement_keeps_the_dtype():
    x = leaf(dtype=np.float32)
    x.register_hook(lambda g: g * np.array([0.1, 0.2]))
    y = x * 2.0
    y.register_hook(lambda g: Tensor(g.data.astype(np.float64)))
    y.sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.data, [0.2, 0.4], rtol=1e-7)


def test_a_hook_that_was_taken_off_is_not_called():
    calls = []
    x = leaf()
    handle = x.register_hook(lambda g: calls.append(1))
    (x * 1.0).sum().backward()
    handle.remove()
    handle.remove()
    (x * 1.0).sum().backward()
    assert calls == [1]


def test_the_same_hook_twice_is_taken_off_one_at_a_time():
    calls = []

    def hook(g):
        calls.append(1)

    x = leaf()
    first, second = x.register_hook(hook), x.register_hook(hook)
    first.remove()
    first.remove()
    (x * 1.0).sum().backward()
    assert calls == [1]
    second.remove()
    (x * 1.0).sum().backward()
    assert calls == [1]


def test_a_hook_may_take_itself_off_while_it_runs():
    calls = []
    x = leaf()

    def once(g):
        calls.append("once")
        handle.remove()

    handle = x.register_hook(once)
    x.register_hook(lambda g: calls.append("always"))
    for _ in range(2):
        (x * 1.0).sum().backward()
    assert calls == ["once", "always", "always"]


REPLACEMENTS = {
    "shape": (lambda g: Tensor(np.ones(3)), r"got:      a Tensor of shape \(3,\)"),
    "array": (lambda g: g.data, r"got:      an ndarray of shape \(2,\)"),
    "number": (lambda g: 1.0, r"got:      a float of shape \(\)"),
    "kind": (lambda g: Scalar(1.0), r"got:      a Scalar of shape \(\)"),
}


@pytest.mark.parametrize(("hook", "got"), REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("where", ["leaf", "middle"])
def test_a_bad_replacement_is_refused(hook, got, where):
    x, w = leaf(), leaf()
    y = x * w
    y.name = "product"
    (x if where == "leaf" else y).register_hook(hook)
    with pytest.raises(ShapeError, match=f"hook on .*: bad replacement gradient\n  {got}\n") as error:
        y.sum().backward()
    assert "expected: None, or a Tensor of shape (2,)" in str(error.value)
    assert ("'product'" in str(error.value)) == (where == "middle")
    assert x.grad is None
    assert w.grad is None


def test_a_replacement_of_the_other_kind_is_refused_even_if_its_shape_fits():
    for x, other in ((Tensor(1.0, requires_grad=True), Scalar(1.0)), (Scalar(1.0), Tensor(1.0))):
        x.register_hook(lambda g, other=other: other)
        with pytest.raises(ShapeError, match=f"got:      a {type(other).__name__} of shape"):
            (x * 2.0).backward()


@pytest.mark.parametrize("where", ["leaf", "middle"])
def test_a_hook_that_raises_leaves_everything_as_it_was(where):
    def hook(g):
        raise RuntimeError("out of the hook")

    x, w = leaf(), leaf()
    (x * w).sum().backward()
    before = (x.grad, w.grad)
    y = x * w
    handle = (x if where == "leaf" else y).register_hook(hook)
    loss = y.sum()
    with pytest.raises(RuntimeError, match="out of the hook"):
        loss.backward()
    assert x.grad is before[0]
    assert w.grad is before[1]
    handle.remove()
    loss.backward()  # the graph was not freed either
    np.testing.assert_array_equal(x.grad.data, 2.0 * w.data)


def test_hooks_work_on_chosen_inputs_and_on_recorded_gradients():
    x = leaf()
    y = x * x
    y.register_hook(lambda g: g * 3.0)
    x.register_hook(lambda g: g * 2.0)
    (g,) = grad([y.sum()], [x], create_graph=True)
    np.testing.assert_array_equal(g.data, [12.0, 24.0])
    (curvature,) = grad([g.sum()], [x])
    np.testing.assert_array_equal(curvature.data, [24.0, 24.0])  # d/dx 12 x, then doubled by the hook on x


def test_a_hook_is_for_variables_that_want_a_gradient():
    with pytest.raises(GraphError, match=r"register_hook\(\): a Tensor of shape \(1,\) does not require a gradient"):
        Tensor([1.0]).register_hook(print)
