"""What a user holds: making, showing, converting, copying, indexing and combining scalars, tensors and parameters."""

import copy
import math
import pickle

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Parameter, Primitive, Scalar, Tensor, Variable, gradients_of, ops, scalarize, values_of
from tinygrad_bn.engine import primitive as primitive_module
from tinygrad_bn.errors import ArgumentError, DTypeError, GraphError, ShapeError


def leaf(value=((1.0, 2.0), (3.0, 4.0))):
    return Tensor(value, requires_grad=True)


# -- making -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, "float64"), ([1, 2], "int64"), ([True], "bool"), ([[1.0], [2.0]], "float64"), (np.float32(1.0), "float32"),
        (np.ones(2, np.float16), "float16"), (np.ones(2, np.uint8), "uint8"), ((), "float64"), (range(3), "int64"),
    ],
)  # fmt: skip
def test_a_tensor_takes_what_numpy_takes(value, dtype):
    x = Tensor(value)
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.data, np.asarray(value))
    assert (x.requires_grad, x.name, x.grad) == (False, None, None)
    assert x.is_leaf


def test_a_tensor_in_another_dtype():
    x = Tensor([1, 2], dtype=np.float32, requires_grad=True)
    assert x.dtype == np.float32
    assert Tensor(np.array([1.5, 2.5]), dtype="int32").data.tolist() == [1, 2]


REFUSED = {
    "complex": (np.array([1j]), None, "got:      dtype complex128\n"),
    "complex as float": (np.array([1j]), float, "got:      dtype complex128, asked for float64\n"),
    "to complex": ([1.0], complex, "got:      dtype float64, asked for complex128\n"),
    "text": ("abc", None, "got:      dtype <U3\n"),
    "text as float": ("1.5", float, "got:      dtype <U3, asked for float64\n"),
    "None": (None, None, "got:      dtype object\n"),
    "ragged": ([[1.0], [1.0, 2.0]], None, "cannot be made of this: (?s:.*)got:      list"),
    "scalars": (
        scalarize([1.0, 2.0]),
        None,
        "got:      dtype object\n  to fix:   real numbers only; an array of scalars",
    ),
    "scalars as float": (scalarize([1.0, 2.0]), float, "got:      dtype object, asked for float64"),
    "no dtype": ([1.0], "nonsense", "cannot be made of this"),
}


@pytest.mark.parametrize(("value", "dtype", "message"), REFUSED.values(), ids=REFUSED)
def test_a_tensor_holds_real_numbers_only(value, dtype, message):
    with pytest.raises(DTypeError, match=message):
        Tensor(value, dtype=dtype)


def test_a_leaf_made_of_a_result_would_drop_its_gradient():
    for make, result in (
        (Tensor, leaf() * 2.0),
        (Parameter, leaf() * 2.0),
        (Scalar, Scalar(1.0) * 2.0),
        (Scalar, leaf().sum()),
    ):
        with pytest.raises(GraphError, match=r"a new leaf made of a .* would drop its gradient") as error:
            make(result)
        assert "x.detach()" in str(error.value)
        assert make(result.detach()).is_leaf
    for x in (Tensor(leaf()), Parameter(leaf()), Tensor(Tensor([1.0]) * 2.0)):  # a copy of a leaf is what it says
        assert x.is_leaf
    with pytest.raises(GraphError, match="would drop its gradient"):
        Tensor([leaf().sum(), 1.0])


def test_a_scalar_holds_a_python_float():
    for value in (1, 1.0, True, np.float32(1), np.array(1.0), Tensor(1.0), Tensor([1.0]), Scalar(1.0)):
        s = Scalar(value)
        assert type(s.data) is float
        assert s.data == 1.0
    assert Scalar(2.0).requires_grad
    assert not Scalar(2.0, requires_grad=False).requires_grad
    for wrong in ("1.0", b"1", 1j, np.complex128(1), [1.0], np.ones(1)):
        with pytest.raises(DTypeError, match="a Scalar holds one real number") as error:
            Scalar(wrong)
        assert repr(wrong) in str(error.value)
    with pytest.raises(ShapeError, match="one element expected"):
        Scalar(Tensor([1.0, 2.0]))


def test_a_scalar_has_a_shape_and_no_dtype():
    s = Scalar(2.0, name="s")
    assert (s.shape, s.ndim, s.size, s.name) == ((), 0, 1, "s")
    with pytest.raises(AttributeError):
        s.dtype  # noqa: B018
    assert s.numpy().dtype == np.float64


