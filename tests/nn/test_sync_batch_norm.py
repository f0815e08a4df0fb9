"""SyncBatchNorm on one process: the layer it is made of, conversion, its picture.  Several: tests/parallel."""

import numpy as np
import pytest

import tinygrad_bn as tg
from tinygrad_bn import functional, graph, nn, ops, parallel
from tinygrad_bn.errors import ArgumentError, DTypeError, ShapeError

X = np.random.default_rng(0).normal(size=(5, 3))


def test_batch_norm_takes_the_mean():
    """With the mean over twice the rows, the result is what twice the rows give."""
    more = np.random.default_rng(1).normal(size=(5, 3))
    rest = {False: more, True: (more - np.concatenate([X, more]).mean(0)) ** 2}

    def mean(x, axes, keepdims):
        squares = bool((x.numpy() >= 0).all())
        return (ops.sum(x, axes, keepdims=keepdims) + rest[squares].sum(0, keepdims=True)) / 10.0

    running = [tg.Tensor(np.zeros(3)), tg.Tensor(np.ones(3))]
    y = functional.batch_norm(tg.Tensor(X), *running, training=True, momentum=1.0, mean=mean, count=10)
    both = np.concatenate([X, more])
    np.testing.assert_allclose(y.numpy(), (X - both.mean(0)) / np.sqrt(both.var(0) + 1e-5), rtol=1e-12)
    np.testing.assert_allclose(running[0].numpy(), both.mean(0), rtol=1e-12)
    np.testing.assert_allclose(running[1].numpy(), both.var(0, ddof=1), rtol=1e-12)


def test_a_count_below_two_is_refused():
    with pytest.raises(ShapeError, match="1 per channel, of all ranks together"):
        functional.batch_norm(X[:1], training=True, count=1.0)


def test_its_picture_shows_the_exchanges():
    layer = nn.SyncBatchNorm(3, dtype=np.float64)
    found = graph.trace(layer(tg.Tensor(X, requires_grad=True)))
    exchanges = [node for node in found.nodes if node.op == "all_reduce"]
    assert [node.scope for node in exchanges] == [("SyncBatchNorm", "mean"), ("SyncBatchNorm", "variance")]
    assert {node.notation for node in exchanges} == {"Σranks {0}"}


def test_conversion_keeps_what_a_layer_has():
    norm = nn.BatchNorm1d(3, momentum=None, affine=False)
    seen = []
    norm.register_forward_hook(lambda module, args, output: seen.append(type(module).__name__))
    model = nn.ModuleDict({"one": nn.Sequential(norm, nn.ReLU()), "two": norm}).eval()
    state = model.state_dict()
    assert nn.SyncBatchNorm.convert_sync_batchnorm(model) is model
    assert model["two"] is model["one"][0]  # shared before, shared after
    assert (model["two"].momentum, model["two"].training) == (None, False)
    assert list(model.state_dict()) == list(state)
    model["two"](X.astype(np.float32))
    assert seen == ["SyncBatchNorm"]
    assert nn.SyncBatchNorm.convert_sync_batchnorm(model) is model  # again: nothing to do


def test_conversion_of_a_layer_itself():
    norm = nn.BatchNorm2d(3)
    made = nn.SyncBatchNorm.convert_sync_batchnorm(norm)
    assert type(made) is nn.SyncBatchNorm
    assert made.weight is norm.weight
    assert type(norm) is nn.BatchNorm2d


def test_a_layer_of_ones_own_is_not_converted():
    class Mine(nn.BatchNorm1d):
        def forward(self, x):
            return 2.0 * super().forward(x)

    model = nn.Sequential(nn.BatchNorm1d(3), Mine(3))
    with pytest.raises(ArgumentError, match=r"a layer of your own\n  got: +Mine at '1'"):
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert type(model[0]) is nn.BatchNorm1d


def test_scalars_are_refused_by_name():
    with pytest.raises(DTypeError, match="all_reduce of numbers"):
        nn.SyncBatchNorm(3, dtype=np.float64)(tg.scalarize(X))


def test_one_process_is_a_world():
    assert (parallel.rank(), parallel.size()) == (0, 1)
    given = np.ones(2)
    assert parallel.all_reduce(given, "mean") is not given
    assert parallel.all_gather([1.0, 2.0]).tolist() == [1.0, 2.0]
