"""What a forward returns and what parameters hold is looked at where it enters the graph: for tensors and for scalars."""

from enum import Enum
from fractions import Fraction

import numpy as np
import pytest

from tinygrad_bn import Primitive, Scalar, Tensor
from tinygrad_bn.engine.contract import keeps_floats
from tinygrad_bn.errors import DTypeError, RuleError
from tinygrad_bn.ops.primitives import TABLE

DTYPES = [np.float16, np.float32, np.float64]


class OwnArray(np.ndarray):
    pass


def leaf(dtype=float):
    return Tensor(np.array([1.0, 2.0], dtype), requires_grad=True)


def made_by(forward, **settings):
    return Primitive("mine", forward, lambda g, out, x: g, **settings)


WRONG = {
    "nothing": (lambda x: None, "end it with return", "NoneType"),
    "complex numbers": (lambda x: x * 1j, "as real as the arguments", "dtype complex128"),
    "a complex number": (lambda x: 1j, "as real as the arguments", "complex"),
    "text": (lambda x: "abc", "as real as the arguments", "str"),
    "an array of text": (lambda x: np.array("abc"), "as real as the arguments", "dtype <U3"),
    "a number of NumPy's that is none": (
        lambda x: np.datetime64("2020"),
        "as real as the arguments",
        "dtype datetime64",
    ),
    "objects": (lambda x: np.array([None, 2.0]), "as real as the arguments", "dtype object"),
    "an exact number": (lambda x: Fraction(1, 3), "as real as the arguments", "Fraction"),
    "two of one shape": (lambda x: (x, x), "a primitive for each result", "tuple of 2"),
    "two of different shapes": (lambda x: [x, np.ones(5)], "a primitive for each result", "list of 2"),
    "a variable": (lambda x: Tensor(np.ones(2)), "computes on raw arrays", "Tensor"),
    "a variable that wants a gradient": (lambda x: leaf() * 2.0, "computes on raw arrays", "Tensor"),
    "a masked array": (lambda x: np.ma.masked_array([1.0, 2.0], [True, False]), "as real", "MaskedArray"),
    "fields": (lambda x: np.zeros(2, [("a", float)]), "as real as the arguments", "dtype"),
}


