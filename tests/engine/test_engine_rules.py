"""The contract of a derivative rule, broken in every way: the message names primitive, argument, got and expected."""

import numpy as np
import pytest

from tinygrad_bn import Primitive, Scalar, Tensor, grad, ops
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, NoDerivativeError, RuleError, ShapeError
from tinygrad_bn.ops import primitives


def leaf(shape=(2, 3), dtype=float):
    return Tensor(np.ones(shape, dtype), requires_grad=True)


def primitive(rule, **settings):
    return Primitive("planted", lambda x, **params: x * 1.0, rule, **{"elementwise": True, **settings})


BROKEN = {
    "None": (lambda g, out, x: None, "got:      None"),
    "too few elements": (lambda g, out, x: g[0], r"got:      shape \(3,\)"),
    "transposed": (lambda g, out, x: np.transpose(g), r"got:      shape \(3, 2\)"),
    "a sum": (lambda g, out, x: np.sum(g), r"got:      shape \(\)"),
    "a number": (lambda g, out, x: 0.0, r"got:      shape \(\)"),
    "an axis too many": (lambda g, out, x: g[None], r"got:      shape \(1, 2, 3\)"),
    "integers": (lambda g, out, x: np.ones((2, 3), int), "got:      dtype int64"),
    "booleans": (lambda g, out, x: np.asarray(x) > 0, "got:      dtype bool"),
    "complex numbers": (lambda g, out, x: g * 1j, "got:      dtype complex128"),
    "text": (lambda g, out, x: "g", "got:      dtype <U1"),
    "a dictionary": (lambda g, out, x: {0: g}, "got:      dtype object"),
    "all cotangents at once": (lambda g, out, x: (g, g), "got:      a tuple"),
    "a ragged list": (lambda g, out, x: [[1.0], [1.0, 2.0]], "got:      a list"),
}


@pytest.mark.parametrize(("rule", "got"), BROKEN.values(), ids=BROKEN)
def test_a_cotangent_that_cannot_be_one(rule, got):
    x = leaf()
    y = primitive(rule)(x)
    with pytest.raises(RuleError, match=f"planted: broken derivative rule for argument 0\n  {got}\n") as error:
        y.backward(np.ones((2, 3)))
    assert "expected: shape (2, 3), dtype float64, or the shape of the result" in str(error.value)
    assert "to fix:   return" in str(error.value)
    assert x.grad is None


@pytest.mark.parametrize(("rule", "got"), [BROKEN["None"], BROKEN["a number"], BROKEN["all cotangents at once"]])
def test_the_same_when_the_backward_pass_is_recorded(rule, got):
    y = primitive(rule)(leaf())
    with pytest.raises(RuleError, match=f"argument 0\n  {got}\n"):
        y.backward(Tensor(np.ones((2, 3))), create_graph=True)


def test_the_message_names_the_argument():
    second = Primitive(
        "second", lambda x, y: x + y, lambda g, out, x, y: g, lambda g, out, x, y: g[0], elementwise=True
    )
    with pytest.raises(RuleError, match="second: broken derivative rule for argument 1"):
        second(leaf(), leaf()).sum().backward()


def test_without_broadcasting_only_the_shape_of_the_argument_will_do():
    rule = primitive(lambda g, out, x: g[0], elementwise=False)
    with pytest.raises(RuleError, match=r"expected: shape \(2, 3\), dtype float64\n"):
        rule(leaf()).sum().backward()


def test_broadcasting_is_undone_for_elementwise_primitives_only():
    def rules(**settings):
        return Primitive(
            "plus", lambda x, y: x + y, lambda g, out, x, y: g, lambda g, out, x, y: g, scalar=None, **settings
        )

    x, y = leaf((3,)), leaf((2, 3))
    rules(elementwise=True)(x, y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full(3, 2.0))
    with pytest.raises(RuleError, match=r"got:      shape \(2, 3\)\n  expected: shape \(3,\)"):
        rules()(leaf((3,)), leaf((2, 3))).sum().backward()


