"""gradcheck and gradgradcheck: green on right rules, red on planted wrong ones, and honest about what proves nothing."""

import warnings

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Parameter, Primitive, Scalar, Tensor, VanishingGradientWarning, gradcheck, gradgradcheck, ops
from tinygrad_bn.errors import ArgumentError, GradcheckError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 2))


def planted(rule, forward=np.exp, **settings):
    return Primitive("planted", forward, rule, elementwise=True, **settings)


RIGHT = {
    "elementwise": (lambda x: ops.tanh(x) * ops.exp(x), [X]),
    "two arguments": (lambda x, y: x @ y, [X, X.T.copy()]),
    "broadcasting": (lambda x, y: x * y, [X, X[0]]),
    "a reduction": (lambda x: ops.logsumexp(x, axis=0), [X]),
    "several outputs": (lambda x: (x * x, ops.sum(ops.sin(x))), [X]),
    "a list of outputs": (lambda x: [x * x, x], [X]),
    "a number": (lambda x: x**3, [2.0]),
    "scalars": (lambda s, t: s * t + ops.exp(s), [Scalar(0.5), Scalar(2.0)]),
    "indexing": (lambda x: x[[0, 1, 0]], [X]),
    "batch norm": (lambda x: tg.functional.batch_norm(x, training=True), [X]),
    "large values": (lambda x: ops.sum(x**3) * 1e6, [X]),
    "an argument of integers": (lambda x, k: x * k, [X, np.array([1, 2])]),
    "an unused argument": (lambda x, y: x * 2.0, [X, X]),
    "strong curvature": (lambda x: ops.sin(x * 300.0), [X]),
}


@pytest.mark.parametrize(("function", "inputs"), RIGHT.values(), ids=RIGHT)
def test_right_derivatives_pass(function, inputs):
    assert gradcheck(function, inputs) is True
    assert gradgradcheck(function, inputs) is True


WRONG = {
    "a factor": planted(lambda g, out, x: g * out * 1.01),
    "a sign": planted(lambda g, out, x: -g * out),
    "forgotten cotangent": planted(lambda g, out, x: out + g * 0.0),
    "one element": planted(lambda g, out, x: g * out * ops.where(np.arange(x.size).reshape(x.shape) == 3, 1.1, 1.0)),
    "zero": planted(lambda g, out, x: g * 0.0),
    "nan": planted(lambda g, out, x: g * np.nan),
    "squared cotangent": planted(lambda g, out, x: g * g * out),
}


@pytest.mark.parametrize("function", WRONG.values(), ids=WRONG)
def test_wrong_derivatives_do_not_pass(function):
    with pytest.raises(GradcheckError, match=r"gradcheck of planted: \d derivatives disagree with central differences"):
        gradcheck(function, X)
    assert gradcheck(function, X, raise_exception=False) is False


def test_the_report_names_function_argument_index_got_and_expected():
    def halved(x, y):
        return x * wrong(y)

    wrong = planted(lambda g, out, x: g * np.where(np.arange(2) == 1, 0.5, 1.0), forward=lambda x: x * 1.0)
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    with pytest.raises(GradcheckError) as error:
        gradcheck(halved, [x, y], seed=0)
    cotangent = np.random.default_rng(0).uniform(0.5, 1.5, 2)[1] * np.random.default_rng(0).choice([-1.0, 1.0])
    lines = str(error.value).splitlines()
    assert lines[0] == "gradcheck of halved: 1 derivatives disagree with central differences"
    assert lines[1].startswith("  argument 1, index (1,): got ")
    got, expected = (float(part) for part in lines[1].split("got ")[1].split(", expected "))
    assert got == pytest.approx(0.5 * expected, rel=1e-6)
    assert abs(expected) == pytest.approx(abs(2.0 * cotangent), rel=1e-6)
    assert lines[2:] == [
        "  to fix:   compare the rule with the formula; a factor or a sign shows in the ratio got / expected",
        "            no rule of your own: a value left the graph, through .data, .numpy(), float() or np.asarray()",
    ]


def test_the_worst_comes_first_and_long_lists_are_cut():
    factors = np.linspace(1.1, 2.0, 12)
    wrong = planted(lambda g, out, x: g * factors, forward=lambda x: x * 1.0)
    with pytest.raises(GradcheckError) as error:
        gradcheck(wrong, np.ones(12))
    lines = str(error.value).splitlines()
    assert "12 derivatives disagree" in lines[0]
    distances = []
    for line in lines[1:9]:
        got, expected = (float(part) for part in line.split("got ")[1].split(", expected "))
        distances.append(abs(got - expected))
    assert distances == sorted(distances, reverse=True)
    assert lines[9] == "  and 4 more"


