"""A value that becomes a plain number: refused in transforms, warned of at the user's line elsewhere, or said on purpose."""

import array as arrays
import cmath
import copy
import inspect
import logging
import math
import pickle
import warnings

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Scalar, Tensor, functional, ops, scalarize
from tinygrad_bn.errors import GraphError, GraphWarning, RecordingError, TinygradError
from tinygrad_bn.program import record


def filled(x):
    array = np.zeros(2)
    array[0] = x
    return array


def drawn(x):
    return np.random.default_rng(0).normal(x, 1.0)


# What makes a plain number of a variable without saying so.
CONVERSIONS = {
    "float": float,
    "int": int,
    "complex": complex,
    "np.float64": np.float64,
    "np.float32": np.float32,
    "an array of floats": lambda x: np.array([x, 2.0], dtype=float),
    "np.fromiter": lambda x: np.fromiter([x], float),
    "an element of an array": filled,
    "fill": lambda x: np.zeros(2).fill(x),
    "np.vectorize": lambda x: np.vectorize(float)([x]),
    "a draw": drawn,
    "array.array": lambda x: arrays.array("d", [x]),
    "cmath": lambda x: cmath.exp(x),
    "fsum": lambda x: math.fsum([x, 1.0]),
} | {
    f"math.{name}": lambda x, name=name: getattr(math, name)(x)
    for name in ("sin", "exp", "sqrt", "log", "tanh", "erf", "gamma", "isnan", "isfinite", "degrees", "modf", "frexp")
}  # fmt: skip
conversions = pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)

SPOKEN = {
    "item": lambda x: x.item(),
    "data": lambda x: x.data,
    "numpy": lambda x: x.numpy(),
    "detach": lambda x: math.sin(x.detach()),
    "bool": bool,
    "a comparison": lambda x: x > 1.0,
    "repr": repr,
    "str": str,
    "an f-string": lambda x: f"{x} {x:.3f}",
    "format": lambda x: format(x, ".3f"),
    "percent": lambda x: "%d %.3f" % (1, x),  # noqa: UP031
    "percent bytes": lambda x: b"%.3f" % x,
    "str.format": lambda x: "{:.3f}".format(x),  # noqa: UP032
    "logging": lambda x: logging.getLogger("tinygrad_bn.test").warning("loss %.3f", x),
    "max": lambda x: max(x, x),
    "no_grad": tg.no_grad()(math.sin),
}
spoken = pytest.mark.parametrize("take", SPOKEN.values(), ids=SPOKEN)

VARIABLES = {
    "a leaf scalar": lambda: Scalar(1.5),
    "a result scalar": lambda: Scalar(1.5) * 1.0,
    "a tensor": lambda: Tensor(1.5, requires_grad=True),
    "a result": lambda: Tensor([1.5], requires_grad=True).sum(),
} | {
    f"{np.dtype(dtype)}": lambda dtype=dtype: Tensor(np.array(1.5, dtype), requires_grad=True) * 1
    for dtype in (np.float16, np.float32, np.float64)
}  # fmt: skip
variables = pytest.mark.parametrize("make", VARIABLES.values(), ids=VARIABLES)

TRANSFORMS = {
    "grad": lambda f: tg.grad(f)(1.5),
    "grad of an array": lambda f: tg.grad(f)(np.array(1.5)),
    "grad of a scalar": lambda f: tg.grad(f)(Scalar(1.5)),
    "value_and_grad": lambda f: tg.value_and_grad(f)(1.5),
    "vjp": lambda f: tg.vjp(f, 1.5),
    "jvp": lambda f: tg.jvp(f, [1.5], [1.0]),
    "jacobian": lambda f: tg.jacobian(f)(np.array(1.5)),
    "hessian": lambda f: tg.hessian(f)(np.array(1.5)),
    "hvp": lambda f: tg.hvp(f, [np.array(1.5)], [np.array(1.0)]),
    "grad of grad": lambda f: tg.grad(tg.grad(f))(1.5),
}
transforms = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


@transforms
@conversions
def test_a_transform_refuses(transform, convert):
    def function(x):
        convert(x)
        return x * x

    with pytest.raises((GraphError, ValueError)) as error:
        transform(function)
    said = error.value if isinstance(error.value, GraphError) else error.value.__cause__  # NumPy has a word of its own
    assert isinstance(said, GraphError)
    if "would drop its gradient" not in str(said):  # which is said of arrays
        assert "in a function that is being differentiated" in str(said)
        assert __file__ in str(said)
        assert "x.item() takes the value on purpose" in str(said)
    assert tg.grad(lambda x: x * x)(3.0) == 6.0  # nothing stays switched on