def test_core_axes_do_not_broadcast():
    product = Primitive(
        "product",
        np.matmul,
        lambda g, out, x, y: ops.matmul(g, ops.swapaxes(y, -1, -2)),
        lambda g, out, x, y: ops.matmul(ops.swapaxes(x, -1, -2), g),
        core_dims=2,
    )
    rng = np.random.default_rng(0)
    x, y = Tensor(rng.normal(size=(2, 3)), requires_grad=True), Tensor(rng.normal(size=(5, 3, 4)), requires_grad=True)
    w = rng.normal(size=(5, 2, 4))
    for create_graph in (False, True):
        dx, dy = grad(product(x, y), [x, y], w, create_graph=create_graph)
        np.testing.assert_allclose(dx.data, np.einsum("bik,bjk->ij", w, y.data), rtol=1e-13)
        np.testing.assert_allclose(dy.data, np.einsum("ij,bik->bjk", x.data, w), rtol=1e-13)
    wrong = Primitive("product", np.matmul, lambda g, out, x, y: g, None, core_dims=2)
    with pytest.raises(RuleError, match=r"got:      shape \(5, 2, 4\)\n  expected: shape \(2, 3\), dtype float64\n"):
        wrong(x, y).sum().backward()


def test_a_cotangent_of_another_precision_is_converted():
    doubled = primitive(lambda g, out, x: np.asarray(g, np.float64) * 2.0)
    x = leaf(dtype=np.float32)
    doubled(x).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, np.full((2, 3), 2.0))
    halved = primitive(lambda g, out, x: ops.astype(g, dtype="float16") * 0.5)
    x = leaf()
    (g,) = grad([halved(x)], [x], [leaf()], create_graph=True)
    assert g.dtype == np.float64
    assert g.primitive.name == "astype"
    np.testing.assert_array_equal(g.data, np.full((2, 3), 0.5))


def test_numbers_beside_arrays_of_no_axes():
    for rule in (lambda g, out, x: 3.0, lambda g, out, x: np.float64(3.0), lambda g, out, x: np.array(3.0)):
        for create_graph in (False, True):
            x = Tensor(2.0, requires_grad=True)
            (g,) = grad([primitive(rule)(x)], [x], create_graph=create_graph)
            assert g.item() == 3.0
            assert isinstance(g.data, np.ndarray)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "value", [3.0, np.float64(3.0), np.float32(3.0), np.array(3.0)], ids=lambda v: type(v).__name__
)
def test_what_a_rule_may_return_for_a_scalar(value, create_graph):
    planted = primitive(lambda g, out, x: value, scalar=lambda x: x)
    s = Scalar(2.0)
    (g,) = grad([planted(s)], [s], create_graph=create_graph)
    assert type(g.data) is float
    assert g.item() == 3.0


def test_a_variable_returned_on_raw_values_counts_as_its_value():
    planted = primitive(lambda g, out, x: Tensor(np.asarray(g) * 3.0))
    x = leaf()
    planted(planted(x)).sum().backward()
    assert isinstance(x.grad.data, np.ndarray)
    np.testing.assert_array_equal(x.grad.data, np.full((2, 3), 9.0))


def test_a_variable_of_the_other_kind_is_refused():
    planted = primitive(lambda g, out, x: Scalar(1.0))
    with pytest.raises(RuleError, match="argument 0\n  got:      a Scalar\n"):
        planted(Tensor(2.0, requires_grad=True)).backward(create_graph=True)
    planted = primitive(lambda g, out, x: Tensor(1.0), scalar=lambda x: x)
    with pytest.raises(RuleError, match="argument 0\n  got:      a Tensor\n"):
        planted(Scalar(2.0)).backward()


@pytest.mark.parametrize("kind", ["tensor", "scalar"])
def test_a_rule_that_raises(kind):
    def rule(g, out, x, *, power):
        raise KeyError("forgotten")

    planted = Primitive("planted", lambda x, power: x * 1.0, rule, scalar=lambda x, power: x, elementwise=True)
    x = Scalar(1.0) if kind == "scalar" else leaf()
    y = planted(x, power=2)
    with pytest.raises(
        RuleError, match="planted: the derivative rule for argument 0 failed: KeyError: 'forgotten'"
    ) as error:
        (y if kind == "scalar" else y.sum()).backward()
    assert "called as rule(g, out, 1 arguments, power)" in str(error.value)
    assert isinstance(error.value.__cause__, KeyError)
    assert x.grad is None


