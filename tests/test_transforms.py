"""grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp: against closed forms and PyTorch, nested, and misused."""

import math

import numpy as np
import pytest
import torch

import tinygrad_bn as tg
from tinygrad_bn import Scalar, Tensor, grad, hessian, hvp, jacobian, jvp, no_grad, ops, value_and_grad, vjp
from tinygrad_bn.errors import ArgumentError, DTypeError, GraphError, ShapeError

RNG = np.random.default_rng(0)
X, Y, V, W = (RNG.normal(size=4) for _ in range(4))
M = RNG.normal(size=(3, 4))


def ours(x, y):
    return ops.sum(ops.sin(x) * ops.exp(y) + x * x * y)


def theirs(x, y):
    return torch.sum(torch.sin(x) * torch.exp(y) + x * x * y)


def layer(x):
    return ops.tanh(ops.matmul(M, x)) * ops.sum(x * x)


def their_layer(x):
    return torch.tanh(torch.tensor(M) @ x) * torch.sum(x * x)


# -- grad and value_and_grad ------------------------------------------------------------------------------------------


def test_numbers_in_numbers_out():
    value, slope = value_and_grad(lambda x: x**3)(2.0)
    assert (value, slope, type(value), type(slope)) == (8.0, 12.0, float, float)
    assert grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3) == (3.0, 2.0)
    assert grad(lambda x, y: x * y, argnums=-1)(2, 3.0) == 2.0


def test_numbers_are_scalars_and_beside_arrays_tensors():
    kinds = []

    def note(*args):
        kinds.append([type(a) for a in args])
        return args[0] * 2.0

    grad(note)(1.0)
    grad(note)(1)
    grad(note)(np.float64(1.0))
    grad(note)(np.float32(1.0))
    grad(note)(1.0, np.ones(1))
    grad(note, (0, 1))(1.0, [2.0])
    grad(note)(1.0, Scalar(1.0))
    assert kinds == [[Scalar]] * 3 + [[Tensor], [Tensor, np.ndarray], [Tensor, Tensor], [Scalar, Scalar]]


def test_arrays_in_arrays_of_ones_own_out():
    value, slopes = value_and_grad(ours, (0, 1))(X, Y)
    x, y = torch.tensor(X, requires_grad=True), torch.tensor(Y, requires_grad=True)
    out = theirs(x, y)
    expected = torch.autograd.grad(out, [x, y])
    np.testing.assert_allclose(value, out.item(), rtol=1e-14)
    assert isinstance(value, float)
    for got, want in zip(slopes, expected):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-13)
        assert type(got) is np.ndarray
        got *= 2.0  # writable, and nobody else's


def test_a_number_and_an_array():
    slope_of_a, slope_of_x = grad(lambda a, x: ops.sum(a * x * x), (0, 1))(3.0, X)
    np.testing.assert_allclose(slope_of_a, np.sum(X * X), rtol=1e-14)
    assert isinstance(slope_of_a, float)
    np.testing.assert_allclose(slope_of_x, 6.0 * X, rtol=1e-14)


def test_integers_and_lists_are_taken_as_real_numbers():
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x * x))([1, 2]), [2.0, 4.0])
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x * x))(np.array([1, 2])), [2.0, 4.0])
    g = grad(lambda x: ops.sum(x * x))(np.array([1, 2], np.float32))
    assert g.dtype == np.float32


def test_variables_in_variables_out():
    x = Tensor(X)
    value, slope = value_and_grad(lambda v: ops.sum(v * v))(x)
    assert isinstance(value, Tensor)
    assert isinstance(slope, Tensor)
    assert value.is_leaf
    assert slope.is_leaf
    np.testing.assert_allclose(slope.data, 2.0 * X)
    assert x.grad is None
    assert not x.requires_grad

    s = Scalar(2.0)
    value, slope = value_and_grad(lambda v: v**3)(s)
    assert (value.item(), slope.item()) == (8.0, 12.0)
    slope.backward()  # recorded, because s wants a gradient
    assert s.grad.item() == 12.0


