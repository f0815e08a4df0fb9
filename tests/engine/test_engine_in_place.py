"""What looks like a change in place changes something, makes something new that is used, or says what to write."""

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import Parameter, Scalar, Tensor, nn
from tinygrad_bn.engine.readonly import ReadOnlyArray
from tinygrad_bn.errors import ArgumentError, DTypeError, GraphError, MutationError, ShapeError
from tinygrad_bn.program import record

DTYPES = [np.float16, np.float32, np.float64]
OPERATORS = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "//=": operator.ifloordiv,
    "%=": operator.imod, "**=": operator.ipow,
}  # fmt: skip
PLAIN = {
    "+=": operator.add, "-=": operator.sub, "*=": operator.mul, "/=": operator.truediv, "//=": operator.floordiv,
    "%=": operator.mod, "**=": operator.pow,
}  # fmt: skip
symbols = pytest.mark.parametrize("symbol", OPERATORS)
LEAVES = {"parameter": Parameter, "tensor": lambda v: Tensor(v, requires_grad=True)}


@symbols
@pytest.mark.parametrize("make", LEAVES.values(), ids=LEAVES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_leaf_that_wants_a_gradient_moves_under_no_grad(symbol, make, dtype):
    p = same = make(np.array([2.0, 3.0], dtype))
    with tg.no_grad():
        p = OPERATORS[symbol](p, Tensor(np.array([0.5, 2.0])))  # of float64, as a gradient could be
    assert p is same
    assert (p.dtype, p.requires_grad, p.is_leaf) == (dtype, True, True)
    np.testing.assert_array_equal(
        p.data, PLAIN[symbol](np.array([2.0, 3.0], dtype), np.array([0.5, 2.0])).astype(dtype)
    )


@symbols
def test_a_scalar_moves_under_no_grad(symbol):
    s = same = Scalar(3.0)
    with tg.no_grad():
        s = OPERATORS[symbol](s, 2.0)
    assert s is same
    assert s.item() == PLAIN[symbol](3.0, 2.0)


@symbols
@pytest.mark.parametrize(
    "other", [0.5, np.array([0.5, 2.0]), Tensor([0.5, 2.0]), Tensor([0.5, 2.0], requires_grad=True)]
)
def test_a_leaf_that_wants_a_gradient_is_not_moved_where_it_is_recorded(symbol, other):
    p = Tensor([2.0, 3.0], requires_grad=True, name="w")
    with pytest.raises(
        GraphError, match=r"'w' wants a gradient and is being recorded: .* cannot change it in place"
    ) as error:
        OPERATORS[symbol](p, other)
    assert symbol in str(error.value)
    assert all(words in str(error.value) for words in ("no_grad()", "tg.optim", "x = x + y"))
    with pytest.raises(GraphError, match="cannot change it in place"):
        OPERATORS[symbol](Scalar(2.0), 0.5)
    np.testing.assert_array_equal(p.data, [2.0, 3.0])


def test_the_loop_of_every_tutorial_trains():
    net = nn.Linear(1, 1, dtype=float)
    x, losses = np.ones((4, 1)), []
    for _ in range(20):
        loss = tg.functional.mse_loss(net(x), 3.0 * x)
        net.zero_grad()
        loss.backward()
        losses.append(loss.item())
        with tg.no_grad():
            for p in net.parameters():
                p -= 0.2 * p.grad
    assert losses[-1] < 1e-6 < losses[0]
    s = Scalar(2.0)
    for _ in range(50):
        s.grad = None
        ((s - 5.0) * (s - 5.0)).backward()
        with tg.no_grad():
            s -= 0.2 * s.grad
    assert abs(s.item() - 5.0) < 1e-6


@symbols
def test_what_nobody_else_means_is_a_new_variable(symbol):
    constant, leaf = Tensor([2.0, 3.0]), Tensor([2.0, 3.0], requires_grad=True)
    for start in (constant, leaf * 1.0, Scalar(2.0, requires_grad=False), Scalar(2.0) * 1.0):
        new = OPERATORS[symbol](start, leaf if isinstance(start, Tensor) else Scalar(3.0))
        assert new is not start
        assert new.requires_grad
    np.testing.assert_array_equal(constant.data, [2.0, 3.0])


def test_a_sum_of_scalars_starts_from_one():
    total, x = Scalar(0.0), Scalar(3.0)
    for factor in (1.0, 2.0):
        total += x * factor
    total.backward()
    assert (total.item(), x.grad.item()) == (9.0, 3.0)


@symbols
@pytest.mark.parametrize("point", [2.0, np.array([2.0, 3.0]), Tensor([2.0, 3.0]), Tensor([2.0], requires_grad=True)])
def test_an_argument_of_a_transform_is_the_functions_own(symbol, point):
    def function(x):
        x = OPERATORS[symbol](x, 2.0)
        return tg.ops.sum(x)

    before = np.array(getattr(point, "data", point))
    found = tg.grad(function)(point)
    expected = tg.grad(lambda x: tg.ops.sum(PLAIN[symbol](x, 2.0)))(point)
    np.testing.assert_array_equal(*(np.asarray(getattr(g, "data", g)) for g in (found, expected)))
    np.testing.assert_array_equal(getattr(point, "data", point), before)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = Tensor(np.zeros(2))
        self.register_buffer("mean", Tensor(np.zeros(2)))
        self.weight = Parameter(np.ones(2))

    def forward(self, x):
        self.mean *= 0.5
        self.mean += 0.5 * tg.ops.mean(x, axis=0)
        return x * self.weight


def test_state_of_a_module_moves_everywhere():
    layer = Counting()
    mean, x = layer.mean, Tensor(np.ones((3, 2)), requires_grad=True)
    for expected in (0.5, 0.75):
        layer(x).sum().backward()
        assert layer.mean is mean
        assert not mean.requires_grad
        np.testing.assert_array_equal(mean.data, [expected] * 2)
    layer.weight.requires_grad = False
    layer.weight *= 3.0
    np.testing.assert_array_equal(layer.weight.data, [3.0, 3.0])
    for buffer in layer.buffers():
        buffer *= 0.0
    np.testing.assert_array_equal(mean.data, [0.0, 0.0])


def test_a_program_repeats_the_changes():
    def step(layer, x):
        layer.weight.grad = None
        (layer(x) ** 2).sum().backward()
        with tg.no_grad():
            for p in layer.parameters():
                p -= 0.01 * p.grad
        return layer.weight.grad

    rng = np.random.default_rng(0)
    layers, batches = [Counting(), Counting()], rng.normal(size=(3, 4, 2))
    program = record(lambda x: step(layers[0], x), batches[0])
    for batch in batches:
        np.testing.assert_array_equal(program.run(batch), step(layers[1], batch).data)
        for ours, theirs in zip((layers[0].weight, layers[0].mean), (layers[1].weight, layers[1].mean)):
            np.testing.assert_array_equal(ours.data, theirs.data)


def test_what_does_not_fit_changes_nothing():
    p = Parameter([2.0, 3.0])
    with tg.no_grad():
        for other, error in (
            (np.ones((2, 2)), ShapeError),
            (np.ones(3), ShapeError),
            ("a", TypeError),
            (None, TypeError),
        ):
            with pytest.raises(error):
                p += other
        counter = nn.BatchNorm1d(1).num_batches_tracked
        with pytest.raises(DTypeError, match="another kind"):
            counter += 0.5
    np.testing.assert_array_equal(p.data, [2.0, 3.0])


def test_a_recorded_value_does_not_change_unseen():
    p = Parameter([2.0, 3.0])
    y = (p * p).sum()
    with tg.no_grad():
        p += 1.0
    with pytest.raises(MutationError, match="multiply recorded"):
        y.backward()


def test_matrices_and_masks_in_place():
    p = same = Parameter(np.eye(2))
    with tg.no_grad():
        p @= np.array([[1.0, 2.0], [3.0, 4.0]])
    assert p is same
    np.testing.assert_array_equal(p.data, [[1.0, 2.0], [3.0, 4.0]])
    mask = nn.Module()
    mask.register_buffer("mask", Tensor(np.array([True, False])))
    for operation, expected in (
        (operator.iand, [True, False]),
        (operator.ior, [True, True]),
        (operator.ixor, [False, False]),
    ):
        moved = operation(mask.mask, np.array([True, True]))
        assert moved is mask.mask
        np.testing.assert_array_equal(moved.data, expected)


# -- .data --------------------------------------------------------------------------------------------------------------

WRITES = {
    "-=": lambda p: exec("p.data -= 0.1 * p.grad.data", {"p": p}),
    "+= a tensor": lambda p: exec("p.data += -0.1 * p.grad", {"p": p}),
    "an element": lambda p: operator.setitem(p.data, 0, 5.0),
    "a slice": lambda p: operator.setitem(p.data[1:], 0, 5.0),
    "a mask": lambda p: operator.setitem(p.data, p.data > 0, 5.0),
    "a view": lambda p: operator.setitem(p.data.T, 0, 5.0),
    "out=": lambda p: np.add(p.data, 1.0, out=p.data),
    "out= of others": lambda p: np.add([1.0, 2.0], 1.0, out=p.data),
    "at": lambda p: np.add.at(p.data, [0], 1.0),
    "fill": lambda p: p.data.fill(0.0),
    "sort": lambda p: p.data.sort(),
    "partition": lambda p: p.data.partition(0),
    "put": lambda p: p.data.put([0], 1.0),
    "resize": lambda p: p.data.resize(1, refcheck=False),
} | {symbol: lambda p, symbol=symbol: OPERATORS[symbol](p.data, 2.0) for symbol in OPERATORS}
HOLDERS = {
    "parameter": lambda: Parameter([1.0, 2.0]),
    "float32": lambda: Parameter(np.array([1.0, 2.0], np.float32)),
    "float16": lambda: Parameter(np.array([1.0, 2.0], np.float16)),
    "constant": lambda: Tensor([1.0, 2.0]),
    "buffer": lambda: nn.BatchNorm1d(2).running_mean,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)
def test_writing_into_data_says_what_to_write(write, make):
    p = make()
    p.grad = Tensor(np.ones(2))
    before = p.data.copy()
    with pytest.raises(ArgumentError, match="is read-only: an operation may have recorded it") as error:
        write(p)
    assert all(
        words in str(error.value) for words in ("p.data = p.data - step", "p.unlocked()", "tg.optim", "p.data.copy()")
    )
    np.testing.assert_array_equal(p.data, before)


def test_what_the_message_says_works():
    p = Parameter([1.0, 2.0])
    p.data = p.data - 1.0
    with p.unlocked() as array:
        array -= 1.0
    np.testing.assert_array_equal(p.data, [-1.0, 0.0])
    mine = p.data.copy()
    mine -= 1.0
    mine[0] = 5.0
    assert type(mine) is np.ndarray


@pytest.mark.parametrize("dtype", [*DTYPES, int, bool])
def test_data_is_an_array_like_any_other(dtype):
    t = Tensor(np.array([[1, 0], [1, 1]], dtype))
    data, plain = t.data, np.array([[1, 0], [1, 1]], dtype)
    assert isinstance(data, np.ndarray)
    assert data is t.data
    assert repr(data) == repr(plain)
    assert str(data) == str(plain)
    for compute in (
        lambda a: a + a, lambda a: a * 2, lambda a: 2 - a * 1.0, lambda a: a.sum(), lambda a: a.mean(axis=0), lambda a: a @ a,
        lambda a: np.concatenate([a, a]), lambda a: np.exp(a), lambda a: np.add.reduce(a), lambda a: a.astype(np.float32),
        lambda a: np.where(a > 0, a, 0), lambda a: np.linalg.norm(a), lambda a: np.stack([a]), lambda a: np.array(a),
        lambda a: a.copy("F"), lambda a: pickle.loads(pickle.dumps(a)), lambda a: np.add.outer(a, a), lambda a: a.tolist(),
        lambda a: np.divmod(a * 2.0, 3.0), lambda a: a[0, 0], lambda a: np.asarray(a), lambda a: np.add(a[0, 0], 1),
    ):  # fmt: skip
        got, expected = compute(data), compute(plain)
        assert type(got) is type(expected)
        np.testing.assert_array_equal(got, expected)
    target = np.zeros((2, 2))
    assert np.multiply(data, 2.0, out=target) is not None
    np.testing.assert_array_equal(target, plain * 2.0)
    assert isinstance(copy.deepcopy(data), np.ndarray)
    assert isinstance(data, ReadOnlyArray)
    assert not isinstance(t.numpy(), ReadOnlyArray)


def test_data_is_another_object_when_the_value_is_another():
    p = Parameter([1.0, 2.0])
    before = p.data
    p.data = [3.0, 4.0]
    assert p.data is not before
    np.testing.assert_array_equal(before, [1.0, 2.0])


def test_a_writable_array_of_the_kind_can_be_written_to():
    mine = np.zeros(2).view(ReadOnlyArray)
    mine[0] = 4.0
    mine.sort()
    mine += 1.0
    np.testing.assert_array_equal(mine, [1.0, 5.0])