def test_a_rule_with_the_wrong_signature():
    planted = primitive(lambda g, out: g)
    with pytest.raises(RuleError, match=r"failed: TypeError: .*takes 2 positional arguments but 3 were given") as error:
        planted(leaf()).sum().backward()
    assert "called as rule(g, out, 1 arguments, no parameters)" in str(error.value)
    assert "the result's cotangent, the result, each argument, and the parameters by keyword" in str(error.value)


def test_a_scalar_rule_that_fails_on_both_kinds_of_floats():
    def rule(g, out, x):
        if type(x) is float:
            return 1 / 0
        raise LookupError("again")

    with pytest.raises(RuleError, match="failed: LookupError: again"):
        primitive(rule, scalar=lambda x: x)(Scalar(1.0)).backward()


def test_a_rule_per_argument():
    planted = Primitive("planted", lambda x, y: x + y, lambda g, out, x, y: g, elementwise=True)
    with pytest.raises(RuleError, match="one derivative rule per argument\n  got:      1 rules, 2 arguments") as error:
        planted(leaf(), leaf())
    assert "a rule, or None, for each argument" in str(error.value)
    assert planted(Tensor([1.0]), Tensor([2.0])).item() == 3.0  # nothing to differentiate


def test_a_missing_rule_means_no_derivative():
    planted = Primitive("planted", lambda x, y: x * y, lambda g, out, x, y: g * y, None, elementwise=True)
    x, y = leaf(), leaf()
    planted(x, y).sum().backward()
    assert x.grad is not None
    assert y.grad is None


def test_a_rule_that_writes_to_what_it_is_given():
    def on_cotangent(g, out, x):
        g *= 2.0
        return g

    def on_result(g, out, x):
        out += 1.0
        return g

    def on_argument(g, out, x):
        x += 1.0
        return g

    for rule in (on_cotangent, on_result, on_argument):
        x, other = leaf(), leaf()
        y = primitive(rule)(x * 1.0) + other  # both get the same cotangent array
        with pytest.raises(RuleError, match="failed: ValueError: output array is read-only") as error:
            y.backward(np.ones((2, 3)))
        assert "it writes to none of them" in str(error.value)
        assert other.grad is None


def test_a_forward_that_writes_to_its_argument():
    def forward(x):
        x += 1.0
        return x

    x = leaf()
    with pytest.raises(
        ArgumentError, match=r"planted: output array is read-only(?s:.*)writes to none of its arguments"
    ):
        Primitive("planted", forward, lambda g, out, x: g)(x)
    np.testing.assert_array_equal(x.data, np.ones((2, 3)))


def test_integers_made_by_a_primitive_with_a_rule():
    rounded = Primitive("rounded", lambda x: x.astype(int), lambda g, out, x: g * 1.0, elementwise=True)
    with pytest.raises(RuleError, match="rounded: its rule would get no cotangent") as error:
        rounded(leaf())
    assert "got:      dtype int64" in str(error.value)
    assert "discrete=True" in str(error.value)
    assert not rounded(Tensor([1.5])).requires_grad
    assert rounded(np.array([1.5])).dtype.kind == "i"
    discrete = Primitive("rounded", lambda x: x.astype(int), lambda g, out, x: g * 1.0, discrete=True)
    assert not discrete(leaf()).requires_grad
    assert discrete(leaf()).primitive is discrete


def test_a_constant_derivative_is_shaped_like_the_argument():
    flat = primitive(lambda g, out, x: np.zeros(np.shape(x)))
    x = leaf()
    (flat(x) + x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.ones((2, 3)))


REFUSED = {
    "shapes": (lambda: ops.add(leaf((2,)), np.ones(3)), ShapeError, ValueError, "add: shapes that do not broadcast"),
    "types": (lambda: ops.exp(leaf(), nonsense=1), DTypeError, TypeError, "exp: .*nonsense"),
    "an index": (
        lambda: primitives.take_slice(leaf((2,)), index=(5,)),
        IndexingError,
        IndexError,
        "take_slice: index 5",
    ),
    "an axis": (
        lambda: primitives.concatenate(leaf(), leaf((2,)), axis=0),
        ShapeError,
        ValueError,
        "concatenate: all the",
    ),
}