def test_unused_arguments_and_constant_functions_have_gradient_zero():
    for arguments, shape in (
        ((X, Y), (4,)),
        ((1.0, 2.0), ()),
        ((Tensor(X), Tensor(Y)), (4,)),
        ((Scalar(1.0), 2.0), ()),
    ):
        g = grad(lambda x, y: ops.sum(x * x) if np.shape(x) else x * x, 1)(*arguments)
        raw = g.data if isinstance(g, tg.Variable) else g
        assert np.shape(raw) == shape
        np.testing.assert_array_equal(raw, np.zeros(shape))
    assert grad(lambda x: 3.0)(1.0) == 0.0
    assert grad(lambda x: np.float32(3.0))(1.0) == 0.0
    np.testing.assert_array_equal(grad(lambda x: 3.0)(X), np.zeros(4))
    assert value_and_grad(lambda x: x * x if x > 0.0 else 0.0)(-1.0) == (0.0, 0.0)
    assert value_and_grad(lambda x: ops.stop_gradient(x) * 2.0)(3.0) == (6.0, 0.0)


def test_keyword_arguments_and_the_function_itself_pass_through():
    def power(x, *, exponent):
        """Doc."""
        return x**exponent

    slope = grad(power)
    assert (slope.__name__, slope.__doc__) == ("power", "Doc.")
    assert slope(2.0, exponent=3) == 12.0
    assert value_and_grad(power)(2.0, exponent=3) == (8.0, 12.0)


def test_a_module_can_be_differentiated_by_its_input():
    tg.manual_seed(0)
    model = tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.Sigmoid())
    x = RNG.normal(size=(2, 4)).astype(np.float32)
    slope = grad(lambda v: model(v).sum())(x)
    assert isinstance(slope, Tensor)  # it depends on the weights, which want gradients
    assert slope.requires_grad
    with no_grad():
        raw = grad(lambda v: model(v).sum())(x)
    assert type(raw) is np.ndarray
    np.testing.assert_array_equal(raw, slope.data)
    weight = model[0].weight.data
    out = model(x).data
    np.testing.assert_allclose(raw, (out * (1 - out)) @ weight, rtol=1e-5)
    assert all(p.grad is None for p in model.parameters())


def test_create_graph_records():
    slope = grad(lambda x: x**3, create_graph=True)(2.0)
    assert isinstance(slope, Scalar)
    assert slope.requires_grad


# -- grad of outputs at hand ------------------------------------------------------------------------------------------


def test_grad_of_outputs_at_hand():
    x, y, unused = (Tensor(v, requires_grad=True) for v in (X, Y, V))
    out = x * ops.exp(y)
    one = grad(out, x, W, retain_graph=True)
    np.testing.assert_allclose(one.data, W * np.exp(Y), rtol=1e-14)
    by_x, by_y, nothing = grad([out], (x, y, unused), [W])
    np.testing.assert_allclose(by_x.data, one.data)
    np.testing.assert_allclose(by_y.data, W * X * np.exp(Y), rtol=1e-14)
    assert nothing is None
    assert x.grad is y.grad is None
    with pytest.raises(GraphError, match="was freed"):
        grad(out, x, W)


