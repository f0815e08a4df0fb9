"""NumPy's own functions on variables: the value NumPy has, the gradient it does not have, and a refusal for the rest."""

import inspect
import warnings

import numpy as np
import pytest

from tinygrad_bn import Scalar, Tensor, Variable, gradients_of, numpy_protocol, scalarize, values_of
from tinygrad_bn.errors import DTypeError, GraphError, NoDerivativeError, ShapeError
from tinygrad_bn.numpy_protocol import FUNCTIONS, LIKE, REDUCTIONS, UFUNCS

RNG = np.random.default_rng(0)
A = RNG.uniform(0.2, 0.8, (3, 4))  # inside of every function's domain
B = RNG.uniform(0.2, 0.8, (3, 4))
V = RNG.uniform(0.2, 0.8, 4)
INTEGERS = np.array([[3, 1, 2], [2, 5, 4]])


def leaf(value=A):
    return Tensor(value, requires_grad=True)


def cotangent(shape):
    rng = np.random.default_rng(7)
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


def check(function, *arrays, rtol=1e-15):
    """The function on tensors: NumPy's value and dtype, and the gradients that central differences have."""
    leaves = [leaf(a) for a in arrays]
    with np.errstate(all="ignore"):
        expected = function(*arrays)
        out = function(*leaves)
    parts, wanted = (out, expected) if isinstance(expected, list) else ([out], [expected])
    assert len(parts) == len(wanted)
    for part, value in zip(parts, wanted):
        assert type(part) is Tensor
        assert (part.shape, part.dtype) == (np.shape(value), np.asarray(value).dtype)
        np.testing.assert_allclose(part.data, value, rtol=rtol)
    if parts[0].dtype.kind != "f":
        assert not any(part.requires_grad for part in parts)
        return
    weights = [cotangent(part.shape) for part in parts]
    sum((part * w).sum() for part, w in zip(parts, weights)).backward()
    h = 1e-6
    for position, x in enumerate(leaves):
        for index in np.ndindex(x.shape):
            sides = []
            for sign in (1.0, -1.0):
                moved = [np.array(a) for a in arrays]
                moved[position][index] += sign * h
                value = function(*moved)
                value = value if isinstance(value, list) else [value]
                sides.append(sum(np.sum(w * v) for w, v in zip(weights, value)))
            assert x.grad.data[index] == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=1e-6, abs=1e-8)


# -- ufuncs -------------------------------------------------------------------------------------------------------

ABOVE_ONE = {np.arccosh}
ABOVE_ZERO = {np.log, np.log2, np.log10, np.sqrt}
BOOLEAN = {np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert}
MATRIX = {np.matmul}
ELEMENTWISE = [u for u in UFUNCS if u not in BOOLEAN | MATRIX]


@pytest.mark.parametrize("ufunc", ELEMENTWISE, ids=lambda u: u.__name__)
def test_every_ufunc(ufunc):
    if ufunc.nin == 1:
        check(ufunc, A + 1.0 if ufunc in ABOVE_ONE else A)
        check(ufunc, (A + 1.0 if ufunc in ABOVE_ONE else A if ufunc in ABOVE_ZERO else -A)[::2, ::-1])
    else:
        check(ufunc, A, B)
        check(ufunc, A, V)
        check(ufunc, A[:, :1], V)


@pytest.mark.parametrize("raw", [B, B.tolist(), 0.3, np.float64(0.3)], ids=["array", "list", "float", "float64"])
@pytest.mark.parametrize("ufunc", [u for u in ELEMENTWISE if u.nin == 2], ids=lambda u: u.__name__)
def test_a_variable_and_a_raw_value(ufunc, raw):
    check(lambda x: ufunc(x, raw), A)
    check(lambda x: ufunc(raw, x), A)


