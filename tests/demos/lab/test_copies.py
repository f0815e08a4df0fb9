"""Copies trained at once are the networks trained one by one."""

import numpy as np
import pytest

from demos.lab.measure import copies
from tinygrad_bn import functional, nn, no_grad, optim

SIZES = (5, 7, 6, 3)
SEEDS = [3, 11, 4]
RATES = [0.5, 0.05, 1.5]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((40, 5)), rng.integers(0, 3, 40)


def one_by_one(kind, batch_norm, x, y, steps):
    """The same training with the library's own layers, one network after the other."""
    trained = []
    for seed, rate in zip(SEEDS, RATES):
        weights = [w[0] for w in copies.draw_weights(SIZES, [seed], 0.7, np.float64)]
        layers = []
        for i, weight in enumerate(weights):
            last = i == len(weights) - 1
            linear = nn.Linear(*weight.shape, bias=last or not batch_norm, dtype=np.float64)
            linear.weight.data = weight.T
            if linear.bias is not None:
                linear.bias.data = np.zeros(weight.shape[1])
            layers.append(linear)
            if not last:
                layers += [*([nn.BatchNorm1d(weight.shape[1], dtype=np.float64)] if batch_norm else []), nn.Tanh()]
        model = nn.Sequential(*layers)
        optimizer = {"sgd": optim.SGD, "adam": optim.Adam}[kind](model.parameters(), lr=rate)
        rows = copies.batches(len(x), 8, [seed])
        for _ in range(steps):
            chosen = next(rows)[0]
            loss = functional.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trained.append(model.eval())
    return trained


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_copies_are_the_networks_trained_one_by_one(kind, batch_norm, data):
    x, y = data
    model = copies.network(copies.draw_weights(SIZES, SEEDS, 0.7, np.float64), nn.Tanh, batch_norm)
    optimizer, rows = copies.optimizer(kind, model, RATES), copies.batches(len(x), 8, SEEDS)
    for _ in range(12):  # past the end of an epoch of five batches
        chosen = next(rows)
        copies.step(model, optimizer, copies.cross_entropy, x[chosen], y[chosen])
    scores = copies.predict(model, x, rows=16)
    trained = one_by_one(kind, batch_norm, x, y, 12)
    with no_grad():
        expected = np.stack([single(x).data for single in trained])
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-10)
    assert model.training
    right = [np.mean(s.argmax(axis=1) == y) for s in expected]
    np.testing.assert_allclose(copies.accuracy(scores, y), right)


def test_one_rate_for_all_is_the_plain_optimizer():
    model = copies.network(copies.draw_weights(SIZES, SEEDS, "he"), nn.ReLU, False)
    assert type(copies.optimizer("sgd", model, 0.3)) is optim.SGD
    assert type(copies.optimizer("adam", model, [0.3] * 3)) is optim.Adam
    assert type(copies.optimizer("adam", model, RATES)) is copies.PerCopy


@pytest.mark.parametrize(
    ("std", "expected"), [("xavier", (2 / 160) ** 0.5), ("he", (2 / 100) ** 0.5), (0.3, 0.3), ("lecun", 0.1)]
)
def test_weights_have_the_spread_that_was_asked_for(std, expected):
    (weight,) = copies.draw_weights((100, 60), [1, 2], std)
    assert weight.shape == (2, 100, 60)
    assert weight.dtype == np.float32
    assert weight.std() == pytest.approx(expected, rel=0.03)
    np.testing.assert_array_equal(weight[1], copies.draw_weights((100, 60), [2], std)[0][0])


def test_every_batch_of_an_epoch_has_other_rows():
    rows = copies.batches(10, 3, [5, 6])
    epoch = np.concatenate([next(rows) for _ in range(3)], axis=1)
    assert epoch.shape == (2, 9)
    assert all(len(set(copy)) == 9 for copy in epoch.tolist())
    assert epoch[0].tolist() != epoch[1].tolist()
    with pytest.raises(ValueError, match="2 rows do not make one batch of 3"):
        next(copies.batches(2, 3, [0]))


def test_a_copy_that_diverges_leaves_the_others_alone(data):
    x, y = data
    finals = []
    for rates in ([0.1, 1e30], [0.1, 0.1]):
        model = copies.network(copies.draw_weights(SIZES, [1, 2], 0.5), nn.ReLU, False)
        optimizer, rows = copies.optimizer("sgd", model, rates), copies.batches(len(x), 8, [1, 2])
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(6):
                chosen = next(rows)
                copies.step(model, optimizer, copies.cross_entropy, x[chosen].astype(np.float32), y[chosen])
            finals.append(copies.predict(model, x.astype(np.float32)))
    assert not np.isfinite(finals[0][1]).all()
    np.testing.assert_allclose(finals[0][0], finals[1][0], rtol=1e-4, atol=1e-5)


def test_losses_are_sums_over_the_copies():
    rng = np.random.default_rng(3)
    logits, labels = rng.standard_normal((2, 6, 1)), rng.integers(0, 2, (2, 6))
    p = 1 / (1 + np.exp(-logits[..., 0]))
    by_hand = -np.where(labels == 1, np.log(p), np.log(1 - p)).mean(axis=1).sum()
    np.testing.assert_allclose(copies.binary_cross_entropy(logits, labels), by_hand)
    target = rng.standard_normal((2, 6, 1))
    np.testing.assert_allclose(copies.squared_error(logits, target), ((logits - target) ** 2).mean(axis=(1, 2)).sum())
