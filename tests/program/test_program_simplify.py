"""Each law alone against NumPy, whole programs against themselves, and Batch Normalization against its paper."""

import inspect

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

import tinygrad_bn as tg
from tests.fuzz.programs import NUMPY_2, programs
from tests.fuzz.programs import Program as Fuzzed
from tests.fuzz.programs import run as run_fuzzed
from tests.program.bits import flat, same_bits
from tests.program.test_program_training import batches, stepping
from tinygrad_bn import functional, nn, ops, optim, program
from tinygrad_bn.program import algebra, laws, simplify
from tinygrad_bn.program.simplify import _once as once

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 4, 3))
MANY = RNG.standard_normal((3, 49))
ROW, ONE = RNG.standard_normal((1, 3)), RNG.standard_normal(())


def names(recorded):
    return [step.primitive.name for step in recorded.steps]


# law: (a function, its arguments, the same by NumPy, the operations that are left)
LAWS = {
    "nothing done, reshape": (lambda x: ops.reshape(x, (4, 3)), (X,), lambda x: x, []),
    "nothing done, stop_gradient": (lambda x: ops.exp(ops.stop_gradient(x)), (X,), np.exp, ["exp"]),
    "nothing done, transpose": (lambda x: ops.transpose(x, (0, 1)), (X,), lambda x: x, []),
    "transpose twice": (lambda x: ops.exp(x.T.T), (X,), np.exp, ["exp"]),
    "numbers": (
        lambda x: x * (tg.Scalar(2.0, requires_grad=False) * 3.0 + 1.0), (X,), lambda x: x * 7.0, ["multiply"],
    ),
    "a transpose outward": (
        lambda x: ops.exp(x.T) * 2.0, (X,), lambda x: 2.0 * np.exp(x).T, ["exp", "multiply", "transpose"],
    ),
    "equal steps": (lambda x: ops.exp(x) + ops.exp(x) * x, (X,), lambda x: np.exp(x) + np.exp(x) * x, None),
    "dead steps": (lambda x: (ops.sin(x), ops.exp(x))[1], (X,), np.exp, ["exp"]),
}  # fmt: skip

# Of these a zero may lose its sign, or an array lie otherwise in memory.
LOOSE = {
    "reshape twice": (
        lambda x: ops.reshape(ops.reshape(x, (3, 4)), (2, 6)), (X,), lambda x: x.reshape(2, 6), ["reshape"],
    ),
    "broadcast twice": (
        lambda x: ops.broadcast_to(ops.broadcast_to(x, (4, 3)), (2, 4, 3)), (ROW,),
        lambda x: np.broadcast_to(x, (2, 4, 3)), ["broadcast_to"],
    ),
    "minus minus": (lambda x: ops.negative(ops.negative(x)), (X,), lambda x: x, []),
    "plus minus": (lambda x, y: x + (-y), (X, Y), np.subtract, ["subtract"]),
    "minus plus": (lambda x, y: (-x) + y, (X, Y), lambda x, y: y - x, ["subtract"]),
    "minus minus y": (lambda x, y: x - (-y), (X, Y), np.add, ["add"]),
    "minus times": (lambda x, y: (-x) * y, (X, Y), lambda x, y: -(x * y), ["multiply", "negative"]),
    "times minus": (lambda x, y: x / (-y), (X, Y), lambda x, y: -(x / y), ["divide", "negative"]),
    "transposes outward": (
        lambda x, y: x.T * y.T, (X, Y), lambda x, y: (x * y).T, ["multiply", "transpose"],
    ),
    "nothing done, astype": (lambda x: ops.astype(x, float) + 1.5, (X,), lambda x: x + 1.5, ["add"]),
    "nothing done, sum of no axes": (lambda x: ops.sum(x, axis=()), (X,), lambda x: x, []),
    "broadcast by itself": (lambda x, y: x * ops.broadcast_to(y, (4, 3)), (X, ROW), np.multiply, ["multiply"]),
    "broadcast last": (
        lambda x: ops.exp(ops.broadcast_to(x, (4, 3))),
        (ROW,),
        lambda x: np.broadcast_to(np.exp(x), (4, 3)),
        ["exp", "broadcast_to"],
    ),
    "one": (lambda x: 1.0 * (x * 1.0 / 1.0), (X,), lambda x: x, []),
    "nothing done, broadcast_to": (lambda x: ops.broadcast_to(x, (4, 3)), (X,), lambda x: x, []),
    "zero": (lambda x: 0.0 + (x + 0.0 - 0.0), (X,), lambda x: x, []),
    "minus a difference": (lambda x, y: -(x - y), (X, Y), lambda x, y: y - x, ["subtract"]),
}  # fmt: skip