@pytest.mark.parametrize("ufunc", ELEMENTWISE, ids=lambda u: u.__name__)
def test_every_ufunc_on_scalars(ufunc):
    values = [1.5 if ufunc in ABOVE_ONE else 0.3, 0.6][: ufunc.nin]
    scalars = [Scalar(v) for v in values]
    out = ufunc(*scalars)
    assert isinstance(out, Scalar)
    assert out.item() == pytest.approx(float(ufunc(*values)), rel=1e-15)
    if ufunc.nin == 2:
        mixed = ufunc(scalars[0], np.full(2, values[1]))
        assert mixed.dtype == object
        assert all(isinstance(s, Scalar) for s in mixed)


NO_LOOP = {np.fabs, np.isfinite, np.isinf, np.isnan, np.sign, np.logical_not}
ON_OBJECTS = [u for u in ELEMENTWISE if u.nin == 1 and u not in NO_LOOP]


@pytest.mark.parametrize("ufunc", ON_OBJECTS, ids=lambda u: u.__name__)
def test_numpys_loop_over_an_array_of_scalars(ufunc):
    scalars = scalarize([1.5, 2.5] if ufunc in ABOVE_ONE else [0.3, 0.6])
    out = ufunc(scalars)
    assert all(isinstance(s, Scalar) for s in out)
    np.testing.assert_allclose(values_of(out), ufunc(values_of(scalars)), rtol=1e-15)


@pytest.mark.parametrize("ufunc", [np.fabs, np.isfinite, np.isnan, np.cbrt, np.logaddexp])
def test_what_numpy_cannot_loop_over_is_an_error_of_numpys(ufunc):
    with pytest.raises((TypeError, AttributeError)):
        ufunc(*[scalarize([0.3, 0.6])] * ufunc.nin)


def test_the_functions_that_only_know_booleans():
    p, q = np.array([True, True, False]), np.array([True, False, False])
    for ufunc, args in (
        (np.bitwise_and, (p, q)),
        (np.bitwise_or, (p, q)),
        (np.bitwise_xor, (p, q)),
        (np.invert, (p,)),
    ):
        for given in ([Tensor(a) for a in args], [Tensor(args[0]), *args[1:]], [*args[:-1], Tensor(args[-1])]):
            out = ufunc(*given)
            assert type(out) is Tensor
            np.testing.assert_array_equal(out.data, ufunc(*args))
        with pytest.raises(DTypeError, match="on booleans only\n  got:      dtype int64"):
            ufunc(*[Tensor([1, 2, 3])] * len(args))


@pytest.mark.parametrize(("x", "y"), [(A, B.T), (V, A.T), (A, V), (V, V), (RNG.normal(size=(2, 3, 4)), B.T)])
def test_matmul(x, y):
    check(np.matmul, x, y, rtol=1e-14)
    check(lambda v: v @ y, x, rtol=1e-14)
    check(lambda v: x @ v, y, rtol=1e-14)


@pytest.mark.parametrize("ufunc", ELEMENTWISE, ids=lambda u: u.__name__)
def test_dtypes_are_numpys(ufunc):
    for dtype in (np.float32, np.float16):
        x = np.full(3, 1.5 if ufunc in ABOVE_ONE else 0.5, dtype)
        args = [x] * ufunc.nin
        assert ufunc(*[Tensor(a) for a in args]).dtype == ufunc(*args).dtype
        if ufunc.nin == 2:
            assert ufunc(Tensor(x), 2.0).dtype == ufunc(x, 2.0).dtype
            assert ufunc(2, Tensor(x)).dtype == ufunc(2, x).dtype


@pytest.mark.parametrize("ufunc", REDUCTIONS, ids=lambda u: u.__name__)
def test_every_reduction(ufunc):
    check(ufunc.reduce, A, rtol=1e-14)
    check(lambda x: ufunc.reduce(x, 1), A, rtol=1e-14)
    check(lambda x: ufunc.reduce(x, axis=-1, keepdims=True), A, rtol=1e-14)
    check(lambda x: ufunc.reduce(x, axis=None), A, rtol=1e-14)
    check(lambda x: ufunc.reduce(x, axis=(0, 2)), A.reshape(3, 2, 2), rtol=1e-14)


