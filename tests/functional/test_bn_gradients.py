"""First and second derivatives of ``functional.batch_norm`` against three oracles that share no code with its rules."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch
from bn_oracle import SHAPES, axes_of, backward, complex_step, per_channel, problem, statistics
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import tinygrad_bn as tg
from tinygrad_bn.engine import Primitive, Variable, unbroadcast
from tinygrad_bn.functional import batch_norm
from tinygrad_bn.ops import primitives
from tinygrad_bn.ops.primitives import elementary

EPS = 1e-5


def leaves(*arrays):
    return [tg.Tensor(array, requires_grad=True) for array in arrays]


def first_order(x, weight, bias, dy, eps=EPS):
    """The engine's dx, dgamma, dbeta, as arrays."""
    variables = leaves(x, weight, bias)
    y = batch_norm(variables[0], weight=variables[1], bias=variables[2], training=True, eps=eps)
    y.backward(dy)
    return [v.grad.numpy() for v in variables]


def second_order(x, weight, bias, dy, directions):
    """Gradients of <directions, (dx, dgamma, dbeta)> by x, weight, bias and dy, from a recorded backward pass."""
    variables = leaves(x, weight, bias, dy)
    y = batch_norm(variables[0], weight=variables[1], bias=variables[2], training=True, eps=EPS)
    gradients = tg.grad(y, variables[:3], variables[3], create_graph=True)
    inner = sum((g * v).sum() for g, v in zip(gradients, directions))
    return [
        np.zeros(v.shape) if g is None else g.numpy() for v, g in zip(variables, tg.grad(inner, variables))
    ]  # the bias is in no second derivative


def some_directions(x, weight, bias):
    rng = np.random.default_rng(99)
    return [rng.standard_normal(a.shape) for a in (x, weight, bias)]


# -- the three oracles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_first_derivatives_are_the_papers_closed_form(shape):
    x, weight, bias, dy = problem(shape)
    for got, expected in zip(first_order(x, weight, bias, dy), backward(x, weight, dy, EPS)):
        assert got.shape == expected.shape
        assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
        assert np.abs(expected).max() > 1e-6  # or the comparison would say nothing


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_second_derivatives_are_those_of_the_closed_form_by_complex_step(shape):
    x, weight, bias, dy = problem(shape)
    directions = some_directions(x, weight, bias)

    def inner(x, weight, dy):
        return sum((v * g).sum() for v, g in zip(directions, backward(x, weight, dy, EPS)))

    by_x, by_weight, by_dy = complex_step(inner, (x, weight, dy))
    got = second_order(x, weight, bias, dy, directions)
    scale = np.abs(by_x).max()
    for found, expected in zip(got, (by_x, by_weight, np.zeros_like(bias), by_dy)):
        assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * max(1.0, scale))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_first_derivatives_are_those_of_the_forward_on_raw_complex_arrays(shape):
    x, weight, bias, dy = problem(shape, seed=1)

    def value(x, weight, bias):
        return (dy * batch_norm(x, weight=weight, bias=bias, training=True, eps=EPS)).sum()

    for got, expected in zip(first_order(x, weight, bias, dy), complex_step(value, (x, weight, bias))):
        assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_derivatives_are_pytorchs_to_second_order(shape):
    x, weight, bias, dy = problem(shape, seed=2)
    directions = some_directions(x, weight, bias)
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias, dy)]
    y = torch.nn.functional.batch_norm(theirs[0], None, None, theirs[1], theirs[2], training=True, eps=EPS)
    first = torch.autograd.grad(y, theirs[:3], theirs[3], create_graph=True)
    inner = sum((g * torch.tensor(v)).sum() for g, v in zip(first, directions))
    second = torch.autograd.grad(inner, theirs, allow_unused=True)

    assert_allclose(batch_norm(x, weight=weight, bias=bias, training=True, eps=EPS), y.detach(), rtol=1e-9, atol=1e-13)
    for got, expected in zip(first_order(x, weight, bias, dy), first):
        assert_allclose(got, expected.detach(), rtol=1e-9, atol=1e-12)
    scale = float(second[0].abs().max())
    for got, expected in zip(second_order(x, weight, bias, dy, directions), second):
        assert_allclose(got, 0.0 if expected is None else expected, rtol=1e-9, atol=1e-12 * max(1.0, scale))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32_gives_float32_gradients_near_the_float64_closed_form(shape):
    x, weight, bias, dy = problem(shape, dtype=np.float32)
    wide = [a.astype(float) for a in (x, weight, dy)]
    # dx is a difference of terms of this size; with two values per channel it is 1e-5 of it.
    terms = np.abs(per_channel(wide[1], x) * wide[2] / statistics(wide[0], EPS)[1]).max()
    for got, want, size in zip(first_order(x, weight, bias, dy), backward(*wide, EPS), (terms, 1.0, 1.0)):
        assert got.dtype == np.float32
        assert_allclose(got, want, rtol=1e-4, atol=1e-6 * size * x.size)