# Of these last bits may differ.
ALGEBRA = {
    "products": (lambda x: 2.0 * (3.0 * x), (X,), lambda x: 6.0 * x, ["multiply"]),
    "products of small factors": (lambda x, r: (x * r) * r, (X, ROW), lambda x, r: x * (r * r), ["square", "multiply"]),
    "a quotient again": (lambda x, y: (x / y) * (x / y), (X, Y), lambda x, y: (x / y) ** 2, ["divide", "square"]),
    "sums": (lambda x: 2.0 * x + 3.0 * x, (X,), lambda x: 5.0 * x, ["multiply"]),
    "x - x": (lambda x, y: (x - x) + y, (X, Y), lambda x, y: y, []),
    "a common factor": (lambda x, y, r: r * x + r * y, (X, Y, ROW), lambda x, y, r: r * (x + y), ["add", "multiply"]),
    "factors out of a sum": (
        lambda x, r: ops.sum(x * r, axis=0), (X, ROW), lambda x, r: (r * x.sum(0, keepdims=True))[0],
        ["sum", "multiply", "reshape"],
    ),
    "divisors out of a sum": (
        lambda x, r: ops.sum(x / r, axis=0), (X, ROW), lambda x, r: (x.sum(0, keepdims=True) / r)[0],
        ["sum", "divide", "reshape"],
    ),
    "what is the same along the sum": (
        lambda x, r: ops.sum(ops.broadcast_to(r, (4, 3)), axis=0) * x, (X, ROW), lambda x, r: 4.0 * r * x, None,
    ),
    "centered sums": (
        lambda x: ops.sum(x - ops.mean(x, axis=0, keepdims=True), axis=0) + x, (X,), lambda x: x, None,
    ),
    "centered sums of 49": (  # 49 * (1 / 49) is not quite 1
        lambda x: ops.sum(x - ops.mean(x, axis=1, keepdims=True), axis=1, keepdims=True) + x, (MANY,), lambda x: x, [],
    ),
    "a small term out of a sum": (
        lambda x, r: (x - r) - ops.mean(x - r, axis=0, keepdims=True), (X, ROW), lambda x, r: x - x.mean(0),
        ["sum", "divide", "subtract"],
    ),
    "centered sums of a sum": (
        lambda x, r: ops.sum((x + r) - ops.mean(x + r, axis=0, keepdims=True), axis=0) + x, (X, ROW), lambda x, r: x, None,
    ),
}  # fmt: skip


def bound(values):
    return 1e-13 * max(1.0, float(np.abs(values).max()))


@pytest.mark.parametrize("name", LAWS)
def test_an_exact_law(name):
    function, arguments, oracle, left = LAWS[name]
    recorded = program.record(function, *arguments)
    shorter = simplify(recorded, exact=True)
    assert left is None or names(shorter) == left
    assert len(shorter) <= len(recorded)
    np.testing.assert_array_equal(shorter.run(*arguments), recorded.run(*arguments))
    np.testing.assert_allclose(shorter.run(*arguments), oracle(*arguments), rtol=1e-14)