def test_a_parameter_wants_a_gradient():
    p = Parameter([1, 2], dtype=np.float32, name="w")
    assert (p.requires_grad, p.dtype, p.name) == (True, np.float32, "w")
    assert not Parameter([1], requires_grad=False).requires_grad
    with pytest.raises(DTypeError, match="'w' cannot require a gradient"):
        Parameter([1, 2], name="w")


def test_a_bare_variable_is_never_made():
    with pytest.raises(NotImplementedError):
        Variable(1.0, False, None).data = 2.0


# -- showing ----------------------------------------------------------------------------------------------------------

REPRESENTATIONS = [
    (lambda: Scalar(2.5), "Scalar(2.5)"),
    (lambda: Scalar(2.5, requires_grad=False), "Scalar(2.5, requires_grad=False)"),
    (lambda: Scalar(2.5, name="a"), "Scalar(2.5, name='a')"),
    (lambda: Scalar(2.0) * 3.0, "Scalar(6.0, op=multiply)"),
    (lambda: Scalar(2.0) > 1.0, "Scalar(1.0, op=greater, requires_grad=False)"),
    (lambda: Scalar(1.0) / 0.0, "Scalar(inf, op=divide)"),
    (lambda: Tensor([1.0, 2.0]), "Tensor([1., 2.])"),
    (lambda: Tensor(2.5), "Tensor(2.5)"),
    (lambda: Tensor([1, 2]), "Tensor([1, 2])"),
    (lambda: Tensor([True, False]), "Tensor([ True, False])"),
    (lambda: Tensor([1.0], dtype="float32"), "Tensor([1.], dtype=float32)"),
    (lambda: Tensor(np.zeros((0, 3))), "Tensor([], shape=(0, 3))"),
    (lambda: leaf([1 / 3, 2.0]), "Tensor([0.3333, 2.    ], requires_grad=True)"),
    (lambda: Tensor([1.0], name="x") * 2.0, "Tensor([2.])"),
    (lambda: leaf([1.0]) * 2.0, "Tensor([2.], op=multiply, requires_grad=True)"),
    (lambda: Tensor(np.zeros((30, 2))), "Tensor([[0., 0.],\n        [0., 0.],\n        [0., 0.],\n        ...,\n"
     "        [0., 0.],\n        [0., 0.],\n        [0., 0.]], shape=(30, 2))"),
    (lambda: Parameter([1.0], name="w"), "Parameter([1.], name='w')"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "text"), REPRESENTATIONS)
def test_representation(make, text):
    assert repr(make()) == text


def test_names_and_labels():
    x = leaf()
    assert (x.name, x.label) == (None, "a Tensor of shape (2, 2)")
    x.name = "input"
    assert (x.name, x.label) == ("input", "'input'")
    assert (x * 2.0).label == "a Tensor of shape (2, 2) made by multiply"
    x.name = None
    assert x.label == "a Tensor of shape (2, 2)"
    assert Scalar(1.0).label == "a Scalar of shape ()"


# -- converting -------------------------------------------------------------------------------------------------------


def test_item_float_int_bool_and_len():
    for one in (Scalar(2.5), Tensor(2.5), Tensor([2.5]), leaf([[2.5]])):
        quiet = one.detach()
        assert (one.item(), float(quiet), int(quiet), bool(one)) == (2.5, 2.5, 2, True)
        assert type(one.item()) is float
    assert type(Tensor([3]).item()) is int
    assert not bool(Tensor(0.0))
    assert not Scalar(0.0)
    assert math.sqrt(Scalar(4.0, requires_grad=False)) == 2.0
    assert len(leaf()) == 2
    for several in (leaf(), Tensor([])):
        for convert in (float, int, lambda x: x.item()):
            with pytest.raises(ShapeError, match=r"item\(\): one element expected"):
                convert(several)
        with pytest.raises(ArgumentError, match=r"ambiguous(?s:.*)ops\.where"):
            bool(several)
    with pytest.raises(DTypeError, match="without axes has no length"):
        len(Tensor(1.0))
    with pytest.raises(TypeError):
        len(Scalar(1.0))