def test_a_single_value_has_no_index():
    wrong = planted(lambda g, out, x: g * 2.0, forward=lambda x: x * 1.0, scalar=lambda x: x)
    for x in (Scalar(2.0), 2.0):
        with pytest.raises(GradcheckError, match="argument 0, the value: got"):
            gradcheck(wrong, x)


# -- kinks ------------------------------------------------------------------------------------------------------------

KINKS = {
    "relu": (ops.relu, [-1.0, 0.0, 2.0]),
    "abs": (ops.abs, [-1.0, 0.0, 2.0]),
    "clip": (lambda x: ops.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.5, 1.0, 3.0]),
    "maximum": (lambda x: ops.maximum(x, 1.0), [0.0, 1.0, 2.0]),
    "a tie": (lambda x: ops.max(x) + x[1], [3.0, 1.0, 3.0]),
    "leaky": (ops.leaky_relu, [-1.0, 0.0, 1.0]),
    "the norm at zero": (lambda x: ops.norm(x) + 2.0 * ops.sum(x), [0.0, 0.0]),
}


@pytest.mark.parametrize(("function", "x"), KINKS.values(), ids=KINKS)
def test_at_a_kink_anything_between_the_two_slopes_is_right(function, x):
    assert gradcheck(function, np.array(x))


@pytest.mark.parametrize("slope", [1.5, -0.5, 1e9])
def test_at_a_kink_anything_else_is_wrong(slope):
    wrong = planted(
        lambda g, out, x: g * ops.where(ops.equal(x, 0.0), slope, ops.astype(ops.greater(x, 0.0), dtype="float64")),
        forward=lambda x: np.maximum(x, 0.0),
    )
    with pytest.raises(GradcheckError, match=r"index \(1,\): got .*, expected between .* \(a kink\)"):
        gradcheck(wrong, np.array([-1.0, 0.0, 2.0]))


def test_away_from_the_kink_the_point_counts():
    wrong = planted(lambda g, out, x: g * 0.5, forward=lambda x: np.maximum(x, 0.0))
    with pytest.raises(GradcheckError, match="2 derivatives disagree"):
        gradcheck(wrong, np.array([-1.0, 0.0, 2.0]))


def test_where_the_function_is_not_finite_there_is_nothing_to_compare():
    with np.errstate(all="ignore"), pytest.raises(GradcheckError) as error:
        gradcheck(ops.sqrt, np.array([4.0, 0.0]))
    assert "argument 0, index (1,): got " in str(error.value)
    assert "inf, expected nan" in str(error.value)
    assert "to fix:   the function or its derivative is not finite there; choose another input" in str(error.value)


# -- what proves nothing ----------------------------------------------------------------------------------------------

VANISHING = {
    "the sum of a batch-normalized output": lambda x: ops.sum(tg.functional.batch_norm(x, training=True)),
    "a hundred times that": lambda x: ops.sum(tg.functional.batch_norm(x, training=True)) * 100.0,
    "softmax summed": lambda x: ops.sum(ops.softmax(x)),
    "a sign": ops.sign,
    "a tiny factor": lambda x: ops.sum(x) * 1e-7,
    "a constant": lambda x: Tensor([1.0]) * 2.0,
}


@pytest.mark.parametrize("n", [4, 64])
@pytest.mark.parametrize("function", VANISHING.values(), ids=VANISHING)
def test_a_gradient_of_zero_is_pointed_out(function, n):
    with pytest.warns(VanishingGradientWarning, match="a gradient of zero would pass too, so this proves nothing"):
        assert gradcheck(function, RNG.normal(size=(n, 3)))


def test_a_gradient_that_can_be_told_from_zero_is_not_pointed_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradcheck(lambda x: ops.sum(x) * 1e-3, X)
        gradcheck(lambda x: ops.sum(tg.functional.batch_norm(x, training=True) * X), X * X)