@pytest.mark.parametrize("name", LOOSE)
def test_a_loose_law(name):
    function, arguments, oracle, left = LOOSE[name]
    recorded = program.record(function, *arguments)
    shorter = simplify(recorded)
    assert names(shorter) == left
    np.testing.assert_array_equal(shorter.run(*arguments), oracle(*arguments))
    assert names(simplify(recorded, exact=True)) == names(recorded)


def test_an_exact_program_keeps_signs_and_places():
    zeros = np.array([[-0.0, 0.0, 1.0]])
    turned = X[:, ::-1].T  # a copy of it lies in another order

    def function(x, y):
        return x + 0.0, -(x - x), ops.sum(y * 1.0 + ops.broadcast_to(x.T, (3, 4)), axis=(0, 1))

    recorded = program.record(function, zeros, turned)
    expected, got = recorded.run(zeros, turned), simplify(recorded, exact=True).run(zeros, turned)
    same_bits(got, expected)
    assert [np.signbit(value).any() for value in expected[:2]] == [False, True]
    assert [np.signbit(value).any() for value in simplify(recorded).run(zeros, turned)[:2]] == [True, False]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: ops.reshape(ops.ravel(x.T), (40, 300)),
        lambda x, y: x.T + y.T,
        lambda x, y: ops.negative(-x[::-1]),
        lambda x, y: ops.negative(-x[:, ::2]),
    ],
)
def test_an_exact_program_adds_in_the_same_order(function):
    x, y = np.random.default_rng(0).standard_normal((2, 300, 40))
    arguments = x, np.asfortranarray(y)
    recorded = program.record(lambda *a: [ops.sum(function(*a), axis) for axis in (0, 1, None)], *arguments)
    same_bits(simplify(recorded, exact=True).run(*arguments), recorded.run(*arguments))


@pytest.mark.parametrize("name", ALGEBRA)
def test_a_law_of_algebra(name):
    function, arguments, oracle, left = ALGEBRA[name]
    recorded = program.record(function, *arguments)
    everything, _ = once(recorded, (*laws.EXACT, *laws.LOOSE, *algebra.ALGEBRA))
    assert left is None or names(everything) == left
    assert len(simplify(recorded)) <= len(everything)
    expected = oracle(*arguments)
    for shorter in (everything, simplify(recorded)):
        np.testing.assert_allclose(shorter.run(*arguments), expected, rtol=0, atol=bound(expected))
    np.testing.assert_array_equal(simplify(recorded, exact=True).run(*arguments), recorded.run(*arguments))


def test_what_is_there_already_is_used_again():
    def twice(x, momentum, lr):
        moved = x * momentum
        return moved, moved * lr

    assert names(simplify(program.record(twice, X, 0.9, 0.1))) == ["multiply", "multiply"]

    def normalized(x, r, s):
        quotient = x / r
        return quotient, quotient * s

    assert names(simplify(program.record(normalized, X, ROW, ROW))) == ["divide", "multiply"]


def test_a_quotient_that_only_small_factors_meet_is_not_computed():
    def function(x, r, s, t):
        quotient = x / r
        return quotient * s + quotient * ops.exp(t)

    x, (r, s, t) = RNG.standard_normal((4, 500)), RNG.uniform(1.0, 2.0, (3, 500))
    shorter = simplify(program.record(function, x, r, s, t))
    assert names(shorter) == ["divide", "multiply", "exp", "divide", "multiply", "add"]
    expected = x / r * s + x / r * np.exp(t)
    np.testing.assert_allclose(shorter.run(x, r, s, t), expected, rtol=0, atol=bound(expected))