def test_single_elements_are_formatted_like_numbers():
    for one in (Scalar(2.5), Tensor(2.5), Tensor([2.5])):
        assert f"{one:.2f}|{one:8.1e}" == "2.50| 2.5e+00"
        assert f"{one}" == repr(one)
    with pytest.raises(ShapeError, match="one element expected"):
        f"{Tensor([1.0, 2.0]):.2f}"


def test_iteration_keeps_the_graph():
    x = leaf()
    rows = list(x)
    assert [r.shape for r in rows] == [(2,), (2,)]
    first, second = x
    (first * 2.0 + second).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[2.0, 2.0], [1.0, 1.0]])
    assert 3.0 in Tensor([1.0, 3.0])
    assert 5.0 not in Tensor([1.0, 3.0])
    with pytest.raises(DTypeError, match="without axes"):
        list(Tensor(1.0))
    with pytest.raises(DTypeError, match=r"a Scalar of shape .* cannot be iterated over"):
        list(Scalar(1.0))


def test_numpy_gets_values_only_on_purpose():
    x = leaf()
    assert type(x.numpy()) is np.ndarray
    assert not x.numpy().flags.writeable
    for take in (np.asarray, np.array, np.ascontiguousarray, lambda v: np.array([v, v]), lambda v: np.full(3, v[0, 0])):
        with pytest.raises(GraphError, match=r"into an ndarray would drop its gradient(?s:.*)x\.numpy\(\)"):
            take(x)
    with pytest.raises(GraphError, match="would drop its gradient"):
        np.zeros((2, 2))[:] = x


def test_numpy_gets_the_values_of_what_wants_no_gradient():
    x = Tensor([1.0, 2.0])
    assert np.asarray(x) is x._data
    copied = np.array(x)
    assert copied is not x.data
    copied[0] = 9.0
    assert x.data[0] == 1.0
    assert np.asarray(x, np.float32).dtype == np.float32
    assert np.asarray(x, np.float64) is x._data
    assert x.__array__(copy=False) is x._data
    changed = x.__array__(np.float32, copy=True)
    assert changed.flags.writeable
    with pytest.raises(ValueError, match="this dtype needs a copy"):
        x.__array__(np.float32, copy=False)
    np.testing.assert_array_equal(np.stack([x.data, x]).data, [[1.0, 2.0], [1.0, 2.0]])


def test_elements_cannot_be_assigned():
    x = leaf()
    for change in (lambda: x.__setitem__(0, 1.0), lambda: (x * 2.0).__setitem__((0, 0), 1.0)):
        with pytest.raises(GraphError, match=r"cannot be assigned to in place(?s:.*)ops\.where(?s:.*)x\.unlocked\(\)"):
            change()
    with pytest.raises(GraphError):
        x[0, 0] += 1.0
    np.testing.assert_array_equal(x.data, [[1.0, 2.0], [3.0, 4.0]])


# -- copying ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v)), copy.copy])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Scalar(2.0, name="s"),
        lambda: Tensor(np.asfortranarray(np.ones((2, 3), np.float32)), requires_grad=True, name="t"),
        lambda: Parameter([1.0, 2.0]),
        lambda: Tensor([1, 2]),
    ],
    ids=["scalar", "tensor", "parameter", "integers"],
)
def test_leaves_can_be_copied_and_pickled(make, duplicate):
    x = make()
    if x.requires_grad:
        (x * 3.0).sum().backward() if isinstance(x, Tensor) else (x * 3.0).backward()
    y = duplicate(x)
    assert type(y) is type(x)
    assert y is not x
    assert (y.name, y.requires_grad, y.shape) == (x.name, x.requires_grad, x.shape)
    np.testing.assert_array_equal(y.data, x.data)
    if isinstance(x, Tensor):
        assert y.dtype == x.dtype
        assert y.data.strides == x.data.strides
        assert not np.shares_memory(x.data, y.data)
        assert not y.data.flags.writeable
    if x.requires_grad:
        np.testing.assert_array_equal(y.grad.data, x.grad.data)
        assert duplicate is copy.copy or y.grad is not x.grad
        (y * 1.0).sum().backward() if isinstance(x, Tensor) else (y * 1.0).backward()
        np.testing.assert_array_equal(y.grad.data, np.full(y.shape, 4.0))
        np.testing.assert_array_equal(x.grad.data, np.full(x.shape, 3.0))


def test_shared_leaves_stay_shared_in_a_deep_copy():
    w = Parameter([1.0])
    one, two = copy.deepcopy([w, w])
    assert one is two
    assert one is not w