def test_float32_second_derivatives_stay_float32():
    x, weight, bias, dy = problem((7, 3), dtype=np.float32)
    exact = problem((7, 3), dtype=np.float32)
    directions = some_directions(x, weight, bias)
    wide = second_order(*(a.astype(float) for a in exact), directions)
    narrow = second_order(x, weight, bias, dy, [v.astype(np.float32) for v in directions])
    for got, want in zip((narrow[0], narrow[1], narrow[3]), (wide[0], wide[1], wide[3])):
        assert got.dtype == np.float32
        assert_allclose(got, want, rtol=1e-3, atol=1e-4 * np.abs(want).max())


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    n=st.integers(2, 6), c=st.integers(1, 3), rest=st.lists(st.integers(1, 3), max_size=3), eps=st.floats(1e-6, 10.0),
    scale=st.floats(0.01, 100.0), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_any_shape_eps_and_scale_give_the_closed_form(n, c, rest, eps, scale, seed):
    x, weight, bias, dy = problem((n, c, *rest), seed=seed)
    x = x * scale
    for got, expected in zip(first_order(x, weight, bias, dy, eps), backward(x, weight, dy, eps)):
        assert_allclose(got, expected, rtol=1e-7, atol=1e-10 * max(1.0, 1.0 / scale) * np.abs(dy).max())


def test_memory_layout_does_not_matter():
    x, weight, bias, dy = problem((4, 3, 5))
    expected = backward(x, weight, dy, EPS)
    strided = np.repeat(x, 2, axis=0)[::2].transpose(2, 1, 0).copy().transpose(2, 1, 0)
    assert not strided.flags.c_contiguous
    for got, want in zip(first_order(strided, weight, bias, np.asfortranarray(dy)), expected):
        assert_allclose(got, want, rtol=1e-10, atol=1e-12)


# -- what has to hold whatever the numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [s for s in SHAPES if s != (2, 3)], ids=str)  # for (2, 3) see the next test
def test_dx_has_no_component_along_ones_nor_at_eps_0_along_x_hat(shape):
    x, weight, bias, dy = problem(shape, seed=3)
    dx = first_order(x, weight, bias, dy, eps=0.0)[0]
    x_hat, _ = statistics(x, 0.0)
    size = np.abs(dx).max()
    assert size > 1e-3
    assert_allclose(dx.sum(axes_of(x)), 0.0, atol=1e-12 * size * x.size)
    assert_allclose((dx * x_hat).sum(axes_of(x)), 0.0, atol=1e-12 * size * x.size)


def test_two_values_per_channel_at_eps_0_have_gradient_0():
    x, weight, bias, dy = problem((2, 3), seed=3)
    dx, dgamma, _ = first_order(x, weight, bias, dy, eps=0.0)
    assert_allclose(dx, 0.0, atol=1e-12)  # x_hat is -1 and 1 whatever x is
    assert_allclose(np.abs(dgamma), np.abs(dy[0] - dy[1]), rtol=1e-12)


def test_with_eps_dx_keeps_the_component_along_x_hat_that_eps_lets_through():
    x, weight, bias, dy = problem((7, 3), seed=4)
    eps = 0.5
    dx = first_order(x, weight, bias, dy, eps)[0]
    x_hat, root = statistics(x, eps)
    along = (dy * x_hat).sum(0)
    # From the closed form: <dx, x_hat> = w / root * <dy, x_hat> * (1 - v / (v + eps)).
    assert_allclose((dx * x_hat).sum(0), weight / root[0] * along * eps / root[0] ** 2, rtol=1e-10)


@pytest.mark.parametrize("a", [0.1, 7.0])
def test_the_scale_of_the_layer_before_does_not_matter(a):
    """Section 3.3 of the paper: BN((aW)u) = BN(Wu), the same gradient by u, and 1/a of it by W."""
    rng = np.random.default_rng(5)
    u, w, dy = rng.standard_normal((8, 4)), rng.standard_normal((4, 3)), rng.standard_normal((8, 3))

    def run(scale):
        inputs, weights = leaves(u, scale * w)
        y = batch_norm(inputs @ weights, training=True, eps=0.0)
        y.backward(dy)
        return y.numpy(), inputs.grad.numpy(), weights.grad.numpy()

    (y, du, dw), (scaled_y, scaled_du, scaled_dw) = run(1.0), run(a)
    assert_allclose(scaled_y, y, rtol=1e-10, atol=1e-12)
    assert_allclose(scaled_du, du, rtol=1e-9, atol=1e-11)
    assert_allclose(scaled_dw, dw / a, rtol=1e-9, atol=1e-11)
    assert np.abs(dw).max() > 0.1