def test_every_law_has_its_formula_and_is_used():
    used = set()
    every = (*laws.EXACT, *laws.LOOSE, *algebra.ALGEBRA)
    for law in every:
        assert "=" in inspect.getdoc(law) or "is a number" in inspect.getdoc(law)

    def watched(law):
        def applied(table, step):
            found = law(table, step)
            if found is not None:
                used.add(law.__name__)
            return found

        return applied

    for cases, all_laws in ((LAWS, laws.EXACT), (LOOSE, (*laws.EXACT, *laws.LOOSE)), (ALGEBRA, every)):
        for function, arguments, _, _ in cases.values():
            recorded = program.record(function, *arguments)
            once(recorded, tuple(map(watched, all_laws)))
    assert used == {law.__name__ for law in every}


def wrong_sign(table, step):
    """-(x - y) = x - y, which is wrong."""
    inner = table.step(step.args[0]) if step.args else None
    if step.primitive.name == "negative" and inner is not None and inner.primitive.name == "subtract":
        return step.args[0]
    return None


def wrong_zero(table, step):
    """x * y = x, which is wrong."""
    return step.args[0] if step.primitive.name == "multiply" and table[step.args[0]].shape == step.shape else None


@pytest.mark.parametrize("wrong", [wrong_sign, wrong_zero])
def test_a_wrong_law_is_caught(wrong, monkeypatch):
    monkeypatch.setitem(simplify.__globals__, "EXACT", (wrong, *laws.EXACT))
    with pytest.raises(AssertionError):
        [test(name) for test, cases in ((test_an_exact_law, LAWS), (test_a_loose_law, LOOSE)) for name in cases]


def test_random_draws_are_neither_merged_nor_dropped():
    def function(x):
        a, b, _ = ops.uniform_like(x), ops.uniform_like(x), ops.uniform_like(x)
        return a - b

    recorded = program.record(function, X)
    for exact in (True, False):
        shorter = simplify(recorded, exact)
        assert names(shorter) == ["uniform_like"] * 3 + ["subtract"]
        tg.manual_seed(0)
        got = shorter.run(X)
        tg.manual_seed(0)
        same_bits(got, recorded.run(X))
        assert got.any()


def both_passes(fuzzed: Fuzzed):
    """Value and gradients of a random program, as a function of its inputs."""

    def function(*inputs):
        leaves = [x.detach().requires_grad_() if x.dtype.kind == "f" else x for x in inputs]
        y, _ = run_fuzzed(fuzzed, leaves, 0)
        if not y.requires_grad:
            return y, []
        w = np.random.default_rng(fuzzed.seed).standard_normal(y.shape).astype(y.dtype)
        return y, list(tg.grad(y, leaves, w))

    return function


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_random_programs(fuzzed: Fuzzed) -> None:
    """Recorded: eager's bits.  Simplified: equal but for a zero's sign if exact, else within bounds."""
    assume(
        not any(step.op in ("hook", "hooks", "retain_grad") for step in fuzzed.steps)
    )  # they log values, which is refused
    function, inputs = both_passes(fuzzed), fuzzed.inputs()
    # NumPy 1 computes arrays without axes in the precision of what stands beside them, which a law may move.
    exactly = NUMPY_2 or all(x.dtype == np.float64 for x in inputs)
    with np.errstate(all="ignore"):
        recorded = program.record(function, *inputs, free=False)
        whole = recorded.run(*inputs)
        if exactly:
            same_bits(whole, function(*map(tg.Tensor, inputs)))
        exact, close = (flat(simplify(recorded, e).run(*inputs)) for e in (True, False))
        largest = max([1.0, *(float(np.abs(r).max(initial=0.0)) for r in recorded_values(recorded, inputs))])
    for name, value in flat(whole).items():
        if exactly:
            np.testing.assert_array_equal(exact[name], value)
        if value is not None and np.isfinite(largest):
            eps = max(np.finfo(x.dtype).eps for x in inputs)
            np.testing.assert_allclose(close[name], value, rtol=0, atol=1e3 * eps * largest)
            assert close[name].dtype == value.dtype or not exactly


def recorded_values(recorded, inputs):
    return program.evaluate(recorded, inputs)