def test_a_graph_cannot_be_copied():
    y = leaf() * 2.0
    for duplicate in (copy.deepcopy, copy.copy, pickle.dumps):
        with pytest.raises(GraphError, match="only leaves can be copied or pickled"):
            duplicate(y)
    x = leaf()
    (x * x).sum().backward(create_graph=True)
    with pytest.raises(GraphError, match="only leaves"):
        copy.deepcopy(x)
    x.grad = None


# -- operators --------------------------------------------------------------------------------------------------------

A = np.array([[0.5, 1.5], [2.5, 0.25]])
OPERATORS = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "@": lambda x, y: x @ y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
}
LEFT = {
    "array": A,
    "float32 array": A.astype(np.float32),
    "integers": np.array([[1, 2], [3, 1]]),
    "list": A.tolist(),
    "float64": np.float64(1.5),
    "float32": np.float32(1.5),
    "0-d": np.array(1.5),
    "int64": np.int64(2),
    "float": 1.5,
    "int": 2,
    "bool": True,
}
B = np.array([[1.0, 2.0], [3.0, 0.5]])


@pytest.mark.parametrize("other", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators_with_anything_on_either_side_equal_numpy(symbol, other):
    operator = OPERATORS[symbol]
    if symbol == "@" and np.ndim(other) == 0:
        with pytest.raises((ValueError, TypeError)):
            operator(other, leaf(B))
        return
    expected = operator(np.asarray(other), B), operator(B, np.asarray(other))
    for swapped in (False, True):
        x = leaf(B)
        y = operator(x, other) if swapped else operator(other, x)
        assert type(y) is Tensor
        assert y.dtype == expected[swapped].dtype
        np.testing.assert_allclose(y.data, expected[swapped], rtol=1e-15)
        assert y.requires_grad == (y.dtype.kind == "f")
        if y.requires_grad:
            w = np.array([[1.0, -2.0], [0.5, 3.0]])
            y.backward(w)
            h = 1e-6
            for index in np.ndindex(2, 2):
                up, down = B.copy(), B.copy()
                up[index] += h
                down[index] -= h
                pair = [
                    operator(v, np.asarray(other)) if swapped else operator(np.asarray(other), v) for v in (up, down)
                ]
                slope = np.sum(w * (pair[0] - pair[1])) / (2 * h)
                np.testing.assert_allclose(
                    x.grad.data[index], slope, rtol=2e-4 if "32" in str(y.dtype) else 1e-7, atol=1e-7
                )


@pytest.mark.parametrize("other", [1.5, 2, True, np.float32(1.5)])
@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "**"])
def test_numbers_do_not_widen_float32(symbol, other):
    x = leaf(B.astype(np.float32))
    for y in (OPERATORS[symbol](x, other), OPERATORS[symbol](other, x)):
        assert y.dtype == np.float32


def test_unary_operators():
    x = leaf(np.array([-1.5, 2.0]))
    assert (+x) is x
    np.testing.assert_array_equal((-x).data, [1.5, -2.0])
    np.testing.assert_array_equal(abs(x).data, [1.5, 2.0])
    s = Scalar(-3.0)
    assert ((-s).item(), abs(s).item(), +s) == (3.0, 3.0, s)


def test_booleans_combine_and_numbers_do_not():
    a, b = Tensor([True, True, False]), np.array([True, False, False])
    for got, expected in (
        (a & b, a.data & b), (b & a, a.data & b), (a | b, a.data | b), (b | a, a.data | b), (~a, ~a.data),
        (a & True, a.data), (True & a, a.data), (False | a, a.data), (a | True, [True] * 3),
    ):  # fmt: skip
        assert type(got) is Tensor
        np.testing.assert_array_equal(got.data, expected)
    x = Tensor([0.5, 2.0, 3.0])
    np.testing.assert_array_equal(((x > 1.0) & (x < 2.5)).data, [False, True, False])
    ones = Tensor([1, 2])
    for symbol, wrong in (
        ("&", lambda: ones & ones),
        ("|", lambda: 1 | ones),
        ("~", lambda: ~ones),
        ("&", lambda: a & 1),
    ):
        with pytest.raises(DTypeError, match=rf"{'[|]' if symbol == '|' else symbol}: on booleans only"):
            wrong()