def test_a_function_that_is_not_deterministic_is_refused():
    rng = np.random.default_rng(0)

    def noisy(x):
        return x * rng.normal()

    with pytest.raises(ArgumentError, match="gradcheck of noisy: two calls gave different results") as error:
        gradcheck(noisy, X)
    assert "seed or switch off what is random" in str(error.value)
    assert "it keeps state from call to call" in str(error.value)
    with pytest.raises(ArgumentError, match=r"it draws random numbers \(dropout.*switch it to evaluation"):
        gradcheck(tg.nn.Dropout(), X)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_low_precision_is_refused(check):
    for inputs, label in (
        ([X.astype(np.float32)], "argument 0"),
        ([X, Tensor(X.astype(np.float16), requires_grad=True)], "argument 1"),
    ):
        with pytest.raises(ArgumentError, match=rf"{label}\n  got:      dtype float\d\d\n  expected: float64"):
            check(lambda *args: args[0] * 2.0, inputs)
    with pytest.raises(ArgumentError, match=r"parameter.*\n  got:      dtype float32"):
        check(lambda x: x * 2.0, X, parameters=[Parameter(X.astype(np.float32))])


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_something_must_want_a_gradient(check):
    for inputs in ([np.array([1, 2])], [Tensor(X)], []):
        with pytest.raises(ArgumentError, match="nothing to check\n  to fix:   pass float arrays"):
            check(lambda *args: Tensor(X), inputs)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_the_function_must_return_variables(check):
    with pytest.raises(ArgumentError, match="must return variables\n  got:      ndarray"):
        check(lambda x: x.data * 2.0, X)
    with pytest.raises(ArgumentError, match="got:      Tensor, float"):
        check(lambda x: (x, 1.0), X)


# -- inputs of every size ----------------------------------------------------------------------------------------------