@pytest.mark.parametrize(
    ("shape", "affine", "steps"),
    [
        ((6, 3), True, (30, 24)),
        ((6, 3), False, (24, 21)),
        ((4, 3, 5, 2), True, (34, 26)),
        ((4, 3, 5, 2), False, (24, 21)),
    ],
)
def test_batch_normalization_arrives_at_the_closed_form(shape, affine, steps):
    """arXiv:1502.03167, section 3: the gradients of x, γ and β with dy = ∂l/∂y, summed over the batch and positions.

    ∂l/∂x̂ = dy γ; ∂l/∂x = (m ∂l/∂x̂ - Σ ∂l/∂x̂ - x̂ Σ ∂l/∂x̂ x̂) / (m √(σ² + ε)); ∂l/∂γ = Σ dy x̂; ∂l/∂β = Σ dy.
    """
    axes = (0, *range(2, len(shape)))
    column = (1, 3) + (1,) * (len(shape) - 2)

    def function(x, weight, bias, dy):
        leaves = [v.detach().requires_grad_() for v in (x, weight, bias)]
        y = functional.batch_norm(
            leaves[0], None, None, *(leaves[1:] if affine else (None, None)), training=True, eps=1e-5
        )
        return y, list(tg.grad(y, leaves if affine else leaves[:1], dy))

    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape))
    weight, bias = rng.uniform(0.5, 2.0, 3), rng.standard_normal(3)
    recorded = program.record(function, x, weight, bias, dy)
    shorter = simplify(recorded)
    assert (len(recorded), len(shorter)) == steps
    assert len(simplify(shorter)) == len(shorter)

    m = x.size // 3
    root = np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    x_hat = (x - x.mean(axes, keepdims=True)) / root
    gamma = weight.reshape(column) if affine else 1.0
    g = dy * gamma
    by_hand = (m * g - g.sum(axes, keepdims=True) - x_hat * (g * x_hat).sum(axes, keepdims=True)) / (m * root)
    expected = [by_hand, (dy * x_hat).sum(axes), dy.sum(axes)] if affine else [by_hand]
    y = x_hat * gamma + (bias.reshape(column) if affine else 0.0)
    for form in (recorded, shorter):
        got_y, got = form.run(x, weight, bias, dy)
        assert np.abs(got_y - y).max() <= 1e-14 * max(1.0, np.abs(y).max())
        for one, other in zip(got, expected):
            assert np.abs(one - other).max() <= 1e-14 * max(1.0, np.abs(other).max())


def test_a_training_step_computes_less_even_where_laws_add_moves():
    """Laws put reshapes beside what they shorten; these compute nothing, and must not make up for what does."""
    layers = [layer for _ in range(3) for layer in (nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Sigmoid())]
    model = nn.Sequential(*layers)
    recorded = program.record(stepping(model, optim.SGD(model.parameters(), 0.1, 0.9)), *next(batches((8, 4))))
    shorter = simplify(recorded)

    def computed(p):
        return [name for name in names(p) if name not in ("reshape", "transpose", "broadcast_to")]

    assert names(shorter).count("reshape") > names(recorded).count("reshape") + 15
    assert len(computed(shorter)) < len(computed(recorded)) - 15


def test_an_equal_step_is_made_once():
    recorded = program.record(lambda x: (x * 2.0) * (x * 2.0), X)
    assert len(recorded) == 3
    assert names(simplify(recorded, exact=True)) == ["multiply", "multiply"]


@pytest.mark.parametrize(("dtype", "factor", "x"), [("f8", 1e200, 1e-200), ("f8", 1e-200, 1e200), ("f2", 300.0, 1e-4)])
def test_numbers_are_not_put_together_where_the_dtype_cannot_hold_them(dtype, factor, x):
    x = np.full(3, x, dtype)
    recorded = program.record(lambda x: x * factor * factor, x)
    expected = recorded.run(x)
    assert np.isfinite(expected).all()
    assert expected.all()
    np.testing.assert_array_equal(simplify(recorded).run(x), expected)