def test_equality_compares_values_and_hashing_identity():
    x, y = Tensor([1.0, 2.0]), Tensor([1.0, 3.0])
    np.testing.assert_array_equal((x == y).data, [True, False])
    np.testing.assert_array_equal((x != y).data, [False, True])
    assert len({x, y, x}) == 2
    assert {x: "x"}[x] == "x"


METHODS = [
    "exp", "expm1", "log", "log1p", "sqrt", "square", "reciprocal", "abs", "sign", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arctanh", "sigmoid", "relu", "softplus", "erf",
]  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_elementwise_methods_are_the_operations(name):
    for x in (Tensor([0.25, 0.75], requires_grad=True), Scalar(0.25)):
        got, expected = getattr(x, name)(), getattr(ops, name)(x)
        np.testing.assert_array_equal(got.data, expected.data)
        assert got.primitive is expected.primitive
        assert got.inputs[0] is x
    assert (Scalar(1.5).arccosh().item(), Tensor([1.5]).arccosh().item()) == (math.acosh(1.5), np.arccosh(1.5))
    assert Scalar(3.0).clip(0.0, 1.0).item() == Tensor(3.0).clip(high=1.0).item() == 1.0


X = np.arange(24.0).reshape(2, 3, 4) / 7.0
CALLS = {
    "sum": (lambda x: x.sum(axis=1, keepdims=True), lambda a: a.sum(axis=1, keepdims=True)),
    "mean": (lambda x: x.mean(axis=(0, 2)), lambda a: a.mean(axis=(0, 2))),
    "var": (lambda x: x.var(axis=0, ddof=1), lambda a: a.var(axis=0, ddof=1)),
    "std": (lambda x: x.std(axis=-1, keepdims=True), lambda a: a.std(axis=-1, keepdims=True)),
    "prod": (lambda x: x.prod(axis=1), lambda a: a.prod(axis=1)),
    "max": (lambda x: x.max(axis=2), lambda a: a.max(axis=2)),
    "min": (lambda x: x.min(), lambda a: a.min()),
    "argmax": (lambda x: x.argmax(axis=1), lambda a: a.argmax(axis=1)),
    "argmin": (lambda x: x.argmin(), lambda a: a.argmin()),
    "cumsum": (lambda x: x.cumsum(axis=1), lambda a: a.cumsum(axis=1)),
    "norm": (lambda x: x.norm(1, axis=1), lambda a: np.linalg.norm(a, 1, axis=1)),
    "logsumexp": (lambda x: x.logsumexp(axis=1), lambda a: np.log(np.exp(a).sum(axis=1))),
    "softmax": (lambda x: x.softmax(axis=1), lambda a: np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)),
    "log_softmax": (lambda x: x.log_softmax(), lambda a: a - np.log(np.exp(a).sum(axis=-1, keepdims=True))),
    "dot": (lambda x: x.dot(np.arange(4.0)), lambda a: a.dot(np.arange(4.0))),
    "reshape": (lambda x: x.reshape(4, -1), lambda a: a.reshape(4, -1)),
    "reshape tuple": (lambda x: x.reshape((6, 4)), lambda a: a.reshape((6, 4))),
    "ravel": (lambda x: x.ravel(), lambda a: a.ravel()),
    "flatten": (lambda x: x.flatten(1), lambda a: a.reshape(2, 12)),
    "T": (lambda x: x.T, lambda a: a.T),
    "transpose": (lambda x: x.transpose(), lambda a: a.transpose()),
    "transpose axes": (lambda x: x.transpose(1, 0, 2), lambda a: a.transpose(1, 0, 2)),
    "transpose tuple": (lambda x: x.transpose((2, 0, 1)), lambda a: a.transpose((2, 0, 1))),
    "transpose None": (lambda x: x.transpose(None), lambda a: a.transpose(None)),
    "swapaxes": (lambda x: x.swapaxes(0, 2), lambda a: a.swapaxes(0, 2)),
    "squeeze": (lambda x: x[:, :1].squeeze(1), lambda a: a[:, :1].squeeze(1)),
    "repeat": (lambda x: x.repeat(2, axis=1), lambda a: a.repeat(2, axis=1)),
    "take": (lambda x: x.take([0, 2, 0], axis=1), lambda a: a.take([0, 2, 0], axis=1)),
    "diagonal": (lambda x: x.diagonal(1, 1, 2), lambda a: a.diagonal(1, 1, 2)),
    "trace": (lambda x: x.trace(0, 1, 2), lambda a: a.trace(0, 1, 2)),
    "astype": (lambda x: x.astype(np.float32), lambda a: a.astype(np.float32)),
    "getitem": (lambda x: x[0, ..., ::2], lambda a: a[0, ..., ::2]),
    "mask": (lambda x: x[x > 1.0], lambda a: a[a > 1.0]),
    "matmul": (lambda x: x @ np.ones((4, 2)), lambda a: a @ np.ones((4, 2))),
    "rmatmul": (lambda x: [[1.0, 2.0]] @ x[:, :2], lambda a: np.array([[1.0, 2.0]]) @ a[:, :2]),
}