@transforms
@spoken
def test_a_transform_is_quiet_where_it_was_said(transform, take):
    def function(x):
        take(x)
        return x * x

    transform(function)


def _refusal(convert, x):
    try:
        convert(x)
    except GraphError as error:
        return str(error)
    return ""


@variables
@conversions
def test_elsewhere_a_warning_names_the_line(make, convert):
    x = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        refused = [_refusal(convert, x) for _ in range(3)]
    if isinstance(x, Tensor) and refused[0]:  # an array was asked for, which is refused everywhere
        assert "would drop its gradient" in refused[0]
        return
    assert refused == [""] * 3
    assert [w.category for w in caught] == [GraphWarning]  # once for the line
    assert caught[0].filename == __file__
    assert "no gradient comes back" in str(caught[0].message)
    assert "x.item() takes the value on purpose" in str(caught[0].message)


def test_the_warning_points_at_the_line_itself():
    x = Scalar(1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        here = inspect.currentframe().f_lineno
        math.sin(x)
        np.vectorize(float)([x])
        for other in (Scalar(2.0, name="a"), Scalar(3.0, name="b")):
            float(other)
    assert [w.lineno - here for w in caught] == [1, 2, 4]


@variables
@spoken
def test_quiet_where_it_was_said(make, take):
    take(make())


@conversions
def test_quiet_where_nothing_is_recorded(convert):
    x = Scalar(1.5)
    for constant in (Scalar(1.5, requires_grad=False), Tensor(1.5), x.detach(), x > 1.0):
        convert(constant)
    with tg.no_grad():
        convert(x)


@conversions
def test_a_recording_refuses(convert):
    def function(x):
        convert(x.sum())
        return x * 2.0

    with pytest.raises(RecordingError):
        record(function, np.ones(1))


SETTINGS = {
    "eps": lambda x: functional.batch_norm(np.ones((3, 2)), training=True, eps=x),
    "momentum": lambda x: functional.batch_norm(
        np.ones((3, 2)), Tensor([0.0] * 2), Tensor([1.0] * 2), training=True, momentum=x
    ),
    "layer norm": lambda x: functional.layer_norm(np.ones((3, 2)), (2,), eps=x),
    "delta": lambda x: functional.huber_loss(np.ones(3), np.zeros(3), delta=x),
    "order": lambda x: ops.norm(np.ones(3), x),
    "padding": lambda x: ops.pad(np.ones(3), 1, x),
    "rate": lambda x: tg.optim.SGD([tg.Parameter([1.0])], lr=x),
    "standard deviation": lambda x: tg.nn.init.normal_(tg.Parameter([1.0]), std=x),
    "gain": lambda x: tg.nn.init.xavier_uniform_(tg.Parameter([[1.0]]), gain=x),
    "a parameter of a primitive": lambda x: ops.primitives.power_constant(
        Tensor([1.0], requires_grad=True), exponent=x
    ),
}


@pytest.mark.parametrize("use", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("point", [0.5, np.array(0.5)], ids=["scalar", "tensor"])
def test_a_setting_is_no_place_for_a_variable(use, point):
    def function(x):
        use(x)
        return x * x

    with pytest.raises(TinygradError):
        tg.grad(function)(point)


@pytest.mark.parametrize("point", [1.5, np.array(1.5), Scalar(1.5)], ids=["number", "array", "scalar"])
def test_a_copy_of_an_argument_is_refused(point):
    copies = [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), Tensor, Scalar, scalarize]
    for duplicate in copies:
        with pytest.raises(GraphError, match=r"a copy of .*being differentiated|only leaves can be copied|would drop"):
            tg.grad(lambda x, duplicate=duplicate: duplicate(x) * 2.0)(point)
        duplicate(Tensor(1.5, requires_grad=True))  # outside it says what it does
    with pytest.raises(GraphError, match="would drop its gradient"):
        scalarize(Tensor([1.0], requires_grad=True) * 2.0)


def test_what_has_several_elements_becomes_no_number():
    for convert in (float, int):
        with pytest.raises(TinygradError, match="one element expected"):
            tg.grad(lambda x, convert=convert: convert(x) * x.sum())(np.ones(2))


def test_whole_numbers_are_indices_and_carry_no_gradient():
    def function(x):
        return x[int(ops.argmax(x))] * range(5)[ops.argmax(x)]

    np.testing.assert_array_equal(tg.grad(function)(np.array([1.0, 3.0, 2.0])), [0.0, 1.0, 0.0])
