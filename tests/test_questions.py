"""What needs no derivative is answered; what is no number gets its turn; what would lose a mask is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Scalar, Tensor, nn, ops, scalarize, values_of
from tinygrad_bn.errors import DTypeError, NoDerivativeError
from tinygrad_bn.numpy_protocol import QUESTIONS

A = np.array([[1.5, np.nan, 0.0], [-2.5, np.inf, 3.0]])
V = np.array([3.0, 1.0, 2.0])

# Each question with arguments; asked of variables and of arrays.
ASKED: dict[str, Any] = {
    "allclose": lambda x, v: np.allclose(v, v + 1e-12),
    "array2string": lambda x, v: np.array2string(v, precision=2),
    "array_equal": lambda x, v: np.array_equal(x, x, equal_nan=True),
    "array_equiv": lambda x, v: np.array_equiv(v, v),
    "array_repr": lambda x, v: np.array_repr(v),
    "array_str": lambda x, v: np.array_str(v),
    "argpartition": lambda x, v: np.argpartition(v, 1),
    "argwhere": lambda x, v: np.argwhere(x),
    "can_cast": lambda x, v: np.can_cast(v.dtype, np.float32),
    "common_type": lambda x, v: np.common_type(v, np.ones(2, np.float32)),
    "digitize": lambda x, v: np.digitize(v, np.array([1.5, 2.5])),
    "flatnonzero": lambda x, v: np.flatnonzero(x),
    "isclose": lambda x, v: np.isclose(x, x, equal_nan=True),
    "iscomplex": lambda x, v: np.iscomplex(x),
    "iscomplexobj": lambda x, v: np.iscomplexobj(x),
    "isin": lambda x, v: np.isin(x, v),
    "isneginf": lambda x, v: np.isneginf(x),
    "isposinf": lambda x, v: np.isposinf(x),
    "isreal": lambda x, v: np.isreal(x),
    "isrealobj": lambda x, v: np.isrealobj(x),
    "lexsort": lambda x, v: np.lexsort((v, v)),
    "may_share_memory": lambda x, v: np.may_share_memory(x, v),
    "min_scalar_type": lambda x, v: np.min_scalar_type(v),
    "nanargmax": lambda x, v: np.nanargmax(x),
    "nanargmin": lambda x, v: np.nanargmin(x, axis=1),
    "nonzero": lambda x, v: np.nonzero(x),
    "result_type": lambda x, v: np.result_type(v, np.float32),
    "searchsorted": lambda x, v: np.searchsorted(np.sort(v), v=v),
    "shares_memory": lambda x, v: np.shares_memory(v, v),
    "signbit": lambda x, v: np.signbit(x),
    "where": lambda x, v: np.where(x > 1),
    "where of values": lambda x, v: np.where(v),
}


@pytest.mark.parametrize("wants", [True, False], ids=["wants a gradient", "wants none"])
@pytest.mark.parametrize("call", ASKED.values(), ids=ASKED.keys())
def test_numpy_answers(call: Any, wants: bool) -> None:
    expected = call(A, V)
    got = call(Tensor(A, requires_grad=wants), Tensor(V, requires_grad=wants))
    assert type(got) is type(expected)
    if isinstance(expected, (np.ndarray, tuple)):
        np.testing.assert_array_equal(got, expected)
    else:
        assert got == expected


def test_every_question_was_asked() -> None:
    assert {function.__name__ for function in QUESTIONS} <= set(ASKED)
    assert np.allclose(Scalar(1.0), 1.0)


# Operations, recorded, without a derivative or with 0.
OPERATIONS: dict[str, Any] = {
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "floor": np.floor, "ceil": np.ceil, "rint": np.rint,
    "trunc": np.trunc, "fix": np.fix, "round": np.round, "round 1": lambda x: np.round(x, 1), "any": np.any, "all": np.all,
    "any of an axis": lambda x: np.any(x, axis=1, keepdims=True), "logical_or.reduce": np.logical_or.reduce,
    "logical_and.reduce": lambda x: np.logical_and.reduce(x, axis=1), "count_nonzero": np.count_nonzero,
    "count_nonzero of an axis": lambda x: np.count_nonzero(x, axis=0), "argsort": np.argsort,
    "argsort of all": lambda x: np.argsort(x, axis=None), "stable argsort": lambda x: np.argsort(x, kind="stable"),
    "argmax": np.argmax, "argmin": np.argmin,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")  # from NumPy 2.5 on; ours is trunc
@pytest.mark.parametrize("wants", [True, False], ids=["wants a gradient", "wants none"])
@pytest.mark.parametrize("call", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_questions_that_are_operations(call: Any, wants: bool) -> None:
    got = call(Tensor(A, requires_grad=wants))
    assert isinstance(got, Tensor)
    np.testing.assert_array_equal(got.numpy(), call(A))
    assert got.dtype == np.asarray(call(A)).dtype


def test_questions_as_methods() -> None:
    x, mask = Tensor(V, requires_grad=True), Tensor([True, False])
    assert (mask.any().item(), mask.all().item(), bool(mask.any())) == (True, False, True)
    assert x.argsort().numpy().tolist() == [1, 2, 0]
    assert Tensor([0.0, 2.0]).nonzero()[0].tolist() == [1]
    assert (x / 2).round().numpy().tolist() == [2.0, 0.0, 1.0]
    assert round(x / 3, 2).numpy().tolist() == [1.0, 0.33, 0.67]
    assert x.isnan().numpy().tolist() == [False] * 3
    for function in (math.floor, math.ceil, math.trunc, round):
        step = function(Scalar(2.5))
        assert isinstance(step, Scalar)  # still in the graph
        assert step.item() == function(2.5)


def test_steps_have_derivative_0() -> None:
    for step in (ops.floor, ops.ceil, ops.trunc, ops.rint, ops.round, lambda x: x // 0.7):
        x, s = Tensor([0.4, 1.6], requires_grad=True), Scalar(0.4)
        (step(x) * x).backward(np.ones(2))
        np.testing.assert_array_equal(x.grad.numpy(), step(x).numpy())
        (step(s) * s).backward()
        assert s.grad.item() == step(s).item()


def test_rounding_integers() -> None:
    x = np.array([15, 25, -14])
    for decimals in (0, 2, -1):
        got = ops.round(Tensor(x), decimals)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got.numpy(), np.round(x, decimals))
    np.testing.assert_array_equal(ops.round(np.array([125.0]), -1), [120.0])


def test_arrays_of_scalars_are_asked_alike() -> None:
    boxes = scalarize([0.0, np.nan, 2.0])
    assert bool(ops.any(boxes))
    assert not ops.all(boxes)
    assert ops.argmax(boxes, axis=0) == 1  # NumPy's loop over objects passes over a NaN
    assert ops.argmin(boxes, axis=0) == 1
    assert ops.argsort(scalarize([3.0, 1.0, 2.0])).tolist() == [1, 2, 0]
    assert ops.any(Scalar(2.0)).item() == 1.0
    assert ops.all(Scalar(0.0)).item() == 0.0
    assert values_of(np.floor(scalarize([1.5, -1.5]))).tolist() == [1.0, -2.0]
    assert values_of(np.arctan2(scalarize([1.0]), scalarize([1.0]))).tolist() == [math.pi / 4]
    assert values_of(np.hypot(scalarize([3.0]), scalarize([4.0]))).tolist() == [5.0]
    assert values_of(scalarize([7.5]) % 2.0).tolist() == [1.5]
    assert values_of(ops.logaddexp(scalarize([0.0]), scalarize([0.0]))).tolist() == [math.log(2.0)]
    np.testing.assert_array_equal(values_of(ops.tril(scalarize(np.ones((2, 2))))), [[1, 0], [1, 1]])
    np.testing.assert_array_equal(values_of(ops.diag(scalarize([1.0, 2.0]))), [[1, 0], [0, 2]])


def test_what_takes_its_answer_from_values_that_have_a_derivative_is_refused() -> None:
    for call in (np.unique, np.histogram, np.nansum, np.median):
        with pytest.raises(NoDerivativeError):
            call(Tensor(V))


# -- what is no number --------------------------------------------------------------------------------------------------


class Unit:
    """Knows how to deal with anything on its left."""

    def _turn(self, other: Any) -> str:
        return "its turn"

    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmod__ = __rfloordiv__ = __rmatmul__ = _turn
    __rand__ = __ror__ = __rxor__ = _turn


OPERATORS: dict[str, Any] = {
    "+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y,
    "**": lambda x, y: x**y, "//": lambda x, y: x // y, "%": lambda x, y: x % y,
    "@": lambda x, y: x @ y, "&": lambda x, y: x & y, "|": lambda x, y: x | y, "^": lambda x, y: x ^ y,
}  # fmt: skip


@pytest.mark.parametrize("sign", OPERATORS)
def test_an_object_gets_its_turn(sign: str) -> None:
    operator = OPERATORS[sign]
    for x in [Tensor(V, requires_grad=True)] + [Scalar(2.0)] * (sign not in "@&|^"):
        assert operator(x, Unit()) == "its turn"
        for foreign in (None, {}, object()):
            for pair in ((x, foreign), (foreign, x)):
                with pytest.raises(TypeError, match="unsupported operand"):
                    operator(*pair)
        with pytest.raises(TypeError):
            operator(x, "a")


@pytest.mark.parametrize("foreign", [None, "a", b"a", {}, object, print], ids=repr)
def test_what_is_no_number_is_not_equal(foreign: Any) -> None:
    for x in (Tensor(V, requires_grad=True), Tensor(True), Scalar(2.0)):
        assert (x == foreign) is False
        assert (x != foreign) is True
        assert (foreign == x) is False
        assert foreign not in [x]
        with pytest.raises(TypeError, match="not supported between instances"):
            x < foreign  # noqa: B015
    kept = [Tensor(V), foreign]
    kept.remove(foreign)
    assert len(kept) == 1


def test_wrong_numbers_are_still_explained() -> None:
    x = Tensor(V)
    for call in (
        lambda: x * np.ones(2),
        lambda: x - [1.0, 2.0],
        lambda: x * 1j,
        lambda: x == np.ones(2),
        lambda: 1j * x,
    ):
        with pytest.raises(tg.TinygradError):
            call()
    with pytest.raises(DTypeError, match="on booleans only"):
        x & x


def test_remainders_and_exclusive_or() -> None:
    x = Tensor([7.5, -7.5], requires_grad=True)
    assert (x % 2).numpy().tolist() == [1.5, 0.5]
    assert (10 % x).numpy().tolist() == [2.5, -5.0]
    assert (x // 2).numpy().tolist() == [3.0, -4.0]
    assert (10 // x).numpy().tolist() == [1.0, -2.0]
    mask = Tensor([True, False])
    assert (mask ^ True).numpy().tolist() == [False, True]
    assert (np.array([True, True]) ^ mask).numpy().tolist() == [False, True]


def test_integers_index() -> None:
    assert [10, 20, 30][Tensor(1)] == 20
    assert list(range(Tensor(np.int8(3)))) == [0, 1, 2]
    assert np.arange(5)[Tensor(2)] == 2
    assert ops.sum(Tensor(np.ones((2, 3))), axis=Tensor(1)).shape == (2,)
    for wrong in (Tensor(1.0), Tensor(True), Tensor([1])):
        with pytest.raises(DTypeError, match="an index is one integer without axes"):
            [10, 20, 30][wrong]
    with pytest.raises(TypeError):
        [10, 20, 30][Scalar(1.0)]


# -- masked arrays ------------------------------------------------------------------------------------------------------

MASKED = np.ma.array([1.0, 99.0, 3.0], mask=[0, 1, 0])
ROWS = np.ma.array([0, 1], mask=[0, 1])
LEAF = Tensor([1.0, 1.0, 1.0], requires_grad=True)
PLACES: dict[str, Any] = {
    "Tensor": lambda m: Tensor(m),
    "Parameter": lambda m: nn.Parameter(m),
    "times": lambda m: LEAF * m,
    "maximum": lambda m: np.maximum(LEAF, m),
    "where": lambda m: ops.where(m > 2, LEAF, 0.0),
    "concatenate": lambda m: np.concatenate([LEAF, m]),
    "matmul": lambda m: LEAF @ m,
    "raw exp": lambda m: ops.exp(m),
    "raw mean": lambda m: ops.mean(m),
    "raw sum of rows": lambda m: ops.sum(m.reshape(3, 1), axis=0),
    "layer": lambda m: nn.Linear(3, 1)(m.reshape(1, 3)),
    "index": lambda m: LEAF[ROWS],
    "mask as index": lambda m: LEAF[m > 2],
    "take": lambda m: ops.take(LEAF, ROWS),
    "embedding": lambda m: tg.functional.embedding(ROWS, np.ones((3, 2))),
    "data": lambda m: setattr(Tensor([1.0, 1.0, 1.0]), "data", m),
    "cotangent": lambda m: (LEAF * 2.0).backward(m),
    "dataset": lambda m: tg.data.ArrayDataset(m),
    "rows of a dataset": lambda m: tg.data.ArrayDataset(np.ones(3))[ROWS],
    "labels to split by": lambda m: tg.data.random_split(tg.data.ArrayDataset(np.ones(3)), [0.5, 0.5], stratify=m),
    "scaler": lambda m: tg.data.StandardScaler().fit(m.reshape(3, 1)),
    "grad": lambda m: tg.grad(lambda x: (x * x).sum())(m),
    "gradcheck": lambda m: tg.gradcheck(lambda x: x * x, m),
    "state": lambda m: nn.Linear(3, 1, bias=False).load_state_dict({"weight": m.reshape(1, 3)}),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_a_mask_is_never_lost(place: Any) -> None:
    with pytest.raises(DTypeError, match=r"masked array would lose its mask(?s:.*)filled"):
        place(MASKED)