@pytest.mark.parametrize(("ours", "numpys"), CALLS.values(), ids=CALLS)
def test_methods_equal_numpys(ours, numpys):
    x = Tensor(X, requires_grad=True)
    y = ours(x)
    expected = numpys(X)
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(y.data, expected, rtol=1e-13)
    assert y.requires_grad == (expected.dtype.kind == "f")
    if y.requires_grad:
        (y * 1.0).sum().backward()
        assert x.grad.shape == X.shape


# -- arrays of scalars ------------------------------------------------------------------------------------------------


def test_scalarize_and_back():
    x = scalarize([[1.0, 2.0], [3.0, 4.0]], name="x")
    assert (x.shape, x.dtype) == ((2, 2), object)
    assert x[1, 0].name == "x[1, 0]"
    assert scalarize(5.0, name="one")[()].name == "one"
    assert scalarize(Tensor([1.0]))[0].name is None
    np.testing.assert_array_equal(values_of(x), [[1.0, 2.0], [3.0, 4.0]])
    assert not scalarize([1.0], requires_grad=False)[0].requires_grad
    (x[0, 0] * x[1, 1] * 2.0).backward()
    with pytest.raises(GraphError, match=r"'x\[0, 1\]' has no gradient"):
        gradients_of(x)
    np.testing.assert_array_equal(gradients_of(x[[0, 1], [0, 1]]), [8.0, 2.0])
    np.testing.assert_array_equal(values_of(np.array([Scalar(1.0), 2.0], object)), [1.0, 2.0])


def test_operations_take_arrays_of_scalars_apart():
    a = np.array([[1.0, 2.0], [3.0, 1.0]])
    x = scalarize(a)
    for got, expected in (
        (ops.exp(x), np.exp(a)),
        (ops.add(x, a), a + a),
        (ops.multiply(2.0, x), 2.0 * a),
        (ops.max(x, axis=0), a.max(axis=0)),
        (ops.sum(x, axis=1), a.sum(axis=1)),
        (ops.transpose(x), a.T),
        (np.tanh(x), np.tanh(a)),
    ):
        assert all(isinstance(s, Scalar) for s in np.ravel(got))
        np.testing.assert_allclose(values_of(got), expected, rtol=1e-15)
    assert isinstance(ops.sum(x), Scalar)
    np.testing.assert_allclose([s.item() for s in np.var(x, axis=0)], np.var(a, axis=0), rtol=1e-15)  # by conjugate
    with pytest.raises(tg.TinygradError, match="transpose: no such axis"):
        ops.transpose(x, (0, 1, 2))
    shear = Primitive("shear", lambda x: x.reshape(3, 3), lambda g, out, x: g)
    with pytest.raises(ShapeError, match="shear: cannot reshape array of size 4"):
        shear(x)


# -- the other NumPy --------------------------------------------------------------------------------------------------


def test_where_numpy_lets_a_python_number_widen_a_small_array_that_is_undone(monkeypatch):
    """NumPy 1 makes float64 of a 0-d float32 array times a Python float; here a forward does so in its place."""
    monkeypatch.setattr(primitive_module, "WEAK_SCALARS", False)
    times = Primitive(
        "times", lambda x, y: np.float64(x) * np.float64(y), lambda g, out, x, y: g * y, None, elementwise=True
    )
    x = Tensor(np.float32(1.5), requires_grad=True)
    y = times(x, 2.0)
    assert y.dtype == np.float32
    y.backward()
    assert (x.grad.dtype, x.grad.item()) == (np.float32, 2.0)
    assert times(Tensor(np.float32(1.5)), np.array(2.0)).dtype == np.float64
    assert times(Tensor(3), 2.0).dtype == np.float64
    assert Tensor(np.float32(1.5)).astype("float64").dtype == np.float64