@pytest.mark.parametrize(("forward", "fix", "got"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("wanted", [True, False], ids=["wants a gradient", "constant"])
def test_what_a_forward_must_not_return(forward, fix, got, wanted):
    with pytest.raises(RuleError, match="mine: its forward did not return one array of real numbers") as error:
        made_by(forward)(Tensor([1.0, 2.0], requires_grad=wanted))
    assert fix in str(error.value)
    assert got in str(error.value)


@pytest.mark.parametrize("name", [name for name in WRONG if name != "an exact number"])
def test_what_a_forward_for_scalars_must_not_return(name):
    forward, _, _ = WRONG[name]
    with pytest.raises(RuleError, match="mine: its forward did not return one array of real numbers"):
        made_by(np.exp, scalar=forward)(Scalar(1.0))


def test_a_forward_for_scalars_returns_one_number():
    for forward in (lambda x: [x], lambda x: np.array([x]), lambda x: np.array([x, x])):
        with pytest.raises(RuleError, match="mine"):
            made_by(np.exp, scalar=forward)(Scalar(1.0))
    for number in (3, True, np.float32(3.0), np.array(3.0), np.int8(3)):
        result = made_by(np.exp, scalar=lambda x, number=number: number)(Scalar(1.0))
        assert type(result.item()) is float
        assert result.requires_grad

    def fails(x):
        raise ValueError

    with pytest.raises(RuleError, match="mine"):  # the forward is asked where Python's own function fails
        made_by(lambda x: None, scalar=fails)(Scalar(1.0))


def test_nothing_from_raw_arguments():
    with pytest.raises(RuleError, match="end it with return"):
        made_by(lambda x: None)(np.ones(2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_forward_may_return(dtype):
    x = leaf(dtype)
    for forward in (
        lambda x: x,
        lambda x: x[::-1],
        np.exp,
        lambda x: np.float32(2.0),
        lambda x: 2.0,
        lambda x: x.view(OwnArray),
    ):
        result = made_by(forward)(x)
        assert not isinstance(result.data, OwnArray)
        assert result.dtype.kind == "f"
        assert result.requires_grad
    assert made_by(np.exp)(x).dtype == dtype


@pytest.mark.parametrize("forward", [lambda x: x.astype(int), lambda x: x > 0, np.isnan, lambda x: 3, lambda x: True])
def test_results_that_carry_no_gradient(forward):
    with pytest.raises(RuleError, match="mine: its rule would get no cotangent") as error:
        made_by(forward)(leaf())
    assert "discrete=True" in str(error.value)
    assert not made_by(forward)(Tensor([1.0])).requires_grad
    assert not made_by(forward, discrete=True)(leaf()).requires_grad
    assert not Primitive("mine", forward, None)(leaf()).requires_grad


def test_which_forwards_surely_keep_floats():
    assert keeps_floats(np.exp)
    assert keeps_floats(np.add)
    for forward in (np.isnan, np.greater, np.frexp, np.frompyfunc(abs, 1, 1), abs, lambda x: x):
        assert not keeps_floats(forward)


@pytest.mark.parametrize("primitive", [p for p in TABLE.values() if keeps_floats(p.forward)], ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_forwards_that_are_not_looked_at_return_floats(primitive, dtype):
    with np.errstate(all="ignore"):
        assert primitive.forward(*[np.ones(2, dtype)] * primitive.forward.nin).dtype.kind == "f"


class Color(Enum):
    RED = 1


scaled = Primitive("scaled", lambda x, by: x * 2.0, lambda g, out, x, by: g * 2.0, scalar=lambda x, by: x * 2.0)

PLAIN = [
    1,
    1.5,
    True,
    None,
    "text",
    b"bytes",
    (),
    (1, (2.0, "a", None)),
    np.float32(1.0),
    np.dtype(float),
    np.float32,
    float,
]
PLAIN += [slice(0, 2), (slice(None), ...), range(3), frozenset({1}), Color.RED, 1j, float("nan")]
OTHERS = {
    "list": [1.0], "list in a tuple": (1, [2.0]), "dict": {"a": 1}, "set": {1}, "bytearray": bytearray(b"x"),
    "array": np.ones(2), "array in a tuple": (np.ones(2),), "array without axes": np.array(1.0),
    "variable": Tensor([1.0], requires_grad=True), "scalar": Scalar(1.0), "variable in a tuple": (1, (Scalar(1.0),)),
    "function": len, "closure": lambda x: x, "object": object(), "class": dict, "list in a slice": slice([1]),
}  # fmt: skip


@pytest.mark.parametrize("x", [leaf(), Scalar(1.0)], ids=["tensor", "scalar"])
def test_parameters_are_plain(x):
    for value in PLAIN * 2:  # the second time from memory
        assert scaled(x, by=value).params == {"by": value} or value != value
    for value in list(OTHERS.values()) * 2:
        with pytest.raises(DTypeError, match=r"scaled: the parameter by= must be plain data") as error:
            scaled(x, by=value)
        assert f"got:      {type(value).__name__}" in str(error.value)
    with pytest.raises(DTypeError, match=r"make it a tuple of such, tuple\(...\)"):
        scaled(x, by=[1.0])


def test_a_list_changed_later_could_have_changed_the_gradient():
    def rule(g, out, x, factors):
        return g * factors[0]

    times = Primitive("times", lambda x, factors: x * factors[0], rule)
    x, factors = leaf(), [2.0]
    with pytest.raises(DTypeError, match="factors="):
        times(x, factors=factors)
    y = times(x, factors=tuple(factors))
    factors[0] = 100.0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 2.0])