def test_a_shift_or_scale_of_one_channel_touches_no_other():
    x, weight, bias, dy = problem((6, 3), seed=6)
    dx = first_order(x, weight, bias, dy)[0]
    moved = x.copy()
    moved[:, 1] = 3.0 * moved[:, 1] - 11.0
    other = first_order(moved, weight, bias, dy)[0]
    assert np.array_equal(other[:, [0, 2]], dx[:, [0, 2]])
    assert not np.allclose(other[:, 1], dx[:, 1])


# -- composed of primitives, no rule of its own -----------------------------------------------------------------------


def modules_below(package):
    return [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]


def primitives_in(modules):
    return {value for module in modules for value in vars(module).values() if isinstance(value, Primitive)}


def recorded(*roots):
    """Every variable that the roots were computed from."""
    found, waiting = set(), list(roots)
    while waiting:
        variable = waiting.pop()
        if isinstance(variable, Variable) and variable not in found:
            found.add(variable)
            waiting.extend(variable.inputs or ())
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_the_recorded_graph_has_nothing_but_the_general_primitives(shape, training):
    x, weight, bias = leaves(*problem(shape)[:3])
    mean, variance = tg.Tensor(np.zeros(shape[1])), tg.Tensor(np.ones(shape[1]))
    y = batch_norm(x, mean, variance, weight, bias, training)
    backward_pass = tg.grad(y, [x, weight, bias], tg.Tensor(problem(shape)[3], requires_grad=True), create_graph=True)
    general = primitives_in([*modules_below(primitives), unbroadcast])
    used = {v.primitive for v in recorded(y, *backward_pass) if v.primitive is not None}
    names = {p.name for p in used}
    assert {"subtract", "divide", "multiply", "add"} <= names
    assert ({"mean", "square", "sqrt", "broadcast_to"} <= names) == training
    assert used <= general


def test_no_primitive_is_named_after_normalization_and_no_formula_brings_one():
    general = primitives_in([*modules_below(primitives), unbroadcast])
    assert len(general) > 50
    assert not [p.name for p in general if "norm" in p.name or "batch" in p.name or "standard" in p.name]
    formulas = [*modules_below(tg.functional), *modules_below(tg.nn)]
    assert primitives_in(formulas) <= general


# -- the checks can fail ----------------------------------------------------------------------------------------------


def test_a_wrong_rule_is_seen_with_a_random_cotangent_and_hidden_by_a_sum(monkeypatch):
    x, weight, bias, dy = problem((7, 3))
    monkeypatch.setattr(elementary.sqrt, "vjps", (lambda g, out, x: g / out,))  # the factor 1/2 forgotten
    expected = backward(x, weight, dy, EPS)[0]
    assert np.abs(first_order(x, weight, bias, dy)[0] - expected).max() > 0.1 * np.abs(expected).max()
    directions = some_directions(x, weight, bias)
    wrong = second_order(x, weight, bias, dy, directions)[0]
    monkeypatch.undo()
    assert not np.allclose(wrong, second_order(x, weight, bias, dy, directions)[0], rtol=1e-2)
    ones = np.ones_like(dy)
    monkeypatch.setattr(elementary.sqrt, "vjps", (lambda g, out, x: g / out,))
    assert_allclose(first_order(x, weight, bias, ones)[0], backward(x, weight, ones, EPS)[0], atol=1e-12)


def test_gradcheck_and_gradgradcheck_pass_and_see_a_wrong_rule(monkeypatch):
    x, weight, bias, _ = problem((4, 2))

    def f(x, weight, bias):
        return batch_norm(x, weight=weight, bias=bias, training=True)

    assert tg.gradcheck(f, [x, weight, bias])
    assert tg.gradgradcheck(f, [x, weight, bias])
    monkeypatch.setattr(elementary.sqrt, "vjps", (lambda g, out, x: g / out,))
    with pytest.raises(tg.TinygradError, match="disagree"):
        tg.gradcheck(f, [x, weight, bias])


def test_the_oracle_itself_has_the_closed_form_of_its_forward():
    x, weight, _, dy = problem((5, 2), seed=7)

    def value(x, weight):
        x_hat, _ = statistics(x, EPS)
        return (dy * (per_channel(weight, x) * x_hat)).sum()

    for got, expected in zip(backward(x, weight, dy, EPS), complex_step(value, (x, weight))):
        assert_allclose(got, expected, rtol=1e-11, atol=1e-13)