MISUSE = {
    "not variables": (lambda: grad(3.0, 2.0), ArgumentError, "outputs float, inputs float"),
    "inputs missing": (lambda: grad(Scalar(1.0) * 2.0), ArgumentError, "outputs Scalar, inputs int"),
    "no inputs": (lambda: grad(Scalar(1.0) * 2.0, []), ArgumentError, "outputs Scalar, inputs list"),
    "input without gradient": (lambda: grad(Scalar(1.0) * 2.0, Scalar(1.0, False)), GraphError, "with respect to it"),
    "cotangent for a function": (lambda: grad(ours, 0, 1.0), ArgumentError, "grad_outputs and retain_graph go with"),
    "retain for a function": (lambda: grad(ours, 0, retain_graph=True), ArgumentError, "grad_outputs and retain_graph"),
    "no such argument": (lambda: grad(ours, 2)(X, Y), ArgumentError, "got:      2\n  expected: an int from 0 to 1"),
    "not a position": (lambda: grad(ours, "x")(X, Y), ArgumentError, "argnums: no such argument\n  got:      x"),
    "no positions": (lambda: grad(ours, ())(X, Y), ArgumentError, "no argument to differentiate by"),
    "no arguments": (lambda: grad(lambda: 1.0)(), ArgumentError, "to be called with arguments"),
    "more than one number": (lambda: grad(lambda x: x * 2.0)(X), ShapeError, r"one number\n  got:      shape \(4,\)"),
    "a tuple": (lambda: grad(lambda x: (x, x))(1.0), ArgumentError, "return one variable\n  got:      tuple"),
    "nothing": (lambda: grad(lambda x: None)(1.0), ArgumentError, "return one variable\n  got:      NoneType"),
    "text": (lambda: grad(lambda x: "x")(1.0), ArgumentError, "return one variable\n  got:      str"),
    "scalars": (lambda: grad(lambda x: x * np.ones(2))(1.0), ArgumentError, "got:      an array of scalars"),
    "complex": (lambda: grad(ops.sum)(X * 1j), DTypeError, "by argument 0\n  got:      ndarray, dtype complex128"),
    "an array of scalars": (lambda: grad(ops.sum)(tg.scalarize(X)), DTypeError, "ndarray, dtype object(?s:.*)grad\\(output"),
    "integers that are variables": (lambda: grad(ops.sum)(Tensor([1, 2])), DTypeError, "got:      dtype int64"),
    "vjp of nothing": (lambda: vjp(ours), ArgumentError, "no argument to differentiate by"),
    "vjp cotangent": (lambda: vjp(layer, X)[1](np.ones(4)), ShapeError, r"raw numbers of shape \(3,\)"),
    "jvp count": (lambda: jvp(ours, [X, Y], [V]), ArgumentError, "jvp: one tangent per primal\n  got:      1 tangents for 2"),
    "jvp shape": (lambda: jvp(ours, [X, Y], [V, 1.0]), ShapeError, r"got:      shape \(\)\n  expected: \(4,\)"),
    "hvp count": (lambda: hvp(ours, [X, Y], [V]), ArgumentError, "hvp: one tangent per primal"),
    "hvp shape": (lambda: hvp(ours, [X, Y], [V, np.ones(1)]), ShapeError, "hvp: a tangent has its primal's shape"),
    "jacobian by two": (lambda: jacobian(ours, (0, 1))(X, Y), ArgumentError, r"argument at a time\n  got:      argnums=\(0"),
    "jacobian by none": (lambda: jacobian(ours, 5)(X, Y), ArgumentError, "argnums: no such argument"),
    "hessian of an array": (lambda: hessian(layer)(X), ShapeError, "must return one number"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), MISUSE.values(), ids=MISUSE)
def test_misuse_is_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# -- vjp, jvp, jacobian, hessian, hvp ---------------------------------------------------------------------------------


def test_vjp_can_be_called_again_and_again():
    value, pull_back = vjp(layer, X)
    x = torch.tensor(X, requires_grad=True)
    out = their_layer(x)
    np.testing.assert_allclose(value, out.detach().numpy(), rtol=1e-13)
    for w in (RNG.normal(size=3), np.ones(3), np.zeros(3)):
        (got,) = pull_back(w)
        (want,) = torch.autograd.grad(out, x, torch.tensor(w), retain_graph=True)
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-12, atol=1e-14)


def test_vjp_of_numbers_and_of_several_primals():
    value, pull_back = vjp(lambda x, y: x * y + y, 2.0, 3.0)
    assert value == 9.0
    assert pull_back(10.0) == (30.0, 30.0)
    _, pull_back = vjp(lambda x, y: ops.sum(x * x), X, Y)
    by_x, by_y = pull_back(1.0)
    np.testing.assert_allclose(by_x, 2 * X)
    np.testing.assert_array_equal(by_y, np.zeros(4))


def test_a_pulled_back_variable_can_be_differentiated_by_the_cotangent():
    _, pull_back = vjp(layer, X)
    w = Tensor(np.ones(3), requires_grad=True)
    (g,) = pull_back(w)
    (by_w,) = grad([g], [w], [V])
    np.testing.assert_allclose(by_w.data, jvp(layer, [X], [V])[1], rtol=1e-12)
    (g,) = pull_back(Tensor(np.ones(3)))
    assert isinstance(g, Tensor)
    assert not g.requires_grad


def test_jvp_against_pytorch():
    value, slope = jvp(layer, [X], [V])
    expected_value, expected = torch.autograd.functional.jvp(their_layer, torch.tensor(X), torch.tensor(V))
    np.testing.assert_allclose(value, expected_value.numpy(), rtol=1e-13)
    np.testing.assert_allclose(slope, expected.numpy(), rtol=1e-12)
    value, slope = jvp(ours, [X, Y], [V, W])
    point, direction = (torch.tensor(X), torch.tensor(Y)), (torch.tensor(V), torch.tensor(W))
    expected_value, expected = torch.autograd.functional.jvp(theirs, point, direction)
    np.testing.assert_allclose([value, slope], [expected_value.item(), expected.item()], rtol=1e-12)