SIZES = [1e-300, 1e-20, 1e-12, 1e-8, 1e-4, 1.0, 1e4, 1e8, 1e12]
EVERYWHERE = {
    "square": (np.square, lambda g, out, x: g * x * 2.0),
    "logarithm": (np.log, lambda g, out, x: g / x),
    "root": (np.sqrt, lambda g, out, x: g * 0.5 / out),
    "reciprocal": (lambda x: 1.0 / x, lambda g, out, x: -g * out * out),
    "power": (lambda x: x**1.5, lambda g, out, x: g * x**0.5 * 1.5),
    "sine": (np.sin, lambda g, out, x: g * ops.cos(x)),
    "kink": (lambda x: np.maximum(x, 0.0), lambda g, out, x: g * ops.astype(ops.greater(x, 0.0), dtype="float64")),
    "tanh": (np.tanh, lambda g, out, x: g * (1.0 - out * out)),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.filterwarnings("ignore::tinygrad_bn.VanishingGradientWarning", "ignore::RuntimeWarning")
def test_a_right_rule_is_right_whatever_the_size_of_x(name, size):
    forward, rule = EVERYWHERE[name]
    if name == "reciprocal" and size < 1e-100:  # -inf is no slope
        assert not gradcheck(planted(rule, forward), np.array([size]), raise_exception=False)
        return
    assert gradcheck(planted(rule, forward), np.array([1.7 * size, 1.0]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.filterwarnings("ignore::tinygrad_bn.VanishingGradientWarning", "ignore::RuntimeWarning")
def test_a_wrong_rule_is_wrong_whatever_the_size_of_x(name, size):
    forward, rule = EVERYWHERE[name]
    doubled = planted(lambda g, out, x: rule(g, out, x) * 2.0, forward)
    slope = float(np.asarray(rule(1.0, forward(np.array(1.7 * size)), np.array(1.7 * size))))
    if abs(slope) > 1e-3:  # below that, atol accepts nothing as well
        assert not gradcheck(doubled, np.array([1.7 * size]), raise_exception=False)


def test_large_results_do_not_hide_small_ones():
    assert gradcheck(ops.exp, np.array([300.0, 0.0, -3.0]))
    assert not gradcheck(
        planted(lambda g, out, x: g * ops.where(x > 1.0, out, 2.0)), np.array([300.0, 0.0]), raise_exception=False
    )


def test_what_rounding_hides_is_pointed_out():
    with pytest.warns(VanishingGradientWarning, match="1 of 2 derivatives are smaller than what rounding does"):
        assert gradcheck(lambda x: ops.sum(x * x), np.array([1e12, 1e-4]))


# -- leaves -----------------------------------------------------------------------------------------------------------


def layer(weight, bias):
    def forward(x):
        return ops.tanh(x @ weight + bias)

    return forward


def product(factor):
    """A matrix product whose rule for the second argument is off by a factor, raw or recorded."""
    return Primitive(
        "product",
        np.matmul,
        lambda g, out, x, y: ops.matmul(g, ops.transpose(y)),
        lambda g, out, x, y: ops.matmul(ops.transpose(x), g) * factor(x),
    )


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_parameters_are_checked_too(check):
    weight, bias = Parameter(RNG.normal(size=(2, 2)), name="weight"), Parameter(RNG.normal(size=2))
    assert check(layer(weight, bias), X, parameters=[weight, bias])
    # Right as a first derivative, wrong as a second one: the factor is 1 and its recorded derivative is not 0.
    wrong = product(
        lambda x: 2.0 if check is gradcheck else ops.sum(x * 0.0 + 1.0) / 6.0 + ops.sum(x - tg.ops.stop_gradient(x))
    )
    with pytest.raises(GradcheckError) as error:
        check(lambda x: wrong(x, weight) + bias, X, parameters=[bias, weight])
    assert ("weight, index" if check is gradcheck else "argument 0, index") in str(error.value)


def test_a_parameter_without_a_name_has_a_number():
    weight = Parameter(np.ones((2, 2)))
    wrong = product(lambda x: 2.0)
    with pytest.raises(GradcheckError, match=r"parameter 0, index \(., .\): got"):
        gradcheck(lambda x: x + wrong(Tensor(X), weight), X, parameters=[weight])


def test_leaves_are_as_they_were_afterwards():
    rng = np.random.default_rng(1)
    x = Tensor(np.asfortranarray(rng.normal(size=(3, 2))), requires_grad=True)
    weight, s = Parameter(rng.normal(size=(2, 2))), Scalar(0.5)
    before = [np.array(v.data) for v in (x, weight, s)]
    strides = x.data.strides
    for check in (gradcheck, gradgradcheck):
        check(lambda v: v @ weight, x, parameters=[weight])
        check(lambda v: v * v, s)
        assert gradcheck(WRONG["a factor"], x, raise_exception=False) is False
    for v, old in zip((x, weight, s), before):
        np.testing.assert_array_equal(v.data, old)
        assert v.grad is None
        assert v.requires_grad
    assert x.data.strides == strides


def test_leaves_are_as_they_were_after_an_error_in_the_function():
    x = Tensor([1.0, 2.0], requires_grad=True)

    def fragile(v):
        if v.data[1] > 2.0:
            raise RuntimeError("too large")
        return v * v

    with pytest.raises(RuntimeError, match="too large"):
        gradcheck(fragile, x)
    np.testing.assert_array_equal(x.data, [1.0, 2.0])


def test_a_result_as_input_is_checked_at_its_value_and_its_graph_left_alone():
    x = Tensor([0.5, 1.5], requires_grad=True)
    y = x * 2.0
    assert gradcheck(lambda v: v * v, y)
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [4.0, 12.0])


# -- second derivatives -----------------------------------------------------------------------------------------------


def test_a_first_derivative_can_be_right_and_the_second_wrong():
    cube = planted(lambda g, out, x: g * ops.stop_gradient(x * x) * 3.0, forward=lambda x: x**3)
    x = np.array([1.0, 2.0])
    assert gradcheck(cube, x)
    with pytest.raises(GradcheckError, match=r"gradcheck of the gradient of planted: 2 derivatives"):
        gradgradcheck(cube, x)
    assert gradgradcheck(cube, x, raise_exception=False) is False


def test_a_derivative_that_leaves_the_graph_is_found():
    squared = planted(lambda g, out, x: g * (2.0 * x.numpy() if isinstance(x, Tensor) else 2.0 * x), forward=np.square)
    assert gradcheck(squared, X)
    assert gradgradcheck(squared, X, raise_exception=False) is False


def test_the_dependence_on_the_cotangent_is_checked_as_well():
    frozen = planted(lambda g, out, x: (g.detach() if isinstance(g, Tensor) else g) * x * 2.0, forward=np.square)
    assert gradcheck(frozen, X)
    with pytest.raises(GradcheckError, match=r"argument 1 \(cotangent of result 0\), index"):
        gradgradcheck(frozen, X)


def test_without_a_first_derivative_there_is_no_second():
    def constant(x):
        return ops.stop_gradient(x) * 2.0

    with pytest.warns(VanishingGradientWarning, match="the gradient of constant"):
        assert gradgradcheck(constant, X)


def test_settings_are_used():
    close = planted(lambda g, out, x: g * out * 1.0001)
    assert gradcheck(close, X)
    assert not gradcheck(close, X, rtol=1e-6, atol=1e-8, raise_exception=False)
    assert gradcheck(ops.exp, X, eps=0.5)  # too wide, so smaller ones are tried
    reports = set()
    for seed in (0, 1):
        with pytest.raises(GradcheckError) as error:
            gradcheck(WRONG["a factor"], X, seed=seed)
        reports.add(str(error.value))
    assert len(reports) == 2