@pytest.mark.parametrize(("call", "kind", "builtin", "message"), REFUSED.values(), ids=REFUSED)
def test_what_numpy_refuses_is_said_with_the_operation_and_its_arguments(call, kind, builtin, message):
    with pytest.raises(kind, match=message) as error:
        call()
    assert isinstance(error.value, builtin)
    assert "float64" in str(error.value)
    assert "got:" in str(error.value)
    assert error.value.__cause__ is not None


def test_an_axis_that_is_out_of_range_is_a_shape_error():
    planted = Primitive("planted", lambda x, axis: np.sum(x, axis=axis), lambda g, out, x, axis: g)
    with pytest.raises(ShapeError, match=r"planted: axis 7 is out of bounds(?s:.*)\(2, 3\) float64 with axis=7"):
        planted(leaf(), axis=7)
    with pytest.raises(ShapeError, match="planted: axis 7"):
        planted(np.ones((2, 3)), axis=7)


def test_an_error_of_another_kind_in_a_forward_is_left_alone():
    def forward(x):
        raise ZeroDivisionError("mine")

    for value in (leaf(), np.ones(3)):
        with pytest.raises(ZeroDivisionError, match="mine"):
            Primitive("planted", forward, None)(value)


def test_an_operation_without_a_form_for_scalars():
    with pytest.raises(NoDerivativeError, match="transpose does not work on single scalars") as error:
        ops.primitives.shape.transpose(Scalar(1.0), axes=())
    assert "an array of scalars (scalarize)" in str(error.value)


@pytest.mark.parametrize("constant", ["2", b"2", 2 + 0j, None, [1.0, 2.0], np.complex128(1), np.datetime64("2020")])
def test_only_real_numbers_stand_beside_a_scalar(constant):
    with pytest.raises(DTypeError, match="multiply: a constant beside a Scalar must be a real number") as error:
        ops.multiply(Scalar(1.0), constant)
    assert type(constant).__name__ in str(error.value)


def test_a_low_precision_constant_beside_a_scalar_is_exact_from_then_on():
    s, c = Scalar(1.0 / 3.0), np.float32(0.1)
    y = s * c
    assert type(y.inputs[1]) is float
    y.backward()
    assert s.grad.item() == float(c)
    (Scalar(3.0) * np.int64(2) + np.True_).backward()


@pytest.mark.parametrize("constant", [np.array([1j, 2.0, 0.0]), "abc", [None] * 3, np.array(["a"] * 3)])
def test_only_numbers_stand_beside_a_tensor(constant):
    with pytest.raises(DTypeError, match="multiply: a constant beside a Tensor must be numbers\n  got:      dtype"):
        ops.multiply(leaf(), constant)


def test_a_variadic_rule_knows_which_argument_it_is_for():
    def rule(i, g, out, *arrays):
        return g * float(i + 1)

    plus = Primitive("plus", lambda *arrays: sum(arrays), variadic=rule, elementwise=True)
    leaves = [leaf((3,)), leaf((2, 1)), leaf(())]
    plus(*leaves).sum().backward()
    for position, (x, repeats) in enumerate(zip(leaves, (2, 3, 6))):
        np.testing.assert_array_equal(x.grad.data, np.full(x.shape, (position + 1.0) * repeats))


def test_rules_are_given_one_way_or_the_other():
    with pytest.raises(ValueError, match="planted: rules per argument and a variadic rule"):
        Primitive("planted", np.exp, lambda g, out, x: g, variadic=lambda i, g, out, x: g)


def test_arguments_go_by_position():
    with pytest.raises(DTypeError, match="relu: no arguments, only parameters: x") as error:
        ops.relu(x=leaf())
    assert "by position" in str(error.value)


def test_a_scalar_stays_a_float_whatever_the_forward_returns():
    positive = primitive(None, scalar=lambda x: x > 0.0)
    for value in (positive(Scalar(2.0)), positive(Scalar(-2.0))):
        assert type(value.data) is float
        assert not value.requires_grad
    rounded = primitive(lambda g, out, x: g, scalar=round)
    s = Scalar(2.6)
    y = rounded(s)
    y.backward()
    assert (type(y.data), y.data, s.grad.item()) == (float, 3.0, 1.0)