def test_jvp_of_numbers_variables_and_constants():
    value, slope = jvp(lambda x: x**3, [2.0], [5.0])
    assert (value, slope) == (8.0, 60.0)
    value, slope = jvp(lambda x: x**3, [Scalar(2.0)], [5.0])
    assert (value.item(), slope.item()) == (8.0, 60.0)
    value, slope = jvp(lambda x: ops.stop_gradient(x) * 2.0, [X], [V])
    np.testing.assert_array_equal(slope, np.zeros(4))
    with no_grad():
        np.testing.assert_allclose(jvp(lambda x: x * x, [X], [V])[1], 2 * X * V)
    value, slope = jvp(lambda x: x * x, [X.astype(np.float32)], [V])
    assert slope.dtype == np.float32


def test_jvp_is_recorded_for_a_tangent_that_wants_a_gradient():
    v = Tensor(V, requires_grad=True)
    value, slope = jvp(lambda x: x * x, [X], [v])
    (by_v,) = grad([slope], [v], [W])
    np.testing.assert_allclose(by_v.data, 2 * X * W, rtol=1e-14)
    assert isinstance(value, Tensor)


def test_jvp_and_vjp_are_each_others_transpose():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, v, w = rng.normal(size=4), rng.normal(size=4), rng.normal(size=3)
        _, along = jvp(layer, [x], [v])
        (back,) = vjp(layer, x)[1](w)
        np.testing.assert_allclose(np.dot(w, along), np.dot(back, v), rtol=1e-12)


@pytest.mark.parametrize("argnums", [0, 1, -1])
def test_jacobian_against_pytorch(argnums):
    def function(x, y):
        return ops.outer(ops.sin(x), y * y)

    def their_function(x, y):
        return torch.outer(torch.sin(x), y * y)

    y = Y[:3]
    got = jacobian(function, argnums)(X, y)
    want = torch.func.jacrev(their_function, argnums % 2)(torch.tensor(X), torch.tensor(y))
    assert type(got) is np.ndarray
    assert got.shape == (4, 3) + ((4,) if argnums == 0 else (3,))
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-12)


def test_jacobian_of_all_kinds():
    np.testing.assert_allclose(jacobian(layer)(X), torch.func.jacrev(their_layer)(torch.tensor(X)).numpy(), rtol=1e-12)
    got = jacobian(lambda t: ops.stack([ops.sin(t), ops.cos(t)]))(0.5)
    np.testing.assert_allclose(got, [math.cos(0.5), -math.sin(0.5)])
    assert jacobian(lambda t: t**3)(2.0) == 12.0
    slope = jacobian(lambda s: s**3)(Scalar(2.0))
    assert isinstance(slope, Scalar)
    assert slope.item() == 12.0
    np.testing.assert_array_equal(jacobian(lambda x: np.ones(2))(X), np.zeros((2, 4)))
    np.testing.assert_array_equal(jacobian(lambda x: x[:0])(X).shape, (0, 4))
    empty = jacobian(lambda x: x[:0])(Tensor(X.astype(np.float32)))
    assert (type(empty), empty.shape, empty.dtype) == (Tensor, (0, 4), np.float32)
    assert jacobian(lambda x, k: x * k)(X.astype(np.float32), 2.0).dtype == np.float32


def test_hessian_against_pytorch():
    for argnums in (0, 1):
        got = hessian(ours, argnums)(X, Y)
        want = torch.autograd.functional.hessian(theirs, (torch.tensor(X), torch.tensor(Y)))[argnums][argnums]
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-12, atol=1e-13)

    def coupled(x):
        return ops.sum(layer(x) ** 2)

    got = hessian(coupled)(X)
    want = torch.autograd.functional.hessian(lambda x: torch.sum(their_layer(x) ** 2), torch.tensor(X))
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-11)
    np.testing.assert_allclose(got, got.T, rtol=1e-12, atol=1e-13)
    assert hessian(lambda x: x**4)(2.0) == 48.0
    np.testing.assert_array_equal(hessian(lambda x: ops.sum(3.0 * x))(X), np.zeros((4, 4)))


