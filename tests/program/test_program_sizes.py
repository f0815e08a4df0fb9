"""A program recorded at one batch size: right at others, or refused by name."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tests.program.bits import same_bits, snapshot
from tests.program.training import OPTIMIZERS, batches, conv_net, mlp, pair, stepping
from tinygrad_bn import nn, ops, program
from tinygrad_bn.errors import RecordingError
from tinygrad_bn.program import Program, Size


@pytest.mark.parametrize(
    ("make", "shape"), [(mlp, (4,)), (conv_net, (2, 4, 4))], ids=["an MLP with BN", "a convolutional network"]
)
@pytest.mark.parametrize("rows", [2, 3, 7, 16])
def test_other_batch_sizes(make, shape, rows):
    (eager, one), (model, other) = pair(make, OPTIMIZERS["SGD with momentum"])
    recorded = program.record(stepping(model, other), *next(batches((5, *shape))))
    assert recorded.free
    data = batches((rows, *shape), seed=rows)
    for _, (x, labels) in zip(range(3), data):
        same_bits(recorded.run(x, labels), stepping(eager, one)(tg.Tensor(x), tg.Tensor(labels)))
        same_bits(snapshot(model, other), snapshot(eager, one))
    shorter = program.simplify(recorded)
    got, expected = snapshot(model, other), float(recorded.run(x, labels))
    model.load_state_dict(got["model"])
    other.load_state_dict(got["optimizer"])
    assert abs(float(shorter.run(x, labels)) - expected) <= 1e-5 * abs(expected)
    model.load_state_dict(got["model"])
    other.load_state_dict(got["optimizer"])
    assert float(Program.from_json(recorded.to_json()).run(x, labels)) == expected


FREE = {
    "mean": lambda x: ops.mean(x, axis=0),
    "mean of all": lambda x: ops.mean(x),
    "var": lambda x: ops.var(x, axis=0, ddof=1),
    "reshape": lambda x: ops.reshape(x, (-1, 2)),
    "ravel": lambda x: ops.ravel(x),
    "gram": lambda x: x @ x.T,
    "softmax": lambda x: ops.softmax(x, axis=0),
    "concatenate": lambda x: ops.concatenate([x, x], axis=0),
    "last row": lambda x: x[-1],
    "all but the first": lambda x: x[1:],
    "the number of rows": lambda x: x * float(x.shape[0]),
    "rows times columns": lambda x: x + x.size,
    "zeros in its shape": lambda x: ops.maximum(x, np.zeros(x.shape)),
    "cumsum": lambda x: ops.cumsum(x, axis=0),
}


@pytest.mark.parametrize("name", FREE)
def test_what_is_free(name):
    function = FREE[name]
    rng = np.random.default_rng(0)
    recorded = program.record(function, rng.standard_normal((4, 6)))
    assert recorded.free
    for rows in (2, 3, 9):
        x = rng.standard_normal((rows, 6))
        same_bits(recorded.run(x), function(tg.Tensor(x)))
        same_bits(Program.from_json(recorded.to_json()).run(x), function(tg.Tensor(x)))
    assert "N" in str(recorded)


def loop(x):
    total = 0.0
    for i in range(len(x)):
        total = total + x[i].sum() * i
    return total


NOT_FREE = {
    "numbers of the rows": (lambda x: x * np.arange(x.shape[0])[:, None], "constant array of shape"),
    "one over n by NumPy": (lambda x: x.sum() * (1.0 / np.float64(x.shape[0])), "depends on N"),
    "one over n": (lambda x: x.sum() * (1.0 / x.shape[0]), "depends on N"),
    "the root of n": (lambda x: x / x.shape[0] ** 0.5, "depends on N"),
    "n squared": (lambda x: x * float(x.shape[0] ** 2), "depends on N"),
    "a loop over rows": (loop, "operations for N = 4"),
    "a mask": (lambda x: x[np.arange(x.shape[0]) % 2 == 0], "constant array"),
    "half of the rows": (lambda x: x[: x.shape[0] // 2], "depends on N"),
    "a branch on n": (lambda x: ops.exp(x) if x.shape[0] > 4 else ops.sin(x), "operations depend on N"),
    "a product of all": (lambda x: ops.prod(x, axis=0), "N"),
    "a weight per row": (lambda x: x * np.ones((4, 1)), "N = 5 failed"),
    "two halves": (lambda x: ops.stack(ops.split(x, 2, axis=0)), "N = 5 failed"),
}


@pytest.mark.parametrize("name", NOT_FREE)
def test_what_is_not_free_says_why_and_is_refused_elsewhere(name):
    function, why = NOT_FREE[name]
    rng = np.random.default_rng(0)
    recorded = program.record(function, rng.standard_normal((4, 6)))
    x = rng.standard_normal((4, 6))
    same_bits(recorded.run(x), function(tg.Tensor(x)))
    assert why in recorded.why_not
    with pytest.raises(RecordingError, match="not free in its first axis") as error:
        recorded.run(rng.standard_normal((5, 6)))
    assert why in str(error.value)


def test_never_a_wrong_number_at_any_size():
    """Every function above, at ten sizes: the right bits, or a refusal."""
    rng = np.random.default_rng(1)
    refused = 0
    for function in [*FREE.values(), *(function for function, _ in NOT_FREE.values())]:
        recorded = program.record(function, rng.standard_normal((4, 6)))
        for rows in range(10):
            x = rng.standard_normal((rows, 6))
            with np.errstate(all="ignore"):
                try:
                    got = recorded.run(x)
                except RecordingError:
                    refused += 1
                    continue
                same_bits(got, function(tg.Tensor(x)))
    assert refused > 50


def test_a_batch_of_one_in_training_is_no_nan():
    layer = nn.BatchNorm1d(3)
    recorded = program.record(layer, np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32))
    before = snapshot(layer)
    x = np.ones((1, 3), np.float32)
    with pytest.raises(RecordingError, match="too small a batch"):
        recorded.run(x)
    same_bits(snapshot(layer), before)


def test_sizes_read_like_formulas():
    assert [str(Size(*pair)) for pair in ((1, 0), (2, 0), (1, 3), (2, -1))] == ["N", "2N", "N+3", "2N-1"]


def test_other_arrays_of_the_same_length_go_along_and_others_do_not():
    recorded = program.record(lambda x, y, z: x * y + z, np.ones((4, 2)), np.ones((4, 1)), np.ones(2))
    assert [entry.shape[0] for entry in recorded.inputs] == [Size(1, 0), Size(1, 0), 2]
    with pytest.raises(RecordingError, match="y is not what"):
        recorded.run(np.ones((5, 2)), np.ones((4, 1)), np.ones(2))


def test_it_can_be_asked_not_to_be_free():
    recorded = program.record(lambda x: x * 2.0, np.ones((4, 2)), free=False)
    assert not recorded.free
    with pytest.raises(RecordingError, match="was not asked to be"):
        recorded.run(np.ones((5, 2)))


def test_a_count_stays_the_kind_of_number_it_was():
    recorded = program.record(lambda x: (x * x.shape[0], x * float(x.shape[0])), np.arange(4))
    assert recorded.free
    for again in (recorded, Program.from_json(recorded.to_json()), program.simplify(recorded)):
        whole, real = again.run(np.arange(6))
        same_bits(whole, np.arange(6) * 6)
        same_bits(real, np.arange(6) * 6.0)
