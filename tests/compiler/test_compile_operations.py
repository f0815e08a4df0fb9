"""Every operation, forward, backward and to second order, compiled: eager's bits with exact NumPy, its numbers otherwise."""

import re

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.compiler.near import near
from tests.ops.op_cases import CASES, DIFFERENTIABLE, Case
from tests.program.bits import same_bits
from tinygrad_bn import ops
from tinygrad_bn.compiler import compile
from tinygrad_bn.ops import primitives

BACKENDS = {"exact": {"exact": True}, "numpy": {"backend": "numpy"}, "c": {"backend": "c"}}


def combinations(cases, in_c):
    """Each case with both dtypes and backends; with C, which the compiler takes its time for, those that ``in_c`` says."""
    for case in cases:
        for dtype in (np.float64, np.float32):
            for how in BACKENDS:
                if how != "c" or in_c(case, dtype):
                    yield pytest.param(case, dtype, how, id=f"{case}-{np.dtype(dtype).name}-{how}")


SECOND_ORDER = {str(case) for case in DIFFERENTIABLE}
FORWARD = list(combinations(CASES, lambda case, dtype: str(case) not in SECOND_ORDER))
SOME = {str(case) for case in DIFFERENTIABLE[::5]}
BOTH = list(combinations(DIFFERENTIABLE, lambda case, dtype: dtype == np.float32 or str(case) in SOME))


@pytest.mark.parametrize(("case", "dtype", "how"), FORWARD)
def test_forward(case: Case, dtype, how):
    first, other = ([x.astype(dtype) for x in case.arrays(seed)] for seed in (0, 1))
    compiled = compile(case.unseeded, **BACKENDS[how])
    compiled(*first)
    tg.manual_seed(3)
    expected = case.unseeded(*map(tg.Tensor, other))
    tg.manual_seed(3)
    got = compiled(*other)
    same_bits(got, expected) if how == "exact" else near(got, expected)


@pytest.mark.parametrize(("case", "dtype", "how"), BOTH)
def test_forward_backward_and_second_order(case: Case, dtype, how):
    (first, cotangent), (other, other_cotangent) = (case.example(seed, dtype) for seed in (0, 1))
    compiled = compile(case.both_orders, **BACKENDS[how])
    compiled(first, cotangent)
    expected = case.both_orders([tg.Tensor(x) for x in other], tg.Tensor(other_cotangent))
    got = compiled(other, other_cotangent)
    same_bits(got, expected) if how == "exact" else near(got, expected)


def test_results_that_lie_backwards():
    """NumPy hands such arrays to no BLAS, so their products are rounded otherwise."""

    def function(x):
        return primitives.cumsum(x, axis=1, reverse=True)[:, None, :] @ x[:, :, None]

    first, other = np.random.default_rng(0).normal(size=(2, 20, 30))
    compiled = compile(function, exact=True)
    compiled(first)
    same_bits(compiled(other), function(tg.Tensor(other)))


@pytest.mark.parametrize("name", ["greater", "greater_equal", "less", "less_equal", "equal", "not_equal"])
def test_comparisons_of_equal_numbers(name):
    x = np.array([0.0, -0.0, 1.0, -2.0, np.inf, np.nan] * 200)
    y = np.array([0.0, 0.0, 1.0, 2.0, np.inf, np.nan] * 200)
    got = compile(lambda x, y: ops.where(getattr(ops, name)(x, y), x + y, 3.0 * x))(x, y).numpy()
    np.testing.assert_array_equal(got, np.where(getattr(np, name)(x, y), x + y, 3.0 * x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_answers_are_ones_and_zeros(dtype):
    """C calls everything but 0 true; an array of NumPy's knows 1 alone."""
    x = np.array([-np.inf, np.inf, 1.0, np.nan] * 64, dtype)
    answers = compile(lambda x: (ops.isinf(x), ops.isfinite(x), ops.isnan(x)), backend="c")(x)
    for answer, expected in zip(answers, (np.isinf(x), np.isfinite(x), np.isnan(x))):
        assert np.array_equal(answer.numpy().view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize("how", BACKENDS)
def test_numbers_of_python(how):
    """C computes what is made of numbers alone, and leaves to Python what an operation of Python takes."""

    def function(x, s):
        drawn = ops.uniform_like(s * 2.0)
        return x * ops.sqrt(s) + s**-1.5 + drawn, s**3 - 1.0 / s, ops.maximum(s, 1.5), drawn - drawn

    x = np.linspace(-1.0, 1.0, 50)
    compiled = compile(function, **BACKENDS[how])
    compiled(x, 2.0)
    tg.manual_seed(1)
    got = compiled(x, 0.7)
    tg.manual_seed(1)
    expected = function(tg.Tensor(x), tg.Scalar(0.7, requires_grad=False))
    same_bits(got, expected) if how == "exact" else near(got, expected)
    if how == "c":
        python = compiled.source.partition("The Python around it")[2]
        assert len(re.findall(r"\bv\d+ = ", python)) == 2  # s * 2 and the draw: numbers that Python computes


def test_what_costs_little_is_computed_again_and_not_stored():
    x, w = np.random.default_rng(0).normal(size=(2, 32, 32)).astype(np.float32)

    def function(x, w):
        h = ops.tanh(x @ w)
        return (h @ w) * (1.0 - ops.square(h))

    compiled = compile(function, backend="c")
    near(compiled(x, w), function(tg.Tensor(x), tg.Tensor(w)))
    assert compiled.source.count("] = t") == 2, "h, for its product, and the result"