def test_hvp_is_the_hessian_times_the_tangent():
    by_x, by_y = hvp(ours, [X, Y], [V, W])
    x, y = torch.tensor(X), torch.tensor(Y)
    want = torch.autograd.functional.hvp(theirs, (x, y), (torch.tensor(V), torch.tensor(W)))[1]
    np.testing.assert_allclose(by_x, want[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(by_y, want[1].numpy(), rtol=1e-12)
    assert hvp(lambda x: x**3, [2.0], [5.0]) == (60.0,)
    (got,) = hvp(lambda x: ops.sum(x**3), [Tensor(X)], [Tensor(V)])
    assert isinstance(got, Tensor)
    np.testing.assert_allclose(got.data, 6 * X * V, rtol=1e-13)
    np.testing.assert_array_equal(hvp(lambda x: ops.sum(x), [X], [V])[0], np.zeros(4))
    (got,) = hvp(lambda x: ops.sum(x**3), [X], [Tensor(V, requires_grad=True)])
    np.testing.assert_allclose(got.data, 6 * X * V, rtol=1e-13)
    assert got.requires_grad  # by the tangent


# -- nesting and perturbation confusion -------------------------------------------------------------------------------


def test_gradients_of_gradients_of_functions():
    tower = lambda x: x**5  # noqa: E731
    for expected in (5 * 16.0, 20 * 8.0, 60 * 4.0, 120 * 2.0, 120.0, 0.0):
        tower = grad(tower)
        assert tower(2.0) == expected
    slope = grad(grad(ops.sin))
    assert slope(0.5) == pytest.approx(-math.sin(0.5))
    assert value_and_grad(grad(lambda x: x**3))(2.0) == (12.0, 12.0)


CONFUSION = {
    # d/dx x * (d/dy (x + y) at 1) = d/dx x
    "a sum": (lambda d, x: x * d(lambda y: x + y)(1.0), 3.0, 1.0),
    # d/dx x * (d/dy xy at 1) = d/dx x*x
    "a product": (lambda d, x: x * d(lambda y: x * y)(1.0), 3.0, 6.0),
    # the inner derivative taken at the outer variable itself: d/dx x * x
    "at the outer variable": (lambda d, x: x * d(lambda y: x * y)(x), 3.0, 6.0),
    # d/dy (x*y*y at y=x) = 2x*x: d/dx 2x**2
    "both": (lambda d, x: d(lambda y: x * y * y)(x), 3.0, 12.0),
    # the outer variable through a plain number: d/dx (2xy at y=5) = 10
    "a number": (lambda d, x: d(lambda y: x * y * y)(5.0), 3.0, 10.0),
    "two levels": (
        lambda d, x: d(lambda y: d(lambda z: x * y * z)(y) * y)(x),
        3.0,
        12.0,
    ),  # d/dy x*y*y = 2xy, at x: 2x*x
}


@pytest.mark.parametrize(("function", "x", "expected"), CONFUSION.values(), ids=CONFUSION)
def test_inner_and_outer_derivatives_are_not_confused(function, x, expected):
    assert grad(lambda v: function(grad, v))(x) == pytest.approx(expected)
    t = Tensor(x, requires_grad=True)
    (got,) = grad([function(lambda f: lambda v: grad(f)(v if isinstance(v, tg.Variable) else np.array(v)), t)], [t])
    assert got.item() == pytest.approx(expected)
    s = Scalar(x)
    function(grad, s).backward()
    assert s.grad.item() == pytest.approx(expected)


def test_a_transform_inside_a_recorded_function_is_part_of_it():
    w = Tensor(W, requires_grad=True)

    def weighted(x):
        return ops.sum(w * ops.sin(x))

    slope = grad(weighted)(X)
    ops.sum(slope * V).backward()
    np.testing.assert_allclose(w.grad.data, V * np.cos(X), rtol=1e-13)
    w.grad = None
    value, slope = value_and_grad(weighted)(X)
    value.backward()
    np.testing.assert_allclose(w.grad.data, np.sin(X), rtol=1e-13)
    w.grad = None
    for result in (jacobian(lambda x: w * x)(X), jvp(lambda x: w * x, [X], [V])[1], vjp(lambda x: w * x, X)[1](V)[0]):
        assert isinstance(result, Tensor)
        assert result.requires_grad
    assert isinstance(hessian(lambda x: ops.sum(w * x * x))(X), Tensor)
    with no_grad():
        assert type(grad(weighted)(X)) is np.ndarray


def test_a_function_that_returns_a_variable_from_outside():
    w = Scalar(2.0)
    value, slope = value_and_grad(lambda x: w)(1.0)
    assert value is w
    assert slope.item() == 0.0


def test_no_grad_around_a_transform_gives_values():
    s = Scalar(2.0)
    with no_grad():
        assert grad(lambda x: x**2)(2.0) == 4.0
        assert grad(grad(lambda x: x**3))(2.0) == 12.0
        assert hessian(lambda x: x**3)(2.0) == 12.0
        assert not grad(lambda x: x**2)(s).requires_grad
        assert grad(lambda x: x**2, create_graph=True)(s).requires_grad
    assert grad(lambda x: x**2)(s).requires_grad


def test_an_argument_from_a_used_up_graph_is_reported():
    x = Tensor(X, requires_grad=True)
    y = x * x
    ops.sum(y).backward()
    with pytest.raises(GraphError, match="was freed"):
        grad(lambda v: ops.sum(v * y))(V)


def test_transforms_leave_gradients_and_modes_alone():
    x = Tensor(X, requires_grad=True)
    ops.sum(x * 2.0).backward()
    before = x.grad
    grad(lambda v: ops.sum(v * v))(x)
    hessian(lambda v: ops.sum(v * v * x))(x)
    assert x.grad is before
    assert tg.is_grad_enabled()


def test_a_training_step_written_with_value_and_grad():
    rng = np.random.default_rng(3)
    inputs, true = rng.normal(size=(50, 3)), np.array([1.0, -2.0, 0.5])
    targets = inputs @ true + 0.7

    def loss(w, b):
        return ops.mean(ops.square(ops.matmul(inputs, w) + b - targets))

    w, b = np.zeros(3), 0.0
    for _ in range(300):
        _, (dw, db) = value_and_grad(loss, (0, 1))(w, b)
        w -= 0.1 * dw
        b -= 0.1 * db
    np.testing.assert_allclose(w, true, atol=1e-8)
    np.testing.assert_allclose(b, 0.7, atol=1e-8)


# -- functions that use the variable that was passed, instead of their argument ----------------------------------------

EVERY_TRANSFORM = {
    "grad": lambda f, x: grad(f)(x),
    "value_and_grad": lambda f, x: value_and_grad(f)(x),
    "create_graph": lambda f, x: grad(f, create_graph=True)(x),
    "vjp": lambda f, x: vjp(f, x),
    "jvp": lambda f, x: jvp(f, [x], [np.ones(x.shape)]),
    "jacobian": lambda f, x: jacobian(f)(x),
    "hessian": lambda f, x: hessian(f)(x),
    "hvp": lambda f, x: hvp(f, [x], [np.ones(x.shape)]),
    "grad of grad": lambda f, x: grad(lambda y: ops.sum(grad(f, create_graph=True)(y)))(x),
    "jacobian of grad": lambda f, x: jacobian(grad(f, create_graph=True))(x),
    "grad of jacobian": lambda f, x: grad(lambda y: ops.sum(jacobian(f)(y)))(x),
}


@pytest.mark.parametrize("wants", [True, False], ids=["trained", "frozen"])
@pytest.mark.parametrize("transform", EVERY_TRANSFORM.values(), ids=EVERY_TRANSFORM)
def test_a_function_of_what_was_passed_instead_of_its_argument_is_refused(transform, wants):
    x = Tensor(X, requires_grad=wants, name="gamma")
    for inside in (lambda _: ops.sum(x * x * x), lambda _: ops.sum(ops.exp(x) * 2.0 + V)):
        with pytest.raises(ArgumentError, match=r"does not use argument 0.*'gamma'") as error:
            transform(inside, x)
        assert "functional_call(module, {'gamma': argument}, x)" in str(error.value)
    assert x.requires_grad is wants
    assert x.grad is None
    transform(lambda v: ops.sum(v * v * v), x)  # and what uses it works


@pytest.mark.parametrize("wants", [True, False], ids=["trained", "frozen"])
def test_each_argument_is_looked_at_by_itself(wants):
    x, y = Tensor(X, requires_grad=wants, name="x"), Tensor(V, requires_grad=True, name="y")
    with pytest.raises(ArgumentError, match=r"argument 1.*'y'"):
        grad(lambda a, b: ops.sum(a * y), (0, 1))(x, y)
    with pytest.raises(ArgumentError, match=r"argument 0.*'x'"):
        vjp(lambda a, b: ops.sum(x * b), x, y)
    assert grad(lambda a, b: ops.sum(a * y), 0)(x, y).shape == X.shape  # y is not differentiated by here
    first, second = grad(lambda a, b: ops.sum(a * a), (0, 1))(x, y)  # not used at all: the derivative is 0
    np.testing.assert_allclose(first.numpy(), 2.0 * X)
    np.testing.assert_allclose(second.numpy(), 0.0)


@pytest.mark.parametrize("wants", [True, False], ids=["trained", "frozen"])
def test_beside_the_argument_what_was_passed_is_a_constant(wants):
    x = Tensor(X, requires_grad=wants)
    np.testing.assert_allclose(grad(lambda v: ops.sum(v * x))(x).numpy(), X)
    np.testing.assert_allclose(hessian(lambda v: ops.sum(v * v * x))(x).numpy(), np.diag(2.0 * X), atol=1e-15)
    value, tangent = jvp(lambda v: v * x, [x], [V])
    np.testing.assert_allclose(tangent.numpy(), X * V)
    assert value.requires_grad is wants


def test_a_frozen_variable_stays_frozen_when_the_function_fails():
    x = Tensor(X)
    stamp = x.stamp

    def fails(v):
        assert x.requires_grad  # while the function runs
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        grad(fails)(x)
    assert not x.requires_grad
    assert x.stamp == stamp
    assert type(grad(lambda v: ops.sum(v * v))(X)) is np.ndarray


def test_arrays_come_out_where_arrays_went_in_although_a_frozen_variable_is_watched():
    x, found = Tensor(X), []

    def outer(v):
        found.append(grad(lambda w: ops.sum(w * x))(V))
        return ops.sum(v)

    grad(outer)(x)
    assert type(found[0]) is np.ndarray
    np.testing.assert_allclose(found[0], X)


def test_what_was_passed_may_change_before_a_cotangent_is_pulled_back():
    x = Tensor(X)
    _, pull_back = vjp(lambda v: v * v, x)
    x.data = np.zeros_like(X)
    np.testing.assert_allclose(pull_back(V)[0].numpy(), 2.0 * X * V)


def test_scalars_are_looked_at_too():
    s = Scalar(3.0, name="s")
    with pytest.raises(ArgumentError, match=r"does not use argument 0.*'s'"):
        grad(lambda _: s * s)(s)
    assert grad(lambda v: v * s)(s).item() == 3.0


def test_a_module_called_with_its_own_parameter_is_refused_and_functional_call_is_right():
    layer = tg.nn.Linear(3, 1, dtype=float)
    inputs = np.random.default_rng(5).normal(size=(4, 3))
    expected = 2.0 * (inputs @ layer.weight.numpy().T + layer.bias.numpy()).T @ inputs
    with pytest.raises(ArgumentError, match="functional_call"):
        grad(lambda w: ops.sum(ops.square(layer(inputs))))(layer.weight)
    found = grad(lambda w: ops.sum(ops.square(tg.nn.functional_call(layer, {"weight": w}, inputs))))(layer.weight)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_messages_name_the_transform_and_how_it_is_called():
    x = np.ones(2)
    with pytest.raises(ShapeError, match=r"hessian: the function must return one number[\s\S]*reduce to one number"):
        tg.hessian(lambda x: x)(x)
    with pytest.raises(ShapeError, match="hvp: the function must return one number"):
        tg.hvp(lambda x: x, (x,), (x,))
    with pytest.raises(ShapeError, match=r"grad: the function must return one number[\s\S]*jacobian"):
        tg.grad(lambda x: x)(x)
    for what in (tg.jvp, tg.hvp):
        for primals, tangents in ((x, (x,)), ((x,), x), (tg.Tensor(x), tg.Tensor(x))):
            with pytest.raises(ArgumentError, match=r"are a tuple, one for each argument[\s\S]*\(x,\), \(tangent,\)"):
                what(lambda x: (x * x).sum(), primals, tangents)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ArgumentError, match="manual_seed: a whole number >= 0"):
        tg.manual_seed(seed)