# -- functions ----------------------------------------------------------------------------------------------------

CUBE = RNG.uniform(0.2, 0.8, (2, 3, 4))
CALLS = [
    (np.sum, lambda np_, x: np_(x, axis=1), CUBE),
    (np.sum, lambda np_, x: np_(x, (0, 2), keepdims=True), CUBE),
    (np.sum, lambda np_, x: np_(a=x, axis=None), A),
    (np.sum, lambda np_, x: np_(x, 0, None, None, True), A),
    (np.mean, lambda np_, x: np_(x), A),
    (np.mean, lambda np_, x: np_(x, axis=0, dtype=None, out=None, keepdims=True), A),
    (np.var, lambda np_, x: np_(x, axis=0, ddof=1), A),
    (np.var, lambda np_, x: np_(x, 0, None, None, 1), A),
    (np.std, lambda np_, x: np_(x, axis=1, keepdims=True), A),
    (np.prod, lambda np_, x: np_(x, axis=1), A),
    (np.max, lambda np_, x: np_(x, axis=0), A),
    (np.amax, lambda np_, x: np_(x), A),
    (np.min, lambda np_, x: np_(x, 1, None, True), A),
    (np.amin, lambda np_, x: np_(x, axis=0), A),
    (np.argmax, lambda np_, x: np_(x, axis=1), A),
    (np.argmax, lambda np_, x: np_(x, 0, None, keepdims=True), A),
    (np.argmin, lambda np_, x: np_(x), A),
    (np.cumsum, lambda np_, x: np_(x, axis=1), A),
    (np.cumsum, lambda np_, x: np_(x), A),
    (np.linalg.norm, lambda np_, x: np_(x), A),
    (np.linalg.norm, lambda np_, x: np_(x, axis=1), A),
    (np.linalg.norm, lambda np_, x: np_(x, 1, axis=0, keepdims=True), A),
    (np.linalg.norm, lambda np_, x: np_(x, np.inf), V),
    (np.linalg.norm, lambda np_, x: np_(x, axis=(0, 1)), A),
    (np.dot, lambda np_, x: np_(x, V), A),
    (np.dot, lambda np_, x: np_(V, x), A.T),
    (np.dot, lambda np_, x: np_(x, 3.0), A),
    (np.outer, lambda np_, x: np_(x, V), A),
    (np.tensordot, lambda np_, x: np_(x, A, axes=2), A),
    (np.tensordot, lambda np_, x: np_(x, CUBE, axes=([0, 1], [1, 2])), A),
    (np.einsum, lambda np_, x: np_("ij,kj->ik", x, B), A),
    (np.einsum, lambda np_, x: np_("ij,ij", x, x, optimize=True), A),
    (np.reshape, lambda np_, x: np_(x, (2, -1)), A),
    (np.reshape, lambda np_, x: np_(x, 12, order="C"), A),
    (np.ravel, lambda np_, x: np_(x), A),
    (np.ravel, lambda np_, x: np_(x, "C"), A),
    (np.transpose, lambda np_, x: np_(x), A),
    (np.transpose, lambda np_, x: np_(x, axes=(2, 0, 1)), CUBE),
    (np.swapaxes, lambda np_, x: np_(x, 0, 2), CUBE),
    (np.moveaxis, lambda np_, x: np_(x, source=0, destination=-1), CUBE),
    (np.squeeze, lambda np_, x: np_(x, axis=0), A[None]),
    (np.expand_dims, lambda np_, x: np_(x, axis=(0, 2)), A),
    (np.broadcast_to, lambda np_, x: np_(x, (2, 3, 4)), A),
    (np.broadcast_to, lambda np_, x: np_(x, (3, 4), subok=False), V),
    (np.concatenate, lambda np_, x: np_([x, B, x], axis=1), A),
    (np.concatenate, lambda np_, x: np_((x, V), axis=None), A),
    (np.concatenate, lambda np_, x: np_((B, x), 0), A),
    (np.stack, lambda np_, x: np_([x, B], axis=-1), A),
    (np.split, lambda np_, x: np_(x, 2, axis=1), A),
    (np.split, lambda np_, x: np_(x, [1, 3], 1), A),
    (np.tile, lambda np_, x: np_(x, reps=(2, 1)), A),
    (np.repeat, lambda np_, x: np_(x, 2, axis=0), A),
    (np.repeat, lambda np_, x: np_(x, repeats=[1, 2, 0], axis=0), A),
    (np.flip, lambda np_, x: np_(x, axis=1), A),
    (np.roll, lambda np_, x: np_(x, shift=1), A),
    (np.tril, lambda np_, x: np_(x, k=1), A),
    (np.triu, lambda np_, x: np_(x, -1), A),
    (np.diagonal, lambda np_, x: np_(x, offset=1), A),
    (np.trace, lambda np_, x: np_(x), A),
    (np.trace, lambda np_, x: np_(x, 0, 1, 2, None, None), CUBE),
    (np.take, lambda np_, x: np_(x, [2, 0, 2], axis=1), A),
    (np.take, lambda np_, x: np_(x, np.array([5, 1]), None, None), A),
    (np.take_along_axis, lambda np_, x: np_(x, np.array([[1], [0], [3]]), axis=-1), A),
    (np.clip, lambda np_, x: np_(x, 0.3, 0.6), A),
    (np.clip, lambda np_, x: np_(x, a_min=0.3, a_max=None), A),
    (np.clip, lambda np_, x: np_(x, None, B), A),
    (np.clip, lambda np_, x: np_(x, a_max=0.5, a_min=0.1), A),
    (np.pad, lambda np_, x: np_(x, 1), A),
    (np.pad, lambda np_, x: np_(x, ((1, 0), (0, 2)), "constant", constant_values=7.0), A),
    (np.where, lambda np_, x: np_(x > 0.5, x, 2.0), A),
    (np.where, lambda np_, x: np_([[True], [False], [True]], B, x), A),
    (np.hstack, lambda np_, x: np_([x, B]), A),
    (np.vstack, lambda np_, x: np_((x, V)), A),
    (np.diag, lambda np_, x: np_(x, 1), V),
    (np.diag, lambda np_, x: np_(x, k=-1), A),
    (np.inner, lambda np_, x: np_(x, V), A),
    (np.round, lambda np_, x: np_(x), A / 2),
    (np.around, lambda np_, x: np_(x, 1), np.array([0.31, -0.62])),
    (np.fix, lambda np_, x: np_(x), -A),
    (np.sort, lambda np_, x: np_(x, axis=0), A),
    (np.argsort, lambda np_, x: np_(x, 0), A),
    (np.any, lambda np_, x: np_(x > 0.5, axis=1), A),
    (np.all, lambda np_, x: np_(x > 0.5, axis=0, keepdims=True), A),
    (np.count_nonzero, lambda np_, x: np_(x > 0.5, axis=1), A),
    (np.linalg.solve, lambda np_, x: np_(x[:, :3] + 2 * np.eye(3), B), A),
    (np.linalg.solve, lambda np_, x: np_(np.eye(4) + 0.1, x), V),
    (np.linalg.inv, lambda np_, x: np_(x[:, :3] + 2 * np.eye(3)), A),
    (np.linalg.det, lambda np_, x: np_(x[:, :3] + 2 * np.eye(3)), A),
    (np.linalg.slogdet, lambda np_, x: list(np_(x[:, :3] + 2 * np.eye(3))), A),
    (np.linalg.cholesky, lambda np_, x: np_(x @ x.T + np.eye(3)), A),
    (np.linalg.eigvalsh, lambda np_, x: np_(x @ x.T), A),
    (np.linalg.eigh, lambda np_, x: list(np_(x @ x.T)), A),
]  # fmt: skip
if hasattr(np, "astype"):  # NumPy 2.1
    CALLS.append((np.astype, lambda np_, x: np_(x, np.float64), A))


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")  # from NumPy 2.5 on; ours is trunc
@pytest.mark.parametrize(
    ("function", "call", "x"), CALLS, ids=[f.__name__ + str(i) for i, (f, _, _) in enumerate(CALLS)]
)
def test_every_function(function, call, x):
    check(lambda v: call(function, v), x, rtol=1e-13)


def test_no_function_was_forgotten():
    looked_at = {np.shape, np.ndim, np.size}
    assert {function for function, _, _ in CALLS} | looked_at == set(FUNCTIONS)
    assert set(UFUNCS) == set(ELEMENTWISE) | BOOLEAN | MATRIX


def test_looking_at_a_variable():
    for x in (leaf(), Tensor(A)):
        assert (np.shape(x), np.ndim(x), np.size(x)) == ((3, 4), 2, 12)
    assert (np.shape(Scalar(1.0)), np.ndim(Scalar(1.0)), np.size(Scalar(1.0))) == ((), 0, 1)


@pytest.mark.parametrize("function", sorted(LIKE, key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_arrays_like_a_variable_are_raw(function):
    extra = (2.5,) if function is np.full_like else ()
    for given in (leaf(), leaf(A.astype(np.float32)), Tensor([1, 2])):
        made = function(given, *extra)
        assert type(made) is np.ndarray
        assert (made.shape, made.dtype) == (given.shape, given.dtype)
        assert made.flags.writeable
        assert function(given, *extra, dtype=np.int8, shape=(2,)).dtype == np.int8
    assert np.shape(function(Scalar(1.0), *extra)) == ()
    assert np.full_like(leaf(), 3.0)[0, 0] == 3.0
    with pytest.raises(NoDerivativeError, match=r"numpy\.full_like with a variable as its value"):
        np.full_like(leaf(), leaf([1.0])[0])
    with pytest.raises(NoDerivativeError, match="with a variable as its value"):
        np.full_like(leaf(), fill_value=Scalar(1.0))


def test_an_unchanged_numpy_function_is_differentiable():
    def batch_norm(x):
        mean = np.mean(x, axis=0)
        variance = np.mean(np.square(x - mean), axis=0)
        return (x - mean) / np.sqrt(variance + 1e-5)

    check(batch_norm, A, rtol=1e-13)
    scalars = scalarize(A)
    out = batch_norm(scalars)
    np.testing.assert_allclose(values_of(out), batch_norm(A), rtol=1e-13)
    w = cotangent(A.shape)
    np.sum(out * w).backward()
    x = leaf()
    (batch_norm(x) * w).sum().backward()
    np.testing.assert_allclose(gradients_of(scalars), x.grad.data, rtol=1e-10)


def test_what_wants_no_gradient_goes_the_same_way():
    out = np.exp(Tensor(A))
    assert type(out) is Tensor
    assert out.is_leaf


# -- refusals -----------------------------------------------------------------------------------------------------

REFUSED = {
    "fft": lambda x: np.fft.fft(x),
    "svd": lambda x: np.linalg.svd(x),
    "unique": lambda x: np.unique(x),
    "median": lambda x: np.median(x),
    "percentile": lambda x: np.percentile(x, 50),
    "nansum": lambda x: np.nansum(x),
    "average": lambda x: np.average(x),
    "cumprod": lambda x: np.cumprod(x),
    "diff": lambda x: np.diff(x),
    "gradient": lambda x: np.gradient(x),
    "convolve": lambda x: np.convolve(x[0], x[0]),
    "interp": lambda x: np.interp(x, [0, 1], [0, 1]),
    "block": lambda x: np.block([x, x]),
    "kron": lambda x: np.kron(x, x),
    "apply_along_axis": lambda x: np.apply_along_axis(np.sum, 0, x),
    "copyto": lambda x: np.copyto(np.zeros((3, 4)), x),
    "put": lambda x: np.put(np.zeros(4), [0], x[0, 0]),
    "linspace": lambda x: np.linspace(0.0, x[0, 0], 3),
    "histogram": lambda x: np.histogram(x),
    "frexp": lambda x: np.frexp(x),
    "frompyfunc": lambda x: np.frompyfunc(abs, 1, 1)(x),
    "add.accumulate": lambda x: np.add.accumulate(x),
    "multiply.outer": lambda x: np.multiply.outer(x, x),
    "add.at": lambda x: np.add.at(np.zeros((3, 4)), 0, x),
    "add.at on a variable": lambda x: np.add.at(x, 0, 1.0),
    "add.reduceat": lambda x: np.add.reduceat(x, [0]),
    "divide.reduce": lambda x: np.divide.reduce(x),
    "add into a variable": lambda x: np.add(A, A, out=x),
    "add where=": lambda x: np.add(x, x, where=A > 0.5),
    "add dtype=": lambda x: np.add(x, x, dtype=np.float32),
    "add casting=": lambda x: np.add(x, x, casting="unsafe"),
    "add subok=": lambda x: np.add(x, x, subok=True),
    "add.reduce initial=": lambda x: np.add.reduce(x, initial=1.0),
    "sum dtype": lambda x: np.sum(x, dtype=np.float32),
    "sum dtype by position": lambda x: np.sum(x, 0, np.float32),
    "sum out by position": lambda x: np.sum(x, 0, None, np.zeros(4)),
    "sum where": lambda x: np.sum(x, where=A > 0.5),
    "sum initial": lambda x: np.sum(x, initial=1.0),
    "mean dtype by position": lambda x: np.mean(x, 0, np.float32),
    "mean dtype float64": lambda x: np.mean(x, dtype=np.dtype(float)),
    "max out by position": lambda x: np.max(x, 0, np.zeros(4)),
    "max initial": lambda x: np.max(x, initial=9.0),
    "cumsum dtype": lambda x: np.cumsum(x, 0, np.float32),
    "clip out": lambda x: np.clip(x, 0.0, 1.0, np.zeros((3, 4))),
    "reshape order": lambda x: np.reshape(x, (4, 3), "F"),
    "ravel order": lambda x: np.ravel(x, order="F"),
    "take mode": lambda x: np.take(x, [9], mode="wrap"),
    "take mode by position": lambda x: np.take(x, [9], 0, None, "wrap"),
    "concatenate dtype": lambda x: np.concatenate([x, x], dtype=np.float32),
    "dot out": lambda x: np.dot(x, V, np.zeros(3)),
    "matmul axes": lambda x: np.matmul(x, A, axes=[(0, 1), (1, 0), (0, 1)]),
    "pad mode": lambda x: np.pad(x, 1, mode="edge"),
    "pad with two constants": lambda x: np.pad(x, 1, constant_values=(1.0, 2.0)),
    "pad a dictionary": lambda x: np.pad(x, {0: (1, 1)}),
    "einsum with lists": lambda x: np.einsum(x, [0, 1], [0]),
    "spectral norm": lambda x: np.linalg.norm(x, 2),
    "maximum column sum": lambda x: np.linalg.norm(x, 1),
    "nuclear norm": lambda x: np.linalg.norm(x, "nuc"),
    "norm of a vector by name": lambda x: np.linalg.norm(x[0], "fro"),
    "norm of two axes": lambda x: np.linalg.norm(x, 1, axis=(0, 1)),
    "size along an axis": lambda x: np.size(x, 0),
    "full_like a variable": lambda x: np.full_like(x, x[0, 0]),
}
if "mean" in inspect.signature(np.std).parameters:  # NumPy 2
    REFUSED["std with a mean"] = lambda x: np.std(x, mean=np.zeros((1, 4)))


@pytest.mark.parametrize("wants", [True, False], ids=["wants a gradient", "wants none"])
@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_what_has_no_counterpart_is_refused_by_name(call, wants):
    x = Tensor(A, requires_grad=wants)
    with pytest.raises(NoDerivativeError, match=r"numpy\.|abs|frompyfunc") as error:
        call(x)
    assert isinstance(error.value, TypeError)
    np.testing.assert_array_equal(x.data, A)


INTO = {
    "+=": lambda x, out: out.__iadd__(x),
    "*=": lambda x, out: out.__imul__(x),
    "add": lambda x, out: np.add(x, A, out=out),
    "add by position": lambda x, out: np.add(A, x, out),
    "add of some": lambda x, out: np.add(x, A, out=out, where=A > 0.5),
    "add.reduce": lambda x, out: np.add.reduce(x, out=out[0]),
}


@pytest.mark.parametrize("call", INTO.values(), ids=INTO)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_array_takes_the_values_of_a_constant_and_no_others(call, dtype):
    ours, theirs, x = np.ones((3, 4), dtype), np.ones((3, 4), dtype), Tensor(A, dtype=dtype)
    expected = call(A.astype(dtype), theirs)
    made = call(x, ours)
    np.testing.assert_array_equal(ours, theirs)
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made, expected)
    with pytest.raises(NoDerivativeError, match="written into an array, 'x' would lose its gradient") as error:
        call(Tensor(A, requires_grad=True, name="x", dtype=dtype), ours)
    assert "array = array + x (and so on) keeps the graph" in str(error.value)
    np.testing.assert_array_equal(ours, theirs)


def test_an_array_of_scalars_takes_scalars():
    scalars, s = scalarize([1.0, 2.0]), Scalar(3.0)
    first = scalars[0]
    scalars += s
    scalars.sum().backward()
    assert (first.grad.item(), s.grad.item()) == (1.0, 2.0)
    numbers = np.array([1.0, 2.0])
    with pytest.raises(NoDerivativeError, match="would lose its gradient"):
        numbers += s
    numbers += Scalar(3.0, requires_grad=False)
    np.testing.assert_array_equal(numbers, [4.0, 5.0])


def test_the_refusal_says_what_to_do():
    with pytest.raises(NoDerivativeError) as error:
        np.fft.fft(leaf())
    assert str(error.value) == (
        "numpy.fft.fft has no derivative here\n"
        "  to fix:   compose it from tinygrad_bn.ops, write a Primitive, or take the value with x.numpy() first"
    )
    with pytest.raises(NoDerivativeError) as error:
        np.sum(leaf(), 0, np.float32)
    assert str(error.value) == (
        "numpy.sum: the argument dtype= is not supported on variables\n"
        "  to fix:   leave it out; x.astype(...) converts, ops.where chooses"
    )
    with pytest.raises(NoDerivativeError, match=r"numpy\.take does not take these arguments on variables: .*'mode'"):
        np.take(leaf(), [9], mode="wrap")


DROPPED = {
    "asarray": np.asarray,
    "array": np.array,
    "asanyarray": np.asanyarray,
    "ascontiguousarray": np.ascontiguousarray,
    "array of a list": lambda x: np.array([x, x]),
    "array of single elements": lambda x: np.array([x[0, 0], x[1, 1]]),
    "array beside a number": lambda x: np.array([x.sum(), 1.0]),
    "mean of a list": lambda x: np.mean([x, x]),
    "vectorize": lambda x: np.vectorize(lambda v: v * 2)(x),
    "full": lambda x: np.full(3, x[0, 0]),
    "assigning": lambda x: np.zeros((3, 4)).__setitem__(0, x[0]),
    "assert_allclose": lambda x: np.testing.assert_allclose(x, x),
    "assert_array_equal": lambda x: np.testing.assert_array_equal(x, x),
}


@pytest.mark.parametrize("call", DROPPED.values(), ids=DROPPED)
def test_the_graph_is_never_dropped_silently(call):
    with pytest.raises(GraphError, match="into an ndarray would drop its gradient"):
        call(leaf())


def test_numpys_own_tests_see_the_values_of_what_wants_no_gradient():
    np.testing.assert_allclose(Tensor(A), A)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(Tensor(A), A + 1e-3)
    np.testing.assert_array_equal(Tensor([1, 2]), [1, 2])


def test_no_public_function_of_numpy_returns_anything_but_a_tensor_or_plain_facts():
    """Call everything in numpy, numpy.linalg and numpy.fft with variables in every place; count what comes back."""
    facts = {np.shape, np.ndim, np.size, np.where, *LIKE, *numpy_protocol.QUESTIONS}  # where of one: positions
    spared = {
        "save",
        "savez",
        "savez_compressed",
        "savetxt",
        "show_config",
        "info",
        "test",
        "fromfile",
        "loadtxt",
        "load",
    }
    tried = refused = 0
    for module in (np, np.linalg, np.fft):
        for name in sorted(set(dir(module)) - spared):
            function = getattr(module, name)
            overrides = hasattr(function, "_implementation") or isinstance(function, np.ufunc)
            if name.startswith("_") or inspect.isclass(function) or not callable(function) or not overrides:
                continue
            for args in ((leaf(),), (leaf(), leaf()), (leaf(), 1), ([leaf(), leaf()],), (leaf(), leaf(), leaf())):
                tried += 1
                try:
                    with warnings.catch_warnings(), np.errstate(all="ignore"):
                        warnings.simplefilter("ignore")
                        result = function(*args)
                except Exception:
                    refused += 1
                    continue
                parts = result if isinstance(result, (tuple, list)) else [result]
                assert function in facts or all(isinstance(part, Variable) for part in parts), name
    assert tried > 1000
    assert refused > 500


# -- details ------------------------------------------------------------------------------------------------------


def test_errors_of_the_operation_itself_come_through():
    with pytest.raises(ShapeError, match="sum: no such axis"):
        np.sum(leaf(), axis=7)
    with pytest.raises(ValueError, match="matmul: inner sizes"):
        np.matmul(leaf(), leaf())
    with pytest.raises(DTypeError, match="sum: an axis is an integer"):
        np.sum(leaf(), axis=0.5)
    with pytest.raises(TypeError, match="bogus"):
        np.sum(leaf(), bogus=1)


def test_functions_that_do_not_tell_their_signature():
    assert numpy_protocol._parameters(max) == {}
    plain, named = numpy_protocol._sorted_out(max, [A, 0], {"out": None, "keepdims": np._NoValue})
    assert (plain[0] is A, plain[1], named) == (True, 0, {"out": None})


def test_float_power_is_double_precision():
    x = leaf(np.array([0.5, 2.0], np.float32))
    y = np.float_power(x, 2)
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, [1.0, 4.0])
    np.testing.assert_array_equal(np.float_power(Tensor([1, 2]), -1).data, [1.0, 0.5])
    assert np.float_power(Scalar(2.0), 3).item() == 8.0
    assert np.float_power(2.0, leaf(np.ones(2, np.float32))).dtype == np.float64


def test_scalars_have_no_function_that_needs_an_array():
    with pytest.raises(NoDerivativeError, match="does not work on single scalars"):
        np.transpose(Scalar(1.0), ())
    assert np.sum(Scalar(2.0)).item() == 2.0
    assert np.stack([Scalar(1.0), Scalar(2.0)]).dtype == object
    with pytest.raises(NoDerivativeError, match=r"numpy\.unique"):
        np.unique(Scalar(1.0))


def test_integers_reduce_and_choose_as_in_numpy():
    for function in (np.sum, np.max, np.min, np.argmax, np.cumsum, np.prod):
        got, expected = function(Tensor(INTEGERS), axis=1), function(INTEGERS, axis=1)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.data, expected)
